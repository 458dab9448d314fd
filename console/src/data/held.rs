//! What is kept of files, because a page asks for one again and again.

use super::Data;
use super::answer::{Answer, of_sample};
use super::place::{self, Stamp};
use hyclus::store::StoredSample;
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Most samples that are kept open.
const MOST: usize = 16;

struct One<T: ?Sized> {
    path: PathBuf,
    stamp: Stamp,
    value: Arc<T>,
}

/// What was made of files lately, the one used last in front. A file that has changed is read anew.
pub struct Recent<T: ?Sized>(Mutex<VecDeque<One<T>>>);

/// The samples that are kept open.
pub type Held = Recent<StoredSample>;

impl<T: ?Sized> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: ?Sized> Recent<T> {
    /// What is kept of a file, or else what `make` gives, of which at most `most` are kept. Others are served while it is made.
    pub fn get(&self, path: &Path, most: usize, make: impl FnOnce() -> Answer<Arc<T>>) -> Answer<Arc<T>> {
        let stamp = place::stamp(path);
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = lock();
        if let Some(at) = held.iter().position(|one| one.path == path && Some(one.stamp) == stamp)
            && let Some(one) = held.remove(at)
        {
            let value = Arc::clone(&one.value);
            held.push_front(one);
            return Ok(value);
        }
        drop(held);
        let value = make()?;
        let mut held = lock();
        held.retain(|one| one.path != path);
        if let Some(stamp) = stamp {
            held.push_front(One { path: path.to_owned(), stamp, value: Arc::clone(&value) });
        }
        held.truncate(most);
        Ok(value)
    }
}

impl Data {
    /// A sample of a scan, open.
    pub(super) fn sample(&self, scan: &str, sample: &str) -> Answer<Arc<StoredSample>> {
        let path = place::sample_file(&self.root, scan, sample)?;
        self.held.get(&path, MOST, || StoredSample::open(&path).map(Arc::new).map_err(|error| of_sample(&error)))
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
