//! The dataset of the spectra. It gathers chunks and hands them to threads, which make each chunk and write it whole.

use super::chunk::Chunk;
use super::error::StoreError;
use super::node::{Annotate, Field, Node};
use super::output::Output;
use super::workers::{Done, Job};
use super::writing::Filters;
use crate::disk::Buffer;
use crate::segment::SampleRow;
use crate::sums::Sums;
use crossbeam_channel::{Receiver, Sender, bounded};
use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::{Dataset, Extent, SimpleExtents};
use hdf5_sys::h5::hsize_t;
use hdf5_sys::h5d::{H5Dget_chunk_info_by_coord, H5Dwrite_chunk};
use hdf5_sys::h5p::H5P_DEFAULT;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a chunk. The chunk cache of the HDF5 library holds as many, unless a reader asks for more.
const CHUNK_BYTES: usize = 1 << 20;
/// Most chunks of a dataset that threads have in hand.
const IN_HAND: usize = 12;

/// A dataset `[line][pixel][wavelength]` of float32 that grows by lines.
///
/// Without filters the library makes room for a chunk, and a thread writes it past the library. With filters the library gets the
/// compressed chunk. Either way chunks get their places in order. The same lines give the same bytes.
#[derive(Debug)]
pub(super) struct Cube {
    pub(super) field: Field,
    width: usize,
    bands: usize,
    chunk_lines: usize,
    /// Lines of the chunks that were handed over.
    lines: usize,
    level: Option<u8>,
    output: Arc<Output>,
    chunk: Option<Chunk>,
    in_hand: usize,
    /// Number of the chunk that the library gets next.
    next: usize,
    /// Compressed chunks that wait for it, with their bytes in use.
    ready: BTreeMap<usize, (Buffer, usize)>,
    /// Sums of chunks that wait for those before them. The order of an addition changes its last bits.
    waiting: BTreeMap<usize, Sums>,
    /// Sums over the first chunks, and the number of these.
    sums: (Sums, usize),
    /// Sums that can be used again.
    spare: Vec<Sums>,
    done: (Sender<Done>, Receiver<Done>),
}

impl Cube {
    /// Creates the dataset, with no line yet.
    pub(super) fn create(
        group: &Node,
        name: &str,
        (width, bands): (usize, usize),
        filters: Filters,
        output: &Arc<Output>,
    ) -> Result<Self, StoreError> {
        let chunk_lines = (CHUNK_BYTES / (size_of::<f32>() * width * bands).max(1)).max(1);
        let extents = SimpleExtents::new(vec![Extent::resizable(0), Extent::fixed(width), Extent::fixed(bands)]);
        let mut builder = group
            .group
            .new_dataset::<f32>()
            .obj_track_times(false)
            .chunk((chunk_lines, width, bands))
            // A chunk is always written whole. A fill before that would write everything twice.
            .fill_time(FillTime::Never)
            .fill_value(f32::NAN);
        builder = match filters.deflate {
            Some(level) => builder.shuffle().deflate(level),
            None => builder.alloc_time(Some(AllocTime::Early)),
        };
        Ok(Self {
            field: group.field(name, builder.shape(extents).create(name))?,
            width,
            bands,
            chunk_lines,
            lines: 0,
            level: filters.deflate,
            output: Arc::clone(output),
            chunk: None,
            in_hand: 0,
            next: 0,
            ready: BTreeMap::new(),
            waiting: BTreeMap::new(),
            sums: (Sums::default(), 0),
            spare: Vec::new(),
            done: bounded(IN_HAND),
        })
    }

    /// Adds one line, `[pixel][wavelength]`.
    pub(super) fn push(&mut self, values: &[f32]) -> Result<(), StoreError> {
        self.next_chunk().push(values);
        self.pushed()
    }

    /// Adds the line of a row. The chunk holds the row until a thread makes the chunk.
    pub(super) fn push_row(&mut self, row: &SampleRow) -> Result<(), StoreError> {
        self.next_chunk().push_row(row);
        self.pushed()
    }

    fn next_chunk(&mut self) -> &mut Chunk {
        let (lines, line, buffers) = (self.chunk_lines, (self.width, self.bands), &self.output.buffers);
        self.chunk.get_or_insert_with(|| Chunk::new(lines, line, self.spare.pop().unwrap_or_default(), buffers))
    }

    fn pushed(&mut self) -> Result<(), StoreError> {
        if self.chunk.as_ref().is_some_and(Chunk::full) { self.hand_over() } else { Ok(()) }
    }

    /// Hands over the last chunk and waits until all are written. Gives the sums over all rows.
    pub(super) fn finish(&mut self) -> Result<Sums, StoreError> {
        self.hand_over()?;
        while self.in_hand > 0 {
            self.take_back()?;
        }
        Ok(std::mem::take(&mut self.sums.0))
    }

    /// Adds the sums of a chunk, once those of all chunks before it are added.
    fn sum_up(&mut self, number: usize, sums: Sums) {
        if number != self.sums.1 {
            self.waiting.insert(number, sums);
            return;
        }
        let mut next = Some(sums);
        while let Some(sums) = next {
            self.sums.0.merge(&sums);
            self.sums.1 += 1;
            self.spare.push(sums);
            next = self.waiting.remove(&self.sums.1);
        }
    }

    fn hand_over(&mut self) -> Result<(), StoreError> {
        let Some(chunk) = self.chunk.take() else { return Ok(()) };
        let first = self.lines;
        self.lines += chunk.lines();
        self.dataset().resize((self.lines, self.width, self.bands)).map_err(|e| self.field.place().error(e))?;
        while self.in_hand == IN_HAND {
            self.take_back()?;
        }
        self.in_hand += 1;
        let done = self.done.0.clone();
        let number = first / self.chunk_lines;
        self.output.workers.give(match self.level {
            Some(level) => Job::Deflate { number, chunk, element: size_of::<f32>(), level, done },
            None => {
                let at = place_of(self.dataset(), first).map_err(|e| self.field.place().error(e))?;
                Job::Make { number, pieces: Arc::clone(&self.output.pieces), at, chunk, done }
            }
        });
        Ok(())
    }

    /// Waits until one more chunk is written. With filters it is the next one, and others that are ready sooner wait.
    fn take_back(&mut self) -> Result<(), StoreError> {
        loop {
            if let Some((packed, length)) = self.ready.remove(&self.next) {
                let line = self.next * self.chunk_lines;
                write_packed(self.dataset(), line, &packed[..length]).map_err(|e| self.field.place().error(e))?;
                self.output.cached(length);
                self.next += 1;
                break;
            }
            match self.done.1.recv() {
                Ok(Done::Written(result)) => {
                    result.map_err(|e| self.failed(e))?;
                    break;
                }
                Ok(Done::Made(number, result, sums)) => {
                    self.sum_up(number, sums);
                    result.map_err(|e| self.failed(e))?;
                    break;
                }
                Ok(Done::Deflated(number, packed, length, sums)) => {
                    self.sum_up(number, sums);
                    self.ready.insert(number, (packed, length));
                }
                Err(broken) => return Err(self.failed(std::io::Error::other(broken))),
            }
        }
        self.in_hand -= 1;
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> StoreError {
        StoreError::Io { file: self.field.place().file().to_path_buf(), doing: "written", source }
    }

    fn dataset(&self) -> &Dataset {
        &self.field.dataset
    }
}

/// Place in the file of the chunk that begins with line `line`.
fn place_of(dataset: &Dataset, line: usize) -> hdf5::Result<u64> {
    let (offset, mut filters, mut at, mut size) = ([line as hsize_t, 0, 0], 0, u64::MAX, 0);
    // SAFETY: the dataset is open and has three axes, as many as the offset has numbers; the others are written to and not kept.
    let status = hdf5::sync::sync(|| unsafe {
        H5Dget_chunk_info_by_coord(dataset.id(), offset.as_ptr(), &raw mut filters, &raw mut at, &raw mut size)
    });
    if status < 0 || at == u64::MAX { Err("the library made no room for a chunk".into()) } else { Ok(at) }
}

/// Gives the library the chunk that begins with line `line`, in the form that its filters would leave.
fn write_packed(dataset: &Dataset, line: usize, packed: &[u8]) -> hdf5::Result<()> {
    let offset = [line as hsize_t, 0, 0];
    // SAFETY: the dataset is open and has three axes, as many as the offset has numbers; the library reads the bytes before it returns.
    let status =
        hdf5::sync::sync(|| unsafe { H5Dwrite_chunk(dataset.id(), H5P_DEFAULT, 0, offset.as_ptr(), packed.len(), packed.as_ptr().cast()) });
    if status < 0 { Err("a compressed chunk was refused".into()) } else { Ok(()) }
}
