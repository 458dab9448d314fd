//! Events of what was shipped, for those that would wait for them (`ship.events`): NATS JetStream.
//!
//! An event says "look at this scan". The archive itself is the truth: an event that is lost costs time, and nothing else, so shipping
//! never waits for a server of events.

use crate::credentials::of_events;
use async_nats::jetstream::{Context, new, stream};
use async_nats::{ConnectOptions, HeaderMap};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Name of the stream.
const STREAM: &str = "HYCLUS";
/// What its subjects begin with.
const SUBJECT: &str = "hyclus.scan";
/// Longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most events that wait for a server. More are not said.
const MOST_WAITING: usize = 1024;
/// Time for which a server that failed is left alone.
const REST: Duration = Duration::from_secs(60);
/// How long events are kept, and how many.
const KEPT: (Duration, i64) = (Duration::from_secs(7 * 86_400), 1_000_000);
/// Time within which an event that comes again is dropped.
const SAME_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// What was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    /// Name of the rig.
    pub(crate) rig: String,
    /// Id of the scan.
    pub(crate) scan: String,
    /// The revision that was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<u32>,
    /// The seal that was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<u32>,
    /// Name of the archive.
    pub(crate) archive: String,
}

impl Event {
    /// What this event alone says. The server drops one that it has.
    fn id(&self) -> String {
        let number = |kind: &str, number: Option<u32>| number.map(|number| format!("{kind}{number}")).unwrap_or_default();
        format!("{}/{}/{}{}", self.rig, self.scan, number("", self.revision), number("seal/", self.seal))
    }
}

/// The subject of a rig. A dot would part it, and other marks have a meaning.
fn subject(rig: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    format!("{SUBJECT}.{}", rig.chars().map(plain).collect::<String>())
}

/// What tells a server of events, in a task of its own.
#[derive(Debug)]
pub(crate) struct Events {
    waiting: mpsc::Sender<Event>,
    task: JoinHandle<()>,
}

impl Events {
    /// Tells the server at an address. It is connected while there is something to say.
    pub(crate) fn to(address: String, credentials: Option<PathBuf>) -> Self {
        let (waiting, events) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(Teller { address, credentials, events, failed: None }.run());
        Self { waiting, task }
    }

    /// Has it said what was shipped. The same is said once.
    ///
    /// Where the server fails, a warning is logged, and nothing is said for a minute.
    pub(crate) fn say(&self, event: Event) {
        if let Err(error) = self.waiting.try_send(event) {
            tracing::debug!(%error, "an event is not said");
        }
    }

    /// Ends when all was said, or the server had its time.
    pub(crate) async fn end(self) {
        drop(self.waiting);
        // What is not said costs time at the archive, and nothing else.
        let _ = timeout(2 * PATIENCE, self.task).await;
    }
}

/// The task.
struct Teller {
    address: String,
    /// File of user and password.
    credentials: Option<PathBuf>,
    events: mpsc::Receiver<Event>,
    /// When the server failed last.
    failed: Option<Instant>,
}

impl Teller {
    async fn run(mut self) {
        while let Some(event) = self.events.recv().await {
            if self.failed.is_some_and(|at| at.elapsed() < REST) {
                continue;
            }
            match self.tell(event).await {
                Ok(()) => self.failed = None,
                Err(problem) => {
                    if self.failed.is_none() {
                        let server = &self.address;
                        tracing::warn!(server, "no events of shipped scans; the archive is looked at all the same: {problem}");
                    }
                    self.failed = Some(Instant::now());
                }
            }
        }
    }

    /// Says an event, and all that wait, by a connection of their own: an idle one would have to be watched, and have old credentials.
    async fn tell(&mut self, first: Event) -> Result<(), String> {
        let context = soon(connect(&self.address, self.credentials.as_deref())).await?;
        let mut next = Some(first);
        while let Some(event) = next {
            soon(publish(&context, &event)).await?;
            next = self.events.try_recv().ok();
        }
        Ok(())
    }
}

/// What a future gives, if the server does not take too long.
async fn soon<T>(what: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(PATIENCE, what).await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

async fn publish(context: &Context, event: &Event) -> Result<(), String> {
    let payload = serde_json::to_vec(event).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", event.id());
    let sent = context.publish_with_headers(subject(&event.rig), headers, payload.into()).await;
    sent.map_err(|error| error.to_string())?.await.map(drop).map_err(|error| error.to_string())
}

/// Connects, and sees to the stream: one that is there is taken as it is.
async fn connect(address: &str, credentials: Option<&Path>) -> Result<Context, String> {
    // The library would connect for ever, also when nobody has the connection any more.
    let mut options = ConnectOptions::new().name("hyclus-ship").connection_timeout(PATIENCE).max_reconnects(1);
    if let Some((user, password)) = of_events(credentials)? {
        options = options.user_and_password(user, password);
    }
    let client = options.connect(address).await.map_err(|error| error.to_string())?;
    let context = new(client);
    let config = stream::Config {
        name: STREAM.into(),
        subjects: vec![format!("{SUBJECT}.>")],
        max_age: KEPT.0,
        max_messages: KEPT.1,
        duplicate_window: SAME_WITHIN,
        ..stream::Config::default()
    };
    context.get_or_create_stream(config).await.map_err(|error| error.to_string())?;
    Ok(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rig_is_one_part_of_its_subject() {
        assert_eq!(subject("bench-1"), "hyclus.scan.bench-1");
        assert_eq!(subject("lab.2 *>"), "hyclus.scan.lab_2___");
    }

    #[test]
    fn a_revision_and_a_seal_are_said_once_each() {
        let event = |revision, seal| Event { rig: "r".into(), scan: "S".into(), revision, seal, archive: "/a".into() };
        assert_eq!([event(Some(2), None).id(), event(None, Some(2)).id()], ["r/S/2", "r/S/seal/2"]);
        let text = serde_json::to_string(&event(Some(2), None)).unwrap();
        assert_eq!(text, r#"{"rig":"r","scan":"S","revision":2,"archive":"/a"}"#);
    }
}
