//! Lines take no memory of their own on their way from the recording to the files of samples.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod python;
#[allow(dead_code, reason = "the rest is for the tests of `hyclus process`")]
#[path = "process/rig.rs"]
mod rig;

use hyclus::config::Loaded;
use hyclus::data_root::{Capture, Process};
use hyclus::scan::Tray;
use rig::{Camera, Rig, VIEW_MM};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

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

/// Calls of the allocator while a recording of `lines` lines becomes one sample of as many.
fn allocations(lines: u64) -> u64 {
    let cameras = [Camera::new("vnir", 48, 12, (400.0, 1000.0), 0.0), Camera::new("swir", 24, 9, (1100.0, 2300.0), 0.0)];
    let mut rig = Rig::new(&cameras, 30.0);
    rig.config.push_str("[join]\noverlap = \"keep\"\n[segment]\nmethod = \"footprint\"\n");
    let captures = cameras.map(|camera| {
        let path = rig.path(camera.name);
        camera.record_scene(&path, 30.0, usize::try_from(lines).unwrap(), &|_, _, _| 0.4);
        Capture { camera: camera.name.to_owned(), path }
    });
    let loaded = Loaded::from_text(rig.config.clone(), &rig.path("rig.toml")).unwrap();
    let tray = Tray::check(&serde_json::json!({
        "tray": "T",
        "container": [{"sample": "ore", "x_mm": 4, "y_mm": 5, "width_mm": VIEW_MM - 8.0, "length_mm": lines - 10}]
    }))
    .unwrap();
    let before = CALLS.load(Relaxed);
    let record = Process::start(&loaded, tray, &captures, rig.path("out"), Arc::new(|_| {})).unwrap().finish().unwrap();
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
