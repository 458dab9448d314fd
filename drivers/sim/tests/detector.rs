//! Each effect of a detector, measured back from its frames.
#![allow(clippy::unwrap_used)]

mod rig;

use contract::LineCamera;
use rig::{ON_ORE, ON_PANEL, Rig, close, counts, ideal, next, plain, signal, start};
use sim::{CameraConfig, Telegraph, World};

#[tokio::test]
async fn a_bent_response_is_bent_between_dark_and_full_scale_alone() {
    for nonlinearity in [0.01, -0.03] {
        let bent = CameraConfig { nonlinearity, ..ideal() };
        let full = 65_535.0 - ideal().dark_level;
        for level in [0.02, 0.1, 0.3, 0.5, 0.8, 1.0] {
            let straight = signal(&plain(), &ideal(), ON_PANEL, level).await;
            for (seen, straight) in signal(&plain(), &bent, ON_PANEL, level).await.iter().zip(straight) {
                let wanted = 4.0 * nonlinearity * straight * (1.0 - straight / full);
                let found = seen - straight;
                assert!((found - wanted).abs() <= 0.02 * wanted.abs() + 1.5, "{straight} of {full} at {level}: {found}, not {wanted}");
            }
        }
    }
}

#[tokio::test]
async fn stray_light_adds_means_of_the_line_also_on_the_panel() {
    for belt_mm in [ON_PANEL, ON_ORE] {
        let clean = signal(&plain(), &ideal(), belt_mm, 1.0).await;
        let (pixels, bands) = (300, 24);
        let all = clean.iter().sum::<f64>() / clean.len() as f64;
        let of_pixel = |pixel: usize| (0..bands).map(|band| clean[band * pixels + pixel]).sum::<f64>() / bands as f64;
        let of_band = |band: usize| clean[band * pixels..(band + 1) * pixels].iter().sum::<f64>() / pixels as f64;
        for (stray_light, stray_light_bands, stray_light_pixels) in
            [(0.005, 0.0, 0.0), (0.0, 0.01, 0.0), (0.0, 0.0, 0.02), (0.005, 0.01, 0.02)]
        {
            let config = CameraConfig { stray_light, stray_light_bands, stray_light_pixels, ..ideal() };
            let seen = signal(&plain(), &config, belt_mm, 1.0).await;
            for (i, (seen, clean)) in seen.iter().zip(&clean).enumerate() {
                let (band, pixel) = (i / pixels, i % pixels);
                let wanted = stray_light * all + stray_light_bands * of_pixel(pixel) + stray_light_pixels * of_band(band);
                assert!((seen - clean - wanted).abs() <= 1.5, "band {band}, pixel {pixel}: {} more, not {wanted}", seen - clean);
            }
        }
    }
}

/// Frames in the dark, [frame][element], of a belt that runs.
async fn dark_frames(telegraph: Telegraph, frames: usize) -> (Vec<(f64, Vec<u16>)>, Vec<usize>) {
    let rig = Rig::new(&plain());
    let detector = CameraConfig { telegraph: Some(telegraph), ..ideal() };
    let mut camera = rig.camera("vnir", &detector, 100.0);
    let truth = camera.truth();
    let mut stream = start(&mut camera);
    camera.set_shutter(false).unwrap();
    rig.run(50.0).await;
    let seen = (0..frames).map(|_| next(stream.as_mut())).map(|frame| (rig.position(&frame), counts(&frame))).collect();
    assert_eq!(truth.telegraph_counts, 40.0);
    (seen, truth.telegraph.iter().map(|(pixel, band)| band * 300 + pixel).collect())
}

#[tokio::test]
async fn telegraph_noise_has_its_share_height_and_rate_and_begins_at_its_place() {
    let telegraph = Telegraph { share: 0.05, counts: 40.0, hz: 5.0, from_s: None, from_mm: None };
    let (seen, truth) = dark_frames(telegraph.clone(), 400).await;
    let elements = seen[0].1.len();
    let low = |element: usize| seen.iter().map(|(_, frame)| frame[element]).min().unwrap();
    let high = |element: usize| seen.iter().map(|(_, frame)| frame[element]).max().unwrap();
    let restless: Vec<usize> = (0..elements).filter(|element| low(*element) != high(*element)).collect();
    assert_eq!(restless, truth, "the elements of the truth, and no other");
    assert!(close(restless.len() as f64, 0.05 * elements as f64, 0.15), "{} of {elements}", restless.len());
    assert!(restless.iter().all(|element| high(*element) - low(*element) == 40));
    let jumps: usize = restless.iter().map(|e| seen.windows(2).filter(|pair| pair[0].1[*e] != pair[1].1[*e]).count()).sum();
    // Two jumps between two frames are none: (1 - exp(-2 hz dt)) / 2 of the intervals show one.
    let wanted = restless.len() as f64 * 399.0 * (1.0 - (-2.0 * 5.0 / 100.0_f64).exp()) / 2.0;
    assert!(close(jumps as f64, wanted, 0.05), "{jumps} jumps, not {wanted}");

    let (seen, truth) = dark_frames(Telegraph { from_mm: Some(-40.0), ..telegraph.clone() }, 400).await;
    let calm = &seen[0].1;
    let differ = |frame: &[u16]| frame.iter().zip(calm).filter(|(now, before)| now != before).count();
    for (position, frame) in &seen {
        assert!(*position >= -40.0 || differ(frame) == 0, "at {position}");
    }
    assert!(differ(&seen[399].1) > truth.len() / 3, "then half of them are up");
    let (again, _) = dark_frames(Telegraph { from_mm: Some(-40.0), ..telegraph }, 400).await;
    assert!(seen == again, "the same seed");
}

#[test]
fn the_truth_of_a_camera_is_a_document() {
    let world = World::new(&plain()).unwrap();
    let detector = CameraConfig { smile_nm: 1.0, keystone_px: 0.5, latency_us: 300.0, ..ideal() };
    let truth = world.camera("vnir", &detector).unwrap().truth();
    let document = serde_json::to_value(&truth).unwrap();
    assert_eq!(document["latency_us"], 300.0);
    assert_eq!(document["first_band_mm"].as_array().unwrap().len(), 300);
    let smile = truth.true_nm[0][0] - truth.true_nm[1][0];
    assert!(close(smile, 1.0, 0.01), "{smile}");
}
