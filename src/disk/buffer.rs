//! Buffers that begin at a memory page, move between threads, and are reused.

use crate::sync::lock;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// The alignment of direct writes, bytes: of addresses in memory, offsets in the file, and lengths.
pub(crate) const PAGE: usize = 4096;
/// Bytes of spare buffers. A buffer beyond that is freed.
const MOST_SPARE: usize = 64 << 20;

/// The pool that buffers come from and return to.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// A pool without buffers.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A buffer of `length` bytes with arbitrary content.
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let needed = length + PAGE;
        let mut spare = lock(&self.spare);
        let found = spare.iter().rposition(|bytes| (needed..needed * 2).contains(&bytes.len()));
        let bytes = found.map(|at| spare.swap_remove(at));
        drop(spare);
        // The system zeroes these pages on first touch, if at all.
        let bytes = bytes.unwrap_or_else(|| vec![0; needed]);
        let start = bytes.as_ptr().align_offset(PAGE);
        Buffer { bytes, start, length, home: Arc::clone(self) }
    }
}

/// Bytes that begin at a memory page.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
    home: Arc<Buffers>,
}

impl Buffer {
    /// Another buffer of the same pool: `length` bytes with arbitrary content.
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
