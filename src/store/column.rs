//! Datasets that grow by lines.

use super::error::StoreError;
use super::node::{Annotate, Field, Node};
use super::writing::Filters;
use hdf5::plist::dataset_create::FillTime;
use hdf5::{Extent, H5Type, Hyperslab, SimpleExtents, SliceOrIndex};
use ndarray::{ArrayView, IxDyn};

/// A dataset whose first axis is the line. It gathers the lines of a chunk, so that each chunk is written once.
#[derive(Debug)]
pub(super) struct Column<T> {
    pub(super) field: Field,
    /// Extents of the axes behind the line's.
    tail: Vec<usize>,
    chunk_lines: usize,
    written: usize,
    waiting: Vec<T>,
}

/// The layout of a column in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Lines of a chunk.
    pub(super) chunk_lines: usize,
    /// Filters of its chunks.
    pub(super) filters: Filters,
}

impl<T: H5Type> Column<T> {
    /// Creates the dataset without a line. `tail` gives the extents of the axes behind the line's.
    pub(super) fn create(group: &Node, name: &str, tail: &[usize], layout: Layout) -> Result<Self, StoreError> {
        let chunk_lines = layout.chunk_lines;
        let mut extents = vec![Extent::resizable(0)];
        extents.extend(tail.iter().map(|n| Extent::fixed(*n)));
        let chunk: Vec<usize> = std::iter::once(chunk_lines).chain(tail.iter().copied()).collect();
        let mut builder = group
            .group
            .new_dataset::<T>()
            .obj_track_times(false)
            .chunk(chunk)
            // A chunk is always written by its lines. A fill before that would write everything twice.
            .fill_time(FillTime::Never);
        if let Some(level) = layout.filters.deflate {
            builder = builder.shuffle().deflate(level);
        }
        let dataset = builder.shape(SimpleExtents::new(extents)).create(name);
        let per_line: usize = tail.iter().product();
        Ok(Self {
            field: group.field(name, dataset)?,
            tail: tail.to_vec(),
            chunk_lines,
            written: 0,
            waiting: Vec::with_capacity(chunk_lines * per_line),
        })
    }

    /// Number of values of a line.
    pub(super) fn per_line(&self) -> usize {
        self.tail.iter().product()
    }

    /// Adds the values of one line.
    pub(super) fn push(&mut self, line: impl IntoIterator<Item = T>) -> Result<(), StoreError> {
        self.waiting.extend(line);
        self.write_full()
    }

    /// Writes the lines that wait where they fill a chunk.
    fn write_full(&mut self) -> Result<(), StoreError> {
        if self.waiting.len() == self.chunk_lines * self.per_line() { self.flush() } else { Ok(()) }
    }

    /// Writes the lines that wait.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        let lines = self.waiting.len() / self.per_line().max(1);
        if lines == 0 {
            return Ok(());
        }
        self.write(lines).map_err(|e| self.field.place().error(e))?;
        self.written += lines;
        self.waiting.clear();
        Ok(())
    }

    fn write(&self, lines: usize) -> hdf5::Result<()> {
        let shape = |lines: usize| -> Vec<usize> { std::iter::once(lines).chain(self.tail.iter().copied()).collect() };
        let end = self.written + lines;
        self.field.dataset.resize(shape(end))?;
        let mut slab = vec![SliceOrIndex::from(self.written..end)];
        slab.extend(self.tail.iter().map(|n| SliceOrIndex::from(0..*n)));
        let view = ArrayView::from_shape(IxDyn(&shape(lines)), &self.waiting).map_err(|e| hdf5::Error::from(e.to_string()))?;
        self.field.dataset.write_slice(view, Hyperslab::from(slab))
    }
}
