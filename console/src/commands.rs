//! What a person asks the rig to do. Each call has its path here: nothing of the browser's path reaches the daemon unchecked.

use crate::console::Console;
use crate::problem::{Answer, Refused};
use crate::state::sessions::Session;
use crate::who::body;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use hyclus::control::Role;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of an answer of the daemon.
const MOST_BYTES: usize = 16 << 20;
/// Longest wait for what the daemon knows without asking a device.
const QUICK: Duration = Duration::from_secs(3);

/// Passes an answer of the daemon on to the browser.
///
/// # Errors
/// It breaks off, or is too large.
pub async fn passed_on(response: axum::http::Response<hyper::body::Incoming>) -> Answer {
    let (parts, incoming) = response.into_parts();
    let broken = |e: Box<dyn std::error::Error + Send + Sync>| {
        Refused::new(StatusCode::BAD_GATEWAY, format!("the daemon's answer breaks off: {e}; look at the rig before you try again"))
    };
    let bytes = Limited::new(incoming, MOST_BYTES).collect().await.map_err(broken)?.to_bytes();
    let kind = parts.headers.get(header::CONTENT_TYPE).cloned().unwrap_or(HeaderValue::from_static("application/json"));
    Ok((parts.status, [(header::CONTENT_TYPE, kind)], bytes).into_response())
}

/// `GET /api/rig`
pub async fn rig(State(console): State<Arc<Console>>, Extension(session): Extension<Session>) -> Response {
    let quick = async |path: &str| {
        let answer = tokio::time::timeout(QUICK, console.client.exchange(Method::GET, path, None)).await.ok()?.ok()?;
        let bytes = Limited::new(answer.into_body(), MOST_BYTES).collect().await.ok()?.to_bytes();
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    let (status, readiness) = tokio::join!(quick("/v1/status"), quick("/v1/health/ready"));
    let (connected, since) = console.live.link();
    // A refusal has a status of HTTP, and no state of the rig.
    let status = status.filter(|status| status["state"].is_string());
    let connected = connected || status.is_some();
    let shown = json!({
        "connected": connected,
        "since": if connected { None } else { since },
        "status": status.or_else(|| console.live.status()),
        "readiness": readiness.filter(|readiness| readiness["ready"].is_boolean()),
        "lease": console.lease.seen_by(&session.key),
        "alarms": console.live.alarms(),
    });
    Json(shown).into_response()
}

/// `POST /api/stop`: never refused. It is made again where the daemon is busy.
///
/// # Errors
/// The daemon does not answer.
pub async fn stop(State(console): State<Arc<Console>>, Extension(session): Extension<Session>) -> Answer {
    tracing::warn!(user = session.user, "emergency stop");
    console.jogger.end();
    let client = console.client.on_behalf_of(&session.user);
    let call = tokio::spawn(async move { client.emergency_stop().await });
    let status = call.await.map_err(|e| console.silent(&e.to_string()))?;
    match status {
        Ok(status) => Ok(Json(status).into_response()),
        Err(hyclus::client::ClientError::Refused(problem)) => Err(hyclus::client::ClientError::Refused(problem).into()),
        Err(error) => Err(console.silent(&format!("{error}; press the stop button of the machine"))),
    }
}

/// `POST /api/acknowledge`
///
/// # Errors
/// As the daemon says.
pub async fn acknowledge(State(console): State<Arc<Console>>, Extension(session): Extension<Session>) -> Answer {
    console.call(&session.user, Method::POST, "/v1/acknowledge", None).await
}

/// `POST /api/scans`
///
/// # Errors
/// As the daemon says.
pub async fn scan(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, bytes: Bytes) -> Answer {
    console.jogger.end();
    console.call(&session.user, Method::POST, "/v1/scans", Some(bytes.to_vec())).await
}

/// `POST /api/scans/{id}/stop`
///
/// # Errors
/// The id is none, or as the daemon says.
pub async fn stop_scan(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, Path(id): Path<String>) -> Answer {
    if !hyclus::scan::is_scan_id(&id) {
        return Err(Refused::new(StatusCode::NOT_FOUND, "there is no such scan"));
    }
    console.call(&session.user, Method::POST, &format!("/v1/scans/{id}/stop"), None).await
}

/// `POST /api/references/dark`
///
/// # Errors
/// As the daemon says.
pub async fn dark(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, bytes: Bytes) -> Answer {
    reference(&console, &session, "/v1/references/dark", &bytes).await
}

/// `POST /api/references/white`
///
/// # Errors
/// As the daemon says.
pub async fn white(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, bytes: Bytes) -> Answer {
    reference(&console, &session, "/v1/references/white", &bytes).await
}

async fn reference(console: &Console, session: &Session, path: &'static str, bytes: &[u8]) -> Answer {
    let request: hyclus::rig::ReferenceRequest = body(bytes)?;
    if request.accept_change && session.role < Role::Administer {
        let text = "to accept a change needs the role administer; ask an administrator, or take the reference without it";
        return Err(Refused::new(StatusCode::FORBIDDEN, text));
    }
    console.jogger.end();
    let request = json!({"accept_change": request.accept_change});
    console.call(&session.user, Method::POST, path, Some(request.to_string().into_bytes())).await
}

/// `PUT /api/lighting`
///
/// # Errors
/// As the daemon says.
pub async fn lighting(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, bytes: Bytes) -> Answer {
    console.call(&session.user, Method::PUT, "/v1/lighting", Some(bytes.to_vec())).await
}

/// `PUT /api/conveyor`
///
/// # Errors
/// The session does not hold the lease, the action is none, or as the daemon says.
pub async fn conveyor(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, bytes: Bytes) -> Answer {
    // What is sent on is what was looked at.
    let request: Value = body(&bytes)?;
    match request["action"].as_str() {
        Some("stop") => {}
        Some("run" | "travel") => console.lease.needs(&session.key)?,
        _ => return Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "`action` must be one of run, travel, stop")),
    }
    console.jogger.end();
    console.call(&session.user, Method::PUT, "/v1/conveyor", Some(request.to_string().into_bytes())).await
}

/// `POST /api/alarms/{id}/acknowledge`
///
/// # Errors
/// There is no such alarm.
pub async fn acknowledge_alarm(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Answer {
    let known = id.parse().is_ok_and(|id| console.live.acknowledge(id, &session.user));
    if !known {
        return Err(Refused::new(StatusCode::NOT_FOUND, "there is no such alarm any more"));
    }
    Ok(Json(json!({})).into_response())
}
