//! The program `hyclusd`: the service.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyclus::encode::keep_runtime_quiet();
    hyclus::encode::try_encoder().unwrap_or_else(hyclus::daemon::main)
}
