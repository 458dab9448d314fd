//! A thread that completes files. The lines of other samples do not wait for it.

use super::error::StoreError;
use super::sample_file::SampleFile;
use super::seen::Complete;
use super::writing::Writing;
use crate::context::ScanContext;
use crate::scan::SampleRecord;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Most files that wait for the thread.
const QUEUE: usize = 16;

/// The record of a file that the thread completed. `None` where the sample has no line.
type Closed = Result<Option<SampleRecord>, StoreError>;

enum Job {
    /// The thread makes the tables that every file will hold.
    Prepare(Arc<ScanContext>, Arc<Writing>),
    /// The thread completes a file.
    Complete(Box<(SampleFile, Complete)>, Arc<ScanContext>, Arc<Writing>),
}

/// The thread, and the files that it has in hand. It completes them even when this is dropped.
#[derive(Debug)]
pub(super) struct Closing {
    jobs: Option<Sender<Job>>,
    closed: Receiver<Closed>,
    in_hand: usize,
    thread: Option<JoinHandle<()>>,
}

impl Closing {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, waiting) = bounded::<Job>(QUEUE);
        let (emit, closed) = unbounded();
        let run = move || {
            for job in waiting {
                match job {
                    Job::Prepare(context, writing) => _ = writing.tables(&context),
                    Job::Complete(file, context, writing) => {
                        let (file, complete) = *file;
                        // The giver may have failed meanwhile.
                        let _ = emit.send(file.finish(&context, &writing, complete));
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("close".to_owned()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), closed, in_hand: 0, thread: Some(thread) })
    }

    /// Has the thread make the tables that every file will hold, before the first is complete.
    pub(super) fn prepare(&self, context: &Arc<ScanContext>, writing: &Arc<Writing>) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(Job::Prepare(Arc::clone(context), Arc::clone(writing)));
        }
    }

    /// Hands over a file. It waits where too many files wait.
    pub(super) fn give(&mut self, file: SampleFile, complete: Complete, context: &Arc<ScanContext>, writing: &Arc<Writing>) {
        let job = Job::Complete(Box::new((file, complete)), Arc::clone(context), Arc::clone(writing));
        if self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok()) {
            self.in_hand += 1;
        }
    }

    /// Gives the records of the files that are complete by now, in the order in which they were handed over.
    ///
    /// # Errors
    /// A file could not be completed. The next call gives those behind it.
    pub(super) fn take(&mut self, out: &mut dyn FnMut(SampleRecord)) -> Result<(), StoreError> {
        while self.in_hand > 0
            && let Ok(closed) = self.closed.try_recv()
        {
            self.in_hand -= 1;
            closed?.into_iter().for_each(&mut *out);
        }
        Ok(())
    }

    /// Waits for all files, and gives the records of those that are complete.
    ///
    /// # Errors
    /// The first of those that could not be completed.
    pub(super) fn settle(&mut self, out: &mut dyn FnMut(SampleRecord)) -> Result<(), StoreError> {
        let mut result = Ok(());
        while self.in_hand > 0 {
            self.in_hand -= 1;
            match self.closed.recv() {
                Ok(Ok(record)) => record.into_iter().for_each(&mut *out),
                Ok(Err(error)) => result = result.and(Err(error)),
                // The thread broke down, and with it all that it had in hand.
                Err(broken) => return result.and(Err(StoreError::Threads { source: io::Error::other(broken) })),
            }
        }
        result
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Files in hand get their names before anybody looks at the folder. A thread that broke down has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
