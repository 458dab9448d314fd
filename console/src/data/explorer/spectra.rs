//! The spectra behind points: from the parts where they hold them, else from the cubes.

use super::choice::Chosen;
use super::set::Set;
use crate::data::Data;
use crate::data::answer::{Answer, Asked, octets, of_sample, unknown, unreadable, wrong};
use axum::extract::State;
use axum::response::Response;
use hyclus_study::cloud::evenly;
use std::sync::Arc;

/// Most spectra of one answer.
const MOST_ROWS: usize = 2000;

/// Spectra with their axis.
pub struct Spectra {
    pub wavelengths_nm: Vec<f64>,
    /// The points whose spectra these are. They rise.
    pub rows: Vec<usize>,
    /// The spectra, one behind the other.
    pub values: Vec<f32>,
}

impl Data {
    /// The spectra of some points, which rise. Points whose cube is gone, or has other bands than the first, are left out.
    pub(super) fn spectra(&self, set: &Set, rows: &[usize]) -> Answer<Spectra> {
        let bands = set.wavelengths_nm.len();
        if bands == 0 {
            return self.spectra_of_cubes(set, rows);
        }
        let mut spectra = Spectra { wavelengths_nm: set.wavelengths_nm.clone(), rows: Vec::new(), values: Vec::new() };
        for (number, part) in set.parts.iter().enumerate() {
            let end = set.parts.get(number + 1).map_or(set.len(), |next| next.first);
            let here = &rows[rows.partition_point(|row| *row < part.first)..rows.partition_point(|row| *row < end)];
            if here.is_empty() {
                continue;
            }
            let in_part: Vec<u32> = here.iter().map(|row| set.points.row[*row]).collect();
            let mut next = here.iter();
            part.file
                .spectra(&in_part, &mut |spectrum| {
                    if let (Some(row), true) = (next.next(), spectrum.len() == bands) {
                        spectra.rows.push(*row);
                        spectra.values.extend_from_slice(spectrum);
                    }
                })
                .map_err(unreadable)?;
        }
        Ok(spectra)
    }

    fn spectra_of_cubes(&self, set: &Set, rows: &[usize]) -> Answer<Spectra> {
        let place = |row: usize| (set.points.sample[row], set.points.line[row], set.points.pixel[row]);
        let mut order = rows.to_vec();
        order.sort_unstable_by_key(|row| place(*row));
        let mut found: Vec<(usize, Vec<f32>)> = Vec::new();
        let mut wavelengths_nm: Vec<f64> = Vec::new();
        for of_line in order.chunk_by(|a, b| (place(*a).0, place(*a).1) == (place(*b).0, place(*b).1)) {
            let (sample, line, _) = place(of_line[0]);
            let listed = &set.samples[sample as usize].listed;
            let Ok(stored) = self.sample(&listed.scan, &listed.sample) else { continue };
            if wavelengths_nm.is_empty() {
                wavelengths_nm.clone_from(&stored.wavelengths_nm);
            }
            let (lines, pixels) = stored.mask.dim();
            let mut columns: Vec<usize> = of_line.iter().filter_map(|row| usize::try_from(place(*row).2).ok()).collect();
            columns.dedup();
            let line = usize::try_from(line).unwrap_or(usize::MAX);
            let fits = line < lines && columns.len() == of_line.len() && columns.iter().all(|pixel| *pixel < pixels);
            if !fits || wavelengths_nm != stored.wavelengths_nm {
                continue;
            }
            let values = stored.spectra(line, &columns).map_err(|error| of_sample(&error))?;
            found.extend(of_line.iter().copied().zip(values.chunks_exact(wavelengths_nm.len().max(1)).map(<[f32]>::to_vec)));
        }
        if found.is_empty() {
            return Err(unknown("the spectra of these points are not there: their samples are gone, or were stored anew"));
        }
        found.sort_unstable_by_key(|(row, _)| *row);
        let (rows, values): (Vec<usize>, Vec<Vec<f32>>) = found.into_iter().unzip();
        Ok(Spectra { wavelengths_nm, rows, values: values.concat() })
    }
}

/// `GET /api/explorer/spectra`: spectra as an image, sorted by the values of a key.
pub async fn spectra(State(data): State<Arc<Data>>, Asked(chosen): Asked<Chosen>) -> Answer<Response> {
    let bytes = data.computing(move |data| {
        let set = data.set(&chosen.scans()?)?;
        let groups = set.by_key(&chosen.group);
        if groups.is_empty() {
            return Err(wrong("no sample of the chosen scans has that key; group is one of their sample keys, such as plant"));
        }
        // The place of each sample in the order of the groups.
        let mut order = vec![usize::MAX; set.samples.len()];
        groups.values().flatten().enumerate().for_each(|(at, sample)| order[*sample as usize] = at);
        let at = |row: usize| order[set.points.sample[row] as usize];
        let mut rows: Vec<usize> = (0..set.len()).filter(|row| at(*row) != usize::MAX).collect();
        rows.sort_by_key(|row| at(*row));
        let most = chosen.rows.unwrap_or(400).clamp(1, MOST_ROWS);
        let drawn: Vec<usize> = evenly(rows.len(), most).into_iter().map(|i| rows[i]).collect();
        let mut rising = drawn.clone();
        rising.sort_unstable();
        let spectra = data.spectra(&set, &rising)?;
        let bands = spectra.wavelengths_nm.len();
        let there: Vec<(usize, usize)> = drawn.iter().filter_map(|row| Some((*row, spectra.rows.binary_search(row).ok()?))).collect();
        let mut bytes = Vec::new();
        for count in [there.len(), bands] {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        spectra.wavelengths_nm.iter().for_each(|nm| bytes.extend_from_slice(&(*nm as f32).to_le_bytes()));
        there.iter().for_each(|(row, _)| bytes.extend_from_slice(&set.points.sample[*row].to_le_bytes()));
        for (_, at) in &there {
            spectra.values[at * bands..(at + 1) * bands].iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        Ok(bytes)
    });
    Ok(octets(bytes.await?, &[]))
}
