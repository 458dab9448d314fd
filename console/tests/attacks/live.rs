//! The live view: what each page gets, who may open it, and jogging.

use super::browser::Socket;
use super::daemon::{Call, wait, wait_for};
use super::rig::Rig;
use hyclus::control::Role;
use std::time::{Duration, Instant};

/// A scan as the tap describes it.
const SCAN: &[u8] =
    br#"{"scan":"s1","tray":"T","sources":[{"name":"vnir","kind":"camera","rgb":[30,20,10]},{"name":"grid","kind":"grid","rgb":[5,6,7]}]}"#;

/// A row of a picture, without its kind.
fn row(source: u8, index: u64, bands: &[u16], pixels: u32) -> Vec<u8> {
    let mut row = vec![source, 0, u8::try_from(bands.len()).unwrap(), 0];
    row.extend(pixels.to_le_bytes());
    row.extend(1_u32.to_le_bytes());
    row.extend(index.to_le_bytes());
    row.extend(0.5_f64.to_le_bytes());
    bands.iter().for_each(|band| row.extend(band.to_le_bytes()));
    for band in bands {
        row.extend(vec![band.to_le_bytes()[0]; pixels as usize]);
    }
    row
}

fn conveyor(call: &Call, action: &str) -> bool {
    call.line == "PUT /v1/conveyor" && call.body.contains(&format!("\"action\":\"{action}\""))
}

#[test]
fn a_page_gets_what_was_and_what_comes_in_its_bands() {
    let rig = Rig::start("");
    rig.daemon.tapped();
    rig.daemon.send(4, SCAN);
    rig.daemon.send(5, &row(0, 1, &[10, 20, 30, 40], 8));
    rig.daemon.send(6, &[0; 32]);
    rig.daemon.send(3, br#"{"state":"scanning"}"#);
    let olga = rig.guest("olga", Role::Observe);
    wait(|| (olga.get("/api/rig").json()["connected"] == true).then_some(()));
    let mut page = Socket::open(&olga, &[]).unwrap();
    let kinds: Vec<u8> = (0..8).map(|_| page.next().unwrap()[0]).collect();
    assert_eq!(kinds, [1, 17, 16, 18, 4, 3, 6, 5], "hello, link, lease, alarms, scan, status, then the history");
    page.say(r#"{"bands":{"vnir":[40,10]}}"#);
    let asked = rig.daemon.wait_for(|call| call.line.contains("vnir:10,40"));
    assert_eq!(asked.line, "GET /v1/live?bands=grid:5,6,7;vnir:10,40");
    rig.daemon.tapped();
    // The new connection has all that comes; the page has its bands of it, in its order.
    let got = wait(|| {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(2);
        rig.daemon.send(5, &row(0, NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed), &[10, 20, 30, 40], 8));
        page.next_of(5)
    });
    assert_eq!(got[2], 2, "two bands");
    assert_eq!(&got[28..], [&40_u16.to_le_bytes()[..], &10_u16.to_le_bytes()[..], &[40; 8], &[10; 8]].concat());
    for wrong in [
        "",
        "[]",
        r#"{"bands":{"vnir":[]}}"#,
        r#"{"bands":{"a;b":[1]}}"#,
        r#"{"bands":{"vnir":[1,2,3,4]}}"#,
        r#"{"bands":{"vnir":[70000]}}"#,
        r#"{"other":1}"#,
    ] {
        page.say(wrong);
        assert!(page.next_json(19)["status"].as_u64().unwrap() >= 400, "{wrong}");
    }
}

#[test]
fn a_page_that_never_reads_holds_nobody_up_and_is_closed() {
    let rig = Rig::start("viewers = 2");
    rig.daemon.tapped();
    rig.daemon.send(4, SCAN);
    let (olga, jan) = (rig.guest("olga", Role::Observe), rig.guest("jan", Role::Operate));
    let deaf = Socket::open(&olga, &[]).unwrap();
    let mut page = Socket::open(&jan, &[]).unwrap();
    assert_eq!(page.next_json(4)["scan"], "s1");
    let begin = Instant::now();
    // 60 MB of pictures: more than the sockets and the queue of a page hold.
    let sender = std::thread::spawn({
        let daemon = rig.daemon.clone();
        move || (1..=2000).for_each(|i| daemon.send(5, &row(0, i, &[10, 20, 30], 10_000)))
    });
    let mut last = 0;
    while last < 2000 {
        let row = page.next_of(5).unwrap();
        let index = u64::from_le_bytes(row[12..20].try_into().unwrap());
        assert!(index > last, "in order");
        last = index;
    }
    sender.join().unwrap();
    println!("the last of 60 MB reached the page that reads in {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(jan.post("/api/lease", r#"{"take_over":false}"#).status, 200);
    assert_eq!(page.next_json(16)["mine"], true, "the lease is never late");
    // Its place is free after a while, although it never says that it goes.
    assert_eq!(Socket::open(&olga, &[]).err(), Some(503));
    let closed = wait_for(Duration::from_secs(60), || Socket::open(&olga, &[]).ok().map(|_| begin.elapsed()));
    println!("the page that never reads was closed after {closed:?}");
    drop(deaf);
}

#[test]
fn pages_are_bounded_in_number() {
    let rig = Rig::start("viewers = 3");
    let olga = rig.guest("olga", Role::Observe);
    let mut pages: Vec<Socket> = (0..3).map(|_| Socket::open(&olga, &[]).unwrap()).collect();
    assert_eq!(Socket::open(&olga, &[]).err(), Some(503));
    pages.pop();
    pages.push(wait(|| Socket::open(&olga, &[]).ok()));
    // A page that says too much is closed.
    (0..200).for_each(|_| pages[0].say("x"));
    while pages[0].next().is_some() {}
    assert_eq!(olga.post("/api/logout", "{}").status, 200);
    while pages[1].next().is_some() {}
}

#[test]
fn a_daemon_that_is_gone_is_told_of() {
    let rig = Rig::start("");
    rig.daemon.tapped();
    let olga = rig.guest("olga", Role::Observe);
    let mut page = Socket::open(&olga, &[]).unwrap();
    wait(|| (page.next_json(17)["connected"] == true).then_some(()));
    // A length that no message has: the connection is given up, and made again.
    rig.daemon.send(1, &[]);
    std::fs::rename(rig.folder().join("s"), rig.folder().join("gone")).unwrap();
    let told = page.next_json(17);
    assert_eq!(told["connected"], false);
    assert!(told["since"].is_string());
    let shown = olga.get("/api/rig").json();
    assert_eq!((&shown["connected"], &shown["status"]), (&false.into(), &serde_json::Value::Null));
    let answer = olga.post("/api/stop", "{}");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("press the stop button"), "{}", answer.text());
    std::fs::rename(rig.folder().join("gone"), rig.folder().join("s")).unwrap();
    assert_eq!(page.next_json(17)["connected"], true);
}

#[test]
fn a_jog_needs_the_lease_and_ends_without_a_heartbeat() {
    let rig = Rig::start("");
    rig.daemon.tapped();
    let (olga, jan) = (rig.guest("olga", Role::Observe), rig.guest("jan", Role::Operate));
    let jog = r#"{"jog":{"speed_mm_per_s":-20.0}}"#;
    let mut page = Socket::open(&olga, &[]).unwrap();
    page.say(jog);
    assert_eq!(page.next_json(19)["status"], 403);
    let mut page = Socket::open(&jan, &[]).unwrap();
    page.say(jog);
    assert_eq!(page.next_json(19)["status"], 409);
    assert_eq!(rig.daemon.calls().len(), 0);

    let maria = rig.operator();
    let mut page = Socket::open(&maria, &[]).unwrap();
    let begin = Instant::now();
    for _ in 0..4 {
        page.say(jog);
        std::thread::sleep(Duration::from_millis(200));
    }
    let stop = rig.daemon.wait_for(|call| conveyor(call, "stop"));
    let jogs: Vec<Call> = rig.daemon.calls().into_iter().filter(|call| conveyor(call, "jog")).collect();
    assert!(jogs.len() >= 4 && jogs.iter().all(|call| call.person == "maria" && call.body.contains("-20")), "{jogs:?}");
    // The daemon stops by itself 500 ms after the last call: between two of them there must be less.
    assert!(jogs.windows(2).all(|pair| pair[1].at - pair[0].at < Duration::from_millis(400)), "{jogs:?}");
    let held = stop.at - begin;
    println!("the last word came after 0.6 s, the stop after {held:?}");
    assert!((Duration::from_millis(1050)..Duration::from_millis(1400)).contains(&held), "{held:?}");
}

/// Jogs, lets `end` happen, and gives the time until the belt is told to stop.
fn jog_until(rig: &Rig, page: &mut Socket, end: impl FnOnce()) -> Duration {
    page.say(r#"{"jog":{"speed_mm_per_s":10.0}}"#);
    rig.daemon.wait_for(|call| conveyor(call, "jog"));
    let begin = Instant::now();
    end();
    let stop = rig.daemon.wait_for(|call| conveyor(call, "stop") && call.at >= begin);
    stop.at - begin
}

#[test]
fn a_jog_ends_at_once_with_the_key_the_page_the_lease_and_a_stop() {
    let quick = Duration::from_millis(300);
    let rig = Rig::start("");
    let maria = rig.operator();
    let mut page = Socket::open(&maria, &[]).unwrap();
    let mut same = page;
    let took = jog_until(&rig, &mut same, || ());
    assert!(took >= Duration::from_millis(400), "nothing but silence: {took:?}");

    let rig = Rig::start("");
    let maria = rig.operator();
    page = Socket::open(&maria, &[]).unwrap();
    page.say(r#"{"jog":{"speed_mm_per_s":10.0}}"#);
    rig.daemon.wait_for(|call| conveyor(call, "jog"));
    let begin = Instant::now();
    page.say(r#"{"jog":null}"#);
    let took = rig.daemon.wait_for(|call| conveyor(call, "stop")).at - begin;
    assert!(took < quick, "the key: {took:?}");

    let rig = Rig::start("");
    let maria = rig.operator();
    page = Socket::open(&maria, &[]).unwrap();
    page.say(r#"{"jog":{"speed_mm_per_s":10.0}}"#);
    rig.daemon.wait_for(|call| conveyor(call, "jog"));
    let begin = Instant::now();
    drop(page);
    let took = rig.daemon.wait_for(|call| conveyor(call, "stop")).at - begin;
    assert!(took < quick, "the page: {took:?}");

    let rig = Rig::start("");
    let (maria, jan) = (rig.operator(), rig.guest("jan", Role::Operate));
    page = Socket::open(&maria, &[]).unwrap();
    let took = jog_until(&rig, &mut page, || _ = jan.post("/api/lease", r#"{"take_over":true}"#));
    assert!(took < quick, "the lease: {took:?}");
    page.say(r#"{"jog":{"speed_mm_per_s":10.0}}"#);
    assert_eq!(page.next_json(19)["status"], 409, "and does not begin again");

    let mut rig = Rig::start("");
    let maria = rig.operator();
    page = Socket::open(&maria, &[]).unwrap();
    page.say(r#"{"jog":{"speed_mm_per_s":10.0}}"#);
    rig.daemon.wait_for(|call| conveyor(call, "jog"));
    let begin = Instant::now();
    rig.stop();
    let took = rig.daemon.wait_for(|call| conveyor(call, "stop")).at - begin;
    assert!(took < quick, "the end of the console: {took:?}");
}
