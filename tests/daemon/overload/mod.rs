//! Above what the machine can do: lines are lost at the pool's door alone, counted, evenly, and what is delivered is right.
//!
//! How fast the machine is does not matter: the camera sends when it is told to, and the recording's disk writes when it is let. For
//! each 16 lines that it takes, 24, 32 or 64 come.

mod camera;

use super::gige::metrics;
use super::matrix::disk::{Disk, Mode, Orders};
use super::rig::{Daemon, PATIENCE, encoder, until};
use camera::{BANDS, Camera, DARK, PIXELS, WHITE, count, counts};
use hyclus::client::{Client, EventStream};
use hyclus::rig::ReferenceRequest;
use hyclus::scan::{DeviceStatus, EventKind, LineCounts, ReferenceKind, ScanRecord, StateName};
use ndarray::{Array2, Array3};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// Lines that the recording hands over at once.
const TOGETHER: u64 = 16;
const SLOTS: u64 = 32;
/// Lines that fill what is between the camera and a disk that takes none: a piece that is written, three that wait, one that is gathered,
/// the last line of which waits in its slot, and all other slots.
const FILL: u64 = 5 * TOGETHER + SLOTS - 1;
/// Lines that come for each [`TOGETHER`], and how often.
const LOADS: [(u64, u64); 3] = [(24, 40), (32, 30), (64, 20)];
/// Lines before and after these, which the disk takes as they come.
const EASY: u64 = 64;
/// Lines in all: one lies on each millimetre of the belt.
const LINES: u64 = 2 * EASY + FILL + 24 * 40 + 32 * 30 + 64 * 20;
const PANEL: f64 = 0.9;
/// First pixel of the containers.
const LEFT: usize = 8;

/// Lines/s of the fastest cameras.
const FASTEST: u64 = 330;

/// A camera as fast as the fastest, with the pool that it gets unless the configuration says more. One line lies on each millimetre.
fn fast(socket: &Path) -> String {
    configuration(socket)
        .replace("frame_rate_hz = 40.0", &format!("frame_rate_hz = {FASTEST}.0"))
        .replace("speed_mm_per_s = 40.0", &format!("speed_mm_per_s = {FASTEST}.0"))
        .replace(&format!("pool_slots = {SLOTS}\n"), "")
}

fn configuration(socket: &Path) -> String {
    format!(
        "[rig]\nname = \"test\"\ndata_dir = \"data\"\n[control]\nsocket = \"s\"\nlisten = \"127.0.0.1:0\"\n\
         [conveyor]\nspeed_mm_per_s = 40.0\ndevice = {{ kind = \"recorded\" }}\n\
         [[camera]]\nname = \"vnir\"\nfield_of_view_mm = {PIXELS}.0\nexposure_us = 2000.0\nframe_rate_hz = 40.0\n\
         pool_slots = {SLOTS}\nsilence_s = {}.0\n\
         device = {{ kind = \"bridge\", socket = {socket:?}, pixels = {PIXELS}, bands = {BANDS}, timeout_ms = 60000 }}\n\
         [references]\npanel = {{ reflectance = {PANEL} }}\npanel_mm = [-30.0, -10.0]\nframes = 12\ndark_after = false\n[scan]\nstuck_s = {}.0\n\
         [disk]\nreserve_mib = 1\n[grid]\npixel_mm = 1.0\n[segment]\nmethod = \"footprint\"\n{}",
        PATIENCE.as_secs(),
        PATIENCE.as_secs(),
        encoder()
    )
}

/// Two containers, one behind the other, on all but some lines at the ends.
fn tray() -> Value {
    let half = (LINES - 40) / 2;
    let container = |sample: &str, y_mm: u64| json!({"sample": sample, "x_mm": LEFT, "y_mm": y_mm, "width_mm": 16, "length_mm": half - 10});
    json!({"tray": "T", "container": [container("first", 20), container("second", 20 + half)]})
}

/// A daemon before a gated disk, with references taken, and a scan that waits for its first line.
struct Rig {
    daemon: Daemon,
    camera: Camera,
    disk: Disk,
    client: Client,
    events: EventStream,
    id: String,
}

impl Rig {
    async fn scanning() -> Self {
        Self::scanning_with(configuration).await
    }

    async fn scanning_with(configuration: impl Fn(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("camera");
        std::fs::write(folder.path().join("rig.toml"), configuration(&socket)).unwrap();
        let camera = Camera::listen(&socket);
        let disk = Disk::new(folder.path(), &folder.path().join("data"));
        // One write for each piece.
        disk.order(&Orders { mode: Mode::Gated, trigger: (".lines.csv", 0), bytes_left: i64::MAX, clock_step_s: 0 });
        let daemon = Daemon::launch_in(folder, &disk.environment);
        let client = daemon.client().await;
        for kind in [ReferenceKind::Dark, ReferenceKind::White] {
            client.reference(kind, ReferenceRequest::default()).await.unwrap();
        }
        camera.by_order();
        let mut events = client.events(None).await.unwrap();
        let id = client.start_scan(tray()).await.unwrap().id;
        until(&mut events, |kind| matches!(kind, EventKind::State { state: StateName::Scanning, .. })).await;
        Self { daemon, camera, disk, client, events, id }
    }

    /// Waits until the pool has so many slots free, or all, and no write that was granted is left.
    async fn room(&self, slots: u64, granted: i64) {
        let patience = Instant::now() + PATIENCE;
        loop {
            let status = self.client.status().await.unwrap();
            let pool = status.devices.iter().find_map(|device| match device {
                DeviceStatus::Camera { pool, .. } => Some(*pool),
                _ => None,
            });
            let ([free, all], passed) = (pool.unwrap().map(|slots| slots as u64), self.disk.passed());
            if free >= slots.min(all) && (passed == granted || granted == i64::MAX) {
                return;
            }
            assert!(Instant::now() < patience, "{free} slots are free, not {slots}, {passed} of {granted} writes passed: {status:?}");
            tokio::task::yield_now().await;
        }
    }

    /// Lines that are taken as they come: none is lost.
    async fn easy(&self, lines: u64) {
        for first in (0..lines).step_by(TOGETHER as usize) {
            self.room(SLOTS, i64::MAX).await;
            self.camera.send(TOGETHER.min(lines - first));
        }
        self.room(SLOTS, i64::MAX).await;
    }

    /// A disk that takes nothing, until there is no room left; then, for each piece that it takes, as many lines as [`LOADS`] says.
    /// `before` writes have passed when nothing waits for the disk.
    async fn overloaded(&self, before: i64) {
        let mut granted = before;
        self.room(SLOTS, granted).await;
        self.disk.grant(granted);
        self.easy(FILL - SLOTS).await;
        self.camera.send(SLOTS);
        for (lines, pieces) in LOADS {
            for _ in 0..pieces {
                granted += 1;
                self.disk.grant(granted);
                self.room(TOGETHER, granted).await;
                self.camera.send(lines);
            }
        }
        self.disk.grant(i64::MAX);
    }

    /// Ends the scan when nothing of it is left to do.
    async fn end(mut self) -> Scan {
        self.client.stop_scan(&self.id).await.unwrap();
        let mut lost = Vec::new();
        for kind in until(&mut self.events, |kind| matches!(kind, EventKind::ScanClosed { .. })).await {
            if let EventKind::LinesLost { first, count, .. } = kind {
                lost.push((first, count));
            }
        }
        if self.daemon.record(&self.id).pending.is_some() {
            until(&mut self.events, |kind| matches!(kind, EventKind::EmbeddingsCaughtUp { .. })).await;
        }
        let (record, metrics) = (self.daemon.record(&self.id), metrics(&self.daemon));
        let (success, log, folder) = tokio::task::spawn_blocking(move || self.daemon.end("-TERM")).await.unwrap();
        assert!(success, "{}", log.join("\n"));
        self.camera.ended();
        Scan { record, told: lost, metrics, folder }
    }
}

/// A scan that ended.
struct Scan {
    record: ScanRecord,
    /// Gaps as the events told them.
    told: Vec<(u64, u64)>,
    metrics: String,
    folder: TempDir,
}

/// A sample as it is stored: where its rows lie, `[row][pixel][band]`, and `[row][pixel]`.
struct Stored {
    y_mm: Vec<f64>,
    cube: Array3<f32>,
    quality: Array2<u8>,
}

/// Embeddings by sample, row and pixel.
type Embeddings = BTreeMap<(String, u64, u64), Vec<f64>>;

impl Scan {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn sums(&self) -> &LineCounts {
        &self.record.cameras["vnir"]
    }

    fn stored(&self, sample: &str) -> Stored {
        let path = self.data().join("scans").join(&self.record.id).join(format!("samples/{sample}.h5"));
        let group = hdf5::File::open(path).unwrap().group("entry/reflectance").unwrap();
        let dataset = |name: &str| group.dataset(name).unwrap();
        Stored {
            y_mm: dataset("line").read_raw().unwrap(),
            cube: dataset("reflectance").read().unwrap(),
            quality: dataset("quality").read().unwrap(),
        }
    }

    /// The counts in the recording, by frame number.
    fn recorded(&self) -> BTreeMap<u64, Vec<u8>> {
        let capture = self.data().join("scans").join(&self.record.id).join("raw/vnir/capture");
        let raw = std::fs::read(capture.join(format!("{}.raw", self.record.id))).unwrap();
        let lines = std::fs::read_to_string(capture.join(format!("{}.lines.csv", self.record.id))).unwrap();
        let rows = lines.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap());
        let found: BTreeMap<u64, Vec<u8>> = rows.zip(raw.chunks_exact(2 * PIXELS * BANDS).map(<[u8]>::to_vec)).collect();
        assert_eq!((found.len(), found.len() * 2 * PIXELS * BANDS), (lines.lines().count() - 1, raw.len()));
        found
    }

    fn embeddings(&self) -> Embeddings {
        let (data, id) = (self.data(), &self.record.id);
        let output = Command::new(env!("CARGO_BIN_EXE_hyclus"))
            .args(["tail", "--scan", id, "--format", "jsonl", "--data"])
            .arg(data)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            let place = (row["sample"].as_str().unwrap().to_owned(), row["line"].as_u64().unwrap(), row["pixel"].as_u64().unwrap());
            (place, serde_json::from_value(row["embedding"].clone()).unwrap())
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Embeddings = text.lines().map(row).collect();
        assert_eq!((found.len(), found.len() as u64), (text.lines().count(), self.record.embeddings), "a row for each pixel");
        found
    }
}

/// What the books say of the lines that were lost, wherever they are kept.
fn books_balance(scan: &Scan) -> BTreeSet<u64> {
    let sums = scan.sums();
    assert_eq!((sums.expected, sums.received + sums.lost, sums.unusable, sums.unrecorded), (LINES, LINES, 0, 0), "{sums:?}");
    assert_eq!((sums.lost_pool, sums.lost_link), (sums.lost, 0), "{sums:?}");
    assert_eq!(sums.gaps, scan.told, "gaps in scan.json, and as they were told");
    let lost: BTreeSet<u64> = sums.gaps.iter().flat_map(|(first, count)| *first..first + count).collect();
    assert_eq!(lost.len() as u64, sums.lost);
    let recorded: BTreeSet<u64> = scan.recorded().into_keys().collect();
    assert_eq!(lost, &(0..LINES).collect() - &recorded, "gaps in lines.csv");
    for (reason, count) in [("pool", sums.lost), ("link", 0)] {
        let line = format!("hyclus_lines_lost_total{{camera=\"vnir\",reason=\"{reason}\"}} {count}");
        assert!(scan.metrics.lines().any(|other| other == line), "{line} is not in the metrics");
    }
    lost
}

/// Every line that was received is what the camera saw, in the recording, the samples and the embeddings, and as in `undisturbed`.
fn what_is_there_is_right(scan: &Scan, lost: &BTreeSet<u64>, undisturbed: &Scan) {
    assert!(scan.recorded().into_iter().all(|(frame, line)| line == counts(frame)), "a line of the recording is another");
    let mut valid = BTreeSet::new();
    for sample in ["first", "second"] {
        let (one, other) = (scan.stored(sample), undisturbed.stored(sample));
        assert_eq!(one.y_mm, other.y_mm, "{sample}: rows");
        let rows = one.cube.outer_iter().zip(other.cube.outer_iter()).zip(one.quality.outer_iter()).zip(&one.y_mm);
        for (row, (((values, as_other), quality), y_mm)) in rows.enumerate() {
            let frame = y_mm.round() as u64;
            if lost.contains(&frame) {
                assert!(values.iter().all(|value| value.is_nan()) && quality.iter().all(|flags| *flags != 0), "{sample}: line {frame}");
                continue;
            }
            assert_eq!(values, as_other, "{sample}: line {frame}");
            for ((pixel, band), value) in values.indexed_iter() {
                let seen = f64::from(count(frame, pixel + LEFT, band) - DARK) / f64::from(WHITE - DARK) * PANEL;
                assert!((f64::from(*value) - seen).abs() < 1e-5, "{sample}: line {frame}, pixel {pixel}, band {band}: {value} and {seen}");
            }
            valid.extend((0..quality.len()).map(|pixel| (sample.to_owned(), row as u64, pixel as u64)));
        }
    }
    let (some, all) = (scan.embeddings(), undisturbed.embeddings());
    assert_eq!(some.keys().cloned().collect::<BTreeSet<_>>(), valid, "a spectrum that is valid is encoded, and no other");
    for (place, embedding) in &some {
        let near = embedding.iter().zip(&all[place]).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near && embedding.len() == all[place].len(), "{place:?}: {embedding:?} and {:?}", all[place]);
    }
}

#[tokio::test]
async fn above_what_the_disk_takes_loss_is_counted_and_even_and_the_rest_is_right() {
    let rig = Rig::scanning().await;
    rig.easy(LINES).await;
    let undisturbed = rig.end().await;
    assert!(books_balance(&undisturbed).is_empty());

    let rig = Rig::scanning().await;
    let begun = rig.disk.passed();
    rig.easy(EASY).await;
    rig.overloaded(begun + (EASY / TOGETHER) as i64).await;
    rig.easy(EASY).await;
    let scan = rig.end().await;
    let lost = books_balance(&scan);
    // What is too much for a piece is lost behind what it took, and nothing else: no gap is longer, and none is left out.
    let (mut expected, mut first) = (Vec::new(), EASY + FILL);
    for (lines, pieces) in LOADS {
        for _ in 0..pieces {
            expected.push((first + TOGETHER, lines - TOGETHER));
            first += lines;
        }
    }
    assert_eq!(scan.sums().gaps, expected);
    what_is_there_is_right(&scan, &lost, &undisturbed);
}

/// A disk that takes nothing for a second costs no line, because the pool bridges one and a half.
#[tokio::test]
async fn a_disk_that_stalls_for_a_second_costs_no_line() {
    let slots = FASTEST * 3 / 2;
    // Whole pieces, and no less than a second.
    let lines = FASTEST.next_multiple_of(TOGETHER);
    let rig = Rig::scanning_with(fast).await;
    rig.camera.send(EASY);
    rig.room(slots, i64::MAX).await;
    rig.disk.grant(rig.disk.passed());
    rig.camera.send(lines);
    rig.disk.grant(i64::MAX);
    rig.room(slots, i64::MAX).await;
    let scan = rig.end().await;
    let sums = scan.sums();
    assert_eq!((sums.received, sums.lost, sums.unrecorded), (EASY + lines, 0, 0), "{sums:?}");
    // What waits is in the pool, but for the pieces before the disk.
    let least = sums.pool_least_free.unwrap();
    assert!((1..=slots - (lines - 5 * TOGETHER)).contains(&least), "{least} of {slots} slots were free at least");
    let line = format!("hyclus_pool_least_free_slots{{camera=\"vnir\"}} {least}");
    assert!(scan.metrics.lines().any(|other| other == line), "{line} is not in\n{}", scan.metrics);
}
