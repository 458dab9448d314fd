//! `hyclus-ship`: ships ended scans to an archive.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyclus_ship::cli::main()
}
