//! The stage on drawn trays with known contents. No sample may get the name of another.

use super::*;
use crate::config::{SegmentConfig, SegmentMethod, TrayGeometry};
use crate::join::Axes;
use crate::scan::{Quality, Tray};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;
use std::collections::BTreeMap;

const PIXEL_MM: f64 = 1.5;
const VIEW_MM: f64 = 300.0;
const PITCH_MM: f64 = 75.0;
const LENGTH_MM: f64 = 60.0;
const FIRST_MM: f64 = 20.0;

/// The filled part of a container.
#[derive(Debug, Clone, PartialEq)]
struct Box {
    /// Place in the tray map. `None` stands for a thing that does not belong there.
    at: Option<String>,
    /// First and last edge across the tray, mm.
    x: (f64, f64),
    /// First and last edge along the tray, mm.
    y: (f64, f64),
}

impl Box {
    /// Empties one half: the rear, the front, the right or the left one. Another number empties none.
    fn half(&mut self, which: usize) {
        let (x, y) = (f64::midpoint(self.x.0, self.x.1), f64::midpoint(self.y.0, self.y.1));
        match which {
            0 => self.y.1 = y,
            1 => self.y.0 = y,
            2 => self.x.1 = x,
            3 => self.x.0 = x,
            _ => {}
        }
    }
}

/// A tray, its pose and its contents.
#[derive(Debug, Clone)]
struct World {
    rows: usize,
    columns: usize,
    boxes: Vec<Box>,
    shift: (f64, f64),
    tilt_deg: f64,
    /// Places that the tray map leaves out.
    unmapped: Vec<&'static str>,
    /// Whether the tray map gives footprints.
    footprints: bool,
    /// Grid rows without a value.
    lost: Vec<i64>,
    config: SegmentConfig,
}

fn at(row: usize, column: usize) -> String {
    format!("{}{}", char::from(b'A' + u8::try_from(row).unwrap()), column + 1)
}

impl World {
    /// A full tray.
    fn new(rows: usize, columns: usize) -> Self {
        let pitch = VIEW_MM / columns as f64;
        let place = |i: usize| {
            let (row, column) = (i / columns, i % columns);
            let (x, y) = ((column as f64 + 0.11) * pitch, FIRST_MM + row as f64 * PITCH_MM);
            Box { at: Some(at(row, column)), x: (x, x + 0.78 * pitch), y: (y, y + LENGTH_MM) }
        };
        let boxes = (0..rows * columns).map(place).collect();
        let config = SegmentConfig::default();
        Self { rows, columns, boxes, shift: (0.0, 0.0), tilt_deg: 0.0, unmapped: Vec::new(), footprints: false, lost: Vec::new(), config }
    }

    /// The same tray with the positions of its rows known.
    fn known(mut self) -> Self {
        self.config.tray = TrayGeometry { first_row_mm: Some(FIRST_MM), row_pitch_mm: Some(PITCH_MM), ..TrayGeometry::default() };
        self
    }

    /// The same tray with the size of a container known.
    fn sized(mut self) -> Self {
        self.config.tray.container_width_mm = Some(0.78 * VIEW_MM / self.columns as f64);
        self.config.tray.container_length_mm = Some(LENGTH_MM);
        self
    }

    fn shifted(mut self, x: f64, y: f64, tilt_deg: f64) -> Self {
        (self.shift, self.tilt_deg) = ((x, y), tilt_deg);
        self
    }

    fn without(mut self, places: &[&str]) -> Self {
        self.boxes.retain(|b| !b.at.as_deref().is_some_and(|at| places.contains(&at)));
        self
    }

    fn with(mut self, place: &str, change: impl Fn(&mut Box)) -> Self {
        change(self.boxes.iter_mut().find(|b| b.at.as_deref() == Some(place)).unwrap());
        self
    }

    fn extra(mut self, x: (f64, f64), y: (f64, f64)) -> Self {
        self.boxes.push(Box { at: None, x, y });
        self
    }

    fn tray(&self) -> Tray {
        let pitch = VIEW_MM / self.columns as f64;
        let list: Vec<serde_json::Value> = (0..self.rows * self.columns)
            .map(|i| (i / self.columns, i % self.columns))
            .filter(|(row, column)| !self.unmapped.contains(&at(*row, *column).as_str()))
            .map(|(row, column)| {
                let (x, y) = ((column as f64 + 0.11) * pitch, FIRST_MM + row as f64 * PITCH_MM);
                let at = at(row, column);
                if self.footprints {
                    json!({"at": at, "sample": at, "x_mm": x, "y_mm": y, "width_mm": 0.78 * pitch, "length_mm": LENGTH_MM})
                } else {
                    json!({"at": at, "sample": at})
                }
            })
            .collect();
        Tray::check(&json!({"tray": "T", "grid": {"rows": self.rows, "columns": self.columns}, "container": list})).unwrap()
    }

    /// The box at a place of the picture.
    fn under(&self, x: f64, y: f64) -> Option<usize> {
        let (cx, cy) = (VIEW_MM / 2.0, (FIRST_MM + self.rows as f64 * PITCH_MM + 10.0) / 2.0);
        let (sin, cos) = self.tilt_deg.to_radians().sin_cos();
        let (dx, dy) = (x - self.shift.0 - cx, y - self.shift.1 - cy);
        let (x, y) = (cx + dx * cos + dy * sin, cy - dx * sin + dy * cos);
        self.boxes.iter().position(|b| (b.x.0..b.x.1).contains(&x) && (b.y.0..b.y.1).contains(&y))
    }

    fn scan(&self) -> Seen {
        let axes = Axes {
            pixel_mm: PIXEL_MM,
            x0_mm: PIXEL_MM / 2.0,
            width: (VIEW_MM / PIXEL_MM) as usize,
            wavelengths_nm: vec![500.0],
            fwhm_nm: vec![f64::NAN],
        };
        let mut stage = Segment::new(&self.config, self.tray(), axes.clone(), &[0], PIXEL_MM);
        let mut seen = Seen::default();
        let last = (FIRST_MM + self.rows as f64 * PITCH_MM + 50.0) / PIXEL_MM;
        for index in -(50.0 / PIXEL_MM) as i64..last as i64 {
            let mut row = stage.spare_row();
            let filled = Arc::get_mut(&mut row).unwrap();
            (filled.index, filled.time_ns) = (index, index);
            let lost = self.lost.contains(&index);
            let bright = |p: usize| match self.under(axes.x_mm(p), axes.y_mm(index)) {
                _ if lost => f32::NAN,
                Some(_) => 0.5,
                None => 0.03,
            };
            filled.spectra = (0..axes.width).map(bright).collect::<Vec<f32>>().into();
            filled.quality.clear();
            filled.quality.resize(axes.width, if lost { Quality::GAP } else { 0 });
            stage.process(row, &mut |event| seen.take(self, &axes, &event));
        }
        seen.findings = stage.end_of_scan(&mut |event| seen_take(&mut seen.late, event));
        for event in std::mem::take(&mut seen.late) {
            seen.take(self, &axes, &event);
        }
        seen
    }
}

fn seen_take(late: &mut Vec<SampleEvent>, event: SampleEvent) {
    late.push(event);
}

/// The output of the stage.
#[derive(Debug, Default)]
struct Seen {
    /// Counts of pixels by name, and the doubts. The first two count pixels of the mask on the own container and on others.
    /// The third counts flagged pixels on the own container outside of the mask.
    samples: BTreeMap<String, (usize, usize, usize, Vec<String>)>,
    findings: Findings,
    late: Vec<SampleEvent>,
}

impl Seen {
    fn take(&mut self, world: &World, axes: &Axes, event: &SampleEvent) {
        match event {
            SampleEvent::Open(sample) => {
                assert!(self.samples.insert(sample.container.at.clone(), Default::default()).is_none(), "named twice");
            }
            SampleEvent::Row(row) => {
                let own = row.sample.container.at.as_str();
                let counts = self.samples.get_mut(own).unwrap();
                for pixel in 0..row.sample.width {
                    let grid = row.sample.first_pixel + pixel;
                    let under = world.under(axes.x_mm(grid), axes.y_mm(row.row.index)).map(|i| world.boxes[i].at.as_deref());
                    match (row.on_sample(pixel), under) {
                        (true, Some(Some(at))) if at == own => counts.0 += 1,
                        (true, _) => counts.1 += 1,
                        (false, Some(Some(at))) if at == own && row.quality()[pixel] & Quality::EDGE != 0 => counts.2 += 1,
                        _ => {}
                    }
                }
            }
            SampleEvent::Close { sample, doubts, .. } => self.samples.get_mut(&sample.container.at).unwrap().3.clone_from(doubts),
        }
    }

    fn names(&self) -> Vec<&str> {
        self.samples.keys().map(String::as_str).collect()
    }

    fn doubtful(&self) -> Vec<&str> {
        self.samples.iter().filter(|(_, s)| !s.3.is_empty()).map(|(name, _)| name.as_str()).collect()
    }

    /// Fails where a sample lies mostly on another container than its name says.
    fn no_wrong_name(&self, what: &dyn std::fmt::Debug) {
        for (name, (own, others, ..)) in &self.samples {
            assert!(own > &(4 * others), "{name}: {own} own pixels, {others} of others; {:?}; {what:?}", self.findings);
        }
    }
}

fn all(rows: usize, columns: usize) -> Vec<String> {
    (0..rows * columns).map(|i| at(i / columns, i % columns)).collect()
}

/// Scans, and fails unless exactly the boxes are found, by their names, and exactly `doubtful` are in doubt.
fn holds(what: &str, world: &World, doubtful: &[&str]) -> Seen {
    let seen = world.scan();
    seen.no_wrong_name(&what);
    let expected: std::collections::BTreeSet<&str> = world.boxes.iter().filter_map(|b| b.at.as_deref()).collect();
    assert_eq!(seen.names(), expected.iter().copied().collect::<Vec<_>>(), "{what}: {:?}", seen.findings);
    assert_eq!(seen.doubtful(), doubtful, "{what}: {:?} {:?}", seen.samples, seen.findings);
    let missing: Vec<String> = all(world.rows, world.columns).into_iter().filter(|at| !expected.contains(at.as_str())).collect();
    assert_eq!(seen.findings.missing, missing, "{what}");
    seen
}

#[test]
fn a_tray_is_found_where_it_lies() {
    for (columns, half) in [(3, 39.0), (5, 23.4), (1, 60.0)] {
        for (x, y) in [(0.0, 0.0), (half, 0.0), (-half, 0.0), (0.0, 30.0), (0.0, -30.0), (half, -30.0), (-half, 30.0)] {
            for tilt in [0.0, 3.0, -3.0] {
                let world = World::new(4, columns).known().shifted(x, y, tilt);
                let seen = world.scan();
                seen.no_wrong_name(&(columns, x, y, tilt));
                // A shift by half a container puts half of the outermost one out of view.
                assert_eq!(seen.names(), all(4, columns), "{:?} {:?}", (columns, x, y, tilt), seen.findings);
            }
        }
    }
}

#[test]
fn a_tray_of_which_nothing_is_known_is_found_where_it_lies() {
    for (columns, half) in [(3, 39.0), (5, 23.4)] {
        for x in [0.0, half, -half] {
            for tilt in [0.0, 3.0, -3.0] {
                let seen = World::new(4, columns).shifted(x, 0.0, tilt).scan();
                seen.no_wrong_name(&(columns, x, tilt));
                assert_eq!(seen.names(), all(4, columns), "{:?} {:?}", (columns, x, tilt), seen.findings);
            }
        }
    }
    holds("whole", &World::new(4, 3), &[]);
}

#[test]
fn empty_rows_shift_no_name() {
    let (first, second) = (["A1", "A2", "A3"], ["B1", "B2", "B3"]);
    for tilt in [0.0, 3.0, -3.0] {
        holds("first row", &World::new(4, 3).known().shifted(0.0, 0.0, tilt).without(&first), &[]);
        holds("first row, shifted", &World::new(4, 3).known().shifted(20.0, 25.0, tilt).without(&first), &[]);
        holds("second row", &World::new(4, 3).known().shifted(0.0, -25.0, tilt).without(&second), &[]);
        let mut length = World::new(4, 3).shifted(0.0, 0.0, tilt);
        length.config.tray.length_mm = Some(330.0);
        let behind = length.clone().without(&first).scan();
        behind.no_wrong_name(&"first row, by the tray's length");
        assert_eq!(behind.names(), ["C1", "C2", "C3", "D1", "D2", "D3"], "row B may be a row A that lies further along");
        holds("second row, by the tray's length", &length.without(&second), &[]);
        holds("third row, counted", &World::new(4, 3).shifted(0.0, 0.0, tilt).without(&["C1", "C2", "C3"]), &[]);
    }
    let mut mapped = World::new(4, 3).shifted(-20.0, 20.0, 2.0).without(&first);
    mapped.footprints = true;
    holds("first row of a tray map in mm", &mapped, &[]);
}

#[test]
fn a_row_that_nobody_can_tell_gets_no_name() {
    // A wide space follows the first row. The space may be an empty row or a feature of the tray.
    let seen = World::new(4, 3).without(&["B1", "B2", "B3"]).scan();
    seen.no_wrong_name(&"second row, counted");
    assert_eq!(seen.names(), ["A1", "A2", "A3", "D1", "D2", "D3"], "the next row tells");
    assert_eq!(seen.findings.outlines.iter().filter(|o| o.label == "?").count(), 3);
    assert!(seen.findings.warnings.iter().any(|w| w.contains("may be") && w.contains("row_pitch_mm")), "{:?}", seen.findings);

    let seen = World::new(4, 3).without(&["A1", "A2", "A3"]).scan();
    let warned = |w: &String| w.contains("first_row_mm") && w.contains("A1, A2, A3");
    assert!(seen.findings.warnings.iter().any(warned), "which row is the first cannot be seen, and that is said: {:?}", seen.findings);
    assert!(seen.findings.doubt.is_some(), "every sample is in doubt");
    assert_eq!(World::new(4, 3).scan().findings.doubt, None);
}

#[test]
fn a_tray_of_rear_halves_gets_no_name_of_the_next_row() {
    for (shift, named) in [(0.0, true), (20.0, false)] {
        let rear = |b: &mut Box| b.half(1);
        let world = World::new(3, 1).known().shifted(0.0, shift, 0.0).with("A1", rear).with("B1", rear).without(&["C1"]);
        let seen = world.scan();
        seen.no_wrong_name(&shift);
        assert_eq!(!seen.names().is_empty(), named, "{shift}: {:?}", seen.findings);
    }
}

#[test]
fn half_empty_containers_keep_their_names_and_are_doubtful() {
    for known in [true, false] {
        for tilt in [0.0, 3.0, -3.0] {
            for (place, what) in ["A1", "B2", "A3", "C3"].iter().flat_map(|p| [0, 1, 2, 3].map(|w| (*p, w))) {
                let full = World::new(3, 3).shifted(if known { -15.0 } else { 0.0 }, 0.0, tilt);
                let world = if known { full.known() } else { full }.with(place, |b| b.half(what));
                holds(&format!("{place} {what} {tilt} {known}"), &world, &[place]);
            }
        }
    }
}

#[test]
fn containers_that_touch_are_parted_and_doubtful() {
    let towards = |b: &mut Box, x: f64, y: f64| (b.x, b.y) = ((b.x.0 + x, b.x.1 + x), (b.y.0 + y, b.y.1 + y));
    for tilt in [0.0, 2.0, -3.0] {
        for world in [World::new(3, 3).known(), World::new(3, 3).known().sized()] {
            let world = world.shifted(5.0, -5.0, tilt);
            let across = world.clone().with("B1", |b| towards(b, 11.0, 0.0)).with("B2", |b| towards(b, -11.0, 0.0));
            holds("across", &across, &["B1", "B2"]);
            let bridged = world.clone().with("B2", |b| b.x.0 -= 22.0);
            holds("bridged", &bridged, &["B1", "B2"]);
            let along = world.clone().with("B2", |b| towards(b, 0.0, -15.0));
            holds("along", &along, &["A2", "B2"]);
        }
        let seen =
            World::new(3, 3).shifted(0.0, 0.0, tilt).with("A1", |b| towards(b, 11.0, 0.0)).with("A2", |b| towards(b, -11.0, 0.0)).scan();
        seen.no_wrong_name(&"the first row");
        assert_eq!(seen.doubtful(), ["A1", "A2"], "{:?}", seen.findings);
    }
}

#[test]
fn what_does_not_belong_there_gets_no_name() {
    for tilt in [0.0, 3.0, -3.0] {
        for world in [World::new(3, 3).known(), World::new(3, 3)] {
            let world = world.shifted(0.0, 0.0, tilt);
            for (what, x, y) in [
                ("between columns", (92.0, 108.0), (30.0, 70.0)),
                ("between rows", (30.0, 52.0), (82.0, 92.0)),
                ("ahead of the tray", (130.0, 150.0), (2.0, 12.0)),
                ("behind it", (130.0, 150.0), (238.0, 250.0)),
            ] {
                let seen = holds(what, &world.clone().extra(x, y), &[]);
                assert_eq!(seen.findings.outlines.iter().filter(|o| o.label == "?").count(), 1, "{what}: {:?}", seen.findings);
                assert!(seen.findings.warnings.iter().any(|w| w.contains("no name")), "{what}");
            }
        }
        let mut unmapped = World::new(3, 3).known().shifted(0.0, 0.0, tilt);
        unmapped.unmapped = vec!["B2"];
        let seen = unmapped.scan();
        seen.no_wrong_name(&"a container that the map does not know");
        assert_eq!(seen.names().len(), 8);
        assert!(seen.findings.warnings[0].contains("no sample in B2"), "{:?}", seen.findings);
    }
}

#[test]
fn what_is_missing_is_said_and_outlined() {
    let seen = holds("missing", &World::new(3, 3).known().shifted(12.0, -9.0, 2.0).without(&["A1", "B2", "C3"]), &[]);
    let outlined: Vec<&str> = seen.findings.outlines.iter().map(|o| o.label.as_str()).collect();
    assert_eq!(outlined, ["A1?", "B2?", "C3?"]);
    let centre = |o: &Outline| {
        let mm = |a: f64, b: f64| f64::midpoint(a, b) * PIXEL_MM;
        (mm(o.pixels.0 as f64, o.pixels.1 as f64), mm(o.rows.0 as f64, o.rows.1 as f64))
    };
    let (x, y) = centre(&seen.findings.outlines[1]);
    assert!((x - 162.0).abs() < 6.0 && (y - 116.0).abs() < 8.0, "{:?}", (x, y));
}

#[test]
fn a_rim_is_left_out_of_the_mask_and_flagged() {
    for method in [SegmentMethod::Brightness, SegmentMethod::Footprint] {
        let mut world = World::new(1, 1);
        (world.footprints, world.config.method, world.config.erode_mm) = (true, method, Some(4.5));
        let (own, others, flagged, doubts) = world.scan().samples.remove("A1").unwrap();
        let pixels = |rim: f64| ((VIEW_MM * 0.78 - 2.0 * rim) * (LENGTH_MM - 2.0 * rim) / PIXEL_MM.powi(2)).round();
        assert!((own as f64 / pixels(4.5) - 1.0).abs() < 0.02, "{method:?}: {own} of {}", pixels(4.5));
        assert_eq!((others, doubts), (0, Vec::new()));
        assert!(((own + flagged) as f64 / pixels(0.0) - 1.0).abs() < 0.01, "{method:?}: {own} + {flagged} of {}", pixels(0.0));
    }
}

#[test]
fn shadow_is_left_out_of_the_mask_where_it_is_asked_for() {
    for method in [SegmentMethod::Brightness, SegmentMethod::Footprint] {
        let mut world = World::new(1, 1);
        (world.footprints, world.config.method, world.config.erode_mm) = (true, method, Some(0.0));
        // A gap of one pixel runs through the middle of the rear half. It is bridged.
        let whole = world.boxes.remove(0);
        let ((from, to), (front, rear)) = (whole.x, whole.y);
        let (middle, half) = ((f64::midpoint(from, to) / PIXEL_MM).round() * PIXEL_MM, f64::midpoint(front, rear));
        let parts = [((from, to), (front, half)), ((from, middle), (half, rear)), ((middle + PIXEL_MM, to), (half, rear))];
        world.boxes.extend(parts.map(|(x, y)| Box { x, y, ..whole.clone() }));
        // A lost line has no value and is no shadow.
        world.lost = vec![(half / PIXEL_MM) as i64 + 10];
        let gap = ((rear - half) / PIXEL_MM).round() as usize;
        let expected = ((to - from) / PIXEL_MM).round() as usize * (LENGTH_MM / PIXEL_MM).round() as usize - gap;
        for (shadow, kept) in [(0.0, gap), (0.02, gap), (0.04, 1)] {
            world.config.shadow_reflectance = shadow;
            let (own, others, _, doubts) = world.scan().samples.remove("A1").unwrap();
            assert_eq!((own, others, doubts), (expected, kept, Vec::new()), "{method:?}, {shadow}");
        }
    }
}

proptest! {
    // The scenes are always the same. About one random scene in three thousand is still named wrongly. The decision record
    // "Names come from all that is in sight, and are refused where two are near" says why.
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_tray_gets_a_wrong_name(
        columns in 1_usize..6,
        rows in 1_usize..5,
        shift in (-1.0..1.0_f64, -1.0..1.0_f64),
        tilt in -3.0..3.0_f64,
        there in proptest::collection::vec(proptest::bool::weighted(0.75), 25),
        filled in proptest::collection::vec(0_usize..20, 25),
        full in proptest::bool::weighted(0.3),
        knowledge in 0..5,
    ) {
        let mut world = World::new(rows, columns);
        match knowledge {
            0 => world = world.known(),
            1 => world = world.known().sized(),
            2 => world.footprints = true,
            3 => world.config.tray.length_mm = Some(FIRST_MM + rows as f64 * PITCH_MM + 10.0),
            _ => {}
        }
        world = world.shifted(shift.0 * 0.39 * VIEW_MM / columns as f64, shift.1 * LENGTH_MM / 2.0, tilt);
        if columns == 1 {
            world.shift.0 /= 2.0;
        }
        let mut keep = there.into_iter();
        // Without any knowledge, the first row that shows something is taken for row A.
        world.boxes.retain(|b| full || keep.next().unwrap() || (knowledge == 4 && b.at.as_deref() == Some("A1")));
        for (b, filled) in world.boxes.iter_mut().zip(filled).filter(|_| !full) {
            b.half(filled);
        }
        let seen = world.scan();
        seen.no_wrong_name(&world);
        // The tray's length alone gives the rows to some millimetres only.
        prop_assert!(!full || knowledge == 3 || seen.names().len() == rows * columns, "a full tray: {:?}", seen.findings);
    }
}
