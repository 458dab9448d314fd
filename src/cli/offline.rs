//! Commands that need no daemon. They call the functions of the stages.

use super::arguments::{CheckArgs, GeometryArgs, InspectArgs, ProcessArgs, TailArgs, TargetArgs};
use super::confined;
use super::devices;
use super::output::{exit_code, fail, write_devices, write_json};
use crate::config::{self, Config, ConfigError, Loaded};
use crate::context::EncoderContext;
use crate::data_root::{DiskNeed, Process};
use crate::encode::Encoder;
use crate::measure::{Figure, Target};
use crate::print;
use crate::publish::{self, DataSet, RowWriter, Tail};
use crate::reference::UsedBands;
use crate::scan::{ParseError, ScanRecord, Tray};
use crate::start::{self, Place};
use crate::terminal::{Plain, plain};
use crate::{data_root, measure, scan};
use contract::LineCamera;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// `hyclus process`: processes recorded captures.
pub(super) fn process(args: ProcessArgs, json: bool) -> ExitCode {
    let loaded = match Loaded::read(&args.config) {
        Ok(loaded) => loaded,
        Err(error) => return fail(error),
    };
    let tray = match read_tray(&args.tray) {
        Ok(tray) => tray,
        Err(faults) => return fail(faults),
    };
    let process = match Process::start(&loaded, tray, &args.captures, args.out.clone(), Arc::new(|_| {})) {
        Ok(process) => process,
        Err(error) => return fail(error),
    };
    show_progress(&process, !json && io::stderr().is_terminal());
    let finished = process.finish();
    let lacking = finished.as_ref().is_ok_and(|record| record.lacks() || record.complete != Some(true));
    let incomplete = finished.as_ref().ok().filter(|record| record.complete != Some(true)).map(|record| {
        let reason = record.reason.as_deref().unwrap_or("no reason is known");
        format!("scan {} is incomplete: {reason}; what was made of it is kept", record.id)
    });
    let code = match finished {
        Ok(record) if json => exit_code(write_json(&record, &mut io::stdout().lock())),
        Ok(record) => exit_code(print::write_summary(&record, &args.out, &mut io::stdout().lock())),
        Err(error) => fail(error),
    };
    incomplete.map(fail);
    if lacking { ExitCode::FAILURE } else { code }
}

/// Waits for the end, and shows progress bars on a terminal.
fn show_progress(process: &Process, terminal: bool) {
    let bars = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:>8} [{bar:40}] {pos}/{len} lines, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let list: Vec<ProgressBar> = process
        .lines
        .iter()
        .filter(|_| terminal)
        .map(|(name, lines)| bars.add(ProgressBar::new(*lines)).with_style(style.clone()).with_prefix(name.clone()))
        .collect();
    while !process.wait(Duration::from_millis(100)) {
        for (bar, (_, received)) in list.iter().zip(process.received()) {
            bar.set_position(received);
        }
    }
    list.iter().for_each(ProgressBar::finish_and_clear);
}

/// `hyclus calibrate geometry`: measures the geometry of the cameras.
pub(super) fn geometry(args: GeometryArgs, json: bool) -> ExitCode {
    let loaded = match Loaded::read(&args.config) {
        Ok(loaded) => loaded,
        Err(error) => return fail(error),
    };
    let measured = match measure::measure_geometry(&loaded, &args.captures, &args.again, args.target.as_ref()) {
        Ok(measured) => measured,
        Err(error) => return fail(error),
    };
    if args.write
        && let Err(error) = measure::write_geometry(&loaded, &measured)
    {
        return fail(error);
    }
    let mut out = io::stdout().lock();
    exit_code(measured.iter().try_for_each(|g| {
        let (offset, shift, field) = g.configured;
        if json {
            let line = json!({
                "camera": g.camera, "offset_mm": g.offset_mm, "shift_mm": g.shift_mm, "field_of_view_mm": g.field_of_view_mm,
                "containers": g.containers, "scatter_mm": g.scatter_mm, "written": args.write,
                "yaw_deg": g.yaw_deg.map(|yaw| yaw.value), "yaw_uncertainty_deg": g.yaw_deg.map(|yaw| yaw.uncertainty),
                "keystone_px": g.keystone_px.map(|keystone| keystone.value),
                "belt_scale": g.belt_scale, "keystone_uncertainty_px": g.keystone_px.map(|keystone| keystone.uncertainty),
                "latency_us": g.latency_us.map(|latency| latency.value), "latency_uncertainty_us": g.latency_us.map(|latency| latency.uncertainty),
            });
            return writeln!(out, "{line}");
        }
        writeln!(out, "{}, from {} containers, scatter {:.3} mm", g.camera, g.containers, g.scatter_mm)?;
        writeln!(out, "  offset_mm = {:.3} (configured {offset})", g.offset_mm)?;
        writeln!(out, "  shift_mm = {:.3} (configured {shift})", g.shift_mm)?;
        writeln!(out, "  field_of_view_mm = {:.3} (configured {field})", g.field_of_view_mm)?;
        for (key, figure) in [("yaw_deg", g.yaw_deg), ("keystone_px", g.keystone_px)] {
            let Some(Figure { value, uncertainty, configured }) = figure else { continue };
            writeln!(out, "  correction.{key} = {value:.3} ± {uncertainty:.3} (configured {configured})")?;
        }
        if let Some(Figure { value, uncertainty, configured }) = g.latency_us {
            writeln!(out, "  latency_us = {value:.0} ± {uncertainty:.0} (configured {configured})")?;
        }
        if let Some(scale) = g.belt_scale {
            writeln!(out, "  the belt moves {:+.2} % further than its encoder says", 100.0 * (scale - 1.0))?;
        }
        if args.write {
            writeln!(out, "  written to {}", args.config.display())
        } else {
            writeln!(out, "  --write puts this into {}", args.config.display())
        }
    }))
}

/// `hyclus calibrate target`: writes a target to print.
pub(super) fn target(args: &TargetArgs) -> ExitCode {
    match Target::new(args.width, args.length).and_then(|target| target.write(&args.out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// `hyclus check`: shows the faults of a configuration, or its implied rates and memory.
pub(super) fn check(args: CheckArgs, json: bool) -> ExitCode {
    let loaded = match Loaded::read(&args.config) {
        Ok(loaded) => loaded,
        Err(error) => return faulty(error, json),
    };
    let checked = start::check(&loaded, &Place::of(&loaded.config), !args.elsewhere);
    if !checked.faults.is_empty() {
        return faulty(ConfigError { path: args.config, faults: checked.faults }, json);
    }
    let tray = match args.tray.as_deref().map(read_tray).transpose() {
        Ok(tray) => tray,
        Err(faults) => return fail(faults),
    };
    let mut report = implied(&loaded.config);
    let dimensions: Vec<usize> = checked.encoders.iter().filter_map(|(_, found)| Some(found.as_ref()?.dimensions)).collect();
    let disk_need = match tray.map(|tray| DiskNeed::of(&loaded.config, &tray, &dimensions)).transpose() {
        Ok(need) => need.flatten(),
        Err(error) => return fail(error),
    };
    report["disk"] = disk_need.as_ref().map(DiskNeed::json).into();
    let connected = match args.connect.then(|| devices::connected(&loaded)).transpose() {
        Ok(connected) => connected,
        Err(error) => return fail(error),
    };
    let failed = connected.iter().flatten().any(|device| device.fault.is_some());
    if json {
        let all = json!({
            "path": args.config, "sha256": loaded.sha256, "faults": [], "in_use": checked.in_use, "warnings": checked.warnings,
            "unchecked": checked.unchecked,
            "implies": report, "connected": connected,
        });
        println!("{all}");
        return if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let mut out = Plain::new(io::stdout().lock());
    let result = (|| {
        writeln!(out, "{}: no faults", args.config.display())?;
        for camera in report["cameras"].as_array().into_iter().flatten() {
            let number = |key: &str| camera[key].as_f64().unwrap_or(f64::NAN);
            writeln!(
                out,
                "  {}: {} px x {} bands, {:.1} lines/s, {:.1} MB/s; a line every {:.3} mm, pixels of {:.3} mm",
                camera["name"].as_str().unwrap_or_default(),
                number("pixels"),
                number("bands"),
                number("lines_per_s"),
                number("megabytes_per_s"),
                number("line_mm"),
                number("pixel_mm")
            )?;
            let pool = &camera["pool"];
            let bridges = match pool["seconds"].as_f64() {
                Some(seconds) if pool["shortened"] == true => format!("bridges {seconds:.2} s, shortened to rig.max_memory_mib"),
                Some(seconds) => format!("bridges {seconds:.2} s"),
                None => "its source waits, or its line rate is planned later".to_owned(),
            };
            writeln!(out, "    frame pool: {} slots, {} MiB; {bridges}", pool["slots"], pool["mib"])?;
            if let Some(left_out) = camera["left_out"].as_str() {
                writeln!(out, "    {left_out}")?;
            }
        }
        if let Some(plan) = &loaded.config.square {
            let chosen = if plan.given { "given" } else { "the fastest" };
            writeln!(out, "  square pixels: belt at {:.3} mm/s ({chosen}); limited by {}", plan.speed_mm_per_s, plan.limit)?;
        } else if loaded.config.scan.square_pixels {
            writeln!(out, "  square pixels: planned when the devices are opened and say what they can do")?;
        }
        let memory = &report["memory_mib"];
        writeln!(
            out,
            "  memory: {} MiB (frame pools {}, rows waiting for the trailing camera {}, held back by the segmentation {}, queues {}, chunks {}, native lines {})",
            memory["total"], memory["pools"], memory["waiting"], memory["segment"], memory["queues"], memory["chunks"], memory["native"]
        )?;
        if report["native_disk_mib"] != 0 {
            writeln!(out, "  native lines wait on the disk in up to {} MiB while a scan runs", report["native_disk_mib"])?;
        }
        match &disk_need {
            Some(need) => writeln!(out, "  disk: {need}")?,
            None if args.tray.is_some() => {
                let played = loaded.config.camera.iter().any(|camera| matches!(camera.device, config::CameraDevice::Replay(_)));
                let reason =
                    if played { "cameras play recordings; only" } else { "what a scan takes is known when the devices are open; and" };
                writeln!(out, "  disk: {reason} {} MiB in reserve", loaded.config.disk.reserve_mib)?;
            }
            None => {}
        }
        for (name, found) in &checked.encoders {
            match found {
                Some(found) => writeln!(out, "  encoder {name}: {} to {}", found.name, numbers(found)),
                None => writeln!(out, "  encoder {name}: it takes any number of bands"),
            }?;
        }
        if checked.encoders.is_empty() {
            writeln!(out, "  encoder: none; no embeddings are published")?;
        }
        for warning in &checked.warnings {
            writeln!(out, "  warning: {warning}")?;
        }
        for used in &checked.in_use {
            writeln!(out, "  in use: {used}; a second daemon would not start")?;
        }
        for open in checked.unchecked.iter().filter(|_| !args.connect) {
            writeln!(out, "  not checked: {open}")?;
        }
        if args.elsewhere {
            writeln!(out, "  not checked: data root, control socket, listener, users, groups and memory of the rig's own machine")?;
        }
        write_devices(connected.as_deref().unwrap_or_default(), &mut out)
    })();
    if failed && result.is_ok() { ExitCode::FAILURE } else { exit_code(result) }
}

/// What an encoder gives of a spectrum.
fn numbers(encoder: &EncoderContext) -> String {
    let novelty = if encoder.novelty { " and their novelty" } else { "" };
    format!("{} numbers{novelty}, sha256 {}", encoder.dimensions, encoder.sha256)
}

/// Shows the faults of a configuration.
fn faulty(error: ConfigError, json: bool) -> ExitCode {
    if !json {
        return fail(error);
    }
    println!("{}", json!({"path": error.path, "faults": error.faults}));
    ExitCode::FAILURE
}

/// The rates and the memory that a configuration implies, as JSON.
fn implied(config: &Config) -> Value {
    let memory = config.memory();
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let cameras: Vec<Value> = config
        .camera
        .iter()
        .zip(config.shapes())
        .zip(config.pools())
        .map(|((camera, (pixels, bands)), pool)| {
            let elements = f64::from(u32::try_from(pixels.saturating_mul(bands)).unwrap_or(u32::MAX));
            let left_out = camera.known_bands().and_then(|(nm, good)| UsedBands::new(&nm, camera.used_ranges(), good.as_deref()).summary());
            json!({
                "left_out": left_out,
                "name": camera.name, "pixels": pixels, "bands": bands, "lines_per_s": camera.frame_rate_hz,
                "megabytes_per_s": elements * 2.0 * camera.frame_rate_hz / 1e6,
                "line_mm": config.conveyor.speed_mm_per_s / camera.frame_rate_hz,
                "pixel_mm": camera.field_of_view_mm / f64::from(u32::try_from(pixels).unwrap_or(u32::MAX)),
                "pool": {"slots": pool.slots, "mib": mib(pool.bytes), "seconds": pool.seconds, "shortened": pool.shortened},
            })
        })
        .collect();
    let square = config.square.as_ref().map(|plan| json!({"speed_mm_per_s": plan.speed_mm_per_s, "limited_by": plan.limit}));
    json!({
        "cameras": cameras,
        "native_disk_mib": mib(config.native_disk()),
        "square_pixels": square,
        "memory_mib": {
            "total": mib(memory.total()), "pools": mib(memory.pools), "waiting": mib(memory.waiting),
            "segment": mib(memory.segment), "queues": mib(memory.queues), "chunks": mib(memory.chunks), "minerals": mib(memory.minerals),
            "native": mib(memory.native),
        },
    })
}

/// Reads a tray map. An error lists all its faults.
fn read_tray(path: &Path) -> Result<Tray, String> {
    Tray::read(path).map_err(|faults| {
        let list: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
        format!("{}: {} fault(s)\n{}", path.display(), faults.len(), list.join("\n"))
    })
}

/// `hyclus schema`: prints the configuration's JSON schema.
pub(super) fn schema() -> ExitCode {
    exit_code(io::stdout().lock().write_all(config::schema().as_bytes()))
}

/// Interval at which `tail` checks for new parts.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// `hyclus tail`: prints rows of the Parquet data set.
pub(super) fn tail(args: TailArgs, json: bool) -> ExitCode {
    let newest = || data_root::records(&args.data).into_iter().next_back().map(|record| record.id);
    let id = loop {
        match args.scan.clone().or_else(newest) {
            Some(id) => break id,
            None if args.follow => std::thread::sleep(POLL_INTERVAL),
            None => return fail(format!("{} holds no scan; name the data root with --data", args.data.display())),
        }
    };
    let find = || data_root::named(&args.data, &id);
    match find() {
        Ok(Some(record)) if !args.minerals && !record.encoder_names().contains(&args.encoder) => {
            let known = record.encoder_names().join(", ");
            return fail(format!("the scan {id} has no encoder `{}`; its encoders are {known}", args.encoder));
        }
        Ok(Some(_)) => {}
        Ok(None) => return fail(format!("{} holds no scan `{id}`; see `hyclus scans`", args.data.display())),
        Err(newer) => return fail(newer),
    }
    let format = if json { publish::Format::Jsonl } else { args.format };
    let mut tail = if args.minerals {
        Tail::of_minerals(&args.data, Some(&id))
    } else {
        Tail::new(&DataSet::of(&args.data, &args.encoder), Some(&id))
    };
    let out = io::stdout().lock();
    // A table is for people, whatever takes it. CSV is data, until a terminal takes it.
    let shown = format == publish::Format::Table || (format == publish::Format::Csv && out.is_terminal());
    let mut rows = RowWriter::new(format, out);
    loop {
        // The end is checked before the rows are read, so that the last rows of a scan are read too.
        let ended = find().ok().flatten().is_none_or(|record| record.ended.is_some());
        loop {
            match tail.poll() {
                Ok(Some(mut row)) => {
                    if shown {
                        let keys = row.keys.iter_mut().flat_map(|(name, value)| [name, value]);
                        keys.chain([&mut row.scan, &mut row.sample, &mut row.container]).for_each(|text| *text = plain(text).into_owned());
                    }
                    if let Err(error) = rows.write(&row) {
                        return if error.broken_pipe() { ExitCode::SUCCESS } else { fail(error) };
                    }
                }
                Ok(None) => break,
                Err(error) => return fail(error),
            }
        }
        if let Err(error) = rows.flush() {
            return if error.broken_pipe() { ExitCode::SUCCESS } else { fail(error) };
        }
        if ended || !args.follow {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// `hyclus inspect`: describes a file.
pub(super) fn inspect(args: InspectArgs, json: bool) -> ExitCode {
    let path = &args.file;
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut out = io::stdout().lock();
    // Some readers would wait for a writer, or read a device for ever.
    if path.metadata().is_ok_and(|about| !about.is_dir())
        && let Err(error) = contract::open_regular(path)
    {
        return fail(format!("{}: {error}", path.display()));
    }
    if json && ending != "json" {
        return fail("inspect prints JSON of scan.json only; h5py, pyarrow and spectral read the other files");
    }
    match ending.as_str() {
        "h5" | "hdf5" | "nxs" if args.confined => confined::read(path, args.follow, args.pixel),
        "h5" | "hdf5" | "nxs" => confined::inspect(path, args.follow, args.pixel),
        _ if args.pixel.is_some() => fail("only samples (HDF5) have pixels; leave out --pixel"),
        "parquet" => {
            let mut text = Vec::new();
            publish::inspect(path, &mut text).map_or_else(fail, |()| exit_code(Plain::new(out).write_all(&text)))
        }
        "onnx" => match Encoder::probe(&config::EncoderConfig::of(path), path) {
            Ok(found) => exit_code(writeln!(Plain::new(out), "{}: encoder to {}", found.name, numbers(&found))),
            Err(error) => fail(error),
        },
        "json" => match contract::read_regular_text(path, ScanRecord::MOST_BYTES).map_err(|e| e.to_string()).and_then(|text| {
            ScanRecord::parse(&text, path).map_err(|error| match error {
                ParseError::Newer(newer) => newer.to_string(),
                ParseError::Json(e) => format!("{}: not a scan.json: {e}", path.display()),
            })
        }) {
            Ok(record) if json => exit_code(write_json(&record, &mut out)),
            Ok(record) => {
                let data = path.ancestors().nth(3).unwrap_or(Path::new(""));
                exit_code(print::write_summary(&record, data, &mut out))
            }
            Err(error) => fail(error),
        },
        _ => envi(path, &mut Plain::new(out)),
    }
}

/// Describes a recording: an ENVI image, or the folder of a capture.
fn envi(path: &Path, out: &mut dyn Write) -> ExitCode {
    let config = replay::CameraConfig { frame_rate_hz: Some(1.0), ..replay::CameraConfig::new(path) };
    let camera = match replay::Camera::open("recording", &config) {
        Ok(camera) => camera,
        Err(error) => return fail(error),
    };
    let d = camera.describe();
    let range = d.wavelengths_nm.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), w| (lo.min(*w), hi.max(*w)));
    let result = (|| {
        writeln!(out, "{}: {} recording {}", path.display(), d.model, camera.capture_name())?;
        writeln!(out, "  {} lines x {} px x {} bands", d.frames.unwrap_or(0), d.layout.pixels, d.layout.bands)?;
        let exposure_us = camera.exposure().exposure_us;
        let exposure = if exposure_us.is_nan() { "unknown".to_owned() } else { format!("{exposure_us} µs") };
        writeln!(out, "  {:.1} to {:.1} nm, {:?}, exposure {exposure}", range.0, range.1, d.values)?;
        if let Some(bands) = camera.used_bands() {
            writeln!(out, "  {} of {} bands are good by `bbl`", bands.iter().filter(|good| **good).count(), bands.len())?;
        }
        if let Some(dated_ns) = camera.dated_ns() {
            writeln!(out, "  recorded {}", scan::iso(dated_ns))?;
        }
        if let Some([first, .., last]) = camera.records() {
            writeln!(out, "  frames {} to {}, belt {} to {:?} mm", first.frame, last.frame, scan::iso(first.time_ns), last.position_mm)?;
        }
        camera.warnings().iter().try_for_each(|warning| writeln!(out, "  warning: {warning}"))
    })();
    exit_code(result)
}
