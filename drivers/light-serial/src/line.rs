//! The thread that owns a port, and the lights behind it.

use crate::config::Config;
use crate::port::{Fault, Port};
use crate::protocol;
use contract::{LightState, LinkCounters};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

pub(crate) enum Job {
    /// Adds a light.
    Add(Config, Sender<Result<String, Fault>>),
    /// Sets a channel.
    Set(u8, f64, tokio::sync::oneshot::Sender<Result<LightState, Fault>>),
    /// Reads a channel.
    Read(u8, tokio::sync::oneshot::Sender<Result<LightState, Fault>>),
}

/// A port with its thread.
pub(crate) struct Line {
    pub config: Config,
    pub counters: Arc<LinkCounters>,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    pub fn start(config: &Config) -> Result<Self, Fault> {
        let counters = Arc::new(LinkCounters::default());
        let (jobs, asked) = channel();
        let owner = Owner {
            port: Port::new(config.clone(), Arc::clone(&counters)),
            config: config.clone(),
            channels: BTreeMap::new(),
            model: String::new(),
        };
        let thread = std::thread::Builder::new().name("light".into()).spawn(move || owner.serve(&asked));
        let thread = thread.map_err(|error| Fault::Link(format!("no thread for {}: {error}", config.place())))?;
        Ok(Self { config: config.clone(), counters, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Greets the controller and brings a channel to its safe level. Returns the model. It blocks.
    pub fn add(&self, config: &Config) -> Result<String, Fault> {
        let (reply, answer) = channel();
        self.send(Job::Add(config.clone(), reply))?;
        answer.recv().map_err(|_| self.ended())?
    }

    pub async fn ask(&self, job: impl FnOnce(tokio::sync::oneshot::Sender<Result<LightState, Fault>>) -> Job) -> Result<LightState, Fault> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.send(job(reply))?;
        answer.await.map_err(|_| self.ended())?
    }

    fn send(&self, job: Job) -> Result<(), Fault> {
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or_else(|| self.ended())
    }

    fn ended(&self) -> Fault {
        Fault::Link(format!("the thread of {} has ended", self.config.place()))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Channel {
    config: Config,
    told: f64,
    /// The reason of a link that was lost since the last command. The light then is at its safe level.
    lost: Option<String>,
}

struct Owner {
    port: Port,
    config: Config,
    channels: BTreeMap<u8, Channel>,
    model: String,
}

impl Owner {
    fn serve(mut self, jobs: &Receiver<Job>) {
        let mut next = Instant::now() + self.config.heartbeat();
        loop {
            match jobs.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= next {
                self.look();
                next = Instant::now() + self.config.heartbeat();
            }
        }
        for channel in self.channels.values_mut() {
            // Nobody waits for this result.
            let _ = protocol::set(&mut self.port, &channel.config, channel.config.safe_level, &mut channel.told);
        }
    }

    /// Does a job. A caller that has given up needs no answer.
    fn work(&mut self, job: Job) {
        match job {
            Job::Add(config, reply) => {
                let _ = reply.send(self.add(config));
            }
            Job::Set(number, level, reply) => {
                let _ = reply.send(self.set(number, level));
            }
            Job::Read(number, reply) => {
                let _ = reply.send(self.read(number));
            }
        }
    }

    fn add(&mut self, config: Config) -> Result<String, Fault> {
        if !self.port.is_open() {
            self.port.open()?;
            self.model = self.twice(|owner| protocol::greet(&mut owner.port, &config))?;
        }
        let number = config.channel;
        let safe = config.safe_level;
        self.channels.insert(number, Channel { config, told: safe, lost: None });
        match self.set(number, safe) {
            Err(Fault::Lamp(_)) | Ok(_) => Ok(self.model.clone()),
            Err(error) => {
                self.channels.remove(&number);
                Err(error)
            }
        }
    }

    /// Asks once more where an answer was lost or spoilt. Every request may be sent twice.
    fn twice<T>(&mut self, ask: impl Fn(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        match ask(self) {
            Err(Fault::Link(_)) if self.port.is_open() => ask(self),
            result => result,
        }
    }

    /// Opens a port that was lost, greets the controller, and brings every light to its safe level.
    fn regain(&mut self) -> Result<(), Fault> {
        if self.port.is_open() {
            return Ok(());
        }
        self.port.open()?;
        let config = self.channels.values().next().map_or_else(|| self.config.clone(), |channel| channel.config.clone());
        let result = protocol::greet(&mut self.port, &config).and_then(|_| {
            self.channels.values_mut().try_for_each(|channel| {
                match protocol::set(&mut self.port, &channel.config, channel.config.safe_level, &mut channel.told) {
                    Ok(_) | Err(Fault::Lamp(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            })
        });
        if result.is_err() {
            self.port.close();
        }
        result
    }

    /// Notes a lost link, for every light behind it.
    fn note<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(Fault::Link(reason)) = &result {
            self.port.close();
            for channel in self.channels.values_mut() {
                channel.lost.get_or_insert_with(|| reason.clone());
            }
        }
        result
    }

    fn set(&mut self, number: u8, level: f64) -> Result<LightState, Fault> {
        let regained = self.regain();
        self.note(regained)?;
        let result = self.twice(|owner| match owner.channels.get_mut(&number) {
            Some(channel) => protocol::set(&mut owner.port, &channel.config, level, &mut channel.told),
            None => Err(Fault::Refused(format!("channel {number} was not opened"))),
        });
        let result = self.note(result);
        if let (Ok(_) | Err(Fault::Lamp(_)), Some(channel)) = (&result, self.channels.get_mut(&number)) {
            channel.lost = None;
        }
        result
    }

    fn read(&mut self, number: u8) -> Result<LightState, Fault> {
        let regained = self.regain();
        self.note(regained)?;
        let lost = self.channels.get(&number).and_then(|channel| channel.lost.clone());
        if let Some(reason) = lost {
            return Err(Fault::Link(format!(
                "the link was lost ({reason}) and is there again; the light is at its safe level, set it anew"
            )));
        }
        let result = self.twice(|owner| match owner.channels.get(&number) {
            Some(channel) => protocol::read(&mut owner.port, &channel.config, channel.told),
            None => Err(Fault::Refused(format!("channel {number} was not opened"))),
        });
        self.note(result)
    }

    /// Reads every channel. The next caller gets the findings.
    fn look(&mut self) {
        for number in self.channels.keys().copied().collect::<Vec<_>>() {
            let _ = self.read(number);
        }
    }
}
