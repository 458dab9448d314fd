//! What is read here is what the library wrote.

use super::*;
use ndarray::Array3;
use std::path::Path;

fn written(path: &Path, make: impl FnOnce(&hdf5::File)) -> File {
    let file = hdf5::File::with_options().with_fapl(|list| list.file_locking(false)).create(path).unwrap();
    make(&file);
    file.close().unwrap();
    File::open(path, Follow::Inside).unwrap()
}

fn values(file: &File, name: &str) -> Values {
    file.object(name).unwrap().values().unwrap()
}

#[test]
fn chunks_are_read_as_the_library_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let cube = Array3::from_shape_fn((7, 5, 4), |(l, p, b)| (100 * l + 10 * p + b) as f32);
    let file = written(&folder.path().join("a.h5"), |file| {
        for (name, chunk) in [("few", (7, 5, 4)), ("many", (2, 3, 3)), ("single", (1, 1, 1))] {
            for level in [None, Some(6)] {
                let builder = file.new_dataset_builder().with_data(&cube).chunk(chunk);
                let builder = if let Some(level) = level { builder.shuffle().deflate(level) } else { builder };
                builder.create(format!("{name}{}", level.unwrap_or(0)).as_str()).unwrap();
            }
        }
        file.new_dataset_builder().with_data(&cube).create("plain").unwrap();
    });
    for name in ["few0", "few6", "many0", "many6", "single0", "single6", "plain"] {
        let data = values(&file, name);
        assert_eq!((data.shape(), data.count()), (Some(&[7, 5, 4][..]), Ok(140)));
        assert_eq!(data.all::<f32>().unwrap(), cube.as_slice().unwrap(), "{name}");
        for lines in [0..7, 2..3, 1..6, 3..3] {
            let part = cube.slice(ndarray::s![lines.start as usize..lines.end as usize, .., ..]);
            assert_eq!(data.lines::<f32>(lines).unwrap(), part.iter().copied().collect::<Vec<_>>(), "{name}");
        }
        for places in [[&[0_u64, 2, 6][..], &[1, 4], &[0, 3]], [&[3], &[0, 1, 2, 3, 4], &[2]], [&[], &[0], &[1]]] {
            let [lines, pixels, bands] = places;
            let at = |l: &u64, p: &u64, b: &u64| (100 * l + 10 * p + b) as f32;
            let wanted: Vec<f32> =
                lines.iter().flat_map(|l| pixels.iter().flat_map(move |p| bands.iter().map(move |b| at(l, p, b)))).collect();
            assert_eq!(data.crossings::<f32>(places).unwrap(), wanted, "{name}");
        }
        assert!(data.crossings::<f32>([&[7], &[0], &[0]]).is_err() && data.crossings::<f32>([&[1, 0], &[0], &[0]]).is_err());
        // Other types of memory.
        assert_eq!(data.numbers::<f64>().unwrap()[139], 643.0);
        assert_eq!(data.numbers::<u32>().unwrap()[139], 643);
        assert!(data.lines::<f32>(6..8).is_err() && data.texts().is_err());
    }
}

#[test]
fn single_values_and_texts_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = |text: &str| text.parse::<hdf5::types::VarLenUnicode>().unwrap();
    let file = written(&folder.path().join("a.h5"), |file| {
        file.new_dataset::<i32>().create("number").unwrap().write_scalar(&-5).unwrap();
        file.new_dataset::<hdf5::types::VarLenUnicode>().create("text").unwrap().write_scalar(&text("Süd")).unwrap();
        file.new_attr_builder().with_data(&[text("a"), text("")]).create("texts").unwrap();
        file.new_attr_builder().with_data(&[1_u16, 2]).create("numbers").unwrap();
    });
    assert_eq!(values(&file, "number").number::<i64>(), Ok(-5));
    assert_eq!((values(&file, "number").kind(), values(&file, "text").kind()), (Ok("int32".into()), Ok("unicode (var len)".into())));
    assert_eq!(values(&file, "text").texts(), Ok(vec!["Süd".to_owned()]));
    let root = file.root();
    assert_eq!(root.named("texts").unwrap().unwrap().texts(), Ok(vec!["a".to_owned(), String::new()]));
    assert_eq!(root.named("numbers").unwrap().unwrap().numbers::<f64>(), Ok(vec![1.0, 2.0]));
    assert!(root.named("none").unwrap().is_none() && !root.has("none").unwrap() && root.has("text").unwrap());
    let (members, all) = root.members().unwrap();
    assert_eq!((members.len(), all, root.attributes().unwrap().1), (2, 2, 2));
    let missing = file.object("none").unwrap_err().to_string();
    assert!(missing.contains("object 'none' doesn't exist") || missing.contains("none"), "{missing}");
}
