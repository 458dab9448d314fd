//! How people and programs talk to the daemon.
//!
//! [`serve_control`] answers on a unix socket. The socket's group and mode say who may connect, [`Access`] what they may do, and the
//! peer's credentials go to the log with every change. [`serve_readonly`] answers on TCP and changes nothing. [`Limits`] bound what a
//! peer of either can take.
//! [`client`] is the other end of the first.

mod access;
pub mod client;
mod connections;
mod events;
mod openapi;
mod problem;
mod readonly;
mod routes;
mod server;
mod socket;

pub use access::{Access, AccessError, Caller, Role};
pub use connections::Limits;
pub use openapi::document as openapi_document;
pub use problem::{PROBLEM_JSON, Problem};
pub use readonly::serve_readonly;
pub use server::{serve_control, serve_stream};
pub use socket::{BindError, activated, bind};

use tokio::sync::watch;

/// Returns once `shutdown` is true, or nobody is left who could say so.
async fn ended(mut shutdown: watch::Receiver<bool>) {
    // An error is the second of the two.
    let _ = shutdown.wait_for(|ended| *ended).await;
}

/// Every route of the control socket, as method and path pattern.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    routes::ROUTES.iter().map(|route| {
        let verb = match route.verb {
            routes::Verb::Get => "GET",
            routes::Verb::Post => "POST",
            routes::Verb::Put => "PUT",
        };
        (verb, route.path)
    })
}
