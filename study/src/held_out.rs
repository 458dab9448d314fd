//! Encoders that have not seen the samples of a fold, and their codes.

use crate::classify::{Split, containers, fold_of};
use crate::codes::Codes;
use crate::material::{HeldOut, Material, MaterialError, Refitted};
use crate::pairs::{EncoderKind, Pairs};
use crate::pca::Pca;
use crate::progress::Progress;
use crate::reduce::{Study, StudyError};
use ndarray::{Array2, Axis};

impl Study {
    /// Fits principal components and encoders from pairs without the samples of each fold, and computes their codes.
    ///
    /// Autoencoders are not trained again, as each fold would take minutes. The result is `None` where the configuration does not split by
    /// sample, and for fewer than four samples.
    ///
    /// # Errors
    ///
    /// [`StudyError`] for spectra that cannot be read or learned from, and for files that cannot be read or written.
    pub fn hold_out(&self, material: &Material, progress: Progress) -> Result<Option<HeldOut>, StudyError> {
        let (config, samples) = (&self.config().classify, self.data.samples.len());
        if !config.splits.contains(&Split::Sample) || samples < 4 {
            return Ok(None);
        }
        let (fold_of, folds) = fold_of(&self.data.places, &self.data.factors, samples, config);
        let rows = material.draw(config.most_train + config.most_test, config.seeds[0], |_| true);
        let mut held = HeldOut { fold_of, folds, rows, refitted: Vec::new() };
        let reduce = &self.config().reduce;
        let steps = folds * (reduce.pca.len() + reduce.encoder.len());
        let moments = match reduce.encoder.is_empty() {
            true => None,
            false => Some(self.moments(&held.fold_of, folds)?),
        };
        let names = reduce.pca.iter().map(|components| format!("pca{components}")).chain(reduce.encoder.iter().map(|e| e.name.clone()));
        held.refitted = names.map(|name| Refitted { name, codes: Vec::new(), containers: Vec::new() }).collect();
        let all: Vec<u32> = (0..self.data.spectra.len() as u32).collect();
        for fold in 0..folds {
            let fold_of_row = |row: &u32| held.fold_of[self.data.places[*row as usize].sample as usize] as usize;
            let learned: Vec<u32> = all.iter().copied().filter(|row| fold_of_row(row) != fold).collect();
            let mut codes: Vec<Array2<f32>> = Vec::new();
            if let Some(most) = reduce.pca.iter().max() {
                let spectra = |rows: &[u32]| self.data.spectra.rows(&rows.iter().map(|row| learned[*row as usize]).collect::<Vec<_>>());
                let pca = Pca::of(self.data.spectra.wavelengths_nm(), learned.len(), *most, &spectra)?;
                for components in &reduce.pca {
                    codes.push(pca.first(*components).encode(&self.data.spectra, &all)?);
                }
            }
            for (encoder, moments) in reduce.encoder.iter().zip(moments.iter().cycle()) {
                progress("hold out", fold * (reduce.pca.len() + reduce.encoder.len()) + codes.len(), steps);
                let takes = |group: usize| group != fold;
                codes.push(match encoder.kind {
                    EncoderKind::Pairs => {
                        Pairs::fit(moments, takes, encoder.latent, self.config().pairs.ridge)?.encode(&self.data.spectra, &all)?
                    }
                    EncoderKind::Vicreg => {
                        let folder = self.folder(&self.name_of(encoder)).join(format!("without-{fold}"));
                        let trained = self.train_pairs(encoder, (moments, takes), &learned, &folder, |_, _| true)?;
                        let Some(model) = trained else { continue };
                        model.encode(&self.data.spectra, &all)?
                    }
                });
            }
            for (refitted, codes) in held.refitted.iter_mut().zip(codes) {
                let some = codes.select(Axis(0), &held.rows);
                let learned = |sample: usize| held.fold_of[sample] as usize != fold;
                let found = containers::features(&Codes::Memory(codes), &self.data.places, samples, learned);
                refitted.codes.push(some);
                refitted.containers.push(found.map_err(MaterialError::from).map_err(StudyError::Material)?);
            }
        }
        progress("hold out", steps, steps);
        Ok(Some(held))
    }
}
