//! What was found of a worklist, as one table in CSV for the system that the worklist came from, with its description as a data package.

use super::csv::{Findings, Row, distinct, union, write_line};
use super::error::{ExportError, failed};
use super::staging::{Exported, Staging};
use crate::publish::{DataSet, Tail};
use crate::scan::ScanRecord;
use crate::worklist::{self, ListedSample, SampleState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the table.
const NAME: &str = "results.csv";
/// Name of the description.
const PACKAGE: &str = "datapackage.json";

/// Columns that every table has: name, type and meaning.
const COLUMNS: [(&str, &str, &str); 12] = [
    ("sample", "string", "The sample, as the worklist names it"),
    ("state", "string", "missing, scanned, or rescanned, by complete scans"),
    ("tray", "string", "The tray of the worklist"),
    ("container", "string", "The container it lay in when it was scanned last, else that of the worklist"),
    ("scan", "string", "The last complete scan that holds it"),
    ("scanned", "datetime", "When that scan began, UTC"),
    ("scans", "integer", "Number of complete scans that hold it"),
    ("pixels", "integer", "Pixels on the sample"),
    ("valid", "integer", "Those with a valid spectrum"),
    ("valid_share", "number", "Their share, 0 to 1"),
    ("warnings", "string", "Reasons for doubt, parted by semicolons"),
    ("embeddings", "integer", "Spectra whose mean embedding follows"),
];

/// A sample of the worklist with what is known of it.
struct Line<'a> {
    tray: &'a str,
    listed: &'a ListedSample,
    row: Option<Row<'a>>,
    mean: Option<Mean>,
}

/// Mean embedding of a sample.
#[derive(Debug, Clone, Default, PartialEq)]
struct Mean {
    sums: Vec<f64>,
    count: u64,
}

/// Writes `out/results.csv`, a row per sample of the worklist, and `out/datapackage.json`, which describes it (Frictionless Data Package 1).
///
/// A sample that was scanned several times has the results of its last complete scan. `records` are those of all scans of `data`.
///
/// # Errors
/// There is no worklist, or it or embeddings cannot be read, or the table cannot be written.
pub fn export(data: &Path, records: &[ScanRecord], out: &Path) -> Result<Exported, ExportError> {
    let held = worklist::read(data)?.ok_or_else(|| ExportError::NoWorklist { data: data.into() })?;
    let status = held.status(records);
    let mut warnings = Vec::new();
    let mut means: BTreeMap<&str, BTreeMap<String, Mean>> = BTreeMap::new();
    let mut lines = Vec::new();
    for (tray, listed) in status.trays.iter().flat_map(|tray| tray.samples.iter().map(|listed| (tray.tray.as_str(), listed))) {
        let record = listed.scans.last().and_then(|scan| records.iter().find(|record| record.id == *scan));
        let row = record.and_then(|record| Some((record, record.samples.iter().find(|sample| sample.sample == listed.sample)?)));
        let mean = match row {
            Some((record, _)) => {
                if !means.contains_key(record.id.as_str()) {
                    let (found, missing) = means_of(data, record)?;
                    warnings.extend(missing);
                    means.insert(&record.id, found);
                }
                means.get(record.id.as_str()).and_then(|of| of.get(&listed.sample)).cloned()
            }
            None => None,
        };
        let row = row.map(|(record, sample)| (record, sample, sample.minerals.as_ref().filter(|of| of.not_identified.is_some())));
        lines.push(Line { tray, listed, row, mean });
    }
    if status.missing > 0 {
        warnings.push(format!("{} samples are missing; their rows have no results", status.missing));
    }
    let (text, schema) = table(&lines);
    let hash: String = Sha256::digest(&text).iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
    let package = json!({
        "name": "worklist-results",
        "title": "Results of a worklist",
        "profile": "tabular-data-package",
        "resources": [{
            "name": "results", "path": NAME, "profile": "tabular-data-resource", "format": "csv", "mediatype": "text/csv",
            "encoding": "utf-8", "bytes": text.len(), "hash": format!("sha256:{hash}"), "schema": schema,
        }],
    });
    let staging = Staging::create(out)?;
    for (name, bytes) in [(NAME, text.into_bytes()), (PACKAGE, format!("{package:#}\n").into_bytes())] {
        let file = staging.folder.join(name);
        std::fs::write(&file, bytes).map_err(failed(&file, "written"))?;
        std::fs::File::open(&file).and_then(|file| file.sync_all()).map_err(failed(&file, "written"))?;
    }
    let paths = staging.publish(&[NAME.to_owned(), PACKAGE.to_owned()])?;
    Ok(Exported { samples: lines.iter().filter(|line| line.row.is_some()).count(), paths, warnings })
}

/// A hexadecimal digit.
fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or_default()
}

/// Mean embeddings of a scan by sample, by its main encoder, and a warning where they lie in an archive alone.
fn means_of(data: &Path, record: &ScanRecord) -> Result<(BTreeMap<String, Mean>, Option<String>), ExportError> {
    let mut means: BTreeMap<String, Mean> = BTreeMap::new();
    let set = DataSet::main(data);
    if record.archived.is_some() && !set.scan_folder(&record.id).is_dir() {
        let problem =
            format!("the embeddings of {} lie in the archive alone, and are left out; hyclus-ship fetch brings them back", record.id);
        return Ok((means, Some(problem)));
    }
    let mut rows = Tail::new(&set, Some(&record.id));
    while let Some(row) = rows.poll()? {
        let mean = means.entry(row.sample).or_default();
        mean.sums.resize(row.embedding.len(), 0.0);
        mean.count += 1;
        for (sum, value) in mean.sums.iter_mut().zip(&row.embedding) {
            *sum += f64::from(*value);
        }
    }
    Ok((means, None))
}

/// The table as text, and its schema (Frictionless Table Schema 1).
fn table(lines: &[Line<'_>]) -> (String, Value) {
    let rows: Vec<Row<'_>> = lines.iter().filter_map(|line| line.row).collect();
    let keys = union(&rows, &|(record, ..)| record.tray.keys.clone());
    let vars = union(&rows, &|(record, sample, _)| {
        record.container_of(sample).map(|container| container.vars.keys().cloned().collect()).unwrap_or_default()
    });
    let findings = Findings::of(&rows);
    let dimensions = lines.iter().filter_map(|line| line.mean.as_ref()).map(|mean| mean.sums.len()).max().unwrap_or(0);

    let field = |name: &str, kind: &str, description: &str| json!({"name": name, "type": kind, "description": description});
    let mut fields: Vec<Value> = COLUMNS.iter().map(|(name, kind, description)| field(name, kind, description)).collect();
    fields[0]["constraints"] = json!({"required": true, "unique": true});
    fields[1]["constraints"] = json!({"required": true, "enum": ["missing", "scanned", "rescanned"]});
    fields.extend((0..dimensions).map(|at| field(&format!("e{at}"), "number", "A number of the mean embedding")));
    fields.extend(keys.iter().map(|key| field(&format!("key.{key}"), "string", "A sample key of the tray map")));
    fields.extend(vars.iter().map(|var| field(&format!("vars.{var}"), "number", "A number of the tray map")));
    let meaning = "A share of the pixels with its interval, a feature with its spread, or a head's value with its interval and distance";
    fields.extend(findings.columns().iter().map(|name| field(name, "number", meaning)));

    let mut text = String::new();
    let mut names: Vec<String> = fields.iter().map(|field| field["name"].as_str().unwrap_or_default().to_owned()).collect();
    distinct(&mut names);
    write_line(&mut text, &names);
    for (field, name) in fields.iter_mut().zip(names) {
        field["name"] = name.into();
    }
    for Line { tray, listed, row, mean } in lines {
        let state = match listed.state {
            SampleState::Missing => "missing",
            SampleState::Scanned => "scanned",
            SampleState::Rescanned => "rescanned",
        };
        let mut cells = vec![listed.sample.clone(), state.to_owned(), (*tray).to_owned()];
        cells.push(row.map_or_else(|| listed.container.clone(), |(_, sample, _)| sample.container.clone()));
        cells.extend(row.map_or_else(Default::default, |(record, ..)| [record.id.clone(), record.started.clone()]));
        cells.push(listed.scans.len().to_string());
        cells.extend(row.map_or_else(Default::default, |(_, sample, _)| {
            #[expect(clippy::cast_precision_loss, reason = "a sample has far fewer pixels")]
            let share = sample.valid as f64 / sample.pixels.max(1) as f64;
            [sample.pixels.to_string(), sample.valid.to_string(), share.to_string(), sample.doubts.join("; ")]
        }));
        cells.push(mean.as_ref().map(|mean| mean.count.to_string()).unwrap_or_default());
        cells.extend((0..dimensions).map(|at| {
            #[expect(clippy::cast_precision_loss, reason = "a sample has far fewer pixels")]
            let value = mean.as_ref().and_then(|mean| Some(mean.sums.get(at)? / mean.count as f64));
            value.map(|value| value.to_string()).unwrap_or_default()
        }));
        let container = row.and_then(|(record, sample, _)| record.container_of(sample));
        cells.extend(keys.iter().map(|key| container.and_then(|c| c.keys.get(key)).cloned().unwrap_or_default()));
        cells.extend(vars.iter().map(|var| container.and_then(|c| c.vars.get(var)).map(ToString::to_string).unwrap_or_default()));
        cells.extend(match row {
            Some(row) => findings.cells(row),
            None => vec![String::new(); findings.columns().len()],
        });
        write_line(&mut text, &cells);
    }
    (text, json!({"fields": fields, "primaryKey": "sample", "missingValues": [""]}))
}
