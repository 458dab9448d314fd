//! Which container of the tray map a region is.

use crate::config::TrayGeometry;
use crate::scan::Tray;

/// Where a region begins, mm on the tray.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Begin {
    pub x_mm: (f64, f64),
    pub y_mm: f64,
}

impl Begin {
    fn centre_mm(&self) -> f64 {
        f64::midpoint(self.x_mm.0, self.x_mm.1)
    }
}

/// Names regions in the order in which they begin.
#[derive(Debug)]
pub(super) struct Matcher {
    geometry: TrayGeometry,
    /// Left edge and width of the tray, mm.
    across_mm: (f64, f64),
    taken: Vec<bool>,
    /// Regions of the tray row in progress: column and where it began.
    row: Vec<(usize, f64)>,
    row_number: usize,
}

impl Matcher {
    /// For a tray whose columns share the width `across_mm` (left edge and width).
    pub fn new(tray: &Tray, geometry: TrayGeometry, across_mm: (f64, f64)) -> Self {
        let across_mm = (geometry.left_mm.unwrap_or(across_mm.0), geometry.width_mm.unwrap_or(across_mm.1));
        Self { geometry, across_mm, taken: vec![false; tray.containers.len()], row: Vec::new(), row_number: 0 }
    }

    /// The container that begins at `begin`: its number in the tray map, or why there is none.
    pub fn name(&mut self, tray: &Tray, begin: Begin) -> Result<usize, String> {
        let laid = tray.containers.iter().any(|c| c.footprint.is_some());
        let found = if laid { self.by_footprint(tray, begin) } else { self.by_cell(tray, begin) }?;
        if std::mem::replace(&mut self.taken[found], true) {
            return Err(format!("{} was found before", tray.containers[found].at));
        }
        Ok(found)
    }

    fn by_footprint(&self, tray: &Tray, begin: Begin) -> Result<usize, String> {
        let distance = |i: usize| {
            tray.containers[i].footprint.map_or(f64::INFINITY, |f| {
                let (dx, dy) = (begin.centre_mm() - f.x_mm - f.width_mm / 2.0, begin.y_mm - f.y_mm);
                // In units of half a container: beyond one, it lies nearer to another place.
                (dx / f.width_mm * 2.0).hypot(dy / f.length_mm * 2.0)
            })
        };
        let free = (0..tray.containers.len()).filter(|i| !self.taken[*i]);
        match free.min_by(|a, b| distance(*a).total_cmp(&distance(*b))) {
            Some(i) if distance(i) <= 1.0 => Ok(i),
            _ => Err("it lies on no container of the tray map".into()),
        }
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a tray has few places")]
    fn by_cell(&mut self, tray: &Tray, begin: Begin) -> Result<usize, String> {
        let Some(grid) = tray.grid else { return Err("the tray map does not say where its containers lie".into()) };
        let place = (begin.centre_mm() - self.across_mm.0) / self.across_mm.1 * grid.columns as f64;
        if !(0.0..grid.columns as f64).contains(&place) {
            return Err("it lies beside the tray".into());
        }
        let column = place as usize;
        let row = match (self.geometry.first_row_mm, self.geometry.row_pitch_mm) {
            (Some(first), Some(pitch)) => {
                let row = ((begin.y_mm - first) / pitch).round();
                if !(0.0..grid.rows as f64).contains(&row) {
                    return Err(format!("it begins at {:.1} mm, before the first or after the last row of the tray", begin.y_mm));
                }
                row as usize
            }
            _ => self.next_row(column, begin.y_mm),
        };
        if row >= grid.rows {
            return Err(format!("it begins a row {} of a tray that has {}", row + 1, grid.rows));
        }
        tray.containers
            .iter()
            .position(|c| c.cell == Some((row, column)))
            .ok_or_else(|| format!("the tray map has no sample in {}{}", char::from(b'A' + (row % 26) as u8), column + 1))
    }

    /// Rows are counted in the order in which they pass: a region belongs to the row in progress unless its column has one
    /// already, or it begins much later than its nearest neighbour in that row.
    fn next_row(&mut self, column: usize, y_mm: f64) -> usize {
        let nearest = self.row.iter().min_by_key(|(c, _)| c.abs_diff(column)).copied();
        if let Some((neighbour, begun)) = nearest
            && (neighbour == column || (y_mm - begun).abs() > self.geometry.row_tolerance_mm)
        {
            self.row.clear();
            self.row_number += 1;
        }
        self.row.push((column, y_mm));
        self.row_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tray(rows: usize, columns: usize, without: &str) -> Tray {
        let mut list = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let at = format!("{}{}", char::from(b'A' + u8::try_from(row).unwrap()), column + 1);
                if at != without {
                    list.push(json!({"at": at, "sample": format!("s-{at}")}));
                }
            }
        }
        Tray::check(&json!({"tray": "T", "grid": {"rows": rows, "columns": columns}, "container": list})).unwrap()
    }

    fn begin(x: f64, y: f64) -> Begin {
        Begin { x_mm: (x - 30.0, x + 30.0), y_mm: y }
    }

    #[test]
    fn rows_are_counted_as_they_pass_on_a_tilted_tray() {
        let tray = tray(2, 3, "");
        let mut matcher = Matcher::new(&tray, TrayGeometry::default(), (0.0, 300.0));
        // Tilted by 3 degrees: neighbours begin about 5 mm apart.
        let names: Vec<String> = [(50.0, 20.0), (150.0, 25.0), (250.0, 30.5), (50.0, 95.0), (150.0, 100.0), (250.0, 105.5)]
            .iter()
            .map(|(x, y)| tray.containers[matcher.name(&tray, begin(*x, *y)).unwrap()].at.clone())
            .collect();
        assert_eq!(names, ["A1", "A2", "A3", "B1", "B2", "B3"]);
        assert!(matcher.name(&tray, begin(50.0, 170.0)).is_err(), "a third row of two");
    }

    #[test]
    fn an_absent_container_shifts_no_name() {
        let tray = tray(2, 3, "");
        let mut matcher = Matcher::new(&tray, TrayGeometry::default(), (0.0, 300.0));
        let names: Vec<String> = [(50.0, 20.0), (250.0, 20.0), (150.0, 95.0)]
            .iter()
            .map(|(x, y)| tray.containers[matcher.name(&tray, begin(*x, *y)).unwrap()].at.clone())
            .collect();
        assert_eq!(names, ["A1", "A3", "B2"]);
    }

    #[test]
    fn a_container_that_the_map_does_not_know_gets_no_name() {
        let tray = tray(2, 3, "A2");
        let mut matcher = Matcher::new(&tray, TrayGeometry::default(), (0.0, 300.0));
        assert!(matcher.name(&tray, begin(50.0, 20.0)).is_ok());
        assert!(matcher.name(&tray, begin(150.0, 20.0)).unwrap_err().contains("A2"));
    }
}
