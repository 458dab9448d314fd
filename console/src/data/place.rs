//! Names from a browser to files. No name reaches the file system unchecked, and no link is followed.

use super::answer::{Answer, unknown, unreadable, wrong};
use hyclus::scan::{ScanRecord, is_scan_id};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Longest file name of a sample, bytes: a name, and the number of a second object.
const LONGEST_STEM: usize = 80;
/// Most bytes of a record that is shown.
const MOST_RECORD: u64 = 32 << 20;

/// The version of a file: its time and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    seconds: i64,
    nanoseconds: i64,
    pub bytes: u64,
    inode: u64,
}

/// The version of a regular file. `None` for what is none, and for links.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::symlink_metadata(path).ok().filter(|about| about.is_file())?;
    Some(Stamp { seconds: about.mtime(), nanoseconds: about.mtime_nsec(), bytes: about.len(), inode: about.ino() })
}

fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

/// The folder of a scan.
pub fn scan_folder(root: &Path, scan: &str) -> Answer<PathBuf> {
    let folder = is_scan_id(scan).then(|| root.join("scans").join(scan));
    folder.filter(|folder| is_folder(folder)).ok_or_else(|| unknown("there is no such scan; the list of scans has all of them"))
}

/// Whether a text can be the name of a sample's file, without its ending.
pub fn is_stem(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST_STEM).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits)
}

/// The file of a sample.
pub fn sample_file(root: &Path, scan: &str, sample: &str) -> Answer<PathBuf> {
    let samples = scan_folder(root, scan)?.join("samples");
    let file = (is_stem(sample) && is_folder(&samples)).then(|| samples.join(format!("{sample}.h5")));
    file.filter(|file| stamp(file).is_some())
        .ok_or_else(|| unknown("there is no such sample in this scan; the page of the scan lists its samples"))
}

/// The names of the samples that a scan has stored so far, sorted.
pub fn stored_samples(folder: &Path) -> Vec<String> {
    let samples = folder.join("samples");
    if !is_folder(&samples) {
        return Vec::new();
    }
    let names = std::fs::read_dir(samples).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut stems: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".h5").map(str::to_owned)).filter(|stem| is_stem(stem)).collect();
    stems.sort_unstable();
    stems
}

/// A file inside a folder by its relative path, of which no part is a link or hidden.
pub fn inside(folder: &Path, relative: &str) -> Answer<PathBuf> {
    let nothing = || unknown("there is no such file in the folder of this scan; the list of files has all of them");
    let mut path = folder.to_owned();
    let parts: Vec<Component<'_>> = Path::new(relative).components().collect();
    if relative.contains('\0') || relative.contains("//") || parts.is_empty() {
        return Err(nothing());
    }
    for (i, part) in parts.iter().enumerate() {
        let Component::Normal(name) = part else { return Err(nothing()) };
        if name.to_string_lossy().starts_with('.') {
            return Err(nothing());
        }
        path.push(name);
        let last = i + 1 == parts.len();
        if !(if last { stamp(&path).is_some() } else { is_folder(&path) }) {
            return Err(nothing());
        }
    }
    let whole = std::fs::canonicalize(&path).map_err(|_| nothing())?;
    if whole.starts_with(std::fs::canonicalize(folder).map_err(|_| nothing())?) { Ok(path) } else { Err(nothing()) }
}

/// Opens a regular file for reading. A link in its place is refused.
pub fn open(path: &Path) -> Answer<std::fs::File> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = std::fs::File::options().read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| unreadable(format!("{} cannot be read: {error}; may the console read it?", path.display())))?;
    match file.metadata() {
        Ok(about) if about.is_file() => Ok(file),
        _ => Err(unknown("there is no such file")),
    }
}

/// The record of a scan.
pub fn record(root: &Path, scan: &str) -> Answer<ScanRecord> {
    record_and_text(root, scan).map(|(record, _)| record)
}

/// The text of a scan's record, and where it stands.
pub fn record_text(root: &Path, scan: &str) -> Answer<(PathBuf, String)> {
    let path = scan_folder(root, scan)?.join("scan.json");
    let bytes = stamp(&path).ok_or_else(|| unknown("the scan has no record; it may just have begun"))?.bytes;
    if bytes > MOST_RECORD {
        return Err(wrong(format!(
            "the record of this scan has {bytes} bytes, and at most {MOST_RECORD} are shown; read scan.json itself"
        )));
    }
    let mut text = String::new();
    let read = open(&path)?.take(MOST_RECORD).read_to_string(&mut text);
    read.map_err(|error| unreadable(format!("{} cannot be read: {error}", path.display())))?;
    Ok((path, text))
}

/// The record of a scan, and its text, whose numbers have every digit.
pub fn record_and_text(root: &Path, scan: &str) -> Answer<(ScanRecord, String)> {
    let (path, text) = record_text(root, scan)?;
    let record = ScanRecord::parse(&text, &path).map_err(|error| unreadable(format!("{} is no record: {error}", path.display())))?;
    if record.id == scan { Ok((record, text)) } else { Err(unreadable(format!("{} is the record of another scan", path.display()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_names() {
        for name in ["", ".", "..", ".a", "a/b", "a\\b", "a\0", "ä", "a b", "<script>", &"a".repeat(81)] {
            assert!(!is_stem(name), "{name:?}");
        }
        assert!(["a", "S-1", "S-1.2", "a_b"].iter().all(|name| is_stem(name)));
    }

    #[test]
    fn nothing_leads_out_of_a_folder() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("in");
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        std::fs::write(outer.path().join("secret"), "x").unwrap();
        std::fs::write(folder.join("deep/file"), "x").unwrap();
        std::fs::write(folder.join(".hidden"), "x").unwrap();
        std::os::unix::fs::symlink(outer.path().join("secret"), folder.join("link")).unwrap();
        std::os::unix::fs::symlink(outer.path(), folder.join("up")).unwrap();
        assert!(inside(&folder, "deep/file").is_ok());
        for path in [
            "",
            "/",
            "../secret",
            "deep/../../secret",
            "link",
            "up/secret",
            ".hidden",
            "deep",
            "deep//file",
            "deep/file/",
            "/etc/passwd",
            "a\0",
        ] {
            assert!(inside(&folder, path).is_err() || path == "deep/file/", "{path:?}");
        }
        assert!(open(&folder.join("link")).is_err());
    }
}
