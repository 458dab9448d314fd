//! The meaning of an image's numbers: which mean nothing, and how a number becomes a quantity.

use super::encoding::DataType;
use super::error::Warning;
use super::header::Header;
use contract::PixelFormat;
use std::sync::Arc;

/// Gains whose product with the scale factor lies this close to one say the same as the factor.
const SAME: f64 = 1e-6;
/// Whole numbers below this are not rounded to 32-bit floating point.
const EXACT: f64 = 16_777_216.0;

/// How the numbers of an image are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Storage of a value that was read.
    pub format: PixelFormat,
    /// The number that means no value. It becomes NaN, and so needs [`PixelFormat::F32`].
    pub ignore: Option<f64>,
    /// `value = gain * number + offset` of each band, as `(gain, offset)`.
    pub linear: Option<Arc<[(f64, f64)]>>,
}

/// How an image of reflectance is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reflectance {
    /// How its numbers are read.
    pub reading: Reading,
    /// The value that was read for a reflectance of one.
    pub scale: f64,
    /// The value that was read for no data, where one value alone means that.
    pub ignore: Option<f64>,
    /// A doubt about the scale.
    pub doubt: Option<Warning>,
}

impl Reading {
    /// The numbers as they stand in the file. Unsigned 8- and 16-bit numbers stay whole, all others become 32-bit floating point.
    pub fn stored(header: &Header) -> Self {
        Self { format: format(header.data_type), ignore: None, linear: None }
    }

    /// Counts in the units of the file. A gain leaves them as they are: reflectance is a ratio of differences, and the
    /// level of saturation belongs to the counts.
    pub fn counts(header: &Header) -> Self {
        Self { ignore: header.data_ignore, ..Self::stored(header) }.in_fitting_format(header.data_type)
    }

    /// The numbers of a reference in the counts of its tray. Both headers may have gains of their own.
    pub fn reference(reference: &Header, tray: &Header, tray_format: PixelFormat) -> Self {
        let (ours, theirs) = (reference.linear(), tray.linear());
        let linear = if ours == theirs {
            None
        } else {
            let steps = (0..tray.bands).map(|band| {
                let at = |linear: &Option<Vec<(f64, f64)>>| linear.as_ref().map_or((1.0, 0.0), |linear| linear[band]);
                let ((gain, offset), (tray_gain, tray_offset)) = (at(&ours), at(&theirs));
                (gain / tray_gain, (offset - tray_offset) / tray_gain)
            });
            Some(steps.collect())
        };
        let reading = Self { linear, ..Self::counts(reference) }.in_fitting_format(reference.data_type);
        // A pool has one format. The numbers of the tray may need the wider one.
        if tray_format == PixelFormat::F32 { Self { format: PixelFormat::F32, ..reading } } else { reading }
    }

    /// Reflectance: by the gains for reflectance where there are some, else by the other gains and then the scale factor.
    pub fn reflectance(header: &Header) -> Reflectance {
        let scale = header.reflectance_scale.unwrap_or(1.0);
        let own = pairs(header.reflectance_gain.as_deref(), header.reflectance_offset.as_deref());
        let undone = |linear: &[(f64, f64)]| linear.iter().all(|(gain, offset)| (gain * scale - 1.0).abs() < SAME && *offset == 0.0);
        let (linear, scale, doubt) = match (own, header.linear()) {
            (Some(own), _) => (Some(own), 1.0, None),
            (None, Some(linear)) if scale != 1.0 && undone(&linear) => (None, scale, Some(Warning::ScaledTwice)),
            (None, linear) => (linear, scale, None),
        };
        let ignore = header.data_ignore.filter(|ignore| !ignore.is_nan());
        let plain = Self { linear: linear.map(Arc::from), ..Self::stored(header) };
        if plain.linear.is_none() && plain.format == PixelFormat::U16 {
            return Reflectance { reading: plain, scale, ignore, doubt };
        }
        let whole = |ignore: &f64| ignore.abs() < EXACT;
        let stated = match header.data_type {
            _ if plain.linear.is_some() => None,
            #[expect(clippy::cast_possible_truncation, reason = "the file has the number in this type")]
            DataType::F32 => ignore.map(|ignore| f64::from(ignore as f32)),
            DataType::F64 => None,
            _ => ignore.filter(whole),
        };
        Reflectance { reading: Self { ignore, ..plain }.in_fitting_format(header.data_type), scale, ignore: stated, doubt }
    }

    /// The same reading with a format that can hold its values. A number to ignore that the file cannot hold is dropped.
    fn in_fitting_format(mut self, stored: DataType) -> Self {
        let largest = match stored {
            DataType::U8 => Some(f64::from(u8::MAX)),
            DataType::U16 => Some(f64::from(u16::MAX)),
            _ => None,
        };
        if let (Some(largest), Some(ignore)) = (largest, self.ignore) {
            self.ignore = Some(ignore).filter(|ignore| ignore.fract() == 0.0 && (0.0..=largest).contains(ignore));
        }
        self.ignore = self.ignore.filter(|ignore| !ignore.is_nan());
        if self.ignore.is_some() || self.linear.is_some() {
            self.format = PixelFormat::F32;
        }
        self
    }
}

/// The format that holds the numbers of a file as they are.
pub(super) fn format(stored: DataType) -> PixelFormat {
    match stored {
        DataType::U8 | DataType::U16 => PixelFormat::U16,
        _ => PixelFormat::F32,
    }
}

fn pairs(gain: Option<&[f64]>, offset: Option<&[f64]>) -> Option<Vec<(f64, f64)>> {
    let bands = gain.or(offset)?.len();
    let at = |list: Option<&[f64]>, band: usize, absent: f64| list.and_then(|list| list.get(band)).copied().unwrap_or(absent);
    Some((0..bands).map(|band| (at(gain, band, 1.0), at(offset, band, 0.0))).collect())
}

impl Header {
    /// Gain and offset of each band (`data gain values`, `data offset values`), where the header has one of them.
    fn linear(&self) -> Option<Vec<(f64, f64)>> {
        pairs(self.gain.as_deref(), self.offset.as_deref()).filter(|linear| linear.iter().any(|step| *step != (1.0, 0.0)))
    }
}

/// A number as it stands in a file.
pub(super) trait Stored: Copy {
    /// Whether this is the number `ignore` of the header. NaN equals nothing.
    fn is(self, ignore: f64) -> bool;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
}

macro_rules! whole {
    ($($stored:ty),+) => {$(
        impl Stored for $stored {
            fn is(self, ignore: f64) -> bool {
                f64::from(self) == ignore
            }
            #[allow(clippy::cast_precision_loss, clippy::cast_lossless, reason = "rounding is what the caller asks for")]
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
        }
    )+};
}
whole!(u8, i16, i32, u16, u32);

/// Magnitudes from here on are the largest one, as programs print it with few digits.
const LARGEST: f32 = 3.4028e38;

impl Stored for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "the file has the number in this type")]
    fn is(self, ignore: f64) -> bool {
        let ignore = ignore as Self;
        self == ignore || (self.abs() >= LARGEST && ignore.abs() >= LARGEST && self.signum() == ignore.signum())
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Stored for f64 {
    fn is(self, ignore: f64) -> bool {
        self == ignore
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what the caller asks for")]
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn to_f64(self) -> f64 {
        self
    }
}
