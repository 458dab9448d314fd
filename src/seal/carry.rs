//! The files of a seal, for programs that carry it to another place and back.

use super::error::failed;
use super::{METADATA, MOST_BYTES, PUBLIC_KEY, PublicKey, RECORD, SIGNATURE, SealError, folder, metadata};
use crate::disk::{create_folders, remove_stale, sync_folders, write_whole};
use crate::scan::ScanRecord;
use std::io::ErrorKind;
use std::path::Path;

/// A seal apart from its scan: the text of each of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedSeal {
    texts: [String; Self::NAMES.len()],
}

impl CarriedSeal {
    /// Names of its files. The signature is the last one: a seal without it is not whole.
    pub const NAMES: [&str; 4] = [RECORD, PUBLIC_KEY, METADATA, SIGNATURE];

    /// Reads the seal in `seals/{scan}`. `None` where there is none.
    ///
    /// # Errors
    /// A file cannot be read, or the seal is not whole.
    pub fn read(scan: &str, data_dir: &Path) -> Result<Option<Self>, SealError> {
        let folder = folder(data_dir, scan);
        let mut texts: [String; 4] = Default::default();
        // Its signature is removed first and written last, so one that fits is of these files.
        for (text, name) in texts.iter_mut().zip(Self::NAMES).rev() {
            let path = folder.join(name);
            let most = if name == RECORD { ScanRecord::MOST_BYTES } else { MOST_BYTES };
            match contract::read_regular_text(&path, most) {
                Ok(found) => *text = found,
                Err(error) if name == SIGNATURE && error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(&path, "read")(error)),
            }
        }
        Self::new(scan, texts).map(Some)
    }

    /// A seal of the texts of its files, in the order of [`Self::NAMES`].
    ///
    /// # Errors
    /// It is the seal of another scan, or is not signed by its key.
    pub fn new(scan: &str, texts: [String; 4]) -> Result<Self, SealError> {
        let broken = |problem: String| SealError::Broken { scan: scan.to_owned(), problem };
        let [record, public, list, signature] = &texts;
        let key = PublicKey::parse(public).map_err(|problem| broken(format!("{PUBLIC_KEY} is no public key: {problem}")))?;
        key.verify(list.as_bytes(), signature).map_err(|problem| broken(format!("{METADATA}: {problem}")))?;
        let files = metadata::files(list, scan).map_err(|problem| broken(format!("{METADATA}: {problem}")))?;
        let sealed = files.get(&super::record_path(scan));
        if sealed != Some(&super::SealedFile::of_text(super::record_path(scan), record)) {
            return Err(broken(format!("{RECORD} is not the one that was sealed")));
        }
        Ok(Self { texts })
    }

    /// Names and texts of its files, the signature last.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        Self::NAMES.into_iter().zip(self.texts.iter().map(String::as_str))
    }

    /// Its signature, which is of this seal alone.
    pub fn signature(&self) -> &str {
        let [.., signature] = &self.texts;
        signature
    }

    /// Writes it into `seals/{scan}`. A seal that is there is replaced.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, scan: &str, data_dir: &Path) -> Result<(), SealError> {
        let folder = folder(data_dir, scan);
        let signature = folder.join(SIGNATURE);
        create_folders(&folder, data_dir).map_err(failed(&folder, "created"))?;
        remove_stale(&signature).map_err(failed(&signature, "removed"))?;
        for (name, text) in self.files() {
            let path = folder.join(name);
            write_whole(&path, text.as_bytes()).map_err(failed(&path, "written"))?;
        }
        sync_folders(&folder, data_dir).map_err(failed(&folder, "made durable"))
    }
}
