//! A stream of events that resumes after broken connections.

use super::sse::{Message, Parser};
use super::{Client, ClientError};
use crate::scan::Event;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use std::time::Duration;

/// Name of the event that reports events which are no longer held.
pub(crate) const LAGGED: &str = "lagged";
/// Attempts to reopen a lost stream, without an event in between. They last long enough for systemd to restart the daemon.
const ATTEMPTS: u32 = 5;
/// Pause between attempts. The first is made at once.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// An item of a stream of events.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all items are events")]
pub enum Notice {
    /// An event.
    Event(Event),
    /// Events are no longer held. Their number, where it is known.
    Lagged(Option<u64>),
}

/// Events in order. A broken connection is reopened behind the last event that was read.
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

    /// Sets the number of attempts to reopen a lost stream. The first is made at once, each further one a second later.
    pub fn set_attempts(&mut self, attempts: u32) {
        self.attempts = attempts;
    }

    /// The next event, waiting for it. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The daemon does not come back, or sends unreadable data.
    pub async fn next(&mut self) -> Result<Notice, ClientError> {
        let mut attempts = 0;
        loop {
            if let Some(message) = self.parser.next() {
                return self.read(&message);
            }
            let Some(body) = &mut self.body else {
                if attempts > 0 {
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
                attempts += 1;
                match self.reopen().await {
                    // The daemon is not back yet.
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
