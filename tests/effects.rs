//! What is left of each error of a real rig in the results, without and with its correction: the table of tests/effects.py.

mod python;

use std::path::Path;

/// Every correction leaves less than its limit, and what is not corrected is told.
#[test]
fn every_effect_is_corrected_or_told() {
    python::run("../effects.py", &[Path::new(env!("CARGO_BIN_EXE_hyclusd")), Path::new(env!("CARGO_BIN_EXE_hyclus"))]);
}
