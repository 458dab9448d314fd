//! Checksums of a recording while it grows.
//!
//! After a power cut a file may have its length and lack some of its data. Zeros stand there. Only a checksum tells them from counts.

use crate::disk::open_plain;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that are read at a time.
const BLOCK: usize = 4 << 20;

/// The checksums beside a recording: a row `END,CRC32` for each piece. It exists until the recording is on the disk as a whole.
#[derive(Debug)]
pub(super) struct Checksums {
    file: File,
    row: String,
}

/// The file of the checksums of a recording `NAME.raw`: `.NAME.crc32`.
pub fn checksums(raw: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(raw.file_stem().unwrap_or_default());
    name.push(".crc32");
    raw.with_file_name(name)
}

impl Checksums {
    /// Creates the file for a recording.
    ///
    /// # Errors
    /// The file cannot be created.
    pub(super) fn create(raw: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create_new(checksums(raw))?, row: String::with_capacity(64) })
    }

    /// A second handle of the file.
    ///
    /// # Errors
    /// The system gives no more handles.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Notes the next bytes of the recording, which then end at `end`.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn add(&mut self, bytes: &[u8], end: u64) -> io::Result<()> {
        self.row.clear();
        // Writing to a string cannot fail.
        let _ = writeln!(self.row, "{end},{:08x}", libdeflater::crc32(bytes));
        self.file.write_all(self.row.as_bytes())
    }
}

/// The bytes of a recording that are as they were written, from its beginning. `None` where it has no checksums.
///
/// `tick` is called again and again.
///
/// # Errors
/// A file cannot be read.
pub fn intact_bytes(raw: &Path, tick: &dyn Fn()) -> io::Result<Option<u64>> {
    let plain = |path: &Path| open_plain(path, File::options().read(true), 0);
    let mut rows = Vec::new();
    match plain(&checksums(raw)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?.read_to_end(&mut rows)?,
    };
    let (mut file, mut block) = (plain(raw)?, Vec::new());
    let mut intact = 0;
    for row in rows.split_inclusive(|byte| *byte == b'\n') {
        // The row after a torn one tells nothing either, because its piece begins at an unknown place.
        let Some((end, crc32)) = parse(row).filter(|(end, _)| *end > intact) else { break };
        let Some(found) = crc32_of(&mut file, end - intact, &mut block)? else { break };
        if found != crc32 {
            break;
        }
        intact = end;
        tick();
    }
    Ok(Some(intact))
}

fn parse(row: &[u8]) -> Option<(u64, u32)> {
    let (end, crc32) = std::str::from_utf8(row.strip_suffix(b"\n")?).ok()?.split_once(',')?;
    (crc32.len() == 8).then_some(())?;
    Some((end.parse().ok()?, u32::from_str_radix(crc32, 16).ok()?))
}

/// The checksum of the file's next bytes. `None` where it ends before.
fn crc32_of(file: &mut File, bytes: u64, block: &mut Vec<u8>) -> io::Result<Option<u32>> {
    let mut crc = libdeflater::Crc::new();
    let mut left = bytes;
    while left > 0 {
        block.resize(usize::try_from(left).unwrap_or(BLOCK).min(BLOCK), 0);
        match file.read_exact(block) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        crc.update(block);
        left -= block.len() as u64;
    }
    Ok(Some(crc.sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_intact_up_to_its_first_hole() {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("s.raw");
        std::fs::write(&raw, "").unwrap();
        assert_eq!(intact_bytes(&raw, &|| {}).unwrap(), None);
        let mut sums = Checksums::create(&raw).unwrap();
        let counts: Vec<u8> = (0..3 * BLOCK).map(|at| (at % 251) as u8).collect();
        let ends = [700, BLOCK + 3, 3 * BLOCK];
        let mut from = 0;
        for end in ends {
            sums.add(&counts[from..end], end as u64).unwrap();
            from = end;
        }
        let intact = |bytes: &[u8]| {
            std::fs::write(&raw, bytes).unwrap();
            intact_bytes(&raw, &|| {}).unwrap().unwrap() as usize
        };
        assert_eq!(intact(&counts), 3 * BLOCK);
        assert_eq!(intact(&counts[..3 * BLOCK - 1]), ends[1]);
        for (at, left) in [(3, 0), (700, 700), (2 * BLOCK, ends[1])] {
            let mut torn = counts.clone();
            torn[at..at + 512].fill(0);
            assert_eq!(intact(&torn), left, "a hole at {at}");
        }
        let rows = std::fs::read(checksums(&raw)).unwrap();
        for (end, left) in [(rows.len() - 1, ends[1]), (3, 0), (0, 0)] {
            let mut torn = rows.clone();
            torn[end..].fill(0);
            std::fs::write(checksums(&raw), torn).unwrap();
            assert_eq!(intact(&counts), left, "rows torn at {end}");
        }
    }
}
