//! Makes the deferred embeddings of a scan from its sample files.
//!
//! The data set alone decides which embeddings are missing. However often this work is cut off, each valid spectrum gets one row.

use super::record::{self, RecordError, hashed};
use crate::config::{Config, EncoderConfig};
use crate::context::{EncoderContext, ScanContext, takes};
use crate::disk::Hashes;
use crate::encode::{EncodeStored, EncoderError, StoredLine};
use crate::join::{Axes, Row};
use crate::pipeline::{MineralsError, load_encoder};
use crate::publish::{self, DataSet, Part, Publish, PublishError};
use crate::scan::{Container, Ledger, MAIN, SampleRecord, ScanRecord};
use crate::segment::Sample;
use crate::store::{SampleError, StoreError, StoredSample};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Deferred embeddings cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The configuration has no such encoder.
    #[error("{scan} lacks embeddings of the encoder {encoder}, and the configuration has no such [[encoder]]; add it")]
    NoEncoder {
        /// The scan's id.
        scan: String,
        /// The encoder's name.
        encoder: String,
    },
    /// The configuration has no library of minerals.
    #[error("{scan} lacks minerals, and the configuration has no [minerals]; add it with a library")]
    NoLibrary {
        /// The scan's id.
        scan: String,
    },
    /// `scan.json` names a container that its tray map does not have.
    #[error("scan.json of {scan} has a sample {sample} in {container}, which its tray map does not have; it was changed by hand")]
    Unknown {
        /// The scan's id.
        scan: String,
        /// The sample's name.
        sample: String,
        /// The container's place on the tray.
        container: String,
    },
    /// The encoder does not fit, or fails.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The data set cannot be read or written.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The library of minerals has faults, or does not fit.
    #[error(transparent)]
    Minerals(#[from] MineralsError),
    /// A sample file cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sample file cannot be read.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// `scan.json` cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Bytes of a cube that are read at a time. At least one line is read.
pub(super) const BLOCK_BYTES: usize = 4 << 20;

/// The container of a stored sample.
pub(super) fn container_of(scan: &ScanRecord, record: &SampleRecord) -> Result<Container, CatchUpError> {
    scan.container_of(record).cloned().ok_or_else(|| {
        let (sample, container) = (record.sample.clone(), record.container.clone());
        CatchUpError::Unknown { scan: scan.id.clone(), sample, container }
    })
}

/// A stored sample as the stages know it. Its cube begins at its own first row and pixel.
pub(super) fn sample_of(number: usize, container: Container, stored: &StoredSample) -> Arc<Sample> {
    let (number, width) = (u16::try_from(number).unwrap_or(u16::MAX), stored.pixel_mm.len());
    Arc::new(Sample { number, container, first_row: 0, first_pixel: 0, width, rim_mm: 0.0, levels: Vec::new() })
}

/// A stored sample, and the pixels that lack an embedding.
struct Source {
    stored: StoredSample,
    sample: Arc<Sample>,
    /// Pixels that lack an embedding: lines x pixels, line by line.
    wanted: Vec<bool>,
    /// Pixels that have one: those whose bands the encoder can read.
    encoded: u64,
}

impl Source {
    fn open(number: usize, record: &SampleRecord, scan: &ScanRecord, folder: &Path, edge: bool) -> Result<Self, CatchUpError> {
        let container = container_of(scan, record)?;
        let stored = StoredSample::open(&folder.join(&record.file))?;
        let flags = stored.mask.iter().zip(&stored.quality);
        let wanted = flags.map(|(on_sample, quality)| *on_sample == 1 && takes(*quality, edge)).collect();
        Ok(Self { sample: sample_of(number, container, &stored), stored, wanted, encoded: 0 })
    }

    /// Marks the pixel of a published row, if it belongs to this file.
    ///
    /// The place decides as well, because two things found in one container have the same names.
    #[expect(clippy::cast_possible_truncation, reason = "coordinates are published as float32")]
    fn published(&mut self, row: &publish::PublishedRow<'_>) {
        if row.container != self.sample.container.at {
            return;
        }
        let (Ok(line), Ok(pixel)) = (usize::try_from(row.line), usize::try_from(row.pixel)) else { return };
        let here = self.stored.line_mm.get(line).zip(self.stored.pixel_mm.get(pixel));
        if here.is_some_and(|(y, x)| *y as f32 == row.y_mm && *x as f32 == row.x_mm) {
            self.encoded += u64::from(std::mem::take(&mut self.wanted[line * self.sample.width + pixel]));
        }
    }
}

/// Encodes the spectra that lack an embedding by the encoder `name`, and publishes the rows behind those that exist. Writes the record.
/// Gives the rows added.
///
/// A data set has one model for a scan. Where the published rows are of another model, or have other columns, all rows are made anew.
/// `pause` is asked before every line, and ends the work early. The record then still names the missing embeddings.
///
/// # Errors
/// The configuration has no such encoder, encoder or data set still fails, or a sample file cannot be read. Rows published by then are kept.
pub fn catch_up(
    scan: &mut ScanRecord,
    name: &str,
    config: &Config,
    data_dir: &Path,
    pause: &dyn Fn() -> bool,
) -> Result<u64, CatchUpError> {
    let wanted = configured(scan, name, config)?;
    let set = DataSet::of(data_dir, name);
    let folder = data_dir.join("scans").join(&scan.id);
    let open = |(number, record)| Source::open(number, record, scan, &folder, wanted.edge);
    let mut sources = scan.samples.iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = sources.first() else {
        *scan.encoder_entry(name).pending = None;
        return Ok(record::end(scan, data_dir).map(|()| 0)?);
    };
    let axes = Axes::of_bands(config.grid.pixel_mm, first.stored.wavelengths_nm.clone(), first.stored.fwhm_nm.clone());
    let encoder = load_encoder(config, data_dir, wanted, &axes)?;
    let about = encoder.context().clone();
    let context = context(scan, axes, about.clone());

    let mut parts = publish::published(&set, &scan.id)?;
    if !parts.iter().all(|part| part.fits(&context, &about, config.publish.spectra)) {
        tracing::warn!(scan = %scan.id, parts = parts.len(), "the embeddings are of another encoder, and are made anew");
        // The record is written first. If this is cut off, no record names files that are gone.
        note_published(scan, name, &[], data_dir)?;
        publish::withdraw(&set, &scan.id)?;
        *scan.encoder_entry(name).embeddings = 0;
        parts.clear();
    }
    if parts.iter().any(publish::PublishedPart::older) {
        // One scan has one format, because Spark and others read it as one table.
        upgrade_set(scan, name, data_dir)?;
        parts = publish::published(&set, &scan.id)?;
    }
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, source) in sources.iter().enumerate() {
        by_name.entry(source.sample.container.sample.clone()).or_default().push(at);
    }
    for part in &parts {
        part.each(&mut |row| by_name.get(row.sample).into_iter().flatten().for_each(|at| sources[*at].published(&row)))?;
    }
    let mut publish = Publish::resume(&context, &about, &config.publish, &set)?;
    let mut stage = EncodeStored::new(encoder, config.publish.spectra);
    let mut results = sources.iter_mut().map(|source| encode(source, &mut stage, &mut publish, pause));
    let encoded = results.try_fold(true, |all, whole| whole.map(|whole| all && whole));
    // Encoded rows are kept, whatever failed after them.
    let closed = publish.end_of_scan(&mut |_| {});
    let before = *scan.encoder_entry(name).embeddings;
    scan.note_encoder(name, wanted.shadow, Some(&about.sha256));
    scan.note_novelty(name, about.novelty.then_some(wanted.max_novel));
    note_published(scan, name, &publish::published(&set, &scan.id)?, data_dir)?;
    let complete = encoded?;
    closed?;
    if complete {
        if name == MAIN {
            // Only the encoder tells which pixels with missing bands are valid.
            scan.samples.iter_mut().zip(&sources).for_each(|(sample, source)| sample.valid = source.encoded);
        }
        *scan.encoder_entry(name).pending = None;
        record::end(scan, data_dir)?;
    }
    Ok((*scan.encoder_entry(name).embeddings).saturating_sub(before))
}

/// The section of an encoder in the configuration.
fn configured<'a>(scan: &ScanRecord, name: &str, config: &'a Config) -> Result<&'a EncoderConfig, CatchUpError> {
    config.encoder.get(name).ok_or_else(|| CatchUpError::NoEncoder { scan: scan.id.clone(), encoder: name.to_owned() })
}

/// Makes what a scan lacks of all encoders but shadows, as [`catch_up`] does. Gives the rows added.
///
/// # Errors
/// The errors of [`catch_up`]. The first one ends the work.
pub fn catch_up_all(scan: &mut ScanRecord, config: &Config, data_dir: &Path) -> Result<u64, CatchUpError> {
    let lacking: Vec<String> = scan.lacking().map(|(encoder, _)| encoder.to_owned()).collect();
    lacking.iter().map(|encoder| catch_up(scan, encoder, config, data_dir, &|| false)).sum()
}

/// Encodes an ended scan by the encoder `name`, whether it did so before or not. Rows of another model are made anew. Gives the rows added.
///
/// # Errors
/// The errors of [`catch_up`].
pub fn encode_again(scan: &mut ScanRecord, name: &str, config: &Config, data_dir: &Path) -> Result<u64, CatchUpError> {
    let shadow = configured(scan, name, config)?.shadow;
    // The record says so first, so that what is cut off is gone on with.
    let known = scan.encoder_entry(name).sha256.clone();
    scan.note_encoder(name, shadow, known.as_deref());
    scan.encoder_entry(name).pending.get_or_insert_with(|| crate::scan::Pending::because("it was to be encoded again".to_owned()));
    scan.write(data_dir)?;
    catch_up(scan, name, config, data_dir, &|| false)
}

/// Writes the parts of a scan that are of an older format again in this one, with the same rows. Gives their number.
///
/// # Errors
/// A part cannot be read or written, or the record cannot be written. What was written by then remains, and a further call goes on.
pub fn upgrade(scan: &mut ScanRecord, data_dir: &Path) -> Result<usize, CatchUpError> {
    scan.encoder_names().iter().map(|encoder| upgrade_set(scan, encoder, data_dir)).sum()
}

/// Does the same in the data set of one encoder.
fn upgrade_set(scan: &mut ScanRecord, encoder: &str, data_dir: &Path) -> Result<usize, CatchUpError> {
    let set = DataSet::of(data_dir, encoder);
    let parts = publish::published(&set, &scan.id)?;
    let noted = |part: &publish::PublishedPart| scan.files.iter().any(|file| data_dir.join(&file.path) == part.path);
    let whole = parts.iter().all(noted);
    let (older, present): (Vec<_>, Vec<_>) = parts.into_iter().partition(publish::PublishedPart::older);
    if older.is_empty() && whole {
        return Ok(0);
    }
    // The record is written first. If this is cut off, no record has the hash of a file that was replaced.
    note_published(scan, encoder, &present, data_dir)?;
    for part in &older {
        publish::upgrade(&set, &scan.id, part)?;
    }
    note_published(scan, encoder, &publish::published(&set, &scan.id)?, data_dir)?;
    Ok(older.len())
}

/// Encodes the spectra of one sample that lack an embedding. Gives false where `pause` ended it early.
fn encode(source: &mut Source, stage: &mut EncodeStored, publish: &mut Publish, pause: &dyn Fn() -> bool) -> Result<bool, CatchUpError> {
    let Source { stored, sample, wanted, encoded } = source;
    let (lines, width) = (stored.line_mm.len(), sample.width);
    let block = (BLOCK_BYTES / (4 * width * stored.wavelengths_nm.len()).max(1)).max(1);
    let mut failed = None;
    let mut out = |batch| {
        if failed.is_none() {
            failed = publish.process(&batch, &mut |_: Part| {}).err();
        }
    };
    let mut whole = true;
    'blocks: for first in (0..lines).step_by(block) {
        let last = (first + block).min(lines);
        if !wanted[first * width..last * width].contains(&true) {
            continue;
        }
        let values = stored.lines(first..last)?;
        for (line, spectra) in (first..last).zip(values.outer_iter()) {
            if pause() {
                whole = false;
                break 'blocks;
            }
            let quality = stored.quality.row(line).to_vec();
            let time_ns = stored.time_ns.get(line).copied().unwrap_or_default();
            let row = Row { index: 0, time_ns, spectra: spectra.iter().copied().collect::<Vec<f32>>().into(), quality };
            let number = u32::try_from(line).unwrap_or(u32::MAX);
            let line = StoredLine { sample, line: number, y_mm: stored.line_mm[line], pixels_mm: &stored.pixel_mm, row: &row };
            let first = number as usize * width;
            *encoded += stage.process(&line, |pixel| wanted[first + pixel], &mut out)?;
        }
    }
    stage.end(&mut out)?;
    failed.map_or(Ok(whole), |error| Err(error.into()))
}

/// Writes the record with the published parts of an encoder and the missing embeddings.
fn note_published(scan: &mut ScanRecord, encoder: &str, parts: &[publish::PublishedPart], data_dir: &Path) -> Result<(), CatchUpError> {
    let folder = DataSet::of(data_dir, encoder).scan_folder(&scan.id);
    let is_part = |path: &str| data_dir.join(path).starts_with(&folder);
    let (known, others): (Vec<_>, Vec<_>) = std::mem::take(&mut scan.files).into_iter().partition(|file| is_part(&file.path));
    scan.files = others;
    let (mut noted, mut unknown) = (Vec::new(), Vec::new());
    for part in parts {
        match known.iter().find(|file| data_dir.join(&file.path) == part.path) {
            Some(file) => noted.push(file.clone()),
            None => unknown.push(part.path.clone()),
        }
    }
    let hashes = Hashes::start(1).map_err(|error| RecordError { path: folder.clone(), error })?;
    noted.extend(hashed(&unknown, data_dir, &hashes, &|| {})?);
    scan.files.extend(noted);
    scan.files.sort_by(|a, b| a.path.cmp(&b.path));
    *scan.encoder_entry(encoder).embeddings = parts.iter().map(|part| part.rows).sum();
    if let Some(reason) = scan.pending_of(encoder).map(|pending| pending.reason.clone()) {
        scan.count_pending_of(encoder, data_dir);
        // The samples' files alone say whether anything is missing. The scan stays pending until they were read.
        scan.encoder_entry(encoder).pending.get_or_insert_with(|| crate::scan::Pending::because(reason));
    }
    Ok(scan.write(data_dir)?)
}

/// The context of an ended scan, for the stages.
fn context(scan: &ScanRecord, axes: Axes, encoder: EncoderContext) -> ScanContext {
    ScanContext {
        uncertainty: None,
        scan_id: scan.id.clone(),
        start_ns: 0,
        tray: scan.tray.clone(),
        axes,
        cameras: Vec::new(),
        encoder: Some(encoder),
        ledger: Arc::new(Ledger::new(0)),
        configuration: String::new(),
        configuration_sha256: scan.configuration_sha256.clone(),
    }
}
