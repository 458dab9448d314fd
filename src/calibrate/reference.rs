//! References and what is made of them.

use contract::{Exposure, Frame, Layout};

/// A dark or white reference: statistics over its frames, `[band][pixel]` in counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Mean counts, `[band][pixel]`.
    pub mean: Vec<f32>,
    /// Standard deviation over the frames, counts, `[band][pixel]`.
    pub sd: Vec<f32>,
    /// Frames averaged.
    pub frames: u32,
    /// Standard deviation of the frames' mean levels, counts: what all elements do together, as lamps make them.
    pub level_sd: f32,
    /// When the first of them was exposed, ns since 1970-01-01T00:00:00Z.
    pub taken_ns: i64,
    /// Mean temperature of the camera, °C, where it tells it.
    pub temperature_c: Option<f64>,
    /// Settings of the camera.
    pub exposure: Exposure,
}

impl Reference {
    /// Noise of a typical element: the median of the standard deviations, counts, but at least one count.
    pub fn noise(&self) -> f32 {
        median(self.sd.clone()).max(1.0)
    }
}

/// Adds up the frames of a reference.
#[derive(Debug)]
pub struct Accumulator {
    sum: Vec<f64>,
    squares: Vec<f64>,
    /// Sum of the frames' mean levels, and of their squares about the first.
    levels: (f64, f64),
    first_level: f64,
    temperature: (f64, u32),
    frames: u32,
    taken_ns: i64,
}

impl Accumulator {
    /// An empty one for frames of `layout`.
    pub fn new(layout: Layout) -> Self {
        Self {
            sum: vec![0.0; layout.elements()],
            squares: vec![0.0; layout.elements()],
            levels: (0.0, 0.0),
            first_level: 0.0,
            temperature: (0.0, 0),
            frames: 0,
            taken_ns: 0,
        }
    }

    /// Frames added so far.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Adds a frame.
    pub fn add(&mut self, frame: &Frame) {
        let level = if let Some(counts) = frame.slot.as_u16() {
            self.sum_up(counts.iter().map(|c| f64::from(*c)))
        } else if let Some(values) = frame.slot.as_f32() {
            self.sum_up(values.iter().map(|v| f64::from(*v)))
        } else {
            0.0
        };
        if self.frames == 0 {
            self.taken_ns = frame.info.time_ns;
            self.first_level = level;
        }
        self.frames += 1;
        let difference = level - self.first_level;
        self.levels = (self.levels.0 + difference, self.levels.1 + difference * difference);
        if let Some(temperature_c) = frame.info.temperature_c {
            self.temperature = (self.temperature.0 + f64::from(temperature_c), self.temperature.1 + 1);
        }
    }

    /// Adds the values of a frame; gives their mean.
    #[expect(clippy::cast_precision_loss, reason = "elements of a detector")]
    fn sum_up(&mut self, values: impl Iterator<Item = f64>) -> f64 {
        let mut level = 0.0;
        for ((sum, squares), value) in self.sum.iter_mut().zip(&mut self.squares).zip(values) {
            level += value;
            *sum += value;
            *squares += value * value;
        }
        level / self.sum.len().max(1) as f64
    }

    /// Mean and standard deviation of the frames; `None` when there was none.
    #[expect(clippy::cast_possible_truncation, reason = "statistics of counts need no more than f32")]
    pub fn finish(self, exposure: Exposure) -> Option<Reference> {
        if self.frames == 0 {
            return None;
        }
        let n = f64::from(self.frames);
        let mean: Vec<f32> = self.sum.iter().map(|sum| (sum / n) as f32).collect();
        let free = (n - 1.0).max(1.0);
        let sd =
            self.sum.iter().zip(&self.squares).map(|(sum, squares)| (((squares - sum * sum / n) / free).max(0.0)).sqrt() as f32).collect();
        let level_sd = ((self.levels.1 - self.levels.0 * self.levels.0 / n) / free).max(0.0).sqrt() as f32;
        let temperature_c = (self.temperature.1 > 0).then(|| self.temperature.0 / f64::from(self.temperature.1));
        let Self { frames, taken_ns, .. } = self;
        Some(Reference { mean, sd, frames, level_sd, taken_ns, temperature_c, exposure })
    }
}

/// A calibration from a dark and a white reference:
/// `reflectance = (counts - dark) * panel / (white - dark)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Referenced {
    /// The dark reference.
    pub dark: Reference,
    /// The white reference.
    pub white: Reference,
    /// Reflectance of the panel at each band.
    pub panel: Vec<f32>,
    /// `panel / (white - dark)`, 1/counts, `[band][pixel]`; zero for bad elements.
    pub gain: Vec<f32>,
    /// Elements that are not used, `[band][pixel]`: 0 where good, else [`BadElement`] flags.
    pub bad: Vec<u8>,
    /// How the dark changed until after the scan, where that is known.
    pub drift: Option<DarkDrift>,
}

/// Why an element is not used; the flags of the bad-pixel map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadElement;

impl BadElement {
    /// It hardly responds to the panel.
    pub const DEAD: u8 = 1;
    /// Its dark level is far above that of its band.
    pub const HOT: u8 = 2;
    /// Its dark level varies from frame to frame far more than that of its band.
    pub const NOISY: u8 = 4;

    /// Every flag and its name, in the order of the bits.
    pub const NAMES: [(u8, &'static str); 3] = [(Self::DEAD, "dead"), (Self::HOT, "hot"), (Self::NOISY, "noisy")];
}

/// What the dark level did between a dark reference before a scan and one after it.
#[derive(Debug, Clone, PartialEq)]
pub struct DarkDrift {
    /// The dark reference after the scan.
    pub after: Reference,
    /// How far each element rose, counts, `[band][pixel]`.
    pub rise: Vec<f32>,
}

/// References that do not fit each other or their camera.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// One has other dimensions than the camera.
    #[error("the {what} has {found} elements, the camera {expected}; take the references again with the settings of the scan")]
    Shape {
        /// Which.
        what: &'static str,
        /// Elements it should have.
        expected: usize,
        /// Elements it has.
        found: usize,
    },
    /// It was taken with other settings.
    #[error(
        "the {what} was taken at {}, the scan is at {}; take it again with the settings of the scan",
        settings(found),
        settings(expected)
    )]
    Settings {
        /// Which.
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

/// Exposures that differ by less than this share are the same: cameras round to their clock.
const SAME_EXPOSURE: f64 = 1e-3;

/// Whether frames of two settings can be calibrated by each other. The frame rate may differ.
pub fn same_settings(a: &Exposure, b: &Exposure) -> bool {
    (a.exposure_us / b.exposure_us - 1.0).abs() < SAME_EXPOSURE && a.binning == b.binning
}

impl Reference {
    /// Checks that the reference was taken with the exposure and the binning of a scan. The frame rate may differ.
    ///
    /// # Errors
    /// [`ReferenceError::Settings`] with both.
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
/// An element is noisy when its dark level scatters this many times as much as is typical of its band.
const NOISY_DARK: f32 = 6.0;
/// Scatter is told from this many frames on.
const NOISY_FRAMES: u32 = 8;
/// The least scatter that is typical: that of rounding to whole counts, with some room.
const ROUNDING: f32 = 0.5;

impl Referenced {
    /// A calibration from its references; `panel` is the reflectance of the panel at each band, and elements at or above
    /// `saturation` (counts) in the dark are hot.
    pub fn new(
        dark: Reference,
        white: Reference,
        panel: Vec<f32>,
        layout: Layout,
        saturation: Option<f64>,
    ) -> Result<Self, ReferenceError> {
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
            for ((w, d), sd) in band_white.iter().zip(band_dark).zip(band_sd) {
                let response = w - d;
                let dead = response <= 0.0 || response < DEAD_RESPONSE * typical;
                let hot = d - level > HOT_DARK * full;
                let noisy = dark.frames >= NOISY_FRAMES && *sd > restless;
                let flag = |is: bool, flag| if is { flag } else { 0 };
                let flags = flag(dead, BadElement::DEAD) | flag(hot, BadElement::HOT) | flag(noisy, BadElement::NOISY);
                bad.push(flags);
                gain.push(if flags == 0 { reflectance / response } else { 0.0 });
            }
        }
        Ok(Self { dark, white, panel, gain, bad, drift: None })
    }

    /// The same with the dark level of each line interpolated in time between the dark reference and one taken `after` the scan.
    ///
    /// # Errors
    /// [`ReferenceError::Shape`] when that is of another shape.
    pub fn with_dark_after(mut self, after: Reference) -> Result<Self, ReferenceError> {
        let (expected, found) = (self.dark.mean.len(), after.mean.len());
        if expected != found {
            return Err(ReferenceError::Shape { what: "dark reference after the scan", expected, found });
        }
        // Without two times there is nothing to interpolate between.
        if after.taken_ns > self.dark.taken_ns {
            let rise = after.mean.iter().zip(&self.dark.mean).map(|(after, before)| after - before).collect();
            self.drift = Some(DarkDrift { after, rise });
        }
        Ok(self)
    }

    /// Dark level of each element at `time_ns`, counts, into `dark`.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share needs no more than f32")]
    pub fn dark_at(&self, time_ns: i64, dark: &mut Vec<f32>) {
        dark.clone_from(&self.dark.mean);
        if let Some(drift) = &self.drift {
            let share = (time_ns - self.dark.taken_ns) as f64 / (drift.after.taken_ns - self.dark.taken_ns) as f64;
            let share = share.clamp(0.0, 1.0) as f32;
            for (dark, rise) in dark.iter_mut().zip(&drift.rise) {
                *dark += share * rise;
            }
        }
    }

    /// How many elements are not used.
    pub fn bad_elements(&self) -> usize {
        self.bad.iter().filter(|bad| **bad != 0).count()
    }
}

/// How a camera's numbers become reflectance.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibration {
    /// By references.
    Referenced(Box<Referenced>),
    /// The recording is reflectance already, `scale` standing for one.
    Scaled {
        /// What stands for a reflectance of one.
        scale: f64,
        /// The value that stands for "no data".
        ignore: Option<f64>,
    },
}

/// The median (the upper one of an even number); 0 of nothing.
pub fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{FrameInfo, FramePool, PixelFormat};

    #[test]
    fn mean_and_deviation_are_over_the_frames() {
        let layout = Layout { pixels: 2, bands: 1, format: PixelFormat::U16 };
        let pool = FramePool::new(layout, 1);
        let mut sum = Accumulator::new(layout);
        for level in [10_u16, 12, 14] {
            let mut slot = pool.try_take().unwrap();
            slot.as_u16_mut().unwrap().copy_from_slice(&[level, 7]);
            sum.add(&Frame { info: FrameInfo::default(), slot });
        }
        let reference = sum.finish(Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) }).unwrap();
        assert_eq!((reference.mean, reference.sd, reference.frames), (vec![12.0, 7.0], vec![2.0, 0.0], 3));
        assert_eq!(reference.level_sd, 1.0, "levels are 8.5, 9.5 and 10.5");
    }
}
