//! `hyclus calibrate wavelength`: the wavelength axis of the cameras, from the recorded scan of a tile, and its history.

use super::output::{exit_code, fail};
use crate::config::Loaded;
use crate::data_root::Capture;
use crate::measure::{MeasuredWavelength, TilePlace, measure_wavelength, write_wavelength};
use crate::terminal::Plain;
use crate::wavelength::{Features, Value, history_path, read_history};
use clap::Args;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `hyclus calibrate wavelength`.
#[derive(Debug, Args)]
pub(super) struct WavelengthArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    config: PathBuf,
    /// Recording of the tile by a camera; once per camera
    #[arg(long = "capture", value_name = "NAME=DIR", required_unless_present = "history", value_parser = super::arguments::capture)]
    captures: Vec<Capture>,
    /// The tile's absorptions, such as config/wavelength/mylar.toml
    #[arg(long, value_name = "FILE.toml", required_unless_present = "history")]
    features: Option<PathBuf>,
    /// Nearer corner of the tile: mm across the tray and along it; everything bright when absent
    #[arg(long, value_name = "X,Y", value_parser = corner, allow_hyphen_values = true)]
    from: Option<(f64, f64)>,
    /// Farther corner of the tile: mm across the tray and along it; everything bright when absent
    #[arg(long, value_name = "X,Y", value_parser = corner, allow_hyphen_values = true)]
    to: Option<(f64, f64)>,
    /// The tile by its sample's name in the scan, in place of --from and --to
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from", "to"])]
    sample: Option<String>,
    /// Distance within which each absorption is looked for, nm (0.1 to 20)
    #[arg(long, value_name = "NM", default_value_t = 5.0, value_parser = limit)]
    limit_nm: f64,
    /// Writes shift and smile into the configuration
    #[arg(long)]
    write: bool,
    /// Prints how the wavelengths of each camera moved, as its white references told, and measures nothing
    #[arg(long, conflicts_with_all = ["write", "captures", "features"])]
    history: bool,
}

fn corner(text: &str) -> Result<(f64, f64), String> {
    let numbers = text.split_once(',').and_then(|(x, y)| Some((x.trim().parse::<f64>().ok()?, y.trim().parse::<f64>().ok()?)));
    numbers.filter(|(x, y)| x.is_finite() && y.is_finite()).ok_or_else(|| "give mm across and along the tray, such as 20,35.5".to_owned())
}

fn limit(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|nm| (0.1..=20.0).contains(nm));
    number.ok_or_else(|| "give nanometres from 0.1 to 20".to_owned())
}

/// Measures the wavelength axes, or prints their history.
pub(super) fn wavelength(args: &WavelengthArgs, json: bool) -> ExitCode {
    let loaded = match Loaded::read(&args.config) {
        Ok(loaded) => loaded,
        Err(error) => return fail(error),
    };
    if args.history {
        return history(&loaded, json);
    }
    let features = match Features::read(args.features.as_deref().unwrap_or(Path::new(""))) {
        Ok(features) => features,
        Err(error) => return fail(error),
    };
    let everywhere = TilePlace::default();
    let place = TilePlace { from_mm: args.from.unwrap_or(everywhere.from_mm), to_mm: args.to.unwrap_or(everywhere.to_mm) };
    if place.from_mm.0 >= place.to_mm.0 || place.from_mm.1 >= place.to_mm.1 {
        return fail("--from must be nearer than --to, across and along the tray");
    }
    let mut measured = Vec::new();
    for capture in &args.captures {
        let of_sample = args.sample.as_deref().map_or(Ok(place), |sample| TilePlace::of_sample(capture, sample));
        match of_sample.and_then(|place| measure_wavelength(&loaded, capture, &features, place, args.limit_nm)) {
            Ok(found) => measured.push(found),
            Err(error) => return fail(error),
        }
    }
    if args.write
        && let Err(error) = write_wavelength(&loaded, &measured)
    {
        return fail(error);
    }
    let mut out = Plain::new(io::stdout().lock());
    exit_code(measured.iter().try_for_each(|found| {
        if json {
            return writeln!(out, "{}", as_json(found, args.write));
        }
        show(found, &mut out)?;
        if args.write {
            writeln!(out, "  written to {}", args.config.display())
        } else {
            writeln!(out, "  --write puts this into {}", args.config.display())
        }
    }))
}

fn as_json(found: &MeasuredWavelength, written: bool) -> serde_json::Value {
    let value = |value: Option<Value>| value.map(|value| json!({"value": value.value, "uncertainty": value.uncertainty}));
    let axis = &found.axis;
    let features: Vec<_> = axis
        .features
        .iter()
        .map(|feature| {
            json!({
                "nm": feature.nm, "found_nm": feature.nm - feature.difference_nm.value, "difference_nm": feature.difference_nm.value,
                "uncertainty_nm": feature.difference_nm.uncertainty, "scatter_nm": feature.scatter_nm, "depth": feature.depth,
                "columns": feature.columns, "used": feature.agrees,
            })
        })
        .collect();
    let lost: Vec<_> = axis.lost.iter().map(|(nm, reason)| json!({"nm": nm, "reason": reason.to_string()})).collect();
    json!({
        "camera": found.camera, "tile": found.tile, "lines": found.lines, "columns": found.columns,
        "features": features, "not_found": lost,
        "wavelength_shift_nm": value(Some(axis.shift_nm)), "smile_nm": value(axis.smile_nm), "tilt_nm": value(axis.tilt_nm),
        "dispersion_error": value(axis.dispersion),
        "configured": {"wavelength_shift_nm": found.configured.wavelength_shift_nm, "smile_nm": found.configured.smile_nm},
        "left_nm": {"before": found.left_nm.0, "after": found.left_nm.1}, "doubts": found.doubts, "written": written,
    })
}

/// Prints the table of a camera's features and the result.
fn show(found: &MeasuredWavelength, out: &mut impl Write) -> io::Result<()> {
    let MeasuredWavelength { camera, tile, axis, configured, columns, lines, left_nm, doubts, .. } = found;
    writeln!(out, "{camera}, from {} features of {tile} in {columns} columns of pixels over {lines} lines", axis.features.len())?;
    writeln!(out, "    true nm   found nm  true - found     ±      depth")?;
    for feature in &axis.features {
        let nm = feature.difference_nm;
        let aside = if feature.agrees { "" } else { "  left out" };
        let depth = 100.0 * feature.depth;
        writeln!(
            out,
            "  {:9.2}  {:9.2}  {:+12.3}  {:5.3}  {depth:7.1} %{aside}",
            feature.nm,
            feature.nm - nm.value,
            nm.value,
            nm.uncertainty
        )?;
    }
    for (nm, reason) in &axis.lost {
        writeln!(out, "  {nm:9.2}  not used: {reason}")?;
    }
    let shown = |out: &mut _, key: &str, value: Value, configured: f64| -> io::Result<()> {
        Write::write_fmt(out, format_args!("  {key} = {:.3} ± {:.3} (configured {configured})\n", value.value, value.uncertainty))
    };
    shown(out, "wavelength_shift_nm", axis.shift_nm, configured.wavelength_shift_nm)?;
    if let Some(smile) = axis.smile_nm {
        shown(out, "smile_nm", smile, configured.smile_nm)?;
    }
    if let Some(tilt) = axis.tilt_nm {
        writeln!(out, "  tilt {:+.3} ± {:.3} nm from the middle to the right end", tilt.value, tilt.uncertainty)?;
    }
    if let Some(dispersion) = axis.dispersion {
        writeln!(out, "  dispersion {:+.3} % ± {:.3} %", 100.0 * dispersion.value, 100.0 * dispersion.uncertainty)?;
    }
    writeln!(out, "  left over the line: {:.3} nm as configured, {:.3} nm with these", left_nm.0, left_nm.1)?;
    doubts.iter().try_for_each(|doubt| writeln!(out, "  warning: {doubt}"))
}

/// Prints the history of every camera of a rig.
fn history(loaded: &Loaded, json: bool) -> ExitCode {
    let mut out = Plain::new(io::stdout().lock());
    for camera in &loaded.config.camera {
        let path = history_path(&loaded.config.rig.data_dir, &camera.name);
        let lines = match read_history(&path) {
            Ok(lines) => lines,
            Err(error) => return fail(format!("{}: {error}", path.display())),
        };
        let shown = lines.iter().try_for_each(|line| {
            if json {
                return writeln!(out, "{}", json!(line));
            }
            let smile = line.smile_nm.zip(line.smile_uncertainty_nm);
            let smile = smile.map_or_else(String::new, |(nm, u)| format!(", smile {nm:+.3} ± {u:.3} nm"));
            let origin = if line.origin == crate::wavelength::Origin::White { "white" } else { "calibration" };
            let (shift, u, configured) = (line.shift_nm, line.shift_uncertainty_nm, line.configured_shift_nm);
            writeln!(out, "{}  {}  {origin:11}  {shift:+.3} ± {u:.3} nm{smile} (beside {configured} nm configured)", line.time, line.camera)
        });
        if let Err(error) = shown {
            return exit_code(Err(error));
        }
        if lines.is_empty() && !json {
            let none = writeln!(
                out,
                "{}: no history; the white panel tells it where references.panel.features names its absorptions",
                camera.name
            );
            if let Err(error) = none {
                return exit_code(Err(error));
            }
        }
    }
    ExitCode::SUCCESS
}
