//! The conveyor: a drive that is started, watched and stopped.

use crate::bus::{Bus, OpenError, Wanted};
use crate::config::Config;
use crate::profile::{Bits, Profile, Step};
use crate::reading::{Reader, Sample};
use crate::track::Track;
use crate::wire::{BusError, Register};
use async_trait::async_trait;
use contract::{Conveyor, ConveyorDescription, ConveyorError, ConveyorState, LinkStatistics, PositionTrack};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Number of stops to a silent drive before it is given up.
const STOPS: usize = 3;

/// A belt drive.
pub struct Drive {
    config: Config,
    profile: Profile,
    description: ConveyorDescription,
    bus: Bus,
    track: Arc<Track>,
    mm_per_s_per_count: f64,
}

impl Drive {
    /// Opens the bus, stops a running belt, and sets the drive's communication-loss stop. It blocks until the drive answers. It
    /// needs no runtime.
    ///
    /// # Errors
    /// [`ConveyorError::Link`] for a bus that cannot be opened or a silent drive. [`ConveyorError::Refused`] for an unusable
    /// profile or a refused register. [`ConveyorError::Drive`] for a drive with a fault.
    pub fn open(config: &Config) -> Result<Self, ConveyorError> {
        if let Some((key, problem)) = config.faults().into_iter().next() {
            return Err(ConveyorError::Refused { wanted: format!("conveyor.device.{key}"), reason: problem });
        }
        let mut profile =
            Profile::read(&config.profile).map_err(|e| ConveyorError::Refused { wanted: "its profile".into(), reason: e.to_string() })?;
        profile.encoder = config.encoder.clone().or(profile.encoder);
        let hole_ms = 3 * config.poll_ms + 2 * config.timeout_ms;
        let hole_ns = i64::try_from(hole_ms).unwrap_or(i64::MAX / 1_000_000) * 1_000_000;
        let track = Arc::new(Track::new(hole_ns, Duration::from_millis(config.poll_ms)));
        let reader = Reader::new(config, &profile, Arc::clone(&track), hole_ns);
        let bus = Bus::open(config, &profile, reader).map_err(|error| match error {
            OpenError::Bus(error) => told(error, "to be opened".into()),
            OpenError::Watchdog { .. } => {
                ConveyorError::Refused { wanted: "its communication-loss stop".into(), reason: error.to_string() }
            }
            OpenError::Runs { .. } => ConveyorError::Drive { fault: error.to_string() },
        })?;
        let description = ConveyorDescription {
            model: profile.model.clone(),
            speed_range_mm_per_s: (config.min_speed_mm_per_s, config.max_speed_mm_per_s),
            reversible: config.reversible,
            recorded: false,
        };
        let mm_per_s_per_count = profile.setpoint.scale.mm_per_s_per_count(config.mm_per_s_per_hz.unwrap_or(0.0));
        Ok(Self { config: config.clone(), profile, description, bus, track, mm_per_s_per_count })
    }

    fn poll(&self) -> Duration {
        Duration::from_millis(self.config.poll_ms.min(100))
    }

    fn command(&self) -> Register {
        Register { address: self.profile.command.address, name: "command" }
    }

    /// Sets the speed and reads it back. Returns the speed in the drive, mm/s.
    async fn set_speed(&self, speed_mm_per_s: f64, backwards: bool, stops: u64) -> Result<f64, ConveyorError> {
        let setpoint = &self.profile.setpoint;
        let wanted = || format!("{speed_mm_per_s} mm/s");
        let counts = (speed_mm_per_s.abs() / self.mm_per_s_per_count).round();
        let most = if setpoint.signed { 32_767.0 } else { 65_535.0 };
        if counts > most || counts < 1.0 {
            return Err(ConveyorError::Refused {
                wanted: wanted(),
                reason: format!("that is {counts} counts of register {} (setpoint), which holds 1 to {most}", setpoint.address),
            });
        }
        let word = if setpoint.signed && backwards { (-(counts as i32)) as u16 } else { counts as u16 };
        let register = Register { address: setpoint.address, name: "setpoint" };
        let mut result = self.bus.write(register, word, stops).await;
        if matches!(result, Err(BusError::Timeout { .. } | BusError::Garbled { .. } | BusError::Broken { .. })) {
            result = self.bus.write(register, word, stops).await;
        }
        result.map_err(|error| told(error, wanted()))?;
        let shown = Register { address: setpoint.read_back.unwrap_or(setpoint.address), name: "setpoint" };
        let read = self.bus.read(shown).await.map_err(|error| told(error, wanted()))?;
        if read != word {
            return Err(ConveyorError::Refused {
                wanted: wanted(),
                reason: format!(
                    "{register} was written {word}, and {shown} reads {read}; check the drive's source of setpoints and its limits"
                ),
            });
        }
        Ok(counts * self.mm_per_s_per_count * speed_mm_per_s.signum())
    }

    /// Sends the words of a start. Each is read back, and its state is awaited.
    async fn start(&self, steps: &[Step], stops: u64) -> Result<(), ConveyorError> {
        for (i, step) in steps.iter().enumerate() {
            let wanted = || format!("command {:#06x}", step.write);
            let last = i + 1 == steps.len();
            match self.bus.write(self.command(), step.write, stops).await {
                Ok(()) => {}
                Err(BusError::Timeout { .. } | BusError::Garbled { .. } | BusError::Broken { .. }) => {
                    // The word may have arrived. The status shows it, before the same word goes out again.
                    let sample = self.bus.sample(false).await.map_err(|error| told(error, wanted()))?;
                    let heard = if last { sample.running } else { step.until.is_some_and(|bits| sample.holds(&self.profile, bits)) };
                    if !heard {
                        self.bus.write(self.command(), step.write, stops).await.map_err(|error| told(error, wanted()))?;
                    }
                }
                Err(error) => return Err(told(error, wanted())),
            }
            if self.profile.command.read_back {
                let read = self.bus.read(self.command()).await.map_err(|error| told(error, wanted()))?;
                if stops != self.bus.shared.stops.load(Ordering::Acquire) {
                    return Err(told(BusError::Overtaken, wanted()));
                }
                if read != step.write {
                    let reason = format!("{} was written {:#06x} and reads {read:#06x}", self.command(), step.write);
                    return Err(ConveyorError::Refused { wanted: wanted(), reason });
                }
            }
            if let Some(bits) = step.until {
                self.until(|sample| sample.holds(&self.profile, bits), &described(bits, &self.profile), stops).await?;
            }
        }
        Ok(())
    }

    /// Waits for a state of the drive.
    async fn until(&self, reached: impl Fn(&Sample) -> bool, what: &str, stops: u64) -> Result<Sample, ConveyorError> {
        let end = Instant::now() + self.config.ramp();
        loop {
            if stops != self.bus.shared.stops.load(Ordering::Acquire) {
                return Err(told(BusError::Overtaken, "to run".into()));
            }
            let sample = self.bus.sample(false).await.map_err(|error| told(error, what.to_owned()))?;
            if let Some(trouble) = sample.trouble() {
                return Err(trouble);
            }
            if reached(&sample) {
                return Ok(sample);
            }
            if Instant::now() > end {
                return Err(ConveyorError::Drive { fault: format!("no {what} within {} s: {}", self.config.ramp_s, sample.read) });
            }
            sleep(self.poll()).await;
        }
    }

    /// Starts the belt, or changes its speed.
    async fn set_running(&self, speed_mm_per_s: f64, stops: u64) -> Result<f64, ConveyorError> {
        let shared = &self.bus.shared;
        let sample = self.bus.sample(false).await.map_err(|error| told(error, "to run".into()))?;
        if let Some(trouble) = sample.trouble() {
            return Err(trouble);
        }
        let other_way = sample.running && sample.drive_mm_per_s * speed_mm_per_s < 0.0;
        if other_way {
            self.stop_belt().await?;
        }
        let backwards = (speed_mm_per_s < 0.0) != self.config.reversed;
        let accepted = self.set_speed(speed_mm_per_s, backwards, stops).await?;
        let again = sample.running && sample.drive_mm_per_s != 0.0 && !other_way;
        if !again {
            shared.backwards.store(backwards, Ordering::Relaxed);
            let command = &self.profile.command;
            let steps = if backwards && !command.reverse.is_empty() { &command.reverse } else { &command.forward };
            self.start(steps, stops).await?;
        }
        let moves = |sample: &Sample| sample.running && sample.drive_mm_per_s * speed_mm_per_s > 0.0;
        self.until(moves, "motion", stops).await?;
        shared.trip(None);
        shared.want(Wanted::Running);
        if stops != shared.stops.load(Ordering::Acquire) {
            shared.want(Wanted::Stopped);
            return Err(told(BusError::Overtaken, "to run".into()));
        }
        Ok(accepted)
    }

    /// Sends the stop until the drive accepts it, and waits for standstill.
    async fn stop_belt(&self) -> Result<(), ConveyorError> {
        let shared = &self.bus.shared;
        // The stop is wanted until standstill is known. The owner of the bus goes on trying while the drive is silent.
        shared.want(Wanted::Stopped);
        let mut sent = Ok(());
        for _ in 0..STOPS {
            sent = Ok(());
            for word in &self.profile.command.stop {
                sent = sent.and(self.bus.write_now(self.command(), *word).await);
            }
            match &sent {
                Ok(()) => {
                    shared.want(Wanted::Nothing);
                    break;
                }
                Err(BusError::Exception { .. }) => {
                    // A drive that refuses a stop may still accept a speed of zero.
                    let setpoint = Register { address: self.profile.setpoint.address, name: "setpoint" };
                    let _ = self.bus.write_now(setpoint, 0).await;
                }
                Err(_) => {}
            }
        }
        let end = Instant::now() + self.config.ramp();
        let mut unanswered = 0;
        loop {
            let sample = match self.bus.sample(true).await {
                Ok(sample) => sample,
                // One answer may be lost.
                Err(_) if unanswered + 1 < STOPS => {
                    unanswered += 1;
                    continue;
                }
                Err(error) => {
                    shared.want(Wanted::Stopped);
                    return Err(told(sent.err().unwrap_or(error), "to stop".into()));
                }
            };
            unanswered = 0;
            if sample.stands() {
                shared.trip(None);
                shared.want(Wanted::Nothing);
                return Ok(());
            }
            if Instant::now() > end {
                shared.want(Wanted::Stopped);
                let refused = sent.err().map_or_else(String::new, |error| format!("; {error}"));
                return Err(ConveyorError::Drive {
                    fault: format!("it still moves {} s after the stop: {}{refused}", self.config.ramp_s, sample.read),
                });
            }
            sleep(self.poll()).await;
        }
    }
}

/// Bits in words.
fn described(bits: Bits, profile: &Profile) -> String {
    let register = bits.register.unwrap_or(profile.status.word);
    match bits.value {
        Some(value) => format!("{value:#06x} under mask {:#06x} in register {register}", bits.mask),
        None => format!("bit of {:#06x} in register {register}", bits.mask),
    }
}

/// The contract's error for an error of the bus.
fn told(error: BusError, wanted: String) -> ConveyorError {
    match error {
        BusError::Exception { .. } | BusError::Overtaken => ConveyorError::Refused { wanted, reason: error.to_string() },
        other => ConveyorError::Link { reason: other.to_string() },
    }
}

#[async_trait]
impl Conveyor for Drive {
    fn describe(&self) -> &ConveyorDescription {
        &self.description
    }

    async fn run(&self, speed_mm_per_s: f64) -> Result<f64, ConveyorError> {
        self.description.check_speed(speed_mm_per_s, "it may not run backwards; see conveyor.device.reversible")?;
        let stops = self.bus.shared.stops.load(Ordering::Acquire);
        let error = match self.set_running(speed_mm_per_s, stops).await {
            Ok(accepted) => return Ok(accepted),
            Err(error) => error,
        };
        // The drive's motion is unknown now.
        match (self.stop_belt().await, error) {
            (Ok(()), error) | (Err(_), error @ ConveyorError::Astray { .. }) => Err(error),
            (Err(stop), ConveyorError::Refused { wanted, reason }) => {
                Err(ConveyorError::Refused { wanted, reason: format!("{reason}; and then: {stop}") })
            }
            (Err(stop), ConveyorError::Link { reason }) => Err(ConveyorError::Link { reason: format!("{reason}; and then: {stop}") }),
            (Err(stop), ConveyorError::Drive { fault }) => Err(ConveyorError::Drive { fault: format!("{fault}; and then: {stop}") }),
        }
    }

    async fn stop(&self) -> Result<(), ConveyorError> {
        self.bus.shared.stops.fetch_add(1, Ordering::AcqRel);
        self.stop_belt().await
    }

    async fn state(&self) -> Result<ConveyorState, ConveyorError> {
        let sample = self.bus.sample(false).await.map_err(|error| told(error, "to be asked".into()))?;
        if let Some(trouble) = self.bus.shared.why_tripped().or_else(|| sample.trouble()) {
            return Err(trouble);
        }
        Ok(ConveyorState { moving: sample.speed_mm_per_s != 0.0, speed_mm_per_s: sample.speed_mm_per_s, position_mm: sample.position_mm })
    }

    fn track(&self) -> Arc<dyn PositionTrack> {
        Arc::<Track>::clone(&self.track)
    }

    fn link(&self) -> LinkStatistics {
        self.bus.statistics()
    }
}
