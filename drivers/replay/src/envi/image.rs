//! The numbers of an image, line by line.

use super::encoding::{ByteOrder, DataType, Interleave};
use super::error::{HeaderError, Warning};
use super::files;
use super::header::Header;
use super::reading::{Reading, Stored};
use contract::{Layout, PixelFormat, Slot};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most bytes of a header. Those of cameras have some ten thousand.
const MOST_HEADER_BYTES: u64 = 32 << 20;

/// Side of the square that a transposition moves at a time. Both sides then stay in the nearest cache.
const BLOCK: usize = 32;

/// A fault of an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The header cannot be used.
    #[error("{}: {source}", path.display())]
    Header {
        /// The header.
        path: PathBuf,
        /// The fault of the header.
        source: HeaderError,
    },
    /// A file cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is no header beside a data file.
    #[error("{} has no header; looked for {}", data.display(), names(looked_for))]
    NoHeader {
        /// The data file.
        data: PathBuf,
        /// Every place of the search.
        looked_for: Vec<PathBuf>,
    },
    /// There is no data file beside a header.
    #[error("{} has no data file; looked for {}", header.display(), names(looked_for))]
    NoData {
        /// The header.
        header: PathBuf,
        /// Every place of the search.
        looked_for: Vec<PathBuf>,
    },
    /// Several files could be the header.
    #[error("{} could be described by {}; name the header itself, or move the others away", data.display(), names(found))]
    SeveralHeaders {
        /// The data file.
        data: PathBuf,
        /// The headers.
        found: Vec<PathBuf>,
    },
    /// Several files could be the data.
    #[error("{} could belong to {}; name the data file itself, or move the others away", header.display(), names(found))]
    SeveralData {
        /// The header.
        header: PathBuf,
        /// The files.
        found: Vec<PathBuf>,
    },
    /// The data file is shorter or longer than its header says.
    #[error(
        "{}: {found} bytes, but its header says {expected} ({shape}); the recording was cut off, or the header belongs to another file",
        path.display()
    )]
    Size {
        /// The data file.
        path: PathBuf,
        /// Bytes by the header.
        expected: u64,
        /// Bytes in the file.
        found: u64,
        /// The terms of the expected size.
        shape: String,
    },
    /// The image is larger than any file can be.
    #[error("{}: an image of {shape} is larger than a file can be; correct the header", path.display())]
    TooLarge {
        /// The data file.
        path: PathBuf,
        /// Its shape by the header.
        shape: String,
    },
    /// A line outside the image was asked for.
    #[error("{}: line {line} was asked for, the image has {lines}", path.display())]
    NoSuchLine {
        /// The data file.
        path: PathBuf,
        /// The line, from 0.
        line: usize,
        /// Number of lines in the image.
        lines: usize,
    },
    /// The buffer for a line has another size.
    #[error("{}: a line has {expected} elements, the buffer for it {found}", path.display())]
    Buffer {
        /// The data file.
        path: PathBuf,
        /// Elements of a line.
        expected: usize,
        /// Elements of the buffer.
        found: usize,
    },
    /// The numbers do not fit into unsigned 16 bits.
    #[error("{}: `data type` {} cannot be read as unsigned 16-bit; read it as 32-bit floating point", path.display(), data_type.code())]
    NotCounts {
        /// The data file.
        path: PathBuf,
        /// Storage of the numbers.
        data_type: DataType,
    },
}

fn names(paths: &[PathBuf]) -> String {
    const MOST: usize = 20;
    let list = paths.iter().take(MOST).map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if paths.len() > MOST { format!("{list} and {} more", paths.len() - MOST) } else { list }
}

/// An open image, with any line at any time. A clone reads the same file with its own buffer.
#[derive(Debug, Clone)]
pub struct Image {
    header: Arc<Header>,
    header_path: PathBuf,
    data_path: PathBuf,
    file: Arc<File>,
    reading: Reading,
    scratch: Vec<u8>,
}

impl Image {
    /// Opens an image by its header or by its data file. Returns the doubts about the header too.
    ///
    /// Beside `NAME.hdr` the data is `NAME` with one of [`DATA_ENDINGS`](super::DATA_ENDINGS), or without an ending. The header of a
    /// data file `NAME.raw` is `NAME.raw.hdr` or `NAME.hdr`. Upper and lower case count alike, as far as one file is meant.
    ///
    /// # Errors
    /// [`ImageError`] for a missing file, an unusable header, or a data file whose size differs from the header's.
    pub fn open(path: &Path) -> Result<(Self, Vec<Warning>), ImageError> {
        let is_header = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("hdr"));
        let header_path = if is_header { path.to_owned() } else { files::header_of(path)? };
        let (header, warnings) = read_header(&header_path)?;
        let data_path = if is_header { files::data_of(path, &header)? } else { path.to_owned() };
        Ok((Self::with_header(header, header_path, data_path)?, warnings))
    }

    /// Opens a data file with a header that exists already.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn with_header(header: Header, header_path: PathBuf, data_path: PathBuf) -> Result<Self, ImageError> {
        let io = |source| ImageError::Io { path: data_path.clone(), source };
        let file = contract::open_regular(&data_path).map_err(io)?;
        let found = file.metadata().map_err(io)?.len();
        let shape = format!(
            "{} + {} samples x {} lines x {} bands x {} bytes",
            header.header_offset,
            header.samples,
            header.lines,
            header.bands,
            header.data_type.bytes()
        );
        match header.data_bytes() {
            None => Err(ImageError::TooLarge { path: data_path, shape }),
            Some(expected) if expected != found => Err(ImageError::Size { path: data_path, expected, found, shape }),
            Some(_) => {
                let reading = Reading::stored(&header);
                Ok(Self { header: Arc::new(header), header_path, data_path, file: Arc::new(file), reading, scratch: Vec::new() })
            }
        }
    }

    /// The same image, read in another way.
    pub fn read_as(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Path of the header.
    pub fn header_path(&self) -> &Path {
        &self.header_path
    }

    /// Path of the data file.
    pub fn data_path(&self) -> &Path {
        &self.data_path
    }

    /// The shape of one line as it is read. Unless [`Image::read_as`] says otherwise, unsigned 8- and 16-bit numbers become
    /// [`PixelFormat::U16`], all others [`PixelFormat::F32`]. 32- and 64-bit numbers are rounded to it.
    pub fn layout(&self) -> Layout {
        Layout { pixels: self.header.samples, bands: self.header.bands, format: self.reading.format }
    }

    /// Reads line `line` (from 0) into a slot, in its format, `[band][pixel]`.
    ///
    /// # Errors
    /// As [`Image::read_line_u16`] and [`Image::read_line_f32`].
    pub fn read_slot(&mut self, line: usize, slot: &mut Slot) -> Result<(), ImageError> {
        match slot.layout().format {
            PixelFormat::U16 => self.read_line_u16(line, slot.as_u16_mut().unwrap_or(&mut [])),
            PixelFormat::F32 => self.read_line_f32(line, slot.as_f32_mut().unwrap_or(&mut [])),
        }
    }

    /// Reads line `line` (from 0) of an image of unsigned 8- or 16-bit numbers, `[band][pixel]`.
    ///
    /// # Errors
    /// [`ImageError`] for a line outside the image, a buffer of another size, or another data type. [`ImageError::Io`] from the
    /// system.
    pub fn read_line_u16(&mut self, line: usize, out: &mut [u16]) -> Result<(), ImageError> {
        self.check(line, out.len())?;
        match self.header.data_type {
            DataType::U16 if self.header.interleave != Interleave::Bip => {
                self.read_stored(line, bytemuck::cast_slice_mut(out))?;
                if self.header.byte_order != native() {
                    out.iter_mut().for_each(|value| *value = value.swap_bytes());
                }
                Ok(())
            }
            DataType::U8 | DataType::U16 => self.decode(line, |stored, header| match (header.data_type, header.byte_order) {
                (DataType::U8, _) => arrange(stored, out, header, |_, bytes: [u8; 1]| u16::from(bytes[0])),
                (_, ByteOrder::Little) => arrange(stored, out, header, |_, bytes| u16::from_le_bytes(bytes)),
                (_, ByteOrder::Big) => arrange(stored, out, header, |_, bytes| u16::from_be_bytes(bytes)),
            }),
            data_type => Err(ImageError::NotCounts { path: self.data_path.clone(), data_type }),
        }
    }

    /// Reads line `line` (from 0) of an image of any type, `[band][pixel]`. Integers beyond 2^24 and 64-bit numbers are rounded.
    ///
    /// # Errors
    /// [`ImageError`] for a line outside the image or a buffer of another size. [`ImageError::Io`] from the system.
    pub fn read_line_f32(&mut self, line: usize, out: &mut [f32]) -> Result<(), ImageError> {
        self.check(line, out.len())?;
        let plain = self.reading.ignore.is_none() && self.reading.linear.is_none();
        if plain && self.header.data_type == DataType::F32 && self.header.interleave != Interleave::Bip {
            self.read_stored(line, bytemuck::cast_slice_mut(out))?;
            if self.header.byte_order != native() {
                out.iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits().swap_bytes()));
            }
            return Ok(());
        }
        let (ignore, linear) = (self.reading.ignore.unwrap_or(f64::NAN), self.reading.linear.clone());
        self.decode(line, |stored, header| {
            macro_rules! from {
                ($stored:ty) => {{
                    let value = |band, number| value(band, number, ignore, linear.as_deref());
                    match header.byte_order {
                        ByteOrder::Little => arrange(stored, out, header, |band, bytes| value(band, <$stored>::from_le_bytes(bytes))),
                        ByteOrder::Big => arrange(stored, out, header, |band, bytes| value(band, <$stored>::from_be_bytes(bytes))),
                    }
                }};
            }
            match header.data_type {
                DataType::U8 => from!(u8),
                DataType::I16 => from!(i16),
                DataType::I32 => from!(i32),
                DataType::F32 => from!(f32),
                DataType::F64 => from!(f64),
                DataType::U16 => from!(u16),
                DataType::U32 => from!(u32),
            }
        })
    }

    fn check(&self, line: usize, found: usize) -> Result<(), ImageError> {
        let (lines, expected) = (self.header.lines, self.layout().elements());
        if line >= lines {
            return Err(ImageError::NoSuchLine { path: self.data_path.clone(), line, lines });
        }
        if found != expected {
            return Err(ImageError::Buffer { path: self.data_path.clone(), expected, found });
        }
        Ok(())
    }

    /// Reads the bytes of a line as they are stored, the rows of a BSQ image one after the other.
    fn read_stored(&self, line: usize, bytes: &mut [u8]) -> Result<(), ImageError> {
        let header = &*self.header;
        let row = header.samples * header.data_type.bytes();
        // None of these overflow. The size of the whole file was found to fit when it was opened.
        let place = |row_index: usize| header.header_offset + row_index as u64 * row as u64;
        let read = match header.interleave {
            Interleave::Bil | Interleave::Bip => self.file.read_exact_at(bytes, place(line * header.bands)),
            Interleave::Bsq => bytes
                .chunks_exact_mut(row)
                .enumerate()
                .try_for_each(|(band, row)| self.file.read_exact_at(row, place(band * header.lines + line))),
        };
        read.map_err(|source| ImageError::Io { path: self.data_path.clone(), source })
    }

    /// Reads a line into its buffer, and passes it to `fill`.
    fn decode(&mut self, line: usize, fill: impl FnOnce(&[u8], &Header)) -> Result<(), ImageError> {
        let mut stored = std::mem::take(&mut self.scratch);
        stored.resize(self.header.samples * self.header.bands * self.header.data_type.bytes(), 0);
        let result = self.read_stored(line, &mut stored);
        if result.is_ok() {
            fill(&stored, &self.header);
        }
        self.scratch = stored;
        result
    }
}

const fn native() -> ByteOrder {
    if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little }
}

/// The value of a number in the file.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding is what the caller asks for")]
fn value<T: Stored>(band: usize, number: T, ignore: f64, linear: Option<&[(f64, f64)]>) -> f32 {
    if number.is(ignore) {
        return f32::NAN;
    }
    linear.map_or_else(|| number.to_f32(), |linear| (number.to_f64() * linear[band].0 + linear[band].1) as f32)
}

/// Turns stored bytes into numbers `[band][pixel]`. `read` gets the band too.
fn arrange<const N: usize, T>(stored: &[u8], out: &mut [T], header: &Header, read: impl Fn(usize, [u8; N]) -> T) {
    let (stored, _) = stored.as_chunks::<N>();
    let (pixels, bands) = (header.samples, header.bands);
    if header.interleave != Interleave::Bip {
        for (band, (out, stored)) in out.chunks_exact_mut(pixels).zip(stored.chunks_exact(pixels)).enumerate() {
            out.iter_mut().zip(stored).for_each(|(out, bytes)| *out = read(band, *bytes));
        }
        return;
    }
    for first_pixel in (0..pixels).step_by(BLOCK) {
        let block = first_pixel..(first_pixel + BLOCK).min(pixels);
        for first_band in (0..bands).step_by(BLOCK) {
            for band in first_band..(first_band + BLOCK).min(bands) {
                for pixel in block.clone() {
                    out[band * pixels + pixel] = read(band, stored[pixel * bands + band]);
                }
            }
        }
    }
}

/// Reads a header file. Recorders write names in the encoding of their machine. A text that is not UTF-8 counts as Latin-1.
pub(super) fn read_header(path: &Path) -> Result<(Header, Vec<Warning>), ImageError> {
    let bytes = contract::read_regular(path, MOST_HEADER_BYTES).map_err(|source| ImageError::Io { path: path.to_owned(), source })?;
    let text = String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().iter().map(|byte| char::from(*byte)).collect());
    Header::parse(&text).map_err(|source| ImageError::Header { path: path.to_owned(), source })
}
