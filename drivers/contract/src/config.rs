//! Helpers for the configuration sections of drivers.

/// A fault in a driver's section of the configuration: key and problem.
pub type ConfigFault = (&'static str, String);

/// Collects the faults of a section. `check` calls its argument with a condition that must hold, its key, and the problem
/// otherwise.
pub fn config_faults(check: impl FnOnce(&mut dyn FnMut(bool, &'static str, &str))) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    check(&mut |good, key, problem| {
        if !good {
            faults.push((key, problem.to_owned()));
        }
    });
    faults
}

/// Whether `text` is an address to connect to, `host:port`.
pub fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Centres of bands that lie evenly from the first to the last, nm.
pub fn evenly_spaced(first_nm: f64, last_nm: f64, bands: usize) -> Vec<f64> {
    let step = if bands > 1 { (last_nm - first_nm) / (bands - 1) as f64 } else { 0.0 };
    (0..bands).map(|band| first_nm + band as f64 * step).collect()
}
