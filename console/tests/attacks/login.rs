//! Passwords, links and sessions.

use super::daemon::wait;
use super::rig::{PASSWORD, Rig};
use hyclus::control::Role;
use hyclus_console::state::{accounts, links};
use std::time::{Duration, Instant};

#[test]
fn a_login_gives_a_cookie_that_scripts_cannot_read() {
    let rig = Rig::start("");
    let mut maria = rig.browser();
    let answer = maria.login("maria", PASSWORD);
    assert_eq!(answer.status, 200);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-hyclus="), "{cookie}");
    for flag in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=43200"] {
        assert!(cookie.split("; ").any(|part| part == flag), "{flag}: {cookie}");
    }
    assert!(!cookie.contains("Domain"));
    let shown = maria.get("/api/session").json();
    assert_eq!((&shown["user"], &shown["role"], &shown["token"]), (&"maria".into(), &"operate".into(), &maria.token.as_str().into()));
    assert!(shown["expires"].as_str().unwrap() > "2026" && shown["lease"]["holder"].is_null());
    assert!(!shown.to_string().contains(maria.cookie.split_once('=').unwrap().1), "no script learns the secret");
    for file in ["accounts.json", "sessions.json"] {
        let text = std::fs::read_to_string(rig.state.join(file)).unwrap();
        assert!(!text.contains(PASSWORD) && !text.contains(maria.cookie.split_once('=').unwrap().1), "{file}");
    }
}

#[test]
fn a_stolen_session_is_dead_after_the_logout() {
    let mut rig = Rig::start("");
    let mut maria = rig.browser();
    maria.login("maria", PASSWORD);
    let thief = maria.clone().from("127.0.0.2");
    assert_eq!(thief.get("/api/rig").status, 200);
    let answer = maria.post("/api/logout", "{}");
    assert_eq!(answer.status, 200);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!((thief.get("/api/rig").status, thief.post("/api/stop", "{}").status), (401, 401));
    rig.restart();
    let thief = super::browser::Browser { address: rig.address, ..thief };
    assert_eq!(thief.get("/api/rig").status, 401, "and stays dead");
    assert_eq!(rig.daemon.calls().len(), 0);
}

#[test]
fn a_removed_user_and_a_changed_role_end_sessions_and_a_restart_does_not() {
    let mut rig = Rig::start("");
    let (mut maria, mut jan) = (rig.browser(), rig.browser());
    assert_eq!((maria.login("maria", PASSWORD).status, jan.login("jan", PASSWORD).status), (200, 200));
    rig.restart();
    (maria.address, jan.address) = (rig.address, rig.address);
    assert_eq!((maria.get("/api/rig").status, jan.get("/api/rig").status), (200, 200));
    accounts::change(&rig.dir(), |table| {
        table.remove("maria");
        table.get_mut("jan").unwrap().role = Role::Observe;
        Ok(())
    })
    .unwrap();
    for browser in [maria, jan] {
        wait(|| (browser.get("/api/rig").status == 401).then_some(()));
    }
}

#[test]
fn a_link_works_once_and_not_after_its_life() {
    let rig = Rig::start("");
    let now = hyclus::scan::now_ns() / 1_000_000_000;
    let make = |until: i64| links::make(&rig.dir(), "guest", Role::Observe, until, now).unwrap();
    let (good, old) = (make(now + 3600), make(now - 1));
    let redeem = |code: &str| {
        let answer = rig.browser().post("/api/link", &format!(r#"{{"code":"{code}"}}"#));
        (answer.status, answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(redeem(&good).0, 200);
    assert!(redeem(&good).1.contains("used already"));
    let (status, detail) = redeem(&old);
    assert!(status == 401 && detail.contains("too old"), "{detail}");
    assert_eq!(redeem("0000").0, 401);
    assert!(!std::fs::read_to_string(rig.state.join("links.json")).unwrap().contains(&good));
}

#[test]
fn two_browsers_with_one_link_let_one_in() {
    let rig = Rig::start("");
    let now = hyclus::scan::now_ns() / 1_000_000_000;
    let code = links::make(&rig.dir(), "guest", Role::Operate, now + 3600, now).unwrap();
    let body = format!(r#"{{"code":"{code}"}}"#);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4).map(|_| scope.spawn(|| rig.browser().post("/api/link", &body).status)).collect();
        tries.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

#[test]
fn ten_thousand_wrong_passwords_starve_nobody() {
    let rig = Rig::start("");
    let begin = Instant::now();
    let attacker = rig.browser();
    let mut refused = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let attacker = &attacker;
                scope.spawn(move || {
                    let body = |i: u32| format!(r#"{{"user":"maria","password":"guess number {thread} {i}"}}"#);
                    (0..1250).filter(|i| attacker.post("/api/login", &body(*i)).status == 429).count()
                })
            })
            .collect();
        // Meanwhile, she comes from her own address.
        let mut maria = rig.browser().from("127.0.0.2");
        assert_eq!(maria.login("maria", PASSWORD).status, 200);
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        assert_eq!(maria.post("/api/stop", "{}").status, 200);
        refused = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    });
    println!("10 000 tries took {:?}, {refused} were refused unread", begin.elapsed());
    assert!(refused >= 9_980, "{refused}");
    assert!(begin.elapsed() < Duration::from_secs(120));
    let answer = rig.browser().login("maria", PASSWORD);
    assert_eq!(answer.status, 429, "also the right one, from that address");
    assert!(answer.json()["retry_after_s"].as_f64().unwrap() >= 1.0 && !answer.header("retry-after").is_empty());
}

#[test]
fn an_unknown_name_is_refused_like_a_wrong_password() {
    let rig = Rig::start("");
    let wrong = |user: &str, password: &str| {
        let answer = rig.browser().login(user, password);
        (answer.status, answer.text())
    };
    let known = wrong("maria", "wrong password");
    assert_eq!(known.0, 401);
    for user in ["nobody", "", "../maria", "maria\u{0}", "MARIA"] {
        assert_eq!(wrong(user, "wrong password"), known, "{user:?}");
    }
    assert_eq!(wrong("jan", &"x".repeat(2000)), known);
    assert_eq!(rig.browser().post("/api/login", r#"{"user":"maria"}"#).status, 422);
    assert_eq!(rig.browser().post("/api/login", "{").status, 400);
    assert_eq!(rig.browser().post("/api/login", &format!(r#"{{"user":"maria","password":"{}"}}"#, "x".repeat(5000))).status, 413);
}
