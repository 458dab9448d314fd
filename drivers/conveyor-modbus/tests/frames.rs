//! The frames on the wire are those of the makers.
#![allow(clippy::unwrap_used)]

mod peer;

use contract::Conveyor;
use conveyor_modbus::{Config, Drive};
use peer::{PROFILES, Peer};

/// Frames to the drive of a run at 25 Hz (V20) or 50 Hz (MS300) and a stop.
async fn frames(profile: &'static str, speed_mm_per_s: f64) -> Option<Vec<String>> {
    let mut peer = Peer::start("rtu", profile)?;
    peer.tell("trip 49");
    let drive = Drive::open(&Config { clear_fault_at_open: true, ..peer.config() }).unwrap();
    drive.run(speed_mm_per_s).await.unwrap();
    drive.stop().await.unwrap();
    drop(drive);
    Some(peer.tell("clear").iter().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect())
}

/// Checks for frames in this order, with any others between.
fn in_order(frames: &[String], wanted: &[&str]) {
    let mut rest = frames.iter();
    for frame in wanted {
        assert!(rest.any(|sent| sent == frame), "no `{frame}` in its place among {frames:#?}");
    }
}

#[tokio::test]
async fn siemens_v20() {
    let Some(frames) = frames("siemens-v20", 100.0).await else { return };
    in_order(
        &frames,
        &[
            "01 03 00 6D 00 02 55 D6",
            "01 06 00 64 20 00 D1 D5",
            "01 06 00 63 0C 7E FC F4",
            "01 06 00 63 0C 7F 3D 34",
            "01 03 00 6D 00 02 55 D6",
            "01 06 00 63 0C 7E FC F4",
        ],
    );
}

#[tokio::test]
async fn delta_ms300() {
    let Some(frames) = frames("delta-ms300", 200.0).await else { return };
    in_order(
        &frames,
        &[
            "01 03 21 00 00 05 8F F5",
            "01 06 20 02 00 02 A2 0B",
            "01 06 20 01 13 88 DE 9C",
            "01 06 20 00 00 12 02 07",
            "01 06 20 00 00 01 43 CA",
        ],
    );
}

#[tokio::test]
async fn abb_and_altivar() {
    let Some(abb) = frames("abb-acs", 100.0).await else { return };
    in_order(&abb, &["01 03 00 03 00 03 F5 CB", "01 06 00 01 27 10 C2 36", "01 06 00 00 04 7E 0B 2A", "01 06 00 00 04 7F CA EA"]);
    let Some(altivar) = frames("schneider-altivar", 100.0).await else { return };
    in_order(
        &altivar,
        &[
            "01 03 0C 81 00 02 97 73",
            "01 06 21 36 00 FA E3 BB",
            "01 06 21 35 00 06 13 FA",
            "01 06 21 35 00 07 D2 3A",
            "01 06 21 35 00 0F D3 FC",
        ],
    );
}

#[tokio::test]
async fn the_communication_loss_stop_is_set_once_and_left_alone_then() {
    let Some(mut peer) = Peer::start("rtu", "delta-ms300") else { return };
    drop(peer.drive());
    // 2 s are 20 tenths.
    assert_eq!(peer.written()[..2], ["01 06 09 02 00 01 EA 56".to_owned(), "01 06 09 03 00 14 7A 59".to_owned()]);
    drop(peer.drive());
    assert_eq!(peer.written(), Vec::<String>::new(), "what is right is not written: the drive's memory wears");
    drop(Drive::open(&Config { watchdog_ms: 0, ..peer.config() }).unwrap());
    assert_eq!(peer.written(), Vec::<String>::new());
    // 2000 ms, and a trip.
    let Some(mut peer) = Peer::start("rtu", "siemens-v20") else { return };
    drop(peer.drive());
    assert_eq!(peer.written()[..2], ["01 06 00 00 07 D0 8A 66".to_owned(), "01 06 00 01 00 01 19 CA".to_owned()]);
}

/// Every profile sets one. A drive that does not keep it gives an error.
#[test]
fn a_communication_loss_stop_that_is_not_kept_is_told() {
    for profile in PROFILES {
        let Some(mut peer) = Peer::start("tcp", profile) else { return };
        let watchdog = conveyor_modbus::Profile::read(&peer.config().profile).unwrap().watchdog;
        let register = watchdog.last().unwrap_or_else(|| panic!("{profile} sets none")).address;
        peer.tell(&format!("lie {register} 77"));
        let error = Drive::open(&peer.config()).err().unwrap().to_string();
        let said = error.contains(&format!("register {register} (communication loss) was written ")) && error.contains("reads 77; correct");
        assert!(said, "{profile}: {error}");
    }
}
