//! Square pixels: belt speed and line rates from the width of each camera's pixels.
//!
//! A line every `p = field_of_view_mm / pixels` mm makes pixels of width `p` square. So camera `c` takes `v / p_c` lines/s at belt speed
//! `v`. Its highest frame rate and its exposure time bound the line rate. Its fastest belt speed is therefore `p_c * min(rate_c, 1e6 /
//! exposure_c)`.

use super::{CameraDevice, Config, ConveyorDevice};
use contract::{Exposure, LineCamera};

/// Bounds of a camera's line rate, for its exposure and binning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CameraLimits {
    /// Pixels across the belt, binning included.
    pub pixels: usize,
    /// Highest frame rate, 1/s.
    pub max_frame_rate_hz: f64,
}

impl CameraLimits {
    /// Asks a camera for its limits. The camera accepts exposure, binning, and the highest frame rate it can reach with them.
    ///
    /// # Errors
    /// The camera does not stop, or it refuses the settings.
    pub fn ask(camera: &mut dyn LineCamera, exposure_us: f64, binning: (u32, u32)) -> Result<Self, contract::CameraError> {
        camera.ensure_stopped()?;
        let frame_rate_hz = camera.describe().max_frame_rate_hz.min(1e6 / exposure_us);
        let accepted = camera.apply(&Exposure { exposure_us, frame_rate_hz, binning })?;
        Ok(Self { pixels: camera.describe().layout.pixels, max_frame_rate_hz: accepted.frame_rate_hz })
    }
}

/// Bounds of a plan for square pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Limits of each camera, in the order of the configuration.
    pub cameras: Vec<CameraLimits>,
    /// Slowest and fastest belt speed, mm/s.
    pub speed_mm_per_s: (f64, f64),
}

/// A planned belt speed and its line rates.
#[derive(Debug, Clone, PartialEq)]
pub struct SquarePlan {
    /// Belt speed, mm/s.
    pub speed_mm_per_s: f64,
    /// Line rate of each camera, 1/s.
    pub frame_rates_hz: Vec<f64>,
    /// The limit of the belt speed, in words.
    pub limit: String,
    /// Whether the configuration sets the speed.
    pub given: bool,
}

/// Square pixels are not possible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SquareError {
    /// The configured speed exceeds a limit.
    #[error(
        "square pixels at {speed_mm_per_s} mm/s are not possible: {limit} allows {allowed_mm_per_s:.2} mm/s at most; lower conveyor.speed_mm_per_s, or leave it out"
    )]
    TooFast {
        /// The configured speed, mm/s.
        speed_mm_per_s: f64,
        /// The exceeded limit, in words.
        limit: String,
        /// The fastest allowed speed, mm/s.
        allowed_mm_per_s: f64,
    },
    /// The configured speed is below the drive's slowest.
    #[error(
        "the belt runs at {slowest_mm_per_s} mm/s at least, {speed_mm_per_s} mm/s are asked for (conveyor.speed_mm_per_s); ask for more, or leave it out"
    )]
    TooSlow {
        /// The configured speed, mm/s.
        speed_mm_per_s: f64,
        /// The drive's slowest speed, mm/s.
        slowest_mm_per_s: f64,
    },
    /// No speed fits.
    #[error(
        "square pixels are not possible: {limit} allows {allowed_mm_per_s:.2} mm/s at most, and the belt runs at {slowest_mm_per_s} mm/s at least; expose shorter, or bin pixels"
    )]
    NoSpeed {
        /// The narrowest limit, in words.
        limit: String,
        /// The fastest allowed speed, mm/s.
        allowed_mm_per_s: f64,
        /// The drive's slowest speed, mm/s.
        slowest_mm_per_s: f64,
    },
}

/// Chosen speeds are whole multiples of this, mm/s. No drive has a finer setting.
const SPEED_STEP: f64 = 0.001;

impl Config {
    /// Pixel width of camera `i` across the belt, mm, for a line of `pixels`.
    #[expect(clippy::cast_precision_loss, reason = "a line has few pixels")]
    fn across_pixel_mm(&self, i: usize, pixels: usize) -> f64 {
        self.camera[i].field_of_view_mm / pixels.max(1) as f64
    }

    /// The limits that the configuration states; `None` where a device must be asked.
    pub fn known_limits(&self) -> Option<Limits> {
        let cameras = self.camera.iter().map(|camera| match &camera.device {
            CameraDevice::Simulated(sim) => Some(CameraLimits { pixels: sim.pixels, max_frame_rate_hz: sim.max_frame_rate_hz }),
            CameraDevice::Replay(_) | CameraDevice::Bridge(_) | CameraDevice::Gige(_) => None,
        });
        let speed_mm_per_s = match &self.conveyor.device {
            ConveyorDevice::Simulated(sim) => (sim.min_speed_mm_per_s, sim.max_speed_mm_per_s),
            ConveyorDevice::Modbus(drive) => (drive.min_speed_mm_per_s, drive.max_speed_mm_per_s),
            ConveyorDevice::Recorded(_) => return None,
        };
        Some(Limits { cameras: cameras.collect::<Option<_>>()?, speed_mm_per_s })
    }

    /// The belt speed and the line rates for square pixels. The speed is the configured one, or the fastest that every camera and the
    /// drive allow.
    ///
    /// # Errors
    /// The configured speed exceeds a limit or is below the drive's slowest, or no speed fits.
    pub fn plan_square(&self, limits: &Limits) -> Result<SquarePlan, SquareError> {
        let given = self.conveyor.speed_mm_per_s > 0.0 && self.square.as_ref().is_none_or(|plan| plan.given);
        let (slowest_mm_per_s, fastest) = limits.speed_mm_per_s;
        let (mut allowed_mm_per_s, mut limit) = (fastest, "the drive".to_owned());
        for (i, (camera, of)) in self.camera.iter().zip(&limits.cameras).enumerate() {
            let pixel_mm = self.across_pixel_mm(i, of.pixels);
            let by_exposure = 1e6 / camera.exposure_us;
            let rate = of.max_frame_rate_hz.min(by_exposure);
            if rate * pixel_mm < allowed_mm_per_s {
                allowed_mm_per_s = rate * pixel_mm;
                limit = if by_exposure <= of.max_frame_rate_hz {
                    format!("the exposure of {} ({} µs, so {rate:.1} lines/s of {pixel_mm:.3} mm)", camera.name, camera.exposure_us)
                } else {
                    format!("the highest frame rate of {} ({rate:.1} lines/s of {pixel_mm:.3} mm)", camera.name)
                };
            }
        }
        let speed_mm_per_s = if given { self.conveyor.speed_mm_per_s } else { (allowed_mm_per_s / SPEED_STEP).floor() * SPEED_STEP };
        if !given && speed_mm_per_s < slowest_mm_per_s {
            return Err(SquareError::NoSpeed { limit, allowed_mm_per_s, slowest_mm_per_s });
        }
        if speed_mm_per_s > allowed_mm_per_s {
            return Err(SquareError::TooFast { speed_mm_per_s, limit, allowed_mm_per_s });
        }
        if speed_mm_per_s < slowest_mm_per_s {
            return Err(SquareError::TooSlow { speed_mm_per_s, slowest_mm_per_s });
        }
        let rate = |(i, of): (usize, &CameraLimits)| {
            (speed_mm_per_s / self.across_pixel_mm(i, of.pixels)).min(of.max_frame_rate_hz).min(1e6 / self.camera[i].exposure_us)
        };
        let frame_rates_hz = limits.cameras.iter().enumerate().map(rate).collect();
        Ok(SquarePlan { speed_mm_per_s, frame_rates_hz, limit, given })
    }

    /// Applies a plan to the configuration.
    pub fn follow(&mut self, plan: SquarePlan) {
        self.conveyor.speed_mm_per_s = plan.speed_mm_per_s;
        for (camera, rate) in self.camera.iter_mut().zip(&plan.frame_rates_hz) {
            camera.frame_rate_hz = *rate;
        }
        self.square = Some(plan);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    /// Two cameras with pixels of 1 mm and 2 mm.
    fn config(speed: &str, exposures_us: [f64; 2]) -> Config {
        let camera = |name: &str, pixels: usize, exposure_us: f64| {
            format!(
                "[[camera]]\nname = \"{name}\"\nfield_of_view_mm = 300.0\nexposure_us = {exposure_us:?}\ndevice = {{ kind = \"simulated\", pixels = {pixels}, max_frame_rate_hz = 100.0 }}\n"
            )
        };
        let text = format!(
            "[rig]\nname = \"t\"\ndata_dir = \"d\"\n[simulation]\n[conveyor]\n{speed}\ndevice = {{ kind = \"simulated\", min_speed_mm_per_s = 5.0, max_speed_mm_per_s = 150.0 }}\n{}{}[scan]\nsquare_pixels = true\n[grid]\npixel_mm = 1.0\n",
            camera("a", 300, exposures_us[0]),
            camera("b", 150, exposures_us[1]),
        );
        parse(&text).unwrap()
    }

    fn plan(config: &Config) -> Result<SquarePlan, String> {
        config.plan_square(&config.known_limits().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_fastest_that_cameras_and_drive_allow_is_chosen_and_what_limits_it_is_named() {
        let chosen = plan(&config("", [2000.0, 2000.0])).unwrap();
        assert_eq!((chosen.speed_mm_per_s, chosen.frame_rates_hz.as_slice()), (100.0, [100.0, 50.0].as_slice()));
        assert!(chosen.limit.contains("highest frame rate of a (100.0 lines/s of 1.000 mm)"), "{}", chosen.limit);
        let chosen = plan(&config("", [2000.0, 50_000.0])).unwrap();
        assert_eq!((chosen.speed_mm_per_s, chosen.frame_rates_hz.as_slice()), (40.0, [40.0, 20.0].as_slice()));
        assert!(chosen.limit.contains("exposure of b (50000 µs"), "{}", chosen.limit);
    }

    #[test]
    fn a_speed_that_is_given_is_kept_or_refused_with_the_figure() {
        let planned = plan(&config("speed_mm_per_s = 30.0", [2000.0, 2000.0])).unwrap();
        assert_eq!((planned.speed_mm_per_s, planned.frame_rates_hz.as_slice(), planned.given), (30.0, [30.0, 15.0].as_slice(), true));
        let refused = plan(&config("speed_mm_per_s = 50.0", [2000.0, 50_000.0])).unwrap_err();
        assert!(refused.contains("50 mm/s") && refused.contains("exposure of b") && refused.contains("40.00 mm/s at most"), "{refused}");
        assert!(plan(&config("speed_mm_per_s = 2.0", [2000.0, 2000.0])).unwrap_err().contains("5 mm/s at least"));
        let none = plan(&config("", [300_000.0, 2000.0])).unwrap_err();
        assert!(none.contains("exposure of a") && none.contains("5 mm/s at least"), "{none}");
    }

    #[test]
    fn a_chosen_speed_is_chosen_anew_when_a_device_can_do_less() {
        let mut config = config("", [2000.0, 2000.0]);
        let mut limits = config.known_limits().unwrap();
        config.follow(config.plan_square(&limits).unwrap());
        limits.cameras[0].max_frame_rate_hz = 60.0;
        let plan = config.plan_square(&limits).unwrap();
        assert_eq!((plan.speed_mm_per_s, plan.given), (60.0, false));
    }
}
