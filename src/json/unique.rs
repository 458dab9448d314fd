//! Reads a document whose objects give no key twice.

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads one JSON document.
///
/// # Errors
/// The text is no JSON, goes on behind the document, or gives a key of an object twice. The last is an error of data.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Unique.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Builds a value, and refuses a key that an object has already.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if values.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{}` is given twice", super::schema::shown(&key))));
            }
            values.insert(key, map.next_value_seed(Self)?);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_what_serde_reads_unless_a_key_comes_twice() {
        let text = br#"{"a": [1, -2, 2.5, 1e300, "x\u00e9", true, null, {"b": {}}], "c": 18446744073709551615}"#;
        assert_eq!(parse(text).unwrap(), serde_json::from_slice::<Value>(text).unwrap());
        for twice in [&br#"{"a": 1, "a": 1}"#[..], br#"[{"x": {"b": 1, "c": 2, "b": null}}]"#, br#"{"a": 1, "\u0061": 2}"#] {
            let error = parse(twice).unwrap_err();
            assert!(error.is_data() && error.to_string().contains("is given twice"), "{error}");
        }
        for broken in [&b"{"[..], b"{} {}", b"[1e999]", b"nul", b"\xff", b"{\"a\": 1,}"] {
            assert!(!parse(broken).unwrap_err().is_data());
        }
        assert!(parse("[".repeat(100_000).as_bytes()).is_err(), "too deep");
        assert_eq!(parse(br#"[{"a": 1}, {"a": 1}]"#).unwrap(), json!([{"a": 1}, {"a": 1}]), "two objects may have the same key");
    }
}
