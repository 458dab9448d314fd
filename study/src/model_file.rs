//! The files of a model: `model.json`, which is replaced as a whole, and the curve of its training.

use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// The name of the file that describes a model.
const DESCRIPTION: &str = "model.json";

/// Why a model's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// A model's file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A model's file is not valid.
    #[error("{path} is no model of this version: {reason}; remove its folder and train again")]
    Description {
        /// The file's path.
        path: PathBuf,
        /// The fault, in words.
        reason: String,
    },
}

impl ModelFileError {
    /// For an error of the system about a file.
    pub(crate) fn of(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// The model of a folder is none.
    pub(crate) fn not_a_model(folder: &Path, reason: impl Into<String>) -> Self {
        Self::Description { path: folder.join(DESCRIPTION), reason: reason.into() }
    }

    /// The training of a folder did not finish.
    pub(crate) fn unfinished(folder: &Path) -> Self {
        Self::not_a_model(folder, "its training did not finish")
    }
}

/// Reads the model of a folder. `None` where there is none.
pub(crate) fn read<T: DeserializeOwned>(folder: &Path) -> Result<Option<T>, ModelFileError> {
    let path = folder.join(DESCRIPTION);
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| ModelFileError::not_a_model(folder, e.to_string())),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ModelFileError::File { path, source }),
    }
}

/// Writes the model of a folder, which is made where it is missing. The model before stays until the new one is whole.
pub(crate) fn write(folder: &Path, text: serde_json::Result<Vec<u8>>) -> Result<(), ModelFileError> {
    std::fs::create_dir_all(folder).map_err(ModelFileError::of(folder))?;
    let (path, fresh) = (folder.join(DESCRIPTION), folder.join("model.json.new"));
    let text = text.map_err(|e| ModelFileError::of(&fresh)(e.into()))?;
    std::fs::write(&fresh, text).map_err(ModelFileError::of(&fresh))?;
    std::fs::rename(&fresh, &path).map_err(ModelFileError::of(&path))
}

/// Writes the curve of a training.
pub(crate) fn write_curve(folder: &Path, curve: String) -> Result<(), ModelFileError> {
    let path = folder.join("curve.csv");
    std::fs::write(&path, curve).map_err(ModelFileError::of(&path))
}
