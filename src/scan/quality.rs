//! The quality byte of a pixel.

/// Flags of a pixel's `quality` byte. Every file with such a byte also holds the names and bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality;

impl Quality {
    /// At least one band was saturated in a line that contributes to the pixel.
    pub const SATURATED: u8 = 1;
    /// At least one detector element under the pixel is bad. It was interpolated from its neighbours in the spectrum. Or a part of the lines
    /// under the pixel was lost, less than half of them, and the value is the mean of the others.
    pub const BAD_PIXEL: u8 = 2;
    /// Lines of at least one camera cover less than half of the pixel. Its bands are NaN.
    pub const GAP: u8 = 4;
    /// The signal-to-noise ratio is too low in some bands of a camera, see [`LowSignal`](crate::reference::LowSignal).
    pub const LOW_SIGNAL: u8 = 8;
    /// The pixel lies outside the field of view of at least one camera. Its bands are NaN.
    pub const OUT_OF_VIEW: u8 = 16;
    /// The recording itself says "no data" for the pixel.
    pub const NO_DATA: u8 = 32;
    /// The pixel lies on the rim of its container.
    pub const EDGE: u8 = 64;
    /// The pixel was seen, and at least one of its bands has no value: too many neighbouring elements are bad, or a number is not finite.
    /// These bands are NaN.
    pub const MISSING_BANDS: u8 = 128;

    /// Every flag and its name, in the order of the bits.
    pub const NAMES: [(u8, &'static str); 8] = [
        (Self::SATURATED, "saturated"),
        (Self::BAD_PIXEL, "bad_pixel"),
        (Self::GAP, "gap"),
        (Self::LOW_SIGNAL, "low_signal"),
        (Self::OUT_OF_VIEW, "out_of_view"),
        (Self::NO_DATA, "no_data"),
        (Self::EDGE, "edge"),
        (Self::MISSING_BANDS, "missing_bands"),
    ];

    /// Flags of pixels without a valid spectrum. Such a pixel is stored, but not encoded. A pixel with missing bands is valid for an encoder
    /// that reads none of them.
    pub const INVALID: u8 = Self::SATURATED | Self::GAP | Self::OUT_OF_VIEW | Self::NO_DATA;

    /// Whether a pixel with these flags has a valid spectrum.
    pub const fn valid(flags: u8) -> bool {
        flags & Self::INVALID == 0
    }
}
