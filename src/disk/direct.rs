//! Files written and read past the page cache, where the file system allows it.

use super::buffer::{Buffer, PAGE};
use super::create::open_plain;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file whose whole pages go past the page cache.
#[derive(Debug)]
pub(crate) struct DirectFile {
    /// None without `direct`, or where the file system does not support it.
    direct: Option<File>,
    refused: AtomicBool,
    plain: File,
}

impl DirectFile {
    /// Opens an existing file. With `direct`, whole pages go past the page cache where the file system supports that.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path, direct: bool) -> io::Result<Self> {
        let plain = open_plain(path, OpenOptions::new().write(true), 0)?;
        let direct = direct.then(|| open_plain(path, OpenOptions::new().write(true), nix::libc::O_DIRECT).ok()).flatten();
        Ok(Self { direct, refused: AtomicBool::new(false), plain })
    }

    /// Whether whole pages go past the page cache, as far as seen so far.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.is_some() && !self.refused.load(Ordering::Relaxed)
    }

    /// Writes `bytes` at offset `at`. Whole pages go past the page cache if both the memory and the offset are page-aligned.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let aligned = at.is_multiple_of(PAGE as u64) && bytes.as_ptr().align_offset(PAGE) == 0;
        let mut done = 0;
        if let Some(direct) = self.direct.as_ref().filter(|_| aligned && !self.refused.load(Ordering::Relaxed)) {
            let pages = bytes.len() / PAGE * PAGE;
            match direct.write_all_at(&bytes[..pages], at) {
                Ok(()) => done = pages,
                // The disk has larger blocks, or the file system detects the limit late.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.refused.store(true, Ordering::Relaxed),
                Err(error) => return Err(error),
            }
        }
        self.plain.write_all_at(&bytes[done..], at + done as u64)
    }
}

/// Reads up to this many bytes go through the page cache. The cache still holds just-written bytes, and small reads displace little.
const SMALL: usize = 256 << 10;

/// A file that is read once, past the page cache where possible. Only reads of more than [`SMALL`] bytes bypass it. Other content of the
/// cache stays there.
#[derive(Debug)]
pub(crate) struct DirectReader {
    direct: Option<File>,
    plain: File,
}

impl DirectReader {
    /// Opens an existing file.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let plain = contract::open_regular(path)?;
        Ok(Self { plain, direct: contract::open_regular_with(path, nix::libc::O_DIRECT).ok() })
    }

    /// Length of the file, bytes.
    ///
    /// # Errors
    /// The system gives no metadata.
    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.plain.metadata()?.len())
    }

    /// The bytes from `at` on: at most `most`, at most what `buffer` holds, or somewhat less. The result is empty at the end of the file.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn read<'a>(&self, buffer: &'a mut Buffer, at: u64, most: u64) -> io::Result<&'a [u8]> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "less than a page")]
        let before = (at % PAGE as u64) as usize;
        let from = at - before as u64;
        let room = most.saturating_add(before).checked_next_multiple_of(PAGE).map_or(buffer.len(), |room| room.min(buffer.len()));
        let buffer = &mut buffer[..room];
        let read = match self.direct.as_ref().filter(|_| room > SMALL).map(|direct| direct.read_at(buffer, from)) {
            Some(Ok(read)) => read,
            Some(Err(error)) if error.kind() != io::ErrorKind::InvalidInput => return Err(error),
            _ => self.plain.read_at(buffer, from)?,
        };
        Ok(&buffer[before.min(read)..read.min(before.saturating_add(most))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Buffers;

    #[test]
    fn pieces_land_where_they_belong_with_and_without_the_page_cache() {
        let folder = tempfile::tempdir().unwrap();
        let buffers = Buffers::new();
        for direct in [false, true] {
            let path = folder.path().join(format!("{direct}"));
            std::fs::write(&path, b"head").unwrap();
            let file = DirectFile::open(&path, direct).unwrap();
            for (at, length) in [(PAGE, 3 * PAGE + 5), (8 * PAGE, PAGE), (12 * PAGE + 1, PAGE), (16 * PAGE, 7)] {
                let mut piece = buffers.take(length);
                piece.fill(u8::try_from(at / PAGE).unwrap());
                file.write(&piece, at as u64).unwrap();
            }
            let read = std::fs::read(&path).unwrap();
            assert_eq!((&read[..4], read.len()), (&b"head"[..], 16 * PAGE + 7));
            let count = |value: u8| read.iter().filter(|byte| **byte == value).count();
            assert_eq!([count(1), count(8), count(12), count(16)], [3 * PAGE + 5, PAGE, PAGE, 7]);
            assert_eq!((read[PAGE], read[12 * PAGE], read[12 * PAGE + 1]), (1, 0, 12));

            // Offsets without any alignment: first through the page cache, then past it.
            let reader = DirectReader::open(&path).unwrap();
            let read_by = |most: u64, room: usize| {
                let (mut again, mut block) = (Vec::new(), buffers.take(room));
                loop {
                    let bytes = reader.read(&mut block, again.len() as u64, most).unwrap();
                    if bytes.is_empty() {
                        return again;
                    }
                    again.extend_from_slice(bytes);
                }
            };
            assert_eq!(reader.length().unwrap(), read.len() as u64);
            assert_eq!(read_by(5001, 3 * PAGE), read);
            let mut large = buffers.take(3 * SMALL + 7);
            large.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i % 251) as u8);
            file.write(&large, 20 * PAGE as u64).unwrap();
            let read = std::fs::read(&path).unwrap();
            assert_eq!((read.len(), &read[20 * PAGE..]), (20 * PAGE + large.len(), &large[..]));
            assert!(read_by(SMALL as u64 + 5001, SMALL + 3 * PAGE) == read);
        }
    }
}
