//! The interfaces of the daemon for people and programs.
//!
//! [`serve_control`] answers on a unix socket. The socket's group and mode decide who may connect. [`Access`] decides the role of each
//! peer. The peer's credentials go to the log with every change. [`serve_readonly`] answers on TCP and changes nothing. [`Limits`] bound
//! the cost of a peer of either. [`Hosts`] keep web pages of others away.

mod access;
mod call;
mod connections;
mod events;
mod hosts;
mod live;
mod openapi;
mod places;
mod readonly;
mod routes;
mod server;
mod socket;
mod stop;

pub use crate::problem::{PROBLEM_JSON, Problem};
pub use access::{Access, AccessError, Caller, Role};
pub use hosts::Hosts;
pub use places::Limits;
pub use readonly::serve_readonly;
pub use routes::{openapi_document, routes};
pub use server::{serve_control, serve_stream};
pub use socket::{BindError, activated, activated_tcp, bind, check as check_socket};
