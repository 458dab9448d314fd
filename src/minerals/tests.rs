use super::found::Budget;
use super::*;
use crate::scan::Container;
use crate::segment::Sample;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHORT: Option<Duration> = Some(Duration::from_millis(10));

fn about() -> Arc<About> {
    let minerals = ["goethite", "kaolinite"].map(str::to_owned).to_vec();
    Arc::new(About { library: "test".into(), sha256: "00".into(), minerals, features: Vec::new() })
}

fn found(number: u16) -> Found {
    let (at, sample) = ("A1".to_owned(), format!("s{number}"));
    let container = Container { at, cell: None, footprint: None, height_mm: None, sample, keys: BTreeMap::new(), vars: BTreeMap::new() };
    let sample = Sample { number, container, first_row: 0, first_pixel: 0, width: 4, rim_mm: 0.0, levels: Vec::new() };
    Found::new(&Arc::new(sample), &about(), vec![0.0, 1.0, 2.0, 3.0])
}

/// A found sample with these codes of both groups, a pixel for each.
fn with(codes: &[[u16; 2]]) -> Found {
    let mut found = found(0);
    (found.lines_mm, found.times_ns) = (vec![0.0], vec![0]);
    for (pixel, codes) in (0..).zip(codes) {
        found.line.push(0);
        found.pixel.push(pixel);
        found.quality.push(0);
        for (group, code) in codes.iter().enumerate() {
            found.minerals.winner[group].push(*code);
        }
    }
    found
}

#[test]
fn samples_are_numbered_in_the_order_in_which_they_close() {
    let desk = Desk::new(u64::MAX, None);
    (0..3).for_each(|number| desk.open(number));
    desk.close(2, 5);
    desk.close(1, 0);
    desk.close(0, 7);
    for number in [0, 2] {
        assert!(desk.give(found(number)).is_some());
    }
    let parts = [2, 0].map(|number| desk.take(number).unwrap()).map(|taken| (taken.part, taken.found.unwrap().part));
    assert_eq!(parts, [(0, 0), (1, 1)]);
    // One has no line, and the others are gone.
    assert!((0..3).all(|number| desk.take(number).is_none()));
    assert_eq!(desk.untold(), None);
}

#[test]
fn a_sample_that_is_not_ready_in_time_is_deferred_for_good() {
    let desk = Desk::new(u64::MAX, SHORT);
    desk.open(0);
    desk.close(0, 1);
    let taken = desk.take(0).unwrap();
    assert!(taken.part == 0 && taken.found.unwrap_err().contains("not ready"));
    assert!(desk.is_deferred(0) && desk.give(found(0)).is_none(), "it came too late");
    assert!(desk.untold().is_some() && desk.untold().is_none(), "it is told once");
}

#[test]
fn a_writer_waits_for_a_sample_that_comes() {
    let desk = Arc::new(Desk::new(u64::MAX, None));
    desk.open(0);
    desk.close(0, 1);
    let giver = Arc::clone(&desk);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        giver.give(found(0)).is_some()
    });
    assert!(desk.take(0).unwrap().found.is_ok() && thread.join().unwrap());
}

#[test]
fn samples_that_end_together_are_waited_for_together() {
    let wait = Duration::from_millis(400);
    let desk = Desk::new(u64::MAX, Some(wait));
    for number in 0..4 {
        desk.open(number);
        desk.close(number, 1);
    }
    let begin = Instant::now();
    assert!((0..4).all(|number| desk.take(number).unwrap().found.is_err()));
    assert!((wait / 2..2 * wait).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[test]
fn files_that_pile_up_end_the_wait() {
    let desk = Desk::new(u64::MAX, Some(Duration::from_secs(3600)));
    for number in 0..7 {
        desk.open(number);
        desk.close(number, 1);
    }
    assert!(desk.take(0).unwrap().found.unwrap_err().contains("not ready"));
    assert!(!desk.is_deferred(1), "six may wait");
    assert!(desk.give(found(1)).is_some() && desk.take(1).unwrap().found.is_ok());
    // Those that end while the writer waits count too.
    let desk = Arc::new(desk);
    let closer = Arc::clone(&desk);
    let thread = std::thread::spawn(move || {
        for number in 7..10 {
            closer.open(number);
            closer.close(number, 1);
        }
    });
    assert!(desk.take(2).unwrap().found.is_err());
    thread.join().unwrap();
}

#[test]
fn nothing_waits_for_an_identification_that_ended() {
    let desk = Desk::new(u64::MAX, None);
    desk.open(0);
    desk.close(0, 1);
    desk.end("it broke down");
    desk.open(1);
    for number in [0, 1] {
        assert_eq!(desk.take(number).unwrap().found.unwrap_err(), "it broke down");
    }
}

#[test]
fn the_memory_of_a_sample_is_given_back() {
    let budget = Arc::new(Budget::new(130));
    let large = |budget: &Arc<Budget>| {
        let mut found = with(&[[0, 0]; 3]).counted(budget);
        let fits = found.count();
        (found, fits)
    };
    let (first, fits) = large(&budget);
    assert!(fits && !large(&budget).1, "two have no room");
    drop(first);
    assert!(large(&budget).1);
}

#[test]
fn the_shares_of_a_group_and_of_nothing_add_up() {
    let summary = summary(&with(&[[1, 2], [1, 0], [0, 0], [0, 2]]));
    assert_eq!((summary.pixels, summary.not_identified.unwrap().share), (4, 0.25));
    let share = |group: usize, name: &str| summary.groups[group].minerals.get(name).map(|share| share.share);
    assert_eq!((share(0, "goethite"), share(0, "kaolinite"), share(1, "kaolinite")), (Some(0.5), None, Some(0.5)));
    assert!(summary.groups.iter().all(|group| group.not_identified.share == 0.5));
}
