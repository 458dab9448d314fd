//! The minerals of samples and what heads say of them, as one table in CSV, ready to be joined with assays by the names of the samples.

use super::error::{ExportError, failed};
use super::scan::Scan;
use super::staging::{Exported, Staging};
use crate::scan::{SampleMinerals, SampleRecord, ScanRecord, Share};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// A sample of a scan, and its minerals where they are identified.
pub(super) type Row<'a> = (&'a ScanRecord, &'a SampleRecord, Option<&'a SampleMinerals>);

/// Name of the table.
const NAME: &str = "minerals.csv";
/// Name of the share of pixels without a mineral.
const NOT_IDENTIFIED: &str = "not_identified";

/// Writes `out/minerals.csv`: a row per sample with its keys and vars, the share of each mineral with its interval, the
/// features, and the value, interval and distance of each head. A sample that a head refuses has a distance and no value.
///
/// # Errors
/// A scan has no record, or neither minerals nor heads, or the table cannot be written.
pub fn export(scans: &[Scan], out: &Path) -> Result<Exported, ExportError> {
    let mut warnings = Vec::new();
    let mut samples: Vec<Row<'_>> = Vec::new();
    for scan in scans {
        warnings.extend(scan.warnings());
        let no_minerals = || ExportError::NoMinerals { folder: scan.folder.clone() };
        let record = scan.record.as_ref().filter(|record| record.minerals.is_some() || !record.heads.is_empty()).ok_or_else(no_minerals)?;
        for sample in &record.samples {
            match sample.minerals.as_ref().filter(|of| of.not_identified.is_some()) {
                None if record.minerals.is_none() => samples.push((record, sample, None)),
                Some(of) => samples.push((record, sample, Some(of))),
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
    let keys = union(samples, &|(record, ..)| record.tray.keys.clone());
    let vars = union(samples, &|(record, sample, _)| {
        record.container_of(sample).map(|container| container.vars.keys().cloned().collect()).unwrap_or_default()
    });
    let findings = Findings::of(samples);
    let mut head: Vec<String> = ["scan", "tray", "sample", "container"].map(str::to_owned).to_vec();
    head.extend(keys.iter().chain(&vars).cloned());
    head.extend(["pixels".to_owned(), "library_sha256".to_owned()]);
    head.extend(findings.columns());
    distinct(&mut head);
    let mut text = String::new();
    write_line(&mut text, &head);
    for row @ (record, sample, of) in samples {
        let container = record.container_of(sample);
        let mut cells = vec![record.id.clone(), record.tray.tray.clone(), sample.sample.clone(), sample.container.clone()];
        cells.extend(keys.iter().map(|key| container.and_then(|c| c.keys.get(key)).cloned().unwrap_or_default()));
        cells.extend(vars.iter().map(|var| container.and_then(|c| c.vars.get(var)).map(ToString::to_string).unwrap_or_default()));
        let library = record.minerals.as_ref().map(|minerals| minerals.library_sha256.clone());
        cells.extend([of.map(|of| of.pixels.to_string()).unwrap_or_default(), library.unwrap_or_default()]);
        cells.extend(findings.cells(row));
        write_line(&mut text, &cells);
    }
    text
}

/// All names that any sample has, in their order.
pub(super) fn union(samples: &[Row<'_>], names: &dyn Fn(&Row<'_>) -> Vec<String>) -> Vec<String> {
    samples.iter().flat_map(names).collect::<BTreeSet<String>>().into_iter().collect()
}

/// Makes the names of columns distinct. A sample key, a number and a head may have one name: the later one gets `.2`, and the next `.3`.
pub(super) fn distinct(names: &mut [String]) {
    let mut seen = BTreeSet::new();
    for name in names {
        let (first, mut number) = (name.clone(), 1);
        while !seen.insert(name.clone()) {
            number += 1;
            *name = format!("{first}.{number}");
        }
    }
}

/// Appends a line of CSV.
pub(super) fn write_line(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "{}", cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(","));
}

/// The minerals, features and heads that any sample of a table has.
pub(super) struct Findings {
    minerals: Vec<String>,
    features: Vec<String>,
    heads: Vec<String>,
}

impl Findings {
    pub(super) fn of(samples: &[Row<'_>]) -> Self {
        let minerals =
            union(samples, &|(.., of)| of.iter().flat_map(|of| &of.groups).flat_map(|group| group.minerals.keys().cloned()).collect());
        let features = union(samples, &|(.., of)| of.iter().flat_map(|of| of.features.keys().cloned()).collect());
        let heads = union(samples, &|(record, ..)| record.judging_heads().cloned().collect());
        Self { minerals, features, heads }
    }

    /// The names of the columns. All hold numbers.
    pub(super) fn columns(&self) -> Vec<String> {
        let shares = std::iter::once(NOT_IDENTIFIED).chain(self.minerals.iter().map(String::as_str)).flat_map(of_share);
        let features = self.features.iter().flat_map(|name| [name.clone(), format!("{name}_spread")]);
        let heads =
            self.heads.iter().flat_map(|name| [name.clone(), format!("{name}_low"), format!("{name}_high"), format!("{name}_distance")]);
        shares.chain(features).chain(heads).collect()
    }

    /// The cells of a sample. A sample that a head refuses has a distance and no value.
    pub(super) fn cells(&self, (_, sample, of): &Row<'_>) -> Vec<String> {
        let found: BTreeMap<&str, Share> =
            of.iter().flat_map(|of| &of.groups).flat_map(|group| &group.minerals).map(|(name, share)| (name.as_str(), *share)).collect();
        let none = of.and_then(|of| of.not_identified);
        // A mineral that no judged pixel has has the share 0. A sample without minerals has no share.
        let shares = self.minerals.iter().map(|name| of.map(|_| found.get(name.as_str()).copied().unwrap_or_default()));
        let mut cells: Vec<String> = std::iter::once(none)
            .chain(shares)
            .flat_map(|share| {
                let numbers = share.map(|share| [share.share, share.interval[0], share.interval[1]]);
                (0..3).map(move |at| numbers.map(|numbers| numbers[at].to_string()).unwrap_or_default())
            })
            .collect();
        cells.extend(self.features.iter().flat_map(|name| {
            let feature = of.and_then(|of| of.features.get(name));
            [feature.map(|f| f.median), feature.map(|f| f.spread)].map(|value| value.map(|v| v.to_string()).unwrap_or_default())
        }));
        cells.extend(self.heads.iter().flat_map(|name| {
            let value = sample.heads.get(name);
            let kept = value.filter(|value| !value.refused);
            let distance = value.map(|value| value.distance);
            [kept.map(|v| v.value), kept.map(|v| v.lower), kept.map(|v| v.upper), distance]
                .map(|number| number.map(|number| number.to_string()).unwrap_or_default())
        }));
        cells
    }
}

/// Columns of a share: the share, and both ends of its interval.
fn of_share(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}_low"), format!("{name}_high")]
}

fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_again_is_numbered() {
        let mut names = ["a", "b", "a", "a.2", "a"].map(str::to_owned);
        distinct(&mut names);
        assert_eq!(names, ["a", "b", "a.2", "a.2.2", "a.3"]);
    }
}
