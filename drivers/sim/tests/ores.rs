//! Ores of named minerals: the shares that were asked for, the map of the minerals, and the camera's view of them.
#![allow(clippy::unwrap_used)]

mod rig;

use rig::{ON_ORE, ideal, plain, reflectance};
use sim::minerals::names;
use sim::{CameraConfig, MineralMap, World, WorldConfig};
use std::collections::HashMap;

/// The world of one wide container, with the given ore in it.
fn with(ore: &str) -> WorldConfig {
    let mut config = plain();
    config.tray.ores = vec![toml::from_str(&format!("at = [\"A1\"]\n{ore}")).unwrap()];
    config
}

/// Share of each mineral in a map, over those pixels whose centre is ore.
fn areas(map: &MineralMap) -> HashMap<&'static str, f64> {
    let mut counts = HashMap::new();
    for code in map.code.iter().filter(|code| **code > 0) {
        *counts.entry(map.minerals[usize::from(*code) - 1]).or_insert(0.0) += 1.0;
    }
    let sum: f64 = counts.values().sum();
    counts.values_mut().for_each(|count| *count /= sum);
    counts
}

fn share(of: &[(&'static str, f64)], name: &str) -> f64 {
    of.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, share)| *share)
}

const GRAINS: &str = "grain_mm = 2.0\npath_spread = 0.2\nshade_spread = 0.1\ngaps = 0.4\nminerals = [\
    { mineral = \"kaolinite\", share = 0.3 }, { mineral = \"hematite\", share = 0.2 }, { mineral = \"quartz\", share = 0.5 }]";

#[test]
fn grains_have_the_shares_of_the_configuration_and_the_map_shows_them() {
    let world = World::new(&with(GRAINS)).unwrap();
    let truth = world.truth(&[550.0]).containers.remove(0);
    for (name, wanted) in [("kaolinite", 0.3), ("hematite", 0.2), ("quartz", 0.5)] {
        // 3900 grains of three minerals, by chance.
        let found = share(&truth.minerals.mass, name);
        assert!((found - wanted).abs() < 0.04, "{name}: {found} of the mass");
    }
    // Hematite is twice as dense as the rest, and has half of its share in the area.
    let hematite = share(&truth.minerals.area, "hematite");
    assert!((0.09..0.14).contains(&hematite), "hematite is {hematite} of the area");
    assert_eq!(truth.lower_minerals, truth.minerals.area);
    let map = world.mineral_map(0.25);
    for (name, found) in areas(&map) {
        let wanted = share(&truth.minerals.area, name);
        assert!((found - wanted).abs() < 0.002, "{name}: {found} in the map, {wanted} in the truth");
    }
    assert!(map.share.iter().zip(&map.code).all(|(share, code)| (*share > 0.0) == (*code > 0)));
    // Grains are pure: most pixels of a quarter of a millimetre lie within one.
    let (pure, all) = map.share.iter().filter(|share| **share > 0.0).fold((0, 0), |(pure, all), s| (pure + i32::from(*s == 1.0), all + 1));
    assert!(pure * 10 > all * 9, "{pure} of {all}");
    assert_eq!(world.minerals_at(150.0, 50.0).len(), 1);
    assert_eq!(world.minerals_at(5.0, 50.0), [], "the tray");
    assert_eq!(world.minerals_at(150.0, -47.0), [], "the panel");
}

#[test]
fn the_seed_places_the_grains() {
    let map = |seed| World::new(&WorldConfig { seed, ..with(GRAINS) }).unwrap().mineral_map(1.0);
    assert_eq!(map(1), map(1));
    assert_ne!(map(1), map(2));
}

#[test]
fn an_intimate_mixture_is_darker_than_its_minerals_side_by_side() {
    let minerals = "minerals = [{ mineral = \"gypsum\", share = 0.7 }, { mineral = \"magnetite\", share = 0.3 }]";
    let of =
        |texture: &str| World::new(&with(&format!("texture = \"{texture}\"\n{minerals}"))).unwrap().truth(&[700.0]).containers.remove(0);
    let (apart, mixed) = (of("grains"), of("intimate"));
    assert!(mixed.lower[0] < 0.6 * apart.lower[0], "{} {}", mixed.lower[0], apart.lower[0]);
    assert!((share(&mixed.minerals.mass, "gypsum") - 0.7).abs() < 1e-9, "{:?}", mixed.minerals);
    let wanted = 0.7 / 2.32 / (0.7 / 2.32 + 0.3 / 5.18);
    assert!((share(&mixed.minerals.area, "gypsum") - wanted).abs() < 1e-9, "{:?}", mixed.minerals);
    // One mineral in any texture is that of the laboratory.
    let pure = |path: f64| {
        let ore = format!("texture = \"intimate\"\npath = {path:?}\nminerals = [{{ mineral = \"gypsum\", share = 1.0 }}]");
        World::new(&with(&ore)).unwrap().truth(&[700.0, 1700.0, 1948.0]).containers.remove(0).lower
    };
    let gypsum = sim::minerals::MINERALS.iter().find(|mineral| mineral.name == "gypsum").unwrap();
    for (value, nm) in pure(1.0).iter().zip([700.0, 1700.0, 1948.0]) {
        assert!((value - gypsum.reflectance(nm, 1.0)).abs() < 1e-6, "{value} at {nm} nm");
    }
    let coarse = pure(3.0);
    assert!(coarse.iter().zip(pure(1.0)).all(|(coarse, fine)| *coarse < fine) && coarse[2] / coarse[1] < 0.7 * pure(1.0)[2] / pure(1.0)[1]);
}

#[test]
fn a_finer_mineral_hides_more_of_the_others() {
    let of = |path: f64| {
        let ore = format!(
            "texture = \"intimate\"\nminerals = [{{ mineral = \"kaolinite\", share = 0.5, path = {path:?} }}, {{ mineral = \"calcite\", share = 0.5 }}]"
        );
        World::new(&with(&ore)).unwrap().truth(&[2120.0, 2207.0]).containers.remove(0)
    };
    let (equal, fine) = (of(1.0), of(0.25));
    for mixture in [&equal, &fine] {
        assert!(
            (share(&mixture.minerals.mass, "kaolinite") - 0.5).abs() < 1e-9,
            "the mass is that of the configuration: {:?}",
            mixture.minerals
        );
    }
    let (in_equal, in_fine) = (share(&equal.minerals.area, "kaolinite"), share(&fine.minerals.area, "kaolinite"));
    assert!((in_equal - 0.51).abs() < 0.01 && (in_fine - 0.806).abs() < 0.01, "{in_equal} and {in_fine} of the area");
}

#[test]
fn a_vein_crosses_its_container() {
    let ore = "minerals = [{ mineral = \"chlorite\", share = 1.0 }]\n\
        veins = [{ mineral = \"epidote\", width_mm = 20.0 }, { mineral = \"calcite\", width_mm = 8.0, angle_deg = 10.0 }]";
    let world = World::new(&with(ore)).unwrap();
    for x_mm in [30.0, 90.0, 150.0, 210.0, 270.0] {
        let middle_mm = 50.0 + (x_mm - 150.0) * 10.0_f64.to_radians().tan();
        let cut: Vec<&str> = (0..240).flat_map(|i| world.minerals_at(x_mm, 20.0 + 0.25 * f64::from(i))).map(|(name, _)| name).collect();
        let width = |name: &str| cut.iter().filter(|found| **found == name).count() as f64 * 0.25;
        assert!((5.0..13.0).contains(&width("calcite")), "{} mm at {x_mm}", width("calcite"));
        assert_eq!(world.minerals_at(x_mm, middle_mm)[0].0, "calcite", "the later vein cuts the earlier one at {x_mm}");
        assert!(width("epidote") + width("calcite") > 15.0 && width("chlorite") > 20.0, "{x_mm}");
    }
}

#[tokio::test]
async fn a_camera_sees_each_place_as_the_truth_has_it() {
    let config = with(GRAINS);
    let detector = CameraConfig { bands: 43, pixels: 1200, ..ideal() };
    let nm: Vec<f64> = (0..43).map(|band| 400.0 + 50.0 * f64::from(band)).collect();
    let world = World::new(&config).unwrap();
    let seen = reflectance(&config, &detector, ON_ORE).await;
    let mut kinds = std::collections::BTreeSet::new();
    let mut values = vec![0.0; 43];
    for pixel in (100..1100).step_by(5) {
        let x_mm = (f64::from(pixel) + 0.5) * 0.25;
        // A pixel looks at all of its width: within one cell of the map.
        world.reflectance_at(x_mm, ON_ORE, &nm, &mut values);
        kinds.extend(world.minerals_at(x_mm, ON_ORE).into_iter().map(|(name, _)| name));
        for (band, value) in values.iter().enumerate() {
            let found = seen[band * 1200 + pixel as usize];
            assert!((found - f64::from(*value)).abs() < 0.002, "{x_mm} mm, {} nm: {found}, not {value}", nm[band]);
        }
    }
    assert_eq!(kinds.len(), 3, "{kinds:?}");
}

#[test]
fn an_ore_leaves_other_containers_as_they_are() {
    let mut config = WorldConfig::default();
    let old = World::new(&config).unwrap().truth(&[500.0, 2200.0]).containers;
    config.tray.ores = vec![toml::from_str(&format!("at = [\"B2\", \"D3\"]\n{GRAINS}")).unwrap()];
    let new = World::new(&config).unwrap().truth(&[500.0, 2200.0]).containers;
    let changed: Vec<&str> = old.iter().zip(&new).filter(|(old, new)| old != new).map(|(_, new)| new.at.as_str()).collect();
    assert_eq!(changed, ["B2", "D3"]);
    assert_ne!(new[4].minerals, new[11].minerals, "each container has grains of its own");
}

#[test]
fn every_fault_of_an_ore_is_told() {
    let mut config = plain();
    config.tray.tiles = vec!["A1".into()];
    let ore = "at = [\"A1\", \"C7\"]\ngrain_mm = 0.1\npath = 0.0\ngaps = 2.0\nveins = [{ mineral = \"gold\", width_mm = -1.0 }]\n\
        minerals = [{ mineral = \"caolinite\", share = 0.3 }, { mineral = \"quartz\", share = 0.3 }, { mineral = \"quartz\", share = 0.3 }]";
    config.tray.ores = vec![toml::from_str(ore).unwrap()];
    let error = World::new(&config).err().unwrap();
    let keys: Vec<&str> = error.faults.iter().filter_map(|(key, _)| key.strip_prefix("tray.ores[0].")).collect();
    let wanted = ["at[0]", "at[1]", "minerals[0].mineral", "minerals[2].mineral", "minerals", "grain_mm", "path", "gaps"];
    assert_eq!(keys, [&wanted[..], &["veins[0].mineral", "veins[0].width_mm"]].concat());
    assert!(error.to_string().contains("must be one of actinolite, albite") && error.to_string().contains("is caolinite"), "{error}");
    assert!(names().contains(&"polyethylene") && names().len() > 35);
    let unknown = toml::from_str::<sim::OreConfig>("at = []\nminerals = []\ncolour = 1").unwrap_err();
    assert!(unknown.to_string().contains("colour"), "{unknown}");
}

/// The table of docs/simulator.md against the configuration that the demo scans.
#[test]
fn the_demo_holds_what_its_page_says() {
    let read = |path: &str| std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap();
    let mut rig: toml::Table = read("config/simulated.toml").parse().unwrap();
    let config: WorldConfig = rig.remove("simulation").unwrap().try_into().unwrap();
    let containers = World::new(&config).unwrap().truth(&[550.0, 1600.0]).containers;
    let mut told = 0;
    for row in read("docs/simulator.md").lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, places, _, minerals, _] = cells[..] else { continue };
        for place in places.split(", ") {
            let Some(container) = containers.iter().find(|container| container.at == place) else { continue };
            let mut wanted: Vec<&str> = minerals.split([',', ';']).map(|name| name.trim().trim_start_matches("a little ")).collect();
            let mut found: Vec<&str> = container.minerals.area.iter().map(|(name, _)| *name).collect();
            wanted.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, wanted, "{place}");
            let sum: f64 = container.minerals.mass.iter().map(|(_, share)| share).sum();
            assert!((sum - 1.0).abs() < 1e-9 && container.lower[1] > 0.2, "{place}: {container:?}");
            told += 1;
        }
    }
    assert_eq!(told, 12);
}
