//! The certificate of the white panel, as a file.

use super::{PanelError, Point};
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The certificate of a white panel. Its facts stand in comments, each as `# KEY: VALUE`: `serial`, `calibrated` and `expires` (YYYY-MM-DD),
/// and `coverage`, the factor k of the uncertainties in the third column (1 where it is absent). Other comments mean nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The file's text.
    pub text: String,
    /// SHA-256 of the text, lower-case hexadecimal.
    pub sha256: String,
    /// The panel's serial number.
    pub serial: Option<String>,
    /// The day of the calibration.
    pub calibrated: Option<Date>,
    /// The last day on which the certificate holds.
    pub expires: Option<Date>,
}

/// Most bytes of a panel's file.
const MOST_BYTES: u64 = 16 << 20;

/// Reads a certificate's file: its points and its facts.
///
/// # Errors
/// As [`Panel::read`](super::Panel::read).
pub(super) fn read(path: &Path) -> Result<(Vec<Point>, Certificate), PanelError> {
    let unreadable = |reason: String| PanelError::Read { path: path.to_owned(), reason };
    let text = contract::read_regular_text(path, MOST_BYTES).map_err(|e| unreadable(e.to_string()))?;
    let mut certificate = Certificate { sha256: hash(&text), text: String::new(), serial: None, calibrated: None, expires: None };
    let (mut points, mut coverage) = (Vec::<Point>::new(), 1.0);
    for (i, line) in text.lines().enumerate() {
        let (line, number) = (line.trim(), i + 1);
        let found = || line.chars().take(80).collect();
        let not = |expected| PanelError::Fact { path: path.to_owned(), line: number, expected, found: found() };
        if let Some(comment) = line.strip_prefix('#') {
            let Some((key, value)) = comment.split_once(':').map(|(key, value)| (key.trim(), value.trim())) else { continue };
            let day = || value.parse::<Date>().map(Some).map_err(|_| not("a date as YYYY-MM-DD"));
            match key.to_ascii_lowercase().as_str() {
                _ if value.is_empty() => {}
                "serial" => certificate.serial = Some(value.to_owned()),
                "calibrated" => certificate.calibrated = day()?,
                "expires" => certificate.expires = day()?,
                "coverage" => {
                    let factor = value.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor >= 1.0);
                    coverage = factor.ok_or_else(|| not("a coverage factor of at least 1, such as 2"))?;
                }
                _ => {}
            }
        } else if !line.is_empty() {
            let point = point(line).filter(|point| {
                points.last().is_none_or(|last| last.nm < point.nm && last.uncertainty.is_some() == point.uncertainty.is_some())
            });
            points.push(point.ok_or_else(|| PanelError::Line { path: path.to_owned(), line: number, found: found() })?);
        }
    }
    if points.len() < 2 {
        return Err(unreadable("it holds fewer than two lines of values".into()));
    }
    // The factor may stand anywhere in the file.
    points.iter_mut().for_each(|point| point.uncertainty = point.uncertainty.map(|expanded| expanded / coverage));
    Ok((points, Certificate { text, ..certificate }))
}

/// The point of a line: two or three numbers within their ranges.
fn point(line: &str) -> Option<Point> {
    let fields = line.split([',', ';', '\t', ' ']).filter(|field| !field.is_empty());
    let numbers: Vec<f64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let (nm, reflectance, uncertainty) = match numbers[..] {
        [nm, reflectance] => (nm, reflectance, None),
        [nm, reflectance, uncertainty] => (nm, reflectance, Some(uncertainty)),
        _ => return None,
    };
    let known = uncertainty.is_none_or(|uncertainty| (0.0..reflectance).contains(&uncertainty));
    (nm.is_finite() && reflectance > 0.0 && reflectance <= 1.2 && known).then_some(Point { nm, reflectance, uncertainty })
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
