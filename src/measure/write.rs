//! Measured figures, written into the configuration. Its comments and its order stay.

use crate::config::Loaded;
use toml_edit::{DocumentMut, Item, Table, TomlError, Value};

/// The configuration cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct WriteError {
    /// The configuration file.
    path: String,
    /// The reason.
    reason: String,
}

/// Changes the tables of cameras, which come with their names, and writes the configuration file.
///
/// # Errors
/// The configuration has no `[[camera]]` tables, a change fails with its reason, or the file cannot be written.
pub(crate) fn cameras(loaded: &Loaded, change: impl Fn(&str, &mut Table) -> Result<(), String>) -> Result<(), WriteError> {
    let fail = |reason| failed(loaded, reason);
    let mut document = document(loaded)?;
    let cameras = document.get_mut("camera").and_then(Item::as_array_of_tables_mut);
    let Some(cameras) = cameras else { return Err(fail("write the cameras as [[camera]] tables".into())) };
    for camera in cameras.iter_mut() {
        let name = camera.get("name").and_then(Item::as_str).unwrap_or_default().to_owned();
        change(&name, camera).map_err(fail)?;
    }
    write(loaded, &document)
}

/// Puts a value into `references.panel`, and writes the configuration file. A comment behind the value stays.
///
/// # Errors
/// The configuration has no table `references.panel`, or the file cannot be written.
pub(super) fn panel(loaded: &Loaded, key: &str, value: impl Into<Value>) -> Result<(), WriteError> {
    let fail = |reason| failed(loaded, reason);
    let mut document = document(loaded)?;
    let item = document.get_mut("references").and_then(|references| references.get_mut("panel"));
    let Some(item) = item else { return Err(fail("write the white panel as references.panel".into())) };
    put(item, key, value.into()).map_err(|_| fail("references.panel is no table".into()))?;
    write(loaded, &document)
}

fn failed(loaded: &Loaded, reason: String) -> WriteError {
    WriteError { path: loaded.path.display().to_string(), reason }
}

fn document(loaded: &Loaded) -> Result<DocumentMut, WriteError> {
    loaded.text.parse().map_err(|error: TomlError| failed(loaded, error.to_string()))
}

fn write(loaded: &Loaded, document: &DocumentMut) -> Result<(), WriteError> {
    let part = loaded.path.with_extension("toml.part");
    let write = || std::io::Write::write_all(&mut crate::disk::create_over(&part)?, document.to_string().as_bytes());
    write().and_then(|()| std::fs::rename(&part, &loaded.path)).map_err(|e| failed(loaded, format!("cannot be written: {e}")))
}

/// Puts a value into `camera.correction`. A comment behind the value stays.
pub(crate) fn correction(camera: &mut Table, key: &str, value: impl Into<Value>) -> Result<(), String> {
    let item = camera.entry("correction").or_insert_with(|| toml_edit::value(toml_edit::InlineTable::new()));
    put(item, key, value.into()).map_err(|()| "camera.correction is no table".to_owned())
}

/// Puts a value into a table or an inline table.
fn put(item: &mut Item, key: &str, mut value: Value) -> Result<(), ()> {
    let Some(table) = item.as_table_like_mut() else { return Err(()) };
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    match table.get_mut(key) {
        Some(item) => *item = Item::Value(value),
        None => {
            table.insert(key, Item::Value(value));
            // The space before the closing brace belongs to the last value.
            item.as_inline_table_mut().into_iter().for_each(toml_edit::InlineTable::fmt);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_is_put_in_and_everything_else_stays() {
        let put = |text: &str| {
            let mut document: DocumentMut = text.parse().unwrap();
            let camera = document["camera"].as_array_of_tables_mut().unwrap().get_mut(0).unwrap();
            correction(camera, "stray_light", 0.004).map(|()| document.to_string())
        };
        let new = put("[[camera]]\nname = \"a\" # first\n\n[camera.device]\nbits = 12\n").unwrap();
        assert_eq!(new, "[[camera]]\nname = \"a\" # first\ncorrection = { stray_light = 0.004 }\n\n[camera.device]\nbits = 12\n");
        let table = "[[camera]]\nname = \"a\"\n[camera.correction]\n# Of May.\nstray_light = 0.1 # by hand\nsmile_nm = 1.0\n";
        assert_eq!(put(table).unwrap(), table.replace("0.1", "0.004"));
        let inline = "[[camera]]\ncorrection = { smile_nm = 1.0 }\n";
        assert_eq!(put(inline).unwrap(), "[[camera]]\ncorrection = { smile_nm = 1.0, stray_light = 0.004 }\n");
        assert!(put("[[camera]]\ncorrection = 3\n").is_err());
    }
}
