//! The entries of a model's ONNX metadata.

use super::novelty::{Codes, above_zero};
use serde_json::Value;

const NAME: &str = "hyclus.name";
const WAVELENGTHS: &str = "hyclus.wavelengths_nm";
const FWHM: &str = "hyclus.fwhm_nm";
const KIND: &str = "hyclus.kind";
const TARGET: &str = "hyclus.target";
const UNIT: &str = "hyclus.unit";
const LEVEL: &str = "hyclus.level";
pub(super) const REFERENCE_INPUT: &str = "hyclus.reference_input";
pub(super) const REFERENCE_OUTPUT: &str = "hyclus.reference_output";
pub(super) const CODES_MEAN: &str = "hyclus.codes_mean";
pub(super) const CODES_COVARIANCE: &str = "hyclus.codes_covariance";
pub(super) const CODES_LIMIT: &str = "hyclus.codes_limit";
pub(super) const RESIDUAL_LIMIT: &str = "hyclus.residual_limit";

/// The entries of a model's metadata. Each of them is optional.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// The model's name.
    pub name: Option<String>,
    /// Band centres of the training data, nm, increasing.
    pub wavelengths_nm: Option<Vec<f64>>,
    /// Full width at half maximum of each band, nm.
    pub fwhm_nm: Option<Vec<f64>>,
    /// What the model says of itself where it is a head.
    pub head: Option<HeadAbout>,
    /// Reference spectra `[spectrum][band]` and their embeddings `[spectrum][dimension]`.
    pub reference: Option<(Vec<f32>, Vec<f32>)>,
    /// Mean, covariance and limit of the training embeddings.
    pub codes: Option<Codes>,
    /// Residual that 99.9 % of the training spectra stay within.
    pub residual_limit: Option<f64>,
}

/// What a head says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadAbout {
    /// The quantity of its values.
    pub target: String,
    /// Its unit. Empty for a number without one.
    pub unit: String,
    /// Share of the samples that intervals should hold.
    pub level: f64,
}

impl Metadata {
    /// Reads the entries. `custom` gives an entry by its key. `bands` is the number of bands of the model's input, where it is fixed.
    ///
    /// # Errors
    /// The key of an entry that is wrong, and its fault:
    ///
    /// - An entry is no list of numbers.
    /// - Wavelengths do not increase, or their number is not `bands`.
    /// - Widths are not above 0, are neither one nor one for each wavelength, or come without wavelengths.
    /// - A head has no target, or a level that is not between 0 and 1.
    /// - Only one half of the reference is there.
    /// - Mean, covariance and limit of the embeddings are not all there, do not fit each other, or are none.
    pub fn read(custom: impl Fn(&str) -> Option<String>, bands: Option<usize>) -> Result<Self, (&'static str, String)> {
        let numbers = |key: &'static str| custom(key).map(|text| parse_numbers(&text).map_err(|problem| (key, problem))).transpose();
        let wavelengths_nm = numbers(WAVELENGTHS)?;
        if let Some(nm) = &wavelengths_nm {
            check_wavelengths(nm, bands).map_err(|problem| (WAVELENGTHS, problem))?;
        }
        let fwhm_nm = numbers(FWHM)?.map(|nm| widths(nm, wavelengths_nm.as_deref()).map_err(|problem| (FWHM, problem))).transpose()?;
        let reference = match (numbers(REFERENCE_INPUT)?, numbers(REFERENCE_OUTPUT)?) {
            (Some(input), Some(output)) => {
                let narrowed = |key, numbers: &[f64]| narrow(numbers).ok_or((key, "expected numbers that float32 can hold".to_owned()));
                Some((narrowed(REFERENCE_INPUT, &input)?, narrowed(REFERENCE_OUTPUT, &output)?))
            }
            (None, None) => None,
            (input, _) => {
                let key = if input.is_some() { REFERENCE_OUTPUT } else { REFERENCE_INPUT };
                return Err((key, "is missing beside the other one".to_owned()));
            }
        };
        let codes = match [CODES_MEAN, CODES_COVARIANCE, CODES_LIMIT].map(|key| (key, custom(key))) {
            [(_, None), (_, None), (_, None)] => None,
            entries => {
                if let Some((missing, _)) = entries.iter().find(|(_, entry)| entry.is_none()) {
                    return Err((missing, "is missing beside the other ones".to_owned()));
                }
                let [mean, covariance, limit] = entries.map(|(key, _)| numbers(key).map(Option::unwrap_or_default));
                Some(Codes::new(mean?, &covariance?, &limit?)?)
            }
        };
        let residual_limit = numbers(RESIDUAL_LIMIT)?.map(|limit| above_zero(&limit).map_err(|problem| (RESIDUAL_LIMIT, problem)));
        Ok(Self {
            name: custom(NAME).filter(|name| !name.is_empty()),
            wavelengths_nm,
            fwhm_nm,
            head: head(&custom)?,
            reference,
            codes,
            residual_limit: residual_limit.transpose()?,
        })
    }
}

/// What a head says of itself. `None` for a model of another kind.
fn head(custom: &impl Fn(&str) -> Option<String>) -> Result<Option<HeadAbout>, (&'static str, String)> {
    if custom(KIND).is_none_or(|kind| kind != "head") {
        return Ok(None);
    }
    let target = custom(TARGET).filter(|target| !target.is_empty());
    let target = target.ok_or_else(|| (TARGET, "is missing: it names what the head gives".to_owned()))?;
    let level = custom(LEVEL).unwrap_or_default();
    let level = level.parse().ok().filter(|level| *level > 0.0 && *level < 1.0);
    let level = level.ok_or_else(|| (LEVEL, "expected a share between 0 and 1".to_owned()))?;
    Ok(Some(HeadAbout { target, unit: custom(UNIT).unwrap_or_default(), level }))
}

fn check_wavelengths(nm: &[f64], bands: Option<usize>) -> Result<(), String> {
    if let Some(bands) = bands.filter(|&bands| bands != nm.len()) {
        return Err(format!("expected {bands} wavelengths, one per band of the input, found {}", nm.len()));
    }
    if let Some(nm) = nm.iter().find(|nm| nm.is_nan() || **nm <= 0.0) {
        return Err(format!("wavelengths in nm are above 0, found {nm}"));
    }
    match nm.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!("wavelengths must increase, found {} before {}", pair[0], pair[1])),
        None if nm.is_empty() => Err("expected wavelengths in nm, found none".to_owned()),
        None => Ok(()),
    }
}

/// The width of each band, from one for all or one for each.
fn widths(nm: Vec<f64>, wavelengths_nm: Option<&[f64]>) -> Result<Vec<f64>, String> {
    let Some(bands) = wavelengths_nm.map(<[f64]>::len) else {
        return Err(format!("says how wide bands are, and {WAVELENGTHS} is missing"));
    };
    if let Some(nm) = nm.iter().find(|nm| nm.is_nan() || **nm <= 0.0) {
        return Err(format!("widths in nm are above 0, found {nm}"));
    }
    match nm[..] {
        [one] => Ok(vec![one; bands]),
        _ if nm.len() == bands => Ok(nm),
        _ => Err(format!("expected one width, or {bands}, one per wavelength, found {}", nm.len())),
    }
}

/// The numbers of a JSON list, nested or not, or of a list separated by commas.
fn parse_numbers(text: &str) -> Result<Vec<f64>, String> {
    fn flatten(value: &Value, out: &mut Vec<f64>) -> Result<(), String> {
        match value {
            Value::Array(list) => list.iter().try_for_each(|item| flatten(item, out)),
            Value::Number(number) => number.as_f64().map(|n| out.push(n)).ok_or_else(|| format!("{number} is no float")),
            other => Err(format!("expected numbers, found {other}")),
        }
    }
    let text = text.trim();
    let mut numbers = Vec::new();
    if text.starts_with('[') {
        let list = serde_json::from_str(text).map_err(|e| format!("expected a JSON list of numbers: {e}"))?;
        flatten(&list, &mut numbers)?;
    } else {
        for item in text.split(',') {
            let item = item.trim();
            numbers.push(item.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| format!("expected a number, found `{item}`"))?);
        }
    }
    Ok(numbers)
}

#[expect(clippy::cast_possible_truncation, reason = "the model computes in float32")]
fn narrow(numbers: &[f64]) -> Option<Vec<f32>> {
    numbers.iter().map(|&n| Some(n as f32).filter(|n| n.is_finite())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_as_json_or_with_commas() {
        for text in ["[1, 2.5, -3e2]", "[[1, 2.5], [-3e2]]", " 1,2.5 , -300"] {
            assert_eq!(parse_numbers(text).unwrap(), [1.0, 2.5, -300.0], "{text}");
        }
        for text in ["", "[1, \"a\"]", "1;2", "1,,2", "[1", "nan"] {
            assert!(parse_numbers(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_finite_and_fit_into_float32() {
        let read = |input: &str, output: &str| {
            let (input, output) = (input.to_owned(), output.to_owned());
            Metadata::read(
                |key| [(REFERENCE_INPUT, &input), (REFERENCE_OUTPUT, &output)].iter().find(|(of, _)| *of == key).map(|(_, v)| (*v).clone()),
                None,
            )
        };
        assert!(read("[1, 2]", "[3]").is_ok());
        for wrong in ["[1e300]", "1e300", "[1e999]", "inf", "-inf", "nan", "[NaN]"] {
            assert_eq!(read(wrong, "[3]").unwrap_err().0, REFERENCE_INPUT, "{wrong}");
            assert_eq!(read("[1]", wrong).unwrap_err().0, REFERENCE_OUTPUT, "{wrong}");
        }
        assert!(check_wavelengths(&[-1.0, 400.0], None).is_err());
    }

    #[test]
    fn a_head_says_what_it_gives() {
        let read = |entries: &[(&str, &str)]| {
            let of = |key: &str| entries.iter().find(|(of, _)| *of == key).map(|(_, value)| (*value).to_owned());
            Metadata::read(of, None).map(|metadata| metadata.head)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[(KIND, "encoder"), (LEVEL, "x")]), Ok(None));
        let whole = read(&[(KIND, "head"), (TARGET, "cu"), (UNIT, "%"), (LEVEL, "0.9")]).unwrap().unwrap();
        assert_eq!((whole.target.as_str(), whole.unit.as_str(), whole.level), ("cu", "%", 0.9));
        assert_eq!(read(&[(KIND, "head"), (LEVEL, "0.9")]).unwrap_err().0, TARGET);
        for level in ["", "0", "1", "nan", "x"] {
            assert_eq!(read(&[(KIND, "head"), (TARGET, "cu"), (LEVEL, level)]).unwrap_err().0, LEVEL, "{level}");
        }
    }

    #[test]
    fn widths_are_one_or_one_for_each_wavelength() {
        let nm = [400.0, 410.0];
        assert_eq!(widths(vec![5.0], Some(&nm)), Ok(vec![5.0, 5.0]));
        assert_eq!(widths(vec![5.0, 6.0], Some(&nm)), Ok(vec![5.0, 6.0]));
        assert!(widths(vec![5.0, 6.0, 7.0], Some(&nm)).unwrap_err().contains("found 3"));
        assert!(widths(vec![5.0, 0.0], Some(&nm)).unwrap_err().contains("above 0"));
        assert!(widths(vec![5.0], None).unwrap_err().contains("hyclus.wavelengths_nm is missing"));
    }

    #[test]
    fn wavelengths_increase_and_fit() {
        assert!(check_wavelengths(&[400.0, 401.0], Some(2)).is_ok());
        assert!(check_wavelengths(&[400.0, 401.0], Some(3)).unwrap_err().contains("expected 3"));
        assert!(check_wavelengths(&[400.0, 400.0], None).is_err());
        assert!(check_wavelengths(&[], None).is_err());
    }
}
