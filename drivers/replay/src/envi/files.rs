//! The two files of an image, found by each other.

use super::header::Header;
use super::image::{ImageError, read_header};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Endings of data files, in any case.
pub const DATA_ENDINGS: [&str; 9] = ["raw", "img", "dat", "bil", "bip", "bsq", "bin", "hyspex", "cub"];

/// The names in a folder.
pub(crate) struct Neighbours {
    folder: PathBuf,
    names: Vec<OsString>,
}

impl Neighbours {
    /// The neighbours of a file, and itself. A folder that cannot be read has none.
    pub(crate) fn of(file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let names = std::fs::read_dir(here).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        Self { folder, names }
    }

    /// Files whose name is a stem with its ending, sorted. An ending may be in any case. Stems in the same case go before others. Where
    /// there is no regular file of them, anything else of such a name is given, so that opening it tells what it is.
    pub(crate) fn named(&self, wanted: &[Name]) -> Vec<PathBuf> {
        let pick = |same: &dyn Fn(&[u8], &[u8]) -> bool| {
            let fits = |name: &[u8]| {
                let split = |stem: &[u8]| Some((name.get(..stem.len())?, &name[stem.len()..]));
                let of = |(stem, ending): &Name| {
                    split(stem).is_some_and(|(first, rest)| same(first, stem) && rest.eq_ignore_ascii_case(ending.as_bytes()))
                };
                wanted.iter().any(of)
            };
            let mut found: Vec<PathBuf> =
                self.names.iter().filter(|name| fits(name.as_bytes())).map(|name| self.folder.join(name)).collect();
            found.sort();
            found
        };
        let of_all = [pick(&|a, b| a == b), pick(&<[u8]>::eq_ignore_ascii_case)];
        let regular = of_all.iter().map(|found| found.iter().filter(|path| path.is_file()).cloned().collect::<Vec<_>>());
        regular.chain(of_all.iter().cloned()).find(|found| !found.is_empty()).unwrap_or_default()
    }
}

/// The stem of a name, and its ending with the dot.
pub(crate) type Name = (Vec<u8>, String);

/// A name without the ending of a header. `None` for a file that is no header.
pub(crate) fn without_hdr(name: &[u8]) -> Option<&[u8]> {
    let (name, ending) = name.split_at(name.len().checked_sub(4)?);
    ending.eq_ignore_ascii_case(b".hdr").then_some(name)
}

/// A name without the ending of a data file, where it has one.
pub(crate) fn without_ending(name: &[u8]) -> &[u8] {
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return name };
    let is_data = DATA_ENDINGS.iter().any(|ending| name[dot + 1..].eq_ignore_ascii_case(ending.as_bytes()));
    if is_data { &name[..dot] } else { name }
}

fn paths(folder: &Path, names: Vec<Name>) -> Vec<PathBuf> {
    let name = |(stem, ending): Name| folder.join(OsString::from_vec([stem, ending.into_bytes()].concat()));
    names.into_iter().map(name).collect()
}

/// The header of a data file.
///
/// # Errors
/// There is none, or there are several that could be it.
pub(super) fn header_of(data: &Path) -> Result<PathBuf, ImageError> {
    let hdr = |stem: Option<&OsStr>| (stem.unwrap_or_default().as_bytes().to_owned(), ".hdr".to_owned());
    let mut wanted = vec![hdr(data.file_name()), hdr(data.file_stem())];
    wanted.dedup();
    let neighbours = Neighbours::of(data);
    let mut found = neighbours.named(&wanted);
    if found.len() > 1 {
        let bytes = data.metadata().ok().map(|data| data.len());
        let headers: Vec<Option<Header>> = found.iter().map(|path| read_header(path).ok().map(|(header, _)| header)).collect();
        if headers.iter().all(|header| header.is_some() && *header == headers[0]) {
            found.truncate(1);
        } else {
            let fits: Vec<bool> = headers.iter().map(|header| header.as_ref().is_some_and(|header| header.data_bytes() == bytes)).collect();
            if fits.iter().filter(|fits| **fits).count() != 1 {
                return Err(ImageError::SeveralHeaders { data: data.to_owned(), found });
            }
            found = found.into_iter().zip(fits).filter(|(_, fits)| *fits).map(|(path, _)| path).collect();
        }
    }
    let looked_for = || paths(&neighbours.folder, wanted);
    found.pop().ok_or_else(|| ImageError::NoHeader { data: data.to_owned(), looked_for: looked_for() })
}

/// The data file of a header.
///
/// # Errors
/// There is none, or there are several that could be it.
pub(super) fn data_of(header_path: &Path, header: &Header) -> Result<PathBuf, ImageError> {
    let name = header_path.file_name().unwrap_or_default();
    let stem = without_hdr(name.as_bytes()).unwrap_or_else(|| OsStr::as_bytes(name));
    let endings = DATA_ENDINGS.iter().map(|ending| format!(".{ending}")).chain([String::new()]);
    let wanted: Vec<Name> = endings.map(|ending| (stem.to_owned(), ending)).collect();
    let neighbours = Neighbours::of(header_path);
    let mut found = neighbours.named(&wanted);
    if found.len() > 1 {
        let fits = |path: &PathBuf| path.metadata().ok().map(|data| data.len()) == header.data_bytes();
        let fitting: Vec<PathBuf> = found.iter().filter(|path| fits(path)).cloned().collect();
        if fitting.len() != 1 {
            return Err(ImageError::SeveralData { header: header_path.to_owned(), found });
        }
        found = fitting;
    }
    let looked_for = || paths(&neighbours.folder, wanted);
    found.pop().ok_or_else(|| ImageError::NoData { header: header_path.to_owned(), looked_for: looked_for() })
}
