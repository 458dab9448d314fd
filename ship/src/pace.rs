//! How fast data go to the archive, and whether they may go at all.

use hyclus::config::ShipConfig;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

const MIB: f64 = 1024.0 * 1024.0;
/// Time whose share of the bandwidth may go at once, s.
const BURST_S: f64 = 0.25;

/// The bound on the bandwidth. It holds for all transfers together.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Most bytes per second; `None` for no bound.
    idle: Option<f64>,
    /// The same while the rig works. 0 waits.
    working: f64,
    /// Whether the rig works.
    works: AtomicBool,
    changed: Notify,
    /// When all that was let through is paid for.
    paid: Mutex<Instant>,
    sent: AtomicU64,
}

impl Pace {
    /// The pace of a configuration.
    pub(crate) fn new(config: &ShipConfig) -> Self {
        Self {
            idle: config.max_mib_per_s.map(|mib| mib * MIB),
            working: config.scanning_mib_per_s * MIB,
            works: AtomicBool::new(false),
            changed: Notify::new(),
            paid: Mutex::new(Instant::now()),
            sent: AtomicU64::new(0),
        }
    }

    /// Notes whether the rig works.
    pub(crate) fn rig_works(&self, works: bool) {
        if self.works.swap(works, Ordering::Relaxed) != works {
            self.changed.notify_waiters();
        }
    }

    /// Most bytes per second now. `None` for no bound. 0 waits for the rig.
    fn limit(&self) -> Option<f64> {
        if self.works.load(Ordering::Relaxed) { Some(self.working) } else { self.idle }
    }

    /// Whether everything waits for the rig.
    pub(crate) fn waits(&self) -> bool {
        self.limit().is_some_and(|limit| limit <= 0.0)
    }

    /// Bytes that were let through.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until `bytes` may go.
    pub(crate) async fn take(&self, bytes: u64) {
        let limit = loop {
            let changed = self.changed.notified();
            match self.limit() {
                Some(limit) if limit <= 0.0 => changed.await,
                limit => break limit,
            }
        };
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        let Some(limit) = limit.filter(|limit| limit.is_finite()) else { return };
        let until = {
            let mut paid = self.paid.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let from = (*paid).max(Instant::now() - Duration::from_secs_f64(BURST_S));
            #[expect(clippy::cast_precision_loss, reason = "a part has far fewer than 2^53 bytes")]
            let cost = Duration::from_secs_f64(bytes as f64 / limit);
            *paid = from + cost;
            *paid
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(max: Option<f64>, scanning: f64) -> Pace {
        Pace::new(&ship(&format!(
            "scanning_mib_per_s = {scanning}\n{}",
            max.map(|mib| format!("max_mib_per_s = {mib}")).unwrap_or_default()
        )))
    }

    fn ship(text: &str) -> ShipConfig {
        // The only reader of TOML here is the configuration's own.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rig.toml");
        let rig = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/simulated.toml")).unwrap();
        std::fs::write(&path, format!("{rig}\n[ship]\narchive = \"/tmp\"\n{text}\n")).unwrap();
        hyclus::config::Loaded::read(&path).unwrap().config.ship.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_bandwidth_is_bounded_for_all_together() {
        let pace = pace(Some(2.0), 0.0);
        let begin = Instant::now();
        tokio::join!(
            async {
                for _ in 0..10 {
                    pace.take(1 << 20).await
                }
            },
            async {
                for _ in 0..10 {
                    pace.take(1 << 20).await
                }
            }
        );
        let took = begin.elapsed().as_secs_f64();
        assert!((took - 10.0).abs() < 0.5, "{took}");
        assert_eq!(pace.sent(), 20 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_goes_while_the_rig_works() {
        let pace = pace(None, 0.0);
        pace.rig_works(true);
        assert!(pace.waits());
        let begin = Instant::now();
        tokio::join!(pace.take(1), async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            pace.rig_works(false);
        });
        assert!(begin.elapsed() >= Duration::from_secs(60));
        let slow = self::pace(None, 1.0);
        slow.rig_works(true);
        let begin = Instant::now();
        slow.take(8 << 20).await;
        assert!((begin.elapsed().as_secs_f64() - 8.0).abs() < 0.1);
    }
}
