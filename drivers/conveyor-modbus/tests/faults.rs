//! What goes wrong at a drive and on its bus: the belt is never said to run when it does not, a stop is always sent, and the error names
//! the register and what was read.
#![allow(clippy::unwrap_used)]

mod peer;

use contract::{Conveyor, ConveyorError, ConveyorState};
use conveyor_modbus::{Config, Drive};
use peer::{PROFILES, Peer, in_seconds};
use std::time::{Duration, Instant};

const STOP: &str = "01 06 00 63 0C 7E FC F4";
const RUN: &str = "01 06 00 63 0C 7F 3D 34";

async fn running(peer: &Peer) -> Drive {
    let drive = peer.drive();
    drive.run(100.0).await.unwrap();
    assert!(drive.state().await.unwrap().moving);
    drive
}

/// The state, once it is as wanted.
async fn until(drive: &Drive, wanted: impl Fn(&Result<ConveyorState, ConveyorError>) -> bool) -> Result<ConveyorState, ConveyorError> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let state = drive.state().await;
        if wanted(&state) {
            return state;
        }
        assert!(Instant::now() < end, "still {state:?}");
    }
}

fn index(frames: &[String], frame: &str) -> usize {
    frames.iter().position(|sent| sent == frame).unwrap_or_else(|| panic!("no {frame} in {frames:?}"))
}

#[tokio::test]
async fn a_drive_that_trips_while_running_is_told_to_stop_and_told_of() {
    for profile in PROFILES {
        let Some(mut peer) = Peer::start("tcp", profile) else { return };
        let drive = running(&peer).await;
        peer.written();
        peer.tell("trip 1");
        let error = until(&drive, Result::is_err).await.unwrap_err();
        let ConveyorError::Drive { fault } = &error else { panic!("{profile}: {error}") };
        assert!(fault.contains("1 (") && fault.contains("(status) reads"), "{profile}: {fault}");
        let end = Instant::now() + Duration::from_secs(10);
        while peer.written().is_empty() {
            assert!(Instant::now() < end, "{profile}: no stop was sent");
            assert!(drive.state().await.is_err(), "{profile}: it does not run");
        }
        drive.stop().await.unwrap();
        let refused = drive.run(100.0).await.unwrap_err();
        assert!(matches!(&refused, ConveyorError::Drive { fault } if fault.contains("1 (")), "{profile}: {refused}");
    }
}

#[tokio::test]
async fn exceptions_name_the_register_and_a_stop_follows() {
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = peer.drive();
    peer.tell("refuse 100");
    let error = drive.run(100.0).await.unwrap_err();
    assert!(matches!(&error, ConveyorError::Refused { reason, .. } if reason.contains("register 100 (setpoint)")), "{error}");
    assert!(peer.written().contains(&STOP.to_owned()));
    assert_eq!(drive.link().exceptions, 1);
    // A drive that takes no stop is told a speed of nothing, and told of.
    drive.run(100.0).await.unwrap();
    peer.tell("refuse 99");
    drive.stop().await.unwrap();
    assert!(peer.written().contains(&"01 06 00 64 00 00 C8 15".to_owned()));
    assert!(!drive.state().await.unwrap().moving);
}

#[tokio::test]
async fn answers_with_a_wrong_checksum_of_another_unit_or_cut_short_are_no_answers() {
    for (fault, said) in [("crc", "no answer"), ("other_unit", "no answer"), ("short", "cut short")] {
        let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
        let drive = running(&peer).await;
        peer.tell(fault);
        let error = drive.state().await.unwrap_err();
        assert!(
            matches!(&error, ConveyorError::Link { reason } if reason.contains(said) && reason.contains("(status)")),
            "{fault}: {error}"
        );
        let error = drive.stop().await.unwrap_err();
        assert!(matches!(error, ConveyorError::Link { .. }), "{fault}: {error}");
        assert!(drive.link().garbled >= 2, "{fault}: {:?}", drive.link());
        let written = peer.written();
        assert!(written.iter().filter(|frame| *frame == STOP).count() >= 3, "{fault}: {written:?}");
        // The line is good again.
        drive.stop().await.unwrap();
        assert!(!drive.state().await.unwrap().moving);
    }
}

#[tokio::test]
async fn silence_is_an_error_and_the_stop_is_sent_all_the_same() {
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = running(&peer).await;
    let track = drive.track();
    peer.tell("silent");
    peer.tell("runaway");
    let error = drive.state().await.unwrap_err();
    assert!(
        matches!(&error, ConveyorError::Link { reason } if reason.contains("no answer from register 109 (status) within 200 ms")),
        "{error}"
    );
    assert_eq!(track.position_mm(in_seconds(5)), None, "nobody knows where it will be");
    assert!(drive.stop().await.is_err());
    assert!(drive.link().timeouts >= 3);
    // Its answers are heard again, and it still runs: the stop that is owed is sent without being asked for.
    let before = peer.tell("clear");
    assert!(before.contains(&format!("> {STOP}")), "{before:?}");
    let end = Instant::now() + Duration::from_secs(10);
    while until(&drive, Result::is_ok).await.unwrap().moving {
        assert!(Instant::now() < end, "it stops by itself");
    }
}

#[tokio::test]
async fn slow_answers_within_the_time_are_taken_and_late_ones_not_for_those_of_the_next_request() {
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = peer.drive();
    peer.tell("slow 100");
    drive.run(100.0).await.unwrap();
    drive.stop().await.unwrap();
    assert_eq!(drive.link().timeouts, 0);
    peer.tell("slow 260");
    assert!(matches!(drive.run(100.0).await, Err(ConveyorError::Link { .. })));
    assert!(drive.link().timeouts > 0);
    peer.tell("clear");
    drive.run(100.0).await.unwrap();
    drive.stop().await.unwrap();
}

#[tokio::test]
async fn a_run_whose_answer_is_lost_is_not_sent_again_blindly() {
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = peer.drive();
    peer.written();
    peer.tell("silent");
    assert!(drive.run(100.0).await.is_err());
    let written = peer.written();
    assert!(!written.contains(&RUN.to_owned()), "without a status it is not started: {written:?}");
    assert!(written.contains(&STOP.to_owned()), "{written:?}");
}

#[tokio::test]
async fn a_register_that_lies() {
    // The setpoint reads otherwise than it was written.
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = peer.drive();
    peer.tell("lie 100 77");
    let error = drive.run(100.0).await.unwrap_err().to_string();
    assert!(error.contains("register 100 (setpoint) was written 8192") && error.contains("reads 77"), "{error}");
    let written = peer.written();
    assert!(!written.contains(&RUN.to_owned()) && index(&written, STOP) > 0, "{written:?}");

    // It says that it runs, and does not.
    let drive = {
        drop(drive);
        Drive::open(&Config { ramp_s: 0.3, ..peer.config() }).unwrap()
    };
    peer.tell("lying");
    peer.tell("stuck");
    let error = drive.run(100.0).await.unwrap_err().to_string();
    assert!(error.contains("no motion") && error.contains("register 110 (actual speed) 0"), "{error}");
    assert!(!drive.state().await.unwrap().moving);
    let written = peer.written();
    assert!(written[index(&written, RUN)..].contains(&STOP.to_owned()), "{written:?}");

    // The encoder stands, or jumps.
    let Some(mut peer) = Peer::start("tcp", "plc") else { return };
    let drive = running(&peer).await;
    peer.tell("still");
    until(&drive, |state| state.as_ref().is_ok_and(|state| !state.moving)).await.unwrap();
    peer.tell("clear");
    until(&drive, |state| state.as_ref().is_ok_and(|state| state.moving)).await.unwrap();
    peer.tell("jump");
    let error = until(&drive, Result::is_err).await.unwrap_err().to_string();
    assert!(error.contains("register 20 (encoder) went from"), "{error}");
}

#[tokio::test]
async fn a_stop_overtakes_a_start_that_waits() {
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = std::sync::Arc::new(peer.drive());
    peer.tell("stuck");
    let start = tokio::spawn({
        let drive = std::sync::Arc::clone(&drive);
        async move { drive.run(100.0).await }
    });
    while !peer.tell("stuck").iter().any(|line| line.ends_with(RUN)) {
        tokio::task::yield_now().await;
    }
    drive.stop().await.unwrap();
    let error = start.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("told to stop meanwhile"), "{error}");
    assert!(!drive.state().await.unwrap().moving);
}

#[tokio::test]
async fn a_belt_that_runs_when_it_is_opened_is_stopped_and_so_is_one_that_is_dropped() {
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = running(&peer).await;
    peer.written();
    drop(drive);
    assert_eq!(peer.written(), [STOP]);
    let drive = running(&peer).await;
    peer.tell("silent");
    drop(drive);
    peer.tell("clear");
    let drive = peer.drive();
    assert!(!drive.state().await.unwrap().moving);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let Some(peer) = Peer::start("tcp", "siemens-v20") else { return };
    let error = |config: Config| Drive::open(&config).err().unwrap().to_string();
    let nowhere = error(Config { address: None, port: Some("/dev/does-not-exist".into()), ..peer.config() });
    assert!(nowhere.contains("/dev/does-not-exist"), "{nowhere}");
    let other = error(Config { unit: 9, ..peer.config() });
    assert!(other.contains("unit 9") && other.contains("register 109 (status)"), "{other}");
    let profile = error(Config { profile: "/no/profile.toml".into(), ..peer.config() });
    assert!(profile.contains("/no/profile.toml"), "{profile}");
}
