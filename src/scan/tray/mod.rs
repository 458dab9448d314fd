//! The tray map: which sample lies in which container.

mod map_schema;
mod places;
mod worklist;

pub use map_schema::map_schema;
pub use worklist::{rows_of_csv, trays_of};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One fault of a tray map or a configuration, with its path in the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{}{problem}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct Fault {
    /// The path of the faulty key: `container[3].sample`.
    pub path: String,
    /// The problem and its remedy.
    pub problem: String,
}

impl Fault {
    /// A fault at a path.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

/// A regular tray: containers in rows along the belt and columns across it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Grid {
    /// Rows along the belt. The cameras see row A first.
    pub rows: usize,
    /// Columns across the belt. Column 1 lies at x = 0.
    pub columns: usize,
}

/// A container's place on the tray, where the map gives one. Lengths are in mm, from the tray's leading edge (y) and the side x = 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Footprint {
    /// Left edge. A round container has that of its bounding box.
    pub x_mm: f64,
    /// Leading edge.
    pub y_mm: f64,
    /// Extent across the belt.
    pub width_mm: f64,
    /// Extent along the belt.
    pub length_mm: f64,
    /// Whether the container is round (`diameter_mm`).
    pub round: bool,
}

impl Footprint {
    /// Whether a point (mm) lies inside the footprint.
    pub fn contains(&self, x_mm: f64, y_mm: f64) -> bool {
        let (u, v) = ((x_mm - self.x_mm) / self.width_mm, (y_mm - self.y_mm) / self.length_mm);
        if self.round { (u - 0.5).hypot(v - 0.5) <= 0.5 } else { (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) }
    }
}

/// A container and the sample in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// The place's name: row letter and column number on a regular tray (`A1`), else the running number (`1`).
    pub at: String,
    /// Row and column, from 0, on a regular tray.
    pub cell: Option<(usize, usize)>,
    /// The container's place, where the map gives one.
    pub footprint: Option<Footprint>,
    /// Height of what lies in it, mm, where it is not that of the tray (`scan.tray_height_mm`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height_mm: Option<f64>,
    /// The sample's name.
    pub sample: String,
    /// The values of the sample keys, by key.
    pub keys: BTreeMap<String, String>,
    /// Optional numbers of the container, carried through to its results.
    pub vars: BTreeMap<String, f64>,
}

/// A checked tray map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tray {
    /// Name of the tray.
    pub tray: String,
    /// The sample keys that every container gives.
    pub keys: Vec<String>,
    /// The regular layout, where the tray has one.
    pub grid: Option<Grid>,
    /// The containers.
    pub containers: Vec<Container>,
}

/// Whether a name may become part of a path: `[A-Za-z0-9._-]{1,64}`, not starting with a dot.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether a key of a container has a meaning of its own, and so is no sample key.
pub fn is_reserved(key: &str) -> bool {
    RESERVED.contains(&key)
}

/// Most rows of a regular tray: one for each letter.
const MOST_ROWS: usize = 26;
/// Most columns of a regular tray.
const MOST_COLUMNS: usize = 99;
/// Most containers of a map: a full regular tray.
const MOST_CONTAINERS: usize = MOST_ROWS * MOST_COLUMNS;
/// Most sample keys, and most numbers of a container.
const MOST_KEYS: usize = 64;
/// Longest value of a sample key and longest name of a number, bytes.
const LONGEST: usize = 256;
/// Farthest edge of a place from the tray's leading edge and from its side, mm. No belt is longer or wider.
const FARTHEST_MM: f64 = 10_000.0;
/// Largest height of a container, up or down, mm.
const HIGHEST_MM: f64 = 1000.0;
/// Distance by which a measured place may begin before the tray does, mm.
const MEASURED_MM: f64 = 0.5;
/// Most faults in one report.
const MOST_FAULTS: usize = 100;

const NAME_RULE: &str = "must be 1 to 64 of A-Z a-z 0-9 . _ - and not begin with a dot";
/// Keys of a container that are not sample keys.
const RESERVED: [&str; 9] = ["at", "sample", "x_mm", "y_mm", "width_mm", "length_mm", "diameter_mm", "height_mm", "vars"];
/// Columns of the Parquet data set that a sample key would hide.
const COLUMNS: [&str; 14] = [
    "sample",
    "container",
    "line",
    "pixel",
    "x_mm",
    "y_mm",
    "time",
    "time_ns",
    "quality",
    "embedding",
    "novelty",
    "spectrum",
    "scan",
    "tray",
];

impl Tray {
    /// Most bytes of a tray map file.
    pub const MOST_BYTES: u64 = 4 << 20;

    /// Reads a tray map file: TOML, or JSON where its name ends in `.json`.
    ///
    /// # Errors
    /// Every fault of the map with its path, or one fault when the file is not readable, TOML or JSON.
    pub fn read(path: &Path) -> Result<Self, Vec<Fault>> {
        Self::check(&Self::read_unchecked(path)?)
    }

    /// Reads a tray map file as it is written.
    ///
    /// # Errors
    /// One fault when the file is too large, or is not readable, TOML or JSON.
    pub fn read_unchecked(path: &Path) -> Result<Value, Vec<Fault>> {
        let fault = |problem: String| vec![Fault::new(path.display().to_string(), problem)];
        let text = contract::read_regular_text(path, Self::MOST_BYTES).map_err(|e| fault(format!("cannot be read: {e}")))?;
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
            crate::json::parse(text.as_bytes()).map_err(|e| fault(format!("is not JSON: {e}")))
        } else {
            toml::from_str::<Value>(&text).map_err(|e| fault(format!("is not TOML: {}", e.message())))
        }
    }

    /// Checks a tray map.
    ///
    /// # Errors
    /// Every fault of the map at once, each with its path.
    pub fn check(value: &Value) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let tray = parse(value, &mut faults);
        match tray {
            Some(tray) if faults.is_empty() => Ok(tray),
            _ => {
                let more = faults.len().saturating_sub(MOST_FAULTS);
                faults.truncate(MOST_FAULTS);
                if more > 0 {
                    faults.push(Fault::new("", format!("and {more} more")));
                }
                Err(faults)
            }
        }
    }
}

fn parse(value: &Value, faults: &mut Vec<Fault>) -> Option<Tray> {
    let Some(map) = value.as_object() else {
        faults.push(Fault::new("", "a tray map is a table with tray, keys, grid and container"));
        return None;
    };
    for key in map.keys() {
        if !["tray", "keys", "grid", "container"].contains(&key.as_str()) {
            faults.push(Fault::new(key, "unknown key; a tray map has tray, keys, grid and container"));
        }
    }
    let tray = text(map, "tray", "tray", faults);
    if let Some(tray) = &tray
        && !is_name(tray)
    {
        faults.push(Fault::new("tray", format!("`{tray}` {NAME_RULE}")));
    }
    let keys = sample_keys(map, faults);
    let grid = map.get("grid").and_then(|grid| parse_grid(grid, faults));
    let mut containers = Vec::new();
    match map.get("container").map(|c| c.as_array()) {
        Some(Some(list)) if list.len() > MOST_CONTAINERS => {
            faults.push(Fault::new("container", format!("a tray has at most {MOST_CONTAINERS} containers, and this one {}", list.len())));
        }
        Some(Some(list)) if !list.is_empty() => {
            for (i, entry) in list.iter().enumerate() {
                containers.extend(parse_container(entry, i, &keys, grid, faults));
            }
        }
        Some(Some(_)) | None => faults.push(Fault::new("container", "give at least one [[container]]")),
        Some(None) => faults.push(Fault::new("container", "must be a list of tables: write [[container]]")),
    }
    unique(&containers, faults);
    places::overlaps(&containers, faults);
    // A place that is given wrongly is given all the same.
    let entries = || map.get("container").and_then(Value::as_array).into_iter().flatten();
    let placed = entries().filter(|entry| ["x_mm", "y_mm"].iter().any(|key| entry.get(key).is_some())).count();
    if placed != 0 && placed != entries().count() {
        faults.push(Fault::new("container", "either every container has x_mm and y_mm, or none has"));
    }
    Some(Tray { tray: tray?, keys, grid, containers })
}

fn sample_keys(map: &Map<String, Value>, faults: &mut Vec<Fault>) -> Vec<String> {
    let Some(value) = map.get("keys") else { return Vec::new() };
    let Some(list) = value.as_array() else {
        faults.push(Fault::new("keys", "must be a list of names, such as [\"plant\", \"month\", \"size\"]"));
        return Vec::new();
    };
    if list.len() > MOST_KEYS {
        faults.push(Fault::new("keys", format!("there are at most {MOST_KEYS} sample keys, and here {}", list.len())));
        return Vec::new();
    }
    let mut keys: Vec<String> = Vec::new();
    for (i, key) in list.iter().enumerate() {
        match key.as_str() {
            Some(key) if !is_name(key) => faults.push(Fault::new(format!("keys[{i}]"), format!("`{key}` {NAME_RULE}"))),
            Some(key) if RESERVED.contains(&key) || COLUMNS.contains(&key) => {
                faults.push(Fault::new(format!("keys[{i}]"), format!("`{key}` is taken; choose another name")));
            }
            Some(key) if keys.iter().any(|k| k == key) => faults.push(Fault::new(format!("keys[{i}]"), format!("`{key}` is given twice"))),
            Some(key) => keys.push(key.to_owned()),
            None => faults.push(Fault::new(format!("keys[{i}]"), "must be a string")),
        }
    }
    keys
}

fn parse_grid(value: &Value, faults: &mut Vec<Fault>) -> Option<Grid> {
    let Some(map) = value.as_object() else {
        faults.push(Fault::new("grid", "must be a table with rows and columns"));
        return None;
    };
    for key in map.keys() {
        if !["rows", "columns"].contains(&key.as_str()) {
            faults.push(Fault::new(format!("grid.{key}"), "unknown key; a grid has rows and columns"));
        }
    }
    let mut count = |key: &str, most: usize| match map.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()) {
        Some(n) if (1..=most).contains(&n) => Some(n),
        _ => {
            faults.push(Fault::new(format!("grid.{key}"), format!("must be a whole number from 1 to {most}")));
            None
        }
    };
    let (rows, columns) = (count("rows", MOST_ROWS), count("columns", MOST_COLUMNS));
    Some(Grid { rows: rows?, columns: columns? })
}

fn parse_container(value: &Value, i: usize, keys: &[String], grid: Option<Grid>, faults: &mut Vec<Fault>) -> Option<Container> {
    let here = |key: &str| format!("container[{i}].{key}");
    let Some(map) = value.as_object() else {
        faults.push(Fault::new(format!("container[{i}]"), "must be a table"));
        return None;
    };
    for key in map.keys() {
        if !RESERVED.contains(&key.as_str()) && !keys.contains(key) {
            faults.push(Fault::new(here(key), "unknown key; name it in `keys` if it is a sample key"));
        }
    }
    let sample = text(map, "sample", &here("sample"), faults);
    if let Some(sample) = &sample
        && !is_name(sample)
    {
        faults.push(Fault::new(here("sample"), format!("`{sample}` {NAME_RULE}")));
    }
    let mut given = BTreeMap::new();
    for key in keys {
        match map.get(key) {
            Some(Value::String(value)) if !value.is_empty() && is_line(value) => drop(given.insert(key.clone(), value.clone())),
            Some(Value::Number(value)) => drop(given.insert(key.clone(), value.to_string())),
            Some(_) => faults.push(Fault::new(here(key), format!("must be a string of 1 to {LONGEST} bytes without control characters"))),
            None => faults.push(Fault::new(here(key), "is missing: every container gives each of `keys`")),
        }
    }
    let footprint = footprint(map, &here, faults);
    let cell = match (map.get("at"), grid) {
        (Some(Value::String(at)), Some(grid)) => match cell(at, grid) {
            Some(cell) => Some(cell),
            None => {
                let last = char::from(b'A' + u8::try_from(grid.rows - 1).unwrap_or(25));
                faults.push(Fault::new(here("at"), format!("`{at}` is no place of the tray: A1 to {last}{}", grid.columns)));
                None
            }
        },
        (Some(Value::String(at)), None) => {
            faults.push(Fault::new(here("at"), format!("`{at}` names a place of a regular tray: give [grid] rows and columns")));
            None
        }
        (Some(_), _) => {
            faults.push(Fault::new(here("at"), "must be a string such as \"A1\""));
            None
        }
        (None, _) => None,
    };
    if map.get("at").is_none() && footprint.is_none() && !["x_mm", "y_mm"].iter().any(|k| map.contains_key(*k)) {
        faults.push(Fault::new(here("at"), "is missing: say where the container lies, by `at` or by x_mm and y_mm"));
    }
    let height_mm = map.get("height_mm").and_then(|value| {
        let height_mm = value.as_f64().filter(|mm| mm.abs() <= HIGHEST_MM);
        if height_mm.is_none() {
            faults.push(Fault::new(here("height_mm"), format!("must be a number within {HIGHEST_MM} mm")));
        }
        height_mm
    });
    let mut vars = BTreeMap::new();
    match map.get("vars") {
        None => {}
        Some(Value::Object(table)) if table.len() > MOST_KEYS => {
            faults.push(Fault::new(here("vars"), format!("there are at most {MOST_KEYS} numbers, and here {}", table.len())));
        }
        Some(Value::Object(table)) => {
            for (key, value) in table {
                match value.as_f64() {
                    _ if !is_line(key) => {
                        let problem = format!("the name of a number has at most {LONGEST} bytes and no control characters");
                        faults.push(Fault::new(here("vars"), problem));
                    }
                    Some(value) if value.is_finite() => drop(vars.insert(key.clone(), value)),
                    _ => faults.push(Fault::new(here(&format!("vars.{key}")), "must be a number")),
                }
            }
        }
        Some(_) => faults.push(Fault::new(here("vars"), "must be a table of numbers")),
    }
    let at = cell.map_or_else(|| (i + 1).to_string(), |(row, column)| place(row, column));
    Some(Container { at, cell, footprint, height_mm, sample: sample?, keys: given, vars })
}

/// Whether a text fits into one line of a file as it is.
fn is_line(text: &str) -> bool {
    text.len() <= LONGEST && !text.chars().any(char::is_control)
}

fn footprint(map: &Map<String, Value>, here: &dyn Fn(&str) -> String, faults: &mut Vec<Fault>) -> Option<Footprint> {
    if !["x_mm", "y_mm", "width_mm", "length_mm", "diameter_mm"].iter().any(|k| map.contains_key(*k)) {
        return None;
    }
    // An edge beyond any belt is not told twice, as a place and as an extent.
    let mut number = |key: &str, least: f64, words: &str| match map.get(key).and_then(Value::as_f64) {
        Some(n) if n > least && n <= FARTHEST_MM => Some(n),
        Some(n) => {
            let bound = if n > FARTHEST_MM { format!("at most {FARTHEST_MM}: no belt is larger") } else { words.to_owned() };
            faults.push(Fault::new(here(key), format!("is {n:?}, and must be {bound} (mm)")));
            None
        }
        None => {
            let problem = "must be a number (mm): a footprint is x_mm, y_mm and width_mm, length_mm or diameter_mm";
            faults.push(Fault::new(here(key), problem));
            None
        }
    };
    let mut place = |key: &str| number(key, (-MEASURED_MM).next_down(), "on the tray, which begins at 0");
    let (x, y) = (place("x_mm"), place("y_mm"));
    let mut size = |key: &str| number(key, 0.0, "more than 0");
    let round = map.contains_key("diameter_mm");
    let (w, l) = match round {
        true => {
            let d = size("diameter_mm");
            (d, d)
        }
        false => (size("width_mm"), size("length_mm")),
    };
    if round && (map.contains_key("width_mm") || map.contains_key("length_mm")) {
        faults.push(Fault::new(here("diameter_mm"), "a container is round (diameter_mm) or rectangular (width_mm, length_mm), not both"));
    }
    let place = Footprint { x_mm: x?, y_mm: y?, width_mm: w?, length_mm: l?, round };
    for (key, end) in [("x_mm", place.x_mm + place.width_mm), ("y_mm", place.y_mm + place.length_mm)] {
        if end > FARTHEST_MM {
            faults.push(Fault::new(here(key), format!("the place ends at {end:?} mm, and no belt is larger than {FARTHEST_MM} mm")));
        }
    }
    Some(place)
}

fn unique(containers: &[Container], faults: &mut Vec<Fault>) {
    let (mut samples, mut places) = (BTreeSet::new(), BTreeSet::new());
    for (i, container) in containers.iter().enumerate() {
        // Some file systems treat two names that differ only in case as one file.
        if !samples.insert(container.sample.to_lowercase()) {
            faults.push(Fault::new(format!("container[{i}].sample"), format!("`{}` lies in two containers", container.sample)));
        }
        if container.cell.is_some() && !places.insert(&container.at) {
            faults.push(Fault::new(format!("container[{i}].at"), format!("`{}` holds two samples", container.at)));
        }
    }
}

fn text(map: &Map<String, Value>, key: &str, path: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match map.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            faults.push(Fault::new(path, "must be a string"));
            None
        }
        None => {
            faults.push(Fault::new(path, "is missing"));
            None
        }
    }
}

/// Row and column of a place's name. `A1` is (0, 0).
fn cell(at: &str, grid: Grid) -> Option<(usize, usize)> {
    let mut chars = at.chars();
    let row = chars.next().filter(char::is_ascii_uppercase)? as usize - 'A' as usize;
    let digits = chars.as_str();
    let column: usize = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'))?;
    (row < grid.rows && column >= 1 && column <= grid.columns).then(|| (row, column - 1))
}

/// The name of a place: row letter and column number.
fn place(row: usize, column: usize) -> String {
    format!("{}{}", char::from(b'A' + u8::try_from(row).unwrap_or(25)), column + 1)
}

#[cfg(test)]
mod tests;
