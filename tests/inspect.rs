//! Files from outside that were made to break readers: each is shown or refused with a message, within bounds, and no terminal is told
//! what to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod python;

use hyclus::store::read_sample;
use nix::sys::resource::{UsageWho, getrusage};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Most memory that a file may take.
const MOST_KIB: i64 = 512 << 10;
/// Longest time that a file may take, of which a busy machine takes its share.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with the files, made once.
static FOLDER: LazyLock<Option<tempfile::TempDir>> = LazyLock::new(|| {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    python::run("hostile_hdf5.py", &[&sample(), folder.path()]);
    Some(folder)
});

/// A sample's file that is kept.
fn sample() -> PathBuf {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/1/scans/20000101T000000Z-T1/samples");
    samples.join("left.h5")
}

fn hyclus(arguments: &[&str]) -> Output {
    let begin = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_hyclus")).args(arguments).output().unwrap();
    assert!(begin.elapsed() < PATIENCE, "{arguments:?} takes {:?}", begin.elapsed());
    assert!(output.status.code().is_some_and(|code| code < 2), "{arguments:?}: {}: {}", output.status, text(&output.stderr));
    for said in [&output.stdout, &output.stderr] {
        let obeyed =
            |c: &char| *c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(c) || ('\u{2066}'..='\u{2069}').contains(c));
        assert_eq!(text(said).chars().find(obeyed), None, "{arguments:?}: {}", text(said).escape_debug());
    }
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What is shown of a file, or the message that refuses it.
fn shown(name: &str) -> Result<String, String> {
    let Some(folder) = &*FOLDER else { return Ok(String::new()) };
    let output = hyclus(&["inspect", folder.path().join(format!("{name}.h5")).to_str().unwrap()]);
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[track_caller]
fn has(shown: &str, parts: &[&str]) {
    if FOLDER.is_some() {
        for part in parts {
            assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
        }
    }
}

#[test]
fn text_that_is_no_utf8_is_shown_with_the_replacement_character() {
    let file = shown("text").unwrap();
    has(
        &file,
        &[
            "fixed  () unicode (len 8) = \"ab\u{fffd}\u{fffd}\u{fffd}c\"",
            "variable  () unicode (var len) = \"ab\u{fffd}\u{fffd}\u{fffd}c\"",
        ],
    );
    has(&file, &["@list=[\"ab\u{fffd}\u{fffd}\u{fffd}c\", \"good\"]", "@fixed_\u{fffd}=", "gr\u{fffd}n/", "{l\u{fffd}nge: float64}"]);
    has(&file, &["@variable=[\"ab\u{fffd}", "ascii  () string (var len) = \"ab\u{fffd}"]);
    let sample = shown("sample").unwrap();
    has(&sample, &["sample       ab\u{fffd}\u{fffd}\u{fffd}c", "doubt        ab\u{fffd}", "cube         28 lines x 21 pixels"]);
    if let Some(folder) = &*FOLDER {
        assert_eq!(read_sample(&folder.path().join("sample.h5")).unwrap().name, "ab\u{fffd}\u{fffd}\u{fffd}c");
    }
}

#[test]
fn a_terminal_is_not_told_what_to_do() {
    has(&shown("text").unwrap(), &["x\\u{1b}[31m\\u{9b}31m\\r\\ny\\u{202e}\\u{2066}z/"]);
    has(&shown("sample").unwrap(), &["doubt        x\\u{1b}[31m\\u{9b}31m\\r\\ny\\u{202e}\\u{2066}z"]);
    let message = text(&hyclus(&["inspect", "none\u{1b}[2J\n.h5"]).stderr);
    assert!(message.contains("none\\u{1b}[2J\\n.h5"), "{message}");
}

#[test]
fn cycles_and_depths_come_to_an_end() {
    let cycle = shown("cycle").unwrap();
    has(&cycle, &["back/  (the same group as /a)", "root/  (the same group as /)", "soft -> /soft  (leads nowhere)", "there -> /a/b/"]);
    let deep = shown("deep").unwrap();
    has(&deep, &["... (deeper groups are not shown)"]);
    assert!(deep.lines().count() < 100);
}

#[test]
fn other_files_are_read_only_when_asked() {
    let links = shown("links").unwrap();
    has(&links, &["external -> /secret in elsewhere.h5  (in another file, and not read)", "soft -> /external  (leads nowhere)"]);
    has(&links, &["virtual  (it is a virtual dataset", "raw  (its values lie in other files; they are not read)"]);
    assert!(!links.contains("4711"), "{links}");
    let Some(folder) = &*FOLDER else { return };
    let followed = text(&hyclus(&["inspect", "--follow", folder.path().join("followed.h5").to_str().unwrap()]).stdout);
    has(&followed, &["external -> /secret in elsewhere.h5  () int64 = 4711", "virtual  (4) int64"]);
}

#[test]
fn what_a_file_claims_is_bounded_by_what_it_has() {
    has(&shown("sizes").unwrap(), &["contiguous  (1000000, 1000000) float64", "chunked  (1000000, 1000000) float64", "long  () unicode"]);
    has(&shown("attributes").unwrap(), &["@a0=0", "(1001 attributes)"]);
    has(&shown("bomb").unwrap(), &["warning: ", "/entry/reflectance/quality: its chunk at [0, 0] claims", "└─ entry/"]);
    has(&shown("swollen").unwrap(), &["warning: ", "/entry/reflectance/quality: its chunk at [0, 0] cannot be decompressed to 588 bytes"]);
    has(&shown("length").unwrap(), &["└─ entry/", "name  () unicode (var len) = ?"]);
    has(&shown("filter").unwrap(), &["it is stored with filter 32767, which this program does not undo"]);
    if FOLDER.is_some() {
        let most = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        assert!(most < MOST_KIB, "{most} KiB");
    }
}

#[test]
fn what_is_no_whole_file_is_refused_with_a_reason() {
    if FOLDER.is_none() {
        return;
    }
    for (name, reason) in [
        ("zeros", "it is no HDF5 file: it lacks the signature of one"),
        ("empty", "it is empty"),
        ("cut", "truncated file"),
        ("start", "truncated file"),
        ("pipe", "it is a FIFO"),
        ("folder", "it is a folder"),
        ("none", "No such file"),
    ] {
        let message = shown(name).unwrap_err();
        assert!(message.contains(reason) && message.contains(&format!("{name}.h5")), "{message}");
    }
}

#[test]
fn an_export_refuses_what_it_cannot_read_and_keeps_odd_text() {
    let Some(folder) = &*FOLDER else { return };
    for (name, reason) in [
        ("sample", None),
        ("bomb", Some("claims")),
        ("swollen", Some("cannot be decompressed")),
        ("length", Some("a text of")),
        ("filter", Some("filter 32767")),
    ] {
        let data = tempfile::tempdir().unwrap();
        let samples = data.path().join("scans/20000101T000000Z-T1/samples");
        std::fs::create_dir_all(&samples).unwrap();
        std::fs::copy(folder.path().join(format!("{name}.h5")), samples.join("left.h5")).unwrap();
        let out = data.path().join("out");
        let output = hyclus(&["export", "--data", data.path().to_str().unwrap(), "envi", "20000101T000000Z-T1", out.to_str().unwrap()]);
        let said = text(&output.stderr);
        match reason {
            Some(reason) => assert!(!output.status.success() && said.contains(reason) && said.contains("left.h5"), "{name}: {said}"),
            None => {
                assert!(output.status.success() && said.contains("x\\u{1b}[31m"), "{said}");
                let header = std::fs::read_to_string(out.join("left.hdr")).unwrap();
                assert!(header.contains("hyclus sample = ab\u{fffd}\u{fffd}\u{fffd}c"), "{header}");
            }
        }
    }
}
