//! Scatter of ln K/S: of all spectra, and within pairs.

use super::absorption::log_absorption;
use super::error::PairsError;
use super::partners::{Partner, Partners};
use crate::data::Spectra;
use crate::table::Place;
use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

/// Spectra that are read together.
const BATCH: usize = 2048;
/// Batches that are computed side by side.
const SIDE_BY_SIDE: usize = 16;
/// Spectra whose mean is the origin of the sums.
const ORIGIN: usize = 1000;

/// Sums of ln K/S over the spectra of some groups of containers. A fit takes any of the groups.
pub struct Moments {
    wavelengths_nm: Vec<f64>,
    /// Origin of the sums, ln K/S.
    origin: DVector<f64>,
    groups: Vec<Group>,
}

/// Sums over the containers of one group.
struct Group {
    /// Number of spectra of each container, and their mean from the origin.
    containers: Vec<(usize, DVector<f64>)>,
    /// Scatter about the means of the containers `[band][band]`.
    within: DMatrix<f64>,
    /// Sum of the squared differences of pairs by distance `[band][band]`, and their number.
    differences: Option<(DMatrix<f64>, usize)>,
}

/// Mean, and the variance in total and within pairs, of ln K/S.
pub(super) struct Scatter {
    /// Mean of each band.
    pub mean: DVector<f64>,
    /// Total covariance.
    pub total: DMatrix<f64>,
    /// Covariance within pairs.
    pub within: DMatrix<f64>,
    /// Number of spectra.
    pub spectra: usize,
}

impl Moments {
    /// Sums over all spectra. `group_of` has the group of each sample, below `groups`. `seed` draws the pairs by distance.
    ///
    /// Memory does not grow with the number of spectra. The number of threads does not change the result.
    ///
    /// # Errors
    ///
    /// [`PairsError::Data`] for spectra that cannot be read.
    pub fn of(
        spectra: &Spectra,
        places: &[Place],
        (group_of, groups): (&[u32], usize),
        partner: Partner,
        seed: u64,
    ) -> Result<Self, PairsError> {
        let bands = spectra.bands();
        let read = |rows: &[u32]| -> Result<Vec<f32>, PairsError> {
            let mut values = spectra.rows(rows)?;
            log_absorption(&mut values);
            Ok(values)
        };
        let some: Vec<u32> = (0..spectra.len()).step_by(spectra.len().div_ceil(ORIGIN).max(1)).map(|row| row as u32).collect();
        let mut origin = DVector::zeros(bands);
        for spectrum in read(&some)?.chunks_exact(bands) {
            origin.iter_mut().zip(spectrum).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        origin /= some.len().max(1) as f64;

        let mut of_sample: Vec<Vec<u32>> = vec![Vec::new(); group_of.len()];
        places.iter().enumerate().for_each(|(row, place)| of_sample[place.sample as usize].push(row as u32));
        let zero = || DMatrix::zeros(bands, bands);
        let mut sums: Vec<(usize, DVector<f64>, DMatrix<f64>)> = Vec::new();
        let mut result: Vec<Group> = (0..groups).map(|_| Group { containers: Vec::new(), within: zero(), differences: None }).collect();
        let parts: Vec<(usize, &[u32])> =
            of_sample.iter().enumerate().flat_map(|(sample, rows)| rows.chunks(BATCH).map(move |rows| (sample, rows))).collect();
        let mut current = None;
        for some in parts.chunks(SIDE_BY_SIDE) {
            let batches: Vec<Result<_, PairsError>> = some.par_iter().map(|(_, rows)| Ok(sum(&read(rows)?, &origin))).collect();
            for ((sample, _), batch) in some.iter().zip(batches) {
                if current != Some(*sample) {
                    finish(&mut result, &mut sums, current.map(|sample| group_of[sample]));
                    current = Some(*sample);
                }
                // The batches of a container are added in their order.
                sums.push(batch?);
            }
        }
        finish(&mut result, &mut sums, current.map(|sample| group_of[sample]));

        if partner == Partner::Distance {
            let all: Vec<u32> = (0..places.len() as u32).collect();
            let partners = Partners::new(places, &all, partner);
            for some in parts.chunks(SIDE_BY_SIDE) {
                let batches: Vec<Result<_, PairsError>> = some
                    .par_iter()
                    .map(|(_, rows)| {
                        let mut random = Pcg64Mcg::seed_from_u64(seed ^ u64::from(rows[0]).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                        let pairs: Vec<(u32, u32)> =
                            rows.iter().filter_map(|row| Some((*row, partners.draw(*row, &mut random)?))).collect();
                        let (left, right): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
                        let (left, right) = (read(&left)?, read(&right)?);
                        let of = |band: usize, pair: usize| f64::from(left[pair * bands + band]) - f64::from(right[pair * bands + band]);
                        let differences = DMatrix::from_fn(bands, pairs.len(), of);
                        Ok((&differences * differences.transpose(), pairs.len()))
                    })
                    .collect();
                for ((sample, _), batch) in some.iter().zip(batches) {
                    let (squares, count) = batch?;
                    let sum = result[group_of[*sample] as usize].differences.get_or_insert_with(|| (zero(), 0));
                    sum.0 += squares;
                    sum.1 += count;
                }
            }
        }
        Ok(Self { wavelengths_nm: spectra.wavelengths_nm().to_vec(), origin, groups: result })
    }

    /// Wavelengths of the bands, nm.
    pub fn wavelengths_nm(&self) -> &[f64] {
        &self.wavelengths_nm
    }

    /// The scatter of the groups that `takes` accepts.
    pub(super) fn scatter(&self, takes: impl Fn(usize) -> bool) -> Result<Scatter, PairsError> {
        let bands = self.origin.len();
        let groups: Vec<&Group> = self.groups.iter().enumerate().filter(|(i, _)| takes(*i)).map(|(_, group)| group).collect();
        let containers = || groups.iter().flat_map(|group| &group.containers);
        let (spectra, count) = (containers().map(|(n, _)| n).sum::<usize>(), containers().count());
        if count < 2 || spectra < count + 2 {
            return Err(PairsError::TooFew { containers: count, spectra });
        }
        let mut mean = DVector::zeros(bands);
        containers().for_each(|(n, of)| mean += of * *n as f64);
        mean /= spectra as f64;
        let mut total = DMatrix::zeros(bands, bands);
        groups.iter().for_each(|group| total += &group.within);
        let mut within = total.clone() / (spectra - count) as f64;
        let between = DMatrix::from_columns(&containers().map(|(n, of)| (of - &mean) * (*n as f64).sqrt()).collect::<Vec<_>>());
        total += &between * between.transpose();
        total /= (spectra - 1) as f64;
        if groups.iter().any(|group| group.differences.is_some()) {
            let pairs: usize = groups.iter().filter_map(|group| group.differences.as_ref()).map(|(_, n)| n).sum();
            if pairs < 2 {
                return Err(PairsError::NoPairs);
            }
            within.fill(0.0);
            groups.iter().filter_map(|group| group.differences.as_ref()).for_each(|(squares, _)| within += squares);
            // A difference has twice the variance within.
            within /= 2.0 * pairs as f64;
        }
        Ok(Scatter { mean: mean + &self.origin, total, within, spectra })
    }
}

/// Number, sum and sum of squares of the deviations of spectra `[row][band]` from the origin.
fn sum(values: &[f32], origin: &DVector<f64>) -> (usize, DVector<f64>, DMatrix<f64>) {
    let bands = origin.len();
    let count = values.len() / bands;
    let deviations = DMatrix::from_fn(bands, count, |band, row| f64::from(values[row * bands + band]) - origin[band]);
    (count, deviations.column_sum(), &deviations * deviations.transpose())
}

/// Adds the sums of one container to its group.
fn finish(groups: &mut [Group], sums: &mut Vec<(usize, DVector<f64>, DMatrix<f64>)>, group: Option<u32>) {
    let mut parts = sums.drain(..);
    let (Some(group), Some((mut count, mut mean, mut squares))) = (group, parts.next()) else { return };
    parts.for_each(|(n, sum, square)| {
        count += n;
        mean += sum;
        squares += square;
    });
    mean /= count as f64;
    squares -= &mean * mean.transpose() * count as f64;
    let group = &mut groups[group as usize];
    group.within += squares;
    group.containers.push((count, mean));
}
