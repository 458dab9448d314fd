//! The heads' judgement of a scan's samples, from the mean spectra in their files.

use super::record::{self, RecordError};
use crate::config::{Config, HeadConfig};
use crate::encode::Head;
use crate::inspect::SampleView;
use crate::join::Axes;
use crate::scan::{HeadRecord, HeadValue, ScanRecord};
use crate::store::{SampleError, StoredSample};
use std::path::Path;

/// Names of samples in a warning at most.
const MOST_NAMED: usize = 5;

/// Has the configured heads judge the samples of an ended scan, and notes it in the record. What fails is a warning, and costs no sample.
pub fn judge_samples(scan: &mut ScanRecord, config: &Config, data_dir: &Path) {
    // Without a sample there is nothing to judge.
    if config.head.is_empty() || scan.samples.is_empty() {
        return;
    }
    // The files are read once for all heads.
    let spectra = spectra(scan, config, data_dir).map_err(|error| error.to_string());
    for head in &config.head {
        scan.samples.iter_mut().for_each(|sample| _ = sample.heads.remove(&head.name));
        scan.warnings.retain(|warning| !warning.starts_with(&begin(&head.name)));
        let record = match spectra.as_ref().map_err(Clone::clone).and_then(|found| judged(head, found, config)) {
            Ok((record, values)) => {
                for (sample, value) in scan.samples.iter_mut().zip(values) {
                    if let Some(value) = value {
                        sample.heads.insert(head.name.clone(), value);
                    }
                }
                record
            }
            Err(reason) => HeadRecord { failed: Some(reason), ..HeadRecord::default() },
        };
        let warning = warning(scan, &head.name, &record);
        scan.heads.insert(head.name.clone(), record);
        if let Some(warning) = warning {
            tracing::warn!(scan = %scan.id, "{warning}");
            scan.warnings.push(warning);
        }
    }
}

/// Has the configured heads judge the samples of an ended scan anew, and writes the record.
///
/// # Errors
/// The record cannot be written.
pub fn judge_samples_again(scan: &mut ScanRecord, config: &Config, data_dir: &Path) -> Result<(), RecordError> {
    judge_samples(scan, config, data_dir);
    record::end(scan, data_dir)
}

/// The bands of a scan, and the mean spectrum of each sample.
type Spectra = (Axes, Vec<Vec<f32>>);

/// The mean spectra of a scan's samples. A sample without a mean has no values.
fn spectra(scan: &ScanRecord, config: &Config, data_dir: &Path) -> Result<Spectra, SampleError> {
    let folder = data_dir.join("scans").join(&scan.id);
    let mut axes = Axes::of_bands(config.grid.pixel_mm, Vec::new(), Vec::new());
    let mut all = Vec::with_capacity(scan.samples.len());
    for sample in &scan.samples {
        let stored = StoredSample::open(&folder.join(&sample.file))?;
        let bands = stored.wavelengths_nm.len();
        #[expect(clippy::cast_possible_truncation, reason = "the file has float32")]
        let mean = SampleView::of(&stored).mean()?.map(|mean| mean.reflectance.iter().map(|value| *value as f32).collect());
        all.push(mean.filter(|mean: &Vec<f32>| mean.len() == bands).unwrap_or_else(|| vec![f32::NAN; bands]));
        // All samples of a scan have the same bands.
        (axes.wavelengths_nm, axes.fwhm_nm) = (stored.wavelengths_nm, stored.fwhm_nm);
    }
    Ok((axes, all))
}

/// The judgement of a head. `None` stands for a sample that lacks a value in a band that the head reads.
fn judged(head: &HeadConfig, (axes, spectra): &Spectra, config: &Config) -> Result<(HeadRecord, Vec<Option<HeadValue>>), String> {
    let mut head = Head::load(head, axes, config.calibrate.max_mend_nm).map_err(|error| error.to_string())?;
    let values = head.judge(spectra).map_err(|error| error.to_string())?;
    let about = head.about().clone();
    let record =
        HeadRecord { head_sha256: head.sha256().to_owned(), target: about.target, unit: about.unit, level: about.level, failed: None };
    Ok((record, values))
}

/// Begin of every warning about a head.
fn begin(name: &str) -> String {
    format!("the head {name} ")
}

fn warning(scan: &ScanRecord, name: &str, record: &HeadRecord) -> Option<String> {
    if let Some(reason) = &record.failed {
        return Some(format!("{}did not judge the samples: {reason}; `hyclus recover --heads` tries again", begin(name)));
    }
    let refused: Vec<&str> = scan
        .samples
        .iter()
        .filter(|sample| sample.heads.get(name).is_none_or(|value| value.refused))
        .map(|sample| sample.sample.as_str())
        .collect();
    let more = refused.len().saturating_sub(MOST_NAMED);
    let named = refused.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!refused.is_empty()).then(|| {
        format!(
            "{}refuses {} of {} samples, which are unlike those that it learned from: {named}{more}",
            begin(name),
            refused.len(),
            scan.samples.len()
        )
    })
}
