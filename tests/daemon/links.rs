//! Links, pipes and folders at the names of temporary files: none is followed, and nothing hangs.

use super::rig::{Daemon, Options, encoder, tray, until};
use super::set_aside::CutOff;
use hyclus::scan::{EventKind, StateName};
use nix::sys::stat::Mode;
use std::path::{Path, PathBuf};

/// What lies in the way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Thing {
    Link,
    Pipe,
}

fn plant(thing: Thing, path: &Path, victim: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(path);
    match thing {
        Thing::Link => std::os::unix::fs::symlink(victim, path).unwrap(),
        Thing::Pipe => nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap(),
    }
}

/// Temporary names of a scan, relative to the data root.
fn temporary(id: &str) -> Vec<PathBuf> {
    let scan = format!("scans/{id}");
    let mut names: Vec<String> = [".scan.json.part", ".quicklook.png.part", ".native-vnir.part", ".native-swir.part"]
        .iter()
        .map(|name| format!("{scan}/{name}"))
        .collect();
    names.extend(["A1", "A2", "B1", "B2"].map(|at| format!("{scan}/samples/.S-{at}.h5.part")));
    for camera in ["vnir", "swir"] {
        names.push(format!("{scan}/raw/{camera}/capture/{id}.hdr.part"));
        names.extend(["raw", "hdr"].map(|ending| format!("{scan}/raw/{camera}/capture/DARKREFAFTER_{id}.{ending}")));
    }
    names.extend((0..3).map(|part| format!(".embeddings-unfinished/{id}.part-{part:05}.parquet")));
    names.into_iter().map(PathBuf::from).collect()
}

#[tokio::test]
async fn a_scan_follows_no_link_and_waits_for_no_pipe() {
    for thing in [Thing::Link, Thing::Pipe] {
        let daemon = Daemon::start(&Options { pace: "real_time", more: encoder(), ..Options::default() });
        let victim = daemon.folder.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        plant(thing, &daemon.data.join(format!(".rate-{}", daemon.pid())), &victim);
        let client = daemon.client().await;
        let mut events = client.events(None).await.unwrap();
        let id = client.start_scan(tray(2, 2)).await.unwrap().id;
        until(&mut events, |kind| matches!(kind, EventKind::State { state: StateName::Scanning, .. })).await;
        for name in temporary(&id) {
            plant(thing, &daemon.data.join(name), &victim);
        }
        until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { .. })).await;
        let record = daemon.record(&id);
        assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{thing:?}: {:?} {:?}", record.reason, record.warnings);
        let valid: u64 = record.samples.iter().map(|sample| sample.valid).sum();
        assert_eq!(record.embeddings, valid, "{thing:?}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "{thing:?}");
    }
}

#[tokio::test]
async fn recovery_follows_no_link_and_waits_for_no_pipe() {
    for thing in [Thing::Link, Thing::Pipe] {
        let cut_off = CutOff::new(&encoder()).await;
        let victim = cut_off.folder.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        for name in temporary(&cut_off.id).iter().filter(|name| !name.to_string_lossy().contains("DARKREFAFTER")) {
            plant(thing, &cut_off.data().join(name), &victim);
        }
        let recovered = cut_off.hyclus("recover", &[]);
        assert!(recovered.status.success(), "{thing:?}: {}", String::from_utf8_lossy(&recovered.stderr));
        assert_eq!(cut_off.record().samples.len(), 4);
        assert!(cut_off.hyclus("verify", &[&cut_off.id]).status.success());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "{thing:?}");
    }
}

#[tokio::test]
async fn links_in_place_of_a_recording_or_its_folder_are_refused_with_their_name() {
    for name in
        ["raw/vnir/capture/ID.raw", "raw/vnir/capture/ID.lines.csv", "raw/vnir/capture/ID.hdr", "raw/vnir/capture", "raw/vnir", "raw"]
    {
        let cut_off = CutOff::new("").await;
        let path = cut_off.scan().join(name.replace("ID", &cut_off.id));
        let elsewhere = cut_off.folder.path().join("elsewhere");
        std::fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let contents = |folder: &Path| Path::new(folder).symlink_metadata().unwrap().len();
        let before = contents(&elsewhere);
        let recovered = cut_off.hyclus("recover", &[]);
        assert!(!recovered.status.success(), "{name}");
        let told = String::from_utf8_lossy(&recovered.stderr).into_owned();
        assert!(told.contains("symbolic link"), "{name}: {told}");
        assert_eq!(contents(&elsewhere), before, "{name}");
    }
}

#[tokio::test]
async fn a_lock_that_is_a_link_or_a_pipe_is_refused() {
    for thing in [Thing::Link, Thing::Pipe] {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        plant(thing, &folder.path().join("data/.lock"), &victim);
        let refused = hyclus::data_root::DataRoot::take(&folder.path().join("data")).unwrap_err();
        assert!(refused.to_string().contains("cannot be locked"), "{refused}");
    }
}
