//! Lines take no memory of their own on their way from the recording to the files of samples.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hyclus::config::Loaded;
use hyclus::scan::{Capture, Process, Tray};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Width of the view, mm, and lines per second of a belt that moves a line's length of one millimetre in that time.
const VIEW_MM: usize = 24;
const RATE_HZ: f64 = 100.0;
/// Name, pixels, bands, and first and last wavelength, nm, of each camera.
const CAMERAS: [(&str, usize, usize, f64, f64); 2] = [("vnir", 48, 12, 400.0, 1000.0), ("swir", 24, 9, 1100.0, 2300.0)];
const LINES: u64 = 1500;

/// The allocator of this process, with its calls counted.
struct Counted;

static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: as the caller of this promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller of this promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTED: Counted = Counted;

/// Records references and `lines` lines of even ore.
fn record(folder: &Path, (name, pixels, bands, first_nm, last_nm): (&str, usize, usize, f64, f64), lines: u64) {
    let capture = folder.join("capture");
    fs::create_dir_all(&capture).unwrap();
    let step = (last_nm - first_nm) / (bands - 1) as f64;
    let wavelengths: Vec<String> = (0..bands).map(|band| (first_nm + step * band as f64).to_string()).collect();
    for (file, lines, counts) in
        [(format!("DARKREF_{name}"), 8, 200_u16), (format!("WHITEREF_{name}"), 8, 3200), (name.to_owned(), lines, 1400)]
    {
        let line: Vec<u8> = (0..pixels * bands).flat_map(|i| (counts + (i % 7) as u16).to_le_bytes()).collect();
        fs::write(capture.join(format!("{file}.raw")), line.repeat(usize::try_from(lines).unwrap())).unwrap();
        let header = format!(
            "ENVI\nsamples = {pixels}\nlines = {lines}\nbands = {bands}\ninterleave = bil\ndata type = 12\nbyte order = 0\nfps = {RATE_HZ}\n\
             tint = 2.0\nwavelength units = nm\nwavelength = {{{}}}\n",
            wavelengths.join(", ")
        );
        fs::write(capture.join(format!("{file}.hdr")), header).unwrap();
    }
}

/// Calls of the allocator while a recording of `lines` lines becomes one sample of as many.
fn allocations(lines: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let mut config = format!(
        "[rig]\nname = \"test\"\ndata_dir = \"data\"\n[conveyor]\nspeed_mm_per_s = {RATE_HZ:?}\ndevice = {{ kind = \"recorded\" }}\n\
         [references]\npanel = {{ reflectance = 1.0 }}\n[grid]\npixel_mm = 1.0\n[join]\noverlap = \"keep\"\n\
         [segment]\nmethod = \"footprint\"\n"
    );
    let mut captures = Vec::new();
    for camera in CAMERAS {
        let path = folder.path().join(camera.0);
        record(&path, camera, lines);
        write!(
            config,
            "[[camera]]\nname = \"{}\"\nfield_of_view_mm = {VIEW_MM}.0\nexposure_us = 2000.0\nframe_rate_hz = {RATE_HZ:?}\n\
             device = {{ kind = \"replay\", path = \"{}\", bits = 12 }}\n",
            camera.0,
            path.display()
        )
        .unwrap();
        captures.push(Capture { camera: camera.0.to_owned(), path });
    }
    let loaded = Loaded::from_text(config, &folder.path().join("rig.toml")).unwrap();
    let tray = Tray::check(&serde_json::json!({
        "tray": "T",
        "container": [{"sample": "ore", "x_mm": 4, "y_mm": 5, "width_mm": VIEW_MM - 8, "length_mm": lines - 10}]
    }))
    .unwrap();
    let before = CALLS.load(Relaxed);
    let record = Process::start(&loaded, tray, &captures, folder.path().join("out"), Arc::new(|_| {})).unwrap().finish().unwrap();
    let calls = CALLS.load(Relaxed) - before;
    assert!(record.complete == Some(true) && record.samples[0].pixels > 0, "{record:?}");
    calls
}

/// Each line comes from two cameras, through four threads, into a chunk and a table: one allocation anywhere would be at least one a line.
#[test]
fn a_longer_recording_takes_hardly_more_allocations() {
    // What is only done once in a process is not counted.
    allocations(LINES);
    let (short, long) = (allocations(LINES), allocations(4 * LINES));
    let more = long.saturating_sub(short) as f64 / (3 * LINES) as f64;
    println!("{short} allocations for {LINES} lines, {long} for four times as many: {more:.2} per line");
    assert!(more < 0.7, "{more:.2} allocations per line");
}
