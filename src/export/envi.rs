//! ENVI images: for each sample `NAME.hdr` and `NAME.img`, and one byte per pixel in `NAME_mask` and `NAME_quality`.
//!
//! The image is BIL, 32-bit float, little endian, with the very bits of the sample's cube. It holds reflectance, and NaN where there is
//! no valid value; `data ignore value` says so. `NAME_mask` is 1 on the sample. `NAME_quality` has the flags that its description lists.
//! In the header the tray map's sample keys are `key ...`, its numbers `var ...`, and all else is `hyclus ...`. A header has `fwhm` only
//! where it is known for every band.

use super::cube::{Cube, Source};
use super::error::{ExportError, failed};
use super::scan::Scan;
use super::staging::{Exported, Staging, absent};
use crate::quicklook::shown;
use crate::scan::Quality;
use crate::schema::{self, entry, grid};
use replay::envi::{DataType, Header, Interleave};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes the samples of scans to the folder `out`. A sample has the name of its file. Where several scans have the name, the scan's
/// id and `_` stand before it.
///
/// # Errors
/// A file cannot be read or written, is of a newer format, or a name is taken. Nothing new remains then.
pub fn export(scans: &[Scan], out: &Path) -> Result<Exported, ExportError> {
    let files: Vec<(&Scan, &PathBuf)> = scans.iter().flat_map(|scan| scan.files.iter().map(move |file| (scan, file))).collect();
    let stem = |file: &Path| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut taken = BTreeSet::new();
    let mut names = Vec::with_capacity(files.len());
    for (scan, file) in &files {
        let stem = stem(file);
        let alone = files.iter().filter(|(_, other)| other.file_stem() == file.file_stem()).count() == 1;
        let name = if alone { stem } else { format!("{}_{stem}", scan.id()) };
        for part in parts(&name) {
            // Some file systems have no case.
            if !taken.insert(part.to_lowercase()) {
                return Err(ExportError::Clash { name });
            }
            absent(&out.join(part))?;
        }
        names.push(name);
    }
    let staging = Staging::create(out)?;
    let mut warnings: Vec<String> = scans.iter().flat_map(Scan::warnings).collect();
    for ((_, file), name) in files.iter().zip(&names) {
        let source = Source::open(file)?;
        warnings.extend(source.doubts.iter().map(|doubt| format!("{name} is in doubt: {doubt}")));
        sample(&source, name, &staging.folder)?;
    }
    let parts: Vec<String> = names.iter().flat_map(|name| parts(name)).collect();
    Ok(Exported { samples: files.len(), paths: staging.publish(&parts)?, warnings })
}

/// The files of a sample. The header of the image comes last, because readers open it.
fn parts(name: &str) -> [String; 6] {
    ["_mask.img", "_mask.hdr", "_quality.img", "_quality.hdr", ".img", ".hdr"].map(|ending| format!("{name}{ending}"))
}

fn sample(source: &Source, name: &str, folder: &Path) -> Result<(), ExportError> {
    let cube = source.cube()?;
    let (lines, pixels, bands) = (cube.lines, cube.pixels, cube.wavelengths_nm.len());
    let path = folder.join(format!("{name}.img"));
    let mut bytes = vec![0_u8; 4 * pixels * bands];
    write(&path, |out| {
        cube.blocks(|_, block| {
            for line in block.outer_iter() {
                // BIL: within a line, band after band.
                for (place, value) in bytes.chunks_exact_mut(4).zip(line.t().iter()) {
                    place.copy_from_slice(&value.to_le_bytes());
                }
                out.write_all(&bytes).map_err(failed(&path, "written"))?;
            }
            Ok(())
        })
    })?;
    let title = format!("{} in {} of tray {}, scan {}", source.name, source.container, source.tray, source.scan);
    let mut header = Header::new(pixels, lines, bands, DataType::F32, Interleave::Bil);
    header.description = Some(plain(&format!("reflectance of {title}; NaN where there is no valid value")));
    header.sensor_type = Some(plain(&source.cameras.iter().map(|c| c.model.as_str()).collect::<Vec<_>>().join(" + ")));
    header.wavelengths_nm = Some(cube.wavelengths_nm.clone());
    header.fwhm_nm = cube.fwhm_nm.iter().all(|fwhm| fwhm.is_finite()).then(|| cube.fwhm_nm.clone());
    header.reflectance_scale = Some(1.0);
    header.data_ignore = Some(f64::NAN);
    header.default_bands =
        shown(&cube.wavelengths_nm).and_then(|bands| bands.into_iter().map(|band| u32::try_from(band + 1).ok()).collect());
    header.other = about(source, &cube);
    write_header(&header, &folder.join(format!("{name}.hdr")))?;

    let flags: Vec<String> = Quality::NAMES.iter().map(|(bit, name)| format!("{bit} {name}")).collect();
    for (field, meaning) in [(grid::MASK, "1 where the pixel lies on the sample".to_owned()), (grid::QUALITY, flags.join(", "))] {
        let values = source.reading.list::<u8>(&schema::path([entry::REFLECTANCE, field]))?;
        if values.len() != lines * pixels {
            let problem = format!("has {} values for {lines} lines of {pixels} pixels", values.len());
            return Err(ExportError::Shape { file: source.reading.path.clone(), path: field.into(), problem });
        }
        let path = folder.join(format!("{name}_{field}.img"));
        write(&path, |out| out.write_all(&values).map_err(failed(&path, "written")))?;
        let mut header = Header::new(pixels, lines, 1, DataType::U8, Interleave::Bil);
        header.description = Some(plain(&format!("{field} of {title}: {meaning}")));
        header.other = about(source, &cube);
        write_header(&header, &folder.join(format!("{name}_{field}.hdr")))?;
    }
    Ok(())
}

fn write(path: &Path, content: impl FnOnce(&mut BufWriter<&File>) -> Result<(), ExportError>) -> Result<(), ExportError> {
    let file = File::create_new(path).map_err(failed(path, "created"))?;
    let mut out = BufWriter::new(&file);
    content(&mut out)?;
    out.flush().map_err(failed(path, "written"))?;
    drop(out);
    file.sync_all().map_err(failed(path, "made durable"))
}

fn write_header(header: &Header, path: &Path) -> Result<(), ExportError> {
    write(path, |out| header.write(out).map_err(failed(path, "written")))
}

/// The names, places, keys and numbers of a sample, as keys of a header.
fn about(source: &Source, cube: &Cube<'_>) -> Vec<(String, String)> {
    let mut keys: Vec<(String, String)> = Vec::new();
    let mut add = |key: String, value: String| {
        // Two keys that differ in letters that a header does not take are still two.
        let free = (1..).map(|n| if n == 1 { key.clone() } else { format!("{key} {n}") }).find(|key| keys.iter().all(|(k, _)| k != key));
        keys.extend(free.map(|key| (key, plain(&value))));
    };
    for (name, value) in [("sample", &source.name), ("container", &source.container), ("tray", &source.tray), ("scan", &source.scan)] {
        add(format!("hyclus {name}"), value.clone());
    }
    // Centre of the first pixel, in tray coordinates.
    for (name, axis) in [("x", &cube.pixel_mm), ("y", &cube.line_mm)] {
        if let Some(first) = axis.first() {
            add(format!("hyclus first {name} mm"), first.to_string());
        }
    }
    add("hyclus pixel mm".into(), cube.step_mm().to_string());
    if !source.doubts.is_empty() {
        add("hyclus doubts".into(), source.doubts.join("; "));
    }
    for (key, value) in &source.keys {
        add(format!("key {}", key_of(key)), value.clone());
    }
    for (name, value) in &source.vars {
        add(format!("var {}", key_of(name)), value.to_string());
    }
    keys
}

/// A name as a key of a header: small letters, digits, `_` and `-`.
fn key_of(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// A text on one line and without braces. Braces would make a list of it in a header.
fn plain(text: &str) -> String {
    let kept = text.chars().map(|c| match c {
        '{' => '(',
        '}' => ')',
        c if c.is_control() => ' ',
        c => c,
    });
    kept.collect::<String>().trim().to_owned()
}
