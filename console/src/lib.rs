//! The console: the rig in a browser, served by a process of its own beside the daemon.
//!
//! `front` decides who may do what, before any handler sees a request. `live` fans one tap of the daemon out to every page. `state` keeps
//! accounts, links and sessions. `data` reads scans. The page itself lies in `console/web`, and is embedded. See `docs/console.md`.

mod alarms;
mod assets;
pub mod cli;
mod commands;
mod console;
pub mod data;
mod front;
mod health;
mod jog;
mod lease;
mod limits;
mod live;
mod places;
mod problem;
pub mod rules;
mod server;
pub mod state;
mod tls;
mod trays;
mod who;
mod worklist;

pub use server::{ServeError, serve};

/// The time now (ISO 8601, UTC).
pub(crate) fn now() -> String {
    hyclus::scan::iso(hyclus::scan::now_ns())
}

/// The time now, Unix s.
pub(crate) fn unix_s() -> i64 {
    hyclus::scan::now_ns() / 1_000_000_000
}
