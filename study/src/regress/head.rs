//! Heads: models with their intervals and the distance of a sample, for new samples.

use super::config::RegressConfig;
use super::conformal;
use super::domain::{Domain, Limits, Parts};
use super::fit;
use super::nested::{Fitted, Nested, Prepared, Problem};
use super::pretreat::{Pretreatment, Start};
use nalgebra::{DMatrix, DVector};

/// A linear model on all bands, after the first step of its pretreatment.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadModel {
    /// The pretreatment. Its derivative is in the weights already.
    pub pretreatment: Pretreatment,
    /// Mean of the training samples after the first step, one for each band.
    pub centre: DVector<f64>,
    /// Weights of the bands.
    pub weights: DVector<f64>,
    /// Value at the centre.
    pub intercept: f64,
}

/// A model that gives values, intervals and distances.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The model of all training samples, in words.
    pub described: String,
    /// Share of the samples that intervals should hold.
    pub level: f64,
    /// Share of ordinary samples that should not be refused.
    pub accept: f64,
    /// The model of all training samples, and then the models without one fold each.
    pub models: Vec<HeadModel>,
    /// For each training sample, the index of the model without its fold, and that model's error.
    pub calibration: Vec<(usize, f64)>,
    /// Spectra as they are, and as the first model sees them where that differs.
    pub views: Vec<View>,
}

/// A view of spectra in which a sample may lie outside the training samples.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The pretreatment. Without one, the view is the spectrum itself.
    pub pretreatment: Option<Pretreatment>,
    /// Principal components of the training samples.
    pub domain: Domain,
    /// Factors of T² and Q.
    pub limits: Limits,
}

impl View {
    fn features(pretreatment: Option<&Pretreatment>, spectra: &DMatrix<f64>) -> DMatrix<f64> {
        pretreatment.map_or_else(|| spectra.clone(), |pretreatment| pretreatment.features(spectra))
    }
}

/// What a head says of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The value, in the label's unit.
    pub value: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// Distance from the training samples. Beyond 1 the sample is refused.
    pub distance: f64,
    /// Why the sample is refused. Empty for one that is not.
    pub why: &'static str,
}

impl Judged {
    /// Whether the sample lies outside the training samples.
    pub fn refused(&self) -> bool {
        self.distance > 1.0
    }
}

impl HeadModel {
    /// The model on bands. `samples` are the spectra `(samples, bands)` of the training.
    fn new(fitted: &Fitted, prepared: &Prepared, samples: &DMatrix<f64>) -> Self {
        let pretreatment = prepared.pretreatment.clone();
        let centre = pretreatment.started(samples).row_mean().transpose();
        let weights = pretreatment.on_bands(&fitted.weights);
        let intercept = fitted.intercept + weights.dot(&centre) - fitted.weights.dot(&fitted.mean);
        Self { pretreatment, centre, weights, intercept }
    }

    /// Values of spectra `(samples, bands)`.
    pub fn values(&self, spectra: &DMatrix<f64>) -> Vec<f64> {
        let started = self.pretreatment.started(spectra);
        (0..spectra.nrows()).map(|row| self.intercept + (started.row(row).transpose() - &self.centre).dot(&self.weights)).collect()
    }
}

impl Head {
    /// The head of the training samples outside a fold, or of all. `spectra` are those of the problem, `(samples, bands)`. `None` where
    /// `nested` lacks a model.
    pub fn new(
        problem: &Problem<'_>,
        nested: &Nested,
        spectra: &DMatrix<f64>,
        without: Option<usize>,
        config: &RegressConfig,
    ) -> Option<Self> {
        let left_out: Vec<usize> = without.into_iter().collect();
        let training = |left_out: &[usize]| spectra.select_rows(&problem.folds.outside(left_out));
        let model = |left_out: &[usize]| {
            let fitted = nested.without(left_out)?;
            Some(HeadModel::new(fitted, &problem.prepared[fitted.pretreatment], &training(left_out)))
        };
        let scaled = problem.prepared.first().is_some_and(|prepared| prepared.pretreatment.scaled);
        let whole = nested.without(&left_out)?;
        let mut head = Self {
            described: format!(
                "{} on {}",
                fit::settings(problem.components)[whole.setting],
                problem.prepared[whole.pretreatment].pretreatment.name
            ),
            level: config.level,
            accept: config.accept,
            models: vec![model(&left_out)?],
            calibration: Vec::new(),
            views: Vec::new(),
        };
        let own = &problem.prepared[whole.pretreatment].pretreatment;
        let treated = own.start != Start::Reflectance || own.operator.is_some() || own.kept.len() < spectra.ncols();
        let pretreatments: Vec<Option<&Pretreatment>> = if treated { vec![None, Some(own)] } else { vec![None] };
        let mut parts = vec![Vec::new(); pretreatments.len()];
        for fold in (0..problem.folds.count).filter(|fold| Some(*fold) != without) {
            let both = [&left_out[..], &[fold]].concat();
            let inside = problem.folds.inside(fold);
            let values = nested.without(&both)?.values(problem, &inside);
            head.calibration.extend(inside.iter().zip(values).map(|(i, value)| (head.models.len(), (problem.labels[*i] - value).abs())));
            head.models.push(model(&both)?);
            for (pretreatment, parts) in pretreatments.iter().zip(&mut parts) {
                let domain = Domain::fit(&View::features(*pretreatment, &training(&both)), scaled);
                parts.extend(domain.parts(&View::features(*pretreatment, &spectra.select_rows(&inside))));
            }
        }
        for (pretreatment, limits) in pretreatments.into_iter().zip(Limits::new(&parts, config.accept)) {
            let domain = Domain::fit(&View::features(pretreatment, &training(&left_out)), scaled);
            head.views.push(View { pretreatment: pretreatment.cloned(), domain, limits });
        }
        Some(head)
    }

    /// Judges spectra `(samples, bands)`.
    pub fn judge(&self, spectra: &DMatrix<f64>) -> Vec<Judged> {
        let values: Vec<Vec<f64>> = self.models.iter().map(|model| model.values(spectra)).collect();
        let parts: Vec<Vec<Parts>> =
            self.views.iter().map(|view| view.domain.parts(&View::features(view.pretreatment.as_ref(), spectra))).collect();
        let judged = |row: usize| {
            let calibration = self.calibration.iter().map(|(model, error)| (values[*model][row], *error));
            let (lower, upper) = conformal::interval(calibration, self.level);
            let (mut distance, mut why) = (0.0, "");
            for (view, parts) in self.views.iter().zip(&parts) {
                let of_view = view.limits.distance(&parts[row]);
                if of_view > distance {
                    (distance, why) = (of_view, view.limits.why(&parts[row]));
                }
            }
            Judged { value: values[0][row], lower, upper, distance, why }
        };
        (0..spectra.nrows()).map(judged).collect()
    }
}
