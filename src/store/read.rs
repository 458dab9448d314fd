//! A sample's HDF5 file, open for reading.

use crate::hdf::{self, File, Follow, Number, Object, Values};
use crate::scan::NewerFormat;
use crate::schema::{self, attribute, entry, sample};
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
        /// What is wrong.
        source: hdf::Error,
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
        let reading = Self::open_any(path, Follow::Inside)?;
        reading.check_format()?;
        Ok(reading)
    }

    /// Opens a file of any format, of which only the tree can be relied on.
    ///
    /// # Errors
    /// The file is no HDF5.
    pub(crate) fn open_any(path: &Path, follow: Follow) -> Result<Self, SampleError> {
        let file = File::open(path, follow).map_err(|source| SampleError::Hdf5 { file: path.into(), path: "/".into(), source })?;
        Ok(Self { file, path: path.into() })
    }

    /// Refuses a newer format. The policy stands in [`schema`].
    ///
    /// # Errors
    /// The format is newer, or its version is no number.
    pub(crate) fn check_format(&self) -> Result<(), SampleError> {
        let at = format!("/@{}", attribute::FORMAT_VERSION);
        let Some(version) = self.at(&at, self.file.root().named(attribute::FORMAT_VERSION))? else { return Ok(()) };
        let version = self.at(&at, version.number::<i64>())?;
        Ok(NewerFormat::check(&self.path, version.unsigned_abs(), schema::FORMAT_VERSION)?)
    }

    pub(crate) fn at<T>(&self, path: &str, result: hdf::Result<T>) -> Result<T, SampleError> {
        result.map_err(|source| SampleError::Hdf5 { file: self.path.clone(), path: path.into(), source })
    }

    pub(crate) fn object(&self, path: &str) -> Result<Object, SampleError> {
        self.at(path, self.file.object(path))
    }

    pub(crate) fn dataset(&self, path: &str) -> Result<Values, SampleError> {
        self.at(path, self.file.object(path).and_then(Object::values))
    }

    pub(crate) fn list<T: Number>(&self, path: &str) -> Result<Vec<T>, SampleError> {
        self.at(path, self.dataset(path)?.numbers())
    }

    pub(crate) fn number<T: Number>(&self, path: &str) -> Result<T, SampleError> {
        self.at(path, self.dataset(path)?.number())
    }

    pub(crate) fn text(&self, path: &str) -> Result<String, SampleError> {
        let texts = self.at(path, self.dataset(path)?.texts())?;
        let [text] = <[String; 1]>::try_from(texts).map_err(|texts| self.odd(path, format!("it has {} texts", texts.len())))?;
        Ok(text)
    }

    /// The error for something that is not as it should be.
    pub(crate) fn odd(&self, path: &str, why: String) -> SampleError {
        SampleError::Hdf5 { file: self.path.clone(), path: path.into(), source: hdf::Error::new(why) }
    }

    /// An attribute of a group that is a list of strings. It is empty where the group has no such attribute.
    fn texts(&self, path: &str, name: &str) -> Result<Vec<String>, SampleError> {
        let texts = self.object(path)?.named(name).and_then(|found| found.map_or_else(|| Ok(Vec::new()), |values| values.texts()));
        self.at(&format!("{path}@{name}"), texts)
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
        let sample = schema::path([entry::SAMPLE]);
        if !self.at(&sample, self.object(&sample)?.has(sample::VARS))? {
            return Ok(BTreeMap::new());
        }
        let vars = self.object(&path)?;
        let (names, _) = self.at(&path, vars.attributes())?;
        let numbers = names.into_iter().filter(|name| name.to_bytes() != attribute::CLASS.as_bytes()).map(|name| {
            let value = vars.attribute(&name).and_then(|values| values.number());
            let name = name.to_string_lossy().into_owned();
            self.at(&format!("{path}@{name}"), value).map(|value| (name, value))
        });
        numbers.collect()
    }
}
