//! The program `hyclusd`: the service.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyclus::encode::keep_runtime_quiet();
    hyclus::daemon::main()
}
