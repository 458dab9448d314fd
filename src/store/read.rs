//! Reading a sample's HDF5 file.

use super::StoredSample;
use super::stored_sample::CUBE;
use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, File, Group, H5Type};
use ndarray::{Array2, Array3};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file could not be read as HDF5, or not as a sample.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The HDF5 library refused, or something is not there.
    #[error("{}: {path}: {source}; is it a sample file, and whole?", file.display())]
    Hdf5 {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        path: String,
        /// What the library said.
        source: hdf5::Error,
    },
    /// What was read could not be shown.
    #[error("the text cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

/// A sample as its file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleData {
    /// Name of the sample.
    pub name: String,
    /// The container it lay in.
    pub container: String,
    /// The tray.
    pub tray: String,
    /// The scan.
    pub scan: String,
    /// The sample keys of the tray map.
    pub keys: BTreeMap<String, String>,
    /// The numbers of the tray map.
    pub vars: BTreeMap<String, f64>,
    /// What is doubtful about it.
    pub doubts: Vec<String>,
    /// Reflectance `[line][pixel][band]`, NaN where there is no value.
    pub reflectance: Array3<f32>,
    /// 1 where the pixel lies on the sample, `[line][pixel]`.
    pub mask: Array2<u8>,
    /// Quality flags `[line][pixel]`, see [`crate::calibrate::Quality`].
    pub quality: Array2<u8>,
    /// Line centres along the tray, mm.
    pub line_mm: Vec<f64>,
    /// Pixel centres across the tray, mm.
    pub pixel_mm: Vec<f64>,
    /// Band centres, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Band widths at half maximum, nm.
    pub fwhm_nm: Vec<f64>,
    /// When each line was seen, ns since 1970-01-01T00:00:00Z.
    pub time_ns: Vec<i64>,
}

/// An open HDF5 file whose errors say where they happened.
pub(crate) struct Reading {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

impl Reading {
    pub(crate) fn open(path: &Path) -> Result<Self, SampleError> {
        let file = File::open(path).map_err(|source| SampleError::Hdf5 { file: path.into(), path: "/".into(), source })?;
        Ok(Self { file, path: path.into() })
    }

    pub(crate) fn at<T>(&self, path: &str, result: hdf5::Result<T>) -> Result<T, SampleError> {
        result.map_err(|source| SampleError::Hdf5 { file: self.path.clone(), path: path.into(), source })
    }

    pub(crate) fn dataset(&self, path: &str) -> Result<Dataset, SampleError> {
        self.at(path, self.file.dataset(path))
    }

    pub(crate) fn list<T: H5Type>(&self, path: &str) -> Result<Vec<T>, SampleError> {
        self.at(path, self.file.dataset(path).and_then(|d| d.read_raw()))
    }

    pub(crate) fn text(&self, path: &str) -> Result<String, SampleError> {
        let text = self.file.dataset(path).and_then(|d| d.read_scalar::<VarLenUnicode>());
        self.at(path, text).map(|text| text.to_string())
    }

    pub(crate) fn group(&self, path: &str) -> Result<Group, SampleError> {
        self.at(path, self.file.group(path))
    }

    /// A list of strings of a group's attributes, empty where there is no such attribute.
    fn texts(&self, path: &str, name: &str) -> Result<Vec<String>, SampleError> {
        let group = self.group(path)?;
        let names = self.at(path, group.attr_names())?;
        if !names.iter().any(|n| n == name) {
            return Ok(Vec::new());
        }
        let texts = group.attr(name).and_then(|a| a.read_raw::<VarLenUnicode>());
        Ok(self.at(&format!("{path}@{name}"), texts)?.iter().map(ToString::to_string).collect())
    }

    /// The sample keys and where each is written.
    pub(crate) fn keys(&self) -> Result<BTreeMap<String, String>, SampleError> {
        let keys = self.texts("/entry/sample", "keys")?;
        keys.into_iter().map(|key| self.text(&format!("/entry/sample/{}", crate::store::key_name(&key))).map(|v| (key, v))).collect()
    }

    /// Name, container, tray and scan.
    pub(crate) fn names(&self) -> Result<[String; 4], SampleError> {
        let name = |name: &str| self.text(&format!("/entry/sample/{name}"));
        Ok([name("name")?, name("container")?, name("tray")?, self.text("/entry/entry_identifier")?])
    }

    /// What is doubtful about the sample.
    pub(crate) fn doubts(&self) -> Result<Vec<String>, SampleError> {
        self.texts("/entry/sample", "doubts")
    }

    /// The numbers of the tray map.
    pub(crate) fn vars(&self) -> Result<BTreeMap<String, f64>, SampleError> {
        let path = "/entry/sample/vars";
        if !self.group("/entry/sample")?.link_exists("vars") {
            return Ok(BTreeMap::new());
        }
        let vars = self.group(path)?;
        let names = self.at(path, vars.attr_names())?;
        let numbers = names.into_iter().filter(|name| name != "NX_class").map(|name| {
            let value = vars.attr(&name).and_then(|a| a.read_scalar());
            self.at(&format!("{path}@{name}"), value).map(|value| (name, value))
        });
        numbers.collect()
    }
}

/// Reads a sample's file whole: the cube must fit into memory.
///
/// # Errors
/// Where the file is no HDF5, or lacks something; the message says where.
pub fn read_sample(path: &Path) -> Result<SampleData, SampleError> {
    let StoredSample { reading, cube, mask, quality, line_mm, pixel_mm, wavelengths_nm, fwhm_nm, time_ns } = StoredSample::open(path)?;
    let [name, container, tray, scan] = reading.names()?;
    Ok(SampleData {
        name,
        container,
        tray,
        scan,
        keys: reading.keys()?,
        vars: reading.vars()?,
        doubts: reading.doubts()?,
        reflectance: reading.at(CUBE, cube.read())?,
        mask,
        quality,
        line_mm,
        pixel_mm,
        wavelengths_nm,
        fwhm_nm,
        time_ns,
    })
}
