//! What the documents say is tried: README.md is run from top to bottom on the simulated rig, links and make targets exist,
//! config/rig.example.toml knows every key, and the devices of drivers/README.md are those that are tested.

#![allow(clippy::unwrap_used)]

use hyclus::config::Loaded;
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

/// README.md takes about half a minute.
const PATIENCE: Duration = Duration::from_secs(180);

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

/// Shell blocks as one bash script; Python blocks without a shell block between them as one Python process.
fn script(readme: &str, folder: &Path) -> String {
    let with_python = std::env::var_os("HYCLUS_SKIP_PYTHON").is_none();
    let mut script = String::from("set -eu\ntrap 'echo \"README.md: failed in the block at line $block\" >&2' ERR\n");
    let mut python: Option<(PathBuf, String)> = None;
    let finish = |python: &mut Option<(PathBuf, String)>, script: &mut String| {
        if let Some((path, text)) = python.take() {
            fs::write(&path, text).unwrap();
            script.push_str(&format!("python3 '{}'\n", path.display()));
        }
    };
    for block in blocks(readme) {
        match block.language.as_str() {
            "sh" => {
                finish(&mut python, &mut script);
                script.push_str(&format!("block={}\n{}", block.line, block.text));
            }
            "python" if with_python => {
                if python.is_none() {
                    script.push_str(&format!("block={}\n", block.line));
                }
                let path = folder.join(format!("readme-{}.py", block.line));
                python.get_or_insert((path, String::new())).1.push_str(&block.text);
            }
            _ => {}
        }
    }
    finish(&mut python, &mut script);
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

/// A folder that looks to README.md like this tree after `make demo`, without its data.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    copy(&root().join("config"), &here.join("config"));
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
fn readme_runs_from_top_to_bottom() {
    let folder = checkout();
    let text = script(&read("README.md"), folder.path());
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
    let status = status.unwrap_or_else(|_| panic!("README.md takes longer than {PATIENCE:?}\n{said}\n{}", log())).unwrap();
    assert!(status.success(), "{status}\n{said}\n{}", log());

    let record = |scan: &Path| -> Value { serde_json::from_str(&fs::read_to_string(scan.join("scan.json")).unwrap()).unwrap() };
    let mut scans: Vec<PathBuf> = fs::read_dir(folder.path().join("data/scans")).unwrap().map(|entry| entry.unwrap().path()).collect();
    scans.sort();
    let [first, second] = &scans[..] else { panic!("two scans, not {scans:?}\n{said}") };
    let (first, second) = (record(first), record(second));
    assert_eq!(first["complete"], Value::Bool(true), "{said}");
    assert_eq!(first["samples"].as_array().unwrap().len(), 12, "{said}");
    assert_eq!(second["complete"], Value::Bool(false), "a scan that was stopped\n{said}");
    let again = fs::read_dir(folder.path().join("data/again/scans")).unwrap().map(|entry| entry.unwrap().path()).next().unwrap();
    assert_eq!(record(&again)["samples"].as_array().unwrap().len(), 12, "{said}");
    assert!(said.contains("hyclus_"), "metrics are shown\n{said}");
}

#[test]
fn configurations_in_the_readme_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("config"), folder.path());
    let mut seen = 0;
    for block in blocks(&read("README.md")).iter().filter(|block| block.language == "toml") {
        let table: toml::Table = block.text.parse().unwrap_or_else(|e| panic!("line {}: {e}", block.line));
        if table.contains_key("container") {
            let path = folder.path().join("tray.toml");
            fs::write(&path, &block.text).unwrap();
            Tray::read(&path).unwrap_or_else(|faults| panic!("line {}: {faults:?}", block.line));
        } else {
            let mut rig: toml::Table = read("config/simulated.toml").parse().unwrap();
            rig.extend(table);
            let path = folder.path().join("fragment.toml");
            fs::write(&path, rig.to_string()).unwrap();
            Loaded::read(&path).unwrap_or_else(|error| panic!("line {}: {error}", block.line));
        }
        seen += 1;
    }
    assert!(seen >= 2, "a tray map and a section of the configuration");
}

#[test]
fn links_and_make_targets_of_the_documents_exist() {
    let makefile = read("Makefile");
    for document in ["README.md", "drivers/README.md", "src/decisions.md"] {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            assert!(link.contains("://") || folder.join(link).exists(), "{document}: {link} does not exist");
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
