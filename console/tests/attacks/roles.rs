//! Role by role, every call.

use super::daemon::wait;
use super::rig::Rig;
use hyclus::control::Role;
use hyclus_console::rules::RULES;

/// A path and a body with which a call gets as far as it may.
fn example(path: &str) -> (String, &'static str) {
    let body = match path {
        "/api/trays/check" | "/api/trays/worklist" | "/api/trays/*" | "/api/scans" => r#"{"tray":{}}"#,
        "/api/lighting" => r#"{"level":0.5}"#,
        "/api/conveyor" => r#"{"action":"run","speed_mm_per_s":5}"#,
        "/api/references/dark" | "/api/references/white" => r#"{"accept_change":false}"#,
        _ => "{}",
    };
    (path.replace('*', "1"), body)
}

#[test]
fn nobody_passes_but_by_his_role() {
    let rig = Rig::start("");
    let (nobody, olga, maria) = (rig.browser(), rig.guest("olga", Role::Observe), rig.operator());
    for rule in RULES.iter().filter(|rule| !["/api/login", "/api/link", "/api/logout", "/api/live"].contains(&rule.path)) {
        let (path, body) = example(rule.path);
        let method = rule.method.as_str();
        assert_eq!(nobody.ask(method, &path, &[], body).status, 401, "{method} {path}");
        let before = rig.daemon.calls().len();
        let status = olga.ask(method, &path, &[], body).status;
        if rule.need.role == Some(Role::Observe) {
            assert_eq!(status, 200, "{method} {path}");
        } else {
            assert_eq!(status, 403, "{method} {path}");
            assert_eq!(rig.daemon.calls().len(), before, "{method} {path} reached the daemon");
        }
        let may = maria.ask(method, &path, &[], body).status;
        assert!([200, 201].contains(&may) || (path.contains("alarms") && may == 404), "{method} {path}: {may}");
        if path == "/api/lease" {
            maria.post("/api/lease", r#"{"take_over":true}"#);
        }
    }
    for (method, path) in
        [("GET", "/api/stop"), ("POST", "/api/rig"), ("PATCH", "/api/rig"), ("GET", "/api/none"), ("GET", "/api/"), ("TRACE", "/api/rig")]
    {
        assert_eq!(maria.ask(method, path, &[], "").status, 404, "{method} {path}");
    }
    let for_whom: Vec<String> = rig.daemon.calls().into_iter().map(|call| call.person).collect();
    assert!(for_whom.iter().all(|person| person == "olga" || person == "maria"), "{for_whom:?}");
}

#[test]
fn what_moves_needs_the_lease_and_it_is_taken_over_in_sight_of_all() {
    let rig = Rig::start("");
    let (maria, jan) = (rig.guest("maria", Role::Operate), rig.guest("jan", Role::Operate));
    for rule in RULES.iter().filter(|rule| rule.need.lease) {
        let (path, body) = example(rule.path);
        let answer = maria.ask(rule.method.as_str(), &path, &[], body);
        assert_eq!(answer.status, 409, "{path}");
        assert!(answer.text().contains("nobody holds the lease"));
    }
    assert_eq!(maria.put("/api/conveyor", r#"{"action":"travel","to_mm":5}"#).status, 409);
    assert_eq!(rig.daemon.calls().len(), 0);
    assert_eq!(maria.put("/api/conveyor", r#"{"action":"stop"}"#).status, 200, "to stop needs no lease");
    assert_eq!(maria.put("/api/conveyor", r#"{"action":"jog","speed_mm_per_s":5}"#).status, 422, "a jog needs a page that stays");
    assert_eq!(maria.put("/api/conveyor", r#"["stop"]"#).status, 422);

    assert_eq!(maria.post("/api/lease", r#"{"take_over":false}"#).json()["mine"], true);
    let mut page = super::browser::Socket::open(&maria, &[]).unwrap();
    assert_eq!(page.next_json(16)["mine"], true);
    let seen = jan.get("/api/session").json();
    assert_eq!((&seen["lease"]["holder"], &seen["lease"]["mine"]), (&"maria".into(), &false.into()));
    let answer = jan.post("/api/lease", r#"{"take_over":false}"#);
    assert!(answer.status == 409 && answer.text().contains("maria"));
    assert_eq!(jan.post("/api/acknowledge", "{}").status, 409);
    assert_eq!(jan.post("/api/lease", r#"{"take_over":true}"#).json()["mine"], true);
    let told = page.next_json(16);
    assert_eq!((&told["holder"], &told["mine"]), (&"jan".into(), &false.into()));
    assert_eq!((maria.post("/api/acknowledge", "{}").status, jan.post("/api/acknowledge", "{}").status), (409, 200));
    assert_eq!(maria.ask("DELETE", "/api/lease", &[], "{}").json()["holder"], "jan", "who does not hold it cannot give it back");
    assert_eq!(jan.post("/api/logout", "{}").status, 200);
    assert!(page.next_json(16)["holder"].is_null(), "a logout gives it back");
}

#[test]
fn a_change_is_accepted_by_an_administrator_alone() {
    let rig = Rig::start("");
    let maria = rig.operator();
    assert_eq!(maria.post("/api/references/white", r#"{"accept_change":true}"#).status, 403);
    assert_eq!(maria.post("/api/references/white", r#"{"accept_change":false,"accept_change":true}"#).status, 422);
    assert_eq!(rig.daemon.calls().len(), 0);
    let ada = rig.guest("ada", Role::Administer);
    ada.post("/api/lease", r#"{"take_over":true}"#);
    assert_eq!(ada.post("/api/references/white", r#"{"accept_change":true}"#).status, 200);
    assert_eq!(rig.daemon.calls()[0].body, r#"{"accept_change":true}"#);
}

#[test]
fn no_path_of_a_browser_reaches_the_daemon_or_the_disk() {
    let rig = Rig::start("");
    let maria = rig.operator();
    let outside = rig.folder().join("outside.json");
    std::fs::write(&outside, "{}").unwrap();
    for id in [
        "..",
        "../x",
        "..%2fx",
        "%2e%2e",
        "%2e%2e%2fstop",
        "%2Fetc%2Fpasswd",
        "a%00b",
        "%00",
        "a%2fb",
        "a%20b",
        ".hidden",
        "a%0d%0ax",
        "%ff",
        "a?b",
        "a;b",
    ] {
        for (method, path, body) in [
            ("POST", format!("/api/scans/{id}/stop"), "{}"),
            ("PUT", format!("/api/trays/{id}"), r#"{"tray":{}}"#),
            ("DELETE", format!("/api/trays/{id}"), "{}"),
            ("POST", format!("/api/alarms/{id}/acknowledge"), "{}"),
        ] {
            let status = maria.ask(method, &path, &[], body).status;
            let harmless = id.contains('?') && ([200, 404].contains(&status));
            assert!([400, 404, 422].contains(&status) || harmless, "{method} {path}: {status}");
        }
        for path in [format!("/{id}"), format!("/assets/{id}"), format!("/..{id}")] {
            assert_eq!(maria.ask("GET", &path, &[], "").status, 404, "{path}");
        }
    }
    assert_eq!(rig.daemon.calls().iter().map(|call| call.line.clone()).collect::<Vec<_>>(), [""; 0]);
    assert!(outside.exists());
    let kept: Vec<_> = std::fs::read_dir(rig.state.join("trays")).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    assert!(kept.iter().all(|name| name == "a.json"), "{kept:?}");
}

#[test]
fn presets_are_kept_listed_and_removed() {
    let rig = Rig::start("");
    let maria = rig.guest("maria", Role::Operate);
    let tray = r#"{"tray":{"tray":"T-1","note":"<script>alert(1)</script>"}}"#;
    assert_eq!(maria.put("/api/trays/small", tray).status, 200);
    assert_eq!(maria.get("/api/trays").json()[0]["tray"]["note"], "<script>alert(1)</script>");
    assert_eq!(maria.get("/api/trays").header("content-type"), "application/json");
    assert_eq!(maria.put("/api/trays/list", r#"{"tray":[]}"#).status, 422);
    assert_eq!(maria.ask("DELETE", "/api/trays/small", &[], "{}").status, 200);
    assert_eq!(maria.ask("DELETE", "/api/trays/small", &[], "{}").status, 404);
    assert_eq!(maria.get("/api/trays").json(), serde_json::json!([]));
}

#[test]
fn the_rig_is_shown_with_its_curves_and_alarms() {
    let rig = Rig::start("");
    let maria = rig.guest("maria", Role::Operate);
    rig.daemon.tapped();
    let shown = maria.get("/api/rig").json();
    assert_eq!(
        (&shown["connected"], &shown["status"]["state"], &shown["readiness"]["ready"]),
        (&true.into(), &"idle".into(), &true.into())
    );
    rig.daemon.send(2, br#"{"id":1,"time":"2026-12-01T10:00:00.000Z","event":"warning","message":"lamp 2 is weak"}"#);
    let alarm = wait(|| maria.get("/api/rig").json()["alarms"].get(0).cloned());
    assert_eq!((&alarm["message"], &alarm["acknowledged_by"]), (&"lamp 2 is weak".into(), &serde_json::Value::Null));
    assert_eq!(maria.post(&format!("/api/alarms/{}/acknowledge", alarm["id"]), "{}").status, 200);
    assert_eq!(maria.get("/api/rig").json()["alarms"][0]["acknowledged_by"], "maria");
    let health = wait(|| Some(maria.get("/api/health").json()).filter(|health| health["series"].get(0).is_some()));
    assert_eq!(health["series"][0]["label"], "Disk free");
    assert!(maria.get("/api/health.csv").text().contains("Disk free (GB)"));
}
