//! A call of the control socket: its request, and its route.

use super::access::Role;
use crate::problem::Problem;
use crate::rig::{Operations, Peer};
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use schemars::{Schema, SchemaGenerator};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// A request, as a handler sees it.
pub(super) struct Call {
    pub(super) operations: Arc<dyn Operations>,
    pub(super) peer: Peer,
    /// The peer's role.
    pub(super) role: Role,
    /// `{id}` of the path. Empty where the path has none.
    pub(super) id: String,
    /// The part of the address behind `?`. Empty where there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    /// The body. Empty where the route takes none.
    pub(super) body: Bytes,
    /// Free places for followers of events.
    pub(super) followers: Arc<Semaphore>,
    pub(super) shutdown: watch::Receiver<bool>,
}

/// The answer of a handler.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response, Box<Problem>>> + Send>>;
/// Gives the schema of a message.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Body of a request.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    Nothing,
    Json(SchemaOf),
    /// The bytes of an ONNX model.
    Model,
}

impl Takes {
    /// Media type, and largest number of bytes.
    pub(super) fn form(self) -> (&'static str, usize) {
        match self {
            // A tray map of some thousand containers fits.
            Self::Nothing | Self::Json(_) => ("application/json", 1 << 20),
            Self::Model => ("application/octet-stream", 256 << 20),
        }
    }
}

/// Content of a successful answer.
pub(super) enum Content {
    Json(SchemaOf),
    /// Any JSON document.
    Document,
    /// Messages of the live tap.
    Live,
    /// Text.
    Text,
    /// Server-sent events, with the schema of their data.
    Events(SchemaOf),
}

/// A route: its path, its documentation, and its handler.
pub(super) struct Route {
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    /// The least role that may call it.
    pub(super) role: Role,
    /// `operationId` of the document.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) body: Takes,
    /// Whether the body may be left out.
    pub(super) body_optional: bool,
    pub(super) status: StatusCode,
    pub(super) content: Content,
    /// Whether the same content may come with 503, as a negative answer.
    pub(super) may_fail: bool,
    /// Status codes of this call's problems, beside those that any call may have.
    pub(super) problems: &'static [u16],
    pub(super) handle: fn(Call) -> Answer,
}
