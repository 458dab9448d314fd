//! Frames of Aravis's simulated camera, compared with its drawing. The first pixel of a frame is its id.

#![allow(clippy::unwrap_used)]

mod fake;

use contract::{Exposure, FramePool, FrameStatus, LineCamera, Received, Subject};
use fake::{Fake, config, in_own_network};
use gige::{Camera, Config};
use std::time::{Duration, Instant};

/// An exposure without gain, at which the camera draws plain counts.
fn plain(frame_rate_hz: f64) -> Exposure {
    Exposure { exposure_us: 10_000.0, frame_rate_hz, binning: (1, 1) }
}

/// The result of a run.
#[derive(Debug)]
struct Run {
    frames: u64,
    incomplete: u64,
    /// Numbers of missing frames.
    gaps: u64,
    span: u64,
    counters: Vec<(String, u64)>,
}

impl Run {
    fn counter(&self, name: &str) -> u64 {
        self.counters.iter().find(|(counter, _)| counter == name).unwrap().1
    }
}

/// Takes frames until `wanted` of them were sent. Compares each with its own content.
fn run(config: &Config, frame_rate_hz: f64, wanted: u64) -> Run {
    let mut camera = Camera::open("vnir", config).unwrap();
    assert_eq!(camera.apply(&plain(frame_rate_hz)).unwrap(), plain(frame_rate_hz));
    let pool = FramePool::with_room(camera.describe().layout, 64, camera.frame_room());
    let mut stream = camera.start(pool.clone(), Subject::Tray).unwrap();
    let (mut frames, mut incomplete, mut gaps, mut next) = (0, 0, 0, 0);
    // Number and id of the last whole frame.
    let mut last: Option<(u64, u64)> = None;
    let mut times = Vec::new();
    let end = Instant::now() + Duration::from_secs_f64(30.0 + 4.0 * wanted as f64 / frame_rate_hz);
    loop {
        assert!(Instant::now() < end, "{next} of {wanted} frames in time");
        if next >= wanted {
            camera.ensure_stopped().unwrap();
        }
        let frame = match stream.next(Instant::now() + Duration::from_millis(100)).unwrap() {
            Received::Frame(frame) => frame,
            Received::Nothing => continue,
            Received::End => break,
        };
        let number = frame.info.number;
        assert!(number >= next, "numbers rise: {number} after {next}");
        gaps += number - next;
        next = number + 1;
        frames += 1;
        if frame.info.status == FrameStatus::Incomplete {
            incomplete += 1;
            continue;
        }
        let counts = frame.slot.as_u16().unwrap();
        let (pixels, bands) = (config.pixels, config.bands);
        let id = u64::from(counts[0]);
        for (band, pixel) in [(0, pixels - 1), (bands - 1, 0), (bands / 2, pixels / 3), (bands - 1, pixels - 1)] {
            let drawn = (id + (band + pixel) as u64) % 65_535;
            assert_eq!(u64::from(counts[band * pixels + pixel]), drawn, "frame {number}, band {band}, pixel {pixel}");
        }
        if let Some((before, its_id)) = last {
            // Ids skip 0. The drawn number is their remainder by 65 535.
            assert_eq!((its_id + number - before) % 65_535, id, "frame {number} is as far from frame {before} as what they show");
        }
        last = Some((number, id));
        times.push((number, frame.info.time_ns, frame.info.device_time_ns.unwrap()));
    }
    let statistics = stream.statistics();
    let counters = stream.link_counters();
    drop(stream);
    assert_eq!(pool.free(), pool.slots(), "every slot came back");
    // Host time follows the camera's, also for late frames.
    for pair in times.windows(2) {
        let by_camera = pair[1].2 as i64 - pair[0].2 as i64;
        assert!((pair[1].1 - pair[0].1 - by_camera).abs() < 20_000_000, "{pair:?}");
    }
    let lost = statistics.lost_link + statistics.lost_pool;
    assert_eq!((statistics.received, lost), (frames, gaps), "{statistics:?}");
    Run { frames, incomplete, gaps, span: next, counters }
}

/// Every line arrived, or is counted by the right counter.
fn sum_holds(run: &Run) {
    assert_eq!(run.frames + run.gaps, run.span, "{run:?}");
    assert!(run.counter("received_packets") > 0 && run.counter("out_of_order_frames") == 0, "{run:?}");
    println!("{run:?}");
}

/// 92 MB/s, as fast as the exposure allows.
const LARGE_HZ: f64 = 100.0;

#[test]
fn two_thousand_large_frames_come_whole_and_in_order() {
    in_own_network("two_thousand_large_frames_come_whole_and_in_order", undisturbed);
}

fn undisturbed() {
    let _fake = Fake::start("127.0.0.1", "GV01", 0);
    let run = run(&config("127.0.0.1", 1024, 448), LARGE_HZ, 2000);
    sum_holds(&run);
    // The kernel may drop packets on a busy machine. The library then reports them, and nothing else may be missing.
    if run.counter("missing_packets") == 0 && run.counter("missing_frames") == 0 {
        assert_eq!((run.incomplete, run.gaps, run.counter("copied_frames")), (0, 0, 0), "{run:?}");
    }
}

#[test]
fn of_two_thousand_frames_with_losses_the_torn_are_marked_and_no_number_is_missing() {
    in_own_network("of_two_thousand_frames_with_losses_the_torn_are_marked_and_no_number_is_missing", disturbed);
}

fn disturbed() {
    let _fake = Fake::start("127.0.0.1", "GV01", 5);
    let run = run(&config("127.0.0.1", 1024, 448), LARGE_HZ, 2000);
    sum_holds(&run);
    // A frame has 105 packets, and 5 of 1000 packets are lost. Four in ten frames are torn.
    let torn = run.incomplete as f64 / run.frames as f64;
    assert!(torn > 0.25 && run.counter("missing_packets") >= run.incomplete, "{run:?}");
}

/// A frame has three packets, and half of the packets are lost. Some frames are lost whole. The ids wrap on the way.
#[test]
fn frames_that_are_lost_whole_are_gaps_where_they_were() {
    in_own_network("frames_that_are_lost_whole_are_gaps_where_they_were", || {
        let _fake = Fake::start("127.0.0.1", "GV01", 500);
        let small = Config { packet_resend: false, ..config("127.0.0.1", 64, 32) };
        let run = run(&small, 200.0, 600);
        sum_holds(&run);
        assert!(run.gaps > 30 && run.incomplete > 100, "{run:?}");
    });
}
