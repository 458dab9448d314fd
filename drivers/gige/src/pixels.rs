//! Pixel formats, and their conversion to 16-bit counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pixel formats by the names of the GenICam Pixel Format Naming Convention and of GigE Vision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PixelFormat {
    /// 8 bits.
    Mono8,
    /// 10 bits in 16.
    Mono10,
    /// 10 bits, two pixels in three bytes (GigE Vision).
    Mono10Packed,
    /// 10 bits, four pixels in five bytes (PFNC, USB3 Vision).
    Mono10p,
    /// 12 bits in 16.
    Mono12,
    /// 12 bits, two pixels in three bytes, high bits first (GigE Vision).
    Mono12Packed,
    /// 12 bits, two pixels in three bytes, low bits first (PFNC, USB3 Vision).
    Mono12p,
    /// 14 bits in 16.
    Mono14,
    /// 16 bits.
    Mono16,
}

impl PixelFormat {
    /// The name of the camera's `PixelFormat` feature.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mono8 => "Mono8",
            Self::Mono10 => "Mono10",
            Self::Mono10Packed => "Mono10Packed",
            Self::Mono10p => "Mono10p",
            Self::Mono12 => "Mono12",
            Self::Mono12Packed => "Mono12Packed",
            Self::Mono12p => "Mono12p",
            Self::Mono14 => "Mono14",
            Self::Mono16 => "Mono16",
        }
    }

    /// Bits of a count.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Mono8 => 8,
            Self::Mono10 | Self::Mono10Packed | Self::Mono10p => 10,
            Self::Mono12 | Self::Mono12Packed | Self::Mono12p => 12,
            Self::Mono14 => 14,
            Self::Mono16 => 16,
        }
    }

    /// Whether its bytes already are 16-bit counts.
    pub const fn is_plain(self) -> bool {
        matches!(self, Self::Mono10 | Self::Mono12 | Self::Mono14 | Self::Mono16)
    }

    /// Bytes of `pixels` pixels.
    pub const fn bytes(self, pixels: usize) -> usize {
        match self {
            Self::Mono8 => pixels,
            Self::Mono10Packed | Self::Mono12Packed | Self::Mono12p => (pixels * 3).div_ceil(2),
            Self::Mono10p => (pixels * 5).div_ceil(4),
            Self::Mono10 | Self::Mono12 | Self::Mono14 | Self::Mono16 => pixels * 2,
        }
    }

    /// Converts the bytes of `counts.len()` pixels to counts. With `big`, 16-bit pixels have their high byte first. Missing bytes
    /// leave the counts as they are.
    pub fn unpack(self, bytes: &[u8], big: bool, counts: &mut [u16]) {
        match self {
            Self::Mono8 => counts.iter_mut().zip(bytes).for_each(|(count, byte)| *count = u16::from(*byte)),
            Self::Mono10 | Self::Mono12 | Self::Mono14 | Self::Mono16 => {
                for (count, pair) in counts.iter_mut().zip(bytes.chunks_exact(2)) {
                    let pair = [pair[0], pair[1]];
                    *count = if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
                }
            }
            Self::Mono10Packed => pairs(bytes, counts, |[a, low, b]| [a << 2 | low & 3, b << 2 | low >> 4 & 3]),
            Self::Mono12Packed => pairs(bytes, counts, |[a, low, b]| [a << 4 | low & 15, b << 4 | low >> 4]),
            Self::Mono12p => pairs(bytes, counts, |[a, middle, b]| [a | (middle & 15) << 8, middle >> 4 | b << 4]),
            Self::Mono10p => {
                for (counts, bytes) in counts.chunks_mut(4).zip(bytes.chunks(5)) {
                    let mut five = [0_u8; 8];
                    five[..bytes.len()].copy_from_slice(bytes);
                    let all = u64::from_le_bytes(five);
                    for (i, count) in counts.iter_mut().enumerate() {
                        *count = (all >> (10 * i) & 0x3FF) as u16;
                    }
                }
            }
        }
    }
}

/// Two pixels out of each three bytes. The last one of an odd number has two bytes.
fn pairs(bytes: &[u8], counts: &mut [u16], two: impl Fn([u16; 3]) -> [u16; 2]) {
    for (counts, bytes) in counts.chunks_mut(2).zip(bytes.chunks(3)) {
        let byte = |i: usize| bytes.get(i).copied().map_or(0, u16::from);
        let both = two([byte(0), byte(1), byte(2)]);
        counts.copy_from_slice(&both[..counts.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bits of a packed format, written one by one from the drawings in the standards. Returns byte and bit of each bit of a
    /// count.
    fn place(format: PixelFormat, pixel: usize, bit: usize) -> (usize, usize) {
        match format {
            // GigE Vision 1.2, 25.7 and 25.9. High bits lie in bytes 0 and 2, the low ones of both pixels in byte 1.
            PixelFormat::Mono10Packed if bit < 2 => (pixel / 2 * 3 + 1, pixel % 2 * 4 + bit),
            PixelFormat::Mono10Packed => (pixel / 2 * 3 + pixel % 2 * 2, bit - 2),
            PixelFormat::Mono12Packed if bit < 4 => (pixel / 2 * 3 + 1, pixel % 2 * 4 + bit),
            PixelFormat::Mono12Packed => (pixel / 2 * 3 + pixel % 2 * 2, bit - 4),
            // PFNC: one stream of bits, lowest first.
            PixelFormat::Mono10p => ((pixel * 10 + bit) / 8, (pixel * 10 + bit) % 8),
            PixelFormat::Mono12p => ((pixel * 12 + bit) / 8, (pixel * 12 + bit) % 8),
            PixelFormat::Mono8 => (pixel, bit),
            _ => (pixel * 2 + bit / 8, bit % 8),
        }
    }

    const ALL: [PixelFormat; 9] = [
        PixelFormat::Mono8,
        PixelFormat::Mono10,
        PixelFormat::Mono10Packed,
        PixelFormat::Mono10p,
        PixelFormat::Mono12,
        PixelFormat::Mono12Packed,
        PixelFormat::Mono12p,
        PixelFormat::Mono14,
        PixelFormat::Mono16,
    ];

    proptest! {
        #[test]
        fn every_bit_of_every_format_finds_its_place(raw in proptest::collection::vec(any::<u16>(), 1..40)) {
            for format in ALL {
                let counts: Vec<u16> = raw.iter().map(|count| count & (u32::from(u16::MAX) >> (16 - format.bits())) as u16).collect();
                let mut bytes = vec![0_u8; format.bytes(counts.len())];
                for (pixel, count) in counts.iter().enumerate() {
                    for bit in 0..format.bits() as usize {
                        let (byte, at) = place(format, pixel, bit);
                        bytes[byte] |= ((count >> bit & 1) as u8) << at;
                    }
                }
                let mut unpacked = vec![0_u16; counts.len()];
                format.unpack(&bytes, false, &mut unpacked);
                prop_assert_eq!(&unpacked, &counts, "{}", format.name());
            }
        }
    }

    #[test]
    fn high_bytes_come_first_where_the_camera_says_so() {
        let mut counts = [0_u16; 2];
        PixelFormat::Mono16.unpack(&[0xFF, 0x79, 0, 1], true, &mut counts);
        assert_eq!(counts, [0xFF79, 1]);
    }
}
