//! The camera of drivers/README.md. It has no device, and does only what the contract asks of one.

use contract::{
    CameraDescription, CameraError, Exposure, Filled, FrameInfo, FramePool, FrameSource, FrameStatus, FrameStream, Layout, LineCamera,
    Paced, PixelFormat, Slot, Subject, Values, conformance,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A camera whose counts are the band's number plus the frame's.
struct Ramp {
    name: String,
    description: CameraDescription,
    exposure: Exposure,
    /// The stop flag of the stream that runs.
    running: Option<Arc<AtomicBool>>,
}

impl Ramp {
    fn open(name: &str) -> Self {
        let description = CameraDescription {
            model: "ramp".into(),
            serial: String::new(),
            layout: Layout { pixels: 32, bands: 8, format: PixelFormat::U16 },
            wavelengths_nm: (0..8).map(|band| 400.0 + 10.0 * f64::from(band)).collect(),
            fwhm_nm: None,
            values: Values::Counts,
            saturation: Some(4095.0),
            shutter: false,
            recorded: false,
            waits: false,
            max_frame_rate_hz: 500.0,
            exposure_range_us: (10.0, 20_000.0),
            frames: None,
        };
        let exposure = Exposure { exposure_us: 1000.0, frame_rate_hz: 100.0, binning: (1, 1) };
        Self { name: name.into(), description, exposure, running: None }
    }

    fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|stopped| !stopped.load(Ordering::Acquire))
    }

    fn refused(&self, setting: &'static str, wanted: String, reason: &str) -> CameraError {
        CameraError::Refused { camera: self.name.clone(), setting, wanted, reason: reason.into() }
    }
}

impl LineCamera for Ramp {
    fn describe(&self) -> &CameraDescription {
        &self.description
    }

    fn apply(&mut self, wanted: &Exposure) -> Result<Exposure, CameraError> {
        if self.is_running() {
            return Err(self.refused("exposure", format!("{wanted:?}"), "a stream is running; stop it first"));
        }
        if wanted.binning != (1, 1) {
            return Err(self.refused("binning", format!("{:?}", wanted.binning), "it does not bin"));
        }
        // A real driver writes the values to the device and reads them back.
        let (shortest, longest) = self.description.exposure_range_us;
        let exposure_us = wanted.exposure_us.clamp(shortest, longest);
        let frame_rate_hz = wanted.frame_rate_hz.min(self.description.max_frame_rate_hz).min(1e6 / exposure_us);
        self.exposure = Exposure { exposure_us, frame_rate_hz, binning: (1, 1) };
        Ok(self.exposure)
    }

    fn set_shutter(&mut self, _open: bool) -> Result<(), CameraError> {
        Err(CameraError::Unable { camera: self.name.clone(), ability: "shutter" })
    }

    fn start(&mut self, pool: FramePool, _subject: Subject) -> Result<Box<dyn FrameStream>, CameraError> {
        let refused = |reason: String| CameraError::Start { camera: self.name.clone(), reason };
        if self.is_running() {
            return Err(refused("a stream is running; stop it first".into()));
        }
        if pool.layout() != self.description.layout {
            return Err(refused(format!("the pool's frames are {:?}, the camera's {:?}", pool.layout(), self.description.layout)));
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let source = Source { next: 0, period: Duration::from_secs_f64(1.0 / self.exposure.frame_rate_hz) };
        let stream = Paced::spawn(&format!("ramp-{}", self.name), source, pool, Arc::clone(&stopped))
            .map_err(|error| refused(format!("no thread for it: {error}")))?;
        self.running = Some(stopped);
        Ok(Box::new(stream))
    }

    fn ensure_stopped(&mut self) -> Result<(), CameraError> {
        if let Some(stopped) = self.running.take() {
            stopped.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// Fills the frames of one stream.
struct Source {
    next: u32,
    period: Duration,
}

impl FrameSource for Source {
    fn next_due(&mut self) -> Option<(u64, Duration)> {
        Some((u64::from(self.next), self.period * self.next))
    }

    fn fill(&mut self, slot: &mut Slot) -> Result<Filled, CameraError> {
        let pixels = slot.layout().pixels;
        let lowest = (self.next % 4000) as u16;
        // The start checked the pool's layout. Its slots hold counts, [band][pixel].
        if let Some(counts) = slot.as_u16_mut() {
            for (band, line) in (0..).zip(counts.chunks_exact_mut(pixels)) {
                line.fill(lowest + band);
            }
        }
        let time_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64);
        let number = u64::from(self.next);
        self.next += 1;
        Ok(Filled::Frame(FrameInfo { number, time_ns, status: FrameStatus::Ok, ..FrameInfo::default() }))
    }

    fn skip(&mut self) {
        self.next += 1;
    }
}

#[test]
fn the_suite_passes() {
    conformance::camera(&mut Ramp::open("vnir"));
    conformance::slow_reader(&mut Ramp::open("vnir"));
}
