//! The write rate of a disk.

use super::buffer::{Buffers, PAGE};
use super::create::create_over;
use super::direct::DirectFile;
use super::reserve::Reservation;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes per write.
const PIECE: usize = 1 << 20;
/// Most bytes and longest duration of an attempt.
const ATTEMPT: (u64, Duration) = (16 << 20, Duration::from_millis(30));
/// Number of attempts. Another program may be writing during one of them.
const ATTEMPTS: usize = 5;

/// Write rate of a file in `folder`, bytes/s, measured as recordings are written. The file gets reserved space. With `direct`, it goes
/// past the page cache where possible. Otherwise it goes through the cache and is synced. The result is the best of a few short attempts.
/// They end once one reaches `enough`.
///
/// # Errors
/// The disk refuses.
pub(crate) fn write_rate(folder: &Path, direct: bool, enough: u64) -> io::Result<u64> {
    let mut best = 0;
    for _ in 0..ATTEMPTS {
        best = best.max(attempt(folder, direct)?);
        if best >= enough {
            break;
        }
    }
    Ok(best)
}

fn attempt(folder: &Path, direct: bool) -> io::Result<u64> {
    let path = folder.join(format!(".rate-{}", std::process::id()));
    let result = create_over(&path).and_then(|plain| {
        let file = DirectFile::open(&path, direct)?;
        let mut reservation = Reservation::new(&path);
        // The open file needs no name. A killed program then leaves no file.
        std::fs::remove_file(&path)?;
        let mut piece = Buffers::new().take(PIECE);
        piece.chunks_mut(PAGE).enumerate().for_each(|(page, bytes)| bytes.fill(u8::try_from(page % 251).unwrap_or(0)));
        let (bytes, longest) = ATTEMPT;
        reservation.grow(usize::try_from(bytes).unwrap_or(PIECE));
        let (begin, mut at) = (Instant::now(), 0);
        while at < bytes && begin.elapsed() < longest {
            file.write(&piece, at)?;
            at += PIECE as u64;
        }
        if !file.is_direct() {
            plain.sync_data()?;
        }
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate of some MB/s")]
        Ok((at as f64 / begin.elapsed().as_secs_f64().max(1e-6)) as u64)
    });
    if result.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_a_rate_and_nothing_is_left_on_it() {
        let folder = tempfile::tempdir().unwrap();
        for direct in [true, false] {
            assert!(write_rate(folder.path(), direct, 1).unwrap() > 0);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(write_rate(&folder.path().join("missing"), true, 1).is_err());
    }
}
