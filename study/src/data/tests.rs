use super::*;
use crate::table::Place;
use ::parquet::arrow::ArrowWriter;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use std::fs::File;
use std::sync::Arc;

const NM: [f64; 3] = [400.0, 700.5, 1000.0];

/// Writes a part with a plant for each row, and spectra that count up from `first`.
pub(crate) fn part(path: &Path, plants: &[&str], first: f32, nm: &[f64], spoil: Option<usize>) {
    let rows = plants.len();
    let mut values: Vec<f32> = (0..rows * nm.len()).map(|i| first + i as f32).collect();
    if let Some(at) = spoil {
        values[at] = f32::INFINITY;
    }
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let list = FixedSizeListArray::new(item, nm.len() as i32, Arc::new(Float32Array::from(values)), None);
    let numbers = || Arc::new(Int32Array::from_iter_values(0..rows as i32)) as ArrayRef;
    let samples = StringArray::from_iter_values(plants.iter().map(|plant| format!("sample-{plant}")));
    let columns: [(&str, ArrayRef); 5] = [
        ("sample", Arc::new(samples)),
        ("plant", Arc::new(StringArray::from_iter_values(plants))),
        ("line", numbers()),
        ("pixel", numbers()),
        ("spectrum", Arc::new(list)),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), false)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, column)| column).collect()).unwrap();
    let said = KeyValue::new("hyclus.wavelengths_nm".to_owned(), format!("{nm:?}"));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![said])).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn reading(folder: &Path) -> Reading {
    Reading { sources: vec![folder.to_owned()], labels: vec!["plant".into()], memory_mib: 16, scratch: folder.to_owned() }
}

#[test]
fn parts_are_read_in_order_and_classes_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let scan = folder.path().join("scan=1");
    std::fs::create_dir(&scan).unwrap();
    part(&scan.join("part-00001.parquet"), &["P1", "P2"], 100.0, &NM, None);
    part(&scan.join("part-00000.parquet"), &["P2", "P2"], 0.0, &NM, None);
    std::fs::write(scan.join(".part-00002.parquet"), "not complete").unwrap();
    let data = Dataset::read(&reading(folder.path())).unwrap();
    assert_eq!(data.spectra.wavelengths_nm(), NM);
    assert_eq!(data.spectra.rows(&[2, 0]).unwrap(), [100.0, 101.0, 102.0, 0.0, 1.0, 2.0]);
    assert_eq!(data.samples, ["sample-P2", "sample-P1"]);
    let plant = data.factor("plant").unwrap();
    assert_eq!(plant.classes, ["P1", "P2"]);
    assert_eq!(plant.of, [1, 1, 0, 1]);
    assert_eq!(data.places[2], Place { sample: 1, line: 0, pixel: 0 });
    let scaling = data.spectra.scaling();
    assert_eq!(scaling.lowest, [0.0, 1.0, 2.0]);
    assert_eq!(scaling.factor, [1.0 / 103.0; 3]);
}

#[test]
fn spectra_without_a_band_are_left_out_and_counted() {
    let spectra = [1.0, 2.0, 3.0, 4.0, f32::NAN, 6.0, 7.0, 8.0, 9.0];
    let folder = tempfile::tempdir().unwrap();
    let mut gathered = Gathered::new(&reading(folder.path()));
    gathered.begin(folder.path(), &NM).unwrap();
    let heads = [("a", "P1"), ("b", "P3"), ("c", "P2")].map(|(sample, plant)| (sample, vec![plant], 0, 0));
    gathered.push(folder.path(), &gathered::Rows { heads: heads.into(), spectra: &spectra }).unwrap();
    let data = gathered.finish(&reading(folder.path())).unwrap();
    assert_eq!(data.spectra.rows(&[0, 1]).unwrap(), [1.0, 2.0, 3.0, 7.0, 8.0, 9.0]);
    assert_eq!((data.samples, data.left_out, data.spectra.len()), (vec!["a".to_owned(), "c".to_owned()], 1, 2));
    assert_eq!(data.factors[0].classes, ["P1", "P2"]);
}

#[test]
fn what_does_not_fit_in_memory_is_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let plants: Vec<&str> = (0..2500).map(|i| if i % 3 == 0 { "P1" } else { "P2" }).collect();
    part(&folder.path().join("a.parquet"), &plants, 0.0, &NM, None);
    let whole = Dataset::read(&reading(folder.path())).unwrap();
    let spilled = Dataset::read(&Reading { memory_mib: 0, ..reading(folder.path()) }).unwrap();
    let rows: Vec<u32> = (0..2500).rev().collect();
    assert_eq!(whole.spectra.rows(&rows).unwrap(), spilled.spectra.rows(&rows).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the file has no name");
}

#[test]
fn bad_data_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let read = || Dataset::read(&reading(folder.path())).unwrap_err().to_string();
    assert!(read().contains("hold no spectra"), "{}", read());
    part(&path, &["P1", "P2"], 0.0, &NM, Some(4));
    assert!(read().contains("the spectrum of \"sample-P2\" at line 1, pixel 1 is infinite in band 1"), "{}", read());
    part(&path, &["P1", "P1"], 0.0, &NM, None);
    assert!(read().contains("all spectra have the same `plant`, \"P1\""), "{}", read());
    let unknown = Reading { labels: vec!["month".into()], ..reading(folder.path()) };
    let error = Dataset::read(&unknown).unwrap_err().to_string();
    assert!(error.contains("no label `month`; it has [\"sample\", \"plant\"]"), "{error}");
    part(&folder.path().join("b.parquet"), &["P2"], 0.0, &[400.0, 1000.0], None);
    assert!(read().contains("other wavelengths (2 bands from 400 to 1000 nm)"), "{}", read());
    std::fs::write(&path, "no Parquet").unwrap();
    assert!(read().contains("a.parquet cannot be read"), "{}", read());
}
