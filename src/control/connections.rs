//! Serves connections within limits of number, time and size. They bound the cost of a peer to the daemon.

use super::problem::{PROBLEM_JSON, Problem};
use crate::sync::lock;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;

/// Largest request line with all headers, bytes. One more read may exceed it.
const HEAD_LIMIT: usize = 32 << 10;
/// Largest number of headers of a request.
const MAX_HEADERS: usize = 64;
/// Pause after the system refused a connection for lack of descriptors or memory.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Limits of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of connections. A call whose client has gone counts until it has ended.
    pub connections: usize,
    /// Largest number of connections of one user, so that nobody keeps others from the emergency stop.
    pub per_user: usize,
    /// Largest number of followers of events.
    pub followers: usize,
    /// Time within which a whole request head must arrive, also between two requests. Otherwise the connection is closed.
    pub head: Duration,
    /// Time within which a whole body must arrive.
    pub body: Duration,
    /// Time after which a connection is closed if its peer reads none of the answer.
    pub stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (head, body, stalled) = (Duration::from_secs(10), Duration::from_secs(10), Duration::from_secs(30));
        Self { connections: 256, per_user: 64, followers: 32, head, body, stalled }
    }
}

/// A listener that names the peers of its connections.
pub(super) trait Listener: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Send + 'static;
    /// The peer. It is put into the extensions of every request.
    type Caller: Clone + Send + Sync + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn caller(stream: &Self::Stream) -> Self::Caller;
    /// The user by whom connections are counted together.
    fn user(caller: &Self::Caller) -> Option<u32>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Caller = ();
    async fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
    fn caller(_: &TcpStream) {}
    fn user((): &()) -> Option<u32> {
        None
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Caller = super::access::Caller;
    async fn accept(&self) -> io::Result<UnixStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
    fn caller(stream: &UnixStream) -> Self::Caller {
        super::access::Caller::of(stream)
    }
    fn user(caller: &Self::Caller) -> Option<u32> {
        caller.peer.uid
    }
}

/// Open connections, in all and by user.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    users: BTreeMap<u32, usize>,
}

/// A connection's place within the limits. A task that outlives its connection keeps a clone.
#[derive(Debug, Clone)]
pub(super) struct Place {
    _held: Arc<Held>,
}

/// One counted connection. It is uncounted when dropped.
#[derive(Debug)]
struct Held {
    counts: Arc<Mutex<Counts>>,
    user: Option<u32>,
}

impl Place {
    fn take(counts: &Arc<Mutex<Counts>>, user: Option<u32>, limits: &Limits) -> Option<Self> {
        let mut now = lock(counts);
        if now.all >= limits.connections || user.is_some_and(|user| now.users.get(&user).is_some_and(|n| *n >= limits.per_user)) {
            return None;
        }
        now.all += 1;
        if let Some(user) = user {
            *now.users.entry(user).or_default() += 1;
        }
        Some(Self { _held: Arc::new(Held { counts: Arc::clone(counts), user }) })
    }
}

impl Held {
    fn alone() -> Self {
        Self { counts: Arc::new(Mutex::new(Counts { all: 1, users: BTreeMap::new() })), user: None }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut now = lock(&self.counts);
        now.all -= 1;
        if let Some(user) = self.user
            && let Some(count) = now.users.get_mut(&user)
        {
            *count -= 1;
            if *count == 0 {
                now.users.remove(&user);
            }
        }
    }
}

/// Whether a listener that gave this error will accept no further connection.
fn is_gone(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EOPNOTSUPP))
}

/// Returns once `shutdown` is true, or its sender is gone.
pub(super) async fn ended(mut shutdown: watch::Receiver<bool>) {
    // An error means that the sender is gone.
    let _ = shutdown.wait_for(|ended| *ended).await;
}

/// Serves `router` on a listener until `shutdown`. Connections may then end within `drain`. It ends at once where the listener is gone.
pub(super) async fn serve<L: Listener>(listener: L, router: Router, limits: Limits, drain: Duration, shutdown: watch::Receiver<bool>) {
    let counts = Arc::<Mutex<Counts>>::default();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = ended(shutdown.clone()) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                // The connections end with the listener, because the caller ends the daemon.
                Err(error) if is_gone(&error) => return tracing::error!(%error, "the listener listens no more; start the daemon anew"),
                Err(error) => {
                    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                        tracing::warn!(%error, "no connection can be accepted; they wait");
                        tokio::time::sleep(REFUSED_PAUSE).await;
                    }
                    continue;
                }
            },
        };
        let caller = L::caller(&stream);
        match Place::take(&counts, L::user(&caller), &limits) {
            Some(place) => {
                let ended = ended(shutdown.clone());
                connections.spawn(connection(stream, router.clone(), (caller, place), limits, drain, ended));
            }
            None => drop(connections.spawn(turn_away(stream))),
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves `router` on one stream until its end.
pub(super) async fn serve_one<C: Clone + Send + Sync + 'static>(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    router: Router,
    caller: C,
    limits: Limits,
) {
    let place = Place { _held: Arc::new(Held::alone()) };
    connection(stream, router, (caller, place), limits, Duration::ZERO, std::future::pending()).await;
}

/// Answers the requests of one connection.
async fn connection<C: Clone + Send + Sync + 'static>(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    router: Router,
    (caller, place): (C, Place),
    limits: Limits,
    drain: Duration,
    ended: impl Future<Output = ()>,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stalled));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(place.clone());
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_LIMIT)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut served = std::pin::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = ended => {
            served.as_mut().graceful_shutdown();
            tokio::time::timeout(drain, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Answers a connection beyond the limits with 503, and closes it.
async fn turn_away(stream: impl AsyncRead + AsyncWrite + Send) {
    let mut stream = std::pin::pin!(stream);
    let problem = Problem::plain(StatusCode::SERVICE_UNAVAILABLE, "too many connections are open; close some, or come again");
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let head = format!("content-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close", body.len());
    let text = format!("HTTP/1.1 503 Service Unavailable\r\n{head}\r\n\r\n{body}");
    let answered = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await?;
        // Unread input would reset the connection, and the peer would lose the answer.
        while stream.read(&mut [0; 4096]).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(REFUSED_PAUSE, answered).await;
}
