//! What a peer sends, or does not send, is bounded in size, number and time.

use crate::rig::{Rig, exchange, log_lines, serve, serve_within};
use hyclus::control::Limits;
use hyclus::scan::StateName;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A bound that is reached, and one that is not.
const SOON: Duration = Duration::from_millis(150);
const LATER: Duration = Duration::from_secs(20);

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LATER)).unwrap();
    stream
}

/// All that comes on a connection until the service closes it.
async fn rest(mut stream: UnixStream) -> String {
    let read = move || {
        let mut text = Vec::new();
        match stream.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("it was not closed: {error}"),
        }
        String::from_utf8_lossy(&text).into_owned()
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

const STATUS: &[u8] = b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_hung_up_on() {
    let served = serve_within(Rig::with_room(1), Limits { head: SOON, ..Limits::default() });
    for begun in [&b""[..], b"GET /v1/st", b"GET /v1/status HTTP/1.1\r\nhost: x\r\nx-slow: ", STATUS] {
        let mut stream = connect(&served.path);
        stream.write_all(begun).unwrap();
        let text = rest(stream).await;
        assert_eq!(text.starts_with("HTTP/1.1 200"), begun == STATUS, "{text}");
    }
    // A header that comes byte by byte is no better.
    let mut stream = connect(&served.path);
    stream.write_all(b"GET /v1/status HTTP/1.1\r\n").unwrap();
    let begin = Instant::now();
    let slow = tokio::task::spawn_blocking(move || {
        while stream.write_all(b"x: y\r\n").is_ok() && begin.elapsed() < LATER {
            std::thread::sleep(SOON / 5);
        }
    });
    slow.await.unwrap();
    assert!(begin.elapsed() < LATER, "it was not hung up on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let served = serve_within(Rig::with_room(1), Limits { body: SOON, ..Limits::default() });
    for head in ["content-length: 20", "transfer-encoding: chunked"] {
        let mut stream = connect(&served.path);
        write!(stream, "PUT /v1/conveyor HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{head}\r\n\r\n").unwrap();
        let text = rest(stream).await;
        assert!(text.starts_with("HTTP/1.1 408") && text.contains("did not arrive within 0.15 s"), "{text}");
    }
    assert!(served.rig.names().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded() {
    let served = serve();
    let long = "x".repeat(200 << 10);
    let many: String = (0..100).map(|i| format!("x-{i}: y\r\n")).collect();
    for (request, status) in [
        (format!("GET /v1/scans/{long} HTTP/1.1\r\nhost: x\r\n\r\n"), ["414", "431"]),
        (format!("GET /v1/status HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"), ["431", "431"]),
        (format!("GET /v1/status HTTP/1.1\r\nhost: x\r\n{many}\r\n"), ["431", "431"]),
        ("GET /v1/status\0 HTTP/1.1\r\n\r\n".to_owned(), ["400", "400"]),
    ] {
        let mut stream = connect(&served.path);
        // The service may have closed before it has all.
        let _ = stream.write_all(request.as_bytes());
        let text = rest(stream).await;
        assert!(text.is_empty() || status.iter().any(|status| text.starts_with(&format!("HTTP/1.1 {status}"))), "{text}");
    }
    assert_eq!(served.client().await.status().await.unwrap().state, StateName::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_free_again() {
    let served = serve_within(Rig::with_room(1), Limits { connections: 8, per_user: 5, stop_head: SOON, ..Limits::default() });
    let held: Vec<_> = (0..5)
        .map(|_| {
            let mut stream = connect(&served.path);
            stream.write_all(STATUS).unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            stream
        })
        .collect();
    for said in [&b""[..], STATUS] {
        let mut stream = connect(&served.path);
        stream.write_all(said).unwrap();
        let text = rest(stream).await;
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("too many connections"), "{text}");
    }
    drop(held);
    let begin = Instant::now();
    while served.client().await.status().await.is_err() {
        assert!(begin.elapsed() < LATER, "no place is free again");
        tokio::task::yield_now().await;
    }
}

/// Whatever this user's other connections say or do not say, and however many more come, the stop is answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_emergency_stop_has_places_that_nothing_else_fills() {
    let limits = Limits { connections: 24, per_user: 12, waiting: 8, waiting_per_user: 4, stops: 2, followers: 4, ..Limits::default() };
    let served = serve_within(Rig::with_room(1), Limits { head: LATER * 10, ..limits });
    let said: [&[u8]; 5] =
        [b"", b"GET /v1/st", STATUS, b"POST /v1/stop HTTP/1.1\r\nhost: x\r\nx-slow: ", b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n"];
    let open = |i: usize| {
        let mut stream = connect(&served.path);
        // It may have been turned away already.
        let _ = stream.write_all(said[i % said.len()]);
        stream
    };
    let held: Vec<UnixStream> = (0..200).map(open).collect();
    let flooding = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let floods: Vec<_> = (0..2)
        .map(|_| {
            let (flooding, path) = (flooding.clone(), served.path.clone());
            std::thread::spawn(move || {
                let mut streams = std::collections::VecDeque::new();
                while flooding.load(std::sync::atomic::Ordering::Relaxed) {
                    streams.extend(UnixStream::connect(&path));
                    if streams.len() > 50 {
                        streams.pop_front();
                    }
                }
            })
        })
        .collect();
    let client = served.client().await;
    for _ in 0..20 {
        let begin = Instant::now();
        client.emergency_stop().await.unwrap();
        assert!(begin.elapsed() < LATER / 2, "{:?}", begin.elapsed());
    }
    flooding.store(false, std::sync::atomic::Ordering::Relaxed);
    floods.into_iter().for_each(|flood| flood.join().unwrap());
    for (request, status) in [("POST /v1/stop", "200"), ("GET /v1/status", "503"), ("POST /v1/acknowledge", "503"), ("GET /v1/stop", "503")]
    {
        // A stop answers one request: nothing else comes in behind it.
        let text =
            exchange(connect(&served.path), format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(1 + usize::from(status == "200")))
                .await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {text}");
        assert!(text.matches("HTTP/1.1 ").count() == 1 && text.contains("retry-after: 1") == (status == "503"), "{text}");
    }
    let busy = client.status().await.unwrap_err();
    assert!(busy.busy() && busy.to_string().contains("too many connections are open"), "{busy}");
    drop(held);
    client.status().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_are_bounded_and_one_that_does_not_read_is_hung_up_on() {
    let limits = Limits { followers: 1, stalled: SOON, ..Limits::default() };
    let served = serve_within(Rig::with_room(4000), limits);
    (0..4000).for_each(|_| served.rig.warn(&"x".repeat(1000)));
    let follow = "GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut idle = connect(&served.path);
    idle.write_all(follow.as_bytes()).unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let text = exchange(connect(&served.path), follow.replace("host", "connection: close\r\nhost")).await;
    assert!(text.starts_with("HTTP/1.1 429") && text.contains("too many follow"), "{text}");
    // Four megabytes do not fit between the two, and nobody takes them.
    let begin = Instant::now();
    while served.client().await.events(Some(3999)).await.is_err() {
        assert!(begin.elapsed() < LATER, "the idle one keeps its place");
        tokio::task::yield_now().await;
    }
    assert!(rest(idle).await.len() < 4_000_000);
}

#[tokio::test]
async fn nothing_but_path_and_peer_goes_to_the_log() {
    let served = serve();
    let secret = "hunter2";
    for (call, body) in [
        ("PUT /v1/lighting?token=hunter2", r#"{"level": 1, "light": "hunter2"}"#),
        ("PUT /v1/conveyor", r#"{"action": "hunter2"}"#),
        ("POST /v1/scans", r#"{"tray": {"tray": "hunter2/"}}"#),
        ("POST /v1/nothing?hunter2", "hunter2"),
    ] {
        let headers = format!("authorization: Bearer {secret}\r\ncookie: {secret}\r\nhost: {secret}\r\nconnection: close");
        let request = format!("{call} HTTP/1.1\r\n{headers}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        exchange(connect(&served.path), request).await;
    }
    let long = format!("/v1/scans/much-too-long-{}/stop", "x".repeat(5000));
    exchange(connect(&served.path), format!("POST {long} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
    let lines = log_lines();
    assert!(!lines.iter().any(|line| line.to_string().contains(secret)), "{lines:?}");
    let path = lines.iter().filter_map(|line| line["path"].as_str()).find(|path| path.contains("much-too-long")).unwrap();
    assert_eq!(path.len(), 200, "as much of it as is logged");
}
