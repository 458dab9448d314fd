//! The console under attack: a real server on a free port, and a daemon that is played on a unix socket.

#![allow(clippy::unwrap_used)]

mod bounds;
mod browser;
mod daemon;
mod live;
mod login;
mod origin;
mod rig;
mod roles;
mod stop;
mod tls;
