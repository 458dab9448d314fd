//! The command line of `hyclus`.
//!
//! Exit status: 0, done; 1, failed; 2, wrong usage; 3, the rig is not ready.

mod arguments;
mod bench;
mod calibrate;
mod confined;
mod data_root;
mod devices;
mod export;
mod fit;
mod minerals;
mod offline;
mod online;
mod output;
mod seal;
mod wait;
mod wavelength;
mod worklist;

pub use output::NOT_READY;

use arguments::{Arguments, Calibrate, Command, MineralsCommand};
use clap::{CommandFactory, Parser};
use output::fail;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = arguments::check(&arguments) {
        error.exit();
    }
    if let Err(error) = crate::telemetry::init_logging() {
        eprintln!("hyclus: {error}");
        return ExitCode::from(2);
    }
    let Arguments { socket, json, command } = arguments;
    let socket = socket.unwrap_or_else(default_socket);
    let online = match command {
        Command::Process(args) => return offline::process(args, json),
        Command::Recover(args) => return data_root::recover(&args, json),
        Command::Verify(args) => return data_root::verify(&args, json),
        Command::Seal(args) => return seal::seal(&args, json),
        Command::Pack(args) => return seal::pack(&args, json),
        Command::Upgrade(args) => return data_root::upgrade(&args, json),
        Command::Calibrate(Calibrate::Geometry(args)) => return offline::geometry(args, json),
        Command::Calibrate(Calibrate::Linearity(args)) => return calibrate::linearity(&args, json),
        Command::Calibrate(Calibrate::Panel(args)) => return calibrate::panel(&args, json),
        Command::Calibrate(Calibrate::Stray(args)) => return calibrate::stray(&args, json),
        Command::Calibrate(Calibrate::Wavelength(args)) => return wavelength::wavelength(&args, json),
        Command::Calibrate(Calibrate::Target(args)) => return offline::target(&args),
        Command::Check(args) => return offline::check(args, json),
        Command::Bench(args) => return bench::bench(&args, json),
        Command::Devices(args) => return devices::devices(&args, json),
        Command::Schema => return offline::schema(),
        Command::Tail(args) => return offline::tail(args, json),
        Command::Inspect(args) => return offline::inspect(args, json),
        Command::Fit(args) => return fit::fit(&args, json),
        Command::Export(args) => return export::export(&args, json),
        Command::Minerals(MineralsCommand::Check(args)) => return minerals::check(&args, json),
        Command::Identify(args) => return minerals::identify(&args, json),
        Command::Completions { shell } => return completions(shell),
        online => online,
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(online::run(online, socket, json)),
        Err(error) => fail(format!("no runtime: {error}")),
    }
}

/// The arguments of the program.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// The socket of `HYCLUS_SOCKET`, or else the daemon's usual one.
fn default_socket() -> PathBuf {
    let named = std::env::var_os("HYCLUS_SOCKET").filter(|path| !path.is_empty());
    named.map_or_else(|| PathBuf::from("/run/hyclus/control.sock"), PathBuf::from)
}

/// `hyclus completions`.
fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "hyclus", &mut script);
    match std::io::stdout().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}
