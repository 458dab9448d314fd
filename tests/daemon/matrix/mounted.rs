//! A small file system of its own for one daemon: a tmpfs in a user and mount namespace, which needs no root where the system lets
//! everybody make such namespaces.

use super::disk::Mode;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Room on it, MiB.
const ROOM_MIB: u32 = 64;

/// Mounts, says so, and keeps the namespace for as long as somebody holds the other end of its input.
const KEEP: &str = r#"mount -t tmpfs -o size="$1"m,mode=700 tmpfs "$2" && echo && exec cat"#;

/// The namespaces, and the file system in them.
pub struct Mounted {
    keeper: Child,
    data: PathBuf,
}

impl Mounted {
    /// A tmpfs on `data`, for those within; `None` where the system does not let us.
    pub fn new(data: &Path) -> Option<Self> {
        std::fs::create_dir_all(data).unwrap();
        let mut keeper = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", KEEP, "sh", &ROOM_MIB.to_string()])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let said = keeper.stdout.as_mut().unwrap().read(&mut [0]).unwrap();
        let this = Self { keeper, data: data.to_owned() };
        (said == 1 && this.seen().is_dir() && this.within(&["true"])).then_some(this)
    }

    /// Whether the system lets us.
    pub fn possible() -> bool {
        static POSSIBLE: OnceLock<bool> = OnceLock::new();
        *POSSIBLE.get_or_init(|| Self::new(tempfile::tempdir().unwrap().path()).is_some())
    }

    /// What a command begins with to run within.
    pub fn enter(&self) -> Vec<OsString> {
        let pid = self.keeper.id().to_string();
        ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", &pid, "--"].map(OsString::from).to_vec()
    }

    /// Where those outside find the data.
    pub fn seen(&self) -> PathBuf {
        Path::new("/proc").join(self.keeper.id().to_string()).join("root").join(self.data.strip_prefix("/").unwrap())
    }

    /// Mends what was done to it.
    pub fn mend(&self, mode: Mode) {
        match mode {
            Mode::Filled => std::fs::remove_file(self.seen().join("filler")).unwrap(),
            _ => assert!(self.within(&["umount", "--lazy", self.data.to_str().unwrap()])),
        }
    }

    /// Lays what is on it where it is mounted on, which those within do not see.
    pub fn lay_out(&self) {
        let done = Command::new("cp").arg("--archive").arg(self.seen().join(".")).arg(&self.data).status().unwrap();
        assert!(done.success());
    }

    fn within(&self, command: &[&str]) -> bool {
        let enter = self.enter();
        Command::new(&enter[0]).args(&enter[1..]).args(command).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
