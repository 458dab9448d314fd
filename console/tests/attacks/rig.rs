//! A console with its daemon, in a folder of its own.

use super::browser::Browser;
use super::daemon::Daemon;
use hyclus::config::Loaded;
use hyclus::control::Role;
use hyclus_console::state::{StateDir, accounts, links};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use tokio::sync::oneshot;

pub const PASSWORD: &str = "correct horse battery";

pub struct Rig {
    pub daemon: Daemon,
    pub address: SocketAddr,
    pub state: PathBuf,
    pub fingerprint: Option<String>,
    config: PathBuf,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    folder: tempfile::TempDir,
}

fn configuration(folder: &Path, more: &str) -> String {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/simulated.toml");
    let mut table: toml::Table = std::fs::read_to_string(base).unwrap().parse().unwrap();
    table.remove("encoder");
    table.remove("minerals");
    let mut console: toml::Table = more.parse().unwrap();
    console.entry("listen").or_insert("127.0.0.1:0".into());
    console.insert("state_dir".into(), folder.join("state").display().to_string().into());
    table.insert("console".into(), console.into());
    let control = toml::Table::from_iter([("socket".to_owned(), folder.join("s").display().to_string().into())]);
    table.insert("control".into(), control.into());
    toml::to_string(&table).unwrap()
}

impl Rig {
    pub fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::listen(&folder.path().join("s"));
        let config = folder.path().join("rig.toml");
        std::fs::write(&config, configuration(folder.path(), more)).unwrap();
        let dir = StateDir::open(&folder.path().join("state")).unwrap();
        for (name, role) in [("olga", Role::Observe), ("maria", Role::Operate), ("jan", Role::Operate), ("ada", Role::Administer)] {
            accounts::add(&dir, name, role, PASSWORD).unwrap();
        }
        let state = folder.path().join("state");
        let address = "127.0.0.1:0".parse().unwrap();
        let mut rig = Self { daemon, address, state, fingerprint: None, config, end: None, thread: None, folder };
        rig.serve();
        rig
    }

    fn serve(&mut self) {
        let loaded = Loaded::read(&self.config).unwrap();
        let (ready, told) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        self.thread = Some(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let shutdown = async { _ = ended.await };
            runtime.block_on(hyclus_console::serve(&loaded, None, shutdown, |said| ready.send(said.clone()).unwrap())).unwrap();
        }));
        let said = told.recv().unwrap();
        (self.address, self.fingerprint, self.end) = (said.address, said.fingerprint, Some(end));
    }

    pub fn stop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub fn restart(&mut self) {
        self.stop();
        self.serve();
    }

    pub fn dir(&self) -> StateDir {
        StateDir::open(&self.state).unwrap()
    }

    /// A browser without a session.
    pub fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser that came by a link. It takes no password, and so no time.
    pub fn guest(&self, name: &str, role: Role) -> Browser {
        let now = hyclus::scan::now_ns() / 1_000_000_000;
        let code = links::make(&self.dir(), name, role, now + 3600, now).unwrap();
        let mut browser = self.browser();
        let answer = browser.post("/api/link", &format!(r#"{{"code":"{code}"}}"#));
        assert_eq!(answer.status, 200, "{}", answer.text());
        browser.came_in(&answer);
        browser
    }

    /// An operator with the lease.
    pub fn operator(&self) -> Browser {
        let browser = self.guest("maria", Role::Operate);
        assert_eq!(browser.post("/api/lease", r#"{"take_over":true}"#).status, 200);
        browser
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.end.take());
    }
}
