//! The log of what a program did to its disk: see `record.c`.

use super::rig::preloaded;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// One thing that a program did. Files and folders are named by their inodes.
#[derive(Debug, Clone)]
pub enum Op {
    /// A file or folder is made, under a name or without one.
    Create { folder: u64, node: u64, name: Option<String>, is_folder: bool },
    /// A file gets one more name.
    Link { folder: u64, node: u64, name: String },
    /// A name is removed.
    Unlink { folder: u64, name: String },
    /// A name is moved, and takes the place of what had the new one.
    Rename { from: (u64, String), to: (u64, String), node: u64 },
    /// Bytes are written at a place of the file.
    Write { node: u64, at: u64, data: Arc<[u8]> },
    /// The file gets a length.
    Length { node: u64, length: u64 },
    /// A sync of a file or folder begins.
    SyncBegins { node: u64, sync: u64 },
    /// That sync ends: what was done before it began is on the disk.
    SyncEnds { sync: u64 },
}

/// A log, in order.
pub struct Log {
    pub ops: Vec<Op>,
    /// Its size, bytes.
    pub bytes: usize,
}

/// The library that keeps the log.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| preloaded("power/record.c"))
}

/// The variables under which a program keeps the log `to` of what it does below `root/data`.
pub fn environment(root: &Path, to: &Path) -> [(&'static str, OsString); 3] {
    [("LD_PRELOAD", library().into()), ("POWER_ROOT", root.into()), ("POWER_LOG", to.into())]
}

impl Log {
    /// Reads a log.
    pub fn read(path: &Path) -> Self {
        const HEAD: usize = 48;
        let bytes = std::fs::read(path).unwrap();
        let (mut ops, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let u32_at = |place: usize| u32::from_ne_bytes(bytes[at + place..at + place + 4].try_into().unwrap());
            let u64_at = |place: usize| u64::from_ne_bytes(bytes[at + place..at + place + 8].try_into().unwrap());
            let (kind, detail, a, b, place) = (u32_at(0), u32_at(4), u64_at(8), u64_at(16), u64_at(24));
            let (first, second, data) = (u32_at(32) as usize, u32_at(36) as usize, u64_at(40) as usize);
            let mut from = at + HEAD;
            let mut take = |length: usize| {
                from += length;
                from - length..from
            };
            let text = |range: Range<usize>| String::from_utf8(bytes[range].to_vec()).unwrap();
            let (name, name2, data) = (text(take(first)), text(take(second)), take(data));
            at = from;
            ops.push(match kind {
                1 => Op::Create { folder: a, node: b, name: (detail != 2).then_some(name), is_folder: detail == 1 },
                2 => Op::Link { folder: a, node: b, name },
                3 => Op::Unlink { folder: a, name },
                4 => Op::Rename { from: (a, name), to: (b, name2), node: place },
                5 => Op::Write { node: a, at: place, data: bytes[data].into() },
                6 => Op::Length { node: a, length: place },
                7 => Op::SyncBegins { node: a, sync: b },
                8 => Op::SyncEnds { sync: b },
                9 => panic!("the model of the disk does not know {name}"),
                other => panic!("the log is torn at byte {at}: kind {other}"),
            });
        }
        Self { ops, bytes: bytes.len() }
    }
}
