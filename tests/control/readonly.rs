//! The read-only listener.

use crate::rig::{Rig, exchange};
use hyclus::control::{Limits, serve_readonly};
use hyclus::scan::StateName;
use hyclus::telemetry::Metrics;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

async fn ask(address: SocketAddr, request: &str) -> String {
    let stream = TcpStream::connect(address).unwrap();
    exchange(stream, format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn it_shows_everything_and_changes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (rig, metrics) = (Arc::new(Rig::with_room(1)), Metrics::new());
    let (end, shutdown) = watch::channel(false);
    let task = tokio::spawn(serve_readonly(listener, rig.clone(), metrics.clone(), Limits::default(), shutdown));
    let cases = [
        ("GET /metrics", "200", "hyclus_build_info"),
        ("GET /metrics", "200", "content-type: text/plain; version=0.0.4"),
        ("GET /healthz", "200", "ok"),
        ("GET /readyz", "200", "ok"),
        ("GET /v1/health/live", "200", "{\"alive\":true,\"stuck\":[]}"),
        ("GET /v1/health/ready", "200", "{\"ready\":true,\"missing\":[]}"),
        ("GET /status.json", "200", "\"rig\":\"bench\""),
        ("GET /", "200", "<!doctype html>"),
        ("HEAD /healthz", "200", "content-length: 3"),
        ("GET /v1/status", "404", "application/problem+json"),
        ("POST /healthz", "405", "allow: GET, HEAD"),
        ("DELETE /", "405", "\"status\":405"),
    ];
    for (request, status, part) in cases {
        let text = ask(address, request).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")) && text.contains(part), "{request}: {text}");
    }
    *rig.alive.lock().unwrap() = false;
    *rig.state.lock().unwrap() = StateName::Faulted;
    for (path, part) in [
        ("/healthz", "store"),
        ("/v1/health/live", "{\"alive\":false,\"stuck\":[\"store\"]}"),
        ("/v1/health/ready", "{\"what\":\"fault\",\"reason\":\"the belt stalled\"}"),
    ] {
        let text = ask(address, &format!("GET {path}")).await;
        assert!(text.starts_with("HTTP/1.1 503") && text.contains(part), "{text}");
    }
    let text = ask(address, "GET /readyz").await;
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("the belt stalled"), "{text}");
    assert!(metrics.render().contains("hyclus_http_requests_total{route=\"/readyz\",status=\"503\"} 1\n"));
    assert!(rig.names().is_empty());
    end.send(true).unwrap();
    task.await.unwrap();
}

/// A listener that the system does not let accept any more ends its service. Its server sees that.
#[tokio::test]
async fn a_listener_that_is_gone_ends_the_service() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let same = listener.try_clone().unwrap();
    listener.set_nonblocking(true).unwrap();
    let (_end, shutdown) = watch::channel(false);
    let (rig, metrics) = (Arc::new(Rig::with_room(1)), Metrics::new());
    let task = tokio::spawn(serve_readonly(TcpListener::from_std(listener).unwrap(), rig, metrics, Limits::default(), shutdown));
    nix::sys::socket::shutdown(std::os::fd::AsRawFd::as_raw_fd(&same), nix::sys::socket::Shutdown::Both).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(60), task).await.expect("it ends by itself").unwrap();
}
