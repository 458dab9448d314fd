use super::*;
use crate::calibrate::Calibrate;
use crate::reference::{Calibration, LowSignal};
use contract::{Frame, FrameInfo, FramePool, Layout, PixelFormat};
use std::sync::Arc;

const PIXELS: usize = 8;

#[derive(Debug)]
struct Written {
    index: i64,
    time_ns: i64,
    squares: f32,
    values: Vec<f32>,
    quality: Vec<u8>,
}

/// The rows of lines whose reflectance is `value(x, y)` at the centre of each camera pixel.
fn rows(
    view: FieldOfView,
    grid: (f64, f64, usize),
    lines: &[f64],
    line_mm: f64,
    lost: &[usize],
    value: impl Fn(f64, f64) -> f64,
) -> Vec<Written> {
    turned_rows(view, grid, lines, line_mm, lost, 0.0, value)
}

/// The same for a camera whose line is turned by `yaw_deg` about its middle.
fn turned_rows(
    view: FieldOfView,
    grid: (f64, f64, usize),
    lines: &[f64],
    line_mm: f64,
    lost: &[usize],
    yaw_deg: f64,
    value: impl Fn(f64, f64) -> f64,
) -> Vec<Written> {
    let (x0, pixel_mm, width) = grid;
    let layout = Layout { pixels: view.pixels, bands: 2, format: PixelFormat::F32 };
    let mut calibrate = Calibrate::new(layout, Arc::new(Calibration::Scaled { scale: 1.0, ignore: None }), None, LowSignal::default());
    let weights = PixelWeights::new(view, x0, pixel_mm, width);
    let yaw = Yaw::new(yaw_deg, view, x0, pixel_mm, &weights);
    let mut rectify = Rectify::new(weights, 2, pixel_mm, line_mm).with_yaw(yaw);
    let pool = FramePool::new(layout, 1);
    let mut seen = Vec::new();
    let mut keep = |row: CameraRow| {
        let values = row.values();
        seen.push(Written {
            index: row.index,
            time_ns: row.time_ns,
            squares: row.squares(),
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
            let x = ((e % view.pixels) as f64 + 0.5) * view.pixel_mm() + view.shift_mm;
            *v = value(x, y_mm + ahead_mm(view, yaw_deg, x)) as f32;
        }
        let stamp = Stamp { frame: i as u64, time_ns: (y_mm * 1000.0) as i64, position_mm: y_mm, y_mm };
        let line = calibrate.process(Line::new(stamp, Frame { info: FrameInfo::default(), slot }));
        rectify.process(line, &mut keep);
    }
    rectify.end_of_scan(&mut keep);
    seen
}

/// How much further along than the middle of a turned line a place across is seen, mm.
fn ahead_mm(view: FieldOfView, yaw_deg: f64, x_mm: f64) -> f64 {
    (x_mm - view.shift_mm - view.field_of_view_mm / 2.0) * yaw_deg.to_radians().tan()
}

fn view(shift_mm: f64) -> FieldOfView {
    FieldOfView { pixels: PIXELS, field_of_view_mm: 8.0, shift_mm }
}

#[test]
fn on_its_own_grid_a_camera_is_unchanged() {
    let lines: Vec<f64> = (0..6).map(f64::from).collect();
    let rows = rows(view(0.0), (0.5, 1.0, 8), &lines, 1.0, &[], |x, y| 10.0 * x + y);
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
        let all = rows(view(shift), (2.0 + shift, pixel_mm, width), &lines, line_mm, &[], plane);
        assert!(all.windows(2).all(|w| w[1].index == w[0].index + 1), "rows follow each other");
        // Interpolation keeps a plane. A mean over cells of width h misses it by up to `h^2 / 4` at both ends of a grid pixel.
        let mean = |slope: f64, h: f64, averaged: bool| if averaged { slope * h * h / (4.0 * pixel_mm) } else { 1e-4 };
        let limit = mean(0.3, 1.0, pixel_mm > 1.0) + mean(0.7, line_mm, pixel_mm > AVERAGE_ABOVE * line_mm);
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
    let all = rows(view(0.0), (0.5, 0.5, 16), &lines, 1.0, &[7, 8, 9], |_, y| y);
    for row in &all {
        let y = row.index as f64 * 0.5;
        let void = y > 6.5 && y < 9.5;
        assert_eq!(row.quality[3], if void { Quality::GAP } else { 0 }, "{y}");
        assert_eq!(row.values[6].is_nan(), void);
        if !void && !(6.0..=10.0).contains(&y) && (0.0..19.0).contains(&y) {
            assert!((f64::from(row.values[6]) - y).abs() < 1e-5, "{y}: {}", row.values[6]);
        }
    }
    let averaged = rows(view(0.0), (0.5, 2.0, 4), &lines, 1.0, &[7, 8, 9], |_, y| y);
    let void: Vec<i64> = averaged.iter().filter(|r| r.quality[1] & Quality::GAP != 0).map(|r| r.index).collect();
    assert_eq!(void, [4], "the row from 7 to 9 mm");
    let partly: Vec<i64> = averaged.iter().filter(|r| r.quality[1] == Quality::BAD_PIXEL).map(|r| r.index).collect();
    assert_eq!(partly, [3, 5], "the rows that lose a quarter");
    assert!(averaged.iter().all(|r| r.values[2].is_nan() == (r.quality[1] & Quality::GAP != 0)));
}

#[test]
fn a_row_that_is_lost_in_part_says_so() {
    // A grid of 1.5 mm over lines of 0.6 mm, of which every fourth is lost.
    let lines: Vec<f64> = (0..60).map(|i| 0.6 * f64::from(i)).collect();
    let lost: Vec<usize> = (3..60).step_by(4).collect();
    let share = |row: i64| {
        let (lo, hi) = (1.5 * row as f64 - 0.75, 1.5 * row as f64 + 0.75);
        lost.iter().map(|i| ((lines[*i] + 0.3).min(hi) - (lines[*i] - 0.3).max(lo)).max(0.0)).sum::<f64>() / 1.5
    };
    let all = rows(view(0.0), (0.75, 1.5, 5), &lines, 0.6, &lost, |_, y| y);
    assert!(all.len() > 20);
    // What lies ahead of the first line and behind the last one was not lost.
    for row in &all[1..all.len() - 2] {
        let expected = if share(row.index) > LEAST_LOST { Quality::BAD_PIXEL } else { 0 };
        assert_eq!(row.quality[1], expected, "row {}: {} lost", row.index, share(row.index));
        assert!((f64::from(row.values[2]) - 1.5 * row.index as f64).abs() < 0.4, "row {}: {}", row.index, row.values[2]);
    }
    let unflagged = |lost_mm: f64| {
        // One line is lost, of which the row from -0.75 to 0.75 mm covers so much.
        let lines: Vec<f64> = (-20..20).map(|i| 0.75 - lost_mm + 0.3 + 0.6 * f64::from(i)).collect();
        let all = rows(view(0.0), (0.75, 1.5, 5), &lines, 0.6, &[20], |_, y| y);
        all.iter().find(|row| row.index == 0).unwrap().quality[1] == 0
    };
    assert!(unflagged(0.07) && !unflagged(0.08), "a twentieth of 1.5 mm is 0.075 mm");
}

#[test]
fn every_line_counts_alike_on_a_coarser_grid() {
    for (ratio, first) in [(1.01, 0.0), (1.1, 0.3), (1.2, -0.4), (1.25, 0.1), (1.5, 0.2), (2.3, 0.0)] {
        let lines: Vec<f64> = (0..30).map(|i| first + f64::from(i)).collect();
        for counted in 8..20 {
            let all = rows(view(0.0), (0.5, ratio, 4), &lines, 1.0, &[], |_, y| f64::from(u8::from((y - lines[counted]).abs() < 0.1)));
            let weight: f32 = all.iter().map(|row| row.values[2]).filter(|value| value.is_finite()).sum();
            assert!((f64::from(weight) * ratio - 1.0).abs() < 1e-3, "line {counted} of a grid {ratio} times as coarse: {weight}");
        }
    }
}

/// Rows of a camera of 70 pixels and 3 bands that loses one line. Lines are resampled as a whole or spectrum by spectrum.
fn resampled_rows(pixel_mm: f64, as_a_whole: bool) -> Vec<CameraRow> {
    let layout = Layout { pixels: 70, bands: 3, format: PixelFormat::U16 };
    let mut calibrate =
        Calibrate::new(layout, Arc::new(Calibration::Scaled { scale: 1000.0, ignore: Some(7.0) }), None, LowSignal::default());
    let view = FieldOfView { pixels: 70, field_of_view_mm: 70.0, shift_mm: 3.3 };
    let mut rectify = Rectify::new(PixelWeights::new(view, 0.5, pixel_mm, 80), 3, pixel_mm, 1.0);
    let pool = FramePool::new(layout, 1);
    let mut rows = Vec::new();
    let mut keep = |row: CameraRow| rows.push(row);
    for i in 0..9_u16 {
        if i == 4 {
            rectify.gap(Gap { first: 4, count: 1 });
            continue;
        }
        let mut slot = pool.try_take().unwrap();
        slot.as_u16_mut().unwrap().iter_mut().zip(0..).for_each(|(count, e): (_, u16)| *count = (e * 37 + i * 11) % 500);
        let stamp = Stamp { frame: i.into(), time_ns: i.into(), position_mm: 0.0, y_mm: 1.1 * f64::from(i) };
        let line = Line::new(stamp, Frame { info: FrameInfo::default(), slot });
        if as_a_whole {
            rectify.process(calibrate.process(line), &mut keep);
        } else {
            calibrate.spectra(line, &mut rectify.begin_line(stamp));
            rectify.end_line(&mut keep);
        }
    }
    rectify.end_of_scan(&mut keep);
    rows
}

#[test]
fn a_line_is_resampled_spectrum_by_spectrum_as_it_is_as_a_whole() {
    let mut bright = 0;
    for pixel_mm in [0.4, 1.0, 2.3] {
        let (whole, parts) = (resampled_rows(pixel_mm, true), resampled_rows(pixel_mm, false));
        assert_eq!(whole.len(), parts.len());
        for (a, b) in whole.iter().zip(&parts) {
            assert_eq!((a.index, a.time_ns), (b.index, b.time_ns));
            assert!((0..80).all(|pixel| a.quality(pixel) == b.quality(pixel)));
            assert!((0..80).all(|pixel| a.brightness(pixel).to_bits() == b.brightness(pixel).to_bits()));
            for pixel in 0..80 {
                let values = [0, 1, 2].map(|band| a.values().at(3 * pixel + band));
                if values.iter().all(|value| value.is_finite()) {
                    assert!((a.brightness(pixel) - values.iter().sum::<f32>() / 3.0).abs() < 1e-6, "{values:?}");
                    bright += 1;
                }
                assert!(values.iter().any(|value| value.is_finite()) || a.brightness(pixel).is_nan());
            }
            let (a, b) = (a.values(), b.values());
            assert!((0..a.len()).all(|i| a.at(i).to_bits() == b.at(i).to_bits()));
        }
    }
    assert!(bright > 500, "{bright}");
}

#[test]
fn every_vector_unit_gives_the_same_mean() {
    let line = |from: u16| {
        Arc::new(Resampled {
            values: (0..5000).map(|i| 0.001 * f32::from(i * 7 % 1000 + from)).collect(),
            brightness: (0..50).map(|i| 0.01 * f32::from(i + from)).collect(),
            quality: vec![1 << (from % 3); 50],
            ..Resampled::default()
        })
    };
    let lines: VecDeque<_> = (0..4).map(line).collect();
    let parts = [(0, 0.2), (1, 0.35), (3, 0.45)];
    let mut means = [Resampled::default(), Resampled::default()];
    let [here, least] = &mut means;
    widest(Mean { lines: &lines, parts: &parts, out: here });
    pulp::Arch::Scalar.dispatch(Mean { lines: &lines, parts: &parts, out: least });
    assert!(means[0].values.iter().zip(&means[1].values).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert!((means[0].values[9] - (0.2 * 0.063 + 0.35 * 0.064 + 0.45 * 0.066)).abs() < 1e-6);
    assert_eq!((means[0].quality[3], means[1].quality[49]), (0b011, 0b011));
    assert_eq!(means[0].brightness, means[1].brightness);
    assert!((means[0].brightness[7] - (0.2 * 0.07 + 0.35 * 0.08 + 0.45 * 0.1)).abs() < 1e-6);
}

#[test]
fn the_mean_of_a_spectrum_is_that_of_its_finite_values() {
    for bands in [1, 2, 63, 64, 65, 200] {
        let mut spectrum: Vec<f32> = (0..bands).map(|band| 0.1 + 0.001 * band as f32).collect();
        let expected = 0.1 + 0.001 * (bands - 1) as f32 / 2.0;
        assert!((mean(&spectrum) - expected).abs() < 1e-6, "{bands}");
        spectrum.extend([f32::NAN, f32::INFINITY]);
        assert!((mean(&spectrum) - expected).abs() < 1e-6, "{bands}");
    }
    assert!(mean(&[f32::NAN; 70]).is_nan() && mean(&[]).is_nan());
}

#[test]
fn a_turned_line_keeps_a_plane_and_a_pattern_whatever_the_grid() {
    let view = FieldOfView { pixels: 40, field_of_view_mm: 40.0, shift_mm: -3.0 };
    let plane = |x: f64, y: f64| 0.3 * x + 0.7 * y;
    let wave = |_: f64, y: f64| (y / 4.0).sin();
    for yaw_deg in [0.3, -1.0, 2.0] {
        for (pixel_mm, line_mm) in [(0.4, 0.9), (0.9, 0.9), (1.0, 0.25), (2.0, 0.5)] {
            let lines: Vec<f64> = (0..120).map(|i| -5.0 + f64::from(i) * line_mm).collect();
            let (x0, width) = (-3.0 + pixel_mm / 2.0, (40.0 / pixel_mm) as usize);
            let all = turned_rows(view, (x0, pixel_mm, width), &lines, line_mm, &[], yaw_deg, plane);
            let waves = turned_rows(view, (x0, pixel_mm, width), &lines, line_mm, &[], yaw_deg, wave);
            assert!(all.windows(2).all(|w| w[1].index == w[0].index + 1), "rows follow each other");
            let average = pixel_mm > AVERAGE_ABOVE * line_mm;
            let along = if average { 0.7 * line_mm * line_mm / (4.0 * pixel_mm) } else { 2e-4 };
            let across = if pixel_mm > 1.0 { 0.3 / (4.0 * pixel_mm) } else { 0.0 };
            let (first, last) = (lines[0] - line_mm / 2.0, lines[119] + line_mm / 2.0);
            for (row, waves) in all.iter().zip(&waves) {
                let y = row.index as f64 * pixel_mm;
                for p in 0..width {
                    let x = x0 + p as f64 * pixel_mm;
                    let at = y - ahead_mm(view, yaw_deg, x);
                    let (lo, hi) = (at - pixel_mm / 2.0, at + pixel_mm / 2.0);
                    if at < first - 1e-5 || at > last + 1e-5 {
                        assert_eq!(
                            (row.quality[p], row.values[2 * p].is_nan()),
                            (Quality::OUT_OF_VIEW, true),
                            "{yaw_deg} {pixel_mm}: {x} {y}"
                        );
                    } else if at > first + 1e-5 && at < last - 1e-5 {
                        assert_eq!((row.quality[p], row.values[2 * p].is_nan()), (0, false), "{yaw_deg} {pixel_mm}: {x} {y}");
                    }
                    let inside = lo >= first && hi <= last && at >= lines[0] && at <= lines[119];
                    if inside && (x + 3.0 - pixel_mm / 2.0 >= 0.5) && (x + 3.0 + pixel_mm / 2.0 <= 39.5) {
                        let off = f64::from(row.values[2 * p]) - plane(x, y);
                        // The place of a camera pixel changes along with that across.
                        assert!(off.abs() <= along + across + 0.02, "{yaw_deg} {pixel_mm} {line_mm}: {x} {y} {off}");
                        let off = f64::from(waves.values[2 * p]) - wave(x, y);
                        assert!(off.abs() < 0.03, "{yaw_deg} {pixel_mm} {line_mm}: {x} {y} {off}");
                    }
                }
            }
            let covered = |row: &Written| row.quality.contains(&0);
            assert!(covered(&all[0]) && covered(&all[all.len() - 1]), "no row without a line");
        }
    }
}

#[test]
fn a_line_that_is_hardly_turned_gives_the_rows_of_one_that_is_not() {
    for (pixel_mm, line_mm) in [(0.5, 1.0), (1.5, 0.6), (2.0, 1.0), (1.0, 1.0)] {
        let lines: Vec<f64> = (0..40).map(|i| 0.13 + f64::from(i) * line_mm).collect();
        let lost = [7, 8, 9, 20];
        let wave = |x: f64, y: f64| (x / 3.0 + y).sin();
        let grid = (0.5, pixel_mm, 9);
        let straight = rows(view(0.0), grid, &lines, line_mm, &lost, wave);
        let turned = turned_rows(view(0.0), grid, &lines, line_mm, &lost, 1e-9, wave);
        assert_eq!(straight.len(), turned.len(), "{pixel_mm} {line_mm}");
        for (a, b) in straight.iter().zip(&turned) {
            assert_eq!((a.index, &a.quality), (b.index, &b.quality), "{pixel_mm} {line_mm}");
            assert!(a.values.iter().zip(&b.values).all(|(a, b)| (a - b).abs() < 1e-5 || (a.is_nan() && b.is_nan())), "{a:?} {b:?}");
            assert!((a.squares - b.squares).abs() < 1e-5 || (a.squares.is_nan() && b.squares.is_nan()), "{} {}", a.squares, b.squares);
        }
    }
}

#[test]
fn a_lost_line_is_lost_where_each_pixel_of_a_turned_line_would_have_seen_it() {
    let view = FieldOfView { pixels: 60, field_of_view_mm: 60.0, shift_mm: 0.0 };
    let lines: Vec<f64> = (0..40).map(f64::from).collect();
    for (pixel_mm, yaw_deg) in [(0.5, 2.0), (0.5, -2.0), (2.0, 2.0)] {
        let width = (60.0 / pixel_mm) as usize;
        let all = turned_rows(view, (pixel_mm / 2.0, pixel_mm, width), &lines, 1.0, &[15, 16, 17, 18], yaw_deg, |_, y| y);
        let mut void = vec![0; width];
        for row in all.iter().filter(|row| (5.0..30.0).contains(&(row.index as f64 * pixel_mm))) {
            for (p, void) in void.iter_mut().enumerate() {
                let at = row.index as f64 * pixel_mm - ahead_mm(view, yaw_deg, (p as f64 + 0.5) * pixel_mm);
                let (lo, hi) = if pixel_mm > 1.0 { (at - 1.0, at + 1.0) } else { (at, at) };
                let lost =
                    if pixel_mm > 1.0 { (hi.min(18.5) - lo.max(14.5)).max(0.0) / 2.0 } else { f64::from(u8::from(at > 14.5 && at < 18.5)) };
                let near =
                    if pixel_mm > 1.0 { (lost - 0.5).abs().min((lost - 0.05).abs()) } else { (at - 14.5).abs().min((at - 18.5).abs()) };
                if near < 1e-4 {
                    continue;
                }
                let expected = if lost > 0.5 {
                    Quality::GAP
                } else if lost > 0.05 {
                    Quality::BAD_PIXEL
                } else {
                    0
                };
                assert_eq!(row.quality[p], expected, "row {}, pixel {p}: {lost}", row.index);
                assert_eq!(row.values[2 * p].is_nan(), expected == Quality::GAP);
                *void += usize::from(expected == Quality::GAP);
            }
        }
        assert!(void.iter().all(|rows| (1..=8).contains(rows)), "each pixel loses as much: {void:?}");
    }
}

#[test]
fn a_row_of_a_turned_line_has_the_time_of_its_middle_and_the_mean_of_its_squares() {
    let view = FieldOfView { pixels: 60, field_of_view_mm: 60.0, shift_mm: 0.0 };
    let lines: Vec<f64> = (0..60).map(f64::from).collect();
    let all = turned_rows(view, (0.25, 0.5, 120), &lines, 1.0, &[], 2.0, |_, y| y);
    for row in all.iter().filter(|row| (5.0..50.0).contains(&(row.index as f64 * 0.5))) {
        assert_eq!(row.time_ns, row.index * 500);
        // The place between two lines is anywhere: the mean of (1 - p)² + p² is 2/3.
        assert!((row.squares - 2.0 / 3.0).abs() < 0.05, "{}", row.squares);
    }
}

#[test]
fn rows_of_a_turned_line_need_no_new_memory() {
    let view = FieldOfView { pixels: 60, field_of_view_mm: 60.0, shift_mm: 0.0 };
    let weights = PixelWeights::new(view, 0.25, 0.5, 120);
    let yaw = Yaw::new(1.0, view, 0.25, 0.5, &weights);
    let mut rectify = Rectify::new(weights, 2, 0.5, 1.0).with_yaw(yaw);
    let mut most = 0;
    for i in 0..200_u32 {
        let stamp = Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: f64::from(i) };
        let _ = rectify.begin_line(stamp);
        rectify.end_line(&mut drop);
        most = most.max(rectify.window.len());
    }
    // The line spans 60 mm times tan(1 degree), 1.05 mm.
    assert!(most <= 4, "{most} lines wait");
}
