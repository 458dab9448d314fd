//! A maker's library, made up: it connects to a camera, sets it, and calls back for each frame from a thread of its own.
//!
//! A real driver has the library's functions here, declared and made safe. Where such a library is closed or crashes, a helper
//! program behind the `bridge` driver keeps it out of the daemon.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Name of the model.
pub const MODEL: &str = "made-up 12";
/// Highest count of the detector.
pub const FULL_SCALE: u16 = 4095;
/// Highest frame rate, 1/s.
pub const MAX_FRAME_RATE_HZ: f64 = 400.0;
/// Shortest and longest exposure, µs.
pub const EXPOSURE_RANGE_US: (f64, f64) = (20.0, 20_000.0);
/// The detector is read out in this time, µs.
const READ_OUT_US: f64 = 100.0;
const PIXELS: usize = 64;
const BANDS: usize = 16;

/// Serial numbers of cameras whose cable was pulled.
static UNPLUGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Pulls the cable of a camera.
pub fn unplug(serial: &str) {
    UNPLUGGED.lock().unwrap_or_else(PoisonError::into_inner).insert(serial.to_owned());
}

fn is_plugged(serial: &str) -> bool {
    !UNPLUGGED.lock().unwrap_or_else(PoisonError::into_inner).contains(serial)
}

/// What the library answers where it does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(&'static str);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A frame as it comes over the wire.
pub struct Raw {
    /// The camera's frame counter: 16 bits, from 1.
    pub counter: u16,
    /// The camera's clock at exposure, ns.
    pub exposed_ns: u64,
    /// Counts `[band][pixel]` of 12 bits, two in three bytes.
    pub packed: Vec<u8>,
}

/// A camera.
pub struct Device {
    serial: String,
    switched_on: Instant,
    /// In steps of 10 µs.
    exposure: u16,
    /// In mHz.
    frame_rate: u32,
    grabbing: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Device {
    /// Connects to a camera.
    ///
    /// # Errors
    /// Where no camera of that serial number answers.
    pub fn connect(serial: &str) -> Result<Self, Fault> {
        if !is_plugged(serial) {
            return Err(Fault("no such camera was found"));
        }
        Ok(Self { serial: serial.to_owned(), switched_on: Instant::now(), exposure: 100, frame_rate: 50_000, grabbing: None })
    }

    /// Pixels and bands.
    pub fn shape(&self) -> (usize, usize) {
        (PIXELS, BANDS)
    }

    /// The camera's clock, ns.
    pub fn clock_ns(&self) -> i64 {
        i64::try_from(self.switched_on.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }

    /// The exposure that is set, µs.
    pub fn exposure_us(&self) -> f64 {
        f64::from(self.exposure) * 10.0
    }

    /// The frame rate that is set, 1/s.
    pub fn frame_rate_hz(&self) -> f64 {
        f64::from(self.frame_rate) / 1000.0
    }

    /// Sets the exposure, to the nearest 10 µs.
    ///
    /// # Errors
    /// Where the camera cannot expose that long or short, or is grabbing.
    pub fn set_exposure(&mut self, us: f64) -> Result<(), Fault> {
        self.idle()?;
        let (shortest, longest) = EXPOSURE_RANGE_US;
        if !(shortest..=longest).contains(&us) {
            return Err(Fault("it exposes from 20 to 20000 us"));
        }
        self.exposure = (us / 10.0).round() as u16;
        self.set_frame_rate(self.frame_rate_hz())
    }

    /// Sets the frame rate, or the highest that the exposure allows.
    ///
    /// # Errors
    /// Where that is no frame rate, or the camera is grabbing.
    pub fn set_frame_rate(&mut self, hz: f64) -> Result<(), Fault> {
        self.idle()?;
        if hz.is_nan() || hz <= 0.0 {
            return Err(Fault("a frame rate is positive"));
        }
        let most = MAX_FRAME_RATE_HZ.min(1e6 / (self.exposure_us() + READ_OUT_US));
        self.frame_rate = (hz.min(most) * 1000.0).round().max(1.0) as u32;
        Ok(())
    }

    /// Starts grabbing. The library calls `on_frame` from a thread of its own, and drops it when the camera stops.
    ///
    /// # Errors
    /// Where the camera is grabbing already.
    pub fn grab(&mut self, mut on_frame: impl FnMut(Result<&Raw, Fault>) + Send + 'static) -> Result<(), Fault> {
        self.idle()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (flag, serial, switched_on) = (Arc::clone(&stopped), self.serial.clone(), self.switched_on);
        let period = Duration::from_secs_f64(1000.0 / f64::from(self.frame_rate));
        let thread = std::thread::spawn(move || {
            let mut raw = Raw { counter: 0, exposed_ns: 0, packed: vec![0; (PIXELS * BANDS).div_ceil(2) * 3] };
            let mut due = Instant::now();
            while !flag.load(Ordering::Acquire) {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if !is_plugged(&serial) {
                    return on_frame(Err(Fault("the camera is gone")));
                }
                raw.counter = raw.counter.checked_add(1).unwrap_or(1);
                raw.exposed_ns = u64::try_from(switched_on.elapsed().as_nanos()).unwrap_or(u64::MAX);
                // A ramp, so that something is seen.
                raw.packed.fill(raw.counter.to_le_bytes()[0]);
                on_frame(Ok(&raw));
                due += period;
            }
        });
        self.grabbing = Some((stopped, thread));
        Ok(())
    }

    /// Stops grabbing, if it does, and waits until the library has called for the last time.
    pub fn stop(&mut self) {
        if let Some((stopped, thread)) = self.grabbing.take() {
            stopped.store(true, Ordering::Release);
            drop(thread.join());
        }
    }

    fn idle(&self) -> Result<(), Fault> {
        if self.grabbing.is_some() { Err(Fault("it is grabbing; stop it first")) } else { Ok(()) }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.stop();
    }
}
