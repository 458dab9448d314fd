//! The open camera, shared by its users while it streams, and the thread for tasks at intervals.

use crate::aravis::Device;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The camera. A user holds it while talking to it.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Option<Device>>>);

/// The camera, held.
pub struct Held<'a>(MutexGuard<'a, Option<Device>>);

impl std::ops::Deref for Held<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.0.as_ref().expect("a guard is made only where there is a camera")
    }
}

impl Shared {
    /// Shares a camera.
    pub fn new(device: Device) -> Self {
        Self(Arc::new(Mutex::new(Some(device))))
    }

    /// The camera, for as long as the guard is held. `None` once it is closed.
    pub fn device(&self) -> Option<Held<'_>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.is_some().then_some(Held(guard))
    }

    /// Closes the camera. It can then be opened anew.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A temperature, degrees Celsius, that one thread writes and another reads.
#[derive(Debug)]
pub struct Celsius(AtomicU32);

impl Default for Celsius {
    fn default() -> Self {
        Self(AtomicU32::new(f32::NAN.to_bits()))
    }
}

impl Celsius {
    fn set(&self, celsius: f32) {
        self.0.store(celsius.to_bits(), Ordering::Relaxed);
    }

    /// The last temperature. `None` before the first.
    pub fn get(&self) -> Option<f32> {
        Some(f32::from_bits(self.0.load(Ordering::Relaxed))).filter(|celsius| !celsius.is_nan())
    }
}

/// Tasks at intervals while a stream runs.
pub struct Intervals {
    /// Interval of the exposures' starts.
    pub fire: Option<Duration>,
    /// The feature that gives the temperature.
    pub temperature: Option<String>,
}

/// Interval of the temperature's readings.
const TEMPERATURE: Duration = Duration::from_secs(1);
/// The longest sleep of a waiting thread.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl Intervals {
    /// Starts the thread `name`, where it has a task. It ends once `stopped` is set.
    pub fn spawn(
        self,
        name: String,
        shared: Shared,
        stopped: Arc<AtomicBool>,
        celsius: Arc<Celsius>,
    ) -> std::io::Result<Option<JoinHandle<()>>> {
        if self.fire.is_none() && self.temperature.is_none() {
            return Ok(None);
        }
        std::thread::Builder::new().name(name).spawn(move || self.run(&shared, &stopped, &celsius)).map(Some)
    }

    fn run(self, shared: &Shared, stopped: &AtomicBool, celsius: &Celsius) {
        let mut next_fire = self.fire.map(|every| (Instant::now(), every));
        let mut next_read = self.temperature.map(|feature| (Instant::now(), feature));
        while !stopped.load(Ordering::Acquire) {
            let now = Instant::now();
            if let Some((due, every)) = &mut next_fire
                && *due <= now
            {
                // A failed one is a missing line. The stream reports a lost camera.
                let _ = shared.device().map(|device| device.fire());
                // Exposures after a pause do not follow each other faster than they should.
                *due = (*due + *every).max(now);
            }
            if let Some((due, feature)) = &mut next_read
                && *due <= now
            {
                if let Some(Ok(read)) = shared.device().map(|device| device.float(feature)) {
                    celsius.set(read as f32);
                }
                *due = now + TEMPERATURE;
            }
            let due = [next_fire.as_ref().map(|(due, _)| *due), next_read.as_ref().map(|(due, _)| *due)].into_iter().flatten().min();
            std::thread::sleep(due.map_or(POLL_INTERVAL, |due| due.saturating_duration_since(Instant::now())).min(POLL_INTERVAL));
        }
    }
}
