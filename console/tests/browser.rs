//! The console in a real browser, against a real daemon on a simulated rig: the scripts of `console/web/e2e`, and those of its page.
//!
//! `make setup` installs Node.js and Chromium. `HYCLUS_SKIP_BROWSER` leaves these tests out.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// Browsers draw with the processor alone here. Two at a time would wait for each other.
static ONE_BROWSER: Mutex<()> = Mutex::new(());

/// Runs a script under Node.js' own test runner, and fails with what it printed.
fn run(script: &str) {
    if std::env::var_os("HYCLUS_SKIP_BROWSER").is_some() {
        eprintln!("skipped: {script}, because HYCLUS_SKIP_BROWSER is set");
        return;
    }
    let _one = ONE_BROWSER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let bin = Path::new(env!("CARGO_BIN_EXE_hyclus-console")).parent().unwrap();
    let node = std::env::var("HYCLUS_NODE").unwrap_or_else(|_| "node".into());
    let mut command = Command::new(&node);
    command.args(["--test", "--test-concurrency=1", "--test-reporter=spec", script]).current_dir(&web).env("HYCLUS_BIN", bin);
    let output = command.output().unwrap_or_else(|error| panic!("{node}: {error}; run make setup, or set HYCLUS_NODE"));
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{said}{failed}", output.status);
}

/// From the first visit by a link to a finished scan; the spectrum under the cursor is the cube's, the ledger the record's.
#[test]
fn from_a_link_to_a_finished_scan() {
    run("e2e/scan.test.mjs");
}

/// A tray by clicks and by a barcode scanner, until its scan has the names.
#[test]
fn a_tray_is_laid_by_clicks_and_by_a_scanner() {
    run("e2e/tray.test.mjs");
}

/// Emergency stop, lease, jog, tabs, processes that are killed, and a page of another origin.
#[test]
fn who_may_move_the_rig_and_what_stops_it() {
    run("e2e/control.test.mjs");
}

/// Every page in dark, light and on a phone.
#[test]
fn every_page_can_be_read_by_everybody() {
    run("e2e/look.test.mjs");
}

/// Every page against a server that plays the rig: what it shows, what each button does, how refusals and silence look.
#[test]
fn every_part_of_the_page_does_what_it_says() {
    for part in ["shell", "rig", "tray", "scans", "sample", "explorer", "data-pages"] {
        run(&format!("tests/{part}.test.mjs"));
    }
}

/// The parts of the page that need no browser: both languages have the same words, and messages are read as they are written.
#[test]
fn the_page_reads_messages_and_speaks_two_languages() {
    run("tests/words.test.mjs");
    run("tests/decode.test.mjs");
}
