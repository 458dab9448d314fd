//! The telemetry that Specim FX cameras put into the last row of an image.
//!
//! Each value takes four pixels, least significant byte first, in the low eight bits of each (FX10 manual).

pub(crate) use crate::config::STATUS_LINE_PIXELS as PIXELS;

const PREAMBLE: u32 = 0x66BB_00FF;

/// The values of a status line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusLine {
    /// Counters 0 to 3.
    pub counters: [u32; 4],
    /// Integration time, 24 bits, in the camera's own unit.
    pub integration: u32,
}

impl StatusLine {
    /// Reads a row. `None` where it does not begin as one.
    pub fn read(row: &[u16]) -> Option<Self> {
        let value = |offset: usize| {
            let four = row.get(offset..offset + 4)?;
            Some(four.iter().rev().fold(0_u32, |value, pixel| value << 8 | u32::from(pixel & 0xFF)))
        };
        if value(0)? != PREAMBLE {
            return None;
        }
        let mut counters = [0; 4];
        for (i, counter) in counters.iter_mut().enumerate() {
            *counter = value(4 + 4 * i)?;
        }
        Some(Self { counters, integration: value(36)? & 0x00FF_FFFF })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_the_manual_puts_them() {
        let mut row = vec![0xABCD_u16; 200];
        for (offset, bytes) in [
            (0, [0xFF, 0x00, 0xBB, 0x66]),
            (4, [1, 2, 0, 0]),
            (8, [7, 0, 0, 1]),
            (12, [0; 4]),
            (16, [9, 0, 0, 0]),
            (36, [0xD0, 7, 0, 0xEE]),
        ] {
            for (pixel, byte) in row[offset..offset + 4].iter_mut().zip(bytes) {
                // Only the low eight bits count.
                *pixel = 0x0F00 | byte;
            }
        }
        let line = StatusLine { counters: [0x0201, 0x0100_0007, 0, 9], integration: 2000 };
        assert_eq!(StatusLine::read(&row), Some(line));
        row[0] = 0;
        assert_eq!((StatusLine::read(&row), StatusLine::read(&row[..20])), (None, None));
    }
}
