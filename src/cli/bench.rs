//! `hyclus bench`: measures whether this machine keeps up with a rig.

use super::arguments::BenchArgs;
use super::output::{exit_code, fail};
use crate::config::Loaded;
use crate::measure::{BenchCamera, Measured, Scaled, Stalled, measure, scale, stall};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// A folder that is removed with its contents.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("hyclus: {} cannot be removed: {error}", self.0.display());
        }
    }
}

/// `hyclus bench`.
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
    let stalled = match args.disk.map(|seconds| stall(&loaded, f64::from(seconds), &folder.0)).transpose() {
        Ok(stalled) => stalled,
        Err(error) => return fail(error),
    };
    let result = if args.scale {
        scale(&loaded, args.lines, args.runs, &folder.0)
    } else {
        measure(&loaded, args.lines, &folder.0).map(|measured| (measured, Vec::new()))
    };
    let (measured, scaled) = match result {
        Ok(measured) => measured,
        Err(error) => return fail(error),
    };
    drop(folder);
    let names: Vec<&str> = measured.stages.iter().map(|stage| stage.name.as_str()).collect();
    if let Some(unknown) = args.stage.iter().find(|stage| !names.contains(&stage.as_str())) {
        return fail(format!("there is no stage `{unknown}`; this rig has {}", names.join(", ")));
    }
    let wanted = |name: &str| args.stage.is_empty() || args.stage.iter().any(|stage| stage == name);
    let result = if json {
        as_json(&measured, &scaled, stalled.as_ref(), wanted)
    } else {
        as_text(&measured, &scaled, wanted).and_then(|()| stalled.as_ref().map_or(Ok(()), show_stalls))
    };
    exit_code(result)
}

/// Lines of the first camera per second for `seconds` of work, and their ratio to the rig's own rate.
fn speed(measured: &Measured, seconds: f64) -> (f64, f64) {
    let rate = measured.cameras.first().map_or(0.0, |camera| camera.rate_hz);
    let times = measured.scan_s / seconds.max(1e-9);
    (rate * times, times)
}

/// Seconds and bytes of a stage per line of the first camera. Without a name, of the whole. `None` for an unknown stage.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_line(measured: &Measured, stage: Option<&str>) -> Option<(f64, f64)> {
    let lines = measured.cameras.first().map_or(1, |camera| camera.lines).max(1) as f64;
    let (seconds, bytes) = match stage {
        None => measured.whole,
        Some(name) => measured.stages.iter().find(|stage| stage.name == name).map(|stage| (stage.seconds, stage.bytes))?,
    };
    Some((seconds / lines, bytes as f64 / lines))
}

/// Ratios by which a stage's seconds and bytes per line grow.
fn growth(scaled: &Scaled, stage: Option<&str>) -> Option<(f64, f64)> {
    let (from, to) = (per_line(&scaled.from, stage)?, per_line(&scaled.to, stage)?);
    (from.0 > 0.0 && from.1 > 0.0).then(|| (to.0 / from.0, to.1 / from.1))
}

fn cameras_json(cameras: &[BenchCamera]) -> Vec<Value> {
    let camera = |c: &BenchCamera| json!({"name": c.name, "pixels": c.shape.0, "bands": c.shape.1, "lines": c.lines, "rate_hz": c.rate_hz});
    cameras.iter().map(camera).collect()
}

/// The disk's stalls, and the pool that they ask for.
fn show_stalls(stalled: &Stalled) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Stalled { seconds, rates: (wanted, taken), longest_s, pool_s, cameras } = stalled;
    writeln!(
        out,
        "disk: written for {seconds} s as recordings are, {:.1} of {:.1} MB/s; longest stall {longest_s:.2} s",
        taken / 1e6,
        wanted / 1e6
    )?;
    let Some(pool_s) = pool_s else {
        return writeln!(out, "the disk does not take the recordings: no frame pool helps");
    };
    writeln!(out, "it asks for frame pools of {pool_s:.1} s:")?;
    for (name, bridged) in cameras {
        match bridged {
            Some(bridged) if bridged < pool_s => writeln!(out, "  {name}: bridges {bridged:.2} s; set pool_s = {pool_s:.1}"),
            Some(bridged) => writeln!(out, "  {name}: bridges {bridged:.2} s, which is enough"),
            None => writeln!(out, "  {name}: its source waits for the disk"),
        }?;
    }
    Ok(())
}

fn stalls_json(stalled: &Stalled) -> Value {
    let Stalled { seconds, rates: (wanted, taken), longest_s, pool_s, cameras } = stalled;
    let cameras: Vec<Value> = cameras.iter().map(|(name, bridged)| json!({"name": name, "pool_s": bridged})).collect();
    json!({
        "seconds": seconds, "bytes_per_s": wanted, "taken_bytes_per_s": taken, "longest_stall_s": longest_s, "pool_s": pool_s,
        "cameras": cameras,
    })
}

fn as_json(measured: &Measured, scaled: &[Scaled], stalled: Option<&Stalled>, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    let stage = |seconds: f64| {
        let (lines_per_s, of_rig) = speed(measured, seconds);
        json!({"seconds": seconds, "lines_per_s": lines_per_s, "of_rig": of_rig})
    };
    let shown: Vec<_> = measured.stages.iter().filter(|stage| wanted(&stage.name)).collect();
    let stages: Map<_, _> = shown.iter().map(|one| (one.name.clone(), stage(one.seconds))).collect();
    let mut all = json!({
        "cameras": cameras_json(&measured.cameras), "scan_s": measured.scan_s, "stages": stages, "whole": stage(measured.whole.0),
    });
    if let Some(stalled) = stalled {
        all["disk"] = stalls_json(stalled);
    }
    if !scaled.is_empty() {
        let figures = |measured: &Measured, stage| {
            per_line(measured, stage).map(|(seconds, bytes)| json!({"seconds_per_line": seconds, "bytes_per_line": bytes}))
        };
        let grown = |scaled: &Scaled, stage| {
            let ratio = growth(scaled, stage).map(|(seconds, bytes)| json!({"seconds": seconds, "bytes": bytes}));
            json!({"from": figures(&scaled.from, stage), "to": figures(&scaled.to, stage), "ratio": ratio})
        };
        let case = |scaled: &Scaled| {
            let stages: Map<_, _> = shown.iter().map(|one| (one.name.clone(), grown(scaled, Some(&one.name)))).collect();
            let cameras = json!({"from": cameras_json(&scaled.from.cameras), "to": cameras_json(&scaled.to.cameras)});
            (scaled.what.to_owned(), json!({"cameras": cameras, "stages": stages, "whole": grown(scaled, None)}))
        };
        all["scale"] = scaled.iter().map(case).collect::<Map<_, _>>().into();
    }
    writeln!(io::stdout(), "{all}")
}

fn as_text(measured: &Measured, scaled: &[Scaled], wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for BenchCamera { name, shape: (pixels, bands), lines, rate_hz } in &measured.cameras {
        writeln!(out, "{name}: {lines} lines of {pixels} px x {bands} bands; the rig gives {rate_hz:.1} lines/s")?;
    }
    writeln!(out, "{:>16} {:>10} {:>12}", "stage", "lines/s", "of the rig's")?;
    let stages = || measured.stages.iter().filter(|stage| wanted(&stage.name));
    for (name, seconds) in stages().map(|stage| (stage.name.as_str(), stage.seconds)).chain([("whole", measured.whole.0)]) {
        let (lines_per_s, times) = speed(measured, seconds);
        writeln!(out, "{name:>16} {lines_per_s:>10.0} {:>11.0} %", 100.0 * times)?;
    }
    let (_, times) = speed(measured, measured.whole.0);
    if times < 1.0 {
        writeln!(out, "this machine does not keep up: the slowest stage, and the disk, are where to look")?;
    } else {
        writeln!(out, "this machine keeps up, {times:.1} times as fast as the rig")?;
    }
    if scaled.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nper line, and how many times the seconds (and the bytes) of a line are")?;
    write!(out, "{:>16} {:>10} {:>10}", "stage", "us/line", "KiB/line")?;
    for Scaled { what, .. } in scaled {
        let title = if *what == "cameras" { "all cameras".to_owned() } else { format!("{what} x 2") };
        write!(out, " {title:>14}")?;
    }
    writeln!(out)?;
    for (name, stage) in stages().map(|stage| (stage.name.as_str(), Some(stage.name.as_str()))).chain([("whole", None)]) {
        let (seconds, bytes) = per_line(measured, stage).unwrap_or_default();
        write!(out, "{name:>16} {:>10.1} {:>10.1}", seconds * 1e6, bytes / 1024.0)?;
        for scaled in scaled {
            let ratio = growth(scaled, stage).map_or("-".into(), |(seconds, bytes)| format!("{seconds:.2} ({bytes:.2})"));
            write!(out, " {ratio:>14}")?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "a stage that scales as it should needs as many times the seconds as it has bytes; \"all cameras\" is beside the first alone"
    )
}
