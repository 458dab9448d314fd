//! `hyclus-console`: the rig in a browser.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyclus_console::cli::main()
}
