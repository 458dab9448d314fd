//! What must hold after a power cut: recovery ends, what was synced is there, and nothing is half under its final name.

use super::log::{Log, Op};
use super::model::{Disk, Tree};
use super::rig::tree;
use hyclus::config::Loaded;
use hyclus::data_root::{self, DataRoot};
use hyclus::publish;
use hyclus::scan::ScanRecord;
use hyclus::store::StoredSample;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a run wrote in the end: the truth that a cut can only shorten.
pub struct Truth {
    /// Contents of the files that had a path last.
    files: BTreeMap<String, Vec<u8>>,
    /// Bytes of a line, by the path of a recording's counts.
    line_bytes: BTreeMap<String, usize>,
}

/// A moment at which the power is cut, and what was on the disk for certain.
pub struct Cut {
    pub what: String,
    pub tree: Tree,
    /// Lines on the disk for certain, by the path of a recording's counts.
    covered: BTreeMap<String, usize>,
    /// Records of ended scans on the disk for certain.
    ended: Vec<ScanRecord>,
}

fn recordings(files: &BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = &String> {
    let is_counts = |path: &&String| path.contains("/raw/") && path.ends_with(".raw") && !path.contains("REF");
    files.keys().filter(is_counts)
}

fn with_ending(raw: &str, ending: &str) -> String {
    format!("{}.{ending}", raw.strip_suffix(".raw").unwrap())
}

/// A number of an ENVI header.
fn number(header: &str, key: &str) -> usize {
    let line = header.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('=')).unwrap();
    line.trim().parse().unwrap()
}

impl Truth {
    /// What a whole log leaves, together with what was known before.
    pub fn of(disk: &Disk, before: Option<&Self>) -> Self {
        let mut files = before.map(|before| before.files.clone()).unwrap_or_default();
        let mut line_bytes = before.map(|before| before.line_bytes.clone()).unwrap_or_default();
        for (path, id) in &disk.named {
            files.entry(path.clone()).or_insert_with(|| disk.written(*id));
        }
        for raw in recordings(&files) {
            if let Some(header) = files.get(&with_ending(raw, "hdr")) {
                let header = String::from_utf8(header.clone()).unwrap();
                line_bytes.insert(raw.clone(), number(&header, "samples") * number(&header, "bands") * 2);
            }
        }
        Self { files, line_bytes }
    }

    /// The moment of a disk.
    pub fn cut(&self, what: String, disk: &Disk, tree: Tree) -> Cut {
        let mut covered = BTreeMap::new();
        for (raw, bytes) in &self.line_bytes {
            let counts = disk.durable(raw).len() / bytes;
            let rows = disk.durable(&with_ending(raw, "lines.csv"));
            let rows = rows.iter().filter(|byte| **byte == b'\n').count().saturating_sub(1);
            covered.insert(raw.clone(), counts.min(rows));
        }
        let mut ended = Vec::new();
        for path in disk.named.keys().filter(|path| path.ends_with("/scan.json")) {
            // The file that has the name for certain. A newer one may have taken it since, and still lose it.
            let text = disk.certain(path).map(|id| disk.durable_of(id)).unwrap_or_default();
            let record = serde_json::from_slice::<ScanRecord>(&text).ok();
            ended.extend(record.filter(|record| record.ended.is_some()));
        }
        Cut { what, tree, covered, ended }
    }
}

/// Recovers a data root as a daemon that starts does, and makes deferred embeddings.
fn recover(data: &Path, loaded: &Loaded) -> Result<(), String> {
    let wrap = |error: &dyn std::fmt::Display| error.to_string();
    fs::create_dir_all(data).map_err(|error| wrap(&error))?;
    let root = DataRoot::take(data).map_err(|error| wrap(&error))?;
    for scan in root.unfinished() {
        root.recover(scan, Some(loaded), &|| {}).map_err(|error| wrap(&error))?;
    }
    for scan in root.pending() {
        root.catch_up(scan, Some(loaded)).map_err(|error| wrap(&error))?;
    }
    Ok(())
}

/// Recovers what a cut left in `root`, and gives what does not hold then.
pub fn faults(cut: &Cut, truth: &Truth, root: &Path, loaded: &Loaded) -> Vec<String> {
    let data = root.join("data");
    if let Err(error) = recover(&data, loaded) {
        return vec![format!("recovery failed: {error}")];
    }
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(text);
    let records = data_root::records(&data);
    recordings_hold(cut, truth, root, &records, &mut fault);
    for ended in &cut.ended {
        let record = records.iter().find(|record| record.id == ended.id);
        let same = record.is_some_and(|record| (record.complete, &record.samples) == (ended.complete, &ended.samples));
        if !same {
            fault(format!("{} had ended, and now it is {record:?}", ended.id));
        }
    }
    for record in &records {
        if let Some(reason) = &record.set_aside {
            fault(format!("{} was set aside: {reason}", record.id));
        }
        if record.ended.is_none() || record.pending.is_some() {
            fault(format!("{} is neither ended nor complete: {:?}", record.id, record.pending));
        }
        match data_root::verify(record, &data, &|| {}) {
            Ok(damages) => damages.iter().for_each(|damage| fault(format!("verify: {damage}"))),
            Err(error) => fault(format!("verify: {error}")),
        }
        for sample in &record.samples {
            if let Err(error) = StoredSample::open(&data.join("scans").join(&record.id).join(&sample.file)) {
                fault(error.to_string());
            }
        }
        let mut rows = 0;
        let read = publish::published(&publish::DataSet::main(&data), &record.id)
            .and_then(|parts| parts.iter().try_for_each(|part| part.each(&mut |_| rows += 1)));
        let valid: u64 = record.samples.iter().map(|sample| sample.valid).sum();
        if read.is_err() || (rows, rows) != (record.embeddings, valid) {
            fault(format!("{}: {rows} rows, {} in scan.json, {valid} valid pixels, {read:?}", record.id, record.embeddings));
        }
    }
    names_hold(truth, &data, &records, &mut fault);
    let before = tree(&data);
    match recover(&data, loaded) {
        Err(error) => fault(format!("the second recovery failed: {error}")),
        Ok(()) if tree(&data) != before => fault("the second recovery changed something".into()),
        Ok(()) => {}
    }
    faults
}

/// Lines that were on the disk for certain are recovered, and every recovered line is the one that was recorded.
fn recordings_hold(cut: &Cut, truth: &Truth, root: &Path, records: &[ScanRecord], fault: &mut dyn FnMut(String)) {
    for (raw, covered) in &cut.covered {
        let parts: Vec<&str> = raw.split('/').collect();
        let (scan, camera) = (parts[2], parts[4]);
        let record = records.iter().find(|record| record.id == scan);
        let received = record.and_then(|record| record.cameras.get(camera)).map_or(0, |sums| sums.received);
        if (received as usize) < *covered {
            let reason = record.map(|record| (&record.reason, &record.warnings));
            fault(format!("{camera}: {covered} lines were synced, and {received} are recovered: {reason:?}"));
        }
        let bytes = truth.line_bytes[raw];
        if let Ok(left) = fs::read(root.join(raw)) {
            let true_bytes = &truth.files[raw];
            let wrong = left.chunks(bytes).zip(true_bytes.chunks(bytes)).position(|(left, wanted)| left != wanted);
            if let Some(line) = wrong {
                fault(format!("{camera}: line {line} of {} recovered lines is not what was recorded", left.len() / bytes));
            }
            if record.is_some() && left.len() != received as usize * bytes {
                fault(format!("{camera}: {} bytes for {received} lines", left.len()));
            }
        }
        let rows = with_ending(raw, "lines.csv");
        if let Ok(left) = fs::read(root.join(&rows))
            && !truth.files[&rows].starts_with(&left)
        {
            let same = left.iter().zip(&truth.files[&rows]).take_while(|(left, wanted)| left == wanted).count();
            let other: String = String::from_utf8_lossy(&left[same..]).chars().take(80).collect();
            fault(format!("{camera}: lines.csv is not what was recorded from byte {same} of {} on: {other:?}", left.len()));
        }
    }
}

/// Every file that no record names is one that may be there, and is whole.
fn names_hold(truth: &Truth, data: &Path, records: &[ScanRecord], fault: &mut dyn FnMut(String)) {
    let files = tree(data);
    for path in files.keys() {
        let name = path.strip_prefix(data).unwrap().to_str().unwrap();
        let ours = records.iter().any(|record| record.files.iter().any(|file| file.path == name));
        if ours || name == ".lock" || name.ends_with("/scan.json") {
            continue;
        }
        if !name.starts_with("references/") {
            fault(format!("{name} was left behind"));
        } else if name.ends_with(".raw") || name.ends_with(".hdr") {
            let (raw, header) = (path.with_extension("raw"), path.with_extension("hdr"));
            if !raw.exists() || !header.exists() {
                fault(format!("{name} has no other half"));
            }
            if truth.files.get(&format!("data/{name}")) != fs::read(path).ok().as_ref() {
                fault(format!("{name} is not whole"));
            }
        }
    }
}

/// Steps at which a cut is most telling: where something becomes durable, or gets or loses a name.
pub fn telling(log: &Log) -> Vec<usize> {
    let telling = |op: &Op| !matches!(op, Op::Write { .. } | Op::Length { .. } | Op::SyncBegins { .. });
    log.ops.iter().enumerate().filter(|(_, op)| telling(op)).map(|(at, _)| at).collect()
}

/// Fails unless the whole log gives the very files of a folder: nothing was written past it.
pub fn same_as_the_folder(disk: &Disk, root: &Path) {
    let model = disk.whole();
    let mut of_the_model: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    for (path, leaf) in &model {
        if let Some(leaf) = leaf {
            of_the_model.insert(root.join(path), leaf.bytes.clone());
        }
    }
    let real = tree(&root.join("data"));
    let missing: Vec<_> = real.keys().filter(|path| !of_the_model.contains_key(*path)).collect();
    let more: Vec<_> = of_the_model.keys().filter(|path| !real.contains_key(*path)).collect();
    assert!(missing.is_empty() && more.is_empty(), "the log lacks {missing:?} and has {more:?}");
    for (path, bytes) in &of_the_model {
        let wanted = fs::read(path).unwrap();
        let first = bytes.iter().zip(&wanted).position(|(a, b)| a != b);
        assert!(*bytes == wanted, "{}: {} bytes for {}, from {first:?} on", path.display(), bytes.len(), wanted.len());
    }
}
