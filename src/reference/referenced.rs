//! References, and the calibration from them.

use super::Response;
use super::bad_elements::{self, BadElement};
use super::dark_times::DarkTimes;
use super::figures::finite_mean;
use super::mending::{Mending, mend_limit_nm};
use crate::panel::{Certificate, Panel};
use crate::scan::BadElements;
use contract::{Exposure, Layout};
use std::sync::Arc;

/// A dark or white reference: statistics over its frames, `[band][pixel]` in counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Mean counts, `[band][pixel]`.
    pub mean: Vec<f32>,
    /// Standard deviation over the frames, counts, `[band][pixel]`.
    pub sd: Vec<f32>,
    /// Largest counts in any frame, `[band][pixel]`.
    pub peak: Vec<f32>,
    /// Frames averaged.
    pub frames: u32,
    /// Standard deviation of the frames' mean levels, counts. It holds the changes common to all elements, such as the lamps'.
    pub level_sd: f32,
    /// Mean time of the frames, ns since 1970-01-01T00:00:00Z. The mean counts are those of this time, however far the level moves.
    pub taken_ns: i64,
    /// Mean temperature of the camera, °C, where the camera reports it.
    pub temperature_c: Option<f64>,
    /// Settings of the camera.
    pub exposure: Exposure,
}

impl Reference {
    /// Noise of a typical element: the median of the standard deviations, counts, and at least one count.
    pub fn noise(&self) -> f32 {
        self.noise_of(|_| true).max(1.0)
    }

    /// The median standard deviation of the elements, `[band][pixel]`, that are `used`, counts.
    pub(super) fn noise_of(&self, used: impl Fn(usize) -> bool) -> f32 {
        median(self.sd.iter().enumerate().filter(|(at, _)| used(*at)).map(|(_, sd)| *sd).collect())
    }
}

/// A white reference, with the dark reference of its time.
#[derive(Debug, Clone, PartialEq)]
pub struct WhiteReference {
    /// Statistics over the frames of the panel.
    pub reference: Arc<Reference>,
    /// The dark reference that belongs to it. Where it is unknown, the scan's serves.
    pub dark: Option<Arc<Reference>>,
}

impl<R: Into<Arc<Reference>>> From<R> for WhiteReference {
    /// A white reference without a dark reference of its own.
    fn from(reference: R) -> Self {
        Self { reference: reference.into(), dark: None }
    }
}

/// A calibration from references: `reflectance = (counts - dark) * panel / (white - white_dark)`. The dark level of the white reference
/// is that of its own time. The dark level moves between white reference and scan, and the light's signal must not move with it. A white
/// reference of another exposure counts by its signal times the ratio of the exposures.
#[derive(Debug, Clone, PartialEq)]
pub struct Referenced {
    /// The dark reference.
    pub dark: Arc<Reference>,
    /// The white reference.
    pub white: Arc<Reference>,
    /// The dark reference that belongs to the white one. `None` where it is `dark`.
    pub white_dark: Option<Arc<Reference>>,
    /// Exposure of the scan over that of the white reference. Exactly 1 where they are the same.
    pub exposure_ratio: f64,
    /// Reflectance of the panel, `[band]`.
    pub panel: Vec<f32>,
    /// Standard uncertainty (k = 1) of the panel's reflectance, `[band]`, where it is known.
    pub panel_uncertainty: Option<Vec<f32>>,
    /// The panel's certificate, where there is one.
    pub certificate: Option<Arc<Certificate>>,
    /// `panel / (white - white_dark) / exposure_ratio`, 1/counts, `[band][pixel]`; zero for bad elements. With a `response`, that of the
    /// true signals.
    pub gain: Vec<f32>,
    /// What the detector does to the light, where it is known.
    pub response: Option<Response>,
    /// The light on the panel as a share of that on the samples, by their heights. `panel` and `gain` hold it.
    pub height_factor: f64,
    /// Unused elements, `[band][pixel]`: 0 for a good element, else [`BadElement`] flags.
    pub bad: Vec<u8>,
    /// Centres of the bands, nm, and the largest distance over which bad elements are interpolated, nm.
    pub bands: MendBands,
    /// The drift of the dark level until after the scan, where known.
    pub drift: Option<DarkDrift>,
    /// The drift of the light until after the scan, where known.
    pub light: Option<LightDrift>,
    /// Reflectance of the panel at each pixel, as a share of that in its middle, `[pixel]`. `None` for an even one.
    pub evenness: Option<Vec<f32>>,
}

/// The change of the light between the white references before and after a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct LightDrift {
    /// The white reference after the scan.
    pub after: Arc<Reference>,
    /// Light of the one after the scan, as a share of that before it, minus one, `[band]`.
    pub change: Vec<f32>,
    /// Times between which the light is interpolated, ns since 1970-01-01T00:00:00Z.
    pub between_ns: (i64, i64),
}

/// The change of the dark level between the dark references before and after a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct DarkDrift {
    /// The dark reference after the scan.
    pub after: Arc<Reference>,
    /// Rise of each element, counts, `[band][pixel]`.
    pub rise: Vec<f32>,
    /// Times between which the dark level is interpolated, ns since 1970-01-01T00:00:00Z.
    pub between_ns: (i64, i64),
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
    /// A white reference of another exposure, and the response of the detector is not known.
    #[error(
        "the white reference was taken at {} µs, the scan is at {} µs; take it again with the exposure of the scan, or measure the linearity of the detector (`hyclus calibrate linearity`): with camera.correction.linearity, [0.0] where it is straight, the white reference is scaled",
        found.exposure_us, expected.exposure_us
    )]
    Unscaled {
        /// Settings of the scan.
        expected: Exposure,
        /// Settings of the white reference.
        found: Exposure,
    },
    /// A white reference of another exposure without a dark one of that exposure.
    #[error(
        "the white reference was taken at {} µs, the scan and its dark reference are at {} µs; a dark reference of the white one's exposure is needed too: record it as WHITEDARKREF_NAME, with `tint` in its header, beside WHITEREF_NAME, or take the white reference again with the exposure of the scan",
        found.exposure_us, expected.exposure_us
    )]
    DarkOfWhite {
        /// Settings of the scan.
        expected: Exposure,
        /// Settings of the white reference.
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

impl WhiteReference {
    /// Checks that the white reference calibrates a scan at the settings `scan`. The frame rate may differ. The exposure may differ where
    /// the response of the detector is `known` and the white reference has a dark one of its own exposure.
    ///
    /// # Errors
    /// [`ReferenceError`] with both settings, and what to do.
    pub fn fits(&self, scan: &Exposure, known: bool) -> Result<(), ReferenceError> {
        let (found, expected) = (self.reference.exposure, *scan);
        if same_settings(&found, scan) {
            return self.dark.as_ref().map_or(Ok(()), |dark| dark.fits("dark reference of the white one", scan));
        }
        if found.binning != scan.binning {
            return self.reference.fits("white reference", scan);
        }
        if !known {
            return Err(ReferenceError::Unscaled { expected, found });
        }
        match &self.dark {
            Some(dark) if same_settings(&dark.exposure, &found) => Ok(()),
            _ => Err(ReferenceError::DarkOfWhite { expected, found }),
        }
    }
}

/// An element is hot when its dark level lies this share of the full scale above its band's median.
pub(super) const HOT_DARK: f32 = 0.05;
/// The bands of a calibration, and how far bad elements are interpolated.
#[derive(Debug, Clone, PartialEq)]
pub struct MendBands {
    /// Centres of the bands, nm.
    pub wavelengths_nm: Vec<f64>,
    /// The largest distance of two good bands between which bad ones are interpolated, nm.
    pub limit_nm: f64,
}

impl MendBands {
    /// The bands at `wavelengths_nm`. Bad elements are interpolated as `[calibrate] max_mend_nm` says.
    pub fn new(wavelengths_nm: &[f64], max_mend_nm: Option<f64>) -> Self {
        Self { wavelengths_nm: wavelengths_nm.to_vec(), limit_nm: mend_limit_nm(wavelengths_nm, max_mend_nm) }
    }
}

impl Referenced {
    /// A calibration from its references. The panel's reflectance is `panel`, `[band]`. Elements at or above `saturation` (counts) in a
    /// frame of a reference are bad.
    ///
    /// # Errors
    /// [`ReferenceError::Shape`] when a reference, the panel or `bands` have other dimensions than `layout`.
    pub fn new(
        dark: impl Into<Arc<Reference>>,
        white: impl Into<WhiteReference>,
        panel: Vec<f32>,
        layout: Layout,
        saturation: Option<f64>,
        bands: MendBands,
    ) -> Result<Self, ReferenceError> {
        let (dark, WhiteReference { reference: white, dark: of_white }) = (dark.into(), white.into());
        let white_dark = of_white.filter(|of_white| !Arc::ptr_eq(of_white, &dark) && **of_white != *dark);
        let check = |what, found, expected| if found == expected { Ok(()) } else { Err(ReferenceError::Shape { what, expected, found }) };
        check("dark reference", dark.mean.len(), layout.elements())?;
        check("white reference", white.mean.len(), layout.elements())?;
        check("dark reference of the white one", white_dark.as_ref().unwrap_or(&dark).mean.len(), layout.elements())?;
        check("panel spectrum", panel.len(), layout.bands)?;
        check("list of wavelengths", bands.wavelengths_nm.len(), layout.bands)?;
        let below = white_dark.as_ref().unwrap_or(&dark);
        let bad = bad_elements::find(&dark, (&white, below), &panel, layout, saturation);
        // The dark reference has the exposure of the scan.
        let same = same_settings(&dark.exposure, &white.exposure);
        let exposure_ratio = if same { 1.0 } else { dark.exposure.exposure_us / white.exposure.exposure_us };
        #[expect(clippy::cast_possible_truncation, reason = "a ratio needs no more than f32")]
        let ratio = exposure_ratio as f32;
        let mut gain = Vec::with_capacity(layout.elements());
        let levels = white.mean.iter().zip(&below.mean).zip(&bad).enumerate();
        gain.extend(levels.map(|(at, ((w, d), flags))| if *flags == 0 { panel[at / layout.pixels] / ((w - d) * ratio) } else { 0.0 }));
        Ok(Self {
            dark,
            white,
            white_dark,
            exposure_ratio,
            panel,
            panel_uncertainty: None,
            certificate: None,
            gain,
            response: None,
            height_factor: 1.0,
            bad,
            bands,
            drift: None,
            light: None,
            evenness: None,
        })
    }

    /// The same calibration, with what else is known of the `panel` at the bands.
    pub fn certified(mut self, panel: &Panel) -> Self {
        self.panel_uncertainty = panel.uncertainty_at(&self.bands.wavelengths_nm);
        self.certificate.clone_from(&panel.certificate);
        self
    }

    /// The same calibration of a detector whose response is undone, in the white reference and in every line.
    pub fn with_response(mut self, response: Response) -> Self {
        let pixels = self.gain.len() / self.panel.len().max(1);
        let stray = response.stray(finite_mean((0..self.gain.len()).map(|at| self.signal(at))));
        #[expect(clippy::cast_possible_truncation, reason = "a signal of counts needs no more than f32")]
        let signals: Vec<f32> = (0..self.gain.len()).map(|at| response.straight(self.signal(at) as f32) - stray).collect();
        #[expect(clippy::cast_possible_truncation, reason = "a ratio needs no more than f32")]
        let ratio = self.exposure_ratio as f32;
        for (at, signal) in signals.into_iter().enumerate() {
            if self.bad[at] != 0 {
                continue;
            }
            // An element that saw little but stray light has no response of its own.
            if signal > 0.0 {
                self.gain[at] = self.panel[at / pixels] / (signal * ratio);
            } else {
                self.gain[at] = 0.0;
                self.bad[at] |= BadElement::DEAD;
            }
        }
        self.response = Some(response);
        self
    }

    /// The same calibration for samples at another height than the panel. The light on the panel is `factor` of that on the samples, so it
    /// reflects as one of `factor` of its reflectance does at their height.
    #[expect(clippy::cast_possible_truncation, reason = "a reflectance needs no more than f32")]
    pub fn with_height(mut self, factor: f64) -> Self {
        if factor != 1.0 {
            let by = factor as f32;
            self.panel.iter_mut().chain(&mut self.gain).chain(self.panel_uncertainty.iter_mut().flatten()).for_each(|value| *value *= by);
            self.height_factor *= factor;
        }
        self
    }

    /// The same calibration by an uneven panel, whose reflectance at each pixel is the share `evenness` of that in its middle, `[pixel]`.
    pub fn with_evenness(mut self, evenness: Vec<f32>) -> Self {
        let pixels = evenness.len().max(1);
        self.gain.iter_mut().enumerate().for_each(|(at, gain)| *gain *= evenness[at % pixels]);
        self.evenness = Some(evenness);
        self
    }

    /// The panel's reflectance at element `at`, `[band][pixel]`, of a band.
    pub(crate) fn panel_at(&self, at: usize, band: usize) -> f32 {
        self.panel[band] * self.evenness.as_ref().map_or(1.0, |evenness| evenness[at % evenness.len()])
    }

    /// The same calibration with a drifting dark level. Each line's dark level is interpolated in time, between the dark reference and one
    /// taken `after` the scan, whose first and last line have the times `lines_ns`; see [`DarkTimes`].
    ///
    /// # Errors
    /// [`ReferenceError::Shape`] when `after` has another shape.
    pub fn with_dark_after(mut self, after: impl Into<Arc<Reference>>, lines_ns: (i64, i64)) -> Result<Self, ReferenceError> {
        let after = after.into();
        let (expected, found) = (self.dark.mean.len(), after.mean.len());
        if expected != found {
            return Err(ReferenceError::Shape { what: "dark reference after the scan", expected, found });
        }
        if let Some(between_ns) = DarkTimes::of(&self.dark, &after, lines_ns).between_ns {
            let rise: Vec<f32> = after.mean.iter().zip(&self.dark.mean).map(|(after, before)| after - before).collect();
            for (at, _) in rise.iter().enumerate().filter(|(_, rise)| !rise.is_finite()) {
                self.bad[at] |= BadElement::NOT_FINITE;
                self.gain[at] = 0.0;
            }
            let pixels = self.gain.len() / self.panel.len().max(1);
            for at in bad_elements::restless(&self.dark, &after, pixels) {
                self.bad[at] |= BadElement::RESTLESS;
                self.gain[at] = 0.0;
            }
            self.drift = Some(DarkDrift { after, rise, between_ns });
        }
        Ok(self)
    }

    /// The share of the dark level's drift at `time_ns`, from 0 to 1; `None` without a known drift.
    pub fn risen_at(&self, time_ns: i64) -> Option<f32> {
        self.drift.as_ref().map(|drift| share_at(drift.between_ns, time_ns))
    }

    /// The same calibration with a drifting light: `change` (`[band]`) is that of the white reference taken `after` the scan, whose first and
    /// last line have the times `lines_ns`, as a share. Each line's light is interpolated in time; see [`DarkTimes`].
    pub fn with_white_after(mut self, after: Arc<Reference>, change: Vec<f32>, lines_ns: (i64, i64)) -> Self {
        let between_ns = DarkTimes::of(&self.white, &after, lines_ns).between_ns;
        self.light = between_ns.map(|between_ns| LightDrift { after, change, between_ns });
        self
    }

    /// The share of the light's drift at `time_ns`, from 0 to 1, and the whole of it, `[band]`; `None` without a known drift.
    pub fn light_at(&self, time_ns: i64) -> Option<(f32, &[f32])> {
        self.light.as_ref().map(|light| (share_at(light.between_ns, time_ns), light.change.as_slice()))
    }

    /// The dark reference that belongs to the white one.
    pub fn dark_of_white(&self) -> &Reference {
        self.white_dark.as_ref().unwrap_or(&self.dark)
    }

    /// The bad elements, and how each is interpolated.
    pub(crate) fn mending(&self) -> Mending {
        Mending::new(&self.bad, &self.bands.wavelengths_nm, self.bands.limit_nm)
    }

    /// The shares of elements that are interpolated, and that have no value.
    pub fn bad_elements(&self) -> BadElements {
        bad_elements::shares(&self.bad, &self.bands)
    }
}

/// The share of the way from one time to another, ns, at which `time_ns` lies, from 0 to 1.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share needs no more than f32")]
fn share_at((from_ns, to_ns): (i64, i64), time_ns: i64) -> f32 {
    // The times of a recording may be any.
    let since = |time_ns: i64| (i128::from(time_ns) - i128::from(from_ns)) as f64;
    (since(time_ns) / since(to_ns)).clamp(0.0, 1.0) as f32
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

/// The median of the finite values (the upper one of an even number); 0 without finite values.
pub fn median(values: Vec<f32>) -> f32 {
    // Whole numbers compare without a branch. Negative values have the reverse order.
    let ordered = |bits: i32| bits ^ if bits < 0 { i32::MAX } else { 0 };
    let mut keys: Vec<i32> =
        values.into_iter().filter(|value| value.is_finite()).map(|value| ordered(value.to_bits().cast_signed())).collect();
    if keys.is_empty() {
        return 0.0;
    }
    let middle = keys.len() / 2;
    f32::from_bits(ordered(*keys.select_nth_unstable(middle).1).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(exposure_us: f64, binning: (u32, u32)) -> Arc<Reference> {
        let exposure = Exposure { exposure_us, frame_rate_hz: 50.0, binning };
        let mean = vec![100.0; 4];
        let reference =
            Reference { peak: mean.clone(), sd: mean.clone(), mean, frames: 9, level_sd: 0.0, taken_ns: 0, temperature_c: None, exposure };
        Arc::new(reference)
    }

    #[test]
    fn a_white_of_another_exposure_needs_a_known_response_and_a_dark_of_its_own() {
        let scan = Exposure { exposure_us: 2000.0, frame_rate_hz: 100.0, binning: (1, 1) };
        let white = |exposure_us: f64, dark_us: Option<f64>| WhiteReference {
            reference: reference(exposure_us, (1, 1)),
            dark: dark_us.map(|exposure_us| reference(exposure_us, (1, 1))),
        };
        assert_eq!(white(2000.0, None).fits(&scan, false), Ok(()));
        assert_eq!(white(2001.0, Some(2000.0)).fits(&scan, false), Ok(()), "cameras round to their clock");
        assert!(matches!(white(2000.0, Some(1000.0)).fits(&scan, true), Err(ReferenceError::Settings { .. })));
        assert_eq!(white(1000.0, Some(1000.0)).fits(&scan, true), Ok(()));
        let unknown = white(1000.0, Some(1000.0)).fits(&scan, false).unwrap_err();
        assert!(unknown.to_string().contains("hyclus calibrate linearity"), "{unknown}");
        for dark_us in [None, Some(2000.0)] {
            let lacking = white(1000.0, dark_us).fits(&scan, true).unwrap_err();
            assert!(lacking.to_string().contains("WHITEDARKREF_NAME"), "{lacking}");
        }
        let binned = WhiteReference { reference: reference(1000.0, (2, 1)), dark: Some(reference(1000.0, (2, 1))) };
        assert!(matches!(binned.fits(&scan, true), Err(ReferenceError::Settings { .. })));
    }
}
