//! Notes where a scan is archived, and removes files that the archive holds.

use super::RecordError;
use crate::scan::{Archived, FilesHere, ScanRecord};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Notes in the record of an ended scan that it is archived. Then removes the files that are not to stay here. Gives the bytes that this
/// freed.
///
/// The note comes first: after a crash in between, the record says where the missing files are. A repetition goes on.
///
/// # Errors
/// The record cannot be written, or a file cannot be removed.
pub fn note_archived(scan: &mut ScanRecord, data_dir: &Path, archived: Archived) -> Result<u64, RecordError> {
    let files = archived.files;
    scan.archived = Some(archived);
    scan.write(data_dir)?;
    let (mut freed, mut folders) = (0, BTreeSet::new());
    for file in scan.files.iter().filter(|file| !files.keep(&file.path)) {
        let path = data_dir.join(&file.path);
        match fs::remove_file(&path) {
            Ok(()) => freed += file.bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(RecordError { path, error }),
        }
        let below = |folder: &&Path| folder.starts_with(data_dir) && *folder != data_dir && !folder.ends_with(&scan.id);
        folders.extend(path.ancestors().skip(1).take_while(below).map(Path::to_path_buf));
    }
    // The deepest first. A folder that holds something else stays.
    folders.iter().rev().filter(|folder| !is_data_set(folder, data_dir)).for_each(|folder| drop(fs::remove_dir(folder)));
    Ok(freed)
}

/// Whether a folder lies right below the data root: a data set, or the folder of all scans.
fn is_data_set(folder: &Path, data_dir: &Path) -> bool {
    folder.parent() == Some(data_dir)
}

/// Where the missing files of a scan are, in words. `None` where all should be here.
pub fn elsewhere(scan: &ScanRecord) -> Option<String> {
    let archived = scan.archived.as_ref()?;
    let what = match archived.files {
        FilesHere::All => return None,
        FilesHere::WithoutRaw => "the raw recording",
        FilesHere::Record => "the files",
    };
    Some(format!("{what} of {} lie in the archive {}; `hyclus-ship fetch {}` brings them back", scan.id, archived.place, scan.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;
    use crate::disk::Hashes;

    #[test]
    fn files_go_after_the_note_and_pictures_stay() {
        let folder = tempfile::tempdir().unwrap();
        let config = Loaded::read(concat!(env!("CARGO_MANIFEST_DIR"), "/config/simulated.toml").as_ref()).unwrap();
        let tray = serde_json::json!({"tray": "T", "container": [{"at": "A1", "sample": "a"}], "grid": {"rows": 1, "columns": 1}});
        let mut scan = ScanRecord::begin("20260101T000000Z-T", crate::scan::Tray::check(&tray).unwrap(), &config, 0);
        let root = folder.path();
        let of = |path: &str| root.join(path.replace("{}", &scan.id));
        let (raw, sample, picture, part) = (
            of("scans/{}/raw/vnir/capture/a.raw"),
            of("scans/{}/samples/a.h5"),
            of("scans/{}/quicklook.png"),
            of("embeddings/scan={}/part-00000.parquet"),
        );
        for path in [&raw, &sample, &picture, &part] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "abc").unwrap();
        }
        scan.hash_files(root, &Hashes::start(1).unwrap(), &|| {}).unwrap();
        scan.close(None);
        let archived = |files| Archived { place: "s3://a/b".into(), revision: 1, time: "2026-01-01T00:00:00Z".into(), files };
        assert_eq!(note_archived(&mut scan, root, archived(FilesHere::All)).unwrap(), 0);
        assert_eq!(elsewhere(&scan), None);
        assert_eq!(note_archived(&mut scan, root, archived(FilesHere::WithoutRaw)).unwrap(), 3);
        assert!(!raw.exists() && !raw.parent().unwrap().exists() && sample.exists());
        assert!(elsewhere(&scan).unwrap().contains("s3://a/b"));
        assert_eq!(note_archived(&mut scan, root, archived(FilesHere::Record)).unwrap(), 6);
        assert_eq!(note_archived(&mut scan, root, archived(FilesHere::Record)).unwrap(), 0);
        assert!(!sample.exists() && !part.exists() && picture.exists() && root.join("embeddings").exists());
        assert_eq!(crate::data_root::record(root, &scan.id).unwrap().archived.unwrap().files, FilesHere::Record);
    }
}
