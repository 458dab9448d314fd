//! Tries what the documents say. README.md and the pages of docs/ run from top to bottom on the simulated rig. Links, make targets and
//! metrics exist, config/rig.example.toml knows every key, and the devices of drivers/README.md are those that are tested.

#![allow(clippy::unwrap_used)]

use hyclus::config::Loaded;
use hyclus::identify::Library;
use hyclus::scan::Tray;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The pages take about a minute and a quarter.
const PATIENCE: Duration = Duration::from_secs(300);
/// Languages of blocks that are run or read here, and of those that nothing can run. Another test compares each `tree` with a file.
const TRIED: [&str; 4] = ["sh", "python", "toml", "json"];
const SHOWN: [&str; 4] = ["console", "text", "ini", "tree"];
/// Lines of README.md that somebody reads before the pages.
const README_LINES: usize = 150;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A fenced block of a document.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
    /// Line on which its text begins, from 1.
    line: usize,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut list: Vec<Block> = Vec::new();
    let mut open = false;
    for (i, line) in markdown.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                list.push(Block { language: language.trim().to_owned(), text: String::new(), line: i + 2 });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let block = list.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!open, "a fence is not closed");
    list
}

/// The pages of docs/ in the order in which its index names them.
fn pages() -> Vec<String> {
    links(&read("docs/README.md"))
        .into_iter()
        .filter(|link| link.ends_with(".md") && !link.contains('/'))
        .map(|link| format!("docs/{link}"))
        .collect()
}

/// README.md and the pages, as one bash script: shell blocks, and Python blocks without a shell block between them as one process.
fn script(folder: &Path) -> String {
    let with_python = std::env::var_os("HYCLUS_SKIP_PYTHON").is_none();
    let mut script = String::from("set -eu\ntrap 'echo \"$page: failed in the block at line $block\" >&2' ERR\n");
    let mut python: Option<(PathBuf, String)> = None;
    let finish = |python: &mut Option<(PathBuf, String)>, script: &mut String| {
        if let Some((path, text)) = python.take() {
            fs::write(&path, text).unwrap();
            script.push_str(&format!("python3 '{}'\n", path.display()));
        }
    };
    for (number, page) in std::iter::once("README.md".to_owned()).chain(pages()).enumerate() {
        script.push_str(&format!("page={page}\n"));
        for block in blocks(&read(&page)) {
            match block.language.as_str() {
                "sh" => {
                    finish(&mut python, &mut script);
                    script.push_str(&format!("block={}\n{}", block.line, block.text));
                }
                "python" if with_python => {
                    if python.is_none() {
                        script.push_str(&format!("block={}\n", block.line));
                    }
                    let path = folder.join(format!("page-{number}-{}.py", block.line));
                    python.get_or_insert((path, String::new())).1.push_str(&block.text);
                }
                _ => {}
            }
        }
        finish(&mut python, &mut script);
    }
    script
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Kills a process and all that it started.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0)]).stderr(Stdio::null()).status();
    }
}

/// A folder that looks to the pages like this tree after `make demo`, without its data.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    copy(&root().join("config"), &here.join("config"));
    copy(&root().join("examples"), &here.join("examples"));
    for sub in ["target/debug", ".cache/onnxruntime", "bin"] {
        fs::create_dir_all(here.join(sub)).unwrap();
    }
    symlink(env!("CARGO_BIN_EXE_hyclus"), here.join("target/debug/hyclus")).unwrap();
    symlink(env!("CARGO_BIN_EXE_hyclusd"), here.join("target/debug/hyclusd")).unwrap();
    let onnxruntime = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    let onnxruntime = onnxruntime.unwrap_or_else(|| root().join(".cache/onnxruntime/libonnxruntime.so"));
    assert!(onnxruntime.is_file(), "{} is missing; run `make test`, or name ONNX Runtime by ORT_DYLIB_PATH", onnxruntime.display());
    symlink(onnxruntime.canonicalize().unwrap(), here.join(".cache/onnxruntime/libonnxruntime.so")).unwrap();
    if let Some(packages) = std::env::var_os("PYTHONPATH").and_then(|paths| std::env::split_paths(&paths).next()) {
        symlink(packages, here.join(".cache/python")).unwrap();
    }
    let python = std::env::var("HYCLUS_PYTHON").ok().filter(|python| !python.is_empty()).unwrap_or_else(|| "python3".into());
    let python =
        Command::new(&python).args(["-c", "import sys; print(sys.executable)"]).output().unwrap_or_else(|e| panic!("{python}: {e}"));
    let python = String::from_utf8(python.stdout).unwrap();
    executable(&here.join("bin/python3"), &format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.trim()));
    folder
}

#[test]
fn the_pages_run_from_top_to_bottom() {
    let folder = checkout();
    let text = script(folder.path());
    let path = std::env::var("PATH").unwrap_or_default();
    // Files, not pipes: a daemon that outlives a failed script would hold those open.
    let output = folder.path().join("output.txt");
    let file = fs::File::create(&output).unwrap();
    let mut child = Command::new("bash")
        .args(["-c", &text])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", folder.path().join("bin").display()))
        .env("HYCLUS_LOG", "info")
        .env_remove("HYCLUS_LOG_FORMAT")
        .env_remove("HYCLUS_SOCKET")
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .process_group(0)
        .spawn()
        .unwrap();
    let group = Group(child.id());
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait()));
    let status = done.recv_timeout(PATIENCE);
    drop(group);
    let said = fs::read_to_string(&output).unwrap();
    let log = || fs::read_to_string(folder.path().join("data/hyclusd.log")).unwrap_or_default();
    let status = status.unwrap_or_else(|_| panic!("the pages take longer than {PATIENCE:?}\n{said}\n{}", log())).unwrap();
    assert!(status.success(), "{status}\n{said}\n{}", log());

    let scans = |root: &str| -> Vec<Value> {
        let folders = fs::read_dir(folder.path().join(root).join("scans")).unwrap();
        let mut paths: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path().join("scan.json")).collect();
        paths.sort();
        paths.iter().map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).collect()
    };
    let samples = |scan: &Value| scan["samples"].as_array().unwrap().len();
    let all = scans("data");
    let [first, second, third] = &all[..] else { panic!("three scans, not {}\n{said}", all.len()) };
    assert_eq!((&first["complete"], samples(first)), (&Value::Bool(true), 12), "{said}");
    assert_eq!(second["complete"], Value::Bool(false), "a scan that was stopped\n{said}");
    assert_eq!((&third["complete"], samples(third)), (&Value::Bool(true), 2), "the scan of an example\n{said}");
    let followed = format!("{} rows", third["embeddings"]);
    assert!(third["embeddings"].as_u64() > Some(0) && said.lines().any(|line| line == followed), "all are followed\n{said}");
    assert_eq!(samples(&scans("data/again")[0]), 12, "{said}");
    assert!(said.contains("hyclus_"), "metrics are shown\n{said}");
}

#[test]
fn blocks_are_run_read_or_known_to_be_shown_only() {
    assert!(read("README.md").lines().count() <= README_LINES, "README.md is longer than {README_LINES} lines");
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("config"), folder.path());
    let mut seen = BTreeMap::new();
    for page in std::iter::once("README.md".to_owned()).chain(pages()) {
        for block in blocks(&read(&page)) {
            let place = format!("{page}, line {}", block.line);
            match block.language.as_str() {
                "toml" => check_toml(&block.text, folder.path(), &place),
                "json" => drop(serde_json::from_str::<Value>(&block.text).unwrap_or_else(|error| panic!("{place}: {error}"))),
                other => assert!(TRIED.contains(&other) || SHOWN.contains(&other), "{place}: nothing tries a block of `{other}`"),
            }
            *seen.entry(block.language).or_insert(0) += 1;
        }
    }
    assert!(seen["sh"] >= 15 && seen["python"] >= 5 && seen["toml"] >= 3, "{seen:?}");
}

/// A tray map and a mineral are checked as such; anything else is part of a configuration, and replaces what the simulated rig has there.
fn check_toml(text: &str, folder: &Path, place: &str) {
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{place}: {error}"));
    if table.contains_key("container") {
        let path = folder.join("tray.toml");
        fs::write(&path, text).unwrap();
        Tray::read(&path).unwrap_or_else(|faults| panic!("{place}: {faults:?}"));
    } else if table.contains_key("entry") {
        // A mineral joins those of the library.
        let path = folder.join("minerals.toml");
        fs::write(&path, read("config/minerals/usgs.toml") + text).unwrap();
        fs::copy(root().join("config/minerals/usgs.csv"), folder.join("usgs.csv")).unwrap();
        Library::read(&path).unwrap_or_else(|faults| panic!("{place}: {faults}"));
    } else {
        let mut rig: toml::Table = read("config/simulated.toml").parse().unwrap();
        rig.extend(table);
        let path = folder.join("fragment.toml");
        fs::write(&path, rig.to_string()).unwrap();
        Loaded::read(&path).unwrap_or_else(|error| panic!("{place}: {error}"));
    }
}

#[test]
fn every_page_is_in_the_index_and_every_example_on_a_page() {
    let pages = pages();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let page = format!("docs/{name}");
        assert!(!name.ends_with(".md") || name == "README.md" || pages.contains(&page), "docs/README.md does not name {name}");
    }
    let script = script(tempfile::tempdir().unwrap().path());
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".py") {
            assert!(script.contains(&format!("python3 examples/{name}")), "no page runs examples/{name}");
        } else {
            // As one of the workspace, its own tests are run beside these.
            let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
            let members = manifest["workspace"]["members"].as_array().unwrap();
            assert!(members.contains(&format!("examples/{name}").into()), "examples/{name} is not of the workspace");
        }
    }
}

/// Every file of a folder of this tree with that ending, by its path in this tree: neither what is built or scanned here, nor what is hidden.
fn files(folder: &str, ending: &str) -> Vec<String> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if !entry.file_type().unwrap().is_dir() {
                found.extend(name.ends_with(ending).then(|| entry.path()));
            } else if !name.starts_with('.') && !["target", "data", "node_modules"].contains(&name.as_str()) {
                walk(&entry.path(), ending, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found.sort();
    found.iter().map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()).collect()
}

/// Where the links of a document lead.
fn links(markdown: &str) -> Vec<&str> {
    markdown.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link).collect()
}

/// The anchors of a document's headings, as hosts of repositories make them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let headings = markdown.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn links_and_make_targets_of_the_documents_exist() {
    let makefile = read("Makefile");
    let documents = files("", ".md");
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/README.md", "drivers/README.md", "study/README.md"] {
        assert!(documents.iter().any(|found| found == document), "{document} is among {documents:?}");
    }
    for document in &documents {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if path.is_empty() { root().join(document) } else { folder.join(path) };
            assert!(path.exists(), "{document}: {link} does not exist");
            if !anchor.is_empty() {
                assert!(anchors(&fs::read_to_string(&path).unwrap()).contains(anchor), "{document}: {link} has no such heading");
            }
        }
        for after in text.split("make ").skip(1) {
            let before = &text[..after.as_ptr() as usize - text.as_ptr() as usize];
            if !(before.ends_with("`make ") || before.ends_with("$ make ") || before.ends_with("# make ")) {
                continue;
            }
            for target in after.split(['`', '\n', '#', ',']).next().unwrap().split_whitespace().filter(|word| !word.contains('=')) {
                assert!(makefile.contains(&format!("\n{target}:")), "{document}: `make {target}` is no target");
            }
        }
    }
}

/// Words of a text that begin with `hyclus_`.
fn metric_names(text: &str) -> BTreeSet<&str> {
    let letters = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !letters(c)).filter(|word| word.starts_with("hyclus_")).collect()
}

#[test]
fn the_metrics_of_the_pages_are_those_of_the_program() {
    let page = read("docs/operate.md");
    let table: String = page.lines().filter(|line| line.starts_with("| `hyclus_")).filter_map(|line| line.split('|').nth(1)).collect();
    let source: String = files("src/telemetry", ".rs").iter().map(|path| read(path)).collect();
    let told = metric_names(&table);
    let known: BTreeSet<&str> = metric_names(&source).into_iter().filter(|name| source.contains(&format!("\"{name}\""))).collect();
    assert!(known.len() > 20, "{known:?}");
    assert_eq!(told, known, "docs/operate.md, and what src/telemetry registers");
    let stale: Vec<&str> = metric_names(&page).into_iter().filter(|name| !known.contains(name)).collect();
    assert!(stale.is_empty(), "docs/operate.md: {stale:?} are no metrics");
}

#[test]
fn the_devices_of_the_drivers_document_are_those_that_are_tested() {
    let document = read("drivers/README.md");
    let shown: Vec<String> = blocks(&document).into_iter().filter(|block| block.language == "rust").map(|block| block.text).collect();
    let tested = ["camera", "conveyor", "light"].map(|device| format!("drivers/contract/tests/{device}.rs"));
    assert_eq!(shown.len(), tested.len(), "a block of Rust for each of {tested:?}");
    for (shown, tested) in shown.iter().zip(tested) {
        assert!(*shown == read(&tested), "drivers/README.md and {tested} differ");
    }
}

/// A key of rig.example.toml.
#[derive(Debug)]
struct Key {
    /// With its section; the list `[[camera]]` is `camera`.
    path: String,
    /// As TOML.
    value: String,
    /// Whether it is commented out.
    quiet: bool,
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn example_keys() -> Vec<Key> {
    let mut keys = Vec::new();
    let mut section = String::new();
    for line in read("config/rig.example.toml").lines() {
        let (line, quiet) = line.strip_prefix("# ").map_or((line, false), |line| (line, true));
        let header = line.trim_start_matches('[').trim_end_matches(']');
        if line.starts_with('[') && line.ends_with(']') && header.split('.').all(is_key) {
            section = header.to_owned();
            keys.push(Key { path: section.clone(), value: String::new(), quiet });
        } else if let Some((key, value)) = line.split_once(" = ")
            && is_key(key)
        {
            keys.push(Key { path: format!("{section}.{key}"), value: value.to_owned(), quiet });
        }
    }
    keys
}

/// The keys that a schema knows, with their defaults; several where a key means different things for different devices.
fn walk(schema: &Value, node: &Value, path: &str, found: &mut BTreeMap<String, Vec<Option<Value>>>) {
    if let Some(name) = node["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        walk(schema, &schema["$defs"][name], path, found);
    }
    for kind in ["anyOf", "oneOf", "allOf"] {
        for inner in node[kind].as_array().into_iter().flatten() {
            walk(schema, inner, path, found);
        }
    }
    walk_items(schema, node, path, found);
    for (key, inner) in node["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        found.entry(path.clone()).or_default().push(inner.get("default").filter(|default| !default.is_null()).cloned());
        walk(schema, inner, &path, found);
    }
}

fn walk_items(schema: &Value, node: &Value, path: &str, found: &mut BTreeMap<String, Vec<Option<Value>>>) {
    if node["items"].is_object() {
        walk(schema, &node["items"], path, found);
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        // A default of single precision is printed with more digits than it has.
        _ => a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-6 * a.abs()),
    }
}

#[test]
fn the_example_explains_every_key_and_no_other_with_true_defaults() {
    let schema: Value = serde_json::from_str(&hyclus::config::schema()).unwrap();
    let mut known = BTreeMap::new();
    walk(&schema, &schema, "", &mut known);
    assert!(known.contains_key("simulation.faults.belt_slips.share") && known.contains_key("camera.device.path"), "{known:?}");

    let keys = example_keys();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for key in &keys {
        // `[simulation.faults.belt_slips]` names `simulation.faults` too.
        named.extend(key.path.match_indices('.').map(|(at, _)| &key.path[..at]).chain([key.path.as_str()]));
    }
    let missing: Vec<&String> = known.keys().filter(|path| !named.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "config/rig.example.toml does not explain {missing:?}");
    let stale: Vec<&&str> = named.iter().filter(|path| !known.contains_key(**path)).collect();
    assert!(stale.is_empty(), "config/rig.example.toml explains what there is not: {stale:?}");

    for key in keys.iter().filter(|key| key.quiet && !key.value.is_empty()) {
        let table: toml::Table = format!("value = {}", key.value).parse().unwrap_or_else(|e| panic!("{key:?}: {e}"));
        let value = serde_json::to_value(&table["value"]).unwrap();
        let defaults = &known[&key.path];
        assert!(
            defaults.iter().any(|default| default.as_ref().is_none_or(|default| same(default, &value))),
            "{} is commented out as {value}, but its default is {defaults:?}",
            key.path
        );
    }
}
