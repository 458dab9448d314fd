//! Scans back to back: what the daemon holds does not grow. `HYCLUS_SOAK_MINUTES=60` makes it an hour.

use super::rig::{Daemon, Options, encoder, tray, until};
use hyclus::scan::EventKind;
use std::time::{Duration, Instant};

/// Scans until everything that is made once is made.
const FIRST: usize = 10;
/// Scans after these, at least.
const MORE: usize = 6;
/// What memory may differ by from one scan to another, KiB: buffers that come back in another order, and events that are held.
const SLACK_KIB: u64 = 48 << 10;

#[tokio::test]
async fn memory_files_and_threads_do_not_grow_from_scan_to_scan() {
    let minutes: f64 = std::env::var("HYCLUS_SOAK_MINUTES").map_or(0.0, |minutes| minutes.parse().unwrap());
    let until_then = Instant::now() + Duration::from_secs_f64(60.0 * minutes);
    let daemon = Daemon::start(&Options { tray: (1, 2), bands: 24, more: encoder(), ..Options::default() });
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    // KiB, files, threads: the most of the first scans.
    let mut most = (0, 0, 0);
    let (mut count, mut lines) = (0, 0);
    while count < FIRST + MORE || Instant::now() < until_then {
        let id = client.start_scan(tray(1, 2)).await.unwrap().id;
        until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
        let record = daemon.record(&id);
        assert_eq!((record.complete, record.samples.len()), (Some(true), 2), "{:?}", record.reason);
        for sums in record.cameras.values() {
            assert_eq!((sums.received + sums.lost, sums.lost), (sums.expected, 0));
            lines += sums.received;
        }
        let damage = hyclus::scan::verify(&record, &daemon.data, &|| {}).unwrap();
        assert!(damage.is_empty(), "{damage:?}");
        std::fs::remove_dir_all(daemon.data.join("scans").join(&id)).unwrap();
        std::fs::remove_dir_all(daemon.data.join("embeddings").join(format!("scan={id}"))).unwrap();
        count += 1;
        // Threads of a scan may take a moment to be gone.
        let patience = Instant::now() + super::rig::PATIENCE;
        let now = loop {
            let ((memory, files), (threads, _)) = (daemon.usage("VmRSS"), daemon.usage("Threads"));
            let settled = count <= FIRST || (files <= most.1 && threads <= most.2);
            if settled || Instant::now() > patience {
                break (memory, files, threads);
            }
            tokio::task::yield_now().await;
        };
        if count <= FIRST {
            most = (most.0.max(now.0), most.1.max(now.1), most.2.max(now.2));
        } else {
            assert!(now.0 <= most.0 + SLACK_KIB && now.1 <= most.1 && now.2 <= most.2, "scan {count}: {now:?}, at first {most:?}");
        }
        if count.is_multiple_of(100) || count == FIRST + MORE {
            println!("{count} scans, {lines} lines: {} KiB, {} files, {} threads; at first at most {most:?}", now.0, now.1, now.2);
        }
    }
}
