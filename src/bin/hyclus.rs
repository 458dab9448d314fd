//! The program `hyclus`: client of the daemon, and offline tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyclus::encode::keep_runtime_quiet();
    hyclus::encode::try_encoder().unwrap_or_else(hyclus::cli::main)
}
