//! Jogging: the belt runs while a key is held, and stops when the page, the console or the daemon falls silent.

use crate::live::Viewer;
use crate::live::frames::{self, kind};
use axum::http::Method;
use http_body_util::BodyExt;
use hyclus::client::Client;
use hyclus::control::Problem;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};

/// The belt stops so long after the last word of the page.
pub const HEARTBEAT: Duration = Duration::from_millis(500);
/// The daemon is told so often. It stops the belt by itself 500 ms after the last time.
const TELL: Duration = Duration::from_millis(150);
/// Longest wait for an answer of the daemon to a jog.
const ANSWER: Duration = Duration::from_millis(400);
/// Attempts to stop the belt, and the longest wait for each.
const STOPS: usize = 3;
const STOP_ANSWER: Duration = Duration::from_secs(1);

/// A page asks for a moving belt.
#[derive(Clone)]
pub struct Order {
    /// Speed, mm/s.
    pub speed_mm_per_s: f64,
    /// Who asks.
    pub user: String,
    /// The page, which hears of refusals.
    pub viewer: Arc<Viewer>,
}

type Held = Option<(Order, Instant)>;

/// Keeps the belt running for one page.
pub struct Jogger {
    order: watch::Sender<Held>,
}

impl Jogger {
    /// A jogger, and what drives it.
    pub fn new(client: Client) -> (Self, impl Future<Output = ()> + Send) {
        let (order, orders) = watch::channel(None);
        (Self { order }, drive(orders, client))
    }

    /// A word of the page: the belt runs for another half second.
    pub fn keep_on(&self, order: Order) {
        self.order.send_replace(Some((order, Instant::now())));
    }

    /// The page lets go, or is gone.
    pub fn end_of_page(&self, viewer: u64) {
        self.order.send_if_modified(|held| held.take_if(|(order, _)| order.viewer.id == viewer).is_some());
    }

    /// Whatever moves has to stop.
    pub fn end(&self) {
        self.order.send_if_modified(|held| held.take().is_some());
    }
}

/// The order, while its page has spoken of late.
fn alive(orders: &watch::Receiver<Held>) -> Option<(Order, Instant)> {
    orders.borrow().clone().filter(|(_, at)| at.elapsed() < HEARTBEAT)
}

/// Returns once the page let go or fell silent.
async fn let_go(mut orders: watch::Receiver<Held>) {
    while let Some((_, at)) = alive(&orders) {
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            () = sleep_until((at + HEARTBEAT).into()) => {}
        }
    }
}

async fn drive(mut orders: watch::Receiver<Held>, client: Client) {
    let mut running: Option<Client> = None;
    loop {
        orders.borrow_and_update();
        if let Some((order, _)) = alive(&orders) {
            let client = client.on_behalf_of(&order.user);
            running = Some(client.clone());
            tokio::select! {
                told = timeout(ANSWER, tell(&client, &order)) => {
                    if let Ok(Err(problem)) = told {
                        order.viewer.push(&frames::json(kind::PROBLEM, &problem));
                        // The page sends the next word in a moment, and would be refused again: it hears so each time.
                        sleep(TELL).await;
                    }
                }
                () = let_go(orders.clone()) => continue,
            }
            tokio::select! {
                () = sleep(TELL) => {}
                () = let_go(orders.clone()) => {}
            }
        } else if let Some(client) = running.take() {
            stop(&client).await;
        } else if orders.changed().await.is_err() {
            return;
        }
    }
}

async fn tell(client: &Client, order: &Order) -> Result<(), Problem> {
    call(client, &json!({"action": "jog", "speed_mm_per_s": order.speed_mm_per_s})).await
}

async fn stop(client: &Client) {
    for _ in 0..STOPS {
        match timeout(STOP_ANSWER, call(client, &json!({"action": "stop"}))).await {
            Ok(Ok(())) => return,
            Ok(Err(problem)) if problem.status < 500 => {
                return tracing::info!(detail = problem.detail, "the belt was stopped otherwise");
            }
            Ok(Err(problem)) => tracing::warn!(detail = problem.detail, "the belt is not told to stop; it stops by itself"),
            Err(_) => tracing::warn!("the daemon does not answer a stop; the belt stops by itself"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn call(client: &Client, body: &serde_json::Value) -> Result<(), Problem> {
    let lost = |reason: String| Problem::plain(axum::http::StatusCode::SERVICE_UNAVAILABLE, reason);
    let response = client.exchange(Method::PUT, "/v1/conveyor", Some(body.to_string().into_bytes())).await;
    let response = response.map_err(|error| lost(error.to_string()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let bytes = http_body_util::Limited::new(response.into_body(), 64 << 10).collect().await;
    let problem = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes.to_bytes()).ok());
    Err(problem.unwrap_or_else(|| Problem::plain(status, "the daemon refuses to jog")))
}
