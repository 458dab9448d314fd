//! Faults that a simulated world causes in stages other than devices.

use crate::config::Config;
use std::time::Duration;

/// The faults of the encoder `name` in a configuration's simulated world; `None` without any.
///
/// The encoder calls the returned function before each batch. The function waits, or returns the reason for the batch's failure.
pub fn encoder_faults(config: &Config, name: &str) -> Option<impl FnMut() -> Result<(), String> + Send + 'static> {
    let faults = &config.simulation.as_ref()?.faults;
    let hit = |wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let slow = faults.encoder_slow.as_ref().filter(|slow| hit(&slow.encoder));
    let longer = slow.map(|slow| Duration::try_from_secs_f64(slow.batch_s).unwrap_or_default());
    let good = faults.encoder_fails.as_ref().filter(|fails| hit(&fails.encoder)).map(|fails| fails.after_batches);
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
