//! The ranges of wavelengths that a camera is used in.

use super::{CalibrateConfig, CameraConfig, CameraDevice, Config, PlausibilityLimits};
use crate::scan::Fault;
use contract::LineCamera;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One range of wavelengths in nm, `[420, 960]`, or several, `[[420, 960], [1000, 1300]]`. Both ends belong to a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a range [from, to] in nm, or several [[from, to], [from, to]]")]
pub enum UseNm {
    /// One range.
    One((f64, f64)),
    /// Several ranges.
    Several(Vec<(f64, f64)>),
}

impl UseNm {
    /// The ranges, nm.
    pub fn ranges(&self) -> &[(f64, f64)] {
        match self {
            Self::One(range) => std::slice::from_ref(range),
            Self::Several(ranges) => ranges,
        }
    }
}

impl Config {
    /// Faults of the bands that are used, and of what becomes of bad ones.
    pub(super) fn band_faults(&self) -> Vec<Fault> {
        let ranges = self.camera.iter().enumerate().filter_map(|(i, camera)| Some((i, camera.use_nm_fault()?)));
        let mut faults: Vec<Fault> = ranges.map(|(i, problem)| Fault::new(format!("camera[{i}].use_nm"), problem)).collect();
        let CalibrateConfig { min_snr, max_weak_bands, max_mend_nm, limits } = &self.calibrate;
        if !(0.0..=1e6).contains(min_snr) {
            faults.push(Fault::new("calibrate.min_snr", "must be from 0 to 1 000 000"));
        }
        let PlausibilityLimits { max_bright, max_negative, max_saturated, max_mended, max_restless } = limits;
        let shares = [
            ("max_weak_bands", max_weak_bands),
            ("limits.max_bright", max_bright),
            ("limits.max_negative", max_negative),
            ("limits.max_saturated", max_saturated),
            ("limits.max_mended", max_mended),
            ("limits.max_restless", max_restless),
        ];
        let wrong = shares.into_iter().filter(|(_, share)| !(0.0..=1.0).contains(*share));
        faults.extend(wrong.map(|(key, _)| Fault::new(format!("calibrate.{key}"), "must be from 0 to 1")));
        if max_mend_nm.is_some_and(|nm| !(0.0..=1e4).contains(&nm)) {
            faults.push(Fault::new("calibrate.max_mend_nm", "must be from 0 to 10 000 nm; 0 interpolates no bad element"));
        }
        faults
    }
}

/// Band centres, nm, and whether a recording marks each band as good.
pub type KnownBands = (Vec<f64>, Option<Vec<bool>>);

impl CameraConfig {
    /// The ranges of `use_nm`, nm; `None` where all bands are used.
    pub fn used_ranges(&self) -> Option<&[(f64, f64)]> {
        self.use_nm.as_ref().map(UseNm::ranges)
    }

    /// The fault of `use_nm`, if it has one.
    fn use_nm_fault(&self) -> Option<String> {
        let ranges = self.used_ranges()?;
        if ranges.is_empty() {
            return Some("must hold at least one range [from, to] in nm; leave it out to use all bands".into());
        }
        if let Some((from, to)) = ranges.iter().find(|(from, to)| !(*from >= 0.0 && from < to && to.is_finite())) {
            return Some(format!("[{from}, {to}] is no range: it must be [from, to] in nm with from < to"));
        }
        let (seen, _) = self.known_bands()?;
        let inside = |nm: &f64| ranges.iter().any(|(from, to)| (*from..=*to).contains(nm));
        let (first, last) = seen.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), nm| (lo.min(*nm), hi.max(*nm)));
        (!seen.iter().any(inside)).then(|| format!("no band lies within it: the camera sees {first:.1} to {last:.1} nm"))
    }

    /// The bands of the camera, as far as known without opening it.
    pub fn known_bands(&self) -> Option<KnownBands> {
        let (stated_nm, good) = self.stated_bands()?;
        Some((self.correction.shifted_nm(&stated_nm), good))
    }

    fn stated_bands(&self) -> Option<KnownBands> {
        match &self.device {
            CameraDevice::Replay(replay) => {
                let camera = replay::Camera::open(&self.name, replay).ok()?;
                let good = camera.used_bands().map(<[bool]>::to_vec);
                Some((camera.describe().wavelengths_nm.clone(), good))
            }
            CameraDevice::Simulated(sim) => Some((contract::evenly_spaced(sim.first_nm, sim.last_nm, sim.bands), None)),
            CameraDevice::Bridge(_) | CameraDevice::Gige(_) => None,
        }
    }
}
