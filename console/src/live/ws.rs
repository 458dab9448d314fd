//! The WebSocket of a page.

use super::frames::{self, kind};
use super::{Viewer, Wish};
use crate::console::Console;
use crate::jog::Order;
use crate::problem::{Answer, Refused};
use crate::server::Keeps;
use crate::state::sessions::Session;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use hyclus::control::Role;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Most bytes of a message of a page.
const MOST_BYTES: usize = 16 << 10;
/// Most messages of a page in a second. A held key sends four.
const MOST_MESSAGES: u32 = 50;
/// Longest time for which a page may take nothing.
const STALLED: Duration = Duration::from_secs(15);
/// A page is asked for a sign of life so often, and is gone after three.
const PING: Duration = Duration::from_secs(15);
/// So often a page's session is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Most bands of a source that a page shows.
const MOST_BANDS: usize = 3;
/// Most sources that a page names.
const MOST_SOURCES: usize = 16;

/// What a page says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Said {
    Bands(BTreeMap<String, Vec<u16>>),
    Jog(Option<JogSaid>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JogSaid {
    speed_mm_per_s: f64,
}

/// `GET /api/live`
///
/// # Errors
/// Too many pages look on.
pub async fn open(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Extension(keeps): Extension<Keeps>,
    upgrade: WebSocketUpgrade,
) -> Answer {
    let lease = console.lease.message_for(&session.key);
    let Some(viewer) = console.live.join(session.key, &lease) else {
        let text = format!("{} pages look on already, which is the most (console.viewers); close one", console.config.viewers);
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let gone = Gone { console: Arc::clone(&console), viewer, _keeps: keeps };
    // Where the page does not come, the viewer is dropped with this closure.
    Ok(upgrade
        .max_message_size(MOST_BYTES)
        .max_frame_size(MOST_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(32 << 20)
        .on_upgrade(move |socket| async move { talk(socket, &gone, session).await }))
}

/// Takes a viewer off the list when its page is gone, and ends its jog.
struct Gone {
    console: Arc<Console>,
    viewer: Arc<Viewer>,
    _keeps: Keeps,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.console.jogger.end_of_page(self.viewer.id);
        self.console.live.leave(&self.viewer);
    }
}

async fn talk(socket: WebSocket, Gone { console, viewer, .. }: &Gone, session: Session) {
    let (mut out, mut from) = socket.split();
    let mut looks = interval(LOOK);
    let mut pings = interval(PING);
    for ticks in [&mut looks, &mut pings] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut heard = Instant::now();
    let (mut second, mut messages) = (Instant::now(), 0_u32);
    let writer = async {
        loop {
            let message = tokio::select! {
                message = viewer.next() => match message {
                    Some(message) => Message::Binary(message),
                    None => break,
                },
                _ = pings.tick() => Message::Ping(axum::body::Bytes::new()),
            };
            match timeout(STALLED, out.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => return tracing::info!(user = session.user, "a page takes nothing and is closed"),
            }
        }
        let _ = timeout(Duration::from_secs(1), out.close()).await;
    };
    let reader = async {
        loop {
            let said = tokio::select! {
                said = from.next() => said,
                _ = looks.tick() => {
                    if console.session_alive(&session.key) && heard.elapsed() < 3 * PING {
                        continue;
                    }
                    return viewer.close();
                }
            };
            let Some(Ok(message)) = said else { return viewer.close() };
            heard = Instant::now();
            if second.elapsed() >= Duration::from_secs(1) {
                (second, messages) = (heard, 0);
            }
            messages += 1;
            if messages > MOST_MESSAGES {
                return viewer.close();
            }
            if let Message::Text(text) = message
                && let Err(refused) = take(console, viewer, &session, text.as_str())
            {
                viewer.push(&frames::json(kind::PROBLEM, &*refused.problem));
            }
        }
    };
    tokio::select! {
        () = writer => {}
        () = async { reader.await; std::future::pending().await } => {}
    }
}

fn take(console: &Console, viewer: &Arc<Viewer>, session: &Session, text: &str) -> Result<(), Refused> {
    let unreadable = |e: serde_json::Error| Refused::new(StatusCode::BAD_REQUEST, format!("the message cannot be read: {e}"));
    match serde_json::from_str(text).map_err(unreadable)? {
        Said::Bands(bands) => {
            let good = bands.len() <= MOST_SOURCES
                && bands.iter().all(|(name, bands)| hyclus::scan::is_name(name) && (1..=MOST_BANDS).contains(&bands.len()));
            if !good {
                return Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "name 1 to 3 bands for each source"));
            }
            if !console.live.set_wish(viewer, Wish::from_iter(bands)) {
                let text = "other pages look at so many bands that not all can be sent; choose bands that they look at";
                return Err(Refused::new(StatusCode::CONFLICT, text));
            }
        }
        // To stop needs nothing.
        Said::Jog(None) => console.jogger.end_of_page(viewer.id),
        Said::Jog(Some(JogSaid { speed_mm_per_s })) => {
            if session.role < Role::Operate {
                return Err(Refused::new(StatusCode::FORBIDDEN, "an observer moves nothing; ask for an account that may operate"));
            }
            console.lease.needs(&session.key)?;
            let order = Order { speed_mm_per_s, user: session.user.clone(), viewer: Arc::clone(viewer) };
            console.jogger.keep_on(order);
        }
    }
    Ok(())
}
