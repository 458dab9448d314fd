//! The program `hyclus`: client of the daemon, and offline tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyclus::encode::keep_runtime_quiet();
    hyclus::cli::main()
}
