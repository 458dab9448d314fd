//! Faults of a serial line, with every profile of `config/drives`. A standing belt is never reported as running. A stop is always
//! sent. The error names the register and its value.
#![allow(clippy::unwrap_used)]

mod peer;

use contract::{Conveyor, ConveyorError};
use conveyor_modbus::{Config, Drive, Profile};
use peer::{PROFILES, Peer};
use std::time::{Duration, Instant};

struct Bench {
    peer: Peer,
    name: &'static str,
    profile: Profile,
}

impl Bench {
    async fn running(&self) -> Drive {
        let drive = self.peer.drive();
        drive.run(100.0).await.unwrap();
        assert!(drive.state().await.unwrap().moving, "{}", self.name);
        drive
    }

    /// A frame that writes a command, without its checksum.
    fn command(&self, word: u16) -> String {
        let [a, b] = self.profile.command.address.to_be_bytes();
        let [c, d] = word.to_be_bytes();
        format!("01 06 {a:02X} {b:02X} {c:02X} {d:02X}")
    }

    /// Removes the faults. Returns the number of stops until then, and whether a start was sent.
    fn sent(&mut self) -> (usize, bool) {
        let written = self.peer.written();
        let count = |word| written.iter().filter(|frame| frame.starts_with(&self.command(word))).count();
        let start = self.profile.command.forward.last().unwrap().write;
        (count(*self.profile.command.stop.last().unwrap()), count(start) > 0)
    }

    /// The first error of the state with this text. From the first error of all on there is one each time.
    async fn trouble(&self, drive: &Drive, said: &str) -> ConveyorError {
        let end = Instant::now() + Duration::from_secs(60);
        let mut last = None;
        loop {
            match drive.state().await {
                Err(error) if error.to_string().contains(said) => return error,
                Err(error) => last = Some(error),
                Ok(state) => assert!(last.is_none(), "{}: {state:?} after {last:?}", self.name),
            }
            assert!(Instant::now() < end, "{}: `{said}` is not said, but {last:?}", self.name);
        }
    }

    async fn stands(&mut self, drive: &Drive) {
        self.peer.tell("clear");
        drive.stop().await.unwrap();
        assert!(!drive.state().await.unwrap().moving, "{}", self.name);
        self.peer.written();
    }
}

async fn whatever_happens(name: &'static str) {
    let Some(peer) = Peer::start("rtu", name) else { return };
    let profile = Profile::read(&peer.config().profile).unwrap();
    let (status, setpoint, actual) = (profile.status.clone(), profile.setpoint.clone(), profile.actual.address);
    let command = profile.command.address;
    let mut bench = Bench { peer, name, profile };

    // The line.
    let drive = bench.running().await;
    for (fault, said) in [
        ("silent", format!("no answer from register {} (status) within 200 ms", status.address)),
        ("crc", format!("what came from register {} (status) is no answer: 01 03", status.address)),
        ("other_unit", format!("what came from register {} (status) is no answer: 02 03", status.address)),
    ] {
        drive.run(100.0).await.unwrap();
        bench.sent();
        bench.peer.tell(fault);
        let error = bench.trouble(&drive, &said).await;
        assert!(matches!(error, ConveyorError::Link { .. }), "{name}, {fault}: {error}");
        assert!(drive.stop().await.is_err(), "{name}, {fault}: it did not say that it stands");
        assert!(bench.sent().0 >= 3, "{name}, {fault}: the stop is sent all the same");
        bench.stands(&drive).await;
    }
    bench.peer.tell("slow 260");
    assert!(matches!(drive.run(100.0).await, Err(ConveyorError::Link { .. })), "{name}: answers that come late are none");
    bench.stands(&drive).await;
    drop(drive);
    let drive = Drive::open(&Config { timeout_ms: 3000, watchdog_ms: 0, ..bench.peer.config() }).unwrap();
    bench.peer.tell("slow 260");
    drive.run(100.0).await.unwrap();
    bench.stands(&drive).await;
    assert_eq!(drive.link().timeouts, 0, "{name}: slow ones are answers");

    // Refusals.
    for (register, what) in [(setpoint.address, "setpoint"), (command, "command")] {
        let before = drive.link().exceptions;
        bench.peer.tell(&format!("refuse {register}"));
        let error = drive.run(100.0).await.unwrap_err();
        let said = format!("exception 3 at register {register} ({what}): Illegal data value");
        assert!(matches!(&error, ConveyorError::Refused { reason, .. } if reason.contains(&said)), "{name}: {error}");
        assert!(drive.link().exceptions > before && !drive.state().await.unwrap().moving, "{name}");
        let (stops, started) = bench.sent();
        assert!(stops > 0 && (what == "command" || !started), "{name}: {stops} stops");
        bench.stands(&drive).await;
    }

    // Registers lie: the setpoint, ...
    bench.peer.tell(&format!("lie {} 77", setpoint.read_back.unwrap_or(setpoint.address)));
    let error = drive.run(100.0).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("register {} (setpoint) was written ", setpoint.address)) && error.contains("reads 77"),
        "{name}: {error}"
    );
    let (stops, started) = bench.sent();
    assert!(stops > 0 && !started, "{name}: it is not started");
    bench.stands(&drive).await;

    // ... the actual speed, ...
    drive.run(100.0).await.unwrap();
    bench.sent();
    bench.peer.tell(&format!("lie {actual} 32000"));
    let error = bench.trouble(&drive, &format!("register {actual} (actual speed) reads 32000")).await;
    assert!(matches!(error, ConveyorError::Drive { .. }), "{name}: {error}");
    assert!(bench.sent().0 > 0, "{name}: it is stopped without being asked");
    bench.stands(&drive).await;

    // ... and the status, which reports a standing belt as running.
    drop(drive);
    let drive = Drive::open(&Config { ramp_s: 0.3, ..bench.peer.config() }).unwrap();
    bench.sent();
    bench.peer.tell("lying");
    bench.peer.tell("stuck");
    let error = drive.run(100.0).await.unwrap_err().to_string();
    let said = format!("register {} (status) reads 0x", status.word);
    assert!(error.contains("within 0.3 s") && error.contains(&said) && error.contains("(actual speed) 0"), "{name}: {error}");
    assert!(!drive.state().await.unwrap().moving, "{name}");
    assert!(bench.sent().0 > 0, "{name}");
}

/// Nearly all of it is waiting. The cases wait together.
#[tokio::test]
async fn of_every_profile() {
    let [v20, ms300, abb, altivar, plc] = PROFILES.map(whatever_happens);
    tokio::join!(v20, ms300, abb, altivar, plc);
}

#[test]
fn every_profile_is_tried() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/drives");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let mut tried = PROFILES.to_vec();
    names.sort();
    tried.sort_unstable();
    assert_eq!(names, tried);
}
