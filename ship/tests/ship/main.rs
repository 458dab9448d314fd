//! The shipper as its users meet it: the program, against a folder and against a real S3 server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod daemon;
mod folder;
mod kills;
mod rig;
mod s3;
mod server;
