//! `hyclus devices`: lists connected devices, and whether this user may open them.

use super::arguments::DevicesArgs;
use super::output::{exit_code, fail, write_devices};
use crate::config::Loaded;
use crate::devices::{Connected, connect};
use crate::terminal::plain;
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
    /// The name for a configuration. It is the lasting one, where there is one.
    port: PathBuf,
    /// The device file.
    device: PathBuf,
    /// Whether this user may open it.
    allowed: bool,
}

/// USB adapters and the serial ports of the board, below `dev`.
///
/// The kernel names more ports ttyS than there are. `class`, which is `/sys/class/tty`, lists the existing ones.
fn serial_ports(dev: &Path, class: &Path) -> Vec<SerialPort> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let lasting = entries(&dev.join("serial/by-id")).filter_map(|link| Some((link.canonicalize().ok()?, link)));
    let lasting: BTreeMap<PathBuf, PathBuf> = lasting.collect();
    let is_adapter = |name: &str| ["ttyUSB", "ttyACM", "ttyAMA"].iter().any(|begin| name.starts_with(begin));
    // A UART of type 0 does not exist.
    let is_there = |name: &str| std::fs::read_to_string(class.join(name).join("type")).is_ok_and(|kind| kind.trim() != "0");
    let is_port = |name: &str| is_adapter(name) || (name.starts_with("ttyS") && is_there(name));
    let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(is_port);
    let mut ports: Vec<SerialPort> = entries(dev)
        .filter(|path| named(path) || lasting.contains_key(path))
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
    Ok(runtime.block_on(connect(&loaded.config)))
}

/// `hyclus devices`.
pub(super) fn devices(args: &DevicesArgs, json: bool) -> ExitCode {
    let ports = serial_ports(Path::new("/dev"), Path::new("/sys/class/tty"));
    // Cameras are searched before the configured ones are opened, because a camera in use may not answer.
    let cameras = gige::discover();
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
            return writeln!(out, "{}", json!({"serial_ports": ports, "cameras": cameras, "configured": configured}));
        }
        writeln!(out, "serial ports: {}", if ports.is_empty() { "none" } else { "" })?;
        for port in &ports {
            let allowed =
                if port.allowed { "may be opened" } else { "may not be opened by this user: join the group dialout, and log in again" };
            writeln!(out, "  {} ({}): {allowed}", port.port.display(), port.device.display())?;
        }
        let cameras_of = if gige::BUILT_IN { "cameras (GigE Vision, USB3 Vision):" } else { "cameras: this hyclus was built without them" };
        writeln!(out, "{cameras_of}{}", if cameras.is_empty() && gige::BUILT_IN { " none answer" } else { "" })?;
        for camera in &cameras {
            writeln!(out, "  {}", plain(&camera.to_string()))?;
        }
        if args.config.is_some() {
            writeln!(out, "configured:")?;
            write_devices(&configured, &mut out)?;
        }
        Ok(())
    })();
    if result.is_ok() && configured.iter().any(|device| device.fault.is_some()) {
        return ExitCode::FAILURE;
    }
    exit_code(result)
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
        for name in ["ttyUSB0", "ttyACM1", "tty0", "null", "ttyS0", "ttyS1", "ttyXR0"] {
            std::fs::write(dev.join(name), "").unwrap();
        }
        for (name, kind) in [("ttyS0", "4\n"), ("ttyS1", "0\n")] {
            std::fs::create_dir_all(dev.join("class").join(name)).unwrap();
            std::fs::write(dev.join("class").join(name).join("type"), kind).unwrap();
        }
        symlink("../../ttyUSB0", dev.join("serial/by-id/usb-drive")).unwrap();
        symlink("../../ttyXR0", dev.join("serial/by-id/usb-exar")).unwrap();
        let found: Vec<(PathBuf, bool)> =
            serial_ports(&dev, &dev.join("class")).into_iter().map(|port| (port.port, port.allowed)).collect();
        let expected = ["ttyACM1", "ttyS0", "serial/by-id/usb-drive", "serial/by-id/usb-exar"];
        assert_eq!(found, expected.map(|name| (dev.join(name), true)));
    }
}
