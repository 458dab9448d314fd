//! What a tray map may hold, and what is said of what it may not.

use super::*;
use serde_json::json;

fn good() -> Value {
    json!({"tray": "T1", "keys": ["plant"], "grid": {"rows": 2, "columns": 3},
        "container": [{"at": "A1", "sample": "s1", "plant": "P1", "vars": {"Cu": 0.6}}, {"at": "B3", "sample": "s2", "plant": "P2"}]})
}

fn problems(value: &Value) -> Vec<String> {
    Tray::check(value).unwrap_err().into_iter().map(|f| f.path).collect()
}

#[test]
fn a_good_map_is_taken() {
    let tray = Tray::check(&good()).unwrap();
    assert_eq!(tray.containers[1].cell, Some((1, 2)));
    assert_eq!(tray.containers[0].vars["Cu"], 0.6);
    let again: Tray = serde_json::from_value(serde_json::to_value(&tray).unwrap()).unwrap();
    assert_eq!(again, tray);
}

#[test]
fn every_fault_is_reported_at_once_with_its_path() {
    let mut bad = good();
    bad["grd"] = json!(1);
    bad["container"][0]["sample"] = json!("a/b");
    bad["container"][0]["plant"] = Value::Null;
    bad["container"][1]["at"] = json!("C9");
    bad["container"][1]["colour"] = json!("red");
    assert_eq!(problems(&bad), ["grd", "container[0].sample", "container[0].plant", "container[1].colour", "container[1].at"]);
}

#[test]
fn duplicates_are_refused() {
    let mut bad = good();
    bad["container"][1]["sample"] = json!("S1");
    bad["container"][1]["at"] = json!("A1");
    assert_eq!(problems(&bad), ["container[1].sample", "container[1].at"]);
}

#[test]
fn what_a_map_may_hold_is_bounded() {
    let mut bad = good();
    bad["container"][0]["plant"] = json!("a\u{0}b");
    bad["container"][1]["plant"] = json!("x".repeat(257));
    bad["container"][0]["vars"] = json!({"a\nb": 1.0});
    assert_eq!(problems(&bad), ["container[0].plant", "container[0].vars", "container[1].plant"]);
    // One fault per missing key would not fit into memory: a hundred thousand keys in as many containers.
    let keys: Vec<String> = (0..100_000).map(|i| format!("k{i}")).collect();
    let containers = vec![json!({}); 100_000];
    assert_eq!(problems(&json!({"tray": "t", "keys": keys, "container": containers})), ["keys", "container"]);
    let (keys, containers) = (&keys[..64], &containers[..2000]);
    let faults = Tray::check(&json!({"tray": "t", "keys": keys, "container": containers})).unwrap_err();
    assert_eq!((faults.len(), faults[100].problem.as_str()), (101, "and 131900 more"));
}

#[test]
fn a_footprint_is_whole() {
    let mut bad = good();
    bad["container"] = json!([{"sample": "s", "plant": "P", "x_mm": 1.0, "y_mm": 2.0, "diameter_mm": -3.0}]);
    assert_eq!(problems(&bad), ["container[0].diameter_mm"]);
    bad["container"][0]["diameter_mm"] = json!(30.0);
    let round = Tray::check(&bad).unwrap().containers[0].footprint.unwrap();
    assert!(round.contains(16.0, 17.0) && !round.contains(1.5, 2.5));
}

#[test]
fn a_place_lies_on_a_belt_and_on_no_other_place() {
    let place = |sample: &str, x: f64, y: f64, width: f64, length: f64| json!({"sample": sample, "plant": "P", "x_mm": x, "y_mm": y, "width_mm": width, "length_mm": length});
    let map = |containers: &[Value]| json!({"tray": "T", "keys": ["plant"], "container": containers});
    let good = map(&[place("a", 0.0, -0.5, 10.0, 10.0), place("b", 10.0, 0.0, 10.0, 9.5), place("c", 0.0, 9.5, 20.0, 9990.5)]);
    assert_eq!(Tray::check(&good).unwrap().containers.len(), 3);
    for (bad, path) in [
        (place("a", -1.0, 0.0, 1.0, 1.0), "x_mm"),
        (place("a", 0.0, -1e300, 1.0, 1.0), "y_mm"),
        (place("a", 1e300, 0.0, 1.0, 1.0), "x_mm"),
        (place("a", 0.0, 0.0, 1e300, 1.0), "width_mm"),
        (place("a", 0.0, 0.0, 1.0, 0.0), "length_mm"),
        (place("a", 0.0, 0.0, 1.0, -5.0), "length_mm"),
        (place("a", 0.0, 9_999.0, 1.0, 2.0), "y_mm"),
        (place("a", f64::NAN, 0.0, 1.0, 2.0), "x_mm"),
    ] {
        assert_eq!(problems(&map(&[bad])), [format!("container[0].{path}")]);
    }
    let mut disc = json!({"sample": "c", "plant": "P", "x_mm": 1.0, "y_mm": 1.0, "diameter_mm": 4.0});
    let all = map(&[place("a", 0.0, 0.0, 10.0, 10.0), place("b", 9.0, 9.0, 10.0, 10.0), disc.clone(), place("d", 5.0, 5.0, -1.0, 1.0)]);
    assert_eq!(problems(&all), ["container[3].width_mm", "container[1]", "container[2]"], "all faults at once");
    disc["diameter_mm"] = json!([4.0]);
    assert_eq!(problems(&map(&[disc])), ["container[0].diameter_mm"]);
    let crowd: Vec<Value> = (0..MOST_CONTAINERS).map(|i| place(&format!("s{i}"), 1.0, 1.0, 5.0, 5.0)).collect();
    assert_eq!(problems(&map(&crowd)).len(), MOST_FAULTS + 1);
}

/// What the published schema refuses, the reader refuses too.
#[test]
fn the_schema_promises_no_more_than_is_checked() {
    let mut schema = map_schema(&mut schemars::SchemaGenerator::default()).to_value();
    schema.as_object_mut().unwrap().remove("x-checked-by");
    let fits = |map: &Value| crate::json::misfits(map, &schema, &Map::new()).is_empty();
    let mut map = good();
    map["container"][0]["x_mm"] = json!(1.0);
    for (key, value) in [("y_mm", 1.0), ("diameter_mm", 5.0)] {
        map["container"][0][key] = json!(value);
    }
    map["container"][1] = json!({"sample": "s2", "plant": 2, "x_mm": 20, "y_mm": 0, "width_mm": 5, "length_mm": 5.5, "vars": {}});
    assert!(fits(&map) && Tray::check(&map).is_ok(), "{:?}", Tray::check(&map));
    let mut refused = 0;
    let places = ["", "/tray", "/keys", "/keys/0", "/grid", "/grid/rows", "/container", "/container/0", "/container/0/at"];
    let more = ["sample", "plant", "x_mm", "diameter_mm", "vars", "vars/Cu"].map(|key| format!("/container/0/{key}"));
    for place in places.into_iter().map(str::to_owned).chain(more) {
        let others = [json!(null), json!(true), json!([]), json!({}), json!([["A1"]]), json!({"x": [1]}), json!(""), json!(-1), json!(1e9)];
        for other in others.into_iter().chain([json!("x".repeat(300)), json!([null, 0.5])]) {
            let mut bad = map.clone();
            *bad.pointer_mut(&place).unwrap() = other.clone();
            if !fits(&bad) {
                refused += 1;
                assert!(Tray::check(&bad).is_err(), "{place} is {other}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn names_that_could_leave_a_folder_are_refused() {
    for name in ["", ".hidden", "a/b", "..", "ü", &"x".repeat(65)] {
        assert!(!is_name(name), "{name}");
    }
    assert!(is_name("P1-2018-07_M100.a"));
}
