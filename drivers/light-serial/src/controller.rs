//! Controllers, and the light of a channel.

use crate::config::Config;
use crate::line::{Job, Line};
use crate::port::Fault;
use async_trait::async_trait;
use contract::{Light, LightDescription, LightError, LightState, LinkStatistics};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The controllers of a rig. The channels of one controller share its port.
#[derive(Default)]
pub struct Controllers {
    lines: BTreeMap<String, (Arc<Line>, Vec<Config>)>,
}

impl Controllers {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a light. It greets the controller, and brings the channel to its safe level. It blocks until the controller answers.
    /// It needs no runtime.
    ///
    /// # Errors
    /// [`LightError::Refused`] for a configuration with a fault, or by the controller. [`LightError::Link`] for a port that
    /// cannot be opened, or a silent controller.
    pub fn open(&mut self, name: &str, config: &Config) -> Result<SerialLight, LightError> {
        let refused = |wanted: String, reason: String| LightError::Refused { light: name.to_owned(), wanted, reason };
        if let Some((key, problem)) = config.faults().into_iter().next() {
            return Err(refused(format!("device.{key}"), problem));
        }
        let place = config.place();
        let line = match self.lines.get(&place) {
            Some((line, others)) if others.iter().all(|other| other.shares_with(config)) => Arc::clone(line),
            Some(_) => {
                let reason = format!("{place} is used by another light with the same channel or other settings of the line");
                return Err(refused(format!("channel {}", config.channel), reason));
            }
            None => Arc::new(Line::start(config).map_err(|fault| told(name, "to be opened".into(), fault))?),
        };
        let model = line.add(config).map_err(|fault| told(name, "to be opened".into(), fault))?;
        self.lines.entry(place).or_insert_with(|| (Arc::clone(&line), Vec::new())).1.push(config.clone());
        let description = LightDescription { model, dimmable: config.protocol.dimmable() };
        Ok(SerialLight { name: name.to_owned(), channel: config.channel, description, line })
    }
}

/// One channel of a controller.
pub struct SerialLight {
    name: String,
    channel: u8,
    description: LightDescription,
    line: Arc<Line>,
}

fn told(light: &str, wanted: String, fault: Fault) -> LightError {
    let light = light.to_owned();
    match fault {
        Fault::Link(reason) => LightError::Link { light, reason },
        Fault::Refused(reason) => LightError::Refused { light, wanted, reason },
        Fault::Lamp(reason) => LightError::Lamp { light, reason },
    }
}

#[async_trait]
impl Light for SerialLight {
    fn describe(&self) -> &LightDescription {
        &self.description
    }

    async fn set(&self, level: f64) -> Result<LightState, LightError> {
        let wanted = || format!("level {level}");
        let refused = |reason: &str| Err(LightError::Refused { light: self.name.clone(), wanted: wanted(), reason: reason.into() });
        if !(0.0..=1.0).contains(&level) {
            return refused("a level is from 0 to 1");
        }
        if !self.description.dimmable && level != 0.0 && level != 1.0 {
            return refused("it cannot be dimmed; set 0 or 1");
        }
        self.line.ask(|reply| Job::Set(self.channel, level, reply)).await.map_err(|fault| told(&self.name, wanted(), fault))
    }

    async fn state(&self) -> Result<LightState, LightError> {
        self.line.ask(|reply| Job::Read(self.channel, reply)).await.map_err(|fault| told(&self.name, "to be asked".into(), fault))
    }

    fn link(&self) -> LinkStatistics {
        self.line.counters.read()
    }
}
