//! The features file: absorptions or emission lines of known wavelength.

use crate::panel::{Panel, PanelError};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The kind of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// An absorption: the spectrum has a minimum.
    #[default]
    Minimum,
    /// An emission line: the spectrum has a maximum.
    Maximum,
}

/// A feature of known wavelength.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// True wavelength of the minimum or maximum, nm.
    pub nm: f64,
    /// The kind.
    #[serde(default)]
    pub kind: FeatureKind,
    /// Distance from `nm` to both sides within which bands are fitted, nm.
    pub window_nm: f64,
    /// Standard uncertainty (k = 1) of `nm`, nm.
    #[serde(default)]
    pub tolerance_nm: f64,
    /// The source of `nm`.
    #[serde(default)]
    pub source: String,
}

/// The text of a features file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    #[serde(default = "two")]
    least: usize,
    #[serde(default)]
    spectrum: Option<PathBuf>,
    #[serde(default)]
    fwhm_nm: Option<f64>,
    #[serde(default)]
    feature: Vec<Feature>,
}

fn two() -> usize {
    2
}

/// The features of a tile, a panel or a lamp.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// The name of the tile, panel or lamp.
    pub name: String,
    /// Least number of features that a camera must show.
    pub least: usize,
    /// The features, by rising wavelength.
    pub all: Vec<Feature>,
    /// The certified spectrum. Features are then found by its shape, and not by `nm`.
    pub spectrum: Option<Certified>,
}

/// A certified spectrum, at the width of the laboratory's bands.
#[derive(Debug, Clone, PartialEq)]
pub struct Certified {
    /// Wavelengths, rising, nm.
    pub nm: Vec<f64>,
    /// Reflectance at each wavelength.
    pub values: Vec<f32>,
    /// Full width at half maximum of the laboratory's bands at each wavelength, nm.
    pub fwhm_nm: Option<Vec<f64>>,
}

/// An unusable features file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FeaturesError {
    /// The file cannot be read.
    #[error("the features {} cannot be read: {reason}", path.display())]
    Read {
        /// The file's path.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A value is out of its range.
    #[error("the features {}: {problem}", path.display())]
    Fault {
        /// The file's path.
        path: PathBuf,
        /// The key, and its range.
        problem: String,
    },
    /// The certified spectrum cannot be read.
    #[error("{}: {error}", path.display())]
    Spectrum {
        /// The features file.
        path: PathBuf,
        /// The fault of the spectrum.
        error: PanelError,
    },
}

/// Most bytes of a features file.
const MOST_BYTES: u64 = 1 << 20;
/// Most features of a file.
const MOST_FEATURES: usize = 200;
/// Largest window to one side, nm.
const MOST_WINDOW_NM: f64 = 500.0;

impl Features {
    /// Reads a features file, and the certified spectrum that it names.
    ///
    /// # Errors
    /// A file cannot be read, is no features file, or has a value out of range.
    pub fn read(path: &Path) -> Result<Self, FeaturesError> {
        let unreadable = |reason: String| FeaturesError::Read { path: path.to_owned(), reason };
        let text = contract::read_regular_text(path, MOST_BYTES).map_err(|e| unreadable(e.to_string()))?;
        let Text { name, least, spectrum, fwhm_nm, feature: mut all } = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            unreadable(format!("line {line}: {}", error.message()))
        })?;
        let fault = |problem: String| Err(FeaturesError::Fault { path: path.to_owned(), problem });
        if all.is_empty() || all.len() > MOST_FEATURES {
            return fault(format!("it must hold 1 to {MOST_FEATURES} [[feature]] tables"));
        }
        if !(1..=all.len()).contains(&least) {
            return fault(format!("`least` must be from 1 to {}, the number of its features", all.len()));
        }
        for Feature { nm, window_nm, tolerance_nm, .. } in &all {
            let good = (100.0..=20_000.0).contains(nm)
                && *window_nm > 0.0
                && *window_nm <= MOST_WINDOW_NM
                && (0.0..=*window_nm).contains(tolerance_nm);
            if !good {
                return fault(format!(
                    "the feature at {nm} nm: nm must be from 100 to 20000, window_nm above 0 and at most {MOST_WINDOW_NM}, tolerance_nm from 0 to window_nm"
                ));
            }
        }
        all.sort_by(|a, b| a.nm.total_cmp(&b.nm));
        if fwhm_nm.is_some_and(|fwhm| !(fwhm > 0.0 && fwhm <= 100.0)) {
            return fault("`fwhm_nm`, the width of the laboratory's bands, must be above 0 and at most 100".into());
        }
        let spectrum = match spectrum {
            None if fwhm_nm.is_some() => return fault("`fwhm_nm` belongs to a `spectrum`; name its file, or leave it out".into()),
            None => None,
            Some(file) => {
                let file = path.parent().unwrap_or(Path::new("")).join(file);
                let wrap = |error| FeaturesError::Spectrum { path: path.to_owned(), error };
                let read = Panel::read(&file).map_err(wrap)?;
                let nm = read.wavelengths_nm();
                let values = read.at(&nm).map_err(wrap)?;
                let fwhm_nm = fwhm_nm.map(|fwhm| vec![fwhm; nm.len()]);
                let ends = (nm.first().copied().unwrap_or(0.0), nm.last().copied().unwrap_or(0.0));
                if let Some(outside) = all.iter().find(|f| f.nm - f.window_nm < ends.0 || f.nm + f.window_nm > ends.1) {
                    return fault(format!(
                        "the spectrum reaches from {} to {} nm, and the feature at {} nm with its window of {} nm to both sides lies beyond; leave it out, or give a longer spectrum",
                        ends.0, ends.1, outside.nm, outside.window_nm
                    ));
                }
                Some(Certified { nm, values, fwhm_nm })
            }
        };
        Ok(Self { name, least, all, spectrum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, spectrum: Option<&str>) -> Result<Features, FeaturesError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tile.toml");
        std::fs::write(&path, text).unwrap();
        if let Some(spectrum) = spectrum {
            std::fs::write(folder.path().join("tile.txt"), spectrum).unwrap();
        }
        Features::read(&path)
    }

    const ONE: &str = "[[feature]]\nnm = 1534.6\nwindow_nm = 20.0\n";

    #[test]
    fn every_file_of_the_project_is_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/wavelength");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let all: Vec<Features> = paths.map(|path| Features::read(&path).unwrap()).collect();
        assert!(all.len() >= 6 && all.iter().all(|features| features.all.iter().all(|feature| !feature.source.is_empty())));
    }

    #[test]
    fn features_have_an_order_and_defaults() {
        let text = format!(
            "name = \"T\"\n{ONE}[[feature]]\nnm = 546.1\nkind = \"maximum\"\nwindow_nm = 8.0\ntolerance_nm = 0.1\nsource = \"Hg\"\n"
        );
        let found = read(&text, None).unwrap();
        assert_eq!((found.least, found.all[0].kind, found.all[1].kind), (2, FeatureKind::Maximum, FeatureKind::Minimum));
        assert_eq!((found.all[0].nm, found.all[1].tolerance_nm, found.spectrum), (546.1, 0.0, None));
    }

    #[test]
    fn every_wrong_value_is_told() {
        for (wrong, words) in [
            ("name = \"T\"\n".to_owned(), "1 to 200"),
            (format!("name = \"T\"\nleast = 2\n{ONE}"), "from 1 to 1"),
            (format!("name = \"T\"\nleast = 0\n{ONE}"), "from 1 to 1"),
            (format!("name = \"T\"\nleast = 1\nfwhm_nm = 2.0\n{ONE}"), "belongs to a `spectrum`"),
            (format!("name = \"T\"\nleast = 1\ndepth = 2.0\n{ONE}"), "line 3: unknown field `depth`"),
            ("name = \"T\"\nleast = 1\n[[feature]]\nnm = 1534.6\nwindow_nm = nan\n".to_owned(), "at 1534.6 nm"),
            ("name = \"T\"\nleast = 1\n[[feature]]\nnm = 1534.6\nwindow_nm = 5.0\ntolerance_nm = 6.0\n".to_owned(), "tolerance_nm from 0"),
            (format!("name = \"T\"\nleast = 1\nspectrum = \"tile.txt\"\n{ONE}"), "cannot be read"),
        ] {
            let error = read(&wrong, None).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_certified_spectrum_must_hold_its_features() {
        let text = format!("name = \"T\"\nleast = 1\nspectrum = \"tile.txt\"\nfwhm_nm = 2.0\n{ONE}");
        let found = read(&text, Some("# tile\n1510 0.9\n1534 0.5\n1560 0.9\n")).unwrap().spectrum.unwrap();
        assert_eq!((found.nm, found.values, found.fwhm_nm), (vec![1510.0, 1534.0, 1560.0], vec![0.9, 0.5, 0.9], Some(vec![2.0; 3])));
        let error = read(&text, Some("1510 0.9\n1550 0.9\n")).unwrap_err().to_string();
        assert!(error.contains("from 1510 to 1550 nm") && error.contains("1534.6"), "{error}");
    }
}
