//! The client of the control socket.

mod events;
mod sse;

pub(crate) use events::LAGGED;
pub use events::{EventStream, Notice};

use crate::problem::{PROBLEM_JSON, Problem};
use crate::rig::{ArchivedRequest, ConveyorRequest, LightingRequest, ReferenceRequest, ScanRequest, WorklistRequest};
use crate::scan::{DeviceStatus, EncoderStatus, ReferenceKind, ReferenceStatus, ScanRecord, Status};
use crate::worklist::WorklistStatus;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;

/// A call failed or was refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon listens on the socket.
    #[error("nothing answers on {}: {source}; is hyclusd running (`systemctl status hyclusd`)? another socket is named with --socket or HYCLUS_SOCKET", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// This user may not connect.
    #[error("you may not connect to {}: {advice}", path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// The remedy.
        advice: String,
    },
    /// More connections wait to be accepted than the system holds.
    #[error("too many connections are open on {}; close some (`hyclus events` and other programs that follow the daemon), or come again", path.display())]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// The connection broke, or its data cannot be read.
    #[error("the connection to {} broke: {reason}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// This version cannot read the daemon's answer.
    #[error("the answer to {call} cannot be read: {reason}; are hyclus and hyclusd of one version?")]
    Unreadable {
        /// Method and path of the call.
        call: String,
        /// The fault.
        reason: String,
    },
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] Box<Problem>),
}

impl ClientError {
    /// Whether the rig was not ready (409).
    pub fn not_ready(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == StatusCode::CONFLICT.as_u16())
    }

    /// Whether too many connections were open. The call did nothing.
    pub fn busy(&self) -> bool {
        matches!(self, Self::Busy { .. }) || matches!(self, Self::Refused(problem) if problem.is_busy())
    }
}

/// Time for which a call is made again while too many connections are open.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for the emergency stop.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// Pause before a call is made again.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// A client of the control socket. Every call has a connection of its own.
///
/// While too many connections are open, a call is made again for some seconds. A call fails where the daemon cannot be reached, refuses it ([`ClientError::Refused`]), or gives an unreadable answer.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
    /// The person for whom calls are made.
    person: Option<HeaderValue>,
}

/// Body of a request, with its media type.
#[derive(Clone)]
struct Body {
    kind: &'static str,
    bytes: Bytes,
}

impl Body {
    fn json(bytes: Vec<u8>) -> Self {
        Self { kind: "application/json", bytes: bytes.into() }
    }
}

/// Header with the name of the person for whom a program makes a call. The daemon logs it.
pub const FOR: &str = "x-hyclus-for";

impl Client {
    /// A client of the daemon that answers on the socket `path`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] or [`ClientError::Forbidden`] where the connection fails.
    pub async fn connect(path: impl Into<PathBuf>) -> Result<Self, ClientError> {
        let client = Self::of(path);
        match client.stream().await {
            // A call waits for its turn.
            Ok(_) | Err(ClientError::Busy { .. }) => Ok(client),
            Err(error) => Err(error),
        }
    }

    /// A client of the socket `path`, without a try to connect.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), person: None }
    }

    /// The same client, whose calls carry a person's name in [`FOR`]. A name that no header can carry is left out.
    #[must_use]
    pub fn on_behalf_of(&self, name: &str) -> Self {
        Self { path: self.path.clone(), person: HeaderValue::from_str(name).ok() }
    }

    /// Any call, and its answer of any status. `path` must be a path of the daemon, with its query. `body` is JSON.
    ///
    /// # Errors
    /// As for any call of a [`Client`], but for refusals: they are answers.
    pub async fn exchange(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Response<Incoming>, ClientError> {
        let (begin, body) = (Instant::now(), body.map(Body::json));
        loop {
            match self.exchange_once(method.clone(), path, None, body.clone()).await {
                Err(error) if error.busy() && begin.elapsed() < PATIENCE => tokio::time::sleep(RETRY_INTERVAL).await,
                outcome => return outcome,
            }
        }
    }

    /// `GET /v1/status`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.call(Method::GET, "/v1/status", None).await
    }

    /// `POST /v1/scans`: starts a scan with a tray map as it is written in its file.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn start_scan(&self, tray: serde_json::Value) -> Result<ScanRecord, ClientError> {
        self.start(&ScanRequest { tray: Some(tray), ..ScanRequest::default() }).await
    }

    /// `POST /v1/scans`: starts a scan of a tray map, or of a tray of the worklist.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn start(&self, request: &ScanRequest) -> Result<ScanRecord, ClientError> {
        self.call(Method::POST, "/v1/scans", Some(json(request)?)).await
    }

    /// `GET /v1/scans`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn scans(&self) -> Result<Vec<ScanRecord>, ClientError> {
        self.call(Method::GET, "/v1/scans", None).await
    }

    /// `GET /v1/scans/{id}`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn scan(&self, id: &str) -> Result<ScanRecord, ClientError> {
        self.call(Method::GET, &format!("/v1/scans/{}", encoded(id)), None).await
    }

    /// `POST /v1/scans/{id}/stop`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn stop_scan(&self, id: &str) -> Result<ScanRecord, ClientError> {
        self.call(Method::POST, &format!("/v1/scans/{}/stop", encoded(id)), None).await
    }

    /// `POST /v1/references/dark` or `/v1/references/white`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn reference(&self, kind: ReferenceKind, request: ReferenceRequest) -> Result<Vec<ReferenceStatus>, ClientError> {
        let path = match kind {
            ReferenceKind::Dark => "/v1/references/dark",
            ReferenceKind::White => "/v1/references/white",
        };
        self.call(Method::POST, path, Some(json(&request)?)).await
    }

    /// `PUT /v1/lighting`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn lighting(&self, request: &LightingRequest) -> Result<Vec<DeviceStatus>, ClientError> {
        self.call(Method::PUT, "/v1/lighting", Some(json(request)?)).await
    }

    /// `PUT /v1/conveyor`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn conveyor(&self, request: &ConveyorRequest) -> Result<DeviceStatus, ClientError> {
        self.call(Method::PUT, "/v1/conveyor", Some(json(request)?)).await
    }

    /// `GET /v1/encoders`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn encoders(&self) -> Result<Vec<EncoderStatus>, ClientError> {
        self.call(Method::GET, "/v1/encoders", None).await
    }

    /// `PUT /v1/encoders/{name}`: puts the bytes of an ONNX model in the place of an encoder's model.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn replace_encoder(&self, name: &str, model: Vec<u8>) -> Result<EncoderStatus, ClientError> {
        let model = Body { kind: "application/octet-stream", bytes: model.into() };
        self.call_with(Method::PUT, &format!("/v1/encoders/{}", encoded(name)), Some(model)).await
    }

    /// `GET /v1/worklist`.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn worklist(&self) -> Result<WorklistStatus, ClientError> {
        self.call(Method::GET, "/v1/worklist", None).await
    }

    /// `PUT /v1/worklist`.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn put_worklist(&self, request: &WorklistRequest) -> Result<WorklistStatus, ClientError> {
        self.call(Method::PUT, "/v1/worklist", Some(json(request)?)).await
    }

    /// `DELETE /v1/worklist`.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn remove_worklist(&self) -> Result<WorklistStatus, ClientError> {
        self.call(Method::DELETE, "/v1/worklist", None).await
    }

    /// `DELETE /v1/encoders/{name}`: goes back to the configured model.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn restore_encoder(&self, name: &str) -> Result<EncoderStatus, ClientError> {
        self.call(Method::DELETE, &format!("/v1/encoders/{}", encoded(name)), None).await
    }

    /// `PUT /v1/scans/{id}/archived`: notes that a scan lies in an archive, and removes files here that are not to stay.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn archived(&self, id: &str, request: &ArchivedRequest) -> Result<ScanRecord, ClientError> {
        self.call(Method::PUT, &format!("/v1/scans/{}/archived", encoded(id)), Some(json(request)?)).await
    }

    /// `POST /v1/stop`. It is made again for 20 s, also where the connection breaks: to stop twice does no harm.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn emergency_stop(&self) -> Result<Status, ClientError> {
        let begin = Instant::now();
        loop {
            match self.call(Method::POST, "/v1/stop", None).await {
                Err(error) if begin.elapsed() < STOP_PATIENCE && (error.busy() || matches!(error, ClientError::Broken { .. })) => {
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// `POST /v1/acknowledge`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn acknowledge(&self) -> Result<Status, ClientError> {
        self.call(Method::POST, "/v1/acknowledge", None).await
    }

    /// `GET /v1/openapi.json`
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.call(Method::GET, "/v1/openapi.json", None).await
    }

    /// `GET /v1/events`: events after number `after` (all that are held for `None`), and those to come.
    ///
    /// # Errors
    /// As for any call of a [`Client`].
    pub async fn events(&self, after: Option<u64>) -> Result<EventStream, ClientError> {
        EventStream::open(self.clone(), after).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<T, ClientError> {
        self.call_with(method, path, body.map(Body::json)).await
    }

    async fn call_with<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Body>) -> Result<T, ClientError> {
        let call = format!("{method} {path}");
        let response = self.send(method, path, None, body).await?;
        let bytes = response.into_body().collect().await.map_err(|e| self.broken(&e))?.to_bytes();
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        serde_path_to_error::deserialize(&mut reader).map_err(|e| ClientError::Unreadable { call, reason: e.to_string() })
    }

    /// Sends a request, again while too many connections are open. An answer that is a problem is an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        header: Option<(HeaderName, String)>,
        body: Option<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        let begin = Instant::now();
        loop {
            match self.send_once(method.clone(), path, header.clone(), body.clone()).await {
                Err(error) if error.busy() && begin.elapsed() < PATIENCE => tokio::time::sleep(RETRY_INTERVAL).await,
                outcome => return outcome,
            }
        }
    }

    async fn send_once(
        &self,
        method: Method,
        path: &str,
        header: Option<(HeaderName, String)>,
        body: Option<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        let call = format!("{method} {path}");
        let response = self.exchange_once(method, path, header, body).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|t| t == HeaderValue::from_static(PROBLEM_JSON));
        let bytes = response.into_body().collect().await.map_err(|e| self.broken(&e))?.to_bytes();
        let problem = serde_json::from_slice(&bytes).ok().filter(|_| is_problem);
        let problem = problem.unwrap_or_else(|| Problem::plain(status, format!("{call} was answered with {status}")));
        Err(ClientError::Refused(Box::new(problem)))
    }

    async fn exchange_once(
        &self,
        method: Method,
        path: &str,
        header: Option<(HeaderName, String)>,
        body: Option<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = self.stream().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.broken(&e))?;
        // It ends with the answer. Its errors reach the reader of the answer.
        tokio::spawn(connection);
        let call = format!("{method} {path}");
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if let Some(person) = &self.person {
            request = request.header(FOR, person);
        }
        if let Some(body) = &body {
            request = request.header(CONTENT_TYPE, body.kind);
        }
        let request = request
            .body(Full::new(body.map(|body| body.bytes).unwrap_or_default()))
            .map_err(|e| ClientError::Unreadable { call, reason: e.to_string() })?;
        sender.send_request(request).await.map_err(|error| match error.is_canceled() {
            // The daemon speaks first only to turn a connection away. Nothing of the request was sent.
            true => ClientError::Busy { path: self.path.clone() },
            false => self.broken(&error),
        })
    }

    async fn stream(&self) -> Result<UnixStream, ClientError> {
        UnixStream::connect(&self.path).await.map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Forbidden { path: self.path.clone(), advice: advice(&self.path) },
            // The kernel's queue of connections is full.
            io::ErrorKind::WouldBlock => ClientError::Busy { path: self.path.clone() },
            _ => ClientError::NotRunning { path: self.path.clone(), source },
        })
    }

    fn broken(&self, error: &dyn std::error::Error) -> ClientError {
        let mut reason = error.to_string();
        if let Some(source) = error.source() {
            let _ = write!(reason, ": {source}");
        }
        ClientError::Broken { path: self.path.clone(), reason }
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|e| ClientError::Unreadable { call: "the request".to_owned(), reason: e.to_string() })
}

/// Advice for a user who may not connect: to join the socket's group.
fn advice(path: &Path) -> String {
    let gid = std::fs::metadata(path).map(|m| m.gid());
    let group = gid.ok().and_then(|gid| nix::unistd::Group::from_gid(gid.into()).ok().flatten()).map(|group| group.name);
    match group.as_deref() {
        Some("root") | None => "its group is not one to join; see `group` of the control socket in the rig's configuration".to_owned(),
        Some(group) => format!("join its group (`sudo usermod -aG {group} $USER`) and log in again"),
    }
}

/// A segment of a path, percent-encoded.
fn encoded(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
