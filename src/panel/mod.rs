//! The white panel: its reflectance, how certain that is, and its certificate.

mod certificate;

pub use certificate::Certificate;

use jiff::civil::Date;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The white panel: its reflectance, with the uncertainty and the certificate where they are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The measured points, rising in wavelength. One point for one reflectance at every wavelength.
    points: Vec<Point>,
    /// The certificate; `None` for one reflectance at every wavelength.
    pub certificate: Option<Arc<Certificate>>,
}

/// The panel at a wavelength.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    nm: f64,
    reflectance: f64,
    /// Standard uncertainty of the reflectance.
    uncertainty: Option<f64>,
}

/// An unusable certificate of a panel.
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
    /// A line is not two or three numbers.
    #[error(
        "{}, line {line}: expected wavelength in nm, rising, and reflectance (above 0, at most 1.2), and in every line or in none its uncertainty (from 0, below the reflectance), found `{found}`",
        path.display()
    )]
    Line {
        /// The file's path.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// The line's text.
        found: String,
    },
    /// A fact in the comments cannot be understood.
    #[error("{}, line {line}: expected {expected}, found `{found}`", path.display())]
    Fact {
        /// The file's path.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// The form of the fact.
        expected: &'static str,
        /// The line's text.
        found: String,
    },
    /// The spectrum does not cover the camera's range.
    #[error(
        "the panel's reflectance is known from {} to {} nm, the camera sees {} to {} nm, and its ends reach at most {EXTRAPOLATED_NM} nm further; give a longer spectrum (references.panel.file), or narrow camera.use_nm",
        known.0, known.1, seen.0, seen.1
    )]
    Range {
        /// Range of the file, nm.
        known: (f64, f64),
        /// Range of the camera, nm.
        seen: (f64, f64),
    },
}

/// Farthest from an end of the spectrum at which the panel is taken as it is at the end, nm.
const EXTRAPOLATED_NM: f64 = 5.0;

impl Panel {
    /// A panel of one reflectance at every wavelength, and its standard uncertainty where it is known.
    pub fn constant(reflectance: f64, uncertainty: Option<f64>) -> Self {
        Self { points: vec![Point { nm: 0.0, reflectance, uncertainty }], certificate: None }
    }

    /// Reads a certificate's file: wavelength in nm, reflectance and, where it is known, its uncertainty, separated by comma, semicolon, tab
    /// or blanks. Lines that begin with `#` are comments; see [`Certificate`] for those that are understood.
    ///
    /// # Errors
    /// [`PanelError::Read`] for an unreadable file, or for fewer than two lines of values. [`PanelError::Line`] for a line that is not two
    /// or three numbers, is out of range, or does not rise in wavelength. [`PanelError::Fact`] for a date or a factor of no meaning.
    pub fn read(path: &Path) -> Result<Self, PanelError> {
        let (points, certificate) = certificate::read(path)?;
        Ok(Self { points, certificate: Some(Arc::new(certificate)) })
    }

    /// The panel's reflectance at each wavelength (nm), by linear interpolation. Up to 5 nm beyond an end, it is that of the end.
    ///
    /// # Errors
    /// [`PanelError::Range`] when the spectrum does not cover the wavelengths.
    #[expect(clippy::cast_possible_truncation, reason = "a reflectance needs no more than f32")]
    pub fn at(&self, wavelengths_nm: &[f64]) -> Result<Vec<f32>, PanelError> {
        let (known, seen) = (self.known(), seen(wavelengths_nm));
        if seen.0 < known.0 - EXTRAPOLATED_NM || seen.1 > known.1 + EXTRAPOLATED_NM {
            return Err(PanelError::Range { known, seen });
        }
        Ok(wavelengths_nm.iter().map(|nm| self.between(*nm, |point| point.reflectance) as f32).collect())
    }

    /// The standard uncertainty (k = 1) of the panel's reflectance at each wavelength (nm), by linear interpolation; `None` where it is not
    /// known.
    #[expect(clippy::cast_possible_truncation, reason = "an uncertainty needs no more than f32")]
    pub fn uncertainty_at(&self, wavelengths_nm: &[f64]) -> Option<Vec<f32>> {
        self.points[0].uncertainty?;
        let of = |point: &Point| point.uncertainty.unwrap_or(f64::NAN);
        Some(wavelengths_nm.iter().map(|nm| self.between(*nm, of) as f32).collect())
    }

    /// Why the panel is in doubt on a day: its certificate has expired. `None` without a doubt.
    pub fn expired(&self, day: Date) -> Option<String> {
        let certificate = self.certificate.as_ref()?;
        let expires = certificate.expires.filter(|expires| *expires < day)?;
        let serial = certificate.serial.as_ref().map(|serial| format!(" {serial}")).unwrap_or_default();
        Some(format!(
            "the certificate of the white panel{serial} expired on {expires}, and every reflectance rests on it; have the panel calibrated again, and give the new file (references.panel.file)"
        ))
    }

    /// Why the panel is in doubt for a camera: it sees beyond the ends of the spectrum, nm. `None` without a doubt.
    pub fn extrapolated(&self, wavelengths_nm: &[f64]) -> Option<String> {
        let (known, seen) = (self.known(), seen(wavelengths_nm));
        let doubt = || {
            format!(
                "it sees {:.1} to {:.1} nm, and the panel's reflectance is known from {:.1} to {:.1} nm: beyond, that of the end is taken; give a longer spectrum (references.panel.file), or narrow camera.use_nm",
                seen.0, seen.1, known.0, known.1
            )
        };
        (seen.0 < known.0 || seen.1 > known.1).then(doubt)
    }

    /// The wavelengths of the spectrum's points, nm.
    pub fn wavelengths_nm(&self) -> Vec<f64> {
        self.points.iter().map(|point| point.nm).collect()
    }

    /// Range of the spectrum, nm.
    fn known(&self) -> (f64, f64) {
        match self.points.as_slice() {
            [first, .., last] => (first.nm, last.nm),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }

    /// A value of the points at a wavelength (nm), by linear interpolation. Beyond an end, it is that of the end.
    fn between(&self, nm: f64, value: impl Fn(&Point) -> f64) -> f64 {
        let after = self.points.partition_point(|point| point.nm < nm);
        let (a, b) = (&self.points[after.saturating_sub(1)], &self.points[after.min(self.points.len() - 1)]);
        let share = if b.nm > a.nm { (nm - a.nm) / (b.nm - a.nm) } else { 0.0 };
        value(a) + (value(b) - value(a)) * share
    }
}

/// Smallest and largest wavelength, nm.
fn seen(wavelengths_nm: &[f64]) -> (f64, f64) {
    wavelengths_nm.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), nm| (lo.min(*nm), hi.max(*nm)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(text: &str) -> Result<Panel, PanelError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("panel.txt");
        std::fs::write(&path, text).unwrap();
        Panel::read(&path)
    }

    #[test]
    fn a_panel_file_is_read_and_interpolated() {
        let read = panel("# nm reflectance\n400,0.90\n500\t0.80\r\n").unwrap();
        assert_eq!(read.at(&[400.0, 450.0, 500.0]).unwrap(), [0.9, 0.85, 0.8]);
        assert_eq!((read.uncertainty_at(&[450.0]), read.certificate.as_ref().unwrap().serial.as_ref()), (None, None));
        for wrong in ["500,95", "nan,0.9", "inf,0.9", "500,nan", "500,inf", "500,0", "500,-0.1", "400,0.9", "500,0.9,0.01", "500,0.9,0,1"] {
            assert!(matches!(panel(&format!("400,0.90\n{wrong}\n600,0.9\n")), Err(PanelError::Line { line: 2, .. })), "{wrong}");
        }
        assert!(matches!(panel("400,0.90\n"), Err(PanelError::Read { .. })));
    }

    #[test]
    fn the_ends_reach_five_nanometres_further_with_a_doubt() {
        let read = panel("400,0.90,0.01\n1000,0.80,0.02\n").unwrap();
        assert_eq!(read.extrapolated(&[400.0, 1000.0]), None);
        assert_eq!(read.at(&[395.0, 1005.0]).unwrap(), [0.9, 0.8]);
        assert_eq!(read.uncertainty_at(&[395.0, 1005.0]).unwrap(), [0.01, 0.02]);
        assert!(read.extrapolated(&[399.5, 1000.0]).unwrap().contains("399.5 to 1000.0 nm"));
        for beyond in [394.9, 1005.1] {
            let error = read.at(&[beyond, 600.0]).unwrap_err();
            assert!(matches!(error, PanelError::Range { .. }) && error.to_string().contains("at most 5 nm"), "{error}");
        }
        assert_eq!(Panel::constant(0.95, None).extrapolated(&[1.0, 1e5]), None);
    }

    #[test]
    fn an_uncertainty_is_standard_and_an_expanded_one_is_divided_by_its_coverage() {
        let lines = "400,0.90,0.02\n500,0.80,0.04\n";
        assert_eq!(panel(lines).unwrap().uncertainty_at(&[400.0, 450.0]).unwrap(), [0.02, 0.03]);
        assert_eq!(panel(&format!("# Coverage: 2\n{lines}")).unwrap().uncertainty_at(&[400.0, 450.0]).unwrap(), [0.01, 0.015]);
        assert_eq!(Panel::constant(0.95, Some(0.005)).uncertainty_at(&[400.0, 2500.0]).unwrap(), [0.005; 2]);
        for wrong in ["500,0.8", "500,0.8,-0.01", "500,0.8,0.8", "500,0.8,nan"] {
            assert!(matches!(panel(&format!("400,0.90,0.02\n{wrong}\n")), Err(PanelError::Line { line: 2, .. })), "{wrong}");
        }
    }

    #[test]
    fn facts_stand_in_comments_and_an_expired_certificate_is_doubtful() {
        let text = "# Certificate of a panel: 99 %\n# serial: SRT-99-050\n#calibrated: 2024-05-01\n# expires: 2026-05-01\n# \n400 0.99\n2500 0.95\n";
        let read = panel(text).unwrap();
        let day = |text: &str| text.parse::<Date>().unwrap();
        let certificate = read.certificate.as_deref().unwrap();
        assert_eq!((certificate.serial.as_deref(), certificate.calibrated), (Some("SRT-99-050"), Some(day("2024-05-01"))));
        assert_eq!(certificate.text, text);
        assert_eq!(read.expired(day("2026-05-01")), None, "the last day counts");
        let doubt = read.expired(day("2026-05-02")).unwrap();
        assert!(doubt.contains("SRT-99-050 expired on 2026-05-01"), "{doubt}");
        assert_eq!(panel("400 0.99\n2500 0.95\n").unwrap().expired(day("2199-01-01")), None);
        for wrong in ["# expires: soon", "# calibrated: 01.05.2024", "# coverage: 0", "# coverage: nan", "# coverage: two"] {
            let error = panel(&format!("400 0.99\n{wrong}\n2500 0.95\n")).unwrap_err();
            assert!(matches!(error, PanelError::Fact { line: 2, .. }) && error.to_string().contains(wrong), "{error}");
        }
    }
}
