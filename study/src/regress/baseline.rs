//! Trivial predictions, which a model must beat.

use super::folds::Folds;
use nalgebra::DVector;

/// A way to predict without the shape of a spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaselineKind {
    /// The mean label of the training samples.
    Mean,
    /// The label of the training sample with the nearest mean reflectance.
    NearestAlbedo,
    /// A straight line over the mean reflectance.
    AlbedoLine,
    /// A straight line over the number of pixels.
    SizeLine,
}

impl BaselineKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Mean, Self::NearestAlbedo, Self::AlbedoLine, Self::SizeLine];

    /// Name in the results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean label",
            Self::NearestAlbedo => "label of the nearest albedo",
            Self::AlbedoLine => "line over the albedo",
            Self::SizeLine => "line over the number of pixels",
        }
    }

    /// Values of `asked` samples from `training` samples with labels. `albedo` and `size` belong to all samples.
    fn values(self, labels: &[(usize, f64)], asked: &[usize], albedo: &[f64], size: &[f64]) -> Vec<f64> {
        let mean = labels.iter().map(|(_, label)| label).sum::<f64>() / labels.len().max(1) as f64;
        match self {
            Self::Mean => vec![mean; asked.len()],
            Self::NearestAlbedo => {
                let distance = |sample: usize, other: &(usize, f64)| (albedo[other.0] - albedo[sample]).abs();
                let nearest = |sample: &usize| {
                    labels.iter().min_by(|a, b| distance(*sample, a).total_cmp(&distance(*sample, b))).map_or(mean, |(_, label)| *label)
                };
                asked.iter().map(nearest).collect()
            }
            Self::AlbedoLine => line(labels, asked, albedo, mean),
            Self::SizeLine => line(labels, asked, size, mean),
        }
    }
}

fn line(labels: &[(usize, f64)], asked: &[usize], of: &[f64], mean: f64) -> Vec<f64> {
    let middle = labels.iter().map(|(sample, _)| of[*sample]).sum::<f64>() / labels.len().max(1) as f64;
    let both: f64 = labels.iter().map(|(sample, label)| (of[*sample] - middle) * (label - mean)).sum();
    let square: f64 = labels.iter().map(|(sample, _)| (of[*sample] - middle).powi(2)).sum();
    let slope = if square > 1e-18 { both / square } else { 0.0 };
    asked.iter().map(|sample| mean + slope * (of[*sample] - middle)).collect()
}

/// The strongest baseline of a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Its kind: the least error over the held-out folds.
    pub kind: BaselineKind,
    /// Value of each labelled sample, from the samples of other folds.
    pub held_out: Vec<f64>,
    /// Value of each further sample, from all labelled ones.
    pub further: Vec<f64>,
}

impl Baseline {
    /// The strongest baseline. `known` are the labelled samples among all, in the order of labels and folds, and `further` are others.
    /// `albedo` and `size` belong to all samples.
    pub fn strongest(
        labels: &DVector<f64>,
        folds: &Folds,
        (known, further): (&[usize], &[usize]),
        (albedo, size): (&[f64], &[f64]),
    ) -> Self {
        let all: Vec<(usize, f64)> = known.iter().copied().zip(labels.iter().copied()).collect();
        let of = |kind: BaselineKind| {
            let mut held_out = vec![0.0; known.len()];
            for fold in 0..folds.count {
                let training: Vec<(usize, f64)> = folds.outside(&[fold]).into_iter().map(|i| all[i]).collect();
                let inside = folds.inside(fold);
                let asked: Vec<usize> = inside.iter().map(|i| known[*i]).collect();
                inside.iter().zip(kind.values(&training, &asked, albedo, size)).for_each(|(i, value)| held_out[*i] = value);
            }
            let error: f64 = held_out.iter().zip(labels).map(|(value, label)| (value - label).powi(2)).sum();
            (error, Self { kind, held_out, further: kind.values(&all, further, albedo, size) })
        };
        let mut best = of(BaselineKind::Mean);
        for kind in BaselineKind::ALL {
            let other = of(kind);
            if other.0 < best.0 {
                best = other;
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regress::folds;

    #[test]
    fn the_strongest_baseline_is_found() {
        let groups: Vec<String> = (0..30).map(|i| i.to_string()).collect();
        let folds = folds(&groups, 6, 1);
        let known: Vec<usize> = (0..30).collect();
        let size: Vec<f64> = (0..32).map(|i| f64::from((i * 7) % 32)).collect();
        let albedo: Vec<f64> = (0..32).map(|i| f64::from((i * 11) % 32)).collect();
        let found = |label: &dyn Fn(usize) -> f64| {
            let labels = DVector::from_fn(30, |i, _| label(i));
            Baseline::strongest(&labels, &folds, (&known, &[30, 31]), (&albedo, &size))
        };
        let by_size = found(&|i| 2.0 + 0.5 * size[i]);
        assert_eq!(by_size.kind, BaselineKind::SizeLine);
        assert!((by_size.further[1] - 2.0 - 0.5 * size[31]).abs() < 1e-9 && (by_size.held_out[4] - 2.0 - 0.5 * size[4]).abs() < 1e-9);
        assert_eq!(found(&|i| (albedo[i] * 0.7).sin()).kind, BaselineKind::NearestAlbedo);
        assert_eq!(found(&|i| f64::from(u8::from(i == 3))).kind, BaselineKind::Mean);
    }
}
