//! The messages of the tap: `u8 kind` and a body, little-endian. On the tap, each comes behind its `u32` length.

use axum::body::Bytes;

/// Most bytes of a message.
const MOST_BYTES: usize = 16 << 20;

/// Kinds of messages: those of the tap, and those of the console itself.
pub mod kind {
    pub use hyclus::live::kind::*;

    /// Who holds the lease.
    pub const LEASE: u8 = 16;
    /// Whether the daemon answers.
    pub const LINK: u8 = 17;
    /// All alarms.
    pub const ALARMS: u8 = 18;
    /// A refusal.
    pub const PROBLEM: u8 = 19;
}

/// A message of JSON.
pub fn json(kind: u8, value: &impl serde::Serialize) -> Bytes {
    let mut message = vec![kind];
    // Values of ours always have a form in JSON.
    if serde_json::to_writer(&mut message, value).is_err() {
        message.truncate(1);
        message.extend_from_slice(b"null");
    }
    message.into()
}

/// Splits the stream of the tap into messages.
#[derive(Default)]
pub struct Splitter {
    bytes: Vec<u8>,
    read: usize,
}

impl Splitter {
    /// Takes bytes in any portions.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// A length that no message has.
    pub fn next(&mut self) -> Result<Option<Bytes>, String> {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 || length > MOST_BYTES {
            return Err(format!("a message of {length} bytes"));
        }
        let Some(message) = rest.get(..length) else { return Ok(None) };
        self.read += 4 + length;
        Ok(Some(Bytes::copy_from_slice(message)))
    }
}

/// Bytes of a picture's row before its numbers of bands: the kind, four numbers of one byte, pixels, stride, index and place.
const HEAD: usize = 1 + 4 + 4 + 4 + 8 + 8;

/// A row of a picture, with its head read.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'m> {
    /// Index of the source in the scan.
    pub source: usize,
    /// Index of the row. A row of the grid may have a negative one.
    pub index: i64,
    pixels: usize,
    /// Bytes of a value.
    width: usize,
    bands: usize,
    message: &'m Bytes,
}

impl<'m> Picture<'m> {
    /// Reads the head of a message. `None` where it is no row of a picture, or not whole.
    pub fn read(message: &'m Bytes) -> Option<Self> {
        let head = message.get(..HEAD)?;
        if head[0] != kind::PICTURE {
            return None;
        }
        let width = match head[2] {
            0 => 1,
            1 => 2,
            _ => return None,
        };
        let pixels = usize::try_from(u32::from_le_bytes(head[5..9].try_into().ok()?)).ok()?;
        let index = i64::from_le_bytes(head[13..21].try_into().ok()?);
        let bands = usize::from(head[3]);
        let whole = bands.checked_mul(pixels)?.checked_mul(width)?.checked_add(HEAD + 2 * bands)?;
        (message.len() == whole).then_some(Self { source: usize::from(head[1]), index, pixels, width, bands, message })
    }

    fn band(&self, i: usize) -> u16 {
        let at = HEAD + 2 * i;
        self.message.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
    }

    /// The row with these bands in this order. `None` where it has none of them.
    pub fn only(&self, wanted: &[u16]) -> Option<Bytes> {
        let kept: Vec<usize> = wanted.iter().filter_map(|band| (0..self.bands).find(|i| self.band(*i) == *band)).collect();
        if kept.is_empty() {
            return None;
        }
        if kept.iter().copied().eq(0..self.bands) {
            return Some(self.message.clone());
        }
        let size = self.pixels * self.width;
        let values = HEAD + 2 * self.bands;
        let mut row = Vec::with_capacity(HEAD + kept.len() * (2 + size));
        row.extend_from_slice(self.message.get(..HEAD)?);
        row[3] = u8::try_from(kept.len()).ok()?;
        for i in &kept {
            row.extend_from_slice(&self.band(*i).to_le_bytes());
        }
        for i in &kept {
            row.extend_from_slice(self.message.get(values + i * size..values + (i + 1) * size)?);
        }
        Some(row.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row as the tap sends it.
    fn row(source: u8, encoding: u8, pixels: u32, bands: &[u16]) -> Bytes {
        let mut message = vec![kind::PICTURE, source, encoding, u8::try_from(bands.len()).unwrap(), 0];
        message.extend(pixels.to_le_bytes());
        message.extend(1_u32.to_le_bytes());
        message.extend((-3_i64).to_le_bytes());
        message.extend(1.5_f64.to_le_bytes());
        bands.iter().for_each(|band| message.extend(band.to_le_bytes()));
        for band in bands {
            let value = u8::try_from(*band).unwrap();
            message.extend(std::iter::repeat_n(value, pixels as usize * (usize::from(encoding) + 1)));
        }
        message.into()
    }

    #[test]
    fn messages_come_whole_whatever_the_portions() {
        let mut stream = Vec::new();
        let messages = [vec![1, 2, 3], vec![9], vec![7; 1000]];
        for message in &messages {
            stream.extend(u32::try_from(message.len()).unwrap().to_le_bytes());
            stream.extend(message);
        }
        for size in [1, 2, 3, 7, 4096] {
            let mut splitter = Splitter::default();
            let mut found = Vec::new();
            for portion in stream.chunks(size) {
                splitter.feed(portion);
                while let Some(message) = splitter.next().unwrap() {
                    found.push(message.to_vec());
                }
            }
            assert_eq!(found, messages, "{size}");
        }
        for wrong in [0_u32, u32::MAX, (16 << 20) + 1] {
            let mut splitter = Splitter::default();
            splitter.feed(&wrong.to_le_bytes());
            assert!(splitter.next().is_err());
        }
    }

    #[test]
    fn a_row_is_cut_down_to_the_bands_of_a_viewer() {
        for encoding in [0, 1] {
            let message = row(1, encoding, 5, &[10, 20, 30]);
            let picture = Picture::read(&message).unwrap();
            assert_eq!((picture.source, picture.index), (1, -3));
            assert_eq!(picture.only(&[10, 7, 20, 30]).unwrap(), message);
            assert_eq!(picture.only(&[30, 7, 10]).unwrap(), row(1, encoding, 5, &[30, 10]));
            assert_eq!(picture.only(&[30, 20, 10]).unwrap(), row(1, encoding, 5, &[30, 20, 10]));
            assert_eq!(picture.only(&[7]), None);
        }
    }

    #[test]
    fn a_row_that_is_not_whole_is_none() {
        let message = row(0, 1, 5, &[10, 20]);
        for cut in 0..message.len() {
            assert!(Picture::read(&message.slice(..cut)).is_none(), "{cut}");
        }
        let mut vast = message.to_vec();
        vast[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
        vast[3] = 255;
        assert!(Picture::read(&vast.into()).is_none());
    }
}
