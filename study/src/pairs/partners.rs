//! Partners of a pixel: pixels that see the same ore.

use crate::table::Place;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Draws of a partner by distance before a pixel counts as one without.
const TRIES: usize = 32;

/// What makes two pixels a pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partner {
    /// Both lie in one container, anywhere.
    #[default]
    Container,
    /// Both lie in one cube, 4 to 8 pixels apart. It serves where containers are unknown.
    Distance,
}

/// Distances of pairs by [`Partner::Distance`], pixels.
pub const DISTANCES: (i32, i32) = (4, 8);

/// Partners of the pixels of some rows.
#[derive(Debug)]
pub(crate) struct Partners<'a> {
    places: &'a [Place],
    by: By,
}

#[derive(Debug)]
enum By {
    /// The rows of each container.
    Container(HashMap<u32, Vec<u32>>),
    /// The row of each place, and the steps to a partner.
    Distance(HashMap<Place, u32>, Vec<(i32, i32)>),
}

impl<'a> Partners<'a> {
    /// Partners among `rows`, which are indices in `places`.
    pub fn new(places: &'a [Place], rows: &[u32], partner: Partner) -> Self {
        let by = match partner {
            Partner::Container => {
                let mut of: HashMap<u32, Vec<u32>> = HashMap::new();
                rows.iter().for_each(|row| of.entry(places[*row as usize].sample).or_default().push(*row));
                By::Container(of)
            }
            Partner::Distance => {
                let (near, far) = DISTANCES;
                let within = |(l, p): &(i32, i32)| (near * near..=far * far).contains(&(l * l + p * p));
                let steps = (-far..=far).flat_map(|l| (-far..=far).map(move |p| (l, p))).filter(within).collect();
                By::Distance(rows.iter().map(|row| (places[*row as usize], *row)).collect(), steps)
            }
        };
        Self { places, by }
    }

    /// A random partner of a row. A pixel that has none gives `None`.
    pub fn draw(&self, row: u32, random: &mut Pcg64Mcg) -> Option<u32> {
        let place = self.places[row as usize];
        match &self.by {
            By::Container(of) => {
                let rows = of.get(&place.sample).filter(|rows| rows.len() > 1)?;
                let at = random.random_range(0..rows.len() - 1);
                // The last row stands in for the row itself.
                Some(if rows[at] == row { rows[rows.len() - 1] } else { rows[at] })
            }
            By::Distance(of, steps) => (0..TRIES).find_map(|_| {
                let (line, pixel) = steps[random.random_range(0..steps.len())];
                of.get(&Place { line: place.line + line, pixel: place.pixel + pixel, ..place }).copied()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn partners_lie_in_the_container_or_at_the_distance() {
        let places: Vec<Place> = (0..800).map(|i| Place { sample: i / 400, line: (i as i32 % 400) / 20, pixel: i as i32 % 20 }).collect();
        let rows: Vec<u32> = (0..800).filter(|row| row % 5 > 0).collect();
        let mut random = Pcg64Mcg::seed_from_u64(1);
        for partner in [Partner::Container, Partner::Distance] {
            let partners = Partners::new(&places, &rows, partner);
            for row in &rows {
                let other = partners.draw(*row, &mut random).unwrap();
                let (a, b) = (places[*row as usize], places[other as usize]);
                assert!(other != *row && rows.contains(&other) && a.sample == b.sample);
                let square = (a.line - b.line).pow(2) + (a.pixel - b.pixel).pow(2);
                assert!(partner == Partner::Container || (16..=64).contains(&square), "{a:?} {b:?}");
            }
        }
        let alone = [Place { sample: 7, line: 0, pixel: 0 }];
        for partner in [Partner::Container, Partner::Distance] {
            assert_eq!(Partners::new(&alone, &[0], partner).draw(0, &mut random), None);
        }
    }
}
