use super::*;
use crate::calibrate::{Calibrate, Calibration};
use contract::{Frame, FrameInfo, FramePool, Layout, PixelFormat};
use std::sync::Arc;

const PIXELS: usize = 8;

struct Written {
    index: i64,
    values: Vec<f32>,
    quality: Vec<u8>,
}

/// Feeds lines whose reflectance is `value(x, y)` at the centre of each camera pixel, and returns the rows.
fn rows(
    optics: Optics,
    grid: (f64, f64, usize),
    lines: &[f64],
    line_mm: f64,
    lost: &[usize],
    value: impl Fn(f64, f64) -> f64,
) -> Vec<Written> {
    let (x0, pixel_mm, width) = grid;
    let layout = Layout { pixels: optics.pixels, bands: 2, format: PixelFormat::F32 };
    let mut calibrate = Calibrate::new(layout, Arc::new(Calibration::Scaled { scale: 1.0, ignore: None }), None, 0.0);
    let mut rectify = Rectify::new(Across::new(optics, x0, pixel_mm, width), 2, pixel_mm, line_mm);
    let pool = FramePool::new(layout, 1);
    let mut seen = Vec::new();
    let mut keep = |row: LaneRow| {
        let values = row.values();
        seen.push(Written {
            index: row.index,
            values: (0..values.len()).map(|i| values.at(i)).collect(),
            quality: (0..width).map(|pixel| row.quality(pixel)).collect(),
        });
    };
    for (i, y_mm) in lines.iter().copied().enumerate() {
        if lost.contains(&i) {
            rectify.gap(Gap { first: 0, count: 1 });
            continue;
        }
        let mut slot = pool.try_take().unwrap();
        for (e, v) in slot.as_f32_mut().unwrap().iter_mut().enumerate() {
            let x = ((e % optics.pixels) as f64 + 0.5) * optics.pixel_mm() + optics.shift_mm;
            *v = value(x, y_mm) as f32;
        }
        let stamp = Stamp { frame: i as u64, time_ns: (y_mm * 1000.0) as i64, position_mm: y_mm, y_mm };
        let line = calibrate.process(Line::new(stamp, Frame { info: FrameInfo::default(), slot }));
        rectify.process(line, &mut keep);
    }
    rectify.end_of_scan(&mut keep);
    seen
}

fn optics(shift_mm: f64) -> Optics {
    Optics { pixels: PIXELS, field_of_view_mm: 8.0, shift_mm }
}

#[test]
fn on_its_own_grid_a_camera_is_unchanged() {
    let lines: Vec<f64> = (0..6).map(f64::from).collect();
    let rows = rows(optics(0.0), (0.5, 1.0, 8), &lines, 1.0, &[], |x, y| 10.0 * x + y);
    assert_eq!(rows.len(), 6);
    for (k, row) in rows.iter().enumerate() {
        assert_eq!(row.index, k as i64);
        for p in 0..8 {
            assert_eq!(row.values[p * 2], (10.0 * (p as f64 + 0.5) + k as f64) as f32);
        }
    }
}

#[test]
fn a_plane_stays_a_plane_whatever_the_grid() {
    let plane = |x: f64, y: f64| 0.3 * x + 0.7 * y;
    for (pixel_mm, shift, line_mm) in [(0.4, 0.3, 0.9), (1.7, 0.0, 0.9), (2.0, -0.25, 0.5), (0.9, 1.2, 1.1)] {
        let lines: Vec<f64> = (0..40).map(|i| -3.0 + f64::from(i) * line_mm).collect();
        let width = 12;
        let all = rows(optics(shift), (2.0 + shift, pixel_mm, width), &lines, line_mm, &[], plane);
        assert!(all.windows(2).all(|w| w[1].index == w[0].index + 1), "rows follow each other");
        // Interpolation keeps a plane; a mean over cells of width h misses it by up to h^2 / 4 at both ends of a grid pixel.
        let mean = |slope: f64, h: f64, averaged: bool| if averaged { slope * h * h / (4.0 * pixel_mm) } else { 1e-4 };
        let limit = mean(0.3, 1.0, pixel_mm > 1.0) + mean(0.7, line_mm, pixel_mm >= AVERAGE_FROM * line_mm);
        for row in &all[2..all.len() - 2] {
            for p in 0..width {
                let (x, y) = (2.0 + shift + p as f64 * pixel_mm, row.index as f64 * pixel_mm);
                let inside = x - shift - pixel_mm / 2.0 >= 0.5 && x - shift + pixel_mm / 2.0 <= 7.5;
                if inside {
                    assert!(
                        (f64::from(row.values[p * 2]) - plane(x, y)).abs() <= limit,
                        "{pixel_mm} {shift} {line_mm}: {x} {y} {}",
                        row.values[p * 2]
                    );
                } else if x - shift > 8.0 {
                    assert!(row.values[p * 2].is_nan() && row.quality[p] == Quality::OUT_OF_VIEW);
                }
            }
        }
    }
}

#[test]
fn lost_lines_leave_rows_without_value_and_shift_nothing() {
    let lines: Vec<f64> = (0..20).map(f64::from).collect();
    let all = rows(optics(0.0), (0.5, 0.5, 16), &lines, 1.0, &[7, 8, 9], |_, y| y);
    for row in &all {
        let y = row.index as f64 * 0.5;
        let void = y > 6.5 && y < 9.5;
        assert_eq!(row.quality[3], if void { Quality::GAP } else { 0 }, "{y}");
        assert_eq!(row.values[6].is_nan(), void);
        if !void && !(6.0..=10.0).contains(&y) && (0.0..19.0).contains(&y) {
            assert!((f64::from(row.values[6]) - y).abs() < 1e-5, "{y}: {}", row.values[6]);
        }
    }
    let averaged = rows(optics(0.0), (0.5, 2.0, 4), &lines, 1.0, &[7, 8, 9], |_, y| y);
    let void: Vec<i64> = averaged.iter().filter(|r| r.quality[1] & Quality::GAP != 0).map(|r| r.index).collect();
    assert_eq!(void, [4], "the row from 7 to 9 mm");
}
