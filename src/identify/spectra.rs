//! The table of a library's spectra: a column of wavelengths, and one column of reflectance for each record.

use crate::scan::Fault;
use std::collections::BTreeMap;

/// The name of the first column.
const WAVELENGTH: &str = "wavelength_nm";
/// Largest reflectance of a spectrum. Panels of laboratories are not perfectly white.
const MOST_REFLECTANCE: f64 = 1.5;
/// Most faults of the table in one report.
const MOST_FAULTS: usize = 20;

/// A spectrum without gaps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spectrum {
    /// Wavelengths, rising, nm.
    pub nm: Vec<f64>,
    /// Reflectance at each wavelength.
    pub values: Vec<f32>,
}

impl Spectrum {
    /// The first and the last wavelength, nm.
    pub(super) fn range_nm(&self) -> (f64, f64) {
        (self.nm.first().copied().unwrap_or(f64::NAN), self.nm.last().copied().unwrap_or(f64::NAN))
    }
}

/// Reads the table. Cells may be empty before and behind the values of a record.
pub(super) fn read(text: &str, faults: &mut Vec<Fault>) -> BTreeMap<String, Spectrum> {
    let before = faults.len();
    let mut fault = |row: usize, problem: String| {
        if faults.len() - before < MOST_FAULTS {
            faults.push(Fault::new(format!("spectra: line {row}"), problem));
        }
    };
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let header: Vec<&str> = lines.next().map(|(_, line)| line.split(',').map(str::trim).collect()).unwrap_or_default();
    if header.first() != Some(&WAVELENGTH) {
        fault(1, format!("the first column must be `{WAVELENGTH}`, then one column for each record, separated by commas"));
        return BTreeMap::new();
    }
    let keys = &header[1..];
    for (at, key) in keys.iter().enumerate() {
        if key.is_empty() || keys[..at].contains(key) {
            fault(1, format!("column {} is named `{key}`; give each record a name of its own", at + 2));
        }
    }
    let mut columns: Vec<(Spectrum, bool)> = keys.iter().map(|_| (Spectrum { nm: Vec::new(), values: Vec::new() }, false)).collect();
    let mut last = f64::NEG_INFINITY;
    for (row, line) in lines {
        let mut cells = line.split(',').map(str::trim);
        let first = cells.next().unwrap_or_default();
        let Some(nm) = first.parse::<f64>().ok().filter(|nm| nm.is_finite() && *nm > last) else {
            fault(row + 1, format!("`{first}` must be a wavelength in nm above that of the line before"));
            continue;
        };
        last = nm;
        for (cell, ((spectrum, ended), key)) in cells.zip(columns.iter_mut().zip(keys)) {
            if cell.is_empty() {
                *ended |= !spectrum.nm.is_empty();
                continue;
            }
            let value = cell.parse::<f64>().ok().filter(|value| (0.0..=MOST_REFLECTANCE).contains(value));
            match value {
                None => fault(row + 1, format!("{key}: `{cell}` must be a reflectance from 0 to {MOST_REFLECTANCE}, or empty")),
                Some(_) if *ended => fault(row + 1, format!("{key}: values follow empty cells; a spectrum must not have gaps")),
                Some(value) => {
                    spectrum.nm.push(nm);
                    #[expect(clippy::cast_possible_truncation, reason = "a reflectance needs no more than f32")]
                    spectrum.values.push(value as f32);
                }
            }
        }
        let all = line.split(',').count() - 1;
        if all != keys.len() {
            fault(row + 1, format!("{all} values for {} records", keys.len()));
        }
    }
    keys.iter().zip(columns).map(|(key, (spectrum, _))| ((*key).to_owned(), spectrum)).collect()
}
