//! Files from outside, read without waiting and within a limit.

use nix::fcntl::OFlag;
use std::fs::{File, FileType};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens a regular file for reading. The call never waits for a writer, as the system's own would for a FIFO.
///
/// # Errors
/// The path leads to anything else, or the system refuses.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_regular_with(path, 0)
}

/// Opens a regular file for reading, as [`open_regular`] does, with further `flags` of `open(2)`.
///
/// # Errors
/// As [`open_regular`].
pub fn open_regular_with(path: &Path, flags: i32) -> io::Result<File> {
    // Some devices act when they are opened, so the first look is at the name.
    expect_regular(path.metadata()?.file_type())?;
    let file = File::options().read(true).custom_flags(flags | (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits()).open(path)?;
    // The name may lead elsewhere by now.
    expect_regular(file.metadata()?.file_type())?;
    Ok(file)
}

fn expect_regular(found: FileType) -> io::Result<()> {
    let what = if found.is_file() {
        return Ok(());
    } else if found.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder; name a file in it"));
    } else if found.is_fifo() {
        "a FIFO"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {what}; copy the contents into a regular file and name that")))
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open_regular`], for a longer file, or where it cannot be read.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let long = |bytes: u64| {
        let text = format!("it is {bytes} bytes long, and such a file has at most {most}; is it the right one?");
        Err(io::Error::new(ErrorKind::FileTooLarge, text))
    };
    let length = file.metadata()?.len();
    if length > most {
        return long(length);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    // Some files are longer than they say, and others grow.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { long(bytes.len() as u64) } else { Ok(bytes) }
}

/// Reads a regular file of at most `most` bytes as text.
///
/// # Errors
/// As [`read_regular`], or for a text that is not UTF-8.
pub fn read_regular_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read_regular(path, most)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(ErrorKind::InvalidData, format!("byte {at} (from 0) is not UTF-8; is it a text file?"))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = std::env::temp_dir().join(format!("hyclus-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, fifo, socket, around) = (folder.join("file"), folder.join("fifo"), folder.join("socket"), folder.join("around"));
        std::fs::write(&file, "12345").unwrap();
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&around, &around).unwrap();
        assert_eq!(read_regular(&file, 5).unwrap(), b"12345");
        let refused = |path: &Path| read_regular(path, 4).unwrap_err().to_string();
        assert!(refused(&file).contains("5 bytes long") && refused(&file).contains("at most 4"), "{}", refused(&file));
        for (path, words) in [
            (fifo.as_path(), "a FIFO"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
            (&folder, "a folder"),
            (&around, "symbolic link"),
            // It says that it is empty, and is not.
            (Path::new("/proc/self/status"), "at most 4"),
        ] {
            assert!(refused(path).contains(words), "{}: {}", path.display(), refused(path));
        }
        std::fs::write(&file, b"ab\xff").unwrap();
        assert!(read_regular_text(&file, 5).unwrap_err().to_string().contains("byte 2"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
