//! Models that were put in the place of configured ones while the daemon ran.

use crate::config::EncoderConfig;
use crate::disk::{create_folders, remove_whole, sync_folders, write_whole};
use std::io;
use std::path::{Path, PathBuf};

/// Folder of these models under a data root.
const FOLDER: &str = "encoders";

/// The model file that an encoder runs: the one in the place of the configured one, else the configured one.
pub fn model_file(data_dir: &Path, wanted: &EncoderConfig) -> PathBuf {
    let replaced = place(data_dir, &wanted.name);
    // A place that cannot be looked at is no reason to run another model than asked for. Reading it says what is wrong.
    if replaced.try_exists().unwrap_or(true) { replaced } else { wanted.model.clone() }
}

/// Place of the model that replaces the configured one of the encoder `name`, whether there is one or not.
pub fn place(data_dir: &Path, name: &str) -> PathBuf {
    data_dir.join(FOLDER).join(format!("{name}.onnx"))
}

/// Puts a model's bytes into the place of the encoder `name`: whole and durable, or not at all.
///
/// # Errors
/// The disk does not take it. The model before it stays.
pub fn replace(data_dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = place(data_dir, name);
    let folder = data_dir.join(FOLDER);
    create_folders(&folder, data_dir)?;
    write_whole(&path, bytes).and_then(|()| sync_folders(&folder, data_dir))
}

/// Removes the model that replaces the configured one of the encoder `name`. Gives whether there was one.
///
/// # Errors
/// It cannot be removed.
pub fn restore(data_dir: &Path, name: &str) -> io::Result<bool> {
    remove_whole(&place(data_dir, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_replaced_whole_and_restored() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let wanted = EncoderConfig { name: "trial".into(), model: "/models/a.onnx".into(), ..crate::encode::fixture::config(8) };
        assert_eq!(model_file(data, &wanted), Path::new("/models/a.onnx"));
        assert!(!restore(data, "trial").unwrap());
        for bytes in [b"one".as_slice(), b"two"] {
            replace(data, "trial", bytes).unwrap();
            assert_eq!(std::fs::read(model_file(data, &wanted)).unwrap(), bytes);
        }
        assert_eq!(std::fs::read_dir(data.join(FOLDER)).unwrap().count(), 1, "nothing else is left");
        assert!(restore(data, "trial").unwrap());
        assert_eq!(model_file(data, &wanted), Path::new("/models/a.onnx"));
    }

    #[test]
    fn what_cannot_be_put_there_leaves_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        replace(data, "main", b"one").unwrap();
        // A folder in the way of the part.
        std::fs::create_dir(data.join(FOLDER).join(".main.onnx.part")).unwrap();
        assert!(replace(data, "main", b"two").is_err());
        assert_eq!(std::fs::read(place(data, "main")).unwrap(), b"one");
    }
}
