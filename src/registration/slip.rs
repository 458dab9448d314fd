//! Slip of the belt, found in the picture. An encoder on the drive's side cannot see it.

use super::EDGE_PIXELS;
use crate::acquire::Irregularity;
use crate::segment::{Passage, median};

/// The limit on slip, and the geometry from which containers show it.
///
/// A belt that loses the share `s` of its motion moves `1 - s` for each millimetre that the encoder reads. Two containers at the
/// distance `d` are read `d / (1 - s)` apart, so `s = 1 - d / read`. A container travels the distance `D` between two cameras. The
/// second camera reads it `D / (1 - s)` later, which puts it `r = D s / (1 - s)` further along the tray. So `s = r / (D + r)`.
/// Known distances are judged first, because a wrongly measured `D` looks like slip.
#[derive(Debug, Clone, PartialEq)]
pub struct SlipGate {
    /// Belt position with the tray's leading edge under each camera, mm.
    pub offsets_mm: Vec<f64>,
    /// Edge of a grid pixel, mm.
    pub pixel_mm: f64,
    /// Largest slip that is not reported, as a share of the motion.
    pub max_slip: f64,
}

/// One estimate of slip.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    y_mm: f64,
    share: f64,
    /// Uncertainty of the share, from the places of edges.
    doubt: f64,
}

/// Number of estimates that are judged together. One container that lies askew is no slip.
const TOGETHER: usize = 3;
/// Largest distance across of containers of one column, mm.
const COLUMN_MM: f64 = 15.0;
/// Least distance along the tray that shows slip, mm.
const LEAST_MM: f64 = 15.0;

impl SlipGate {
    /// The place and the amount of slip beyond the limit. `None` means that there is none.
    pub fn judge(&self, passages: &[Passage]) -> Option<Irregularity> {
        let known = self.by_distances(passages);
        if !known.is_empty() {
            return self.first_beyond(known, "containers lie further apart in the picture than on the tray; clean and tighten the belt");
        }
        let evidence =
            "the cameras see containers apart along the belt; clean and tighten it, or measure offset_mm with `hyclus calibrate geometry`";
        self.first_beyond(self.by_cameras(passages), evidence)
    }

    /// Estimates from neighbours of a column at a known distance.
    fn by_distances(&self, passages: &[Passage]) -> Vec<Estimate> {
        passages
            .iter()
            .filter_map(|passage| {
                let known = passage.known_mm?;
                let before = |other: &&Passage| {
                    (other.x_mm - passage.x_mm).abs() < COLUMN_MM && other.known_mm.is_some_and(|other| known - other > LEAST_MM)
                };
                let near = passages.iter().filter(before).max_by(|a, b| a.y_mm.total_cmp(&b.y_mm))?;
                let (distance, read) = (known - near.known_mm?, passage.y_mm - near.y_mm);
                (read > LEAST_MM).then(|| Estimate {
                    y_mm: passage.y_mm,
                    share: 1.0 - distance / read,
                    doubt: EDGE_PIXELS * self.pixel_mm / read,
                })
            })
            .collect()
    }

    /// Estimates from the way between the first camera and the one furthest from it.
    fn by_cameras(&self, passages: &[Passage]) -> Vec<Estimate> {
        let Some(first) = self.offsets_mm.first() else { return Vec::new() };
        let distance = |camera: usize| self.offsets_mm.get(camera).map_or(0.0, |offset| offset - first);
        let furthest = (0..self.offsets_mm.len()).max_by(|a, b| distance(*a).abs().total_cmp(&distance(*b).abs()));
        let Some((camera, way)) = furthest.map(|camera| (camera, distance(camera))).filter(|(_, way)| way.abs() > LEAST_MM) else {
            return Vec::new();
        };
        let residual = |passage: &Passage| passage.offsets_mm.get(camera).copied().flatten().map(|(_, along)| (passage.y_mm, along));
        passages
            .iter()
            .filter_map(residual)
            .map(|(y_mm, r)| Estimate { y_mm, share: r / (way + r), doubt: EDGE_PIXELS * self.pixel_mm / way.abs() })
            .collect()
    }

    /// Slip from the first place behind which the median of the estimates is beyond the limit.
    fn first_beyond(&self, mut all: Vec<Estimate>, evidence: &'static str) -> Option<Irregularity> {
        all.sort_by(|a, b| a.y_mm.total_cmp(&b.y_mm));
        let middle = |some: &[Estimate]| median(&mut some.iter().map(|e| e.share).collect::<Vec<_>>());
        let beyond = |share: f64, doubt: f64| share.abs() > self.max_slip + doubt;
        all.windows(TOGETHER.min(all.len().max(1))).enumerate().find_map(|(at, some)| {
            if !beyond(middle(some), some[0].doubt) {
                return None;
            }
            let begin = at + some.iter().position(|e| beyond(e.share, e.doubt)).unwrap_or(0);
            // A few containers beside lost lines may lie askew together. Those behind them do not.
            let share = middle(&all[begin..]);
            let slip = Irregularity::Slip { share, from_mm: all[begin].y_mm, limit: self.max_slip, evidence };
            beyond(share, all[begin].doubt).then_some(slip)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four rows of three containers, 75 mm apart, seen by cameras 60 mm apart. The belt loses `share` from `from_mm` on.
    /// Edges are known to a few hundredths of a millimetre.
    fn passages(share: f64, from_mm: f64, known: bool, displaced_mm: f64) -> Vec<Passage> {
        let read = |belt: f64| if belt < from_mm { belt } else { from_mm + (belt - from_mm) / (1.0 - share) };
        (0..12_u32)
            .map(|i| {
                let y = 50.0 + 75.0 * f64::from(i / 3);
                let noise = 0.03 * f64::from(i * 7 % 5) - 0.06;
                let (first, second) = (read(y), read(y + 60.0) - 60.0 + displaced_mm);
                Passage {
                    x_mm: 50.0 + 100.0 * f64::from(i % 3),
                    y_mm: first + noise,
                    offsets_mm: vec![Some((0.0, 0.0)), Some((0.0, second - first - noise))],
                    known_mm: known.then_some(75.0 * f64::from(i / 3)),
                    known_x_mm: None,
                    keystone_mm: Vec::new(),
                }
            })
            .collect()
    }

    fn seen(passages: &[Passage], offsets_mm: &[f64]) -> Option<(f64, f64)> {
        let gate = SlipGate { offsets_mm: offsets_mm.to_vec(), pixel_mm: 0.6, max_slip: 0.01 };
        gate.judge(passages).map(|found| match found {
            Irregularity::Slip { share, from_mm, .. } => (share, from_mm),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn two_cameras_see_two_per_cent_and_not_a_third_of_one() {
        let (share, from) = seen(&passages(0.02, 0.0, false, 0.0), &[0.0, 60.0]).unwrap();
        assert!((share - 0.02).abs() < 0.002 && (from - 51.0).abs() < 1.0, "{share} from {from}");
        assert_eq!(seen(&passages(0.003, 0.0, false, 0.0), &[0.0, 60.0]), None);
        assert_eq!(seen(&passages(0.0, 0.0, false, 0.0), &[0.0, 60.0]), None);
    }

    #[test]
    fn a_few_containers_that_lie_askew_together_are_no_slip() {
        let mut passages = passages(0.0, 0.0, false, 0.0);
        for passage in &mut passages[3..6] {
            passage.offsets_mm[1] = Some((0.0, 1.0));
        }
        assert_eq!(seen(&passages, &[0.0, 60.0]), None);
    }

    #[test]
    fn slip_that_begins_on_the_way_is_told_with_its_place() {
        let (share, from) = seen(&passages(0.02, 170.0, false, 0.0), &[0.0, 60.0]).unwrap();
        assert!((share - 0.02).abs() < 0.003 && (190.0..=205.0).contains(&from), "{share} from {from}");
    }

    #[test]
    fn one_camera_sees_it_where_the_rows_are_known() {
        let (share, from) = seen(&passages(0.02, 0.0, true, 0.0), &[0.0]).unwrap();
        assert!((share - 0.02).abs() < 0.002 && (from - 127.0).abs() < 1.5, "{share} from {from}");
        assert_eq!(seen(&passages(0.003, 0.0, true, 0.0), &[0.0]), None);
        assert_eq!(seen(&passages(0.02, 0.0, false, 0.0), &[0.0]), None, "nothing to hold it against");
    }

    #[test]
    fn a_camera_in_another_place_than_configured_is_no_slip_where_the_rows_are_known() {
        assert_eq!(seen(&passages(0.0, 0.0, true, 1.2), &[0.0, 60.0]), None);
        assert!(seen(&passages(0.0, 0.0, false, 1.2), &[0.0, 60.0]).is_some(), "else it cannot be told from it");
    }
}
