//! The models that the encoders run, and putting others in their place between scans.

use super::{Controller, Peer, Refusal};
use crate::config::EncoderConfig;
use crate::context::EncoderContext;
use crate::encode::replaced::{model_file, place, replace, restore};
use crate::encode::{Encoder, EncoderError};
use crate::pipeline::{build, check_encoders};
use crate::publish::DataSet;
use crate::scan::{EncoderStatus, EventKind, Fault};
use crate::sync::lock;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The encoders' models as they were last loaded.
#[derive(Default)]
pub(super) struct Models {
    known: Mutex<BTreeMap<String, EncoderContext>>,
    /// Held while a model is tried and put in its place.
    replacing: tokio::sync::Mutex<()>,
}

impl Models {
    /// SHA-256 of an encoder's model. `None` where it does not load.
    pub(super) fn sha256(&self, name: &str) -> Option<String> {
        lock(&self.known).get(name).map(|model| model.sha256.clone())
    }

    /// Numbers of dimensions of all embeddings.
    pub(super) fn dimensions(&self) -> Vec<usize> {
        lock(&self.known).values().map(|model| model.dimensions).collect()
    }
}

impl Controller {
    /// Checks that the configured encoders fit the cameras. Gives their descriptions by name. A shadow that does not is left out.
    ///
    /// # Errors
    /// An encoder that is no shadow cannot be loaded, or does not fit.
    pub fn check_encoders(&self) -> Result<BTreeMap<String, EncoderContext>, EncoderError> {
        let axes = build::axes(&self.loaded.config, &lock(&self.units)).0;
        let all = check_encoders(&self.loaded.config, self.data_dir(), &axes)?;
        lock(&self.models.known).clone_from(&all);
        Ok(all)
    }

    /// The encoders, in the order of the configuration.
    pub(super) fn encoders_status(&self) -> Vec<EncoderStatus> {
        self.loaded.config.encoder.iter().map(|wanted| self.encoder_status(wanted)).collect()
    }

    fn encoder_status(&self, wanted: &EncoderConfig) -> EncoderStatus {
        let model = lock(&self.models.known).get(&wanted.name).cloned();
        EncoderStatus {
            encoder: wanted.name.clone(),
            shadow: wanted.shadow,
            encoder_sha256: model.as_ref().map(|model| model.sha256.clone()),
            dimensions: model.as_ref().map(|model| model.dimensions),
            model: model.map(|model| model.name),
            replaced: model_file(self.data_dir(), wanted) != wanted.model,
        }
    }

    /// Puts a model in the place of an encoder's, or goes back to the configured one for `None`.
    ///
    /// The model is tried first, which takes seconds and holds up nothing. A scan cannot begin while it is put in its place.
    pub(super) async fn put_model(self: &Arc<Self>, name: &str, model: Option<Vec<u8>>, peer: Peer) -> Result<EncoderStatus, Refusal> {
        let unknown = || Refusal::Unknown { what: "encoder", id: name.to_owned() };
        let wanted = self.loaded.config.encoder.get(name).ok_or_else(unknown)?.clone();
        self.idle("changing the model of an encoder")?;
        let _replacing = self.models.replacing.lock().await;
        let (rig, of) = (Arc::clone(self), wanted.clone());
        let tried = tokio::task::spawn_blocking(move || rig.try_model(&of, model));
        let (context, model) = tried.await.map_err(|_| broke_down())?.map_err(|error| refused(&error))?;
        self.expect_width(name, context.dimensions)?;
        let _starting = self.run.starting().await;
        self.idle("changing the model of an encoder")?;
        let (rig, of) = (Arc::clone(self), name.to_owned());
        let put = tokio::task::spawn_blocking(move || match model {
            Some(bytes) => replace(rig.data_dir(), &of, &bytes).map(|()| true),
            None => restore(rig.data_dir(), &of).map(|_| false),
        });
        let replaced = put.await.map_err(|_| broke_down())?.map_err(|error| Refusal::Disk {
            reason: format!("{}: {error}; the model before it stays", place(self.data_dir(), name).display()),
        })?;
        let (sha256, model, by) = (context.sha256.clone(), context.name.clone(), peer.who());
        tracing::info!(encoder = name, model, sha256, replaced, by, "another model from the next scan on");
        lock(&self.models.known).insert(name.to_owned(), context);
        self.reporting.emit(EventKind::EncoderReplaced { encoder: name.to_owned(), model, encoder_sha256: sha256, replaced });
        // What the model before it failed to encode may be made now.
        self.backlog.again();
        Ok(self.encoder_status(&wanted))
    }

    /// Refuses embeddings of `dimensions` numbers where the data set holds others: readers take all scans of it as one table.
    fn expect_width(&self, name: &str, dimensions: usize) -> Result<(), Refusal> {
        let before = lock(&self.models.known).get(name).map(|model| model.dimensions);
        let set = DataSet::of(self.data_dir(), name);
        let Some(before) = before.filter(|before| *before != dimensions && set.folder().is_dir()) else { return Ok(()) };
        let problem = format!(
            "gives {dimensions} numbers, and the data set {} has embeddings of {before}; configure it as an [[encoder]] with a name of its own",
            set.name()
        );
        Err(Refusal::Invalid { faults: vec![Fault::new("model", problem)] })
    }

    /// Loads a model for the rig's bands: these bytes, or the configured one for `None`. Gives its description, and the bytes back.
    fn try_model(&self, wanted: &EncoderConfig, model: Option<Vec<u8>>) -> Result<(EncoderContext, Option<Vec<u8>>), EncoderError> {
        let config = &self.loaded.config;
        let axes = build::axes(config, &lock(&self.units)).0;
        let encoder = match &model {
            // A model without a name bears that of its file, which this one will have.
            Some(bytes) => {
                let file = format!("{}.onnx", wanted.name);
                Encoder::of(wanted, Path::new(&file), bytes.clone(), &axes, config.calibrate.max_mend_nm)?
            }
            None => Encoder::load(wanted, &wanted.model, &axes, config.calibrate.max_mend_nm)?,
        };
        Ok((encoder.context().clone(), model))
    }
}

fn broke_down() -> Refusal {
    Refusal::Device { reason: "changing the model broke down; see the log".into() }
}

/// A model that does not fit is a fault of the request, and a runtime that fails is not.
fn refused(error: &EncoderError) -> Refusal {
    let reason = error.to_string();
    match error {
        EncoderError::LibraryMissing { .. } | EncoderError::LibraryLoad { .. } | EncoderError::Provider { .. } => {
            Refusal::Device { reason }
        }
        _ => Refusal::Invalid { faults: vec![Fault::new("", reason)] },
    }
}
