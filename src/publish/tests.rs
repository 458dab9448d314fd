use super::paths::unfinished_name;
use super::{DataSet, Format, Part, Publish, PublishError, RowWriter, Tail, TailRow, inspect, published, withdraw};
use crate::config::PublishConfig;
use crate::context::ScanContext;
use crate::encode::fixture::{BANDS, axes, config, container, context, expected, models, python, sample_events};
use crate::encode::{Embedded, EmbeddedRow, Encode, Encoder};
use crate::segment::Sample;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A stage of the data set of `main`.
fn begin(context: &ScanContext, config: &PublishConfig, data_dir: &Path) -> Result<Publish, PublishError> {
    Publish::new(context, context.encoder.as_ref().unwrap(), config, &DataSet::main(data_dir))
}

fn settings(max_rows: usize) -> PublishConfig {
    PublishConfig { spectra: true, max_age_s: 2.0, max_rows }
}

/// Batches of 16 rows, as an encoder would give them.
fn batches(lines: usize) -> Vec<Embedded> {
    let samples: Vec<Arc<Sample>> = (0..2)
        .map(|number| {
            Arc::new(Sample {
                number,
                container: container(number),
                first_row: 4,
                first_pixel: 1,
                width: 9,
                rim_mm: 0.0,
                levels: Vec::new(),
            })
        })
        .collect();
    let grid = axes();
    let rows = expected(lines);
    rows.chunks(16)
        .map(|chunk| {
            let mut batch = Embedded::new(4, BANDS);
            for (sample, line, pixel, spectrum) in chunk {
                batch.rows.push(EmbeddedRow {
                    sample: Arc::clone(&samples[usize::from(*sample)]),
                    line: *line,
                    pixel: *pixel,
                    x_mm: grid.x_mm(1 + *pixel as usize) as f32,
                    y_mm: grid.y_mm(4 + i64::from(*line)) as f32,
                    time_ns: 1_530_627_302_000_000_000 + 20_000_001 * i64::from(*line),
                    quality: ((*pixel as u8) << 3) | 128,
                });
                batch.embeddings.extend_from_slice(&[spectrum[0], -spectrum[1], spectrum[2] * 100.0, spectrum[3] / 100.0]);
                batch.spectra.extend_from_slice(spectrum);
            }
            batch
        })
        .collect()
}

/// Publishes batches as one scan.
fn publish(data: &Path, scan: &str, batches: &[Embedded], max_rows: usize) -> Vec<Part> {
    let mut stage = begin(&context(scan, 4), &settings(max_rows), data).unwrap();
    let mut parts = Vec::new();
    for batch in batches {
        stage.process(batch, &mut |part| parts.push(part)).unwrap();
    }
    stage.end_of_scan(&mut |part| parts.push(part)).unwrap();
    parts
}

fn json_rows(scan: &str, batches: &[Embedded]) -> Vec<serde_json::Value> {
    let mut rows = Vec::new();
    for batch in batches {
        for (i, row) in batch.rows.iter().enumerate() {
            let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let of = &row.sample.container;
            rows.push(json!({
                "scan": scan, "sample": of.sample, "container": of.at, "size": of.keys["size"], "plant": of.keys["plant"],
                "line": row.line, "pixel": row.pixel, "x_mm": f64::from(row.x_mm), "y_mm": f64::from(row.y_mm),
                "time_ns": row.time_ns, "quality": row.quality,
                "embedding": wide(&batch.embeddings[i * 4..(i + 1) * 4]),
                "spectrum": wide(&batch.spectra[i * BANDS..(i + 1) * BANDS]),
            }));
        }
    }
    rows
}

fn drain(tail: &mut Tail) -> Vec<TailRow> {
    std::iter::from_fn(|| tail.poll().unwrap()).collect()
}

fn listing(folder: &Path) -> Vec<String> {
    super::paths::names(folder).unwrap()
}

#[test]
fn readers_see_what_was_written_and_no_half_part() {
    let data = tempfile::tempdir().unwrap();
    let (first, second) = (batches(12), batches(3));
    let mut parts = publish(data.path(), "20180703T141502Z-T1", &first, 50);
    assert!(parts.len() > 2 && parts[..parts.len() - 1].iter().all(|part| part.rows == 50), "{parts:?}");
    parts.extend(publish(data.path(), "20180704T091500Z-T2", &second, 1000));
    // A third scan whose first part is being written while the others are read.
    let mut open = begin(&context("20180705T000000Z-T3", 4), &settings(1000), data.path()).unwrap();
    open.process(&first[0], &mut |_| unreachable!()).unwrap();
    assert!(listing(&DataSet::main(data.path()).scan_folder("20180705T000000Z-T3")).is_empty());
    assert_eq!(listing(&DataSet::main(data.path()).unfinished()).len(), 1);

    let mut rows = json_rows("20180703T141502Z-T1", &first);
    rows.extend(json_rows("20180704T091500Z-T2", &second));
    let answer = json!({
        "rows": rows, "keys": ["size", "plant"], "dimensions": 4, "bands": BANDS,
        "files": parts.iter().map(|part| part.path.clone()).collect::<Vec<PathBuf>>(),
        "metadata": {
            "hyclus.format_version": "2", "hyclus.encoder_sha256": "ab".repeat(32), "hyclus.version": crate::VERSION,
            "hyclus.wavelengths_nm": format!("{:?}", axes().wavelengths_nm),
        },
    });
    let file = data.path().join("expected.json");
    std::fs::write(&file, answer.to_string()).unwrap();
    let Some(printed) = python("tests/python/publish_readers.py", &[&DataSet::main(data.path()).folder(), &file]) else { return };
    // Sail has no wheel for other machines.
    let sail = cfg!(target_arch = "x86_64").then_some("sail");
    for reader in ["pyarrow.dataset", "polars", "duckdb", "pandas", "datafusion", "delta"].into_iter().chain(sail) {
        assert!(printed.contains(&format!("{reader}: {} rows", answer["rows"].as_array().unwrap().len())), "{printed}");
    }
}

#[test]
fn what_is_encoded_comes_out_of_the_data_set_and_twice_the_same() {
    let Some(folder) = models() else { return };
    let model = folder.path().join("grid.onnx");
    let run = || {
        let data = tempfile::tempdir().unwrap();
        let mut encode = Encode::new(Encoder::load(&config(32), &model, &axes(), None).unwrap(), context("s", 4), true);
        let mut publish = begin(&context("s", 4), &settings(100), data.path()).unwrap();
        let (mut parts, mut embedded) = (Vec::new(), Vec::new());
        for piece in sample_events(20) {
            encode.process(&piece, &mut |batch| embedded.push(batch)).unwrap();
            for batch in embedded.drain(..) {
                publish.process(&batch, &mut |part| parts.push(part)).unwrap();
            }
        }
        encode.end_of_scan(&mut |_| panic!("a closed sample leaves nothing behind")).unwrap();
        publish.end_of_scan(&mut |part| parts.push(part)).unwrap();
        let bytes: Vec<Vec<u8>> = parts.iter().map(|part| std::fs::read(&part.path).unwrap()).collect();
        (drain(&mut Tail::new(&DataSet::main(data.path()), Some("s"))), bytes)
    };
    let ((rows, bytes), (_, again)) = (run(), run());
    assert!(bytes.len() > 2 && bytes == again, "parts of two runs differ");
    let wanted = expected(20);
    assert_eq!(rows.len(), wanted.len());
    for (row, (sample, line, pixel, _)) in rows.iter().zip(wanted) {
        let place = (format!("sample-{}", sample + 1), line as i32, pixel as i32);
        assert_eq!((row.sample.clone(), row.line, row.pixel), place);
        assert_eq!(row.keys, [("size".to_owned(), format!("M{}", sample + 1)), ("plant".to_owned(), format!("P{}", sample + 1))]);
        assert!(row.embedding.iter().all(|v| v.is_finite()) && row.embedding.len() == 4);
    }
}

#[test]
fn a_part_closes_when_its_oldest_row_is_old() {
    let data = tempfile::tempdir().unwrap();
    let mut stage = begin(&context("s", 4), &settings(1_000_000), data.path()).unwrap();
    let mut parts = Vec::new();
    let batches = batches(4);
    let start = Instant::now();
    let at = |s: f64| start + Duration::from_secs_f64(s);
    stage.tick(at(0.0), &mut |p| parts.push(p)).unwrap();
    stage.tick(at(50.0), &mut |p| parts.push(p)).unwrap();
    stage.process(&batches[0], &mut |p| parts.push(p)).unwrap();
    stage.tick(at(100.0), &mut |p| parts.push(p)).unwrap();
    stage.process(&batches[1], &mut |p| parts.push(p)).unwrap();
    stage.tick(at(101.9), &mut |p| parts.push(p)).unwrap();
    assert!(parts.is_empty(), "nothing is two seconds old yet");
    stage.tick(at(102.0), &mut |p| parts.push(p)).unwrap();
    stage.process(&batches[2], &mut |p| parts.push(p)).unwrap();
    stage.tick(at(103.0), &mut |p| parts.push(p)).unwrap();
    stage.end_of_scan(&mut |p| parts.push(p)).unwrap();
    stage.end_of_scan(&mut |_| panic!("the scan has ended")).unwrap();
    let rows: Vec<usize> = parts.iter().map(|part| part.rows).collect();
    assert_eq!(rows, [batches[0].rows.len() + batches[1].rows.len(), batches[2].rows.len()]);
    assert_eq!(listing(&DataSet::main(data.path()).scan_folder("s")), ["part-00000.parquet", "part-00001.parquet"]);
}

#[test]
fn a_tail_follows_part_by_part() {
    let data = tempfile::tempdir().unwrap();
    let batches = batches(12);
    let (mut tail, mut other) = (Tail::new(&DataSet::main(data.path()), None), Tail::new(&DataSet::main(data.path()), Some("b")));
    assert_eq!(tail.poll().unwrap(), None, "a data set that is not there yet is empty");
    let mut stage = begin(&context("a", 4), &settings(16), data.path()).unwrap();
    let mut seen = 0;
    for batch in &batches {
        stage.process(batch, &mut |_| ()).unwrap();
        let rows = drain(&mut tail);
        // The last batch is short and waits in an open part.
        assert_eq!(rows.len(), if batch.rows.len() == 16 { 16 } else { 0 });
        for (row, wanted) in rows.iter().zip(&batch.rows) {
            assert_eq!((row.line, row.pixel, row.time_ns), (wanted.line as i32, wanted.pixel as i32, wanted.time_ns));
        }
        seen += rows.len();
    }
    stage.end_of_scan(&mut |_| ()).unwrap();
    seen += drain(&mut tail).len();
    assert_eq!(seen, batches.iter().map(|b| b.rows.len()).sum::<usize>());
    assert_eq!(other.poll().unwrap(), None);
    publish(data.path(), "b", &batches[..1], 1000);
    assert_eq!((drain(&mut tail).len(), drain(&mut other).len()), (16, 16));
    assert!(drain(&mut Tail::new(&DataSet::main(data.path()), None)).iter().is_sorted_by_key(|row| row.scan.clone()));
}

#[test]
fn a_scan_is_published_once_or_withdrawn() {
    let data = tempfile::tempdir().unwrap();
    let batches = batches(3);
    publish(data.path(), "s", &batches, 20);
    let again = begin(&context("s", 4), &settings(20), data.path()).unwrap_err();
    assert!(matches!(again, PublishError::AlreadyPublished { .. }), "{again}");
    // What a power cut left of this scan goes; another scan's stays.
    for scan in ["s", "s.2"] {
        std::fs::write(DataSet::main(data.path()).unfinished().join(unfinished_name(scan, 7)), "torn").unwrap();
    }
    assert!(withdraw(&DataSet::main(data.path()), "s").unwrap() > 1);
    assert_eq!(withdraw(&DataSet::main(data.path()), "never").unwrap(), 0);
    assert!(listing(&DataSet::main(data.path()).scan_folder("s")).is_empty());
    assert_eq!(listing(&DataSet::main(data.path()).unfinished()), ["s.2.part-00007.parquet"]);
    publish(data.path(), "s", &batches, 20);
}

#[test]
fn a_stage_that_is_dropped_leaves_no_half_part_behind() {
    let data = tempfile::tempdir().unwrap();
    let mut stage = begin(&context("s", 4), &settings(1000), data.path()).unwrap();
    stage.process(&batches(1)[0], &mut |_| ()).unwrap();
    assert_eq!(listing(&DataSet::main(data.path()).unfinished()), ["s.part-00000.parquet"]);
    drop(stage);
    assert!(listing(&DataSet::main(data.path()).unfinished()).is_empty());
    assert!(listing(&DataSet::main(data.path()).scan_folder("s")).is_empty());
}

#[test]
fn errors_name_the_file_and_the_column() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(DataSet::main(data.path()).folder(), "in the way").unwrap();
    let text = begin(&context("s", 4), &settings(10), data.path()).unwrap_err().to_string();
    assert!(text.contains("scan=s") && text.contains("created"), "{text}");
    std::fs::remove_file(DataSet::main(data.path()).folder()).unwrap();

    let mut stage = begin(&context("s", 5), &settings(10), data.path()).unwrap();
    let text = stage.process(&batches(1)[0], &mut |_| ()).unwrap_err().to_string();
    assert!(text.contains("embeddings of 4") && text.contains("has 5"), "{text}");

    // A part that is none, then a good one: the tail says so and goes on.
    publish(data.path(), "t", &batches(1), 16);
    let folder = DataSet::main(data.path()).scan_folder("t");
    std::fs::write(folder.join("part-00000.parquet"), "not Parquet").unwrap();
    let mut tail = Tail::new(&DataSet::main(data.path()), Some("t"));
    let text = tail.poll().unwrap_err().to_string();
    assert!(text.contains("part-00000.parquet") && text.contains("Parquet"), "{text}");
    assert!(!drain(&mut tail).is_empty());
    assert!(inspect(&folder.join("part-00000.parquet"), &mut Vec::new()).is_err());
}

#[test]
fn inspect_shows_columns_metadata_and_rows() {
    let data = tempfile::tempdir().unwrap();
    let parts = publish(data.path(), "s", &batches(3), 1000);
    let mut out = Vec::new();
    inspect(&parts[0].path, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let rows = format!("{} rows in 1 row group,", parts[0].rows);
    for part in [
        rows.as_str(),
        "fixed_size_list<float32>[4]",
        "plant      string\n",
        "time_ns    int64\n",
        "quality    int16\n",
        "hyclus.scan_id  s\n",
        "hyclus.encoder_sha256  abab",
        "sample     sample-1",
        "row 4",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(!text.contains("row 5\n") && !text.contains("ARROW:schema"));
}

/// Writes a part again with other metadata.
fn with_version(part: &Path, version: Option<&str>) {
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;
    let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(part).unwrap()).unwrap();
    let key = "hyclus.format_version".to_owned();
    let mut schema = (**builder.schema()).clone();
    assert_eq!(schema.metadata.get(&key).map(String::as_str), Some("2"), "readers of the Arrow schema find it, too");
    schema.metadata.clear();
    let batches: Vec<_> = builder.build().unwrap().map(|batch| batch.unwrap()).collect();
    let entries = version.map(|version| vec![KeyValue::new(key, version.to_owned())]);
    let properties = WriterProperties::builder().set_key_value_metadata(entries).build();
    let schema = Arc::new(schema);
    let mut writer = ArrowWriter::try_new(std::fs::File::create(part).unwrap(), Arc::clone(&schema), Some(properties)).unwrap();
    for batch in batches {
        writer.write(&batch.with_schema(Arc::clone(&schema)).unwrap()).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn a_part_of_a_newer_format_is_refused_and_still_shown() {
    let shown = |path: &Path| {
        let mut out = Vec::new();
        inspect(path, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    for (version, refusal) in [
        (None, None),
        (Some("1"), None),
        (Some("2"), None),
        (Some("3"), Some("its format version is 3, and this program reads versions up to 2; update hyclus")),
        (Some("new"), Some("hyclus.format_version is `new`, which is no number")),
    ] {
        let data = tempfile::tempdir().unwrap();
        let part = publish(data.path(), "s", &batches(2), 1000).remove(0);
        with_version(&part.path, version);
        let polled = Tail::new(&DataSet::main(data.path()), Some("s")).poll();
        let found = published(&DataSet::main(data.path()), "s").and_then(|parts| parts[0].each(&mut |_| ()).map(|()| parts[0].rows));
        let text = shown(&part.path);
        assert!(text.contains("sample     sample-1") && text.contains("row 4"), "{text}");
        let Some(refusal) = refusal else {
            assert_eq!((polled.unwrap().is_some(), found.unwrap()), (true, part.rows as u64), "{version:?}");
            assert!(text.starts_with("Parquet, "), "{text}");
            continue;
        };
        for error in [polled.unwrap_err(), found.unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains(refusal) && error.contains("part-00000.parquet"), "{error}");
        }
        let warning = text.lines().next().unwrap();
        assert!(warning.starts_with("warning: ") && warning.contains(refusal), "{text}");
    }
}

#[test]
fn rows_of_the_tail_can_be_written() {
    let data = tempfile::tempdir().unwrap();
    publish(data.path(), "s", &batches(2), 1000);
    let mut out = Vec::new();
    let mut writer = RowWriter::new(Format::Jsonl, &mut out);
    let rows = drain(&mut Tail::new(&DataSet::main(data.path()), None));
    rows.iter().for_each(|row| writer.write(row).unwrap());
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), rows.len());
    assert_eq!(lines[0]["plant"], "P1");
    assert_eq!(lines[0]["embedding"][3].as_f64().unwrap() as f32, rows[0].embedding[3]);
}

/// `cargo test --release -- --ignored --nocapture rows_per_second`
#[test]
#[ignore = "measures"]
fn rows_per_second() {
    let rows = expected(200);
    for spectra in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let mut stage = begin(&context("s", 4), &PublishConfig { spectra, ..settings(262_144) }, data.path()).unwrap();
        let batches = batches(200);
        let (start, mut written) = (Instant::now(), 0);
        let mut out = |part: Part| written += part.rows;
        for _ in 0..1_000_000 / rows.len() {
            batches.iter().for_each(|batch| stage.process(batch, &mut out).unwrap());
        }
        stage.end_of_scan(&mut out).unwrap();
        println!("spectra {spectra}: {:.0} rows/s", written as f64 / start.elapsed().as_secs_f64());
    }
}
