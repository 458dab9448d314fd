//! Logging in and out, and the lease.

use crate::console::Console;
use crate::front::{Peer, cookies};
use crate::problem::{Answer, Refused};
use crate::state::accounts::{self, PASSWORD_BYTES};
use crate::state::links::{self, LinkError};
use crate::state::secret::Hash;
use crate::state::sessions::{self, Session};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyclus::control::Role;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Name under which tries of links are counted. No account has it.
const LINK: &str = "\0link";

/// Reads a body.
///
/// # Errors
/// It is no JSON, or of another form.
pub fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let status = if e.inner().is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        let text = format!("the body cannot be read: {e}");
        let mut refused = Refused::new(status, text);
        refused.problem.faults.push(hyclus::scan::Fault::new(e.path().to_string(), e.inner().to_string()));
        refused
    })
}

/// What a page knows of its session.
fn shown(console: &Console, session: &Session, secret: &str) -> Value {
    json!({
        "user": session.user,
        "role": session.role,
        "token": sessions::token(secret),
        "expires": hyclus::scan::iso(session.until.saturating_mul(1_000_000_000)),
        "rig": console.rig,
        "version": hyclus::VERSION,
        "lease": console.lease.seen_by(&session.key),
    })
}

/// `GET /api/session`
pub async fn session(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, headers: HeaderMap) -> Response {
    Json(shown(&console, &session, cookies::secret(&headers).unwrap_or_default())).into_response()
}

/// Begins a session and gives its cookie.
async fn begin(console: &Arc<Console>, user: &str, role: Role, account: Option<Hash>, until: Option<i64>) -> Answer {
    let now = crate::unix_s();
    let (session, secret) = console.sessions.begin(user, role, account, until, now)?;
    console.save_sessions().await;
    let mut response = Json(shown(console, &session, &secret)).into_response();
    if let Some(cookie) = cookies::set(&secret, session.until - now) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: String,
    password: String,
}

/// `POST /api/login`
///
/// # Errors
/// The name or the password is wrong, or there were too many tries.
pub async fn login(State(console): State<Arc<Console>>, Extension(peer): Extension<Peer>, bytes: axum::body::Bytes) -> Answer {
    let Login { user, password } = body(&bytes)?;
    let wrong = || Refused::new(StatusCode::UNAUTHORIZED, "the name or the password is wrong");
    // What no account can have is counted as one name.
    let name = if hyclus::scan::is_name(&user) { user.as_str() } else { "" };
    console.limits.try_now(name, peer.address, Instant::now()).map_err(too_many)?;
    if name.is_empty() || password.len() > *PASSWORD_BYTES.end() {
        return Err(wrong());
    }
    let later = |_| Refused::later("many log in at this moment; come again in a few seconds", Duration::from_secs(3));
    let _waits = console.waiting.try_acquire().map_err(later)?;
    let _hashes = console.hashing.acquire().await.map_err(|_| later(tokio::sync::TryAcquireError::Closed))?;
    let (shared, tried) = (Arc::clone(&console), user.clone());
    let account = tokio::task::spawn_blocking(move || shared.accounts.login(&tried, &password)).await;
    let Some(account) = account.ok().flatten() else {
        tracing::info!(user = name, address = %peer.address, "a login failed");
        return Err(wrong());
    };
    console.limits.good(&user, peer.address);
    tracing::info!(user, address = %peer.address, role = %account.role, "logged in");
    begin(&console, &user, account.role, Some(accounts::mark(&user, &account)), None).await
}

fn too_many(wait: Duration) -> Refused {
    Refused::later(format!("too many tries; wait {} s", wait.as_secs_f64().ceil()), wait)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// `POST /api/link`
///
/// # Errors
/// The link is unknown, used or too old.
pub async fn link(State(console): State<Arc<Console>>, Extension(peer): Extension<Peer>, bytes: axum::body::Bytes) -> Answer {
    let Code { code } = body(&bytes)?;
    console.limits.try_now(LINK, peer.address, Instant::now()).map_err(too_many)?;
    let dir = console.dir.clone();
    let redeemed = tokio::task::spawn_blocking(move || links::redeem(&dir, &code, crate::unix_s())).await;
    let guest = match redeemed {
        Ok(Ok(guest)) => guest,
        Ok(Err(LinkError::State(error))) => return Err(error.into()),
        Ok(Err(error)) => {
            tracing::info!(address = %peer.address, %error, "a link failed");
            return Err(Refused::new(StatusCode::UNAUTHORIZED, error.to_string()));
        }
        Err(error) => return Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    };
    console.limits.good(LINK, peer.address);
    tracing::info!(user = guest.name, address = %peer.address, role = %guest.role, "came by a link");
    begin(&console, &guest.name, guest.role, None, Some(guest.until)).await
}

/// `POST /api/logout`
pub async fn logout(State(console): State<Arc<Console>>, Extension(session): Extension<Session>) -> Response {
    console.end_session(&session.key);
    console.save_sessions().await;
    tracing::info!(user = session.user, "logged out");
    let mut response = Json(json!({})).into_response();
    if let Some(cookie) = cookies::set("", 0) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    #[serde(default)]
    take_over: bool,
}

/// `POST /api/lease`
///
/// # Errors
/// Another session holds it.
pub async fn take_lease(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, bytes: axum::body::Bytes) -> Answer {
    let Take { take_over } = body(&bytes)?;
    let other = console.lease.take(session.key, &session.user, take_over)?;
    match other {
        Some(other) => tracing::warn!(user = session.user, other, "took the lease over"),
        None => tracing::info!(user = session.user, "took the lease"),
    }
    console.lease_changed();
    Ok(Json(console.lease.seen_by(&session.key)).into_response())
}

/// `DELETE /api/lease`
pub async fn give_lease_back(State(console): State<Arc<Console>>, Extension(session): Extension<Session>) -> Response {
    if console.lease.give_back(&session.key) {
        tracing::info!(user = session.user, "gave the lease back");
        console.lease_changed();
    }
    Json(console.lease.seen_by(&session.key)).into_response()
}
