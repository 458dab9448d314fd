//! A library of minerals, read and checked.

use super::spectra::{self, Spectrum};
use super::text::{Entry, Instrument, Record, Text};
use crate::scan::{Fault, is_name};
use crate::toml_text;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A faulty library.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {} fault(s)\n{}", path.display(), faults.len(), faults.iter().map(|f| format!("  {f}")).collect::<Vec<_>>().join("\n"))]
pub struct LibraryFaults {
    /// The library's file.
    pub path: PathBuf,
    /// Every fault, with its path in the file.
    pub faults: Vec<Fault>,
}

/// A library of minerals: entries, windows, features and spectra.
#[derive(Debug, Clone, PartialEq)]
pub struct Library {
    pub(super) text: Text,
    pub(super) spectra: BTreeMap<String, Spectrum>,
    sha256: String,
}

/// Most bytes of a library's text.
const MOST_TEXT: u64 = 4 << 20;
/// Most bytes of a table of spectra.
const MOST_TABLE: u64 = 64 << 20;
/// Most entries of a library. A code is 16 bits wide.
const MOST_ENTRIES: usize = 1000;
/// Most windows or features of a library.
const MOST_WINDOWS: usize = 200;
/// Largest power of the fit in a score.
const MOST_POWER: u8 = 16;
/// Least and largest wavelength of a window, nm.
const RANGE_NM: (f64, f64) = (200.0, 20_000.0);

impl Library {
    /// Reads a library and its table of spectra.
    ///
    /// # Errors
    /// Every fault at once, each with its path in the file.
    pub fn read(path: &Path) -> Result<Self, LibraryFaults> {
        let fail = |faults| LibraryFaults { path: path.to_owned(), faults };
        let read = |file: &Path, most, at: &str| {
            contract::read_regular_text(file, most)
                .map_err(|error| vec![Fault::new(at, format!("{} cannot be read: {error}", file.display()))])
        };
        let source = read(path, MOST_TEXT, "").map_err(fail)?;
        let text: Text = toml_text::parse(&source).map_err(fail)?;
        let mut faults = Vec::new();
        let (table, spectra) = match read(&path.parent().unwrap_or(Path::new("")).join(&text.spectra), MOST_TABLE, "spectra") {
            Ok(table) => {
                let spectra = spectra::read(&table, &mut faults);
                (table, spectra)
            }
            Err(unreadable) => {
                faults.extend(unreadable);
                (String::new(), BTreeMap::new())
            }
        };
        let library = Self { text, spectra, sha256: hash(&[&source, &table]) };
        library.check(!table.is_empty(), &mut faults);
        if faults.is_empty() { Ok(library) } else { Err(fail(faults)) }
    }

    /// SHA-256 of both files, lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The library's name.
    pub fn name(&self) -> &str {
        &self.text.name
    }

    /// Names of the minerals, in the order of their codes.
    pub fn minerals(&self) -> impl Iterator<Item = &str> {
        self.text.entry.iter().map(|entry| entry.name.as_str())
    }

    /// Names of the families of the minerals, in the order of their codes. A mineral without one is its own family.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.text.entry.iter().map(|entry| entry.family.as_deref().unwrap_or(&entry.name))
    }

    /// The widths of a record's bands, nm, at its wavelengths.
    pub(super) fn fwhm_nm(&self, key: &str, nm: &[f64]) -> Vec<f64> {
        let record = self.text.record.iter().find(|record| record.key == key);
        let of = |record: &Record| self.text.instrument.iter().find(|instrument| instrument.name == record.instrument);
        let known = record.and_then(of).map_or(&[][..], |instrument| &instrument.fwhm_nm);
        nm.iter().map(|nm| between(known, *nm)).collect()
    }

    /// Checks all that the form does not express.
    fn check(&self, table: bool, faults: &mut Vec<Fault>) {
        let mut must = |good: bool, path: String, problem: String| {
            if !good {
                faults.push(Fault::new(path, problem));
            }
        };
        let Text { name, limits, instrument, record, window, feature, entry, .. } = &self.text;
        must(is_name(name), "name".into(), "must be 1 to 64 of A-Z a-z 0-9 . _ - and not begin with a dot".into());
        must((0.0..1.0).contains(&limits.min_level), "limits.min_level".into(), "must be a reflectance from 0 to 1".into());
        must((0.0..=1000.0).contains(&limits.min_snr), "limits.min_snr".into(), "must be from 0 to 1000".into());
        must((1..=MOST_POWER).contains(&limits.fit_power), "limits.fit_power".into(), format!("must be from 1 to {MOST_POWER}"));
        must((1..=MOST_ENTRIES).contains(&entry.len()), "entry".into(), format!("give 1 to {MOST_ENTRIES} [[entry]] tables"));
        must(window.len() <= MOST_WINDOWS, "window".into(), format!("must be at most {MOST_WINDOWS} tables"));
        must(feature.len() <= MOST_WINDOWS, "feature".into(), format!("must be at most {MOST_WINDOWS} tables"));
        names("instrument", instrument.iter().map(|i| &i.name), &mut must);
        names("record", record.iter().map(|r| &r.key), &mut must);
        names("window", window.iter().map(|w| &w.name), &mut must);
        names("feature", feature.iter().map(|f| &f.name), &mut must);
        names("entry", entry.iter().map(|e| &e.name), &mut must);
        for (i, Instrument { fwhm_nm, .. }) in instrument.iter().enumerate() {
            let good = !fwhm_nm.is_empty()
                && fwhm_nm.iter().all(|[_, fwhm]| *fwhm > 0.0 && *fwhm <= 100.0)
                && fwhm_nm.windows(2).all(|pair| pair[0][0] < pair[1][0]);
            let problem = "must be pairs [wavelength, width] in nm by rising wavelength, with widths above 0 and at most 100";
            must(good, format!("instrument[{i}].fwhm_nm"), problem.into());
        }
        for (i, Record { key, instrument: name, .. }) in record.iter().enumerate() {
            let known = instrument.iter().any(|instrument| instrument.name == *name);
            must(known, format!("record[{i}].instrument"), format!("there is no [[instrument]] `{name}`"));
            let found = self.spectra.get(key);
            must(!table || found.is_some(), format!("record[{i}].key"), format!("the table of spectra has no column `{key}`"));
            let few = found.is_some_and(|spectrum| spectrum.nm.len() < 2);
            must(!few, format!("record[{i}].key"), format!("column `{key}` of the table of spectra has no values"));
        }
        let rising = |all: &[f64]| all.windows(2).all(|pair| pair[0] < pair[1]);
        let within = |all: &[f64]| all.iter().all(|nm| (RANGE_NM.0..=RANGE_NM.1).contains(nm));
        let order = format!("must be wavelengths from {} to {} nm, rising", RANGE_NM.0, RANGE_NM.1);
        for (i, window) in window.iter().enumerate() {
            let all = [window.left_nm, window.right_nm].concat();
            must(rising(&all) && within(&all), format!("window[{i}]"), format!("left_nm and right_nm, one behind the other, {order}"));
        }
        for (i, feature) in feature.iter().enumerate() {
            let at = |key: &str| format!("feature[{i}].{key}");
            must(rising(&feature.window_nm) && within(&feature.window_nm), at("window_nm"), order.clone());
            let [from, to] = feature.window_nm;
            let inside = feature.minimum_nm.is_none_or(|[a, b]| from <= a && a < b && b <= to);
            must(inside, at("minimum_nm"), format!("must be two wavelengths from {from} to {to} nm, rising"));
            must((0.0..1.0).contains(&feature.min_depth), at("min_depth"), "must be from 0 to 1".into());
            let distinct = feature.keep.iter().enumerate().all(|(k, figure)| !feature.keep[..k].contains(figure));
            must(!feature.keep.is_empty() && distinct, at("keep"), "must be one or more of position, depth, width, asymmetry, area".into());
        }
        for (i, one) in entry.iter().enumerate() {
            self.check_entry(i, one, &mut must);
        }
    }

    fn check_entry(&self, i: usize, entry: &Entry, must: &mut impl FnMut(bool, String, String)) {
        let at = |key: &str| format!("entry[{i}].{key}");
        let share = |value: f32| (0.0..=1.0).contains(&value);
        let Text { record, window, entry: all, .. } = &self.text;
        must(matches!(entry.group, 1 | 2), at("group"), "must be 1 (electronic) or 2 (vibrational)".into());
        must(entry.family.as_deref().is_none_or(is_name), at("family"), "must be a name like those of minerals".into());
        must(!entry.source.trim().is_empty(), at("source"), "must say where the thresholds come from".into());
        if let Some(reason) = &entry.not_identified {
            must(!reason.trim().is_empty(), at("not_identified"), "must say why".into());
            must(entry.window.is_empty(), at("window"), "an entry that is never identified has no windows".into());
            return;
        }
        let empty = "must be one or more; or say with `not_identified` why the mineral cannot be told";
        must(!entry.window.is_empty(), at("window"), empty.into());
        must(!entry.records.is_empty(), at("records"), empty.into());
        must(share(entry.min_fit), at("min_fit"), "must be from 0 to 1".into());
        must((0.0..1.0).contains(&entry.min_depth), at("min_depth"), "must be from 0 to 1".into());
        let counts = entry.window.iter().any(|w| !w.optional && w.weight > 0.0);
        must(counts, at("window"), "one window at least must have a weight above 0, and must not be optional".into());
        let mut keys = BTreeSet::new();
        for (k, key) in entry.records.iter().enumerate() {
            must(keys.insert(key), at(&format!("records[{k}]")), format!("`{key}` comes twice"));
            must(record.iter().any(|r| r.key == *key), at(&format!("records[{k}]")), format!("there is no [[record]] `{key}`"));
        }
        let mut windows = BTreeSet::new();
        for (k, used) in entry.window.iter().enumerate() {
            let at = |key: &str| format!("entry[{i}].window[{k}].{key}");
            must(windows.insert(&used.name), at("name"), format!("window `{}` comes twice", used.name));
            must((0.0..=1000.0).contains(&used.weight), at("weight"), "must be from 0 to 1000".into());
            must(share(used.min_fit), at("min_fit"), "must be from 0 to 1".into());
            must((0.0..1.0).contains(&used.min_depth), at("min_depth"), "must be from 0 to 1".into());
            for (key, range) in [("level", used.level), ("slope", used.slope)] {
                let good = range.is_none_or(|[least, most]| least >= 0.0 && least < most && most <= 1000.0);
                must(good, at(key), "must be a least and a larger value, from 0 to 1000".into());
            }
            let Some(window) = window.iter().find(|window| window.name == used.name) else {
                must(false, at("name"), format!("there is no [[window]] `{}`", used.name));
                continue;
            };
            for (key, spectrum) in entry.records.iter().filter_map(|key| Some((key, self.spectra.get(key)?))) {
                let (first, last) = spectrum.range_nm();
                let covers = first <= window.left_nm[0] && last >= window.right_nm[1];
                let [from, to] = [window.left_nm[0], window.right_nm[1]];
                let problem = format!("the spectrum `{key}` reaches from {first} to {last} nm; the window needs {from} to {to} nm");
                must(covers || spectrum.nm.is_empty(), at("name"), problem);
            }
        }
        for (k, not) in entry.not.iter().enumerate() {
            let at = |key: &str| format!("entry[{i}].not[{k}].{key}");
            must(share(not.min_fit), at("min_fit"), "must be from 0 to 1".into());
            must((0.0..1.0).contains(&not.min_depth), at("min_depth"), "must be from 0 to 1".into());
            must((0.0..=1000.0).contains(&not.min_ratio), at("min_ratio"), "must be from 0 to 1000".into());
            let other = all.iter().find(|other| other.name == not.entry);
            must(other.is_some() && not.entry != entry.name, at("entry"), format!("there is no other [[entry]] `{}`", not.entry));
            let shared = other.is_none_or(|other| other.window.iter().any(|window| window.name == not.window));
            must(shared, at("window"), format!("`{}` has no window `{}`", not.entry, not.window));
        }
    }
}

/// Names must be names, and each its own.
fn names<'a>(kind: &str, all: impl Iterator<Item = &'a String>, must: &mut impl FnMut(bool, String, String)) {
    let mut seen = BTreeMap::new();
    for (i, name) in all.enumerate() {
        let key = if kind == "record" { "key" } else { "name" };
        let path = format!("{kind}[{i}].{key}");
        must(is_name(name), path.clone(), format!("`{name}` must be 1 to 64 of A-Z a-z 0-9 . _ - and not begin with a dot"));
        if let Some(first) = seen.insert(name, i) {
            must(false, path, format!("`{name}` is the name of {kind}[{first}] already"));
        }
    }
}

/// The second number of `pairs` at `x`, interpolated. NaN without pairs.
fn between(pairs: &[[f64; 2]], x: f64) -> f64 {
    let at = pairs.partition_point(|[nm, _]| *nm <= x);
    match (at.checked_sub(1).and_then(|before| pairs.get(before)), pairs.get(at)) {
        (Some([x0, y0]), Some([x1, y1])) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (Some([_, y]), None) | (None, Some([_, y])) => *y,
        (None, None) => f64::NAN,
    }
}

/// SHA-256 of texts, each behind its length, lower-case hexadecimal.
fn hash(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
