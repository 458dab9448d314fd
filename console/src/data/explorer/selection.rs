//! What lies within a lasso.

use super::choice::{Projection, names};
use super::lasso::Lasso;
use crate::data::Data;
use crate::data::answer::{Answer, wrong};
use crate::data::sample::Sums;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use hyclus_study::cloud::evenly;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most corners of a lasso.
const MOST_CORNERS: usize = 5000;
/// Most spectra that a mean is of. They are drawn evenly.
const MOST_SPECTRA: usize = 4000;
/// Most places that are given.
const MOST_PLACES: usize = 5000;

/// A lasso over a projection.
#[derive(Debug, Deserialize)]
pub struct Asked {
    scans: Vec<String>,
    #[serde(default)]
    projection: Projection,
    polygon: Vec<[f64; 2]>,
}

/// Points of one sample.
#[derive(Serialize)]
struct OfSample {
    index: usize,
    points: usize,
}

/// What lies within the lasso.
#[derive(Serialize)]
pub struct Selection {
    count: usize,
    spectra: usize,
    wavelengths_nm: Vec<f64>,
    mean: Vec<f64>,
    sd: Vec<f64>,
    samples: Vec<OfSample>,
    keys: BTreeMap<String, BTreeMap<String, usize>>,
    places: Vec<(f32, f32, u32)>,
}

/// `POST /api/explorer/selection`.
pub async fn selection(State(data): State<Arc<Data>>, asked: Result<Json<Asked>, JsonRejection>) -> Answer<Json<Selection>> {
    let Json(asked) = asked.map_err(|error| wrong(format!("the lasso cannot be read: {}", error.body_text())))?;
    let finite = asked.polygon.iter().flatten().all(|at| at.is_finite());
    if !(3..=MOST_CORNERS).contains(&asked.polygon.len()) || !finite {
        return Err(wrong(format!("polygon is a list of 3 to {MOST_CORNERS} corners [x, y]")));
    }
    let scans = names(asked.scans.iter().map(String::as_str))?;
    let selection = data.computing(move |data| {
        let set = data.set(&scans)?;
        let lasso = Lasso::new(&asked.polygon);
        let rows: Vec<usize> = match asked.projection {
            Projection::Pca => lasso.within(&set.projected()?.points),
            Projection::Tsne => {
                let shown = data.shown(&set, asked.projection)?;
                let all = shown.rows.unwrap_or_default();
                lasso.within(&shown.at).into_iter().filter_map(|at| all.get(at).copied()).collect()
            }
        };
        let mut points = vec![0; set.samples.len()];
        rows.iter().for_each(|row| points[set.points.sample[*row] as usize] += 1);
        let mut keys: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for (sample, points) in set.samples.iter().zip(&points).filter(|(_, points)| **points > 0) {
            for (key, value) in &sample.listed.keys {
                *keys.entry(key.clone()).or_default().entry(value.clone()).or_default() += points;
            }
        }
        let mut sums = Sums::default();
        let mut wavelengths_nm = Vec::new();
        if !rows.is_empty() {
            let drawn: Vec<usize> = evenly(rows.len(), MOST_SPECTRA).into_iter().map(|i| rows[i]).collect();
            let spectra = data.spectra(&set, &drawn)?;
            spectra.values.chunks_exact(spectra.wavelengths_nm.len().max(1)).for_each(|spectrum| sums.add(spectrum));
            wavelengths_nm = spectra.wavelengths_nm;
        }
        let spread = sums.spread();
        let place = |i: usize| (set.points.x_mm[rows[i]], set.points.y_mm[rows[i]], set.points.sample[rows[i]]);
        let samples = points.iter().enumerate().filter(|(_, points)| **points > 0);
        Ok(Selection {
            count: rows.len(),
            spectra: spread.n,
            wavelengths_nm,
            mean: spread.mean,
            sd: spread.sd,
            samples: samples.map(|(index, points)| OfSample { index, points: *points }).collect(),
            keys,
            places: evenly(rows.len(), MOST_PLACES).into_iter().map(place).collect(),
        })
    });
    selection.await.map(Json)
}
