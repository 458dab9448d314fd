//! A world without any effect of its optics, detector, light or belt gives the bytes that it always gave.
#![allow(clippy::unwrap_used)]

mod rig;

use contract::{Conveyor, LineCamera};
use rig::{Rig, counts, next, quiet, start};
use sim::{CameraConfig, Dirt, Shade, WorldConfig};

/// A hash of counts (FNV-1a).
fn hash(state: u64, counts: &[u16]) -> u64 {
    counts
        .iter()
        .flat_map(|count| count.to_le_bytes())
        .fold(state, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The exposure fills the whole frame period, and so the smear is that of a pitch.
#[tokio::test]
async fn frames_without_effects_are_those_of_old() {
    let mut config = WorldConfig { seed: 7, texture: 0.03, segregation: 0.4, strip_mm: Some((280.0, 290.0)), ..quiet() };
    config.tray.tilt_deg = 1.5;
    config.tray.shift_across_mm = 3.0;
    config.panel.dirt = Some(Dirt { x_mm: (100.0, 106.0), y_mm: None, share: 0.2 });
    config.panel.shade = Some(Shade { from_x_mm: 150.0, share: 0.1 });
    let mut seen = Vec::new();
    for (name, bits, first_nm, last_nm) in [("vnir", 12, 400.0, 1000.0), ("swir", 16, 1000.0, 2500.0)] {
        let rig = Rig::new(&config);
        let detector = CameraConfig {
            pixels: 200,
            bands: 30,
            bits,
            first_nm,
            last_nm,
            noisy_elements: 5,
            offset_mm: 10.0,
            shift_mm: 1.7,
            reference_exposure_us: 20_000.0,
            ..CameraConfig::default()
        };
        let mut camera = rig.camera(name, &detector, 50.0);
        let mut stream = start(&mut camera);
        rig.lamp_on().await;
        camera.set_shutter(false).unwrap();
        let dark = hash(0xcbf2_9ce4_8422_2325, &counts(&next(stream.as_mut())));
        camera.set_shutter(true).unwrap();
        rig.run(100.0).await;
        let moving = (0..150).fold(dark, |state, _| hash(state, &counts(&next(stream.as_mut()))));
        rig.belt.stop().await.unwrap();
        let standing = hash(moving, &counts(&next(stream.as_mut())));
        seen.push((dark, moving, standing));
    }
    let vnir = (0x0ae4_3fcd_e633_4f55, 0x4117_6cb7_f5c2_18fd, 0xcb09_4a51_c26d_601e);
    let swir = (0x3e9d_780f_cd07_5390, 0xcbe2_3791_f27b_51d5, 0xb19e_50d0_9ff0_2458);
    assert_eq!(seen, [vnir, swir], "{seen:x?}");
}
