//! ENVI images: a text header beside a file of plain numbers.
//!
//! The format is described in ENVI's manual under "ENVI Header Files". Specim's Lumo recorder adds `fps`, `tint` (ms), `binning`,
//! `errors` and others, which are read and written here too. ENVI calls pixels across the line "samples".

mod header;
mod image;
mod parse;
mod text;

pub use header::Header;
pub use image::{Image, ImageError};

/// How one number is stored in the data file (`data type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 1: unsigned 8-bit.
    U8,
    /// 2: signed 16-bit.
    I16,
    /// 3: signed 32-bit.
    I32,
    /// 4: 32-bit floating point.
    F32,
    /// 5: 64-bit floating point.
    F64,
    /// 12: unsigned 16-bit.
    U16,
    /// 13: unsigned 32-bit.
    U32,
}

impl DataType {
    /// Every type that is read.
    pub const ALL: [Self; 7] = [Self::U8, Self::I16, Self::I32, Self::F32, Self::F64, Self::U16, Self::U32];

    /// The number that stands for it in a header.
    pub const fn code(self) -> u32 {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I32 => 3,
            Self::F32 => 4,
            Self::F64 => 5,
            Self::U16 => 12,
            Self::U32 => 13,
        }
    }

    /// Bytes of one number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// The order of the three axes in the data file (`interleave`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interleave {
    /// `[line][band][sample]`, as line-scan cameras give it.
    Bil,
    /// `[line][sample][band]`.
    Bip,
    /// `[band][line][sample]`.
    Bsq,
}

impl Interleave {
    /// The word that stands for it in a header.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bil => "bil",
            Self::Bip => "bip",
            Self::Bsq => "bsq",
        }
    }
}

/// The order of the bytes of one number (`byte order`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// 0: least significant byte first.
    Little,
    /// 1: most significant byte first.
    Big,
}

/// Something in a header that was read in spite of a doubt.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Warning {
    /// There is no `byte order`.
    #[error("the header lacks `byte order`; taken as 0 (little endian)")]
    NoByteOrder,
    /// There is no `wavelength units`, or it says that they are unknown.
    #[error("the header does not say `wavelength units`; taken as {taken}, as the largest wavelength is {largest}")]
    UnitsGuessed {
        /// `nm` or `um`.
        taken: &'static str,
        /// The largest number in `wavelength` (in `fwhm` where there are no wavelengths).
        largest: f64,
    },
    /// A key comes more than once.
    #[error("line {line}: `{key}` comes again; the last one counts")]
    Repeated {
        /// The key.
        key: String,
        /// Where it comes again, from 1.
        line: usize,
    },
    /// A line is no `key = value`.
    #[error("line {line} is no `key = value`; passed over")]
    NotAKey {
        /// Which line, from 1.
        line: usize,
    },
    /// A value that is not needed could not be understood; it is kept as text.
    #[error("line {line}: `{key} = {value}` is not {expected}; kept as text only")]
    NotUnderstood {
        /// The key.
        key: &'static str,
        /// Its line, from 1.
        line: usize,
        /// What it says.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Wavelengths do not increase with the band.
    #[error("wavelengths do not increase: band {band} (from 1) lies at {wavelength_nm} nm, the one before it at {before_nm} nm")]
    NotIncreasing {
        /// The first band that does not lie above the one before it, from 1.
        band: usize,
        /// Its wavelength, nm.
        wavelength_nm: f64,
        /// The wavelength of the band before, nm.
        before_nm: f64,
    },
}

/// Why a header cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// The first line is not `ENVI`.
    #[error("the first line of an ENVI header is `ENVI`, here it is `{found}`; is this the header?")]
    NotEnvi {
        /// The first line (its first 40 characters).
        found: String,
    },
    /// A key that is needed is not there.
    #[error("the header lacks `{key}`; add it")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value cannot be understood.
    #[error("line {line}: `{key} = {value}` is not {expected}; correct it")]
    Value {
        /// The key.
        key: &'static str,
        /// Its line, from 1.
        line: usize,
        /// What it says (its first 40 characters).
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A list is not as long as there are bands.
    #[error("`{key}` has {found} values for {bands} bands; correct `bands` or the list")]
    Count {
        /// The key.
        key: &'static str,
        /// How many bands there are.
        bands: usize,
        /// How many values there are.
        found: usize,
    },
    /// A brace is never closed.
    #[error("line {line}: the brace of `{key}` is never closed; the header is cut off")]
    Unclosed {
        /// The key.
        key: String,
        /// Its line, from 1.
        line: usize,
    },
}
