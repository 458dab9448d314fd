//! What a sample's file says besides its cube: the sample, the instruments, their calibration, the native lines, the program.

use super::grid::NANOSECONDS;
use super::node::{Annotate, Node};
use super::output::Output;
use super::sample_file::{Complete, Seen};
use super::tables::Tables;
use super::{StoreError, scale};
use crate::calibrate::{BadElement, Calibration, Reference};
use crate::context::{CameraContext, ScanContext};
use crate::scan::{LedgerLine, LineStatus};
use crate::segment::Sample;
use contract::{Exposure, Values};
use std::sync::Arc;

/// Names of /entry/sample that a sample key must not take.
const OWN: [&str; 5] = ["name", "container", "tray", "footprint", "vars"];

/// Where a sample key is written in /entry/sample.
pub(crate) fn key_name(key: &str) -> String {
    if OWN.contains(&key) { format!("{key}_") } else { key.to_owned() }
}

/// Writes everything below /entry but the cube's group. `tables` are those of each camera.
pub(super) fn write(
    entry: &Node,
    context: &ScanContext,
    (tables, output): (&[Option<Tables>], &Arc<Output>),
    sample: &Sample,
    seen: &Seen,
    complete: &Complete,
) -> Result<(), StoreError> {
    let name = &sample.container.sample;
    entry.text("title", &format!("{name} in {} of tray {}", sample.container.at, context.tray.tray))?;
    entry.text("entry_identifier", &context.scan_id)?;
    if let Some((start, end)) = seen.times_ns {
        entry.text("start_time", &iso(start))?;
        entry.text("end_time", &iso(end))?;
    }
    about_sample(entry, context, sample, seen, &complete.doubts)?;
    let instrument = entry.node("instrument", "NXinstrument")?;
    let calibration = entry.node("calibration", "NXcollection")?;
    let ledger = entry.node("ledger", "NXcollection")?;
    for ((camera, tables), lines) in context.cameras.iter().zip(tables).zip(&complete.lines) {
        detector(&instrument, camera)?;
        about_calibration(&calibration, camera, tables.as_ref(), output)?;
        native_lines(&ledger, camera, lines)?;
    }
    process(entry, context)
}

fn about_sample(entry: &Node, context: &ScanContext, sample: &Sample, seen: &Seen, doubts: &[String]) -> Result<(), StoreError> {
    let container = &sample.container;
    let node = entry.node("sample", "NXsample")?;
    node.text("name", &container.sample)?;
    node.text("container", &container.at)?;
    node.text("tray", &context.tray.tray)?;
    let keys: Vec<&str> = container.keys.keys().map(String::as_str).collect();
    if !keys.is_empty() {
        node.set_texts("keys", &keys)?;
    }
    for (key, value) in &container.keys {
        node.text(&key_name(key), value)?;
    }
    if !doubts.is_empty() {
        node.set_texts("doubts", &doubts.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    if !container.vars.is_empty() {
        let vars = node.node("vars", "NXcollection")?;
        for (name, value) in &container.vars {
            // Attributes, because their names may hold anything: `Cu/Fe` is one name, and no path.
            vars.set(if name.is_empty() { "unnamed" } else { name }, *value)?;
        }
    }
    let footprint = node.node("footprint", "NXcollection")?;
    let (x, y, width, length, shape, source) = if let Some(f) = container.footprint {
        (f.x_mm, f.y_mm, f.width_mm, f.length_mm, if f.round { "round" } else { "rectangular" }, "tray map")
    } else {
        let axes = &context.axes;
        let (first, last) = seen.pixel_span.unwrap_or((0, sample.width.saturating_sub(1)));
        let (top, bottom) = seen.line_span.unwrap_or((0, seen.lines.saturating_sub(1)));
        let x = axes.x_mm(sample.first_pixel + first) - axes.pixel_mm / 2.0;
        let y = axes.y_mm(sample.first_row + i64::from(top)) - axes.pixel_mm / 2.0;
        let right = axes.x_mm(sample.first_pixel + last) + axes.pixel_mm / 2.0;
        let end = axes.y_mm(sample.first_row + i64::from(bottom)) + axes.pixel_mm / 2.0;
        (x, y, right - x, end - y, "bounding box", "segmentation")
    };
    for (name, value) in [("x", x), ("y", y), ("width", width), ("length", length)] {
        footprint.scalar(name, value)?.units("mm")?;
    }
    footprint.text("shape", shape)?;
    footprint.text("source", source).map(drop)
}

fn settings(node: &impl Annotate, exposure: &Exposure) -> Result<(), StoreError> {
    node.set("exposure_us", exposure.exposure_us)?;
    node.set("frame_rate_hz", exposure.frame_rate_hz)?;
    node.set_list("binning", &[exposure.binning.0, exposure.binning.1])
}

fn detector(instrument: &Node, camera: &CameraContext) -> Result<(), StoreError> {
    let node = instrument.node(&camera.name, "NXdetector")?;
    let about = &camera.description;
    node.text("local_name", &camera.name)?;
    node.text("model", &about.model)?;
    node.text("serial_number", &about.serial)?;
    node.scalar("count_time", camera.exposure.exposure_us)?.units("us")?;
    node.scalar("frame_rate", camera.exposure.frame_rate_hz)?.units("Hz")?;
    node.scalar("binning_spatial", camera.exposure.binning.0)?;
    node.scalar("binning_spectral", camera.exposure.binning.1)?;
    node.scalar("pixels", about.layout.pixels as u64)?;
    if let Some(saturation) = about.saturation {
        node.scalar("saturation_value", saturation)?.units("counts")?;
    }
    let kind = match about.values {
        Values::Counts => "counts",
        Values::Reflectance { .. } => "reflectance",
    };
    node.text("values", kind)?;
    node.list("wavelength", &about.wavelengths_nm)?.units("nm")?;
    let Some(fwhm) = &about.fwhm_nm else { return scale::attach(&node, &["wavelength"], &[]) };
    node.list("fwhm", fwhm)?.units("nm")?;
    scale::attach(&node, &["wavelength"], &[("fwhm", &["wavelength"])])
}

fn about_calibration(parent: &Node, camera: &CameraContext, tables: Option<&Tables>, output: &Arc<Output>) -> Result<(), StoreError> {
    let node = parent.node(&camera.name, "NXcollection")?;
    let (referenced, tables) = match (camera.calibration.as_ref(), tables) {
        (Calibration::Referenced(referenced), Some(tables)) => (referenced, tables),
        (Calibration::Scaled { scale, ignore }, _) => {
            node.text("kind", "scaled")?;
            node.scalar("scale", *scale)?;
            return ignore.map_or(Ok(()), |ignore| node.scalar("ignore", ignore).map(drop));
        }
        (Calibration::Referenced(_), None) => return Ok(()),
    };
    node.text("kind", "referenced")?;
    let (pixels, bands) = (camera.description.layout.pixels, camera.description.layout.bands);
    let numbers: Vec<u32> = (0..).take(pixels).collect();
    node.list("pixel", &numbers)?.set_text("long_name", "pixel of the detector")?;
    node.list("wavelength", &camera.description.wavelengths_nm)?.units("nm")?;
    let axes: &[&str] = &["pixel", "wavelength"];
    let mut fields = Vec::new();
    let shape = [pixels, bands];
    let both = [("dark", "dark_sd", &referenced.dark, &tables.dark), ("white", "white_sd", &referenced.white, &tables.white)];
    for (name, sd_name, reference, [mean, sd]) in both {
        let Reference { frames, taken_ns, exposure, temperature_c, .. } = &**reference;
        let field = node.block::<f32>(name, &shape, mean, output)?.units("counts")?;
        field.set_text("time", &iso(*taken_ns))?;
        field.set("frames", *frames)?;
        settings(&field, exposure)?;
        if let Some(temperature_c) = temperature_c {
            field.set("temperature_c", *temperature_c)?;
        }
        let field = node.block::<f32>(sd_name, &shape, sd, output)?.units("counts")?;
        field.set_text("long_name", "standard deviation over the frames")?;
        fields.extend([(name, axes), (sd_name, axes)]);
    }
    let bad = node.block::<u8>("bad_pixel", &shape, &tables.bad, output)?;
    bad.set_list("flag_masks", &BadElement::NAMES.map(|(flag, _)| flag))?;
    bad.set_text("flag_meanings", &BadElement::NAMES.map(|(_, name)| name).join(" "))?;
    if let Some((drift, after)) = referenced.drift.as_ref().zip(tables.dark_after.as_ref()) {
        let field = node.block::<f32>("dark_after", &shape, after, output)?.units("counts")?;
        field.set_text("time", &iso(drift.after.taken_ns))?;
        fields.push(("dark_after", axes));
    }
    node.list("panel_reflectance", &referenced.panel)?.units("1")?;
    fields.extend([("bad_pixel", axes), ("panel_reflectance", &axes[1..])]);
    scale::attach(&node, axes, &fields)
}

fn native_lines(parent: &Node, camera: &CameraContext, lines: &[LedgerLine]) -> Result<(), StoreError> {
    let node = parent.node(&camera.name, "NXcollection")?;
    if lines.is_empty() {
        // Datasets without a value keep HyperSpy (RosettaSciIO 0.15) from opening the file.
        return Ok(());
    }
    let list = |value: fn(&LedgerLine) -> f64| lines.iter().map(value).collect::<Vec<_>>();
    let frames: Vec<u64> = lines.iter().map(|l| l.frame).collect();
    node.list("frame", &frames)?.set_text("long_name", "frame number of the camera")?;
    let mut fields = vec!["time", "position", "y", "status"];
    let times: Vec<i64> = lines.iter().map(|l| l.time_ns).collect();
    let time = node.list("time", &times)?.units(NANOSECONDS)?;
    time.set_text("calendar", "standard")?;
    time.set_text("long_name", "host time at exposure")?;
    if lines.iter().any(|l| l.device_time_ns.is_some()) {
        let device: Vec<i64> = lines.iter().map(|l| l.device_time_ns.and_then(|t| i64::try_from(t).ok()).unwrap_or(-1)).collect();
        node.list("device_time", &device)?.set_text("long_name", "clock of the camera at exposure, ns; -1 where it gave none")?;
        fields.push("device_time");
    }
    node.list("position", &list(|l| l.position_mm))?.units("mm")?.set_text("long_name", "belt position at exposure")?;
    node.list("y", &list(|l| l.y_mm))?.units("mm")?.set_text("long_name", "where the line lies along the tray")?;
    #[expect(clippy::cast_possible_truncation, reason = "an exposure needs no more than f32")]
    let setting = camera.exposure.exposure_us as f32;
    let exposures: Vec<f32> = lines.iter().map(|l| l.exposure_us.unwrap_or(setting)).collect();
    node.list("exposure", &exposures)?.units("us")?.set_text("long_name", "exposure, as the frame says it, else as it was set")?;
    fields.push("exposure");
    if lines.iter().any(|l| l.temperature_c.is_some()) {
        let temperatures: Vec<f32> = lines.iter().map(|l| l.temperature_c.unwrap_or(f32::NAN)).collect();
        node.list("temperature", &temperatures)?.units("degC")?.set_text("long_name", "detector temperature")?;
        fields.push("temperature");
    }
    let status = node.list("status", &lines.iter().map(|l| l.status as u8).collect::<Vec<_>>())?;
    status.set_list("flag_values", &LineStatus::ALL.map(|s| s as u8))?;
    status.set_text("flag_meanings", &LineStatus::ALL.map(LineStatus::word).join(" "))?;
    let axes: &[&str] = &["frame"];
    scale::attach(&node, axes, &fields.into_iter().map(|field| (field, axes)).collect::<Vec<_>>())
}

fn process(entry: &Node, context: &ScanContext) -> Result<(), StoreError> {
    let node = entry.node("process", "NXprocess")?;
    node.text("program", "hyclus")?;
    node.text("version", crate::VERSION)?;
    if let Some(commit) = option_env!("HYCLUS_COMMIT") {
        node.text("commit", commit)?;
    }
    node.text("scan", &context.scan_id)?;
    node.text("configuration", &context.configuration)?;
    node.text("configuration_sha256", &context.configuration_sha256)?;
    if let Some(encoder) = &context.encoder {
        node.text("encoder", &encoder.name)?;
        node.text("encoder_sha256", &encoder.sha256)?;
    }
    Ok(())
}

/// ISO 8601 in UTC, to the nanosecond where there is one.
fn iso(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns)).map_or_else(|_| time_ns.to_string(), |t| t.to_string())
}
