//! The worklist that a rig holds: the samples that are to be scanned, tray by tray, as a laboratory's system lists them.
//!
//! It is one file of the data root. What was scanned of it is told by the records of the scans, and is stored nowhere else.

mod show;
mod store;

pub use show::shown;
pub use store::{FILE, WorklistError, read, remove, write};

use crate::scan::{Fault, ScanRecord, Tray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Sample key that holds the code on a container.
const BARCODE: &str = "barcode";
/// Most samples that one message names.
const MOST_NAMED: usize = 10;

/// A worklist, as its file holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worklist {
    format_version: u32,
    /// When it was put here (ISO 8601, UTC).
    received: String,
    /// Who put it here.
    by: String,
    /// Its tray maps, in its order.
    trays: Vec<Value>,
}

/// How far a worklist is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorklistStatus {
    /// When it was put here (ISO 8601, UTC).
    pub received: String,
    /// Who put it here.
    pub by: String,
    /// Number of its samples that no complete scan holds.
    pub missing: usize,
    /// Number of its samples that one complete scan holds.
    pub scanned: usize,
    /// Number of its samples that several complete scans hold.
    pub rescanned: usize,
    /// The tray that comes next: the first one with a missing sample. Absent where none is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Its trays, in its order.
    pub trays: Vec<ListedTray>,
}

/// A tray of a worklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedTray {
    /// Its name.
    pub tray: String,
    /// Its samples, in the order of its containers.
    pub samples: Vec<ListedSample>,
}

/// A sample of a worklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedSample {
    /// Its name.
    pub sample: String,
    /// The name of its container.
    pub container: String,
    /// The code on its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barcode: Option<String>,
    /// Whether it was scanned.
    pub state: SampleState,
    /// The complete scans that hold it with a valid pixel, oldest first.
    pub scans: Vec<String>,
}

/// Whether a sample of a worklist was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SampleState {
    /// No complete scan holds it.
    Missing,
    /// One complete scan holds it.
    Scanned,
    /// Several complete scans hold it.
    Rescanned,
}

impl Worklist {
    /// A worklist of tray maps, which come from a person or a program.
    ///
    /// # Errors
    /// Every fault of the maps, and every sample and barcode that comes twice, with its tray.
    pub fn new(trays: Vec<Value>, by: &str, received: &str) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut samples: BTreeMap<String, String> = BTreeMap::new();
        let mut barcodes: BTreeMap<String, String> = BTreeMap::new();
        for map in &trays {
            let name = map.get("tray").and_then(Value::as_str).unwrap_or_default();
            let path = |path: &str| format!("{name}: {path}");
            match Tray::check(map) {
                Err(of_tray) => faults.extend(of_tray.into_iter().map(|fault| Fault::new(path(&fault.path), fault.problem))),
                Ok(tray) => {
                    for (number, container) in tray.containers.into_iter().enumerate() {
                        let here = format!("{} of tray {name}", container.at);
                        if let Some(before) = samples.insert(container.sample.clone(), here.clone()) {
                            let problem = format!("`{}` is in {before} too; give each its own name", container.sample);
                            faults.push(Fault::new(path(&format!("container[{number}].sample")), problem));
                        }
                        let Some(code) = container.keys.get(BARCODE) else { continue };
                        if let Some(before) = barcodes.insert(code.clone(), here) {
                            let problem = format!("`{code}` is on {before} too; a barcode names one container");
                            faults.push(Fault::new(path(&format!("container[{number}].{BARCODE}")), problem));
                        }
                    }
                }
            }
        }
        if faults.is_empty() {
            Ok(Self { format_version: store::FORMAT_VERSION, received: received.to_owned(), by: by.to_owned(), trays })
        } else {
            Err(faults)
        }
    }

    /// The map of the tray `name`.
    pub fn tray(&self, name: &str) -> Option<&Value> {
        self.trays.iter().find(|map| map["tray"] == name)
    }

    /// How far it is, by the records of all scans.
    pub fn status(&self, records: &[ScanRecord]) -> WorklistStatus {
        let scans = scans_of_samples(records);
        let trays: Vec<ListedTray> = self.trays.iter().filter_map(|map| Tray::check(map).ok()).map(|tray| listed(tray, &scans)).collect();
        let count = |state| trays.iter().flat_map(|tray| &tray.samples).filter(|sample| sample.state == state).count();
        let lacks = |tray: &&ListedTray| tray.samples.iter().any(|sample| sample.state == SampleState::Missing);
        WorklistStatus {
            received: self.received.clone(),
            by: self.by.clone(),
            missing: count(SampleState::Missing),
            scanned: count(SampleState::Scanned),
            rescanned: count(SampleState::Rescanned),
            next: trays.iter().find(lacks).map(|tray| tray.tray.clone()),
            trays,
        }
    }

    /// What speaks against scanning a tray: samples of this list that a complete scan holds already.
    pub fn scanned_already(&self, tray: &Tray, records: &[ScanRecord]) -> Option<String> {
        let scans = scans_of_samples(records);
        let listed: Vec<Tray> = self.trays.iter().filter_map(|map| Tray::check(map).ok()).collect();
        let is_listed = |sample: &str| listed.iter().flat_map(|tray| &tray.containers).any(|container| container.sample == sample);
        let done: Vec<(&str, &str)> = tray
            .containers
            .iter()
            .filter(|container| is_listed(&container.sample))
            .filter_map(|container| Some((container.sample.as_str(), *scans.get(container.sample.as_str())?.last()?)))
            .collect();
        let mut text = String::new();
        for (sample, scan) in done.iter().take(MOST_NAMED) {
            let _ = write!(text, "{}{sample} in {scan}", if text.is_empty() { "" } else { ", " });
        }
        if done.len() > MOST_NAMED {
            let _ = write!(text, " and {} more", done.len() - MOST_NAMED);
        }
        (!done.is_empty()).then(|| format!("scanned already: {text}; ask for it with `again` to scan it once more"))
    }

    /// Gives containers of a tray map that have a barcode and no sample what this list says of that barcode: sample, sample keys, numbers.
    /// What the map says stays.
    ///
    /// # Errors
    /// Every barcode that is not listed, with its path.
    pub fn resolve(&self, map: &mut Value) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut keys: Vec<Value> = map.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        for (number, container) in map.get_mut("container").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
            let Some(code) = code_alone(container) else { continue };
            let Some(known) = self.by_barcode(&code) else {
                faults.push(Fault::new(format!("container[{number}].{BARCODE}"), not_listed(&code)));
                continue;
            };
            let Some(container) = container.as_object_mut() else { continue };
            container.insert(BARCODE.to_owned(), code.into());
            for (key, value) in known {
                // Its place is where it lies now.
                let is_place = key == "at" || key.ends_with("_mm");
                if is_place || container.contains_key(key) {
                    continue;
                }
                container.insert(key.clone(), value.clone());
            }
            for key in container.keys().filter(|key| !crate::scan::is_reserved(key)) {
                if !keys.iter().any(|known| known == key) {
                    keys.push(key.clone().into());
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        if let Some(map) = map.as_object_mut().filter(|_| !keys.is_empty()) {
            map.insert("keys".to_owned(), keys.into());
        }
        Ok(())
    }

    /// The container with a code.
    fn by_barcode(&self, code: &str) -> Option<&Map<String, Value>> {
        let mut all = self.trays.iter().filter_map(|map| map.get("container")?.as_array()).flatten().filter_map(Value::as_object);
        all.find(|container| container.get(BARCODE).is_some_and(|other| text(other) == code))
    }
}

/// Whether a tray map has a container with a barcode and without a sample: then a worklist says what it holds.
pub fn needs_worklist(map: &Value) -> bool {
    map.get("container").and_then(Value::as_array).into_iter().flatten().any(|container| code_alone(container).is_some())
}

/// The faults of a map that needs a worklist where there is none.
pub fn without_worklist(map: &Value) -> Vec<Fault> {
    let containers = map.get("container").and_then(Value::as_array).into_iter().flatten().enumerate();
    let codes = containers.filter_map(|(number, container)| Some((number, code_alone(container)?)));
    codes.map(|(number, code)| Fault::new(format!("container[{number}].{BARCODE}"), not_listed(&code))).collect()
}

fn not_listed(code: &str) -> String {
    format!("`{code}` is not in the worklist; give the sample's name, or put a worklist here that has it")
}

/// The barcode of a container that has no sample.
fn code_alone(container: &Value) -> Option<String> {
    let container = container.as_object()?;
    let code = container.get(BARCODE).filter(|code| code.is_string() || code.is_number())?;
    (!container.contains_key("sample")).then(|| text(code))
}

/// A cell as text.
fn text(cell: &Value) -> String {
    cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)
}

/// The complete scans of each sample with a valid pixel, oldest first.
fn scans_of_samples(records: &[ScanRecord]) -> BTreeMap<&str, Vec<&str>> {
    let mut scans: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut complete: Vec<&ScanRecord> = records.iter().filter(|record| record.complete == Some(true)).collect();
    complete.sort_by(|one, other| one.started.cmp(&other.started));
    for record in complete {
        for sample in record.samples.iter().filter(|sample| sample.valid > 0) {
            scans.entry(&sample.sample).or_default().push(&record.id);
        }
    }
    scans
}

fn listed(tray: Tray, scans: &BTreeMap<&str, Vec<&str>>) -> ListedTray {
    let samples = tray.containers.into_iter().map(|container| {
        let scans: Vec<String> = scans.get(container.sample.as_str()).into_iter().flatten().map(|scan| (*scan).to_owned()).collect();
        let state = match scans.len() {
            0 => SampleState::Missing,
            1 => SampleState::Scanned,
            _ => SampleState::Rescanned,
        };
        let barcode = container.keys.get(BARCODE).cloned();
        ListedSample { sample: container.sample, container: container.at, barcode, state, scans }
    });
    ListedTray { tray: tray.tray, samples: samples.collect() }
}

#[cfg(test)]
mod tests;
