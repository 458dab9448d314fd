//! Errors as `application/problem+json` (RFC 9457).

use crate::operations::Refusal;
use crate::scan::Fault;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// Media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error, for programs (`type`, `status`, `faults`) and for people (`title`, `detail`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// Kind of problem: `urn:hyclus:problem:not-ready`, `:invalid`, `:unknown`, `:reference`, `:device`, `:disk`, or `:busy`. It is
    /// `about:blank` where the status suffices.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    /// The kind in words.
    #[serde(default)]
    pub title: String,
    /// The status code.
    pub status: u16,
    /// The error this time, and a remedy.
    #[serde(default)]
    pub detail: String,
    /// The requested path.
    #[serde(default)]
    pub instance: String,
    /// Every fault of the request, where the request is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// Kind of the refusal of a connection.
const BUSY: &str = "urn:hyclus:problem:busy";

fn blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem without a kind of its own. The status code names it.
    pub fn plain(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: blank(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: String::new(),
            faults: Vec::new(),
        }
    }

    /// The refusal of a connection beyond the limits. Nothing of its request was done.
    pub fn busy() -> Self {
        let detail = "too many connections are open; close some, or come again (POST /v1/stop is answered all the same)";
        let title = "Too many connections".to_owned();
        Self { kind: BUSY.to_owned(), title, ..Self::plain(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Whether too many connections were open.
    pub fn is_busy(&self) -> bool {
        self.kind == BUSY
    }

    /// The refusal of `what`, which needs a higher role.
    pub fn forbidden(role: impl Display, needed: impl Display, what: &str) -> Self {
        Self::plain(
            StatusCode::FORBIDDEN,
            format!("this peer may only {role}, and who {what} must be one of control.roles.{needed}; ask whoever configures the rig"),
        )
    }

    /// The same problem, with the requested path.
    #[must_use]
    pub fn at(mut self, instance: &str) -> Self {
        instance.clone_into(&mut self.instance);
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let (name, title, status) = match refusal {
            Refusal::NotReady { .. } => ("not-ready", "The rig is not ready", StatusCode::CONFLICT),
            Refusal::Invalid { .. } => ("invalid", "The request is wrong", StatusCode::UNPROCESSABLE_ENTITY),
            Refusal::Unknown { .. } => ("unknown", "There is no such thing", StatusCode::NOT_FOUND),
            Refusal::Reference { .. } => ("reference", "The reference is refused", StatusCode::UNPROCESSABLE_ENTITY),
            Refusal::Device { .. } => ("device", "A device failed or refused", StatusCode::BAD_GATEWAY),
            Refusal::Disk { .. } => ("disk", "The disk has no room, or is too slow", StatusCode::INSUFFICIENT_STORAGE),
        };
        let faults = if let Refusal::Invalid { faults } = refusal { faults } else { Vec::new() };
        let kind = format!("urn:hyclus:problem:{name}");
        Self { kind, title: title.to_owned(), status: status.as_u16(), detail, instance: String::new(), faults }
    }
}

impl From<Refusal> for Box<Problem> {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }
}
