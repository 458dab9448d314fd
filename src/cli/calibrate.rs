//! `hyclus calibrate linearity`, `stray` and `panel`: what detectors and the white panel do to the light.

use super::arguments::{capture, finite};
use super::output::{exit_code, fail};
use crate::config::Loaded;
use crate::data_root::Capture;
use crate::measure::{Evenness, measure_evenness, write_evenness};
use crate::response::{self, Linearity, LinearityError, StrayLight, Strip, Wanted};
use clap::Args;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `hyclus calibrate linearity`.
#[derive(Debug, Args)]
pub(super) struct LinearityArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    pub(super) config: PathBuf,
    /// Recording with a white reference of the panel and a dark one of its exposure; once for each exposure, at least four for a camera
    #[arg(long = "capture", value_name = "NAME=DIR", required_unless_present = "connect", conflicts_with = "connect", value_parser = capture)]
    pub(super) captures: Vec<Capture>,
    /// Takes the exposures now, on the rig: lamps on, the panel under the camera; not while the daemon runs
    #[arg(long)]
    pub(super) connect: bool,
    /// Which camera; every one when absent
    #[arg(long, value_name = "NAME", requires = "connect")]
    pub(super) camera: Option<String>,
    /// Exposures, as shares of camera.exposure_us; a tenth to all of it in ten steps when absent
    #[arg(long, value_name = "SHARES", requires = "connect", value_delimiter = ',', value_parser = share)]
    pub(super) exposures: Vec<f64>,
    /// Writes what was measured into the configuration
    #[arg(long)]
    pub(super) write: bool,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share: &f64| share.is_finite() && *share > 0.0).ok_or_else(|| "give a positive number".to_owned())
}

/// `hyclus calibrate linearity`: measures the linearity of detectors.
pub(super) fn linearity(args: &LinearityArgs, json: bool) -> ExitCode {
    let measured = Loaded::read(&args.config).map_err(fail).and_then(|loaded| {
        let measured = measure_linearity(&loaded, args).map_err(fail)?;
        if args.write {
            response::write_linearity(&loaded, &measured).map_err(fail)?;
        }
        Ok(measured)
    });
    let measured = match measured {
        Ok(measured) => measured,
        Err(code) => return code,
    };
    let mut out = io::stdout().lock();
    exit_code(measured.iter().try_for_each(|found| if json { as_json(found, args, &mut out) } else { as_text(found, args, &mut out) }))
}

fn measure_linearity(loaded: &Loaded, args: &LinearityArgs) -> Result<Vec<Linearity>, LinearityError> {
    let wanted = Wanted { camera: args.camera.clone(), exposures: args.exposures.clone() };
    let series = if args.connect {
        response::taken_exposures(loaded, &wanted, &|text| eprintln!("{text}"))?
    } else {
        response::recorded_exposures(loaded, &args.captures)?
    };
    series.iter().map(|series| Ok(response::fit_linearity(series)?)).collect()
}

fn as_json(found: &Linearity, args: &LinearityArgs, out: &mut dyn Write) -> io::Result<()> {
    let line = json!({
        "camera": found.camera, "linearity": found.coefficients, "configured": found.configured, "exposures": found.exposures,
        "range_us": found.range_us, "elements": found.elements.0, "all_elements": found.elements.1, "reach": found.reach,
        "residual": found.after.0, "largest_residual": found.after.1,
        "residual_before": found.before.0, "largest_residual_before": found.before.1,
        "drift": found.drift, "written": args.write,
    });
    writeln!(out, "{line}")
}

fn as_text(found: &Linearity, args: &LinearityArgs, out: &mut dyn Write) -> io::Result<()> {
    let Linearity { camera, coefficients, configured, exposures, range_us, elements, reach, before, after, drift } = found;
    let percent = |share: f64| 100.0 * share;
    writeln!(
        out,
        "{camera}, from {exposures} exposures of {:.1} to {:.1} µs, {} of {} elements",
        range_us.0, range_us.1, elements.0, elements.1
    )?;
    writeln!(out, "  linearity = {coefficients:?} (configured {configured:?})")?;
    writeln!(
        out,
        "  residual {:.3} % of full scale, at most {:.3} %; of a straight line {:.3} %, at most {:.3} %",
        percent(after.0),
        percent(after.1),
        percent(before.0),
        percent(before.1)
    )?;
    writeln!(out, "  signals reach {:.0} % of full scale; beyond that the curve is extrapolated", percent(*reach))?;
    match drift {
        Some(drift) => writeln!(out, "  the light changed by {:.2} % over the series, which is divided out", percent(*drift))?,
        None => writeln!(out, "  no exposure was repeated, so a change of the light would not show")?,
    }
    writeln!(out, "{}", ending(args.write, &args.config))
}

/// `hyclus calibrate stray`.
#[derive(Debug, Args)]
pub(super) struct StrayArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    pub(super) config: PathBuf,
    /// Recording of a camera, with a black strip along the tray and bright things beside it; once per camera
    #[arg(long = "capture", value_name = "NAME=DIR", required = true, value_parser = capture)]
    pub(super) captures: Vec<Capture>,
    /// One edge of the strip, mm across the tray
    #[arg(long, value_name = "MM", value_parser = finite, allow_negative_numbers = true)]
    pub(super) from: f64,
    /// The other edge of the strip, mm across the tray
    #[arg(long, value_name = "MM", value_parser = finite, allow_negative_numbers = true)]
    pub(super) to: f64,
    /// First line with the strip, mm along the tray; that of the recording when absent
    #[arg(long, value_name = "MM", value_parser = finite, allow_negative_numbers = true)]
    pub(super) begin: Option<f64>,
    /// Last line with the strip, mm along the tray; that of the recording when absent
    #[arg(long, value_name = "MM", value_parser = finite, allow_negative_numbers = true)]
    pub(super) end: Option<f64>,
    /// Writes what was measured into the configuration
    #[arg(long)]
    pub(super) write: bool,
}

/// `hyclus calibrate stray`: measures the stray light of cameras.
pub(super) fn stray(args: &StrayArgs, json: bool) -> ExitCode {
    let strip = Strip {
        across_mm: (args.from.min(args.to), args.from.max(args.to)),
        along_mm: (args.begin.unwrap_or(f64::NEG_INFINITY), args.end.unwrap_or(f64::INFINITY)),
    };
    let measured = Loaded::read(&args.config).map_err(fail).and_then(|loaded| {
        let measured = response::stray(&loaded, &args.captures, &strip).map_err(fail)?;
        if args.write {
            response::write_stray(&loaded, &measured).map_err(fail)?;
        }
        Ok(measured)
    });
    let measured = match measured {
        Ok(measured) => measured,
        Err(code) => return code,
    };
    let mut out = io::stdout().lock();
    exit_code(measured.iter().try_for_each(|found| {
        let StrayLight { camera, share, uncertainty, configured, lines, elements, levels, strip } = found;
        if json {
            let line = json!({
                "camera": camera, "stray_light": share, "uncertainty": uncertainty, "configured": configured, "lines": lines,
                "elements": elements, "line_counts": levels, "strip_reflectance": strip, "written": args.write,
            });
            return writeln!(out, "{line}");
        }
        writeln!(out, "{camera}, from {lines} lines of {:.0} to {:.0} counts, {elements} elements on the strip", levels.0, levels.1)?;
        writeln!(out, "  stray_light = {share:.5} ± {uncertainty:.5} (configured {configured})")?;
        writeln!(out, "  the strip reads as {strip:.4}, with the stray light on it")?;
        writeln!(out, "{}", ending(args.write, &args.config))
    }))
}

/// `hyclus calibrate panel`.
#[derive(Debug, Args)]
pub(super) struct PanelArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    config: PathBuf,
    /// Recording with a white reference of the panel as it lies; once per camera
    #[arg(long = "capture", value_name = "NAME=DIR", required = true, value_parser = capture)]
    captures: Vec<Capture>,
    /// Recording with a white reference of the panel turned by half a turn; once per camera
    #[arg(long = "turned", value_name = "NAME=DIR", required = true, value_parser = capture)]
    turned: Vec<Capture>,
    /// Writes what was measured into the configuration
    #[arg(long)]
    write: bool,
}

/// `hyclus calibrate panel`: measures how evenly the white panel reflects across the belt.
pub(super) fn panel(args: &PanelArgs, json: bool) -> ExitCode {
    let measured = Loaded::read(&args.config).map_err(fail).and_then(|loaded| {
        let measured = measure_evenness(&loaded, &args.captures, &args.turned).map_err(fail)?;
        if args.write {
            write_evenness(&loaded, &measured).map_err(fail)?;
        }
        Ok(measured)
    });
    let Evenness { coefficients, uncertainty, largest, residual, configured, pixels } = match measured {
        Ok(measured) => measured,
        Err(code) => return code,
    };
    let mut out = io::stdout().lock();
    if json {
        let line = json!({
            "evenness": coefficients, "uncertainty": uncertainty, "largest": largest, "residual": residual, "configured": configured,
            "pixels": pixels, "written": args.write,
        });
        return exit_code(writeln!(out, "{line}"));
    }
    let [a, b, c] = coefficients;
    let text = format!(
        "the panel, from {pixels} pixels of both references\n  evenness = [{a:.5}, {b:.5}, {c:.5}] (configured {configured:?})\n  uneven by {:.2} % ± {:.2} %, with {:.2} % beside the curve\n{}",
        100.0 * largest,
        100.0 * uncertainty,
        100.0 * residual,
        ending(args.write, &args.config)
    );
    exit_code(writeln!(out, "{text}"))
}

/// What became of the figures.
fn ending(written: bool, config: &Path) -> String {
    let config = config.display();
    if written { format!("  written to {config}") } else { format!("  --write puts this into {config}") }
}
