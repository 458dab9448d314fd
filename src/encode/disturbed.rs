//! The faults of a simulated encoder.

use super::EncoderError;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What goes wrong with the batches of an encoder in a simulated world.
#[derive(Debug)]
pub(super) struct Disturbance {
    /// By how much longer each takes.
    longer: Duration,
    /// How many are encoded before it fails.
    good: Option<u64>,
    done: u64,
    model: PathBuf,
}

impl Disturbance {
    /// The disturbance that faults make of the encoder `model`; `None` where they leave it alone.
    pub(super) fn of(faults: &sim::Faults, model: &Path) -> Option<Self> {
        let longer = faults.encoder_slow.as_ref().map(|slow| Duration::try_from_secs_f64(slow.batch_s).unwrap_or_default());
        let good = faults.encoder_fails.as_ref().map(|fails| fails.after_batches);
        let any = longer.is_some() || good.is_some();
        any.then(|| Self { longer: longer.unwrap_or_default(), good, done: 0, model: model.to_owned() })
    }

    /// Lets the next batch wait, or fail.
    pub(super) fn batch(&mut self) -> Result<(), EncoderError> {
        std::thread::sleep(self.longer);
        if self.good == Some(self.done) {
            let reason = format!("the simulated encoder fails after {} batches", self.done);
            return Err(EncoderError::Run { path: self.model.clone(), reason });
        }
        self.done += 1;
        Ok(())
    }
}
