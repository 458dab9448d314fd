//! Compares a document with its JSON schema, as far as `schemars` uses the language.

use serde_json::{Map, Value};

/// A place of a document that is not as its schema says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The path of the place: `grid.rows`, `container[3].at`. Empty for the document itself.
    pub path: String,
    /// The problem and its remedy.
    pub problem: String,
    /// Whether a list stands where an object should.
    pub list_for_object: bool,
}

/// Most misfits of one document.
const MOST: usize = 50;
/// Most characters of a key or a value in a message.
const SHOWN: usize = 64;
/// Key of a schema whose documents another check reads. It reports faults in words of its own.
const CHECKED_ELSEWHERE: &str = "x-checked-by";

/// The places where a document is not as `schema` says. `definitions` are the schemas that a `$ref` names by its last part.
///
/// What this does not know of the language of schemas, it passes over. At most 50 places are given.
pub fn misfits(document: &Value, schema: &Value, definitions: &Map<String, Value>) -> Vec<Misfit> {
    let mut check = Check { definitions, found: Vec::new() };
    check.value(document, schema, "");
    check.found
}

/// The beginning of a text from outside, without control characters.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() { cut + "..." } else { cut }
}

struct Check<'a> {
    definitions: &'a Map<String, Value>,
    found: Vec<Misfit>,
}

impl<'a> Check<'a> {
    fn wrong(&mut self, path: &str, problem: String) {
        if self.found.len() < MOST {
            self.found.push(Misfit { path: path.to_owned(), problem, list_for_object: false });
        }
    }

    fn value(&mut self, value: &Value, schema: &Value, path: &str) {
        let schema = resolved(schema, self.definitions);
        if schema.get(CHECKED_ELSEWHERE).is_some() || self.found.len() >= MOST {
            return;
        }
        if let Some(branches) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            self.branches(value, branches, path);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.value(value, part, path);
        }
        if !self.has_type(value, schema, path) {
            return;
        }
        if schema.get("const").is_some_and(|only| only != value) {
            self.wrong(path, format!("must be {}, not {}", schema["const"], said(value)));
        }
        if let Some(choices) = schema.get("enum").and_then(Value::as_array)
            && !choices.contains(value)
        {
            self.wrong(path, format!("must be one of {}, not {}", listed(choices.iter()), said(value)));
        }
        match value {
            Value::Number(number) => self.number(number.as_f64().unwrap_or(f64::NAN), schema, path),
            Value::String(text) => self.length(text.chars().count(), ["minLength", "maxLength"], "characters", schema, path),
            Value::Array(list) => self.list(list, schema, path),
            Value::Object(map) => self.object(map, schema, path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn has_type(&mut self, value: &Value, schema: &Value, path: &str) -> bool {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let fits = types.iter().any(|wanted| match *wanted {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        });
        if !fits {
            let words: Vec<&str> = types.iter().map(|wanted| in_words(wanted)).collect();
            self.wrong(path, format!("must be {}, not {}", words.join(" or "), kind(value)));
            if let Some(last) = self.found.last_mut() {
                last.list_for_object = value.is_array() && types.contains(&"object");
            }
        }
        fits
    }

    fn number(&mut self, number: f64, schema: &Value, path: &str) {
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        match (limit("minimum"), limit("maximum")) {
            (Some(low), Some(high)) if !(low..=high).contains(&number) => self.wrong(path, format!("must be from {low} to {high}")),
            (Some(low), None) if !(low..).contains(&number) => self.wrong(path, format!("must be at least {low}")),
            (None, Some(high)) if !(..=high).contains(&number) => self.wrong(path, format!("must be at most {high}")),
            _ => {}
        }
        if let Some(low) = limit("exclusiveMinimum")
            && number <= low
        {
            self.wrong(path, format!("must be more than {low}"));
        }
    }

    fn length(&mut self, length: usize, [least, most]: [&str; 2], what: &str, schema: &Value, path: &str) {
        let limit = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        if let Some(least) = limit(least).filter(|least| length < *least) {
            self.wrong(path, format!("must have at least {least} {what}, and has {length}"));
        }
        if let Some(most) = limit(most).filter(|most| length > *most) {
            self.wrong(path, format!("must have at most {most} {what}, and has {length}"));
        }
    }

    fn list(&mut self, list: &[Value], schema: &Value, path: &str) {
        self.length(list.len(), ["minItems", "maxItems"], "entries", schema, path);
        let first = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (i, value) in list.iter().enumerate() {
            if let Some(schema) = first.get(i).or_else(|| schema.get("items")) {
                self.value(value, schema, &format!("{path}[{i}]"));
            }
        }
    }

    fn object(&mut self, map: &Map<String, Value>, schema: &Value, path: &str) {
        let below = |key: &str| if path.is_empty() { shown(key) } else { format!("{path}.{}", shown(key)) };
        let none = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !map.contains_key(key) {
                self.wrong(&below(key), "is missing".to_owned());
            }
        }
        for (key, value) in map {
            match (known.get(key), schema.get("additionalProperties")) {
                (Some(schema), _) => self.value(value, schema, &below(key)),
                (None, Some(Value::Bool(false))) => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    self.wrong(&below(key), format!("unknown key; there is {}", names.join(", ")));
                }
                (None, Some(schema @ Value::Object(_))) => self.value(value, schema, &below(key)),
                (None, _) => {}
            }
        }
    }

    /// A value that must fit one of several schemas. A constant in one of them says which is meant.
    fn branches(&mut self, value: &Value, branches: &[Value], path: &str) {
        let definitions = self.definitions;
        let branches: Vec<&Value> = branches.iter().map(|branch| resolved(branch, definitions)).collect();
        let tags: Vec<Option<(&String, &Value)>> = branches.iter().map(|branch| tag(branch)).collect();
        let tagged = tags.iter().all(Option::is_some);
        if let (true, Some(map)) = (tagged, value.as_object()) {
            let meant = branches.iter().zip(&tags).find(|(_, tag)| tag.is_some_and(|(key, only)| map.get(key) == Some(only)));
            match (meant, tags.first().copied().flatten()) {
                (Some((branch, _)), _) => self.value(value, branch, path),
                (None, Some((key, _))) => {
                    let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    let choices = listed(tags.iter().flatten().map(|(_, only)| *only));
                    let found =
                        map.get(key).map_or_else(|| "is missing; it is".to_owned(), |found| format!("is {}, and must be", said(found)));
                    self.wrong(&at, format!("{found} one of {choices}"));
                }
                (None, None) => {}
            }
            return;
        }
        let attempts = branches.iter().map(|branch| misfits(value, branch, definitions));
        let Some(best) = attempts.min_by_key(Vec::len) else { return };
        for mut misfit in best {
            misfit.path = match (path, misfit.path.as_str()) {
                ("", below) => below.to_owned(),
                (path, "") => path.to_owned(),
                (path, below) if below.starts_with('[') => format!("{path}{below}"),
                (path, below) => format!("{path}.{below}"),
            };
            if self.found.len() < MOST {
                self.found.push(misfit);
            }
        }
    }
}

/// The schema behind a reference.
fn resolved<'s>(mut schema: &'s Value, definitions: &'s Map<String, Value>) -> &'s Value {
    // A reference that leads to itself ends somewhere.
    for _ in 0..8 {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.rsplit('/').next());
        match target.and_then(|name| definitions.get(name)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The property of a schema that has one value only.
fn tag(schema: &Value) -> Option<(&String, &Value)> {
    schema.get("properties")?.as_object()?.iter().find_map(|(key, property)| Some((key, property.get("const")?)))
}

fn listed<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    values.map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// A value in a message.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", shown(text)),
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        value => value.to_string(),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn in_words(wanted: &str) -> &str {
    match wanted {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(document: &Value) -> Vec<String> {
        let schema = json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
            "a": {"type": "number", "minimum": 0.0, "maximum": 1.0}, "b": {"type": ["string", "null"], "maxLength": 3},
            "c": {"$ref": "#/components/schemas/C"}, "d": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
            "e": {"x-checked-by": "another", "type": "null"}, "f": {"enum": ["x", "y"]},
            "g": {"type": "object", "additionalProperties": {"type": "number"}},
            "h": {"anyOf": [{"$ref": "#/components/schemas/C"}, {"type": "null"}]}}});
        let tagged = |name: &str, key: &str| {
            json!({"type": "object", "properties": {"kind": {"type": "string", "const": name}, key: {"type": "number"}},
                "required": ["kind", key], "additionalProperties": false})
        };
        let definitions = json!({"C": {"oneOf": [tagged("run", "speed"), tagged("go", "to")]}});
        misfits(document, &schema, definitions.as_object().unwrap()).iter().map(|m| format!("{}: {}", m.path, m.problem)).collect()
    }

    #[test]
    fn what_fits_is_taken() {
        let all = json!({"a": 0.5, "b": null, "c": {"kind": "go", "to": 1}, "d": [1, 2], "e": [], "f": "x", "g": {"k": 1}, "h": null});
        for document in [json!({"a": 1}), all] {
            assert_eq!(found(&document), Vec::<String>::new());
        }
    }

    #[test]
    fn every_misfit_is_told_with_its_path() {
        let cases = [
            (json!([0.5]), vec![": must be an object, not a list"]),
            (json!(null), vec![": must be an object, not null"]),
            (json!({"a": [1], "x\n": 2}), vec!["a: must be a number, not a list", "x\\n: unknown key; there is a, b, c, d, e, f, g, h"]),
            (json!({"b": "long"}), vec!["a: is missing", "b: must have at most 3 characters, and has 4"]),
            (json!({"a": 1.5}), vec!["a: must be from 0 to 1"]),
            (json!({"a": 1, "c": ["run", 5]}), vec!["c: must be an object, not a list"]),
            (json!({"a": 1, "c": {"kind": "fly"}}), vec!["c.kind: is \"fly\", and must be one of \"run\", \"go\""]),
            (json!({"a": 1, "c": {"speed": 1}}), vec!["c.kind: is missing; it is one of \"run\", \"go\""]),
            (json!({"a": 1, "c": {"kind": "run", "to": 1}}), vec!["c.speed: is missing", "c.to: unknown key; there is kind, speed"]),
            (
                json!({"a": 1, "d": [1, 2.5, []]}),
                vec![
                    "d: must have at most 2 entries, and has 3",
                    "d[1]: must be a whole number, not a number",
                    "d[2]: must be a whole number, not a list",
                ],
            ),
            (json!({"a": 1, "f": "z"}), vec!["f: must be one of \"x\", \"y\", not \"z\""]),
            (json!({"a": 1, "g": {"k": "1"}}), vec!["g.k: must be a number, not a string"]),
            (json!({"a": 1, "h": []}), vec!["h: must be an object, not a list"]),
        ];
        for (document, wanted) in cases {
            assert_eq!(found(&document), wanted, "{document}");
        }
        let many: Map<String, Value> = (0..1000).map(|i| (format!("k{i}"), Value::Null)).collect();
        assert_eq!(found(&Value::Object(many)).len(), MOST);
    }
}
