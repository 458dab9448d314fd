//! The bus and the thread that owns it.

use crate::config::Config;
use crate::profile::{Profile, Table};
use crate::reading::{Reader, Sample, Words};
use crate::wire::{BusError, Link, Register};
use contract::{ConveyorError, LinkCounters, LinkStatistics};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, sleep};

/// The belt's wanted state, as far as the owner of the bus enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No wanted state.
    Nothing = 0,
    /// A running belt. A drive that stopped by itself gets a stop. It then does not start again by itself.
    Running = 1,
    /// A standing belt, while the drive was not reached yet.
    Stopped = 2,
}

/// The part of the bus that others see.
#[derive(Debug)]
pub(crate) struct Shared {
    wanted: AtomicU8,
    /// Number of stops so far. A start from before the last stop is not sent any more.
    pub stops: AtomicU64,
    /// Whether the last command was backwards.
    pub backwards: AtomicBool,
    /// The reason of an unwanted standstill.
    pub tripped: Mutex<Option<ConveyorError>>,
    pub counters: Arc<LinkCounters>,
}

impl Shared {
    pub fn want(&self, wanted: Wanted) {
        self.wanted.store(wanted as u8, Ordering::Release);
    }

    fn wanted(&self) -> Wanted {
        match self.wanted.load(Ordering::Acquire) {
            1 => Wanted::Running,
            2 => Wanted::Stopped,
            _ => Wanted::Nothing,
        }
    }

    pub fn trip(&self, why: Option<ConveyorError>) {
        *self.tripped.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub fn why_tripped(&self) -> Option<ConveyorError> {
        self.tripped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

enum Job {
    /// Reads one register.
    Read(Register, oneshot::Sender<Result<u16, BusError>>),
    /// Writes one register, unless a stop came since this number of stops.
    Write(Register, u16, Option<u64>, oneshot::Sender<Result<(), BusError>>),
    /// Reads the status.
    Sample(oneshot::Sender<Result<Sample, BusError>>),
}

/// A handle of the bus. Requests of a stop go before all others.
pub(crate) struct Bus {
    urgent: Option<mpsc::UnboundedSender<Job>>,
    normal: Option<mpsc::UnboundedSender<Job>>,
    pub shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Bus {
    /// Opens the bus, brings the drive to standstill and sets its communication-loss stop. It blocks.
    pub fn open(config: &Config, profile: &Profile, reader: Reader) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            wanted: AtomicU8::new(0),
            stops: AtomicU64::new(0),
            backwards: AtomicBool::new(false),
            tripped: Mutex::new(None),
            counters: Arc::new(LinkCounters::default()),
        });
        let (urgent, urgent_jobs) = mpsc::unbounded_channel();
        let (normal, normal_jobs) = mpsc::unbounded_channel();
        let (opened, result) = std::sync::mpsc::channel();
        let link = Link::new(config.clone(), Arc::clone(&shared.counters));
        let mut owner = Owner { link, config: config.clone(), profile: profile.clone(), reader, shared: Arc::clone(&shared), unread: None };
        let place = config.place();
        let broken = |reason: String| OpenError::Bus(BusError::Open { place: place.clone(), reason });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| broken(e.to_string()))?;
        let thread = std::thread::Builder::new()
            .name("belt".into())
            .spawn(move || {
                runtime.block_on(async {
                    let ready = owner.prepare().await;
                    let failed = ready.is_err();
                    if opened.send(ready).is_ok() && !failed {
                        owner.serve(urgent_jobs, normal_jobs).await;
                    }
                });
            })
            .map_err(|e| broken(e.to_string()))?;
        let bus = Self { urgent: Some(urgent), normal: Some(normal), shared, thread: Some(thread) };
        result.recv().map_err(|_| broken("the thread of the bus has ended".into()))??;
        Ok(bus)
    }

    async fn ask<T>(&self, urgent: bool, job: impl FnOnce(oneshot::Sender<Result<T, BusError>>) -> Job) -> Result<T, BusError> {
        let ended = || BusError::Broken { place: "the bus".into(), reason: "its thread has ended".into() };
        let (reply, answer) = oneshot::channel();
        let queue = if urgent { &self.urgent } else { &self.normal };
        queue.as_ref().ok_or_else(ended)?.send(job(reply)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Reads one register.
    pub async fn read(&self, register: Register) -> Result<u16, BusError> {
        self.ask(false, |reply| Job::Read(register, reply)).await
    }

    /// Writes one register, unless a stop came after `stops` stops.
    pub async fn write(&self, register: Register, value: u16, stops: u64) -> Result<(), BusError> {
        self.ask(false, |reply| Job::Write(register, value, Some(stops), reply)).await
    }

    /// Writes one register before all else.
    pub async fn write_now(&self, register: Register, value: u16) -> Result<(), BusError> {
        self.ask(true, |reply| Job::Write(register, value, None, reply)).await
    }

    /// Reads the status.
    pub async fn sample(&self, urgent: bool) -> Result<Sample, BusError> {
        self.ask(urgent, Job::Sample).await
    }

    pub fn statistics(&self) -> LinkStatistics {
        self.shared.counters.read()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // The thread ends without callers. It stops a running belt, and gives the port back.
        drop((self.urgent.take(), self.normal.take()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A drive that cannot be opened.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(
        "register {address} (communication loss) was written {written} and reads {read}; correct [[watchdog]] of the profile, or set it at the drive and watchdog_ms = 0 here"
    )]
    Watchdog { address: u16, written: u16, read: u16 },
    #[error("it does not stop: {read}")]
    Runs { read: String },
}

/// The thread's state.
struct Owner {
    link: Link,
    config: Config,
    profile: Profile,
    reader: Reader,
    shared: Arc<Shared>,
    /// The reason of the encoder's last failed reading.
    unread: Option<BusError>,
}

impl Owner {
    /// Leaves the drive stopped, with its communication-loss stop set.
    async fn prepare(&mut self) -> Result<(), OpenError> {
        let mut sample = self.sample().await?;
        let end = Instant::now() + self.config.ramp();
        if sample.running {
            self.stop().await?;
            while sample.running {
                if Instant::now() > end {
                    return Err(OpenError::Runs { read: sample.read });
                }
                sleep(Duration::from_millis(self.config.poll_ms)).await;
                sample = self.sample().await?;
            }
        }
        if sample.fault.is_some() && self.config.clear_fault_at_open {
            let address = self.profile.command.reset_address.unwrap_or(self.profile.command.address);
            for word in self.profile.command.reset.clone() {
                self.write(Register { address, name: "reset" }, word).await?;
            }
        }
        // The belt stands by now. Without the encoder its position is unknown.
        if let Some(error) = self.unread.take() {
            return Err(error.into());
        }
        if self.config.watchdog_ms == 0 {
            return Ok(());
        }
        for parameter in self.profile.watchdog.clone() {
            let register = Register { address: parameter.address, name: "communication loss" };
            let counts = parameter.per_s.map(|per_s| (per_s * self.config.watchdog_ms as f64 * 1e-3).round().clamp(1.0, 65_535.0));
            let written = counts.map_or(parameter.value.unwrap_or(0), |counts| counts as u16);
            if self.read(register).await? == written {
                continue;
            }
            let mut result = self.write(register, written).await;
            if result.as_ref().is_err_and(BusError::is_passing) {
                result = self.write(register, written).await;
            }
            result?;
            let read = self.read(register).await?;
            if read != written {
                return Err(OpenError::Watchdog { address: parameter.address, written, read });
            }
        }
        Ok(())
    }

    async fn serve(&mut self, mut urgent: mpsc::UnboundedReceiver<Job>, mut normal: mpsc::UnboundedReceiver<Job>) {
        let mut tick = interval(Duration::from_millis(self.config.poll_ms));
        loop {
            tokio::select! {
                biased;
                job = urgent.recv() => match job {
                    Some(job) => self.work(job).await,
                    None => break,
                },
                // Endless callers ask for the status too.
                Some(job) = normal.recv() => self.work(job).await,
                _ = tick.tick() => {
                    // Errors are counted. The next caller gets them.
                    let _ = self.watch().await;
                    // The interval begins now. A reading of a silent bus takes longer than an interval.
                    tick.reset();
                }
            }
        }
        if self.shared.wanted() != Wanted::Nothing {
            // Nobody waits for this result. The drive's own communication-loss stop acts if it fails.
            let _ = self.stop().await;
        }
    }

    /// Does a job. A caller that has given up needs no answer.
    async fn work(&mut self, job: Job) {
        match job {
            Job::Read(register, reply) => {
                let _ = reply.send(self.read(register).await);
            }
            Job::Write(register, value, stops, reply) => {
                let written = match stops {
                    None => self.link.write(self.config.unit, register, value, true).await,
                    Some(stops) if stops == self.shared.stops.load(Ordering::Acquire) => self.write(register, value).await,
                    Some(_) => Err(BusError::Overtaken),
                };
                let _ = reply.send(written);
            }
            Job::Sample(reply) => {
                let _ = reply.send(self.watch().await);
            }
        }
    }

    /// Reads the status, and stops a drive that does not obey.
    async fn watch(&mut self) -> Result<Sample, BusError> {
        let sample = self.sample().await?;
        match self.shared.wanted() {
            Wanted::Running if !sample.running || sample.trouble().is_some() => {
                let stopped = || ConveyorError::Drive { fault: format!("it stopped by itself: {}", sample.read) };
                self.shared.trip(Some(sample.trouble().unwrap_or_else(stopped)));
                self.shared.want(Wanted::Stopped);
                if self.stop().await.is_ok() && !sample.running {
                    self.shared.want(Wanted::Nothing);
                }
            }
            Wanted::Stopped if sample.stands() => self.shared.want(Wanted::Nothing),
            Wanted::Stopped if sample.running => self.stop().await?,
            _ => {}
        }
        Ok(sample)
    }

    async fn stop(&mut self) -> Result<(), BusError> {
        let address = self.profile.command.address;
        let mut result = Ok(());
        for word in self.profile.command.stop.clone() {
            let register = Register { address, name: "command" };
            let written = self.link.write(self.config.unit, register, word, true).await;
            result = result.and(written);
        }
        result
    }

    /// Reads a register of the drive.
    async fn read(&mut self, register: Register) -> Result<u16, BusError> {
        Ok(self.read_from(self.config.unit, register, 1, Table::Holding).await?[0])
    }

    /// Reads registers of a unit. It asks once more where that may help and no stop waits.
    async fn read_from(&mut self, unit: u8, register: Register, count: u16, table: Table) -> Result<Vec<u16>, BusError> {
        let stops = self.shared.stops.load(Ordering::Acquire);
        let input = table == Table::Input;
        match self.link.read(unit, register, count, input).await {
            Err(error) if error.is_passing() && stops == self.shared.stops.load(Ordering::Acquire) => {
                self.link.read(unit, register, count, input).await
            }
            result => result,
        }
    }

    async fn write(&mut self, register: Register, value: u16) -> Result<(), BusError> {
        self.link.write(self.config.unit, register, value, false).await
    }

    async fn sample(&mut self) -> Result<Sample, BusError> {
        let status = &self.profile.status;
        let register = Register { address: status.address, name: "status" };
        let before = contract::now_ns();
        let (count, table) = (status.count, status.table);
        let words = self.read_from(self.config.unit, register, count, table).await?;
        let after = contract::now_ns();
        let mut words = Words { first: register.address, words, time_ns: before + (after - before) / 2, ..Words::default() };
        if let Some(encoder) = self.profile.encoder.clone().filter(|_| self.reader.counts()) {
            let register = Register { address: encoder.address, name: "encoder" };
            let before = contract::now_ns();
            // A silent encoder leaves the drive's status valid.
            match self.read_from(encoder.unit.unwrap_or(self.config.unit), register, encoder.words, encoder.table).await {
                Ok(counted) => {
                    (words.encoder, self.unread) = (counted, None);
                    words.time_ns = before + (contract::now_ns() - before) / 2;
                }
                Err(error) => {
                    words.unread = Some(error.to_string());
                    self.unread = Some(error);
                }
            }
        }
        let told = if self.shared.backwards.load(Ordering::Relaxed) { -1.0 } else { 1.0 };
        if let Some(fault) = self.profile.fault.as_ref().filter(|_| self.tripped(&words)) {
            let near = fault.address.checked_sub(words.first).and_then(|i| words.words.get(usize::from(i))).copied();
            words.fault = match near {
                Some(code) => Some(code),
                None => self.read(Register { address: fault.address, name: "fault" }).await.ok(),
            };
        }
        Ok(self.reader.take(&words, told))
    }

    fn tripped(&self, words: &Words) -> bool {
        self.profile.status.fault.iter().any(|bits| {
            let register = bits.register.unwrap_or(self.profile.status.word);
            let word = words.words.get(usize::from(register.saturating_sub(words.first))).copied().unwrap_or(0);
            bits.value.map_or(word & bits.mask != 0, |value| word & bits.mask == value)
        })
    }
}
