//! A browser: it sends the headers that browsers send, and a test may send others.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }
}

#[derive(Clone)]
pub struct Browser {
    pub address: SocketAddr,
    /// The address that it comes from.
    pub from: IpAddr,
    pub cookie: String,
    pub token: String,
}

/// What a browser sends with a request of the page itself.
fn customary(address: SocketAddr, method: &str) -> Vec<(String, String)> {
    let mut headers = vec![("host", address.to_string()), ("sec-fetch-site", "same-origin".into())];
    if method != "GET" {
        headers.extend([("origin", format!("http://{address}")), ("content-type", "application/json".into())]);
    }
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Browser {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, from: "127.0.0.1".parse().unwrap(), cookie: String::new(), token: String::new() }
    }

    pub fn from(mut self, address: &str) -> Self {
        self.from = address.parse().unwrap();
        self
    }

    /// Takes the cookie and the token of a login.
    pub fn came_in(&mut self, answer: &Answer) {
        answer.header("set-cookie").split(';').next().unwrap().clone_into(&mut self.cookie);
        answer.json()["token"].as_str().unwrap().clone_into(&mut self.token);
    }

    pub fn login(&mut self, user: &str, password: &str) -> Answer {
        let answer = self.post("/api/login", &serde_json::json!({"user": user, "password": password}).to_string());
        if answer.status == 200 {
            self.came_in(&answer);
        }
        answer
    }

    pub fn connect(&self) -> TcpStream {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((self.from, 0).into()).unwrap();
            socket.connect(self.address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Headers of a request, with others in their place. An empty value takes one away.
    pub fn headers(&self, method: &str, other: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut headers = customary(self.address, method);
        if !self.cookie.is_empty() {
            headers.push(("cookie".into(), self.cookie.clone()));
        }
        if !self.token.is_empty() && method != "GET" {
            headers.push(("x-hyclus-token".into(), self.token.clone()));
        }
        headers.retain(|(name, _)| !other.iter().any(|(key, _)| key == name));
        headers.extend(other.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        headers
    }

    pub fn ask(&self, method: &str, path: &str, other: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in self.headers(method, other) {
            text += &format!("{name}: {value}\r\n");
        }
        if method != "GET" && !other.iter().any(|(key, _)| ["content-length", "transfer-encoding"].contains(key)) {
            text += &format!("content-length: {}\r\n", body.len());
        }
        let mut stream = self.connect();
        // A server that refuses may close before it has read all.
        let _ = stream.write_all(format!("{text}\r\n{body}").as_bytes());
        let answer = read(&mut stream);
        // Every answer that a handler or the door gives says how a browser must treat it.
        assert!(answer.header("content-security-policy").starts_with("default-src 'self'"), "{method} {path}: {answer:?}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), value, "{method} {path}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), "");
        if path.starts_with("/api/") {
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
        if answer.status >= 400 && path.starts_with("/api/") {
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert!(!answer.json()["detail"].as_str().unwrap().is_empty());
        }
        answer
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body)
    }

    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[], body)
    }
}

/// Reads one answer to its end.
pub fn read(stream: &mut impl Read) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let split =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: bytes[split + 4..].to_vec() }
}

/// A WebSocket of a page.
pub struct Socket {
    stream: TcpStream,
}

impl Socket {
    pub fn open(browser: &Browser, other: &[(&str, &str)]) -> Result<Self, u16> {
        let mut stream = browser.connect();
        let origin = format!("http://{}", browser.address);
        let mut given = vec![("origin", origin.as_str())];
        given.retain(|(name, _)| !other.iter().any(|(key, _)| key == name));
        given.extend(other);
        let mut text = "GET /api/live HTTP/1.1\r\n".to_owned();
        for (name, value) in browser.headers("GET", &given) {
            text += &format!("{name}: {value}\r\n");
        }
        text +=
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(text.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return Err(0);
            }
            head.push(byte[0]);
        }
        let status = String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        if status == 101 { Ok(Self { stream }) } else { Err(status) }
    }

    pub fn say(&mut self, text: &str) {
        let length = text.len();
        let mut frame = vec![0x81];
        if length < 126 {
            frame.push(0x80 | u8::try_from(length).unwrap());
        } else {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        // A mask of zeros changes nothing.
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        let _ = self.stream.write_all(&frame);
    }

    /// The next binary message. `None` at the end.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).ok()?;
            let length = match head[1] & 127 {
                126 => {
                    let mut two = [0; 2];
                    self.stream.read_exact(&mut two).ok()?;
                    usize::from(u16::from_be_bytes(two))
                }
                127 => {
                    let mut eight = [0; 8];
                    self.stream.read_exact(&mut eight).ok()?;
                    usize::try_from(u64::from_be_bytes(eight)).unwrap()
                }
                short => usize::from(short),
            };
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).ok()?;
            match head[0] & 15 {
                2 => return Some(body),
                8 => return None,
                _ => {}
            }
        }
    }

    /// The next message of a kind.
    pub fn next_of(&mut self, kind: u8) -> Option<Vec<u8>> {
        loop {
            let message = self.next()?;
            if message[0] == kind {
                return Some(message[1..].to_vec());
            }
        }
    }

    pub fn next_json(&mut self, kind: u8) -> serde_json::Value {
        serde_json::from_slice(&self.next_of(kind).unwrap()).unwrap()
    }
}
