//! The daemon as a child process, and its client.

use super::error::CampaignError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, LineWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Number of lines of the log in an error.
const LAST: usize = 5;

/// A running daemon. A drop before [`Daemon::stop`] kills it.
pub(super) struct Daemon {
    child: Child,
    tray: String,
    log: PathBuf,
    socket: PathBuf,
    /// Folder of the socket. It is a temporary one, because paths of sockets must be short.
    _folder: tempfile::TempDir,
}

fn program(name: &str) -> PathBuf {
    let beside = || std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let folder = std::env::var_os("HYCLUS_BIN").map(PathBuf::from).or_else(beside);
    folder.map_or_else(|| name.into(), |folder| folder.join(name))
}

impl Daemon {
    /// Starts the daemon with a rig on a data root, and waits until it is ready.
    pub fn start(tray: &str, rig: &Path, data: &Path, logs: &Path) -> Result<Self, CampaignError> {
        let log = logs.join(format!("{tray}.log"));
        let file = |source| CampaignError::File { path: log.clone(), source };
        let folder = tempfile::tempdir().map_err(file)?;
        let socket = folder.path().join("control.sock");
        let out = std::fs::File::create(&log).map_err(file)?;
        let daemon = program("hyclusd");
        let mut command = Command::new(&daemon);
        command.arg("--config").arg(rig).arg("--data").arg(data).arg("--socket").arg(&socket).args(["--listen", "127.0.0.1:0"]);
        command.env("HYCLUS_LOG", "info").env_remove("HYCLUS_LOG_FORMAT");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| CampaignError::Program { program: daemon, source })?;
        // A thread reads the log as it comes. A line of it reports that the socket exists. Its end reports that the daemon has ended.
        let lines = child.stderr.take().map(BufReader::new);
        let (ready, when_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut out = LineWriter::new(out);
            for line in lines.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                if writeln!(out, "{line}").is_err() {
                    break;
                }
                if line.contains("hyclusd is ready") {
                    // The receiver is gone after the first message.
                    let _ = ready.send(());
                }
            }
        });
        let daemon = Self { child, tray: tray.to_owned(), log, socket, _folder: folder };
        match when_ready.recv() {
            Ok(()) => Ok(daemon),
            Err(_) => Err(daemon.gave_up()),
        }
    }

    fn gave_up(&self) -> CampaignError {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST)..].join(" / ");
        CampaignError::Daemon { tray: self.tray.clone(), log: self.log.clone(), last }
    }

    /// Scans a tray to its end, and gives the scan's id.
    pub fn scan(&mut self, map: &Path) -> Result<String, CampaignError> {
        let client = program("hyclus");
        let mut command = Command::new(&client);
        command.arg("--socket").arg(&self.socket).args(["--json", "scan", "--wait", "--tray"]).arg(map).stdin(Stdio::null());
        let output = command.output().map_err(|source| CampaignError::Program { program: client, source })?;
        let failed = |reason: String| CampaignError::Scan { tray: self.tray.clone(), reason, log: self.log.clone() };
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !output.status.success() {
            return Err(failed(said));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let record = text.lines().rev().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let record = record.or_else(|| serde_json::from_str(&text).ok());
        let id = record.as_ref().and_then(|record| record["id"].as_str().or_else(|| record["scan_id"].as_str()));
        id.map(str::to_owned).ok_or_else(|| failed(format!("`hyclus scan` said no id: {text}")))
    }

    /// Ends the daemon in order.
    pub fn stop(&mut self) -> Result<(), CampaignError> {
        // The result of the signal does not matter. The wait below reports the end of the process.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(self.gave_up()),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail for an ended process, which needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
