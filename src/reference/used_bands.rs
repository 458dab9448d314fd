//! The bands of a camera that are used, and those that are left out.

use contract::CameraDescription;
use std::iter;
use std::ops::Range;

/// Why a band is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It lies outside the configured ranges (`use_nm`).
    Configured,
    /// The recording marks it as bad (`bbl` of an ENVI header).
    MarkedBad,
}

/// The bands of a camera that are used. Bands that are left out are recorded, and appear nowhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct UsedBands {
    /// Neighbouring bands that are used, as indices of the camera's bands.
    runs: Vec<Range<usize>>,
    /// Stretches of neighbouring bands that are left out: first and last centre in nm, and the reason.
    left_out: Vec<([f64; 2], LeftOut)>,
    /// Number of bands that are left out.
    left_out_bands: usize,
}

impl UsedBands {
    /// All bands of a camera with `bands` bands.
    pub fn all(bands: usize) -> Self {
        Self { runs: iter::once(0..bands).collect(), left_out: Vec::new(), left_out_bands: 0 }
    }

    /// The bands of `wavelengths_nm` within the ranges `use_nm` (nm, both ends included) that `good` does not mark as bad.
    pub fn new(wavelengths_nm: &[f64], use_nm: Option<&[(f64, f64)]>, good: Option<&[bool]>) -> Self {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut left_out: Vec<([f64; 2], LeftOut)> = Vec::new();
        let mut left_out_bands = 0;
        let mut before = None;
        for (band, nm) in wavelengths_nm.iter().enumerate() {
            let reason = if use_nm.is_some_and(|ranges| !ranges.iter().any(|(from, to)| (*from..=*to).contains(nm))) {
                Some(LeftOut::Configured)
            } else {
                good.and_then(|good| good.get(band)).is_some_and(|good| !good).then_some(LeftOut::MarkedBad)
            };
            let goes_on = before == Some(reason);
            match (reason, runs.last_mut(), left_out.last_mut()) {
                (None, Some(run), _) if goes_on => run.end = band + 1,
                (None, ..) => runs.push(band..band + 1),
                (Some(_), _, Some(stretch)) if goes_on => stretch.0[1] = *nm,
                (Some(reason), ..) => left_out.push(([*nm, *nm], reason)),
            }
            left_out_bands += usize::from(reason.is_some());
            before = Some(reason);
        }
        Self { runs, left_out, left_out_bands }
    }

    /// Neighbouring bands that are used, as indices of the camera's bands.
    pub fn runs(&self) -> &[Range<usize>] {
        &self.runs
    }

    /// Number of bands that are used.
    pub fn len(&self) -> usize {
        self.runs.iter().map(Range::len).sum()
    }

    /// Whether no band is used.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The camera's index of used band `band`; `band` itself where there is no such band.
    pub fn index(&self, band: usize) -> usize {
        self.runs.iter().flat_map(Range::clone).nth(band).unwrap_or(band)
    }

    /// The values of the used bands. `values` holds one value for each band of the camera.
    pub fn select<T: Copy>(&self, values: &[T]) -> Vec<T> {
        self.runs.iter().flat_map(|run| values[run.clone()].iter().copied()).collect()
    }

    /// The camera as the data path sees it: with the used bands alone.
    pub fn describe(&self, camera: &CameraDescription) -> CameraDescription {
        let mut about = camera.clone();
        about.layout.bands = self.len();
        about.wavelengths_nm = self.select(&camera.wavelengths_nm);
        about.fwhm_nm = camera.fwhm_nm.as_ref().map(|fwhm| self.select(fwhm));
        about
    }

    /// Stretches of neighbouring bands that are left out: first and last centre, nm.
    pub fn left_out_nm(&self) -> Vec<[f64; 2]> {
        self.left_out.iter().map(|(stretch, _)| *stretch).collect()
    }

    /// What is left out, and why, in words; `None` where all bands are used.
    pub fn summary(&self) -> Option<String> {
        let of = |reason: LeftOut| {
            let stretches = self.left_out.iter().filter(|(_, why)| *why == reason);
            let stretches: Vec<_> = stretches.map(|([from, to], _)| format!("{from:.1} to {to:.1} nm")).collect();
            (!stretches.is_empty()).then(|| stretches.join(", "))
        };
        let reasons = [(LeftOut::Configured, "outside use_nm"), (LeftOut::MarkedBad, "marked as bad by the header's bbl")];
        let parts: Vec<_> = reasons.iter().filter_map(|(reason, words)| Some(format!("{} ({words})", of(*reason)?))).collect();
        let (left_out, all) = (self.left_out_bands, self.left_out_bands + self.len());
        (!parts.is_empty()).then(|| format!("{left_out} of {all} bands are left out: {}", parts.join(", ")))
    }

    /// Whether the recording marks bands as bad.
    pub fn marked_bad(&self) -> bool {
        self.left_out.iter().any(|(_, reason)| *reason == LeftOut::MarkedBad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_used_within_the_ranges_and_where_they_are_good() {
        let nm = [400.0, 410.0, 420.0, 430.0, 440.0, 450.0];
        let all = UsedBands::new(&nm, None, None);
        assert_eq!((&all, all.len(), all.summary()), (&UsedBands::all(6), 6, None));
        let good = [true, true, true, false, true, true];
        let some = UsedBands::new(&nm, Some(&[(410.0, 435.0), (445.0, 500.0)]), Some(&good));
        assert_eq!((some.runs(), some.len(), some.is_empty()), ([1..3, 5..6].as_slice(), 3, false));
        assert_eq!((some.select(&nm), [0, 1, 2].map(|band| some.index(band))), (vec![410.0, 420.0, 450.0], [1, 2, 5]));
        assert_eq!(some.left_out_nm(), [[400.0, 400.0], [430.0, 430.0], [440.0, 440.0]]);
        let words = some.summary().unwrap();
        assert!(words.starts_with("3 of 6 bands are left out: 400.0 to 400.0 nm, 440.0 to 440.0 nm (outside use_nm), 430.0"), "{words}");
        assert!(some.marked_bad() && words.ends_with("(marked as bad by the header's bbl)"));
        assert!(UsedBands::new(&nm, Some(&[(500.0, 600.0)]), None).is_empty());
    }
}
