//! The sizes of the frame pools.
//!
//! A pool bridges the time for which the data path waits, most of all for the disk. So it is sized by time. Lines that wait for the final
//! position of the belt stand in it too, and have slots of their own.

use super::{CameraConfig, CameraDevice, Config, ConveyorDevice};
use crate::scan::Fault;
use contract::{Layout, LineCamera, PixelFormat};
use std::time::Duration;

/// Time that a pool bridges where the configuration says nothing, s.
const BRIDGED_S: f64 = 1.5;
/// Least time to which the limit of memory shortens it, s.
const LEAST_S: f64 = 0.2;
/// Least number of slots. Stages hold a few at a time.
const LEAST_SLOTS: usize = 16;
/// Most slots of a pool.
pub(super) const MOST_SLOTS: usize = 1 << 16;
/// Slots for a source that waits and loses nothing.
pub const WAITING_SLOTS: usize = 8;

/// The frame pool of a camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    /// Number of slots.
    pub slots: usize,
    /// Memory, bytes.
    pub bytes: u64,
    /// Time until a free pool is full, beside the lines that wait for their places, s. `None` for a source that waits, and where the line rate is not known yet.
    pub seconds: Option<f64>,
    /// Whether `rig.max_memory_mib` makes it shorter than it would be.
    pub shortened: bool,
}

/// A camera, as far as its pool depends on it.
#[derive(Debug, Clone, Copy)]
struct Source {
    /// Bytes of a frame.
    frame: u64,
    /// Lines/s by the clock on the wall; 0 where unknown.
    rate_hz: f64,
    waits: bool,
    /// Time that lines wait for their places, s.
    held_s: f64,
}

impl Config {
    /// The frame pool of each camera.
    ///
    /// `pool_slots` and `pool_s` are kept as they are. Other pools are shortened, all by the same time, where `rig.max_memory_mib` has no
    /// room for them.
    pub fn pools(&self) -> Vec<Pool> {
        self.pools_within(self.rig.max_memory_mib.map(|mib| mib.saturating_mul(1 << 20).saturating_sub(self.memory_beside_pools().total())))
    }

    /// The pools within so many bytes.
    fn pools_within(&self, bytes: Option<u64>) -> Vec<Pool> {
        let sources: Vec<Source> = self.camera.iter().map(|camera| self.source(camera)).collect();
        let all = |seconds: f64| -> Vec<Pool> {
            self.camera.iter().zip(&sources).map(|(camera, source)| pool(camera, source, camera.pool_s.unwrap_or(seconds))).collect()
        };
        let needed = |pools: &[Pool]| pools.iter().fold(0_u64, |sum, pool| sum.saturating_add(pool.bytes));
        let wanted = all(BRIDGED_S);
        let Some(most) = bytes.filter(|most| needed(&wanted) > *most) else { return wanted };
        let mut shorter = all(fitting_s(|seconds| needed(&all(seconds)) <= most));
        for (pool, wanted) in shorter.iter_mut().zip(&wanted) {
            pool.shortened = pool.slots < wanted.slots;
        }
        shorter
    }

    /// The fault of a configuration that needs more than `limit_mib`, and what would fit.
    pub(super) fn memory_fault(&self, limit_mib: u64) -> Option<Fault> {
        let memory = self.memory();
        let needed = memory.total() >> 20;
        if needed <= limit_mib {
            return None;
        }
        let pools = memory.pools >> 20;
        let room = limit_mib.saturating_mul(1 << 20).saturating_sub(self.memory_beside_pools().total());
        let same = |seconds: f64| {
            let pools = self.camera.iter().map(|camera| {
                let timed = CameraConfig { pool_s: None, pool_slots: None, ..camera.clone() };
                pool(&timed, &self.source(&timed), seconds).bytes
            });
            pools.fold(0, u64::saturating_add) <= room
        };
        let fits = if same(LEAST_S) {
            format!("pool_s = {:.1} fits", (fitting_s(same) * 10.0).floor() / 10.0)
        } else {
            "no useful pool fits".to_owned()
        };
        let problem = format!(
            "the configuration needs {needed} MiB, and {pools} of them for frame pools: {fits}; shorten the pools, use a coarser grid, or raise the limit"
        );
        Some(Fault::new("rig.max_memory_mib", problem))
    }

    fn source(&self, camera: &CameraConfig) -> Source {
        let known = |(pixels, bands): (usize, usize)| Layout { pixels, bands, format: PixelFormat::U16 };
        let (layout, rate_hz, waits) = match &camera.device {
            CameraDevice::Replay(replay) => {
                let opened = replay::Camera::open(&camera.name, replay).ok();
                let layout = opened.as_ref().map_or(known((0, 0)), |camera| camera.describe().layout);
                let rate_hz = opened.map_or(camera.frame_rate_hz, |camera| camera.exposure().frame_rate_hz);
                (layout, rate_hz, replay.pace == replay::Pace::AsRead)
            }
            CameraDevice::Simulated(sim) => {
                let world = self.simulation.as_ref();
                let scale = world.map_or(1.0, |world| world.time_scale);
                let waits = world.is_some_and(|world| world.pace == sim::Pace::AsRead);
                (known((sim.pixels, sim.bands)), camera.frame_rate_hz * scale, waits)
            }
            CameraDevice::Bridge(bridge) => (known((bridge.pixels, bridge.bands)), camera.frame_rate_hz, false),
            CameraDevice::Gige(gige) => (known((gige.pixels, gige.bands)), camera.frame_rate_hz, false),
        };
        let frame = [layout.pixels, layout.bands, layout.format.bytes()].iter().fold(1_u64, |all, n| all.saturating_mul(*n as u64));
        let held_s = match &self.conveyor.device {
            // Lines of a recording bring their positions.
            ConveyorDevice::Modbus(drive) if !waits && !matches!(camera.device, CameraDevice::Replay(_)) => {
                conveyor_modbus::Track::longest_lag(Duration::from_millis(drive.poll_ms)).as_secs_f64()
            }
            _ => 0.0,
        };
        Source { frame, rate_hz, waits, held_s }
    }
}

/// The pool of a camera for `seconds`, unless its slots are given.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a few thousand slots")]
fn pool(camera: &CameraConfig, source: &Source, seconds: f64) -> Pool {
    let timed = || (((seconds + source.held_s) * source.rate_hz).ceil().max(0.0) as usize).clamp(LEAST_SLOTS, MOST_SLOTS);
    let slots = camera.pool_slots.unwrap_or_else(|| if source.waits { WAITING_SLOTS } else { timed() });
    let live = !source.waits && source.rate_hz > 0.0;
    let seconds = live.then(|| (slots as f64 / source.rate_hz - source.held_s).max(0.0));
    Pool { slots, bytes: source.frame.saturating_mul(slots as u64), seconds, shortened: false }
}

/// The longest time between [`LEAST_S`] and [`BRIDGED_S`] that fits, to some milliseconds. [`LEAST_S`] where none does.
fn fitting_s(fits: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (LEAST_S, BRIDGED_S);
    for _ in 0..9 {
        let middle = 0.5 * (low + high);
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(more: &str, device: &str) -> Result<Config, String> {
        let text = format!(
            r#"
[rig]
name = "r"
data_dir = "d"
{more}
[simulation]
[conveyor]
speed_mm_per_s = 80.0
device = {{ kind = "simulated" }}
[[camera]]
name = "fast"
field_of_view_mm = 300.0
exposure_us = 1000.0
frame_rate_hz = 330.0
{device}
device = {{ kind = "simulated", pixels = 1024, bands = 448 }}
[references]
panel = {{ reflectance = 0.95 }}
panel_mm = [-70.0, -25.0]
[grid]
pixel_mm = 0.5
"#
        );
        crate::config::Loaded::from_text(text, Path::new("rig.toml")).map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pool_is_sized_by_time_unless_its_slots_are_given() {
        let only = |more: &str, device: &str| config(more, device).unwrap().pools()[0];
        let by_default = only("", "");
        assert_eq!((by_default.slots, by_default.bytes, by_default.seconds), (495, 495 * 1024 * 448 * 2, Some(1.5)));
        assert_eq!(only("", "pool_s = 0.5").slots, 165);
        assert_eq!(only("", "pool_slots = 64\npool_s = 0.5").slots, 64);
        assert_eq!(only("", "pool_s = 0.01").slots, LEAST_SLOTS);
    }

    #[test]
    fn lines_that_wait_for_their_places_have_slots_of_their_own() {
        let mut config = config("", "").unwrap();
        let text = r#"profile = "plc.toml"
address = "plc:502"
min_speed_mm_per_s = 1.0
max_speed_mm_per_s = 200.0"#;
        config.conveyor.device = ConveyorDevice::Modbus(toml::from_str(text).unwrap());
        let pool = config.pools()[0];
        // 0.35 s at 330 lines/s.
        assert_eq!((pool.slots, pool.seconds.map(|s| (s * 100.0).round())), (495 + 116, Some(150.0)));
        config.camera[0].pool_slots = Some(64);
        assert_eq!((config.pools()[0].slots, config.pools()[0].seconds), (64, Some(0.0)));
    }

    #[test]
    fn a_recording_that_waits_has_few_slots() {
        let mut config = config("", "").unwrap();
        config.simulation.as_mut().unwrap().pace = sim::Pace::AsRead;
        assert_eq!((config.pools()[0].slots, config.pools()[0].seconds), (WAITING_SLOTS, None));
    }

    #[test]
    fn pools_are_shortened_to_the_limit_and_given_ones_are_refused_with_what_fits() {
        let limited = config("max_memory_mib = 400", "").unwrap();
        let pool = limited.pools()[0];
        assert!(pool.shortened && pool.slots < 495 && pool.seconds.unwrap() > LEAST_S, "{pool:?}");
        let total = limited.memory().total() >> 20;
        assert!((395..=400).contains(&total), "{total}");
        let refused = config("max_memory_mib = 400", "pool_s = 1.5").unwrap_err();
        let fits: f64 = refused.split_once("pool_s = ").unwrap().1.split_once(" fits").unwrap().0.parse().unwrap();
        assert!(config("max_memory_mib = 400", &format!("pool_s = {fits:?}")).is_ok(), "{refused}");
        assert!(config("max_memory_mib = 100", "").unwrap_err().contains("no useful pool fits"));
    }
}
