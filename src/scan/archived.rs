//! Where the files of a scan lie besides the data root.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The copy of a scan in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Archived {
    /// The archive: a place such as `s3://bucket/prefix`, or a folder.
    pub place: String,
    /// Revision of the scan in the archive, from 1.
    pub revision: u32,
    /// When this was noted (ISO 8601, UTC).
    pub time: String,
    /// The files that are left here.
    pub files: FilesHere,
}

/// Which files of an archived scan lie in the data root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilesHere {
    /// All of them.
    All,
    /// All but the raw recording.
    WithoutRaw,
    /// The record and the pictures alone.
    Record,
}

impl FilesHere {
    /// Whether a file stays. `path` is relative to the data root.
    pub fn keep(self, path: &str) -> bool {
        // scans/{scan}/{folder or picture}
        let in_scan = path.strip_prefix("scans/").and_then(|path| path.split_once('/')).map(|(_, rest)| rest);
        match self {
            Self::All => true,
            Self::WithoutRaw => !in_scan.is_some_and(|rest| rest.starts_with("raw/")),
            Self::Record => in_scan.is_some_and(|rest| !rest.contains('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_told_by_its_folder() {
        let paths =
            ["scans/S/quicklook.png", "scans/S/samples/a.h5", "scans/S/raw/vnir/capture/S.raw", "embeddings/scan=S/part-00000.parquet"];
        assert_eq!(paths.map(|path| FilesHere::All.keep(path)), [true; 4]);
        assert_eq!(paths.map(|path| FilesHere::WithoutRaw.keep(path)), [true, true, false, true]);
        assert_eq!(paths.map(|path| FilesHere::Record.keep(path)), [true, false, false, false]);
    }
}
