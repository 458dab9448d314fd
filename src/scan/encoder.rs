//! What the encoders made of a scan, and what they still owe.

use super::{NoveltyRecord, Pending, ScanRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the encoder whose embeddings are the scan's own.
pub const MAIN: &str = "main";

/// What an encoder besides `main` made of a scan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct EncoderRecord {
    /// SHA-256 of the model, lower-case hexadecimal. Absent where it was never loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_sha256: Option<String>,
    /// Whether it may fail without effect.
    #[serde(default)]
    pub shadow: bool,
    /// Number of its rows.
    pub embeddings: u64,
    /// Embeddings that the scan lacks. Those of a shadow are made by `hyclus recover --encoder` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// What it was not trained on, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty: Option<NoveltyRecord>,
}

/// An encoder and the model that it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EncoderStatus {
    /// Name of the encoder.
    pub encoder: String,
    /// Whether it may fail without effect.
    pub shadow: bool,
    /// Name of the model. Absent where the model of a shadow does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// SHA-256 of the model, lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_sha256: Option<String>,
    /// Number of dimensions of an embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// Whether the model was put in the place of the configured one.
    pub replaced: bool,
}

/// What a record says of one encoder.
pub struct EncoderEntry<'a> {
    /// SHA-256 of the model, lower-case hexadecimal.
    pub sha256: &'a mut Option<String>,
    /// Number of rows.
    pub embeddings: &'a mut u64,
    /// Embeddings that the scan lacks.
    pub pending: &'a mut Option<Pending>,
    /// What the encoder was not trained on.
    pub novelty: &'a mut Option<NoveltyRecord>,
}

/// Embeddings that scans lack, by scan and encoder.
pub type PendingScans = BTreeMap<String, BTreeMap<String, Pending>>;

/// Parts what scans lack of [`MAIN`] from what they lack of other encoders.
pub fn part_main(mut scans: PendingScans) -> (BTreeMap<String, Pending>, PendingScans) {
    let of_main = scans.iter_mut().filter_map(|(scan, encoders)| Some((scan.clone(), encoders.remove(MAIN)?))).collect();
    scans.retain(|_, encoders| !encoders.is_empty());
    (of_main, scans)
}

/// Names an encoder in a sentence: ` of the encoder NAME`. [`MAIN`] needs no name.
pub fn of_encoder(name: &str) -> String {
    if name == MAIN { String::new() } else { format!(" of the encoder {name}") }
}

impl ScanRecord {
    /// What the record says of an encoder. One that is new to the scan gets an entry.
    pub fn encoder_entry(&mut self, encoder: &str) -> EncoderEntry<'_> {
        if encoder == MAIN {
            let Self { encoder_sha256: sha256, embeddings, pending, novelty, .. } = self;
            return EncoderEntry { sha256, embeddings, pending, novelty };
        }
        let EncoderRecord { encoder_sha256: sha256, embeddings, pending, novelty, .. } =
            self.encoders.entry(encoder.to_owned()).or_default();
        EncoderEntry { sha256, embeddings, pending, novelty }
    }

    /// Notes an encoder before the first line. `None` stands for a model that was not loaded.
    pub fn note_encoder(&mut self, name: &str, shadow: bool, sha256: Option<&str>) {
        *self.encoder_entry(name).sha256 = sha256.map(str::to_owned);
        if let Some(record) = self.encoders.get_mut(name) {
            record.shadow = shadow;
        }
    }

    /// The embeddings that the scan lacks of an encoder, shadows included.
    pub fn pending_of(&self, encoder: &str) -> Option<&Pending> {
        if encoder == MAIN {
            return self.pending.as_ref();
        }
        self.encoders.get(encoder).and_then(|record| record.pending.as_ref())
    }

    /// The encoders whose embeddings the scan lacks, and what it lacks. Shadows owe nothing.
    pub fn lacking(&self) -> impl Iterator<Item = (&str, &Pending)> {
        let others = self.encoders.iter().filter(|(_, record)| !record.shadow);
        let others = others.filter_map(|(name, record)| Some((name.as_str(), record.pending.as_ref()?)));
        self.pending.iter().map(|pending| (MAIN, pending)).chain(others)
    }

    /// The names of the scan's encoders, `main` first.
    pub fn encoder_names(&self) -> Vec<String> {
        std::iter::once(MAIN.to_owned()).chain(self.encoders.keys().cloned()).collect()
    }
}
