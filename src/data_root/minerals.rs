//! Counts the samples of a scan that lack their minerals, and identifies them from their files.
//!
//! A sample is identified as a whole. Its file is replaced by a copy that holds the minerals, then its part of the data set appears, and
//! then the record says so. Cut off anywhere, the same is done again and gives the same.

use super::catch_up::{BLOCK_BYTES, CatchUpError, container_of, sample_of};
use super::record::{self, RecordError, hashed};
use crate::config::{Compression, Config};
use crate::disk::{Hashes, create_over, open_plain};
use crate::identify::METHOD_VERSION;
use crate::join::Axes;
use crate::minerals::{About, Found, Place, Reader, summary};
use crate::pipeline;
use crate::publish::{self, PublishMinerals};
use crate::quicklook::{self, MineralMap};
use crate::scan::{PendingMinerals, Quality, SampleMinerals, SampleRecord, ScanRecord};
use crate::store::{SampleError, StoredSample, add_minerals, minerals_library, read_minerals};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl ScanRecord {
    /// Notes why minerals were deferred. A sample of which more than the share `most` is not identified gets a warning.
    pub(super) fn minerals_found(&mut self, reason: Option<String>, most: f64) {
        let Some(minerals) = &mut self.minerals else { return };
        if let Some(reason) = reason {
            minerals.pending = Some(PendingMinerals { reason, samples: Vec::new() });
        }
        self.warnings.extend(self.samples.iter().filter_map(|sample| sample.not_identified(most)));
    }

    /// Lists the samples that lack their minerals. Without such a sample, none are pending any more.
    pub(super) fn count_pending_minerals(&mut self, data_dir: &Path) {
        let Some(minerals) = &mut self.minerals else { return };
        let reason_of = |sample: &SampleRecord| match &sample.minerals {
            None => Some("it is not identified yet".to_owned()),
            Some(SampleMinerals { deferred: Some(reason), .. }) => Some(reason.clone()),
            Some(of) if of.pixels > 0 && !publish::minerals_part(data_dir, &self.id, of.part).is_file() => {
                Some("its minerals are not in the data set".to_owned())
            }
            Some(_) => None,
        };
        let lacking: Vec<(String, String)> =
            self.samples.iter().filter_map(|sample| Some((sample.file.clone(), reason_of(sample)?))).collect();
        let known = minerals.pending.take().map(|pending| pending.reason);
        let first = lacking.first().map(|(_, reason)| reason.clone());
        let samples: Vec<String> = lacking.into_iter().map(|(file, _)| file).collect();
        minerals.pending = known.or(first).filter(|_| !samples.is_empty()).map(|reason| PendingMinerals { reason, samples });
    }
}

/// Identifies the samples that lack their minerals. Writes the record. Gives their number.
///
/// A scan has one library. Where the record names another, all samples are identified anew. `pause` is asked before every block of
/// lines, and ends the work early. The record then still names the samples that lack their minerals.
///
/// # Errors
/// The configuration has no library or a faulty one, the data set or a file cannot be written, or a sample file cannot be read. Samples
/// identified by then are kept.
pub fn catch_up_minerals(scan: &mut ScanRecord, config: &Config, data_dir: &Path, pause: &dyn Fn() -> bool) -> Result<u64, CatchUpError> {
    if scan.pending_minerals().is_none() {
        return Ok(0);
    }
    scan.count_pending_minerals(data_dir);
    let wanted = config.minerals.as_ref().ok_or_else(|| CatchUpError::NoLibrary { scan: scan.id.clone() })?;
    let folder = data_dir.join("scans").join(&scan.id);
    let Some(first) = scan.samples.first() else { return Ok(record::end(scan, data_dir).map(|()| 0)?) };
    let bands = StoredSample::open(&folder.join(&first.file))?;
    let axes = Axes::of_bands(config.grid.pixel_mm, bands.wavelengths_nm, bands.fwhm_nm);
    let (identifier, about) = pipeline::identifier(wanted, &axes)?;
    let mut reader = Reader::new(identifier, axes.bands());
    let anew = begin(scan, &about);
    let pending = scan.pending_minerals().map(|pending| pending.samples.clone()).unwrap_or_default();
    let numbered = |file: &String| scan.samples.iter().position(|sample| sample.file == *file);
    let wanted: Vec<usize> = pending.iter().filter_map(numbered).collect();
    let touched = touched(scan, &wanted, data_dir);
    // The record is written first. If this is cut off, no record has the hash of a file that was replaced.
    scan.files.retain(|file| !touched.contains(&data_dir.join(&file.path)));
    scan.write(data_dir)?;
    if anew {
        publish::withdraw_minerals(data_dir, &scan.id)?;
    }
    let publish = PublishMinerals::new(data_dir, &scan.id, &scan.tray.keys, &about)?;
    let deflate = (config.store.compression == Compression::Deflate).then_some(config.store.deflate_level);
    let (mut done, mut result) = (0, Ok(()));
    for at in wanted {
        match identify(scan, at, &mut reader, &about, (&publish, deflate, &folder), pause) {
            Ok(Some(found)) => {
                scan.samples[at].minerals = Some(found);
                let most = config.minerals.as_ref().map_or(1.0, |minerals| minerals.max_not_identified);
                let warning = scan.samples[at].not_identified(most).filter(|warning| !scan.warnings.contains(warning));
                scan.warnings.extend(warning);
                done += 1;
            }
            // It was paused.
            Ok(None) => break,
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    scan.count_pending_minerals(data_dir);
    draw(scan, data_dir);
    // What was identified is kept, whatever failed after it.
    note(scan, &touched, data_dir)?;
    record::end(scan, data_dir)?;
    result.map(|()| done)
}

/// Notes the library in the record. Where the record names another, all samples lack their minerals. Gives whether that is so.
fn begin(scan: &mut ScanRecord, about: &About) -> bool {
    let Some(minerals) = &mut scan.minerals else { return false };
    let anew = (&minerals.library_sha256, minerals.method) != (&about.sha256, METHOD_VERSION);
    if anew {
        let reason = "the library of minerals is another one";
        for (at, sample) in (0..).zip(&mut scan.samples) {
            let part = sample.minerals.as_ref().map_or(at, |of| of.part);
            sample.minerals = Some(SampleMinerals::deferred(part, reason.to_owned()));
        }
        let samples = scan.samples.iter().map(|sample| sample.file.clone()).collect();
        let before = minerals.pending.take().map(|pending| pending.reason);
        minerals.pending = Some(PendingMinerals { reason: before.unwrap_or_else(|| reason.to_owned()), samples });
        (minerals.library, minerals.library_sha256) = (about.library.clone(), about.sha256.clone());
        minerals.method = METHOD_VERSION;
    }
    anew
}

/// Number of the part of a sample.
fn part_of(scan: &ScanRecord, at: usize) -> u32 {
    scan.samples[at].minerals.as_ref().map_or_else(|| u32::try_from(at).unwrap_or(u32::MAX), |of| of.part)
}

/// The files that change when some samples are identified.
fn touched(scan: &ScanRecord, samples: &[usize], data_dir: &Path) -> BTreeSet<PathBuf> {
    let folder = data_dir.join("scans").join(&scan.id);
    let of = |at: &usize| [folder.join(&scan.samples[*at].file), publish::minerals_part(data_dir, &scan.id, part_of(scan, *at))];
    samples.iter().flat_map(of).chain([folder.join(PICTURE)]).collect()
}

/// Notes files with their hashes, as far as they are there.
fn note(scan: &mut ScanRecord, files: &BTreeSet<PathBuf>, data_dir: &Path) -> Result<(), RecordError> {
    let paths: Vec<PathBuf> = files.iter().filter(|path| path.is_file()).cloned().collect();
    let hashes = Hashes::start(1).map_err(|error| RecordError { path: data_dir.to_owned(), error })?;
    scan.files.extend(hashed(&paths, data_dir, &hashes, &|| {})?);
    scan.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(())
}

/// Identifies a sample from its file. Gives its summary, or `None` where `pause` ended it early.
fn identify(
    scan: &ScanRecord,
    at: usize,
    reader: &mut Reader,
    about: &Arc<About>,
    (publish, deflate, folder): (&PublishMinerals, Option<u8>, &Path),
    pause: &dyn Fn() -> bool,
) -> Result<Option<SampleMinerals>, CatchUpError> {
    let record = &scan.samples[at];
    let container = container_of(scan, record)?;
    let path = folder.join(&record.file);
    let stored = StoredSample::open(&path)?;
    let mut found = Found::new(&sample_of(at, container, &stored), about, stored.pixel_mm.clone());
    found.part = part_of(scan, at);
    if !read(&stored, reader, &mut found, pause)? {
        return Ok(None);
    }
    let summary = summary(&found);
    // It may have been cut off before its part was there.
    if minerals_library(&stored)? != Some((about.sha256.clone(), METHOD_VERSION)) {
        drop(stored);
        replace(&path, |copy| Ok(add_minerals(copy, &found, &summary, deflate)?))?;
    }
    publish.write(&found)?;
    Ok(Some(summary))
}

/// Judges the lines of a stored sample. Gives false where `pause` ended it early.
fn read(stored: &StoredSample, reader: &mut Reader, found: &mut Found, pause: &dyn Fn() -> bool) -> Result<bool, SampleError> {
    let (lines, width, bands) = (stored.line_mm.len(), stored.pixel_mm.len(), stored.wavelengths_nm.len());
    let block = (BLOCK_BYTES / (4 * width * bands).max(1)).max(1);
    for first in (0..lines).step_by(block) {
        if pause() {
            return Ok(false);
        }
        let last = (first + block).min(lines);
        let values = stored.lines(first..last)?.into_raw_vec_and_offset().0;
        for (line, spectra) in (first..last).zip(values.chunks_exact((width * bands).max(1))) {
            let (mask, quality) = (stored.mask.row(line), stored.quality.row(line).to_vec());
            let takes = |pixel: usize| mask[pixel] == 1 && Quality::valid(quality[pixel]);
            let write = |pixels: std::ops::Range<usize>, to: &mut [f32]| {
                to.copy_from_slice(&spectra[pixels.start * bands..pixels.end * bands]);
            };
            let number = u32::try_from(line).unwrap_or(u32::MAX);
            let place = Place { line: number, y_mm: stored.line_mm[line], time_ns: stored.time_ns[line] };
            reader.line(place, &quality, takes, write, found);
        }
    }
    Ok(true)
}

/// Name of the picture of the minerals in the folder of a scan.
const PICTURE: &str = "minerals.png";

/// Draws the minerals of a scan's samples, as far as they are identified. A picture that cannot be drawn is logged.
pub(super) fn draw(scan: &ScanRecord, data_dir: &Path) {
    if scan.minerals.is_none() {
        return;
    }
    let folder = data_dir.join("scans").join(&scan.id);
    let mut names = Vec::new();
    let mut maps = Vec::new();
    for sample in &scan.samples {
        let Some(of) = sample.minerals.as_ref().filter(|of| of.deferred.is_none()) else { continue };
        match read_minerals(&folder.join(&sample.file)) {
            Ok(Some(found)) => {
                let label = sample.container.clone();
                let first = |mm: &[f64]| mm.first().copied().unwrap_or_default();
                let (x_mm, y_mm) = (first(&found.pixels_mm), first(&found.lines_mm));
                let spacing = found.pixels_mm.get(1).map_or(1.0, |next| next - x_mm);
                let code = |name: &str| (1..).zip(&found.names).find(|(_, known)| **known == name.replace('_', " ")).map(|(code, _)| code);
                let of_group = |group: usize| {
                    let shares = of.groups.get(group).into_iter().flat_map(|group| &group.minerals);
                    shares.filter_map(|(name, share)| Some((code(name)?, share.share))).collect()
                };
                let (shares, not_identified) = ([of_group(0), of_group(1)], of.not_identified.unwrap_or_default().share);
                let (width, codes, judged) = (found.pixels_mm.len(), found.winner, of.pixels);
                maps.push((spacing, MineralMap { label, x_mm, y_mm, width, codes, shares, not_identified, judged }));
                names = found.names;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the minerals of a sample are not in the picture"),
        }
    }
    let Some(pixel_mm) = maps.first().map(|(spacing, _)| *spacing) else { return };
    let maps: Vec<MineralMap> = maps.into_iter().map(|(_, map)| map).collect();
    if let Err(error) = quicklook::minerals(&maps, &names, pixel_mm, &folder.join(PICTURE)) {
        tracing::warn!(%error, "no picture of the minerals");
    }
}

/// Replaces a file by a copy that `change` changed. Until then the copy has a hidden name.
fn replace(path: &Path, change: impl FnOnce(&Path) -> Result<(), CatchUpError>) -> Result<(), CatchUpError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let copy = path.with_file_name(format!(".{name}.part"));
    let failed = |error| RecordError { path: copy.clone(), error };
    let copied = || {
        let mut to = create_over(&copy)?;
        std::io::copy(&mut open_plain(path, File::options().read(true), 0)?, &mut to)
    };
    let result = copied().map_err(failed).map_err(CatchUpError::from).and_then(|_| change(&copy));
    let folder = path.parent().unwrap_or(path);
    let renamed = || std::fs::rename(&copy, path).and_then(|()| File::open(folder)?.sync_all());
    let result = result.and_then(|()| Ok(renamed().map_err(failed)?));
    if result.is_err() {
        let _ = std::fs::remove_file(&copy);
    }
    result
}
