//! Curves of the last hour, from the daemon's metrics.

use crate::console::Console;
use crate::problem::Answer;
use crate::state::lock;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, Method, header};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, Limited};
use hyclus::client::Client;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Time between two points.
const STEP: Duration = Duration::from_secs(5);
/// Points that are kept: one hour.
const POINTS: usize = 720;
/// Most curves.
const MOST: usize = 200;
/// Most bytes of the metrics.
const MOST_BYTES: usize = 4 << 20;

/// How a curve comes from a metric.
#[derive(Clone, Copy)]
enum Way {
    /// Its value, times a factor.
    Value(f64),
    /// Its increase per second, times a factor.
    Rate(f64),
    /// Its increase since the last point.
    Increase,
    /// Its value, as a share in per cent of another metric with the same labels.
    Share(&'static str),
}

/// Metric, name of the curve, unit, way.
const CURVES: [(&str, &str, &str, Way); 10] = [
    ("hyclus_lines_received_total", "Lines received", "1/s", Way::Rate(1.0)),
    ("hyclus_lines_lost_total", "Lines lost", "lines", Way::Increase),
    ("hyclus_stage_busy_seconds_total", "Stage busy", "%", Way::Rate(100.0)),
    ("hyclus_queue_items", "Queue filled", "%", Way::Share("hyclus_queue_capacity")),
    ("hyclus_pool_free_slots", "Free slots of the pool", "slots", Way::Value(1.0)),
    ("hyclus_embeddings_total", "Embeddings", "1/s", Way::Rate(1.0)),
    ("hyclus_samples_stored_total", "Samples stored", "samples", Way::Increase),
    ("hyclus_disk_free_bytes", "Disk free", "GB", Way::Value(1e-9)),
    ("process_cpu_seconds_total", "Processor of the daemon", "%", Way::Rate(100.0)),
    ("process_resident_memory_bytes", "Memory of the daemon", "MB", Way::Value(1e-6)),
];

/// The curves.
#[derive(Default)]
pub struct Health(Mutex<Held>);

#[derive(Default)]
struct Held {
    times: VecDeque<i64>,
    curves: BTreeMap<String, Curve>,
    last: BTreeMap<String, f64>,
}

struct Curve {
    label: String,
    unit: &'static str,
    values: VecDeque<Option<f64>>,
}

impl Health {
    /// Asks the daemon for its metrics for as long as the server runs. A point is text of some kilobytes.
    pub async fn follow(self: Arc<Self>, client: Client) {
        let mut ticks = interval(STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let text = timeout(STEP, scrape(&client)).await.ok().flatten();
            self.point(crate::unix_s(), text.as_deref().unwrap_or_default());
        }
    }

    /// Adds a point.
    fn point(&self, now: i64, text: &str) {
        let metrics = parse(text);
        let mut held = lock(&self.0);
        let elapsed_s = held.times.back().map_or(0.0, |last| (now - last) as f64);
        held.times.push_back(now);
        let mut values = BTreeMap::new();
        for (metric, title, unit, way) in CURVES {
            for (key, value) in metrics.range(metric.to_owned()..).take_while(|(key, _)| key.starts_with(metric)) {
                let labels = &key[metric.len()..];
                if !labels.is_empty() && !labels.starts_with('{') {
                    continue;
                }
                let grown = held.last.get(key).map(|last| value - last).filter(|grown| *grown >= 0.0);
                let value = match way {
                    Way::Value(factor) => Some(value * factor),
                    Way::Rate(factor) if elapsed_s > 0.0 => grown.map(|grown| grown / elapsed_s * factor),
                    Way::Rate(_) => None,
                    Way::Increase => grown,
                    Way::Share(whole) => {
                        metrics.get(&format!("{whole}{labels}")).filter(|whole| **whole > 0.0).map(|whole| value / whole * 100.0)
                    }
                };
                values.insert(key.clone(), (label(title, labels), unit, value.filter(|value| value.is_finite())));
            }
        }
        let points = held.times.len();
        for (key, (label, unit, value)) in values {
            if held.curves.len() >= MOST && !held.curves.contains_key(&key) {
                continue;
            }
            let curve = held.curves.entry(key).or_insert_with(|| Curve { label, unit, values: VecDeque::new() });
            curve.values.resize(points - 1, None);
            curve.values.push_back(value);
        }
        let too_many = points.saturating_sub(POINTS);
        held.times.drain(..too_many);
        for curve in held.curves.values_mut() {
            curve.values.resize(points, None);
            curve.values.drain(..too_many);
        }
        held.curves.retain(|_, curve| curve.values.iter().any(Option::is_some));
        held.last = metrics;
    }

    fn json(&self) -> Value {
        let held = lock(&self.0);
        let series = held.curves.iter().map(|(name, curve)| {
            let values: Vec<Option<f64>> = curve.values.iter().copied().collect();
            json!({"name": name, "label": curve.label, "unit": curve.unit, "values": values})
        });
        json!({"t": held.times, "series": series.collect::<Vec<_>>()})
    }

    fn csv(&self) -> String {
        let held = lock(&self.0);
        let mut text = "time".to_owned();
        for curve in held.curves.values() {
            let _ = write!(text, ",\"{} ({})\"", curve.label.replace('"', "'"), curve.unit);
        }
        text.push('\n');
        for (i, time) in held.times.iter().enumerate() {
            text.push_str(&hyclus::scan::iso(time * 1_000_000_000));
            for curve in held.curves.values() {
                text.push(',');
                if let Some(Some(value)) = curve.values.get(i) {
                    let _ = write!(text, "{value}");
                }
            }
            text.push('\n');
        }
        text
    }
}

/// The title, and the values of the labels behind it.
fn label(title: &str, labels: &str) -> String {
    let values: Vec<&str> = labels.split('"').skip(1).step_by(2).collect();
    if values.is_empty() { title.to_owned() } else { format!("{title}: {}", values.join(", ")) }
}

async fn scrape(client: &Client) -> Option<String> {
    let response = client.exchange(Method::GET, "/v1/metrics", None).await.ok().filter(|response| response.status().is_success())?;
    let bytes = Limited::new(response.into_body(), MOST_BYTES).collect().await.ok()?.to_bytes();
    String::from_utf8(bytes.to_vec()).ok()
}

/// Values by name and labels, of Prometheus' text.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?))).collect()
}

/// `GET /api/health`
///
/// # Errors
/// None.
pub async fn show(State(console): State<Arc<Console>>) -> Answer {
    Ok(Json(console.health.json()).into_response())
}

/// `GET /api/health.csv`
///
/// # Errors
/// None.
pub async fn show_csv(State(console): State<Arc<Console>>) -> Answer {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"health.csv\""));
    Ok(([kind, name], console.health.csv()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_rates_shares_and_increases_with_gaps_where_nobody_answered() {
        let health = Health::default();
        let text = |received: u32| {
            format!(
                "# HELP x\nhyclus_lines_received_total{{camera=\"vnir\"}} {received}\nhyclus_queue_items{{queue=\"join\"}} 1\n\
                 hyclus_queue_capacity{{queue=\"join\"}} 4\nhyclus_disk_free_bytes 2000000000\nhyclus_lines_received_total_x 1\nodd\n"
            )
        };
        health.point(100, &text(0));
        health.point(105, &text(500));
        health.point(110, "");
        health.point(115, &text(10));
        let shown = health.json();
        assert_eq!(shown["t"], json!([100, 105, 110, 115]));
        let of = |label: &str| shown["series"].as_array().unwrap().iter().find(|s| s["label"] == label).unwrap()["values"].clone();
        assert_eq!(of("Lines received: vnir"), json!([null, 100.0, null, null]));
        assert_eq!(of("Queue filled: join"), json!([25.0, 25.0, null, 25.0]));
        assert_eq!(of("Disk free"), json!([2.0, 2.0, null, 2.0]));
        assert_eq!(shown["series"].as_array().unwrap().len(), 3);
        assert!(health.csv().starts_with("time,\"Disk free (GB)\",\"Lines received: vnir (1/s)\""), "{}", health.csv());
        (0..1000).for_each(|i| health.point(200 + i, ""));
        assert_eq!(health.json()["t"].as_array().unwrap().len(), POINTS);
        assert_eq!(health.json()["series"], json!([]), "what is gone for an hour is no curve");
        let many: String = (0..1000).fold(String::new(), |text, i| text + &format!("hyclus_pool_free_slots{{camera=\"c{i}\"}} 1\n"));
        health.point(2000, &many);
        assert_eq!(health.json()["series"].as_array().unwrap().len(), MOST);
    }
}
