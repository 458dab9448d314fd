//! The white panel.

use std::path::{Path, PathBuf};

/// The reflectance of the white panel.
#[derive(Debug, Clone, PartialEq)]
pub enum Panel {
    /// One reflectance for every wavelength.
    Constant(f64),
    /// A measured spectrum: pairs of nm and reflectance, rising in wavelength.
    Spectrum(Vec<(f64, f64)>),
}

/// An unusable spectrum of a panel.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PanelError {
    /// The file cannot be read.
    #[error("the panel's reflectance {} cannot be read: {reason}", path.display())]
    Read {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        reason: String,
    },
    /// A line is not two numbers.
    #[error("{}, line {line}: expected wavelength in nm, rising, and reflectance (above 0, at most 1.2), found `{found}`", path.display())]
    Line {
        /// The file's path.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// The line's text.
        found: String,
    },
    /// The spectrum does not cover the camera's range.
    #[error("the panel's reflectance is known from {} to {} nm, the camera sees {} to {} nm; give a longer spectrum (references.panel.file), or narrow camera.use_nm", known.0, known.1, seen.0, seen.1)]
    Range {
        /// Range of the file, nm.
        known: (f64, f64),
        /// Range of the camera, nm.
        seen: (f64, f64),
    },
}

/// Most bytes of a panel's file.
const MOST_BYTES: u64 = 16 << 20;

impl Panel {
    /// Reads a two-column file: wavelength in nm and reflectance, separated by comma, semicolon, tab or blanks. Lines that begin with `#`
    /// are skipped.
    ///
    /// # Errors
    /// [`PanelError::Read`] for an unreadable file, or for fewer than two lines of values. [`PanelError::Line`] for a line that is not two
    /// numbers, is out of range, or does not rise in wavelength.
    pub fn read(path: &Path) -> Result<Self, PanelError> {
        let text =
            contract::read_regular_text(path, MOST_BYTES).map_err(|e| PanelError::Read { path: path.to_owned(), reason: e.to_string() })?;
        let mut points = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || PanelError::Line { path: path.to_owned(), line: i + 1, found: line.chars().take(80).collect() };
            let mut fields = line.split([',', ';', '\t', ' ']).filter(|f| !f.is_empty()).map(str::parse::<f64>);
            let (Some(Ok(nm)), Some(Ok(reflectance)), None) = (fields.next(), fields.next(), fields.next()) else { return Err(wrong()) };
            let rising = points.last().is_none_or(|(last, _)| *last < nm);
            if !(rising && nm.is_finite() && reflectance > 0.0 && reflectance <= 1.2) {
                return Err(wrong());
            }
            points.push((nm, reflectance));
        }
        if points.len() < 2 {
            return Err(PanelError::Read { path: path.to_owned(), reason: "it holds fewer than two lines of values".into() });
        }
        Ok(Self::Spectrum(points))
    }

    /// The panel's reflectance at each wavelength (nm), by linear interpolation.
    ///
    /// # Errors
    /// [`PanelError::Range`] when the spectrum does not cover the wavelengths.
    #[expect(clippy::cast_possible_truncation, reason = "a reflectance needs no more than f32")]
    pub fn at(&self, wavelengths_nm: &[f64]) -> Result<Vec<f32>, PanelError> {
        match self {
            Self::Constant(reflectance) => Ok(vec![*reflectance as f32; wavelengths_nm.len()]),
            Self::Spectrum(points) => {
                let known = (points[0].0, points[points.len() - 1].0);
                let seen = wavelengths_nm.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), w| (lo.min(*w), hi.max(*w)));
                if seen.0 < known.0 || seen.1 > known.1 {
                    return Err(PanelError::Range { known, seen });
                }
                Ok(wavelengths_nm
                    .iter()
                    .map(|nm| {
                        let after = points.partition_point(|p| p.0 < *nm).clamp(1, points.len() - 1);
                        let (a, b) = (points[after - 1], points[after]);
                        (a.1 + (b.1 - a.1) * (nm - a.0) / (b.0 - a.0)) as f32
                    })
                    .collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_file_is_read_and_interpolated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("panel.txt");
        std::fs::write(&path, "# nm reflectance\n400,0.90\n500\t0.80\r\n").unwrap();
        let panel = Panel::read(&path).unwrap();
        assert_eq!(panel.at(&[400.0, 450.0, 500.0]).unwrap(), [0.9, 0.85, 0.8]);
        assert!(matches!(panel.at(&[399.0]), Err(PanelError::Range { .. })));
        std::fs::write(&path, "400,0.90\n500,95\n").unwrap();
        assert!(matches!(Panel::read(&path), Err(PanelError::Line { line: 2, .. })));
        for wrong in ["nan,0.9", "inf,0.9", "500,nan", "500,inf", "500,0", "500,-0.1", "400,0.9", "500,0.9,1"] {
            std::fs::write(&path, format!("400,0.90\n{wrong}\n600,0.9\n")).unwrap();
            assert!(matches!(Panel::read(&path), Err(PanelError::Line { line: 2, .. })), "{wrong}");
        }
    }
}
