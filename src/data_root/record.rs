//! Writes and reads `scan.json`, the record of a scan: request, outcome, losses, and the hash of every file.
//!
//! The configuration of a scan lies beside its record, until the scan has ended and lacks no embeddings.

use crate::config::Loaded;
use crate::devices::{CameraUnit, references};
use crate::disk::{Hashed, Hashes, create_folders, create_over, sync_folders};
use crate::pipeline::{Outcome, PipelineParts};
use crate::publish::{self, DataSet};
use crate::reference::Calibration;
use crate::registration::{Limits, keystone, registration};
use crate::scan::{
    Cause, Digest, FileRecord, LineCounts, NewerFormat, OverlapStep, ParseError, Pending, ScanRecord, Subsystem, Tray, is_scan_id, iso,
    now_ns,
};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Name of the configuration file in the folder of a scan.
pub(super) const CONFIGURATION: &str = ".rig.toml";

/// A scan's record cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}; {}", path.display(), crate::disk::advice(error, "check the disk"))]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// The system's error.
    pub error: std::io::Error,
}

impl From<&RecordError> for Cause {
    fn from(error: &RecordError) -> Self {
        Self::new(Subsystem::Disk, error.to_string())
    }
}

impl ScanRecord {
    /// The record of a scan that begins at `started_ns`, ns since 1970-01-01T00:00:00Z.
    pub fn begin(id: &str, tray: Tray, loaded: &Loaded, started_ns: i64) -> Self {
        Self {
            format_version: Self::FORMAT_VERSION,
            id: id.to_owned(),
            started: iso(started_ns),
            ended: None,
            complete: None,
            reason: None,
            cameras: std::collections::BTreeMap::new(),
            samples: Vec::new(),
            missing: Vec::new(),
            residuals_mm: std::collections::BTreeMap::new(),
            registration: std::collections::BTreeMap::new(),
            keystone_mm: std::collections::BTreeMap::new(),
            dark_drift: std::collections::BTreeMap::new(),
            bad_elements: std::collections::BTreeMap::new(),
            light_change: std::collections::BTreeMap::new(),
            light: std::collections::BTreeMap::new(),
            wavelength: std::collections::BTreeMap::new(),
            plausibility: std::collections::BTreeMap::new(),
            restless_elements: std::collections::BTreeMap::new(),
            left_out_nm: std::collections::BTreeMap::new(),
            anisotropy: std::collections::BTreeMap::new(),
            overlap_step: Vec::new(),
            warnings: loaded.config.height_warnings(&tray),
            tray,
            embeddings: 0,
            pending: None,
            novelty: None,
            encoders: std::collections::BTreeMap::new(),
            heads: std::collections::BTreeMap::new(),
            minerals: None,
            set_aside: None,
            archived: None,
            files: Vec::new(),
            version: crate::VERSION.to_owned(),
            configuration_sha256: loaded.sha256.clone(),
            encoder_sha256: None,
        }
    }

    /// Notes what is fixed before a scan's first line: encoders, bad elements, bands that are left out, and doubts about the panel.
    pub fn prepared(&mut self, parts: &PipelineParts, units: &[CameraUnit]) {
        for encoder in &parts.encoders {
            self.note_encoder(&encoder.name, encoder.shadow, encoder.sha256.as_deref());
            let tells = encoder.stages.as_ref().is_some_and(|(encode, _)| encode.encoder().context().novelty);
            self.note_novelty(&encoder.name, tells.then_some(encoder.max_novel));
        }
        let context = &parts.context;
        for camera in &context.cameras {
            if let Calibration::Referenced(referenced) = &*camera.calibration {
                self.bad_elements.insert(camera.name.clone(), referenced.bad_elements());
            }
        }
        for unit in units {
            let name = &unit.config.name;
            let left_out_nm = unit.used.left_out_nm();
            if !left_out_nm.is_empty() {
                self.left_out_nm.insert(name.clone(), left_out_nm);
            }
            if let Some(check) = unit.white.as_ref().and_then(|white| white.wavelength.clone()) {
                self.wavelength.insert(name.clone(), check);
            }
            for doubt in references::doubts(unit, context.start_ns) {
                if !self.warnings.contains(&doubt) {
                    tracing::warn!("{doubt}");
                    self.warnings.push(doubt);
                }
            }
            // Nobody configured these.
            if let Some(summary) = unit.used.summary().filter(|_| unit.used.marked_bad()) {
                self.warnings.push(format!("{name}: {summary}"));
            }
        }
    }

    /// Takes over the outcome of the data path. `names` are the cameras in the order of the configuration.
    ///
    /// A camera that sees the containers further than `limits` from where the first does gets a warning.
    pub fn conclude(&mut self, names: &[String], outcome: Outcome, limits: &Limits) {
        self.cameras = names.iter().cloned().zip(outcome.sums).collect();
        self.samples = outcome.samples;
        if let Some(doubt) = outcome.findings.doubt {
            self.samples.iter_mut().for_each(|sample| sample.doubts.push(doubt.clone()));
        }
        self.missing = outcome.findings.missing;
        self.warnings.extend(outcome.findings.warnings);
        self.warnings.extend(outcome.irregularities.iter().map(ToString::to_string));
        self.overlap_step = outcome
            .findings
            .steps
            .iter()
            .map(|step| OverlapStep {
                cameras: [names[step.cameras.0].clone(), names[step.cameras.1].clone()],
                range_nm: step.range_nm.into(),
                ratio: step.ratio,
                sd: step.sd,
                pixels: step.pixels,
                levelled: step.levelled,
            })
            .collect();
        self.anisotropy = names.iter().cloned().zip(outcome.anisotropy).filter_map(|(name, ratio)| Some((name, ratio?))).collect();
        self.light = names.iter().cloned().zip(outcome.light).filter_map(|(name, range)| Some((name, range?))).collect();
        for (name, found) in names.iter().zip(outcome.detectors) {
            let Some(found) = found else { continue };
            self.warnings.extend(found.warnings);
            self.plausibility.insert(name.clone(), found.plausibility);
            if let Some((restless, _)) = found.restless {
                self.restless_elements.insert(name.clone(), restless);
            }
        }
        let passages = &outcome.findings.passages;
        for (camera, name) in names.iter().enumerate() {
            if let Some(keystone_mm) = keystone(passages, camera) {
                self.warnings.extend(limits.judge_keystone(name, keystone_mm));
                self.keystone_mm.insert(name.clone(), keystone_mm);
            }
            let Some((median_mm, of)) = registration(passages, camera) else { continue };
            self.residuals_mm.insert(name.clone(), median_mm);
            if camera > 0 {
                self.warnings.extend(limits.judge(name, &names[0], median_mm, &of));
                self.registration.insert(name.clone(), of);
            }
        }
        self.warnings.extend(names.first().and_then(|first| limits.judge_scale(first, passages)));
        for made in outcome.encoders {
            let entry = self.encoder_entry(&made.name);
            (*entry.embeddings, *entry.pending) = (made.embeddings, made.deferred.map(Pending::because));
            self.count_novelty(&made.name, made.novel);
        }
        self.minerals_found(outcome.minerals, outcome.max_not_identified);
        for (name, sums) in &self.cameras {
            if sums.received.saturating_add(sums.lost) != sums.expected {
                self.warnings.push(format!("{name}: {} received and {} lost are not {} expected", sums.received, sums.lost, sums.expected));
            }
        }
        if !self.missing.is_empty() {
            self.warnings.push(format!("nothing was found in {}", self.missing.join(", ")));
        }
        let reason = outcome.reason.or_else(|| self.nothing_valid());
        self.close(reason);
    }

    /// Why the scan is worth nothing: it has no valid pixel. `None` for one that has some.
    fn nothing_valid(&self) -> Option<String> {
        if self.samples.iter().any(|sample| sample.valid > 0) {
            return None;
        }
        let of_cameras: Vec<String> = self.cameras.iter().filter_map(|(name, counts)| nothing_from(name, counts)).collect();
        let reason = if !of_cameras.is_empty() {
            of_cameras.join("; ")
        } else if self.samples.is_empty() {
            "nothing was found on the tray; check the lamps, the tray map and segment.min_reflectance".to_owned()
        } else {
            let pixels: u64 = self.samples.iter().map(|sample| sample.pixels).sum();
            format!("none of the {pixels} pixels of {} sample(s) is valid; their `quality` says why", self.samples.len())
        };
        Some(format!("there is no valid pixel: {reason}"))
    }

    /// Marks the scan as ended. A reason means that it is incomplete.
    pub fn close(&mut self, reason: Option<String>) {
        self.ended = Some(iso(now_ns()));
        self.complete = Some(reason.is_none());
        self.reason = reason;
    }

    /// Notes every file of the scan below `data_dir`, with size and hash.
    ///
    /// `hashes` knows files that were hashed while the scan ran, and hashes the others. `tick` is called again and again.
    ///
    /// # Errors
    /// A file cannot be read, or a folder cannot be synced.
    pub fn hash_files(&mut self, data_dir: &Path, hashes: &Hashes, tick: &dyn Fn()) -> Result<(), RecordError> {
        let (mut paths, others) = self.listed(data_dir)?;
        others.iter().for_each(|path| tracing::warn!(path = %path.display(), "this is no plain file, and no file of the scan"));
        paths.retain(|path| path.file_name().is_some_and(|name| name != "scan.json"));
        paths.sort();
        let files = hashed(&paths, data_dir, hashes, tick)?;
        let away = std::mem::replace(&mut self.files, files);
        // What the archive alone holds is still a file of the scan.
        let away: Vec<_> =
            away.into_iter().filter(|file| self.away(&file.path) && !self.files.iter().any(|f| f.path == file.path)).collect();
        self.files.extend(away);
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        // A file named here must keep its name after a power failure, so its folders are synced.
        let above = paths.iter().flat_map(|path| path.ancestors().skip(1).take_while(|folder| folder.starts_with(data_dir)));
        let folders: BTreeSet<&Path> = above.collect();
        for folder in folders {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| RecordError { path: folder.to_owned(), error })?;
        }
        Ok(())
    }

    /// The files of the scan, and what is neither file nor folder among them.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub(super) fn listed(&self, data_dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), RecordError> {
        let (mut paths, mut others) = (Vec::new(), Vec::new());
        let sets =
            DataSet::all(data_dir).map_err(|error| RecordError { path: data_dir.to_owned(), error: std::io::Error::other(error) })?;
        let of_encoders = sets.iter().map(|set| set.scan_folder(&self.id));
        let folders = [data_dir.join("scans").join(&self.id), publish::minerals_folder(data_dir, &self.id)];
        for folder in folders.into_iter().chain(of_encoders) {
            list(&folder, &mut paths, &mut others).map_err(|error| RecordError { path: folder, error })?;
        }
        Ok((paths, others))
    }

    /// Writes `scan.json`, whole or not at all.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn write(&self, data_dir: &Path) -> Result<(), RecordError> {
        let folder = data_dir.join("scans").join(&self.id);
        let path = folder.join("scan.json");
        let wrap = |error| RecordError { path: path.clone(), error };
        create_folders(&folder, data_dir).map_err(wrap)?;
        let part = folder.join(".scan.json.part");
        let mut file = create_over(&part).map_err(|error| RecordError { path: part.clone(), error })?;
        serde_json::to_writer_pretty(&mut file, self).map_err(|error| wrap(error.into()))?;
        writeln!(file).and_then(|()| file.sync_all()).map_err(wrap)?;
        std::fs::rename(&part, &path).and_then(|()| File::open(&folder)?.sync_all()).map_err(wrap)
    }
}

/// Why a camera gave nothing that can be used.
fn nothing_from(camera: &str, counts: &LineCounts) -> Option<String> {
    let LineCounts { received, lost, unusable, .. } = *counts;
    match received {
        0 if lost > 0 => Some(format!("all {lost} lines of {camera} were lost")),
        0 => Some(format!("{camera} gave no line")),
        _ if unusable >= received => {
            Some(format!("none of the {received} lines of {camera} is usable; they were incomplete, or the belt stood or went back"))
        }
        _ => None,
    }
}

/// Records of files below `data_dir`, with their hashes. `hashes` knows files that were hashed before, and hashes the others.
pub(super) fn hashed(paths: &[PathBuf], data_dir: &Path, hashes: &Hashes, tick: &dyn Fn()) -> Result<Vec<FileRecord>, RecordError> {
    paths.iter().filter(|path| !hashes.knows(path)).for_each(|path| hashes.add(path.clone(), Hashed::default()));
    let mut found = hashes.finish(tick);
    paths
        .iter()
        .map(|path| {
            let missing = || Err(std::io::Error::other("the thread that hashes broke down"));
            let hash = found.remove(path).unwrap_or_else(missing);
            let (bytes, hash) = hash.map_err(|error| RecordError { path: path.clone(), error })?;
            let relative = path.strip_prefix(data_dir).unwrap_or(path).to_string_lossy().into_owned();
            Ok(FileRecord { path: relative, bytes, hash: Digest::Blake3(hash.to_hex().to_string()) })
        })
        .collect()
}

/// The record of a scan. `None` where there is none.
///
/// A record that cannot be read, is of a newer format, or is that of another scan, is logged. Text that is no scan id never reaches the
/// file system, and a record never leads out of its folder.
pub fn one(data_dir: &Path, id: &str) -> Option<ScanRecord> {
    named(data_dir, id).unwrap_or_else(|newer| {
        tracing::warn!(path = %newer.file.display(), error = %newer, "scan.json cannot be used");
        None
    })
}

/// The record of a scan that a user names, as [`one`] gives it.
///
/// # Errors
/// Its `scan.json` is of a newer format.
pub fn named(data_dir: &Path, id: &str) -> Result<Option<ScanRecord>, NewerFormat> {
    if !is_scan_id(id) {
        return Ok(None);
    }
    let path = data_dir.join("scans").join(id).join("scan.json");
    let Ok(text) = contract::read_regular_text(&path, ScanRecord::MOST_BYTES) else { return Ok(None) };
    let warn = |error: &dyn std::fmt::Display| tracing::warn!(path = %path.display(), %error, "scan.json cannot be used");
    match ScanRecord::parse(&text, &path) {
        Ok(record) if record.id == id => return Ok(Some(record)),
        Ok(record) => warn(&format_args!("it is the record of scan {:?}", record.id)),
        Err(ParseError::Newer(newer)) => return Err(newer),
        Err(error) => warn(&error),
    }
    Ok(None)
}

/// Every record below a data root, oldest first. A file that cannot be read is logged and skipped.
pub fn all(data_dir: &Path) -> Vec<ScanRecord> {
    let Ok(entries) = std::fs::read_dir(data_dir.join("scans")) else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut records: Vec<ScanRecord> = ids.filter_map(|id| one(data_dir, &id)).collect();
    records.sort_by(|a, b| a.id.cmp(&b.id));
    records
}

/// Writes the record and the configuration of a scan that begins.
///
/// # Errors
/// The disk does not take them.
pub fn begin(scan: &ScanRecord, loaded: &Loaded, data_dir: &Path) -> Result<(), RecordError> {
    let folder = data_dir.join("scans").join(&scan.id);
    let path = folder.join(CONFIGURATION);
    let write = || {
        create_folders(&folder, data_dir)?;
        let mut file = create_over(&path)?;
        // Paths in the configuration are relative to the place that it was read from.
        let from = std::path::absolute(&loaded.path)?;
        writeln!(file, "# {}", from.display())?;
        file.write_all(loaded.text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| RecordError { path: path.clone(), error })?;
    scan.write(data_dir)?;
    sync_folders(&folder, data_dir).map_err(|error| RecordError { path, error })
}

/// Writes the record of a scan that has ended. Its configuration stays beside it as long as it lacks embeddings.
///
/// # Errors
/// The disk does not take it.
pub(super) fn end(scan: &ScanRecord, data_dir: &Path) -> Result<(), RecordError> {
    scan.write(data_dir)?;
    if scan.lacks() {
        return Ok(());
    }
    let path = data_dir.join("scans").join(&scan.id).join(CONFIGURATION);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(RecordError { path, error }),
        _ => Ok(()),
    }
}

/// Collects the files below a folder, but hidden ones. Links, pipes and devices go to `others`.
fn list(folder: &Path, paths: &mut Vec<PathBuf>, others: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        // Where a file has the name of the folder, the scan has no files.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), paths, others)?;
        } else if !hidden {
            if kind.is_file() { paths.push(entry.path()) } else { others.push(entry.path()) }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_does_not_lead_out_of_its_folder_and_is_of_a_known_format() {
        let root = tempfile::tempdir().unwrap();
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/simulated.toml");
        let tray = serde_json::json!({"tray": "T", "container": [{"at": "A1", "sample": "a"}], "grid": {"rows": 1, "columns": 1}});
        let scan = ScanRecord::begin("20260101T000000Z-T", Tray::check(&tray).unwrap(), &Loaded::read(Path::new(config)).unwrap(), 0);
        scan.write(root.path()).unwrap();
        assert_eq!(one(root.path(), &scan.id).as_ref(), Some(&scan));
        let path = root.path().join("scans").join(&scan.id).join("scan.json");
        let text = std::fs::read_to_string(&path).unwrap();
        for id in ["../../elsewhere", "20260101T000000Z-U", ""] {
            std::fs::write(&path, text.replace(&scan.id, id)).unwrap();
            assert_eq!((one(root.path(), &scan.id), all(root.path())), (None, Vec::new()), "{id}");
        }
        for (stated, readable) in [("", true), ("\"format_version\": 1,", true), ("\"format_version\": 2,", false)] {
            std::fs::write(&path, text.replace("\"format_version\": 1,", stated)).unwrap();
            assert_eq!(one(root.path(), &scan.id), readable.then(|| scan.clone()), "{stated}");
            assert_eq!(all(root.path()).len(), usize::from(readable), "{stated}");
        }
        let newer = named(root.path(), &scan.id).unwrap_err();
        assert_eq!((newer.file.as_path(), newer.found, newer.known), (path.as_path(), 2, 1));
        // A newer record may have no key that this program knows.
        std::fs::write(&path, "{\"format_version\": 3, \"scan\": {}}").unwrap();
        assert!(named(root.path(), &scan.id).unwrap_err().to_string().ends_with("update hyclus"));
        std::fs::write(root.path().join("scan.json"), &text).unwrap();
        for id in ["..", ".", "", "20260101T000000Z-T/", "a/../20260101T000000Z-T", "a\0", "\u{fc}", &"x".repeat(129)] {
            assert_eq!(one(root.path(), id), None, "{id}");
        }
    }
}
