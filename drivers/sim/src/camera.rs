//! The simulated camera.

use crate::check::WorldError;
use crate::config::CameraConfig;
use crate::detector::{TelegraphStates, full_scale};
use crate::noise;
use crate::optics::Optics;
use crate::render::{Scratch, Sensor, Shot, wavelengths};
use crate::world::World;
use contract::{
    CameraDescription, CameraError, Exposure, Filled, FrameCounter, FrameInfo, FramePool, FrameSource, FrameStatus, FrameStream, Layout,
    LineCamera, OnDemand, Paced, PixelFormat, Received, Slot, StreamStatistics, Subject, Values,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest sleep of a silent stream between two looks at its stop flag.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Time constant of the sensor's warm-up, s.
const SENSOR_WARM_UP_S: f64 = 600.0;

/// The due time of a frame that never comes.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// A simulated line-scan camera. It sees the scene under it. The subject that it is given changes nothing.
pub struct Camera {
    world: Arc<World>,
    name: Arc<str>,
    config: CameraConfig,
    description: CameraDescription,
    sensor: Arc<Sensor>,
    exposure: Exposure,
    /// The commanded state. A stuck shutter ignores it.
    shutter_open: Arc<AtomicBool>,
    running: Option<Arc<Link>>,
    /// Number of streams so far. Each has its own noise.
    begun: u64,
}

/// State shared by a stream and its camera.
struct Link {
    id: u64,
    stopped: Arc<AtomicBool>,
    /// Number of the next frame.
    next: AtomicU64,
}

impl World {
    /// A camera of this world. Faults name it by `name`, and its noise depends on it.
    ///
    /// # Errors
    /// [`WorldError`] for a configuration that cannot be used, with every fault.
    pub fn camera(self: &Arc<Self>, name: &str, config: &CameraConfig) -> Result<Camera, WorldError> {
        config.check()?;
        let needed_mm = 2.0 * self.config.tray.height_mm.abs().max(self.config.panel.height_mm.abs());
        if config.distance_mm < needed_mm {
            let fault = format!("must be at least {needed_mm}, twice the height of tray or panel, is {}", config.distance_mm);
            return Err(WorldError { faults: vec![("distance_mm".into(), fault)] });
        }
        Ok(Camera::new(Arc::clone(self), name, config))
    }
}

impl Camera {
    fn new(world: Arc<World>, name: &str, config: &CameraConfig) -> Self {
        let sensor = Sensor::new(config, name, &world.tray, world.config.seed, world.config.panel.reflectance);
        let wavelengths_nm = wavelengths(config);
        let step = if config.bands > 1 { wavelengths_nm[1] - wavelengths_nm[0] } else { config.last_nm - config.first_nm };
        let description = CameraDescription {
            model: "simulated line-scan camera".into(),
            serial: format!("{}-{}", name, world.config.seed),
            layout: Layout { pixels: config.pixels, bands: config.bands, format: PixelFormat::U16 },
            wavelengths_nm,
            fwhm_nm: Some(vec![config.fwhm_nm.unwrap_or(step); config.bands]),
            values: Values::Counts,
            saturation: Some(f64::from(full_scale(config))),
            shutter: config.shutter,
            recorded: false,
            waits: world.as_read(),
            max_frame_rate_hz: config.max_frame_rate_hz,
            exposure_range_us: (config.min_exposure_us, config.max_exposure_us),
            frames: None,
        };
        let exposure_us = config.reference_exposure_us.clamp(config.min_exposure_us, config.max_exposure_us);
        let frame_rate_hz = config.max_frame_rate_hz.min(1e6 / exposure_us);
        Self {
            world,
            name: name.into(),
            config: config.clone(),
            description,
            sensor: Arc::new(sensor),
            exposure: Exposure { exposure_us, frame_rate_hz, binning: (1, 1) },
            shutter_open: Arc::new(AtomicBool::new(true)),
            running: None,
            begun: 0,
        }
    }

    fn refused<T>(&self, setting: &'static str, wanted: impl std::fmt::Debug, reason: &str) -> Result<T, CameraError> {
        Err(CameraError::Refused { camera: self.name.to_string(), setting, wanted: format!("{wanted:?}"), reason: reason.into() })
    }

    /// True places and wavelengths of its elements.
    pub fn optics(&self) -> &Optics {
        &self.sensor.optics
    }

    /// Indices of the elements with telegraph noise, band by band.
    pub(crate) fn telegraph_elements(&self) -> &[usize] {
        self.sensor.detector.telegraph()
    }

    pub(crate) fn config(&self) -> &CameraConfig {
        &self.config
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|link| !link.stopped.load(Ordering::Acquire))
    }
}

impl LineCamera for Camera {
    fn describe(&self) -> &CameraDescription {
        &self.description
    }

    fn apply(&mut self, wanted: &Exposure) -> Result<Exposure, CameraError> {
        if self.is_running() {
            return self.refused("exposure", wanted, "a stream is running; stop it first");
        }
        if wanted.binning != (1, 1) {
            return self.refused("binning", wanted.binning, "it does not bin");
        }
        if !(wanted.exposure_us.is_finite() && wanted.exposure_us > 0.0) {
            return self.refused("exposure_us", wanted.exposure_us, "an exposure is above 0");
        }
        if !(wanted.frame_rate_hz.is_finite() && wanted.frame_rate_hz > 0.0) {
            return self.refused("frame_rate_hz", wanted.frame_rate_hz, "a frame rate is above 0");
        }
        let exposure_us = self.world.stuck_exposure_us(&self.name).unwrap_or(wanted.exposure_us);
        let exposure_us = exposure_us.clamp(self.config.min_exposure_us, self.config.max_exposure_us);
        let frame_rate_hz = wanted.frame_rate_hz.min(self.config.max_frame_rate_hz).min(1e6 / exposure_us);
        self.exposure = Exposure { exposure_us, frame_rate_hz, binning: (1, 1) };
        Ok(self.exposure)
    }

    fn set_shutter(&mut self, open: bool) -> Result<(), CameraError> {
        if !self.config.shutter {
            return Err(CameraError::Unable { camera: self.name.to_string(), ability: "shutter" });
        }
        self.shutter_open.store(open, Ordering::Release);
        Ok(())
    }

    fn start(&mut self, pool: FramePool, subject: Subject) -> Result<Box<dyn FrameStream>, CameraError> {
        let refused = |reason: String| Err(CameraError::Start { camera: self.name.to_string(), reason });
        if self.is_running() {
            return refused("a stream is running; stop it first".into());
        }
        if pool.layout() != self.description.layout {
            return refused(format!("the pool's frames are {:?}, the camera's {:?}", pool.layout(), self.description.layout));
        }
        self.begun += 1;
        let (id, start_ns) = self.world.begin_stream(subject);
        if self.world.frame_of(&self.name, 0).lost {
            self.world.end_stream(id);
            return Err(CameraError::Link { camera: self.name.to_string(), reason: "no answer within 100 ms".into() });
        }
        let link = Arc::new(Link { id, stopped: Arc::new(AtomicBool::new(false)), next: AtomicU64::new(0) });
        let counter = FrameCounter::new(self.config.counter_bits, self.config.counter_skips_zero);
        let begin = self.config.counter_start.unwrap_or(u64::from(self.config.counter_skips_zero));
        let counter = match counter.beginning_at(begin) {
            Ok(counter) => counter,
            Err(error) => return refused(error.to_string()),
        };
        let seed = noise::hash(self.world.config.seed, &["frames", &self.name, &self.begun.to_string()]);
        let telegraph = self.config.telegraph.clone();
        let telegraph = telegraph.map(|telegraph| {
            let elements = self.sensor.detector.telegraph().len();
            TelegraphStates::new(telegraph, elements, start_ns, noise::hash(seed, &["telegraph"]))
        });
        let mut source = Source {
            sent: counter.clone(),
            received: counter,
            sensor_c: self.config.sensor_c,
            world: Arc::clone(&self.world),
            name: Arc::clone(&self.name),
            sensor: Arc::clone(&self.sensor),
            scratch: self.sensor.scratch(),
            shutter_open: Arc::clone(&self.shutter_open),
            link: Arc::clone(&link),
            start_ns,
            frame_rate_hz: self.exposure.frame_rate_hz,
            reference_exposure_us: self.config.reference_exposure_us,
            exposure: self.exposure.exposure_us / self.config.reference_exposure_us,
            noise: seed,
            telegraph,
            latency_ns: (self.config.latency_us * 1000.0) as i64,
            dark_drift_per_h: self.config.dark_drift_per_h,
            lost_below: self.config.lost_per_thousand / 1000.0,
        };
        source.go_to(0);
        let stopped = Arc::clone(&link.stopped);
        self.running = Some(Arc::clone(&link));
        if self.world.as_read() {
            let (world, name) = (Arc::clone(&self.world), Arc::clone(&self.name));
            return Ok(Box::new(Read { frames: OnDemand::new(source, pool, stopped), world, name, link, silent: false }));
        }
        match Paced::spawn(&format!("sim-{}", self.name), source, pool, stopped) {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(CameraError::Start { camera: self.name.to_string(), reason: format!("no thread for it: {error}") }),
        }
    }

    fn ensure_stopped(&mut self) -> Result<(), CameraError> {
        if let Some(link) = self.running.take() {
            link.stopped.store(true, Ordering::Release);
            self.world.end_stream(link.id);
        }
        Ok(())
    }
}

/// Makes the frames of one stream.
struct Source {
    world: Arc<World>,
    name: Arc<str>,
    sensor: Arc<Sensor>,
    scratch: Scratch,
    /// The counter's two ends: the camera's, which sends, and the driver's, which unwraps.
    sent: FrameCounter,
    received: FrameCounter,
    sensor_c: (f32, f32),
    shutter_open: Arc<AtomicBool>,
    link: Arc<Link>,
    start_ns: i64,
    frame_rate_hz: f64,
    reference_exposure_us: f64,
    /// In units of the reference exposure.
    exposure: f64,
    noise: u64,
    telegraph: Option<TelegraphStates>,
    /// Delay of a stamp behind the middle of the exposure, ns.
    latency_ns: i64,
    /// Counts that the dark level rises by per hour.
    dark_drift_per_h: f64,
    /// Share of frames lost on the link.
    lost_below: f64,
}

impl Source {
    fn number(&self) -> u64 {
        self.link.next.load(Ordering::Relaxed)
    }

    fn after_start_ns(&self, number: u64) -> i64 {
        (number as f64 * 1e9 / self.frame_rate_hz).round() as i64
    }

    /// The sensor's temperature, degrees Celsius. The sensor warms up from the beginning of the world.
    fn temperature_c(&self, time_ns: i64) -> f32 {
        let (cold, warm) = self.sensor_c;
        warm + (cold - warm) * (-(time_ns as f64) * 1e-9 / SENSOR_WARM_UP_S).exp() as f32
    }

    /// Moves on to the next frame from `number` on that the link does not lose.
    fn go_to(&mut self, mut number: u64) {
        loop {
            if let Some(next) = self.world.frame_of(&self.name, number).skipped {
                number = next;
            } else if noise::unit(noise::mix(self.noise ^ noise::mix(!number))) < self.lost_below {
                number += 1;
            } else {
                break;
            }
        }
        self.link.next.store(number, Ordering::Relaxed);
        self.world.pass_frame(self.link.id, self.start_ns + self.after_start_ns(number));
    }
}

impl FrameSource for Source {
    fn next_due(&mut self) -> Option<(u64, Duration)> {
        let number = self.number();
        let fate = self.world.frame_of(&self.name, number);
        if fate.silent {
            return Some((number, NEVER));
        }
        let due_s = (self.after_start_ns(number) + self.latency_ns) as f64 * 1e-9 + fate.late_s;
        Some((number, Duration::from_secs_f64(due_s / self.world.config.time_scale)))
    }

    fn fill(&mut self, slot: &mut Slot) -> Result<Filled, CameraError> {
        let number = self.number();
        let fate = self.world.frame_of(&self.name, number);
        if fate.lost {
            return Err(CameraError::Link { camera: self.name.to_string(), reason: "the link broke".into() });
        }
        let after_start_ns = self.after_start_ns(number);
        let time_ns = self.start_ns + after_start_ns;
        // The shutter is read first. The clock may go on afterwards, and no command comes between.
        let open = self.world.shutter_is_open(&self.name, self.shutter_open.load(Ordering::Acquire));
        let exposure_s = self.exposure * self.reference_exposure_us * 1e-6;
        let seen = self.world.make_frame(self.link.id, time_ns, self.latency_ns, exposure_s);
        let telegraph = match &mut self.telegraph {
            None => &[][..],
            Some(states) => {
                let begun = self.world.has_begun(states.config.from_s, states.config.from_mm, time_ns);
                states.go_to(time_ns, begun);
                &states.counts[..]
            }
        };
        let shot = Shot {
            belt_mm: seen.belt_mm,
            smear_mm: seen.speed_mm_per_s * exposure_s,
            light: if open { seen.light * self.exposure } else { 0.0 },
            added_dark: self.dark_drift_per_h * time_ns as f64 / 3.6e12,
            telegraph,
            noise: self.noise.wrapping_add(number),
        };
        let Some(out) = slot.as_u16_mut() else {
            return Err(CameraError::Start { camera: self.name.to_string(), reason: "the pool's slots do not hold counts".into() });
        };
        let counted = self.received.number(self.sent.raw(number));
        let counted = counted.map_err(|error| CameraError::Link { camera: self.name.to_string(), reason: error.to_string() })?;
        self.sensor.render(&self.world.tray, &shot, &mut self.scratch, out);
        self.go_to(number + 1);
        Ok(Filled::Frame(FrameInfo {
            number: counted,
            device_time_ns: Some(after_start_ns as u64),
            time_ns: self.world.epoch_ns + time_ns + self.latency_ns,
            position_mm: None,
            exposure_us: Some((self.exposure * self.reference_exposure_us) as f32),
            temperature_c: Some(self.temperature_c(time_ns)),
            status: if fate.torn { FrameStatus::Incomplete } else { FrameStatus::Ok },
        }))
    }

    fn skip(&mut self) {
        let number = self.number();
        self.go_to(number + 1);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.link.stopped.store(true, Ordering::Release);
        self.world.end_stream(self.link.id);
    }
}

/// A stream in `as_read` pace. It gives frames on demand, until the camera falls silent.
struct Read {
    frames: OnDemand<Source>,
    world: Arc<World>,
    name: Arc<str>,
    link: Arc<Link>,
    silent: bool,
}

impl FrameStream for Read {
    fn next(&mut self, deadline: Instant) -> Result<Received, CameraError> {
        let stopped = || self.link.stopped.load(Ordering::Acquire);
        if !self.silent && !stopped() && self.world.frame_of(&self.name, self.link.next.load(Ordering::Relaxed)).silent {
            self.silent = true;
            self.world.end_stream(self.link.id);
        }
        if !self.silent || stopped() {
            return self.frames.next(deadline);
        }
        while !stopped() {
            let now = Instant::now();
            if now >= deadline {
                return Ok(Received::Nothing);
            }
            std::thread::sleep((deadline - now).min(POLL_INTERVAL));
        }
        Ok(Received::End)
    }

    fn statistics(&self) -> StreamStatistics {
        self.frames.statistics()
    }
}
