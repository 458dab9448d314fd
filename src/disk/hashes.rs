//! BLAKE3 of a scan's files, computed while the scan runs.

use super::{Buffers, Hashed, give_way};
use crate::sync::lock;
use blake3::{Hash, Hasher};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Most unhashed bytes of a file that are read while cameras run.
const MOST_READ: u64 = 8 << 20;
/// Interval of progress reports.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Length and hash of a file.
pub type FileHash = io::Result<(u64, Hash)>;

/// A complete file and its hashed parts.
type Job = (PathBuf, Hashed);
/// A file and its hash.
type Found = (PathBuf, FileHash);

/// Threads that hash completed files. They end when this is dropped.
#[derive(Debug)]
pub struct Hashes {
    jobs: Mutex<Option<Sender<Job>>>,
    found: Receiver<Found>,
    to_found: Mutex<Option<Sender<Found>>>,
    /// The files added so far.
    given: Arc<Mutex<BTreeSet<PathBuf>>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes hashed.
    progress: AtomicU64,
    /// Files to read after the scan; `None` where files are read at once.
    later: Mutex<Option<Vec<Job>>>,
}

impl Shared {
    /// Defers a file with too many unread bytes. Returns a file that is not deferred.
    fn defer(&self, (path, hashed): Job) -> Option<Job> {
        if let Some(later) = lock(&self.later).as_mut()
            && std::fs::metadata(&path).is_ok_and(|about| about.len() > hashed.bytes() + MOST_READ)
        {
            later.push((path, hashed));
            return None;
        }
        Some((path, hashed))
    }
}

impl Hashes {
    /// Starts `threads` threads, at least one.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(threads: usize) -> io::Result<Self> {
        Self::with(threads, false)
    }

    /// As [`Hashes::start`], but large reads wait until the scan is over. Cameras cannot wait. Until then, they need the disk for their
    /// recordings and results.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn beside_cameras(threads: usize) -> io::Result<Self> {
        Self::with(threads, true)
    }

    fn with(threads: usize, later: bool) -> io::Result<Self> {
        let (jobs, waiting) = unbounded::<Job>();
        let (to_found, found) = unbounded();
        let shared = Arc::new(Shared { later: Mutex::new(later.then(Vec::new)), ..Shared::default() });
        for number in 0..threads.max(1) {
            let (waiting, to_found, shared) = (waiting.clone(), to_found.clone(), Arc::clone(&shared));
            std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || {
                give_way();
                let buffers = Buffers::new();
                for (path, hashed) in waiting.into_iter().filter_map(|job| shared.defer(job)) {
                    let progress = |bytes| _ = shared.progress.fetch_add(bytes, Ordering::Relaxed);
                    let hash = hashed.whole(&path, &buffers, &progress);
                    let _ = to_found.send((path, hash));
                }
            })?;
        }
        Ok(Self { jobs: Mutex::new(Some(jobs)), found, to_found: Mutex::new(Some(to_found)), given: Arc::default(), shared })
    }

    /// Hashes a complete file, except for its hashed parts.
    pub(crate) fn add(&self, path: PathBuf, hashed: Hashed) {
        lock(&self.given).insert(path.clone());
        if let Some(jobs) = &*lock(&self.jobs) {
            // The threads end only after this sender is gone.
            let _ = jobs.send((path, hashed));
        }
    }

    /// The hash of a file with one writer, who hashes it from beginning to end while writing.
    pub fn growing(&self, path: PathBuf) -> Growing {
        lock(&self.given).insert(path.clone());
        Growing { path, hasher: Some(Hasher::new()), length: 0, to_found: lock(&self.to_found).clone(), given: Arc::clone(&self.given) }
    }

    /// Whether a file was added.
    pub(crate) fn knows(&self, path: &Path) -> bool {
        lock(&self.given).contains(path)
    }

    /// Waits for the hashes of all added files. Calls `tick` on progress.
    pub(crate) fn finish(&self, tick: &dyn Fn()) -> BTreeMap<PathBuf, FileHash> {
        let later = lock(&self.shared.later).take().unwrap_or_default();
        if let Some(jobs) = lock(&self.jobs).take() {
            later.into_iter().for_each(|job| drop(jobs.send(job)));
        }
        drop(lock(&self.to_found).take());
        let (mut all, mut progress) = (BTreeMap::new(), 0);
        loop {
            match self.found.recv_timeout(POLL_INTERVAL) {
                Ok((path, hash)) => drop(all.insert(path, hash)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return all,
            }
            let now = self.shared.progress.load(Ordering::Relaxed);
            if now != progress {
                progress = now;
                tick();
            }
        }
    }
}

/// The hash of a growing file. Dropped unfinished, the file is hashed at the end like any other.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    hasher: Option<Hasher>,
    length: u64,
    to_found: Option<Sender<Found>>,
    given: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Growing {
    /// Adds the next written bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
            self.length += bytes.len() as u64;
        }
    }

    /// Marks the file as complete.
    pub fn finish(mut self) {
        if let (Some(hasher), Some(to_found)) = (self.hasher.take(), &self.to_found) {
            let _ = to_found.send((self.path.clone(), Ok((self.length, hasher.finalize()))));
        }
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        if self.hasher.is_some() {
            lock(&self.given).remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_and_complete_files_get_the_hash_of_what_they_hold_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let [grows, broken, complete] = ["grows", "broken", "complete"].map(|name| folder.path().join(name));
        let hashes = Hashes::start(2).unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 253) as u8).collect();
        for path in [&grows, &broken, &complete] {
            std::fs::write(path, &content).unwrap();
        }
        let (mut all, mut some) = (hashes.growing(grows.clone()), hashes.growing(broken.clone()));
        assert!(hashes.knows(&grows) && hashes.knows(&broken) && !hashes.knows(&complete));
        content.chunks(700_000).for_each(|piece| all.add(piece));
        all.finish();
        some.add(&content[..7]);
        drop(some);
        assert!(hashes.knows(&grows) && !hashes.knows(&broken), "one that was given up is hashed as any other");
        for path in [&broken, &complete] {
            hashes.add(path.clone(), Hashed::default());
        }
        let found = hashes.finish(&|| {});
        for path in [grows, broken, complete] {
            assert_eq!(found[&path].as_ref().unwrap(), &(3_000_000, blake3::hash(&content)));
        }
    }

    #[test]
    fn beside_cameras_large_files_wait_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let [large, small] = ["large", "small"].map(|name| folder.path().join(name));
        std::fs::write(&large, vec![1; usize::try_from(MOST_READ).unwrap() + 1]).unwrap();
        std::fs::write(&small, b"abc").unwrap();
        let hashes = Hashes::beside_cameras(1).unwrap();
        hashes.add(large.clone(), Hashed::default());
        hashes.add(small.clone(), Hashed::default());
        // One thread takes the files in their order.
        let (path, hash) = hashes.found.recv().unwrap();
        assert_eq!((path, hash.unwrap().1), (small, blake3::hash(b"abc")));
        assert_eq!(hashes.finish(&|| {})[&large].as_ref().unwrap().0, MOST_READ + 1);
    }
}
