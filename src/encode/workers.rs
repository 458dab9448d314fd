//! Threads that run batches at the same time. Each batch has its own session.

use super::model::Runner;
use super::{Embedded, EncoderError};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;

/// A full batch on its way to a thread and back.
struct Work {
    number: u64,
    runner: Runner,
    batch: Embedded,
    result: Result<(), EncoderError>,
}

/// Threads that run batches. Finished batches come in the order in which they were handed over.
pub(super) struct Workers {
    jobs: Sender<Work>,
    done: Receiver<Work>,
    /// Number of batches that were handed over.
    handed: u64,
    /// Number of batches that were given back.
    given: u64,
    /// Finished batches whose turn has not come, by their number.
    ready: BTreeMap<u64, Work>,
    free: Vec<Runner>,
}

impl Workers {
    /// Starts `threads` threads. `runners` are for the threads and for the batches that wait.
    pub(super) fn start(threads: usize, runners: Vec<Runner>) -> std::io::Result<Self> {
        let (jobs, waiting) = unbounded::<Work>();
        let (finished, done) = unbounded();
        for number in 0..threads {
            let (waiting, finished) = (waiting.clone(), finished.clone());
            std::thread::Builder::new().name(format!("encode-{number}")).spawn(move || {
                for mut work in waiting {
                    work.result = work.runner.embed(&mut work.batch);
                    let _ = finished.send(work);
                }
            })?;
        }
        Ok(Self { jobs, done, handed: 0, given: 0, ready: BTreeMap::new(), free: runners })
    }

    /// Hands over a runner whose batch was filled.
    pub(super) fn hand_over(&mut self, filled: Runner, batch: Embedded) {
        // The threads end only after `jobs` is dropped, so the channel is open.
        let _ = self.jobs.send(Work { number: self.handed, runner: filled, batch, result: Ok(()) });
        self.handed += 1;
    }

    /// A runner to fill. The call waits while all runners are at work.
    pub(super) fn free(&mut self, out: &mut dyn FnMut(Embedded)) -> Result<Runner, EncoderError> {
        while let Ok(work) = self.done.try_recv() {
            self.take(work, out)?;
        }
        loop {
            match self.free.pop() {
                Some(runner) => return Ok(runner),
                None => self.wait(out)?,
            }
        }
    }

    /// Waits until no batch is at work.
    pub(super) fn drain(&mut self, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        while self.given < self.handed {
            self.wait(out)?;
        }
        Ok(())
    }

    fn wait(&mut self, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        let work = self.done.recv().map_err(|_| EncoderError::Broken)?;
        self.take(work, out)
    }

    fn take(&mut self, work: Work, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        self.ready.insert(work.number, work);
        while let Some(work) = self.ready.remove(&self.given) {
            self.given += 1;
            work.result?;
            self.free.push(work.runner);
            out(work.batch);
        }
        Ok(())
    }
}
