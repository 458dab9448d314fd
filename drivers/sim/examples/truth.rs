//! Writes what really lies on the simulated belt as JSON: containers, spectra, shares of minerals, and a map of the minerals.
//!
//! `cargo run -p sim --example truth -- RIG.toml TRUTH.json [PIXEL_MM]`. The pixels of the map have 1 mm unless given.

use serde_json::json;
use sim::{World, WorldConfig};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(rig), Some(out)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        return Err("give the configuration of a rig, the file to write, and the map's pixels in mm where not 1".into());
    };
    let pixel_mm: f64 = arguments.next().map_or(Ok(1.0), |text| text.parse()).map_err(|error| format!("PIXEL_MM: {error}"))?;
    if !(0.05..=100.0).contains(&pixel_mm) {
        return Err(format!("PIXEL_MM must be from 0.05 to 100, is {pixel_mm}").into());
    }
    let mut table: toml::Table = std::fs::read_to_string(&rig).map_err(|error| format!("{rig}: {error}"))?.parse()?;
    let simulation = table.remove("simulation").ok_or_else(|| format!("{rig}: has no section [simulation]"))?;
    let config: WorldConfig = simulation.try_into()?;
    let world = World::new(&config)?;
    let wavelengths: Vec<f64> = (0..421).map(|i| 400.0 + 5.0 * f64::from(i)).collect();
    let document = json!({ "truth": world.truth(&wavelengths), "map": world.mineral_map(pixel_mm) });
    std::fs::write(&out, serde_json::to_vec(&document)?).map_err(|error| format!("{}: {error}", out.display()))?;
    Ok(())
}
