//! Scan after scan: a daemon that runs for weeks must not grow.

use super::rig::{Daemon, Options, encoder, tray, until};
use hyclus::scan::EventKind;
use std::path::Path;
use std::time::{Duration, Instant};

/// Scans of the short run. `HYCLUS_SOAK_S` scans for so many seconds instead.
const SCANS: usize = 25;
/// Scans after which nothing grows any more: pools, buffers and the allocator have their sizes by then.
const SETTLED: usize = 10;
/// Memory that may come on top of that of the settled daemon, MiB: the log of events holds its latest 4096, which takes a hundred scans
/// and about 2 MiB to fill; the rest is what the allocator keeps in one heap or another. A frame pool that is not given back, or one row
/// of each scan, is more within the short run.
const MORE_MIB: u64 = 24;
/// Threads that may come on top: those in which the runtime waits for files come and go.
const MORE_THREADS: u64 = 2;

/// Resident memory (MiB), open files and threads of a process.
fn taken(process: u32) -> [u64; 3] {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let number = |key: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count() as u64;
    [number("VmRSS:") / 1024, files, number("Threads:")]
}

fn seconds() -> Option<Duration> {
    std::env::var("HYCLUS_SOAK_S").ok().map(|seconds| Duration::from_secs(seconds.parse().unwrap()))
}

#[tokio::test]
async fn scan_after_scan_nothing_grows_and_all_sums_hold() {
    let daemon = Daemon::start(&Options { tray: (1, 2), more: encoder(), ..Options::default() });
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let (begin, until_then) = (Instant::now(), seconds());
    let (mut all, mut lines, mut rows) = (Vec::new(), 0, 0);
    while until_then.map_or(all.len() < SCANS, |time| begin.elapsed() < time || all.len() <= SETTLED) {
        let id = client.start_scan(tray(1, 2)).await.unwrap().id;
        until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
        let record = daemon.record(&id);
        assert_eq!((record.complete, record.samples.len(), record.pending.as_ref()), (Some(true), 2, None), "{id}");
        for (name, sums) in &record.cameras {
            assert!(sums.lost == 0 && sums.received > 0 && sums.received == sums.expected, "{id}, {name}: {sums:?}");
            lines += sums.received;
        }
        assert_eq!(record.embeddings, record.samples.iter().map(|sample| sample.valid).sum::<u64>(), "{id}");
        rows += record.embeddings;
        for file in &record.files {
            assert_eq!(std::fs::metadata(daemon.data.join(&file.path)).unwrap().len(), file.bytes, "{id}, {}", file.path);
        }
        // The disk is not what is tried here.
        for folder in [daemon.data.join("scans").join(&id), daemon.data.join("embeddings").join(format!("scan={id}"))] {
            std::fs::remove_dir_all(folder).unwrap();
        }
        all.push(taken(daemon.pid()));
    }
    let most = |scans: &[[u64; 3]], what: usize| scans.iter().map(|taken| taken[what]).max().unwrap();
    let (settled, later) = all.split_at(SETTLED);
    let [memory, files, threads] = [0, 1, 2].map(|what| (most(settled, what), most(later, what)));
    println!("{} scans in {:.1} s, {lines} lines, {rows} rows", all.len(), begin.elapsed().as_secs_f64());
    println!("most after {SETTLED} scans and later: {memory:?} MiB, {files:?} files, {threads:?} threads");
    assert!(memory.1 <= memory.0 + MORE_MIB, "{all:?}");
    assert!(files.1 <= files.0 && threads.1 <= threads.0 + MORE_THREADS, "{all:?}");
    let left: Vec<_> = std::fs::read_dir(daemon.data.join(Path::new("scans"))).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
