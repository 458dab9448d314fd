//! Parts of the data set that other programs wrote, parts of an older format, and files that claim what they do not hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod python;

use hyclus::data_root;
use hyclus::publish::{DataSet, Tail, TailRow, inspect};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCAN: &str = "20000101T000000Z-T1";

/// A copy of the kept scan of the first format.
fn first_format() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
            let target = to.join(entry.file_name().unwrap());
            if entry.is_dir() { copy(&entry, &target) } else { fs::write(target, fs::read(&entry).unwrap()).unwrap() }
        }
    }
    let root = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/1"), root.path());
    root
}

fn part(root: &Path) -> PathBuf {
    root.join(format!("embeddings/scan={SCAN}/part-00000.parquet"))
}

fn rows(root: &Path) -> Result<Vec<TailRow>, String> {
    let mut tail = Tail::new(&DataSet::main(root), Some(SCAN));
    let mut rows = Vec::new();
    while let Some(mut row) = tail.poll().map_err(|error| error.to_string())? {
        row.keys.sort();
        rows.push(row);
    }
    Ok(rows)
}

fn hyclus(arguments: &[&str]) -> String {
    let ended = Command::new(env!("CARGO_BIN_EXE_hyclus")).args(arguments).output().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap() + &String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{arguments:?}: {said}");
    said
}

fn shown(path: &Path) -> Result<String, String> {
    let mut out = Vec::new();
    inspect(path, &mut out).map_err(|error| error.to_string()).map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn parts_of_the_first_format_become_parts_of_the_second_with_the_same_rows() {
    let root = first_format();
    let data = root.path().to_str().unwrap();
    let (before, bytes) = (rows(root.path()).unwrap(), fs::read(part(root.path())).unwrap());
    assert!(hyclus(&["upgrade", "--data", data]).contains(&format!("{SCAN}: 1 part written again")));
    assert_eq!(rows(root.path()).unwrap(), before);
    let text = shown(&part(root.path())).unwrap();
    for wanted in ["hyclus.format_version  2\n", "time       timestamp(", "time_ns    int64", "quality    int16", "plant      string"] {
        assert!(text.contains(wanted), "`{wanted}` is not in:\n{text}");
    }
    assert!(hyclus(&["verify", "--data", data, SCAN]).contains("all as scan.json says"));
    let (record, written) = (data_root::records(root.path()).remove(0), fs::read(part(root.path())).unwrap());
    assert!(record.embeddings == before.len() as u64 && written != bytes);
    assert!(hyclus(&["upgrade", "--data", data, SCAN]).contains("are of the present format"));
    assert_eq!(fs::read(part(root.path())).unwrap(), written);
}

#[test]
fn what_other_programs_write_is_read_or_refused_by_the_column() {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        return;
    }
    let root = first_format();
    hyclus(&["upgrade", "--data", root.path().to_str().unwrap()]);
    let out = tempfile::tempdir().unwrap();
    python::run("rewrite_parts.py", &[&part(root.path()), out.path()]);
    let folders = |name: &str| -> Vec<PathBuf> {
        let mut folders: Vec<_> = fs::read_dir(out.path().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        folders
    };
    let (wanted, mut failures) = (rows(root.path()).unwrap(), Vec::new());
    let same = folders("same");
    assert!(same.len() >= 24, "{same:?}");
    for folder in same {
        match rows(&folder) {
            Ok(found) if found == wanted => {}
            Ok(found) => failures.push(format!("{}: {} rows, first {:?}", folder.display(), found.len(), found.first())),
            Err(error) => failures.push(error),
        }
        match shown(&part(&folder)) {
            Ok(text) if text.contains("row 4\n") => {}
            found => failures.push(format!("{}: {found:?}", folder.display())),
        }
    }
    for folder in folders("wrong") {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let column = name.split_once('-').unwrap().0;
        match rows(&folder) {
            Err(error) if error.contains(&format!("column {column}")) && error.contains("part-00000.parquet") => {}
            found => failures.push(format!("{name}: {found:?}")),
        }
        // It is shown all the same.
        if let Err(error) = shown(&part(&folder)) {
            failures.push(error);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A file of a footer alone.
fn footer(footer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    [b"PAR1", footer, &length, b"PAR1"].concat()
}

#[test]
fn no_size_that_a_file_states_is_believed() {
    let root = first_format();
    let path = part(root.path());
    let good = fs::read(&path).unwrap();
    let refused = |bytes: &[u8], why: &str| {
        fs::write(&path, bytes).unwrap();
        for error in [shown(&path).unwrap_err(), rows(root.path()).unwrap_err()] {
            assert!(error.contains(why) && error.contains("part-00000.parquet"), "`{why}` is not in `{error}`");
        }
    };
    // The head of the first page, as another of 2^31 - 1 bytes.
    let mut page = good.clone();
    page[4..14].copy_from_slice(&[0x15, 0, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 2]);
    page[14] = 0;
    refused(&page, "column sample, row group 0: the page at byte 15 should have 2147483647 bytes from 1");
    // A list of 2^31 row groups, and columns within columns within columns.
    refused(&footer(&[0x15, 2, 0x39, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]), "a list is announced");
    let deep: Vec<u8> = [&[0x15, 2, 0x19, 0xfc, 0xd0, 0x0f][..], &[0x55, 2, 0].repeat(2000), &[0]].concat();
    refused(&footer(&deep), "nested deeper");
    refused(&footer(&[]), "damaged");
    refused(&good[..good.len() - 9], "does not end as a Parquet file ends");
    refused(b"PAR1", "no Parquet file is so short");
    let mut long = good.clone();
    let at = long.len() - 8;
    long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(&long, "its footer should have 4294967295 bytes");
    // Cut off in the middle, with the footer in its place.
    let cut = [&good[..200], &good[good.len() - 8..]].concat();
    fs::write(&path, cut).unwrap();
    assert!(shown(&path).is_err() && rows(root.path()).is_err());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(shown(&path).unwrap_err().contains("no regular file"));
}

/// The corpus of the fuzz target: the same rows, as programs write them by default or on demand. Spark wrote two of the files.
#[test]
fn the_codecs_and_types_of_other_programs_are_read() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parquet");
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(part(root.path()).parent().unwrap()).unwrap();
    let (mut wanted, mut codecs) = (None, 0);
    for entry in fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()) {
        fs::write(part(root.path()), fs::read(&entry).unwrap()).unwrap();
        if entry.ends_with("refused-count") {
            // Its only column states 2^35 texts, for which the library would reserve memory.
            assert!(
                shown(&part(root.path())).unwrap_err().contains("column sample, row group 0: its texts are encoded by their differences")
            );
            continue;
        }
        if entry.ends_with("few-columns") {
            assert!(rows(root.path()).unwrap_err().contains("column container of type string, found no such column"));
            continue;
        }
        let found = rows(root.path()).unwrap_or_else(|error| panic!("{}: {error}", entry.display()));
        assert_eq!((found.len(), found[2].quality, found[5].embedding.clone()), (6, 128, vec![3.75, 4.0, 4.25]), "{}", entry.display());
        assert_eq!(found[5].keys, [("plant".to_owned(), "P2".to_owned())], "{}", entry.display());
        assert!(shown(&part(root.path())).unwrap().contains("row 4\n"));
        found.iter().for_each(|row| assert_eq!(row.time_ns, 1_530_627_302_000_000_001 + 1000 * i64::from(row.line)));
        assert_eq!(wanted.get_or_insert_with(|| found.clone()), &found, "{}", entry.display());
        codecs += 1;
    }
    assert!(codecs >= 11, "{codecs}");
}
