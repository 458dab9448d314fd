//! The bands of a rig, as far as its configuration tells them.

use crate::config::{CameraDevice, Config};
use crate::join::Bands;
use crate::reference::UsedBands;

/// The joined bands of a rig.
#[derive(Debug, Clone, PartialEq)]
pub struct RigBands {
    /// Band centres, rising, nm.
    pub wavelengths_nm: Vec<f32>,
    /// Band widths at half maximum, nm. An unknown one is NaN.
    pub fwhm_nm: Vec<f32>,
    /// Cameras whose bands are known only when they are opened.
    pub unknown: Vec<String>,
}

/// The bands that samples of this rig have.
pub fn rig_bands(config: &Config) -> RigBands {
    let (mut cameras, mut unknown) = (Vec::new(), Vec::new());
    for camera in &config.camera {
        let Some((nm, good)) = camera.known_bands() else {
            unknown.push(camera.name.clone());
            continue;
        };
        let used = UsedBands::new(&nm, camera.used_ranges(), good.as_deref());
        let fwhm = match &camera.device {
            CameraDevice::Simulated(sim) => sim.fwhm_nm,
            _ => None,
        };
        let nm: Vec<f64> = used.runs().iter().flat_map(|run| nm[run.clone()].iter().copied()).collect();
        let fwhm: Vec<f64> = vec![fwhm.unwrap_or(f64::NAN); nm.len()];
        cameras.push((nm, fwhm));
    }
    let lists: Vec<(&[f64], Option<&[f64]>)> = cameras.iter().map(|(nm, fwhm)| (nm.as_slice(), Some(fwhm.as_slice()))).collect();
    let bands = Bands::new(&lists, config.join.overlap);
    let narrow = |all: &[f64]| all.iter().map(|value| super::nearest(*value)).collect();
    RigBands { wavelengths_nm: narrow(&bands.wavelengths_nm), fwhm_nm: narrow(&bands.fwhm_nm), unknown }
}
