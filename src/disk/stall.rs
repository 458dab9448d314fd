//! How long a disk stalls while recordings are written.

use super::buffer::{Buffers, PAGE};
use super::direct::DirectFile;
use super::reserve::Reservation;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Size at which a new file is begun, bytes.
const FILE_BYTES: u64 = 1 << 30;

/// A recording that is imitated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    /// Bytes of a write.
    pub piece_bytes: usize,
    /// Writes per second.
    pub pieces_per_s: f64,
}

/// What the writing of several recordings showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stalls {
    /// Longest time between the end of a piece at its camera and its end on the disk.
    pub longest: Duration,
    /// Bytes/s that the disk took.
    pub bytes_per_s: f64,
}

/// Writes recordings into `folder` for `time`, each at its rate and in a thread of its own, as scans do. Nothing is left there.
///
/// # Errors
/// The disk refuses, or a thread cannot be started.
pub(crate) fn stalls(folder: &Path, direct: bool, streams: &[Stream], time: Duration) -> io::Result<Stalls> {
    std::thread::scope(|scope| {
        let begin = Instant::now();
        let writers: Vec<_> = streams
            .iter()
            .enumerate()
            .map(|(number, stream)| {
                let path = folder.join(format!(".stall-{}-{number}", std::process::id()));
                std::thread::Builder::new().name(format!("stall-{number}")).spawn_scoped(scope, move || {
                    let result = write(&path, direct, *stream, begin, time);
                    // It has no name any more, except after an error.
                    let _ = std::fs::remove_file(&path);
                    result
                })
            })
            .collect::<io::Result<_>>()?;
        let mut all = Stalls { longest: Duration::ZERO, bytes_per_s: 0.0 };
        for writer in writers {
            let one = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.longest = all.longest.max(one.longest);
            all.bytes_per_s += one.bytes_per_s;
        }
        Ok(all)
    })
}

/// Writes one recording.
fn write(path: &Path, direct: bool, stream: Stream, begin: Instant, time: Duration) -> io::Result<Stalls> {
    let mut piece = Buffers::new().take(stream.piece_bytes);
    piece.chunks_mut(PAGE).enumerate().for_each(|(page, bytes)| bytes.fill(u8::try_from(page % 251).unwrap_or(0)));
    let (mut longest, mut pieces) = (Duration::ZERO, 0_u32);
    'files: loop {
        File::create_new(path)?;
        let file = DirectFile::open(path, direct)?;
        let mut reservation = Reservation::new(path);
        // The open file needs no name. A killed program then leaves no file.
        std::fs::remove_file(path)?;
        let mut at = 0;
        while at < FILE_BYTES {
            let due = begin + Duration::from_secs_f64(f64::from(pieces + 1) / stream.pieces_per_s);
            if due >= begin + time {
                break 'files;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            reservation.grow(piece.len());
            file.write(&piece, at)?;
            longest = longest.max(due.elapsed());
            // Pieces begin on pages, as those of a recording do.
            at += (piece.len() as u64).next_multiple_of(PAGE as u64);
            pieces += 1;
            // A disk that is too slow for the rate is known by then.
            if begin.elapsed() >= time {
                break 'files;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate of some MB/s")]
    let bytes = f64::from(pieces) * stream.piece_bytes as f64;
    Ok(Stalls { longest, bytes_per_s: bytes / begin.elapsed().as_secs_f64().max(1e-6) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_stall_and_the_rate_are_measured_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let stream = |pieces_per_s| Stream { piece_bytes: 10_000, pieces_per_s };
        let found = stalls(folder.path(), true, &[stream(50.0), stream(20.0)], Duration::from_millis(300)).unwrap();
        assert!(found.longest > Duration::ZERO && found.bytes_per_s > 100_000.0, "{found:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(stalls(&folder.path().join("missing"), true, &[stream(50.0)], Duration::from_millis(100)).is_err());
    }

    #[test]
    fn a_disk_that_is_too_slow_lags_behind() {
        let folder = tempfile::tempdir().unwrap();
        // No disk takes as many writes.
        let stream = Stream { piece_bytes: PAGE, pieces_per_s: 1e8 };
        let found = stalls(folder.path(), true, &[stream], Duration::from_millis(100)).unwrap();
        assert!(found.longest > Duration::from_millis(50) && found.bytes_per_s < 1e8 * PAGE as f64, "{found:?}");
    }
}
