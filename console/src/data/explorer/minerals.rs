//! The mineral of each point, from the sample files.

use super::choice::Chosen;
use super::set::Set;
use crate::data::Data;
use crate::data::answer::{Answer, Asked, unknown, wrong};
use crate::data::sample::code;
use axum::Json;
use axum::extract::State;
use hyclus::identify::NOT_JUDGED;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The minerals of a set's points.
pub struct Minerals {
    /// Names of the codes from 1. Scans of several libraries share them.
    names: Vec<String>,
    /// Codes of group 1 and of group 2, for each point.
    codes: [Vec<u16>; 2],
}

impl Minerals {
    /// The codes of a group of some points as numbers. Points that were not judged have none.
    pub fn numbers(&self, group: usize, rows: impl IntoIterator<Item = usize>) -> Answer<Vec<f32>> {
        let codes = self.codes.get(group.wrapping_sub(1));
        let codes = codes.ok_or_else(|| wrong("n is the group of minerals, 1 (VNIR) or 2 (SWIR)"))?;
        Ok(rows.into_iter().map(|row| code(codes[row])).collect())
    }
}

impl Data {
    /// The minerals of the points of a set. They are read once.
    pub(super) fn minerals_of(&self, set: &Set) -> Answer<Arc<Minerals>> {
        if let Some(known) = set.minerals.get() {
            return Ok(Arc::clone(known));
        }
        let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); set.samples.len()];
        set.points.sample.iter().enumerate().for_each(|(row, sample)| rows_of[*sample as usize].push(row));
        let mut names: Vec<String> = Vec::new();
        let mut codes = [vec![NOT_JUDGED; set.len()], vec![NOT_JUDGED; set.len()]];
        let mut any = false;
        for (sample, rows) in set.samples.iter().zip(&rows_of) {
            let Ok(Some(map)) = self.mineral_map(&sample.listed.scan, &sample.listed.sample) else { continue };
            any = true;
            let mut shared: BTreeMap<u16, u16> = BTreeMap::from([(0, 0), (NOT_JUDGED, NOT_JUDGED)]);
            for (own, name) in (1..).zip(&map.names) {
                let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
                    names.push(name.clone());
                    names.len() - 1
                });
                shared.insert(own, u16::try_from(at + 1).unwrap_or(NOT_JUDGED));
            }
            let (lines, pixels) = (map.lines_mm.len(), map.pixels_mm.len());
            for row in rows {
                let place = usize::try_from(set.points.line[*row]).ok().zip(usize::try_from(set.points.pixel[*row]).ok());
                let Some((line, pixel)) = place.filter(|(line, pixel)| *line < lines && *pixel < pixels) else { continue };
                for (codes, winner) in codes.iter_mut().zip(&map.winner) {
                    let own = winner.get(line * pixels + pixel).copied().unwrap_or(NOT_JUDGED);
                    codes[*row] = shared.get(&own).copied().unwrap_or(NOT_JUDGED);
                }
            }
        }
        if !any {
            return Err(unknown(
                "no minerals were looked for in these scans; the rig's configuration has no section [minerals], or they are not made yet",
            ));
        }
        let found = Arc::new(Minerals { names, codes });
        Ok(Arc::clone(set.minerals.get_or_init(|| found)))
    }
}

/// The minerals of the chosen scans, and in how many of their points each is found.
#[derive(Serialize)]
pub struct Found {
    /// Names of the codes from 1.
    names: Vec<String>,
    /// Points of each code from 0, "not identified", in group 1 and in group 2.
    points: [Vec<usize>; 2],
}

/// `GET /api/explorer/minerals`.
pub async fn minerals(State(data): State<Arc<Data>>, Asked(chosen): Asked<Chosen>) -> Answer<Json<Found>> {
    let found = data.computing(move |data| {
        let set = data.set(&chosen.scans()?)?;
        let minerals = data.minerals_of(&set)?;
        let points = [0, 1].map(|group: usize| {
            let mut points = vec![0; minerals.names.len() + 1];
            for code in &minerals.codes[group] {
                if let Some(count) = points.get_mut(usize::from(*code)) {
                    *count += 1;
                }
            }
            points
        });
        Ok(Found { names: minerals.names.clone(), points })
    });
    found.await.map(Json)
}
