//! Counters of the stages, and the fill of the queues between them.

use crate::sync::lock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Counters of a stage. Its thread writes them, any thread may read them.
#[derive(Debug, Default)]
pub struct Meter {
    items_in: AtomicU64,
    items_out: AtomicU64,
    busy_ns: AtomicU64,
}

impl Meter {
    /// Counts one item in, `out` items out, and the time since `begin` as busy.
    pub fn note(&self, begin: Instant, out: u64) {
        self.items_in.fetch_add(1, Ordering::Relaxed);
        self.items_out.fetch_add(out, Ordering::Relaxed);
        self.busy_ns.fetch_add(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Subtracts the time since `begin` from the busy time, because the stage waited for a queue.
    pub fn waited(&self, begin: Instant) {
        self.busy_ns.fetch_sub(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Items in, items out, busy seconds.
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    pub fn read(&self) -> (u64, u64, f64) {
        let busy = self.busy_ns.load(Ordering::Relaxed);
        (self.items_in.load(Ordering::Relaxed), self.items_out.load(Ordering::Relaxed), busy as f64 / 1e9)
    }
}

/// The latest temperature of a detector. Its thread writes it, any thread may read it.
#[derive(Debug, Default)]
pub struct Thermometer {
    /// Bits of the temperature, plus one. 0 before the first.
    latest: AtomicU64,
}

impl Thermometer {
    /// Notes a temperature, degrees Celsius.
    pub fn set(&self, celsius: f32) {
        self.latest.store(u64::from(celsius.to_bits()) + 1, Ordering::Relaxed);
    }

    /// The latest temperature, degrees Celsius. `None` before the first.
    pub fn read(&self) -> Option<f32> {
        let bits = self.latest.load(Ordering::Relaxed).checked_sub(1)?;
        u32::try_from(bits).ok().map(f32::from_bits)
    }
}

/// Counters of the link to a camera, over all streams so far. The stream's thread writes them, any thread may read them.
#[derive(Debug, Default)]
pub struct LinkMeter {
    counts: Mutex<LinkCounts>,
}

/// Sums of the ended streams, and the counters of the running one.
type LinkCounts = (BTreeMap<String, u64>, Vec<(String, u64)>);

impl LinkMeter {
    /// Sets the counters of the running stream.
    pub fn set(&self, current: Vec<(String, u64)>) {
        lock(&self.counts).1 = current;
    }

    /// Adds the counters of an ended stream to the sums.
    pub fn ended(&self, last: Vec<(String, u64)>) {
        let mut counts = lock(&self.counts);
        counts.1.clear();
        for (name, count) in last {
            *counts.0.entry(name).or_default() += count;
        }
    }

    /// Every counter by name: ended streams and the running one together.
    pub fn read(&self) -> BTreeMap<String, u64> {
        let counts = lock(&self.counts);
        let mut all = counts.0.clone();
        for (name, count) in &counts.1 {
            *all.entry(name.clone()).or_default() += count;
        }
        all
    }
}

/// Gives the items in a queue, and how many it holds.
type Probe = Box<dyn Fn() -> [usize; 2] + Send + Sync>;

/// The meters of all stages and queues of the process. Stages keep theirs from scan to scan.
#[derive(Default, Clone)]
pub struct Meters {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    stages: Mutex<BTreeMap<String, Arc<Meter>>>,
    queues: Mutex<BTreeMap<String, Probe>>,
    temperatures: Mutex<BTreeMap<String, Arc<Thermometer>>>,
    links: Mutex<BTreeMap<String, Arc<LinkMeter>>>,
}

impl Meters {
    /// The meter of a stage, made on first use.
    pub fn stage(&self, name: &str) -> Arc<Meter> {
        Arc::clone(lock(&self.inner.stages).entry(name.to_owned()).or_default())
    }

    /// The thermometer of a camera, made on first use.
    pub fn temperature(&self, camera: &str) -> Arc<Thermometer> {
        Arc::clone(lock(&self.inner.temperatures).entry(camera.to_owned()).or_default())
    }

    /// The link meter of a camera, made on first use.
    pub fn link(&self, camera: &str) -> Arc<LinkMeter> {
        Arc::clone(lock(&self.inner.links).entry(camera.to_owned()).or_default())
    }

    /// Registers a queue. `probe` gives the items waiting and the capacity.
    pub fn queue(&self, name: &str, probe: impl Fn() -> [usize; 2] + Send + Sync + 'static) {
        lock(&self.inner.queues).insert(name.to_owned(), Box::new(probe));
    }

    /// Forgets all queues, at the end of a scan.
    pub fn forget_queues(&self) {
        lock(&self.inner.queues).clear();
    }

    /// Every stage: items in, items out, busy seconds.
    pub fn stages(&self) -> Vec<(String, (u64, u64, f64))> {
        lock(&self.inner.stages).iter().map(|(name, meter)| (name.clone(), meter.read())).collect()
    }

    /// Every queue: items waiting, and capacity.
    pub fn queues(&self) -> BTreeMap<String, [usize; 2]> {
        lock(&self.inner.queues).iter().map(|(name, probe)| (name.clone(), probe())).collect()
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").field("stages", &self.stages()).field("queues", &self.queues()).finish()
    }
}
