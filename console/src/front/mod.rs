//! The door: what every request must show before a handler sees it, and what every answer says to the browser.

pub mod cookies;
mod headers;

use crate::console::Console;
use crate::data;
use crate::problem::Refused;
use crate::rules::{self, Need};
use crate::state::secret;
use crate::state::sessions::{self, Session};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use hyclus::control::Role;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Header with the session's token.
const TOKEN: &str = "x-hyclus-token";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Most bytes of a body, and of one before a login or of a stop.
const MOST_BYTES: usize = 1 << 20;
const FEW_BYTES: usize = 4 << 10;
/// Longest time in which a body may come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The browser's end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The address that it connected to.
    pub own: IpAddr,
    /// Whether all places are taken, so that only an emergency stop is answered.
    pub stop_only: bool,
}

/// Lets a request in or refuses it, and marks the answer.
pub async fn guard(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let mut response = match admit(&console, request, api).await {
        Ok(request) if api => problems(next.run(request).await),
        Ok(request) => console.assets.answer(request.method(), request.uri().path(), request.headers()),
        Err(refused) => refused.into_response(),
    };
    headers::put(response.headers_mut(), api);
    response
}

/// Refusals that no handler of ours made become problems too.
fn problems(response: Response) -> Response {
    let status = response.status();
    let ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == hyclus::control::PROBLEM_JSON);
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    refused(status, format!("the request cannot be read ({status})")).into_response()
}

fn refused(status: StatusCode, detail: impl Into<String>) -> Refused {
    Refused::new(status, detail)
}

async fn admit(console: &Console, mut request: Request, api: bool) -> Result<Request, Refused> {
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        return Err(refused(StatusCode::INTERNAL_SERVER_ERROR, "the connection has no peer"));
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let stop = method == Method::POST && path == "/api/stop";
    if peer.stop_only && !stop {
        let text = "too many connections are open; close some pages, or come again (an emergency stop is answered all the same)";
        return Err(refused(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    own_host(console, &mut request, peer)?;
    if !api {
        return Ok(request);
    }
    let need = rules::need(&method, &path).ok_or_else(|| refused(StatusCode::NOT_FOUND, "there is no such call"))?;
    let reads = method == Method::GET;
    own_page(console, request.headers(), reads, path == "/api/live")?;
    if let Some(session) = admit_person(console, request.headers(), need, reads)? {
        let operates = session.role >= Role::Operate;
        request.extensions_mut().insert(data::Caller { name: session.user.clone(), operates });
        request.extensions_mut().insert(session);
    }
    if reads {
        return Ok(request);
    }
    let most = if stop || need.role.is_none() { FEW_BYTES } else { MOST_BYTES };
    let (parts, body) = request.into_parts();
    // A stop waits for no place.
    let _place = if stop {
        None
    } else {
        let busy = |_| refused(StatusCode::SERVICE_UNAVAILABLE, "too many requests are being read; come again in a moment");
        Some(console.bodies.try_acquire().map_err(busy)?)
    };
    let bytes = read_body(&parts.headers, body, most).await?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// Refuses a request for another host: a page whose name was made to lead here (DNS rebinding).
fn own_host(console: &Console, request: &mut Request, peer: Peer) -> Result<(), Refused> {
    if request.version() == Version::HTTP_2
        && !request.headers().contains_key(header::HOST)
        && let Some(host) = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let Some(problem) = console.hosts.refusal(request.headers(), request.uri(), Some(peer.own)) else { return Ok(()) };
    if problem.status != StatusCode::MISDIRECTED_REQUEST.as_u16() {
        return Err(Refused::from(hyclus::client::ClientError::Refused(Box::new(problem))));
    }
    let text = "this is no host of the console; use its address or localhost, or name the host in `hosts` of [console]";
    Err(refused(StatusCode::MISDIRECTED_REQUEST, text))
}

/// Refuses what a page of another origin asks for.
fn own_page(console: &Console, headers: &HeaderMap, reads: bool, socket: bool) -> Result<(), Refused> {
    let foreign = |what: &str| refused(StatusCode::FORBIDDEN, format!("{what}; only the console's own page may call it"));
    let site = single(headers, &FETCH_SITE).map_err(|()| foreign("the header Sec-Fetch-Site comes twice"))?;
    // A page of our own, or an address that a person typed.
    let site_good = match site {
        Some("same-origin") => true,
        Some("none") => reads && !socket,
        Some(_) => false,
        None => reads,
    };
    if !site_good {
        return Err(foreign(if site.is_some() { "another site asks for this" } else { "the header Sec-Fetch-Site is missing" }));
    }
    let origin = single(headers, &header::ORIGIN).map_err(|()| foreign("the header Origin comes twice"))?;
    match (origin, single(headers, &header::HOST)) {
        (Some(origin), Ok(Some(host))) => {
            let scheme = if console.encrypted() { "https" } else { "http" };
            if !origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")) {
                return Err(foreign("a page of another origin asks for this"));
            }
        }
        (None, _) if reads && !socket => {}
        _ => return Err(foreign("the header Origin is missing")),
    }
    if !reads {
        let kind = single(headers, &header::CONTENT_TYPE).ok().flatten().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with the header `content-type: application/json`"));
        }
    }
    Ok(())
}

/// A header that may come once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|value| value.to_str().map_err(|_| ()));
    if values.next().is_some() { Err(()) } else { first.transpose() }
}

/// The session of a request, if it may do what it asks for.
fn admit_person(console: &Console, headers: &HeaderMap, need: Need, reads: bool) -> Result<Option<Session>, Refused> {
    let Some(role) = need.role else { return Ok(None) };
    let login = || refused(StatusCode::UNAUTHORIZED, "nobody is logged in here; log in first");
    let secret = cookies::secret(headers).ok_or_else(login)?;
    let session = console.sessions.of_secret(secret, &console.accounts, crate::unix_s()).ok_or_else(login)?;
    if !reads {
        let token = headers.get(TOKEN).and_then(|token| token.to_str().ok()).unwrap_or_default();
        if !secret::same(token, &sessions::token(secret)) {
            return Err(refused(StatusCode::FORBIDDEN, format!("the header `{TOKEN}` is not that of this session; load the page again")));
        }
    }
    if session.role < role {
        let text = format!("{} may {}, and this needs the role {role}; ask who keeps the accounts", session.user, session.role);
        return Err(refused(StatusCode::FORBIDDEN, text));
    }
    if need.lease {
        console.lease.needs(&session.key)?;
    }
    Ok(Some(session))
}

async fn read_body(headers: &HeaderMap, body: Body, most: usize) -> Result<axum::body::Bytes, Refused> {
    let large = || refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is too large; it may have {most} bytes"));
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > most)) {
        return Err(large());
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(large()),
        Ok(Err(error)) => Err(refused(StatusCode::BAD_REQUEST, format!("the body breaks off: {error}"))),
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {} s", BODY_TIME.as_secs()))),
    }
}
