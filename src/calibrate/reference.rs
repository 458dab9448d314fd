//! References, and the calibration from them.

use contract::{Exposure, Layout};
use std::sync::Arc;

/// A dark or white reference: statistics over its frames, `[band][pixel]` in counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Mean counts, `[band][pixel]`.
    pub mean: Vec<f32>,
    /// Standard deviation over the frames, counts, `[band][pixel]`.
    pub sd: Vec<f32>,
    /// Frames averaged.
    pub frames: u32,
    /// Standard deviation of the frames' mean levels, counts. It holds the changes common to all elements, such as the lamps'.
    pub level_sd: f32,
    /// Time at which the first frame was exposed, ns since 1970-01-01T00:00:00Z.
    pub taken_ns: i64,
    /// Mean temperature of the camera, °C, where the camera reports it.
    pub temperature_c: Option<f64>,
    /// Settings of the camera.
    pub exposure: Exposure,
}

impl Reference {
    /// Noise of a typical element: the median of the standard deviations, counts, and at least one count.
    pub fn noise(&self) -> f32 {
        median(self.sd.clone()).max(1.0)
    }
}

/// A calibration from a dark and a white reference: `reflectance = (counts - dark) * panel / (white - dark)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Referenced {
    /// The dark reference.
    pub dark: Arc<Reference>,
    /// The white reference.
    pub white: Arc<Reference>,
    /// Reflectance of the panel, `[band]`.
    pub panel: Vec<f32>,
    /// `panel / (white - dark)`, 1/counts, `[band][pixel]`; zero for bad elements.
    pub gain: Vec<f32>,
    /// Unused elements, `[band][pixel]`: 0 for a good element, else [`BadElement`] flags.
    pub bad: Vec<u8>,
    /// The drift of the dark level until after the scan, where known.
    pub drift: Option<DarkDrift>,
}

/// Why an element is unused: the flags of the bad-pixel map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadElement;

impl BadElement {
    /// The element hardly responds to the panel.
    pub const DEAD: u8 = 1;
    /// The element's dark level is far above its band's.
    pub const HOT: u8 = 2;
    /// The element's dark level varies from frame to frame far more than its band's.
    pub const NOISY: u8 = 4;

    /// Every flag and its name, in the order of the bits.
    pub const NAMES: [(u8, &'static str); 3] = [(Self::DEAD, "dead"), (Self::HOT, "hot"), (Self::NOISY, "noisy")];
}

/// The change of the dark level between the dark references before and after a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct DarkDrift {
    /// The dark reference after the scan.
    pub after: Arc<Reference>,
    /// Rise of each element, counts, `[band][pixel]`.
    pub rise: Vec<f32>,
}

/// References that do not fit each other or their camera.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// A reference has other dimensions than the camera.
    #[error("the {what} has {found} elements, the camera {expected}; take the references again with the settings of the scan")]
    Shape {
        /// The reference's name.
        what: &'static str,
        /// Expected number of elements.
        expected: usize,
        /// Actual number of elements.
        found: usize,
    },
    /// The reference was taken with other settings.
    #[error(
        "the {what} was taken at {}, the scan is at {}; take it again with the settings of the scan",
        settings(found),
        settings(expected)
    )]
    Settings {
        /// The reference's name.
        what: &'static str,
        /// Settings of the scan.
        expected: Exposure,
        /// Settings of the reference.
        found: Exposure,
    },
}

fn settings(exposure: &Exposure) -> String {
    let Exposure { exposure_us, binning: (across, bands), .. } = exposure;
    format!("{exposure_us} µs, binning {across} x {bands}")
}

/// Exposure times that differ by less than this share count as equal. Cameras round to their clock.
const SAME_EXPOSURE: f64 = 1e-3;

/// Whether one setting's frames can calibrate the other's. The frame rate may differ.
pub fn same_settings(a: &Exposure, b: &Exposure) -> bool {
    (a.exposure_us / b.exposure_us - 1.0).abs() < SAME_EXPOSURE && a.binning == b.binning
}

impl Reference {
    /// Checks that the reference has the exposure and the binning of a scan. The frame rate may differ.
    ///
    /// # Errors
    /// [`ReferenceError::Settings`] with both settings.
    pub fn fits(&self, what: &'static str, scan: &Exposure) -> Result<(), ReferenceError> {
        if same_settings(&self.exposure, scan) {
            return Ok(());
        }
        Err(ReferenceError::Settings { what, expected: *scan, found: self.exposure })
    }
}

/// An element is dead when its response to the panel is under this share of its band's median.
const DEAD_RESPONSE: f32 = 0.1;
/// An element is hot when its dark level lies this share of the full scale above its band's median.
pub(super) const HOT_DARK: f32 = 0.05;
/// An element is noisy when its dark level scatters this many times as much as its band's.
const NOISY_DARK: f32 = 6.0;
/// Least number of frames for a judgement of scatter.
const NOISY_FRAMES: u32 = 8;
/// Least typical scatter, counts: that of rounding to whole counts, with some margin.
const ROUNDING: f32 = 0.5;

impl Referenced {
    /// A calibration from its references. The panel's reflectance is `panel`, `[band]`. Elements at or above `saturation` (counts) in the
    /// dark are hot.
    ///
    /// # Errors
    /// [`ReferenceError::Shape`] when a reference or the panel has other dimensions than `layout`.
    pub fn new(
        dark: impl Into<Arc<Reference>>,
        white: impl Into<Arc<Reference>>,
        panel: Vec<f32>,
        layout: Layout,
        saturation: Option<f64>,
    ) -> Result<Self, ReferenceError> {
        let (dark, white) = (dark.into(), white.into());
        let check = |what, found, expected| if found == expected { Ok(()) } else { Err(ReferenceError::Shape { what, expected, found }) };
        check("dark reference", dark.mean.len(), layout.elements())?;
        check("white reference", white.mean.len(), layout.elements())?;
        check("panel spectrum", panel.len(), layout.bands)?;
        let mut gain = Vec::with_capacity(layout.elements());
        let mut bad = Vec::with_capacity(layout.elements());
        #[expect(clippy::cast_possible_truncation, reason = "a level of counts needs no more than f32")]
        let full = saturation.map_or_else(|| white.mean.iter().copied().fold(0.0, f32::max), |s| s as f32);
        let bands = dark.mean.chunks(layout.pixels).zip(white.mean.chunks(layout.pixels)).zip(dark.sd.chunks(layout.pixels));
        for (((band_dark, band_white), band_sd), reflectance) in bands.zip(&panel) {
            let typical = median(band_white.iter().zip(band_dark).map(|(w, d)| w - d).collect());
            let level = median(band_dark.to_vec());
            let restless = NOISY_DARK * median(band_sd.to_vec()).max(ROUNDING);
            let judged = |((w, d), sd): ((&f32, &f32), &f32)| {
                let response = w - d;
                let dead = response <= 0.0 || response < DEAD_RESPONSE * typical;
                let hot = d - level > HOT_DARK * full;
                let noisy = dark.frames >= NOISY_FRAMES && *sd > restless;
                let flag = |is: bool, flag| if is { flag } else { 0 };
                flag(dead, BadElement::DEAD) | flag(hot, BadElement::HOT) | flag(noisy, BadElement::NOISY)
            };
            let first = bad.len();
            bad.extend(band_white.iter().zip(band_dark).zip(band_sd).map(judged));
            let good = |((w, d), flags): ((&f32, &f32), &u8)| if *flags == 0 { reflectance / (w - d) } else { 0.0 };
            gain.extend(band_white.iter().zip(band_dark).zip(&bad[first..]).map(good));
        }
        Ok(Self { dark, white, panel, gain, bad, drift: None })
    }

    /// The same calibration with a drifting dark level. Each line's dark level is interpolated in time, between the dark reference and one
    /// taken `after` the scan.
    ///
    /// # Errors
    /// [`ReferenceError::Shape`] when `after` has another shape.
    pub fn with_dark_after(mut self, after: impl Into<Arc<Reference>>) -> Result<Self, ReferenceError> {
        let after = after.into();
        let (expected, found) = (self.dark.mean.len(), after.mean.len());
        if expected != found {
            return Err(ReferenceError::Shape { what: "dark reference after the scan", expected, found });
        }
        // Interpolation needs two different times.
        if after.taken_ns > self.dark.taken_ns {
            let rise = after.mean.iter().zip(&self.dark.mean).map(|(after, before)| after - before).collect();
            self.drift = Some(DarkDrift { after, rise });
        }
        Ok(self)
    }

    /// The share of the dark level's drift at `time_ns`, from 0 to 1; `None` without a known drift.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share needs no more than f32")]
    pub fn risen_at(&self, time_ns: i64) -> Option<f32> {
        let drift = self.drift.as_ref()?;
        let share = (time_ns - self.dark.taken_ns) as f64 / (drift.after.taken_ns - self.dark.taken_ns) as f64;
        Some(share.clamp(0.0, 1.0) as f32)
    }

    /// Number of unused elements.
    pub fn bad_elements(&self) -> usize {
        self.bad.iter().filter(|bad| **bad != 0).count()
    }
}

/// How a camera's numbers become reflectance.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibration {
    /// By references.
    Referenced(Box<Referenced>),
    /// The recording is reflectance already, with a scale.
    Scaled {
        /// The number that means a reflectance of one.
        scale: f64,
        /// The number that means "no data".
        ignore: Option<f64>,
    },
}

/// The median (the upper one of an even number), in the order of [`f32::total_cmp`]; 0 without values.
pub fn median(values: Vec<f32>) -> f32 {
    // Whole numbers compare without a branch. Negative values have the reverse order.
    let ordered = |bits: i32| bits ^ if bits < 0 { i32::MAX } else { 0 };
    let mut keys: Vec<i32> = values.into_iter().map(|value| ordered(value.to_bits().cast_signed())).collect();
    if keys.is_empty() {
        return 0.0;
    }
    let middle = keys.len() / 2;
    f32::from_bits(ordered(*keys.select_nth_unstable(middle).1).cast_unsigned())
}
