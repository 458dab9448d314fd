//! Identifies spectra.

use super::coverage::Coverage;
use super::fit::{Fit, Seen, fit, remove};
use super::library::Library;
use super::minerals::Minerals;
use super::prepare::{Candidate, IdentifyError, Prepared};
use super::text::Figure;
use crate::simd::{Simd, WithSimd, widest};

/// Version of the method. It is raised whenever the same spectra would give other minerals or features.
pub const METHOD_VERSION: u32 = 1;

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
}

/// Memory of one thread.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scratch {
    /// Values of the pyramid of a pixel.
    values: Vec<f32>,
    /// Depths of all windows of a pixel.
    depths: Vec<f32>,
    /// One for each window.
    seen: Vec<Seen>,
    /// One for each template.
    fits: Vec<Fit>,
}

impl Identifier {
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
            prepared,
            coverage,
            minerals: library.minerals().map(str::to_owned).collect(),
            families: library.families().map(str::to_owned).collect(),
            features: features(library),
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

    /// Memory for a thread.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            values: vec![0.0; self.prepared.pyramid.nm.len()],
            depths: vec![0.0; self.prepared.depths],
            seen: vec![Seen::default(); self.prepared.windows.len()],
            fits: vec![Fit::default(); self.prepared.templates.len()],
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
        Figure::Asymmetry => ("asymmetry", "1", "binary logarithm of the right half width over the left one"),
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

struct Identify<'a> {
    identifier: &'a Identifier,
    spectra: &'a [f32],
    scratch: &'a mut Scratch,
    out: &'a mut Minerals,
}

impl WithSimd for Identify<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { identifier, spectra, scratch, out } = self;
        let Scratch { values, depths, seen, fits } = scratch;
        let prepared = &identifier.prepared;
        for (pixel, spectrum) in spectra.chunks_exact(identifier.bands).enumerate() {
            values[..identifier.bands].copy_from_slice(spectrum);
            prepared.pyramid.fill(values);
            for (window, seen) in prepared.windows.iter().zip(seen.iter_mut()) {
                *seen = remove(prepared, window, values, &mut depths[window.depths.clone()]);
            }
            for ((template, freedom), found) in prepared.templates.iter().zip(&prepared.freedom).zip(fits.iter_mut()) {
                let window = template.window;
                *found = fit(prepared, template, *freedom, seen[window], &depths[prepared.windows[window].depths.clone()]);
            }
            for (group, best) in best(prepared, seen, fits).iter().enumerate() {
                let winner = if best[0].passed { best[0] } else { Ranked::default() };
                let runner_up = if best[0].passed { best[1] } else { best[0] };
                out.winner[group][pixel] = winner.code;
                out.score[group][pixel] = best[0].score;
                out.runner_up[group][pixel] = runner_up.code;
                out.runner_up_score[group][pixel] = runner_up.score;
            }
        }
    }
}

/// A mineral in the order of its group.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Ranked {
    code: u16,
    passed: bool,
    score: f32,
}

/// The two best minerals of each group. Those that pass every threshold come first.
#[inline(always)]
fn best(prepared: &Prepared, seen: &[Seen], fits: &[Fit]) -> [[Ranked; 2]; 2] {
    let mut best = [[Ranked::default(); 2]; 2];
    for candidate in &prepared.candidates {
        let ranked = judge(prepared, candidate, seen, fits);
        let [first, second] = &mut best[candidate.group];
        let before = |other: &Ranked| (ranked.passed, ranked.score) > (other.passed, other.score);
        if before(first) {
            if first.code != ranked.code {
                *second = *first;
            }
            *first = ranked;
        } else if first.code != ranked.code && before(second) {
            *second = ranked;
        }
    }
    best
}

/// The score of a candidate, and whether it passes every threshold.
#[inline(always)]
fn judge(prepared: &Prepared, candidate: &Candidate, seen: &[Seen], fits: &[Fit]) -> Ranked {
    let (mut fit, mut depth, mut passed) = (0.0_f32, 0.0_f32, true);
    for part in &prepared.parts[candidate.parts.clone()] {
        let (one, seen) = (&fits[part.template], &seen[part.window]);
        fit += part.weight * one.fit;
        depth += part.weight * one.depth;
        passed &= (one.fit >= part.min_fit)
            & (one.depth >= part.min_depth)
            & (one.snr_squared >= prepared.min_snr_squared)
            & (seen.level >= part.level[0])
            & (seen.level <= part.level[1])
            & (seen.slope >= part.slope[0])
            & (seen.slope <= part.slope[1]);
    }
    passed &= (fit >= candidate.min_fit) & (depth >= candidate.min_depth);
    for not in &prepared.not[candidate.not.clone()] {
        let other = &fits[not.template];
        let excluded = (other.fit >= not.min_fit) & (other.depth >= not.min_depth) & (other.depth >= not.min_ratio * depth);
        passed &= !excluded;
    }
    let score = (0..prepared.fit_power).fold(depth, |score, _| score * fit);
    Ranked { code: candidate.code, passed, score }
}
