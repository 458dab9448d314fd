//! `NAME.minerals.h5`: the minerals and features of a cube, under the names of a sample's file.

use super::{CubeError, Found};
use crate::identify::METHOD_VERSION;
use crate::schema::{ENTRY, attribute, class, entry, minerals};
use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, Group, H5Type, Location};
use ndarray::ArrayView;
use std::path::{Path, PathBuf};

/// Writes the file, and gives its path.
pub(super) fn write(found: &Found, folder: &Path) -> Result<PathBuf, CubeError> {
    let path = folder.join(format!("{}.minerals.h5", found.name.replace(['/', '\0'], "_")));
    let failed = |reason: String| CubeError::Write { path: path.clone(), reason };
    std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
    if path.exists() {
        return Err(failed("it exists already; choose another --out, or remove it".into()));
    }
    fill(found, &path).map_err(|error| failed(error.to_string()))?;
    Ok(path)
}

fn fill(found: &Found, path: &Path) -> hdf5::Result<()> {
    let file = hdf5::File::with_options()
        .with_fapl(|p| p.libver_v18().file_locking(false))
        .with_fcpl(|p| p.obj_track_times(false))
        .create_excl(path)?;
    text(&file, attribute::DEFAULT, ENTRY)?;
    let root = file.create_group(ENTRY)?;
    text(&root, attribute::CLASS, class::ENTRY)?;
    text(&root, attribute::DEFAULT, entry::MINERALS)?;
    let group = root.create_group(entry::MINERALS)?;
    let identifier = &found.identifier;
    for (name, value) in [
        (attribute::CLASS, class::DATA),
        (attribute::SIGNAL, &minerals::winner(2)),
        (minerals::LIBRARY, identifier.library()),
        (minerals::LIBRARY_SHA256, identifier.sha256()),
        ("source", &found.path.display().to_string()),
    ] {
        text(&group, name, value)?;
    }
    group.new_attr::<u32>().create("version")?.write_scalar(&METHOD_VERSION)?;
    let pixels = found.pixels.max(1);
    let shape = [found.valid.len() / pixels, pixels];
    let valid: Vec<u8> = found.valid.iter().map(|valid| u8::from(*valid)).collect();
    let mask = plane(&group, "mask", &valid, &shape)?;
    text(&mask, attribute::LONG_NAME, "1 where the pixel has a valid spectrum")?;
    let codes: Vec<u16> = (0..=u16::try_from(identifier.minerals().len()).unwrap_or(u16::MAX)).collect();
    let meanings =
        std::iter::once("not_identified").chain(identifier.minerals().iter().map(String::as_str)).collect::<Vec<&str>>().join(" ");
    for (at, kind) in minerals::GROUPS.into_iter().enumerate() {
        let of = &found.minerals;
        let codes_of =
            [(minerals::winner(at + 1), &of.winner[at], "best"), (minerals::runner_up(at + 1), &of.runner_up[at], "second best")];
        for (name, values, rank) in codes_of {
            let dataset = plane(&group, &name, values, &shape)?;
            dataset.new_attr::<u16>().shape(codes.len()).create(attribute::FLAG_VALUES)?.write(&codes)?;
            text(&dataset, attribute::FLAG_MEANINGS, &meanings)?;
            text(&dataset, attribute::LONG_NAME, &format!("{rank} mineral ({kind})"))?;
        }
        for (name, values) in [(minerals::score(at + 1), &of.score[at]), (minerals::runner_up_score(at + 1), &of.runner_up_score[at])] {
            let dataset = plane(&group, &name, values, &shape)?;
            text(&dataset, attribute::UNITS, "1")?;
        }
    }
    let features = identifier.features();
    let cube = plane(&group, minerals::FEATURES, &found.minerals.features, &[shape[0], shape[1], features.len()])?;
    text(&cube, attribute::LONG_NAME, "features; names and units are in `feature`")?;
    let list = group.create_group(minerals::FEATURE)?;
    let names = features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>();
    for (name, of) in [(minerals::NAME, names), (minerals::UNIT, features.iter().map(|f| f.unit).collect())] {
        let texts: Vec<VarLenUnicode> = of.into_iter().map(unicode).collect();
        list.new_dataset::<VarLenUnicode>().obj_track_times(false).shape(texts.len()).create(name)?.write(&texts)?;
    }
    text(&group, "summary", &serde_json::to_string(&found.summary).unwrap_or_default())
}

fn plane<T: H5Type>(group: &Group, name: &str, values: &[T], shape: &[usize]) -> hdf5::Result<Dataset> {
    let dataset = group.new_dataset::<T>().obj_track_times(false).shape(shape).create(name)?;
    let view = ArrayView::from_shape(shape, values).map_err(|error| hdf5::Error::from(error.to_string()))?;
    dataset.write(view)?;
    Ok(dataset)
}

fn unicode(value: &str) -> VarLenUnicode {
    value.replace('\0', "").parse().unwrap_or_default()
}

fn text(place: &Location, name: &str, value: &str) -> hdf5::Result<()> {
    place.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&unicode(value))
}
