//! The camera: its opening, its description and its commands.

use crate::aravis::{self, Device, Listed, StreamOptions};
use crate::config::Config;
use crate::control::{Celsius, Held, Intervals, Shared};
use crate::flow::{Counters, Flow, Numbers};
use crate::found::Found;
use crate::network::Interface;
use crate::settings::{self, Named, Setup};
use crate::stream::Stream;
use crate::wavelengths;
use contract::{CameraDescription, CameraError, Exposure, FramePool, FrameStream, Layout, LineCamera, PixelFormat, Subject, Values};
use crossbeam_channel::bounded;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Searches for cameras on every interface. They must answer within about a second.
pub fn discover() -> Vec<Found> {
    aravis::list().into_iter().map(|listed| listed.found).collect()
}

/// A camera on GigE Vision or USB3 Vision.
pub struct Camera {
    named: Named,
    config: Config,
    description: CameraDescription,
    shared: Shared,
    setup: Setup,
    /// Its last settings.
    exposure: Option<Exposure>,
    lost: Arc<AtomicBool>,
    celsius: Arc<Celsius>,
    running: Option<Running>,
}

/// A stream that runs.
struct Running {
    stopped: Arc<AtomicBool>,
    flow: JoinHandle<()>,
    intervals: Option<JoinHandle<()>>,
}

impl Camera {
    /// Finds a camera, opens it and sets it up. It blocks for seconds where there is none.
    ///
    /// # Errors
    /// [`CameraError::Start`] for a configuration with a fault. [`CameraError::Refused`] for a setting that the camera does not
    /// take. [`CameraError::Link`] for a camera that is absent or does not answer.
    pub fn open(name: &str, config: &Config) -> Result<Self, CameraError> {
        let named = Named(name.to_owned());
        let wrong = |(key, problem)| named.start(format!("camera.device.{key} {problem}"));
        if let Some(fault) = config.faults().into_iter().next() {
            return Err(wrong(fault));
        }
        let (wavelengths_nm, fwhm_nm) = wavelengths::bands(config).map_err(wrong)?;
        let (device, address) = find(&named, config)?;
        let setup = settings::set_up(&named, &device, config, address)?;
        let exposure_range_us = named.read("the range of the exposure", device.exposure_bounds())?;
        let paced = config.trigger == "free" && named.read("the frame rate", device.has_frame_rate())?;
        let max_frame_rate_hz = if paced {
            named.read("the range of the frame rate", device.frame_rate_bounds())?.1
        } else {
            1e6 / exposure_range_us.0.max(1.0)
        };
        let description = CameraDescription {
            model: named.read("its model", device.model())?,
            serial: named.read("its serial number", device.serial())?,
            layout: Layout { pixels: config.pixels, bands: config.bands, format: PixelFormat::U16 },
            wavelengths_nm,
            fwhm_nm,
            values: Values::Counts,
            saturation: Some(config.saturation.unwrap_or_else(|| f64::from((1_u32 << config.pixel_format.bits()) - 1))),
            shutter: config.shutter.is_some(),
            recorded: false,
            waits: false,
            max_frame_rate_hz,
            exposure_range_us,
            frames: None,
        };
        let lost = device.lost();
        let shared = Shared::new(device);
        let config = config.clone();
        Ok(Self { named, config, description, shared, setup, exposure: None, lost, celsius: Arc::default(), running: None })
    }

    /// Weak points of the camera's connection.
    pub fn warnings(&self) -> &[String] {
        &self.setup.warnings
    }

    fn device(&self) -> Result<Held<'_>, CameraError> {
        self.shared.device().ok_or_else(|| self.named.link("it was lost and not found again"))
    }

    /// Whether a stream runs. One that ended by itself does not. One whose camera is lost does not, although its thread may.
    fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.flow.is_finished()) && !self.lost.load(Ordering::Acquire)
    }

    /// Whether the camera is there, ours, and holds its settings. One that was off in between has lost them.
    fn is_as_it_was(&self) -> bool {
        let Some(device) = self.shared.device() else { return false };
        !self.lost.load(Ordering::Acquire)
            && (!device.is_gige() || device.take_control().is_ok())
            && device.region().ok() == settings::region(&self.named, &self.config).ok()
            && device.pixel_format().is_ok_and(|format| format == self.config.pixel_format.name())
            && device.payload().is_ok_and(|payload| payload == self.setup.payload)
    }

    /// Finds a lost camera again.
    fn revive(&mut self) -> Result<(), CameraError> {
        self.ensure_stopped()?;
        if self.is_as_it_was() {
            return Ok(());
        }
        // A camera that is held here refuses another opening.
        self.shared.close();
        let mut again = Self::open(&self.named.0, &self.config)?;
        if again.description != self.description {
            return Err(self.named.link("it was lost, and another camera is there now; restart the daemon"));
        }
        if let Some(exposure) = self.exposure {
            let accepted = settings::expose(&again.named, &*again.device()?, &again.config, &exposure)?;
            again.exposure = Some(accepted);
        }
        *self = again;
        Ok(())
    }

    fn threads(&self, pool: FramePool) -> Result<(Running, Stream), CameraError> {
        let device = self.device()?;
        let options = device.is_gige().then(|| StreamOptions {
            socket_buffer: i32::try_from(u64::from(self.config.socket_buffer_kib) * 1024).unwrap_or(i32::MAX),
            resend: self.config.packet_resend,
            frame_retention_us: self.config.frame_retention_ms * 1000,
        });
        let transfer = device.stream(self.setup.payload, options).map_err(|fault| self.named.link(format!("no stream: {fault}")))?;
        drop(device);
        // Every frame under way holds a slot. One place more is for an error.
        let (frames_in, frames) = bounded(pool.slots() + 1);
        let counters = Arc::new(Counters::default());
        let stopped = Arc::new(AtomicBool::new(false));
        let exposure = self.exposure;
        let (exposure_us, rate) = exposure.map_or((0.0, self.description.max_frame_rate_hz), |e| (e.exposure_us, e.frame_rate_hz));
        // A buffer is held by each frame that waits for packets. More frames arrive before this machine reads again.
        let waiting_s = f64::from(self.config.frame_retention_ms) / 1000.0 + 0.1;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few dozen; the cast keeps to the range")]
        let wanted = ((rate * waiting_s) as usize).clamp(1, (pool.slots() / 2).max(1));
        #[expect(clippy::cast_possible_truncation, reason = "at most seconds")]
        let latency_ns = (self.config.latency_us.unwrap_or(exposure_us / 2.0) * 1000.0) as i64;
        let flow = Flow {
            named: self.named.clone(),
            config: self.config.clone(),
            transfer,
            payload: self.setup.payload,
            pool,
            frames: frames_in,
            counters: Arc::clone(&counters),
            numbers: Numbers::new(self.setup.id_bits, self.config.status_line.clone()),
            stopped: Arc::clone(&stopped),
            lost: Arc::clone(&self.lost),
            celsius: Arc::clone(&self.celsius),
            latency_ns,
            exposure_us,
            wanted,
            spare: Vec::new(),
            direct: self.config.pixel_format.is_plain() && cfg!(target_endian = "little"),
        };
        let no_thread = |error: std::io::Error| self.named.start(format!("no thread for it: {error}"));
        let name = &self.named.0;
        let flow = std::thread::Builder::new().name(format!("gige-{name}")).spawn(move || flow.run()).map_err(no_thread)?;
        Ok((Running { stopped, flow, intervals: None }, Stream { frames, counters }))
    }

    fn intervals(&self, stopped: &Arc<AtomicBool>) -> std::io::Result<Option<JoinHandle<()>>> {
        let rate = self.exposure.map_or(1.0, |exposure| exposure.frame_rate_hz);
        let fire = (self.config.trigger == "software").then(|| Duration::from_secs_f64(1.0 / rate.max(0.01)));
        let intervals = Intervals { fire, temperature: self.config.temperature.clone() };
        intervals.spawn(format!("gige-{}-control", self.named.0), self.shared.clone(), Arc::clone(stopped), Arc::clone(&self.celsius))
    }
}

/// Finds the camera of a configuration, and its address where it has one.
fn find(named: &Named, config: &Config) -> Result<(Device, Option<Ipv4Addr>), CameraError> {
    let place = config.place();
    let link = |reason: String| named.link(format!("{place}: {reason}"));
    let interface = match &config.interface {
        Some(name) => {
            Some(Interface::named(name).ok_or_else(|| link(format!("this machine has no interface {name} with an IPv4 address")))?)
        }
        None => None,
    };
    let address: Option<Ipv4Addr> = config.address.as_ref().and_then(|address| address.parse().ok());
    let open = |interface: Option<&Interface>, address: Ipv4Addr| {
        let device = match interface {
            Some(interface) => Device::open_from(interface.address, address),
            None => Device::open(&address.to_string()),
        };
        device.map(|device| (device, Some(address))).map_err(|fault| link(fault.to_string()))
    };
    if let Some(address) = address {
        let (device, address) = open(interface.as_ref(), address)?;
        let serial = named.read("its serial number", device.serial())?;
        if let Some(wanted) = config.serial.as_ref().filter(|wanted| **wanted != serial) {
            return Err(link(format!("the camera there has serial {serial}, and {wanted} is wanted")));
        }
        return Ok((device, address));
    }
    let listed = aravis::list();
    let fits = |one: &&Listed| {
        let address = one.found.address.parse().ok();
        config.serial.as_ref().is_none_or(|serial| *serial == one.found.serial)
            && interface.as_ref().is_none_or(|interface| address.is_some_and(|address| interface.reaches(address)))
    };
    let fitting: Vec<&Listed> = listed.iter().filter(fits).collect();
    match fitting.as_slice() {
        [one] => match one.found.address.parse() {
            Ok(address) => open(interface.as_ref(), address),
            Err(_) => Device::open(&one.id).map(|device| (device, None)).map_err(|fault| link(fault.to_string())),
        },
        [] => {
            let others: Vec<String> = listed.iter().map(|one| one.found.to_string()).collect();
            let others = if others.is_empty() { "no camera answers".into() } else { format!("there are {}", others.join("; ")) };
            Err(link(format!("is not there; {others}")))
        }
        several => {
            let several: Vec<String> = several.iter().map(|one| one.found.to_string()).collect();
            Err(link(format!("several cameras fit: {}; give the serial", several.join("; "))))
        }
    }
}

impl LineCamera for Camera {
    fn describe(&self) -> &CameraDescription {
        &self.description
    }

    fn apply(&mut self, wanted: &Exposure) -> Result<Exposure, CameraError> {
        if self.is_running() {
            return Err(self.named.start("settings while a stream runs: stop it first"));
        }
        self.revive()?;
        let accepted = settings::expose(&self.named, &*self.device()?, &self.config, wanted)?;
        self.exposure = Some(accepted);
        Ok(accepted)
    }

    fn set_shutter(&mut self, open: bool) -> Result<(), CameraError> {
        let Some(shutter) = &self.config.shutter else {
            return Err(CameraError::Unable { camera: self.named.0.clone(), ability: "shutter" });
        };
        let device = self.device()?;
        for feature in if open { &shutter.open } else { &shutter.closed } {
            settings::set_feature(&self.named, &device, feature)?;
        }
        drop(device);
        std::thread::sleep(Duration::from_millis(shutter.settle_ms.into()));
        Ok(())
    }

    fn frame_room(&self) -> usize {
        self.setup.payload.saturating_sub(self.description.layout.bytes())
    }

    fn start(&mut self, pool: FramePool, _subject: Subject) -> Result<Box<dyn FrameStream>, CameraError> {
        if self.is_running() {
            return Err(self.named.start("a stream is running; stop it first"));
        }
        if pool.layout() != self.description.layout {
            return Err(self.named.start(format!("the pool's frames are {:?}, the camera's {:?}", pool.layout(), self.description.layout)));
        }
        self.revive()?;
        let (mut running, stream) = self.threads(pool)?;
        let started = self.device()?.start();
        let intervals = self.intervals(&running.stopped);
        let result = started.map_err(|fault| self.named.link(format!("it does not start: {fault}"))).and_then(|()| {
            running.intervals = intervals.map_err(|error| self.named.start(format!("no thread for it: {error}")))?;
            Ok(())
        });
        self.running = Some(running);
        if let Err(error) = result {
            let _ = self.ensure_stopped();
            return Err(error);
        }
        Ok(Box::new(stream))
    }

    fn ensure_stopped(&mut self) -> Result<(), CameraError> {
        let Some(running) = self.running.take() else { return Ok(()) };
        let told = self.shared.device().map_or(Ok(()), |device| device.stop());
        running.stopped.store(true, Ordering::Release);
        // A thread that panicked has ended too.
        let _ = running.flow.join();
        let _ = running.intervals.map(JoinHandle::join);
        // A camera that is gone sends nothing any more. Its next use finds it again.
        match told {
            Err(fault) if !fault.link && !self.lost.load(Ordering::Acquire) => Err(self.named.link(format!("it does not stop: {fault}"))),
            _ => Ok(()),
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.ensure_stopped();
    }
}
