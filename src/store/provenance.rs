//! The contents of a sample's file beside its cube: the sample, the instruments, their calibration, the native lines, the program.

use super::error::StoreError;
use super::grid::{LEAP_SECONDS, NANOSECONDS};
use super::node::{Annotate, Field, Node};
use super::output::Output;
use super::scale;
use super::seen::{Complete, Seen};
use super::tables::Tables;
use super::uncertainty;
use crate::config::CorrectionConfig;
use crate::context::{CameraContext, ScanContext};
use crate::disk::Buffer;
use crate::reference::{BadElement, Calibration, Reference};
use crate::scan::{LedgerLine, LineStatus, iso_exact as iso};
use crate::schema::{self, attribute, calibration, class, detector, footprint, ledger, process, sample};
use crate::segment::Sample;
use crate::uncertainty::{CameraOnGrid, Figures};
use contract::{Exposure, Values};
use std::sync::Arc;

/// Writes everything below `/entry` but the groups of the cubes, and what CF asks of the root. `tables` holds one entry for each camera.
pub(super) fn write(
    (root, entry): (&Node, &Node),
    context: &ScanContext,
    (tables, output): (&[Option<Tables>], &Arc<Output>),
    sample: &Sample,
    seen: &Seen,
    complete: &Complete,
) -> Result<(), StoreError> {
    let name = &sample.container.sample;
    let title = format!("{name} in {} of tray {}", sample.container.at, context.tray.tray);
    root.set_text(attribute::TITLE, &title)?;
    // The time of the measurement. One of processing would give other bytes each time.
    let seen_at = seen.times_ns.map_or_else(String::new, |(start, _)| format!("{} ", iso(start)));
    root.set_text(attribute::HISTORY, &format!("{seen_at}hyclus {}: measured in scan {}", crate::VERSION, context.scan_id))?;
    entry.text(schema::entry::TITLE, &title)?;
    entry.text(schema::entry::IDENTIFIER, &context.scan_id)?;
    if let Some((start, end)) = seen.times_ns {
        entry.text(schema::entry::START_TIME, &iso(start))?;
        entry.text(schema::entry::END_TIME, &iso(end))?;
    }
    about_sample(entry, context, sample, seen, &complete.doubts)?;
    let instruments = entry.node(schema::entry::INSTRUMENT, class::INSTRUMENT)?;
    let calibrations = entry.node(schema::entry::CALIBRATION, class::COLLECTION)?;
    let ledgers = entry.node(schema::entry::LEDGER, class::COLLECTION)?;
    for (at, ((camera, tables), lines)) in context.cameras.iter().zip(tables).zip(&complete.lines).enumerate() {
        let on_grid = context.uncertainty.as_ref().and_then(|uncertainty| uncertainty.cameras().get(at));
        about_detector(&instruments, camera, on_grid.and_then(CameraOnGrid::figures))?;
        let calibrated = about_calibration(&calibrations, camera, tables.as_ref(), output)?;
        sample.levels.get(at).map_or(Ok(()), |level| calibrated.set(calibration::LEVEL, *level))?;
        native_lines(&ledgers, camera, lines)?;
    }
    about_process(entry, context)
}

fn about_sample(entry: &Node, context: &ScanContext, sample: &Sample, seen: &Seen, doubts: &[String]) -> Result<(), StoreError> {
    let container = &sample.container;
    let node = entry.node(schema::entry::SAMPLE, class::SAMPLE)?;
    node.text(sample::NAME, &container.sample)?;
    node.text(sample::CONTAINER, &container.at)?;
    node.text(sample::TRAY, &context.tray.tray)?;
    let keys: Vec<&str> = container.keys.keys().map(String::as_str).collect();
    if !keys.is_empty() {
        node.set_texts(sample::KEYS, &keys)?;
    }
    for (key, value) in &container.keys {
        node.text(&sample::key(key), value)?;
    }
    if !doubts.is_empty() {
        node.set_texts(sample::DOUBTS, &doubts.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    if !container.vars.is_empty() {
        let vars = node.node(sample::VARS, class::COLLECTION)?;
        vars.text(schema::DESCRIPTION, "numbers of the tray map, one attribute each")?;
        for (name, value) in &container.vars {
            // Attributes, because their names may hold any character. `Cu/Fe` is one name and no path.
            vars.set(if name.is_empty() { sample::UNNAMED } else { name }, *value)?;
        }
    }
    let place = node.node(sample::FOOTPRINT, class::COLLECTION)?;
    let (x, y, width, length, shape, source) = if let Some(f) = container.footprint {
        (f.x_mm, f.y_mm, f.width_mm, f.length_mm, if f.round { "round" } else { "rectangular" }, "tray map")
    } else {
        let axes = &context.axes;
        let (first, last) = seen.pixel_span.unwrap_or((0, sample.width.saturating_sub(1)));
        let (top, bottom) = seen.line_span.unwrap_or((0, seen.lines.saturating_sub(1)));
        // The container reaches further than the mask, by the rim.
        let beyond = axes.pixel_mm / 2.0 + sample.rim_mm;
        let x = axes.x_mm(sample.first_pixel + first) - beyond;
        let y = axes.y_mm(sample.first_row + i64::from(top)) - beyond;
        let right = axes.x_mm(sample.first_pixel + last) + beyond;
        let end = axes.y_mm(sample.first_row + i64::from(bottom)) + beyond;
        (x, y, right - x, end - y, "bounding box", "segmentation")
    };
    place.scalar(footprint::X, x)?.units("mm")?.called("left edge across the tray")?;
    place.scalar(footprint::Y, y)?.units("mm")?.called("leading edge along the tray")?;
    place.scalar(footprint::WIDTH, width)?.units("mm")?.called("extent across the tray")?;
    place.scalar(footprint::LENGTH, length)?.units("mm")?.called("extent along the tray")?;
    place.text(footprint::SHAPE, shape)?;
    place.text(footprint::SOURCE, source).map(drop)
}

fn settings(node: &impl Annotate, exposure: &Exposure) -> Result<(), StoreError> {
    node.set(calibration::EXPOSURE_US, exposure.exposure_us)?;
    node.set(calibration::FRAME_RATE_HZ, exposure.frame_rate_hz)?;
    node.set_list(calibration::BINNING, &[exposure.binning.0, exposure.binning.1])
}

fn about_detector(instrument: &Node, camera: &CameraContext, figures: Option<&Figures>) -> Result<(), StoreError> {
    let node = instrument.node(&camera.name, class::DETECTOR)?;
    let about = &camera.description;
    node.text(detector::LOCAL_NAME, &camera.name)?;
    node.text(detector::MODEL, &about.model)?;
    node.text(detector::SERIAL_NUMBER, &about.serial)?;
    node.scalar(detector::COUNT_TIME, camera.exposure.exposure_us)?.units("us")?.called("exposure")?;
    node.scalar(detector::FRAME_RATE, camera.exposure.frame_rate_hz)?.units("Hz")?.called("lines per second")?;
    node.scalar(detector::BINNING_SPATIAL, camera.exposure.binning.0)?;
    node.scalar(detector::BINNING_SPECTRAL, camera.exposure.binning.1)?;
    node.scalar(detector::PIXELS, about.layout.pixels as u64)?;
    if let Some(saturation) = about.saturation {
        node.scalar(detector::SATURATION_VALUE, saturation)?.units("counts")?.called("saturated from here on")?;
    }
    let kind = match about.values {
        Values::Counts => "counts",
        Values::Reflectance { .. } => "reflectance",
    };
    node.text(detector::VALUES, kind)?;
    node.list(detector::WAVELENGTH, &about.wavelengths_nm)?.units("nm")?.set_text(attribute::STANDARD_NAME, "radiation_wavelength")?;
    let mut fields = Vec::new();
    if let Some(fwhm) = &about.fwhm_nm {
        node.list(detector::FWHM, fwhm)?.units("nm")?.called("full width of the band at half maximum")?;
        fields.push(detector::FWHM.to_owned());
    }
    if let Some(figures) = figures {
        fields.extend(uncertainty::figures(&node, figures)?);
    }
    let axes: &[&str] = &[detector::WAVELENGTH];
    scale::attach(&node, axes, &fields.iter().map(|field| (field.as_str(), axes)).collect::<Vec<_>>())
}

fn about_calibration(parent: &Node, camera: &CameraContext, tables: Option<&Tables>, output: &Arc<Output>) -> Result<Node, StoreError> {
    let node = parent.node(&camera.name, class::COLLECTION)?;
    let CorrectionConfig { wavelength_shift_nm, smile_nm, linearity, stray_light, keystone_px, yaw_deg } = &camera.correction;
    let numbers = [
        (calibration::WAVELENGTH_SHIFT_NM, wavelength_shift_nm),
        (calibration::SMILE_NM, smile_nm),
        (calibration::STRAY_LIGHT, stray_light),
        (calibration::KEYSTONE_PX, keystone_px),
        (calibration::YAW_DEG, yaw_deg),
    ];
    for (name, number) in numbers.into_iter().filter(|(_, number)| **number != 0.0) {
        node.set(name, *number)?;
    }
    if !linearity.is_empty() {
        node.set_list(calibration::LINEARITY, linearity)?;
    }
    let (referenced, tables) = match (camera.calibration.as_ref(), tables) {
        (Calibration::Referenced(referenced), Some(tables)) => (referenced, tables),
        (Calibration::Scaled { scale, ignore }, _) => {
            node.text(calibration::KIND, "scaled")?;
            node.scalar(calibration::SCALE, *scale)?;
            ignore.map_or(Ok(()), |ignore| node.scalar(calibration::IGNORE, ignore).map(drop))?;
            return Ok(node);
        }
        (Calibration::Referenced(_), None) => return Ok(node),
    };
    node.text(calibration::KIND, "referenced")?;
    let (pixels, bands) = (camera.description.layout.pixels, camera.description.layout.bands);
    let numbers: Vec<u32> = (0..).take(pixels).collect();
    node.list(calibration::PIXEL, &numbers)?.called("pixel of the detector")?;
    node.list(calibration::WAVELENGTH, &camera.description.wavelengths_nm)?
        .units("nm")?
        .set_text(attribute::STANDARD_NAME, "radiation_wavelength")?;
    let axes: &[&str] = &[calibration::PIXEL, calibration::WAVELENGTH];
    let mut fields = Vec::new();
    let shape = [pixels, bands];
    let both = [
        (calibration::DARK, "mean of the dark reference", calibration::DARK_SD, &referenced.dark, &tables.dark),
        (calibration::WHITE, "mean of the white reference", calibration::WHITE_SD, &referenced.white, &tables.white),
    ];
    let mean_of = |name: &str, long_name: &str, reference: &Reference, mean: &Arc<Buffer>| -> Result<Field, StoreError> {
        let field = node.block::<f32>(name, &shape, mean, output)?.units("counts")?;
        field.called(long_name)?;
        field.set_text(calibration::TIME, &iso(reference.taken_ns))?;
        field.set(calibration::FRAMES, reference.frames)?;
        settings(&field, &reference.exposure)?;
        reference.temperature_c.map_or(Ok(()), |celsius| field.set(calibration::TEMPERATURE_C, celsius))?;
        Ok(field)
    };
    for (name, long_name, sd_name, reference, [mean, sd]) in both {
        mean_of(name, long_name, reference, mean)?;
        let field = node.block::<f32>(sd_name, &shape, sd, output)?.units("counts")?;
        field.called("standard deviation over the frames")?;
        fields.extend([(name, axes), (sd_name, axes)]);
    }
    let bad = node.block::<u8>(calibration::BAD_PIXEL, &shape, &tables.bad, output)?;
    bad.called("why an element is not used")?;
    bad.set_list(attribute::FLAG_MASKS, &BadElement::NAMES.map(|(flag, _)| flag))?;
    bad.set_text(attribute::FLAG_MEANINGS, &BadElement::NAMES.map(|(_, name)| name).join(" "))?;
    if let Some((dark, mean)) = referenced.white_dark.as_ref().zip(tables.white_dark.as_ref()) {
        mean_of(calibration::WHITE_DARK, "mean of the dark reference of the white one", dark, mean)?;
        fields.push((calibration::WHITE_DARK, axes));
    }
    if let Some((drift, mean)) = referenced.drift.as_ref().zip(tables.dark_after.as_ref()) {
        let field = mean_of(calibration::DARK_AFTER, "mean of the dark reference after the scan", &drift.after, mean)?;
        field.set_texts(calibration::INTERPOLATED, &[&*iso(drift.between_ns.0), &*iso(drift.between_ns.1)])?;
        fields.push((calibration::DARK_AFTER, axes));
    }
    if let Some(light) = &referenced.light {
        let field = node.list(calibration::LIGHT_CHANGE, &light.change)?.units("1")?;
        field.called("change of the light from the white reference before the scan to the one after it, as a share")?;
        field.set_texts(calibration::INTERPOLATED, &[&*iso(light.between_ns.0), &*iso(light.between_ns.1)])?;
        fields.push((calibration::LIGHT_CHANGE, &axes[1..]));
    }
    let panel = node.list(calibration::PANEL_REFLECTANCE, &referenced.panel)?.units("1")?;
    panel.called("reflectance of the white panel")?;
    if referenced.height_factor != 1.0 {
        panel.set(calibration::HEIGHT_FACTOR, referenced.height_factor)?;
    }
    if let Some(evenness) = &referenced.evenness {
        let field = node.list(calibration::PANEL_EVENNESS, evenness)?.units("1")?;
        field.called("reflectance of the panel at each pixel, as a share of panel_reflectance")?;
        fields.push((calibration::PANEL_EVENNESS, &axes[..1]));
    }
    if let Some(uncertainty) = &referenced.panel_uncertainty {
        let field = node.list(calibration::PANEL_UNCERTAINTY, uncertainty)?.units("1")?;
        field.called("standard uncertainty (k = 1) of panel_reflectance")?;
        fields.push((calibration::PANEL_UNCERTAINTY, &axes[1..]));
    }
    if let Some(certificate) = &referenced.certificate {
        node.text(calibration::PANEL_CERTIFICATE, &certificate.text)?;
        node.text(calibration::PANEL_CERTIFICATE_SHA256, &certificate.sha256)?;
    }
    fields.extend([(calibration::BAD_PIXEL, axes), (calibration::PANEL_REFLECTANCE, &axes[1..])]);
    scale::attach(&node, axes, &fields)?;
    Ok(node)
}

fn native_lines(parent: &Node, camera: &CameraContext, lines: &[LedgerLine]) -> Result<(), StoreError> {
    let node = parent.node(&camera.name, class::COLLECTION)?;
    if lines.is_empty() {
        // Datasets without a value keep HyperSpy (RosettaSciIO 0.15) from opening the file.
        return node.text(schema::DESCRIPTION, "no line of this camera lies on the sample").map(drop);
    }
    let list = |value: fn(&LedgerLine) -> f64| lines.iter().map(value).collect::<Vec<_>>();
    let frames: Vec<u64> = lines.iter().map(|l| l.frame).collect();
    node.list(ledger::FRAME, &frames)?.called("frame number of the camera")?;
    let mut fields = vec![ledger::TIME, ledger::POSITION, ledger::Y, ledger::STATUS];
    let times: Vec<i64> = lines.iter().map(|l| l.time_ns).collect();
    let time = node.list(ledger::TIME, &times)?.units(NANOSECONDS)?;
    time.set_text(attribute::CALENDAR, "standard")?;
    time.set_text(attribute::UNITS_METADATA, LEAP_SECONDS)?;
    time.called("host time at exposure")?;
    if lines.iter().any(|l| l.device_time_ns.is_some()) {
        let device: Vec<i64> = lines.iter().map(|l| l.device_time_ns.and_then(|t| i64::try_from(t).ok()).unwrap_or(-1)).collect();
        node.list(ledger::DEVICE_TIME, &device)?.called("clock of the camera at exposure, ns; -1 where it gave none")?;
        fields.push(ledger::DEVICE_TIME);
    }
    node.list(ledger::POSITION, &list(|l| l.position_mm))?.units("mm")?.called("belt position at exposure")?;
    node.list(ledger::Y, &list(|l| l.y_mm))?.units("mm")?.called("where the line lies along the tray")?;
    #[expect(clippy::cast_possible_truncation, reason = "an exposure needs no more than f32")]
    let setting = camera.exposure.exposure_us as f32;
    let exposures: Vec<f32> = lines.iter().map(|l| l.exposure_us.unwrap_or(setting)).collect();
    node.list(ledger::EXPOSURE, &exposures)?.units("us")?.called("exposure, as the frame says it, else as it was set")?;
    fields.push(ledger::EXPOSURE);
    if lines.iter().any(|l| l.temperature_c.is_some()) {
        let temperatures: Vec<f32> = lines.iter().map(|l| l.temperature_c.unwrap_or(f32::NAN)).collect();
        node.list(ledger::TEMPERATURE, &temperatures)?.units("degC")?.called("detector temperature")?;
        fields.push(ledger::TEMPERATURE);
    }
    let status = node.list(ledger::STATUS, &lines.iter().map(|l| l.status as u8).collect::<Vec<_>>())?;
    status.called("whether the line could be used")?;
    status.set_list(attribute::FLAG_VALUES, &LineStatus::ALL.map(|s| s as u8))?;
    status.set_text(attribute::FLAG_MEANINGS, &LineStatus::ALL.map(LineStatus::word).join(" "))?;
    let axes: &[&str] = &[ledger::FRAME];
    scale::attach(&node, axes, &fields.into_iter().map(|field| (field, axes)).collect::<Vec<_>>())
}

fn about_process(entry: &Node, context: &ScanContext) -> Result<(), StoreError> {
    let node = entry.node(schema::entry::PROCESS, class::PROCESS)?;
    node.text(process::PROGRAM, "hyclus")?;
    node.text(process::VERSION, crate::VERSION)?;
    if let Some(commit) = option_env!("HYCLUS_COMMIT") {
        node.text(process::COMMIT, commit)?;
    }
    node.text(process::SCAN, &context.scan_id)?;
    node.text(process::CONFIGURATION, &context.configuration)?;
    node.text(process::CONFIGURATION_SHA256, &context.configuration_sha256)?;
    if let Some(encoder) = &context.encoder {
        node.text(process::ENCODER, &encoder.name)?;
        node.text(process::ENCODER_SHA256, &encoder.sha256)?;
    }
    Ok(())
}
