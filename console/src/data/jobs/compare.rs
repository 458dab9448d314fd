//! What was made again, beside what is stored.

use super::work::{OUT, Running};
use crate::data::answer::Refusal;
use crate::data::place;
use hyclus::scan::ScanRecord;
use hyclus::store::StoredSample;
use hyclus_study::cloud::evenly;
use serde::Serialize;
use std::path::Path;

/// Lines of a sample that are compared.
const LINES: usize = 64;

/// A sample beside itself.
#[derive(Debug, Serialize)]
struct Compared {
    sample: String,
    /// Why it cannot be compared.
    problem: Option<String>,
    /// Values that were compared.
    values: usize,
    /// Of these, values that differ.
    different: usize,
    /// The largest difference, reflectance.
    largest: f64,
    /// Pixels of the mask that differ.
    mask: usize,
}

#[derive(Serialize)]
struct Comparison<'a> {
    scan: &'a str,
    again: &'a str,
    version: &'a str,
    version_again: &'a str,
    same: bool,
    samples: Vec<Compared>,
}

/// Compares each stored sample with the one that was made again, writes the comparison into the result, and says it in words.
///
/// # Errors
/// The comparison cannot be written.
pub fn compare(running: &Running<'_>, stored: &ScanRecord, again: &ScanRecord) -> Result<String, String> {
    let out = running.folder.join(OUT);
    let made = out.join("scans").join(&again.id).join("samples");
    let samples: Vec<Compared> = stored
        .samples
        .iter()
        .filter_map(|sample| Path::new(&sample.file).file_stem()?.to_str().map(str::to_owned))
        .filter(|sample| place::is_stem(sample))
        .map(|sample| {
            let other = made.join(format!("{sample}.h5"));
            one(running, &stored.id, &sample, &other).unwrap_or_else(|problem| Compared {
                sample,
                problem: Some(problem),
                values: 0,
                different: 0,
                largest: 0.0,
                mask: 0,
            })
        })
        .collect();
    let same = samples.iter().all(|sample| sample.problem.is_none() && sample.different == 0 && sample.mask == 0);
    let (version, version_again) = (stored.version.as_str(), again.version.as_str());
    let comparison = Comparison { scan: &stored.id, again: &again.id, version, version_again, same, samples };
    let text = serde_json::to_string_pretty(&comparison).map_err(|error| error.to_string())?;
    let path = out.join("comparison.json");
    std::fs::write(&path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    let count = comparison.samples.len();
    if same {
        return Ok(format!("{count} samples are as they are stored"));
    }
    let off = comparison.samples.iter().filter(|sample| sample.problem.is_some() || sample.different + sample.mask > 0).count();
    let largest = comparison.samples.iter().map(|sample| sample.largest).fold(0.0, f64::max);
    Ok(format!("{off} of {count} samples differ from what is stored, by at most {largest:.6} in reflectance; comparison.json has each"))
}

fn one(running: &Running<'_>, scan: &str, sample: &str, other: &Path) -> Result<Compared, String> {
    let stored = running.data.sample(scan, sample).map_err(Refusal::into_detail)?;
    let again = StoredSample::open(other).map_err(|error| error.to_string())?;
    if stored.mask.dim() != again.mask.dim() || stored.wavelengths_nm != again.wavelengths_nm {
        return Err(format!("it has {:?} lines and pixels, or other bands, and {:?} are stored", again.mask.dim(), stored.mask.dim()));
    }
    let (lines, pixels) = stored.mask.dim();
    let columns: Vec<usize> = (0..pixels).collect();
    let mut compared = Compared { sample: sample.to_owned(), problem: None, values: 0, different: 0, largest: 0.0, mask: 0 };
    for line in evenly(lines, LINES) {
        let read = |of: &StoredSample| of.spectra(line, &columns).map_err(|error| error.to_string());
        for (a, b) in read(&stored)?.iter().zip(read(&again)?) {
            compared.values += 1;
            if a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan()) {
                compared.different += 1;
                let off = f64::from(*a - b).abs();
                // A value beside none has no difference.
                compared.largest = if off.is_finite() { compared.largest.max(off) } else { compared.largest };
            }
        }
    }
    compared.mask = stored.mask.iter().zip(&again.mask).filter(|(a, b)| a != b).count();
    Ok(compared)
}
