//! Search and loading of ONNX Runtime.

use super::EncoderError;
use crate::sync::lock;
use ort::environment::Environment;
use ort::logging::LogLevel;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const FILE: &str = "libonnxruntime.so";
const VARIABLE: &str = "ORT_DYLIB_PATH";
const SYSTEM: &str = "/usr/lib/hyclus";

/// The process's only environment. ONNX Runtime allows no second one, not even after the first was dropped.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The process's ONNX Runtime. The first call loads it. Later calls get the same one, even if they name another library.
///
/// # Errors
/// The library was not found or cannot be loaded.
pub(super) fn environment(library: Option<&Path>) -> Result<Environment, EncoderError> {
    let mut slot = lock(&ENVIRONMENT);
    if let Some(environment) = &*slot {
        return Ok(environment.clone());
    }
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let path = find(library, std::env::var_os(VARIABLE), beside.as_deref())?;
    let failed = |reason: String| EncoderError::LibraryLoad { path: path.clone(), reason };
    let environment = ort::init_from(&path)
        .map_err(|e| failed(e.to_string()))?
        .with_name("hyclus")
        .with_telemetry(false)
        // Failures come back as errors. ONNX Runtime's other messages are for debugging.
        .with_logger(Arc::new(|level: LogLevel, category: &str, _: &str, place: &str, message: &str| {
            tracing::debug!(target: "onnxruntime", ?level, category, place, "{message}");
        }))
        .build()
        .map_err(|e| failed(e.to_string()))?;
    environment.set_log_level(LogLevel::Warning);
    tracing::debug!(library = %path.display(), "loaded ONNX Runtime");
    Ok(slot.insert(environment).clone())
}

/// The library that the configuration names, else the one that the environment names. Without either, the folder of the executable
/// and the system's folder are searched.
///
/// A named library must exist, because another one might give other results.
fn find(library: Option<&Path>, variable: Option<OsString>, beside: Option<&Path>) -> Result<PathBuf, EncoderError> {
    if let Some(path) = library.map(Path::to_owned).or_else(|| variable.filter(|v| !v.is_empty()).map(PathBuf::from)) {
        let found = if path.is_dir() { in_folder(&path) } else { path.exists().then(|| path.clone()) };
        return found.ok_or(EncoderError::LibraryMissing { tried: vec![path] });
    }
    let folders: Vec<&Path> = beside.into_iter().chain([Path::new(SYSTEM)]).collect();
    match folders.iter().find_map(|folder| in_folder(folder)) {
        Some(path) => Ok(path),
        None => {
            let places = folders.iter().map(|folder| folder.join(FILE));
            Err(EncoderError::LibraryMissing {
                tried: [PathBuf::from("encoder.library (not set)"), PathBuf::from("ORT_DYLIB_PATH (not set)")]
                    .into_iter()
                    .chain(places)
                    .collect(),
            })
        }
    }
}

/// The `libonnxruntime.so` of a folder, else the last `libonnxruntime.so.VERSION` by name.
fn in_folder(folder: &Path) -> Option<PathBuf> {
    let exact = folder.join(FILE);
    if exact.exists() {
        return Some(exact);
    }
    let versioned = format!("{FILE}.");
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries.map(|entry| entry.path()).filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&versioned))).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_looked_for_in_order() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, name) in [(&a, "libonnxruntime.so.1.9.0"), (&a, "libonnxruntime.so"), (&b, "libonnxruntime.so.1.32.0")] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let named = b.path().join("libonnxruntime.so.1.32.0");
        assert_eq!(find(Some(&named), Some("/none".into()), Some(a.path())).unwrap(), named);
        assert_eq!(find(None, Some(named.clone().into()), Some(a.path())).unwrap(), named);
        assert_eq!(find(None, Some("".into()), Some(b.path())).unwrap(), named);
        assert_eq!(find(None, None, Some(a.path())).unwrap(), a.path().join("libonnxruntime.so"));
    }

    #[test]
    fn a_missing_library_is_told_with_the_places_and_the_way_out() {
        let empty = tempfile::tempdir().unwrap();
        let text = find(Some(&empty.path().join("gone.so")), None, None).unwrap_err().to_string();
        assert!(text.contains("gone.so") && text.contains("make setup"), "{text}");
        if !Path::new(SYSTEM).exists() {
            let text = find(None, None, Some(empty.path())).unwrap_err().to_string();
            for part in ["encoder.library", "ORT_DYLIB_PATH", &empty.path().display().to_string(), SYSTEM, "make setup"] {
                assert!(text.contains(part), "{part} is not in: {text}");
            }
        }
    }
}
