//! Some places along each axis of a cube. Only the chunks that hold them are read, each once.

use super::chunks::Chunks;
use super::data::{Number, Values, zeroed};
use super::error::Error;
use super::ffi::Id;
use super::{MOST_BYTES, Result};
use std::ops::Range;

impl Values {
    /// The values where places of the three axes cross, in the order of the file. The places of an axis rise.
    ///
    /// # Errors
    /// It is no cube of numbers, has no such places, or cannot be read.
    pub(crate) fn crossings<T: Number>(&self, places: [&[u64]; 3]) -> Result<Vec<T>> {
        if self.whole().is_none() {
            return Err(Error::new(format!("it holds {}, and no numbers", self.kind()?)));
        }
        let Some(&[lines, pixels, bands]) = self.shape() else {
            return Err(Error::new(format!("its shape is {:?}, and a cube has three axes", self.shape())));
        };
        for (list, extent) in places.iter().zip([lines, pixels, bands]) {
            if !list.is_sorted_by(|a, b| a < b) || list.last().is_some_and(|last| *last >= extent) {
                return Err(Error::new(format!("an axis has {extent} places, and others or the same one twice were asked for")));
            }
        }
        let count = places.iter().map(|list| list.len() as u64).product();
        let mut values = zeroed::<T>(self.room(count, size_of::<T>(), MOST_BYTES)?)?;
        if values.is_empty() {
            return Ok(values);
        }
        if let Some(chunks) = self.chunks()? {
            let mut bytes = zeroed::<u8>(values.len() * chunks.size)?;
            gather(&chunks, &self.id, places, &mut bytes)?;
            return self.converted(bytes, values);
        }
        let index = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
        let width = index(bands);
        let mut to = values.iter_mut();
        for line in places[0] {
            let line = self.lines::<T>(*line..line + 1)?;
            for pixel in places[1] {
                let spectrum = &line[index(*pixel) * width..][..width];
                to.by_ref().zip(places[2]).for_each(|(to, band)| *to = spectrum[index(*band)]);
            }
        }
        Ok(values)
    }
}

/// The stretches of a list whose places lie in one chunk.
fn by_chunk(places: &[u64], extent: u64) -> Vec<Range<usize>> {
    let mut at = 0;
    let stretch = |some: &[u64]| {
        let first = at;
        at += some.len();
        first..at
    };
    places.chunk_by(|a, b| a / extent == b / extent).map(stretch).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "places within a chunk, which is in memory")]
fn gather(chunks: &Chunks, dataset: &Id, places: [&[u64]; 3], to: &mut [u8]) -> Result<()> {
    let (size, extents) = (chunks.size, &chunks.chunk);
    let [lines, pixels, bands] = [0, 1, 2].map(|axis| by_chunk(places[axis], extents[axis]));
    let (across, deep) = (places[1].len(), places[2].len());
    let within = |axis: usize, at: usize| (places[axis][at] % extents[axis]) as usize;
    let (width, depth) = (extents[1] as usize, extents[2] as usize);
    for lines in &lines {
        for pixels in &pixels {
            for bands in &bands {
                let first = [lines.start, pixels.start, bands.start];
                let offset: Vec<u64> = (0..3).map(|axis| places[axis][first[axis]] / extents[axis] * extents[axis]).collect();
                let bytes = chunks.chunk_at(dataset, &offset)?;
                for line in lines.clone() {
                    for pixel in pixels.clone() {
                        let from = (within(0, line) * width + within(1, pixel)) * depth;
                        let into = (line * across + pixel) * deep;
                        for band in bands.clone() {
                            let (from, into) = ((from + within(2, band)) * size, (into + band) * size);
                            to[into..into + size].copy_from_slice(&bytes[from..from + size]);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}
