//! The camera behind a helper.

use crate::config::Config;
use crate::link::{Counters, Link, Shared, Sink};
use crate::wire::{Text, VERSION, WireError};
use contract::{
    CameraDescription, CameraError, Exposure, Frame, FrameCounter, FramePool, FrameStream, Layout, LineCamera, PixelFormat, Received,
    StreamStatistics, Subject, Values,
};
use crossbeam_channel::{Receiver, bounded};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A camera behind a helper program.
pub struct Camera {
    name: String,
    config: Config,
    description: CameraDescription,
    counter: FrameCounter,
    link: Link,
    stream: u32,
    running: bool,
}

impl Camera {
    /// Starts or reaches the helper and reads its camera's description. It blocks until the helper's greeting.
    ///
    /// # Errors
    /// [`CameraError::Start`] for a configuration with a fault. [`CameraError::Link`] for a helper that does not start or answer,
    /// or whose greeting contradicts the configuration.
    pub fn open(name: &str, config: &Config) -> Result<Self, CameraError> {
        if let Some((key, problem)) = config.faults().into_iter().next() {
            return Err(CameraError::Start { camera: name.to_owned(), reason: format!("camera.device.{key} {problem}") });
        }
        let (link, greeting) = Link::open(name, config)?;
        let (description, counter) = described(&greeting, config).map_err(|error| link.shared.link_error(&error.to_string()))?;
        Ok(Self { name: name.to_owned(), config: config.clone(), description, counter, link, stream: 0, running: false })
    }

    /// Starts a helper anew, if it is gone.
    fn revive(&mut self) -> Result<(), CameraError> {
        let hangs = || self.link.shared.hangs(self.config.timeout()).then(|| "it hung".to_owned());
        let Some(reason) = self.link.shared.broken().or_else(hangs) else { return Ok(()) };
        let again = Self::open(&self.name, &self.config)?;
        if again.description != self.description {
            return Err(self
                .link
                .shared
                .link_error(&format!("it was started anew ({reason}) and has another camera now; restart the daemon")));
        }
        (self.link, self.running) = (again.link, false);
        Ok(())
    }

    /// Whether a stream runs. A stream without its helper does not.
    fn is_running(&self) -> bool {
        self.running && self.link.shared.broken().is_none()
    }

    fn refused(&self, reason: String) -> CameraError {
        CameraError::Start { camera: self.name.clone(), reason }
    }
}

/// The camera's description in a greeting (`HELO`), and its frame counter.
///
/// # Errors
/// [`WireError`] for a key that is missing or makes no sense, or a shape that is not the configuration's.
pub fn described(text: &Text, config: &Config) -> Result<(CameraDescription, FrameCounter), WireError> {
    let key = |key, expected, found: String| WireError::Key { tag: "HELO", key, expected, found };
    let version: u32 = text.need("version", "1")?;
    if version != VERSION {
        return Err(key("version", "1", format!("{version}; the helper speaks another version of the framing")));
    }
    let layout = Layout { pixels: text.need("pixels", "a number")?, bands: text.need("bands", "a number")?, format: PixelFormat::U16 };
    if (layout.pixels, layout.bands) != (config.pixels, config.bands) {
        let found =
            format!("{} pixels x {} bands, where the configuration has {} x {}", layout.pixels, layout.bands, config.pixels, config.bands);
        return Err(key("pixels", "that of the configuration", found));
    }
    let per_band = |name| match text.numbers(name)? {
        Some(list) if list.len() == layout.bands => Ok(Some(list)),
        Some(list) => Err(key(name, "a number for each band", format!("{} for {} bands", list.len(), layout.bands))),
        None => Ok(None),
    };
    let wavelengths_nm = per_band("wavelengths_nm")?.ok_or_else(|| key("wavelengths_nm", "a number for each band", "none".into()))?;
    let range = text.numbers("exposure_range_us")?;
    let exposure_range_us = match range.as_deref() {
        Some([shortest, longest]) if *shortest > 0.0 && shortest <= longest => (*shortest, *longest),
        _ => return Err(key("exposure_range_us", "the shortest and the longest, above 0", format!("{range:?}"))),
    };
    let max_frame_rate_hz: f64 = text.need("max_frame_rate_hz", "a positive number")?;
    if !(max_frame_rate_hz.is_finite() && max_frame_rate_hz > 0.0) {
        return Err(key("max_frame_rate_hz", "a positive number", max_frame_rate_hz.to_string()));
    }
    let flag = |name| text.maybe::<u8>(name, "0 or 1").map(|flag| flag.is_some_and(|flag| flag != 0));
    let mut counter = FrameCounter::new(text.maybe("counter_bits", "2 to 64")?.unwrap_or(64), flag("counter_skips_zero")?);
    if let Some(start) = text.maybe("counter_start", "a number")? {
        counter = counter.beginning_at(start).map_err(|e| key("counter_start", "a value that the counter has", e.to_string()))?;
    }
    let saturation: Option<f64> = text.maybe("saturation", "a positive number")?;
    if let Some(level) = saturation.filter(|level| !(level.is_finite() && *level > 0.0)) {
        return Err(key("saturation", "a positive number", level.to_string()));
    }
    let description = CameraDescription {
        model: text.need("model", "a name")?,
        serial: text.get("serial").unwrap_or_default().to_owned(),
        layout,
        wavelengths_nm,
        fwhm_nm: per_band("fwhm_nm")?,
        values: Values::Counts,
        saturation,
        shutter: flag("shutter")?,
        recorded: false,
        waits: false,
        max_frame_rate_hz,
        exposure_range_us,
        frames: None,
    };
    Ok((description, counter))
}

impl LineCamera for Camera {
    fn describe(&self) -> &CameraDescription {
        &self.description
    }

    fn apply(&mut self, wanted: &Exposure) -> Result<Exposure, CameraError> {
        if self.is_running() {
            return Err(self.refused("settings while a stream runs: stop it first".into()));
        }
        self.revive()?;
        let (x, y) = wanted.binning;
        let said = format!("exposure_us={} frame_rate_hz={} binning={x},{y}", wanted.exposure_us, wanted.frame_rate_hz);
        let text = self.link.tell(&format!("apply {said}"), "exposure", &said)?;
        let accepted = || {
            let (exposure_us, frame_rate_hz): (f64, f64) = (text.need("exposure_us", "a number")?, text.need("frame_rate_hz", "a number")?);
            let positive = |value: f64| value.is_finite() && value > 0.0;
            let binning = text.numbers("binning")?;
            match binning.as_deref() {
                // Binning is a small whole number.
                Some([x, y]) if *x >= 1.0 && *y >= 1.0 && positive(exposure_us) && positive(frame_rate_hz) => {
                    Ok(Exposure { exposure_us, frame_rate_hz, binning: (*x as u32, *y as u32) })
                }
                Some([x, y]) if *x >= 1.0 && *y >= 1.0 => {
                    let found = format!("{exposure_us} and {frame_rate_hz}");
                    Err(WireError::Key { tag: "DONE", key: "exposure_us", expected: "a positive number, as is frame_rate_hz", found })
                }
                _ => Err(WireError::Key { tag: "DONE", key: "binning", expected: "two numbers", found: format!("{binning:?}") }),
            }
        };
        accepted().map_err(|error| self.link.shared.link_error(&error.to_string()))
    }

    fn set_shutter(&mut self, open: bool) -> Result<(), CameraError> {
        if !self.description.shutter {
            return Err(CameraError::Unable { camera: self.name.clone(), ability: "shutter" });
        }
        let wanted = if open { "open" } else { "closed" };
        self.link.tell(&format!("shutter open={}", u8::from(open)), "shutter", wanted).map(drop)
    }

    fn start(&mut self, pool: FramePool, _subject: Subject) -> Result<Box<dyn FrameStream>, CameraError> {
        if self.is_running() {
            return Err(self.refused("a stream is running; stop it first".into()));
        }
        if pool.layout() != self.description.layout {
            return Err(self.refused(format!("the pool's frames are {:?}, the camera's {:?}", pool.layout(), self.description.layout)));
        }
        self.revive()?;
        self.stream = self.stream.wrapping_add(1);
        let stream = self.stream;
        // Every frame under way holds a slot. One place more is for an error.
        let (frames_in, frames) = bounded(pool.slots() + 1);
        let counters = Arc::new(Counters::default());
        let counter = self.counter.clone();
        let sink = Sink { stream, pool, frames: frames_in, counter, next: 0, counters: Arc::clone(&counters) };
        self.link.shared.set_sink(Some(sink));
        if let Err(error) = self.link.tell(&format!("start stream={stream}"), "start", "a stream") {
            self.link.shared.set_sink(None);
            return Err(error);
        }
        self.running = true;
        Ok(Box::new(Stream { frames, counters, shared: Arc::clone(&self.link.shared), timeout: self.config.timeout() }))
    }

    fn ensure_stopped(&mut self) -> Result<(), CameraError> {
        if !self.running {
            return Ok(());
        }
        self.running = false;
        // A helper that is gone sends nothing any more.
        let result = if self.link.shared.broken().is_some() { Ok(()) } else { self.link.tell("stop", "stop", "no stream").map(drop) };
        self.link.shared.set_sink(None);
        result
    }
}

/// The frames of one stream.
struct Stream {
    frames: Receiver<Result<Frame, CameraError>>,
    counters: Arc<Counters>,
    shared: Arc<Shared>,
    timeout: Duration,
}

impl FrameStream for Stream {
    fn next(&mut self, deadline: Instant) -> Result<Received, CameraError> {
        match contract::receive(&self.frames, deadline)? {
            Received::Nothing if self.shared.hangs(self.timeout) => Err(self
                .shared
                .link_error(&format!("it stopped in the middle of a message, more than {} ms ago", self.timeout.as_millis()))),
            received => Ok(received),
        }
    }

    fn statistics(&self) -> StreamStatistics {
        self.counters.read()
    }
}
