//! The emergency stop is never refused.

use super::browser::Browser;
use super::rig::Rig;
use hyclus::control::Role;
use std::net::TcpStream;

fn stops(rig: &Rig) -> usize {
    rig.daemon.calls().iter().filter(|call| call.line == "POST /v1/stop").count()
}

#[test]
fn anyone_who_looks_may_stop_whoever_holds_the_lease() {
    let rig = Rig::start("");
    let (olga, maria) = (rig.guest("olga", Role::Observe), rig.operator());
    let answer = olga.post("/api/stop", "{}");
    assert_eq!((answer.status, &answer.json()["state"]), (200, &"idle".into()));
    assert_eq!(rig.daemon.calls().last().unwrap().person, "olga");
    assert_eq!(olga.post("/api/stop", "").status, 200, "an empty body is no reason");
    assert_eq!(rig.guest("jan", Role::Operate).post("/api/stop", "{}").status, 200);
    assert_eq!(maria.post("/api/stop", "{}").status, 200);
    assert_eq!(stops(&rig), 4);
}

#[test]
fn a_stop_is_answered_when_all_places_are_taken() {
    let rig = Rig::start("connections = 12\nconnections_per_address = 8");
    let olga = rig.guest("olga", Role::Observe);
    let held: Vec<TcpStream> =
        ["127.0.0.1", "127.0.0.2"].iter().flat_map(|from| (0..8).map(|_| Browser::new(rig.address).from(from).connect())).collect();
    // The places are taken once a request beyond them is refused.
    super::daemon::wait(|| (olga.get("/api/rig").status == 503).then_some(()));
    for _ in 0..3 {
        assert_eq!(olga.post("/api/stop", "{}").status, 200);
        assert_eq!(olga.get("/").status, 503);
        assert_eq!(olga.ask("POST", "/api/stop", &[("origin", "http://evil.example")], "{}").status, 403);
        assert_eq!(olga.clone().from("127.0.0.3").post("/api/stop", "{}").status, 200);
    }
    assert_eq!(stops(&rig), 6);
    drop(held);
    super::daemon::wait(|| (olga.get("/api/rig").status == 200).then_some(()));
}

#[test]
fn a_thousand_connections_do_not_keep_a_person_away() {
    let rig = Rig::start("");
    let olga = rig.guest("olga", Role::Observe).from("127.0.0.2");
    let flood = Browser::new(rig.address);
    let held: Vec<TcpStream> = (0..1000).map(|_| flood.connect()).collect();
    assert_eq!(olga.get("/api/rig").status, 200, "another address has places of its own");
    assert_eq!(olga.post("/api/stop", "{}").status, 200);
    assert_eq!(olga.clone().from("127.0.0.1").post("/api/stop", "{}").status, 200, "and so has a stop from the same one");
    assert_eq!(stops(&rig), 2);
    drop(held);
}
