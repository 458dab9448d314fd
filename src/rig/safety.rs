//! Safety of the rig: its state, interruptions, and the interlock.

use crate::state::{Effect, Event, NotNow, State};
use crate::sync::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::MutexGuard;

/// The state machine, and the interruption flag that every activity checks.
pub(super) struct Safety {
    now: Mutex<Now>,
    /// Raised to end the current activity, lowered when a new one begins. It changes under the lock of the state.
    interrupted: AtomicBool,
    /// Held from the check of `interrupted` until belt or lamp is switched on. So no start overtakes a stop.
    interlock: tokio::sync::Mutex<()>,
    /// Whether a task repeats the attempts to make the rig safe.
    retrying: AtomicBool,
}

struct Now {
    state: State,
    /// Reason for the end of the current activity. The first one counts.
    reason: Option<String>,
    /// Reason for refusals while interrupted scans are being recovered.
    recovering: Option<String>,
}

impl Default for Safety {
    fn default() -> Self {
        let now = Now { state: State::Idle, reason: None, recovering: None };
        Self {
            now: Mutex::new(now),
            interrupted: AtomicBool::default(),
            interlock: tokio::sync::Mutex::default(),
            retrying: AtomicBool::default(),
        }
    }
}

impl Safety {
    pub(super) fn state(&self) -> State {
        lock(&self.now).state.clone()
    }

    /// Advances the state machine. Gives the new state where it changed, and the effects to carry out.
    ///
    /// # Errors
    /// The event is not possible in this state. Nothing changed.
    pub(super) fn advance(&self, event: &Event) -> Result<(Option<State>, Vec<Effect>), NotNow> {
        let mut now = lock(&self.now);
        let (next, effects) = now.state.on(event)?;
        let changed = now.state != next;
        now.state = next.clone();
        // The flag changes under the lock and before any effect. Nothing is switched on after it.
        match event {
            Event::Stop | Event::EmergencyStop(_) | Event::Fault(_) => self.interrupted.store(true, Ordering::Release),
            Event::ScanRequested | Event::DarkRequested | Event::WhiteRequested => {
                self.interrupted.store(false, Ordering::Release);
                now.reason = None;
            }
            _ => {}
        }
        Ok((changed.then_some(next), effects))
    }

    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Interrupts the current activity. Gives the first reason.
    pub(super) fn interrupt(&self, reason: &str) -> String {
        let first = self.give_reason(reason);
        self.interrupted.store(true, Ordering::Release);
        first
    }

    /// Clears the interruption for an activity outside the state machine, such as an operator's travel.
    pub(super) fn allow(&self) {
        self.interrupted.store(false, Ordering::Release);
    }

    /// Notes a reason for the end of the current activity. Gives the first reason.
    pub(super) fn give_reason(&self, reason: &str) -> String {
        lock(&self.now).reason.get_or_insert_with(|| reason.to_owned()).clone()
    }

    pub(super) fn reason(&self) -> Option<String> {
        lock(&self.now).reason.clone()
    }

    pub(super) fn take_reason(&self) -> Option<String> {
        lock(&self.now).reason.take()
    }

    /// Reason for refusals during recovery.
    pub(super) fn recovering(&self) -> Option<String> {
        lock(&self.now).recovering.clone()
    }

    pub(super) fn set_recovering(&self, reason: Option<String>) {
        lock(&self.now).recovering = reason;
    }

    /// Waits for the interlock. Its holder checks [`Safety::interrupted`] before it switches anything on.
    pub(super) async fn interlock(&self) -> MutexGuard<'_, ()> {
        self.interlock.lock().await
    }

    /// Whether another task is switching belt or lamps on at this moment.
    pub(super) fn switching_on(&self) -> bool {
        self.interlock.try_lock().is_err()
    }

    /// Claims the task of retrying. Gives false while another task has it.
    pub(super) fn begin_retrying(&self) -> bool {
        !self.retrying.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_retrying(&self) {
        self.retrying.store(false, Ordering::Release);
    }
}
