//! Byte shuffle and deflate by libdeflate: the filters of HDF5 that every reader has.

use super::buffer::Buffer;
use libdeflater::{CompressionLvl, Compressor, adler32};

/// Bytes of a plane that are tried.
const TRIED: usize = 16 << 10;
/// Pieces that they lie in, spread evenly over the plane.
const PIECES: usize = 8;
/// Percent of its size that a piece must shrink below, for its plane to be compressed.
const WORTH: usize = 98;
/// Most bytes of a stored block of RFC 1951 (3.2.4).
const STORED: usize = 0xffff;
/// Bytes of the block's head.
const STORED_HEAD: usize = 5;

/// Packs chunks. It keeps its compressor and its memory from chunk to chunk.
#[derive(Default)]
pub(crate) struct Deflate {
    compressor: Option<(u8, Compressor)>,
    shuffled: Vec<u8>,
    tried: (Vec<u8>, Vec<u8>),
}

impl Deflate {
    /// The chunk as the filters shuffle and deflate leave it: a zlib stream (RFC 1950) and its length. Elements have `element` bytes,
    /// and `level` is 1 to 9.
    ///
    /// The last bits of a measured value are noise. Planes of them come first and go into stored blocks. The search for repeated bytes
    /// takes most of the time, and finds none there.
    pub(crate) fn pack(&mut self, chunk: &Buffer, element: usize, level: u8) -> (Buffer, usize) {
        let Self { compressor, shuffled, tried } = self;
        shuffle(chunk, element, shuffled);
        let compressor = match compressor {
            Some((of, compressor)) if *of == level => compressor,
            other => {
                let level_of = CompressionLvl::new(i32::from(level)).unwrap_or_default();
                &mut other.insert((level, Compressor::new(level_of))).1
            }
        };
        let plane = shuffled.len() / element.max(1);
        let noise =
            if plane < TRIED { 0 } else { shuffled.chunks_exact(plane).take_while(|plane| is_noise(plane, compressor, tried)).count() };
        let (stored, rest) = shuffled.split_at(noise * plane);
        let heads = stored.len().div_ceil(STORED) * STORED_HEAD;
        let mut packed = chunk.like(2 + stored.len() + heads + compressor.deflate_compress_bound(rest.len()) + 4);
        // Deflate with a window of 32 KiB; both bytes together are a multiple of 31.
        packed[..2].copy_from_slice(&[0x78, 0x01]);
        let mut at = 2;
        for block in stored.chunks(STORED) {
            #[expect(clippy::cast_possible_truncation, reason = "a block is no longer than 0xffff")]
            let length = block.len() as u16;
            packed[at] = 0;
            packed[at + 1..at + 3].copy_from_slice(&length.to_le_bytes());
            packed[at + 3..at + STORED_HEAD].copy_from_slice(&(!length).to_le_bytes());
            at += STORED_HEAD;
            packed[at..at + block.len()].copy_from_slice(block);
            at += block.len();
        }
        at += compressor.deflate_compress(rest, &mut packed[at..]).expect("the buffer is as long as the longest stream");
        packed[at..at + 4].copy_from_slice(&adler32(shuffled).to_be_bytes());
        (packed, at + 4)
    }
}

/// Whether a plane of at least [`TRIED`] bytes does not shrink, judged by some of it.
fn is_noise(plane: &[u8], compressor: &mut Compressor, (tried, packed): &mut (Vec<u8>, Vec<u8>)) -> bool {
    tried.clear();
    plane.chunks_exact(plane.len() / PIECES).for_each(|share| tried.extend_from_slice(&share[..TRIED / PIECES]));
    packed.resize(compressor.deflate_compress_bound(tried.len()), 0);
    compressor.deflate_compress(tried, packed).is_ok_and(|length| length * 100 >= tried.len() * WORTH)
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

    /// Every plane alone decides whether it is searched, but only those before the first that is worth it are not.
    #[test]
    fn planes_of_noise_are_stored_and_read_by_every_reader_of_zlib() {
        let elements = 70_000;
        let mut state = 1_u64;
        let mut random = || {
            // Knuth's generator, MMIX.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        for (noise, most) in [([true, true, false, false], 2.1), ([true; 4], 4.01), ([false, true, false, true], 2.2), ([false; 4], 0.1)] {
            let mut chunk = Buffers::new().take(elements * 4);
            let bytes = chunk.chunks_exact_mut(4).flat_map(|element| element.iter_mut().zip(noise));
            bytes.for_each(|(byte, noise)| *byte = if noise { random() } else { 3 });
            let (packed, length) = Deflate::default().pack(&chunk, 4, 1);
            assert!((length as f64) < most * elements as f64, "{noise:?}: {length}");
            assert!(length as f64 > (most - 0.3) * elements as f64, "{noise:?}: {length}");
            let (mut planes, mut expected) = (vec![0; elements * 4], Vec::new());
            shuffle(&chunk, 4, &mut expected);
            assert_eq!(libdeflater::Decompressor::new().zlib_decompress(&packed[..length], &mut planes).unwrap(), planes.len());
            assert_eq!(planes, expected);
        }
    }

    #[test]
    fn what_was_packed_is_a_zlib_stream() {
        let mut chunk = Buffers::new().take(40_000);
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
