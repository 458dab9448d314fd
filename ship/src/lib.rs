//! Ships ended scans to an archive: any S3, or a folder.
//!
//! `watch` looks for ended scans, and hands each to `scan`. `scan` finds out which revision the archive has, ships what is new by `object`,
//! and `scan.json` last. `upload` goes on with a large object that was cut off. `seal` has its seal follow. `layout` says where a file of a
//! scan lies in the archive. `pace` bounds the bandwidth, and waits while the rig scans. `keep` removes local files that are proved to be in
//! the archive, through the daemon. `events` tells others what was shipped. `fetch` brings a scan back. See `docs/archive.md`.
//!
//! Nothing is trusted that was not looked at: each object is compared by size and hash after it was put, each local file by the hash in
//! `scan.json` before it counts, and every object is read back before a local copy goes.

pub mod cli;
mod credentials;
mod daemon;
mod events;
mod failure;
mod fetch;
mod hash;
mod keep;
mod layout;
mod metrics;
mod object;
mod pace;
mod place;
mod scan;
mod seal;
mod state;
mod upload;
mod watch;

pub use failure::{Failure, Trouble};
pub use layout::Layout;
pub use place::Place;
