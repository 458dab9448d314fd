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

/// Name of the stream.
const STREAM: &str = "HYCLUS";
/// What its subjects begin with.
const SUBJECT: &str = "hyclus.scan";
/// Longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for which a server that failed is left alone.
const REST: Duration = Duration::from_secs(60);
/// How long events are kept, and how many.
const KEPT: (Duration, i64) = (Duration::from_secs(7 * 86_400), 1_000_000);
/// Time within which an event that comes again is dropped.
const SAME_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// What was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Event<'a> {
    /// Name of the rig.
    pub(crate) rig: &'a str,
    /// Id of the scan.
    pub(crate) scan: &'a str,
    /// The revision that was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<u32>,
    /// The seal that was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<u32>,
    /// Name of the archive.
    pub(crate) archive: &'a str,
}

impl Event<'_> {
    /// What this event alone says. The server drops one that it has.
    fn id(&self) -> String {
        let number = |kind: &str, number: Option<u32>| number.map(|number| format!("{kind}{number}")).unwrap_or_default();
        format!("{}/{}/{}{}", self.rig, self.scan, number("", self.revision), number("seal/", self.seal))
    }
}

/// The server of events.
pub(crate) struct Events {
    address: String,
    /// File of user and password.
    credentials: Option<PathBuf>,
    context: Option<Context>,
    /// When it failed last.
    failed: Option<Instant>,
}

/// The subject of a rig. A dot would part it, and other marks have a meaning.
fn subject(rig: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    format!("{SUBJECT}.{}", rig.chars().map(plain).collect::<String>())
}

impl Events {
    /// The server at an address. It is connected when there is something to say.
    pub(crate) fn at(address: &str, credentials: Option<&Path>) -> Self {
        Self { address: address.to_owned(), credentials: credentials.map(Path::to_owned), context: None, failed: None }
    }

    /// Says what was shipped. The same is said once.
    ///
    /// Where the server fails, a warning is logged, and nothing is said for a minute.
    pub(crate) async fn say(&mut self, event: &Event<'_>) {
        if self.failed.is_some_and(|at| at.elapsed() < REST) {
            return;
        }
        let said = tokio::time::timeout(PATIENCE, self.publish(event)).await;
        match said.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))) {
            Ok(()) => self.failed = None,
            Err(problem) => {
                if self.failed.is_none() {
                    tracing::warn!(server = self.address, "no events of shipped scans; the archive is looked at all the same: {problem}");
                }
                (self.context, self.failed) = (None, Some(Instant::now()));
            }
        }
    }

    async fn publish(&mut self, event: &Event<'_>) -> Result<(), String> {
        let context = match &self.context {
            Some(context) => context,
            None => self.context.insert(connect(&self.address, self.credentials.as_deref()).await?),
        };
        let payload = serde_json::to_vec(event).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", event.id());
        let sent = context.publish_with_headers(subject(event.rig), headers, payload.into()).await;
        sent.map_err(|error| error.to_string())?.await.map(drop).map_err(|error| error.to_string())
    }
}

/// Connects, and sees to the stream: one that is there is taken as it is.
async fn connect(address: &str, credentials: Option<&Path>) -> Result<Context, String> {
    let mut options = ConnectOptions::new().name("hyclus-ship").connection_timeout(PATIENCE);
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
        let event = |revision, seal| Event { rig: "r", scan: "S", revision, seal, archive: "/a" };
        assert_eq!([event(Some(2), None).id(), event(None, Some(2)).id()], ["r/S/2", "r/S/seal/2"]);
        let text = serde_json::to_string(&event(Some(2), None)).unwrap();
        assert_eq!(text, r#"{"rig":"r","scan":"S","revision":2,"archive":"/a"}"#);
    }
}
