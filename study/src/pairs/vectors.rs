//! Inner loops, compiled for the widest vector unit of the CPU.

use std::sync::LazyLock;

static UNIT: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

/// Bits of the square root of a half.
const ROOT_HALF: u32 = 0x3f35_04f3;
/// ln 2 as a short number and the rest, so that its multiples round to nothing.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
/// Lowest exponent of [`exp`]. Lower ones count as this one.
const LOWEST: f32 = -87.0;

/// ln x of a positive, normal x, within two units in the last place. The coefficients are those of Cephes (Moshier 1989, `logf`).
#[inline(always)]
fn ln(x: f32) -> f32 {
    let above = x.to_bits().wrapping_sub(ROOT_HALF);
    let exponent = (above.cast_signed() >> 23) as f32;
    let m = f32::from_bits((above & 0x007f_ffff) + ROOT_HALF) - 1.0;
    let p = m * 7.037_683_6e-2 - 1.151_461e-1;
    let p = m * p + 1.167_699_9e-1;
    let p = m * p - 1.242_014_1e-1;
    let p = m * p + 1.424_932_3e-1;
    let p = m * p - 1.666_805_8e-1;
    let p = m * p + 2.000_071_5e-1;
    let p = m * p - 2.499_999_4e-1;
    let p = m * p + 3.333_333e-1;
    let square = m * m;
    let rest = m * square * p + exponent * LN_2.1 - 0.5 * square;
    m + rest + exponent * LN_2.0
}

/// exp x for x up to 0, within two units in the last place. The coefficients are those of Cephes (Moshier 1989, `expf`).
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.max(LOWEST);
    let n = (x * std::f32::consts::LOG2_E + 0.5).floor();
    let x = x - n * LN_2.0 - n * LN_2.1;
    let p = x * 1.987_569_1e-4 + 1.398_2e-3;
    let p = x * p + 8.333_452e-3;
    let p = x * p + 4.166_579_6e-2;
    let p = x * p + 1.666_666_5e-1;
    let p = x * p + 0.5;
    let power = f32::from_bits(((n as i32 + 127) << 23).cast_unsigned());
    (x * x * p + x + 1.0) * power
}

/// The error function, within 2e-7 (Abramowitz and Stegun 1964, 7.1.26). `decay` is `exp(-x²)`.
#[inline(always)]
fn erf(x: f32, decay: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let sum = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    (1.0 - sum * decay).copysign(x)
}

/// The standard normal distribution, and its density, at x.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let decay = exp(-0.5 * x * x);
    (0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2, decay)), 0.398_942_3 * decay)
}

/// Replaces R by `ln((1 - R)² / (2 R))`, with R clamped to two limits between 0 and 1.
pub(super) fn log_absorption(values: &mut [f32], (lowest, highest): (f32, f32)) {
    UNIT.dispatch(
        #[inline(always)]
        || {
            for value in values {
                let r = value.clamp(lowest, highest);
                *value = ln((1.0 - r) * (1.0 - r) / (r + r));
            }
        },
    );
}

/// Replaces every x by the standard normal distribution there.
pub(super) fn normal_shares(x: &mut [f32]) {
    UNIT.dispatch(
        #[inline(always)]
        || x.iter_mut().for_each(|x| *x = normal(*x).0),
    );
}

/// Multiplies gradients with the slope `Φ(x) + x φ(x)` of GELU. `shares` are those of [`normal_shares`].
pub(super) fn gelu_gradient(gradient: &mut [f32], x: &[f32], shares: &[f32]) {
    UNIT.dispatch(
        #[inline(always)]
        || gradient.iter_mut().zip(x).zip(shares).for_each(|((d, x), share)| *d *= share + x * normal(*x).1),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_exponential_are_those_of_the_standard_library() {
        for i in 1..200_000 {
            let x = i as f32 * 7e-4;
            let exact = f64::from(x).ln();
            assert!((f64::from(ln(x)) - exact).abs() < 1.5e-7 * exact.abs().max(1.0), "ln {x}: {} {exact}", ln(x));
            let low = -0.6 * x;
            let exact = f64::from(low).exp();
            assert!((f64::from(exp(low)) - exact).abs() < 3e-7 * exact + 2e-38, "exp {low}: {} {exact}", exp(low));
        }
        for x in [f32::MIN_POSITIVE, 1e-20, 1.0, 0.999_999_94, 1.000_000_1, 3e30] {
            assert!((ln(x) - x.ln()).abs() <= 1.5e-7 * x.ln().abs().max(1.0), "ln {x}");
        }
        assert_eq!((exp(0.0), exp(-0.0)), (1.0, 1.0));
        assert!(exp(-1e9) < 2e-38);
    }

    #[test]
    fn the_normal_distribution_is_near_enough() {
        for (x, share) in [(-3.0, 0.001_349_898), (-1.0, 0.158_655_25), (0.0, 0.5), (0.5, 0.691_462_46), (2.0, 0.977_249_87)] {
            assert!((normal(x).0 - share).abs() < 3e-7, "{x}");
        }
        assert!((normal(1.0).1 - 0.241_970_72).abs() < 1e-7);
        let (mut slope, mut shares) = ([2.0; 20], [1.0; 20]);
        normal_shares(&mut shares);
        gelu_gradient(&mut slope, &[1.0; 20], &shares);
        assert!(slope.iter().all(|slope| (slope - 2.0 * (0.841_344_8 + 0.241_970_72)).abs() < 1e-6), "{slope:?}");
    }
}
