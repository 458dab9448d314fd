//! A worklist: the samples that are to be scanned, as a laboratory's system lists them. It becomes tray maps.

use super::{Fault, MOST_CONTAINERS, RESERVED, is_name};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most rows of a worklist.
const MOST_ENTRIES: usize = 10_000;
/// Beginning of a column that holds numbers of a sample.
const VAR: &str = "vars.";
/// Columns of numbers that describe a place.
const NUMBERS: [&str; 6] = ["x_mm", "y_mm", "width_mm", "length_mm", "diameter_mm", "height_mm"];
/// Name of a tray that the worklist does not name.
const TRAY: &str = "tray";

/// Reads a worklist in CSV. The first row names the columns.
///
/// # Errors
/// The text is not CSV, or has too many rows. The fault has the line.
pub fn rows_of_csv(text: &str) -> Result<Vec<Map<String, Value>>, Vec<Fault>> {
    // Spreadsheets of some countries part columns by semicolons.
    let head = text.lines().next().unwrap_or("");
    let delimiter = [b';', b'\t', b','].into_iter().max_by_key(|c| head.bytes().filter(|b| b == c).count()).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let wrong = |error: &csv::Error| {
        let line = error.position().map_or_else(String::new, |at| format!("line {}", at.line()));
        vec![Fault::new(line, format!("is not CSV: {error}"))]
    };
    let columns = reader.headers().map_err(|error| wrong(&error))?.clone();
    let named = |name: &&str| !name.is_empty() && columns.iter().filter(|other| other == name).count() > 1;
    if let Some(twice) = columns.iter().find(named) {
        return Err(vec![Fault::new("line 1", format!("two columns are named `{twice}`; give each its own name"))]);
    }
    let mut rows = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(&error))?;
        if number >= MOST_ENTRIES {
            return Err(vec![Fault::new("", format!("a worklist has at most {MOST_ENTRIES} rows; split it"))]);
        }
        let cells = columns.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
        let row: Map<String, Value> = cells.map(|(column, cell)| (column.to_owned(), Value::from(cell))).collect();
        if !row.is_empty() {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The tray maps of a worklist. They are not checked yet: see [`Tray::check`](super::Tray::check).
///
/// Each row has a `sample`, and may have `tray`, `at`, places in mm, numbers as `vars.NAME`, and any sample keys. The map `preset` gives the
/// places: a row without `at` takes the next free one, and the next tray begins where all are taken.
///
/// # Errors
/// A row that cannot be laid on a tray, each with its path.
pub fn trays_of(rows: &[Map<String, Value>], preset: Option<&Value>) -> Result<Vec<Value>, Vec<Fault>> {
    if rows.is_empty() {
        return Err(vec![Fault::new("", "the worklist has no row")]);
    }
    if rows.len() > MOST_ENTRIES {
        return Err(vec![Fault::new("", format!("a worklist has at most {MOST_ENTRIES} rows; split it"))]);
    }
    let places: Vec<&Map<String, Value>> =
        preset.and_then(|map| map.get("container")).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).collect();
    let name = preset.and_then(|map| map.get(TRAY)).and_then(Value::as_str).unwrap_or(TRAY);
    let mut faults = Vec::new();
    let mut trays: Vec<Sheet> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let wanted = row.get(TRAY).map(text);
        let at = row.get("at").map(text);
        let fits = |sheet: &Sheet| wanted.as_ref().is_none_or(|wanted| *wanted == sheet.name) && sheet.takes(at.as_deref(), &places);
        let sheet = match trays.iter().rposition(fits) {
            Some(sheet) => sheet,
            None => {
                let name = wanted.clone().unwrap_or_else(|| numbered(name, &trays));
                if trays.iter().any(|sheet| sheet.name == name) {
                    let problem = at.as_ref().map_or_else(
                        || format!("tray `{name}` has no free place; it has {}", places.len()),
                        |at| format!("`{at}` of tray `{name}` is taken, or no place of the preset"),
                    );
                    faults.push(Fault::new(format!("rows[{number}]"), problem));
                    continue;
                }
                trays.push(Sheet { name, ..Sheet::default() });
                trays.len() - 1
            }
        };
        trays[sheet].lay(number, row, at.as_deref(), &places, &mut faults);
    }
    if !faults.is_empty() {
        faults.truncate(super::MOST_FAULTS);
        return Err(faults);
    }
    let grid = preset.and_then(|map| map.get("grid")).cloned();
    Ok(trays.into_iter().map(|sheet| sheet.map(grid.as_ref())).collect())
}

/// The name of the next tray.
fn numbered(name: &str, trays: &[Sheet]) -> String {
    let taken = |name: &String| trays.iter().any(|sheet| sheet.name == *name);
    (1..).map(|n| if n == 1 { name.to_owned() } else { format!("{name}-{n}") }).find(|name| !taken(name)).unwrap_or_default()
}

/// A cell as text.
fn text(cell: &Value) -> String {
    cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)
}

/// A tray that is being filled.
#[derive(Debug, Default)]
struct Sheet {
    name: String,
    keys: BTreeSet<String>,
    containers: Vec<Map<String, Value>>,
    /// Places of the preset that are taken, by `at`.
    taken: BTreeSet<String>,
}

impl Sheet {
    fn takes(&self, at: Option<&str>, places: &[&Map<String, Value>]) -> bool {
        match at {
            Some(at) => !self.taken.contains(at),
            None if places.is_empty() => self.containers.len() < MOST_CONTAINERS,
            None => self.free(places).is_some(),
        }
    }

    /// The next free place of the preset.
    fn free<'a>(&self, places: &[&'a Map<String, Value>]) -> Option<&'a Map<String, Value>> {
        let free = |place: &&&Map<String, Value>| place.get("at").is_none_or(|at| !self.taken.contains(&text(at)));
        // Places without a name are taken in their order.
        places.iter().filter(|place| place.get("at").is_some()).find(free).copied().or_else(|| {
            let nameless: Vec<_> = places.iter().filter(|place| place.get("at").is_none()).collect();
            nameless.get(self.containers.len()).map(|place| **place)
        })
    }

    /// Lays one row of the worklist on the tray.
    fn lay(&mut self, number: usize, row: &Map<String, Value>, at: Option<&str>, places: &[&Map<String, Value>], faults: &mut Vec<Fault>) {
        let place = match at {
            Some(at) => places.iter().find(|place| place.get("at").map(text).as_deref() == Some(at)).copied(),
            None => self.free(places),
        };
        let reserved = |key: &str| RESERVED.contains(&key);
        let mut container: Map<String, Value> = place
            .into_iter()
            .flatten()
            .filter(|(key, _)| reserved(key) && *key != "sample" && *key != "vars")
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if let Some(at) = at {
            container.insert("at".into(), at.into());
        }
        let mut vars = Map::new();
        for (column, cell) in row.iter().filter(|(column, _)| *column != TRAY && *column != "at") {
            let path = || format!("rows[{number}].{column}");
            let number_of =
                |cell: &Value| cell.as_f64().or_else(|| text(cell).trim().replace(',', ".").parse().ok()).filter(|n: &f64| n.is_finite());
            if let Some(name) = column.strip_prefix(VAR) {
                match number_of(cell) {
                    Some(value) => _ = vars.insert(name.to_owned(), json!(value)),
                    None => faults.push(Fault::new(path(), format!("`{}` is not a number", text(cell)))),
                }
            } else if NUMBERS.contains(&column.as_str()) {
                match number_of(cell) {
                    Some(value) => _ = container.insert(column.clone(), json!(value)),
                    None => faults.push(Fault::new(path(), format!("`{}` is not a number", text(cell)))),
                }
            } else if column == "vars" && cell.is_object() {
                vars.extend(cell.as_object().cloned().unwrap_or_default());
            } else if column == "sample" || is_name(column) {
                if column != "sample" {
                    self.keys.insert(column.clone());
                }
                container.insert(column.clone(), text(cell).into());
            } else {
                faults.push(Fault::new(path(), format!("`{column}` cannot be a sample key; use letters, digits, . _ and -")));
            }
        }
        if !container.contains_key("sample") {
            faults.push(Fault::new(format!("rows[{number}].sample"), "is missing; each row names its sample"));
        }
        if !vars.is_empty() {
            container.insert("vars".into(), Value::Object(vars));
        }
        self.taken.extend(container.get("at").map(text));
        self.containers.push(container);
    }

    fn map(self, grid: Option<&Value>) -> Value {
        let keys: BTreeMap<&str, Value> =
            [(TRAY, Value::from(self.name)), ("keys", Value::from_iter(self.keys)), ("container", Value::from_iter(self.containers))]
                .into();
        let mut map: Map<String, Value> = keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        if let Some(grid) = grid {
            map.insert("grid".into(), grid.clone());
        }
        Value::Object(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Tray;

    fn of_csv(text: &str, preset: Option<&Value>) -> Result<Vec<Value>, Vec<Fault>> {
        trays_of(&rows_of_csv(text)?, preset)
    }

    fn preset() -> Value {
        json!({"tray": "T", "grid": {"rows": 1, "columns": 3}, "container": [
            {"at": "A1", "sample": "x", "plant": "old", "x_mm": 0.0, "y_mm": 0.0, "diameter_mm": 20.0},
            {"at": "A2", "sample": "y", "x_mm": 30.0, "y_mm": 0.0, "diameter_mm": 20.0},
            {"at": "A3", "sample": "z", "x_mm": 60.0, "y_mm": 0.0, "diameter_mm": 20.0},
        ]})
    }

    #[test]
    fn rows_fill_the_places_of_a_preset_and_go_on_with_the_next_tray() {
        let csv = "sample,plant,at,vars.cu\nS1,north,,0.8\nS2,north,A1,\nS3,south,,1.1\nS4,south,,\n";
        let trays = of_csv(csv, Some(&preset())).unwrap();
        let laid: Vec<_> = trays
            .iter()
            .flat_map(|tray| tray["container"].as_array().unwrap())
            .map(|c| (c["sample"].as_str().unwrap(), c["at"].as_str().unwrap(), c["x_mm"].as_f64().unwrap()))
            .collect();
        // S2 asks for A1, which S1 has on the first tray.
        assert_eq!(laid, [("S1", "A1", 0.0), ("S2", "A1", 0.0), ("S3", "A2", 30.0), ("S4", "A3", 60.0)]);
        assert_eq!(trays.iter().map(|tray| tray["tray"].as_str().unwrap()).collect::<Vec<_>>(), ["T", "T-2"]);
        assert_eq!(trays[0]["container"][0]["vars"]["cu"], 0.8);
        for tray in &trays {
            let checked = Tray::check(tray).unwrap();
            assert_eq!(checked.keys, ["plant"]);
        }
    }

    #[test]
    fn semicolons_and_marks_of_spreadsheets_are_read() {
        let trays = of_csv("\u{feff}tray;at;sample;month\r\nK1;A1;S 1;2026-11\r\nK2;A1;S2;2026-12\r\n", None).unwrap();
        assert_eq!(trays.len(), 2);
        // Empty columns at the end have no names.
        assert_eq!(of_csv("sample,,\nS1,,\n", Some(&preset())).unwrap().len(), 1);
        assert_eq!(trays[1], json!({"tray": "K2", "keys": ["month"], "container": [{"at": "A1", "sample": "S2", "month": "2026-12"}]}));
    }

    #[test]
    fn what_cannot_be_laid_is_told_with_its_row() {
        for (csv, path, says) in [
            ("plant\nnorth\n", "rows[0].sample", "missing"),
            ("sample,tray\n1,K\n2,K\n3,K\n4,K\n", "rows[3]", "no free place"),
            ("sample,tray,at\n1,K,A1\n2,K,A1\n", "rows[1]", "taken"),
            ("sample,vars.cu\n1,much\n", "rows[0].vars.cu", "not a number"),
            ("sample,x/y\n1,2\n", "rows[0].x/y", "sample key"),
            ("sample\n", "", "no row"),
            ("sample,b\n1\n", "line 2", "CSV"),
            ("sample,plant,plant\n1,north,south\n", "line 1", "two columns are named `plant`"),
        ] {
            let faults = of_csv(csv, Some(&preset())).unwrap_err();
            assert!(faults.iter().any(|f| f.path == path && f.problem.contains(says)), "{csv:?}: {faults:?}");
        }
    }
}
