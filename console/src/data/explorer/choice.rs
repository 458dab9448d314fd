//! Which scans and which projection a page looks at.

use super::set::Set;
use crate::data::Data;
use crate::data::answer::{Answer, problem, wrong};
use axum::http::StatusCode;
use hyclus::scan::is_scan_id;
use serde::Deserialize;
use std::sync::Arc;

/// Most scans that are looked at together.
const MOST_SCANS: usize = 200;

/// The scans of a query, with commas between.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Chosen {
    scans: String,
    projection: Projection,
    of: String,
    pub n: usize,
    pub k: usize,
    pub most: Option<usize>,
    pub group: String,
    pub key: String,
    pub rows: Option<usize>,
}

/// How points lie in the plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Projection {
    /// Along the first two components. All points have a place.
    #[default]
    Pca,
    /// By t-SNE. Some points, drawn evenly, have a place.
    Tsne,
}

/// The names of scans, each once.
pub fn names<'a>(scans: impl Iterator<Item = &'a str>) -> Answer<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for scan in scans.filter(|scan| !scan.is_empty()) {
        if !is_scan_id(scan) {
            return Err(wrong("scans are ids of scans with commas between; the list of scans has them"));
        }
        if !names.iter().any(|name| name == scan) {
            names.push(scan.to_owned());
        }
    }
    if names.is_empty() || names.len() > MOST_SCANS {
        return Err(wrong(format!("choose 1 to {MOST_SCANS} scans")));
    }
    Ok(names)
}

/// Points with a place, by their number in the set. `None` are all points.
pub struct Shown {
    pub rows: Option<Vec<usize>>,
    pub at: Vec<[f32; 2]>,
}

impl Chosen {
    /// The scans.
    pub fn scans(&self) -> Answer<Vec<String>> {
        names(self.scans.split(','))
    }

    pub fn of(&self) -> &str {
        &self.of
    }

    pub fn projection(&self) -> Projection {
        self.projection
    }
}

impl Data {
    /// The points of a set in a projection.
    pub(super) fn shown(&self, set: &Arc<Set>, projection: Projection) -> Answer<Shown> {
        match projection {
            Projection::Pca => Ok(Shown { rows: None, at: set.projected()?.points.clone() }),
            Projection::Tsne => {
                let at = self.map_of(set).ok_or_else(|| {
                    problem(
                        StatusCode::CONFLICT,
                        "the map by t-SNE is not made yet: start a job of kind tsne for these scans, and come again when it is done",
                    )
                })?;
                Ok(Shown { rows: Some(hyclus_study::cloud::evenly(set.len(), at.len())), at })
            }
        }
    }

    /// The points that a projection shows, in its order.
    pub(super) fn rows(&self, set: &Arc<Set>, projection: Projection) -> Answer<Vec<usize>> {
        match projection {
            Projection::Pca => Ok((0..set.len()).collect()),
            Projection::Tsne => Ok(self.shown(set, projection)?.rows.unwrap_or_default()),
        }
    }
}
