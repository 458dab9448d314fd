//! `hyclus fit`: a model with the resampling of a grid in its own graph.

use super::output::{exit_code, fail};
use crate::config::EncoderConfig;
use crate::disk::create_over;
use crate::encode::Encoder;
use crate::join::Axes;
use serde::Deserialize;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Most bytes of a grid's file.
const MOST_BYTES: u64 = 16 << 20;
/// Most bytes of a model's file.
const MOST_OF_MODEL: u64 = 2 << 30;

#[derive(Debug, clap::Args)]
pub(super) struct FitArgs {
    /// The model
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// The bands of the spectra, in JSON: `wavelengths_nm`, and `fwhm_nm` with null where a width is not known
    #[arg(long, value_name = "GRID.json")]
    grid: PathBuf,
    /// The fitted model
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
    /// The rig's `calibrate.max_mend_nm`, nm
    #[arg(long, value_name = "NM")]
    max_mend_nm: Option<f64>,
}

/// The bands of spectra.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    wavelengths_nm: Vec<f64>,
    #[serde(default)]
    fwhm_nm: Vec<Option<f64>>,
}

/// `hyclus fit`.
pub(super) fn fit(args: &FitArgs, json: bool) -> ExitCode {
    match fitted(args) {
        Ok((name, dimensions, bands)) if json => {
            println!("{}", json!({"model": name, "bands": bands, "dimensions": dimensions, "file": args.out}));
            ExitCode::SUCCESS
        }
        Ok((name, dimensions, bands)) => {
            let out = args.out.display();
            exit_code(writeln!(io::stdout().lock(), "{out}: {name}, from {bands} bands to {dimensions} numbers"))
        }
        Err(error) => fail(error),
    }
}

/// Writes the model. Gives its name, its dimensions, and the number of measured bands.
fn fitted(args: &FitArgs) -> Result<(String, usize, usize), String> {
    let at = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = contract::read_regular_text(&args.grid, MOST_BYTES).map_err(|error| at(&args.grid, &error))?;
    let Grid { wavelengths_nm, fwhm_nm } = serde_json::from_str(&text).map_err(|error| at(&args.grid, &error))?;
    let rising = wavelengths_nm.windows(2).all(|pair| pair[0] < pair[1]);
    if wavelengths_nm.is_empty() || !rising || wavelengths_nm.iter().any(|nm| !nm.is_finite() || *nm <= 0.0) {
        return Err(at(&args.grid, &"`wavelengths_nm` must have at least one number, above 0 and rising"));
    }
    if !fwhm_nm.is_empty() && fwhm_nm.len() != wavelengths_nm.len() {
        let problem =
            format!("`fwhm_nm` has {} widths for {} bands; write null where one is not known", fwhm_nm.len(), wavelengths_nm.len());
        return Err(at(&args.grid, &problem));
    }
    let mut widths: Vec<f64> = fwhm_nm.iter().map(|nm| nm.unwrap_or(f64::NAN)).collect();
    widths.resize(wavelengths_nm.len(), f64::NAN);
    let bytes = contract::read_regular(&args.model, MOST_OF_MODEL).map_err(|error| at(&args.model, &error))?;
    let axes = Axes::of_bands(1.0, wavelengths_nm, widths);
    let config = EncoderConfig::of(&args.model);
    let mut encoder = Encoder::of(&config, &args.model, bytes.clone(), &axes, args.max_mend_nm).map_err(|error| error.to_string())?;
    let fitted = encoder.fitted(&bytes).map_err(|error| error.to_string())?;
    // What was written must say the same, on spectra that are no model's own.
    let mut own = Encoder::of(&config, &args.out, fitted.clone(), &axes, None).map_err(|error| error.to_string())?;
    agree(&mut encoder, &mut own, axes.bands()).map_err(|error| at(&args.model, &error))?;
    let part = args.out.with_extension("onnx.part");
    let written = create_over(&part).and_then(|mut file| file.write_all(&fitted).and_then(|()| file.sync_all()));
    written.and_then(|()| std::fs::rename(&part, &args.out)).map_err(|error| at(&args.out, &error))?;
    Ok((own.context().name.clone(), own.dimensions(), own.bands()))
}

/// Compares two encoders on spectra that fill their range evenly.
fn agree(a: &mut Encoder, b: &mut Encoder, bands: usize) -> Result<(), String> {
    // The fractional parts of multiples of the golden ratio are spread evenly.
    let (mut value, step) = (0.0_f32, 0.618_034);
    let mut next = || {
        value = (value + step).fract();
        value
    };
    let spectra: Vec<Vec<f32>> = (0..64).map(|_| (0..bands).map(|_| next()).collect()).collect();
    let of = |encoder: &mut Encoder| encoder.embed_all(&spectra).map_err(|error| error.to_string());
    let (a, b) = (of(a)?, of(b)?);
    if a == b { Ok(()) } else { Err("the fitted model gives other numbers than the daemon would; please report this model".to_owned()) }
}
