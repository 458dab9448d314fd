//! What a scan holds that its encoders were not trained on.

use super::{MAIN, ScanRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The share of each container's spectra that an encoder was not trained on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NoveltyRecord {
    /// Largest share that gets no warning (`encoder.max_novel`).
    pub max_share: f64,
    /// The containers whose spectra were encoded, by their place.
    pub containers: BTreeMap<String, NovelShare>,
}

/// How many spectra of a container are unlike anything an encoder was trained on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NovelShare {
    /// Name of its sample.
    pub sample: String,
    /// Number of spectra that were encoded.
    pub spectra: u64,
    /// Number of these whose novelty is above 1.
    pub novel: u64,
    /// The one over the other, 0 to 1.
    pub share: f64,
}

impl NovelShare {
    /// Counts spectra by their novelty.
    #[expect(clippy::cast_precision_loss, reason = "a container has far fewer than 2^53 spectra")]
    pub fn count(&mut self, novelty: &[f32]) {
        self.spectra += novelty.len() as u64;
        self.novel += novelty.iter().filter(|novelty| **novelty > 1.0).count() as u64;
        self.share = if self.spectra > 0 { self.novel as f64 / self.spectra as f64 } else { 0.0 };
    }

    /// The warning of a container with more than the share `most`.
    pub fn warning(&self, encoder: &str, container: &str, most: f64) -> String {
        format!(
            "{} in {container}: {:.1} % of its spectra are {}, more than encoder.max_novel ({most}); is it another ore, wet or dirty, or were the \
             references taken anew with another panel?",
            self.sample,
            self.share * 100.0,
            unlike(encoder)
        )
    }
}

/// What is said of novel spectra. Warnings of an encoder are known again by these words.
pub fn unlike(encoder: &str) -> String {
    format!("unlike anything that the encoder {encoder} was trained on")
}

/// Adds spectra of a container to those of others.
pub fn count_novel(containers: &mut BTreeMap<String, NovelShare>, container: &str, sample: &str, novelty: &[f32]) {
    if let Some(known) = containers.get_mut(container) {
        return known.count(novelty);
    }
    let mut first = NovelShare { sample: sample.to_owned(), ..NovelShare::default() };
    first.count(novelty);
    containers.insert(container.to_owned(), first);
}

impl NoveltyRecord {
    /// The containers of which more than the configured share is novel.
    pub fn flagged(&self) -> impl Iterator<Item = (&str, &NovelShare)> {
        self.containers.iter().filter(|(_, of)| of.share > self.max_share).map(|(at, of)| (at.as_str(), of))
    }
}

impl ScanRecord {
    /// Notes whether an encoder tells novelty, and the largest share that gets no warning. What was counted before is forgotten.
    pub fn note_novelty(&mut self, encoder: &str, max_share: Option<f64>) {
        *self.encoder_entry(encoder).novelty = max_share.map(|max_share| NoveltyRecord { max_share, ..NoveltyRecord::default() });
        self.warn_of_novel(encoder);
    }

    /// Notes the novel spectra of an encoder by container, in place of those noted before. Only encoders that tell novelty have any.
    pub fn count_novelty(&mut self, encoder: &str, containers: BTreeMap<String, NovelShare>) {
        if let Some(novelty) = self.encoder_entry(encoder).novelty {
            novelty.containers = containers;
        }
        self.warn_of_novel(encoder);
    }

    /// What each encoder that tells novelty found, `main` first.
    pub fn novelties(&self) -> impl Iterator<Item = (&str, &NoveltyRecord)> {
        let others = self.encoders.iter().filter_map(|(name, of)| Some((name.as_str(), of.novelty.as_ref()?)));
        self.novelty.iter().map(|of| (MAIN, of)).chain(others)
    }

    /// The containers that an encoder flags. A shadow flags none.
    pub fn novel(&self) -> impl Iterator<Item = (&str, &str, &NovelShare)> {
        let silent = |name: &str| self.encoders.get(name).is_some_and(|of| of.shadow);
        self.novelties()
            .filter(move |(name, _)| !silent(name))
            .flat_map(|(encoder, of)| of.flagged().map(move |(at, share)| (encoder, at, share)))
    }

    /// Brings the warnings of all encoders in line with what was counted.
    pub fn warn_of_all_novel(&mut self) {
        self.encoder_names().iter().for_each(|encoder| self.warn_of_novel(encoder));
    }

    /// Brings the warnings of an encoder in line with what was counted.
    fn warn_of_novel(&mut self, encoder: &str) {
        let words = unlike(encoder);
        self.warnings.retain(|warning| !warning.contains(&words));
        let most = self.encoder_entry(encoder).novelty.as_ref().map_or(1.0, |of| of.max_share);
        let found: Vec<String> =
            self.novel().filter(|(of, ..)| *of == encoder).map(|(of, at, share)| share.warning(of, at, most)).collect();
        self.warnings.extend(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_one_is_still_known() {
        let mut containers = BTreeMap::new();
        count_novel(&mut containers, "A1", "a", &[0.5, 1.0, 1.000_001]);
        count_novel(&mut containers, "A2", "b", &[0.1]);
        count_novel(&mut containers, "A1", "a", &[9.0]);
        let expected = |sample: &str, spectra, novel, share| NovelShare { sample: sample.into(), spectra, novel, share };
        assert_eq!(containers["A1"], expected("a", 4, 2, 0.5));
        assert_eq!(containers["A2"], expected("b", 1, 0, 0.0));
        let record = NoveltyRecord { max_share: 0.5, containers };
        assert_eq!(record.flagged().count(), 0, "as much as may be");
        let flagged = NoveltyRecord { max_share: 0.49, ..record };
        assert_eq!(flagged.flagged().map(|(at, _)| at).collect::<Vec<_>>(), ["A1"]);
        let warning = flagged.containers["A1"].warning("trial", "A1", 0.49);
        assert!(
            warning.starts_with("a in A1: 50.0 % of its spectra are unlike anything that the encoder trial was trained on"),
            "{warning}"
        );
        assert!(warning.contains("encoder.max_novel (0.49)"), "{warning}");
    }
}
