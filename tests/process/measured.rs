//! Real recordings, compared with what NumPy makes of the same files.

use crate::python;
use crate::rig::{encoder, hyclus, measured, only};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Processes one recording as one sample of `width_mm` by `length_mm`; gives the data root.
fn process(folder: &Path, recording: &Path, view_mm: f64, length_mm: f64, device: &str, sections: &str) -> PathBuf {
    let (config, tray, out) = (folder.join("rig.toml"), folder.join("tray.toml"), folder.join("out"));
    // A line every millimetre and pixels of one: the grid is the recording's own.
    let text = format!(
        "[rig]\nname = \"measured\"\ndata_dir = \"data\"\n[conveyor]\nspeed_mm_per_s = 10.0\ndevice = {{ kind = \"recorded\" }}\n\
         [grid]\npixel_mm = 1.0\n[segment]\nmethod = \"footprint\"\n[[camera]]\nname = \"camera\"\nfield_of_view_mm = {view_mm:?}\n\
         exposure_us = 2000.0\nframe_rate_hz = 10.0\ndevice = {{ kind = \"replay\", path = \"{}\"{device} }}\n{sections}",
        recording.display()
    );
    fs::write(&config, text).unwrap();
    let text = format!(
        "tray = \"T\"\n[[container]]\nsample = \"all\"\nx_mm = 0.0\ny_mm = -0.5\nwidth_mm = {view_mm:?}\nlength_mm = {length_mm:?}\n"
    );
    fs::write(&tray, text).unwrap();
    let shown = |path: &Path| path.display().to_string();
    let mut arguments = ["--json", "process", "--config"].map(str::to_owned).to_vec();
    arguments.extend([shown(&config), "--tray".into(), shown(&tray), "--out".into(), shown(&out)]);
    arguments.extend(["--capture".into(), format!("camera={}", recording.display())]);
    let record = hyclus(&arguments).record();
    assert_eq!((&record["complete"], record["samples"].as_array().unwrap().len()), (&true.into(), 1), "{record}");
    out
}

fn temporary() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

#[test]
fn a_fenix_image_keeps_its_reflectance_and_every_valid_pixel_is_encoded() {
    let Some(image) = measured("fenix/image.hdr") else { return };
    let (_guard, folder) = temporary();
    let Some(model) = encoder(&folder, 450) else { return };
    let out = process(&folder, &image, 23.0, 38.0, "", &format!("[encoder]\nmodel = \"{}\"\n", model.display()));
    python::run("process_fenix.py", &[&image, &only(&out, ".h5"), &out.join("embeddings"), &folder.join("encoder.npy")]);
}

#[test]
fn gains_scales_and_numbers_to_ignore_come_out_as_spectral_python_reads_them() {
    let (_guard, folder) = temporary();
    let images = folder.join("images");
    fs::create_dir(&images).unwrap();
    python::run("process_spectral.py", &[Path::new("write"), &images]);
    let mut out = PathBuf::new();
    for number in 0..7 {
        let image = images.join(format!("case{number}.hdr"));
        if image.is_file() {
            out = process(&folder, &image, 16.0, 24.0, "", "");
        }
    }
    python::run("process_spectral.py", &[Path::new("compare"), &images, &out]);
}

/// Processes an FX10 recording with this many counts as the level of saturation and compares; `weak` pixels of line 0 were darkened.
fn fx10(recording: &Path, saturation: u32, weak: &str) {
    let (_guard, folder) = temporary();
    // The whole scene may be over the level that this test sets.
    let sections = "[references]\npanel = { reflectance = 1.0 }\nlimits = { max_saturated = 1.0 }\n";
    let out = process(&folder, recording, 1024.0, 2.0, &format!(", saturation = {saturation}.0"), sections);
    python::run("process_fx10.py", &[recording, &only(&out, ".h5"), Path::new(&saturation.to_string()), Path::new(weak)]);
}

#[test]
fn an_fx10_recording_is_calibrated_as_by_hand() {
    let Some(recording) = measured("fx10") else { return };
    fx10(&recording, 4095, "");
}

/// Copies the files of an FX10 recording into `copy`. Gives the counts of its dark reference, and those of its image and their file.
fn copied(recording: &Path, copy: &Path) -> (Vec<u8>, Vec<u8>, PathBuf) {
    let mut dark = Vec::new();
    for entry in fs::read_dir(recording).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("DARKREF_") && name.ends_with(".raw") {
            dark = fs::read(&path).unwrap();
        }
        if name.ends_with(".raw") || name.ends_with(".hdr") {
            // Not `fs::copy`, which would keep the files read-only.
            fs::write(copy.join(&name), fs::read(&path).unwrap()).unwrap();
        }
    }
    let image = copy.join("fx10_snow_2lines.raw");
    (dark, fs::read(&image).unwrap(), image)
}

#[test]
fn saturated_pixels_of_an_fx10_are_flagged_and_no_others() {
    let Some(recording) = measured("fx10") else { return };
    let (_guard, copy) = temporary();
    // The scene is dimmer than the panel, so a level that it reaches would clip in the white reference first.
    let (_, mut counts, image) = copied(&recording, &copy);
    for (pixel, band) in [(0, 200), (17, 0), (511, 447), (512, 100), (1023, 300)] {
        let at = 2 * (band * 1024 + pixel);
        counts[at..at + 2].copy_from_slice(&4095_u16.to_le_bytes());
    }
    fs::write(&image, counts).unwrap();
    fx10(&copy, 4095, "");
}

#[test]
fn pixels_at_the_dark_level_are_flagged_and_no_others() {
    let Some(recording) = measured("fx10") else { return };
    let (_guard, copy) = temporary();
    let (dark, mut counts, image) = copied(&recording, &copy);
    let weak = [0, 1, 17, 511, 512, 1000, 1023];
    for band in 0..448 {
        for pixel in weak {
            let at = 2 * (band * 1024 + pixel);
            counts[at..at + 2].copy_from_slice(&dark[at..at + 2]);
        }
    }
    fs::write(&image, counts).unwrap();
    fx10(&copy, 4095, &weak.map(|pixel| pixel.to_string()).join(","));
}
