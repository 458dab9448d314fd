//! Formats answers of the daemon as text for people.

use crate::scan::{
    DeviceStatus, EncoderStatus, Event, EventKind, FilesHere, HeadValue, LineCounts, MAIN, Pending, PendingMinerals, ReferenceKind,
    ReferenceStatus, SampleMinerals, SampleRecord, ScanRecord, StateName, Status, of_encoder, unlike,
};
use crate::terminal::{Plain, document};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

/// Rows under a head, in columns. Columns of numbers are aligned to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let number = |cell: &str| cell.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '%'));
    let right: Vec<bool> = (0..head.len()).map(|i| rows.iter().all(|row| number(&row[i]))).collect();
    let width: Vec<usize> = (0..head.len())
        .map(|i| rows.iter().map(|row| row[i].chars().count()).chain([head[i].chars().count()]).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let width = width[i];
            let _ = if right[i] { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The name of a state in the interface.
fn name(state: StateName) -> String {
    serde_json::to_value(state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn kind(kind: ReferenceKind) -> &'static str {
    match kind {
        ReferenceKind::Dark => "dark",
        ReferenceKind::White => "white",
    }
}

/// An age in its largest fitting unit.
fn age(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else if seconds < 7200.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn bytes(n: u64) -> String {
    let n = n as f64;
    [("TB", 1e12), ("GB", 1e9), ("MB", 1e6)]
        .iter()
        .find(|(_, unit)| n >= *unit)
        .map_or_else(|| format!("{n} B"), |(name, unit)| format!("{:.1} {name}", n / unit))
}

/// `hyclus status`.
pub fn status(status: &Status) -> String {
    let mut text = format!("{}: {}", status.rig, name(status.state));
    if let Some(cause) = &status.cause {
        let _ = write!(text, ": {cause}");
    }
    if status.state == StateName::Faulted {
        text.push_str("\n`hyclus acknowledge` takes note of the fault");
    }
    text.push('\n');
    if let Some(scan) = &status.scan {
        let _ = writeln!(
            text,
            "scan {}: belt {:.1} of {:.1} mm, {} samples, {} embeddings",
            scan.scan, scan.position_mm, scan.end_mm, scan.samples, scan.embeddings
        );
        text.push_str(&sums(&scan.cameras));
    }
    for (scan, reason) in &status.set_aside {
        let _ = writeln!(text, "scan {scan} could not be recovered and is set aside: {reason}");
    }
    for (scan, pending) in &status.pending {
        let _ = writeln!(text, "{}", lacks(scan, MAIN, pending));
    }
    for (scan, encoders) in &status.pending_encoders {
        encoders.iter().for_each(|(encoder, pending)| _ = writeln!(text, "{}", lacks(scan, encoder, pending)));
    }
    for (scan, pending) in &status.pending_minerals {
        let _ = writeln!(text, "{}", lacks_minerals(scan, pending));
    }
    for block in [devices(&status.devices), references(&status.references)] {
        if !block.is_empty() {
            let _ = write!(text, "\n{block}");
        }
    }
    let busy: Vec<String> = status.queues.iter().filter(|(_, fill)| fill[0] > 0).map(|(q, [n, room])| format!("{q} {n}/{room}")).collect();
    if !busy.is_empty() {
        let _ = write!(text, "\nqueues: {}", busy.join(", "));
    }
    let _ = write!(text, "\n{} free, hyclusd {}", bytes(status.disk_free_bytes), status.version);
    text
}

/// The missing embeddings of a scan.
pub fn lacks(scan: &str, encoder: &str, pending: &Pending) -> String {
    let samples: Vec<&str> = pending.samples.keys().map(String::as_str).collect();
    let of = of_encoder(encoder);
    format!("scan {scan} lacks {} embeddings{of} of {}: {}", pending.spectra, samples.join(", "), pending.reason)
}

/// The samples of a scan that lack minerals.
pub fn lacks_minerals(scan: &str, pending: &PendingMinerals) -> String {
    let named = |file: &String| file.trim_start_matches("samples/").trim_end_matches(".h5").to_owned();
    let samples: Vec<String> = pending.samples.iter().map(named).collect();
    format!("scan {scan} lacks the minerals of {}: {}", samples.join(", "), pending.reason)
}

/// The minerals of a sample with the largest shares, and what is not identified.
fn minerals(of: &SampleMinerals) -> String {
    let Some(none) = of.not_identified else { return "not identified yet".to_owned() };
    let mut shares: Vec<(&str, f64)> =
        of.groups.iter().flat_map(|group| &group.minerals).map(|(name, share)| (name.as_str(), share.share)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let mut parts: Vec<String> = shares.iter().take(3).map(|(name, share)| format!("{name} {:.0} %", share * 100.0)).collect();
    parts.push(format!("not identified {:.0} %", none.share * 100.0));
    parts.join(", ")
}

/// Devices, one a line.
pub fn devices(devices: &[DeviceStatus]) -> String {
    let answers = |connected: bool| if connected { "connected" } else { "does not answer" }.to_owned();
    let rows: Vec<Vec<String>> = devices
        .iter()
        .map(|device| match device {
            DeviceStatus::Camera { name, model, serial, connected, shape, exposure, temperature_c, pool } => {
                let mut state = format!("{} pixels x {} bands", shape[0], shape[1]);
                if let Some(e) = exposure {
                    let _ = write!(state, ", {} us at {} lines/s", e.exposure_us, e.frame_rate_hz);
                }
                if let Some(t) = temperature_c {
                    let _ = write!(state, ", {t:.1} C");
                }
                let _ = write!(state, ", pool {}/{} free", pool[0], pool[1]);
                let model = if serial.is_empty() { model.clone() } else { format!("{model} ({serial})") };
                vec!["camera".to_owned(), name.clone(), model, answers(*connected), state]
            }
            DeviceStatus::Conveyor { model, connected, state } => {
                let state = state.map_or_else(String::new, |s| {
                    let moves = if s.moving { "moves" } else { "stands" };
                    format!("{moves}, {:.1} mm/s, at {:.1} mm", s.speed_mm_per_s, s.position_mm)
                });
                vec!["conveyor".to_owned(), String::new(), model.clone(), answers(*connected), state]
            }
            DeviceStatus::Light { name, model, connected, state } => {
                let state =
                    state.map_or_else(String::new, |s| if s.on { format!("on, {:.0}%", s.level * 100.0) } else { "off".to_owned() });
                vec!["light".to_owned(), name.clone(), model.clone(), answers(*connected), state]
            }
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&["device", "name", "model", "link", "state"], &rows) }
}

/// Encoders and their models, one a line.
pub fn encoders(encoders: &[EncoderStatus]) -> String {
    let rows: Vec<Vec<String>> = encoders
        .iter()
        .map(|e| {
            let name = if e.shadow { format!("{} (shadow)", e.encoder) } else { e.encoder.clone() };
            let origin = if e.replaced { "put here" } else { "configured" };
            let model = e.model.clone().unwrap_or_else(|| "does not run".to_owned());
            let sha256 = e.encoder_sha256.as_deref().unwrap_or("-").chars().take(12).collect();
            vec![name, model, e.dimensions.map_or_else(|| "-".to_owned(), |d| d.to_string()), sha256, origin.to_owned()]
        })
        .collect();
    if rows.is_empty() { "the rig has no encoder".to_owned() } else { table(&["encoder", "model", "numbers", "sha256", "origin"], &rows) }
}

/// References, one a line.
pub fn references(references: &[ReferenceStatus]) -> String {
    let rows: Vec<Vec<String>> = references
        .iter()
        .map(|r| {
            let figures = [format!("{:.1}", r.mean_counts), format!("{:.2}", r.noise_counts), format!("{:.2}%", r.saturated * 100.0)];
            let [mean, noise, saturated] = figures;
            let share = |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.1}%", share * 100.0));
            let (flicker, evenness, dirt) = (share(r.flicker), share(r.evenness), share(r.dirt));
            let frames = r.frames.to_string();
            let off =
                r.wavelength.as_ref().map(|of| format!("{:+.2} ± {:.2} nm", of.shift_nm, of.shift_uncertainty_nm)).unwrap_or_default();
            vec![r.camera.clone(), kind(r.kind).to_owned(), age(r.age_s), frames, mean, noise, saturated, flicker, evenness, dirt, off]
        })
        .collect();
    let heads = ["camera", "reference", "age", "frames", "mean", "noise", "saturated", "flicker", "evenness", "dirt", "wavelengths"];
    if rows.is_empty() { String::new() } else { table(&heads, &rows) }
}

/// Line counts of each camera.
pub fn sums(cameras: &BTreeMap<String, LineCounts>) -> String {
    let rows: Vec<Vec<String>> = cameras
        .iter()
        .map(|(name, c)| {
            let counts = [c.expected, c.received, c.lost, c.lost_pool, c.lost_link, c.unusable];
            std::iter::once(name.clone()).chain(counts.iter().map(u64::to_string)).collect()
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&["camera", "expected", "received", "lost", "pool", "link", "unusable"], &rows) }
}

fn outcome(scan: &ScanRecord) -> &'static str {
    match scan.complete {
        None => "running",
        Some(true) => "complete",
        Some(false) => "incomplete",
    }
}

/// Scans, one a line.
pub fn scans(scans: &[ScanRecord]) -> String {
    if scans.is_empty() {
        return "no scans".to_owned();
    }
    // A rig without an archive has no column of it.
    let archives = scans.iter().any(|scan| scan.archived.is_some());
    let rows: Vec<Vec<String>> = scans
        .iter()
        .map(|s| {
            let (received, lost) = s.cameras.values().fold((0, 0), |(r, l), c| (r + c.received, l + c.lost));
            let counts = [s.samples.len() as u64, received, lost, s.embeddings];
            let place = s.archived.as_ref().map_or("", |archived| match archived.files {
                FilesHere::All => "here, archived",
                FilesHere::WithoutRaw => "raw archived",
                FilesHere::Record => "archive",
            });
            let texts = [s.id.clone(), s.tray.tray.clone(), outcome(s).to_owned()];
            texts.into_iter().chain(counts.iter().map(u64::to_string)).chain(archives.then(|| place.to_owned())).collect()
        })
        .collect();
    let names = ["scan", "tray", "outcome", "samples", "lines", "lost", "embeddings", "files"];
    table(&names[..names.len() - usize::from(!archives)], &rows)
}

/// One scan: its line counts, samples and warnings.
pub fn scan(scan: &ScanRecord) -> String {
    let mut text = format!("scan {}: {}", scan.id, outcome(scan));
    if let Some(reason) = &scan.reason {
        let _ = write!(text, ": {reason}");
    }
    let _ = writeln!(text, ", {} samples, {} embeddings, {} files", scan.samples.len(), scan.embeddings, scan.files.len());
    if let Some(archived) = &scan.archived {
        let _ = writeln!(text, "in the archive {}{}", archived.place, left(archived.files));
    }
    text.push_str(&sums(&scan.cameras));
    let rows: Vec<Vec<String>> = scan
        .samples
        .iter()
        .map(|s| {
            let [lines, pixels, bands] = s.shape;
            let shape = format!("{lines} x {pixels} x {bands}");
            vec![s.container.clone(), s.sample.clone(), shape, s.pixels.to_string(), s.valid.to_string(), s.doubts.join("; ")]
        })
        .collect();
    if !rows.is_empty() {
        let _ = write!(text, "\n{}", table(&["at", "sample", "lines x pixels x bands", "pixels", "valid", "doubts"], &rows));
    }
    let found = |s: &SampleRecord| Some(vec![s.container.clone(), s.sample.clone(), minerals(s.minerals.as_ref()?)]);
    let rows: Vec<Vec<String>> = scan.samples.iter().filter_map(found).collect();
    if !rows.is_empty() {
        let _ = write!(text, "\n{}", table(&["at", "sample", "minerals"], &rows));
    }
    text.push_str(&heads(scan));
    if !scan.missing.is_empty() {
        let _ = writeln!(text, "nothing found in: {}", scan.missing.join(", "));
    }
    for warning in &scan.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for (encoder, pending) in scan.lacking() {
        let _ = writeln!(text, "{}", lacks(&scan.id, encoder, pending));
    }
    if let Some(pending) = scan.pending_minerals() {
        let _ = writeln!(text, "{}", lacks_minerals(&scan.id, pending));
    }
    text
}

/// What the heads say of the samples, with a column for each head.
fn heads(scan: &ScanRecord) -> String {
    let names: Vec<&String> = scan.judging_heads().collect();
    if names.is_empty() {
        return String::new();
    }
    let titles: Vec<String> = names.iter().map(|name| scan.heads[*name].titled()).collect();
    let cell = |value: Option<&HeadValue>| match value {
        Some(HeadValue { refused: true, distance, .. }) => format!("refused, distance {distance:.1}"),
        Some(HeadValue { value, lower, upper, .. }) => format!("{value:.4} ({lower:.4} to {upper:.4})"),
        None => "no value in its bands".to_owned(),
    };
    let rows: Vec<Vec<String>> = scan
        .samples
        .iter()
        .map(|s| [s.container.clone(), s.sample.clone()].into_iter().chain(names.iter().map(|name| cell(s.heads.get(*name)))).collect())
        .collect();
    let titled: Vec<&str> = ["at", "sample"].into_iter().chain(titles.iter().map(String::as_str)).collect();
    if rows.is_empty() { String::new() } else { format!("\n{}", table(&titled, &rows)) }
}

/// Notice of events that are no longer held.
pub fn lagged(missed: Option<u64>) -> String {
    match missed {
        Some(n) => format!("{n} event(s) are no longer held"),
        None => "earlier events are no longer held".to_owned(),
    }
}

/// An event with its number and time.
pub fn event(event: &Event) -> String {
    format!("{:>6}  {}  {}", event.id, event.time, happened(&event.kind))
}

/// An event in words.
pub fn happened(kind: &EventKind) -> String {
    match kind {
        EventKind::State { state, cause: None } => name(*state),
        EventKind::State { state, cause: Some(cause) } => format!("{}: {cause}", name(*state)),
        EventKind::ScanStarted { scan } => format!("scan {scan} started"),
        EventKind::Progress(p) => {
            let cameras: Vec<String> = p.cameras.iter().map(|(n, c)| format!("{n} {} lines, {} lost", c.received, c.lost)).collect();
            let (samples, rows) = (p.samples, p.embeddings);
            format!("{:.1} of {:.1} mm, {}, {samples} samples, {rows} embeddings", p.position_mm, p.end_mm, cameras.join(", "))
        }
        EventKind::LinesLost { camera, first, count, .. } => format!("{camera} lost {count} line(s) from frame {first}"),
        EventKind::CameraDone { camera, sums, .. } => {
            format!("{camera} done: {} expected, {} received, {} lost", sums.expected, sums.received, sums.lost)
        }
        EventKind::SampleOpened { sample, container, .. } => format!("sample {sample} begins in {container}"),
        EventKind::SampleStored { record, .. } => {
            format!("sample {} stored in {}: {} of {} pixels valid", record.sample, record.file, record.valid, record.pixels)
        }
        EventKind::PartClosed { path, rows, .. } => format!("{rows} rows in {path}"),
        EventKind::EmbeddingsPending { reason, encoder, .. } => {
            format!("embeddings{} are left for later, the samples are stored: {reason}", of_encoder(encoder.as_deref().unwrap_or(MAIN)))
        }
        EventKind::EmbeddingsCaughtUp { scan, rows, encoder } => {
            format!("{rows} rows{} that {scan} lacked are published", of_encoder(encoder.as_deref().unwrap_or(MAIN)))
        }
        EventKind::SampleIdentified { sample, path, rows, .. } => format!("minerals of {sample}: {rows} rows in {path}"),
        EventKind::SampleNovel { sample, container, share, encoder, .. } => {
            format!("sample {sample} in {container}: {:.1} % is {}", share * 100.0, unlike(encoder.as_deref().unwrap_or(MAIN)))
        }
        EventKind::MineralsPending { reason, .. } => format!("minerals are left for later, the samples are stored: {reason}"),
        EventKind::MineralsCaughtUp { scan, samples } => format!("{samples} sample(s) of {scan} are identified"),
        EventKind::EncoderReplaced { encoder, model, replaced, .. } => {
            format!(
                "the encoder {encoder} runs {} {model} from the next scan on",
                if *replaced { "the model" } else { "the configured model" }
            )
        }
        EventKind::ScanArchived { scan, place, files } => format!("scan {scan} lies in the archive {place}{}", left(*files)),
        EventKind::ReferenceTaken(r) => format!("{} reference of {} taken, mean {:.1}", self::kind(r.kind), r.camera, r.mean_counts),
        EventKind::Warning { message } => format!("warning: {message}"),
        EventKind::ScanClosed { scan, complete: true, .. } => format!("scan {scan} complete"),
        EventKind::ScanClosed { scan, reason, .. } => {
            format!("scan {scan} incomplete: {}", reason.as_deref().unwrap_or("no reason is known"))
        }
    }
}

/// Which files of an archived scan are gone here, behind the name of the archive.
fn left(files: FilesHere) -> &'static str {
    match files {
        FilesHere::All => "",
        FilesHere::WithoutRaw => ", its raw recording there alone",
        FilesHere::Record => ", its files there alone",
    }
}

/// Writes the outcome of a scan in the data root `data` as text for people.
///
/// # Errors
/// `out` refuses.
pub fn write_summary(record: &ScanRecord, data: &Path, out: &mut dyn io::Write) -> io::Result<()> {
    let (shown, out) = (document(record), &mut Plain::new(out));
    let record = shown.as_ref().unwrap_or(record);
    writeln!(out, "scan {} {}", record.id, if record.complete == Some(true) { "complete" } else { "incomplete" })?;
    if let Some(reason) = &record.reason {
        writeln!(out, "  because: {reason}")?;
    }
    for (name, sums) in &record.cameras {
        writeln!(out, "  {name}: {} lines received + {} lost = {} expected", sums.received, sums.lost, sums.expected)?;
        for (first, count) in &sums.gaps {
            writeln!(out, "    gap: frames {first} to {}", first + count - 1)?;
        }
    }
    for sample in &record.samples {
        let [lines, pixels, bands] = sample.shape;
        writeln!(
            out,
            "  {:>4} {}: {lines} x {pixels} x {bands}, {} of {} pixels valid{}",
            sample.container,
            sample.sample,
            sample.valid,
            sample.pixels,
            if sample.doubts.is_empty() { String::new() } else { format!("; in doubt: {}", sample.doubts.join("; ")) }
        )?;
    }
    for warning in &record.warnings {
        writeln!(out, "  warning: {warning}")?;
    }
    writeln!(out, "  {} embeddings", record.embeddings)?;
    for (encoder, pending) in record.lacking() {
        writeln!(out, "  {}", lacks(&record.id, encoder, pending))?;
        writeln!(out, "  the daemon makes them while no scan runs; without it, `hyclus recover --data {}`", data.display())?;
    }
    if let Some(pending) = record.pending_minerals() {
        writeln!(out, "  {}", lacks_minerals(&record.id, pending))?;
        writeln!(out, "  the daemon identifies them while no scan runs; without it, `hyclus recover --data {}`", data.display())?;
    }
    writeln!(out, "  in {}", data.join("scans").join(&record.id).display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["vnir".to_owned(), "12000".to_owned()], vec!["swir-2".to_owned(), "7".to_owned()]];
        assert_eq!(table(&["camera", "lost"], &rows), "camera   lost\nvnir    12000\nswir-2      7\n");
    }

    #[test]
    fn sizes_and_ages_are_short() {
        assert_eq!((bytes(3_500_000_000), bytes(12)), ("3.5 GB".to_owned(), "12 B".to_owned()));
        assert_eq!((age(59.6), age(600.0), age(9000.0)), ("60 s".to_owned(), "10 min".to_owned(), "2.5 h".to_owned()));
    }
}
