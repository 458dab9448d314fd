//! Shared values that are used again once nobody holds them.

use std::collections::VecDeque;
use std::sync::Arc;

/// Values that are filled by one, read by several, and filled again once all have let go: no allocation per line, and no lock.
#[derive(Debug)]
pub struct Recycler<T> {
    kept: VecDeque<Arc<T>>,
}

impl<T> Default for Recycler<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new() }
    }
}

impl<T: Default> Recycler<T> {
    /// A value that nobody else holds ([`Arc::get_mut`] gives it): of those that were let go the newest, which is most likely still in
    /// a cache, else a new one.
    pub fn take(&mut self) -> Arc<T> {
        self.take_with(|_| ())
    }

    /// As [`Recycler::take`], and calls `release` for all that nobody else holds: for values that hold on to others.
    pub fn take_with(&mut self, release: impl Fn(&mut T)) -> Arc<T> {
        let mut newest = None;
        // One that is held for long does not keep those behind it from their next use.
        for (place, value) in self.kept.iter_mut().enumerate() {
            if let Some(value) = Arc::get_mut(value) {
                release(value);
                newest = Some(place);
            }
        }
        newest.and_then(|newest| self.kept.remove(newest)).unwrap_or_default()
    }

    /// Remembers a value that is being shared, so that it can be used again.
    pub fn keep(&mut self, value: Arc<T>) {
        self.kept.push_back(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_once_it_is_let_go() {
        let mut recycler = Recycler::<Vec<u8>>::default();
        let mut first = recycler.take();
        Arc::get_mut(&mut first).unwrap().push(7);
        recycler.keep(Arc::clone(&first));
        assert!(recycler.take().is_empty(), "the first is still held");
        drop(first);
        assert_eq!(*recycler.take(), [7]);
    }

    #[test]
    fn one_that_is_held_for_long_does_not_hold_up_the_others() {
        let mut recycler = Recycler::<Vec<u8>>::default();
        let held = recycler.take();
        recycler.keep(Arc::clone(&held));
        for _ in 0..10 {
            let value = recycler.take();
            recycler.keep(value);
        }
        assert_eq!(recycler.kept.len(), 2);
        drop(held);
    }

    #[test]
    fn the_newest_that_was_let_go_comes_first() {
        let mut recycler = Recycler::<Vec<u8>>::default();
        (1..=3).for_each(|i| recycler.keep(Arc::new(vec![i])));
        let held = Arc::new(vec![4]);
        recycler.keep(Arc::clone(&held));
        assert_eq!(
            [recycler.take(), recycler.take(), recycler.take(), recycler.take()].map(|v| v.first().copied()),
            [Some(3), Some(2), Some(1), None]
        );
    }
}
