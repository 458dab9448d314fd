//! The material of the steps after the reduction, made from a reduced data set.

use crate::material::{Decoded, LossCurve, Material, Shown};
use crate::reduce::{Name, Study, StudyError};
use std::collections::BTreeSet;

impl Study {
    /// Collects the codes that [`Study::encode`] wrote for all representations. It adds as many measured and decoded spectra as a step
    /// uses.
    ///
    /// An autoencoder with several seeds is one representation. The first seed gives its codes, and the others are its further trainings.
    ///
    /// # Errors
    ///
    /// [`StudyError`] for unreadable spectra or codes, and for a training that did not finish.
    pub fn material(&self) -> Result<Material, StudyError> {
        let steps = self.config().steps();
        let mut material = Material {
            samples: self.data.samples.clone(),
            factors: self.data.factors.clone(),
            places: self.data.places.clone(),
            representations: Vec::new(),
            retrained: Vec::new(),
            wavelengths_nm: self.data.spectra.wavelengths_nm().to_vec(),
            shown: Shown { rows: Vec::new(), spectra: ndarray::Array2::zeros((0, self.data.spectra.bands())) },
            held_out: None,
            decoded: Vec::new(),
            losses: Vec::new(),
            facts: self.facts(),
        };
        let most = steps.kmeans.points.max(steps.linkage.points).max(steps.report.image_rows);
        material.shown.rows = material.draw(most, steps.kmeans.seed, |_| true);
        let shown: Vec<u32> = material.shown.rows.iter().map(|row| *row as u32).collect();
        material.shown.spectra = self.spectra(&shown)?;
        let mut known = BTreeSet::new();
        for name in self.representations() {
            let codes = self.representation(&name)?;
            if known.insert(name.name.clone()) {
                material.representations.push(codes);
                let decoded = self.decode(&name, &shown)?;
                material.decoded.extend(decoded.map(|spectra| Decoded { name: name.name.clone(), spectra }));
                material.losses.extend(self.loss(&name)?);
            } else {
                material.retrained.push(codes);
            }
        }
        Ok(material)
    }

    fn loss(&self, name: &Name) -> Result<Option<LossCurve>, StudyError> {
        let Some(curve) = self.curve(name)? else { return Ok(None) };
        Ok(Some(LossCurve {
            name: name.name.clone(),
            training: curve.iter().map(|epoch| epoch.loss).collect(),
            validation: curve.iter().map(|epoch| epoch.validation_loss).collect(),
        }))
    }

    fn facts(&self) -> Vec<(String, String)> {
        let config = self.config();
        let data = match &config.data.sources {
            Some(sources) => sources.iter().map(|source| source.display().to_string()).collect::<Vec<_>>().join(", "),
            None => format!("samples scanned on a simulated rig, seed {}", config.campaign.seed),
        };
        let training = &config.training;
        let seeds: Vec<String> = config.reduce.seeds.iter().map(u64::to_string).collect();
        let spectra = self.data.spectra.len();
        let learned =
            config.reduce.autoencoder.iter().map(|network| match network.spectra.or(training.spectra).filter(|most| *most < spectra) {
                Some(most) => format!("{} with {most} spectra drawn at random", network.name),
                None => format!("{} with all spectra", network.name),
            });
        let trained = format!(
            "{}; up to {} epochs, batches of {}, {} % of the spectra for validation; {}",
            learned.collect::<Vec<_>>().join(", "),
            training.epochs,
            training.batch,
            100.0 * training.validation,
            match &seeds[..] {
                [seed] => format!("seed {seed}"),
                _ => format!("seeds {}, of which figures show the first", seeds.join(", ")),
            }
        );
        let data = match self.data.left_out {
            0 => data,
            count => format!("{data}; {count} spectra without a value in some band are left out"),
        };
        vec![("Data".to_owned(), data), ("Training".to_owned(), trained), ("Version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]
    }
}
