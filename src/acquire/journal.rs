//! The thread that writes a recording.
//!
//! Counts are gathered in memory pages. They go to the disk past the page cache, in pieces of megabytes. Through the cache, a recording of
//! the fastest cameras takes a processor of its own. A partly filled page goes through the cache, and again with its continuation.

use super::checksums::{Checksums, checksums};
use super::syncing::Syncing;
use crate::config::StoreConfig;
use crate::disk::{Buffer, Buffers, DirectFile, Growing, PAGE, Reservation, open_plain};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Most gathered bytes.
const MOST_GATHERED: usize = 4 << 20;
/// Pieces in the channel to the thread. A camera faster than the disk fills these first, then its pool.
const ON_THE_WAY: usize = 3;
/// Usual size of a piece's rows, bytes.
const ROWS: usize = 1 << 10;

/// One write: counts, and their rows of `lines.csv`.
#[derive(Debug)]
struct Piece {
    /// Offset in the file, bytes; a multiple of [`PAGE`].
    at: u64,
    counts: Buffer,
    /// Number of filled bytes.
    filled: usize,
    rows: String,
}

impl Piece {
    /// A piece whose memory is touched, so that the system has allocated it.
    fn new(buffers: &Arc<Buffers>, length: usize) -> Self {
        let mut counts = buffers.take(length);
        counts.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        Self { at: 0, counts, filled: 0, rows: String::with_capacity(ROWS) }
    }
}

/// Writes `NAME.raw` and `NAME.lines.csv`. The kernel gets a line's counts before its row.
#[derive(Debug)]
pub(super) struct Journal {
    /// The piece being gathered.
    piece: Piece,
    pieces: Option<Sender<Piece>>,
    /// Written pieces, to be filled again. One always arrives while the thread runs.
    returned: Receiver<Piece>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Journal {
    /// Starts the thread for existing files. `store` chooses writing past the page cache, and syncs. A piece gathers up to `length` bytes,
    /// at most [`MOST_GATHERED`].
    ///
    /// # Errors
    /// The recording cannot be opened, or the system gives no more threads.
    pub(super) fn start(raw: &Path, lines: File, store: &StoreConfig, hash: Growing, length: usize) -> io::Result<Self> {
        let file = DirectFile::open(raw, store.direct)?;
        let (pieces, waiting) = bounded(ON_THE_WAY);
        let (returns, returned) = unbounded();
        // All pieces are allocated now: one being gathered, one waiting, those in the channel, and one being written. A slow disk takes
        // no more memory later.
        let buffers = Buffers::new();
        let length = length.min(MOST_GATHERED).next_multiple_of(PAGE);
        let piece = Piece::new(&buffers, length);
        for _ in 0..ON_THE_WAY + 2 {
            let _ = returns.send(Piece::new(&buffers, length));
        }
        let reservation = Reservation::new(raw);
        let durable = if store.sync { Some(Durable::start(raw, &lines, store.sync_s)?) } else { None };
        let writer = Writer { file, lines, reservation, end: 0, durable, hash, returns };
        let thread = std::thread::Builder::new().name("record".into()).spawn(move || writer.run(&waiting))?;
        Ok(Self { piece, pieces: Some(pieces), returned, thread: Some(thread) })
    }

    /// Adds the counts of a line. `row` writes the line's row.
    ///
    /// # Errors
    /// The disk refused this line or one before it.
    pub(super) fn append(&mut self, mut counts: &[u8], row: impl FnOnce(&mut String)) -> io::Result<()> {
        loop {
            let room = self.piece.counts.len() - self.piece.filled;
            let (now, later) = counts.split_at(counts.len().min(room));
            self.piece.counts[self.piece.filled..self.piece.filled + now.len()].copy_from_slice(now);
            self.piece.filled += now.len();
            counts = later;
            if counts.is_empty() {
                break;
            }
            self.send()?;
        }
        row(&mut self.piece.rows);
        Ok(())
    }

    /// Hands the gathered piece to the thread.
    ///
    /// # Errors
    /// The disk refused this piece or one before it.
    pub(super) fn send(&mut self) -> io::Result<()> {
        // The thread ends early only after a failure.
        let Ok(mut next) = self.returned.recv() else { return self.end() };
        // A partly filled last page is written again with the next piece. Every piece then begins at a page.
        let whole = self.piece.filled / PAGE * PAGE;
        next.at = self.piece.at + whole as u64;
        next.filled = self.piece.filled - whole;
        next.rows.clear();
        next.counts[..next.filled].copy_from_slice(&self.piece.counts[whole..self.piece.filled]);
        let piece = std::mem::replace(&mut self.piece, next);
        match self.pieces.as_ref().map(|pieces| pieces.send(piece)) {
            Some(Ok(())) => Ok(()),
            _ => self.end(),
        }
    }

    /// Waits until everything is written, and returns unused disk space.
    ///
    /// # Errors
    /// The disk refused a part of the recording.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.send()?;
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.pieces = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(io::Error::other("it was given up after the first failure")),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.send();
            let _ = self.end();
        }
    }
}

struct Writer {
    file: DirectFile,
    lines: File,
    reservation: Reservation,
    /// Length of the file so far, bytes.
    end: u64,
    durable: Option<Durable>,
    hash: Growing,
    returns: Sender<Piece>,
}

/// What keeps a recording through a power cut.
struct Durable {
    checksums: Checksums,
    syncing: Syncing,
    /// The file of the checksums.
    path: PathBuf,
}

impl Durable {
    fn start(raw: &Path, lines: &File, sync_s: f64) -> io::Result<Self> {
        let sums = Checksums::create(raw)?;
        let counts = open_plain(raw, File::options().write(true), 0)?;
        let every = Duration::try_from_secs_f64(sync_s).unwrap_or(Duration::MAX);
        let syncing = Syncing::start(counts, sums.handle()?, lines.try_clone()?, every)?;
        Ok(Self { checksums: sums, syncing, path: checksums(raw) })
    }
}

impl Writer {
    fn run(mut self, pieces: &Receiver<Piece>) -> io::Result<()> {
        loop {
            let next = match &self.durable {
                // The last piece before a pause is synced too.
                Some(durable) => pieces.recv_timeout(durable.syncing.every()),
                None => pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(piece) => self.write(piece)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.durable.as_mut().is_some_and(|durable| !durable.syncing.tick()) {
                break;
            }
        }
        let Self { lines, reservation, durable, hash, .. } = self;
        let Some(Durable { checksums, syncing, path }) = durable else {
            reservation.finish(false)?;
            hash.finish();
            return Ok(());
        };
        syncing.finish()?;
        // In the order of [`Syncing`].
        let sums = checksums.handle()?;
        sums.sync_data()?;
        reservation.finish(true)?;
        sums.sync_data()?;
        lines.sync_all()?;
        // The whole recording is on the disk, so nothing asks for its checksums.
        std::fs::remove_file(path)?;
        hash.finish();
        Ok(())
    }

    fn write(&mut self, piece: Piece) -> io::Result<()> {
        let end = piece.at + piece.filled as u64;
        let before = usize::try_from(self.end - piece.at).unwrap_or(0);
        let new = &piece.counts[before..piece.filled];
        self.reservation.grow(new.len());
        if let Some(durable) = self.durable.as_mut().filter(|_| !new.is_empty()) {
            durable.checksums.add(new, end)?;
            durable.syncing.wrote();
        }
        self.file.write(&piece.counts[..piece.filled], piece.at)?;
        self.hash.add(new);
        self.end = end;
        self.lines.write_all(piece.rows.as_bytes())?;
        // The receiver is gone when the journal has given up.
        let _ = self.returns.send(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Hashes;
    use std::fmt::Write as _;

    #[test]
    fn counts_and_rows_arrive_whole_and_in_order() {
        // Line lengths other than whole pages, and some larger than a piece.
        let lengths = [(7, 1), (7, PAGE), (1_000_003, usize::MAX), (MOST_GATHERED + 4097, MOST_GATHERED), (30_000, 3 * PAGE)];
        for ((length, gathered), direct) in lengths.into_iter().flat_map(|lengths| [(lengths, true), (lengths, false)]) {
            let folder = tempfile::tempdir().unwrap();
            let (raw, csv) = (folder.path().join("s.raw"), folder.path().join("s.csv"));
            File::create_new(&raw).unwrap();
            let hashes = Hashes::start(1).unwrap();
            let store = StoreConfig { direct, sync_s: 1e-3, ..StoreConfig::default() };
            let rows = File::create_new(&csv).unwrap();
            let mut journal = Journal::start(&raw, rows, &store, hashes.growing(raw.clone()), gathered).unwrap();
            let line = |number: usize| (0..length).map(|i| (i * 31 + number * 7) as u8).collect::<Vec<u8>>();
            for number in 0..40 {
                journal.append(&line(number), |rows| writeln!(rows, "{number}").unwrap()).unwrap();
                if number % 16 == 15 {
                    journal.send().unwrap();
                }
            }
            journal.finish().unwrap();
            let expected: Vec<u8> = (0..40).flat_map(line).collect();
            assert!(std::fs::read(&raw).unwrap() == expected, "{length} bytes in {gathered}, direct {direct}");
            assert!(!checksums(&raw).exists(), "a whole recording needs none");
            assert_eq!(std::fs::read_to_string(&csv).unwrap(), (0..40).map(|n| format!("{n}\n")).collect::<String>());
            assert_eq!(hashes.finish(&|| {})[&raw].as_ref().unwrap(), &(expected.len() as u64, blake3::hash(&expected)));
        }
    }

    #[test]
    fn a_disk_that_refuses_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let hashes = Hashes::start(1).unwrap();
        let rows = File::create_new(folder.path().join("s.csv")).unwrap();
        let full = Path::new("/dev/full");
        let store = StoreConfig { sync: false, ..StoreConfig::default() };
        let mut journal = Journal::start(full, rows, &store, hashes.growing(full.to_owned()), PAGE).unwrap();
        let refused = (0..100).find_map(|_| journal.append(&[1; PAGE], |_| ()).and_then(|()| journal.send()).err());
        assert_eq!(refused.and_then(|error| error.raw_os_error()), Some(nix::libc::ENOSPC));
        assert!(journal.append(&vec![1; PAGE + 1], |_| ()).is_err(), "and again");
    }
}
