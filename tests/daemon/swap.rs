//! Another model in the place of an encoder's, between scans.

use super::encoders::{fewer, named, rig, said, scanned, valid};
use super::python;
use super::rig::{Daemon, tray, until};
use hyclus::client::ClientError;
use hyclus::scan::{EncoderStatus, EventKind};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::path::{Path, PathBuf};
use std::time::Duration;

async fn trial(daemon: &Daemon) -> EncoderStatus {
    let all = daemon.client().await.encoders().await.unwrap();
    assert_eq!(all.iter().map(|one| one.encoder.as_str()).collect::<Vec<_>>(), ["main", "trial", "ghost"]);
    all.into_iter().find(|one| one.encoder == "trial").unwrap()
}

/// Status and text of a refusal.
fn refused<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> (u16, String) {
    match outcome.unwrap_err() {
        ClientError::Refused(problem) => (problem.status, serde_json::to_string(&problem).unwrap()),
        other => panic!("{other}"),
    }
}

/// The files in the place of configured models.
fn places(data: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(data.join("encoders")).map(|found| found.map(|entry| entry.unwrap().path()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn a_model_is_swapped_between_scans() {
    let models = tempfile::tempdir().unwrap();
    let daemon = Daemon::with(&rig(models.path(), ""));
    let client = daemon.client().await;
    let configured = trial(&daemon).await;
    assert_eq!((configured.dimensions, configured.replaced), (Some(3), false));
    let (before, _) = scanned(&daemon).await;
    assert_eq!(before.encoders["trial"].encoder_sha256, configured.encoder_sha256);

    // The command of the client, and what it says.
    let other = named(models.path(), "better");
    let put = daemon.hyclus(&["encoders", "put", "trial", other.to_str().unwrap()]);
    let words = String::from_utf8(put.stdout).unwrap();
    assert!(put.status.success() && words.contains("put here"), "{words}{}", String::from_utf8_lossy(&put.stderr));
    let replaced = trial(&daemon).await;
    assert_eq!((replaced.model.as_deref(), replaced.dimensions, replaced.replaced), (Some("better"), Some(3), true));
    assert_eq!(places(&daemon.data), [daemon.data.join("encoders/trial.onnx")]);
    let mut events = client.events(None).await.unwrap();
    let sha256 = replaced.encoder_sha256.clone().unwrap();
    until(&mut events, |kind| {
        matches!(kind, EventKind::EncoderReplaced { encoder, encoder_sha256, replaced: true, .. } if encoder == "trial" && *encoder_sha256 == sha256)
    })
    .await;
    let (after, _) = scanned(&daemon).await;
    assert_eq!(after.encoders["trial"].encoder_sha256, replaced.encoder_sha256);
    assert_eq!((after.encoders["trial"].embeddings, after.embeddings), (valid(&after), valid(&after)));
    for scan in [&before, &after] {
        python::run("encoders.py", &[&daemon.data, Path::new(&scan.id), Path::new("trial")]);
        assert!(said(&["verify", &scan.id, "--data", daemon.data.to_str().unwrap()]).contains("all as scan.json says"));
    }

    // A model that is refused changes nothing.
    let main = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/encoders/simulated-pca4.onnx")).unwrap();
    let (status, text) = refused(client.replace_encoder("trial", b"no model at all".to_vec()).await);
    assert!(status == 422 && text.contains("trial.onnx") && text.contains("ONNX"), "{status}: {text}");
    let narrow = std::fs::read(fewer(models.path(), 2)).unwrap();
    let (status, text) = refused(client.replace_encoder("trial", narrow).await);
    assert!(status == 422 && text.contains("embeddings-trial") && text.contains("2 numbers"), "{status}: {text}");
    let (status, text) = refused(client.replace_encoder("other", main.clone()).await);
    assert!(status == 404 && text.contains("there is no encoder `other`"), "{status}: {text}");
    let (status, text) = refused(client.replace_encoder("trial", Vec::new()).await);
    assert!(status == 400 && text.contains("ONNX"), "{status}: {text}");
    let mut cut = main.clone();
    cut.truncate(main.len() / 2);
    assert_eq!(refused(client.replace_encoder("trial", cut).await).0, 422);
    assert_eq!((trial(&daemon).await, places(&daemon.data).len()), (replaced.clone(), 1));
    assert_eq!(std::fs::read(daemon.data.join("encoders/trial.onnx")).unwrap(), std::fs::read(&other).unwrap());

    // While the rig works, the model stays.
    let scan = client.start_scan(tray(2, 2)).await.unwrap().id;
    let (status, text) = refused(client.replace_encoder("trial", main.clone()).await);
    assert!(status == 409 && text.contains("not possible while"), "{status}: {text}");
    assert_eq!(refused(client.restore_encoder("trial").await).0, 409);
    until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan: closed, .. } if *closed == scan)).await;

    // Another daemon goes on with it, says so where it is wrong, and goes back on request.
    let (success, _, folder) = daemon.end("-TERM");
    assert!(success);
    let place = folder.path().join("data/encoders/trial.onnx");
    std::fs::write(&place, b"damaged").unwrap();
    let config = folder.path().join("rig.toml");
    let check = super::encoders::hyclus(&["check", config.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&check.stderr).into_owned() + &String::from_utf8_lossy(&check.stdout);
    assert!(!check.status.success() && text.contains("encoder[1].model") && text.contains("to go back to that one"), "{text}");
    std::fs::copy(&other, &place).unwrap();
    let daemon = Daemon::launch(folder);
    assert_eq!(trial(&daemon).await, replaced);
    let back = daemon.client().await.restore_encoder("trial").await.unwrap();
    assert_eq!((&back, &trial(&daemon).await), (&configured, &configured));
    assert!(places(&daemon.data).is_empty());
}

/// A daemon is killed while it puts another model in place, and while the deferred embeddings of that encoder are being made.
#[tokio::test]
async fn a_kill_in_a_swap_leaves_one_whole_model_and_every_row_once() {
    let models = tempfile::tempdir().unwrap();
    let failing = rig(models.path(), r#"encoder_fails = { after_batches = 3, encoder = "trial" }"#);
    let daemon = Daemon::with(&failing);
    let (record, _) = scanned(&daemon).await;
    let (id, rows) = (record.id.clone(), valid(&record));
    assert!(record.encoders["trial"].embeddings < rows);
    let shas: Vec<_> = ["one", "two"].map(|name| std::fs::read(named(models.path(), name)).unwrap()).into();
    let mut random = Pcg64::seed_from_u64(7);
    let mut daemon = daemon;
    for round in 0..5 {
        let client = daemon.client().await;
        let model = shas[round % 2].clone();
        let swap = tokio::spawn(async move { client.replace_encoder("trial", model).await });
        // The moment of the kill is what is tried here.
        tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        let folder = daemon.kill();
        // It may have been done by then.
        let _ = swap.await.unwrap();
        for place in places(&folder.path().join("data")) {
            let whole = std::fs::read(&place).unwrap();
            let part = place.extension().is_some_and(|extension| extension == "part");
            assert!(part || shas.contains(&whole), "{} of {} bytes", place.display(), whole.len());
        }
        daemon = Daemon::launch(folder);
    }
    let folder = daemon.kill();
    std::fs::write(folder.path().join("rig.toml"), rig(models.path(), "")).unwrap();
    let daemon = Daemon::launch(folder);
    let mut events = daemon.client().await.events(None).await.unwrap();
    if daemon.record(&id).lacks() {
        until(&mut events, |kind| matches!(kind, EventKind::EmbeddingsCaughtUp { encoder: Some(name), .. } if name == "trial")).await;
    }
    let record = daemon.record(&id);
    assert_eq!((record.embeddings, record.encoders["trial"].embeddings, record.lacks()), (rows, rows, false));
    python::run("encoders.py", &[&daemon.data, Path::new(&id), Path::new("trial")]);
    assert!(said(&["verify", &id, "--data", daemon.data.to_str().unwrap()]).contains("all as scan.json says"));
}
