//! `hyclus-console worklist`: the list of a laboratory becomes tray maps for `hyclus scan --tray`, without a browser.

use crate::state::{StateDir, StateError};
use crate::trays;
use hyclus::rig::WorklistRequest;
use hyclus::scan::{Fault, Tray};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Most bytes of a worklist, as of a call over HTTP.
const MOST_BYTES: u64 = 8 << 20;

/// A worklist does not become tray maps. No file was written then.
#[derive(Debug, thiserror::Error)]
pub enum WorklistError {
    /// The worklist cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The worklist is too large.
    #[error("{}: a worklist has at most {} MiB; split it", path.display(), MOST_BYTES >> 20)]
    Large {
        /// The file.
        path: PathBuf,
    },
    /// The preset cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no preset of that name.
    #[error("there is no preset `{name}`, and no tray map of that name in TOML or JSON; {}", kept(known))]
    NoPreset {
        /// Its name.
        name: String,
        /// Those that are kept.
        known: Vec<String>,
    },
    /// Faults of the worklist, or of its trays.
    #[error("{}: {} fault{}; nothing is written{}", path.display(), faults.len(), if faults.len() == 1 { "" } else { "s" }, listed(faults))]
    Faults {
        /// The file.
        path: PathBuf,
        /// All of them.
        faults: Vec<Fault>,
    },
    /// Files of those trays are there.
    #[error("{} there already; move them away, or name another folder", there(found))]
    There {
        /// The files.
        found: Vec<PathBuf>,
    },
    /// A map cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

fn listed(faults: &[Fault]) -> String {
    let line = |fault: &Fault| {
        if fault.path.is_empty() { format!("\n  {}", fault.problem) } else { format!("\n  {}: {}", fault.path, fault.problem) }
    };
    faults.iter().map(line).collect()
}

fn kept(known: &[String]) -> String {
    if known.is_empty() { "none is kept: keep one on the page Tray".to_owned() } else { format!("there are {}", known.join(", ")) }
}

fn there(found: &[PathBuf]) -> String {
    let names: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
    format!("{} {}", names.join(", "), if found.len() == 1 { "is" } else { "are" })
}

/// A tray map that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its file: `TRAY.json`.
    pub path: PathBuf,
    /// Its samples.
    pub samples: usize,
}

/// Writes a map into the folder `into` for each tray of the worklist `file`: CSV, or rows as JSON where its name ends so.
///
/// The preset of that name gives the places, or a tray map in that file.
///
/// # Errors
/// All faults of all trays at once. Nothing is written then, and no file is replaced.
pub fn write(dir: &StateDir, file: &Path, preset: Option<&str>, into: &Path) -> Result<Vec<Written>, WorklistError> {
    let tray = preset.map(|name| places(dir, name)).transpose()?;
    let maps = maps(&text(file)?, file, tray)?;
    let paths: Vec<(PathBuf, Value)> = maps.into_iter().map(|map| (into.join(format!("{}.json", name_of(&map))), map)).collect();
    let found: Vec<PathBuf> = paths.iter().map(|(path, _)| path.clone()).filter(|path| path.symlink_metadata().is_ok()).collect();
    if !found.is_empty() {
        return Err(WorklistError::There { found });
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| WorklistError::Write { path, source }
    };
    std::fs::create_dir_all(into).map_err(failed(into))?;
    let mut written = Vec::new();
    for (path, map) in paths {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed(&path))?;
        file.write_all(format!("{map:#}\n").as_bytes()).map_err(failed(&path))?;
        written.push(Written { samples: map["container"].as_array().map_or(0, Vec::len), path });
    }
    Ok(written)
}

/// A preset, or a tray map in a file.
fn places(dir: &StateDir, name: &str) -> Result<Value, WorklistError> {
    if let Some(tray) = trays::preset(dir, name)? {
        return Ok(tray);
    }
    let path = Path::new(name);
    if !path.is_file() || path.extension().is_none_or(|ending| ending != "toml" && ending != "json") {
        return Err(WorklistError::NoPreset { name: name.to_owned(), known: trays::names(dir) });
    }
    Tray::read_unchecked(path).map_err(|faults| WorklistError::Faults { path: path.to_owned(), faults })
}

fn text(path: &Path) -> Result<String, WorklistError> {
    let failed = |source| WorklistError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text)).map_err(failed)?;
    if read as u64 > MOST_BYTES {
        return Err(WorklistError::Large { path: path.to_owned() });
    }
    Ok(text)
}

/// The checked maps of a worklist.
fn maps(text: &str, path: &Path, tray: Option<Value>) -> Result<Vec<Value>, WorklistError> {
    let wrong = |faults| WorklistError::Faults { path: path.to_owned(), faults };
    let json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let rows = json.then(|| serde_json::from_str(text)).transpose();
    let rows = rows.map_err(|error| wrong(vec![Fault::new("", format!("is no list of rows in JSON: {error}"))]))?;
    let request = WorklistRequest { csv: (!json).then(|| text.to_owned()), rows, tray };
    let maps = request.maps().map_err(wrong)?;
    let mut faults = Vec::new();
    for map in &maps {
        let of = |fault: Fault| Fault::new(format!("{} {}", name_of(map), fault.path).trim_end(), fault.problem);
        faults.extend(Tray::check(map).err().into_iter().flatten().map(of));
    }
    if faults.is_empty() { Ok(maps) } else { Err(wrong(faults)) }
}

fn name_of(map: &Value) -> &str {
    map["tray"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    #[test]
    fn a_worklist_fills_the_places_of_a_preset_tray_by_tray() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(&folder.path().join("state")).unwrap();
        let places = [json!({"at": "A1"}), json!({"at": "A2"})];
        fs::create_dir(dir.path("trays")).unwrap();
        dir.write("trays/two.json", &json!({"tray": "T", "keys": [], "grid": {"rows": 1, "columns": 2}, "container": places})).unwrap();
        let list = folder.path().join("list.csv");
        fs::write(&list, "sample;plant\nore-1;P1\nore-2;P1\nore-3;P2\n").unwrap();
        let into = folder.path().join("maps");
        let written = write(&dir, &list, Some("two"), &into).unwrap();
        assert_eq!(written, [("T", 2), ("T-2", 1)].map(|(name, samples)| Written { path: into.join(format!("{name}.json")), samples }));
        let second: Value = serde_json::from_str(&fs::read_to_string(&written[1].path).unwrap()).unwrap();
        assert_eq!((&second["container"][0]["at"], &second["container"][0]["sample"]), (&json!("A1"), &json!("ore-3")));
        assert_eq!(Tray::read_unchecked(&written[0].path).map(|map| Tray::check(&map).is_ok()), Ok(true), "hyclus scan takes it");
        let again = write(&dir, &list, Some("two"), &into).unwrap_err().to_string();
        assert!(
            again.contains("T.json, ") && again.ends_with("T-2.json are there already; move them away, or name another folder"),
            "{again}"
        );
        let unknown = write(&dir, &list, Some("three"), &into).unwrap_err().to_string();
        assert_eq!(unknown, "there is no preset `three`, and no tray map of that name in TOML or JSON; there are two");
        assert!(matches!(write(&dir, &list, Some("../trays/two"), &into), Err(WorklistError::NoPreset { .. })));
        let map = folder.path().join("map.toml");
        fs::write(
            &map,
            "tray = \"F\"\nkeys = []\ngrid = { rows = 3, columns = 1 }\ncontainer = [{ at = \"A1\" }, { at = \"B1\" }, { at = \"C1\" }]\n",
        )
        .unwrap();
        let written = write(&dir, &list, map.to_str(), &into).unwrap();
        assert_eq!(written, [Written { path: into.join("F.json"), samples: 3 }]);
    }

    #[test]
    fn every_fault_of_every_tray_is_told_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(&folder.path().join("state")).unwrap();
        let into = folder.path().join("maps");
        let told = |name: &str, text: &str| {
            let list = folder.path().join(name);
            fs::write(&list, text).unwrap();
            let error = write(&dir, &list, None, &into).unwrap_err().to_string();
            assert!(!into.exists(), "{error}");
            error
        };
        let error = told("list.csv", "tray,sample,x_mm,y_mm,width_mm,length_mm\n../x,ore-1,0,0,40,30\nT2,a b,0,0,40,30\n");
        assert!(error.contains("2 faults; nothing is written\n  ../x tray: ") && error.contains("\n  T2 container[0].sample: "), "{error}");
        assert!(told("list.csv", "sample,at\nore-1,A1\n").contains("give [grid] rows and columns"));
        assert!(told("empty.csv", "").contains("the worklist has no row"));
        assert!(told("rows.json", "{").contains("1 fault; nothing is written\n  is no list of rows in JSON: "));
        assert!(told("rows.json", r#"[{"plant": "P1"}]"#).contains("rows[0]"));
        let gone = write(&dir, &folder.path().join("gone.csv"), None, &into).unwrap_err().to_string();
        assert!(gone.contains("gone.csv: cannot be read: "), "{gone}");
    }
}
