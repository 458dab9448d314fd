//! Doubts and faults of a header.

/// A doubt about a header that was read all the same.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Warning {
    /// There is no `byte order`.
    #[error("the header lacks `byte order`; taken as 0 (little endian)")]
    NoByteOrder,
    /// The key `wavelength units` is absent or says `unknown`.
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
        /// Line of the repetition, from 1.
        line: usize,
    },
    /// A line is no `key = value`.
    #[error("line {line} is no `key = value`; passed over")]
    NotAKey {
        /// Line of the file, from 1.
        line: usize,
    },
    /// An optional value makes no sense. It is kept as text.
    #[error("line {line}: `{key} = {value}` is not {expected}; kept as text only")]
    NotUnderstood {
        /// The key.
        key: &'static str,
        /// Its line, from 1.
        line: usize,
        /// The value.
        value: String,
        /// The expected kind of value.
        expected: &'static str,
    },
    /// There are more doubts of these kinds.
    #[error("{count} more lines like these; is this the header?")]
    More {
        /// Number of the lines that are not told.
        count: usize,
    },
    /// The gain of each band undoes what the scale factor states.
    #[error("`data gain values` and `reflectance scale factor` say the same; the numbers are scaled once")]
    ScaledTwice,
    /// The text of a date is in no known format.
    #[error("`{key} = {value}` is no date that is understood; write `acquisition time = 2018-07-03T14:15:02Z`")]
    NoDate {
        /// The key.
        key: &'static str,
        /// The value (its first 40 characters).
        value: String,
    },
    /// The first dark line leaves no line of the tray, or lies behind the end.
    #[error("`autodarkstartline = {value}` is no line of the image ({lines} lines, from 0) behind the first; passed over")]
    NoDarkLine {
        /// The value (its first 40 characters).
        value: String,
        /// Lines of the image.
        lines: usize,
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

/// A fault that makes a header useless.
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
    /// A value makes no sense.
    #[error("line {line}: `{key} = {value}` is not {expected}; correct it")]
    Value {
        /// The key.
        key: &'static str,
        /// Its line, from 1.
        line: usize,
        /// The value (its first 40 characters).
        value: String,
        /// The expected kind of value.
        expected: &'static str,
    },
    /// The length of a list is not the number of bands.
    #[error("`{key}` has {found} values for {bands} bands; correct `bands` or the list")]
    Count {
        /// The key.
        key: &'static str,
        /// Number of bands.
        bands: usize,
        /// Number of values.
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
