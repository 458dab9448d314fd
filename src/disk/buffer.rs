//! Buffers that begin at a page of memory, are shared between threads, and are used again.

use crate::sync::lock;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// What the addresses of direct writes are multiples of, bytes: in memory, in the file, and in length.
pub(crate) const PAGE: usize = 4096;
/// Bytes that wait for their next use; what comes back beyond is freed.
const MOST_SPARE: usize = 64 << 20;

/// Where buffers come from and go back to.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// No buffer yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A buffer of `length` bytes that hold anything.
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let needed = length + PAGE;
        let mut spare = lock(&self.spare);
        let found = spare.iter().rposition(|bytes| (needed..needed * 2).contains(&bytes.len()));
        let bytes = found.map(|at| spare.swap_remove(at));
        drop(spare);
        // Zeroed by the system as it is touched, if at all.
        let bytes = bytes.unwrap_or_else(|| vec![0; needed]);
        let start = bytes.as_ptr().align_offset(PAGE);
        Buffer { bytes, start, length, home: Arc::clone(self) }
    }
}

/// Bytes that begin at a page of memory.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
    home: Arc<Buffers>,
}

impl Buffer {
    /// Another one, of `length` bytes that hold anything.
    pub(crate) fn like(&self, length: usize) -> Self {
        self.home.take(length)
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut spare = lock(&self.home.spare);
        if spare.iter().map(Vec::len).sum::<usize>() + self.bytes.len() <= MOST_SPARE {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_a_page_and_come_back() {
        let buffers = Buffers::new();
        let mut first = buffers.take(10_000);
        assert_eq!((first.as_ptr().align_offset(PAGE), first.len()), (0, 10_000));
        first[9_999] = 7;
        let place = first.as_ptr();
        drop(first);
        assert_eq!(buffers.take(9_000).as_ptr(), place, "one that is large enough is used again");
        assert_eq!(buffers.take(100_000).len(), 100_000);
    }
}
