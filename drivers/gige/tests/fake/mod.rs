//! Aravis's own simulated camera, `arv-fake-gv-camera-0.8`, in a loopback network of the test's own.
//!
//! The camera's port is fixed. Its address must be one of an interface. Each test thus runs in a network namespace with its own
//! 127.0.0.1 and 127.0.0.2. The test program starts itself again there. Without namespaces, tests take turns at 127.0.0.1.

#![allow(dead_code)]

use gige::{ByteOrder, Config, PixelFormat};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The variable of a run within the namespace. Its value is the name of the test that runs there.
const INSIDE: &str = "HYCLUS_TEST_NETWORK";

/// The simulated camera's program. Where it is not installed, `None` and a message. It must exist where the variable is set.
pub fn program() -> Option<String> {
    if let Ok(program) = std::env::var("HYCLUS_FAKE_CAMERA") {
        return Some(program);
    }
    let program = "arv-fake-gv-camera-0.8";
    match Command::new(program).arg("--help").stdout(Stdio::null()).status() {
        Ok(_) => Some(program.to_owned()),
        Err(error) => {
            println!("skipped: {program} is not there ({error}); `make setup` gets it");
            None
        }
    }
}

fn unshare() -> Option<&'static str> {
    ["-n", "-rn"].into_iter().find(|flags| {
        let tried =
            Command::new("unshare").args([flags, "ip", "link", "set", "lo", "up"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    })
}

/// Runs `body` of the test `name` in its own network.
pub fn in_own_network(name: &str, body: impl FnOnce()) {
    if !gige::BUILT_IN || program().is_none() {
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(flags) = unshare() else {
        println!("no network namespaces here: this test waits for its turn at 127.0.0.1, and runs without a second camera");
        let turn = File::create(std::env::temp_dir().join("hyclus-fake-camera.lock")).unwrap();
        let _turn = Flock::lock(turn, FlockArg::LockExclusive).unwrap();
        return body();
    };
    let network = "ip link set lo up && ip addr add 127.0.0.2/8 dev lo && exec \"$@\"";
    let this = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args([flags, "sh", "-c", network, "sh"])
        .arg(this)
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(INSIDE, name)
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed in its network; see above");
}

/// A simulated camera. A drop kills it.
pub struct Fake {
    child: Child,
    address: String,
    arguments: Vec<String>,
}

impl Fake {
    /// Starts a camera that loses `lost_per_thousand` of its packets, and waits until it answers.
    pub fn start(address: &str, serial: &str, lost_per_thousand: u32) -> Self {
        let arguments = ["-i", address, "-s", serial, "-r", &lost_per_thousand.to_string()].map(str::to_owned).to_vec();
        let child = Command::new(program().unwrap()).args(&arguments).stdout(Stdio::null()).spawn().unwrap();
        let fake = Self { child, address: address.to_owned(), arguments };
        fake.wait();
        fake
    }

    fn wait(&self) {
        let socket = UdpSocket::bind((self.address.as_str(), 0)).unwrap();
        socket.connect((self.address.as_str(), 3956)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            // A discovery command of GVCP: key, flag, command, length, request.
            let sent = socket.send(&[0x42, 1, 0, 2, 0, 0, 0, 1]);
            if sent.is_ok() && socket.recv(&mut [0; 512]).is_ok() {
                return;
            }
            assert!(Instant::now() < end, "the camera at {} does not answer", self.address);
            std::thread::yield_now();
        }
    }

    /// Switches it off.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Switches it on again, without its settings.
    pub fn restart(&mut self) {
        self.kill();
        self.child = Command::new(program().unwrap()).args(&self.arguments).stdout(Stdio::null()).spawn().unwrap();
        self.wait();
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration for the camera at `address`. It sends the high byte of a pixel first.
pub fn config(address: &str, pixels: usize, bands: usize) -> Config {
    Config {
        serial: None,
        address: Some(address.into()),
        interface: None,
        pixels,
        bands,
        offset_x: 0,
        offset_y: 0,
        pixel_format: PixelFormat::Mono16,
        byte_order: ByteOrder::Big,
        first_nm: Some(400.0),
        last_nm: Some(1000.0),
        wavelengths: None,
        saturation: None,
        gain: Some(0.0),
        trigger: "free".into(),
        features: Vec::new(),
        shutter: None,
        status_line: None,
        temperature: None,
        frame_id_bits: None,
        latency_us: None,
        packet_size: None,
        packet_delay_us: 0,
        socket_buffer_kib: socket_buffer_kib(),
        packet_resend: true,
        frame_retention_ms: 100,
    }
}

/// The kernel's limit, up to the default.
fn socket_buffer_kib() -> u32 {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
    (allowed.trim().parse::<u64>().unwrap() / 1024).min(8192) as u32
}
