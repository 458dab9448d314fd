//! Shared values that are reused once all their holders have dropped them.

use std::collections::VecDeque;
use std::sync::Arc;

/// Values with one writer and several readers. A value is reused once all holders have dropped it: no allocation per line, and no lock.
#[derive(Debug)]
pub struct Recycler<T> {
    values: VecDeque<Arc<T>>,
}

impl<T> Default for Recycler<T> {
    fn default() -> Self {
        Self { values: VecDeque::new() }
    }
}

impl<T: Default> Recycler<T> {
    /// A value that nobody else holds, so that [`Arc::get_mut`] succeeds. The newest free value comes first, because a cache most likely
    /// still has it. Without a free value, a new one is made.
    pub fn take(&mut self) -> Arc<T> {
        self.take_with(|_| ())
    }

    /// As [`Recycler::take`]. Calls `release` on every value that nobody else holds, because values may hold others.
    pub fn take_with(&mut self, release: impl Fn(&mut T)) -> Arc<T> {
        let mut newest = None;
        // A value with a slow holder does not block the reuse of later ones.
        for (place, value) in self.values.iter_mut().enumerate() {
            if let Some(value) = Arc::get_mut(value) {
                release(value);
                newest = Some(place);
            }
        }
        newest.and_then(|newest| self.values.remove(newest)).unwrap_or_default()
    }

    /// Remembers a shared value for its reuse.
    pub fn keep(&mut self, value: Arc<T>) {
        self.values.push_back(value);
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
        assert_eq!(recycler.values.len(), 2);
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
