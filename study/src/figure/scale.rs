//! Scales of axes.

/// A scale from values to pixels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
}

impl Scale {
    pub fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About `count` round values within the scale, with their texts.
    pub fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / count.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999).unwrap_or(power);
        let digits = (-(step.log10() + 1e-9).floor()).max(0.0) as usize + usize::from((step / power - 2.5).abs() < 1e-6);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * step).map(|v| (v, format!("{v:.digits$}"))).collect()
    }
}

/// The smallest interval with all values, never empty.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match low <= high {
        true if high > low => (low, high),
        true => (low - 0.5, high + 0.5),
        false => (0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let scale = |low, high| Scale { low, high, from: 0.0, to: 100.0 };
        let texts = |low, high, count| scale(low, high).ticks(count).into_iter().map(|(_, t)| t).collect::<Vec<_>>();
        assert_eq!(texts(0.0, 1.0, 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(400.0, 2500.0, 5), ["500", "1000", "1500", "2000", "2500"]);
        assert_eq!(texts(0.0, 0.25, 2), ["0.0", "0.2"]);
        assert_eq!(texts(1.0, 9.0, 8), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    }
}
