//! Which windows the bands of a rig cover.

use super::pyramid::Pyramid;
use std::ops::Range;

/// What a rig can see of a mineral.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// The mineral.
    pub mineral: String,
    /// 1: electronic. 2: vibrational.
    pub group: u8,
    /// Why no rig identifies it.
    pub not_identified: Option<String>,
    /// Its windows.
    pub windows: Vec<WindowCoverage>,
}

/// Whether a rig covers a window.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WindowCoverage {
    /// The window.
    pub window: String,
    /// Whether the mineral is identified without it.
    pub optional: bool,
    /// Why it is not covered.
    pub missing: Option<String>,
}

impl Coverage {
    /// Whether the rig can identify the mineral.
    pub fn covered(&self) -> bool {
        self.not_identified.is_none() && self.windows.iter().all(|window| window.optional || window.missing.is_none())
    }
}

/// Least number of values of a window.
const LEAST_VALUES: usize = 7;
/// Largest distance of bands, as a share of the window.
const WIDEST_GAP: f64 = 0.2;

/// The values of a covered window, and those of its shoulders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Covered {
    /// All values, from the begin of the left shoulder to the end of the right one.
    pub all: Range<usize>,
    /// The values of the left and of the right shoulder.
    pub shoulders: [Range<usize>; 2],
}

/// Where a window lies among the values of a pyramid.
///
/// # Errors
/// Why the bands do not cover it.
pub(super) fn cover(pyramid: &Pyramid, left_nm: [f64; 2], right_nm: [f64; 2]) -> Result<Covered, String> {
    let range = [left_nm[0], right_nm[1]];
    let bands = pyramid.levels.first().cloned().unwrap_or_default();
    let (Some(first), Some(last)) = (pyramid.nm.get(bands.start), bands.end.checked_sub(1).and_then(|last| pyramid.nm.get(last))) else {
        return Err("there are no bands".into());
    };
    for (side, [from, to]) in [("left", left_nm), ("right", right_nm)] {
        if pyramid.within(0, [from, to]).is_empty() {
            return Err(format!("no band lies on its {side} shoulder, {from} to {to} nm; bands reach from {first:.1} to {last:.1} nm"));
        }
    }
    let level = pyramid.level(range, &[left_nm, right_nm]);
    let all = pyramid.within(level, range);
    if all.len() < LEAST_VALUES {
        return Err(format!("{} bands lie from {} to {} nm; it needs {LEAST_VALUES}", all.len(), range[0], range[1]));
    }
    let limit = WIDEST_GAP * (range[1] - range[0]);
    let nm = &pyramid.nm[pyramid.within(0, range)];
    if let Some(gap) = nm.windows(2).find(|pair| pair[1] - pair[0] > limit) {
        return Err(format!("no band lies between {:.1} and {:.1} nm; gaps may be {limit:.0} nm wide", gap[0], gap[1]));
    }
    Ok(Covered { shoulders: [pyramid.within(level, left_nm), pyramid.within(level, right_nm)], all })
}
