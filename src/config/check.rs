//! Checks beyond a configuration's form, and the memory and disk space it implies.

use super::correction::MOST_NM;
use super::pool::MOST_SLOTS;
use super::{CameraConfig, CameraDevice, Config, ConveyorDevice, EVENNESS, LightDevice, PanelConfig, SegmentMethod};
use crate::scan::{Fault, is_name};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most values of a line. The largest detectors have a few million elements.
const MOST_ELEMENTS: usize = 1 << 26;
/// Longest distance along or across a belt, mm.
const MOST_MM: f64 = 100_000.0;
/// Widest line, in grid pixels. Wider lines leave most of the grid interpolated.
const WIDEST_LINE: f64 = 4.0;
/// Largest distance of the strip from the edge of a view, mm. Cameras see different widths.
const STRIP_RIM_MM: f64 = 10.0;
/// Largest unevenness of a panel, as a share.
pub const MOST_UNEVEN: f64 = 0.1;

impl Config {
    /// Resolves relative paths against `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let onto = |path: &mut PathBuf| {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        };
        onto(&mut self.rig.data_dir);
        onto(&mut self.control.socket);
        if let Some(console) = &mut self.console {
            onto(&mut console.state_dir);
            console.tls.iter_mut().flat_map(|tls| tls.certificate.iter_mut().chain(&mut tls.key)).for_each(onto);
        }
        self.ship.iter_mut().for_each(|ship| ship.resolve(onto));
        if let Some(file) = self.simulation.as_mut().and_then(|world| world.faults_file.as_mut()) {
            onto(file);
        }
        for encoder in self.encoder.iter_mut() {
            onto(&mut encoder.model);
            encoder.library.iter_mut().for_each(onto);
        }
        for head in &mut self.head {
            onto(&mut head.model);
            head.library.iter_mut().for_each(onto);
        }
        if let Some(minerals) = &mut self.minerals {
            onto(&mut minerals.library);
        }
        if let Some(references) = &mut self.references {
            references.panel.file.iter_mut().chain(&mut references.panel.features).for_each(onto);
        }
        for camera in &mut self.camera {
            match &mut camera.device {
                CameraDevice::Replay(replay) => onto(&mut replay.path),
                CameraDevice::Bridge(bridge) => {
                    bridge.socket.iter_mut().for_each(onto);
                    // A program name without a folder is looked up in PATH.
                    if let Some(program) = bridge.command.first_mut().filter(|program| program.contains('/')) {
                        let mut path = PathBuf::from(&*program);
                        onto(&mut path);
                        *program = path.display().to_string();
                    }
                }
                CameraDevice::Gige(gige) => gige.wavelengths.iter_mut().for_each(onto),
                CameraDevice::Simulated(_) => {}
            }
        }
        if let ConveyorDevice::Modbus(drive) = &mut self.conveyor.device {
            onto(&mut drive.profile);
        }
    }

    /// Every fault that the form cannot express.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut must = |good: bool, path: String, problem: String| {
            if !good {
                faults.push(Fault::new(path, problem));
            }
        };
        must(is_name(&self.rig.name), "rig.name".into(), "must be 1 to 64 of A-Z a-z 0-9 . _ - and not begin with a dot".into());
        must(!self.camera.is_empty(), "camera".into(), "give at least one [[camera]]".into());
        must(positive(self.grid.pixel_mm), "grid.pixel_mm".into(), "must be a positive number (mm)".into());
        // Planned values are 0 until the plan exists.
        let planned = |value: f64| positive(value) || (self.scan.square_pixels && value == 0.0);
        must(
            planned(self.conveyor.speed_mm_per_s),
            "conveyor.speed_mm_per_s".into(),
            "must be a positive number (mm/s), or absent with scan.square_pixels".into(),
        );
        must(
            self.conveyor.travel_mm_per_s.is_none_or(positive),
            "conveyor.travel_mm_per_s".into(),
            "must be a positive number (mm/s)".into(),
        );
        for (key, value) in [("stall_s", self.conveyor.stall_s), ("max_reversal_mm", self.conveyor.max_reversal_mm)] {
            must(positive(value), format!("conveyor.{key}"), "must be a positive number".into());
        }
        for (path, value) in [("conveyor.max_speed_error", self.conveyor.max_speed_error), ("scan.max_slip", self.scan.max_slip)] {
            must((0.0..=1.0).contains(&value), path.into(), "must be from 0 to 1".into());
        }
        if !self.control.listen.is_empty() {
            must(
                self.control.listen.parse::<std::net::SocketAddr>().is_ok(),
                "control.listen".into(),
                format!("`{}` is no address; write 127.0.0.1:9420, or \"\" for none", self.control.listen),
            );
        }
        for (i, host) in self.control.hosts.iter().enumerate() {
            let problem = format!("`{}` is no host; write a name or an address, without port", host.escape_debug());
            must(crate::console_config::is_host(host), format!("control.hosts[{i}]"), problem);
        }
        for (i, camera) in self.camera.iter().enumerate() {
            self.camera_faults(i, camera, &mut must);
        }
        for (i, light) in self.light.iter().enumerate() {
            must(is_name(&light.name), format!("light[{i}].name"), "must be 1 to 64 of A-Z a-z 0-9 . _ -".into());
            must((0.0..=1.0).contains(&light.level), format!("light[{i}].level"), "must be from 0 to 1".into());
        }
        self.reference_faults(&mut must);
        self.lamp_faults(&mut must);
        must((0.0..=MOST_MM).contains(&self.scan.margin_mm), "scan.margin_mm".into(), format!("must be from 0 to {MOST_MM} mm"));
        must((0.0..3600.0).contains(&self.scan.warm_up_s), "scan.warm_up_s".into(), "must be from 0 to 3600 s".into());
        must((0.1..=3600.0).contains(&self.scan.stuck_s), "scan.stuck_s".into(), "must be from 0.1 to 3600 s".into());
        must(positive(self.store.sync_s), "store.sync_s".into(), "must be a positive number (s)".into());
        let end_within_s = self.scan.end_within_s;
        must(positive(end_within_s) && end_within_s < 1e6, "scan.end_within_s".into(), "must be a positive number (s)".into());
        let ratio = self.disk.rate_ratio;
        must(positive(ratio), "disk.rate_ratio".into(), "must be a positive number".into());
        must(self.disk.reserve_mib <= 1 << 30, "disk.reserve_mib".into(), "must be at most 1073741824 (MiB)".into());
        let s = &self.segment;
        must((0.0..1.0).contains(&s.min_reflectance), "segment.min_reflectance".into(), "must be from 0 to 1".into());
        must((0.0..1.0).contains(&s.shadow_reflectance), "segment.shadow_reflectance".into(), "must be from 0 to 1".into());
        for (key, value) in [("lookahead_mm", s.lookahead_mm), ("close_mm", s.close_mm)] {
            must(positive(value) && value <= MOST_MM, format!("segment.{key}"), format!("must be above 0 and at most {MOST_MM} mm"));
        }
        for (key, value) in [("margin_mm", s.margin_mm), ("bridge_mm", s.bridge_mm), ("min_area_mm2", s.min_area_mm2)] {
            must((0.0..=MOST_MM).contains(&value), format!("segment.{key}"), format!("must be from 0 to {MOST_MM}"));
        }
        must(s.erode_mm.is_none_or(|mm| (0.0..=50.0).contains(&mm)), "segment.erode_mm".into(), "must be from 0 to 50 mm".into());
        let t = &s.tray;
        for (key, value) in [
            ("width_mm", t.width_mm),
            ("row_pitch_mm", t.row_pitch_mm),
            ("container_width_mm", t.container_width_mm),
            ("container_length_mm", t.container_length_mm),
            ("length_mm", t.length_mm),
        ] {
            must(value.is_none_or(positive), format!("segment.tray.{key}"), "must be a positive number (mm)".into());
        }
        let fits = t.container_length_mm.zip(t.row_pitch_mm).is_none_or(|(length, pitch)| length <= pitch);
        must(fits, "segment.tray.container_length_mm".into(), "must be at most row_pitch_mm".into());
        let j = &self.join;
        must(positive(j.max_residual_mm), "join.max_residual_mm".into(), "must be a positive number (mm)".into());
        must(positive(j.max_largest_residual_mm), "join.max_largest_residual_mm".into(), "must be a positive number (mm)".into());
        must(positive(j.max_keystone_mm), "join.max_keystone_mm".into(), "must be a positive number (mm)".into());
        let slope = j.max_residual_slope_mm_per_m;
        must(positive(slope), "join.max_residual_slope_mm_per_m".into(), "must be a positive number (mm per m)".into());
        must(positive(self.publish.max_age_s), "publish.max_age_s".into(), "must be a positive number (s)".into());
        must(self.publish.max_rows > 0, "publish.max_rows".into(), "must be at least 1".into());
        let store = &self.store;
        must((1..=9).contains(&store.deflate_level), "store.deflate_level".into(), "must be from 1 to 9".into());
        must((1..=64).contains(&store.threads), "store.threads".into(), "must be from 1 to 64".into());
        faults.extend(self.encoder.faults());
        faults.extend(super::heads::faults(&self.head));
        faults.extend(self.console.iter().flat_map(super::ConsoleConfig::faults));
        faults.extend(self.ship.iter().flat_map(super::ShipConfig::faults));
        faults.extend(self.minerals.iter().flat_map(super::MineralsConfig::faults));
        faults.extend(self.band_faults());
        faults.extend(self.camera.iter().enumerate().flat_map(|(i, camera)| camera.correction_faults(i)));
        faults.extend(self.height_faults());
        faults.extend(self.shared_names());
        faults.extend(self.device_faults());
        if faults.is_empty()
            && let Some(limit) = self.rig.max_memory_mib
        {
            faults.extend(self.memory_fault(limit));
        }
        faults
    }

    fn camera_faults(&self, i: usize, camera: &CameraConfig, must: &mut impl FnMut(bool, String, String)) {
        let here = |key: &str| format!("camera[{i}].{key}");
        must(is_name(&camera.name), here("name"), "must be 1 to 64 of A-Z a-z 0-9 . _ - and not begin with a dot".into());
        let planned = self.scan.square_pixels && self.square.is_none();
        must(
            positive(camera.frame_rate_hz) || (planned && camera.frame_rate_hz == 0.0),
            here("frame_rate_hz"),
            "must be a positive number (lines/s), or absent with scan.square_pixels".into(),
        );
        for (key, value) in [("field_of_view_mm", camera.field_of_view_mm), ("exposure_us", camera.exposure_us)] {
            must(positive(value), here(key), "must be a positive number".into());
        }
        for (key, value) in [("offset_mm", camera.offset_mm), ("shift_mm", camera.shift_mm)] {
            must(value.is_finite() && value.abs() < 10_000.0, here(key), "must be within 10 m".into());
        }
        must(camera.latency_us.abs() <= 1e6, here("latency_us"), "must be within one second (us)".into());
        let slots = camera.pool_slots.is_none_or(|slots| (2..=MOST_SLOTS).contains(&slots));
        must(slots, here("pool_slots"), format!("must be from 2 to {MOST_SLOTS}"));
        must(camera.pool_s.is_none_or(|time_s| (0.01..=60.0).contains(&time_s)), here("pool_s"), "must be from 0.01 to 60 s".into());
        let live = !matches!(camera.device, CameraDevice::Replay(_));
        let (pixels, bands) = if live { shape(camera) } else { (0, 0) };
        must(
            pixels <= MOST_ELEMENTS && bands <= MOST_ELEMENTS && pixels.saturating_mul(bands) <= MOST_ELEMENTS,
            here("device.pixels"),
            format!("{pixels} pixels of {bands} bands are too many: a line has at most {MOST_ELEMENTS} values"),
        );
        must(camera.silence_s.is_none_or(positive), here("silence_s"), "must be a positive number (s)".into());
        if !positive(camera.frame_rate_hz) || !positive(self.conveyor.speed_mm_per_s) {
            return;
        }
        let period_us = 1e6 / camera.frame_rate_hz;
        must(
            camera.exposure_us <= period_us,
            here("exposure_us"),
            format!(
                "{} µs is longer than the line period of {period_us:.1} µs at {} lines/s; expose shorter or scan slower",
                camera.exposure_us, camera.frame_rate_hz
            ),
        );
        let line_mm = self.conveyor.speed_mm_per_s / camera.frame_rate_hz;
        must(
            line_mm <= WIDEST_LINE * self.grid.pixel_mm,
            here("frame_rate_hz"),
            format!(
                "a line every {line_mm:.3} mm ({} mm/s at {} lines/s) is too coarse for grid pixels of {} mm; raise the frame rate or slow the belt",
                self.conveyor.speed_mm_per_s, camera.frame_rate_hz, self.grid.pixel_mm
            ),
        );
    }

    fn reference_faults(&self, must: &mut impl FnMut(bool, String, String)) {
        let Some(references) = &self.references else { return };
        let PanelConfig { reflectance, uncertainty, file, .. } = &references.panel;
        must(reflectance.is_some() != file.is_some(), "references.panel".into(), "give either reflectance or file".into());
        let reflectance = reflectance.unwrap_or(1.0);
        let good = reflectance > 0.0 && reflectance <= 1.2;
        must(good, "references.panel.reflectance".into(), "must be above 0 and at most 1.2".into());
        if let Some(uncertainty) = uncertainty {
            let known = file.is_none() && *uncertainty >= 0.0 && (!good || *uncertainty < reflectance);
            let text = "must be from 0 to below the reflectance; a file has a third column instead";
            must(known, "references.panel.uncertainty".into(), text.into());
        }
        let even = (0..=100).all(|i| (references.panel.evenness_at(f64::from(i) / 100.0) - 1.0).abs() <= MOST_UNEVEN);
        must(
            references.panel.evenness.len() <= EVENNESS && even,
            "references.panel.evenness".into(),
            format!("must be at most {EVENNESS} coefficients of a curve within {MOST_UNEVEN} of 1; `hyclus calibrate panel` measures them"),
        );
        must(references.frames >= 1, "references.frames".into(), "must be at least 1".into());
        if let Some((from, to)) = references.panel_mm {
            must(from < to, "references.panel_mm".into(), "must be [from, to] with from < to (mm along the tray)".into());
        }
        if let Some((from, to)) = references.panel_after_mm {
            let behind = from < to && references.panel_mm.is_none_or(|(_, end)| from >= end);
            must(
                behind,
                "references.panel_after_mm".into(),
                "must be [from, to] with from < to, behind panel_mm (mm along the tray)".into(),
            );
        }
        for (key, value) in [
            ("max_age_s", references.max_age_s),
            ("max_dark_age_s", references.max_dark_age_s),
            ("max_temperature_change_c", references.max_temperature_change_c),
            ("max_lamp_hours", references.max_lamp_hours),
        ] {
            must(positive(value), format!("references.{key}"), "must be a positive number".into());
        }
        let (told, refused) = (references.max_wavelength_shift_nm, references.refuse_wavelength_shift_nm);
        must(positive(told), "references.max_wavelength_shift_nm".into(), "must be a positive number".into());
        let within = refused >= told && refused <= MOST_NM;
        let text = format!("must be from references.max_wavelength_shift_nm ({told}) to {MOST_NM}");
        must(within, "references.refuse_wavelength_shift_nm".into(), text);
        let l = &references.limits;
        for (key, value) in [
            ("max_saturated", l.max_saturated),
            ("min_signal", l.min_signal),
            ("min_band_signal", l.min_band_signal),
            ("min_evenness", l.min_evenness),
            ("max_dirt", l.max_dirt),
            ("max_white_noise", l.max_white_noise),
            ("max_flicker", l.max_flicker),
            ("max_change", l.max_change),
            ("max_dark", l.max_dark),
            ("max_leak", l.max_leak),
            ("max_dark_noise", l.max_dark_noise),
            ("max_light_drift", l.max_light_drift),
        ] {
            must((0.0..=1.0).contains(&value), format!("references.limits.{key}"), "must be from 0 to 1".into());
        }
        // Where the light is weak, a dark level moves a reflectance of 5 % by more than itself.
        for (key, value) in [("max_dark_change", l.max_dark_change), ("max_dark_drift", l.max_dark_drift)] {
            must(value >= 0.0, format!("references.limits.{key}"), "must be 0 or more".into());
        }
    }

    fn lamp_faults(&self, must: &mut impl FnMut(bool, String, String)) {
        let lamps = &self.lamps;
        for (key, value) in [("max_drift", lamps.max_drift), ("window_s", lamps.window_s), ("max_warm_up_s", lamps.max_warm_up_s)] {
            must(positive(value), format!("lamps.{key}"), "must be a positive number".into());
        }
        for (key, value) in [("max_deviation", lamps.max_deviation), ("min_light", lamps.min_light), ("max_flicker", lamps.max_flicker)] {
            must((0.0..=1.0).contains(&value), format!("lamps.{key}"), "must be from 0 to 1".into());
        }
        must(
            (0.0..=0.5).contains(&lamps.max_correction),
            "lamps.max_correction".into(),
            "must be from 0 to 0.5: more than that is no drift but a lamp that failed".into(),
        );
        must((1..=64).contains(&lamps.wavelengths), "lamps.wavelengths".into(), "must be from 1 to 64".into());
        if let Some((from, to)) = lamps.strip_mm {
            let at_edge = |camera: &CameraConfig| {
                let (left, right) = (camera.shift_mm, camera.shift_mm + camera.field_of_view_mm);
                from < to && ((from <= left + STRIP_RIM_MM && to < right) || (to >= right - STRIP_RIM_MM && from > left))
            };
            must(
                self.camera.iter().all(at_edge),
                "lamps.strip_mm".into(),
                "must be [from, to] in mm across, at an edge of the view of every camera".into(),
            );
        }
    }

    /// Faults of names used twice.
    fn shared_names(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut seen = BTreeMap::new();
        let names = (self.camera.iter().enumerate().map(|(i, c)| (format!("camera[{i}]"), &c.name)))
            .chain(self.light.iter().enumerate().map(|(i, l)| (format!("light[{i}]"), &l.name)));
        for (path, name) in names {
            if let Some(first) = seen.insert(name.to_lowercase(), path.clone()) {
                faults.push(Fault::new(format!("{path}.name"), format!("`{name}` is the name of {first} too")));
            }
        }
        faults
    }

    /// Faults of devices with missing settings or illegally shared ports.
    fn device_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let simulated = self.camera.iter().any(|c| matches!(c.device, CameraDevice::Simulated(_)))
            || matches!(self.conveyor.device, ConveyorDevice::Simulated(_))
            || self.light.iter().any(|l| matches!(l.device, LightDevice::Simulated(_)));
        if simulated && self.simulation.is_none() {
            faults.push(Fault::new("simulation", "is missing: devices of kind `simulated` need a [simulation]"));
        }
        let mut wrong = |owner: String, found: Vec<(&str, String)>| {
            faults.extend(found.into_iter().map(|(key, problem)| Fault::new(format!("{owner}.device.{key}"), problem)));
        };
        if let ConveyorDevice::Modbus(drive) = &self.conveyor.device {
            wrong("conveyor".into(), drive.faults());
        }
        for (i, light) in self.light.iter().enumerate() {
            if let LightDevice::Serial(serial) = &light.device {
                wrong(format!("light[{i}]"), serial.faults());
            }
        }
        for (i, camera) in self.camera.iter().enumerate() {
            match &camera.device {
                CameraDevice::Bridge(bridge) => wrong(format!("camera[{i}]"), bridge.faults()),
                CameraDevice::Gige(gige) => wrong(format!("camera[{i}]"), gige.faults()),
                CameraDevice::Replay(_) | CameraDevice::Simulated(_) => {}
            }
        }
        let mut ports: Vec<Port<'_>> = Vec::new();
        for port in self.ports() {
            if let Some(first) = ports.iter().find(|other| other.real == port.real && !other.shares_with(&port)) {
                let (path, real) = (&first.path, port.real.display());
                let problem = match (first.controller, port.controller) {
                    (Some(_), Some(_)) => {
                        format!(
                            "{real} is the port of {path} too: lights of one controller need a channel each, and the same settings of the line"
                        )
                    }
                    _ => format!("{real} is the port of {path} too; each device needs its own"),
                };
                faults.push(Fault::new(port.path.clone(), problem));
            }
            ports.push(port);
        }
        if let Some(references) = &self.references {
            let live = self.camera.iter().any(|c| !matches!(c.device, CameraDevice::Replay(_)));
            if live && references.panel_mm.is_none() {
                faults.push(Fault::new("references.panel_mm", "is missing: live cameras need to know where the white panel lies"));
            }
        } else if self.camera.iter().any(|c| !matches!(c.device, CameraDevice::Replay(_))) {
            faults.push(Fault::new("references", "is missing: live cameras need dark and white references"));
        }
        if self.scan.square_pixels && self.camera.iter().any(|c| matches!(c.device, CameraDevice::Replay(_))) {
            faults.push(Fault::new("scan.square_pixels", "recordings have the rates at which they were made: leave it out"));
        }
        if self.segment.method == SegmentMethod::Brightness && self.segment.min_reflectance == 0.0 {
            faults.push(Fault::new("segment.min_reflectance", "must be above 0, or everything is a container"));
        }
        faults
    }

    /// The port of every device that has one: a device file, an address or a recording.
    fn ports(&self) -> Vec<Port<'_>> {
        let mut ports = Vec::new();
        let mut put = |path: String, port: &Path, controller| {
            ports.push(Port { path, real: port.canonicalize().unwrap_or_else(|_| port.to_owned()), controller });
        };
        if let ConveyorDevice::Modbus(drive) = &self.conveyor.device {
            match (&drive.port, &drive.address) {
                (Some(port), _) => put("conveyor.device.port".into(), port, None),
                (None, Some(address)) => put("conveyor.device.address".into(), Path::new(address), None),
                (None, None) => {}
            }
        }
        for (i, camera) in self.camera.iter().enumerate() {
            match &camera.device {
                CameraDevice::Replay(replay) => put(format!("camera[{i}].device.path"), &replay.path, None),
                CameraDevice::Bridge(bridge::Config { socket: Some(socket), .. }) => {
                    put(format!("camera[{i}].device.socket"), socket, None)
                }
                CameraDevice::Gige(gige) => match (&gige.address, &gige.serial) {
                    (Some(address), _) => put(format!("camera[{i}].device.address"), Path::new(address), None),
                    (None, Some(serial)) => put(format!("camera[{i}].device.serial"), Path::new(serial), None),
                    (None, None) => {}
                },
                CameraDevice::Bridge(_) | CameraDevice::Simulated(_) => {}
            }
        }
        for (i, light) in self.light.iter().enumerate() {
            if let LightDevice::Serial(serial) = &light.device {
                match (&serial.port, &serial.address) {
                    (Some(port), _) => put(format!("light[{i}].device.port"), port, Some(serial)),
                    (None, Some(address)) => put(format!("light[{i}].device.address"), Path::new(address), Some(serial)),
                    (None, None) => {}
                }
            }
        }
        ports
    }

    /// Pixels and bands of each camera, as far as known without opening it; 0 where unknown.
    pub fn shapes(&self) -> Vec<(usize, usize)> {
        self.camera.iter().map(shape).collect()
    }

    /// Width of all views together, mm.
    pub fn across_mm(&self) -> f64 {
        let left = self.camera.iter().map(|c| c.shift_mm).fold(f64::INFINITY, f64::min);
        let right = self.camera.iter().map(|c| c.shift_mm + c.field_of_view_mm).fold(f64::NEG_INFINITY, f64::max);
        right - left
    }
}

/// The port of a device.
struct Port<'a> {
    /// The key of the port in the configuration.
    path: String,
    /// The target of the device file's links, or the address.
    real: PathBuf,
    /// The light controller on the port. Its channels may share the port.
    controller: Option<&'a light_serial::Config>,
}

impl Port<'_> {
    fn shares_with(&self, other: &Self) -> bool {
        self.controller.zip(other.controller).is_some_and(|(one, another)| one.shares_with(another))
    }
}

/// Pixels and bands of a camera, as far as known without opening it; 0 where unknown.
fn shape(camera: &CameraConfig) -> (usize, usize) {
    match &camera.device {
        CameraDevice::Simulated(sim) => (sim.pixels, sim.bands),
        CameraDevice::Bridge(bridge) => (bridge.pixels, bridge.bands),
        CameraDevice::Gige(gige) => (gige.pixels, gige.bands),
        CameraDevice::Replay(replay) => replay::Camera::open(&camera.name, replay)
            .map(|camera| contract::LineCamera::describe(&camera).layout)
            .map_or((0, 0), |layout| (layout.pixels, layout.bands)),
    }
}

/// Least positive number, in any unit. Ratios of lengths, speeds and times then stay far from infinity.
const LEAST: f64 = 1e-9;

fn positive(value: f64) -> bool {
    value.is_finite() && value >= LEAST
}
