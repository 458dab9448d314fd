//! Whether the disk has room for a scan, and takes it fast enough.

use super::super::Tray;
use super::super::assemble::tray_length_mm;
use super::Conductor;
use crate::config::{DiskConfig, Rig};
use crate::disk::{free_bytes, write_rate};
use contract::{CameraDescription, PixelFormat};
use std::path::Path;

/// Bytes of a row of the Parquet data set beside its embedding and its spectrum.
const ROW: f64 = 48.0;
/// A dark and a white reference, and a dark one after the scan.
const REFERENCES: f64 = 3.0;

/// What a scan writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Needed {
    /// In all, bytes.
    bytes: f64,
    /// While the belt moves, bytes/s.
    bytes_per_s: f64,
}

/// What a scan of `tray` writes: the recording, the cubes, what is kept of native lines, the embeddings. `None` where the cameras play
/// recordings, which come as fast as they are taken.
pub(super) fn needed(rig: &Rig, cameras: &[&CameraDescription], tray: &Tray, dimensions: Option<usize>) -> Option<Needed> {
    if cameras.iter().any(|camera| camera.recorded) {
        return None;
    }
    let length_mm = tray_length_mm(rig, tray).ok()? + 2.0 * rig.scan.margin_mm;
    let (mut per_mm, mut bands, mut references) = (0.0, 0.0, 0.0);
    for (config, camera) in rig.camera.iter().zip(cameras) {
        let value = match camera.layout.format {
            PixelFormat::U16 => 2.0,
            PixelFormat::F32 => 4.0,
        };
        #[expect(clippy::cast_precision_loss, reason = "a detector")]
        let (elements, of_line) = ((camera.layout.pixels * camera.layout.bands) as f64, camera.layout.bands as f64);
        let lines_per_mm = config.frame_rate_hz / rig.conveyor.speed_mm_per_s;
        if rig.scan.record {
            per_mm += lines_per_mm * elements * value;
        }
        if rig.store.native {
            // Once while they wait, and once in the samples.
            per_mm += 2.0 * lines_per_mm * elements * 4.0;
        }
        bands += of_line;
        references += REFERENCES * rig.references.as_ref().map_or(0.0, |references| f64::from(references.frames)) * elements * value;
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of an embedding")]
    let row = dimensions.map_or(0.0, |dimensions| ROW + 4.0 * dimensions as f64 + if rig.publish.spectra { 4.0 * bands } else { 0.0 });
    let pixels_per_mm = covered_mm(rig, tray, length_mm) / rig.grid.pixel_mm.powi(2);
    per_mm += pixels_per_mm * (4.0 * bands + row);
    Some(Needed { bytes: per_mm * length_mm + references, bytes_per_s: per_mm * rig.conveyor.speed_mm_per_s })
}

/// Width of the belt that samples cover, mm, mean over the tray: from the places of the containers, where the map gives them, else all.
fn covered_mm(rig: &Rig, tray: &Tray, length_mm: f64) -> f64 {
    let across_mm = rig.across_mm();
    let rim_mm = 2.0 * rig.segment.margin_mm;
    let area = |footprint: super::super::Footprint| (footprint.width_mm + rim_mm) * (footprint.length_mm + rim_mm);
    let areas: Option<f64> = tray.containers.iter().map(|container| container.footprint.map(area)).sum();
    areas.map_or(across_mm, |area| (area / length_mm).min(across_mm))
}

/// Refuses a scan that the disk has no room for, or does not take fast enough: both figures, and what to do. Gives how fast it was
/// written, bytes/s, where that was tried.
pub(super) fn check(config: &DiskConfig, direct: bool, data_dir: &Path, needed: Option<Needed>) -> Result<Option<u64>, String> {
    const MIB: f64 = 1_048_576.0;
    let place = data_dir.display();
    let unknown = |error| format!("the disk of {place} cannot be looked at: {error}; check that it is mounted and can be written to");
    #[expect(clippy::cast_precision_loss, reason = "bytes of a disk")]
    let free = free_bytes(data_dir).map_err(unknown)? as f64 / MIB;
    let plan = needed.map_or(0.0, |needed| needed.bytes) / MIB;
    #[expect(clippy::cast_precision_loss, reason = "bytes of a disk")]
    let reserve = config.reserve_mib as f64;
    if free < plan + reserve {
        return Err(format!(
            "the disk of {place} has {free:.0} MiB free, and the scan needs {plan:.0} MiB and {reserve:.0} MiB in reserve (disk.reserve_mib); remove old scans, or use another disk (rig.data_dir)"
        ));
    }
    let Some(needed) = needed.filter(|_| config.check_rate) else { return Ok(None) };
    let wanted = needed.bytes_per_s * config.rate_ratio;
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

impl Conductor {
    /// Refuses a scan that the disk cannot take.
    pub(super) async fn check_disk(&self, tray: &Tray) -> Result<(), String> {
        let cameras: Vec<_> = self.cameras.iter().map(|camera| &camera.description).collect();
        let needed = needed(&self.loaded.rig, &cameras, tray, self.encoder.get().map(|encoder| encoder.dimensions));
        let (config, direct, data_dir) = (self.loaded.rig.disk.clone(), self.loaded.rig.store.direct, self.data_dir().to_owned());
        let checked = tokio::task::spawn_blocking(move || check(&config, direct, &data_dir, needed)).await;
        match checked {
            Ok(Ok(rate)) => {
                if let Some(rate) = rate {
                    self.metrics.set_disk_rate(rate);
                    tracing::info!(bytes_per_s = rate, ?needed, "the disk was tried");
                }
                Ok(())
            }
            Ok(Err(refused)) => {
                tracing::warn!(%refused, "no scan");
                Err(refused)
            }
            Err(_) => Err("looking at the disk broke down; see the log".into()),
        }
    }
}
