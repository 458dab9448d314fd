//! New files, and files that are opened again, below a data root that others may write to.
//!
//! Temporary files have names that anybody can foresee. A link that was put there must not lead the daemon to another file, and a pipe must
//! not hold it up. So a new file is always new, and one that is opened again is a plain file and no link.

use super::folders::folder_of;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Creates a file for reading and writing. What has its name is removed, as the remains of an earlier run, and never followed.
///
/// # Errors
/// A folder has the name, or the system refuses.
pub(crate) fn create_over(path: &Path) -> io::Result<File> {
    let (folder, name) = beside(path)?;
    match unlinkat(&folder, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(Errno::EISDIR | Errno::EPERM) if path.is_dir() => return Err(io::Error::other("a folder has this name; remove it")),
        Err(error) => return Err(error.into()),
    }
    create_in(&folder, name)
}

/// Creates a file for reading and writing that must not exist, not even as a link.
///
/// # Errors
/// Something has the name, or the system refuses.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let (folder, name) = beside(path)?;
    create_in(&folder, name)
}

/// Removes what has the name of a temporary file, unless it is a folder. A link is removed, and not what it leads to.
///
/// # Errors
/// A folder has the name, or the system refuses.
pub(crate) fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) if path.symlink_metadata().is_ok_and(|about| about.is_dir()) => Err(io::Error::other("a folder has this name; remove it")),
        result => result,
    }
}

/// Opens an existing file as `options` say, with further `flags` of `open(2)`. A link is refused, and a pipe holds nothing up.
///
/// # Errors
/// There is no such file, it is a link, a pipe or a folder, or the system refuses.
pub(crate) fn open_plain(path: &Path, options: &mut OpenOptions, flags: i32) -> io::Result<File> {
    let guards = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC;
    let file = options.custom_flags(flags | guards).open(path).map_err(|error| match error.raw_os_error() {
        Some(nix::libc::ELOOP) => io::Error::other("it is a symbolic link; put the file itself there, or remove the link"),
        Some(nix::libc::ENXIO) => io::Error::other("it is no plain file; remove it"),
        _ => error,
    })?;
    let kind = file.metadata()?.file_type();
    // Only root makes devices, so one is there on purpose.
    if kind.is_fifo() || kind.is_socket() || kind.is_dir() { Err(io::Error::other("it is no plain file; remove it")) } else { Ok(file) }
}

/// Creates the folder `folder` and those above it up to `root`. Each of them below `root` is a folder and no link.
///
/// # Errors
/// A file or a link has the name of one of them, or the system refuses.
pub(crate) fn create_folders(folder: &Path, root: &Path) -> io::Result<()> {
    std::fs::create_dir_all(root)?;
    let mut here = root.to_path_buf();
    for part in folder.strip_prefix(root).unwrap_or(Path::new("")) {
        here.push(part);
        match DirBuilder::new().mode(0o777).create(&here) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => real_folder(&here)?,
            made => made?,
        }
    }
    Ok(())
}

/// Refuses a link or a file where the folder `folder`, or one above it and below `root`, belongs. Missing ones are no fault.
///
/// # Errors
/// One of them is no folder, or the system does not tell.
pub(crate) fn check_folders(folder: &Path, root: &Path) -> io::Result<()> {
    let mut here = root.to_path_buf();
    for part in folder.strip_prefix(root).unwrap_or(Path::new("")) {
        here.push(part);
        match real_folder(&here) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            result => result?,
        }
    }
    Ok(())
}

fn real_folder(path: &Path) -> io::Result<()> {
    let about = path.symlink_metadata()?;
    let told = |what: &str| Err(io::Error::other(format!("{} is {what}; put the folder itself there", path.display())));
    if about.is_symlink() {
        told("a symbolic link")
    } else if about.is_dir() {
        Ok(())
    } else {
        told("no folder")
    }
}

/// The folder of a file, opened, and the file's name. The folder that the caller meant stays the same, whatever its name becomes.
fn beside(path: &Path) -> io::Result<(File, &std::ffi::OsStr)> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok((OpenOptions::new().read(true).custom_flags(nix::libc::O_DIRECTORY).open(folder_of(path))?, name))
}

fn create_in(folder: &File, name: &std::ffi::OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(folder, name, flags, Mode::from_bits_truncate(0o666))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_put_in_the_way_is_removed_and_never_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, name) = (folder.path().join("victim"), folder.path().join(".scan.json.part"));
        std::fs::write(&victim, "precious").unwrap();
        for hard in [false, true] {
            if hard { std::fs::hard_link(&victim, &name) } else { std::os::unix::fs::symlink(&victim, &name) }.unwrap();
            assert!(create_new(&name).is_err());
            assert!(hard || open_plain(&name, OpenOptions::new().write(true), 0).is_err());
            create_over(&name).unwrap().write_all(b"new").unwrap();
            assert_eq!((std::fs::read(&victim).unwrap(), std::fs::read(&name).unwrap()), (b"precious".to_vec(), b"new".to_vec()));
            std::fs::remove_file(&name).unwrap();
        }
        nix::unistd::mkfifo(&name, Mode::S_IRWXU).unwrap();
        assert!(open_plain(&name, OpenOptions::new().write(true), 0).is_err(), "and it does not wait for a reader");
        assert!(open_plain(&name, OpenOptions::new().read(true), 0).is_err());
        create_over(&name).unwrap();
        remove_stale(&name).unwrap();
        remove_stale(&name).unwrap();
        std::fs::create_dir(&name).unwrap();
        for error in [create_over(&name).unwrap_err(), remove_stale(&name).unwrap_err()] {
            assert!(error.to_string().contains("a folder has this name"), "{error}");
        }
    }

    #[test]
    fn folders_below_the_root_are_no_links_and_the_root_may_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let [real, elsewhere, root] = ["real", "elsewhere", "root"].map(|name| folder.path().join(name));
        std::fs::create_dir_all(&real).unwrap();
        std::fs::create_dir_all(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&real, &root).unwrap();
        create_folders(&root.join("scans/a/raw"), &root).unwrap();
        create_folders(&root.join("scans/a/raw"), &root).unwrap();
        assert!(real.join("scans/a/raw").is_dir());
        std::os::unix::fs::symlink(&elsewhere, root.join("scans/b")).unwrap();
        let below = root.join("scans/b/raw");
        for refused in [create_folders(&below, &root).unwrap_err(), check_folders(&below, &root).unwrap_err()] {
            assert!(refused.to_string().contains("is a symbolic link"), "{refused}");
        }
        check_folders(&root.join("scans/a/other/one"), &root).unwrap();
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    }
}
