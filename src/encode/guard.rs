//! The limit on the time of one run of a model.
//!
//! A model may have loops whose number of turns depends on the data. So a trial cannot show how long a later run takes.

use crate::sync::lock;
use ort::session::{NoSelectedOutputs, RunOptions};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// Interval at which runs are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Guards the runs of one session.
pub(super) struct Guard(Arc<Watched>);

/// A session's runs, as the watching thread sees them.
struct Watched {
    options: RunOptions<NoSelectedOutputs>,
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Begin of the current run.
    since: Option<Instant>,
    /// Whether the last run was ended at the limit.
    ended: bool,
}

/// Guards of all sessions. The thread runs while there is one.
static ALL: Mutex<(Vec<Weak<Watched>>, bool)> = Mutex::new((Vec::new(), false));

impl Guard {
    /// A guard that ends runs longer than `limit`.
    ///
    /// # Errors
    /// ONNX Runtime gives no options, or the thread cannot be started.
    pub fn new(limit: Duration) -> Result<Self, String> {
        let options = RunOptions::new().map_err(|e| e.to_string())?;
        let watched = Arc::new(Watched { options, limit, state: Mutex::default() });
        let mut all = lock(&ALL);
        all.0.push(Arc::downgrade(&watched));
        if !all.1 {
            std::thread::Builder::new().name("encode-limit".into()).spawn(watch).map_err(|e| e.to_string())?;
            all.1 = true;
        }
        Ok(Self(watched))
    }

    /// Calls `run`, which passes the options to ONNX Runtime. `None` means that the run was ended at the limit.
    pub fn run<'a, T>(&'a self, run: impl FnOnce(&'a RunOptions<NoSelectedOutputs>) -> T) -> Option<T> {
        *lock(&self.0.state) = State { since: Some(Instant::now()), ended: false };
        let result = run(&self.0.options);
        let mut state = lock(&self.0.state);
        state.since = None;
        if state.ended {
            // A failure would only end the next run early, which is reported.
            let _ = self.0.options.unterminate();
            return None;
        }
        Some(result)
    }
}

/// Ends runs that are over their limit, until no guard is left.
fn watch() {
    loop {
        std::thread::sleep(POLL_INTERVAL);
        let mut all = lock(&ALL);
        all.0.retain(|guard| guard.strong_count() > 0);
        if all.0.is_empty() {
            all.1 = false;
            return;
        }
        for guard in all.0.iter().filter_map(Weak::upgrade) {
            // The lock is held over the call, so that it cannot reach the next run.
            let mut state = lock(&guard.state);
            if !state.ended && state.since.is_some_and(|since| since.elapsed() > guard.limit) {
                state.ended = guard.options.terminate().is_ok();
            }
        }
    }
}
