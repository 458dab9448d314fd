//! The one connection to `GET /v1/live`.

use super::Live;
use super::frames::{self, Splitter, kind};
use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyclus::client::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Longest silence of a daemon that is alive. It sends its status twice a second.
const SILENCE: Duration = Duration::from_secs(5);
/// Pauses between attempts grow from the first to the second.
const RETRY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(3)];
/// Pages that change their bands do so several times in a row.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// Why a connection ended.
enum End {
    /// Pages look at other bands.
    Wishes,
    /// It was lost, or never there.
    Lost(String),
    /// The daemon answers, and has no tap.
    NoTap,
}

/// Follows the daemon for as long as the server runs.
pub async fn follow(live: Arc<Live>, client: Client) {
    let mut pause = RETRY[0];
    let mut told = false;
    loop {
        match once(&live, &client, &mut pause).await {
            End::Wishes => continue,
            End::Lost(reason) => {
                if live.link().0 || !told {
                    tracing::warn!(reason, "the daemon does not answer");
                    told = true;
                }
                live.set_link(false);
            }
            End::NoTap => {
                // A daemon without a tap is looked at all the same.
                if let Ok(Ok(status)) = timeout(SILENCE, client.status()).await {
                    live.set_link(true);
                    live.take(&frames::json(kind::STATUS, &status));
                } else {
                    live.set_link(false);
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(RETRY[1]);
    }
}

async fn once(live: &Live, client: &Client, pause: &mut Duration) -> End {
    let query = live.query();
    let path = format!("/v1/live{query}");
    let response = match timeout(SILENCE, client.exchange(Method::GET, &path, None)).await {
        Err(_) => return End::Lost("it takes connections and says nothing".to_owned()),
        Ok(Err(error)) => return End::Lost(error.to_string()),
        Ok(Ok(response)) => response,
    };
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return End::NoTap,
        other => return End::Lost(format!("GET /v1/live was answered with {other}")),
    }
    live.set_link(true);
    let mut body = response.into_body();
    let mut splitter = Splitter::default();
    // One for the whole connection, so that rows do not put it off.
    let mut others = std::pin::pin!(other_wishes(live, &query));
    loop {
        let frame = tokio::select! {
            frame = timeout(SILENCE, body.frame()) => frame,
            () = &mut others => return End::Wishes,
        };
        let frame = match frame {
            Err(_) => return End::Lost(format!("it said nothing for {} s", SILENCE.as_secs())),
            Ok(None) => return End::Lost("it ended the live view".to_owned()),
            Ok(Some(Err(error))) => return End::Lost(error.to_string()),
            Ok(Some(Ok(frame))) => frame,
        };
        let Some(data) = frame.data_ref() else { continue };
        splitter.feed(data);
        loop {
            match splitter.next() {
                Ok(Some(message)) => live.take(&message),
                Ok(None) => break,
                Err(reason) => return End::Lost(format!("the live view cannot be read: {reason}")),
            }
        }
        *pause = RETRY[0];
    }
}

/// Returns once the pages look at bands that this query does not ask for, or asks for too many.
async fn other_wishes(live: &Live, query: &str) {
    loop {
        if live.query() != query {
            sleep(DEBOUNCE).await;
            if live.query() != query {
                return;
            }
        }
        live.wishes_changed().await;
    }
}
