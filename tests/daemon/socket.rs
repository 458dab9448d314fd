//! What the socket says while a rig is at work.

use super::rig::{Daemon, Options, configuration, encoder, scan, tray, until};
use hyclus::scan::{EventKind, StateName};
use serde_json::{Value, json};
use std::process::Command;

fn curl(daemon: &Daemon, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "60", "-X", method, "-w", "\n%{http_code}", "--unix-socket"]).arg(&daemon.socket);
    if let Some(body) = body {
        command.args(["-H", "content-type: application/json", "-d", &body.to_string()]);
    }
    let output = command.arg(format!("http://rig{path}")).output().expect("curl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

/// A whole scan with `curl` alone.
#[tokio::test]
async fn curl_is_a_client() {
    let daemon = Daemon::start(&Options { more: encoder(), ..Options::default() });
    let (status, body) = curl(&daemon, "GET", "/v1/status", None);
    assert_eq!((status, &body["state"], body["devices"].as_array().unwrap().len()), (200, &json!("idle"), 4));
    assert_eq!(curl(&daemon, "PUT", "/v1/lighting", Some(&json!({"level": 1.0}))).0, 200);
    let (status, body) = curl(&daemon, "PUT", "/v1/conveyor", Some(&json!({"action": "travel", "to_mm": -100.0})));
    assert_eq!(status, 200, "{body}");
    let (status, body) = curl(&daemon, "POST", "/v1/references/dark", None);
    assert_eq!((status, body.as_array().unwrap().len()), (200, 2), "{body}");
    let (status, body) = curl(&daemon, "POST", "/v1/references/white", None);
    assert_eq!((status, body.as_array().unwrap().len()), (200, 2), "{body}");
    let (status, body) = curl(&daemon, "POST", "/v1/scans", Some(&json!({"tray": tray(2, 2)})));
    assert_eq!(status, 201, "{body}");
    let id = body["id"].as_str().unwrap().to_owned();
    // A stream of events that curl follows until the scan is closed.
    let stream = Command::new("bash")
        .arg("-c")
        .arg("curl -sSN --max-time 100 --unix-socket \"$1\" http://rig/v1/events 2>/dev/null | grep -m1 -q 'event: scan_closed'")
        .arg("bash")
        .arg(&daemon.socket)
        .status()
        .unwrap();
    assert!(stream.success());
    let (status, body) = curl(&daemon, "GET", &format!("/v1/scans/{id}"), None);
    assert_eq!((status, &body["complete"], body["samples"].as_array().unwrap().len()), (200, &json!(true), 4), "{body}");
    assert_eq!(curl(&daemon, "GET", "/v1/scans", None).1.as_array().unwrap().len(), 1);
    assert_eq!(curl(&daemon, "POST", &format!("/v1/scans/{id}/stop"), None).0, 409, "it has ended");
    assert_eq!(curl(&daemon, "GET", "/v1/scans/..%2f..%2fetc", None).0, 404);
    assert_eq!(curl(&daemon, "POST", "/v1/stop", None).0, 200);
    assert_eq!(curl(&daemon, "GET", "/v1/openapi.json", None).1["openapi"], "3.1.0");
}

#[tokio::test]
async fn two_scans_at_once_are_refused_and_so_is_moving_the_belt() {
    let daemon = Daemon::start(&Options { pace: "real_time", time_scale: 1.0, ..Options::default() });
    let client = daemon.client().await;
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    let refused = client.start_scan(tray(2, 2)).await.unwrap_err();
    assert!(refused.not_ready(), "{refused}");
    assert!(refused.to_string().contains("a scan is not possible while"), "{refused}");
    assert_eq!(curl(&daemon, "PUT", "/v1/conveyor", Some(&json!({"action": "run", "speed_mm_per_s": 10.0}))).0, 409);
    assert_eq!(curl(&daemon, "PUT", "/v1/lighting", Some(&json!({"level": 0.0}))).0, 409);
    let map = daemon.folder.path().join("tray.json");
    std::fs::write(&map, tray(2, 2).to_string()).unwrap();
    let second = daemon.hyclus(&["scan", "--tray", map.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(3), "{}", String::from_utf8_lossy(&second.stderr));
    client.stop_scan(&id).await.unwrap();
}

#[tokio::test]
async fn a_bad_tray_map_is_refused_with_every_fault_and_starts_nothing() {
    let daemon = Daemon::start(&Options::default());
    let mut bad = tray(2, 2);
    bad["container"][1]["sample"] = json!("S-A1");
    bad["container"][2]["plant"] = Value::Null;
    bad["container"][3]["at"] = json!("Z9");
    bad["container"][0]["sample"] = json!("../S-A1");
    let (status, body) = curl(&daemon, "POST", "/v1/scans", Some(&json!({"tray": bad})));
    assert_eq!(status, 422);
    let paths: Vec<&str> = body["faults"].as_array().unwrap().iter().map(|fault| fault["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["tray.container[0].sample", "tray.container[2].plant", "tray.container[3].at"]);
    bad["container"][0]["sample"] = json!("S-A1");
    let (_, body) = curl(&daemon, "POST", "/v1/scans", Some(&json!({"tray": bad})));
    assert!(body["faults"].to_string().contains("lies in two containers"), "{body}");
    assert_eq!(curl(&daemon, "GET", "/v1/status", None).1["state"], "idle");
    assert!(!daemon.data.join("scans").exists(), "nothing is written");
}

/// `/metrics` is what Prometheus' own checker accepts, and tells what a scan did.
#[tokio::test]
async fn metrics_and_health_are_served() {
    let daemon = Daemon::start(&Options { more: encoder(), ..Options::default() });
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    let get = |path: &str| {
        let output = Command::new("curl").args(["-sSf", &format!("http://{}{path}", daemon.address)]).output().unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    get("/healthz");
    get("/readyz");
    let metrics = get("/metrics");
    let received = record.cameras["vnir"].received;
    assert!(metrics.contains(&format!("hyclus_lines_received_total{{camera=\"vnir\"}} {received}\n")), "{metrics}");
    assert!(metrics.contains(&format!("hyclus_embeddings_total {}\n", record.embeddings)), "{metrics}");
    assert!(metrics.contains("hyclus_stage_busy_seconds_total{stage=\"join\"}"), "{metrics}");
    let Some(promtool) = std::env::var_os("HYCLUS_PROMTOOL").filter(|path| std::path::Path::new(path).exists()) else {
        eprintln!("skipped: promtool, because HYCLUS_PROMTOOL names none; run `make test`");
        return;
    };
    let file = daemon.folder.path().join("metrics");
    std::fs::write(&file, &metrics).unwrap();
    let checked = Command::new(promtool).args(["check", "metrics"]).stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[tokio::test]
async fn a_stop_in_the_middle_keeps_what_was_scanned_and_the_next_scan_runs() {
    let daemon = Daemon::start(&Options { pace: "real_time", time_scale: 2.0, tray: (7, 2), more: encoder(), ..Options::default() });
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(7, 2)).await.unwrap().id;
    until(&mut events, |kind| matches!(kind, EventKind::SampleStored { .. })).await;
    let stopped = daemon.hyclus(&["stop"]);
    assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { complete: false, .. })).await;
    let record = daemon.record(&id);
    assert_eq!(record.complete, Some(false));
    assert!(record.reason.as_ref().unwrap().starts_with("stopped by "), "{:?}", record.reason);
    assert!(!record.samples.is_empty() && record.samples.len() < 14, "{}", record.samples.len());
    for sample in &record.samples {
        assert!(daemon.data.join("scans").join(&id).join(&sample.file).exists());
    }
    let valid: u64 = record.samples.iter().map(|sample| sample.valid).sum();
    assert_eq!(record.embeddings, valid);
    let status = client.status().await.unwrap();
    assert_eq!(status.state, StateName::Idle);
    let status: Value = serde_json::to_value(status).unwrap();
    let belt = status["devices"].as_array().unwrap().iter().find(|d| d["device"] == "conveyor").unwrap().clone();
    assert_eq!(belt["state"]["moving"], false);
    let (next, _) = scan(&daemon, tray(7, 2)).await;
    assert_eq!((next.complete, next.samples.len()), (Some(true), 14));
}

#[test]
fn a_model_that_does_not_fit_stops_the_daemon_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("not.onnx");
    std::fs::write(&model, "this is not a model").unwrap();
    let config = folder.path().join("rig.toml");
    let options = Options { more: format!("[encoder]\nmodel = {model:?}\n"), ..Options::default() };
    std::fs::write(&config, configuration(&options)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hyclusd")).arg("--config").arg(&config).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("not.onnx") && said.contains("ONNX"), "{said}");
    assert!(!folder.path().join("s").exists(), "no socket was made");
}

#[tokio::test]
async fn a_role_for_nobody_stops_the_daemon_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(&Options::default()).replace("listen = ", "roles = { operate = [\"@no-such-group\"] }\nlisten = ");
    std::fs::write(folder.path().join("rig.toml"), text).unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_hyclusd")).arg("--config").arg(folder.path().join("rig.toml")).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("control.roles.operate: there is no group `no-such-group`"), "{said}");
}
