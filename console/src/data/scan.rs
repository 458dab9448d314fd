//! The record of a scan.

use super::answer::{Answer, Named};
use super::{Data, place};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// `GET /api/scans/{id}`: the text of its `scan.json`, once it was read as a record.
pub async fn record(State(data): State<Arc<Data>>, Named(scan): Named<String>) -> Answer<Response> {
    let (_, text) = data.reading(move |data| place::record_and_text(&data.root, &scan)).await?;
    let mut response = text.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
