//! The read-only service on TCP: metrics, health, and a page to look at.

use super::ended;
use super::problem::Problem;
use crate::scan::{Operations, StateName};
use crate::telemetry::{Metrics, metrics::CONTENT_TYPE};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long the end of the service waits for answers that are under way.
const DRAIN: Duration = Duration::from_secs(1);
/// The page may load nothing but itself and the status.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'";

#[derive(Clone)]
struct Service {
    operations: Arc<dyn Operations>,
    metrics: Metrics,
}

/// Serves `/metrics`, `/healthz`, `/readyz`, `/status.json` and the live view `/` until `shutdown` is true. Answers nothing but
/// GET and HEAD.
///
/// # Errors
/// Those of the listener.
pub async fn serve_readonly(
    listener: TcpListener,
    operations: Arc<dyn Operations>,
    metrics: Metrics,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let app = Router::new().fallback(answer).with_state(Service { operations, metrics });
    let server = axum::serve(listener, app).with_graceful_shutdown(ended(shutdown.clone()));
    tokio::select! {
        served = async { server.await } => served,
        () = async { ended(shutdown).await; tokio::time::sleep(DRAIN).await } => Ok(()),
    }
}

async fn answer(State(service): State<Service>, request: Request) -> Response {
    let (path, operations) = (request.uri().path(), &service.operations);
    let (route, response) = match path {
        _ if request.method() != Method::GET && request.method() != Method::HEAD => {
            let problem = Problem::plain(StatusCode::METHOD_NOT_ALLOWED, "this service is read-only; changes go over the control socket");
            ("none", ([(header::ALLOW, "GET, HEAD")], problem.at(path)).into_response())
        }
        "/metrics" => ("/metrics", ([(header::CONTENT_TYPE, CONTENT_TYPE)], operations.metrics()).into_response()),
        "/healthz" => ("/healthz", health(operations.alive())),
        "/readyz" => ("/readyz", readiness(operations.as_ref()).await),
        "/status.json" => ("/status.json", ([(header::CACHE_CONTROL, "no-store")], Json(operations.status().await)).into_response()),
        "/" => ("/", ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(include_str!("live.html"))).into_response()),
        _ => {
            let detail = "there is no such path; there are /, /status.json, /metrics, /healthz and /readyz";
            ("none", Problem::plain(StatusCode::NOT_FOUND, detail).at(path).into_response())
        }
    };
    service.metrics.http_request(route, response.status().as_u16());
    response
}

fn health(alive: bool) -> Response {
    if alive {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the data path makes no progress\n").into_response()
    }
}

async fn readiness(operations: &dyn Operations) -> Response {
    let status = operations.status().await;
    if status.state == StateName::Faulted {
        let cause = status.cause.as_deref().unwrap_or("no cause is known");
        return (StatusCode::SERVICE_UNAVAILABLE, format!("faulted: {cause}\n")).into_response();
    }
    (StatusCode::OK, "ok\n").into_response()
}
