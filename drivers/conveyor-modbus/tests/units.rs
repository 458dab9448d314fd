//! A drive and an encoder counter on one bus. The position is the counter's. A fault of one stops the belt through the other.
#![allow(clippy::unwrap_used)]

mod peer;

use contract::{Conveyor, ConveyorError, ConveyorState};
use conveyor_modbus::{Config, Drive, Encoder, Table, WordOrder};
use peer::{Peer, in_seconds};
use std::time::{Duration, Instant};

const STOP: &str = "01 06 00 63 0C 7E FC F4";
/// Reads the counter, without the checksum.
const COUNT: &str = "02 03 00 07 00 02";

fn pair(transport: &str) -> Option<Peer> {
    Peer::start_with(transport, "siemens-v20", &["counter"])
}

fn config(peer: &Peer) -> Config {
    let counter = Encoder { unit: Some(2), address: 7, words: 2, word_order: WordOrder::LowFirst, table: Table::Holding };
    // 4 mm/s for a hertz, and 40 counts/s.
    Config { encoder: Some(counter), encoder_counts_per_mm: Some(10.0), ..peer.config() }
}

async fn running(peer: &Peer) -> Drive {
    let drive = Drive::open(&config(peer)).unwrap();
    drive.run(100.0).await.unwrap();
    assert!(drive.state().await.unwrap().moving);
    drive
}

/// The first error of the state.
async fn trouble(drive: &Drive) -> ConveyorError {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match drive.state().await {
            Err(error) => return error,
            Ok(state) => assert!(Instant::now() < end, "still {state:?}"),
        }
    }
}

fn is_count(line: &str) -> bool {
    line.strip_prefix("> ").is_some_and(|frame| frame.starts_with(COUNT))
}

#[tokio::test]
async fn both_pass_the_suite_on_one_line() {
    for transport in ["rtu", "tcp"] {
        let Some(mut peer) = pair(transport) else { return };
        let drive = Drive::open(&config(&peer)).unwrap();
        contract::conformance::conveyor(&drive).await;
        let link = drive.link();
        assert_eq!((link.exceptions, link.timeouts, link.garbled, link.reconnects), (0, 0, 0, 0), "{transport}");
        let heard = peer.tell("clear");
        assert!(transport == "tcp" || heard.iter().filter(|line| is_count(line)).count() > 10, "{heard:?}");
    }
}

#[tokio::test]
async fn the_position_is_that_of_the_counter() {
    let Some(mut peer) = pair("rtu") else { return };
    let drive = running(&peer).await;
    // The motor turns, and the belt does not follow.
    peer.tell("still");
    let end = Instant::now() + Duration::from_secs(20);
    let stands = |state: &ConveyorState| !state.moving;
    while !stands(&drive.state().await.unwrap()) {
        assert!(Instant::now() < end, "it is seen to stand");
    }
    let here = drive.state().await.unwrap().position_mm;
    assert!(here > 0.0);
    assert_eq!(drive.state().await.unwrap().position_mm, here);
    drive.stop().await.unwrap();
}

async fn not_heard(fault: &str, said: &str) {
    let Some(mut peer) = pair("rtu") else { return };
    let drive = running(&peer).await;
    peer.written();
    peer.tell(fault);
    let error = trouble(&drive).await;
    let ConveyorError::Link { reason } = &error else { panic!("{fault}: {error}") };
    assert!(reason.contains("unit 2") && reason.contains(said), "{fault}: {reason}");
    // The stop comes without a request.
    peer.sent(STOP);
    let error = drive.run(100.0).await.unwrap_err().to_string();
    assert!(error.contains("unit 2"), "{fault}: it does not run where nobody knows how far: {error}");
    drive.stop().await.unwrap();
    assert_eq!(drive.track().position_mm(in_seconds(5)), None, "{fault}: nobody knows where it is");
    peer.tell("clear");
    let state = drive.state().await.unwrap();
    assert!(!state.moving && state.position_mm > 0.0, "{fault}: {state:?}");
    drive.run(100.0).await.unwrap();
    drive.stop().await.unwrap();
}

/// Nearly all of it is waiting. The cases wait together.
#[tokio::test]
async fn a_counter_that_is_not_heard_stops_the_belt_and_is_named() {
    tokio::join!(
        not_heard("silent 2", "no answer from register 7 (encoder) within 200 ms"),
        not_heard("crc 2", "what came from register 7 (encoder) is no answer"),
        not_heard("short 2", "what came from register 7 (encoder) is no answer"),
        not_heard("other_unit 2", "what came from register 7 (encoder) is no answer"),
        not_heard("refuse 7", "exception 3 at register 7 (encoder): Illegal data value"),
    );
}

#[tokio::test]
async fn a_stop_does_not_wait_until_a_silent_counter_is_given_up() {
    let Some(mut peer) = pair("rtu") else { return };
    let drive = Drive::open(&Config { timeout_ms: 1000, watchdog_ms: 0, ..config(&peer) }).unwrap();
    drive.run(100.0).await.unwrap();
    peer.tell("silent 2");
    peer.sent(COUNT);
    drive.stop().await.unwrap();
    let between: Vec<_> = peer.sent(STOP).into_iter().filter(|line| line.starts_with('>')).collect();
    assert_eq!(between.len(), 1, "nothing is sent between the question that is not answered and the stop: {between:?}");
}

#[tokio::test]
async fn a_drive_that_is_not_heard_is_told_to_stop_while_the_counter_answers() {
    for (fault, said) in
        [("silent 1", "unit 1: no answer from register 109 (status)"), ("other_unit 1", "unit 1: what came from register 109")]
    {
        let Some(mut peer) = pair("rtu") else { return };
        let drive = running(&peer).await;
        peer.written();
        peer.tell(fault);
        let error = trouble(&drive).await;
        assert!(matches!(&error, ConveyorError::Link { reason } if reason.contains(said)), "{fault}: {error}");
        assert!(drive.stop().await.is_err(), "{fault}: it did not say that it stands");
        let written = peer.written();
        assert!(written.iter().filter(|frame| *frame == STOP).count() >= 3, "{fault}: {written:?}");
        drive.stop().await.unwrap();
        assert!(!drive.state().await.unwrap().moving);
    }
}

#[test]
fn a_counter_that_is_not_there_is_named_when_the_drive_is_opened() {
    let Some(mut peer) = pair("rtu") else { return };
    peer.tell("silent 2");
    let error = Drive::open(&config(&peer)).err().unwrap().to_string();
    assert!(error.contains("unit 2: no answer from register 7 (encoder)"), "{error}");
}

#[test]
fn what_an_encoder_lacks_is_told() {
    let Some(peer) = pair("tcp") else { return };
    let faults = |config: Config| config.faults().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    let sound = config(&peer);
    assert_eq!(faults(sound.clone()), Vec::<&str>::new());
    let counter = sound.encoder.clone().unwrap();
    assert_eq!(faults(Config { encoder: Some(Encoder { unit: Some(0), ..counter.clone() }), ..sound.clone() }), ["encoder.unit"]);
    assert_eq!(faults(Config { encoder: Some(Encoder { words: 3, ..counter }), ..sound.clone() }), ["encoder.words"]);
    assert_eq!(faults(Config { encoder_counts_per_mm: None, ..sound.clone() }), ["encoder_counts_per_mm"]);
    assert_eq!(faults(Config { encoder: None, ..sound }), ["encoder_counts_per_mm"]);
}
