//! The read-only listener.

use crate::rig::{Rig, exchange};
use hyclus::control::{Hosts, Limits, serve_readonly};
use hyclus::scan::StateName;
use hyclus::telemetry::Metrics;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

fn hosts() -> Hosts {
    Hosts::new("127.0.0.1:0", &["rig.lan".to_owned()])
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let stream = TcpStream::connect(address).unwrap();
    exchange(stream, format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn it_shows_everything_and_changes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (rig, metrics) = (Arc::new(Rig::with_room(1)), Metrics::new());
    let (end, shutdown) = watch::channel(false);
    let task = tokio::spawn(serve_readonly(listener, rig.clone(), metrics.clone(), hosts(), Limits::default(), shutdown));
    let cases = [
        ("GET /metrics", "200", "hyclus_build_info"),
        ("GET /metrics", "200", "content-type: text/plain; version=0.0.4"),
        ("GET /healthz", "200", "ok"),
        ("GET /readyz", "200", "ok"),
        ("GET /v1/health/live", "200", "{\"alive\":true,\"stuck\":[]}"),
        ("GET /v1/health/ready", "200", "{\"ready\":true,\"missing\":[]}"),
        ("GET /status.json", "200", "\"rig\":\"bench\""),
        ("GET /", "200", "hyclus-console"),
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
    let task = tokio::spawn(serve_readonly(TcpListener::from_std(listener).unwrap(), rig, metrics, hosts(), Limits::default(), shutdown));
    nix::sys::socket::shutdown(std::os::fd::AsRawFd::as_raw_fd(&same), nix::sys::socket::Shutdown::Both).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(60), task).await.expect("it ends by itself").unwrap();
}

/// A page that a name leads here reads nothing: its browser names the page's host. On the unix socket any host will do.
#[tokio::test]
async fn only_requests_for_this_host_are_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (rig, metrics) = (Arc::new(Rig::with_room(1)), Metrics::new());
    let (_end, shutdown) = watch::channel(false);
    tokio::spawn(serve_readonly(listener, rig, metrics.clone(), hosts(), Limits::default(), shutdown));
    let served = crate::rig::serve();
    let (none, two, port) = (String::new(), "host: localhost\r\nhost: localhost\r\n".to_owned(), address.port());
    let host = |name: &str| format!("host: {name}\r\n");
    let cases = [
        ("/metrics HTTP/1.1", none.clone(), 400, 400),
        ("/metrics HTTP/1.0", none, 400, 400),
        ("/metrics HTTP/1.1", two, 400, 400),
        ("/metrics HTTP/1.1", host("evil.example"), 421, 200),
        ("/metrics HTTP/1.1", host(&format!("evil.example:{port}")), 421, 200),
        ("/metrics HTTP/1.1", host("127.0.0.1.evil.example"), 421, 200),
        ("/metrics HTTP/1.1", host("192.0.2.1"), 421, 200),
        ("http://evil.example/metrics HTTP/1.1", host("localhost"), 421, 200),
        ("/metrics HTTP/1.1", host("localhost"), 200, 200),
        ("/metrics HTTP/1.1", host(&format!("127.0.0.1:{port}")), 200, 200),
        ("/metrics HTTP/1.0", host("[::1]"), 200, 200),
        ("/metrics HTTP/1.1", host("RIG.lan:9420"), 200, 200),
    ];
    for (target, headers, tcp, unix) in cases {
        let request = format!("GET {target}\r\n{headers}connection: close\r\n\r\n");
        let over_tcp = exchange(TcpStream::connect(address).unwrap(), request.clone()).await;
        let stream = std::os::unix::net::UnixStream::connect(&served.path).unwrap();
        let over_unix = exchange(stream, request.replace("/metrics", "/v1/status")).await;
        for (said, status) in [(over_tcp, tcp), (over_unix, unix)] {
            assert!(said.split(' ').nth(1) == Some(status.to_string().as_str()), "{request}{said}");
            assert!(status == 200 || said.contains("application/problem+json"), "{said}");
            assert!(status != 421 || said.contains("control.hosts"), "{said}");
        }
    }
    assert!(metrics.render().contains("hyclus_http_requests_total{route=\"none\",status=\"421\"} 5\n"));
}
