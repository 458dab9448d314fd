//! `hyclus devices`: what is connected, and whether it may be used.

use super::DevicesArgs;
use super::offline::{fail, written};
use crate::config::Loaded;
use crate::scan::{Connected, connect};
use nix::unistd::{AccessFlags, access};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A serial port of this machine.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct SerialPort {
    /// The name to write into a configuration: one that stays, where there is one.
    port: PathBuf,
    /// The device file.
    device: PathBuf,
    /// Whether this user may open it.
    allowed: bool,
}

/// USB adapters and the serial ports of the board, below `dev`.
fn serial_ports(dev: &Path) -> Vec<SerialPort> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let lasting = entries(&dev.join("serial/by-id")).filter_map(|link| Some((link.canonicalize().ok()?, link)));
    let lasting: BTreeMap<PathBuf, PathBuf> = lasting.collect();
    let is_adapter = |name: &str| ["ttyUSB", "ttyACM", "ttyAMA"].iter().any(|begin| name.starts_with(begin));
    let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(is_adapter);
    let mut ports: Vec<SerialPort> = entries(dev)
        .filter(named)
        .map(|device| {
            let real = device.canonicalize().unwrap_or_else(|_| device.clone());
            let allowed = access(&device, AccessFlags::R_OK | AccessFlags::W_OK).is_ok();
            SerialPort { port: lasting.get(&real).cloned().unwrap_or_else(|| device.clone()), device, allowed }
        })
        .collect();
    ports.sort_by(|a, b| a.device.cmp(&b.device));
    ports
}

/// Opens every device, with a runtime of its own.
pub(super) fn connected(loaded: &Loaded) -> io::Result<Vec<Connected>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(connect(&loaded.rig)))
}

/// A line for each device.
pub(super) fn tell(list: &[Connected], out: &mut impl Write) -> io::Result<()> {
    for device in list {
        let place = if device.place.is_empty() { String::new() } else { format!(" at {}", device.place) };
        match (&device.accepted, &device.fault) {
            (Some(accepted), _) => writeln!(out, "  {} ({}){place}: {accepted}", device.name, device.key)?,
            (None, fault) => writeln!(out, "  {} ({}){place}: FAILED: {}", device.name, device.key, fault.as_deref().unwrap_or_default())?,
        }
    }
    Ok(())
}

pub(super) fn devices(args: &DevicesArgs, json: bool) -> ExitCode {
    let ports = serial_ports(Path::new("/dev"));
    let configured = match args.config.as_deref().map(Loaded::read).transpose() {
        Ok(loaded) => match loaded.as_ref().map(connected).transpose() {
            Ok(list) => list.unwrap_or_default(),
            Err(error) => return fail(error),
        },
        Err(error) => return fail(error),
    };
    let mut out = io::stdout().lock();
    let result = (|| {
        if json {
            return writeln!(out, "{}", json!({"serial_ports": ports, "configured": configured}));
        }
        writeln!(out, "serial ports: {}", if ports.is_empty() { "none" } else { "" })?;
        for port in &ports {
            let allowed =
                if port.allowed { "may be opened" } else { "may not be opened by this user: join the group dialout, and log in again" };
            writeln!(out, "  {} ({}): {allowed}", port.port.display(), port.device.display())?;
        }
        if args.config.is_some() {
            writeln!(out, "configured:")?;
            tell(&configured, &mut out)?;
        }
        Ok(())
    })();
    if result.is_ok() && configured.iter().any(|device| device.fault.is_some()) {
        return ExitCode::FAILURE;
    }
    written(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn adapters_are_listed_by_the_name_that_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dev = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(dev.join("serial/by-id")).unwrap();
        for name in ["ttyUSB0", "ttyACM1", "tty0", "null"] {
            std::fs::write(dev.join(name), "").unwrap();
        }
        symlink("../../ttyUSB0", dev.join("serial/by-id/usb-drive")).unwrap();
        let found: Vec<(PathBuf, bool)> = serial_ports(&dev).into_iter().map(|port| (port.port, port.allowed)).collect();
        assert_eq!(found, [(dev.join("ttyACM1"), true), (dev.join("serial/by-id/usb-drive"), true)]);
    }
}
