//! A driver to copy: a line camera behind its maker's library.
//!
//! [`vendor`] stands for that library, and is all that is made up here. The rest is what such a driver consists of: its section of
//! the configuration ([`Config`]), the control half ([`Camera`]), and the data half, which the library calls from a thread of its
//! own (`stream.rs`). `tests/conformance.rs` shows that it keeps the contract.
//!
//! drivers/README.md tells how a crate like this becomes a device of the rig.

mod camera;
mod config;
mod stream;
pub mod vendor;

pub use camera::Camera;
pub use config::Config;
