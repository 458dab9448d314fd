//! Tables of labels: a row for each sample, with numbers.

use super::config::RegressConfig;
use super::error::RegressError;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A column of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Name of the column, without its unit.
    pub name: String,
    /// Unit in the header. Empty without one.
    pub unit: String,
    /// The number of each row. `None` where the cell is empty.
    pub values: Vec<Option<f64>>,
}

/// The labels of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// Name of the sample of each row.
    pub samples: Vec<String>,
    /// Group of each row. Without a group column, it is the sample.
    pub groups: Vec<String>,
    /// The columns of labels.
    pub targets: Vec<Target>,
}

/// A cell of a header: `cu (%)` and `cu [%]` are the name `cu` with the unit `%`.
fn name_and_unit(header: &str) -> (String, String) {
    let header = header.trim();
    for (open, close) in [('[', ']'), ('(', ')')] {
        if let Some((name, rest)) = header.split_once(open)
            && let Some(unit) = rest.strip_suffix(close)
            && !name.trim().is_empty()
        {
            return (name.trim().to_owned(), unit.trim().to_owned());
        }
    }
    (header.to_owned(), String::new())
}

impl Labels {
    /// Reads a table, and finds the samples of the study in it. Fields are separated by commas or semicolons.
    ///
    /// # Errors
    ///
    /// [`RegressError::File`] for an unreadable file. [`RegressError::Table`] with all faults: missing columns, samples that come twice or
    /// that have no spectra, and cells that are no finite numbers.
    pub fn read(path: &Path, known: &[String], config: &RegressConfig) -> Result<Self, RegressError> {
        let text = std::fs::read_to_string(path).map_err(|source| RegressError::File { path: path.to_owned(), source })?;
        Self::parse(&text, known, config).map_err(|faults| RegressError::Table { path: path.to_owned(), faults })
    }

    /// Reads the text of a table. The error has all faults.
    fn parse(text: &str, known: &[String], config: &RegressConfig) -> Result<Self, Vec<String>> {
        let text = text.trim_start_matches('\u{feff}');
        let first = text.lines().next().unwrap_or_default();
        let delimiter = if first.contains(';') && !first.contains(',') { b';' } else { b',' };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| vec![error.to_string()])?;
        let headers: Vec<(String, String)> = headers.iter().map(name_and_unit).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut faults = Vec::new();
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                faults.push(format!("two columns are called `{name}`; give each its own name"));
            }
        }
        let mut column = |name: &str, key: &str| {
            let found = names.iter().position(|other| *other == name);
            if found.is_none() {
                faults.push(format!("it has no column `{name}`, which {key} names; it has: {}", names.join(", ")));
            }
            found
        };
        let sample = column(&config.sample, "regress.sample");
        let group = config.group.as_ref().map(|name| column(name, "regress.group"));
        let wanted: Option<Vec<Option<usize>>> =
            config.targets.as_ref().map(|names| names.iter().map(|name| column(name, "regress.targets")).collect());
        let mut rows: Vec<Vec<String>> = Vec::new();
        for record in reader.records() {
            match record {
                Ok(record) => rows.push(record.iter().map(str::to_owned).collect()),
                Err(error) => faults.push(error.to_string()),
            }
        }
        let (Some(sample), false) = (sample, group == Some(None)) else { return Err(faults) };
        let group = group.flatten();
        if rows.is_empty() {
            faults.push("it has no rows; give one for each sample".to_owned());
        }
        // A column of text, such as remarks, is no label.
        let numeric = |i: &usize| rows.iter().any(|row| row[*i].parse::<f64>().is_ok());
        let columns: Vec<usize> = match wanted {
            Some(wanted) => wanted.into_iter().flatten().collect(),
            None => (0..names.len()).filter(|i| *i != sample && Some(*i) != group).filter(numeric).collect(),
        };
        if columns.is_empty() && faults.is_empty() {
            faults.push(format!("it has no column of numbers beside `{}`", config.sample));
        }
        let in_study: HashMap<&str, ()> = known.iter().map(|name| (name.as_str(), ())).collect();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, row) in rows.iter().enumerate() {
            let (line, name) = (i + 2, row[sample].as_str());
            if name.is_empty() {
                faults.push(format!("row {line} names no sample"));
            } else if let Some(earlier) = seen.insert(name, line) {
                faults.push(format!("row {line}: sample {name:?} stands in row {earlier} already; keep one row for each sample"));
            } else if !in_study.contains_key(name) {
                faults.push(format!("row {line}: the study has no spectra of sample {name:?}; it has {}", in_short(known)));
            }
            if group.is_some_and(|group| row[group].is_empty()) {
                faults.push(format!("row {line}: column `{}` is empty; give the group of {name:?}", names[group.unwrap_or_default()]));
            }
        }
        for (i, column) in columns.iter().enumerate() {
            let name = &headers[*column].0;
            if let Some(other) = columns[..i].iter().map(|other| &headers[*other].0).find(|other| plain(other) == plain(name)) {
                faults.push(format!("columns `{other}` and `{name}` give files of one name; rename one of them"));
            }
        }
        let mut targets = Vec::new();
        for column in columns {
            let (name, unit) = headers[column].clone();
            let mut values = Vec::with_capacity(rows.len());
            for (i, row) in rows.iter().enumerate() {
                values.push(number(&row[column]).unwrap_or_else(|reason| {
                    faults.push(format!("row {}, column `{name}`: {reason}", i + 2));
                    None
                }));
            }
            targets.push(Target { name, unit, values });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let text = |column: usize| rows.iter().map(|row| row[column].clone()).collect::<Vec<_>>();
        Ok(Self { samples: text(sample), groups: text(group.unwrap_or(sample)), targets })
    }
}

/// A name of letters, digits, `_` and `-`, for files.
pub(super) fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' }).collect()
}

/// The number of a cell. An empty cell is a label that nobody measured.
fn number(cell: &str) -> Result<Option<f64>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Some(value)),
        Ok(_) => Err(format!("{cell:?} is not finite; give a number, or leave the cell empty")),
        Err(_) if cell.starts_with(['<', '>']) => {
            Err(format!("{cell:?} is a limit of detection; give a number, such as half of it, or leave the cell empty"))
        }
        Err(_) => Err(format!("{cell:?} is no number; write it with a decimal point, or leave the cell empty")),
    }
}

fn in_short(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        (1..=6).map(|i| format!("S{i}")).collect()
    }

    #[test]
    fn a_table_with_units_groups_and_gaps_is_read() {
        let config = RegressConfig { group: Some("hole".into()), ..RegressConfig::default() };
        let text = "\u{feff}sample,hole,cu [%],note,work index (kWh/t)\nS1,H1,0.5,wet,12\nS2,H1,,dry,13.5\nS4,H2,1e-1,,9\n";
        let labels = Labels::parse(text, &known(), &config).unwrap();
        assert_eq!(labels.samples, ["S1", "S2", "S4"]);
        assert_eq!(labels.groups, ["H1", "H1", "H2"]);
        let names: Vec<(&str, &str)> = labels.targets.iter().map(|t| (t.name.as_str(), t.unit.as_str())).collect();
        assert_eq!(names, [("cu", "%"), ("work index", "kWh/t")]);
        assert_eq!(labels.targets[0].values, [Some(0.5), None, Some(0.1)]);
        let semicolons = Labels::parse("sample;cu\nS1;2\n", &known(), &RegressConfig::default()).unwrap();
        assert_eq!(semicolons.targets[0].values, [Some(2.0)]);
    }

    #[test]
    fn all_faults_come_at_once() {
        let text = "sample,cu,fe\nS1,0.5,NaN\nS1,<0.01,1\nS9,\"0,5\",2\n,1,inf\n";
        let faults = Labels::parse(text, &known(), &RegressConfig::default()).unwrap_err();
        let said = faults.join("\n");
        assert_eq!(faults.len(), 7, "{said}");
        for part in [
            "row 3: sample \"S1\" stands in row 2 already",
            "row 4: the study has no spectra of sample \"S9\"; it has \"S1\", \"S2\", \"S3\", \"S4\" and 2 more",
            "row 5 names no sample",
            "row 2, column `fe`: \"NaN\" is not finite",
            "row 3, column `cu`: \"<0.01\" is a limit of detection",
            "row 4, column `cu`: \"0,5\" is no number",
            "row 5, column `fe`: \"inf\" is not finite",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let config = RegressConfig { group: Some("hole".into()), targets: Some(vec!["au".into()]), ..RegressConfig::default() };
        let faults = Labels::parse("name,cu\nS1,2\n", &known(), &config).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].contains("no column `sample`, which regress.sample names; it has: name, cu"));
        let ragged = Labels::parse("sample,cu\nS1,2,3\n", &known(), &RegressConfig::default()).unwrap_err();
        assert!(ragged[0].contains("found record with 3 fields"), "{ragged:?}");
        let alike = Labels::parse("sample,a b,a.b\nS1,2,3\n", &known(), &RegressConfig::default()).unwrap_err();
        assert_eq!(alike, ["columns `a b` and `a.b` give files of one name; rename one of them"]);
        let empty = Labels::parse("sample,cu\n", &known(), &RegressConfig::default()).unwrap_err();
        assert!(empty[0].contains("no rows"), "{empty:?}");
    }
}
