//! The command line of `hyclus`.
//!
//! Exit status: 0, done; 1, failed; 2, wrong usage; 3, the rig is not ready.

mod bench;
mod data_root;
mod devices;
mod disk_space;
mod export;
mod offline;
mod online;
mod print;
mod wait;

use crate::data_root::Capture;
use crate::publish::Format;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit status where the rig is not ready.
pub const NOT_READY: u8 = 3;

/// Controls the rig and works on its files.
#[derive(Debug, Parser)]
#[command(
    name = "hyclus",
    version,
    about,
    propagate_version = true,
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 the rig is not ready"
)]
pub struct Arguments {
    /// Control socket of the daemon [env: HYCLUS_SOCKET] [default: /run/hyclus/control.sock]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Prints JSON, one document per line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what the rig is doing
    Status,
    /// Starts a scan
    Scan(ScanArgs),
    /// Ends the scan that runs and keeps what was scanned
    Stop(StopArgs),
    /// Takes note of a fault, so that the rig is idle again
    Acknowledge,
    /// Takes a reference on every camera
    Reference {
        /// Which
        kind: Kind,
        /// Take it although it differs from the last good one: lamps, panel or shutter were changed on purpose
        #[arg(long)]
        accept_change: bool,
    },
    /// Sets the lamps
    Lamps(LampsArgs),
    /// Moves the belt
    #[command(subcommand)]
    Belt(Belt),
    /// Follows what happens
    Events {
        /// Begins behind the event of this number; without it, with the oldest that is still held
        #[arg(long, value_name = "ID")]
        follow_from: Option<u64>,
    },
    /// Lists scans, or shows one
    Scans {
        /// Which one
        scan: Option<String>,
    },
    /// Shows embeddings as they are published
    Tail(TailArgs),
    /// Processes recorded captures as if they came from the cameras
    Process(ProcessArgs),
    /// Processes the recordings of scans that were cut off, closes them as incomplete, and encodes what scans left for later; a daemon
    /// does so by itself
    Recover(RecoverArgs),
    /// Compares every file of scans with the size and the hash in scan.json
    Verify(VerifyArgs),
    /// Measures where the cameras look
    #[command(subcommand)]
    Calibrate(Calibrate),
    /// Lists what is connected, and with --config whether the devices of a rig answer
    Devices(DevicesArgs),
    /// Checks a configuration: every fault at once, and the memory and rates that it implies
    Check(CheckArgs),
    /// Measures whether this machine keeps up with a rig, stage by stage
    Bench(BenchArgs),
    /// Prints the JSON schema of the configuration
    Schema,
    /// Says what is in a file
    Inspect(InspectArgs),
    /// Writes the samples of scans in the file formats of others
    Export(ExportArgs),
    /// Prints completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct ScanArgs {
    /// Tray map, TOML or JSON
    #[arg(long, value_name = "FILE")]
    tray: PathBuf,
    /// Waits for the end and shows the progress; fails if the scan is incomplete
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
struct StopArgs {
    /// Which scan; the one that runs when absent
    scan: Option<String>,
    /// Stops the belt and switches the lamps off as well, whatever the rig is doing
    #[arg(long, conflicts_with = "scan")]
    emergency: bool,
}

#[derive(Debug, Args)]
struct LampsArgs {
    /// `on`, `off`, or a level from 0 to 1
    #[arg(value_parser = level, value_name = "on|off|LEVEL")]
    level: f64,
    /// Which light; all when absent
    #[arg(long, value_name = "NAME")]
    light: Option<String>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Belt {
    /// Runs until stopped
    Run {
        /// mm/s; negative runs backwards
        #[arg(allow_negative_numbers = true, value_parser = finite)]
        speed: f64,
    },
    /// Stops
    Stop,
    /// Runs to a position and stops there
    To {
        /// mm
        #[arg(allow_negative_numbers = true, value_parser = finite)]
        mm: f64,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Shutter closed, or lamps off
    Dark,
    /// On the white panel
    White,
}

/// `hyclus tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Which scan; the newest when absent
    #[arg(long, value_name = "ID")]
    pub scan: Option<String>,
    /// Layout of a row
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Goes on with rows as they are published, to the end of the scan
    #[arg(long)]
    pub follow: bool,
}

/// `hyclus process`.
#[derive(Debug, Args)]
pub struct ProcessArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    pub config: PathBuf,
    /// Tray map, TOML or JSON
    #[arg(long, value_name = "TRAY.toml")]
    pub tray: PathBuf,
    /// Recording of a camera; once per camera
    #[arg(long = "capture", value_name = "NAME=DIR", required = true, value_parser = capture)]
    pub captures: Vec<Capture>,
    /// Data root of the results
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `hyclus recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Configuration of the rig, for scans that have theirs no more, and for what was left for later
    #[arg(long, value_name = "RIG.toml")]
    pub config: Option<PathBuf>,
    /// Which scans; all that were cut off or lack embeddings when absent
    #[arg(value_name = "SCAN")]
    pub scans: Vec<String>,
}

/// `hyclus verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Scan ids
    #[arg(required = true, value_name = "SCAN")]
    pub scans: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Calibrate {
    /// Offset along the belt, shift and scale across it of every camera against the first, from the recorded scan of a tray
    Geometry(GeometryArgs),
}

/// `hyclus calibrate geometry`.
#[derive(Debug, Args)]
pub struct GeometryArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    pub config: PathBuf,
    /// Recording of a camera; once per camera, the first one is what the others are measured against
    #[arg(long = "capture", value_name = "NAME=DIR", required = true, value_parser = capture)]
    pub captures: Vec<Capture>,
    /// Writes what was measured into the configuration
    #[arg(long)]
    pub write: bool,
}

/// `hyclus check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration of the rig
    #[arg(value_name = "RIG.toml")]
    pub config: PathBuf,
    /// Tells what a scan of this tray takes on the disk, too: what is asked before a scan is let begin
    #[arg(long, value_name = "TRAY.toml")]
    pub tray: Option<PathBuf>,
    /// Opens every device too, applies its settings, and shows what it accepted. Stops the belt and switches the lamps off; not while
    /// the daemon runs
    #[arg(long)]
    pub connect: bool,
}

/// `hyclus devices`.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Opens every device of this configuration too; stops the belt and switches the lamps off, so not while the daemon runs
    #[arg(long, value_name = "RIG.toml")]
    pub config: Option<PathBuf>,
}

/// `hyclus bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml", default_value = "config/simulated.toml")]
    pub config: PathBuf,
    /// Lines of the first camera
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub lines: u32,
    /// Shows only this stage and the whole; once per stage
    #[arg(long, value_name = "NAME")]
    pub stage: Vec<String>,
    /// Shows how time grows with twice the bands, pixels and lines, and with the cameras beside the first
    #[arg(long)]
    pub scale: bool,
    /// With --scale: measures so many times, in turn; the shortest times count
    #[arg(long, requires = "scale", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Folder of what is generated and written, on the disk that is to be measured; the system's temporary one when absent
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// `hyclus schema`.
#[derive(Debug, Default, Args)]
pub struct SchemaArgs {}

/// `hyclus inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// ENVI header or data, sample (HDF5), Parquet part, scan.json, or ONNX model
    pub file: PathBuf,
}

/// `hyclus export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Data root
    #[arg(long, global = true, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// To what
    #[command(subcommand)]
    pub format: ExportFormat,
}

/// The file format of an export.
#[derive(Debug, Subcommand)]
pub enum ExportFormat {
    /// ENVI images: OUT/SAMPLE.hdr and .img, with mask and quality beside them
    Envi {
        /// Scan ids, or folders of scans
        #[arg(required = true, value_name = "SCAN")]
        scans: Vec<String>,
        /// Folder of the images
        out: PathBuf,
    },
    /// The layout of the HIDSAG data set: OUT/DATASET/SAMPLE/metadata.json and its images
    Hidsag {
        /// Scan ids, or folders of scans
        #[arg(required = true, value_name = "SCAN")]
        scans: Vec<String>,
        /// Folder of the data set's folder
        out: PathBuf,
        /// Name of the data set; that of the tray when absent
        #[arg(long, value_name = "NAME")]
        dataset: Option<String>,
    },
}

fn level(text: &str) -> Result<f64, String> {
    match text {
        "on" => Ok(1.0),
        "off" => Ok(0.0),
        _ => text.parse().ok().filter(|level| (0.0..=1.0).contains(level)).ok_or_else(|| "give on, off, or a level from 0 to 1".to_owned()),
    }
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| "give a number".to_owned())
}

fn capture(text: &str) -> Result<Capture, String> {
    match text.split_once('=') {
        Some((camera, folder)) if !camera.is_empty() && !folder.is_empty() => {
            Ok(Capture { camera: camera.to_owned(), path: PathBuf::from(folder) })
        }
        _ => Err("give the camera's name and its folder, such as vnir=captures/vnir".to_owned()),
    }
}

/// Faults of usage that clap cannot see.
fn usage(arguments: &Arguments) -> Result<(), clap::Error> {
    if let Command::Process(args) = &arguments.command {
        for (i, capture) in args.captures.iter().enumerate() {
            if args.captures[..i].iter().any(|earlier| earlier.camera == capture.camera) {
                let message = format!("--capture gives `{}` twice", capture.camera);
                return Err(Arguments::command().error(ErrorKind::ArgumentConflict, message));
            }
        }
    }
    Ok(())
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = usage(&arguments) {
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
        Command::Calibrate(Calibrate::Geometry(args)) => return offline::geometry(args, json),
        Command::Check(args) => return offline::check(args, json),
        Command::Bench(args) => return bench::bench(&args, json),
        Command::Devices(args) => return devices::devices(&args, json),
        Command::Schema => return offline::schema(SchemaArgs {}),
        Command::Tail(args) => return offline::tail(args, json),
        Command::Inspect(args) => return offline::inspect(args, json),
        Command::Export(args) => return export::export(&args, json),
        Command::Completions { shell } => return completions(shell),
        online => online,
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(online::run(online, socket, json)),
        Err(error) => {
            eprintln!("hyclus: no runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The socket where `--socket` names none.
fn default_socket() -> PathBuf {
    let named = std::env::var_os("HYCLUS_SOCKET").filter(|path| !path.is_empty());
    named.map_or_else(|| PathBuf::from("/run/hyclus/control.sock"), PathBuf::from)
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "hyclus", &mut script);
    match std::io::stdout().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyclus: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let arguments = Arguments::try_parse_from(line.split_whitespace())?;
        usage(&arguments).map(|()| arguments)
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn numbers_may_be_negative_and_levels_may_have_names() {
        let Command::Belt(Belt::Run { speed }) = parse("hyclus belt run -40.5").unwrap().command else { panic!("not a belt") };
        assert_eq!(speed, -40.5);
        for (text, wanted) in [("on", 1.0), ("off", 0.0), ("0.25", 0.25)] {
            let Command::Lamps(args) = parse(&format!("hyclus lamps {text} --light halogen")).unwrap().command else { panic!("no lamps") };
            assert_eq!(args.level, wanted);
        }
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "hyclus lamps 1.5",
            "hyclus lamps NaN",
            "hyclus belt run inf",
            "hyclus stop S1 --emergency",
            "hyclus reference grey",
            "hyclus process --config r --tray t --out d",
            "hyclus process --config r --tray t --out d --capture vnir",
            "hyclus process --config r --tray t --out d --capture vnir=a --capture vnir=b",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_capture_may_have_an_equals_sign_in_its_path() {
        assert_eq!(capture("vnir=a=b").unwrap(), Capture { camera: "vnir".into(), path: "a=b".into() });
    }
}
