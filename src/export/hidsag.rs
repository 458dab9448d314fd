//! The layout of HIDSAG, the laboratory's published data set (10.1038/s41597-023-02061-x), as its reader `alges/hidsag` takes it.
//!
//! `swir_low` and `vnir_low` are the bands of the SWIR and of the VNIR camera on the millimetre grid, which is one grid for both.
//! `vnir_high` is the VNIR on its own grid where the sample's file holds that (`/entry/<camera>_native`). Elsewhere it is the image of
//! `vnir_low`, and its metadata say so in `resampled`. Values are reflectance with the very bits of the sample's file, and NaN where
//! there is none. `sample_frequency` is in Hz, `integrations_time` in ms, `real_dims` in mm, wavelengths in nm. `dolly_speed` is in
//! mm/s, by the ledger or else by the configuration. Both binnings are the camera's own.

use super::cube::{Cube, Source};
use super::error::{ExportError, failed};
use super::scan::Scan;
use super::staging::{Exported, Staging, absent};
use crate::quicklook::Plain;
use crate::scan::is_name;
use crate::schema::{self, entry, grid};
use hdf5::{Dataset, File};
use ndarray::{Array3, ArrayView3, s};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A camera that sees nothing above is a VNIR camera, nm.
const VNIR_MOST_NM: f64 = 1100.0;
/// A camera that sees nothing below is a SWIR camera, nm.
const SWIR_LEAST_NM: f64 = 800.0;
/// Where the bands of a camera that sees both are parted, nm.
const PARTED_NM: f64 = 1000.0;

/// Writes the samples of scans as the data set `dataset` (the tray's name where absent) to the folder `out`. A sample that lies in
/// several containers has a crop for each, in the order of the scans.
///
/// # Errors
/// A file cannot be read or written, or is of a newer format, the data set is there already, or the samples do not fit the layout.
/// Nothing new remains then.
pub fn export(scans: &[Scan], out: &Path, dataset: Option<&str>) -> Result<Exported, ExportError> {
    // Each sample's file is opened once for its name and once more to be read. There may be more files than a program may open.
    let mut samples: BTreeMap<String, Vec<(&Scan, &Path)>> = BTreeMap::new();
    let mut trays: Vec<String> = Vec::new();
    let mut warnings: Vec<String> = scans.iter().flat_map(Scan::warnings).collect();
    let mut read = 0;
    for (scan, file) in scans.iter().flat_map(|scan| scan.files.iter().map(move |file| (scan, file))) {
        let source = Source::open(file)?;
        if !is_name(&source.name) {
            return Err(ExportError::Name { name: source.name, advice: "the sample's file was changed by somebody" });
        }
        if !trays.contains(&source.tray) {
            trays.push(source.tray.clone());
        }
        warnings.extend(source.doubts.iter().map(|doubt| format!("{} in {} is in doubt: {doubt}", source.name, source.container)));
        samples.entry(source.name.clone()).or_default().push((scan, file));
        read += 1;
    }
    let name = match (dataset, trays.as_slice()) {
        (Some(name), _) => name,
        (None, [tray]) => tray,
        (None, _) => return Err(ExportError::Trays { trays }),
    };
    if !is_name(name) {
        return Err(ExportError::Name { name: name.into(), advice: "choose another --dataset" });
    }
    absent(&out.join(name))?;
    let staging = Staging::create(out)?;
    let folder = staging.folder.join(name);
    let mut wavelengths = None;
    let mut resampled = false;
    for (sample, crops) in &samples {
        let mut listed = Vec::with_capacity(crops.len());
        let mut vars: BTreeMap<String, f64> = BTreeMap::new();
        for (number, (scan, file)) in (1..).zip(crops) {
            let source = &Source::open(file)?;
            let crop = Crop { source, name: format!("{number:02}"), folder: folder.join(sample) };
            let split = Split::of(source, &mut wavelengths)?;
            let kinds = crop.write(&split)?;
            resampled |= kinds["vnir_high"].get("resampled").is_some();
            listed.push(json!({ crop.name: kinds, "tags": tags(scan, source) }));
            for (var, value) in &source.vars {
                let first = *vars.entry(var.clone()).or_insert(*value);
                if first.to_bits() != value.to_bits() {
                    warnings.push(format!("{sample}: {var} is {first} in one container and {value} in another; the first is kept"));
                }
            }
        }
        write_json(&folder.join(sample).join("metadata.json"), &json!({"sample_name": sample, "vars": vars, "crops": listed}))?;
    }
    if resampled {
        warnings.push("no native VNIR grid is stored: vnir_high is vnir_low again, and says so in metadata.json".to_owned());
    }
    if let Some(Wavelengths { vnir, swir, .. }) = wavelengths {
        write_json(&folder.join("wavelengths.json"), &json!({"wavelength_VNIR": vnir, "wavelength_SWIR": swir}))?;
    }
    let paths = staging.publish(&[name.to_owned()])?;
    Ok(Exported { samples: read, paths, warnings })
}

/// The values of the sample keys, in the order of the tray map.
fn tags(scan: &Scan, source: &Source) -> Vec<String> {
    let order = scan.record.as_ref().map_or(&[][..], |record| &record.tray.keys);
    let place = |key: &String| order.iter().position(|k| k == key).unwrap_or(usize::MAX);
    let mut keys: Vec<_> = source.keys.iter().collect();
    keys.sort_by_key(|(key, _)| place(key));
    keys.into_iter().map(|(_, value)| value.clone()).collect()
}

/// The bands of the first sample, which all others must have, nm.
struct Wavelengths {
    file: PathBuf,
    vnir: Vec<f64>,
    swir: Vec<f64>,
}

/// The bands of a sample's cube by range, and a camera for each.
struct Split {
    vnir: Vec<usize>,
    swir: Vec<usize>,
    cameras: [usize; 2],
}

impl Split {
    fn of(source: &Source, wavelengths: &mut Option<Wavelengths>) -> Result<Self, ExportError> {
        let nm = source.cube()?.wavelengths_nm;
        let cameras = source.camera_of_band(&nm);
        let is_vnir = |band: &usize| {
            let range = cameras.as_ref().map(|cameras| source.cameras[cameras[*band]].range_nm());
            match range {
                Some((_, most)) if most <= VNIR_MOST_NM => true,
                Some((least, _)) if least >= SWIR_LEAST_NM => false,
                _ => nm[*band] < PARTED_NM,
            }
        };
        let (vnir, swir): (Vec<usize>, Vec<usize>) = (0..nm.len()).partition(is_vnir);
        let file = source.reading.path.clone();
        let of = |bands: &[usize]| bands.iter().map(|band| nm[*band]).collect::<Vec<f64>>();
        let own = Wavelengths { file: file.clone(), vnir: of(&vnir), swir: of(&swir) };
        let mut found = [0; 2];
        for (place, (range, bands)) in found.iter_mut().zip([("VNIR", &vnir), ("SWIR", &swir)]) {
            let Some(first) = bands.first() else { return Err(ExportError::Range { file, range }) };
            *place = cameras.as_ref().map_or_else(|| nearest(source, nm[*first]), |cameras| cameras[*first]);
        }
        let all = wavelengths.get_or_insert(own);
        for (range, first, bands) in [("VNIR", &all.vnir, &vnir), ("SWIR", &all.swir, &swir)] {
            if *first != of(bands) {
                return Err(ExportError::Wavelengths { file, first: all.file.clone(), range });
            }
        }
        Ok(Self { vnir, swir, cameras: found })
    }
}

/// The camera with the band nearest to a wavelength.
fn nearest(source: &Source, nm: f64) -> usize {
    let away = |camera: &usize| source.cameras[*camera].wavelengths_nm.iter().map(|w| (w - nm).abs()).fold(f64::INFINITY, f64::min);
    (0..source.cameras.len()).min_by(|a, b| away(a).total_cmp(&away(b))).unwrap_or(0)
}

/// One container's part of a sample.
struct Crop<'a> {
    source: &'a Source,
    name: String,
    /// The sample's folder.
    folder: PathBuf,
}

impl Crop<'_> {
    /// Writes the images, and gives the entry of each in metadata.json.
    fn write(&self, split: &Split) -> Result<Map<String, Value>, ExportError> {
        let folder = self.folder.join(&self.name);
        fs::create_dir_all(&folder).map_err(failed(&folder, "created"))?;
        let cube = self.source.cube()?;
        let native = self.source.native(split.cameras[0])?;
        let mut images =
            vec![Image::create(&folder, "swir_low", &cube, &split.swir)?, Image::create(&folder, "vnir_low", &cube, &split.vnir)?];
        if native.is_none() {
            images.push(Image::create(&folder, "vnir_high", &cube, &split.vnir)?);
        }
        let [vnir, swir] = split.cameras;
        let mut kinds = Map::new();
        for kind in ["swir_low", "vnir_low", "vnir_high"] {
            let camera = if kind == "swir_low" { swir } else { vnir };
            kinds.insert(kind.into(), self.about(kind, camera, native.as_ref().filter(|_| kind == "vnir_high").unwrap_or(&cube)));
        }
        fill(&cube, images)?;
        match native {
            Some(native) => {
                // Native bands are the camera's; those that the join left out belong to no list of wavelengths.
                let find = |band: &usize| native.wavelengths_nm.iter().position(|nm| *nm == cube.wavelengths_nm[*band]);
                let bands: Option<Vec<usize>> = split.vnir.iter().map(find).collect();
                let bands = bands.ok_or_else(|| ExportError::Shape {
                    file: self.source.reading.path.clone(),
                    path: schema::path([&*entry::native(&self.source.cameras[vnir].name), grid::WAVELENGTH]),
                    problem: "lacks VNIR bands of the joined cube".into(),
                })?;
                fill(&native, vec![Image::create(&folder, "vnir_high", &native, &bands)?])?;
            }
            None => {
                kinds["vnir_high"]["resampled"] =
                    json!("same image as vnir_low: VNIR on the millimetre grid, as the sample's file holds no native VNIR grid");
            }
        }
        Ok(kinds)
    }

    fn about(&self, kind: &str, camera: usize, cube: &Cube<'_>) -> Value {
        let path = |ending: &str| format!("{}/{kind}.{ending}", self.name);
        let (width, height) = cube.size_mm();
        let mut about = json!({
            "path_hsi": path("h5"),
            "path_rgb": path("png"),
            "image_dims": {"width": cube.pixels, "height": cube.lines},
            "real_dims": {"width": width, "height": height},
        });
        let camera = self.source.cameras.get(camera);
        let speed = camera.and_then(|c| c.belt_mm_per_s).or_else(|| self.source.configured_speed());
        about["spectral_binning"] = json!(camera.map(|c| c.binning_spectral));
        about["spatial_binning"] = json!(camera.map(|c| c.binning_spatial));
        about["sample_frequency"] = json!(camera.map(|c| c.frame_rate_hz));
        about["integrations_time"] = json!(camera.map(|c| c.exposure_us / 1000.0));
        about["dolly_speed"] = json!(speed);
        about
    }
}

/// An image that is being written.
struct Image {
    path: PathBuf,
    file: File,
    dataset: Dataset,
    bands: Vec<usize>,
    picture: Plain,
    buffer: Vec<f32>,
}

impl Image {
    /// `folder/KIND.h5`, of a cube's bands.
    fn create(folder: &Path, kind: &str, cube: &Cube<'_>, bands: &[usize]) -> Result<Self, ExportError> {
        let path = folder.join(format!("{kind}.h5"));
        let made = File::with_options()
            // The settings of the sample files: an old format that every reader knows, no times, and no lock. Nobody knows the file yet.
            .with_fapl(|p| p.libver_v18().file_locking(false))
            .with_fcpl(|p| p.obj_track_times(false))
            .create_excl(&path)
            .and_then(|file| {
                let shape = (cube.lines, cube.pixels, bands.len());
                let dataset = file.new_dataset::<f32>().obj_track_times(false).shape(shape).create("hsi_data")?;
                Ok((file, dataset))
            });
        let (file, dataset) = made.map_err(|source| ExportError::Hdf5 { file: path.clone(), source })?;
        let wavelengths: Vec<f64> = bands.iter().map(|band| cube.wavelengths_nm[*band]).collect();
        let picture = Plain::new(cube.pixels, &wavelengths);
        Ok(Self { path, file, dataset, bands: bands.to_vec(), picture, buffer: Vec::new() })
    }

    fn push(&mut self, first: usize, block: &ArrayView3<'_, f32>) -> Result<(), ExportError> {
        let (lines, pixels, _) = block.dim();
        self.buffer.clear();
        for spectrum in block.rows() {
            self.buffer.extend(self.bands.iter().map(|band| spectrum[*band]));
        }
        for line in block.outer_iter() {
            self.picture.line(|pixel, band| line[[pixel, self.bands[band]]]);
        }
        let failed = |source| ExportError::Hdf5 { file: self.path.clone(), source };
        let values = Array3::from_shape_vec((lines, pixels, self.bands.len()), std::mem::take(&mut self.buffer));
        let values = values.map_err(|e| failed(e.to_string().into()))?;
        self.dataset.write_slice(&values, s![first..first + lines, .., ..]).map_err(failed)?;
        self.buffer = values.into_raw_vec_and_offset().0;
        Ok(())
    }

    fn finish(self, pixel_mm: f64) -> Result<(), ExportError> {
        let Self { path, file, dataset, picture, .. } = self;
        drop(dataset);
        file.close().map_err(|source| ExportError::Hdf5 { file: path.clone(), source })?;
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path, "made durable"))?;
        Ok(picture.write(pixel_mm, &path.with_extension("png"))?)
    }
}

/// Writes a cube to images in one pass.
fn fill(cube: &Cube<'_>, mut images: Vec<Image>) -> Result<(), ExportError> {
    cube.blocks(|first, block| images.iter_mut().try_for_each(|image| image.push(first, &block)))?;
    images.into_iter().try_for_each(|image| image.finish(cube.step_mm()))
}

fn write_json(path: &Path, value: &Value) -> Result<(), ExportError> {
    let file = fs::File::create_new(path).map_err(failed(path, "created"))?;
    serde_json::to_writer_pretty(&file, value).map_err(|error| failed(path, "written")(error.into()))?;
    file.sync_all().map_err(failed(path, "made durable"))
}
