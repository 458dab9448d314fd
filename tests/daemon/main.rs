//! The whole daemon on a simulated rig, through its socket, as its users meet it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod access;
mod belt;
mod deferred;
mod encoders;
mod example;
mod faults;
mod files;
mod flood;
mod geometry;
mod gige;
mod heads;
mod health;
mod hostile;
mod links;
mod live;
mod matrix;
mod minerals;
mod novelty;
mod overload;
#[path = "../python/mod.rs"]
mod python;
mod recovery;
mod rig;
mod safe;
mod set_aside;
mod soak;
mod socket;
mod start;
mod swap;
mod trust;
mod void;
mod wavelength;
mod worklist;

use hyclus::scan::{EventKind, StateName};
use rig::{Daemon, Options, encoder, scan, tray, until};

#[tokio::test]
async fn a_scan_gives_every_sample_and_its_books_balance() {
    let daemon = Daemon::start(&Options { more: encoder(), ..Options::default() });
    let (record, events) = scan(&daemon, tray(2, 2)).await;
    assert_eq!((record.complete, record.reason.as_deref()), (Some(true), None));
    let mut samples: Vec<&str> = record.samples.iter().map(|sample| sample.sample.as_str()).collect();
    samples.sort_unstable();
    assert_eq!(samples, ["S-A1", "S-A2", "S-B1", "S-B2"]);
    assert!(record.warnings.is_empty() && record.missing.is_empty(), "{:?}", record.warnings);
    for (name, sums) in &record.cameras {
        assert!(sums.received > 60 && sums.lost == 0 && sums.received + sums.lost == sums.expected, "{name}: {sums:?}");
    }
    let valid: u64 = record.samples.iter().map(|sample| sample.valid).sum();
    assert_eq!(record.embeddings, valid, "a row of embedding for each valid pixel");
    let states: Vec<StateName> =
        events.iter().filter_map(|kind| if let EventKind::State { state, .. } = kind { Some(*state) } else { None }).collect();
    use StateName::{Draining, Idle, Ready, Referencing, Scanning, Warming};
    assert_eq!(states, [Warming, Referencing, Ready, Scanning, Draining, Idle]);
    let paths: Vec<&str> = record.files.iter().map(|file| file.path.as_str()).collect();
    for ending in ["quicklook.png", "samples/S-B2.h5", "part-00000.parquet", ".lines.csv"] {
        assert!(paths.iter().any(|path| path.ends_with(ending)), "{ending} of {paths:?}");
    }
    assert_eq!(paths.iter().filter(|path| path.contains("/DARKREF_") || path.contains("/WHITEREF_")).count(), 8);
}

/// Rows are there before the last line is acquired, and `tail --follow` has printed some by then.
#[tokio::test]
async fn embeddings_stream_while_the_belt_moves() {
    let options = Options { pace: "real_time", time_scale: 0.25, tray: (4, 2), more: encoder(), ..Options::default() };
    let daemon = Daemon::start(&options);
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(4, 2)).await.unwrap().id;
    let data = daemon.data.display().to_string();
    let mut tail = std::process::Command::new(env!("CARGO_BIN_EXE_hyclus"))
        .args(["tail", "--data", &data, "--scan", &id, "--format", "jsonl", "--follow"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = until(&mut events, |kind| matches!(kind, EventKind::PartClosed { .. })).await;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(tail.stdout.take().unwrap()));
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(first["sample"].as_str().unwrap().starts_with("S-A"), "{first}");
    assert_eq!(client.status().await.unwrap().state, StateName::Scanning, "the belt still moves");
    python::run("dataset_readers.py", &[&daemon.data.join("embeddings"), std::path::Path::new(&id)]);
    assert_eq!(client.status().await.unwrap().state, StateName::Scanning, "and did while others read");
    seen.extend(until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { .. })).await);
    let part = seen.iter().position(|kind| matches!(kind, EventKind::PartClosed { .. })).unwrap();
    let done = seen.iter().position(|kind| matches!(kind, EventKind::CameraDone { .. })).unwrap();
    assert!(part < done, "the first part closes before the last line is acquired");
    let record = daemon.record(&id);
    assert_eq!(record.complete, Some(true), "{:?}", record.reason);
    assert_eq!(lines.count() as u64 + 1, record.embeddings, "tail prints every row and ends with the scan");
    assert!(tail.wait().unwrap().success());
}
