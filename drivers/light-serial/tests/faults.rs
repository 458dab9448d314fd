//! Silence, garbage, half-answers, refusals, lies and dead lamps.
#![allow(clippy::unwrap_used)]

mod peer;

use contract::{Light, LightError};
use light_serial::{Config, Controllers, Protocol};
use peer::{Mode, Peer};
use std::time::{Duration, Instant};

const PROTOCOLS: [Protocol; 4] = [Protocol::Gardasoft, Protocol::Ccs, Protocol::Scpi, Protocol::Relay];

#[tokio::test]
async fn a_link_that_is_lost_is_told_and_the_light_is_safe_when_it_is_back() {
    for protocol in PROTOCOLS {
        for mode in [Mode::Silent, Mode::Garbage, Mode::Half] {
            let peer = Peer::serial(protocol);
            let light = Controllers::new().open("halogen", &peer.config()).unwrap();
            light.set(1.0).await.unwrap();
            peer.set(mode);
            let error = light.state().await.unwrap_err();
            let LightError::Link { reason, .. } = &error else { panic!("{protocol:?}, {mode:?}: {error}") };
            assert!(reason.contains(&peer.place), "{reason}");
            assert!(light.set(0.0).await.is_err());
            let link = light.link();
            assert!(link.timeouts + link.garbled > 0, "{protocol:?}, {mode:?}: {link:?}");
            peer.set(Mode::Sound);
            // The controller answers again. It is greeted anew, at its safe level, and does not count as lit.
            let error = light.state().await.unwrap_err().to_string();
            assert!(error.contains("is there again") && error.contains("safe level"), "{protocol:?}, {mode:?}: {error}");
            let again = light.set(1.0).await.unwrap();
            assert_eq!(light.state().await.unwrap(), again);
            assert!(light.link().reconnects > 0);
        }
    }
}

#[tokio::test]
async fn what_the_controller_refuses_is_refused() {
    for protocol in [Protocol::Gardasoft, Protocol::Ccs, Protocol::Scpi, Protocol::Relay] {
        for mode in [Mode::Refuses, Mode::Lies] {
            let peer = Peer::serial(protocol);
            let light = Controllers::new().open("halogen", &peer.config()).unwrap();
            peer.set(mode);
            let error = light.set(1.0).await.unwrap_err();
            assert!(matches!(error, LightError::Refused { .. }), "{protocol:?}, {mode:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_dead_bulb_shows_in_its_current() {
    let peer = Peer::serial(Protocol::Scpi);
    let light = Controllers::new().open("halogen", &peer.config()).unwrap();
    light.set(1.0).await.unwrap();
    peer.set(Mode::Dead);
    let error = light.state().await.unwrap_err();
    assert!(matches!(&error, LightError::Lamp { reason, .. } if reason.contains("0.012 A at 12.00 V")), "{error}");
    assert!(!light.set(0.0).await.unwrap().on, "it can be switched off all the same");
    assert!(matches!(light.set(0.5).await, Err(LightError::Lamp { .. })));
}

#[tokio::test]
async fn a_heartbeat_finds_a_lost_link_without_being_asked() {
    let peer = Peer::tcp(Protocol::Gardasoft);
    let light = Controllers::new().open("led", &Config { heartbeat_ms: 20, timeout_ms: 50, ..peer.config() }).unwrap();
    light.set(0.5).await.unwrap();
    peer.set(Mode::Silent);
    let end = Instant::now() + Duration::from_secs(20);
    while light.link().reconnects == 0 {
        assert!(Instant::now() < end, "{:?}", light.link());
        std::thread::yield_now();
    }
    peer.set(Mode::Sound);
    peer.heard();
    loop {
        if peer.heard().iter().any(|question| question == "RS1,0.0\\r") {
            break;
        }
        assert!(Instant::now() < end, "it is brought to its safe level");
        std::thread::yield_now();
    }
    assert!(matches!(light.state().await, Err(LightError::Link { .. })), "nobody has set it since");
}

#[test]
fn what_does_not_answer_is_not_opened() {
    for protocol in PROTOCOLS {
        for mode in [Mode::Silent, Mode::Garbage, Mode::Half] {
            let peer = Peer::serial(protocol);
            peer.set(mode);
            let error = Controllers::new().open("led", &peer.config()).err().unwrap();
            assert!(matches!(error, LightError::Link { .. }), "{protocol:?}, {mode:?}: {error}");
            let heard = peer.heard();
            let greetings = ["VR\\r", "@01MR40\\r\\n", "*IDN?\\n", "\\xff"];
            assert!(heard.iter().all(|question| greetings.contains(&question.as_str())), "nothing before the version: {heard:?}");
        }
    }
    let nowhere = Config { port: Some("/dev/does-not-exist".into()), ..Peer::serial(Protocol::Ccs).config() };
    let error = Controllers::new().open("led", &nowhere).err().unwrap().to_string();
    assert!(error.contains("/dev/does-not-exist"), "{error}");
}

mod never_panics {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Read, Write};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Any answer gives an error or a state.
        #[test]
        fn whatever_comes_back(protocol in 0..4_usize, answer in proptest::collection::vec(any::<u8>(), 0..40), end in 0..3_usize) {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let answer = [answer, [b">".to_vec(), b"\r\n".to_vec(), b"\n".to_vec()][end].clone()].concat();
            let thread = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut piece = [0_u8; 64];
                while stream.read(&mut piece).is_ok_and(|n| n > 0) && stream.write_all(&answer).is_ok() {}
            });
            let protocol = PROTOCOLS[protocol];
            let supply = protocol == Protocol::Scpi;
            let config = Config {
                protocol, port: None, baud: None, address: Some(address), channel: 1, timeout_ms: 20, heartbeat_ms: 60_000, safe_level: 0.0,
                volts: supply.then_some(12.0), min_amperes: None, answers: true,
            };
            if let Ok(light) = Controllers::new().open("led", &config) {
                drop(light);
            }
            thread.join().unwrap();
        }
    }
}
