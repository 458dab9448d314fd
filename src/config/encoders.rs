//! `[encoder]`, or a list of `[[encoder]]`: the models that every valid spectrum runs through.

use super::EncoderConfig;
use crate::scan::{Fault, MAIN};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Most encoders of a rig. Each has threads and memory of its own.
const MOST: usize = 8;
/// Longest name of an encoder, in characters.
const LONGEST_NAME: usize = 32;

/// The encoders of a rig. One of them is [`MAIN`], where there is any.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Encoders(Vec<EncoderConfig>);

impl Encoders {
    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> std::slice::Iter<'_, EncoderConfig> {
        self.0.iter()
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, EncoderConfig> {
        self.0.iter_mut()
    }

    /// Whether the rig has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The encoder of a name.
    pub fn get(&self, name: &str) -> Option<&EncoderConfig> {
        self.0.iter().find(|encoder| encoder.name == name)
    }

    /// The path of encoder `at` in the configuration, for messages. A single encoder may stand in a table of its own.
    pub fn path(&self, at: usize) -> String {
        if self.0.len() == 1 { "encoder".to_owned() } else { format!("encoder[{at}]") }
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut must = |good: bool, path: String, problem: String| {
            if !good {
                faults.push(Fault::new(path, problem));
            }
        };
        let named = |name: &str| self.0.iter().filter(|encoder| encoder.name == name).count();
        if !self.0.is_empty() && named(MAIN) == 0 {
            let problem = format!("needs one named `{MAIN}`, or one without a name: its embeddings go to the data set `embeddings`");
            must(false, "encoder".into(), problem);
        }
        must(self.0.len() <= MOST, "encoder".into(), format!("must be at most {MOST}"));
        for (at, encoder) in self.0.iter().enumerate() {
            let path = self.path(at);
            let name = &encoder.name;
            let mut must = |good: bool, key: &str, problem: &str| must(good, format!("{path}.{key}"), problem.into());
            must(is_name(name), "name", "must be a letter, then at most 31 of a-z, 0-9, _ and -: it names a folder");
            must(named(name) == 1, "name", &format!("is `{name}`, as that of another encoder"));
            must(!(encoder.shadow && name == MAIN), "shadow", &format!("must be false for `{MAIN}`: its embeddings are the scan's own"));
            must((1..=256).contains(&encoder.threads), "threads", "must be from 1 to 256");
            must((1..=64).contains(&encoder.workers), "workers", "must be from 1 to 64");
            must((1..=65536).contains(&encoder.batch), "batch", "must be from 1 to 65536");
            for (key, time_s) in [("linger_s", encoder.linger_s), ("retry_s", encoder.retry_s)] {
                must((0.0..=1e6).contains(&time_s), key, "must be from 0 to 1 000 000");
            }
            must((0.1..=1e6).contains(&encoder.limit_s), "limit_s", "must be from 0.1 to 1 000 000 s");
            must((0.0..=1.0).contains(&encoder.max_novel), "max_novel", "must be from 0 to 1");
            must((16..=1 << 30).contains(&encoder.max_memory_mib), "max_memory_mib", "must be from 16 to 1073741824 MiB");
        }
        faults
    }
}

/// Whether a text can name an encoder.
pub fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= LONGEST_NAME && name.chars().all(rest)
}

impl From<Vec<EncoderConfig>> for Encoders {
    fn from(encoders: Vec<EncoderConfig>) -> Self {
        Self(encoders)
    }
}

impl<'a> IntoIterator for &'a Encoders {
    type Item = &'a EncoderConfig;
    type IntoIter = std::slice::Iter<'a, EncoderConfig>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Encoders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Encoders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Encoders;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table [encoder], or tables [[encoder]]")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Encoders, A::Error> {
        EncoderConfig::deserialize(MapAccessDeserializer::new(map)).map(|encoder| Encoders(vec![encoder]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Encoders, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Encoders)
    }
}

impl JsonSchema for Encoders {
    fn schema_name() -> Cow<'static, str> {
        "Encoders".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<EncoderConfig>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "maxItems": MOST }] })
    }
}
