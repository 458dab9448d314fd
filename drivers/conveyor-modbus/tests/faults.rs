//! Faults of a drive and its bus, beyond those that `profiles.rs` tries with every profile.
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
async fn a_drive_that_takes_no_stop_is_told_a_speed_of_nothing() {
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = running(&peer).await;
    peer.tell("refuse 99");
    drive.stop().await.unwrap();
    assert!(peer.written().contains(&"01 06 00 64 00 00 C8 15".to_owned()));
    assert!(!drive.state().await.unwrap().moving);
}

#[tokio::test]
async fn answers_that_are_cut_short_are_none() {
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    let drive = running(&peer).await;
    peer.tell("short");
    let error = until(&drive, Result::is_err).await.unwrap_err().to_string();
    assert!(error.contains("register 109 (status)"), "{error}");
    assert!(matches!(drive.stop().await.unwrap_err(), ConveyorError::Link { .. }));
    assert!(drive.link().garbled >= 2, "{:?}", drive.link());
    let written = peer.written();
    assert!(written.iter().filter(|frame| *frame == STOP).count() >= 3, "{written:?}");
    // The line is good again.
    drive.stop().await.unwrap();
    assert!(!drive.state().await.unwrap().moving);
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
    // Its answers arrive again, and it still runs. The owed stop goes out without a request.
    let before = peer.tell("clear");
    assert!(before.contains(&format!("> {STOP}")), "{before:?}");
    let end = Instant::now() + Duration::from_secs(10);
    while until(&drive, Result::is_ok).await.unwrap().moving {
        assert!(Instant::now() < end, "it stops by itself");
    }
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
async fn an_encoder_that_stands_and_one_that_jumps() {
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
