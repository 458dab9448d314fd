//! Orders for the disk of a daemon: see `disk.c`.

use crate::rig::preloaded;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What the disk does once it is triggered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Good,
    Full,
    Failing,
    ReadOnly,
    /// So many bytes per second.
    Slow(i64),
    /// Files whose path holds the trigger take as many writes, one after another, as were granted.
    Gated,
    /// Nothing is pretended: somebody fills the file system, which is one of its own.
    Filled,
    /// It is mounted over itself as one that can only be read; what is open by then can still be written.
    MountedReadOnly,
}

/// When it does so, and what else happens then.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    pub mode: Mode,
    /// Part of the path that is opened then, and how often it is opened before without any effect.
    pub trigger: (&'static str, i32),
    /// What is still written after that, bytes; of a gate: writes that may pass.
    pub bytes_left: i64,
    /// By how much the clock is set.
    pub clock_step_s: i64,
}

/// The library that stands between a daemon and its disk.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| preloaded("daemon/matrix/disk.c"))
}

/// Where `bytes_left` and `passed` stand in the orders.
const GRANTED_AT: u64 = 8;
const PASSED_AT: u64 = 40 + 512 + 128;

impl Mode {
    /// Whether it needs a file system of its own.
    pub fn mounted(self) -> bool {
        matches!(self, Self::Filled | Self::MountedReadOnly)
    }
}

/// The disk of one daemon.
pub struct Disk {
    orders: File,
    pub environment: Vec<(&'static str, OsString)>,
    below: Vec<u8>,
    notes: PathBuf,
}

impl Disk {
    /// A good disk below `data`; the file of its orders lies in `folder`.
    pub fn new(folder: &Path, data: &Path) -> Self {
        let path = folder.join("disk-orders");
        let orders = File::options().create_new(true).read(true).write(true).open(&path).unwrap();
        orders.set_len(PASSED_AT + 8).unwrap();
        let notes = folder.join("disk-synced");
        let environment = vec![("LD_PRELOAD", library().into()), ("DISK_ORDERS", path.into()), ("DISK_SYNCED", notes.clone().into())];
        let this = Self { orders, environment, below: data.as_os_str().as_encoded_bytes().to_vec(), notes };
        this.mend();
        this
    }

    /// Numbers of the files and folders that were seen on the disk, in that order.
    pub fn synced(&self) -> Vec<u64> {
        let notes = std::fs::read_to_string(&self.notes).unwrap_or_default();
        notes.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Gives orders.
    pub fn order(&self, orders: &Orders) {
        let (mode, bytes_per_s) = match orders.mode {
            Mode::Good => (0_i32, 0),
            Mode::Full => (1, 0),
            Mode::Failing => (2, 0),
            Mode::ReadOnly => (3, 0),
            Mode::Slow(bytes_per_s) => (4, bytes_per_s),
            Mode::Gated => (5, 0),
            Mode::Filled => (6, 0),
            Mode::MountedReadOnly => (7, 0),
        };
        let mut bytes = Vec::new();
        bytes.extend(mode.to_ne_bytes());
        bytes.extend(orders.trigger.1.to_ne_bytes());
        for number in [orders.bytes_left, bytes_per_s, orders.clock_step_s * 1_000_000_000, 0] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(&self.below);
        bytes.resize(40 + 512, 0);
        bytes.extend(orders.trigger.0.as_bytes());
        bytes.resize(PASSED_AT as usize, 0);
        self.orders.write_all_at(&bytes, 0).unwrap();
    }

    /// Lets writes pass a gate until there were `writes` in all.
    pub fn grant(&self, writes: i64) {
        self.orders.write_all_at(&writes.to_ne_bytes(), GRANTED_AT).unwrap();
    }

    /// Writes that have passed the gate so far.
    pub fn passed(&self) -> i64 {
        let mut bytes = [0; 8];
        self.orders.read_exact_at(&mut bytes, PASSED_AT).unwrap();
        i64::from_ne_bytes(bytes)
    }

    /// A good disk, and the right time.
    pub fn mend(&self) {
        self.order(&Orders { mode: Mode::Good, trigger: ("", 0), bytes_left: 0, clock_step_s: 0 });
    }
}
