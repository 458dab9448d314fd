//! Samples that are kept open, because a page asks for one again and again.

use super::Data;
use super::answer::{Answer, of_sample};
use super::place::{self, Stamp};
use hyclus::store::StoredSample;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Most samples that are kept open.
const MOST: usize = 16;

struct One {
    path: PathBuf,
    stamp: Stamp,
    sample: Arc<StoredSample>,
}

/// The samples, the one used last in front.
#[derive(Default)]
pub struct Held(Mutex<VecDeque<One>>);

impl Data {
    /// A sample of a scan, open.
    pub(super) fn sample(&self, scan: &str, sample: &str) -> Answer<Arc<StoredSample>> {
        let path = place::sample_file(&self.root, scan, sample)?;
        let stamp = place::stamp(&path);
        let lock = || self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = lock();
        if let Some(at) = held.iter().position(|one| one.path == path && Some(one.stamp) == stamp)
            && let Some(one) = held.remove(at)
        {
            let sample = Arc::clone(&one.sample);
            held.push_front(one);
            return Ok(sample);
        }
        // Others are served meanwhile.
        drop(held);
        let opened = Arc::new(StoredSample::open(&path).map_err(|error| of_sample(&error))?);
        let mut held = lock();
        held.retain(|one| one.path != path);
        held.extend(stamp.map(|stamp| One { path, stamp, sample: Arc::clone(&opened) }));
        if let Some(newest) = held.pop_back() {
            held.push_front(newest);
        }
        held.truncate(MOST);
        Ok(opened)
    }
}

/// Where a sample lies on the tray, with the halves of its outer pixels.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    x_mm: [f64; 2],
    y_mm: [f64; 2],
}

impl Bounds {
    fn of(sample: &StoredSample) -> Self {
        let ends = |places: &[f64]| {
            let half = places.first().zip(places.get(1)).map_or(0.5, |(a, b)| (b - a).abs() / 2.0) * 1.0001;
            let ends = places.first().zip(places.last());
            ends.map_or([f64::INFINITY, f64::NEG_INFINITY], |(first, last)| [first.min(*last) - half, first.max(*last) + half])
        };
        Self { x_mm: ends(&sample.pixel_mm), y_mm: ends(&sample.line_mm) }
    }

    /// Whether a place lies within.
    pub fn holds(&self, x_mm: f64, y_mm: f64) -> bool {
        (self.x_mm[0]..=self.x_mm[1]).contains(&x_mm) && (self.y_mm[0]..=self.y_mm[1]).contains(&y_mm)
    }
}

/// Bounds that were read lately.
#[derive(Default)]
pub struct AllBounds(Mutex<HashMap<PathBuf, (Stamp, Bounds)>>);

/// Most bounds that are kept.
const MOST_BOUNDS: usize = 50_000;

impl Data {
    /// Where a sample of a scan lies.
    pub(super) fn bounds(&self, scan: &str, sample: &str) -> Answer<Bounds> {
        let path = place::sample_file(&self.root, scan, sample)?;
        let stamp = place::stamp(&path);
        let lock = || self.bounds.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bounds)) = lock().get(&path).filter(|(before, _)| Some(*before) == stamp) {
            return Ok(*bounds);
        }
        let bounds = Bounds::of(&*self.sample(scan, sample)?);
        let mut all = lock();
        if all.len() >= MOST_BOUNDS {
            all.clear();
        }
        all.extend(stamp.map(|stamp| (path, (stamp, bounds))));
        Ok(bounds)
    }
}
