//! `hyclus process` from end to end: known truth, real recordings, repeatability, refusals, and one to three cameras.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod bands;
mod bench;
mod cameras;
mod keeps_up;
mod measured;
mod native;
mod odd;
mod places;
#[path = "../python/mod.rs"]
mod python;
mod references;
mod refusals;
mod repeat;
mod response;
mod rig;
mod rims;
mod segmentation;
