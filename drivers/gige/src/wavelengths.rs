//! The wavelength of each band, from the configuration. Cameras do not report it.

use crate::config::Config;

/// Most bytes of a file of wavelengths.
const MOST_BYTES: u64 = 16 << 20;

/// Band centres, and their widths where known, nm.
pub type Bands = (Vec<f64>, Option<Vec<f64>>);

impl Config {
    /// The centre of each band, and its width where known, nm. The camera is not asked.
    ///
    /// # Errors
    /// A key, and its problem.
    pub fn spectral_bands(&self) -> Result<Bands, (&'static str, String)> {
        bands(self)
    }
}

/// The bands of a configuration, evenly between two wavelengths, or from a file of one line each. A line holds the centre, nm,
/// and the full width at half maximum where it is known. The error is a key and its problem.
pub fn bands(config: &Config) -> Result<Bands, (&'static str, String)> {
    let Some(path) = &config.wavelengths else {
        let (Some(first), Some(last)) = (config.first_nm, config.last_nm) else {
            return Err(("wavelengths", "give a file of wavelengths, or first_nm and last_nm".into()));
        };
        return Ok((contract::evenly_spaced(first, last, config.bands), None));
    };
    let wrong = |problem: String| ("wavelengths", format!("{}: {problem}", path.display()));
    let text = contract::read_regular_text(path, MOST_BYTES).map_err(|error| wrong(error.to_string()))?;
    let (mut centres, mut widths) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let numbers: Result<Vec<f64>, _> =
            line.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|part| !part.is_empty()).map(str::parse).collect();
        if let Some(number) = numbers.iter().flatten().find(|number| !(number.is_finite() && **number > 0.0)) {
            return Err(wrong(format!("line {}: {number} is no wavelength in nm", i + 1)));
        }
        match numbers.as_deref() {
            Ok([]) => {}
            Ok([centre]) => centres.push(*centre),
            Ok([centre, width, ..]) => {
                centres.push(*centre);
                widths.push(*width);
            }
            Err(error) => return Err(wrong(format!("line {}: {error}", i + 1))),
        }
    }
    if centres.len() != config.bands {
        return Err(wrong(format!("has {} wavelengths, and there are {} bands", centres.len(), config.bands)));
    }
    if !widths.is_empty() && widths.len() != centres.len() {
        return Err(wrong(format!("has a width for {} of {} bands; give all or none", widths.len(), centres.len())));
    }
    Ok((centres, (!widths.is_empty()).then_some(widths)))
}
