//! What a simulated world does to stages that are no devices.

use crate::config::Config;
use std::time::Duration;

/// The faults that the simulated world of a configuration has for its encoder; `None` where it leaves the encoder alone.
///
/// The encoder calls what is given before each batch. It waits, or gives why the batch fails.
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
