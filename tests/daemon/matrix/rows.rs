//! The rows of the matrix: what fails, when, and what comes of it. `src/state/policy.md` says the same in words.

use super::disk::{Mode, Orders};

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// In the simulated world: keys of `[simulation.faults]`.
    World(&'static str),
    /// On the disk, or with the clock.
    System(Orders),
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that anybody must know.
    Complete,
    /// The scan is complete, and lines of one camera are counted as lost on the link, lost at the pool, or not usable.
    Counted([bool; 3]),
    /// The scan is complete, with a warning that holds these words.
    Warned(&'static str),
    /// The scan is complete, and the rig faulted: the part of the metric, words of the cause.
    CompleteFaulted(&'static str, &'static str),
    /// The scan is incomplete for a reason that holds these words, and the rig idle.
    Refused(&'static str),
    /// The scan is incomplete, and the rig faulted: the part of the metric, words of the cause.
    Faulted(&'static str, &'static str),
}

pub struct Row {
    pub fault: &'static str,
    /// `references`, `scan` or `drain`.
    pub moment: &'static str,
    pub inject: Fault,
    pub outcome: Outcome,
    /// Whether time passes as it does, and not as frames are read.
    pub real_time: bool,
}

/// Part of the path of minerals that are written.
pub const MINERALS: &str = ".minerals-unfinished/";

const MOMENTS: [&str; 3] = ["references", "scan", "drain"];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    world(&mut |fault, moment, keys, outcome| {
        // What nobody but the conductor sees has to last long enough, and a frame number has to be one within the tray.
        let seen_alone = ["light", "drive_", "frames ="].iter().any(|key| keys.contains(key));
        let real_time = keys.contains("_late") || (moment == "scan" && seen_alone);
        rows.push(Row { fault, moment, inject: Fault::World(keys), outcome, real_time });
    });
    system(&mut |fault, moment, orders, outcome| {
        let real_time = matches!(orders.mode, Mode::Slow(_)) && moment == "scan";
        rows.push(Row { fault, moment, inject: Fault::System(orders), outcome, real_time });
    });
    rows
}

fn world(row: &mut dyn FnMut(&'static str, &'static str, &'static str, Outcome)) {
    use Outcome::{Complete, CompleteFaulted, Counted, Faulted, Refused};
    const LOST: Outcome = Counted([true, false, false]);
    const UNUSABLE: Outcome = Counted([false, false, true]);
    let mut all = |fault, keys: [&'static str; 3], outcomes: [Outcome; 3]| {
        for ((moment, keys), outcome) in MOMENTS.into_iter().zip(keys).zip(outcomes) {
            if !keys.is_empty() {
                row(fault, moment, keys, outcome);
            }
        }
    };
    let silent = Faulted("camera", "vnir does not answer: it gave no frame for");
    all(
        "camera falls silent",
        [
            "camera_silent = { camera = 'vnir', from_frame = 2 }",
            "camera_silent = { camera = 'swir', from_frame = 30 }",
            "camera_silent = { camera = 'vnir', from_frame = 2 }",
        ],
        [silent, Faulted("camera", "swir gave no frame for"), CompleteFaulted("camera", "vnir does not answer: it gave no frame for")],
    );
    let comes_back = "camera_silent = { camera = 'vnir', from_frame = 30, frames = 6 }";
    let back_soon = "camera_silent = { camera = 'vnir', from_frame = 2, frames = 6 }";
    all("camera comes back", [back_soon, comes_back, back_soon], [Complete, LOST, Complete]);
    let short = "camera_short = { camera = 'vnir', from_frame = 30, frames = 6 }";
    let few = "camera_short = { camera = 'vnir', from_frame = 2, frames = 3 }";
    all("some short frames", [few, short, few], [Complete, UNUSABLE, Complete]);
    let torn = "camera_short = { camera = 'vnir', from_frame = 10 }";
    let whole = Faulted("camera", "vnir does not answer: it gave no whole frame for");
    let found = CompleteFaulted("camera", "vnir does not answer: it gave no whole frame for");
    all("short frames only", [torn, torn, torn], [whole, Faulted("camera", "vnir gave no whole frame for"), found]);
    let late = "camera_late = { camera = 'vnir', from_frame = 30, delay_s = 0.5 }";
    all("late frames", ["camera_late = { camera = 'vnir', from_frame = 2, delay_s = 0.5 }", late, ""], [Complete, Complete, Complete]);
    let later = "camera_late = { camera = 'vnir', from_frame = 30, delay_s = 60.0 }";
    let at_once = "camera_late = { camera = 'vnir', from_frame = 2, delay_s = 60.0 }";
    all(
        "frames too late",
        [at_once, later, at_once],
        [silent, Faulted("camera", "vnir gave no frame for"), CompleteFaulted("camera", "vnir does not answer: it gave no frame for")],
    );
    let broken = Faulted("camera", "vnir does not answer: ");
    let lost = "camera_lost = { camera = 'vnir', from_frame = 0 }";
    all(
        "camera is lost",
        [lost, "camera_lost = { camera = 'vnir', from_frame = 30 }", lost],
        [broken, broken, CompleteFaulted("camera", "vnir does not answer: ")],
    );

    let trips = Faulted("belt", "the conveyor drive reports a fault: overcurrent");
    let trip = "drive_trips = { at_mm = -1000.0 }";
    all(
        "drive trips",
        [trip, "drive_trips = { at_mm = 30.0 }", trip],
        [trips, trips, CompleteFaulted("belt", "the conveyor drive reports a fault: overcurrent")],
    );
    let gone = "drive_silent = { at_mm = -1000.0, stops_after_s = 0.2 }";
    all(
        "drive does not answer",
        [gone, "drive_silent = { at_mm = 30.0, stops_after_s = 0.2 }", gone],
        [
            Faulted("belt", "the conveyor does not answer"),
            Faulted("belt", "the conveyor does not answer"),
            CompleteFaulted("belt", "the belt does not stop"),
        ],
    );
    let dark = "light_silent = { light = 'halogen' }";
    let unlit = Faulted("light", "light halogen does not answer");
    all("light does not answer", [dark, dark, dark], [unlit, unlit, CompleteFaulted("light", "light halogen does not answer")]);
    let dead = "lamp_fails = { light = 'halogen', at_mm = -1000.0, reported = true }";
    all(
        "lamp fails",
        [dead, "lamp_fails = { light = 'halogen', at_mm = 30.0, reported = true }", dead],
        [Faulted("light", "has failed"), Faulted("light", "has failed"), CompleteFaulted("light", "has failed")],
    );

    all(
        "encoder sticks",
        ["encoder_sticks = { at_mm = -100.0 }", "encoder_sticks = { at_mm = 30.0 }", "encoder_sticks = { at_mm = -1000.0 }"],
        [Faulted("belt", "the belt is at"), Faulted("belt", "belt stalled at 30.0 mm"), Complete],
    );
    all(
        "encoder jumps on",
        [
            "encoder_jumps = { at_mm = -60.0, by_mm = 60.0 }",
            "encoder_jumps = { at_mm = 30.0, by_mm = 40.0 }",
            "encoder_jumps = { at_mm = -1000.0, by_mm = 60.0 }",
        ],
        [Refused("white reference of"), Faulted("belt", "position jumps from"), Complete],
    );
    all(
        "encoder jumps back",
        [
            "encoder_jumps = { at_mm = -60.0, by_mm = -40.0 }",
            "encoder_jumps = { at_mm = 30.0, by_mm = -40.0 }",
            "encoder_jumps = { at_mm = -1000.0, by_mm = -40.0 }",
        ],
        [Refused("white reference of"), Faulted("belt", "belt ran backwards at"), Complete],
    );
    all(
        "belt is blocked",
        ["belt_stalls = { at_mm = -100.0 }", "belt_stalls = { at_mm = 30.0 }", "belt_stalls = { at_mm = -1000.0 }"],
        [Faulted("belt", "the belt is at"), Faulted("belt", "belt stalled at 30.0 mm"), Complete],
    );
}

fn system(row: &mut dyn FnMut(&'static str, &'static str, Orders, Outcome)) {
    use Outcome::{Complete, Counted, Faulted, Warned};
    // The first recording of a reference; counts of the scan, some of which are still taken; the header that ends a recording, the
    // first two of which begin it.
    const AT: [((&str, i32), i64); 3] = [(("references/", 2), 0), (("/raw/vnir/", 0), 300_000), (("Z-T.hdr.part", 2), 0)];
    for (fault, mode, words) in [
        ("disk is full", Mode::Full, "No space left on device"),
        ("disk fails", Mode::Failing, "Input/output error"),
        ("disk is read-only", Mode::ReadOnly, "Read-only file system"),
        ("tmpfs is full", Mode::Filled, "No space left on device"),
        ("tmpfs is read-only", Mode::MountedReadOnly, "Read-only file system"),
    ] {
        for (moment, (mut trigger, bytes_left)) in MOMENTS.into_iter().zip(AT) {
            // A recording that ends gives back room on a disk that is really full.
            if mode == Mode::Filled && moment == "drain" {
                trigger.1 = 3;
            }
            row(fault, moment, Orders { mode, trigger, bytes_left, clock_step_s: 0 }, Faulted("disk", words));
        }
    }
    // The data set of minerals is the first to find the disk full or broken.
    for (fault, mode, words) in
        [("minerals find no room", Mode::Full, "No space left on device"), ("minerals find no disk", Mode::Failing, "Input/output error")]
    {
        let trigger = (MINERALS, 0);
        row(fault, "scan", Orders { mode, trigger, bytes_left: 0, clock_step_s: 0 }, Faulted("disk", words));
    }
    for (moment, bytes_per_s, trigger, outcome) in [
        ("references", 1_000_000, AT[0].0, Complete),
        ("scan", 150_000, ("/raw/", 0), Counted([false, true, false])),
        ("drain", 1_000_000, AT[2].0, Complete),
    ] {
        row("disk is slow", moment, Orders { mode: Mode::Slow(bytes_per_s), trigger, bytes_left: 0, clock_step_s: 0 }, outcome);
    }
    for (fault, clock_step_s, words) in
        [("clock set forward", 3600, "clock was set by +3600"), ("clock set back", -3600, "clock was set by -3600")]
    {
        for (moment, trigger) in [("references", ("references/", 2)), ("scan", ("/samples/", 0)), ("drain", AT[2].0)] {
            row(fault, moment, Orders { mode: Mode::Good, trigger, bytes_left: 0, clock_step_s }, Warned(words));
        }
    }
}
