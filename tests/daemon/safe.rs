//! A daemon that begins brings belt and lamps into their safe state, and nobody shares the belt with a scan.

use super::example::lights::Peer;
use super::example::{Drive, python};
use super::rig::{Daemon, Options, PATIENCE, configuration, tray, until};
use hyclus::client::Client;
use hyclus::rig::{ConveyorRequest, LightingRequest};
use hyclus::scan::{DeviceStatus, EventKind, StateName};
use light_serial::Protocol;
use std::path::Path;
use std::time::Instant;

/// Words to the command register of the V20: stop, and forward.
const STOP: &str = "01 06 00 63 0C 7E";
const FORWARD: &str = "01 06 00 63 0C 7F";

/// A drive and a light that are not the daemon's, and go on with what they were told whatever becomes of it.
struct StandIns {
    drive: Drive,
    light: Peer,
}

impl StandIns {
    /// `None` where Python tests are left out.
    fn start() -> Option<Self> {
        let drive = Drive::start(&python()?, Path::new(env!("CARGO_MANIFEST_DIR")));
        Some(Self { drive, light: Peer::serial(Protocol::Gardasoft) })
    }

    /// A rig on them. Where nobody tells the light anything it glows: only who says so has it off.
    fn rig(&self) -> String {
        let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/drives/siemens-v20.toml");
        let keys = "mm_per_s_per_hz = 4.0, min_speed_mm_per_s = 5.0, max_speed_mm_per_s = 200.0";
        let drive = format!("{{ kind = \"modbus\", profile = {profile:?}, port = {:?}, {keys} }}", self.drive.port);
        let light = format!("{{ kind = \"serial\", protocol = \"gardasoft\", port = {:?}, safe_level = 0.4 }}", self.light.place);
        let simulated = "device = { kind = \"simulated\" }";
        configuration(&Options::default())
            .replace(&format!("speed_mm_per_s = 80.0\n{simulated}"), &format!("speed_mm_per_s = 80.0\ndevice = {drive}"))
            .replace(&format!("name = \"halogen\"\n{simulated}"), &format!("name = \"halogen\"\ndevice = {light}"))
    }

    /// Has the belt run and the lamps burn.
    async fn set_going(&self, client: &Client) {
        client.lighting(&LightingRequest { light: None, level: 1.0 }).await.unwrap();
        client.conveyor(&ConveyorRequest::Run { speed_mm_per_s: 20.0 }).await.unwrap();
        assert!(self.drive_was_told().last().unwrap().starts_with(FORWARD));
        assert_eq!(self.light_was_told().last().unwrap(), "RS1,100.0");
    }

    /// What was written to the drive since the last time.
    fn drive_was_told(&self) -> Vec<String> {
        let frames = std::mem::take(&mut *self.drive.heard.lock().unwrap());
        frames.into_iter().filter(|frame| !frame.starts_with("01 03")).collect()
    }

    /// What the light was set to since the last time.
    fn light_was_told(&self) -> Vec<String> {
        self.light.heard().into_iter().filter_map(|said| said.starts_with("RS").then(|| said.trim_end_matches("\\r").to_owned())).collect()
    }
}

/// Whether the belt moves, and the lamps burn.
pub async fn at_work(client: &Client) -> (bool, bool) {
    let (mut moving, mut on) = (false, false);
    for device in client.status().await.unwrap().devices {
        match device {
            DeviceStatus::Conveyor { state, .. } => moving = state.unwrap().moving,
            DeviceStatus::Light { state, .. } => on |= state.unwrap().on,
            DeviceStatus::Camera { .. } => {}
        }
    }
    (moving, on)
}

/// What a daemon that was killed left running, the next one stops. Its light driver sets the safe level when it opens, and the daemon
/// has it off.
#[tokio::test]
async fn a_daemon_that_begins_stops_belt_and_lamps() {
    let Some(devices) = StandIns::start() else { return };
    let daemon = Daemon::with(&devices.rig());
    let client = daemon.client().await;
    devices.set_going(&client).await;
    assert_eq!(at_work(&client).await, (true, true));
    let folder = daemon.kill();
    let (drive, light) = (devices.drive_was_told(), devices.light_was_told());
    assert!(drive.is_empty() && light.is_empty(), "one that is killed says nothing more: {drive:?}, {light:?}");

    let daemon = Daemon::launch(folder);
    let (drive, light) = (devices.drive_was_told(), devices.light_was_told());
    assert!(!drive.is_empty() && drive.iter().all(|frame| frame.starts_with(STOP)), "{drive:?}");
    assert_eq!((light.first().unwrap().as_str(), light.last().unwrap().as_str()), ("RS1,40.0", "RS1,0.0"), "{light:?}");
    assert_eq!(at_work(&daemon.client().await).await, (false, false));
}

/// Of a travel and a scan, whichever comes second is refused; where both come at once, one of them is.
#[tokio::test(flavor = "multi_thread")]
async fn a_travel_and_a_scan_do_not_share_the_belt() {
    let more = "[disk]\ncheck_rate = false\n".to_owned();
    let daemon = Daemon::start(&Options { pace: "real_time", time_scale: 1.0, more, ..Options::default() });
    let (client, other) = (daemon.client().await, daemon.client().await);
    let mut events = client.events(None).await.unwrap();
    let far = ConveyorRequest::Travel { to_mm: 1e5 };
    let (mut scans, mut travels) = (0, 0);
    // How long a scan takes to be accepted: the moments between which the other request is made.
    let mut takes = std::time::Duration::ZERO;
    const ROUNDS: u32 = 16;
    for round in 0..ROUNDS {
        let travel = async {
            match round {
                0 => until(&mut events, |kind| matches!(kind, EventKind::ScanStarted { .. })).await.clear(),
                _ if round % 2 == 1 => {}
                _ => tokio::time::sleep(takes * round / ROUNDS).await,
            }
            other.conveyor(&far).await
        };
        let scan = async {
            let begin = Instant::now();
            while round + 1 == ROUNDS && !at_work(&client).await.0 {
                assert!(begin.elapsed() < PATIENCE, "the belt does not travel");
            }
            let begin = Instant::now();
            let scan = client.start_scan(tray(2, 2)).await;
            let took = begin.elapsed();
            // A travel that was taken goes on until it is stopped.
            if scan.is_err() {
                client.conveyor(&ConveyorRequest::Stop {}).await.unwrap();
            }
            (scan, took)
        };
        let (travel, (scan, took)) = tokio::join!(travel, scan);
        let states = (travel.is_ok(), scan.is_ok());
        match (travel, scan) {
            (Ok(_), Err(refused)) => {
                travels += 1;
                assert!(refused.not_ready() && refused.to_string().contains("the belt travels; wait for it"), "{refused}");
                assert!(!at_work(&client).await.0);
            }
            (Err(refused), Ok(record)) => {
                scans += 1;
                takes = took;
                let words = ["moving the belt is not possible while the rig is", "the belt travels already"];
                assert!(refused.not_ready() && words.iter().any(|words| refused.to_string().contains(words)), "{refused}");
                client.emergency_stop().await.unwrap();
                let closed = |kind: &EventKind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == record.id);
                until(&mut events, closed).await;
                client.acknowledge().await.unwrap();
            }
            _ => panic!("round {round}: travel and scan were taken: {states:?}"),
        }
        assert_eq!(client.status().await.unwrap().state, StateName::Idle);
    }
    println!("{scans} scans and {travels} travels began");
    assert!(scans > 0 && travels > 0);
}
