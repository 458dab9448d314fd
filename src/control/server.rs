//! The service of the control socket.

use super::access::{Access, Caller, Role};
use super::call::{Call, Route, Takes, Verb};
use super::connections::{self, Front, NO_ROUTE};
use super::hosts::Hosts;
use super::places::{Limits, Place};
use super::routes::ROUTES;
use crate::client::FOR;
use crate::problem::Problem;
use crate::rig::{Operations, Peer, Person};
use crate::telemetry::Metrics;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Extension, Router};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};

/// Time that the ending service waits for running calls.
const DRAIN: Duration = Duration::from_secs(5);
/// Characters of a path that are logged at most.
const LOGGED_CHARACTERS: usize = 200;

#[derive(Clone)]
struct Service {
    operations: Arc<dyn Operations>,
    access: Arc<Access>,
    metrics: Metrics,
    /// Free places for followers of events.
    followers: Arc<Semaphore>,
    body: Duration,
    shutdown: watch::Receiver<bool>,
}

/// Serves the control socket until `shutdown` is true or its sender is gone.
///
/// `access` decides the role of each peer. `limits` bound connections, and `metrics` count requests. At the end, running calls get five
/// seconds, and streams of events end at once.
pub async fn serve_control(
    listener: UnixListener,
    operations: Arc<dyn Operations>,
    access: Arc<Access>,
    metrics: Metrics,
    limits: Limits,
    shutdown: watch::Receiver<bool>,
) {
    let followers = Arc::new(Semaphore::new(limits.followers));
    let service = Service { operations, access, metrics, followers, body: limits.body, shutdown: shutdown.clone() };
    connections::serve(listener, front(service, limits), DRAIN, shutdown).await;
}

/// Serves one connection from elsewhere, such as a test, until its end.
pub async fn serve_stream(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    caller: Caller,
    operations: Arc<dyn Operations>,
    access: Arc<Access>,
    metrics: Metrics,
    limits: Limits,
) {
    let followers = Arc::new(Semaphore::new(limits.followers));
    let (_never, shutdown) = watch::channel(false);
    let service = Service { operations, access, metrics, followers, body: limits.body, shutdown };
    connections::serve_one(stream, front(service, limits), caller).await;
}

fn front(service: Service, limits: Limits) -> Front {
    Front { metrics: service.metrics.clone(), router: router(service), hosts: Hosts::Any, limits }
}

fn router(service: Service) -> Router {
    let mut router = Router::new();
    for route in &ROUTES {
        let verb = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Put => MethodFilter::PUT,
            Verb::Delete => MethodFilter::DELETE,
        };
        let handler = move |State(service): State<Service>,
                            Extension(caller): Extension<Caller>,
                            Extension(place): Extension<Place>,
                            params: RawPathParams,
                            request: Request| {
            let id = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned()).unwrap_or_default();
            answer(route, service, (caller, place), id, request)
        };
        router = router.route(route.path, on(verb, handler));
    }
    router.method_not_allowed_fallback(wrong_method).fallback(no_route).with_state(service)
}

async fn answer(route: &'static Route, service: Service, (caller, place): (Caller, Place), id: String, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let person = parts.headers.get(FOR).and_then(|name| std::str::from_utf8(name.as_bytes()).ok()).and_then(Person::new);
    let (peer, method, path) = (Peer { person, ..caller.peer }, parts.method, parts.uri.path().to_owned());
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let role = may(&service.access, &caller, route);
    // The body is read only for a permitted call.
    let body = match (&role, route.body) {
        (Err(_), _) | (_, Takes::Nothing) => Ok(Bytes::new()),
        (Ok(_), takes) => read(takes.form(), &parts.headers, body, service.body).await,
    };
    // The task is independent. A client that disconnects must not leave a reference half taken, with the shutter closed.
    let metrics = service.metrics.clone();
    let task = tokio::spawn(async move {
        let _place = place;
        let Service { operations, followers, shutdown, .. } = service;
        (route.handle)(Call { operations, peer, role: role?, id, query, headers: parts.headers, body: body?, followers, shutdown }).await
    });
    let finish = async move {
        let answer = task.await.unwrap_or_else(|error| {
            tracing::error!(%method, path, %error, "a call of the control socket failed");
            Err(Problem::plain(StatusCode::INTERNAL_SERVER_ERROR, "the daemon failed to answer; its log says why").into())
        });
        let response = answer.unwrap_or_else(|problem| problem.at(&path).into_response());
        let status = response.status().as_u16();
        log(peer, &method, &path, status, route.verb != Verb::Get);
        metrics.http_request(route.path, status);
        response
    };
    // The log of a change must not depend on a waiting client, either.
    tokio::spawn(finish).await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The role of a caller, where it is enough for a route.
fn may(access: &Access, caller: &Caller, route: &Route) -> Result<Role, Box<Problem>> {
    match access.role(caller) {
        Some(role) if role >= route.role => Ok(role),
        Some(role) => Err(Problem::forbidden(role, route.role, "calls this").into()),
        None => {
            let detail = "this peer has no role in control.roles; ask whoever configures the rig";
            Err(Problem::plain(StatusCode::FORBIDDEN, detail).into())
        }
    }
}

/// Logs the peer, the request and the status. Query, headers and body are never logged.
fn log(peer: Peer, method: &Method, path: &str, status: u16, change: bool) {
    let Peer { uid, gid, pid, person } = peer;
    let (method, person) = (method.as_str(), person.as_ref().map(Person::name));
    let path: String = path.chars().take(LOGGED_CHARACTERS).collect();
    if change {
        tracing::info!(uid, gid, pid, person, method, path, status, "change asked for over the control socket");
    } else {
        tracing::debug!(uid, gid, pid, person, method, path, status, "asked over the control socket");
    }
}

/// Whether a request says that its body is of a media type. A form of a web page cannot say that it is JSON or bytes.
fn is(wanted: &str, headers: &HeaderMap) -> bool {
    let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    stated.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
}

/// Reads a body of a media type, of at most `limit` bytes.
async fn read((wanted, limit): (&str, usize), headers: &HeaderMap, body: Body, within: Duration) -> Result<Bytes, Box<Problem>> {
    let sends = headers.contains_key(header::TRANSFER_ENCODING) || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if sends && !is(wanted, headers) {
        let detail = format!("a body must come with `content-type: {wanted}` (curl: -H 'content-type: {wanted}')");
        return Err(Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into());
    }
    let too_large = || Problem::plain(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large().into());
    }
    let late = |_| Problem::plain(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {} s", within.as_secs_f64()));
    let read = tokio::time::timeout(within, to_bytes(body, limit)).await.map_err(late)?;
    read.map_err(|error| {
        let error = error.into_inner();
        if error.is::<http_body_util::LengthLimitError>() {
            too_large().into()
        } else {
            Problem::plain(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")).into()
        }
    })
}

async fn no_route(State(service): State<Service>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let detail = "there is no such path; GET /v1/openapi.json lists them all";
    refuse(&service, caller.peer, &request, &Problem::plain(StatusCode::NOT_FOUND, detail))
}

async fn wrong_method(State(service): State<Service>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let detail = format!("{} is not for this path; the header `Allow` says what is", request.method());
    refuse(&service, caller.peer, &request, &Problem::plain(StatusCode::METHOD_NOT_ALLOWED, detail))
}

fn refuse(service: &Service, peer: Peer, request: &Request, problem: &Problem) -> Response {
    let path = request.uri().path();
    log(peer, request.method(), path, problem.status, false);
    service.metrics.http_request(NO_ROUTE, problem.status);
    problem.clone().at(path).into_response()
}
