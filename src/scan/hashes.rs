//! SHA-256 of the files of a scan, worked out while it runs.

use super::conductor::lock;
use crate::store::{Kept, give_way};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;
/// How often growing files are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Length and SHA-256 of a file.
pub type FileHash = io::Result<(u64, String)>;

/// A complete file, and the parts of it that are still in memory.
type Job = (PathBuf, Vec<Kept>);
/// A file and its hash.
type Found = (PathBuf, FileHash);

/// Threads that hash files as they are completed, and growing ones as they grow. They end when this is dropped.
#[derive(Debug)]
pub struct Hashes {
    jobs: Mutex<Option<Sender<Job>>>,
    found: Receiver<Found>,
    tell: Mutex<Option<Sender<Found>>>,
    /// The files that were given.
    given: Mutex<BTreeSet<PathBuf>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes hashed.
    progress: AtomicU64,
    /// No growing file grows any more.
    ended: AtomicBool,
}

impl Hashes {
    /// Starts `threads` threads, at least one.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = unbounded::<Job>();
        let (tell, found) = unbounded();
        let shared = Arc::new(Shared::default());
        for number in 0..threads.max(1) {
            let (waiting, tell, shared) = (waiting.clone(), tell.clone(), Arc::clone(&shared));
            std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || {
                give_way();
                for (path, kept) in waiting {
                    let hash = whole(&path, kept, &shared);
                    let _ = tell.send((path, hash));
                }
            })?;
        }
        Ok(Self { jobs: Mutex::new(Some(jobs)), found, tell: Mutex::new(Some(tell)), given: Mutex::default(), shared })
    }

    /// Hashes a file that is complete; `kept` are the parts of it that are still in memory, in their order.
    pub(crate) fn add(&self, path: PathBuf, kept: Vec<Kept>) {
        lock(&self.given).insert(path.clone());
        if let Some(jobs) = &*lock(&self.jobs) {
            // The threads end only after this is gone.
            let _ = jobs.send((path, kept));
        }
    }

    /// Hashes a file that grows at its end until `finish`.
    ///
    /// # Errors
    /// The file cannot be opened, or the system gives no more threads.
    pub fn follow(&self, path: PathBuf) -> io::Result<()> {
        let Some(tell) = lock(&self.tell).clone() else { return Ok(()) };
        let (file, shared) = (File::open(&path)?, Arc::clone(&self.shared));
        let given = path.clone();
        std::thread::Builder::new().name("hash-growing".into()).spawn(move || {
            give_way();
            let hash = growing(file, &shared);
            let _ = tell.send((path, hash));
        })?;
        lock(&self.given).insert(given);
        Ok(())
    }

    /// Whether a file was given.
    pub(super) fn knows(&self, path: &Path) -> bool {
        lock(&self.given).contains(path)
    }

    /// Waits for the hashes of all files given; `tick` is called as it goes on.
    pub(super) fn finish(&self, tick: &dyn Fn()) -> BTreeMap<PathBuf, FileHash> {
        self.shared.ended.store(true, Ordering::Release);
        drop((lock(&self.jobs).take(), lock(&self.tell).take()));
        let (mut all, mut progress) = (BTreeMap::new(), 0);
        loop {
            match self.found.recv_timeout(LOOK) {
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

impl Drop for Hashes {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
    }
}

/// Hash of a file, of which some parts need not be read.
fn whole(path: &Path, kept: Vec<Kept>, shared: &Shared) -> FileHash {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut hasher, mut at, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
    let mut read = |hasher: &mut Sha256, mut at: u64, to: u64| -> io::Result<()> {
        while at < to {
            let some = BLOCK.min(usize::try_from(to - at).unwrap_or(BLOCK));
            file.read_exact_at(&mut block[..some], at)?;
            hasher.update(&block[..some]);
            shared.progress.fetch_add(some as u64, Ordering::Relaxed);
            at += some as u64;
        }
        Ok(())
    };
    for part in kept {
        let bytes = part.bytes();
        let behind = part.at + bytes.len() as u64;
        if part.at < at || behind > length {
            continue;
        }
        read(&mut hasher, at, part.at)?;
        hasher.update(bytes);
        shared.progress.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        at = behind;
    }
    read(&mut hasher, at, length)?;
    Ok((length, hexadecimal(hasher)))
}

/// Hash of a file that grows until it is said to have ended.
fn growing(mut file: File, shared: &Shared) -> FileHash {
    let (mut hasher, mut length, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        // Asked before the file is read: what was written before the end is then read once more.
        let ended = shared.ended.load(Ordering::Acquire);
        loop {
            let some = file.read(&mut block)?;
            if some == 0 {
                break;
            }
            hasher.update(&block[..some]);
            length += some as u64;
            shared.progress.fetch_add(some as u64, Ordering::Relaxed);
        }
        if ended {
            return Ok((length, hexadecimal(hasher)));
        }
        std::thread::sleep(LOOK);
    }
}

fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn growing_and_complete_files_get_the_hash_of_what_they_hold_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (grows, complete) = (folder.path().join("grows"), folder.path().join("complete"));
        let mut file = File::create(&grows).unwrap();
        let hashes = Hashes::start(2).unwrap();
        hashes.follow(grows.clone()).unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 253) as u8).collect();
        content.chunks(700_000).for_each(|some| file.write_all(some).unwrap());
        std::fs::write(&complete, &content).unwrap();
        hashes.add(complete.clone(), Vec::new());
        assert!(hashes.knows(&grows) && hashes.knows(&complete) && !hashes.knows(folder.path()));
        let found = hashes.finish(&|| {});
        let expected: String = Sha256::digest(&content).iter().map(|b| format!("{b:02x}")).collect();
        for path in [grows, complete] {
            assert_eq!(found[&path].as_ref().unwrap(), &(3_000_000, expected.clone()));
        }
    }
}
