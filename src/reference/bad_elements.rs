//! Elements of a detector that are not used, and why.

use super::mending::Mending;
use super::referenced::{HOT_DARK, MendBands, Reference, median, same_settings};
use crate::scan::BadElements;
use contract::{Layout, PixelFormat};

/// Why an element is unused: the flags of the bad-pixel map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadElement;

impl BadElement {
    /// The element hardly responds to the panel.
    pub const DEAD: u8 = 1;
    /// The element's dark level is far above its band's.
    pub const HOT: u8 = 2;
    /// The element's dark level varies from frame to frame far more than its band's.
    pub const NOISY: u8 = 4;
    /// The element was saturated in at least one frame of a reference, so its mean is too low.
    pub const CLIPPED: u8 = 8;
    /// A reference or the panel's spectrum has no finite value for the element.
    pub const NOT_FINITE: u8 = 16;

    /// The element's dark level jumps: in few frames of a reference, or from one dark reference to another.
    pub const RESTLESS: u8 = 32;

    /// Every flag and its name, in the order of the bits.
    pub const NAMES: [(u8, &'static str); 6] = [
        (Self::DEAD, "dead"),
        (Self::HOT, "hot"),
        (Self::NOISY, "noisy"),
        (Self::CLIPPED, "clipped"),
        (Self::NOT_FINITE, "not_finite"),
        (Self::RESTLESS, "restless"),
    ];
}

/// An element is dead when its response to the panel is under this share of its band's median.
const DEAD_RESPONSE: f32 = 0.1;
/// An element is dead when its response is at most this many times the noise of one line. Its reflectance would be noise.
const DEAD_SIGMAS: f32 = 3.0;
/// An element is noisy when its dark level scatters this many times as much as its band's.
const NOISY_DARK: f32 = 6.0;
/// An element is restless when its peak in the dark lies this many times its band's noise above its mean ...
const PEAK_SIGMAS: f32 = 8.0;
/// ... and this many times its own: few frames hold the jump. Many of them make it noisy.
const PEAK_OWN_SIGMAS: f32 = 4.0;
/// An element is restless when its dark level moved against its band, from one dark reference to another, by this many times the noise of
/// a line.
const MOVED_SIGMAS: f32 = 3.0;
/// Least number of frames for a judgement of scatter.
const NOISY_FRAMES: u32 = 8;
/// Least typical scatter, counts: that of rounding to whole counts, with some margin.
const ROUNDING: f32 = 0.5;

/// The shares of bad elements by a dark reference, and by a white one with its own dark one.
pub fn bad_shares(
    dark: &Reference,
    white: (&Reference, &Reference),
    layout: Layout,
    saturation: Option<f64>,
    bands: &MendBands,
) -> BadElements {
    // The panel's spectrum is checked elsewhere.
    shares(&find(dark, white, &vec![1.0; layout.bands], layout, saturation), bands)
}

/// The shares of the elements `bad`, `[band][pixel]`, that are interpolated and that have no value.
pub(super) fn shares(bad: &[u8], bands: &MendBands) -> BadElements {
    let (mended, missing) = Mending::new(bad, &bands.wavelengths_nm, bands.limit_nm).counts();
    #[expect(clippy::cast_precision_loss, reason = "numbers of elements")]
    let share = |n: usize| n as f64 / bad.len().max(1) as f64;
    BadElements { mended: share(mended), missing: share(missing) }
}

/// The flags of all elements, `[band][pixel]`: 0 for a good element. The white reference comes with its own dark one. The panel's
/// reflectance is `panel`, `[band]`.
pub(super) fn find(
    dark: &Reference,
    (white, white_dark): (&Reference, &Reference),
    panel: &[f32],
    layout: Layout,
    saturation: Option<f64>,
) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "a level of counts needs no more than f32")]
    let saturation = saturation.map(|level| level as f32);
    let finite = |values: &[f32]| values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f32::max);
    let full = saturation.unwrap_or_else(|| finite(&white.mean));
    // Dark levels of two exposures differ from element to element.
    let comparable = same_settings(&dark.exposure, &white_dark.exposure);
    let mut bad = Vec::with_capacity(layout.elements());
    for (band, reflectance) in panel.iter().enumerate() {
        let of = |table: &[f32]| -> Vec<f32> { table[band * layout.pixels..(band + 1) * layout.pixels].to_vec() };
        let (dark_mean, white_mean, sd) = (of(&dark.mean), of(&white.mean), of(&dark.sd));
        let response: Vec<f32> = white_mean.iter().zip(of(&white_dark.mean)).map(|(white, dark)| white - dark).collect();
        let (typical, level, scatter) = (median(response.clone()), median(dark_mean.clone()), median(sd.clone()));
        let line_noise = scatter.max(ROUNDING);
        // The response is in counts of the white reference.
        let scatter_below = if comparable { scatter } else { median(of(&white_dark.sd)) };
        let moved = moved(&dark_mean, &of(&white_dark.mean));
        let least = DEAD_SIGMAS * noise(&response, scatter_below, dark.frames.min(white.frames), layout.format);
        // A band that is dead as a whole has no typical response to compare with.
        let dead_band = typical <= least;
        for pixel in 0..layout.pixels {
            let (at, response) = (band * layout.pixels + pixel, response[pixel]);
            let dead = dead_band || response <= least || response < DEAD_RESPONSE * typical;
            let hot = dark_mean[pixel] - level > HOT_DARK * full;
            let noisy = dark.frames >= NOISY_FRAMES && sd[pixel] > NOISY_DARK * line_noise;
            let jumps = [dark, white_dark].iter().any(|of| {
                let peak = of.peak[at] - of.mean[at];
                of.frames >= NOISY_FRAMES && peak > PEAK_SIGMAS * line_noise && peak > PEAK_OWN_SIGMAS * of.sd[at]
            });
            let many = comparable && dark.frames.min(white_dark.frames) >= NOISY_FRAMES;
            let moves = many && moved[pixel].abs() > MOVED_SIGMAS * line_noise;
            let clipped = saturation.is_some_and(|level| [dark, white, white_dark].iter().any(|of| of.peak[at] >= level));
            let gain = reflectance / response;
            let numbers = [response, dark_mean[pixel], *reflectance];
            let not_finite = !numbers.iter().all(|number| number.is_finite()) || (response > 0.0 && !gain.is_finite());
            let flag = |is: bool, flag| if is { flag } else { 0 };
            bad.push(
                flag(dead, BadElement::DEAD)
                    | flag(hot, BadElement::HOT)
                    | flag(noisy, BadElement::NOISY)
                    | flag(clipped, BadElement::CLIPPED)
                    | flag(not_finite, BadElement::NOT_FINITE)
                    | flag(jumps || moves, BadElement::RESTLESS),
            );
        }
    }
    bad
}

/// By how much each element of a band moved from the dark level `before` to `after` against the whole band, counts.
fn moved(before: &[f32], after: &[f32]) -> Vec<f32> {
    let moved: Vec<f32> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    let typical = median(moved.clone());
    moved.into_iter().map(|by| by - typical).collect()
}

/// The elements, `[band][pixel]`, whose dark level moved from the reference `before` to `after` though that of their band did not.
pub(super) fn restless(before: &Reference, after: &Reference, pixels: usize) -> Vec<usize> {
    if before.frames.min(after.frames) < NOISY_FRAMES || pixels == 0 {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (band, (from, to)) in before.mean.chunks_exact(pixels).zip(after.mean.chunks_exact(pixels)).enumerate() {
        let limit = MOVED_SIGMAS * median(before.sd[band * pixels..(band + 1) * pixels].to_vec()).max(ROUNDING);
        let moved = moved(from, to).into_iter().enumerate().filter(|(_, by)| by.is_finite() && by.abs() > limit);
        all.extend(moved.map(|(pixel, _)| band * pixels + pixel));
    }
    all
}

/// Noise of a band's elements in one line, counts. `scatter` is their typical standard deviation over the frames of the dark reference.
///
/// A few frames tell little about scatter, and one frame tells nothing. Then the differences of neighbouring pixels count too. Half of
/// these is enough to find a band without light, and leaves the unevenness of a detector out.
fn noise(response: &[f32], scatter: f32, frames: u32, format: PixelFormat) -> f32 {
    let rounding = if format == PixelFormat::U16 { ROUNDING } else { 0.0 };
    let differences = || median(response.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect());
    let among_neighbours = if frames < NOISY_FRAMES { differences() / 2.0 } else { 0.0 };
    scatter.max(rounding).max(among_neighbours)
}
