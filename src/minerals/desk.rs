//! The desk at which the minerals of complete samples wait for the writers of their files.

use super::found::{Budget, Found};
use crate::sync::lock;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most samples whose files wait for the minerals of the first. The writer of the files takes lines while no more wait for it.
const MOST_WAITING: usize = 6;

/// Where each sample of a scan stands. Samples are known by their numbers.
#[derive(Debug)]
pub struct Desk {
    state: Mutex<State>,
    changed: Condvar,
    /// Longest time from the end of a sample to its minerals. `None` waits as long as it takes.
    wait: Option<Duration>,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
struct State {
    samples: BTreeMap<u16, Entry>,
    /// Number of samples with lines that are closed so far.
    closed: u32,
    /// Why no further sample is identified.
    ended: Option<String>,
    /// The first reason for a deferral, and whether it was told.
    reason: Option<(String, bool)>,
}

#[derive(Debug)]
struct Entry {
    /// Number of its part, and when it was closed.
    closed: Option<(u32, Instant)>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Open,
    Ready(Arc<Found>),
    Deferred(String),
}

/// What the writer of a file gets.
#[derive(Debug)]
pub struct Taken {
    /// Number of the sample's part in the data set.
    pub part: u32,
    /// The sample's minerals, or why they come later.
    pub found: Result<Arc<Found>, String>,
}

impl State {
    fn defer(&mut self, number: u16, reason: &str) {
        if let Some(entry) = self.samples.get_mut(&number)
            && matches!(entry.stage, Stage::Open)
        {
            entry.stage = Stage::Deferred(reason.to_owned());
            self.reason.get_or_insert_with(|| (reason.to_owned(), false));
        }
    }
}

impl Desk {
    /// A desk. Open samples take at most `limit` bytes. Writers wait until `wait` after the end of a sample; without it, as long as it takes.
    pub fn new(limit: u64, wait: Option<Duration>) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), wait, budget: Arc::new(Budget::new(limit)) }
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Notes that a sample begins.
    pub fn open(&self, number: u16) {
        let mut state = lock(&self.state);
        state.samples.insert(number, Entry { closed: None, stage: Stage::Open });
        if let Some(reason) = state.ended.clone() {
            state.defer(number, &reason);
        }
    }

    /// Notes that no line of a sample follows. It has `lines` lines. Calls come in the order in which the files are completed.
    pub fn close(&self, number: u16, lines: u32) {
        let state = &mut *lock(&self.state);
        if lines == 0 {
            state.samples.remove(&number);
        } else if let Some(entry) = state.samples.get_mut(&number)
            && entry.closed.is_none()
        {
            entry.closed = Some((state.closed, Instant::now()));
            state.closed += 1;
        }
        self.changed.notify_all();
    }

    /// Has a sample identified later.
    pub fn defer(&self, number: u16, reason: &str) {
        lock(&self.state).defer(number, reason);
        self.changed.notify_all();
    }

    /// Whether a sample is identified later, or gone.
    pub fn is_deferred(&self, number: u16) -> bool {
        !matches!(lock(&self.state).samples.get(&number), Some(Entry { stage: Stage::Open, .. }))
    }

    /// Hands over a complete sample. `None` where it was deferred meanwhile.
    pub fn give(&self, mut found: Found) -> Option<Arc<Found>> {
        let mut state = lock(&self.state);
        let entry = state.samples.get_mut(&found.sample.number).filter(|entry| matches!(entry.stage, Stage::Open))?;
        found.part = entry.closed?.0;
        let found = Arc::new(found);
        entry.stage = Stage::Ready(Arc::clone(&found));
        drop(state);
        self.changed.notify_all();
        Some(found)
    }

    /// Takes a sample away from the desk, and waits for it. A sample that is not there in time is deferred. Files that pile up behind it
    /// end the wait, since lines would wait for them in the end.
    pub fn take(&self, number: u16) -> Option<Taken> {
        let mut state = lock(&self.state);
        let closed = state.samples.get(&number)?.closed.map_or_else(Instant::now, |(_, at)| at);
        let until = self.wait.and_then(|wait| closed.checked_add(wait));
        while matches!(state.samples.get(&number)?.stage, Stage::Open) {
            let behind = state.samples.values().filter(|entry| entry.closed.is_some()).count() > MOST_WAITING;
            match until.map(|until| if behind { Duration::ZERO } else { until.saturating_duration_since(Instant::now()) }) {
                Some(Duration::ZERO) => state.defer(number, "the minerals of a sample were not ready when its file was complete"),
                Some(left) => state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
        let Entry { closed, stage } = state.samples.remove(&number)?;
        // A scan that failed ends before its open samples do.
        let part = closed.map(|(part, _)| part).unwrap_or_else(|| {
            state.closed += 1;
            state.closed - 1
        });
        let found = match stage {
            Stage::Ready(found) => Ok(found),
            Stage::Deferred(reason) => Err(reason),
            Stage::Open => return None,
        };
        Some(Taken { part, found })
    }

    /// Defers all samples that are not complete, and those that follow.
    pub fn end(&self, reason: &str) {
        let mut state = lock(&self.state);
        let open: Vec<u16> = state.samples.keys().copied().collect();
        open.into_iter().for_each(|number| state.defer(number, reason));
        state.ended = Some(reason.to_owned());
        drop(state);
        self.changed.notify_all();
    }

    /// The first reason for a deferral.
    pub fn reason(&self) -> Option<String> {
        lock(&self.state).reason.as_ref().map(|(reason, _)| reason.clone())
    }

    /// The same, to the first who asks. `None` to all others.
    pub fn untold(&self) -> Option<String> {
        let mut state = lock(&self.state);
        let (reason, told) = state.reason.as_mut().filter(|(_, told)| !told)?;
        *told = true;
        Some(reason.clone())
    }
}
