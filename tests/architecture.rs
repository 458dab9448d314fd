//! The house has floors: a room of `src/` uses rooms below its own, and those beside it without a circle.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floor of every room, as the table of docs/architecture.md gives it.
type Floors = BTreeMap<String, u32>;

/// Imports of one room from another, with a file that has one.
type Imports = BTreeMap<(String, String), PathBuf>;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => found.extend(sources(&path)),
            Some(end) if end == "rs" => found.push(path),
            _ => {}
        }
    }
    found
}

/// The rooms that a source names, outside comments and test modules.
fn rooms_named(source: &str) -> BTreeSet<String> {
    let product = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: String = product.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => _ = rooms.insert(word(after)),
            Some(list) => {
                let mut depth = 1;
                let mut at_start = true;
                for (place, c) in list.char_indices() {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    if depth == 0 {
                        break;
                    }
                    if depth == 1 && at_start && c.is_alphabetic() {
                        rooms.insert(word(&list[place..]));
                    }
                    at_start = c == ',' || at_start && c.is_whitespace();
                }
            }
        }
    }
    rooms
}

/// Reads the rows `| floor | rooms |`.
fn floors(page: &str) -> Floors {
    let mut floors = Floors::new();
    for row in page.lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, floor, rooms, _] = cells[..] else { continue };
        let Ok(floor) = floor.parse() else { continue };
        for room in rooms.split('`').skip(1).step_by(2) {
            assert!(floors.insert(room.to_owned(), floor).is_none(), "docs/architecture.md gives `{room}` two floors");
        }
    }
    floors
}

fn imports(root: &Path, floors: &Floors) -> Imports {
    let mut found = Imports::new();
    for path in sources(root) {
        let relative = path.strip_prefix(root).unwrap();
        let name = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = name.trim_end_matches(".rs");
        let test = path.file_stem().is_some_and(|stem| stem == "tests" || stem == "properties" || stem == "fixture");
        if matches!(room, "lib" | "bin") || test {
            continue;
        }
        assert!(floors.contains_key(room), "{} is in a room without a floor: give `{room}` one in docs/architecture.md", path.display());
        for other in rooms_named(&fs::read_to_string(&path).unwrap()) {
            if other != room && floors.contains_key(&other) {
                found.entry((room.to_owned(), other)).or_insert_with(|| relative.to_owned());
            }
        }
    }
    found
}

/// What breaks the order of the floors.
fn faults(imports: &Imports, floors: &Floors) -> Vec<String> {
    let mut faults = Vec::new();
    for ((room, other), file) in imports {
        if floors[other] > floors[room] {
            faults.push(format!("{}: {room} imports {other}, which lies above it", file.display()));
        }
    }
    // A room that nobody left imports is in no circle.
    let mut left: Imports = imports.clone();
    loop {
        let imported: BTreeSet<String> = left.keys().map(|(_, other)| other.clone()).collect();
        let before = left.len();
        left.retain(|(room, _), _| imported.contains(room));
        if left.len() == before {
            break;
        }
    }
    let importing: BTreeSet<&String> = left.keys().map(|(room, _)| room).collect();
    faults.extend(
        left.iter()
            .filter(|((_, other), _)| importing.contains(other))
            .map(|((room, other), file)| format!("{}: {room} imports {other}, in a circle or on the way out of one", file.display())),
    );
    faults
}

#[test]
fn rooms_use_what_lies_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let floors = floors(&fs::read_to_string(root.join("docs/architecture.md")).unwrap());
    let gone: Vec<&String> =
        floors.keys().filter(|room| !root.join("src").join(room).is_dir() && !root.join(format!("src/{room}.rs")).is_file()).collect();
    assert!(gone.is_empty(), "docs/architecture.md names rooms that are gone: {gone:?}");
    let imports = imports(&root.join("src"), &floors);
    assert!(imports.len() > 50, "imports are not found any more: {imports:?}");
    let faults = faults(&imports, &floors);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_import_from_above_and_a_circle_are_found() {
    let floors = floors("| floor | rooms |\n| --- | --- |\n| 1 | `join` `inspect` `export` |\n| 2 | `store` |\n| 3 | `rig` |\n");
    assert_eq!((floors.len(), floors["inspect"], floors["rig"]), (5, 1, 3));
    let planted = |of: &str, used: &str| ((of.to_owned(), used.to_owned()), PathBuf::from(format!("{of}/mod.rs")));
    assert_eq!(faults(&Imports::from([planted("store", "join"), planted("export", "inspect")]), &floors), [""; 0]);
    assert_eq!(faults(&Imports::from([planted("store", "rig")]), &floors), ["store/mod.rs: store imports rig, which lies above it"]);
    assert_eq!(faults(&Imports::from([planted("export", "inspect"), planted("inspect", "export")]), &floors).len(), 2);
    let source = "// use crate::rig;\nuse crate::{join::{Axes, Row}, scan};\nlet x = crate::disk::y();\n#[cfg(test)]\nmod tests {\nuse crate::rig;\n}";
    assert_eq!(rooms_named(source), ["disk", "join", "scan"].map(str::to_owned).into());
}

/// Lines that a source file may have.
const FILE_LINES: usize = 500;
/// Lines that a room may have.
const ROOM_LINES: usize = 3000;

#[test]
fn rooms_and_files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    let mut rooms: BTreeMap<String, usize> = BTreeMap::new();
    for folder in ["src", "drivers", "study", "tests", "benches", "examples"] {
        for path in sources(&root.join(folder)) {
            let (relative, lines) = (path.strip_prefix(root).unwrap().display().to_string(), lines(&path));
            assert!(lines <= FILE_LINES, "{relative} has {lines} lines: is there a second thing in it that wants its own name?");
            if let Some(inside) = relative.strip_prefix("src/") {
                *rooms.entry(inside.split('/').next().unwrap_or_default().to_owned()).or_default() += lines;
            }
        }
    }
    let large: Vec<_> = rooms.iter().filter(|(_, lines)| **lines > ROOM_LINES).collect();
    assert!(large.is_empty(), "rooms of more than {ROOM_LINES} lines: {large:?}");
}

/// Words that a reader stumbles over, and paths that say nothing of where they lead.
const AVOIDED: [&str; 5] = ["whoever", "stands back", "makes up for", "what of ", "super::super"];

#[test]
fn comments_use_plain_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "drivers", "study"] {
        for path in sources(&root.join(folder)) {
            for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
                let comment = line.trim_start().starts_with("//") || line.contains("super::super");
                let lower = line.to_lowercase();
                for word in AVOIDED.iter().filter(|word| comment && lower.contains(**word)) {
                    found.push(format!("{}:{}: {word}", path.strip_prefix(root).unwrap().display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "CONTRIBUTING.md says how comments are written:\n{}", found.join("\n"));
}
