//! An S3 server: SeaweedFS, from its wheel.

use crate::rig::{PATIENCE, Running, wait_until};
use serde_json::json;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Name of the bucket.
pub const BUCKET: &str = "ores";

/// A server with credentials of its own.
pub struct Server {
    pub folder: TempDir,
    pub port: u16,
    ports: Vec<u16>,
    running: Option<Running>,
}

/// Where the program is: beside the Python packages of the tests.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("HYCLUS_WEED").map(PathBuf::from);
    let beside = || {
        let paths = std::env::var_os("PYTHONPATH")?;
        std::env::split_paths(&paths).map(|path| path.join("bin/weed")).find(|path| path.is_file())
    };
    named.or_else(beside)
}

/// Ports that are free now, and whose numbers plus 10 000 are, which the server opens as well.
fn free_ports(count: usize) -> Vec<u16> {
    let mut found = Vec::new();
    let mut held = Vec::new();
    while found.len() < count {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if let Some(Ok(other)) = port.checked_add(10_000).map(|above| TcpListener::bind(("127.0.0.1", above))) {
            found.push(port);
            held.push(other);
        }
        held.push(listener);
    }
    found
}

impl Server {
    /// Starts a server. `None` where the program is not installed, which only `HYCLUS_SKIP_PYTHON` allows.
    pub fn start() -> Option<Self> {
        if program().is_none() {
            assert!(std::env::var_os("HYCLUS_SKIP_PYTHON").is_some(), "there is no weed; run make setup, or set HYCLUS_WEED");
            eprintln!("skipped: there is no S3 server");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports(5);
        let mut server = Self { port: ports[4], folder, ports, running: None };
        server.identities(&[
            ("admin", "root", "root-secret", &["Admin", "Read", "Write", "List"]),
            ("rig", "rig1", "s3cret", &["Read", "Write", "List"]),
        ]);
        server.launch();
        server.make_bucket();
        Some(server)
    }

    fn identities(&self, all: &[(&str, &str, &str, &[&str])]) {
        let all: Vec<_> = all
            .iter()
            .map(|(name, key, secret, actions)| {
                json!({"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions})
            })
            .collect();
        fs::write(self.folder.path().join("s3.json"), json!({"identities": all}).to_string()).unwrap();
    }

    /// Starts the program.
    pub fn launch(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        fs::create_dir_all(path("disk")).unwrap();
        let log = fs::File::options().create(true).append(true).open(path("weed.log")).unwrap();
        let [master, volume, filer, _, s3] = self.ports[..] else { unreachable!() };
        let mut command = Command::new(program().unwrap());
        command.args([
            "-logtostderr=true",
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
            "-master.telemetry=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]);
        command.arg(format!("-dir={}", path("disk"))).arg(format!("-s3.config={}", path("s3.json")));
        command.arg(format!("-master.port={master}")).arg(format!("-volume.port={volume}")).arg(format!("-filer.port={filer}"));
        command.arg(format!("-s3.port={s3}")).arg("-volume.max=20").arg("-master.volumeSizeLimitMB=128");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).current_dir(self.folder.path());
        self.running = Some(Running(command.spawn().unwrap()));
        wait_until("the S3 server answers", || TcpStream::connect(("127.0.0.1", s3)).is_ok());
    }

    /// Kills the program as a power cut would.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The bucket, made by the filer, which has a folder for each.
    fn make_bucket(&self) {
        let filer = self.ports[2];
        let begin = Instant::now();
        loop {
            let made =
                Command::new("curl").args(["-sSf", "-X", "POST", &format!("http://127.0.0.1:{filer}/buckets/{BUCKET}/")]).output().unwrap();
            if made.status.success() {
                return;
            }
            let log = || String::from_utf8_lossy(&fs::read(self.folder.path().join("weed.log")).unwrap_or_default()).into_owned();
            assert!(begin.elapsed() < PATIENCE, "there is no bucket: {}\n{}", String::from_utf8_lossy(&made.stderr), log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Removes all objects. Uploads that were begun stay.
    pub fn empty(&self) {
        let url = format!("http://127.0.0.1:{}/buckets/{BUCKET}/lab?recursive=true", self.ports[2]);
        let removed = Command::new("curl").args(["-sSf", "-X", "DELETE", &url]).output().unwrap();
        assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    }

    /// The section `[ship]` of a rig, with credentials in a file of the server's folder.
    pub fn ship(&self, secret: &str) -> String {
        let path = self.folder.path().join("credentials");
        self.credentials(secret);
        format!("archive = \"s3://{BUCKET}/lab\"\nendpoint = \"http://127.0.0.1:{}\"\ncredentials = {path:?}", self.port)
    }

    /// Writes the file of credentials.
    pub fn credentials(&self, secret: &str) {
        use std::os::unix::fs::OpenOptionsExt;
        let (path, part) = (self.folder.path().join("credentials"), self.folder.path().join(".credentials"));
        let mut file = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&part).unwrap();
        std::io::Write::write_all(&mut file, format!("AWS_ACCESS_KEY_ID=rig1\nAWS_SECRET_ACCESS_KEY={secret}\n").as_bytes()).unwrap();
        fs::rename(part, path).unwrap();
    }
}
