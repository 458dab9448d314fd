//! Refusals, as `application/problem+json`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyclus::client::ClientError;
use hyclus::control::{PROBLEM_JSON, Problem};
use std::time::Duration;

/// A refused request.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What the browser gets.
    pub problem: Box<Problem>,
    /// When to come again.
    retry: Option<Duration>,
}

/// What a handler gives.
pub type Answer = Result<Response, Refused>;

impl Refused {
    /// A refusal, and what to do.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::plain(status, detail)), retry: None }
    }

    /// A refusal for some time.
    pub fn later(detail: impl Into<String>, retry: Duration) -> Self {
        Self { retry: Some(retry), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }
}

impl From<ClientError> for Refused {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(problem) => Self { problem, retry: None },
            other => Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("the daemon does not answer: {other}")),
        }
    }
}

impl From<crate::state::StateError> for Refused {
    fn from(error: crate::state::StateError) -> Self {
        tracing::error!(%error, "the state folder cannot be used");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the console's own folder cannot be used; its log says why")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut value = serde_json::to_value(&*self.problem).unwrap_or_default();
        let seconds = self.retry.map(|wait| wait.as_secs_f64().ceil());
        if let Some(seconds) = seconds {
            value["retry_after_s"] = seconds.into();
        }
        let mut response = (status, axum::Json(value)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(value) = seconds.and_then(|seconds| HeaderValue::from_str(&seconds.to_string()).ok()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}
