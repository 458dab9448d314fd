//! A scan on `config/rig.example.toml`, with stand-ins that are not ours behind each of its devices, but for the light controllers.

#[path = "../../drivers/light-serial/tests/peer/mod.rs"]
pub mod lights;

use super::gige::fake::{Fake, config as camera};
use super::gige::{LIMITS, SHUTTER, in_own_network_async, metrics, run_in, tray};
use super::rig::{Daemon, scan};
use light_serial::Protocol;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The V20 on a pseudo-terminal, behind a pymodbus server.
pub struct Drive {
    child: Child,
    pub port: String,
    /// Every frame that it was sent, in hexadecimal.
    pub heard: Arc<Mutex<Vec<String>>>,
}

impl Drive {
    pub fn start(python: &str, root: &Path) -> Self {
        let script = root.join("drivers/conveyor-modbus/tests/drives/peer.py");
        let mut child =
            Command::new(python).arg(script).args(["rtu", "siemens-v20"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = lines.by_ref().map_while(Result::ok).filter(|line| line.starts_with("at "));
        let said = said.next().expect("the drive says where it is (pymodbus and pyserial are needed: make setup)");
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let ears = Arc::clone(&heard);
        let frames = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("> ").map(str::to_owned));
        std::thread::spawn(move || frames.for_each(|frame| ears.lock().unwrap().push(frame)));
        Self { child, port: said.strip_prefix("at ").unwrap().to_owned(), heard }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn table(text: &str) -> toml::Table {
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Ports, addresses and paths are those of the stand-ins. Besides, the pictures that they draw are no references: the limits of these are
/// opened; they show no containers and no wavelengths of an encoder; and the camera has a shutter of its own kind. Regions and grid are a quarter
/// of their size, for machines that test much at once.
fn stood_in(root: &Path, python: &str, drive: &str, lights: [&str; 2]) -> String {
    let mut rig = table(&std::fs::read_to_string(root.join("config/rig.example.toml")).unwrap());
    let path = |path: &str| toml::Value::from(root.join(path).display().to_string());
    rig["rig"]["data_dir"] = "data".into();
    rig.insert("control".into(), table("socket = \"s\"\nlisten = \"127.0.0.1:0\"").into());
    rig["conveyor"]["device"]["profile"] = path("config/drives/siemens-v20.toml");
    rig["conveyor"]["device"]["port"] = drive.into();
    let vnir = rig["camera"][0]["device"].as_table_mut().unwrap();
    vnir["address"] = "127.0.0.1".into();
    let buffer = camera("127.0.0.1", 1, 1).socket_buffer_kib;
    vnir.extend(table(&format!("byte_order = \"big\"\nsocket_buffer_kib = {buffer}\nshutter = {SHUTTER}")));
    (vnir["pixels"], vnir["bands"]) = (128.into(), 56.into());
    rig["camera"][0]["exposure_us"] = 1000.0.into();
    let swir = &mut rig["camera"][1]["device"];
    (swir["pixels"], swir["bands"]) = (96.into(), 72.into());
    let shape = [&swir["pixels"], &swir["bands"]].map(ToString::to_string);
    swir["command"] = vec![python.into(), path("drivers/bridge/examples/ramp.py"), shape[0].clone().into(), shape[1].clone().into()].into();
    for (i, port) in lights.into_iter().enumerate() {
        rig["light"][i]["device"]["port"] = port.into();
    }
    rig["grid"]["pixel_mm"] = 2.4.into();
    rig["references"]["limits"] = table(LIMITS).into();
    rig["lamps"] = table("max_drift = 1000.0\nwindow_s = 0.3").into();
    rig["scan"].as_table_mut().unwrap().insert("warm_up_s".into(), 0.1.into());
    rig["segment"].as_table_mut().unwrap().insert("method".into(), "footprint".into());
    rig.remove("encoder");
    rig.remove("minerals");
    rig.to_string()
}

/// The Python of the stand-ins; `None` where tests that need one are left out.
pub fn python() -> Option<String> {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        eprintln!("skipped, because HYCLUS_SKIP_PYTHON is set");
        return None;
    }
    Some(std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into()))
}

#[test]
fn a_whole_scan_runs_on_the_example() {
    let Some(python) = python() else { return };
    in_own_network_async("example::a_whole_scan_runs_on_the_example", async {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let _camera = Fake::start("127.0.0.1", "GV01", 0);
        run_in("127.0.0.1");
        let drive = Drive::start(&python, root);
        let (halogen, led) = (lights::Peer::serial(Protocol::Scpi), lights::Peer::serial(Protocol::Gardasoft));
        let daemon = Daemon::with(&stood_in(root, &python, &drive.port, [&halogen.place, &led.place]));
        let (record, _) = scan(&daemon, tray()).await;
        assert_eq!(record.complete, Some(true), "{:?}", record.reason);
        assert_eq!(record.samples.len(), 4, "{:?}", record.missing);
        for (name, sums) in &record.cameras {
            assert!(sums.received > 100 && sums.received + sums.lost == sums.expected, "{name}: {sums:?}");
        }
        let metrics = metrics(&daemon);
        for part in [
            "hyclus_camera_link_total{camera=\"vnir\",count=\"received_packets\"}",
            "hyclus_device_requests_total{device=\"conveyor\"}",
            "hyclus_device_requests_total{device=\"halogen\"}",
        ] {
            assert!(metrics.contains(part), "{part}: {metrics}");
        }
        assert!(halogen.heard().iter().any(|said| said.starts_with("VOLT 12")) && led.heard().iter().any(|said| said.starts_with("RS1,")));
    });
}
