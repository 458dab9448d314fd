//! The disk space and rate that a scan needs, in figures for people.

use super::disk_space::{Detector, MIB, Needed, free_mib, needed};
use crate::config::{CameraConfig, CameraDevice, Config, DiskConfig};
use crate::pipeline::build::{TrayMismatch, check_tray, tray_length_mm};
use crate::scan::Tray;
use contract::{Layout, PixelFormat};
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;

/// The need of a scan, and the state of the disk.
#[derive(Debug)]
pub struct DiskNeed {
    needed: Needed,
    disk: DiskConfig,
    /// The data root, and the free space there, MiB.
    place: (PathBuf, Option<f64>),
}

impl DiskNeed {
    /// The need of a scan of `tray` with embeddings of these lengths. `None` where only the opened devices give it.
    ///
    /// # Errors
    /// The segmentation cannot use the tray map, or nothing tells how long the tray is.
    pub fn of(config: &Config, tray: &Tray, dimensions: &[usize]) -> Result<Option<Self>, TrayMismatch> {
        check_tray(config, tray)?;
        tray_length_mm(config, tray)?;
        let recorded = |camera: &CameraConfig| matches!(camera.device, CameraDevice::Replay(_));
        let detector =
            |(camera, (pixels, bands))| Detector { layout: Layout { pixels, bands, format: PixelFormat::U16 }, recorded: recorded(camera) };
        let cameras: Vec<Detector> = config.camera.iter().zip(config.shapes()).map(detector).collect();
        let place = (config.rig.data_dir.clone(), free_mib(&config.rig.data_dir).ok());
        Ok(needed(config, &cameras, tray, dimensions).map(|needed| Self { needed, disk: config.disk.clone(), place }))
    }

    /// The figures as JSON.
    pub fn json(&self) -> Value {
        json!({
            "writes": self.needed, "mib": self.needed.mib(), "reserve_mib": self.disk.reserve_mib, "free_mib": self.place.1,
            "megabytes_per_s": self.needed.bytes_per_s / 1e6,
            "wanted_megabytes_per_s": self.disk.check_rate.then(|| self.needed.wanted_bytes_per_s(&self.disk) / 1e6),
        })
    }
}

impl fmt::Display for DiskNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, disk, place: (folder, free) } = self;
        let mib = |bytes: f64| bytes / MIB;
        write!(
            f,
            "a scan needs {:.0} MiB (recording {:.0}, samples {:.0}, native lines {:.0}, embeddings {:.0}, references {:.0}) and {} MiB in reserve",
            needed.mib(),
            mib(needed.recording),
            mib(needed.samples),
            mib(needed.native),
            mib(needed.embeddings),
            mib(needed.references),
            disk.reserve_mib
        )?;
        if let Some(free) = free {
            write!(f, "; {} has {free:.0} MiB free", folder.display())?;
        }
        write!(f, "; it writes {:.1} MB/s", needed.bytes_per_s / 1e6)?;
        if disk.check_rate {
            write!(f, ", for which the disk should take {:.1} MB/s", needed.wanted_bytes_per_s(disk) / 1e6)?;
        }
        Ok(())
    }
}
