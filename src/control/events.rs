//! Server-sent events.

use super::call::Call;
use super::connections::ended;
use crate::client::LAGGED;
use crate::problem::Problem;
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

/// Interval of keep-alive comments on a silent stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers `GET /v1/events`.
pub(super) fn follow(call: Call) -> Result<Response, Box<Problem>> {
    let follower = Follower::of(call)?;
    let stream = futures_util::stream::unfold(follower, |mut follower| async move {
        let item = follower.next().await?;
        Some((Ok::<_, Infallible>(message(&item)), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")).into_response())
}

/// An item of a follower's stream.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all items are events")]
pub(super) enum Item {
    Event(Event),
    /// Events are no longer held. Their number, where it is known.
    Lagged(Option<u64>),
}

fn message(item: &Item) -> sse::Event {
    let (message, data) = match item {
        Item::Event(event) => {
            let kind = serde_json::to_value(&event.kind).unwrap_or_default();
            let name = kind["event"].as_str().unwrap_or("message");
            (sse::Event::default().id(event.id.to_string()).event(name), serde_json::to_string(event).unwrap_or_default())
        }
        // It has no id, because a client resumes behind the last event that it saw.
        Item::Lagged(missed) => (sse::Event::default().event(LAGGED), json!({"missed": missed}).to_string()),
    };
    message.data(data)
}

/// One client's place in the stream of events.
pub(super) struct Follower {
    operations: Arc<dyn Operations>,
    waiting: VecDeque<Item>,
    receiver: broadcast::Receiver<Event>,
    /// Number of the last event that was put into `waiting`.
    last: Option<u64>,
    shutdown: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The follower of a call, behind the event of `Last-Event-ID`.
    pub(super) fn of(call: Call) -> Result<Self, Box<Problem>> {
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
        Ok(Self::new(call.operations, after, place, call.shutdown))
    }

    fn new(operations: Arc<dyn Operations>, after: Option<u64>, place: OwnedSemaphorePermit, shutdown: watch::Receiver<bool>) -> Self {
        let (mut held, mut receiver) = operations.events(after);
        let mut last = after;
        let mut waiting = VecDeque::new();
        if held.is_empty()
            && let Some(after) = after
        {
            // There is no newer event, or the number is from an earlier daemon. Numbers may begin anew with each daemon.
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

    /// Queues an event, behind a notice of those that are missing before it.
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

    /// The next item. `None` where the service ends, or no more events can come.
    pub(super) async fn next(&mut self) -> Option<Item> {
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
                // The follower was too slow for the channel. Held events are fetched again, and `take` reports the others.
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
