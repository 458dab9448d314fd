//! Datasets in chunks. The chunks are decompressed here and not by the library, which lets a chunk grow without bounds, and reads on
//! behind one that is too short.

use super::Result;
use super::data::{too_large, zeroed};
use super::error::Error;
use super::ffi::{self, Id, called};
use super::object::{Filter, filters};
use hdf5_sys::h5p::{H5P_DEFAULT, H5Pget_chunk};
use libdeflater::Decompressor;
use std::ops::Range;

/// Most bytes of a chunk.
const MOST_CHUNK: u64 = 256 << 20;
/// A filter that cannot make a chunk smaller makes it larger by less than this, bytes.
const OVERHEAD: u64 = 1 << 16;

/// How a dataset lies in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    shape: Vec<u64>,
    pub(super) chunk: Vec<u64>,
    /// Bytes of a value in the file.
    pub(super) size: usize,
    /// Bytes of a chunk.
    bytes: usize,
    filters: Vec<Filter>,
    /// Bytes of the file.
    file: u64,
}

impl Chunks {
    /// `None` where a dataset is not in chunks.
    pub(super) fn of(created: &Id, shape: &[u64], size: usize, file: u64) -> Result<Option<Self>> {
        // SAFETY: the property list is open, here and below.
        if called(|| unsafe { ffi::H5Pget_layout(created.0) })? != ffi::layout::CHUNKED {
            return Ok(None);
        }
        let mut chunk = vec![0; shape.len()];
        let axes = i32::try_from(shape.len()).unwrap_or(0);
        // SAFETY: there is room for as many axes.
        if called(|| unsafe { H5Pget_chunk(created.0, axes, chunk.as_mut_ptr()) })? != axes || chunk.contains(&0) {
            return Err(Error::new("its chunks have other axes than it has"));
        }
        let filters = filters(created)?;
        if let Some(other) = filters.iter().find(|filter| ![Filter::DEFLATE, Filter::SHUFFLE].contains(&filter.number)) {
            let name = other.shown();
            return Err(Error::new(format!(
                "it is stored with {name}, which this program does not undo; `h5repack -f GZIP=4` rewrites it"
            )));
        }
        let bytes = chunk.iter().try_fold(size as u64, |all, n| all.checked_mul(*n)).unwrap_or(u64::MAX);
        if bytes > MOST_CHUNK {
            return Err(Error::new(format!("its chunks are of {bytes} bytes, and at most {MOST_CHUNK} are read")));
        }
        let bytes = usize::try_from(bytes).map_err(|_| too_large(bytes))?;
        Ok(Some(Self { shape: shape.to_vec(), chunk, size, bytes, filters, file }))
    }

    /// The bytes of some places along the first axis, `length` of them, as the file has them.
    pub(super) fn read(&self, dataset: &Id, lines: Range<u64>, length: usize) -> Result<Vec<u8>> {
        let mut to = zeroed::<u8>(length)?;
        let mut wanted: Vec<Range<u64>> = self.shape.iter().map(|n| 0..*n).collect();
        wanted[0] = lines;
        // Number of the chunk along each axis.
        let first: Vec<u64> = wanted.iter().zip(&self.chunk).map(|(range, n)| range.start / n).collect();
        let mut number = first.clone();
        loop {
            let offset: Vec<u64> = number.iter().zip(&self.chunk).map(|(at, n)| at * n).collect();
            let bytes = self.chunk_at(dataset, &offset)?;
            self.copy(&bytes, &offset, &wanted, &mut to);
            // The next number, the last axis first.
            let Some(axis) = (0..number.len()).rev().find(|axis| (number[*axis] + 1).saturating_mul(self.chunk[*axis]) < wanted[*axis].end)
            else {
                return Ok(to);
            };
            number[axis] += 1;
            number[axis + 1..].copy_from_slice(&first[axis + 1..]);
        }
    }

    /// A chunk, decompressed.
    pub(super) fn chunk_at(&self, dataset: &Id, offset: &[u64]) -> Result<Vec<u8>> {
        let fail = |why: String| Error::new(format!("its chunk at {offset:?} {why}"));
        let mut stored = 0;
        // SAFETY: the dataset is open, and the offset has a number for every axis.
        let asked = called(|| unsafe { ffi::H5Dget_chunk_storage_size(dataset.0, offset.as_ptr(), &raw mut stored) });
        if asked.is_err() || stored == 0 {
            return Err(fail("is missing".into()));
        }
        if stored > self.file || stored > self.bytes as u64 + OVERHEAD {
            return Err(fail(format!("claims {stored} bytes, in a file of {} bytes and for {} bytes of values", self.file, self.bytes)));
        }
        let mut bytes = zeroed::<u8>(usize::try_from(stored).map_err(|_| too_large(stored))?)?;
        let mut skipped = 0;
        // SAFETY: as above, and there is room for what is stored.
        called(|| unsafe { ffi::H5Dread_chunk(dataset.0, H5P_DEFAULT, offset.as_ptr(), &raw mut skipped, bytes.as_mut_ptr().cast()) })?;
        for (at, filter) in self.filters.iter().enumerate().rev() {
            if skipped & (1 << at) != 0 {
                continue;
            }
            bytes = match filter.number {
                Filter::DEFLATE => {
                    let mut whole = zeroed::<u8>(self.bytes)?;
                    match Decompressor::new().zlib_decompress(&bytes, &mut whole) {
                        Ok(length) if length == self.bytes => whole,
                        Ok(length) => return Err(fail(format!("holds {length} bytes of {}", self.bytes))),
                        Err(why) => return Err(fail(format!("cannot be decompressed to {} bytes: {why}", self.bytes))),
                    }
                }
                _ => unshuffled(&bytes, self.size)?,
            };
        }
        if bytes.len() == self.bytes { Ok(bytes) } else { Err(fail(format!("holds {} bytes of {}", bytes.len(), self.bytes))) }
    }

    /// Copies what is wanted of a chunk.
    fn copy(&self, bytes: &[u8], offset: &[u64], wanted: &[Range<u64>], to: &mut [u8]) {
        // What is wanted of the chunk along each axis.
        let part: Vec<Range<u64>> = (0..offset.len())
            .map(|axis| wanted[axis].start.max(offset[axis])..wanted[axis].end.min(offset[axis].saturating_add(self.chunk[axis])))
            .collect();
        let Some((last, outer)) = part.split_last() else { return };
        if part.iter().any(Range::is_empty) {
            return;
        }
        // Place of the first value of a run, among the values of the chunk or of what is wanted. All fit into memory.
        #[expect(clippy::cast_possible_truncation, reason = "places within buffers that are in memory")]
        let place = |at: &[u64], from: &dyn Fn(usize) -> u64, extent: &dyn Fn(usize) -> u64| {
            at.iter().enumerate().fold(0, |all, (axis, at)| all * extent(axis) + (at - from(axis))) as usize * self.size
        };
        #[expect(clippy::cast_possible_truncation, reason = "as above")]
        let run = (last.end - last.start) as usize * self.size;
        let mut at: Vec<u64> = part.iter().map(|range| range.start).collect();
        loop {
            let from = place(&at, &|axis| offset[axis], &|axis| self.chunk[axis]);
            let into = place(&at, &|axis| wanted[axis].start, &|axis| wanted[axis].end - wanted[axis].start);
            to[into..into + run].copy_from_slice(&bytes[from..from + run]);
            let Some(axis) = (0..outer.len()).rev().find(|axis| at[*axis] + 1 < outer[*axis].end) else { return };
            at[axis] += 1;
            for inner in axis + 1..outer.len() {
                at[inner] = outer[inner].start;
            }
        }
    }
}

/// Undoes the shuffle of bytes: first bytes of all values came first, then the second ones, and what is left over last.
fn unshuffled(bytes: &[u8], size: usize) -> Result<Vec<u8>> {
    let count = bytes.len() / size;
    let mut whole = zeroed::<u8>(bytes.len())?;
    let rest = count * size;
    for (byte, plane) in bytes[..rest].chunks_exact(count.max(1)).enumerate() {
        for (value, from) in whole.chunks_exact_mut(size).zip(plane) {
            value[byte] = *from;
        }
    }
    whole[rest..].copy_from_slice(&bytes[rest..]);
    Ok(whole)
}
