//! The states of the rig, as a pure function: (state, event) gives the next state and what is to be done.
//!
//! | state | event | next state | effects |
//! | --- | --- | --- | --- |
//! | idle | scan asked for | warming | lamps on |
//! | idle | dark asked for | referencing | take references |
//! | idle | white asked for | warming | lamps on |
//! | warming | lamps warm | referencing | take references |
//! | referencing | references good, for a scan | ready | prepare the scan |
//! | referencing | references good or refused, for themselves | idle | belt stops |
//! | referencing | references refused, for a scan | draining | belt stops, scan closed |
//! | ready | scan prepared | scanning | belt runs |
//! | scanning | every camera has its last line | draining | belt stops, drain, scan closed |
//! | scanning | stop | draining | belt stops, acquisition ends, drain, scan closed |
//! | warming, referencing, ready for a scan | stop | draining | belt stops, scan closed |
//! | warming, referencing for themselves | stop | idle | belt stops |
//! | draining | scan closed | idle | |
//! | scanning | fault | faulted | belt stops, acquisition ends, lamps off, drain, scan closed |
//! | warming, referencing, ready for a scan | fault | faulted | belt stops, lamps off, scan closed |
//! | draining, idle, or references for themselves | fault | faulted | belt stops, lamps off |
//! | faulted | scan closed, another fault | faulted | |
//! | any | emergency stop | as for stop | as for stop, and lamps off |
//! | faulted | acknowledged | idle | |
//!
//! Everything else is refused, and changes nothing.
#![doc = include_str!("policy.md")]

use crate::scan::{Cause, StateName};

/// What warming and referencing are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A scan follows.
    Scan,
    /// References for themselves.
    References,
}

/// The state of the rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing is asked of the rig.
    Idle,
    /// Lamps become stable.
    Warming(Purpose),
    /// References are being taken.
    Referencing(Purpose),
    /// References are good, the scan is being prepared.
    Ready,
    /// The belt moves and lines are recorded.
    Scanning,
    /// What was recorded is being written.
    Draining,
    /// A fault stopped the rig.
    Faulted {
        /// Why.
        cause: String,
        /// Whether a scan's data is still being written.
        draining: bool,
        /// Whether an emergency stop is among the causes.
        emergency: bool,
    },
}

/// What happens to the rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A scan was asked for.
    ScanRequested,
    /// A dark reference was asked for.
    DarkRequested,
    /// A white reference was asked for.
    WhiteRequested,
    /// The lamps are stable.
    LampsWarm,
    /// The references are good.
    ReferencesGood,
    /// A reference did not pass.
    ReferencesRefused,
    /// The cameras stream and the data path runs.
    ScanPrepared,
    /// Every camera has given its last line.
    Acquired,
    /// Somebody asked to stop.
    Stop,
    /// Somebody asked to stop everything at once. The cause names who.
    EmergencyStop(Cause),
    /// The scan's record is closed: everything recorded is written.
    Closed,
    /// Something failed.
    Fault(Cause),
    /// An operator has taken note of a fault.
    Acknowledged,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Switch lamps on and wait for them.
    WarmLamps,
    /// Take references, if those held are too old.
    TakeReferences,
    /// Start cameras and data path.
    PrepareScan,
    /// Run the belt until every camera has its last line.
    RunBelt,
    /// Stop the belt.
    StopBelt,
    /// End the acquisition.
    EndAcquisition,
    /// Wait until everything recorded is written.
    Drain,
    /// Switch lamps off.
    LampsOff,
    /// Close the scan's record.
    CloseScan,
}

/// An event that does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} is not possible while the rig is {state}")]
pub struct NotNow {
    /// The state, in words.
    pub state: String,
    /// The event, in words.
    pub event: &'static str,
}

impl State {
    /// The state's name for status and events.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Idle => StateName::Idle,
            Self::Warming(_) => StateName::Warming,
            Self::Referencing(_) => StateName::Referencing,
            Self::Ready => StateName::Ready,
            Self::Scanning => StateName::Scanning,
            Self::Draining => StateName::Draining,
            Self::Faulted { .. } => StateName::Faulted,
        }
    }

    /// The state in words.
    pub fn words(&self) -> String {
        match self {
            Self::Idle => "idle".into(),
            Self::Warming(_) => "warming its lamps".into(),
            Self::Referencing(_) => "taking references".into(),
            Self::Ready => "about to scan".into(),
            Self::Scanning => "scanning".into(),
            Self::Draining => "writing the last scan".into(),
            Self::Faulted { cause, .. } => format!("faulted ({cause}); acknowledge it with `hyclus acknowledge`"),
        }
    }

    /// The next state and what is to be done.
    ///
    /// # Errors
    /// [`NotNow`] when the event does not fit; nothing changes then.
    pub fn on(&self, event: &Event) -> Result<(Self, Vec<Effect>), NotNow> {
        use Effect::{CloseScan, Drain, EndAcquisition, LampsOff, PrepareScan, RunBelt, StopBelt, TakeReferences, WarmLamps};
        use Purpose::{References, Scan};
        let next = match (self, event) {
            (Self::Idle, Event::ScanRequested) => (Self::Warming(Scan), vec![WarmLamps]),
            (Self::Idle, Event::DarkRequested) => (Self::Referencing(References), vec![TakeReferences]),
            (Self::Idle, Event::WhiteRequested) => (Self::Warming(References), vec![WarmLamps]),
            (Self::Warming(purpose), Event::LampsWarm) => (Self::Referencing(*purpose), vec![TakeReferences]),
            (Self::Referencing(Scan), Event::ReferencesGood) => (Self::Ready, vec![PrepareScan]),
            (Self::Referencing(References), Event::ReferencesGood | Event::ReferencesRefused) => (Self::Idle, vec![StopBelt]),
            (Self::Referencing(Scan), Event::ReferencesRefused) => (Self::Draining, vec![StopBelt, CloseScan]),
            (Self::Ready, Event::ScanPrepared) => (Self::Scanning, vec![RunBelt]),
            (Self::Scanning, Event::Acquired) => (Self::Draining, vec![StopBelt, Drain, CloseScan]),
            (Self::Scanning, Event::Stop) => (Self::Draining, vec![StopBelt, EndAcquisition, Drain, CloseScan]),
            (Self::Warming(Scan) | Self::Referencing(Scan) | Self::Ready, Event::Stop) => (Self::Draining, vec![StopBelt, CloseScan]),
            (Self::Warming(References) | Self::Referencing(References), Event::Stop) => (Self::Idle, vec![StopBelt]),
            (same @ Self::Draining, Event::Stop) => (same.clone(), vec![StopBelt]),
            (Self::Draining, Event::Closed) => (Self::Idle, vec![]),
            (Self::Faulted { cause, draining: true, emergency }, Event::Closed) => {
                (Self::Faulted { cause: cause.clone(), draining: false, emergency: *emergency }, vec![])
            }
            // Who acknowledges a fault must learn that somebody stopped the rig since. One notice is enough.
            (Self::Faulted { cause, draining, emergency: false }, Event::EmergencyStop(stop)) => {
                let cause = format!("{cause}; then {}", stop.text);
                (Self::Faulted { cause, draining: *draining, emergency: true }, vec![StopBelt, LampsOff])
            }
            (same @ Self::Faulted { .. }, Event::EmergencyStop(_)) => (same.clone(), vec![StopBelt, LampsOff]),
            // The first cause is the one to know, and belt and lamps are being seen to: to begin again each time that they do not obey
            // would have no end.
            (same @ Self::Faulted { .. }, Event::Fault(_)) => (same.clone(), vec![]),
            (Self::Scanning, Event::Fault(_) | Event::EmergencyStop(_)) => {
                (faulted(event, true), vec![StopBelt, LampsOff, EndAcquisition, Drain, CloseScan])
            }
            (Self::Warming(Scan) | Self::Referencing(Scan) | Self::Ready, Event::Fault(_) | Event::EmergencyStop(_)) => {
                (faulted(event, true), vec![StopBelt, LampsOff, CloseScan])
            }
            (Self::Draining, Event::Fault(_) | Event::EmergencyStop(_)) => (faulted(event, true), vec![StopBelt, LampsOff]),
            (_, Event::Fault(_) | Event::EmergencyStop(_)) => (faulted(event, false), vec![StopBelt, LampsOff]),
            (Self::Faulted { draining: false, .. }, Event::Acknowledged) => (Self::Idle, vec![]),
            _ => return Err(NotNow { state: self.words(), event: event.words() }),
        };
        Ok(next)
    }
}

/// The state after a fault or an emergency stop.
fn faulted(event: &Event, draining: bool) -> State {
    let cause = event.cause().map(|cause| cause.text.clone()).unwrap_or_default();
    State::Faulted { cause, draining, emergency: matches!(event, Event::EmergencyStop(_)) }
}

impl Event {
    /// A fault.
    pub fn fault(cause: impl Into<Cause>) -> Self {
        Self::Fault(cause.into())
    }

    /// Why the event faults the rig. `None` where it does not.
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Fault(cause) | Self::EmergencyStop(cause) => Some(cause),
            _ => None,
        }
    }

    const fn words(&self) -> &'static str {
        match self {
            Self::ScanRequested => "a scan",
            Self::DarkRequested | Self::WhiteRequested => "a reference",
            Self::LampsWarm | Self::ReferencesGood | Self::ReferencesRefused | Self::ScanPrepared | Self::Acquired | Self::Closed => {
                "a step of a scan"
            }
            Self::Stop => "a stop",
            Self::EmergencyStop(_) => "an emergency stop",
            Self::Fault(_) => "a fault",
            Self::Acknowledged => "acknowledging a fault",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Subsystem;
    use proptest::prelude::*;

    fn stop() -> Cause {
        Cause::new(Subsystem::Operator, "emergency stop by ada")
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::ScanRequested),
            Just(Event::DarkRequested),
            Just(Event::WhiteRequested),
            Just(Event::LampsWarm),
            Just(Event::ReferencesGood),
            Just(Event::ReferencesRefused),
            Just(Event::ScanPrepared),
            Just(Event::Acquired),
            Just(Event::Stop),
            Just(Event::EmergencyStop(stop())),
            Just(Event::Closed),
            Just(Event::Fault(Cause::new(Subsystem::Data, "x"))),
            Just(Event::Acknowledged),
        ]
    }

    proptest! {
        /// Whatever happens, in whatever order: the belt runs only while scanning, every way out of scanning stops it, a scan is
        /// closed exactly once, and a fault leaves only by being acknowledged.
        #[test]
        fn the_rig_is_safe_whatever_happens(events in proptest::collection::vec(event(), 0..60)) {
            let (mut state, mut open) = (State::Idle, false);
            for event in events {
                let Ok((next, effects)) = state.on(&event) else { continue };
                if event == Event::ScanRequested {
                    prop_assert!(!open, "two scans at once");
                    open = true;
                }
                prop_assert_eq!(effects.contains(&Effect::RunBelt), next == State::Scanning && state != State::Scanning);
                if state == State::Scanning {
                    let at = |effect| effects.iter().position(|e| *e == effect);
                    prop_assert_eq!(at(Effect::StopBelt), Some(0));
                    prop_assert!(at(Effect::Drain).is_some() && at(Effect::Drain) < at(Effect::CloseScan), "closed before it is written");
                }
                let anew = matches!(event, Event::Fault(_)) && !matches!(state, State::Faulted { .. });
                let pressed = matches!(event, Event::EmergencyStop(_));
                if pressed || anew {
                    prop_assert!(effects.contains(&Effect::StopBelt) && effects.contains(&Effect::LampsOff));
                }
                if pressed {
                    let told = matches!(&next, State::Faulted { cause, emergency: true, .. } if cause.contains("emergency stop by ada"));
                    prop_assert!(told, "{:?} does not tell of the emergency stop", next);
                }
                if event == Event::Acknowledged {
                    prop_assert!(effects.is_empty(), "acknowledging starts {:?}", effects);
                }
                if effects.contains(&Effect::CloseScan) {
                    prop_assert!(std::mem::take(&mut open), "closed twice");
                }
                if matches!(state, State::Faulted { .. }) && !matches!(next, State::Faulted { .. }) {
                    prop_assert_eq!(&event, &Event::Acknowledged);
                }
                prop_assert!(next != State::Idle || !open, "an idle rig has no open scan");
                state = next;
            }
        }
    }

    #[test]
    fn a_scan_goes_its_way() {
        let mut state = State::Idle;
        for event in [Event::ScanRequested, Event::LampsWarm, Event::ReferencesGood, Event::ScanPrepared, Event::Acquired, Event::Closed] {
            state = state.on(&event).unwrap().0;
        }
        assert_eq!(state, State::Idle);
        let refused = State::Scanning.on(&Event::ScanRequested).unwrap_err();
        assert_eq!(refused.to_string(), "a scan is not possible while the rig is scanning");
    }

    #[test]
    fn an_emergency_stop_latches_in_every_state() {
        let (stop, other) = (Event::EmergencyStop(stop()), Event::EmergencyStop(Cause::new(Subsystem::Operator, "emergency stop by bob")));
        let purposes = [Purpose::Scan, Purpose::References];
        let steps = purposes.into_iter().flat_map(|purpose| [State::Warming(purpose), State::Referencing(purpose)]);
        for state in [State::Idle, State::Ready, State::Scanning, State::Draining].into_iter().chain(steps) {
            let (stopped, _) = state.on(&stop).unwrap();
            assert_eq!(stopped.on(&other).unwrap().0, stopped, "the first who stopped it is told");
            let refused = stopped.on(&Event::ScanRequested).unwrap_err().to_string();
            assert!(refused.contains("emergency stop by ada") && refused.contains("`hyclus acknowledge`"), "{refused}");
            let written = stopped.on(&Event::Closed).map_or(stopped, |(next, _)| next);
            assert_eq!(written.on(&Event::Acknowledged).unwrap(), (State::Idle, vec![]), "from {state:?}");
        }
        let broken = State::Idle.on(&Event::Fault(Cause::new(Subsystem::Belt, "x"))).unwrap().0;
        let State::Faulted { cause, .. } = broken.on(&stop).unwrap().0 else { panic!("the fault is gone") };
        assert_eq!(cause, "x; then emergency stop by ada");
    }
}
