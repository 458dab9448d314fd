//! Every profile passes the suite of the contract against a pymodbus server, over TCP and over a pseudo-terminal.
#![allow(clippy::unwrap_used)]

mod peer;

use contract::Conveyor;
use peer::{PROFILES, Peer};

#[tokio::test]
async fn over_tcp() {
    for profile in PROFILES {
        let Some(peer) = Peer::start("tcp", profile) else { return };
        contract::conformance::conveyor(&peer.drive()).await;
    }
}

#[tokio::test]
async fn over_a_serial_line() {
    for profile in PROFILES {
        let Some(peer) = Peer::start("rtu", profile) else { return };
        let drive = peer.drive();
        contract::conformance::conveyor(&drive).await;
        let link = drive.link();
        assert!(link.requests > 10, "{link:?}");
        assert_eq!((link.exceptions, link.timeouts, link.garbled, link.reconnects), (0, 0, 0, 0), "{profile}");
    }
}

#[tokio::test]
async fn a_drive_that_may_not_run_backwards() {
    let Some(peer) = Peer::start("tcp", "siemens-v20") else { return };
    let config = conveyor_modbus::Config { reversible: false, ..peer.config() };
    contract::conformance::conveyor(&conveyor_modbus::Drive::open(&config).unwrap()).await;
}

#[tokio::test]
async fn backwards_and_reversed_and_the_way_the_belt_goes() {
    for profile in PROFILES {
        let Some(peer) = Peer::start("tcp", profile) else { return };
        for reversed in [false, true] {
            let sign = if reversed { -1.0 } else { 1.0 };
            let counts = (profile == "plc").then_some(40.0 * sign);
            let config = conveyor_modbus::Config { reversed, encoder_counts_per_mm: counts, start_position_mm: 50.0, ..peer.config() };
            let drive = conveyor_modbus::Drive::open(&config).unwrap();
            for speed in [100.0, -100.0, -50.0, 80.0] {
                let before = drive.state().await.unwrap().position_mm;
                let accepted = drive.run(speed).await.unwrap();
                assert!((accepted - speed).abs() < 0.5, "{profile}: {accepted} for {speed}");
                // The belt moves on while it slows down.
                let goal = |at: f64| (at - before) * speed.signum() > 15.0;
                let mut state = drive.state().await.unwrap();
                while !goal(state.position_mm) {
                    assert!(state.moving && state.speed_mm_per_s * speed > 0.0, "{profile}: {state:?} at {speed}");
                    state = drive.state().await.unwrap();
                }
            }
            drive.stop().await.unwrap();
        }
    }
}
