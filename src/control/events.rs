//! Server-sent events.

use super::ended;
use super::problem::Problem;
use super::routes::Call;
use crate::rig::Operations;
use crate::scan::Event;
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Name of the event that tells of events which are no longer held.
pub(super) const LAGGED: &str = "lagged";
/// How often a silent stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers `GET /v1/events`.
pub(super) fn follow(call: Call) -> Result<Response, Box<Problem>> {
    let after = match call.headers.get("last-event-id") {
        None => None,
        Some(value) => match value.to_str().ok().and_then(|text| text.trim().parse().ok()) {
            Some(id) => Some(id),
            None => return Err(Problem::plain(StatusCode::BAD_REQUEST, "Last-Event-ID must be the number of an event").into()),
        },
    };
    let Ok(place) = call.followers.try_acquire_owned() else {
        let detail = "too many follow the events already; end one of them, or ask for /v1/status from time to time";
        return Err(Problem::plain(StatusCode::TOO_MANY_REQUESTS, detail).into());
    };
    let follower = Follower::new(call.operations, after, place, call.shutdown);
    let stream = futures_util::stream::unfold(follower, |mut follower| async move {
        let item = follower.next().await?;
        Some((Ok::<_, Infallible>(message(&item)), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")).into_response())
}

/// What a follower is sent.
#[derive(Debug, PartialEq)]
enum Item {
    Event(Event),
    /// Events are gone: how many, where that is known.
    Lagged(Option<u64>),
}

fn message(item: &Item) -> sse::Event {
    let (message, data) = match item {
        Item::Event(event) => {
            let kind = serde_json::to_value(&event.kind).unwrap_or_default();
            let name = kind["event"].as_str().unwrap_or("message");
            (sse::Event::default().id(event.id.to_string()).event(name), serde_json::to_string(event).unwrap_or_default())
        }
        // Without an id: to resume, the last event that was seen counts.
        Item::Lagged(missed) => (sse::Event::default().event(LAGGED), json!({"missed": missed}).to_string()),
    };
    message.data(data)
}

/// One client's place in the stream of events.
struct Follower {
    operations: Arc<dyn Operations>,
    waiting: VecDeque<Item>,
    receiver: broadcast::Receiver<Event>,
    /// Number of the last event that was put into `waiting`.
    last: Option<u64>,
    shutdown: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    fn new(operations: Arc<dyn Operations>, after: Option<u64>, place: OwnedSemaphorePermit, shutdown: watch::Receiver<bool>) -> Self {
        let (mut held, mut receiver) = operations.events(after);
        let mut last = after;
        let mut waiting = VecDeque::new();
        if held.is_empty()
            && let Some(after) = after
        {
            // Nothing newer, or a number of an earlier run of the daemon: numbers may begin anew with it.
            let (all, since) = operations.events(None);
            if all.last().is_none_or(|newest| newest.id < after) {
                if !all.is_empty() {
                    waiting.push_back(Item::Lagged(None));
                }
                last = None;
            }
            (held, receiver) = (all, since);
        }
        let mut follower = Self { operations, waiting, receiver, last, shutdown, _place: place };
        held.into_iter().for_each(|event| follower.take(event));
        follower
    }

    /// Puts an event in line, behind word of those that are missing before it.
    fn take(&mut self, event: Event) {
        if let Some(last) = self.last {
            if event.id <= last {
                return;
            }
            if event.id - last > 1 {
                self.waiting.push_back(Item::Lagged(Some(event.id - last - 1)));
            }
        }
        self.last = Some(event.id);
        self.waiting.push_back(Item::Event(event));
    }

    /// The next item; `None` at the end: the service ends, or there will be no more events.
    async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Some(item);
            }
            let received = tokio::select! {
                () = ended(self.shutdown.clone()) => return None,
                received = self.receiver.recv() => received,
            };
            match received {
                Ok(event) => self.take(event),
                // Too slow for the channel; what is still held can be had again, and `take` tells of the rest.
                Err(RecvError::Lagged(_)) => {
                    let (held, receiver) = self.operations.events(self.last);
                    self.receiver = receiver;
                    held.into_iter().for_each(|event| self.take(event));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
