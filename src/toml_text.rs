//! Text in TOML to values of the program. Every fault of form is reported at once, with its path.

use crate::json;
use crate::scan::Fault;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use toml::Value;

/// Most faults of form in one report.
const MOST: usize = 50;

/// Parses text. Serde stops at the first fault. So each faulty value is removed or replaced, and parsing starts again.
pub(crate) fn parse<T: DeserializeOwned + JsonSchema>(text: &str) -> Result<T, Vec<Fault>> {
    let mut value: Value = match toml::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            return Err(vec![Fault::new(format!("line {line}"), error.message().to_owned())]);
        }
    };
    let mut faults = BTreeSet::new();
    replace_boundless(&mut value, &mut Vec::new(), &mut faults);
    // Serde would take a list for a table, key by key.
    let lists = json::lists_for_objects::<T>(&serde_json::to_value(&value).unwrap_or_default());
    faults.extend(lists.into_iter().map(|path| Fault::new(path, "must be a table, not a list")));
    let mut result = deserialize(&value);
    loop {
        let (path, message) = match result {
            Ok(parsed) if faults.is_empty() => return Ok(parsed),
            Ok(_) => return Err(faults.into_iter().collect()),
            Err(complaint) => complaint,
        };
        let known = !faults.insert(Fault::new(spelled(&path), message));
        if known || faults.len() >= MOST {
            return Err(faults.into_iter().collect());
        }
        // A value of a list that nothing can stand in for takes its list with it.
        let list =
            path.split_last().filter(|(last, _)| matches!(last, Step::Index(_))).map(|(_, list)| (list, Some(Value::Array(Vec::new()))));
        let repaired = stand_ins().map(|stand_in| (path.as_slice(), stand_in)).chain(list).find_map(|(place, stand_in)| {
            let mut other = value.clone();
            put(&mut other, place, stand_in).then_some(())?;
            let next = deserialize(&other);
            let better = next.as_ref().err().is_none_or(|(complained, _)| *complained != path);
            better.then_some((other, next))
        });
        match repaired {
            Some((other, next)) => (value, result) = (other, next),
            // No replacement fits. Later faults would only be consequences.
            None => return Err(faults.into_iter().collect()),
        }
    }
}

/// Largest number of a text. No length, time or rate of a rig is larger, in any unit.
const LARGEST: f64 = 1e12;

/// Notes each number that is not finite or far too large. TOML has `nan` and `inf`, and no key has a use for them.
fn replace_boundless(value: &mut Value, path: &mut Vec<Step>, faults: &mut BTreeSet<Fault>) {
    match value {
        Value::Float(number) if number.is_nan() || number.abs() > LARGEST => {
            faults.insert(Fault::new(spelled(path), format!("must be a finite number of at most {LARGEST:e}, found {number}")));
            *number = 1.0;
        }
        Value::Array(list) => {
            for (index, inner) in list.iter_mut().enumerate() {
                path.push(Step::Index(index));
                replace_boundless(inner, path, faults);
                path.pop();
            }
        }
        Value::Table(table) => {
            for (key, inner) in table.iter_mut() {
                path.push(Step::Key(key.clone()));
                replace_boundless(inner, path, faults);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The replacements for a faulty value: none, then a value of each type.
fn stand_ins() -> impl Iterator<Item = Option<Value>> {
    [
        None,
        Some(Value::Integer(1)),
        Some(Value::Float(1.0)),
        Some(Value::String(String::new())),
        Some(Value::Boolean(false)),
        Some(Value::Array(Vec::new())),
        Some(Value::Table(toml::Table::new())),
    ]
    .into_iter()
}

/// The value, or the path and message of the first fault. The path of an unknown or missing key ends in its name.
fn deserialize<T: DeserializeOwned>(value: &Value) -> Result<T, (Vec<Step>, String)> {
    serde_path_to_error::deserialize::<_, T>(value.clone()).map_err(|error| {
        let message = error.inner().message().to_owned();
        let mut path: Vec<Step> = error.path().iter().filter_map(Step::of).collect();
        let named = ["unknown field `", "missing field `"].iter().find_map(|begin| message.strip_prefix(begin)?.split('`').next());
        if let Some(name) = named
            && !matches!(path.last(), Some(Step::Key(key)) if key == name)
        {
            path.push(Step::Key(name.to_owned()));
        }
        (path, message)
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    fn of(segment: &serde_path_to_error::Segment) -> Option<Self> {
        match segment {
            serde_path_to_error::Segment::Map { key } => Some(Self::Key(key.clone())),
            serde_path_to_error::Segment::Seq { index } => Some(Self::Index(*index)),
            _ => None,
        }
    }
}

fn spelled(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// Puts a value at a path, or removes the one there. Returns whether the path exists.
fn put(value: &mut Value, path: &[Step], stand_in: Option<Value>) -> bool {
    match path {
        [Step::Key(key)] => value.as_table_mut().is_some_and(|table| match stand_in {
            Some(stand_in) => {
                table.insert(key.clone(), stand_in);
                true
            }
            None => table.remove(key).is_some(),
        }),
        [Step::Key(key), rest @ ..] => value.as_table_mut().and_then(|t| t.get_mut(key)).is_some_and(|inner| put(inner, rest, stand_in)),
        [Step::Index(index)] => match (value.as_array_mut().and_then(|a| a.get_mut(*index)), stand_in) {
            (Some(inner), Some(stand_in)) => {
                *inner = stand_in;
                true
            }
            _ => false,
        },
        [Step::Index(index), rest @ ..] => {
            value.as_array_mut().and_then(|a| a.get_mut(*index)).is_some_and(|inner| put(inner, rest, stand_in))
        }
        [] => false,
    }
}
