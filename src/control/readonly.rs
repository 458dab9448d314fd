//! The read-only service on TCP: metrics and health.

use super::connections::{self, Front, NO_ROUTE};
use super::hosts::Hosts;
use super::places::Limits;
use super::routes::health_status;
use crate::problem::Problem;
use crate::rig::Operations;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::CONTENT_TYPE;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Time that the ending service waits for running answers.
const DRAIN: Duration = Duration::from_secs(1);
/// What `/` says.
const PATHS: &str = "hyclus: /metrics, /healthz, /readyz, /v1/health/live, /v1/health/ready, /status.json\n\
                     A person looks at the rig with hyclus-console.\n";

#[derive(Clone)]
struct Service {
    operations: Arc<dyn Operations>,
    metrics: Metrics,
}

/// Serves the read-only paths within `limits` until `shutdown` is true. It answers only GET and HEAD.
///
/// Requests for other hosts than `hosts` are refused. The paths are `/metrics`, `/healthz`, `/readyz`, `/v1/health/live`, `/v1/health/ready` and `/status.json`. `/` names them.
pub async fn serve_readonly(
    listener: TcpListener,
    operations: Arc<dyn Operations>,
    metrics: Metrics,
    hosts: Hosts,
    limits: Limits,
    shutdown: watch::Receiver<bool>,
) {
    let router = Router::new().fallback(answer).with_state(Service { operations, metrics: metrics.clone() });
    connections::serve(listener, Front { router, hosts, metrics, limits }, DRAIN, shutdown).await;
}

async fn answer(State(service): State<Service>, request: Request) -> Response {
    let (path, operations) = (request.uri().path(), &service.operations);
    let (route, response) = match path {
        _ if request.method() != Method::GET && request.method() != Method::HEAD => {
            let problem = Problem::plain(StatusCode::METHOD_NOT_ALLOWED, "this service is read-only; changes go over the control socket");
            (NO_ROUTE, ([(header::ALLOW, "GET, HEAD")], problem.at(path)).into_response())
        }
        "/metrics" => ("/metrics", ([(header::CONTENT_TYPE, CONTENT_TYPE)], operations.metrics()).into_response()),
        "/healthz" => ("/healthz", live(operations.as_ref())),
        "/readyz" => ("/readyz", ready(operations.as_ref()).await),
        "/v1/health/live" => {
            let health = operations.liveness();
            ("/v1/health/live", (health_status(health.alive), Json(health)).into_response())
        }
        "/v1/health/ready" => {
            let health = operations.readiness().await;
            ("/v1/health/ready", (health_status(health.ready), Json(health)).into_response())
        }
        "/status.json" => ("/status.json", ([(header::CACHE_CONTROL, "no-store")], Json(operations.status().await)).into_response()),
        "/" => ("/", PATHS.into_response()),
        _ => {
            let detail =
                "there is no such path; there are /, /status.json, /metrics, /healthz, /readyz, /v1/health/live and /v1/health/ready";
            (NO_ROUTE, Problem::plain(StatusCode::NOT_FOUND, detail).at(path).into_response())
        }
    };
    service.metrics.http_request(route, response.status().as_u16());
    response
}

fn live(operations: &dyn Operations) -> Response {
    let health = operations.liveness();
    let text = if health.alive { "ok\n".to_owned() } else { format!("the data path makes no progress: {}\n", health.stuck.join(", ")) };
    (health_status(health.alive), text).into_response()
}

async fn ready(operations: &dyn Operations) -> Response {
    let health = operations.readiness().await;
    let text = match health.ready {
        true => "ok\n".to_owned(),
        false => health.missing.iter().map(|missing| format!("{}\n", missing.reason)).collect(),
    };
    (health_status(health.ready), text).into_response()
}
