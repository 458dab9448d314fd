//! Each effect of a camera's optics, measured back from its frames.
#![allow(clippy::unwrap_used)]

mod rig;

use contract::LineCamera;
use rig::{ON_ORE, Rig, close, counts, ideal, next, plain, reflectance, start};
use sim::{CameraConfig, World, WorldConfig};
use std::sync::Arc;

fn camera() -> CameraConfig {
    CameraConfig { pixels: 60, bands: 200, first_nm: 1000.0, last_nm: 2500.0, ..ideal() }
}

/// True reflectance of the ore of [`plain`] at wavelengths.
fn ore(world: &Arc<World>, wavelengths_nm: &[f64]) -> Vec<f64> {
    let mut values = vec![0.0; wavelengths_nm.len()];
    world.reflectance_at(150.0, ON_ORE, wavelengths_nm, &mut values);
    values.into_iter().map(f64::from).collect()
}

/// Shift (nm) and stretch (a share, about the middle) of the wavelengths of a spectrum against the stated ones, by least squares.
fn fit(world: &Arc<World>, stated_nm: &[f64], spectrum: &[f64]) -> (f64, f64) {
    let middle = (stated_nm[0] + stated_nm[stated_nm.len() - 1]) / 2.0;
    let (mut shift, mut stretch) = (0.0, 0.0);
    for _ in 0..6 {
        let at = |more: f64| stated_nm.iter().map(|nm| nm + shift + stretch * (nm - middle) + more).collect::<Vec<_>>();
        let (here, up, down) = (ore(world, &at(0.0)), ore(world, &at(0.5)), ore(world, &at(-0.5)));
        let (mut aa, mut ab, mut bb, mut ar, mut br) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (i, nm) in stated_nm.iter().enumerate() {
            let (a, rest) = (up[i] - down[i], spectrum[i] - here[i]);
            let b = a * (nm - middle);
            (aa, ab, bb, ar, br) = (aa + a * a, ab + a * b, bb + b * b, ar + a * rest, br + b * rest);
        }
        let determinant = aa * bb - ab * ab;
        shift += (ar * bb - br * ab) / determinant;
        stretch += (br * aa - ar * ab) / determinant;
    }
    (shift, stretch)
}

/// Shift and stretch of every pixel that sees the ore alone, with its place from -1 to 1 across.
async fn shifts(detector: &CameraConfig) -> Vec<(f64, f64, f64)> {
    let world = World::new(&plain()).unwrap();
    let seen = reflectance(&plain(), detector, ON_ORE).await;
    let stated = contract::evenly_spaced(detector.first_nm, detector.last_nm, detector.bands);
    let spectrum = |pixel: usize| (0..detector.bands).map(|band| seen[band * detector.pixels + pixel]).collect::<Vec<_>>();
    let across = |pixel: usize| 2.0 * (pixel as f64 + 0.5) / detector.pixels as f64 - 1.0;
    (5..detector.pixels - 5)
        .map(|pixel| {
            let (shift, stretch) = fit(&world, &stated, &spectrum(pixel));
            (across(pixel), shift, stretch)
        })
        .collect()
}

#[tokio::test]
async fn a_smile_is_found_in_the_spectra_of_the_edges() {
    for smile_nm in [0.0, 1.0, -2.5] {
        let detector = CameraConfig { smile_nm, ..camera() };
        let shifts = shifts(&detector).await;
        // A parabola without a linear term, by least squares.
        let n = shifts.len() as f64;
        let (sx, sy) = shifts.iter().fold((0.0, 0.0), |(sx, sy), (at, shift, _)| (sx + at * at, sy + shift));
        let (mut xx, mut xy) = (0.0, 0.0);
        for (at, shift, _) in &shifts {
            (xx, xy) = (xx + (at * at - sx / n).powi(2), xy + (at * at - sx / n) * (shift - sy / n));
        }
        let found = xy / xx;
        assert!((found - smile_nm).abs() <= 0.02 * smile_nm.abs() + 0.002, "{found} nm of {smile_nm}");
        let camera = World::new(&plain()).unwrap().camera("vnir", &detector).unwrap();
        for (i, (_, shift, _)) in shifts.iter().enumerate() {
            let (stated, real) = (camera.describe().wavelengths_nm[100], camera.optics().wavelength_nm(i + 5, 100));
            assert!((shift - (real - stated)).abs() < 0.02, "pixel {}: {shift} found, {real} for {stated}", i + 5);
        }
    }
}

#[tokio::test]
async fn a_shift_and_a_stretch_of_the_wavelengths_are_found() {
    let detector = CameraConfig { wavelength_shift_nm: 1.5, dispersion_error: 0.002, ..camera() };
    for (_, shift, stretch) in shifts(&detector).await {
        assert!(close(shift, 1.5, 0.02) && close(stretch, 0.002, 0.02), "{shift} nm, {stretch}");
    }
}

#[tokio::test]
async fn a_band_has_the_mean_under_its_response() {
    let world = World::new(&plain()).unwrap();
    let fwhm_nm = 20.0;
    let detector = CameraConfig { fwhm_nm: Some(fwhm_nm), smile_nm: 1.0, ..camera() };
    let camera = world.camera("vnir", &detector).unwrap();
    assert_eq!(camera.describe().fwhm_nm.as_ref().unwrap()[0], fwhm_nm);
    let seen = reflectance(&plain(), &detector, ON_ORE).await;
    let sigma = fwhm_nm / (8.0 * 2.0_f64.ln()).sqrt();
    let (mut worst, mut most) = (0.0_f64, 0.0_f64);
    for pixel in [6, 30, 53] {
        for band in 0..detector.bands {
            let centre = camera.optics().wavelength_nm(pixel, band);
            let nm: Vec<f64> = (-400..=400).map(|i| centre + f64::from(i) * 0.01 * sigma).collect();
            let weight = |nm: f64| (-0.5 * ((nm - centre) / sigma).powi(2)).exp();
            let sum: f64 = nm.iter().map(|nm| weight(*nm)).sum();
            let mean = ore(&world, &nm).iter().zip(&nm).map(|(value, nm)| value * weight(*nm)).sum::<f64>() / sum;
            worst = worst.max((seen[band * detector.pixels + pixel] - mean).abs());
            most = most.max((ore(&world, &[centre])[0] - mean).abs());
        }
    }
    assert!(worst < 0.0004 && most > 10.0 * worst, "off by {worst}; its centre alone by {most}");
}

/// The place of the edges of the container in a row of 300 pixels, in pixels, from the area between background and ore.
fn edges(row: &[f64]) -> (f64, f64) {
    let (tray, ore) = (row[5], row[150]);
    let inside = |from: usize, to: usize| row[from..to].iter().map(|value| (value - tray) / (ore - tray)).sum::<f64>();
    (26.0 - inside(14, 26), 274.0 + inside(274, 286))
}

fn wide() -> CameraConfig {
    CameraConfig { pixels: 300, bands: 21, ..camera() }
}

#[tokio::test]
async fn a_keystone_moves_edges_from_band_to_band() {
    for keystone_px in [0.5, -3.0] {
        let detector = CameraConfig { keystone_px, ..wide() };
        let seen = reflectance(&plain(), &detector, ON_ORE).await;
        let rows: Vec<(f64, f64)> = seen.chunks_exact(300).map(edges).collect();
        // The edges lie at 130 of 150 mm from the middle.
        let most = keystone_px * 130.0 / 150.0;
        for (band, (left, right)) in rows.iter().enumerate() {
            let of_range = band as f64 / 20.0 - 0.5;
            let (left, right) = (left - rows[10].0, right - rows[10].1);
            let wanted = most * of_range;
            assert!((left - wanted).abs() < 0.02 * most.abs(), "band {band}: left by {left}, not {wanted}");
            assert!((right + wanted).abs() < 0.02 * most.abs(), "band {band}: right by {right}, not {}", -wanted);
        }
    }
    // A pixel that looks further to the right sees the right edge earlier.
    let camera = World::new(&plain()).unwrap().camera("vnir", &CameraConfig { keystone_px: 0.5, ..wide() }).unwrap();
    let (first, last) = (camera.optics().place_mm(299, 0).0, camera.optics().place_mm(299, 20).0);
    assert!(close(last - first, 0.5, 0.01), "{first} to {last} mm");
}

/// The belt position at which the leading edge of the container comes, for each of some pixels, from the area along.
async fn arrivals(world: &WorldConfig, detector: &CameraConfig, pixels: &[usize]) -> Vec<f64> {
    let rig = Rig::new(world);
    let mut camera = rig.camera("vnir", detector, 100.0);
    let mut stream = start(&mut camera);
    rig.lamp_on().await;
    rig.run(100.0).await;
    while rig.position(&next(stream.as_mut())) < 17.0 {}
    rig.run(1.0).await;
    next(stream.as_mut());
    let mut seen = Vec::new();
    let mut position = 0.0;
    while position < 22.0 {
        let frame = next(stream.as_mut());
        position = rig.position(&frame);
        seen.push((position, counts(&frame)));
    }
    let value = |i: usize, pixel: usize| f64::from(seen[i].1[10 * detector.pixels + pixel]);
    let last = seen.len() - 1;
    let pitch = (seen[last].0 - seen[0].0) / last as f64;
    let share = |i: usize, pixel: usize| (value(i, pixel) - value(0, pixel)) / (value(last, pixel) - value(0, pixel));
    let on_ore = |pixel: usize| (0..=last).map(|i| share(i, pixel)).sum::<f64>() * pitch;
    pixels.iter().map(|pixel| seen[last].0 + pitch / 2.0 - on_ore(*pixel)).collect()
}

#[tokio::test]
async fn a_yaw_lets_one_side_see_the_edge_earlier() {
    let pixels = [50, 150, 249];
    let straight = arrivals(&plain(), &wide(), &pixels).await;
    assert!((straight[0] - straight[2]).abs() < 0.002 && (straight[0] - 20.0).abs() < 0.02, "{straight:?}");
    let detector = CameraConfig { yaw_deg: 0.3, ..wide() };
    let turned = arrivals(&plain(), &detector, &pixels).await;
    let found = ((turned[0] - turned[2]) / 199.0).asin().to_degrees();
    assert!(close(found, 0.3, 0.02), "{found} degrees: {turned:?}");
    let camera = World::new(&plain()).unwrap().camera("vnir", &detector).unwrap();
    let ahead = |pixel: usize| camera.optics().place_mm(pixel, 0).1;
    assert!(close(ahead(249) - ahead(50), turned[0] - turned[2], 0.02));
}

/// Variance of a line spread, from an edge in steps of one, in steps squared.
fn spread(edge: &[f64]) -> f64 {
    let total = edge[edge.len() - 1] - edge[0];
    let line: Vec<f64> = edge.windows(2).map(|pair| (pair[1] - pair[0]) / total).collect();
    let mean: f64 = line.iter().enumerate().map(|(i, share)| i as f64 * share).sum();
    line.iter().enumerate().map(|(i, share)| (i as f64 - mean).powi(2) * share).sum()
}

#[tokio::test]
async fn a_point_spread_widens_edges_across_and_along() {
    let blurred = CameraConfig { psf_mm: 3.0, ..wide() };
    let sigma = 3.0 / (8.0 * 2.0_f64.ln()).sqrt();
    let across = async |detector: &CameraConfig| spread(&reflectance(&plain(), detector, ON_ORE).await[10 * 300 + 12..10 * 300 + 28]);
    // A pixel of 1 mm, and the step from one to the next, add a twelfth each. The edge lies between two pixels.
    let (sharp, found) = (across(&wide()).await, across(&blurred).await);
    assert!(close((found - 1.0 / 6.0).sqrt(), sigma, 0.02) && sharp.abs() < 0.01, "across: {sharp} to {found}, not by {sigma}²");

    let along = async |detector: &CameraConfig| {
        let rig = Rig::new(&plain());
        let mut camera = rig.camera("vnir", detector, 50.0);
        let mut stream = start(&mut camera);
        rig.lamp_on().await;
        rig.run(50.0).await;
        let mut edge = Vec::new();
        loop {
            let frame = next(stream.as_mut());
            match rig.position(&frame) {
                // Steps of 1 mm.
                at if at > 28.0 => return spread(&edge),
                at if at > 12.0 => edge.push(f64::from(counts(&frame)[10 * 300 + 150])),
                _ => {}
            }
        }
    };
    // A line has no width of its own.
    let (sharp, found) = (along(&wide()).await, along(&blurred).await);
    assert!(close((found - 1.0 / 12.0).sqrt(), sigma, 0.02) && sharp < 0.3, "along: {sharp} to {found}, not by {sigma}²");
}

#[tokio::test]
async fn an_ideal_camera_sees_what_one_without_effects_sees() {
    let mut world = plain();
    world.tray.height_mm = 10.0;
    let detector = CameraConfig { smile_nm: 3.0, keystone_px: 2.0, yaw_deg: 1.0, psf_mm: 2.0, wavelength_shift_nm: 2.0, ..wide() };
    let mut line = vec![0.0; detector.pixels * detector.bands];
    World::new(&world).unwrap().camera("vnir", &detector).unwrap().ideal().line(ON_ORE, &mut line);
    let wanted = reflectance(&plain(), &wide(), ON_ORE).await;
    let seen = reflectance(&world, &detector, ON_ORE).await;
    let worst = |seen: &[f64]| seen.iter().zip(&line).map(|(seen, ideal)| (seen - f64::from(*ideal)).abs()).fold(0.0, f64::max);
    assert!(worst(&wanted) < 0.0005 && worst(&seen) > 0.1, "{} and {}", worst(&wanted), worst(&seen));
}
