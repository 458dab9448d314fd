//! The recording of a scan, processed again into a folder of its own.

use super::child::Ended;
use super::compare;
use super::work::{OUT, Outcome, Running, bytes_below};
use crate::data::answer::Refusal;
use crate::data::place;
use hyclus::inspect::SampleView;
use hyclus::scan::{ScanRecord, is_name};
use serde_json::json;
use std::ffi::OsString;
use std::path::Path;

impl Running<'_> {
    pub(super) fn process(&self, scan: &str) -> Outcome {
        match self.prepared(scan) {
            Ok((record, arguments)) => {
                let all = bytes_below(&self.data.root.join("scans").join(scan).join("samples"));
                let processed = match self.hyclus(&arguments, all, true) {
                    // A scan that was incomplete is so again.
                    Ended::Code(0 | 1, said) => serde_json::from_str::<ScanRecord>(&said.out).map_err(|_| Ended::Code(1, said)),
                    other => Err(other),
                };
                match processed {
                    Ok(again) => match compare::compare(self, &record, &again) {
                        Ok(message) => Outcome::Done(message),
                        Err(why) => Outcome::Failed(why),
                    },
                    Err(ended) => ended.failed(),
                }
            }
            Err(why) => Outcome::Failed(why),
        }
    }

    /// Writes configuration and tray map beside the result, and gives the arguments.
    fn prepared(&self, scan: &str) -> Result<(ScanRecord, Vec<OsString>), String> {
        let record = place::record(&self.data.root, scan).map_err(Refusal::into_detail)?;
        let folder = place::scan_folder(&self.data.root, scan).map_err(Refusal::into_detail)?;
        let first = place::stored_samples(&folder).into_iter().next();
        let first = first
            .ok_or("the scan has no stored sample, which would hold its configuration; use `hyclus process` with the configuration")?;
        let stored = self.data.sample(scan, &first).map_err(Refusal::into_detail)?;
        let text = SampleView::of(&stored).configuration().map_err(|error| error.to_string())?;
        let write = |name: &str, text: &str| {
            let path = self.folder.join(name);
            std::fs::write(&path, text).map_err(|error| format!("{} cannot be written: {error}", path.display())).map(|()| path)
        };
        let config = write("rig.toml", &resolved(&text, &self.data.configuration_dir)?)?;
        let tray = write("tray.json", &tray_map(&record).to_string())?;
        let mut arguments: Vec<OsString> =
            vec!["--json".into(), "process".into(), "--config".into(), config.into(), "--tray".into(), tray.into()];
        for camera in record.cameras.keys().filter(|camera| is_name(camera)) {
            let capture = folder.join("raw").join(camera);
            if !std::fs::symlink_metadata(&capture).is_ok_and(|about| about.is_dir()) {
                return Err(format!("the scan has no raw recording of {camera}; only scans with scan.record can be processed again"));
            }
            let mut value = OsString::from(format!("{camera}="));
            value.push(capture);
            arguments.extend(["--capture".into(), value]);
        }
        arguments.extend(["--out".into(), self.folder.join(OUT).into()]);
        Ok((record, arguments))
    }
}

/// The tray map of a record, as it is written in a file.
fn tray_map(record: &ScanRecord) -> serde_json::Value {
    let containers = record.tray.containers.iter().map(|container| {
        let mut map = serde_json::Map::new();
        if container.cell.is_some() {
            map.insert("at".into(), json!(container.at));
        }
        map.insert("sample".into(), json!(container.sample));
        map.extend(container.keys.iter().map(|(key, value)| (key.clone(), json!(value))));
        if let Some(place) = &container.footprint {
            map.extend([("x_mm".into(), json!(place.x_mm)), ("y_mm".into(), json!(place.y_mm))]);
            if place.round {
                map.insert("diameter_mm".into(), json!(place.width_mm));
            } else {
                map.extend([("width_mm".into(), json!(place.width_mm)), ("length_mm".into(), json!(place.length_mm))]);
            }
        }
        map.extend(container.height_mm.map(|mm| ("height_mm".to_owned(), json!(mm))));
        if !container.vars.is_empty() {
            map.insert("vars".into(), json!(container.vars));
        }
        serde_json::Value::Object(map)
    });
    let mut map = json!({"tray": record.tray.tray, "keys": record.tray.keys, "container": containers.collect::<Vec<_>>()});
    if let (Some(grid), Some(map)) = (record.tray.grid, map.as_object_mut()) {
        map.insert("grid".into(), json!({"rows": grid.rows, "columns": grid.columns}));
    }
    map
}

/// A configuration whose relative paths of files lead to where they are.
fn resolved(text: &str, folder: &Path) -> Result<String, String> {
    let mut table: toml::Table = text.parse().map_err(|error| format!("the configuration in the scan cannot be read: {error}"))?;
    let mut changed = false;
    table.iter_mut().for_each(|(_, value)| resolve(value, folder, &mut changed));
    if !changed {
        return Ok(text.to_owned());
    }
    toml::to_string(&table).map_err(|error| format!("the configuration in the scan cannot be written: {error}"))
}

fn resolve(value: &mut toml::Value, folder: &Path, changed: &mut bool) {
    match value {
        toml::Value::String(text) if text.contains(['/', '.']) && !Path::new(text).is_absolute() => {
            let path = folder.join(&*text);
            if let (true, Some(path)) = (path.is_file(), path.to_str()) {
                path.clone_into(text);
                *changed = true;
            }
        }
        toml::Value::Array(list) => list.iter_mut().for_each(|value| resolve(value, folder, changed)),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| resolve(value, folder, changed)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_configuration_are_found_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.onnx"), "").unwrap();
        let same = "# kept\n[encoder]\nmodel = \"gone.onnx\"\n";
        assert_eq!(resolved(same, folder.path()).unwrap(), same);
        let text = resolved("[encoder]\nmodel = \"model.onnx\"\nbatch = 3\n", folder.path()).unwrap();
        assert!(text.contains(folder.path().to_str().unwrap()) && text.contains("batch = 3"), "{text}");
    }
}
