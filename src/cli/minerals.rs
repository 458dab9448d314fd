//! `hyclus minerals` and `hyclus identify`.

use super::arguments::MineralsArgs;
use super::output::{exit_code, fail};
use crate::config::Loaded;
use crate::cube::{self, rig_bands, write_coverage, write_found};
use crate::identify::{Identifier, Library};
use crate::terminal::{Plain, plain};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct IdentifyArgs {
    /// The library of minerals; config/minerals/usgs.toml where neither it nor --config is given
    #[arg(long, value_name = "LIBRARY.toml")]
    pub(super) library: Option<PathBuf>,
    /// Takes the library of the section [minerals] of a rig's configuration
    #[arg(long, value_name = "RIG.toml")]
    pub(super) config: Option<PathBuf>,
    /// Writes NAME.minerals.h5 of each input into this folder
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Samples (.h5), ENVI images (.hdr or their data), images in the layout of HIDSAG (.h5)
    #[arg(required = true, value_name = "INPUT")]
    pub(super) input: Vec<PathBuf>,
}

/// `hyclus minerals check`: the faults of a library, or what a rig can see of it.
pub(super) fn check(args: &MineralsArgs, json: bool) -> ExitCode {
    let library = match Library::read(&args.library) {
        Ok(library) => library,
        Err(faults) if json => {
            println!("{}", json!({"path": faults.path, "faults": faults.faults}));
            return ExitCode::FAILURE;
        }
        Err(faults) => return fail(faults),
    };
    let mut out = Plain::new(io::stdout().lock());
    let named = |out: &mut dyn Write| writeln!(out, "{}: library {}, no faults", args.library.display(), library.name());
    let Some(config) = &args.config else {
        if json {
            println!("{}", json!({"path": args.library, "name": library.name(), "sha256": library.sha256(), "faults": []}));
            return ExitCode::SUCCESS;
        }
        return exit_code(named(&mut out));
    };
    let loaded = match Loaded::read(config) {
        Ok(loaded) => loaded,
        Err(error) => return fail(error),
    };
    let bands = rig_bands(&loaded.config);
    for camera in &bands.unknown {
        eprintln!("hyclus: warning: the bands of camera {} are known only when it is opened", plain(camera));
    }
    let identifier = match Identifier::new(&library, &bands.wavelengths_nm, &bands.fwhm_nm) {
        Ok(identifier) => identifier,
        Err(error) => return fail(error),
    };
    if json {
        let (coverage, covered) = (identifier.coverage(), identifier.covered_features());
        let features: Vec<_> = identifier.features().iter().zip(covered).map(|(f, c)| json!({"name": f.name, "covered": c})).collect();
        println!(
            "{}",
            json!({"path": args.library, "name": library.name(), "sha256": library.sha256(), "faults": [], "coverage": coverage, "features": features})
        );
        return ExitCode::SUCCESS;
    }
    exit_code(named(&mut out).and_then(|()| write_coverage(&identifier, &mut out)))
}

/// The library that is wanted: named, or that of a configuration.
fn library_of(args: &IdentifyArgs) -> Result<PathBuf, String> {
    match (&args.library, &args.config) {
        (Some(_), Some(_)) => Err("--library and --config both name a library; give one of them".to_owned()),
        (Some(library), None) => Ok(library.clone()),
        (None, None) => Ok(PathBuf::from("config/minerals/usgs.toml")),
        (None, Some(config)) => {
            let minerals = Loaded::read(config).map_err(|error| error.to_string())?.config.minerals;
            let missing = || format!("{}: has no section [minerals]; add it, or give --library", config.display());
            minerals.map(|minerals| minerals.library).ok_or_else(missing)
        }
    }
}

/// `hyclus identify`: the minerals of cubes.
pub(super) fn identify(args: &IdentifyArgs, json: bool) -> ExitCode {
    let path = match library_of(args) {
        Ok(path) => path,
        Err(error) => return fail(error),
    };
    let library = match Library::read(&path) {
        Ok(library) => library,
        Err(faults) => return fail(faults),
    };
    for input in &args.input {
        let found = match cube::identify(input, &library, args.out.as_deref()) {
            Ok(found) => found,
            Err(error) => return fail(error),
        };
        for warning in &found.warnings {
            eprintln!("hyclus: warning: {}: {}", plain(&found.name), plain(warning));
        }
        let written = if json {
            let (library, sha256) = (found.identifier.library(), found.identifier.sha256());
            let all = json!({"path": found.path, "name": found.name, "library": library, "library_sha256": sha256, "summary": found.summary, "written": found.written});
            writeln!(io::stdout().lock(), "{all}")
        } else {
            write_found(&found, &mut Plain::new(io::stdout().lock()))
        };
        if written.is_err() {
            return exit_code(written);
        }
    }
    ExitCode::SUCCESS
}
