//! Whether the places of a tray map can all be there.

use super::{Container, Fault, Footprint};

/// Depth of an overlap that counts as rounding, mm.
const ROUNDING_MM: f64 = 0.01;

/// Reports each container that lies in the place of an earlier one.
///
/// Each is reported once. So a map of thousands of containers in one place has no millions of faults.
pub(super) fn overlaps(containers: &[Container], faults: &mut Vec<Fault>) {
    let placed = || containers.iter().enumerate().filter_map(|(i, container)| Some((i, container.footprint?)));
    for (i, place) in placed() {
        let other = placed().take_while(|(j, _)| *j < i).find(|(_, other)| overlap(&place, other));
        if let Some((j, _)) = other {
            let problem =
                format!("the place overlaps that of container[{j}] (`{}`); two samples cannot lie in one place", containers[j].sample);
            faults.push(Fault::new(format!("container[{i}]"), problem));
        }
    }
}

/// Whether two places overlap by more than rounding.
fn overlap(a: &Footprint, b: &Footprint) -> bool {
    match (a.round, b.round) {
        (true, true) => {
            let [(ax, ay), (bx, by)] = [centre(a), centre(b)];
            (ax - bx).hypot(ay - by) < f64::midpoint(a.width_mm, b.width_mm) - ROUNDING_MM
        }
        (true, false) => round_on_rectangle(a, b),
        (false, true) => round_on_rectangle(b, a),
        (false, false) => {
            let depth = |from: f64, length: f64, other: f64, other_length: f64| (from + length).min(other + other_length) - from.max(other);
            depth(a.x_mm, a.width_mm, b.x_mm, b.width_mm) > ROUNDING_MM && depth(a.y_mm, a.length_mm, b.y_mm, b.length_mm) > ROUNDING_MM
        }
    }
}

fn centre(place: &Footprint) -> (f64, f64) {
    (place.x_mm + place.width_mm / 2.0, place.y_mm + place.length_mm / 2.0)
}

fn round_on_rectangle(round: &Footprint, rectangle: &Footprint) -> bool {
    let (x, y) = centre(round);
    let nearest_x = x.clamp(rectangle.x_mm, rectangle.x_mm + rectangle.width_mm);
    let nearest_y = y.clamp(rectangle.y_mm, rectangle.y_mm + rectangle.length_mm);
    (x - nearest_x).hypot(y - nearest_y) < round.width_mm / 2.0 - ROUNDING_MM
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(x_mm: f64, y_mm: f64, width_mm: f64, length_mm: f64, round: bool) -> Footprint {
        Footprint { x_mm, y_mm, width_mm, length_mm, round }
    }

    #[test]
    fn places_that_touch_do_not_overlap() {
        let square = place(10.0, 10.0, 10.0, 10.0, false);
        let disc = place(10.0, 10.0, 10.0, 10.0, true);
        for (a, b, wanted) in [
            (square, place(20.0, 10.0, 5.0, 5.0, false), false),
            (square, place(19.9, 10.0, 5.0, 5.0, false), true),
            (square, place(12.0, 12.0, 1.0, 1.0, false), true),
            (disc, place(20.0, 10.0, 10.0, 10.0, true), false),
            (disc, place(18.0, 18.0, 10.0, 10.0, true), false),
            (disc, place(19.0, 10.0, 10.0, 10.0, true), true),
            (disc, disc, true),
            // Within the disc's box, and beside the disc.
            (disc, place(10.0, 10.0, 1.0, 1.0, false), false),
            (disc, place(10.0, 10.0, 2.0, 2.0, false), true),
            (disc, place(0.0, 0.0, 100.0, 100.0, false), true),
        ] {
            assert_eq!((overlap(&a, &b), overlap(&b, &a)), (wanted, wanted), "{a:?} {b:?}");
        }
    }
}
