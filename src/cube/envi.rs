//! ENVI images of reflectance.

use super::{Cube, CubeError, Source, nearest, rising};
use replay::envi::{Image, Reading};
use std::path::{Path, PathBuf};

/// Least wavelength that is taken for nm. Smaller ones are in µm.
const LEAST_NM: f64 = 100.0;
/// Largest reflectance of a first line that is reflectance. Specular grains are brighter than white.
const MOST_REFLECTANCE: f32 = 3.0;

pub(super) struct Envi {
    image: Image,
    path: PathBuf,
    /// One over the number that stands for a reflectance of one.
    factor: f32,
    /// The number for no data.
    ignore: Option<f64>,
    /// The band of the file for each band of the cube.
    order: Vec<usize>,
    /// A line `[band][pixel]` as it stands in the file.
    stored: Vec<f32>,
    counts: Vec<u16>,
}

pub(super) fn open(path: &Path) -> Result<Cube, CubeError> {
    let odd = |problem: String| CubeError::Odd { path: path.to_owned(), problem };
    let (image, warnings) = Image::open(path).map_err(|source| CubeError::Envi { path: path.to_owned(), source })?;
    let header = image.header().clone();
    let Some(mut nm) = header.wavelengths_nm.clone() else {
        return Err(odd("its header has no `wavelength`; add the band centres, so that minerals can be told".into()));
    };
    let micrometres = nm.iter().all(|nm| *nm < LEAST_NM);
    let unit = if micrometres { 1000.0 } else { 1.0 };
    nm.iter_mut().for_each(|nm| *nm *= unit);
    let good = header.good_bands.clone();
    let order = rising(&nm, |band| good.as_ref().is_none_or(|good| good.get(band).copied().unwrap_or(true)));
    if order.is_empty() {
        return Err(odd("its `bbl` marks every band as bad; correct it, or leave it out".into()));
    }
    let how = Reading::reflectance(&header);
    let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    warnings.extend(how.doubt.iter().map(ToString::to_string));
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let fwhm = header.fwhm_nm.clone();
    let mut envi = Envi {
        image: image.read_as(how.reading),
        path: path.to_owned(),
        factor: nearest(1.0 / how.scale),
        ignore: how.ignore,
        order,
        stored: Vec::new(),
        counts: Vec::new(),
    };
    envi.check()?;
    Ok(Cube {
        name,
        wavelengths_nm: envi.order.iter().map(|band| nearest(nm[*band])).collect(),
        fwhm_nm: envi.order.iter().map(|band| fwhm.as_ref().map_or(f32::NAN, |fwhm| nearest(fwhm[*band] * unit))).collect(),
        lines: header.lines,
        pixels: header.samples,
        warnings,
        source: Source::Envi(envi),
    })
}

impl Envi {
    /// Reads a line `[pixel][band]`.
    pub(super) fn read_line(&mut self, line: usize, spectra: &mut Vec<f32>) -> Result<(), CubeError> {
        let (pixels, bands) = (self.image.header().samples, self.image.header().bands);
        self.stored.resize(pixels * bands, 0.0);
        let wrong = |source| CubeError::Envi { path: self.path.clone(), source };
        if self.image.layout().format == contract::PixelFormat::U16 {
            self.counts.resize(pixels * bands, 0);
            self.image.read_line_u16(line, &mut self.counts).map_err(wrong)?;
            self.stored.iter_mut().zip(&self.counts).for_each(|(value, count)| *value = f32::from(*count));
        } else {
            self.image.read_line_f32(line, &mut self.stored).map_err(wrong)?;
        }
        let ignore = self.ignore.map_or(f32::NAN, nearest);
        let value = |stored: f32| if stored == ignore || !stored.is_finite() { f32::NAN } else { stored * self.factor };
        for pixel in 0..pixels {
            spectra.extend(self.order.iter().map(|band| value(self.stored[band * pixels + pixel])));
        }
        Ok(())
    }

    /// Refuses an image of counts or radiance.
    fn check(&mut self) -> Result<(), CubeError> {
        let mut spectra = Vec::new();
        let middle = self.image.header().lines / 2;
        self.read_line(middle, &mut spectra)?;
        spectra.retain(|value| value.is_finite());
        spectra.sort_unstable_by(f32::total_cmp);
        match spectra.get(spectra.len() / 2) {
            Some(median) if *median > MOST_REFLECTANCE => {
                let problem = format!(
                    "half of the values of line {middle} are above {median}; this is no reflectance from 0 to 1; set `reflectance scale factor` in the header, or give an image of reflectance"
                );
                Err(CubeError::Odd { path: self.path.clone(), problem })
            }
            _ => Ok(()),
        }
    }
}
