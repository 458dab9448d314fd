//! The list of scans and of samples. Records are read once, and again when they change.

use super::Data;
use super::answer::{Answer, Asked, wrong};
use super::place::{self, Stamp};
use axum::Json;
use axum::extract::State;
use hyclus::scan::{SampleRecord, ScanRecord, Tray, is_scan_id};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Most scans and samples of one answer.
const MOST: usize = 1000;
/// Most values of a key that a scan shows in the list.
const MOST_VALUES: usize = 100;
/// Most warnings that a scan shows in the list, and their longest, characters.
const WARNINGS: (usize, usize) = (20, 500);

/// A stored sample with what the tray map says of it.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    pub scan: String,
    /// The name of its file.
    pub sample: String,
    pub container: String,
    pub keys: BTreeMap<String, String>,
    pub vars: BTreeMap<String, f64>,
    /// Its name in the tray map.
    #[serde(skip)]
    pub name: String,
}

/// A scan in the list.
#[derive(Debug, Serialize)]
pub struct Summary {
    id: String,
    tray: String,
    started: String,
    complete: Option<bool>,
    reason: Option<String>,
    samples: usize,
    embeddings: u64,
    warnings: Vec<String>,
    keys: BTreeMap<String, BTreeSet<String>>,
    running: bool,
    #[serde(skip)]
    ended: bool,
    /// What a search looks in, lower case.
    #[serde(skip)]
    text: String,
    #[serde(skip)]
    pub stored: Vec<Listed>,
}

/// What the list needs of a record. A whole one takes much longer to read.
#[derive(Deserialize)]
struct Brief {
    #[serde(default)]
    format_version: u32,
    id: String,
    tray: Tray,
    started: String,
    ended: Option<String>,
    complete: Option<bool>,
    reason: Option<String>,
    samples: Vec<SampleRecord>,
    warnings: Vec<String>,
    embeddings: u64,
}

impl Brief {
    /// The record of a scan. `None` where it cannot be read, or is of a newer format.
    fn read(root: &Path, scan: &str) -> Option<Self> {
        let (_, text) = place::record_text(root, scan).ok()?;
        let brief: Self = serde_json::from_str(&text).ok()?;
        (brief.id == scan && brief.format_version <= ScanRecord::FORMAT_VERSION).then_some(brief)
    }
}

impl Summary {
    /// Id of the scan.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn of(record: &Brief) -> Self {
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut text = format!("{}\n{}", record.id, record.tray.tray);
        for container in &record.tray.containers {
            text.extend(["\n", &container.sample, "\n", &container.at]);
            for (key, value) in &container.keys {
                text.extend(["\n", value]);
                let values = keys.entry(key.clone()).or_default();
                if values.len() < MOST_VALUES {
                    values.insert(value.clone());
                }
            }
        }
        let warnings = record.warnings.iter().take(WARNINGS.0).map(|text| text.chars().take(WARNINGS.1).collect()).collect();
        Self {
            id: record.id.clone(),
            tray: record.tray.tray.clone(),
            started: record.started.clone(),
            complete: record.complete,
            reason: record.reason.clone(),
            samples: record.samples.len(),
            embeddings: record.embeddings,
            warnings,
            keys,
            running: false,
            ended: record.ended.is_some(),
            text: text.to_lowercase(),
            stored: record.samples.iter().filter_map(|sample| listed(record, &sample.file)).collect(),
        }
    }
}

/// The sample of a file of a scan.
fn listed(record: &Brief, file: &str) -> Option<Listed> {
    let sample = record.samples.iter().find(|sample| sample.file == file)?;
    let stem = Path::new(file).file_stem()?.to_str().filter(|stem| place::is_stem(stem))?;
    let container = record.tray.containers.iter().find(|container| container.at == sample.container && container.sample == sample.sample);
    let (keys, vars) = container.map(|container| (container.keys.clone(), container.vars.clone())).unwrap_or_default();
    Some(Listed {
        scan: record.id.clone(),
        sample: stem.to_owned(),
        container: sample.container.clone(),
        keys,
        vars,
        name: sample.sample.clone(),
    })
}

/// Every record as it was when its file had this stamp. A record that cannot be read is `None`.
#[derive(Default)]
pub struct Index(Mutex<BTreeMap<String, Read>>);

/// A record that was read, and the version of its file.
type Read = (Stamp, Option<Arc<Summary>>);

impl Data {
    /// All scans, newest first.
    pub(super) fn scans(&self) -> Vec<Arc<Summary>> {
        let mut known = self.index.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = std::fs::read_dir(self.root.join("scans")).into_iter().flatten().flatten();
        let ids = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut now = BTreeMap::new();
        for id in ids.filter(|id| is_scan_id(id)) {
            let Some(stamp) = place::stamp(&self.root.join("scans").join(&id).join("scan.json")) else { continue };
            let before = known.remove(&id).filter(|(before, _)| *before == stamp);
            let read = before.unwrap_or_else(|| (stamp, Brief::read(&self.root, &id).map(|record| Arc::new(Summary::of(&record)))));
            now.insert(id, read);
        }
        let mut all: Vec<Arc<Summary>> = now.values().filter_map(|(_, summary)| summary.clone()).collect();
        *known = now;
        drop(known);
        all.sort_unstable_by(|a, b| (&b.started, &b.id).cmp(&(&a.started, &a.id)));
        all
    }
}

/// What the list is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Search {
    search: String,
    from: String,
    to: String,
    warnings: String,
    offset: usize,
    limit: Option<usize>,
}

/// One page of the list.
#[derive(Serialize)]
pub struct Page {
    total: usize,
    scans: Vec<Summary>,
}

impl Search {
    fn check(&self) -> Answer<()> {
        if self.search.len() > 500 {
            return Err(wrong("the search is longer than 500 bytes; give fewer words"));
        }
        let date = |text: &str| text.is_empty() || (text.len() <= 40 && text.as_bytes()[0].is_ascii_digit());
        if date(&self.from) && date(&self.to) {
            Ok(())
        } else {
            Err(wrong("from and to are days or times such as 2026-11-03 or 2026-11-03T12:00:00Z"))
        }
    }

    fn finds(&self, scan: &Summary, words: &[String]) -> bool {
        // A day as the end holds all of that day.
        let begins = |text: &str| scan.started.get(..text.len().min(scan.started.len())).unwrap_or_default().to_owned();
        (self.from.is_empty() || scan.started >= self.from)
            && (self.to.is_empty() || begins(&self.to) <= self.to)
            && (!matches!(self.warnings.as_str(), "1" | "true") || !scan.warnings.is_empty())
            && words.iter().all(|word| scan.text.contains(word))
    }
}

fn words(search: &str) -> Vec<String> {
    search.split_whitespace().map(str::to_lowercase).collect()
}

/// `GET /api/scans`.
pub async fn list(State(data): State<Arc<Data>>, Asked(search): Asked<Search>) -> Answer<Json<Page>> {
    search.check()?;
    let page = data.reading(move |data| {
        let words = words(&search.search);
        let busy = data.busy();
        let all = data.scans();
        // Only the newest can run. Older ones without an end were cut off.
        let newest = all.first().map(|scan| scan.id.clone());
        let found: Vec<&Arc<Summary>> = all.iter().filter(|scan| search.finds(scan, &words)).collect();
        let shown = found.iter().skip(search.offset).take(search.limit.unwrap_or(50).min(MOST));
        let scans = shown.map(|scan| scan.shown(busy && newest.as_ref() == Some(&scan.id))).collect();
        Ok(Page { total: found.len(), scans })
    });
    page.await.map(Json)
}

impl Summary {
    fn shown(&self, newest: bool) -> Self {
        Self {
            id: self.id.clone(),
            tray: self.tray.clone(),
            started: self.started.clone(),
            complete: self.complete,
            reason: self.reason.clone(),
            samples: self.samples,
            embeddings: self.embeddings,
            warnings: self.warnings.clone(),
            keys: self.keys.clone(),
            running: newest && !self.ended,
            ended: self.ended,
            text: String::new(),
            stored: Vec::new(),
        }
    }
}

/// Which samples are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    search: String,
    key: String,
    value: String,
    limit: Option<usize>,
}

/// `GET /api/samples`: stored samples, of the newest scans first.
pub async fn samples(State(data): State<Arc<Data>>, Asked(wanted): Asked<Wanted>) -> Answer<Json<Vec<Listed>>> {
    if wanted.search.len() > 500 {
        return Err(wrong("the search is longer than 500 bytes; give fewer words"));
    }
    let found = data.reading(move |data| {
        let words = words(&wanted.search);
        let fits = |sample: &Listed| {
            let text = |word: &String| {
                let mut texts = [&sample.scan, &sample.sample, &sample.container].into_iter().chain(sample.keys.values());
                texts.any(|text| text.to_lowercase().contains(word))
            };
            (wanted.key.is_empty() || sample.keys.get(&wanted.key) == Some(&wanted.value)) && words.iter().all(text)
        };
        let mut found = Vec::new();
        for scan in data.scans() {
            let left = wanted.limit.unwrap_or(100).min(MOST) - found.len();
            found.extend(scan.stored.iter().filter(|sample| fits(sample)).take(left).cloned());
        }
        Ok(found)
    });
    found.await.map(Json)
}
