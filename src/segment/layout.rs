//! The possible layouts of a tray's containers, by the tray map, the configuration and the regions that have passed.

use crate::config::TrayGeometry;
use crate::scan::{Footprint, Grid, Tray};

/// Least width of a container as a share of the columns' pitch. It holds as long as nothing else is known.
const LEAST_WIDTH: f64 = 0.75;
/// Usual length of a container as a share of the rows' pitch. It holds as long as nothing else is known.
const USUAL_LENGTH: f64 = 0.8;
/// Least length of a whole container as a share of the rows' pitch. A shorter region may be part of a container.
const LEAST_LENGTH: f64 = 0.7;
/// Largest length of a container as a share of the rows' pitch. It holds as long as nothing else is known.
const MOST_LENGTH: f64 = 0.9;
/// Possible pitches of rows as shares of the tray's length over the number of rows. They hold as long as nothing else is known.
const PITCH_SHARES: [f64; 7] = [0.82, 0.85, 0.88, 0.91, 0.94, 0.97, 1.0];
/// Least pitch of rows as a share of a container's length.
const APART: f64 = 1.02;
/// Largest shift of a tray beyond half the size of a container, mm.
const SLACK_MM: f64 = 2.0;
/// Position of a row that is not known to exist, mm. Nothing reaches it.
const NOWHERE_MM: f64 = 1e9;

/// A place for a container, mm on the tray.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// Index in the tray map. `None` means that the map has no sample there.
    pub container: Option<usize>,
    pub x_mm: f64,
    pub y_mm: f64,
    pub width_mm: f64,
    pub length_mm: f64,
    pub round: bool,
}

/// The places of a tray, and the limits of the tray's shift.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub places: Vec<Place>,
    /// Centre of the tray's rotation, mm.
    pub centre: (f64, f64),
    /// Largest shift across to either side, mm.
    pub across_mm: f64,
    /// Least and largest shift along, mm.
    pub along_mm: (f64, f64),
    /// Pitch of rows, mm, where there are several and it is known.
    pub pitch_mm: Option<f64>,
}

/// Sizes of a tray's containers that were seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sizes {
    /// Width of a usual container, mm.
    pub width_mm: Option<f64>,
    /// Length of the longest so far, mm, and whether that one has passed.
    pub length_mm: Option<(f64, bool)>,
    /// Position on the tray at which the scan begins, mm.
    pub start_mm: f64,
}

/// The facts of a tray that are known before anything is seen.
#[derive(Debug)]
pub(super) struct TrayPlan {
    kind: Kind,
    geometry: TrayGeometry,
    /// Left edge and width of the tray, mm.
    across_mm: (f64, f64),
}

#[derive(Debug)]
enum Kind {
    /// The tray map gives every place.
    Footprints(Vec<Footprint>),
    /// The tray map gives rows and columns, and the container of each place.
    Regular(Grid, Vec<Option<usize>>),
    Unknown,
}

impl TrayPlan {
    /// The facts of a tray whose columns share `across_mm` (left edge and width), mm. `geometry` takes precedence.
    pub fn new(tray: &Tray, geometry: TrayGeometry, across_mm: (f64, f64)) -> Self {
        let across_mm = (geometry.left_mm.unwrap_or(across_mm.0), geometry.width_mm.unwrap_or(across_mm.1));
        let footprints: Option<Vec<Footprint>> = tray.containers.iter().map(|c| c.footprint).collect();
        let kind = match (footprints, tray.grid) {
            (Some(footprints), _) => Kind::Footprints(footprints),
            (None, Some(grid)) => {
                let at = |i: usize| tray.containers.iter().position(|c| c.cell == Some((i / grid.columns, i % grid.columns)));
                Kind::Regular(grid, (0..grid.rows * grid.columns).map(at).collect())
            }
            (None, None) => Kind::Unknown,
        };
        Self { kind, geometry, across_mm }
    }

    /// Whether the pitch of rows has to be learned from the regions that pass.
    pub fn learns_pitch(&self) -> bool {
        matches!(self.kind, Kind::Regular(grid, _) if grid.rows > 1 && self.geometry.row_pitch_mm.is_none() && self.geometry.length_mm.is_none())
    }

    /// Whether the position of row A is unknown, so that rows are counted.
    pub fn counts_rows(&self) -> bool {
        let Kind::Regular(grid, _) = &self.kind else { return false };
        grid.rows > 1 && self.geometry.first_row_mm.is_none() && self.geometry.length_mm.is_none()
    }

    /// Pitch of columns on a regular tray, mm.
    #[expect(clippy::cast_precision_loss, reason = "a tray has few columns")]
    pub fn column_pitch_mm(&self) -> Option<f64> {
        match self.kind {
            Kind::Regular(grid, _) => Some(self.across_mm.1 / grid.columns as f64),
            _ => None,
        }
    }

    /// Width of a usual container, mm.
    pub fn width_mm(&self, sizes: &Sizes) -> Option<f64> {
        let pitch = self.column_pitch_mm();
        match &self.kind {
            Kind::Footprints(footprints) => footprints.iter().map(|f| f.width_mm).max_by(f64::total_cmp),
            _ => self.geometry.container_width_mm.or_else(|| {
                let pitch = pitch?;
                Some(sizes.width_mm.unwrap_or(0.0).clamp(LEAST_WIDTH * pitch, pitch))
            }),
        }
    }

    /// Length of a container, mm, where the configuration or the tray map gives it.
    pub fn length_mm(&self, container: usize) -> Option<f64> {
        match &self.kind {
            Kind::Footprints(footprints) => footprints.get(container).map(|f| f.length_mm),
            _ => self.geometry.container_length_mm,
        }
    }

    /// Whether a length, mm, is that of a whole container by the configured pitch of rows.
    pub fn fills_pitch(&self, length_mm: f64) -> bool {
        self.geometry.row_pitch_mm.is_some_and(|pitch| length_mm >= LEAST_LENGTH * pitch)
    }

    /// Area of a container, mm², where the configuration or the tray map gives it.
    pub fn area_mm2(&self, container: usize) -> Option<f64> {
        match &self.kind {
            Kind::Footprints(footprints) => {
                footprints.get(container).map(|f| f.width_mm * f.length_mm * if f.round { std::f64::consts::FRAC_PI_4 } else { 1.0 })
            }
            _ => self.geometry.container_width_mm.zip(self.geometry.container_length_mm).map(|(width, length)| width * length),
        }
    }

    /// The name of a place.
    pub fn name(&self, place: usize) -> String {
        match &self.kind {
            Kind::Regular(grid, _) => {
                format!("{}{}", char::from(b'A' + u8::try_from(place / grid.columns % 26).unwrap_or(0)), place % grid.columns + 1)
            }
            _ => (place + 1).to_string(),
        }
    }

    /// The layouts that agree with the known facts. `distances` are the distances between rows that were seen, mm.
    pub fn layouts(&self, sizes: &Sizes, distances: &[f64]) -> Vec<Layout> {
        match &self.kind {
            Kind::Unknown => Vec::new(),
            Kind::Footprints(footprints) => vec![of_footprints(footprints)],
            Kind::Regular(grid, containers) => {
                self.pitches(*grid, sizes, distances).into_iter().map(|pitch| self.regular(*grid, containers, pitch, sizes)).collect()
            }
        }
    }

    /// The pitches of rows that agree with the known facts, mm. `None` stands for a tray with no second row in sight.
    #[expect(clippy::cast_precision_loss, reason = "a tray has few rows")]
    fn pitches(&self, grid: Grid, sizes: &Sizes, distances: &[f64]) -> Vec<Option<f64>> {
        let TrayGeometry { row_pitch_mm, first_row_mm, length_mm, container_length_mm, .. } = self.geometry;
        if let Some(pitch) = row_pitch_mm {
            return vec![Some(pitch)];
        }
        if grid.rows == 1 {
            return vec![None];
        }
        let longest = container_length_mm.or(sizes.length_mm.map(|l| l.0)).unwrap_or(0.0);
        let mut pitches: Vec<Option<f64>> = distances
            .iter()
            .flat_map(|distance| (1..grid.rows).map(move |n| distance / n as f64))
            .filter(|pitch| *pitch >= APART * longest)
            .map(Some)
            .collect();
        match length_mm {
            Some(length) => {
                let (length, rows) = (length - first_row_mm.unwrap_or(0.0), grid.rows as f64);
                let even = length / rows;
                pitches.retain(|pitch| pitch.is_some_and(|pitch| (0.8 * even..1.02 * even).contains(&pitch)));
                pitches.extend(PITCH_SHARES.iter().map(|share| Some(share * even)));
            }
            None => pitches.push(None),
        }
        pitches
    }

    #[expect(clippy::cast_precision_loss, reason = "a tray has few places")]
    fn regular(&self, grid: Grid, containers: &[Option<usize>], pitch: Option<f64>, sizes: &Sizes) -> Layout {
        let geometry = &self.geometry;
        let column = self.across_mm.1 / grid.columns as f64;
        let width = self.width_mm(sizes).unwrap_or(column);
        let length = geometry.container_length_mm.unwrap_or_else(|| match (pitch, sizes.length_mm) {
            (Some(pitch), Some((length, true))) => length.clamp(0.5 * pitch, pitch),
            (Some(pitch), Some((length, false))) => length.clamp(USUAL_LENGTH * pitch, pitch),
            (Some(pitch), None) => USUAL_LENGTH * pitch,
            (None, Some((length, true))) => length,
            // A container that has not passed yet is longer than that.
            (None, Some((length, false))) => length + 20.0,
            (None, None) => NOWHERE_MM,
        });
        let places = (0..grid.rows * grid.columns)
            .map(|i| Place {
                container: containers[i],
                x_mm: self.across_mm.0 + (i % grid.columns) as f64 * column + (column - width) / 2.0,
                y_mm: match (i / grid.columns) as f64 {
                    0.0 => 0.0,
                    row => pitch.map_or(NOWHERE_MM, |pitch| row * pitch),
                },
                width_mm: width,
                length_mm: length,
                round: false,
            })
            .collect();
        let last = (grid.rows - 1) as f64 * pitch.unwrap_or(0.0);
        let half = match (geometry.container_length_mm, pitch) {
            (Some(length), _) => length / 2.0,
            (None, Some(pitch)) => MOST_LENGTH * pitch / 2.0,
            (None, None) => width / 2.0,
        };
        let first = geometry.first_row_mm.map(|first| (first, SLACK_MM)).or_else(|| {
            // The rows lie in the middle of the tray, but not exactly.
            let length_mm = geometry.length_mm.filter(|_| grid.rows > 1)?;
            Some(((length_mm - last - length) / 2.0, 3.0 * SLACK_MM))
        });
        let along_mm = match first {
            Some((first, slack)) => (first - half - slack, first + half + slack),
            None if grid.rows == 1 => (f64::NEG_INFINITY, f64::INFINITY),
            None => (sizes.start_mm.max(-half), f64::INFINITY),
        };
        // With an unknown pitch, the tray's tilt may look like a shift of the first row.
        let across_mm = if pitch.is_some() { width / 2.0 + SLACK_MM.min((column - width) / 4.0) } else { column / 2.0 };
        let middle = if pitch.is_some() { (last + length) / 2.0 } else { 0.0 };
        Layout { places, centre: (self.across_mm.0 + self.across_mm.1 / 2.0, middle), across_mm, along_mm, pitch_mm: pitch }
    }
}

fn of_footprints(footprints: &[Footprint]) -> Layout {
    let most = |value: &dyn Fn(&Footprint) -> f64| footprints.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
    let least = |value: &dyn Fn(&Footprint) -> f64| footprints.iter().map(value).fold(f64::INFINITY, f64::min);
    let half = (most(&|f| f.width_mm) / 2.0, most(&|f| f.length_mm) / 2.0 + SLACK_MM);
    let places = footprints
        .iter()
        .enumerate()
        .map(|(i, f)| Place {
            container: Some(i),
            x_mm: f.x_mm,
            y_mm: f.y_mm,
            width_mm: f.width_mm,
            length_mm: f.length_mm,
            round: f.round,
        })
        .collect();
    let centre = (
        f64::midpoint(least(&|f| f.x_mm), most(&|f| f.x_mm + f.width_mm)),
        f64::midpoint(least(&|f| f.y_mm), most(&|f| f.y_mm + f.length_mm)),
    );
    Layout { places, centre, across_mm: half.0 + SLACK_MM, along_mm: (-half.1, half.1), pitch_mm: None }
}
