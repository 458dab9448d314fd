//! Reads a configuration and reports every fault at once.

use super::Config;
use crate::scan::Fault;
pub(super) use crate::toml_text::parse;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A faulty configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {} fault(s)\n{}", path.display(), faults.len(), faults.iter().map(|f| format!("  {f}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// The configuration file.
    pub path: PathBuf,
    /// Every fault, with its key's path.
    pub faults: Vec<Fault>,
}

/// A configuration that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration. Its paths are absolute or relative to the working directory.
    pub config: Config,
    /// The file it was read from.
    pub path: PathBuf,
    /// The text of the file.
    pub text: String,
    /// SHA-256 of its text, lower-case hexadecimal.
    pub sha256: String,
}

/// Most bytes of a configuration.
const MOST_BYTES: u64 = 4 << 20;

impl Loaded {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// Every fault at once, each with its key's path, or one fault when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = contract::read_regular_text(path, MOST_BYTES)
            .map_err(|e| ConfigError { path: path.to_owned(), faults: vec![Fault::new("", format!("cannot be read: {e}"))] })?;
        Self::from_text(text, path)
    }

    /// Checks the text of a configuration that was read from `path` earlier.
    ///
    /// # Errors
    /// Every fault at once, each with its key's path.
    pub fn from_text(text: String, path: &Path) -> Result<Self, ConfigError> {
        let fail = |faults| ConfigError { path: path.to_owned(), faults };
        let mut config: Config = parse(&text).map_err(fail)?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        let mut faults = Vec::new();
        for (i, _) in config.camera.iter().enumerate().filter(|(_, camera)| config.scan.square_pixels && camera.frame_rate_hz != 0.0) {
            faults.push(Fault::new(format!("camera[{i}].frame_rate_hz"), "is computed with scan.square_pixels: leave it out"));
        }
        // The limits of other devices are known only when they are opened.
        if config.scan.square_pixels
            && let Some(limits) = config.known_limits()
        {
            match config.plan_square(&limits) {
                Ok(plan) => config.follow(plan),
                Err(error) => faults.push(Fault::new("scan.square_pixels", error.to_string())),
            }
        }
        faults.extend(config.faults());
        if !faults.is_empty() {
            return Err(fail(faults));
        }
        let sha256 = Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { config, path: path.to_owned(), text, sha256 })
    }
}
