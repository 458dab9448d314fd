//! Inner loops, compiled for the widest vector unit of the CPU.

use std::sync::LazyLock;

static UNIT: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

/// Sigmoids of one product before a logarithm. Each is at least a half, so that the product stays far from underflow.
const FACTORS: usize = 32;
const LANES: usize = 16;

/// tanh as the quotient of two polynomials, within a few units in the last place. Beyond ±7.9 it is ±1 in float32. The coefficients are
/// those of Eigen (MPL 2, Eigen/src/Core/MathFunctionsImpl.h). ONNX Runtime uses them as well.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let x = x.clamp(-7.905_311, 7.905_311);
    let s = x * x;
    let p = s * -2.760_768_5e-16 + 2.000_188e-13;
    let p = s * p - 8.604_672e-11;
    let p = s * p + 5.122_297e-8;
    let p = s * p + 1.485_722_4e-5;
    let p = s * p + 6.372_619e-4;
    let p = s * p + 4.893_524_6e-3;
    let q = s * 1.198_258_4e-6 + 1.185_347_1e-4;
    let q = s * q + 2.268_434_6e-3;
    let q = s * q + 4.893_525e-3;
    x * p / q
}

#[inline(always)]
fn sigmoid(z: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * z)
}

/// Adds a bias to every row, then takes tanh where `with_tanh` is set.
pub(super) fn add_bias(values: &mut [f32], bias: &[f32], with_tanh: bool) {
    UNIT.dispatch(
        #[inline(always)]
        || {
            for row in values.chunks_exact_mut(bias.len()) {
                if with_tanh {
                    row.iter_mut().zip(bias).for_each(|(y, b)| *y = tanh(*y + b));
                } else {
                    row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                }
            }
        },
    );
}

/// Sum of `-x ln s - (1 - x) ln(1 - s)` for s = sigmoid(z). It is computed as `max(z, 0) - x z - ln sigmoid(|z|)`.
pub(super) fn cross_entropy(z: &[f32], x: &[f32]) -> f64 {
    UNIT.dispatch(
        #[inline(always)]
        || {
            let mut sum = 0.0_f64;
            for (z, x) in z.chunks(LANES * FACTORS).zip(x.chunks(LANES * FACTORS)) {
                let (mut linear, mut product) = ([0.0_f32; LANES], [1.0_f32; LANES]);
                for (z, x) in z.chunks(LANES).zip(x.chunks(LANES)) {
                    for (((linear, product), z), x) in linear.iter_mut().zip(&mut product).zip(z).zip(x) {
                        *linear += z.max(0.0) - x * z;
                        *product *= sigmoid(z.abs());
                    }
                }
                sum += linear.iter().map(|l| f64::from(*l)).sum::<f64>() - product.iter().map(|p| f64::from(*p).ln()).sum::<f64>();
            }
            sum
        },
    )
}

/// Replaces z by `(sigmoid(z) - x) scale`.
pub(super) fn cross_entropy_gradient(z: &mut [f32], x: &[f32], scale: f32) {
    UNIT.dispatch(
        #[inline(always)]
        || z.iter_mut().zip(x).for_each(|(z, x)| *z = (sigmoid(*z) - x) * scale),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_and_cross_entropy_are_those_of_the_standard_library() {
        let z: Vec<f32> = (-3000..3000).map(|i| i as f32 * 0.01).collect();
        let x: Vec<f32> = (0..6000).map(|i| (i % 101) as f32 / 100.0).collect();
        for z in &z {
            assert!((tanh(*z) - z.tanh()).abs() < 3e-7, "tanh {z}: {} {}", tanh(*z), z.tanh());
        }
        let exact: f64 = z
            .iter()
            .zip(&x)
            .map(|(z, x)| f64::from(*z).max(0.0) - f64::from(*x) * f64::from(*z) + (-f64::from(z.abs())).exp().ln_1p())
            .sum();
        assert!((cross_entropy(&z, &x) - exact).abs() < 1e-5 * exact, "{} {exact}", cross_entropy(&z, &x));
        let mut gradient = z.clone();
        cross_entropy_gradient(&mut gradient, &x, 2.0);
        for ((g, z), x) in gradient.iter().zip(&z).zip(&x) {
            assert!((f64::from(*g) - 2.0 * (1.0 / (1.0 + (-f64::from(*z)).exp()) - f64::from(*x))).abs() < 1e-6);
        }
    }
}
