//! The live tap over the control socket: messages without an end.

use super::call::Call;
use super::connections::ended;
use super::events::{Follower, Item};
use crate::client::LAGGED;
use crate::live::{FORMAT, Reader, Wishes, kind, message};
use crate::problem::Problem;
use crate::rig::Operations;
use crate::scan::{Status, iso, now_ns};
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde::Serialize;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Media type of the messages.
const LIVE: &str = "application/vnd.hyclus.live";
/// Interval at which messages are collected. A person sees no shorter one.
const COLLECT_INTERVAL: Duration = Duration::from_millis(50);
/// Interval of the status.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// Answers `GET /v1/live`.
pub(super) fn follow(call: Call) -> Result<Response, Box<Problem>> {
    let wrong = |detail: String| Problem::plain(StatusCode::BAD_REQUEST, detail);
    let mut wishes = Wishes::default();
    for pair in call.query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("bands", list)) => {
                wishes = Wishes::parse(&list.replace("%2C", ",").replace("%3B", ";").replace("%3A", ":"))
                    .map_err(|error| wrong(error.to_string()))?
            }
            _ => {
                return Err(wrong(format!(
                    "`{}` is not known; there is bands=vnir:10,20,30;grid:5",
                    pair.chars().take(100).collect::<String>()
                ))
                .into());
            }
        }
    }
    let tap = call.operations.live();
    let operations = Arc::clone(&call.operations);
    let shutdown = call.shutdown.clone();
    let follower = Follower::of(call)?;
    let mut first = Vec::new();
    json_message(&mut first, kind::HELLO, &json!({"format": FORMAT, "version": crate::VERSION, "time": iso(now_ns())}));
    let mut ticks = interval(COLLECT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let live = Live { reader: tap.reader(wishes), follower, status: statuses(operations), ticks, shutdown, out: first };
    let stream = futures_util::stream::unfold(live, |mut live| async move {
        let bytes = live.next().await?;
        Some((Ok::<_, Infallible>(bytes), live))
    });
    Ok(([(header::CONTENT_TYPE, LIVE)], Body::from_stream(stream)).into_response())
}

fn json_message(out: &mut Vec<u8>, kind: u8, value: &impl Serialize) {
    let json = serde_json::to_vec(value).unwrap_or_default();
    message(out, kind, |body| body.extend_from_slice(&json));
}

/// The rig's status again and again, until nobody receives it. A device that does not answer holds up the status alone.
fn statuses(operations: Arc<dyn Operations>) -> mpsc::Receiver<Status> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = interval(STATUS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !sender.is_closed() {
            ticks.tick().await;
            let status = operations.status().await;
            if sender.send(status).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// One client's place at the tap.
struct Live {
    reader: Reader,
    follower: Follower,
    status: mpsc::Receiver<Status>,
    ticks: Interval,
    shutdown: watch::Receiver<bool>,
    out: Vec<u8>,
}

impl Live {
    /// The next messages. A client that does not read is not collected for: the doors count what it misses.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                () = ended(self.shutdown.clone()) => return None,
                _ = self.ticks.tick() => {}
            }
            self.reader.read(&mut self.out);
            while let Some(item) = self.follower.next().now_or_never() {
                match item? {
                    Item::Event(event) => json_message(&mut self.out, kind::EVENT, &event),
                    Item::Lagged(missed) => json_message(&mut self.out, kind::EVENT, &json!({"event": LAGGED, "missed": missed})),
                }
            }
            if let Ok(status) = self.status.try_recv() {
                json_message(&mut self.out, kind::STATUS, &status);
            }
            if !self.out.is_empty() {
                return Some(std::mem::take(&mut self.out).into());
            }
        }
    }
}
