//! The arguments of `hyclus`. The doc comments of commands and options are their help texts.

use super::calibrate::{LinearityArgs, PanelArgs, StrayArgs};
use crate::data_root::Capture;
use crate::measure::Target;
use crate::publish::Format;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Controls the rig and works on its files.
#[derive(Debug, Parser)]
#[command(
    name = "hyclus",
    version,
    about,
    propagate_version = true,
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 the rig is not ready"
)]
pub(super) struct Arguments {
    /// Control socket of the daemon [env: HYCLUS_SOCKET] [default: /run/hyclus/control.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Prints JSON, one document per line
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows what the rig is doing
    Status,
    /// Starts a scan
    Scan(super::worklist::ScanArgs),
    /// Ends the scan that runs and keeps what was scanned
    Stop(StopArgs),
    /// Takes note of a fault, so that the rig is idle again
    Acknowledge,
    /// Takes a reference on every camera
    Reference {
        /// Which reference
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
    /// Lists the encoders and their models, or puts another model in the place of one
    Encoders {
        #[command(subcommand)]
        change: Option<Encoders>,
    },
    /// Shows the worklist and how far it is, or puts another one in its place
    Worklist {
        #[command(subcommand)]
        change: Option<super::worklist::WorklistCommand>,
    },
    /// Follows what happens
    Events {
        /// Begins behind the event of this number; without it, with the oldest that is still held
        #[arg(long, value_name = "ID")]
        follow_from: Option<u64>,
    },
    /// Lists scans, or shows one
    Scans {
        /// Which scan
        scan: Option<String>,
    },
    /// Shows embeddings, or minerals, as they are published
    Tail(TailArgs),
    /// Processes recorded captures as if they came from the cameras
    Process(ProcessArgs),
    /// Processes the recordings of scans that were cut off, closes them as incomplete, and makes deferred embeddings; a daemon does so by
    /// itself
    Recover(RecoverArgs),
    /// Compares every file of scans with the size and the hash in scan.json, and with the seal of the scan
    Verify(VerifyArgs),
    /// Lists every file of scans with its hash, as RO-Crate, and signs the list
    Seal(super::seal::SealArgs),
    /// Packs a sealed scan into one zip file, ready for a repository
    Pack(super::seal::PackArgs),
    /// Writes the embeddings of scans again that are of an older file format
    Upgrade(UpgradeArgs),
    /// Measures the geometry of the cameras
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
    /// Describes what is in a file
    Inspect(InspectArgs),
    /// Writes an encoder for spectra of given bands, with the resampling in its graph
    Fit(super::fit::FitArgs),
    /// Writes the samples of scans in the file formats of others
    Export(super::export::ExportArgs),
    /// Works on libraries of minerals
    #[command(subcommand)]
    Minerals(MineralsCommand),
    /// Identifies the minerals of samples, ENVI images of reflectance and images in the layout of HIDSAG
    Identify(super::minerals::IdentifyArgs),
    /// Prints completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum MineralsCommand {
    /// Checks a library: every fault at once, and with --config what the rig can see of each mineral
    Check(MineralsArgs),
}

#[derive(Debug, Args)]
pub(super) struct MineralsArgs {
    /// The library, such as config/minerals/usgs.toml
    #[arg(value_name = "LIBRARY.toml")]
    pub(super) library: PathBuf,
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct StopArgs {
    /// Which scan; the one that runs when absent
    pub(super) scan: Option<String>,
    /// Stops the belt and switches the lamps off as well, whatever the rig is doing
    #[arg(long, conflicts_with = "scan")]
    pub(super) emergency: bool,
}

#[derive(Debug, Args)]
pub(super) struct LampsArgs {
    /// `on`, `off`, or a level from 0 to 1
    #[arg(value_parser = level, value_name = "on|off|LEVEL")]
    pub(super) level: f64,
    /// Which light; all when absent
    #[arg(long, value_name = "NAME")]
    pub(super) light: Option<String>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Belt {
    /// Runs until stopped
    Run {
        /// Speed, mm/s; negative runs backwards
        #[arg(allow_negative_numbers = true, value_parser = finite)]
        speed: f64,
    },
    /// Stops the belt
    Stop,
    /// Runs to a position and stops there
    To {
        /// Position, mm
        #[arg(allow_negative_numbers = true, value_parser = finite)]
        mm: f64,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Encoders {
    /// Puts a model in the place of an encoder's model, from the next scan on
    Put {
        /// Name of the encoder
        name: String,
        /// The ONNX model
        model: PathBuf,
    },
    /// Goes back to the configured model, from the next scan on
    Reset {
        /// Name of the encoder
        name: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    /// Shutter closed, or lamps off
    Dark,
    /// On the white panel
    White,
}

/// `hyclus tail`.
#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(super) data: PathBuf,
    /// Which scan; the newest when absent
    #[arg(long, value_name = "ID")]
    pub(super) scan: Option<String>,
    /// Shows minerals and features instead of embeddings
    #[arg(long)]
    pub(super) minerals: bool,
    /// Which encoder's embeddings
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(super) encoder: String,
    /// Layout of a row
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// Goes on with rows as they are published, to the end of the scan
    #[arg(long)]
    pub(super) follow: bool,
    /// Reads in this process, with bounds
    #[arg(long, hide = true)]
    pub(super) confined: bool,
}

/// `hyclus process`.
#[derive(Debug, Args)]
pub(super) struct ProcessArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    pub(super) config: PathBuf,
    /// Tray map, TOML or JSON
    #[arg(long, value_name = "TRAY.toml")]
    pub(super) tray: PathBuf,
    /// Recording of a camera; once per camera
    #[arg(long = "capture", value_name = "NAME=DIR", required = true, value_parser = capture)]
    pub(super) captures: Vec<Capture>,
    /// Data root of the results
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
}

/// `hyclus recover`.
#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(super) data: PathBuf,
    /// Configuration of the rig, for scans whose own is missing, and for deferred embeddings
    #[arg(long, value_name = "RIG.toml")]
    pub(super) config: Option<PathBuf>,
    /// Encodes ended scans by this encoder of the configuration, whatever embeddings they have
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(super) encoder: Option<String>,
    /// Has the heads of the configuration judge the samples of ended scans anew
    #[arg(long, requires = "config", conflicts_with = "encoder")]
    pub(super) heads: bool,
    /// Which scans; all that were cut off or lack embeddings when absent
    #[arg(value_name = "SCAN")]
    pub(super) scans: Vec<String>,
}

/// `hyclus verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(super) data: PathBuf,
    /// Public key that must have signed the seals; a scan without one is refused
    #[arg(long, value_name = "FILE")]
    pub(super) public_key: Option<PathBuf>,
    /// Scan ids
    #[arg(required = true, value_name = "SCAN")]
    pub(super) scans: Vec<String>,
}

/// `hyclus upgrade`.
#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// Data root
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(super) data: PathBuf,
    /// Which scans; all when absent
    #[arg(value_name = "SCAN")]
    pub(super) scans: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Calibrate {
    /// Offset along the belt, shift and scale across it of every camera against the first, from the recorded scan of a tray
    Geometry(GeometryArgs),
    /// Linearity of a detector, from white references of the panel at several exposures
    Linearity(LinearityArgs),
    /// Evenness of the white panel, from a white reference of it and one of it turned by half a turn
    Panel(PanelArgs),
    /// Stray light of a camera, from the recorded scan of a black strip beside bright things
    Stray(StrayArgs),
    /// Wavelengths of every camera: shift and smile, from the recorded scan of a tile with known absorptions
    Wavelength(super::wavelength::WavelengthArgs),
    /// A target to print: laid in place of the tray, it tells scale and yaw of all cameras
    Target(TargetArgs),
}

/// `hyclus calibrate geometry`.
#[derive(Debug, Args)]
pub(super) struct GeometryArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    pub(super) config: PathBuf,
    /// Recording of a camera; once per camera, the first one is what the others are measured against
    #[arg(long = "capture", value_name = "NAME=DIR", required = true, value_parser = capture)]
    pub(super) captures: Vec<Capture>,
    /// Recording of the same tray at another speed of the belt, on which it stayed; tells how late the camera's frames are stamped
    #[arg(long = "again", value_name = "NAME=DIR", value_parser = capture)]
    pub(super) again: Vec<Capture>,
    /// The recordings are of the target of `hyclus calibrate target` of this size, mm, and the first camera is measured too
    #[arg(long, value_name = "WIDTHxLENGTH")]
    pub(super) target: Option<Target>,
    /// Writes what was measured into the configuration
    #[arg(long)]
    pub(super) write: bool,
}

/// `hyclus calibrate target`.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// Width across the belt, mm
    #[arg(long, value_name = "MM")]
    pub(super) width: f64,
    /// Length along the belt, mm
    #[arg(long, value_name = "MM")]
    pub(super) length: f64,
    /// File to write: .svg or .pdf
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

/// `hyclus check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Configuration of the rig
    #[arg(value_name = "RIG.toml")]
    pub(super) config: PathBuf,
    /// Shows the disk space and the rate that a scan of this tray needs too, as they are checked before a scan
    #[arg(long, value_name = "TRAY.toml")]
    pub(super) tray: Option<PathBuf>,
    /// Leaves out what only the rig's own machine can answer: data root, control socket, listener, users, groups and memory
    #[arg(long)]
    pub(super) elsewhere: bool,
    /// Opens every device too, applies its settings, and shows what it accepted. Stops the belt and switches the lamps off; not while
    /// the daemon runs
    #[arg(long)]
    pub(super) connect: bool,
}

/// `hyclus devices`.
#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Opens every device of this configuration too; stops the belt and switches the lamps off, so not while the daemon runs
    #[arg(long, value_name = "RIG.toml")]
    pub(super) config: Option<PathBuf>,
}

/// `hyclus bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml", default_value = "config/simulated.toml")]
    pub(super) config: PathBuf,
    /// Lines of the first camera
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) lines: u32,
    /// Shows only this stage and the whole; once per stage
    #[arg(long, value_name = "NAME")]
    pub(super) stage: Vec<String>,
    /// Shows how time grows with twice the bands, pixels and lines, and with the cameras beside the first
    #[arg(long)]
    pub(super) scale: bool,
    /// With --scale: measures so many times, in turn; the shortest times count
    #[arg(long, requires = "scale", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) runs: u32,
    /// Measures for so many seconds, 60 if not given, how long the disk stalls, and the frame pool that bridges it
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(super) disk: Option<u32>,
    /// Folder for the generated files, on the disk that is to be measured; the system's temporary one when absent
    #[arg(long, value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
}

/// `hyclus inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// ENVI header or data, sample (HDF5), Parquet part, scan.json, or ONNX model
    pub(super) file: PathBuf,
    /// Reads what an HDF5 file refers to in other files: links, external storage, virtual datasets
    #[arg(long)]
    pub(super) follow: bool,
    /// Shows the spectrum of one pixel of a sample with its uncertainty: line and pixel of the cube, from 0
    #[arg(long, value_name = "LINE,PIXEL", value_parser = pixel)]
    pub(super) pixel: Option<(u64, u64)>,
    /// Reads in this process, with bounds
    #[arg(long, hide = true)]
    pub(super) confined: bool,
}

/// Line and pixel of a cube.
fn pixel(text: &str) -> Result<(u64, u64), String> {
    let wrong = || "expected two whole numbers from 0, such as 12,30".to_owned();
    let (line, pixel) = text.split_once(',').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse().map_err(|_| wrong());
    Ok((number(line)?, number(pixel)?))
}

fn level(text: &str) -> Result<f64, String> {
    match text {
        "on" => Ok(1.0),
        "off" => Ok(0.0),
        _ => text.parse().ok().filter(|level| (0.0..=1.0).contains(level)).ok_or_else(|| "give on, off, or a level from 0 to 1".to_owned()),
    }
}

pub(super) fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| "give a number".to_owned())
}

pub(super) fn capture(text: &str) -> Result<Capture, String> {
    match text.split_once('=') {
        Some((camera, folder)) if !camera.is_empty() && !folder.is_empty() => {
            Ok(Capture { camera: camera.to_owned(), path: PathBuf::from(folder) })
        }
        _ => Err("give the camera's name and its folder, such as vnir=captures/vnir".to_owned()),
    }
}

/// Checks that no camera has two captures, which clap cannot do.
pub(super) fn check(arguments: &Arguments) -> Result<(), clap::Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let arguments = Arguments::try_parse_from(line.split_whitespace())?;
        check(&arguments).map(|()| arguments)
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
