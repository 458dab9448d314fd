//! Large, slow and broken requests.

use super::browser::{Browser, read};
use super::rig::Rig;
use hyclus::control::Role;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

#[test]
fn a_large_upload_is_refused_before_it_comes() {
    let rig = Rig::start("");
    let olga = rig.guest("olga", Role::Observe);
    let begin = Instant::now();
    let answer = olga.ask("POST", "/api/trays/check", &[("content-length", "1073741824")], r#"{"tray":"#);
    assert_eq!(answer.status, 413);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    // Without a length, it is refused once there is too much of it.
    let mut stream = olga.connect();
    let head: String = olga.headers("POST", &[]).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream
        .write_all(format!("POST /api/trays/check HTTP/1.1\r\n{head}transfer-encoding: chunked\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 65_536], b"\r\n".to_vec()].concat();
    let sent = (0..1000).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 500, "{sent} chunks of 64 KiB were taken");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 413"));
    let login = rig.browser().ask("POST", "/api/login", &[("content-length", "8000")], "{");
    assert_eq!(login.status, 413, "before a login, less is taken");
    assert_eq!(rig.daemon.calls().len(), 0);
}

#[test]
fn who_is_not_logged_in_uploads_nothing() {
    let rig = Rig::start("");
    let answer = rig.browser().ask("POST", "/api/scans", &[("content-length", "1000000")], "{");
    assert_eq!(answer.status, 401);
}

#[test]
fn slow_headers_and_bodies_end() {
    let rig = Rig::start("");
    let olga = rig.guest("olga", Role::Observe);
    let begin = Instant::now();
    // Both at a time, because they take their time.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = olga.connect();
            let head: String = olga.headers("POST", &[]).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            stream
                .write_all(format!("POST /api/trays/check HTTP/1.1\r\n{head}content-length: 100\r\nconnection: close\r\n\r\n{{").as_bytes())
                .unwrap();
            assert_eq!(read(&mut stream).status, 408);
            assert!((9..14).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
        });
        for said in [&b"GET /api/rig HTTP/1.1\r\nhost: "[..], b"", b"PRI * HT"] {
            let olga = &olga;
            scope.spawn(move || {
                let mut stream = olga.connect();
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                stream.write_all(said).unwrap();
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest);
                assert!((28..40).contains(&begin.elapsed().as_secs()), "{said:?} {:?}", begin.elapsed());
            });
        }
    });
}

#[test]
fn broken_requests_end_their_connection_alone() {
    let rig = Rig::start("");
    let olga = rig.guest("olga", Role::Observe);
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1000));
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00".as_slice(),
        b"\0\0\0\0",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
        b"GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ] {
        let mut stream = Browser::new(rig.address).connect();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || ["HTTP/1.1 4", "HTTP/1.0 4"].iter().any(|refusal| text.starts_with(refusal)), "{text}");
    }
    assert_eq!(olga.get("/api/rig").status, 200);
}
