//! The data routes of the console, over scans that the daemon made on a simulated rig.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod jobs;
mod measure;
mod rig;

use hyclus::control::Role;
use hyclus_console::data::least_role;
use rig::{ROOT, Server, judge};
use serde_json::json;

#[test]
fn samples_ledgers_and_files_are_what_others_read() {
    judge(&Server::start(&ROOT.data, false), &ROOT.data, "stored");
}

#[test]
fn the_cloud_is_what_numpy_makes_of_it() {
    judge(&Server::start(&ROOT.data, false), &ROOT.data, "explorer");
}

#[test]
fn scans_are_found_by_words_days_and_warnings() {
    let server = Server::start(&ROOT.data, false);
    let ids = |query: &str| -> Vec<String> {
        let page = server.json(&format!("/api/scans?{query}"));
        let ids = page["scans"].as_array().unwrap().iter().map(|scan| scan["id"].as_str().unwrap().to_owned());
        assert!(page["total"].as_u64().unwrap() >= ids.len() as u64);
        ids.collect()
    };
    let [first, second] = [&ROOT.scans[0], &ROOT.scans[1]];
    assert_eq!(ids(""), [second.as_str(), first]);
    assert_eq!(ids("limit=1&offset=1"), [first.as_str()]);
    assert_eq!(ids("search=t-1"), [first.as_str()]);
    assert_eq!(ids("search=S-3%20NORTH").len(), 2);
    assert!(ids("search=nowhere").is_empty());
    let day = &server.json(&format!("/api/scans/{first}"))["started"].as_str().unwrap()[..10].to_owned();
    assert_eq!(ids(&format!("from={day}&to={day}")).len(), 2);
    assert!(ids("to=2001-01-01").is_empty() && ids("from=9999").is_empty());
    let page = server.json("/api/scans");
    let scan = &page["scans"][0];
    assert_eq!((&scan["samples"], &scan["complete"], &scan["running"]), (&json!(4), &json!(true), &json!(false)));
    assert_eq!(scan["keys"]["plant"], json!(["north", "south"]));
    let found = server.json("/api/samples?key=plant&value=north&limit=3");
    let of: Vec<&str> = found.as_array().unwrap().iter().map(|sample| sample["sample"].as_str().unwrap()).collect();
    assert_eq!(of, ["S-1", "S-3", "S-1"]);
}

#[test]
fn a_picture_comes_in_the_size_that_is_asked_for() {
    let server = Server::start(&ROOT.data, false);
    let width = |path: &str| {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/png")));
        let decoder = png::Decoder::new(std::io::Cursor::new(answer.body));
        decoder.read_info().unwrap().info().width
    };
    let path = format!("/api/scans/{}/picture.png", ROOT.scans[0]);
    let whole = width(&path);
    assert_eq!((width(&format!("{path}?width=64")), width(&format!("{path}?width=100000"))), (64, whole));
    assert_eq!(width(&format!("{path}?width=64")), 64);
}

#[test]
fn looking_is_for_all_and_work_is_not() {
    use axum::http::Method;
    assert_eq!(least_role(&Method::GET, "/api/scans"), Role::Observe);
    assert_eq!(least_role(&Method::POST, "/api/explorer/selection"), Role::Observe);
    assert_eq!(least_role(&Method::POST, "/api/scans"), Role::Operate);
    assert_eq!(least_role(&Method::DELETE, "/api/scans/x"), Role::Operate);
}
