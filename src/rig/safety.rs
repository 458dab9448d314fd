//! What holds the rig back: its state, what interrupts it, and the interlock.

use super::state::{Effect, Event, NotNow, State};
use crate::sync::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::MutexGuard;

/// The state machine, and the flag that everything under way looks at.
pub(super) struct Safety {
    now: Mutex<Now>,
    /// Raised to end what is under way; lowered when something new begins. Changed under the lock of the state.
    interrupted: AtomicBool,
    /// Held while the belt is told to run, or a lamp to burn, after a look whether somebody stopped. So no stop is overtaken.
    interlock: tokio::sync::Mutex<()>,
    /// Whether a task goes on trying to make the rig safe.
    retrying: AtomicBool,
}

struct Now {
    state: State,
    /// Why what is under way ends; the first reason counts.
    reason: Option<String>,
    /// Why nothing begins, while scans that were cut off are being recovered.
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

    /// Moves the state machine on. Gives the new state where it changed, and what is to be done.
    ///
    /// # Errors
    /// The event is not possible in this state; nothing changed.
    pub(super) fn advance(&self, event: &Event) -> Result<(Option<State>, Vec<Effect>), NotNow> {
        let mut now = lock(&self.now);
        let (next, effects) = now.state.on(event)?;
        let changed = now.state != next;
        now.state = next.clone();
        // Under the lock, before anything else is done: nothing is switched on from here on.
        match event {
            Event::Stop | Event::EmergencyStop | Event::Fault(_) => self.interrupted.store(true, Ordering::Release),
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

    /// Ends what is under way; gives the first reason that was given for it.
    pub(super) fn interrupt(&self, reason: &str) -> String {
        let first = self.give_reason(reason);
        self.interrupted.store(true, Ordering::Release);
        first
    }

    /// Lets something begin that is no matter of the state machine.
    pub(super) fn allow(&self) {
        self.interrupted.store(false, Ordering::Release);
    }

    /// Notes why what is under way ends; gives the first reason.
    pub(super) fn give_reason(&self, reason: &str) -> String {
        lock(&self.now).reason.get_or_insert_with(|| reason.to_owned()).clone()
    }

    pub(super) fn reason(&self) -> Option<String> {
        lock(&self.now).reason.clone()
    }

    pub(super) fn take_reason(&self) -> Option<String> {
        lock(&self.now).reason.take()
    }

    /// Why nothing may begin now, where recovery goes on.
    pub(super) fn recovering(&self) -> Option<String> {
        lock(&self.now).recovering.clone()
    }

    pub(super) fn set_recovering(&self, reason: Option<String>) {
        lock(&self.now).recovering = reason;
    }

    /// Waits for the interlock. Whoever holds it looks at [`Safety::interrupted`] before anything is switched on.
    pub(super) async fn interlock(&self) -> MutexGuard<'_, ()> {
        self.interlock.lock().await
    }

    /// Whether something is being switched on at this moment.
    pub(super) fn switching_on(&self) -> bool {
        self.interlock.try_lock().is_err()
    }

    /// Whether the caller is the one who has to go on trying: false while another does.
    pub(super) fn begin_retrying(&self) -> bool {
        !self.retrying.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_retrying(&self) {
        self.retrying.store(false, Ordering::Release);
    }
}
