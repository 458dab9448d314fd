//! Answers and refusals. Each refusal says what to do.

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyclus::control::Problem;
use hyclus::store::SampleError;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// What a route gives.
pub type Answer<T> = Result<T, Refusal>;

/// A refusal, as `application/problem+json`.
#[derive(Debug)]
pub struct Refusal(Box<Problem>);

impl Refusal {
    /// What is wrong and what to do.
    pub fn into_detail(self) -> String {
        self.0.detail
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// A refusal.
pub fn problem(status: StatusCode, detail: impl Into<String>) -> Refusal {
    Refusal(Box::new(Problem::plain(status, detail)))
}

/// There is no such thing.
pub fn unknown(detail: impl Into<String>) -> Refusal {
    problem(StatusCode::NOT_FOUND, detail)
}

/// The request is wrong.
pub fn wrong(detail: impl Into<String>) -> Refusal {
    problem(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// The disk or a file on it refuses.
pub fn unreadable(what: impl Display) -> Refusal {
    tracing::warn!(problem = %what, "stored data cannot be read");
    problem(StatusCode::INTERNAL_SERVER_ERROR, format!("{what}"))
}

/// A sample's file that cannot be read.
pub fn of_sample(error: &SampleError) -> Refusal {
    unreadable(error)
}

/// The query of a request.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| wrong(format!("the query cannot be read: {}", error.body_text())))
    }
}

/// The names in a request's path.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path)).map_err(|_| unknown("the path names nothing that is stored"))
    }
}

/// A list of numbers behind commas.
pub fn numbers<T: std::str::FromStr>(text: &str, most: usize, what: &str) -> Answer<Vec<T>> {
    let list: Vec<&str> = text.split(',').filter(|part| !part.trim().is_empty()).collect();
    if list.is_empty() || list.len() > most {
        return Err(wrong(format!("{what} is a list of 1 to {most} numbers with commas between, such as 10,40,80")));
    }
    let number =
        |part: &&str| part.trim().parse::<T>().map_err(|_| wrong(format!("{what} has `{}`, which is no such number", part.escape_debug())));
    list.iter().map(number).collect()
}

/// Numbers as octets, little-endian, with further headers.
pub fn octets(bytes: Vec<u8>, more: &[(&'static str, String)]) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in more {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Numbers of 32 bits as octets, little-endian.
pub fn little_endian(values: &[f32]) -> Vec<u8> {
    if cfg!(target_endian = "little") {
        return bytemuck::cast_slice(values).to_vec();
    }
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
