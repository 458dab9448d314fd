//! Whether embeddings tell the values of a key.

use super::choice::Chosen;
use crate::data::Data;
use crate::data::answer::{Answer, Asked, wrong};
use axum::Json;
use axum::extract::State;
use hyclus_study::cloud::{MOST_DRAWN, evenly};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A classification with its confusion matrix.
#[derive(Serialize)]
pub struct Classes {
    classes: Vec<String>,
    /// Points by true class, then by predicted class.
    matrix: Vec<Vec<u64>>,
    accuracy: f64,
    balanced_accuracy: f64,
    n: usize,
    note: String,
}

/// `GET /api/explorer/classify`.
pub async fn classify(State(data): State<Arc<Data>>, Asked(chosen): Asked<Chosen>) -> Answer<Json<Classes>> {
    let classes = data.computing(move |data| {
        let set = data.set(&chosen.scans()?)?;
        let values = set.by_key(&chosen.key);
        if values.is_empty() {
            return Err(wrong("no sample of the chosen scans has that key; key is one of their sample keys, such as plant"));
        }
        let mut class_of: BTreeMap<u32, u16> = BTreeMap::new();
        for (samples, class) in values.values().zip(0_u16..) {
            samples.iter().for_each(|sample| _ = class_of.insert(*sample, class));
        }
        // A sample that was scanned twice is one container: it must not be learned from and tested on.
        let mut known: BTreeMap<&str, u32> = BTreeMap::new();
        let container: Vec<u32> = set
            .samples
            .iter()
            .map(|sample| {
                let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
                *known.entry(sample.listed.name.as_str()).or_insert(next)
            })
            .collect();
        let rows: Vec<usize> = (0..set.len()).filter(|row| class_of.contains_key(&set.points.sample[*row])).collect();
        let drawn: Vec<usize> = evenly(rows.len(), MOST_DRAWN).into_iter().map(|i| rows[i]).collect();
        let sample = |row: &usize| set.points.sample[*row];
        let class: Vec<u16> = drawn.iter().map(|row| class_of[&sample(row)]).collect();
        let containers: Vec<u32> = drawn.iter().map(|row| container[sample(row) as usize]).collect();
        let names: Vec<String> = values.keys().map(|value| (*value).to_owned()).collect();
        let found = set.cloud()?.classify(&drawn, &class, &names, &containers).map_err(|error| wrong(error.to_string()))?;
        let mut note = "each container is tested by a forest that has not seen it".to_owned();
        if !found.left_out.is_empty() {
            note.push_str(&format!("; left out, because they lie in one container only: {}", found.left_out.join(", ")));
        }
        if drawn.len() < rows.len() {
            note.push_str(&format!("; {} of {} points, drawn evenly", drawn.len(), rows.len()));
        }
        Ok(Classes {
            classes: found.classes,
            matrix: found.matrix,
            accuracy: found.accuracy,
            balanced_accuracy: found.balanced_accuracy,
            n: found.tested,
            note,
        })
    });
    classes.await.map(Json)
}
