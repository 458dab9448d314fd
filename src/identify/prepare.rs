//! A library on the bands of a rig: tables that the loops read.

use super::coverage::{Coverage, Covered, WindowCoverage, cover};
use super::library::Library;
use super::pyramid::Pyramid;
use super::text::{Entry, EntryWindow};
use crate::srf::{BandMatrix, BandSet};
use std::collections::BTreeMap;
use std::ops::Range;

/// A library cannot be brought onto bands.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IdentifyError {
    /// The wavelengths are not those of a spectrum.
    #[error("band {band} (from 0) has the wavelength {nm} nm; wavelengths must be finite, and none below the one before")]
    Wavelengths {
        /// The band.
        band: usize,
        /// Its wavelength, nm.
        nm: f32,
    },
    /// There are as many widths as bands, or none.
    #[error("{widths} widths (FWHM) for {bands} bands; give one for each band, NaN where it is unknown")]
    Widths {
        /// The number of widths.
        widths: usize,
        /// The number of bands.
        bands: usize,
    },
    /// The bands cover no mineral.
    #[error(
        "the bands from {from_nm} to {to_nm} nm cover no mineral of the library `{library}`: {reason}; `hyclus minerals check` tells more"
    )]
    NotCovered {
        /// The library.
        library: String,
        /// The first wavelength, nm.
        from_nm: f32,
        /// The last wavelength, nm.
        to_nm: f32,
        /// What the first mineral lacks.
        reason: String,
    },
}

/// A window on the bands of a rig.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    /// Its values in the pyramid.
    pub all: Range<usize>,
    /// The values of its shoulders in the pyramid.
    pub shoulders: [Range<usize>; 2],
    /// One over the number of values of each shoulder.
    pub inverse: [f32; 2],
    /// One over the number of values.
    pub inverse_n: f32,
    /// Where its places and weights begin in the tables.
    pub tables: usize,
    /// Where its depths begin in the scratch.
    pub depths: Range<usize>,
}

/// A spectrum of the library in one window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    /// The window.
    pub window: usize,
    /// Where its shape begins in the table. It is weighted, has the mean 0 and the norm 1.
    pub shape: usize,
    /// Depth of the absorption over the norm of its shape.
    pub scale: f32,
    /// Degrees of freedom of the fit.
    pub freedom: f32,
    /// Area of the absorption, nm.
    pub area: f64,
}

/// A window of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub template: usize,
    pub window: usize,
    /// The share of this window in fit and depth.
    pub weight: f32,
    pub min_fit: f32,
    pub min_depth: f32,
    pub level: Option<[f32; 2]>,
    pub slope: Option<[f32; 2]>,
}

/// A spectrum that excludes a candidate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Excluding {
    pub template: usize,
    pub min_fit: f32,
    pub min_depth: f32,
    pub min_ratio: f32,
}

/// A mineral by one of its spectra.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// The mineral's code.
    pub code: u16,
    /// The group, from 0.
    pub group: usize,
    pub min_fit: f32,
    pub min_depth: f32,
    pub parts: Range<usize>,
    pub not: Range<usize>,
}

/// All tables.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prepared {
    pub pyramid: Pyramid,
    pub windows: Vec<Window>,
    pub templates: Vec<Template>,
    pub candidates: Vec<Candidate>,
    pub parts: Vec<Part>,
    pub not: Vec<Excluding>,
    /// Place of each value between the shoulders: 0 at the left one, 1 at the right one.
    pub places: Vec<f32>,
    /// Weight of each value. Their sum is the number of values.
    pub weights: Vec<f32>,
    pub shapes: Vec<f32>,
    pub min_level: f32,
    pub min_snr_squared: f32,
    pub fit_power: u8,
    /// Length of the depths of all windows.
    pub depths: usize,
}

impl Prepared {
    /// The tables for bands with these centres and widths, nm, and what they cover.
    pub(super) fn new(library: &Library, centres_nm: &[f64], fwhm_nm: &[f64]) -> (Self, Vec<Coverage>) {
        let limits = &library.text.limits;
        let mut prepared = Self {
            pyramid: Pyramid::new(centres_nm),
            windows: Vec::new(),
            templates: Vec::new(),
            candidates: Vec::new(),
            parts: Vec::new(),
            not: Vec::new(),
            places: Vec::new(),
            weights: Vec::new(),
            shapes: Vec::new(),
            min_level: limits.min_level,
            min_snr_squared: limits.min_snr * limits.min_snr,
            fit_power: limits.fit_power,
            depths: 0,
        };
        let found: Vec<Result<usize, String>> =
            library.text.window.iter().map(|w| cover(&prepared.pyramid, w.left_nm, w.right_nm).map(|c| prepared.add_window(c))).collect();
        let of_name = |name: &str| library.text.window.iter().position(|window| window.name == name).and_then(|at| found.get(at));
        let mut build = Build { library, centres_nm, fwhm_nm, seen: BTreeMap::new(), records: BTreeMap::new() };
        let coverage: Vec<Coverage> = library.text.entry.iter().map(|entry| covered(entry, of_name)).collect();
        let window_of = |name: &str| of_name(name).and_then(|found| found.as_ref().ok()).copied();
        for ((at, entry), coverage) in library.text.entry.iter().enumerate().zip(&coverage) {
            if coverage.covered() {
                prepared.add_entry(at, entry, &mut build, window_of);
            }
        }
        (prepared, coverage)
    }

    fn add_window(&mut self, Covered { all, shoulders }: Covered) -> usize {
        let nm = |range: &Range<usize>| self.pyramid.nm[range.clone()].iter().sum::<f64>() / number(range.len());
        let (left, right) = (nm(&shoulders[0]), nm(&shoulders[1]));
        let (n, tables) = (all.len(), self.places.len());
        self.places.extend(self.pyramid.nm[all.clone()].iter().map(|nm| narrow((nm - left) / (right - left))));
        self.weights.extend(self.pyramid.weights(all.clone()).into_iter().map(narrow));
        let inverse = [0, 1].map(|side: usize| narrow(1.0 / number(shoulders[side].len())));
        let inverse_n = narrow(1.0 / number(n));
        self.windows.push(Window { all, shoulders, inverse, inverse_n, tables, depths: self.depths..self.depths + n });
        self.depths += n;
        self.windows.len() - 1
    }

    fn add_entry(&mut self, at: usize, entry: &Entry, build: &mut Build<'_>, window_of: impl Fn(&str) -> Option<usize>) {
        let used: Vec<(&EntryWindow, usize)> = entry.window.iter().filter_map(|w| Some((w, window_of(&w.name)?))).collect();
        let code = u16::try_from(at + 1).unwrap_or(u16::MAX);
        for record in &entry.records {
            let (parts, not) = (self.parts.len(), self.not.len());
            let templates: Option<Vec<usize>> = used.iter().map(|(_, window)| self.template(build, *window, record)).collect();
            // A spectrum that is flat in a window cannot be fitted there.
            let Some(templates) = templates else { continue };
            let area: f64 = templates.iter().zip(&used).map(|(t, (w, _))| self.templates[*t].area * f64::from(w.weight)).sum();
            for (template, (one, window)) in templates.iter().zip(&used) {
                self.parts.push(Part {
                    template: *template,
                    window: *window,
                    weight: narrow(self.templates[*template].area * f64::from(one.weight) / area),
                    min_fit: one.min_fit,
                    min_depth: one.min_depth,
                    level: one.level,
                    slope: one.slope,
                });
            }
            for one in &entry.not {
                let other = build.library.text.entry.iter().find(|other| other.name == one.entry);
                for record in other.iter().flat_map(|other| &other.records) {
                    let Some(template) = window_of(&one.window).and_then(|window| self.template(build, window, record)) else { continue };
                    self.not.push(Excluding { template, min_fit: one.min_fit, min_depth: one.min_depth, min_ratio: one.min_ratio });
                }
            }
            self.candidates.push(Candidate {
                code,
                group: usize::from(entry.group == 2),
                min_fit: entry.min_fit,
                min_depth: entry.min_depth,
                parts: parts..self.parts.len(),
                not: not..self.not.len(),
            });
        }
    }

    /// The template of a record in a window. `None` where the record has no absorption there.
    fn template(&mut self, build: &mut Build<'_>, window: usize, record: &str) -> Option<usize> {
        if let Some(known) = build.seen.get(&(window, record.to_owned())) {
            return *known;
        }
        let (values, one) = (build.record(&self.pyramid, record), self.windows[window].clone());
        let n = one.all.len();
        let mean = |range: &Range<usize>| values[range.clone()].iter().sum::<f64>() / number(range.len());
        let (left, right) = (mean(&one.shoulders[0]), mean(&one.shoulders[1]));
        let places = self.places[one.tables..one.tables + n].iter().map(|place| left + (right - left) * f64::from(*place));
        let depths: Vec<f64> = values[one.all.clone()].iter().zip(places).map(|(value, continuum)| 1.0 - value / continuum).collect();
        let weights: Vec<f64> = self.weights[one.tables..one.tables + n].iter().map(|weight| f64::from(*weight)).collect();
        let sum = |of: &dyn Fn(f64) -> f64| depths.iter().zip(&weights).map(|(depth, weight)| weight * of(*depth)).sum::<f64>();
        let mean = sum(&|depth| depth) / number(n);
        let norm = sum(&|depth| (depth - mean) * (depth - mean)).sqrt();
        let deepest = depths.iter().fold(0.0_f64, |most, depth| most.max(depth.abs()));
        let span = self.pyramid.nm[one.all.end - 1] - self.pyramid.nm[one.all.start];
        let index = (norm > LEAST_NORM && norm.is_finite()).then(|| {
            let shape = self.shapes.len();
            self.shapes.extend(depths.iter().zip(&weights).map(|(depth, weight)| narrow(weight * (depth - mean) / norm)));
            let area = sum(&f64::abs) / number(n) * span;
            let freedom = narrow(number(n.saturating_sub(2).max(1)));
            self.templates.push(Template { window, shape, scale: narrow(deepest / norm), freedom, area });
            self.templates.len() - 1
        });
        build.seen.insert((window, record.to_owned()), index);
        index
    }
}

/// Least norm of a spectrum's depths in a window.
const LEAST_NORM: f64 = 1e-4;

/// What is known while tables are built.
struct Build<'a> {
    library: &'a Library,
    centres_nm: &'a [f64],
    fwhm_nm: &'a [f64],
    /// The templates of windows and records.
    seen: BTreeMap<(usize, String), Option<usize>>,
    /// Values of the pyramid of each record.
    records: BTreeMap<String, Vec<f64>>,
}

impl Build<'_> {
    fn record(&mut self, pyramid: &Pyramid, key: &str) -> Vec<f64> {
        let (library, centres_nm, fwhm_nm) = (self.library, self.centres_nm, self.fwhm_nm);
        let make = || {
            let bands = resampled(library, key, centres_nm, fwhm_nm);
            let mut values: Vec<f64> = bands.iter().map(|value| f64::from(*value)).collect();
            values.resize(pyramid.nm.len(), f64::NAN);
            pyramid.fill(&mut values, f64::midpoint);
            values
        };
        self.records.entry(key.to_owned()).or_insert_with(make).clone()
    }
}

/// A record as the rig would see it. Bands outside its range are NaN.
pub(super) fn resampled(library: &Library, key: &str, centres_nm: &[f64], fwhm_nm: &[f64]) -> Vec<f32> {
    let Some(spectrum) = library.spectra.get(key) else { return vec![f32::NAN; centres_nm.len()] };
    let own = library.fwhm_nm(key, &spectrum.nm);
    let at_bands = library.fwhm_nm(key, centres_nm);
    // A rig with narrower bands than the spectrometer sees the spectrometer's bands.
    let wanted: Vec<f64> = fwhm_nm.iter().zip(&at_bands).map(|(rig, own)| if *rig > *own { *rig } else { *own }).collect();
    let measured = BandSet { centres_nm: &spectrum.nm, fwhm_nm: Some(&own) };
    let one = |(nm, fwhm): (&f64, &f64)| {
        let wanted = BandSet { centres_nm: std::slice::from_ref(nm), fwhm_nm: Some(std::slice::from_ref(fwhm)) };
        let mut value = [f32::NAN];
        if let Ok(matrix) = BandMatrix::new(measured, wanted, None) {
            matrix.apply(&spectrum.values, &mut value);
        }
        value[0]
    };
    centres_nm.iter().zip(&wanted).map(one).collect()
}

/// What the windows of an entry say of the rig.
fn covered<'a>(entry: &Entry, of_name: impl Fn(&str) -> Option<&'a Result<usize, String>>) -> Coverage {
    let windows = entry.window.iter().map(|window| WindowCoverage {
        window: window.name.clone(),
        optional: window.optional,
        missing: match of_name(&window.name) {
            Some(Ok(_)) => None,
            Some(Err(reason)) => Some(reason.clone()),
            None => Some("the library has no such window".into()),
        },
    });
    let (mineral, not_identified) = (entry.name.clone(), entry.not_identified.clone());
    Coverage { mineral, group: entry.group, not_identified, windows: windows.collect() }
}

/// A small number as f64.
pub(super) fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "tables need no more than f32")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}
