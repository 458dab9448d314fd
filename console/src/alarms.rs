//! What people must know of, and who took note.

use crate::live::frames::{self, kind};
use axum::body::Bytes;
use hyclus::scan::{MAIN, of_encoder, unlike};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;

/// Most alarms that are kept.
const MOST: usize = 200;

/// How much an alarm wants of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// It wants to be known.
    Warning,
    /// It wants somebody now.
    Alarm,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Alarm {
    id: u64,
    time: String,
    message: String,
    severity: Severity,
    acknowledged_by: Option<String>,
    acknowledged_at: Option<String>,
    /// What a further event adds to. A new start of the console begins anew.
    #[serde(skip)]
    sums: Option<(String, u64)>,
}

/// The alarms, and the last event that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms {
    held: VecDeque<Alarm>,
    next: u64,
    /// Time and number of the last event, so that none counts twice.
    last: (String, u64),
}

impl Alarms {
    /// Whether an event was not seen before. A new connection to the daemon tells of old ones again.
    pub fn fresh(&mut self, event: &Value) -> bool {
        let at = (event["time"].as_str().unwrap_or_default().to_owned(), event["id"].as_u64().unwrap_or(0));
        // The next number is fresh whatever the clock says.
        let fresh = at > self.last || at.1 == self.last.1 + 1;
        if fresh {
            self.last = at;
        }
        fresh
    }

    /// Looks at a fresh event. True where it changed the alarms.
    pub fn see(&mut self, event: &Value) -> bool {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        match text("event") {
            "warning" => self.add(event, Severity::Warning, text("message").to_owned(), None),
            "state" if text("state") == "faulted" => {
                let cause = event["cause"].as_str().unwrap_or("the rig is faulted");
                self.add(event, Severity::Alarm, cause.to_owned(), None);
            }
            "lines_lost" => {
                let (scan, camera, count) = (text("scan"), text("camera"), event["count"].as_u64().unwrap_or(0));
                let key = format!("{scan}/{camera}");
                let open = self.held.iter_mut().rev().find(|alarm| alarm.sums.as_ref().is_some_and(|(of, _)| *of == key));
                let lost = |sum: u64| format!("{camera} lost {sum} lines in {scan}");
                if let Some(alarm) = open.filter(|alarm| alarm.acknowledged_by.is_none()) {
                    let sum = alarm.sums.as_ref().map_or(0, |(_, sum)| *sum).saturating_add(count);
                    (alarm.message, alarm.sums) = (lost(sum), Some((key, sum)));
                } else {
                    self.add(event, Severity::Warning, lost(count), Some((key, count)));
                }
            }
            "scan_closed" if event["complete"] == Value::Bool(false) => {
                let reason = event["reason"].as_str().unwrap_or("it was cut off");
                self.add(event, Severity::Warning, format!("{} is incomplete: {reason}", text("scan")), None);
            }
            "embeddings_pending" => {
                let of = of_encoder(event["encoder"].as_str().unwrap_or(MAIN));
                self.add(event, Severity::Warning, format!("{} lacks embeddings{of}: {}", text("scan"), text("reason")), None);
            }
            "minerals_pending" => {
                self.add(
                    event,
                    Severity::Warning,
                    format!("minerals of {} are not identified yet: {}", text("scan"), text("reason")),
                    None,
                );
            }
            "sample_novel" => {
                let (percent, encoder) = (100.0 * event["share"].as_f64().unwrap_or(0.0), event["encoder"].as_str().unwrap_or(MAIN));
                let message = format!("{} in {}: {percent:.0} % is {}", text("sample"), text("container"), unlike(encoder));
                self.add(event, Severity::Warning, message, None);
            }
            _ => return false,
        }
        true
    }

    fn add(&mut self, event: &Value, severity: Severity, message: String, sums: Option<(String, u64)>) {
        self.next += 1;
        let time = event["time"].as_str().unwrap_or_default().to_owned();
        self.held.push_back(Alarm { id: self.next, time, message, severity, acknowledged_by: None, acknowledged_at: None, sums });
        if self.held.len() > MOST {
            // One that somebody took note of goes first.
            let gone = self.held.iter().position(|alarm| alarm.acknowledged_by.is_some()).unwrap_or(0);
            self.held.remove(gone);
        }
    }

    /// Notes who took note of an alarm. The first one counts. False where there is no such alarm.
    pub fn acknowledge(&mut self, id: u64, by: &str) -> bool {
        let Some(alarm) = self.held.iter_mut().find(|alarm| alarm.id == id) else { return false };
        if alarm.acknowledged_by.is_none() {
            (alarm.acknowledged_by, alarm.acknowledged_at) = (Some(by.to_owned()), Some(crate::now()));
        }
        true
    }

    /// All alarms, oldest first.
    pub fn list(&self) -> Value {
        serde_json::to_value(&self.held).unwrap_or_default()
    }

    /// All alarms as a message.
    pub fn message(&self) -> Bytes {
        frames::json(kind::ALARMS, &self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn alarms_are_kept_summed_and_acknowledged_once() {
        let mut alarms = Alarms::default();
        let event = |id: u64, rest: Value| {
            let mut event = json!({"id": id, "time": format!("2026-12-01T10:00:{id:02}Z")});
            event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            event
        };
        let lost = json!({"event": "lines_lost", "scan": "s", "camera": "vnir", "first": 1, "count": 3});
        assert!(alarms.see(&event(1, json!({"event": "warning", "message": "warm"}))));
        assert!(!alarms.see(&event(2, json!({"event": "state", "state": "idle"}))));
        assert!(alarms.see(&event(3, json!({"event": "state", "state": "faulted", "cause": "emergency stop by maria"}))));
        assert!(alarms.see(&event(4, lost.clone())) && alarms.see(&event(5, lost.clone())));
        let list = alarms.list();
        assert_eq!(list.as_array().unwrap().len(), 3);
        assert_eq!(list[2]["message"], "vnir lost 6 lines in s");
        assert_eq!((&list[1]["severity"], &list[1]["acknowledged_by"]), (&json!("alarm"), &Value::Null));
        assert!(alarms.acknowledge(3, "jan") && alarms.acknowledge(3, "maria") && !alarms.acknowledge(9, "jan"));
        assert_eq!(alarms.list()[2]["acknowledged_by"], "jan");
        let text = serde_json::to_string(&alarms).unwrap();
        let mut again: Alarms = serde_json::from_str(&text).unwrap();
        assert_eq!(again.list(), alarms.list(), "they outlive the console");
        assert!(again.acknowledge(2, "ada"));
        assert!(alarms.see(&event(6, lost)));
        assert_eq!(alarms.list().as_array().unwrap().len(), 4, "what comes after it is new");
        for i in 10..400 {
            let time = format!("2026-12-02T10:{:02}:{:02}Z", i / 60, i % 60);
            alarms.see(&json!({"id": i, "time": time, "event": "warning", "message": "x"}));
        }
        assert_eq!(alarms.list().as_array().unwrap().len(), MOST);
    }

    #[test]
    fn an_event_is_fresh_once_also_after_a_restart_and_a_clock_that_went_back() {
        let mut alarms = Alarms::default();
        let mut fresh = |id: u64, time: &str| alarms.fresh(&json!({"id": id, "time": time}));
        assert!(fresh(7, "10:00") && fresh(8, "10:00") && !fresh(7, "10:00") && !fresh(8, "10:00"));
        assert!(fresh(9, "09:00"), "the clock was set back");
        assert!(fresh(1, "09:30"), "the daemon was started again");
        assert!(!fresh(1, "09:30") && fresh(2, "09:30"));
    }
}
