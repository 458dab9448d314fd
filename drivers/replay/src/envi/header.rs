//! The contents of a header, and its writing.

use super::encoding::{ByteOrder, DataType, Interleave};
use super::text::{bare, braced, kept, normal_key};
use std::fmt::Display;
use std::io::{self, Write};

/// An ENVI header. Wavelengths are in nm, in any unit of the file. Keys without a field here are kept in `other`.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Pixels across the line (`samples`).
    pub samples: usize,
    /// Lines.
    pub lines: usize,
    /// Spectral bands.
    pub bands: usize,
    /// Bytes before the first number (`header offset`, 0 where absent).
    pub header_offset: u64,
    /// Storage of one number (`data type`).
    pub data_type: DataType,
    /// Order of the axes.
    pub interleave: Interleave,
    /// Order of the bytes.
    pub byte_order: ByteOrder,
    /// `file type`, usually `ENVI` or `ENVI Standard`.
    pub file_type: String,
    /// `description`.
    pub description: Option<String>,
    /// `sensor type`: maker and model of the camera.
    pub sensor_type: Option<String>,
    /// Band centres, nm, one for each band.
    pub wavelengths_nm: Option<Vec<f64>>,
    /// Full width at half maximum, nm, one for each band.
    pub fwhm_nm: Option<Vec<f64>>,
    /// Frames per second.
    pub fps: Option<f64>,
    /// Exposure time, ms (`tint`). See [`Header::exposure_ms`] for recorders that write `tint1`.
    pub tint_ms: Option<f64>,
    /// `binning` in the order of the file: spectral, spatial. A FENIX recorded with `{4, 2}` has 696 / 4 bands of its VNIR
    /// detector and 768 / 2 samples.
    pub binning: Option<(u32, u32)>,
    /// The number for a reflectance of one (`reflectance scale factor`).
    pub reflectance_scale: Option<f64>,
    /// Factor of each band from the number in the file to its quantity (`data gain values`).
    pub gain: Option<Vec<f64>>,
    /// The quantity of each band for a number of zero (`data offset values`).
    pub offset: Option<Vec<f64>>,
    /// Factor of each band from the number in the file to reflectance (`data reflectance gain values`).
    pub reflectance_gain: Option<Vec<f64>>,
    /// Reflectance of each band for a number of zero (`data reflectance offset values`).
    pub reflectance_offset: Option<Vec<f64>>,
    /// The number for no data (`data ignore value`).
    pub data_ignore: Option<f64>,
    /// Whether a band is good (`bbl`), one for each band.
    pub good_bands: Option<Vec<bool>>,
    /// The recorder's errors (`errors`). `None` where the file says `none`, nothing, or lacks the key.
    pub errors: Option<String>,
    /// Bands to show as red, green and blue, or one as grey, counted from 1 (`default bands`).
    pub default_bands: Option<Vec<u32>>,
    /// Every other key (lower case) with its value, in the order of the file. A value keeps its braces.
    pub other: Vec<(String, String)>,
}

impl Header {
    /// The header of an image of this shape, little endian, without any optional key.
    pub fn new(samples: usize, lines: usize, bands: usize, data_type: DataType, interleave: Interleave) -> Self {
        Self {
            samples,
            lines,
            bands,
            header_offset: 0,
            data_type,
            interleave,
            byte_order: ByteOrder::Little,
            file_type: "ENVI".to_owned(),
            description: None,
            sensor_type: None,
            wavelengths_nm: None,
            fwhm_nm: None,
            fps: None,
            tint_ms: None,
            binning: None,
            reflectance_scale: None,
            gain: None,
            offset: None,
            reflectance_gain: None,
            reflectance_offset: None,
            data_ignore: None,
            good_bands: None,
            errors: None,
            default_bands: None,
            other: Vec::new(),
        }
    }

    /// The value of a key without a field here, as it stood in the file.
    pub fn get(&self, key: &str) -> Option<&str> {
        let key = normal_key(key);
        self.other.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// Exposure time, ms: `tint`, or the `tint1` of cameras with two detectors.
    pub fn exposure_ms(&self) -> Option<f64> {
        self.tint_ms.or_else(|| self.get("tint1")?.parse().ok().filter(|ms: &f64| ms.is_finite() && *ms > 0.0))
    }

    /// Bytes that the data file must hold. `None` for more than a file can hold.
    pub fn data_bytes(&self) -> Option<u64> {
        let count = |n: usize| u64::try_from(n).ok();
        // A line comes first. It must fit even where there are no lines.
        count(self.samples)?
            .checked_mul(count(self.bands)?)?
            .checked_mul(count(self.data_type.bytes())?)?
            .checked_mul(count(self.lines)?)?
            .checked_add(self.header_offset)
    }

    /// Writes the header with lower-case keys, wavelengths in nm, and every known key. Reading it again gives the same header.
    /// One exception is a text whose lines cannot stand in a header. It goes on one line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "ENVI")?;
        if let Some(description) = &self.description {
            writeln!(out, "description = {}", braced(description))?;
        }
        writeln!(out, "file type = {}", bare(&self.file_type))?;
        if let Some(sensor) = &self.sensor_type {
            writeln!(out, "sensor type = {}", bare(sensor))?;
        }
        writeln!(out, "samples = {}\nlines = {}\nbands = {}", self.samples, self.lines, self.bands)?;
        writeln!(out, "errors = {}", braced(self.errors.as_deref().unwrap_or("none")))?;
        writeln!(out, "interleave = {}\ndata type = {}", self.interleave.word(), self.data_type.code())?;
        writeln!(out, "header offset = {}", self.header_offset)?;
        writeln!(out, "byte order = {}", if self.byte_order == ByteOrder::Big { 1 } else { 0 })?;
        if let Some(bands) = &self.default_bands {
            write!(out, "default bands = ")?;
            list(out, bands, ", ", "")?;
        }
        number(out, "fps", self.fps)?;
        number(out, "tint", self.tint_ms)?;
        if let Some((spectral, spatial)) = self.binning {
            writeln!(out, "binning = {{{spectral}, {spatial}}}")?;
        }
        number(out, "reflectance scale factor", self.reflectance_scale)?;
        number(out, "data ignore value", self.data_ignore)?;
        for (key, values) in [
            ("data gain values", &self.gain),
            ("data offset values", &self.offset),
            ("data reflectance gain values", &self.reflectance_gain),
            ("data reflectance offset values", &self.reflectance_offset),
        ] {
            if let Some(values) = values {
                write!(out, "{key} = ")?;
                list(out, values, ", ", "")?;
            }
        }
        for (key, value) in &self.other {
            writeln!(out, "{} = {}", normal_key(key), kept(value))?;
        }
        if let Some(good) = &self.good_bands {
            write!(out, "bbl = ")?;
            list(out, good.iter().map(|good| u8::from(*good)), ", ", "")?;
        }
        if self.wavelengths_nm.is_some() || self.fwhm_nm.is_some() {
            writeln!(out, "wavelength units = nm")?;
        }
        if let Some(wavelengths) = &self.wavelengths_nm {
            write!(out, "wavelength = ")?;
            list(out, wavelengths, ",\n", "\n")?;
        }
        if let Some(widths) = &self.fwhm_nm {
            write!(out, "fwhm = ")?;
            list(out, widths, ",\n", "\n")?;
        }
        Ok(())
    }
}

fn number(out: &mut impl Write, key: &str, value: Option<f64>) -> io::Result<()> {
    value.map_or(Ok(()), |value| writeln!(out, "{key} = {value}"))
}

fn list<T: Display>(out: &mut impl Write, values: impl IntoIterator<Item = T>, between: &str, around: &str) -> io::Result<()> {
    write!(out, "{{{around}")?;
    for (index, value) in values.into_iter().enumerate() {
        write!(out, "{}{value}", if index == 0 { "" } else { between })?;
    }
    writeln!(out, "{around}}}")
}
