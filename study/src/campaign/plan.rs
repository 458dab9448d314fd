//! Places of the samples on the trays.

use crate::config::Campaign;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use toml::{Table, Value};

/// A tray with its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Laid {
    /// The tray's name.
    pub name: String,
    rows: usize,
    columns: usize,
    /// Plant, month and size of the containers, row by row.
    contents: Vec<[String; 3]>,
    /// Factor on the water between the grains.
    weather: f64,
}

/// All samples in random order, on as many trays as they need. A tray then does not reveal plant, month or size.
///
/// # Errors
///
/// The missing or wrong part of the rig, in words.
pub fn plan(campaign: &Campaign, rig: &Table) -> Result<Vec<Laid>, String> {
    let tray = rig.get("simulation").and_then(|s| s.get("tray")).ok_or("it has no [simulation.tray]")?;
    let count = |key: &str| -> Result<usize, String> {
        let number = tray.get(key).and_then(Value::as_integer).and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=26).contains(n));
        number.ok_or_else(|| format!("simulation.tray.{key} must be a number from 1 to 26"))
    };
    let (rows, columns) = (count("rows")?, count("columns")?);
    let mut samples = Vec::new();
    for plant in &campaign.plants {
        for month in &campaign.months {
            samples.extend(campaign.sizes.iter().map(|size| [plant.clone(), month.clone(), size.clone()]));
        }
    }
    let mut rng = Pcg64Mcg::seed_from_u64(campaign.seed);
    samples.shuffle(&mut rng);
    let trays = samples.chunks(rows * columns).enumerate().map(|(i, contents)| {
        let normal: f64 = StandardNormal.sample(&mut rng);
        let weather = (campaign.weather_spread * normal).exp();
        Laid { name: format!("T{}", i + 1), rows, columns, contents: contents.to_vec(), weather }
    });
    Ok(trays.collect())
}

impl Laid {
    fn at(&self, i: usize) -> String {
        format!("{}{}", (b'A' + (i / self.columns) as u8) as char, i % self.columns + 1)
    }

    /// The rig with this tray on its belt, and with published spectra.
    pub(super) fn rig(&self, base: &Table) -> Table {
        let mut rig = base.clone();
        section(&mut rig, &["publish"]).insert("spectra".into(), true.into());
        let tray = section(&mut rig, &["simulation", "tray"]);
        let contents = self.contents.iter().map(|[plant, month, size]| {
            Value::Table(Table::from_iter(
                [("plant", plant), ("month", month), ("size", size)].map(|(k, v)| (k.to_owned(), v.as_str().into())),
            ))
        });
        tray.insert("contents".into(), Value::Array(contents.collect()));
        let empty = (self.contents.len()..self.rows * self.columns).map(|i| Value::String(self.at(i)));
        tray.insert("missing".into(), Value::Array(empty.collect()));
        let grains = section(&mut rig, &["simulation", "grains"]);
        if let Some(water) = grains.get("water").and_then(Value::as_float) {
            grains.insert("water".into(), (water * self.weather).into());
        }
        rig
    }

    /// The tray map of this tray.
    pub(super) fn map(&self) -> Table {
        let mut map = Table::new();
        map.insert("tray".into(), self.name.as_str().into());
        map.insert("keys".into(), Value::Array(["plant", "month", "size"].map(Value::from).to_vec()));
        let grid = section(&mut map, &["grid"]);
        grid.insert("rows".into(), (self.rows as i64).into());
        grid.insert("columns".into(), (self.columns as i64).into());
        let containers = self.contents.iter().enumerate().map(|(i, [plant, month, size])| {
            let at = self.at(i);
            let sample = format!("{plant}-{month}-{size}");
            let pairs = [("at", &at), ("sample", &sample), ("plant", plant), ("month", month), ("size", size)];
            Value::Table(Table::from_iter(pairs.map(|(key, value)| (key.to_owned(), value.as_str().into()))))
        });
        map.insert("container".into(), Value::Array(containers.collect()));
        map
    }
}

/// A table within a table. A missing one is made.
fn section<'a>(mut table: &'a mut Table, path: &[&str]) -> &'a mut Table {
    for key in path {
        let entry = table.entry((*key).to_owned()).or_insert_with(|| Table::new().into());
        if !entry.is_table() {
            *entry = Table::new().into();
        }
        table = match entry {
            Value::Table(inner) => inner,
            _ => unreachable!("it was just made a table"),
        };
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_lies_on_one_tray() {
        let rig: Table = "[simulation.tray]\nrows = 4\ncolumns = 3\n[simulation.grains]\nwater = 0.2".parse().unwrap();
        let campaign = Campaign::default();
        let trays = plan(&campaign, &rig).unwrap();
        assert_eq!(trays, plan(&campaign, &rig).unwrap());
        assert_eq!(trays.len(), 6);
        let mut samples: Vec<_> = trays.iter().flat_map(|tray| tray.contents.clone()).collect();
        samples.sort();
        samples.dedup();
        assert_eq!(samples.len(), 72);
        let made = trays[1].rig(&rig);
        assert_eq!(made["simulation"]["tray"]["contents"].as_array().unwrap().len(), 12);
        assert_eq!(made["publish"]["spectra"].as_bool(), Some(true));
        assert_ne!(made["simulation"]["grains"]["water"].as_float(), Some(0.2));
        let map = trays[1].map();
        assert_eq!(map["container"][4]["at"].as_str(), Some("B2"));
        assert_eq!(map["container"][4]["plant"], made["simulation"]["tray"]["contents"][4]["plant"]);
    }

    #[test]
    fn places_without_a_sample_stay_empty() {
        let rig: Table = "[simulation.tray]\nrows = 2\ncolumns = 3".parse().unwrap();
        let campaign = Campaign { months: vec!["2018-01".into(), "2018-02".into()], ..Campaign::default() };
        let trays = plan(&campaign, &rig).unwrap();
        assert_eq!(trays.len(), 2);
        assert!(trays[1].rig(&rig)["simulation"]["tray"]["missing"].as_array().unwrap().is_empty());
        let one = Campaign { plants: vec!["P1".into()], ..campaign };
        let missing = &plan(&one, &rig).unwrap()[0].rig(&rig)["simulation"]["tray"]["missing"];
        assert_eq!(missing.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect::<Vec<_>>(), ["B2", "B3"]);
    }
}
