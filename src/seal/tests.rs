use super::*;
use crate::config::Loaded;
use crate::disk::Hashes;
use crate::scan::{Archived, FilesHere, Tray};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const ID: &str = "20260101T000000Z-T";

/// A data root with an ended scan, and a key.
fn scanned() -> (TempDir, ScanRecord, SealKey, PublicKey) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let config = Loaded::read(concat!(env!("CARGO_MANIFEST_DIR"), "/config/simulated.toml").as_ref()).unwrap();
    let tray = serde_json::json!({"tray": "T", "container": [{"at": "A1", "sample": "a"}], "grid": {"rows": 1, "columns": 1}});
    let mut scan = ScanRecord::begin(ID, Tray::check(&tray).unwrap(), &config, 0);
    for (path, text) in [
        (format!("scans/{ID}/samples/a.h5"), "cube"),
        (format!("scans/{ID}/raw/vnir/capture/{ID}.raw"), "counts"),
        (format!("embeddings/scan={ID}/part-00000.parquet"), "rows"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    scan.hash_files(root, &Hashes::start(1).unwrap(), &|| {}).unwrap();
    scan.close(None);
    scan.write(root).unwrap();
    let (public, _) = new_key(&root.join("key")).unwrap();
    let key = SealKey::read(&root.join("key")).unwrap();
    let public = PublicKey::read(&public).unwrap();
    (folder, scan, key, public)
}

fn ada() -> About {
    About { by: "Ada Lovelace".into(), license: Some("https://creativecommons.org/licenses/by/4.0/".into()), ..About::default() }
}

/// What is wrong with a sealed scan, as `hyclus verify` finds it.
fn wrong(scan: &ScanRecord, root: &Path, key: Option<&PublicKey>) -> Vec<String> {
    let (_, damages) = verify(scan, root, key, &|| {}).unwrap().unwrap();
    damages.iter().map(ToString::to_string).collect()
}

#[test]
fn one_altered_byte_anywhere_is_told_by_name() {
    let (folder, scan, key, public) = scanned();
    let root = folder.path();
    assert!(verify(&scan, root, None, &|| {}).unwrap().is_none());
    let sealed = seal(&scan, root, &key, &ada(), &|| {}).unwrap();
    assert_eq!((sealed.files, sealed.key.as_str()), (4, public.id().as_str()));
    assert!(sealed.comment.contains(ID) && sealed.comment.ends_with("by:Ada Lovelace"), "{}", sealed.comment);
    for key in [None, Some(&public)] {
        assert_eq!(wrong(&scan, root, key), Vec::<String>::new());
    }
    let mut files: Vec<PathBuf> = scan.files.iter().map(|file| root.join(&file.path)).collect();
    files.push(root.join(record_path(ID)));
    files.extend([METADATA, SIGNATURE, PUBLIC_KEY, RECORD].map(|name| sealed.folder.join(name)));
    for file in files {
        let whole = fs::read(&file).unwrap();
        // The first line of a signature and of a key is a comment that nothing vouches for.
        let free = if file.ends_with(SIGNATURE) || file.ends_with(PUBLIC_KEY) {
            whole.iter().position(|byte| *byte == b'\n').unwrap() + 1
        } else {
            0
        };
        for at in (free..whole.len() - 1).step_by(1 + whole.len() / 40) {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(&file, &altered).unwrap();
            let said = wrong(&scan, root, None);
            let name = file.file_name().unwrap().to_str().unwrap();
            let at_fault = said.iter().any(|said| said.contains(name) || said.contains(METADATA));
            assert!(at_fault, "byte {at} of {}: {said:?}", file.display());
            assert!(pack(ID, root, &root.join("a.zip"), None, &|| {}).is_err() || file.ends_with(record_path(ID)), "{}", file.display());
            assert!(!root.join("a.zip").exists() || file.ends_with(record_path(ID)));
            let _ = fs::remove_file(root.join("a.zip"));
        }
        fs::write(&file, whole).unwrap();
    }
    assert_eq!(wrong(&scan, root, None), Vec::<String>::new());
}

#[test]
fn another_key_and_a_file_that_came_later_are_told() {
    let (folder, mut scan, key, _) = scanned();
    let root = folder.path();
    seal(&scan, root, &key, &ada(), &|| {}).unwrap();
    let (other, _) = new_key(&root.join("other")).unwrap();
    let said = wrong(&scan, root, Some(&PublicKey::read(&other).unwrap()));
    assert!(said[0].contains("is signed by the key") && said.len() == 1, "{said:?}");
    fs::write(root.join(format!("scans/{ID}/quicklook.png")), "picture").unwrap();
    scan.hash_files(root, &Hashes::start(1).unwrap(), &|| {}).unwrap();
    scan.write(root).unwrap();
    let said = wrong(&scan, root, None);
    assert!(said.iter().any(|said| said.contains("quicklook.png: not in the seal")), "{said:?}");
    assert!(said.iter().any(|said| said.contains("scan.json: ")), "{said:?}");
    seal(&scan, root, &key, &ada(), &|| {}).unwrap();
    assert_eq!(wrong(&scan, root, None), Vec::<String>::new());
}

#[test]
fn a_sealed_scan_may_be_archived_and_nothing_else_may_change() {
    let (folder, mut scan, key, public) = scanned();
    let root = folder.path();
    seal(&scan, root, &key, &ada(), &|| {}).unwrap();
    let archived = |files| Archived { place: "s3://a/b".into(), revision: 1, time: "2026-01-01T00:00:00Z".into(), files };
    crate::data_root::note_archived(&mut scan, root, archived(FilesHere::WithoutRaw)).unwrap();
    assert_eq!(wrong(&scan, root, Some(&public)), Vec::<String>::new());
    let refused = pack(ID, root, &root.join("a.zip"), None, &|| {}).unwrap_err().to_string();
    assert!(refused.contains("hyclus-ship fetch"), "{refused}");
    assert!(seal(&scan, root, &key, &ada(), &|| {}).unwrap_err().to_string().contains("cannot be sealed"));
    scan.reason = Some("it was".into());
    scan.write(root).unwrap();
    let said = wrong(&scan, root, Some(&public));
    assert!(said.len() == 1 && said[0].contains("scan.json: it changed since it was sealed"), "{said:?}");
}

#[test]
fn a_scan_is_sealed_when_it_is_whole() {
    let (folder, mut scan, key, _) = scanned();
    let root = folder.path();
    let ended = scan.ended.take();
    assert!(seal(&scan, root, &key, &ada(), &|| {}).unwrap_err().to_string().contains("has not ended"));
    scan.ended = ended;
    scan.pending = Some(crate::scan::Pending { reason: "busy".into(), spectra: 1, samples: BTreeMap::new() });
    assert!(seal(&scan, root, &key, &ada(), &|| {}).unwrap_err().to_string().contains("lacks embeddings"));
    scan.pending = None;
    fs::write(root.join(format!("scans/{ID}/samples/a.h5")), "cubE").unwrap();
    let refused = seal(&scan, root, &key, &ada(), &|| {}).unwrap_err().to_string();
    assert!(refused.contains("samples/a.h5: its contents changed") && !root.join("seals").exists(), "{refused}");
}

#[test]
fn a_secret_key_is_one_that_only_its_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let (public, id) = new_key(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((SealKey::read(&path).unwrap().id(), PublicKey::read(&public).unwrap().id()), (id.clone(), id));
    assert!(new_key(&path).unwrap_err().to_string().contains("exists already"));
    let refused = |path: &Path| SealKey::read(path).map(|_| ()).unwrap_err().to_string();
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(refused(&path).contains(&format!("mode {mode:04o}")) && refused(&path).contains("chmod 600"), "{}", refused(&path));
    }
    fs::set_permissions(&public, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(refused(&public).contains("public one"), "{}", refused(&public));
    for text in ["", "untrusted comment: x\n", "untrusted comment: x\nQUJD\n", "a\u{fc}\n\n\n"] {
        fs::write(&public, text).unwrap();
        assert!(refused(&public).contains("--new-key") && PublicKey::read(&public).is_err(), "{}", refused(&public));
    }
}

#[test]
fn metadata_from_outside_leads_nowhere() {
    let file = |path: &str| {
        let files =
            [path, &record_path(ID)].map(|path| serde_json::json!({"@id": path, "@type": "File", "contentSize": "1", "sha256": "00"}));
        let root = serde_json::json!({"@id": "./", "identifier": ID});
        serde_json::json!({"@graph": [root, files[0], files[1]]}).to_string()
    };
    assert_eq!(metadata::files(&file("scans/a"), ID).unwrap().len(), 2);
    for path in ["../a", "/etc/passwd", "scans//a", "scans/./a", "scans/../../a", "", "a\0"] {
        assert!(metadata::files(&file(path), ID).unwrap_err().contains("no path below"), "{path:?}");
    }
    for text in [
        "",
        "{}",
        "[]",
        "{\"@graph\": 1}",
        "{\"@graph\": [{\"@id\": \"./\"}]}",
        &file("a").replace("\"1\"", "1"),
        &file("a").replace("sha256", "md5"),
    ] {
        assert!(metadata::files(text, ID).is_err(), "{text}");
    }
    assert!(metadata::files(&file("a"), "another").unwrap_err().contains("the seal of"));
}
