//! Serves connections within limits of number, time and size. They bound the cost of a peer to the daemon.

use super::hosts::Hosts;
use super::places::{Limits, Place, Places, Seat};
use super::stop;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::telemetry::Metrics;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, send, shutdown};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

/// Metric label of requests without a route.
pub(super) const NO_ROUTE: &str = "none";
/// Largest request line with all headers, bytes. One more read may exceed it.
const HEAD_LIMIT: usize = 32 << 10;
/// Largest number of headers of a request.
const MAX_HEADERS: usize = 64;
/// Least time between two warnings that none can be accepted.
const WARN_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after the system refused a connection for lack of descriptors or memory.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// A listener that names the peers of its connections.
pub(super) trait Listener: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static;
    /// Whether the emergency stop is asked for here, and has places of its own.
    const STOPS: bool;
    /// The peer. It is put into the extensions of every request.
    type Caller: Clone + Send + Sync + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn caller(stream: &Self::Stream) -> Self::Caller;
    /// The user by whom connections are counted together.
    fn user(caller: &Self::Caller) -> Option<u32>;
    /// The address that the peer connected to.
    fn own(stream: &Self::Stream) -> Option<IpAddr>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    const STOPS: bool = false;
    type Caller = ();
    async fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
    fn caller(_: &TcpStream) {}
    fn user((): &()) -> Option<u32> {
        None
    }
    fn own(stream: &TcpStream) -> Option<IpAddr> {
        stream.local_addr().ok().map(|address| address.ip())
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    const STOPS: bool = true;
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
    fn own(_: &UnixStream) -> Option<IpAddr> {
        None
    }
}

/// What answers the requests of a listener.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) router: Router,
    pub(super) hosts: Hosts,
    pub(super) metrics: Metrics,
    pub(super) limits: Limits,
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

/// Serves a listener until `shutdown`. Connections may then end within `drain`. It ends at once where the listener is gone.
pub(super) async fn serve<L: Listener>(listener: L, front: Front, drain: Duration, shutdown: watch::Receiver<bool>) {
    let places = Places::new(front.limits);
    let lingering = Arc::new(Semaphore::new(front.limits.turned_away));
    let mut connections = tokio::task::JoinSet::new();
    // A descriptor that is given up where no other is left, so that a stop can be accepted then too.
    let (mut spare, mut scarce) = (None, false);
    let mut warned: Option<Instant> = None;
    loop {
        if !scarce {
            spare = spare.or_else(|| File::open("/dev/null").ok());
        }
        let stream = tokio::select! {
            () = ended(shutdown.clone()) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                // The connections end with the listener, because the caller ends the daemon.
                Err(error) if is_gone(&error) => return tracing::error!(%error, "the listener listens no more; start the daemon anew"),
                Err(error) => {
                    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                        continue;
                    }
                    if warned.is_none_or(|when| when.elapsed() > WARN_INTERVAL) {
                        warned = Some(Instant::now());
                        let advice = crate::disk::advice(&error, "see the system's log");
                        tracing::warn!("no connection can be accepted but for an emergency stop: {error}; {advice}");
                    }
                    scarce = true;
                    if spare.take().is_none() {
                        tokio::time::sleep(REFUSED_PAUSE).await;
                    }
                    continue;
                }
            },
        };
        let caller = L::caller(&stream);
        let (user, own) = (L::user(&caller), L::own(&stream));
        let scarce = std::mem::take(&mut scarce);
        if !scarce && let Some(place) = places.take(user) {
            let peer = Caller { caller, place, own };
            connections.spawn(connection(stream, front.clone(), peer, true, drain, ended(shutdown.clone())));
            continue;
        }
        let mut said = Vec::new();
        if L::STOPS && !stop::begins(&stream, &mut said) {
            let (seat, places, mut front, lingering) = (places.wait(user), places.clone(), front.clone(), Arc::clone(&lingering));
            let ended = ended(shutdown.clone());
            if scarce {
                // The next waits for the descriptor of this one.
                front.limits.stop_head = REFUSED_PAUSE;
            }
            connections.spawn(async move {
                tokio::select! {
                    () = ended => {}
                    () = wait_for_stop(stream, said, seat, places, front, (caller, user, own), lingering) => {}
                }
            });
        } else if L::STOPS
            && stop::is_stop(&said)
            && let Some(place) = places.take_stop(user)
        {
            let peer = Caller { caller, place, own };
            connections.spawn(connection(stop::resumed(said, stream), front.clone(), peer, false, drain, ended(shutdown.clone())));
        } else if let Some(lingers) = turn_away(stream, &lingering) {
            connections.spawn(lingers);
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Reads the first request of a connection beyond the places of all, and answers it where it is an emergency stop.
async fn wait_for_stop<S: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static, C: Clone + Send + Sync + 'static>(
    mut stream: S,
    mut said: Vec<u8>,
    mut seat: Seat,
    places: Places,
    front: Front,
    (caller, user, own): (C, Option<u32>, Option<IpAddr>),
    lingering: Arc<Semaphore>,
) {
    let read = tokio::time::timeout(front.limits.stop_head, stop::read_head(&mut stream, &mut said));
    tokio::select! {
        _ = read => {}
        () = seat.lost() => {}
    }
    let place = if stop::is_stop(&said) { places.take_stop(user) } else { None };
    drop(seat);
    match place {
        Some(place) => {
            let peer = Caller { caller, place, own };
            connection(stop::resumed(said, stream), front, peer, false, Duration::ZERO, std::future::pending()).await;
        }
        None => {
            if let Some(lingers) = turn_away(stream, &lingering) {
                lingers.await;
            }
        }
    }
}

/// Serves one stream until its end.
pub(super) async fn serve_one<C: Clone + Send + Sync + 'static>(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    front: Front,
    caller: C,
) {
    let peer = Caller { caller, place: Place::alone(), own: None };
    connection(stream, front, peer, true, Duration::ZERO, std::future::pending()).await;
}

/// The peer of a connection, its place, and the address that it connected to.
struct Caller<C> {
    caller: C,
    place: Place,
    own: Option<IpAddr>,
}

/// Answers the requests of one connection. Without `more`, it answers one.
async fn connection<C: Clone + Send + Sync + 'static>(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    front: Front,
    Caller { caller, place, own }: Caller<C>,
    more: bool,
    drain: Duration,
    ended: impl Future<Output = ()>,
) {
    let Front { router, hosts, metrics, limits } = front;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stalled));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let refused = hosts.refusal(request.headers(), request.uri(), own).map(|problem| {
            metrics.http_request(NO_ROUTE, problem.status);
            problem.at(request.uri().path()).into_response()
        });
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(place.clone());
        let router = router.clone();
        async move {
            match refused {
                Some(response) => Ok(response),
                None => router.call(request).await,
            }
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(more)
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

/// Answers a connection beyond the limits with 503, without waiting, and closes it.
///
/// Unread input would reset the connection, and the peer would lose the answer. So as many as `lingering` has places for are read for a
/// moment by the task that this gives.
fn turn_away<S>(stream: S, lingering: &Arc<Semaphore>) -> Option<impl Future<Output = ()> + Send + use<S>>
where
    S: AsyncRead + AsyncWrite + AsFd + Send + 'static,
{
    let problem = Problem::busy();
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let head = format!("content-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close", body.len());
    let text = format!("HTTP/1.1 503 Service Unavailable\r\n{head}\r\n\r\n{body}");
    // A new connection has room for an answer that is this short. A peer without room gets none.
    let _ = send(stream.as_fd().as_raw_fd(), text.as_bytes(), MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
    let _ = shutdown(stream.as_fd().as_raw_fd(), Shutdown::Write);
    let lingers = Arc::clone(lingering).try_acquire_owned().ok()?;
    Some(async move {
        let _lingers = lingers;
        let mut stream = std::pin::pin!(stream);
        let read = async { while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {} };
        let _ = tokio::time::timeout(REFUSED_PAUSE, read).await;
    })
}
