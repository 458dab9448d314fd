//! A sample's HDF5 file, open for reading.

use super::schema::{self, attribute, entry, sample};
use crate::scan::NewerFormat;
use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, File, Group, H5Type};
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
    /// A later version of the program wrote the file.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// The text about a file cannot be written.
    #[error("the text cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

/// An open HDF5 file whose errors say where they happened.
pub(crate) struct Reading {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

impl Reading {
    /// Opens a file whose format this program reads.
    ///
    /// # Errors
    /// The file is no HDF5, or is of a newer format.
    pub(crate) fn open(path: &Path) -> Result<Self, SampleError> {
        let reading = Self::open_any(path)?;
        reading.check_format()?;
        Ok(reading)
    }

    /// Opens a file of any format, of which only the tree can be relied on.
    ///
    /// # Errors
    /// The file is no HDF5.
    pub(crate) fn open_any(path: &Path) -> Result<Self, SampleError> {
        let file = File::open(path).map_err(|source| SampleError::Hdf5 { file: path.into(), path: "/".into(), source })?;
        Ok(Self { file, path: path.into() })
    }

    /// Refuses a newer format. The policy stands in [`schema`].
    ///
    /// # Errors
    /// The format is newer, or its version is no number.
    pub(crate) fn check_format(&self) -> Result<(), SampleError> {
        let names = self.at("/", self.file.attr_names())?;
        if !names.iter().any(|name| name == attribute::FORMAT_VERSION) {
            return Ok(());
        }
        let version = self.file.attr(attribute::FORMAT_VERSION).and_then(|attribute| attribute.read_scalar::<i64>());
        let version = self.at(&format!("/@{}", attribute::FORMAT_VERSION), version)?;
        Ok(NewerFormat::check(&self.path, version.unsigned_abs(), schema::FORMAT_VERSION)?)
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

    /// An attribute of a group that is a list of strings. It is empty where the group has no such attribute.
    fn texts(&self, path: &str, name: &str) -> Result<Vec<String>, SampleError> {
        let group = self.group(path)?;
        let names = self.at(path, group.attr_names())?;
        if !names.iter().any(|n| n == name) {
            return Ok(Vec::new());
        }
        let texts = group.attr(name).and_then(|a| a.read_raw::<VarLenUnicode>());
        Ok(self.at(&format!("{path}@{name}"), texts)?.iter().map(ToString::to_string).collect())
    }

    /// The sample keys and their values.
    pub(crate) fn keys(&self) -> Result<BTreeMap<String, String>, SampleError> {
        let keys = self.texts(&schema::path([entry::SAMPLE]), sample::KEYS)?;
        keys.into_iter().map(|key| self.text(&schema::path([entry::SAMPLE, &sample::key(&key)])).map(|v| (key, v))).collect()
    }

    /// The sample's name, its container, tray and scan.
    pub(crate) fn names(&self) -> Result<[String; 4], SampleError> {
        let name = |name: &str| self.text(&schema::path([entry::SAMPLE, name]));
        let scan = || self.text(&schema::path([entry::IDENTIFIER]));
        Ok([name(sample::NAME)?, name(sample::CONTAINER)?, name(sample::TRAY)?, scan()?])
    }

    /// What is doubtful about the sample.
    pub(crate) fn doubts(&self) -> Result<Vec<String>, SampleError> {
        self.texts(&schema::path([entry::SAMPLE]), sample::DOUBTS)
    }

    /// The numbers of the tray map.
    pub(crate) fn vars(&self) -> Result<BTreeMap<String, f64>, SampleError> {
        let path = schema::path([entry::SAMPLE, sample::VARS]);
        if !self.group(&schema::path([entry::SAMPLE]))?.link_exists(sample::VARS) {
            return Ok(BTreeMap::new());
        }
        let vars = self.group(&path)?;
        let names = self.at(&path, vars.attr_names())?;
        let numbers = names.into_iter().filter(|name| name != attribute::CLASS).map(|name| {
            let value = vars.attr(&name).and_then(|a| a.read_scalar());
            self.at(&format!("{path}@{name}"), value).map(|value| (name, value))
        });
        numbers.collect()
    }
}
