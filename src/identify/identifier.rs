//! Identifies spectra.

use super::coverage::Coverage;
use super::features::Measured;
use super::fit::{Fit, MOST_LANES, Seen, fit, remove};
use super::judge::{Ranked, best};
use super::library::Library;
use super::minerals::Minerals;
use super::prepare::{IdentifyError, Prepared};
use super::pyramid::MOST_VALUES;
use super::text::Figure;
use crate::join::Axes;
use crate::simd::{Simd, WithSimd, widest};
use std::ops::Range;

/// Version of the method. It is raised whenever the same spectra would give other minerals, features or shares.
pub const METHOD_VERSION: u32 = 2;

/// A figure of a feature: one number for each pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name: `2200_AlOH_position`.
    pub name: String,
    /// Its unit: `nm`, or `1` for shares and logarithms.
    pub unit: &'static str,
    /// One line about it.
    pub long_name: String,
}

/// A library on the bands of a rig. Threads share it.
#[derive(Debug, Clone, PartialEq)]
pub struct Identifier {
    library: String,
    sha256: String,
    bands: usize,
    prepared: Prepared,
    coverage: Vec<Coverage>,
    minerals: Vec<String>,
    families: Vec<String>,
    features: Vec<Feature>,
    measured: Vec<Measured>,
    /// The number of figures of each feature.
    figures: Vec<usize>,
}

/// Memory of one thread.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scratch {
    /// Values of the pyramid, `[value][lane]`.
    values: Vec<f32>,
    /// Depths of all windows, `[value][lane]`.
    depths: Vec<f32>,
    /// Three numbers for each window, `[number][lane]`.
    windows: Vec<f32>,
    /// Three numbers for each template, `[number][lane]`.
    fits: Vec<f32>,
}

impl Identifier {
    /// Brings a library onto the bands of a grid, as [`Identifier::new`] does.
    ///
    /// # Errors
    /// As of [`Identifier::new`].
    pub fn of_grid(library: &Library, axes: &Axes) -> Result<Self, IdentifyError> {
        #[expect(clippy::cast_possible_truncation, reason = "wavelengths need no more than f32")]
        let short = |nm: &[f64]| nm.iter().map(|nm| *nm as f32).collect::<Vec<f32>>();
        Self::new(library, &short(&axes.wavelengths_nm), &short(&axes.fwhm_nm))
    }

    /// Brings a library onto bands with these centres and widths (FWHM), nm. An unknown width is NaN.
    ///
    /// # Errors
    /// The wavelengths do not rise, the numbers of bands differ, or the bands cover no mineral.
    pub fn new(library: &Library, wavelengths_nm: &[f32], fwhm_nm: &[f32]) -> Result<Self, IdentifyError> {
        let bands = wavelengths_nm.len();
        if fwhm_nm.len() != bands {
            return Err(IdentifyError::Widths { widths: fwhm_nm.len(), bands });
        }
        for (band, nm) in wavelengths_nm.iter().copied().enumerate() {
            let before = band.checked_sub(1).map_or(0.0, |before| wavelengths_nm[before]);
            if !(nm.is_finite() && nm >= before && nm > 0.0) {
                return Err(IdentifyError::Wavelengths { band, nm });
            }
        }
        let centres_nm: Vec<f64> = wavelengths_nm.iter().map(|nm| f64::from(*nm)).collect();
        let (prepared, coverage) = Prepared::new(library, &centres_nm, &widths(&centres_nm, fwhm_nm));
        if prepared.candidates.is_empty() {
            let reason = coverage.iter().flat_map(|entry| &entry.windows).find_map(|window| window.missing.clone());
            return Err(IdentifyError::NotCovered {
                library: library.name().to_owned(),
                from_nm: wavelengths_nm.first().copied().unwrap_or(f32::NAN),
                to_nm: wavelengths_nm.last().copied().unwrap_or(f32::NAN),
                reason: reason.unwrap_or_else(|| "no entry has windows".into()),
            });
        }
        Ok(Self {
            library: library.name().to_owned(),
            sha256: library.sha256().to_owned(),
            bands,
            coverage,
            minerals: library.minerals().map(str::to_owned).collect(),
            families: library.families().map(str::to_owned).collect(),
            features: features(library),
            measured: Measured::all(library, &prepared.pyramid),
            figures: library.text.feature.iter().map(|feature| feature.keep.len()).collect(),
            prepared,
        })
    }

    /// The library's name.
    pub fn library(&self) -> &str {
        &self.library
    }

    /// SHA-256 of the library, lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The number of bands of a spectrum.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// What the bands cover of each mineral, in the library's order.
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// Names of the minerals. The code of mineral `k` is `k + 1`, and 0 means "not identified".
    pub fn minerals(&self) -> &[String] {
        &self.minerals
    }

    /// Families of the minerals, in the same order.
    pub fn families(&self) -> &[String] {
        &self.families
    }

    /// The features, in their order within a pixel.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Whether the bands cover each feature, in their order within a pixel.
    pub fn covered_features(&self) -> Vec<bool> {
        let covered = self.measured.iter().zip(&self.figures);
        covered.flat_map(|(measured, figures)| std::iter::repeat_n(measured.covered(), *figures)).collect()
    }

    /// Memory for a thread.
    pub fn scratch(&self) -> Scratch {
        let room = |numbers: usize| vec![0.0; numbers * MOST_LANES];
        let Prepared { pyramid, depths, windows, templates, .. } = &self.prepared;
        Scratch {
            values: room(pyramid.nm.len()),
            depths: room((*depths).max(MOST_VALUES + 1)),
            windows: room(3 * windows.len()),
            fits: room(3 * templates.len()),
        }
    }

    /// Identifies spectra `[pixel][band]` and fills `out`, one pixel for each whole spectrum. A band without a value is NaN. Nothing is
    /// allocated where `out` has the room.
    pub fn identify(&self, spectra: &[f32], scratch: &mut Scratch, out: &mut Minerals) {
        out.resize(spectra.len() / self.bands, self.features.len());
        widest(Identify { identifier: self, spectra, scratch, out });
    }
}

/// Widths of bands, nm. An unknown one is the distance from the nearer neighbour.
fn widths(centres_nm: &[f64], fwhm_nm: &[f32]) -> Vec<f64> {
    let near = |at: usize| {
        let near = &centres_nm[at.saturating_sub(1)..(at + 2).min(centres_nm.len())];
        let least = near.windows(2).map(|pair| pair[1] - pair[0]).filter(|apart| *apart > 0.0).fold(f64::INFINITY, f64::min);
        if least.is_finite() { least } else { 1.0 }
    };
    let known = |fwhm: f32| fwhm.is_finite() && fwhm > 0.0;
    fwhm_nm.iter().enumerate().map(|(at, fwhm)| if known(*fwhm) { f64::from(*fwhm) } else { near(at) }).collect()
}

/// The figures of all features, in their order.
fn features(library: &Library) -> Vec<Feature> {
    let figures = |figure: &Figure| match figure {
        Figure::Position => ("position", "nm", "wavelength of the minimum"),
        Figure::Depth => ("depth", "1", "depth of the minimum"),
        Figure::Width => ("width", "nm", "width at half the depth"),
        Figure::Asymmetry => ("asymmetry", "1", "right half width less the left one, over their sum"),
        Figure::Area => ("area", "nm", "area of the absorption"),
    };
    let of = |feature: &super::text::FeatureText| {
        let (name, long) = (feature.name.clone(), feature.long_name.clone());
        feature.keep.clone().into_iter().map(move |figure| {
            let (ending, unit, about) = figures(&figure);
            Feature { name: format!("{name}_{ending}"), unit, long_name: format!("{long}: {about}") }
        })
    };
    library.text.feature.iter().flat_map(of).collect()
}

/// The loops over spectra `[pixel][band]`.
pub(super) struct Identify<'a> {
    pub identifier: &'a Identifier,
    pub spectra: &'a [f32],
    pub scratch: &'a mut Scratch,
    pub out: &'a mut Minerals,
}

impl WithSimd for Identify<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { identifier, spectra, scratch, out } = self;
        let Identifier { prepared, bands, .. } = identifier;
        let Scratch { values, depths, windows, fits } = scratch;
        let lanes = S::F32_LANES;
        let (values, _) = S::as_mut_simd_f32s(&mut values[..prepared.pyramid.nm.len() * lanes]);
        let (depths, _) = S::as_mut_simd_f32s(depths);
        let windows: &mut [Seen<S>] = bytemuck::cast_slice_mut(&mut windows[..3 * prepared.windows.len() * lanes]);
        let fits: &mut [Fit<S>] = bytemuck::cast_slice_mut(&mut fits[..3 * prepared.templates.len() * lanes]);
        for (block, spectra) in spectra.chunks(lanes * bands).enumerate() {
            let pixels = spectra.len() / bands;
            side_by_side(spectra, *bands, lanes, bytemuck::cast_slice_mut(&mut values[..*bands]));
            prepared.pyramid.fill(values, |a, b| s.mul_f32s(s.add_f32s(a, b), s.splat_f32s(0.5)));
            for (window, seen) in prepared.windows.iter().zip(windows.iter_mut()) {
                *seen = remove(s, prepared, window, values, &mut depths[window.depths.clone()]);
            }
            for (template, found) in prepared.templates.iter().zip(fits.iter_mut()) {
                let [_, _, squares] = windows[template.window];
                *found = fit(s, prepared, template, squares, &depths[prepared.windows[template.window].depths.clone()]);
            }
            let first = block * lanes;
            for (group, best) in best(s, prepared, windows, fits).iter().enumerate() {
                write::<S>(best, group, first..first + pixels, out);
            }
            let width = identifier.features.len();
            let mut from = 0;
            for (measured, figures) in identifier.measured.iter().zip(&identifier.figures) {
                measured.measure(s, values, depths, prepared.min_level, |lane, figure, value| {
                    if lane < pixels {
                        out.features[(first + lane) * width + from + figure] = value;
                    }
                });
                from += figures;
            }
        }
    }
}

/// Writes spectra `[pixel][band]` to `values` as `[band][lane]`. Lanes without a spectrum have no values.
#[inline(always)]
fn side_by_side(spectra: &[f32], bands: usize, lanes: usize, values: &mut [f32]) {
    if spectra.len() < lanes * bands {
        values.fill(f32::NAN);
    }
    for (lane, spectrum) in spectra.chunks_exact(bands).enumerate() {
        for (value, values) in spectrum.iter().zip(values.chunks_exact_mut(lanes)) {
            values[lane] = *value;
        }
    }
}

/// Writes the best minerals of a group for some pixels.
#[inline(always)]
fn write<S: Simd>([first, second]: &[Ranked<S>; 2], group: usize, pixels: Range<usize>, out: &mut Minerals) {
    let lanes = |of: S::f32s| {
        let mut lanes = [0.0_f32; MOST_LANES];
        lanes[..S::F32_LANES].copy_from_slice(bytemuck::cast_slice(&[of]));
        lanes
    };
    let [passed, codes, scores] = [first.passed, first.code, first.score].map(lanes);
    let [second_codes, second_scores] = [second.code, second.score].map(lanes);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a code is a small whole number")]
    let code = |code: f32| code as u16;
    for (lane, pixel) in pixels.enumerate() {
        let won = passed[lane] > 0.0;
        out.winner[group][pixel] = if won { code(codes[lane]) } else { 0 };
        out.score[group][pixel] = scores[lane];
        out.runner_up[group][pixel] = code(if won { second_codes[lane] } else { codes[lane] });
        out.runner_up_score[group][pixel] = if won { second_scores[lane] } else { scores[lane] };
    }
}
