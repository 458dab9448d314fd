//! Threads that write and compress chunks. The thread that talks to the HDF5 library does neither.

use super::chunk::Chunk;
use super::pieces::Pieces;
use crate::disk::{BackgroundSync, Buffer, Deflate, give_way};
use crate::sums::Sums;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::sync::Arc;

/// Jobs that wait for a thread.
const QUEUE: usize = 8;

/// The work of a thread.
#[derive(Debug)]
pub(super) enum Job {
    /// It writes bytes as they are.
    Write {
        /// The file.
        pieces: Arc<Pieces>,
        /// The place in the file, bytes from its start.
        at: u64,
        /// The bytes.
        bytes: Arc<Buffer>,
        /// Takes the result.
        done: Sender<Done>,
    },
    /// It makes a chunk and writes it.
    Make {
        /// Number of the chunk in its dataset.
        number: usize,
        /// The file.
        pieces: Arc<Pieces>,
        /// The place in the file, bytes from its start.
        at: u64,
        /// The chunk.
        chunk: Chunk,
        /// Takes the result.
        done: Sender<Done>,
    },
    /// It makes a chunk and compresses it.
    Deflate {
        /// Number of the chunk in its dataset.
        number: usize,
        /// The chunk.
        chunk: Chunk,
        /// Bytes of an element.
        element: usize,
        /// Level of deflate, 1 to 9.
        level: u8,
        /// Takes the result.
        done: Sender<Done>,
    },
}

/// The result of a job.
#[derive(Debug)]
pub(super) enum Done {
    /// Bytes were written, or could not be.
    Written(io::Result<()>),
    /// The chunk of this number was written, or could not be.
    Made(usize, io::Result<()>, Sums),
    /// The chunk of this number was compressed. The last but one field counts the bytes of the buffer that are in use.
    Deflated(usize, Buffer, usize, Sums),
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
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = bounded(QUEUE);
        for number in 0..threads.max(1) {
            let waiting = waiting.clone();
            std::thread::Builder::new().name(format!("chunks-{number}")).spawn(move || run(&waiting))?;
        }
        let (syncs, waiting) = bounded::<Arc<BackgroundSync>>(SYNC_QUEUE);
        std::thread::Builder::new().name("sync".to_owned()).spawn(move || waiting.iter().for_each(|file| file.sync()))?;
        Ok(Self { jobs, syncs })
    }

    /// Hands over a job. It waits while all threads have enough to do.
    pub(super) fn give(&self, job: Job) {
        // The threads end only after this.
        let _ = self.jobs.send(job);
    }

    /// Has a file made durable as far as it is written, without a wait. Where too many files wait, the file is left for later.
    pub(super) fn sync(&self, file: &Arc<BackgroundSync>) {
        let _ = self.syncs.try_send(Arc::clone(file));
    }
}

fn run(jobs: &Receiver<Job>) {
    give_way();
    let mut deflate = Deflate::default();
    // A chunk that is made in the same memory again stays in a cache until it is hashed.
    let mut spare = None;
    for job in jobs {
        // The giver of the job may have failed meanwhile. It waits no longer then.
        let _ = match job {
            Job::Write { pieces, at, bytes, done } => done.send(Done::Written(pieces.write(&bytes, at))),
            Job::Make { number, pieces, at, chunk, done } => {
                let (chunk, sums) = chunk.make(spare.take());
                let written = pieces.write(&chunk, at);
                spare = Some(chunk);
                done.send(Done::Made(number, written, sums))
            }
            Job::Deflate { number, chunk, element, level, done } => {
                let (chunk, sums) = chunk.make(spare.take());
                let (packed, length) = deflate.pack(&chunk, element, level);
                spare = Some(chunk);
                done.send(Done::Deflated(number, packed, length, sums))
            }
        };
    }
}
