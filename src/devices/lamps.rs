//! Steadiness of the light before a scan, seen on the white strip or the panel.

use super::CameraUnit;
use super::references::Watch;
use crate::calibrate::{Calibrate, LightLimits, LightWatch};
use crate::config::LampsConfig;
use contract::{CameraError, Frame, FrameStatus, Received, Subject};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Rim of the strip that does not count, mm.
const STRIP_RIM_MM: f64 = 1.0;
/// A change within this many standard errors is noise.
const NOISE_SIGMAS: f64 = 3.0;

/// Indices of `n` bands, spread evenly over a camera's bands.
fn spread(bands: usize, n: usize) -> Vec<usize> {
    let n = n.min(bands).max(1);
    (0..n).map(|k| (2 * k + 1) * bands / (2 * n)).collect()
}

/// Pixels of a camera that see the strip, without its rim; all pixels where no strip is configured.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a detector")]
fn strip_pixels(unit: &CameraUnit, config: &LampsConfig) -> Range<usize> {
    let pixels = unit.camera.describe().layout.pixels;
    let Some((from, to)) = config.strip_mm else { return 0..pixels };
    let per_mm = pixels as f64 / unit.config.field_of_view_mm;
    let pixel = |mm: f64| ((mm - unit.config.shift_mm) * per_mm).clamp(0.0, pixels as f64);
    let (first, end) = (pixel(from + STRIP_RIM_MM).ceil() as usize, pixel(to - STRIP_RIM_MM).floor() as usize);
    if first < end { first..end } else { pixel(f64::midpoint(from, to)) as usize..pixel(f64::midpoint(from, to)) as usize + 1 }
}

/// The pixels of a camera that see the strip during a scan; `None` without a strip.
pub fn strip(config: &LampsConfig, unit: &CameraUnit) -> Option<Range<usize>> {
    config.strip_mm.map(|_| strip_pixels(unit, config))
}

/// The watch of a camera's light during a scan, which `calibrate` measures; `None` where it measures none.
pub fn watch(config: &LampsConfig, unit: &CameraUnit, calibrate: &Calibrate) -> Option<LightWatch> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a band's number is not negative, and small")]
    let nm = |band: f64| unit.about.wavelengths_nm.get(band.round() as usize).copied();
    let groups_nm: Vec<f64> = calibrate.strip_groups().into_iter().filter_map(nm).collect();
    let limits = LightLimits {
        deviation: config.max_deviation,
        least: config.min_light,
        flicker: config.max_flicker,
        correction: config.max_correction,
    };
    // Half a second. The mean of a noisy strip needs that long, and a stop after it loses little.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred lines")]
    let stretch_lines = (unit.exposure.frame_rate_hz / 2.0).clamp(8.0, 1e6) as u32;
    (!groups_nm.is_empty()).then(|| LightWatch::new(groups_nm, limits, stretch_lines))
}

/// Levels of the light over a window of time.
#[derive(Debug)]
struct Window {
    length_ns: i64,
    levels: VecDeque<(i64, Vec<f64>)>,
}

impl Window {
    fn new(length_s: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "some seconds")]
        let length_ns = (length_s * 1e9) as i64;
        Self { length_ns, levels: VecDeque::new() }
    }

    /// Adds the levels at a time (ns). Once the window is full, returns the level of largest change: its index, and the change as a share.
    ///
    /// The change is that between the means of the darkest and the brightest quarter, extrapolated to the whole window.
    #[expect(clippy::cast_precision_loss, reason = "numbers of frames")]
    fn add(&mut self, time_ns: i64, levels: Vec<f64>) -> Option<(usize, f64)> {
        let n = levels.len();
        self.levels.push_back((time_ns, levels));
        let full = self.levels.front().is_some_and(|first| time_ns.saturating_sub(first.0) >= self.length_ns);
        while self.levels.get(1).is_some_and(|second| time_ns.saturating_sub(second.0) >= self.length_ns) {
            self.levels.pop_front();
        }
        if !full || self.levels.len() < 8 {
            return None;
        }
        let quarter = self.levels.len() / 4;
        let part = |from: usize, i: usize| {
            let values = || self.levels.range(from..from + quarter).map(|(_, levels)| levels[i]);
            let mean = values().sum::<f64>() / quarter as f64;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / (quarter as f64 - 1.0).max(1.0);
            (mean, variance / quarter as f64)
        };
        let change = |i: usize| {
            let parts = [0, 1, 2, 3].map(|k| part(k * (self.levels.len() - quarter) / 3, i));
            let (low, high) = parts.into_iter().fold((parts[0], parts[0]), |(low, high), part| {
                (if part.0 < low.0 { part } else { low }, if part.0 > high.0 { part } else { high })
            });
            let difference = high.0 - low.0;
            // A change within the noise does not count. The white reference detects lamps that hardly shine.
            if difference <= NOISE_SIGMAS * (low.1 + high.1).sqrt() {
                return 0.0;
            }
            if low.0 > 0.0 { difference / high.0 * 4.0 / 3.0 } else { f64::INFINITY }
        };
        (0..n).map(|i| (i, change(i))).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// The result of waiting for a steady light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Steadiness {
    /// The light is steady. The value is its largest change within the window, as a share.
    Steady(f64),
    /// The light did not become steady in time: wavelength in nm, and its change within the window, as a share.
    Unsteady(f64, f64),
    /// The wait was stopped, or the stream ended.
    Stopped,
}

/// Waits until a camera's light is steady. The call blocks. Time is that of the frames.
///
/// # Errors
/// The camera fails or falls silent.
pub fn steady(unit: &mut CameraUnit, config: &LampsConfig, stopped: &dyn Watch) -> Result<Steadiness, CameraError> {
    let description = unit.camera.describe().clone();
    let (pixels, used) = (strip_pixels(unit, config), spread(unit.used.len(), config.wavelengths));
    // Frames hold all bands, references only the used ones.
    let bands: Vec<(usize, usize)> = used.into_iter().map(|band| (unit.used.index(band), band)).collect();
    let dark = unit.dark.as_ref().map(|held| held.reference.clone());
    let mut stream = unit.camera.start(unit.pool.clone(), Subject::White)?;
    let (mut window, mut first_ns, mut heard, mut whole) = (Window::new(config.window_s), None, Instant::now(), Instant::now());
    let silence = unit.silence();
    let result = loop {
        if stopped.stopped() {
            break Ok(Steadiness::Stopped);
        }
        match stream.next(Instant::now() + Duration::from_millis(100)) {
            Err(error) => break Err(error),
            Ok(Received::Frame(frame)) if frame.info.status == FrameStatus::Ok => {
                (heard, whole) = (Instant::now(), Instant::now());
                let time_ns = frame.info.time_ns;
                let levels = levels(&frame, description.layout.pixels, &pixels, &bands, dark.as_deref().map(|dark| dark.mean.as_slice()));
                let Some((worst, change)) = window.add(time_ns, levels) else { continue };
                if change <= config.max_drift {
                    break Ok(Steadiness::Steady(change));
                }
                #[expect(clippy::cast_precision_loss, reason = "some seconds")]
                let waited_s = time_ns.saturating_sub(*first_ns.get_or_insert(time_ns)) as f64 / 1e9;
                if waited_s > config.max_warm_up_s {
                    break Ok(Steadiness::Unsteady(description.wavelengths_nm[bands[worst].0], change));
                }
            }
            Ok(Received::Nothing) if heard.elapsed() > silence => break Err(unit.silent("gave no frame", heard.elapsed())),
            Ok(Received::Frame(_)) if whole.elapsed() > silence => break Err(unit.silent("gave no whole frame", whole.elapsed())),
            Ok(Received::Frame(_)) => heard = Instant::now(),
            Ok(Received::End) => break Ok(Steadiness::Stopped),
            Ok(_) => {}
        }
    };
    unit.camera.ensure_stopped()?;
    result
}

/// Mean counts above dark over `pixels`, in each of `bands`: its index in a frame, and in the dark reference.
fn levels(frame: &Frame, width: usize, pixels: &Range<usize>, bands: &[(usize, usize)], dark: Option<&[f32]>) -> Vec<f64> {
    let mean = |value: &dyn Fn(usize) -> f64, (band, used): (usize, usize)| {
        let above = |pixel: usize| value(band * width + pixel) - dark.map_or(0.0, |dark| f64::from(dark[used * width + pixel]));
        let finite = pixels.clone().map(above).filter(|level| level.is_finite());
        let (sum, n) = finite.fold((0.0, 0.0), |(sum, n), level| (sum + level, n + 1.0));
        sum / f64::max(n, 1.0)
    };
    if let Some(counts) = frame.slot.as_u16() {
        bands.iter().map(|band| mean(&|at| f64::from(counts[at]), *band)).collect()
    } else if let Some(values) = frame.slot.as_f32() {
        bands.iter().map(|band| mean(&|at| f64::from(values[at]), *band)).collect()
    } else {
        vec![0.0; bands.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_is_steady_once_it_changes_less_than_its_limit_at_every_wavelength() {
        let mut window = Window::new(1.0);
        // The second wavelength warms up with a time constant of 2 s. Its change within a second falls to 0.2 % at about 10 s.
        let mut ready = None;
        for i in 0..2000 {
            let t = f64::from(i) * 0.01;
            let change = window.add(i64::from(i) * 10_000_000, vec![1000.0, 1000.0 * (1.0 - (-t / 2.0).exp())]);
            if ready.is_none() && change.is_some_and(|(_, change)| change <= 0.002) {
                ready = Some(t);
            }
        }
        // d/dt = exp(-t/2) / 2 is 0.002 at t = 11.04 s, in the middle of the window.
        assert!((ready.unwrap() - 11.54).abs() < 0.15, "{ready:?}");
    }

    #[test]
    fn wavelengths_are_spread_over_the_range() {
        assert_eq!(spread(100, 5), [10, 30, 50, 70, 90]);
        assert_eq!(spread(2, 5), [0, 1]);
    }
}
