//! The checks of a start. The daemon makes them before it opens anything, and `hyclus check` makes the same ones.
//!
//! A check changes nothing. What only a device can answer is named, and is found when the device is opened.

use crate::config::{CameraDevice, Config, Loaded};
use crate::context::EncoderContext;
use crate::control::{self, Access, BindError};
use crate::data_root::LOCK;
use crate::devices::{Known, references};
use crate::disk::folder_of;
use crate::encode::replaced::model_file;
use crate::encode::{Encoder, EncoderError, Head};
use crate::identify::{Identifier, Library};
use crate::join::Axes;
use crate::panel::PanelError;
use crate::pipeline::build;
use crate::scan::{Fault, day, now_ns};
use nix::libc;
use nix::unistd::{AccessFlags, access};
use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the daemon listens.
#[derive(Debug, Clone)]
pub struct Place {
    /// The control socket. `None` where systemd hands it over.
    pub socket: Option<PathBuf>,
    /// Address of the read-only listener. Empty without one.
    pub listen: String,
}

impl Place {
    /// The place that a configuration names.
    pub fn of(config: &Config) -> Self {
        Self { socket: Some(config.control.socket.clone()), listen: config.control.listen.clone() }
    }
}

/// What the checks found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Every fault. With one, the daemon does not start.
    pub faults: Vec<Fault>,
    /// What a running daemon uses. A second one would not start.
    pub in_use: Vec<String>,
    /// What is doubtful. The daemon starts all the same.
    pub warnings: Vec<String>,
    /// What was not checked, because only a device can answer it.
    pub unchecked: Vec<String>,
    /// The encoders by name. `None` where only the spectra tell the number of dimensions, or where a shadow does not fit.
    pub encoders: Vec<(String, Option<EncoderContext>)>,
}

/// What is checked.
struct Situation<'a> {
    config: &'a Config,
    place: &'a Place,
    known: Known,
    /// Whether a process holds the data root.
    held: bool,
}

/// A check of the list.
struct Check {
    /// Whether only the rig's own machine can answer it.
    machine: bool,
    run: fn(&Situation<'_>, &mut Checked),
}

/// Every check, in the order in which the daemon comes to need it.
const LIST: [Check; 10] = [
    Check { machine: true, run: data_root },
    Check { machine: true, run: roles },
    Check { machine: true, run: memory },
    Check { machine: false, run: devices },
    Check { machine: false, run: panel },
    Check { machine: false, run: encoders },
    Check { machine: false, run: heads },
    Check { machine: false, run: minerals },
    Check { machine: true, run: control_socket },
    Check { machine: true, run: listener },
];

/// Makes the checks of a start. Without `machine`, only those that hold on every machine are made.
pub fn check(loaded: &Loaded, place: &Place, machine: bool) -> Checked {
    let config = &loaded.config;
    let held = held(&config.rig.data_dir.join(LOCK));
    let situation = Situation { config, place, known: Known::of(config), held };
    let mut checked = Checked::default();
    for check in LIST.iter().filter(|check| machine || !check.machine) {
        (check.run)(&situation, &mut checked);
    }
    checked
}

fn data_root(of: &Situation<'_>, checked: &mut Checked) {
    let root = &of.config.rig.data_dir;
    let mut fault = |problem: String| {
        checked.faults.push(Fault::new("rig.data_dir", format!("{problem}; create it, or let the user of the daemon write there")));
    };
    if let Err(problem) = writable(root) {
        return fault(problem);
    }
    for folder in ["scans", "embeddings", "minerals", "references"].map(|name| root.join(name)) {
        if fs::symlink_metadata(&folder).is_ok()
            && let Err(problem) = writable(&folder)
        {
            fault(problem);
        }
    }
    let lock = root.join(LOCK);
    match fs::metadata(&lock) {
        Ok(found) if !found.is_file() => fault(format!("{} is {}, expected a file", lock.display(), kind(&found))),
        Ok(_) => {
            if let Err(error) = OpenOptions::new().write(true).open(&lock) {
                fault(format!("{}: {error}", lock.display()));
            }
        }
        // It is made at the start.
        Err(_) => {}
    }
    if of.held {
        checked.in_use.push(format!("the data root {} is in use by a daemon, or by `hyclus recover`", root.display()));
    }
}

fn roles(of: &Situation<'_>, checked: &mut Checked) {
    if let Err(error) = Access::new(of.config.control.roles.as_ref()) {
        let text = error.to_string();
        let (path, problem) = text.split_once(": ").unwrap_or(("control.roles", &text));
        checked.faults.push(Fault::new(path, problem));
    }
}

fn memory(of: &Situation<'_>, checked: &mut Checked) {
    let needed = of.config.memory().total() >> 20;
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    if let Some(machine) = total.map(|kib| kib >> 10).filter(|machine| needed > *machine) {
        let problem = format!("a scan needs {needed} MiB and this machine has {machine} MiB: lower pool_s, or use a coarser grid");
        checked.faults.push(Fault::new("rig.max_memory_mib", problem));
    }
}

fn devices(of: &Situation<'_>, checked: &mut Checked) {
    checked.faults.extend(of.known.faults.iter().cloned());
    checked.unchecked.extend(of.known.unasked.iter().map(|device| format!("whether {device} answers")));
}

fn panel(of: &Situation<'_>, checked: &mut Checked) {
    if let Err(error) = references::panel_features(of.config.references.as_ref()) {
        checked.faults.push(Fault::new("references.panel.features", error.to_string()));
    }
    let mut fault = |error: PanelError| checked.faults.push(Fault::new("references.panel", error.to_string()));
    let panel = match references::panel(of.config.references.as_ref()) {
        Ok(Some(panel)) => panel,
        Ok(None) => return,
        Err(error) => return fault(error),
    };
    checked.warnings.extend(panel.expired(day(now_ns())));
    for (camera, bands) in of.config.camera.iter().zip(&of.known.bands) {
        // A recording may be reflectance already.
        let Some((nm, _)) = bands.as_ref().filter(|_| !matches!(camera.device, CameraDevice::Replay(_))) else { continue };
        panel.at(nm).map_or_else(&mut fault, drop);
        checked.warnings.extend(panel.extrapolated(nm).map(|doubt| format!("{}: {doubt}", camera.name)));
    }
}

/// The grid and the bands, where all cameras' bands are known without opening them.
fn known_axes(of: &Situation<'_>) -> Option<Axes> {
    let cameras: Option<Vec<_>> =
        of.config.camera.iter().zip(&of.known.bands).map(|(camera, bands)| bands.as_ref().map(|bands| (camera, bands))).collect();
    let cameras = cameras.filter(|cameras| cameras.len() == of.config.camera.len())?;
    let spectra: Vec<_> = cameras.iter().map(|(camera, (nm, fwhm))| (*camera, nm.as_slice(), fwhm.as_deref())).collect();
    Some(build::axes_of(of.config, &spectra).0)
}

fn encoders(of: &Situation<'_>, checked: &mut Checked) {
    let axes = known_axes(of);
    if axes.is_none() && !of.config.encoder.is_empty() {
        checked.unchecked.push("whether the encoder takes the bands of all cameras".into());
    }
    for (at, wanted) in of.config.encoder.iter().enumerate() {
        let model = model_file(&of.config.rig.data_dir, wanted);
        let found = match &axes {
            Some(axes) => {
                Encoder::load(wanted, &model, axes, of.config.calibrate.max_mend_nm).map(|encoder| Some(encoder.context().clone()))
            }
            None => Encoder::look(wanted, &model),
        };
        let replaced = if model == wanted.model { String::new() } else { replaced_remedy(&model, &wanted.model) };
        let found = found.unwrap_or_else(|error| {
            let key = key(&error);
            if wanted.shadow {
                checked.warnings.push(format!("the shadow encoder {} will not run: {error}{replaced}", wanted.name));
            } else {
                checked.faults.push(Fault::new(format!("{}.{key}", of.config.encoder.path(at)), format!("{error}{replaced}")));
            }
            None
        });
        checked.encoders.push((wanted.name.clone(), found));
    }
}

fn heads(of: &Situation<'_>, checked: &mut Checked) {
    if of.config.head.is_empty() {
        return;
    }
    let Some(axes) = known_axes(of) else {
        checked.unchecked.push("whether the heads take the bands of all cameras".into());
        return;
    };
    for (at, wanted) in of.config.head.iter().enumerate() {
        if let Err(error) = Head::load(wanted, &axes, of.config.calibrate.max_mend_nm) {
            checked.faults.push(Fault::new(format!("head[{at}].{}", key(&error)), error.to_string()));
        }
    }
}

/// The key of a model's section that an error is about.
fn key(error: &EncoderError) -> &'static str {
    match error {
        EncoderError::LibraryMissing { .. } | EncoderError::LibraryLoad { .. } => "library",
        EncoderError::Provider { .. } => "provider",
        _ => "model",
    }
}

/// What helps where a model is wrong that was put in the place of the configured one.
fn replaced_remedy(model: &Path, configured: &Path) -> String {
    format!(
        "; this model was put in the place of {} over the control socket: remove {} to go back to that one",
        configured.display(),
        model.display()
    )
}

fn minerals(of: &Situation<'_>, checked: &mut Checked) {
    let Some(wanted) = &of.config.minerals else { return };
    let library = match Library::read(&wanted.library) {
        Ok(library) => library,
        Err(faults) => {
            let at = |fault: &Fault| if fault.path.is_empty() { String::new() } else { format!("{}: ", fault.path) };
            let file = faults.path.display();
            checked.faults.extend(
                faults.faults.iter().map(|fault| Fault::new("minerals.library", format!("{file}: {}{}", at(fault), fault.problem))),
            );
            return;
        }
    };
    let Some(axes) = known_axes(of) else {
        checked.unchecked.push("which minerals of the library the cameras' bands cover".into());
        return;
    };
    match Identifier::of_grid(&library, &axes) {
        Ok(identifier) => {
            let coverage = identifier.coverage();
            let missing: Vec<&str> = coverage
                .iter()
                .filter(|entry| entry.not_identified.is_none() && !entry.covered())
                .map(|entry| entry.mineral.as_str())
                .collect();
            if !missing.is_empty() {
                checked.warnings.push(format!(
                    "minerals.library: {} of {} minerals need bands that the cameras do not have: {}; `hyclus minerals check {} --config` says which",
                    missing.len(),
                    coverage.len(),
                    missing.join(", "),
                    wanted.library.display()
                ));
            }
        }
        Err(error) => checked.faults.push(Fault::new("minerals.library", error.to_string())),
    }
}

fn control_socket(of: &Situation<'_>, checked: &mut Checked) {
    let Some(socket) = &of.place.socket else { return };
    match control::check_socket(socket, of.config.control.group.as_deref()) {
        Ok(()) => {}
        // systemd holds the socket of a service that does not run, and a running daemon holds its own.
        Err(BindError::Live { path }) => {
            return checked.in_use.push(format!("the control socket {} is in use by a daemon, or by systemd", path.display()));
        }
        Err(error @ (BindError::NoGroup { .. } | BindError::Group { .. })) => {
            checked.faults.push(Fault::new("control.group", error.to_string()));
        }
        Err(error) => checked.faults.push(Fault::new("control.socket", error.to_string())),
    }
    if let Err(problem) = writable(folder_of(socket)) {
        checked.faults.push(Fault::new(
            "control.socket",
            format!("{problem}; its folder must belong to the service (`RuntimeDirectory=hyclus` in the unit)"),
        ));
    }
}

fn listener(of: &Situation<'_>, checked: &mut Checked) {
    let listen = &of.place.listen;
    if listen.is_empty() {
        return;
    }
    match TcpListener::bind(listen) {
        Ok(_) => {}
        Err(error) if of.held && error.kind() == io::ErrorKind::AddrInUse => {
            checked.in_use.push(format!("the address {listen} of control.listen is in use"));
        }
        Err(error) => checked.faults.push(Fault::new("control.listen", format!("{listen}: {error}; choose another address"))),
    }
}

/// Checks that files can be made in a folder, or that the folder can be made.
fn writable(folder: &Path) -> Result<(), String> {
    let absolute = std::path::absolute(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for path in absolute.ancestors() {
        let failed = |error: &dyn std::fmt::Display| {
            let of = if path == absolute { String::new() } else { format!(" ({})", path.display()) };
            format!("{}: {error}{of}", folder.display())
        };
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return try_folder(path).map_err(|error| failed(&error)),
            Ok(found) => return Err(failed(&format!("it is {}, expected a folder", kind(&found)))),
            Err(_) if fs::symlink_metadata(path).is_ok_and(|link| link.is_symlink()) => {
                return Err(failed(&"it is a link that leads nowhere"));
            }
            // Its parent says why.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(())
}

/// Tries to make a file without a name in a folder.
fn try_folder(folder: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(folder) {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            // A full disk is judged before each scan.
            Some(libc::ENOSPC | libc::EDQUOT) => Ok(()),
            // The file system knows no such files.
            Some(libc::EOPNOTSUPP | libc::EISDIR | libc::ENOENT | libc::EINVAL) => {
                access(folder, AccessFlags::W_OK | AccessFlags::X_OK)?;
                let attempt = folder.join(format!(".hyclus-check-{}", std::process::id()));
                fs::create_dir(&attempt).and_then(|()| fs::remove_dir(&attempt))
            }
            _ => Err(error),
        },
    }
}

/// The kind of a file, in words.
fn kind(found: &Metadata) -> &'static str {
    let kind = found.file_type();
    match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_file() => "a file",
        () if kind.is_block_device() || kind.is_char_device() => "a device",
        () if kind.is_fifo() => "a pipe",
        () => "a socket",
    }
}

/// Whether a process holds a lock on a file. The kernel's list tells it. Taking the lock could disturb a daemon that starts.
fn held(lock: &Path) -> bool {
    let Ok(found) = fs::metadata(lock) else { return false };
    let text = fs::read_to_string("/proc/locks").unwrap_or_default();
    let inode = format!(":{}", found.ino());
    text.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.contains(&"FLOCK") && words.iter().any(|word| word.ends_with(&inode))
    })
}
