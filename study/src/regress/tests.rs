//! The whole regression, from a configuration to its files.

use super::run;
use crate::config::Config;
use crate::data::tests::part;
use std::path::{Path, PathBuf};

/// A study of 24 samples whose spectra count up, with a table and further settings.
fn study(folder: &Path, table: &str, settings: &str) -> Config {
    let names: Vec<String> = (10..34).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    part(&folder.join("a.parquet"), &names, 0.0, &[400.0, 700.0, 1000.0], None);
    std::fs::write(folder.join("assays.csv"), table).unwrap();
    let text = format!(
        "[data]\nsources = [\"a.parquet\"]\n[reduce]\nfolder = \"reduced\"\npca = [1]\nautoencoder = []\nencoder = []\n[regress]\ntable = \
         \"assays.csv\"\nfolder = \"out\"\nfolds = 5\ncomponents = 2\n{settings}"
    );
    let path = folder.join("study.toml");
    std::fs::write(&path, text).unwrap();
    Config::read(&path).unwrap()
}

/// Labels of all samples but the last two, on a line over the brightness with a little scatter.
fn table(label: impl Fn(i32) -> String) -> String {
    let rows = (10..32).map(|i| format!("sample-{i},{},{}\n", i % 7, label(i)));
    "sample,hole,fe [%]\n".to_owned() + &rows.collect::<String>()
}

fn scattered(i: i32) -> String {
    format!("{}", 2.0 * f64::from(i) + 0.3 * f64::from((i * 5) % 7 - 3))
}

fn csv(path: PathBuf) -> Vec<csv::StringRecord> {
    csv::Reader::from_path(path).unwrap().records().map(Result::unwrap).collect()
}

#[test]
fn a_table_becomes_values_intervals_and_a_head() {
    let folder = tempfile::tempdir().unwrap();
    let config = study(folder.path(), &table(scattered), "group = \"hole\"\ncodes = [\"pca1\"]\n");
    {
        let mut plain = config.clone();
        plain.data.labels.clear();
        let study = crate::Study::open(&plain).unwrap();
        study.fit_pca().unwrap();
        study.representations().iter().for_each(|name| study.encode(name).unwrap());
    }
    let said = run(&config, &|_, _, _| ()).unwrap();
    assert!(said.contains("fe by spectra: RMSE ") && said.contains("fe by pca1: RMSE "), "{said}");
    let out = folder.path().join("out");
    let rows = csv(out.join("regress.csv"));
    assert_eq!(rows.len(), 2 * 24);
    for row in &rows {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        assert_eq!((&row[0], &row[1]), ("fe", "%"));
        assert!(number(8) <= number(9) && (number(7) - number(8)).abs() < 50.0, "{row:?}");
        assert_eq!(&row[11] == "yes", number(10) > 1.0);
        assert_eq!(row[12].is_empty(), &row[11] == "no");
        // Samples of a hole are in one fold, and samples without a label in none.
        assert!(rows.iter().all(|other| other[4] != row[4] || other[6] == row[6]));
        assert_eq!(row[5].is_empty(), row[6].is_empty());
    }
    assert_eq!(
        rows.iter().filter(|row| row[6].is_empty()).map(|row| row[3].to_owned()).collect::<Vec<_>>()[..2],
        ["sample-32", "sample-33"]
    );
    let summary = csv(out.join("regress-summary.csv"));
    let [rmse, r2, coverage, baseline] = [7, 10, 13, 16].map(|i| summary[0][i].parse::<f64>().unwrap());
    assert!(rmse < 1.5 && r2 > 0.95 && (0.7..=1.0).contains(&coverage) && baseline < 2.0, "{summary:?}");
    assert_eq!((&summary[0][3], &summary[0][4], &summary[0][5]), ("22", "7", "5"));
    let figure = std::fs::read_to_string(out.join("regress-fe-spectra.svg")).unwrap();
    assert_eq!(figure.matches("<circle").count(), 22 + 2);
    assert!(out.join("head-fe.onnx").is_file() && !out.join("head-pca1.onnx").exists());
    let first = std::fs::read(out.join("regress.csv")).unwrap();
    run(&config, &|_, _, _| ()).unwrap();
    assert_eq!(std::fs::read(out.join("regress.csv")).unwrap(), first, "the same input gives the same bytes");
}

#[test]
fn labels_that_teach_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = |table: &str, settings: &str| run(&study(folder.path(), table, settings), &|_, _, _| ()).unwrap_err().to_string();
    let equal = said(&table(|_| "3".into()), "");
    assert!(
        equal.ends_with("column `hole` teaches nothing") || equal.contains("column `fe` is 3 in every row, which teaches nothing"),
        "{equal}"
    );
    let few = "sample,fe,cu\nsample-10,1,1\nsample-11,2,\nsample-12,3,\nsample-13,4,\nsample-14,5,\nsample-15,6,\n";
    let both = said(few, "");
    assert!(both.contains("2 fault(s)") && both.contains("column `cu` has labels of 1 samples; it needs 5 or more"), "{both}");
    assert!(both.contains("column `fe` has 6 labels, of which 4 calibrate intervals at 90 %; 9 are needed"), "{both}");
    let holes = said(&table(scattered).replace(",6,", ",1,").replace(",5,", ",2,").replace(",4,", ",3,"), "group = \"hole\"\n");
    assert!(holes.contains("column `fe` has labels of 4 groups by `hole`; it needs 5 or more"), "{holes}");
    let unknown = said(&table(scattered).replace("sample-12", "sample-99"), "");
    assert!(unknown.contains("row 4: the study has no spectra of sample \"sample-99\""), "{unknown}");
    let codes = said(&table(scattered), "codes = [\"dense9\"]\n");
    assert_eq!(codes, "regress.codes names \"dense9\"; there are: pca1");
    let mut config = study(folder.path(), &table(scattered), "");
    config.regress.table = None;
    let none = run(&config, &|_, _, _| ()).unwrap_err().to_string();
    assert!(none.starts_with("regress.table names no table of labels"), "{none}");
}

#[test]
fn settings_out_of_range_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.toml");
    for (setting, expected) in [
        ("level = 1.0", "regress.level is 1, and must be 0.5 to 0.99"),
        ("accept = 0.2", "regress.accept is 0.2, and must be 0.5 to 0.9999"),
        ("folds = 3", "regress.folds is 3, and must be 5 to 20"),
        ("components = 0", "regress.components is 0, and must be 1 to 100"),
        ("windows = [7, 8]", "regress.windows is 8, and must be odd numbers from 5 to 99"),
        ("mask = [{ name = \"x\", drop_nm = [[900, 800]] }]", "regress.mask.drop_nm is [900.0, 800.0]"),
        ("group = \"sample\"", "regress.sample is \"sample\", and must be the name of a column other than regress.group"),
    ] {
        std::fs::write(&path, format!("[regress]\n{setting}\n")).unwrap();
        let said = Config::read(&path).unwrap_err().to_string();
        assert!(said.contains(expected), "{setting}: {said}");
    }
}
