//! The server: its listener, its connections, and its end.

use crate::alarms::Alarms;
use crate::assets::Assets;
use crate::console::{ALARMS, Console};
use crate::front::{self, Peer};
use crate::health::{self, Health};
use crate::jog::Jogger;
use crate::lease::Lease;
use crate::limits::LoginLimits;
use crate::live::{Live, tap, ws};
use crate::places::{Place, Places, Seat};
use crate::state::accounts::{AccountError, Accounts};
use crate::state::sessions::{Lives, Sessions};
use crate::state::{StateDir, StateError};
use crate::tls::{self, Tls, TlsError};
use crate::{commands, data, trays, who};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{delete, get, post, put};
use hyclus::client::Client;
use hyclus::config::{ConsoleConfig, Loaded};
use hyclus::control::Hosts;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

/// Longest time for a handshake, and for the headers of a request. A connection without a request ends after it.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(30);
/// Longest time for which a browser may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(30);
/// Longest life of a connection beyond all places.
const FURTHER: Duration = Duration::from_secs(10);
/// Longest time for open connections at the end.
const DRAIN: Duration = Duration::from_secs(3);
/// Most bytes of the headers of a request, and most headers.
const HEAD_BYTES: u32 = 32 << 10;
const MOST_HEADERS: usize = 64;
/// Most requests of an HTTP/2 connection at a time.
const MOST_STREAMS: u32 = 32;
/// Time between two looks at sessions and lease.
const LOOK: Duration = Duration::from_secs(2);
/// Looks between two times at which sessions are written down.
const SAVE: u32 = 60;

/// The console cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It is not configured.
    #[error("{} has no section [console]; docs/console.md says how to turn the console on", .0.display())]
    Off(PathBuf),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another program there? see console.listen")]
    Listen {
        /// The address.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The accounts cannot be used.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What a started server says of itself.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// Where the page is.
    pub url: String,
    /// Fingerprint (SHA-256) of the certificate.
    pub fingerprint: Option<String>,
}

/// Where browsers find the page: the first of `hosts`, or the address.
pub fn url(config: &ConsoleConfig, address: SocketAddr) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let host = match config.hosts.first() {
        Some(host) if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        Some(host) => host.clone(),
        None if address.ip().is_unspecified() => "localhost".to_owned(),
        None if address.is_ipv6() => format!("[{}]", address.ip()),
        None => address.ip().to_string(),
    };
    let customary = if config.tls.is_some() { 443 } else { 80 };
    if address.port() == customary { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{}", address.port()) }
}

/// Serves the page until `shutdown`. `inherited` is a listener of systemd. `ready` is called once it listens.
///
/// # Errors
/// The section is missing, or the address, the state folder or the certificate cannot be used.
pub async fn serve(
    loaded: &Loaded,
    inherited: Option<std::net::TcpListener>,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Ready),
) -> Result<(), ServeError> {
    let config = loaded.config.console.clone().ok_or_else(|| ServeError::Off(loaded.path.clone()))?;
    let dir = StateDir::open(&config.state_dir)?;
    let tls = config.tls.as_ref().map(|tls| tls::open(&config, tls, &dir)).transpose()?;
    let listen = |source| ServeError::Listen { address: config.listen.clone(), source };
    let listener = match inherited {
        Some(listener) => listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)),
        None => TcpListener::bind(&config.listen).await,
    };
    let listener = listener.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;

    let client = Client::of(&loaded.config.control.socket);
    let alarms = dir.read(ALARMS).unwrap_or_else(|error| {
        tracing::error!(%error, "the alarms of before are not shown");
        Alarms::default()
    });
    let live = Arc::new(Live::new(&loaded.config.rig.name, alarms, config.viewers));
    let health = Arc::new(Health::default());
    let (jogger, jogging) = Jogger::new(client.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(jogging);
    tasks.spawn(tap::follow(Arc::clone(&live), client.clone()));
    tasks.spawn(Arc::clone(&health).follow(client.clone()));

    let lives = Lives { whole: i64::from(config.session_hours) * 3600, idle: i64::from(config.idle_minutes) * 60 };
    let [waiting, hashing, bodies] = Console::semaphores();
    let busy = Arc::clone(&live);
    let results = dir.path("data");
    let data = data::Data::new(loaded.config.rig.data_dir.clone(), results, move || busy.busy());
    let data = data.with_configuration_dir(loaded.path.parent().map(std::path::Path::to_path_buf).unwrap_or_default());
    let console = Arc::new(Console {
        rig: loaded.config.rig.name.clone(),
        hosts: Hosts::new(&config.listen, &config.hosts),
        accounts: Accounts::open(&dir)?,
        sessions: Sessions::open(&dir, lives)?,
        limits: LoginLimits::new(config.login_tries),
        lease: Lease::default(),
        assets: Assets::new(),
        live,
        jogger,
        health,
        client,
        dir,
        config,
        waiting,
        hashing,
        bodies,
    });
    tasks.spawn(look_after(Arc::clone(&console)));

    let fingerprint = tls.as_ref().map(|tls| tls.fingerprint.clone());
    ready(&Ready { address, url: url(&console.config, address), fingerprint });
    let router = router(&console, Arc::new(data));
    accept(listener, tls, router, &console, shutdown).await;
    console.jogger.end();
    if let Err(error) = console.sessions.save() {
        tracing::warn!(%error, "sessions end with the console");
    }
    console.save_alarms().await;
    // The belt is told to stop before the tasks end with `tasks`.
    sleep(Duration::from_millis(50)).await;
    Ok(())
}

fn router(console: &Arc<Console>, data: Arc<data::Data>) -> Router {
    Router::new()
        .route("/api/session", get(who::session))
        .route("/api/login", post(who::login))
        .route("/api/link", post(who::link))
        .route("/api/logout", post(who::logout))
        .route("/api/lease", post(who::take_lease).delete(who::give_lease_back))
        .route("/api/live", get(ws::open))
        .route("/api/rig", get(commands::rig))
        .route("/api/alarms/{id}/acknowledge", post(commands::acknowledge_alarm))
        .route("/api/stop", post(commands::stop))
        .route("/api/acknowledge", post(commands::acknowledge))
        .route("/api/scans", post(commands::scan))
        .route("/api/scans/{id}/stop", post(commands::stop_scan))
        .route("/api/references/dark", post(commands::dark))
        .route("/api/references/white", post(commands::white))
        .route("/api/lighting", put(commands::lighting))
        .route("/api/conveyor", put(commands::conveyor))
        .route("/api/trays", get(trays::list))
        .route("/api/trays/check", post(trays::check))
        .route("/api/trays/worklist", post(trays::worklist))
        .route("/api/trays/{name}", delete(trays::delete).put(trays::put))
        .route("/api/health", get(health::show))
        .route("/api/health.csv", get(health::show_csv))
        .merge(data::router(data))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(console), front::guard))
        .with_state(Arc::clone(console))
}

/// Gives back leases of sessions that ended, and writes sessions down.
async fn look_after(console: Arc<Console>) {
    let mut ticks = interval(LOOK);
    let mut looks = 0_u32;
    loop {
        ticks.tick().await;
        console.look_after_lease();
        console.save_alarms().await;
        looks += 1;
        if looks.is_multiple_of(SAVE) {
            console.save_sessions().await;
        }
    }
}

/// Takes connections until `shutdown`.
async fn accept(listener: TcpListener, tls: Option<Tls>, router: Router, console: &Console, shutdown: impl Future<Output = ()>) {
    let places = Places::new(console.config.connections, console.config.connections_per_address);
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config));
    let (end, ended) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                        tracing::warn!(%error, "no connection can be accepted");
                        sleep(Duration::from_millis(100)).await;
                    }
                    continue;
                }
            },
        };
        let Ok(own) = stream.local_addr() else { continue };
        let address = peer.ip().to_canonical();
        let seat = match places.take(address) {
            Some(place) => Held::Place(place),
            None => Held::Further(places.take_further(address)),
        };
        let peer = Peer { address, own: own.ip().to_canonical(), stop_only: matches!(seat, Held::Further(_)) };
        connections.spawn(connection(stream, acceptor.clone(), router.clone(), peer, seat, ended.clone()));
    }
    drop(listener);
    console.live.close(None);
    end.send_replace(true);
    let drained = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::info!("connections are cut off");
    }
}

/// What a connection holds.
enum Held {
    /// One of the places.
    Place(Place),
    /// One beyond them.
    Further(Seat),
}

/// The place of a connection, for what outlives its requests. None beyond all places.
#[derive(Clone)]
pub struct Keeps(#[expect(dead_code, reason = "it is held, and given back once dropped")] Option<Arc<Place>>);

/// Answers the requests of a connection, and gives its place back.
async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    peer: Peer,
    held: Held,
    ended: watch::Receiver<bool>,
) {
    // A refused option costs some milliseconds.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    let stream = Box::pin(stream);
    let (place, seat) = match held {
        Held::Place(place) => (Some(Arc::new(place)), None),
        Held::Further(seat) => (None, Some(seat)),
    };
    let served = async {
        let Some(acceptor) = acceptor else { return answer(stream, false, router, peer, place, ended).await };
        let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        answer(stream, two, router, peer, place, ended).await;
    };
    match seat {
        None => served.await,
        Some(mut seat) => tokio::select! {
            () = served => {}
            () = seat.lost() => {}
            () = sleep(FURTHER) => {}
        },
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    two: bool,
    router: Router,
    peer: Peer,
    place: Option<Arc<Place>>,
    mut ended: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        // A WebSocket outlives this service, and keeps the place.
        request.extensions_mut().insert(Keeps(place.clone()));
        service.call(request)
    });
    let ended = async move { _ = ended.wait_for(|ended| *ended).await };
    let stream = TokioIo::new(stream);
    // The kind of connection is known, and not looked for in what a browser says: nothing waits for that without end.
    if two {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_concurrent_streams(MOST_STREAMS).max_header_list_size(HEAD_BYTES);
        builder.keep_alive_interval(Duration::from_secs(30)).keep_alive_timeout(Duration::from_secs(20));
        let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
        tokio::select! {
            // A connection that breaks is the browser's affair.
            _ = &mut connection => {}
            () = ended => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_headers(MOST_HEADERS).keep_alive(!peer.stop_only);
        builder.max_buf_size(usize::try_from(HEAD_BYTES).unwrap_or(usize::MAX));
        let mut connection = std::pin::pin!(builder.serve_connection(stream, service).with_upgrades());
        tokio::select! {
            _ = &mut connection => {}
            () = ended => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}
