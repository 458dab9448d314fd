//! Images of a data set in the layout of HIDSAG: `SAMPLE/CROP/swir_low.h5` and `vnir_low.h5`, and `wavelengths.json` above.

use super::{Cube, CubeError, Source, nearest, rising};
use crate::hdf::{File, Follow, Values};
use std::path::{Path, PathBuf};

/// The dataset of an image.
const DATA: &str = "hsi_data";
/// The file of all wavelengths.
const WAVELENGTHS: &str = "wavelengths.json";
/// Most bytes of it.
const MOST_BYTES: u64 = 4 << 20;
/// Folders above an image in which it is sought.
const ABOVE: usize = 4;

pub(super) struct Hidsag {
    images: Vec<Image>,
    /// The image and its band for each band of the cube.
    order: Vec<(usize, usize)>,
    pixels: usize,
}

struct Image {
    path: PathBuf,
    values: Values,
    bands: usize,
}

/// Whether a file has the dataset of an image.
pub(super) fn is_one(path: &Path) -> bool {
    File::open(path, Follow::Inside).and_then(|file| file.root().has(DATA)).unwrap_or(false)
}

/// Opens an image. Beside one of `swir_low.h5` and `vnir_low.h5` the other is opened too, where it has the same pixels.
pub(super) fn open(path: &Path) -> Result<Cube, CubeError> {
    let odd = |problem: String| CubeError::Odd { path: path.to_owned(), problem };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let table = path.ancestors().skip(1).take(ABOVE).map(|folder| folder.join(WAVELENGTHS)).find(|file| file.is_file());
    let Some(table) = table else {
        return Err(odd(format!("no {WAVELENGTHS} lies in a folder above it; it says which band is which")));
    };
    let text = contract::read_regular_text(&table, MOST_BYTES).map_err(|error| odd(format!("{}: {error}", table.display())))?;
    let all: serde_json::Value = serde_json::from_str(&text).map_err(|error| odd(format!("{}: {error}", table.display())))?;
    let list = |range: &str| -> Vec<f64> {
        let list = all[format!("wavelength_{range}")].as_array();
        list.into_iter().flatten().filter_map(serde_json::Value::as_f64).collect()
    };
    let range = |stem: &str| if stem.starts_with("vnir") { "VNIR" } else { "SWIR" };
    let beside = ["swir_low", "vnir_low"].contains(&stem.as_str()).then(|| if stem == "swir_low" { "vnir_low" } else { "swir_low" });
    let (first, shape) = image(path)?;
    let (mut images, mut nm) = (Vec::from([first]), list(range(&stem)));
    let wrong = |bands: usize, nm: usize| odd(format!("it has {bands} bands, and {} gives {nm} wavelengths", table.display()));
    if images[0].bands != nm.len() {
        return Err(wrong(images[0].bands, nm.len()));
    }
    let other = beside.map(|stem| (stem, path.with_file_name(format!("{stem}.h5")))).filter(|(_, file)| file.is_file());
    if let Some((stem, file)) = other {
        let (other, of_other) = image(&file)?;
        let more = list(range(stem));
        if of_other == shape {
            if other.bands != more.len() {
                return Err(wrong(other.bands, more.len()));
            }
            images.push(other);
            nm.extend(more);
        }
    }
    let owner: Vec<(usize, usize)> =
        images.iter().enumerate().flat_map(|(at, image)| (0..image.bands).map(move |band| (at, band))).collect();
    let order = rising(&nm, |_| true);
    let crop = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let [lines, pixels] = shape;
    Ok(Cube {
        name: format!("{crop}-{stem}"),
        wavelengths_nm: order.iter().map(|band| nearest(nm[*band])).collect(),
        fwhm_nm: vec![f32::NAN; nm.len()],
        lines,
        pixels,
        warnings: Vec::new(),
        source: Source::Hidsag(Hidsag { order: order.iter().map(|band| owner[*band]).collect(), images, pixels }),
    })
}

/// An image, its lines and its pixels.
fn image(path: &Path) -> Result<(Image, [usize; 2]), CubeError> {
    let failed = |source| CubeError::Hdf5 { path: path.to_owned(), source };
    let file = File::open(path, Follow::Inside).map_err(failed)?;
    let values = file.object(DATA).and_then(|object| object.values()).map_err(failed)?;
    let shape = values.shape().map(<[u64]>::to_vec).unwrap_or_default();
    let size = |n: &u64| usize::try_from(*n).unwrap_or(usize::MAX);
    match shape.as_slice() {
        [lines, pixels, bands] => {
            let image = Image { path: path.to_owned(), bands: size(bands), values };
            Ok((image, [size(lines), size(pixels)]))
        }
        other => {
            let problem = format!("`{DATA}` has the shape {other:?}; it must be lines, pixels and bands");
            Err(CubeError::Odd { path: path.to_owned(), problem })
        }
    }
}

impl Hidsag {
    /// Reads a line `[pixel][band]`.
    pub(super) fn read_line(&mut self, line: usize, spectra: &mut Vec<f32>) -> Result<(), CubeError> {
        let line = line as u64;
        let read = |image: &Image| {
            let values = image.values.lines::<f32>(line..line + 1);
            values.map_err(|source| CubeError::Hdf5 { path: image.path.clone(), source })
        };
        let lines = self.images.iter().map(read).collect::<Result<Vec<Vec<f32>>, _>>()?;
        for pixel in 0..self.pixels {
            spectra.extend(self.order.iter().map(|(image, band)| lines[*image][pixel * self.images[*image].bands + band]));
        }
        Ok(())
    }
}
