//! Faults that a simulated world causes in stages other than devices.

use crate::config::Config;
use std::time::Duration;

/// The encoder faults of a configuration's simulated world; `None` without any.
///
/// The encoder calls the returned function before each batch. The function waits, or returns the reason for the batch's failure.
pub fn encoder_faults(config: &Config) -> Option<impl FnMut() -> Result<(), String> + Send + 'static> {
    let faults = &config.simulation.as_ref()?.faults;
    let longer = faults.encoder_slow.as_ref().map(|slow| Duration::try_from_secs_f64(slow.batch_s).unwrap_or_default());
    let good = faults.encoder_fails.as_ref().map(|fails| fails.after_batches);
    if longer.is_none() && good.is_none() {
        return None;
    }
    let (longer, mut done) = (longer.unwrap_or_default(), 0);
    Some(move || {
        std::thread::sleep(longer);
        if good == Some(done) {
            return Err(format!("the simulated encoder fails after {done} batches"));
        }
        done += 1;
        Ok(())
    })
}
