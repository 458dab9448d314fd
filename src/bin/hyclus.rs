//! The client and the offline tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyclus::cli::main()
}
