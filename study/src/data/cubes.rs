//! Cubes in our sample HDF5, and in the layout of the HIDSAG data set (10.1038/s41597-023-02061-x).

use super::error::DataError;
use super::gathered::{Gathered, Rows};
use hdf5::types::VarLenUnicode;
use ndarray::{Array2, s};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Lines that are read together.
const LINES: usize = 32;

/// An open file. Its errors name the file.
struct Reader<'a> {
    path: &'a Path,
    file: hdf5::File,
}

impl<'a> Reader<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        match hdf5::File::open(path) {
            Ok(file) => Ok(Self { path, file }),
            Err(e) => Err(DataError::Format { path: path.to_owned(), reason: e.to_string() }),
        }
    }

    fn dataset(&self, name: &str) -> Result<hdf5::Dataset, DataError> {
        self.file.dataset(name).map_err(|e| self.failed(name, &e))
    }

    fn failed(&self, name: &str, e: &hdf5::Error) -> DataError {
        DataError::Format { path: self.path.to_owned(), reason: format!("{name}: {e}") }
    }
}

/// Reads the valid pixels of one of our samples. As in the Parquet data set, these are finite pixels on the sample, with any flags.
pub(super) fn read_sample(path: &Path, labels: &[String], gathered: &mut Gathered) -> Result<(), DataError> {
    let reader = Reader::open(path)?;
    let cube = reader.dataset("entry/reflectance/reflectance")?;
    let read = |name: &str| -> Result<Array2<u8>, DataError> { reader.dataset(name)?.read_2d().map_err(|e| reader.failed(name, &e)) };
    let mask = read("entry/reflectance/mask")?;
    let name = "entry/reflectance/wavelength";
    let wavelengths_nm: Vec<f64> = reader.dataset(name)?.read_raw().map_err(|e| reader.failed(name, &e))?;
    gathered.begin(path, &wavelengths_nm)?;
    let about = reader.file.group("entry/sample").map_err(|e| reader.failed("entry/sample", &e))?;
    // The crate takes text for UTF-8 without a look at it. Its bytes are safe to take.
    let plain = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let text = |key: &str| about.dataset(key).and_then(|d| d.read_scalar::<VarLenUnicode>()).ok().map(|text| plain(text.as_bytes()));
    let sample = text("name").ok_or_else(|| DataError::Format { path: path.to_owned(), reason: "entry/sample/name is no text".into() })?;
    let found = || about.member_names().unwrap_or_default().iter().map(|name| plain(name.as_bytes())).collect();
    let of = labels.iter().map(|label| text(label).ok_or_else(|| no_label(path, label, found()))).collect::<Result<Vec<_>, _>>()?;
    let head = Head { path, sample: &sample, labels: &of, above: 0 };
    let lines = mask.nrows();
    for from in (0..lines).step_by(LINES) {
        let to = (from + LINES).min(lines);
        let part: ndarray::Array3<f32> = cube.read_slice(s![from..to, .., ..]).map_err(|e| reader.failed("reflectance", &e))?;
        head.push(from, &part, |line, pixel| mask[(line, pixel)] == 1, gathered)?;
    }
    Ok(())
}

fn no_label(path: &Path, label: &str, found: Vec<String>) -> DataError {
    DataError::NoLabel { path: path.to_owned(), label: label.to_owned(), found }
}

/// The sample of the lines that are read.
struct Head<'a> {
    path: &'a Path,
    sample: &'a str,
    labels: &'a [String],
    /// Number of lines of the sample's earlier crops.
    above: usize,
}

impl Head<'_> {
    /// Passes on the finite spectra that `takes` accepts, of lines from `from` on.
    fn push(
        &self,
        from: usize,
        part: &ndarray::Array3<f32>,
        takes: impl Fn(usize, usize) -> bool,
        gathered: &mut Gathered,
    ) -> Result<(), DataError> {
        let (mut heads, mut spectra) = (Vec::new(), Vec::new());
        for (i, line) in part.outer_iter().enumerate() {
            for (pixel, spectrum) in line.outer_iter().enumerate() {
                // Our cubes hold NaN where a pixel has no value.
                if takes(from + i, pixel) && spectrum.iter().all(|value| value.is_finite()) {
                    let labels = self.labels.iter().map(String::as_str).collect();
                    heads.push((self.sample, labels, (self.above + from + i) as i32, pixel as i32));
                    spectra.extend(spectrum.iter().copied());
                }
            }
        }
        gathered.push(self.path, &Rows { heads, spectra: &spectra })
    }
}

/// Reads a data set in the layout of HIDSAG. VNIR lies on the pixels of the SWIR camera. SWIR bands begin where VNIR ends.
pub(super) fn read_hidsag(folder: &Path, labels: &[String], gathered: &mut Gathered) -> Result<(), DataError> {
    let wavelengths = json(&folder.join("wavelengths.json"))?;
    let of = |key: &str| -> Vec<f64> { wavelengths[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect() };
    let (vnir, swir) = (of("wavelength_VNIR"), of("wavelength_SWIR"));
    let skip = vnir.last().map_or(0, |last| swir.partition_point(|nm| nm <= last));
    let joined: Vec<f64> = vnir.iter().chain(&swir[skip..]).copied().collect();
    let entries = std::fs::read_dir(folder).map_err(|source| DataError::Open { path: folder.to_owned(), source })?;
    let mut samples: Vec<_> =
        entries.filter_map(|entry| entry.ok().map(|e| e.path())).filter(|p| p.join("metadata.json").exists()).collect();
    samples.sort();
    for sample in samples {
        let path = sample.join("metadata.json");
        let about = json(&path)?;
        let name = about["sample_name"].as_str().unwrap_or_default().to_owned();
        let known = known_labels(&about);
        let found = || known.keys().cloned().collect();
        let of = labels.iter().map(|label| known.get(label).cloned().ok_or_else(|| no_label(&path, label, found())));
        let of = of.collect::<Result<Vec<_>, _>>()?;
        gathered.begin(&path, &joined)?;
        let mut above = 0;
        for crop in about["crops"].as_array().into_iter().flatten().filter_map(Value::as_object) {
            let Some(number) = crop.keys().find(|key| *key != "tags") else { continue };
            let head = Head { path: &path, sample: &name, labels: &of, above };
            above += read_crop(&sample.join(number), skip, &head, gathered)?;
        }
    }
    Ok(())
}

/// Reads one crop, and returns its number of lines.
fn read_crop(folder: &Path, skip: usize, head: &Head<'_>, gathered: &mut Gathered) -> Result<usize, DataError> {
    let (low, high) = (folder.join("vnir_low.h5"), folder.join("swir_low.h5"));
    let (vnir, swir) = (Reader::open(&low)?, Reader::open(&high)?);
    let (left, right) = (vnir.dataset("hsi_data")?, swir.dataset("hsi_data")?);
    let (a, b) = (left.shape(), right.shape());
    if a.len() != 3 || b.len() != 3 || a[..2] != b[..2] {
        let reason = format!("hsi_data is {a:?} in vnir_low.h5 and {b:?} in swir_low.h5; lines and pixels should agree");
        return Err(DataError::Format { path: folder.to_owned(), reason });
    }
    for from in (0..a[0]).step_by(LINES) {
        let to = (from + LINES).min(a[0]);
        let vnir: ndarray::Array3<f32> = left.read_slice(s![from..to, .., ..]).map_err(|e| vnir.failed("hsi_data", &e))?;
        let swir: ndarray::Array3<f32> = right.read_slice(s![from..to, .., skip..]).map_err(|e| swir.failed("hsi_data", &e))?;
        let part = ndarray::concatenate(ndarray::Axis(2), &[vnir.view(), swir.view()]);
        let part = part.map_err(|e| DataError::Format { path: folder.to_owned(), reason: e.to_string() })?;
        head.push(from, &part, |_, _| true, gathered)?;
    }
    Ok(a[0])
}

/// The possible labels: the numbers of `vars`, and the tags of the first crop. Tags have no names, and become `tag1`, `tag2` and so on.
fn known_labels(about: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let vars = about["vars"].as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value)));
    let tags = about["crops"][0]["tags"].as_array().into_iter().flatten().enumerate();
    vars.chain(tags.map(|(i, tag)| (format!("tag{}", i + 1), text(tag)))).collect()
}

fn json(path: &Path) -> Result<Value, DataError> {
    let text = std::fs::read(path).map_err(|source| DataError::Open { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|e| DataError::Format { path: path.to_owned(), reason: e.to_string() })
}
