//! Facts of a cloud, and a number for each of its points.

use super::choice::Chosen;
use crate::data::Data;
use crate::data::answer::{Answer, Asked, little_endian, octets, wrong};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most clusters that are found.
const MOST_CLUSTERS: usize = 50;
/// Most clusters of an elbow.
const MOST_ELBOW: usize = 20;
/// Most values of a key that are listed.
const MOST_VALUES: usize = 1000;

/// A sample with the number of its points.
#[derive(Serialize)]
struct Sample {
    scan: String,
    sample: String,
    container: String,
    keys: BTreeMap<String, String>,
    vars: BTreeMap<String, f64>,
    rows: usize,
}

/// What a cloud is of.
#[derive(Serialize)]
pub struct Info {
    count: usize,
    dimensions: usize,
    models: Vec<String>,
    samples: Vec<Sample>,
    keys: BTreeMap<String, BTreeSet<String>>,
    vars: BTreeSet<String>,
    variance: Vec<f64>,
    /// Embeddings that are no finite numbers, and are not shown.
    left_out: u64,
}

/// `GET /api/explorer`.
pub async fn info(State(data): State<Arc<Data>>, Asked(chosen): Asked<Chosen>) -> Answer<Json<Info>> {
    let info = data.computing(move |data| {
        let set = data.set(&chosen.scans()?)?;
        let projected = set.projected()?;
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut vars = BTreeSet::new();
        for sample in &set.samples {
            for (key, value) in &sample.listed.keys {
                let values = keys.entry(key.clone()).or_default();
                if values.len() < MOST_VALUES {
                    values.insert(value.clone());
                }
            }
            vars.extend(sample.listed.vars.keys().cloned());
        }
        let sample = |sample: &super::set::Sample| {
            let listed = sample.listed.clone();
            let (scan, name, container) = (listed.scan, listed.sample, listed.container);
            Sample { scan, sample: name, container, keys: listed.keys, vars: listed.vars, rows: sample.rows }
        };
        let share = |variance: &f64| if projected.pca.total_variance > 0.0 { variance / projected.pca.total_variance } else { 0.0 };
        Ok(Info {
            count: set.len(),
            dimensions: set.dimensions,
            models: set.models.clone(),
            samples: set.samples.iter().map(sample).collect(),
            keys,
            vars,
            variance: projected.pca.variances.iter().map(share).collect(),
            left_out: set.points.left_out,
        })
    });
    info.await.map(Json)
}

/// `GET /api/explorer/points`.
pub async fn points(State(data): State<Arc<Data>>, Asked(chosen): Asked<Chosen>) -> Answer<Response> {
    let bytes = data.computing(move |data| {
        let set = data.set(&chosen.scans()?)?;
        let shown = data.shown(&set, chosen.projection())?;
        let mut bytes = Vec::with_capacity(12 * shown.at.len());
        for (i, at) in shown.at.iter().enumerate() {
            let row = shown.rows.as_ref().map_or(i, |rows| rows[i]);
            bytes.extend_from_slice(&at[0].to_le_bytes());
            bytes.extend_from_slice(&at[1].to_le_bytes());
            bytes.extend_from_slice(&set.points.sample[row].to_le_bytes());
        }
        Ok(bytes)
    });
    Ok(octets(bytes.await?, &[]))
}

/// `GET /api/explorer/places`.
pub async fn places(State(data): State<Arc<Data>>, Asked(chosen): Asked<Chosen>) -> Answer<Response> {
    let values = data.computing(move |data| {
        let set = data.set(&chosen.scans()?)?;
        let rows = data.rows(&set, chosen.projection())?;
        Ok(rows.into_iter().flat_map(|row| [set.points.x_mm[row], set.points.y_mm[row]]).collect::<Vec<f32>>())
    });
    Ok(octets(little_endian(&values.await?), &[]))
}

/// `GET /api/explorer/values`.
pub async fn values(State(data): State<Arc<Data>>, Asked(chosen): Asked<Chosen>) -> Answer<Response> {
    let values = data.computing(move |data| {
        let set = data.set(&chosen.scans()?)?;
        let rows = data.rows(&set, chosen.projection())?;
        match chosen.of() {
            "embedding" if chosen.n < set.dimensions => {
                Ok(rows.into_iter().map(|row| set.points.embedding[row * set.dimensions + chosen.n]).collect::<Vec<f32>>())
            }
            "embedding" => Err(wrong(format!("an embedding has {} numbers, from 0, and no number {}", set.dimensions, chosen.n))),
            "mineral" => data.minerals_of(&set)?.numbers(chosen.n, rows),
            "cluster" if (1..=MOST_CLUSTERS).contains(&chosen.k) => {
                let of = set.clusters(chosen.k)?;
                Ok(rows.into_iter().map(|row| f32::from(of[row])).collect())
            }
            "cluster" => Err(wrong(format!("k is a number of clusters from 1 to {MOST_CLUSTERS}"))),
            _ => Err(wrong("of is embedding (with n), mineral (with n, 1 or 2) or cluster (with k)")),
        }
    });
    Ok(octets(little_endian(&values.await?), &[]))
}

/// The elbow of k-means.
#[derive(Serialize)]
pub struct Elbow {
    k: Vec<usize>,
    inertia: Vec<f64>,
    chosen: usize,
    /// Points that it is of.
    points: usize,
}

/// `GET /api/explorer/elbow`.
pub async fn elbow(State(data): State<Arc<Data>>, Asked(chosen): Asked<Chosen>) -> Answer<Json<Elbow>> {
    let elbow = data.computing(move |data| {
        let set = data.set(&chosen.scans()?)?;
        let most = chosen.most.unwrap_or(10).clamp(1, MOST_ELBOW);
        let (inertia, best) = set.elbow(most)?;
        let points = set.len().min(hyclus_study::cloud::MOST_DRAWN);
        Ok(Elbow { k: (1..=inertia.len()).collect(), inertia, chosen: best, points })
    });
    elbow.await.map(Json)
}

impl Data {
    /// A number of the embeddings of a sample as an image, NaN where there is none.
    pub(in crate::data) fn embedding_image(
        &self,
        (scan, sample): (&str, &str),
        n: usize,
        stride: usize,
        (lines, pixels): (usize, usize),
    ) -> Answer<Vec<f32>> {
        let set = self.set(&[scan.to_owned()])?;
        if n >= set.dimensions {
            return Err(wrong(format!("an embedding has {} numbers, from 0, and no number {n}", set.dimensions)));
        }
        let mut image = vec![f32::NAN; lines * pixels];
        let stride = i32::try_from(stride).unwrap_or(i32::MAX);
        let is_it: Vec<bool> = set.samples.iter().map(|of| of.listed.sample == sample).collect();
        for row in (0..set.len()).filter(|row| is_it[set.points.sample[*row] as usize]) {
            let (line, pixel) = (set.points.line[row], set.points.pixel[row]);
            if line < 0 || pixel < 0 || line % stride != 0 || pixel % stride != 0 {
                continue;
            }
            let (line, pixel) = ((line / stride) as usize, (pixel / stride) as usize);
            if line < lines && pixel < pixels {
                image[line * pixels + pixel] = set.points.embedding[row * set.dimensions + n];
            }
        }
        Ok(image)
    }
}
