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
    /// A value that nobody else holds ([`Arc::get_mut`] gives it): the oldest one that was let go, else a new one.
    pub fn take(&mut self) -> Arc<T> {
        match self.kept.front() {
            Some(oldest) if Arc::strong_count(oldest) == 1 => self.kept.pop_front().unwrap_or_default(),
            _ => Arc::default(),
        }
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
}
