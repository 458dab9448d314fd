//! `hyclus bench`: whether this machine keeps up with a rig.

use super::BenchArgs;
use super::offline::{fail, written};
use crate::config::Loaded;
use crate::scan::{BenchCamera, Measured, measure};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// A folder that is removed with all that is in it.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("hyclus: {} cannot be removed: {error}", self.0.display());
        }
    }
}

pub(super) fn bench(args: &BenchArgs, json: bool) -> ExitCode {
    let loaded = match Loaded::read(&args.config) {
        Ok(loaded) => loaded,
        Err(error) => return fail(error),
    };
    let above = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = above.join(format!("hyclus-bench-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&above).and_then(|()| std::fs::create_dir(&folder)) {
        return fail(format!("{} cannot be created: {error}; choose another folder with --folder", folder.display()));
    }
    let folder = Temporary(folder);
    let measured = match measure(&loaded, args.lines, &folder.0) {
        Ok(measured) => measured,
        Err(error) => return fail(error),
    };
    drop(folder);
    let names: Vec<&str> = measured.stages.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(unknown) = args.stage.iter().find(|stage| !names.contains(&stage.as_str())) {
        return fail(format!("there is no stage `{unknown}`; this rig has {}", names.join(", ")));
    }
    let wanted = |name: &str| args.stage.is_empty() || args.stage.iter().any(|stage| stage == name);
    let result = if json { as_json(&measured, wanted) } else { as_text(&measured, wanted) };
    written(result)
}

/// Lines of the first camera per second, and how many times what the rig gives, for so many seconds of work.
fn speed(measured: &Measured, seconds: f64) -> (f64, f64) {
    let rate = measured.cameras.first().map_or(0.0, |camera| camera.rate_hz);
    let times = measured.scan_s / seconds.max(1e-9);
    (rate * times, times)
}

fn as_json(measured: &Measured, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    let stage = |seconds: f64| {
        let (lines_per_s, of_rig) = speed(measured, seconds);
        json!({"seconds": seconds, "lines_per_s": lines_per_s, "of_rig": of_rig})
    };
    let camera = |c: &BenchCamera| json!({"name": c.name, "pixels": c.shape.0, "bands": c.shape.1, "lines": c.lines, "rate_hz": c.rate_hz});
    let stages: serde_json::Map<_, _> =
        measured.stages.iter().filter(|(name, _)| wanted(name)).map(|(name, busy)| (name.clone(), stage(*busy))).collect();
    let cameras: Vec<_> = measured.cameras.iter().map(camera).collect();
    writeln!(io::stdout(), "{}", json!({"cameras": cameras, "scan_s": measured.scan_s, "stages": stages, "whole": stage(measured.whole_s)}))
}

fn as_text(measured: &Measured, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for BenchCamera { name, shape: (pixels, bands), lines, rate_hz } in &measured.cameras {
        writeln!(out, "{name}: {lines} lines of {pixels} px x {bands} bands; the rig gives {rate_hz:.1} lines/s")?;
    }
    writeln!(out, "{:>16} {:>10} {:>12}", "stage", "lines/s", "of the rig's")?;
    let stages = measured.stages.iter().filter(|(name, _)| wanted(name)).map(|(name, busy)| (name.as_str(), *busy));
    for (name, seconds) in stages.chain([("whole", measured.whole_s)]) {
        let (lines_per_s, times) = speed(measured, seconds);
        writeln!(out, "{name:>16} {lines_per_s:>10.0} {:>11.0} %", 100.0 * times)?;
    }
    let (_, times) = speed(measured, measured.whole_s);
    if times < 1.0 {
        writeln!(out, "this machine does not keep up: the slowest stage, and the disk, are where to look")
    } else {
        writeln!(out, "this machine keeps up, {times:.1} times as fast as the rig")
    }
}
