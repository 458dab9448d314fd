//! The minerals of samples as one table in CSV, ready to be joined with assays by the names of the samples.

use super::error::{ExportError, failed};
use super::scan::Scan;
use super::staging::{Exported, Staging};
use crate::scan::{SampleMinerals, SampleRecord, ScanRecord, Share};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// A sample of a scan, and its minerals.
type Row<'a> = (&'a ScanRecord, &'a SampleRecord, &'a SampleMinerals);

/// Name of the table.
const NAME: &str = "minerals.csv";
/// Name of the share of pixels without a mineral.
const NOT_IDENTIFIED: &str = "not_identified";

/// Writes `out/minerals.csv`: a row per sample with its keys and vars, the share of each mineral with its interval, and the features.
///
/// # Errors
/// A scan has no record or no minerals, or the table cannot be written.
pub fn export(scans: &[Scan], out: &Path) -> Result<Exported, ExportError> {
    let mut warnings = Vec::new();
    let mut samples: Vec<Row<'_>> = Vec::new();
    for scan in scans {
        warnings.extend(scan.warnings());
        let no_minerals = || ExportError::NoMinerals { folder: scan.folder.clone() };
        let record = scan.record.as_ref().filter(|record| record.minerals.is_some()).ok_or_else(no_minerals)?;
        for sample in &record.samples {
            match sample.minerals.as_ref().filter(|of| of.not_identified.is_some()) {
                Some(of) => samples.push((record, sample, of)),
                None => warnings.push(format!("{} of {} is not identified yet, and is left out", sample.sample, record.id)),
            }
        }
    }
    let staging = Staging::create(out)?;
    let file = staging.folder.join(NAME);
    std::fs::write(&file, table(&samples)).map_err(failed(&file, "written"))?;
    std::fs::File::open(&file).and_then(|file| file.sync_all()).map_err(failed(&file, "written"))?;
    let paths = staging.publish(&[NAME.to_owned()])?;
    Ok(Exported { samples: samples.len(), paths, warnings })
}

/// The table as text.
fn table(samples: &[Row<'_>]) -> String {
    let union = |names: &dyn Fn(&Row<'_>) -> Vec<String>| -> Vec<String> {
        samples.iter().flat_map(names).collect::<BTreeSet<String>>().into_iter().collect()
    };
    let keys = union(&|(record, ..)| record.tray.keys.clone());
    let vars = union(&|(record, sample, _)| record.container_of(sample).map(|c| c.vars.keys().cloned().collect()).unwrap_or_default());
    let minerals = union(&|(.., of)| of.groups.iter().flat_map(|group| group.minerals.keys().cloned()).collect());
    let features = union(&|(.., of)| of.features.keys().cloned().collect());
    let mut head: Vec<String> = ["scan", "tray", "sample", "container"].map(str::to_owned).to_vec();
    head.extend(keys.iter().chain(&vars).cloned());
    head.extend(["pixels".to_owned(), "library_sha256".to_owned()]);
    head.extend([NOT_IDENTIFIED].into_iter().chain(minerals.iter().map(String::as_str)).flat_map(of_share));
    head.extend(features.iter().flat_map(|name| [name.clone(), format!("{name}_spread")]));
    let mut text = String::new();
    let mut line = |cells: &[String]| _ = writeln!(text, "{}", cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(","));
    line(&head);
    for (record, sample, of) in samples {
        let container = record.container_of(sample);
        let mut cells = vec![record.id.clone(), record.tray.tray.clone(), sample.sample.clone(), sample.container.clone()];
        cells.extend(keys.iter().map(|key| container.and_then(|c| c.keys.get(key)).cloned().unwrap_or_default()));
        cells.extend(vars.iter().map(|var| container.and_then(|c| c.vars.get(var)).map(ToString::to_string).unwrap_or_default()));
        let library = record.minerals.as_ref().map(|minerals| minerals.library_sha256.clone());
        cells.extend([of.pixels.to_string(), library.unwrap_or_default()]);
        let found: BTreeMap<&str, Share> =
            of.groups.iter().flat_map(|group| &group.minerals).map(|(name, share)| (name.as_str(), *share)).collect();
        let none = of.not_identified.unwrap_or_default();
        let shares = minerals.iter().map(|name| found.get(name.as_str()).copied().unwrap_or_default());
        cells.extend(
            std::iter::once(none)
                .chain(shares)
                .flat_map(|share| std::iter::once(share.share).chain(share.interval).map(|share| share.to_string())),
        );
        cells.extend(features.iter().flat_map(|name| {
            let feature = of.features.get(name);
            [feature.map(|f| f.median), feature.map(|f| f.spread)].map(|value| value.map(|v| v.to_string()).unwrap_or_default())
        }));
        line(&cells);
    }
    text
}

/// Columns of a share: the share, and both ends of its interval.
fn of_share(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}_low"), format!("{name}_high")]
}

fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
}
