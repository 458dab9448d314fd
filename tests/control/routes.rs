//! Every call, by the client and by curl; what is refused, and how.

use crate::rig::{Rig, SCAN, Served, log_lines, output, serve, serve_rig, tray};
use hyclus::client::ClientError;
use hyclus::control::{PROBLEM_JSON, openapi_document, routes};
use hyclus::rig::{ArchivedRequest, ConveyorRequest, LightingRequest, Peer, ReferenceRequest, Refusal};
use hyclus::scan::{Fault, FilesHere, ReferenceKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What curl says: status, media type, `Location`, `Allow`, body.
struct Said {
    status: u16,
    media: String,
    location: String,
    allow: String,
    body: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn curl(served: &Served, method: &str, path: &str, more: &[&str]) -> Said {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "-X", method, "--unix-socket"]).arg(&served.path);
    command.args(["-w", "\n%{http_code}\n%{content_type}\n%header{location}\n%header{allow}"]).args(more);
    if !more.iter().any(|argument| argument.contains("content-type")) {
        command.args(["-H", "content-type: application/json"]);
    }
    command.arg(format!("http://localhost{path}"));
    let said = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
    assert!(said.status.success(), "curl {method} {path}: {}", String::from_utf8_lossy(&said.stderr));
    let text = String::from_utf8(said.stdout).unwrap();
    let mut lines = text.rsplitn(5, '\n').map(str::to_owned);
    let mut next = || lines.next().unwrap();
    let (allow, location, media, status, body) = (next(), next(), next(), next(), next());
    Said { status: status.parse().unwrap(), media, location, allow, body }
}

fn myself() -> Peer {
    let pid = i32::try_from(std::process::id()).unwrap();
    Peer { uid: Some(nix::unistd::geteuid().as_raw()), gid: Some(nix::unistd::getegid().as_raw()), pid: Some(pid), person: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_reaches_the_rig_and_is_known_to_it() {
    let served = serve();
    let client = served.client().await;
    assert_eq!(client.status().await.unwrap().rig, "bench");
    assert_eq!(client.start_scan(tray()).await.unwrap().id, SCAN);
    assert_eq!(client.scans().await.unwrap().len(), 1);
    assert_eq!(client.scan(SCAN).await.unwrap().cameras["swir"].gaps, [(7, 2)]);
    assert_eq!(client.stop_scan(SCAN).await.unwrap().id, SCAN);
    assert_eq!(client.reference(ReferenceKind::Dark, ReferenceRequest::default()).await.unwrap()[0].kind, ReferenceKind::Dark);
    assert_eq!(client.reference(ReferenceKind::White, ReferenceRequest::default()).await.unwrap()[0].kind, ReferenceKind::White);
    client.lighting(&LightingRequest { light: Some("halogen".into()), level: 0.5 }).await.unwrap();
    client.conveyor(&ConveyorRequest::Travel { to_mm: -1.5 }).await.unwrap();
    assert!(!client.encoders().await.unwrap()[0].replaced);
    assert!(client.replace_encoder("a b", vec![0; 3 << 20]).await.unwrap().replaced);
    client.restore_encoder("main").await.unwrap();
    let request = ArchivedRequest { place: "s3://ores".into(), revision: 1, files: FilesHere::WithoutRaw };
    assert_eq!(client.archived(SCAN, &request).await.unwrap().id, SCAN);
    client.emergency_stop().await.unwrap();
    client.acknowledge().await.unwrap();
    assert_eq!(client.openapi().await.unwrap(), openapi_document());
    let wanted = [
        "start_scan",
        &format!("stop_scan {SCAN}"),
        "reference Dark",
        "reference White",
        "lighting Some(\"halogen\") 0.5",
        "Travel { to_mm: -1.5 }",
        "replace_encoder a b 3145728 bytes",
        "restore_encoder main",
        &format!("archived {SCAN} WithoutRaw"),
        "emergency_stop",
        "acknowledge",
    ];
    assert_eq!(served.rig.names(), wanted);
    assert!(served.rig.asked.lock().unwrap().iter().all(|(_, peer)| *peer == myself()));
    assert!(served.metrics.render().contains("hyclus_http_requests_total{route=\"/v1/scans\",status=\"201\"} 1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_a_client_of_every_call() {
    let served = serve();
    let scan = json!({"tray": tray()}).to_string();
    let calls = [
        ("GET", "/v1/status", "", 200),
        ("POST", "/v1/scans", &scan, 201),
        ("GET", "/v1/scans", "", 200),
        ("GET", "/v1/scans/{id}", "", 200),
        ("POST", "/v1/scans/{id}/stop", "", 200),
        ("PUT", "/v1/scans/{id}/archived", r#"{"place": "/archive", "revision": 1, "files": "all"}"#, 200),
        ("GET", "/v1/worklist", "", 200),
        ("PUT", "/v1/worklist", r#"{"csv": "sample,x_mm,y_mm,diameter_mm\nS1,0,0,10\n"}"#, 200),
        ("DELETE", "/v1/worklist", "", 200),
        ("POST", "/v1/references/dark", "", 200),
        ("POST", "/v1/references/white", "", 200),
        ("PUT", "/v1/lighting", r#"{"level": 0}"#, 200),
        ("PUT", "/v1/conveyor", r#"{"action": "stop"}"#, 200),
        ("GET", "/v1/encoders", "", 200),
        ("PUT", "/v1/encoders/{id}", "a model", 200),
        ("DELETE", "/v1/encoders/{id}", "", 200),
        ("POST", "/v1/stop", "", 200),
        ("POST", "/v1/acknowledge", "", 200),
        ("GET", "/v1/health/live", "", 200),
        ("GET", "/v1/health/ready", "", 200),
        ("POST", "/v1/trays/check", &scan, 200),
        ("POST", "/v1/trays/worklist", r#"{"csv": "sample,at\nS1,A1\n"}"#, 200),
        ("GET", "/v1/openapi.json", "", 200),
    ];
    let streams = [("GET", "/v1/events"), ("GET", "/v1/live"), ("GET", "/v1/metrics")];
    let tried: BTreeSet<_> = calls.iter().map(|(method, path, ..)| (*method, *path)).chain(streams).collect();
    assert_eq!(tried, routes().collect());
    for (method, path, body, status) in calls {
        let path = path.replace("{id}", SCAN);
        let more: &[&str] = match body {
            "" => &[],
            "a model" => &["--data-binary", body, "--header", "content-type: application/octet-stream"],
            _ => &["--data", body],
        };
        let said = curl(&served, method, &path, more).await;
        assert_eq!((said.status, said.media.as_str()), (status, "application/json"), "{method} {path}: {}", said.body);
        said.json();
        assert_eq!(said.location, if status == 201 { format!("/v1/scans/{SCAN}") } else { String::new() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_text() {
    let said = curl(&serve(), "GET", "/v1/metrics", &[]).await;
    assert_eq!((said.status, said.media.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(said.body.contains("# TYPE hyclus_"), "{}", said.body);
}

/// A page of another site can send a form or plain text, and never a body of JSON.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_say_it_is_json_is_refused() {
    let served = serve();
    let body = r#"{"level": 0}"#;
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "application/jsonx", ""] {
        let said = curl(&served, "PUT", "/v1/lighting", &["--header", &format!("content-type: {kind}"), "--data", body]).await;
        assert_eq!(said.status, 415, "{kind}: {}", said.body);
        assert!(said.body.contains("content-type: application/json"), "{}", said.body);
    }
    assert!(served.rig.names().is_empty(), "nothing was asked of the rig");
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        let said = curl(&served, "PUT", "/v1/lighting", &["--header", &format!("content-type: {kind}"), "--data", body]).await;
        assert_eq!(said.status, 200, "{kind}: {}", said.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worklist_becomes_trays_with_their_faults() {
    let served = serve();
    let ask = async |path: &str, body: Value| curl(&served, "POST", path, &["--data", &body.to_string()]).await;
    let said = ask("/v1/trays/worklist", json!({"rows": [{"sample": "S1", "at": "A1"}, {"sample": "S1", "at": "A2"}]})).await;
    let trays = said.json()["trays"].clone();
    assert_eq!((said.status, trays.as_array().unwrap().len()), (200, 1), "{}", said.body);
    assert!(trays[0]["faults"][0]["problem"].as_str().is_some(), "one sample in two places: {trays}");
    for wrong in [json!({}), json!({"csv": "", "rows": []}), json!({"csv": "sample\n"}), json!({"csv": "a,b\n1\n"})] {
        let said = ask("/v1/trays/worklist", wrong.clone()).await;
        assert_eq!(said.status, 422, "{wrong}: {}", said.body);
    }
    let said = ask("/v1/trays/check", json!({"tray": {"tray": "T"}})).await;
    assert!(said.status == 200 && said.json()["faults"].as_array().is_some_and(|faults| !faults.is_empty()), "{}", said.body);
    assert!(served.rig.names().is_empty(), "nothing was asked of the rig");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_problem() {
    let served = serve();
    let client = served.client().await;
    let fault = Fault::new("container[3].sample", "is missing");
    let cases = [
        (Refusal::NotReady { reason: "a scan is running".into() }, 409, "not-ready", "the rig is not ready: a scan is running"),
        (Refusal::Invalid { faults: vec![fault.clone()] }, 422, "invalid", "1 fault(s) in the request: container[3].sample: is missing"),
        (Refusal::Unknown { what: "light", id: "x".into() }, 404, "unknown", "there is no light `x`"),
        (
            Refusal::Reference {
                kind: ReferenceKind::White,
                camera: "swir".into(),
                figure: "saturated 12 %".into(),
                reason: "is above 1 %: dim the lamps".into(),
            },
            422,
            "reference",
            "the white reference of swir is refused: saturated 12 %; is above 1 %: dim the lamps",
        ),
        (Refusal::Device { reason: "the drive does not answer".into() }, 502, "device", "the drive does not answer"),
        (Refusal::Disk { reason: "the disk is full".into() }, 507, "disk", "the disk is full"),
    ];
    for (refusal, status, kind, detail) in cases {
        let faults = if let Refusal::Invalid { faults } = &refusal { faults.clone() } else { Vec::new() };
        *served.rig.refusal.lock().unwrap() = Some(refusal.clone());
        let said = curl(&served, "POST", "/v1/references/white", &[]).await;
        assert_eq!((said.status, said.media.as_str()), (status, PROBLEM_JSON));
        let mut wanted = json!({"type": format!("urn:hyclus:problem:{kind}"), "title": said.json()["title"], "status": status,
            "detail": detail, "instance": "/v1/references/white"});
        if !faults.is_empty() {
            wanted["faults"] = json!(faults);
        }
        assert_eq!(said.json(), wanted);
        *served.rig.refusal.lock().unwrap() = Some(refusal);
        let error = client.reference(ReferenceKind::White, ReferenceRequest::default()).await.unwrap_err();
        assert_eq!((error.to_string(), error.not_ready()), (detail.to_owned(), status == 409));
        let ClientError::Refused(problem) = error else { panic!("{error}") };
        assert_eq!((problem.status, problem.faults), (status, faults));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_as_a_problem() {
    let served = serve();
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b' '; (1 << 20) + 1]).unwrap();
    let large = format!("@{}", large.display());
    let cases: [(&str, &str, &[&str], u16, &str); 14] = [
        ("POST", "/v1/scans", &[], 400, "the body is empty"),
        ("POST", "/v1/scans", &["--data", "{\"tray\": "], 400, "EOF"),
        ("PUT", "/v1/lighting", &["--data", "{\"level\": 1} {"], 400, "trailing"),
        ("POST", "/v1/scans", &["--data", "{}"], 422, "give one of `tray`"),
        ("POST", "/v1/scans", &["--data", "{\"tray\": {\"tray\": \"a/b\"}}"], 422, "2 fault(s)"),
        ("PUT", "/v1/lighting", &["--data", "{\"level\": \"bright\"}"], 422, "level"),
        ("PUT", "/v1/lighting", &["--data", "{\"level\": 1, \"colour\": 2}"], 422, "colour"),
        ("PUT", "/v1/conveyor", &["--data", "{\"action\": \"fly\"}"], 422, "fly"),
        ("GET", "/v1/scans/none", &[], 404, "there is no scan `none`"),
        ("GET", "/v2/status", &[], 404, "/v1/openapi.json"),
        ("DELETE", "/v1/scans", &[], 405, "DELETE"),
        ("POST", "/v1/status", &["--data", "{}"], 405, "POST"),
        ("POST", "/v1/scans", &["--data-binary", &large], 413, "1048576"),
        ("POST", "/v1/scans", &["-H", "Transfer-Encoding: chunked", "--data-binary", &large], 413, "1048576"),
    ];
    for (method, path, more, status, detail) in cases {
        let said = curl(&served, method, path, more).await;
        assert_eq!((said.status, said.media.as_str()), (status, PROBLEM_JSON), "{method} {path} {more:?}: {}", said.body);
        let problem = said.json();
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
        assert_eq!((&problem["status"], &problem["instance"]), (&json!(status), &json!(path)));
        if status == 405 {
            assert!(said.allow.contains("GET"), "Allow: {}", said.allow);
        }
    }
    assert_eq!(curl(&served, "PUT", "/v1/lighting", &["--data", "{\"level\": \"x\"}"]).await.json()["faults"][0]["path"], "level");
    assert_eq!(served.rig.names(), ["start_scan"; 2], "only a request that can be read reaches the rig");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rig_that_panics_is_a_problem_and_the_service_goes_on() {
    let served = serve();
    let said = curl(&served, "PUT", "/v1/lighting", &["--data", "{\"level\": 1, \"light\": \"panics\"}"]).await;
    assert_eq!((said.status, said.media.as_str()), (500, PROBLEM_JSON));
    assert_eq!(curl(&served, "GET", "/v1/status", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_nothing() {
    let mut rig = Rig::with_room(1);
    rig.gates = Some([Semaphore::new(0), Semaphore::new(0), Semaphore::new(0)]);
    let mut served = serve_rig(rig);
    let mut stream = UnixStream::connect(&served.path).unwrap();
    stream.write_all(b"POST /v1/references/white HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").unwrap();
    let rig = served.rig.clone();
    let [entered, may, done] = rig.gates.as_ref().unwrap();
    entered.acquire().await.unwrap().forget();
    drop(stream);
    // The connection is closed and forgotten once its service has ended.
    served.end().await;
    may.add_permits(1);
    tokio::time::timeout(Duration::from_secs(20), done.acquire()).await.expect("the reference is taken to its end").unwrap().forget();
}

#[tokio::test]
async fn a_change_is_logged_with_who_asked() {
    let served = serve();
    let client = served.client().await;
    // Paths that no other test asks for: the log is that of the whole process.
    client.scan("logged-1").await.unwrap_err();
    *served.rig.refusal.lock().unwrap() = Some(Refusal::NotReady { reason: "no".into() });
    client.stop_scan("logged-1").await.unwrap_err();
    client.stop_scan("logged-2").await.unwrap_err();
    let Peer { uid, gid, pid, .. } = myself();
    let wanted = |path: &str, status| json!([uid, gid, pid, "POST", path, status]);
    let fields = |line: &Value| ["uid", "gid", "pid", "method", "path", "status"].iter().map(|name| line[*name].clone()).collect::<Value>();
    let seen: Vec<Value> = log_lines().iter().filter(|line| line["path"].to_string().contains("/logged-")).map(fields).collect();
    assert_eq!(seen, [wanted("/v1/scans/logged-1/stop", 409), wanted("/v1/scans/logged-2/stop", 404)]);
}

#[test]
fn the_document_lists_the_routes_and_every_reference_leads_somewhere() {
    let document = openapi_document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut listed = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        listed.extend(operations.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    assert_eq!(listed, routes().map(|(method, path)| (method.to_owned(), path.to_owned())).collect());
    let mut found = 0;
    let mut waiting = vec![&document];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(map) => waiting.extend(map.values()),
            Value::Array(list) => waiting.extend(list),
            _ => {}
        }
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            found += 1;
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target} leads nowhere");
        }
    }
    assert!(found > 30, "{found} references");
    let paths = document["paths"].as_object().unwrap().values();
    let operations: BTreeSet<_> = paths.flat_map(|path| path.as_object().unwrap().values()).map(|o| o["operationId"].as_str()).collect();
    assert_eq!(operations.len(), routes().count(), "operation ids differ from one another");
}

/// A body that the document allows, with the least in it.
fn example(schema: &Value, document: &Value) -> Value {
    let schema = resolved(schema, document);
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    if let Some(branch) = schema.get("oneOf").and_then(|branches| branches.get(0)) {
        return example(branch, document);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default();
    match kind {
        "object" => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            Value::Object(properties.iter().map(|(key, schema)| (key.clone(), example(schema, document))).collect())
        }
        "array" => json!([]),
        "string" => json!("x"),
        "boolean" => json!(false),
        _ => json!(0),
    }
}

fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    schema.get("$ref").and_then(Value::as_str).map_or(schema, |target| document.pointer(target.trim_start_matches('#')).unwrap())
}

/// Whether a value is of a type that a schema allows.
fn allows(schema: &Value, value: &Value) -> bool {
    let types: Vec<&str> = schema["type"]
        .as_str()
        .map_or_else(|| schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str).collect(), |one| vec![one]);
    types.iter().any(|kind| match *kind {
        "null" => value.is_null(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        _ => value.is_number(),
    })
}

/// Parser and document are one: whatever the document does not describe is refused, and does not reach the rig.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_document_does_not_describe_is_refused() {
    let (served, document) = (serve(), openapi_document());
    let others =
        [json!(null), json!([]), json!([null, 0.5]), json!([[true]]), json!({}), json!({"x": 1}), json!("x"), json!(1.5), json!(true)];
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") else { continue };
            let schema = resolved(body, &document);
            let branches = schema["oneOf"].as_array().map_or_else(|| vec![schema], |branches| branches.iter().collect());
            let mut bad: Vec<String> = others.iter().filter(|other| !other.is_object()).map(Value::to_string).collect();
            for branch in branches {
                let branch = resolved(branch, &document);
                assert_eq!(branch["additionalProperties"], false, "{path}: {branch}");
                let good = example(branch, &document);
                // The same values as a list, in the order of the fields.
                bad.push(Value::Array(good.as_object().unwrap().values().cloned().collect()).to_string());
                let with = |key: &str, value: &Value| {
                    let mut other = good.clone();
                    other[key] = value.clone();
                    other.to_string()
                };
                bad.push(with("unknown", &json!(1)));
                for (key, property) in branch["properties"].as_object().unwrap() {
                    let property = resolved(property, &document);
                    bad.extend(others.iter().filter(|other| !allows(property, other)).map(|other| with(key, other)));
                    let twice = format!("{}, {}: {}}}", good.to_string().trim_end_matches('}'), json!(key), good[key]);
                    bad.push(twice);
                    if let Some(most) = property["maximum"].as_f64() {
                        bad.extend([json!(most * 1.01), json!(-most * 1.01 - 1.0)].iter().map(|value| with(key, value)));
                    }
                }
                for required in branch["required"].as_array().into_iter().flatten() {
                    let mut less = good.clone();
                    less.as_object_mut().unwrap().remove(required.as_str().unwrap());
                    bad.push(less.to_string());
                }
            }
            for body in bad {
                let method = method.to_uppercase();
                let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}", body.len());
                let text = crate::rig::exchange(UnixStream::connect(&served.path).unwrap(), format!("{head}\r\n\r\n{body}")).await;
                assert!(text.starts_with("HTTP/1.1 4"), "{method} {path} {body}: {text}");
                tried += 1;
            }
        }
    }
    println!("{tried} bodies");
    assert!(tried > 100, "{tried}");
    // A tray map is read by the rig itself, and is one of those that fit all else.
    assert!(served.rig.names().iter().all(|name| name == "start_scan"), "{:?}", served.rig.names());
}
