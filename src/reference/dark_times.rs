//! The times between which the dark level of a recording is interpolated.

use super::Reference;
use crate::scan::iso;

/// Dates of references may be this much too early, ns: recorders cut off the fraction of the second.
const SLACK_NS: i64 = 1_000_000_000;

/// The times between which the dark level of a recording is interpolated: the dates of its two dark references. No reference is younger than
/// the first line or older than the last, whatever a date in whole seconds says. Where the dates do not enclose the lines at all, the first
/// and the last line stand for them: the names of the references tell which one came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DarkTimes {
    /// Time of the dark reference before the scan and of the one after it, ns since 1970-01-01T00:00:00Z. `None` where the lines have one
    /// time only.
    pub between_ns: Option<(i64, i64)>,
    /// Why the times are in doubt.
    pub doubt: Option<String>,
}

impl DarkTimes {
    /// The times for dark references `before` and `after` a scan, whose first and last line have the times `lines_ns`.
    pub fn of(before: &Reference, after: &Reference, lines_ns: (i64, i64)) -> Self {
        let (dated, (first, last)) = ((before.taken_ns, after.taken_ns), lines_ns);
        let enclosed = dated.0 < dated.1 && dated.0 <= first.saturating_add(SLACK_NS) && dated.1 >= last.saturating_sub(SLACK_NS);
        if enclosed {
            return Self { between_ns: Some((dated.0.min(first), dated.1.max(last))), doubt: None };
        }
        if first >= last {
            let doubt = format!(
                "the dark reference after the scan (DARKREFAFTER_) is not used: the first and the last line are of {}, and the dark level is not interpolated; give the lines their times (time_ns in lines.csv)",
                iso(first)
            );
            return Self { between_ns: None, doubt: Some(doubt) };
        }
        // Equal dates tell nothing, and so contradict nothing.
        let doubt = (dated.0 != dated.1).then(|| {
            format!(
                "the dark references are of {} and {}, the lines of {} to {}: the dark level is interpolated from the first to the last line; correct the dates in the headers of DARKREF_ and DARKREFAFTER_",
                iso(dated.0), iso(dated.1), iso(first), iso(last)
            )
        });
        Self { between_ns: Some(lines_ns), doubt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Exposure;

    const S: i64 = 1_000_000_000;

    fn times(before: i64, after: i64, lines: (i64, i64)) -> (Option<(i64, i64)>, bool) {
        let of = |taken_ns| Reference {
            mean: Vec::new(),
            sd: Vec::new(),
            peak: Vec::new(),
            frames: 1,
            level_sd: 0.0,
            taken_ns,
            temperature_c: None,
            exposure: Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) },
        };
        let DarkTimes { between_ns, doubt } = DarkTimes::of(&of(before), &of(after), lines);
        (between_ns, doubt.is_some())
    }

    #[test]
    fn dates_that_enclose_the_lines_count_and_else_the_lines_themselves() {
        let lines = (100 * S, 120 * S);
        assert_eq!(times(90 * S, 130 * S, lines), (Some((90 * S, 130 * S)), false));
        // Whole seconds are up to one second too early.
        assert_eq!(times(99 * S, 119 * S, lines), (Some((99 * S, 120 * S)), false));
        assert_eq!(times(101 * S, 121 * S, lines), (Some((100 * S, 121 * S)), false));
        for (before, after) in [(90, 118), (102, 130), (130, 90), (3690, 3730)] {
            assert_eq!(times(before * S, after * S, lines), (Some(lines), true), "{before} {after}");
        }
        assert_eq!(times(0, 0, lines), (Some(lines), false), "days without a time of day");
        assert_eq!(times(90 * S, 90 * S, (100 * S, 100 * S)), (None, true));
        assert_eq!(times(90 * S, 130 * S, (100 * S, 100 * S)), (Some((90 * S, 130 * S)), false));
    }
}
