//! A stream of events that goes on over broken connections.

use super::sse::{Message, Parser};
use super::{Client, ClientError};
use crate::control::events::LAGGED;
use crate::scan::Event;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use std::time::Duration;

/// How often a lost stream is opened again, without an event in between, before it is given up: long enough for systemd to start
/// the daemon anew.
const ATTEMPTS: u32 = 5;
/// Pause between attempts; the first is made at once.
const PAUSE: Duration = Duration::from_secs(1);

/// What a stream of events brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// An event.
    Event(Event),
    /// Events are gone: how many, where that is known.
    Lagged(Option<u64>),
}

/// Events, in order. A connection that breaks is opened again behind the last event that was read.
pub struct EventStream {
    client: Client,
    body: Option<Incoming>,
    parser: Parser,
    last: Option<u64>,
    attempts: u32,
}

impl EventStream {
    pub(super) async fn open(client: Client, after: Option<u64>) -> Result<Self, ClientError> {
        let mut stream = Self { client, body: None, parser: Parser::default(), last: after, attempts: ATTEMPTS };
        stream.reopen().await?;
        Ok(stream)
    }

    /// Number of the last event that was read.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// Sets how often a lost stream is opened again before it is given up; the first attempt is made at once, each further one a
    /// second after the one before.
    pub fn set_attempts(&mut self, attempts: u32) {
        self.attempts = attempts;
    }

    /// The next event, waiting for it. Cancelling it loses nothing.
    ///
    /// # Errors
    /// When the daemon is gone and does not come back, or sends what cannot be read.
    pub async fn next(&mut self) -> Result<Notice, ClientError> {
        let mut attempts = 0;
        loop {
            if let Some(message) = self.parser.next() {
                return self.read(&message);
            }
            let Some(body) = &mut self.body else {
                if attempts > 0 {
                    tokio::time::sleep(PAUSE).await;
                }
                attempts += 1;
                match self.reopen().await {
                    // Not yet back.
                    Err(ClientError::NotRunning { .. } | ClientError::Broken { .. }) if attempts < self.attempts => {}
                    outcome => outcome?,
                }
                continue;
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.parser.feed(data);
                    }
                }
                Some(Err(_)) | None if attempts >= self.attempts => {
                    let reason = "the daemon ends the stream of events each time".to_owned();
                    return Err(ClientError::Broken { path: self.client.path.clone(), reason });
                }
                Some(Err(_)) | None => self.body = None,
            }
        }
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        let header = self.last.map(|id| (HeaderName::from_static("last-event-id"), id.to_string()));
        let response = self.client.send(Method::GET, "/v1/events", header, None).await?;
        self.parser = Parser::default();
        self.body = Some(response.into_body());
        Ok(())
    }

    fn read(&mut self, message: &Message) -> Result<Notice, ClientError> {
        let unreadable = |e: serde_json::Error| ClientError::Unreadable { call: "GET /v1/events".to_owned(), reason: e.to_string() };
        if message.event == LAGGED {
            let data: serde_json::Value = serde_json::from_str(&message.data).map_err(unreadable)?;
            return Ok(Notice::Lagged(data["missed"].as_u64()));
        }
        let event: Event = serde_json::from_str(&message.data).map_err(unreadable)?;
        self.last = Some(event.id);
        Ok(Notice::Event(event))
    }
}
