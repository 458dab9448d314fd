//! Estimates the bytes that a scan writes, and checks that the disk has room and is fast enough.

use crate::config::{Config, DiskConfig};
use crate::disk::{free_bytes, write_rate};
use crate::pipeline::build::tray_length_mm;
use crate::scan::{Container, Tray};
use contract::{CameraDescription, Layout};
use serde::Serialize;
use std::path::Path;

/// Bytes of a row of the Parquet data set beside its embedding and its spectrum.
const ROW_BYTES: f64 = 48.0;
/// Bytes of a row of `lines.csv`.
const TABLE_ROW_BYTES: f64 = 64.0;
/// Bytes of the headers of a camera's recordings.
const HEADERS_BYTES: f64 = 65_536.0;
/// Bytes of a sample file per detector element. They hold dark and white level, their deviations, the dark level of the white reference, and
/// the mark of a bad element.
const ELEMENT_BYTES: f64 = 21.0;
/// Bytes of a sample file per column and band of its cube: the coefficients of the variance.
const VARIANCE_BYTES: f64 = 20.0;
/// Bytes of a pixel for its minerals and features, in the sample file and in the data set.
const MINERALS_BYTES: f64 = 600.0;
/// Bytes of mask and quality of a pixel.
const FLAGS_BYTES: f64 = 2.0;
/// Other bytes of a sample file: provenance, axes, and HDF5's own structures.
const PROVENANCE_BYTES: f64 = 262_144.0;
/// References of a scan: a dark and a white one, the dark one of the white one, and a dark one after the scan.
const REFERENCES: f64 = 4.0;
/// Bytes of a MiB, the unit of figures for people.
pub(crate) const MIB: f64 = 1_048_576.0;

/// Facts of a camera that decide how much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detector {
    /// Layout of its frames.
    pub layout: Layout,
    /// Whether it plays a recording, which arrives as fast as it is read.
    pub recorded: bool,
}

impl Detector {
    /// The detector of an opened camera.
    pub fn of(camera: &CameraDescription) -> Self {
        Self { layout: camera.layout, recorded: camera.recorded }
    }
}

/// Estimate of a scan's output, in bytes, and in bytes/s while the belt moves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Needed {
    /// Bytes of the raw recording.
    pub recording: f64,
    /// Bytes of the sample files.
    pub samples: f64,
    /// Bytes of lines on the cameras' own grids, both while they wait and in the samples.
    pub native: f64,
    /// Bytes of the embeddings.
    pub embeddings: f64,
    /// Bytes of the references.
    pub references: f64,
    /// Rate while the belt moves, bytes/s.
    pub bytes_per_s: f64,
}

impl Needed {
    /// Sum of all parts, bytes.
    pub fn bytes(&self) -> f64 {
        self.recording + self.samples + self.native + self.embeddings + self.references
    }

    /// Sum of all parts, MiB.
    pub fn mib(&self) -> f64 {
        self.bytes() / MIB
    }

    /// Rate that the disk must sustain, bytes/s.
    pub fn wanted_bytes_per_s(&self, config: &DiskConfig) -> f64 {
        self.bytes_per_s * config.rate_ratio
    }
}

/// Estimates the output of a scan of `tray`. `dimensions` are the lengths of the embeddings of all known encoders.
///
/// Gives `None` where a camera plays a recording, or a layout, a rate or the tray's length is unknown.
pub fn needed(config: &Config, cameras: &[Detector], tray: &Tray, dimensions: &[usize]) -> Option<Needed> {
    let known = |camera: &Detector| !camera.recorded && camera.layout.bytes() > 0;
    let moving = config.conveyor.speed_mm_per_s > 0.0 && config.camera.iter().all(|camera| camera.frame_rate_hz > 0.0);
    if !moving || !cameras.iter().all(known) {
        return None;
    }
    let length_mm = tray_length_mm(config, tray).ok()? + 2.0 * config.margin_mm();
    let layouts: Vec<Layout> = cameras.iter().map(|camera| camera.layout).collect();
    let mut needed = results(config, &layouts, tray, length_mm, dimensions);
    for (of, layout) in config.camera.iter().zip(layouts) {
        #[expect(clippy::cast_precision_loss, reason = "a detector")]
        let (elements, frame) = (layout.elements() as f64, layout.bytes() as f64);
        let lines = of.frame_rate_hz / config.conveyor.speed_mm_per_s * length_mm;
        if config.scan.record {
            needed.recording += lines * (frame + TABLE_ROW_BYTES) + HEADERS_BYTES;
        }
        if config.store.native {
            needed.native += 2.0 * lines * elements * 4.0;
        }
        needed.references += REFERENCES * config.references.as_ref().map_or(0.0, |references| f64::from(references.frames)) * frame;
    }
    needed.bytes_per_s = (needed.bytes() - needed.references) / length_mm * config.conveyor.speed_mm_per_s;
    Some(needed)
}

/// Estimates the output of processing recordings that cover `length_mm` of the tray, mm. `recorded` is the layout and the number of lines
/// of each.
pub fn needed_again(config: &Config, recorded: &[(Layout, u64)], tray: &Tray, length_mm: f64, dimensions: &[usize]) -> Needed {
    let layouts: Vec<Layout> = recorded.iter().map(|(layout, _)| *layout).collect();
    let mut needed = results(config, &layouts, tray, length_mm, dimensions);
    if config.store.native {
        #[expect(clippy::cast_precision_loss, reason = "a detector, and lines of a file")]
        let of = |(layout, lines): &(Layout, u64)| 2.0 * *lines as f64 * layout.elements() as f64 * 4.0;
        needed.native = recorded.iter().map(of).sum();
    }
    needed
}

/// Estimates the samples and the embeddings of a tray whose scan is `length_mm` long, mm.
fn results(config: &Config, cameras: &[Layout], tray: &Tray, length_mm: f64, dimensions: &[usize]) -> Needed {
    #[expect(clippy::cast_precision_loss, reason = "a detector")]
    let (bands, tables) = cameras
        .iter()
        .map(|layout| (layout.bands as f64, ELEMENT_BYTES * layout.elements() as f64))
        .fold((0.0, 0.0), |sums, of| (sums.0 + of.0, sums.1 + of.1));
    #[expect(clippy::cast_precision_loss, reason = "numbers of an embedding")]
    let row = |dimensions: &usize| ROW_BYTES + 4.0 * *dimensions as f64 + if config.publish.spectra { 4.0 * bands } else { 0.0 };
    let minerals = if config.minerals.is_some() { MINERALS_BYTES } else { 0.0 };
    let pixels = covered_mm(config, tray, length_mm) / config.grid.pixel_mm.powi(2) * length_mm;
    #[expect(clippy::cast_precision_loss, reason = "containers of a tray")]
    let files = tray.containers.len() as f64;
    Needed {
        samples: pixels * (4.0 * bands + FLAGS_BYTES + minerals)
            + files * (tables + PROVENANCE_BYTES)
            + columns(config, tray) * bands * VARIANCE_BYTES,
        embeddings: pixels * dimensions.iter().map(row).sum::<f64>(),
        ..Needed::default()
    }
}

/// Columns of the cubes of all samples. Without footprints, a sample has its share of the belt's width.
fn columns(config: &Config, tray: &Tray) -> f64 {
    let beside = tray.grid.map_or(1, |grid| grid.columns.max(1));
    #[expect(clippy::cast_precision_loss, reason = "a tray has few columns")]
    let share_mm = config.across_mm() / beside as f64;
    let width_mm = |container: &Container| container.footprint.map_or(share_mm, |f| f.width_mm + 2.0 * config.segment.margin_mm);
    tray.containers.iter().map(|container| width_mm(container) / config.grid.pixel_mm).sum()
}

/// Mean width of belt that samples cover over the tray, mm.
///
/// It follows from the footprints of the containers. Without footprints, it is the whole width.
fn covered_mm(config: &Config, tray: &Tray, length_mm: f64) -> f64 {
    let across_mm = config.across_mm();
    let rim_mm = 2.0 * config.segment.margin_mm;
    let area = |footprint: crate::scan::Footprint| (footprint.width_mm + rim_mm) * (footprint.length_mm + rim_mm);
    let areas: Option<f64> = tray.containers.iter().map(|container| container.footprint.map(area)).sum();
    areas.map_or(across_mm, |area| (area / length_mm.max(config.grid.pixel_mm)).min(across_mm))
}

/// Free space on the disk that holds `data_dir`, MiB.
///
/// # Errors
/// The system does not give the free space.
pub fn free_mib(data_dir: &Path) -> std::io::Result<f64> {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a disk")]
    Ok(free_bytes(data_dir)? as f64 / MIB)
}

/// Checks that the disk has room for a scan and is fast enough. Gives the measured rate, bytes/s, where the rate was tried.
///
/// # Errors
/// The disk is too full, too slow, or cannot be examined. The text has both figures and a remedy.
pub fn check(config: &DiskConfig, direct: bool, data_dir: &Path, needed: Option<Needed>) -> Result<Option<u64>, String> {
    let place = data_dir.display();
    let unknown = |error: std::io::Error| {
        let advice = crate::disk::advice(&error, "check that it is mounted and can be written to");
        format!("the disk of {place} cannot be looked at: {error}; {advice}")
    };
    let free = free_mib(data_dir).map_err(unknown)?;
    let plan = needed.map_or(0.0, |needed| needed.mib());
    #[expect(clippy::cast_precision_loss, reason = "bytes of a disk")]
    let reserve = config.reserve_mib as f64;
    if free < plan + reserve {
        return Err(format!(
            "the disk of {place} has {free:.0} MiB free, and the scan needs {plan:.0} MiB and {reserve:.0} MiB in reserve (disk.reserve_mib); remove old scans, or use another disk (rig.data_dir)"
        ));
    }
    let Some(needed) = needed.filter(|_| config.check_rate) else { return Ok(None) };
    let wanted = needed.wanted_bytes_per_s(config);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate of some MB/s")]
    let rate = write_rate(data_dir, direct, wanted as u64).map_err(unknown)?;
    #[expect(clippy::cast_precision_loss, reason = "a rate of some MB/s")]
    let (measured, wanted, plan) = (rate as f64 / 1e6, wanted / 1e6, needed.bytes_per_s / 1e6);
    if measured < wanted {
        return Err(format!(
            "the disk of {place} takes {measured:.1} MB/s, and the scan writes {plan:.1} MB/s, for which it should take {wanted:.1} MB/s (disk.rate_ratio); look for what else writes there, use a faster disk, or switch this off with disk.check_rate = false"
        ));
    }
    Ok(Some(rate))
}
