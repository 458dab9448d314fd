//! The control socket, its client, the read-only listener and the command line, against a rig that only remembers what it was asked.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bounds;
mod command_line;
mod events;
mod readonly;
mod rig;
mod routes;
mod socket;
