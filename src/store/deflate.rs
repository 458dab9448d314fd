//! The filters of HDF5 that every reader has, byte shuffle and deflate, done by libdeflate.

use crate::disk::Buffer;
use libdeflater::{CompressionLvl, Compressor};

/// Packs chunks; holds what needs no making anew.
#[derive(Default)]
pub(super) struct Deflate {
    compressor: Option<(u8, Compressor)>,
    shuffled: Vec<u8>,
}

impl Deflate {
    /// The chunk, of elements of `element` bytes, as the filters shuffle and deflate leave it: a zlib stream, and its length. `level`
    /// is 1 to 9.
    pub(super) fn pack(&mut self, chunk: &Buffer, element: usize, level: u8) -> (Buffer, usize) {
        shuffle(chunk, element, &mut self.shuffled);
        let compressor = match &mut self.compressor {
            Some((of, compressor)) if *of == level => compressor,
            other => {
                let level_of = CompressionLvl::new(i32::from(level)).unwrap_or_default();
                &mut other.insert((level, Compressor::new(level_of))).1
            }
        };
        let mut packed = chunk.like(compressor.zlib_compress_bound(self.shuffled.len()));
        let length = compressor.zlib_compress(&self.shuffled, &mut packed).expect("the buffer is as long as the longest stream");
        (packed, length)
    }
}

/// The first bytes of all elements, then the second ones, and so on.
fn shuffle(bytes: &[u8], element: usize, into: &mut Vec<u8>) {
    into.resize(bytes.len(), 0);
    let elements = bytes.len() / element;
    if element == 4 {
        let (first, rest) = into.split_at_mut(elements);
        let (second, rest) = rest.split_at_mut(elements);
        let (third, fourth) = rest.split_at_mut(elements);
        for ((((from, a), b), c), d) in bytes.as_chunks::<4>().0.iter().zip(first).zip(second).zip(third).zip(fourth) {
            [*a, *b, *c, *d] = *from;
        }
        return;
    }
    for (plane, into) in into.chunks_exact_mut(elements).enumerate() {
        for (from, to) in bytes.iter().skip(plane).step_by(element).zip(into) {
            *to = *from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Buffers;

    #[test]
    fn elements_are_cut_into_planes() {
        let mut planes = Vec::new();
        shuffle(&[1, 2, 3, 4, 11, 12, 13, 14], 4, &mut planes);
        assert_eq!(planes, [1, 11, 2, 12, 3, 13, 4, 14]);
        shuffle(&[1, 2, 11, 12, 21, 22], 2, &mut planes);
        assert_eq!(planes, [1, 11, 21, 2, 12, 22]);
    }

    #[test]
    fn what_was_packed_is_a_zlib_stream() {
        let mut chunk = Buffers::new(0).take(40_000);
        chunk.iter_mut().enumerate().for_each(|(i, byte)| *byte = u8::try_from(i % 251).unwrap());
        let mut deflate = Deflate::default();
        for level in [1, 9] {
            let (packed, length) = deflate.pack(&chunk, 4, level);
            let mut planes = vec![0; 40_000];
            assert!(length < 20_000);
            assert_eq!(libdeflater::Decompressor::new().zlib_decompress(&packed[..length], &mut planes).unwrap(), 40_000);
            assert_eq!([planes[1], planes[10_000]], [chunk[4], chunk[1]]);
        }
    }
}
