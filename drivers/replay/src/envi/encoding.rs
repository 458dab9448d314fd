//! Storage of an image's numbers in its data file.

/// Storage of one number in the data file (`data type`).
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

    /// Its code in a header.
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
    /// Its word in a header.
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
