//! Threads that write and compress chunks, so that the one that talks to the HDF5 library does neither.

use super::chunk::Chunk;
use super::deflate::Deflate;
use super::output::Output;
use crate::disk::{BackgroundSync, Buffer, give_way};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::sync::Arc;

/// Jobs that wait for a thread.
const QUEUE: usize = 8;

/// What a thread does.
#[derive(Debug)]
pub(super) enum Job {
    /// Bytes are written as they are.
    Write {
        /// Into which file.
        output: Arc<Output>,
        /// Where in the file.
        at: u64,
        /// The bytes.
        bytes: Arc<Buffer>,
        /// Who is told.
        done: Sender<Done>,
    },
    /// A chunk is made and written.
    Make {
        /// Into which file.
        output: Arc<Output>,
        /// Where in the file.
        at: u64,
        /// The chunk.
        chunk: Chunk,
        /// Who is told.
        done: Sender<Done>,
    },
    /// A chunk is made and compressed.
    Deflate {
        /// Number of the chunk in its dataset.
        number: usize,
        /// The chunk.
        chunk: Chunk,
        /// Bytes of an element.
        element: usize,
        /// 1 to 9.
        level: u8,
        /// Who is told.
        done: Sender<Done>,
    },
}

/// What became of a chunk.
#[derive(Debug)]
pub(super) enum Done {
    /// It was written, or not.
    Written(io::Result<()>),
    /// A chunk of this number was compressed: its first bytes, as many as the last field says.
    Deflated(usize, Buffer, usize),
}

/// Files that wait until another is durable.
const SYNC_QUEUE: usize = 16;

/// The threads. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: Sender<Job>,
    syncs: Sender<Arc<BackgroundSync>>,
}

impl Workers {
    /// Starts `threads` threads, at least one, and one that waits for the disk.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = bounded(QUEUE);
        for number in 0..threads.max(1) {
            let waiting = waiting.clone();
            std::thread::Builder::new().name(format!("chunks-{number}")).spawn(move || run(&waiting))?;
        }
        let (syncs, waiting) = bounded::<Arc<BackgroundSync>>(SYNC_QUEUE);
        std::thread::Builder::new().name("sync".to_owned()).spawn(move || waiting.iter().for_each(|behind| behind.sync()))?;
        Ok(Self { jobs, syncs })
    }

    /// Hands over a job; waits while all threads have enough to do.
    pub(super) fn give(&self, job: Job) {
        // The threads end only after this.
        let _ = self.jobs.send(job);
    }

    /// Has a file made durable as far as it is written. It is not waited for: where too many files wait, it is left for later.
    pub(super) fn sync(&self, behind: &Arc<BackgroundSync>) {
        let _ = self.syncs.try_send(Arc::clone(behind));
    }
}

fn run(jobs: &Receiver<Job>) {
    give_way();
    let mut deflate = Deflate::default();
    // Made again and again in the same memory, a chunk stays in a cache until it is hashed.
    let mut spare = None;
    for job in jobs {
        // Who gave the job may have failed meanwhile, and wait no longer.
        let _ = match job {
            Job::Write { output, at, bytes, done } => done.send(Done::Written(output.write(&bytes, at))),
            Job::Make { output, at, chunk, done } => {
                let chunk = chunk.make(spare.take());
                let written = output.write(&chunk, at);
                spare = Some(chunk);
                done.send(Done::Written(written))
            }
            Job::Deflate { number, chunk, element, level, done } => {
                let chunk = chunk.make(spare.take());
                let (packed, length) = deflate.pack(&chunk, element, level);
                spare = Some(chunk);
                done.send(Done::Deflated(number, packed, length))
            }
        };
    }
}
