//! A network of dense layers with layer normalisation and GELU, its gradients, and Adam.

use crate::pairs::vectors;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Addend to the variance of a layer normalisation. It is the default of ONNX.
const EPSILON: f32 = 1e-5;
/// Decay of the means of Adam.
const DECAY: (f32, f32) = (0.9, 0.999);

/// Widths of the layers, from input to code. The values of all layers lie in one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape(pub Vec<usize>);

/// Places of the values of one layer in the list.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub inputs: usize,
    pub outputs: usize,
    /// Weights `[in][out]`.
    pub weight: Range<usize>,
    /// Biases `[out]`.
    pub bias: Range<usize>,
    /// Gains and shifts of the normalisation, `[out]` each. The last layer has none, and no GELU.
    pub normal: Option<(Range<usize>, Range<usize>)>,
}

impl Shape {
    /// The layers in their order.
    pub fn parts(&self) -> Vec<Part> {
        let mut at = 0;
        let mut take = |count: usize| {
            at += count;
            at - count..at
        };
        let last = self.0.len().saturating_sub(2);
        let layers = self.0.windows(2).enumerate();
        let part = |(i, pair): (usize, &[usize])| {
            let (inputs, outputs) = (pair[0], pair[1]);
            let (weight, bias) = (take(inputs * outputs), take(outputs));
            let normal = (i < last).then(|| (take(outputs), take(outputs)));
            Part { inputs, outputs, weight, bias, normal }
        };
        layers.map(part).collect()
    }

    /// Number of values.
    pub fn count(&self) -> usize {
        self.parts().last().map_or(0, |part| part.bias.end)
    }

    /// Random values. Weights have a variance of one over the inputs, gains are 1, and biases and shifts 0.
    pub fn values(&self, random: &mut Pcg64Mcg) -> Vec<f32> {
        let mut values = vec![0.0; self.count()];
        for part in self.parts() {
            let spread = (part.inputs as f64).recip().sqrt();
            values[part.weight].fill_with(|| (spread * Distribution::<f64>::sample(&StandardNormal, random)) as f32);
            if let Some((gain, _)) = part.normal {
                values[gain].fill(1.0);
            }
        }
        values
    }
}

/// What a layer keeps for its gradient.
pub(super) struct Passed {
    input: Array2<f32>,
    hidden: Option<Hidden>,
}

/// What the normalisation and GELU of a layer keep.
struct Hidden {
    normalised: Array2<f32>,
    /// Factor of the normalisation in each row.
    factors: Array1<f32>,
    /// Values before GELU.
    before: Array2<f32>,
    /// The normal distribution there.
    share: Array2<f32>,
}

fn matrix<'a>(values: &'a [f32], part: &Part) -> ArrayView2<'a, f32> {
    ArrayView2::from_shape((part.inputs, part.outputs), &values[part.weight.clone()]).expect("a part has inputs * outputs weights")
}

fn list<'a>(values: &'a [f32], range: &Range<usize>) -> ArrayView1<'a, f32> {
    ArrayView1::from(&values[range.clone()])
}

const IN_ROWS: &str = "values lie row by row";

/// The same values, row by row in memory.
fn in_rows(values: Array2<f32>) -> Array2<f32> {
    if values.is_standard_layout() { values } else { values.as_standard_layout().into_owned() }
}

/// Maps rows `(n, inputs)` to codes `(n, latent)`.
pub(super) fn forward(shape: &Shape, values: &[f32], input: Array2<f32>) -> Array2<f32> {
    pass(shape, values, input).0
}

/// The same, with what [`backward`] needs.
pub(super) fn pass(shape: &Shape, values: &[f32], input: Array2<f32>) -> (Array2<f32>, Vec<Passed>) {
    let mut passed = Vec::new();
    let mut x = input;
    for part in shape.parts() {
        let mut y = x.dot(&matrix(values, &part));
        y += &list(values, &part.bias);
        let Some((gain, shift)) = &part.normal else {
            passed.push(Passed { input: x, hidden: None });
            return (y, passed);
        };
        let (gain, shift) = (list(values, gain), list(values, shift));
        let width = part.outputs as f32;
        let mut factors = Array1::zeros(y.nrows());
        for (mut row, factor) in y.rows_mut().into_iter().zip(&mut factors) {
            let mean = row.sum() / width;
            row -= mean;
            *factor = (row.iter().map(|v| v * v).sum::<f32>() / width + EPSILON).sqrt().recip();
            row *= *factor;
        }
        let before = in_rows(&y * &gain + shift);
        let mut share = before.clone();
        vectors::normal_shares(share.as_slice_mut().expect(IN_ROWS));
        let output = &before * &share;
        passed.push(Passed { input: x, hidden: Some(Hidden { normalised: y, factors, before, share }) });
        x = output;
    }
    (x, passed)
}

/// The gradient to all values, from that to the codes `(n, latent)`.
pub(super) fn backward(shape: &Shape, values: &[f32], passed: Vec<Passed>, gradient: Array2<f32>) -> Vec<f32> {
    let mut to = vec![0.0; values.len()];
    let mut set = |range: &Range<usize>, found: Array1<f32>| to[range.clone()].iter_mut().zip(found).for_each(|(to, v)| *to = v);
    let mut dy = gradient;
    for (i, (part, passed)) in shape.parts().into_iter().zip(passed).enumerate().rev() {
        if let (Some((gain, shift)), Some(Hidden { normalised, factors, before, share })) = (&part.normal, &passed.hidden) {
            dy = in_rows(dy);
            // GELU is x Φ(x).
            let (x, share) = (before.as_slice().expect(IN_ROWS), share.as_slice().expect(IN_ROWS));
            vectors::gelu_gradient(dy.as_slice_mut().expect(IN_ROWS), x, share);
            set(gain, (&dy * normalised).sum_axis(Axis(0)));
            set(shift, dy.sum_axis(Axis(0)));
            dy *= &list(values, gain);
            let width = part.outputs as f32;
            for ((mut row, normalised), factor) in dy.rows_mut().into_iter().zip(normalised.rows()).zip(factors) {
                let (mean, along) = (row.sum() / width, row.dot(&normalised) / width);
                row.zip_mut_with(&normalised, |d, n| *d = factor * (*d - mean - n * along));
            }
        }
        let weights = passed.input.t().dot(&dy);
        set(&part.weight, weights.iter().copied().collect());
        set(&part.bias, dy.sum_axis(Axis(0)));
        if i > 0 {
            dy = dy.dot(&matrix(values, &part).t());
        }
    }
    to
}

/// Means of the gradients and of their squares (Kingma and Ba 2015, arXiv:1412.6980).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    pub fn step(&mut self, values: &mut [f32], gradient: &[f32], rate: f64) {
        self.first.resize(values.len(), 0.0);
        self.second.resize(values.len(), 0.0);
        self.steps += 1;
        let (one, two) = DECAY;
        let rate = rate as f32 / (1.0 - one.powi(self.steps));
        let scale = (1.0 - two.powi(self.steps)).recip();
        let means = self.first.iter_mut().zip(&mut self.second);
        for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(means) {
            *first = one * *first + (1.0 - one) * gradient;
            *second = two * *second + (1.0 - two) * gradient * gradient;
            *value -= rate * *first / ((*second * scale).sqrt() + 1e-8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let shape = Shape(vec![5, 7, 6, 2]);
        let mut random = Pcg64Mcg::seed_from_u64(3);
        let mut values = shape.values(&mut random);
        values.iter_mut().for_each(|value| *value += 0.2 * (random.random::<f32>() - 0.5));
        let input = Array2::from_shape_fn((4, 5), |_| random.random::<f32>() * 2.0 - 1.0);
        let wanted = Array2::from_shape_fn((4, 2), |_| random.random::<f32>());
        let (codes, passed) = pass(&shape, &values, input.clone());
        assert_eq!(codes, forward(&shape, &values, input.clone()));
        let found = backward(&shape, &values, passed, wanted.clone());
        assert_eq!(found.len(), shape.count());
        let along = |values: &[f32]| f64::from((forward(&shape, values, input.clone()) * &wanted).sum());
        for i in 0..values.len() {
            let moved = |by: f32| {
                let mut values = values.clone();
                values[i] += by;
                along(&values)
            };
            let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(found[i]) - numeric).abs() < 5e-3 * numeric.abs().max(0.3), "value {i}: {} {numeric}", found[i]);
        }
    }

    #[test]
    fn adam_finds_a_minimum() {
        let (mut values, mut adam) = (vec![3.0_f32, -2.0], Adam::default());
        for _ in 0..2000 {
            let gradient = [2.0 * (values[0] - 1.0), 20.0 * (values[1] - 0.5)];
            adam.step(&mut values, &gradient, 0.02);
        }
        assert!((values[0] - 1.0).abs() < 1e-2 && (values[1] - 0.5).abs() < 1e-2, "{values:?}");
    }
}
