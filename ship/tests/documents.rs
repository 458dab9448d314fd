//! What the documents say of the shipper.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn metric_names(text: &str) -> BTreeSet<&str> {
    let letters = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !letters(c)).filter(|word| word.starts_with("hyclus_ship_") && !word.ends_with('_')).collect()
}

#[test]
fn the_metrics_of_the_page_are_those_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(folder.join("../docs/archive.md")).unwrap();
    let source = fs::read_to_string(folder.join("src/metrics.rs")).unwrap();
    let known: BTreeSet<&str> = metric_names(&source).into_iter().filter(|name| source.contains(&format!("\"{name}\""))).collect();
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(metric_names(&page), known);
}
