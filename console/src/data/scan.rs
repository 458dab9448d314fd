//! The record of a scan.

use super::answer::{Answer, Named};
use super::{Data, place};
use axum::Json;
use axum::extract::State;
use hyclus::scan::ScanRecord;
use std::sync::Arc;

/// `GET /api/scans/{id}`.
pub async fn record(State(data): State<Arc<Data>>, Named(scan): Named<String>) -> Answer<Json<ScanRecord>> {
    data.reading(move |data| place::record(&data.root, &scan)).await.map(Json)
}
