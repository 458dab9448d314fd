//! Spectra of pixels and of drawn regions.

use super::Data;
use super::answer::{Answer, Asked, Named, of_sample, unknown, wrong};
use super::place;
use super::sample::{Sums, is_valid};
use axum::Json;
use axum::extract::State;
use hyclus::inspect::SampleView;
use hyclus::scan::Quality;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most corners of a region.
const MOST_CORNERS: usize = 500;
/// Most pixels of which a region's mean is. They are drawn evenly.
const MOST_PIXELS: usize = 4000;

/// A stretch of bands of one camera, with its references.
#[derive(Serialize)]
pub struct Camera {
    name: String,
    first_band: usize,
    bands: usize,
    white: Option<Vec<f32>>,
    dark: Option<Vec<f32>>,
}

/// The spectrum of a pixel.
#[derive(Serialize)]
pub struct Spectrum {
    scan: String,
    sample: String,
    line: usize,
    pixel: usize,
    x_mm: Option<f64>,
    y_mm: Option<f64>,
    wavelengths_nm: Vec<f64>,
    reflectance: Vec<f32>,
    u: Option<Vec<f64>>,
    quality: Vec<&'static str>,
    on_sample: bool,
    cameras: Vec<Camera>,
}

/// A pixel of a cube.
#[derive(Debug, Deserialize)]
pub struct Pixel {
    line: usize,
    pixel: usize,
}

/// A place on the tray, mm.
#[derive(Debug, Deserialize)]
pub struct Place {
    x_mm: f64,
    y_mm: f64,
}

/// `GET /api/samples/{scan}/{sample}/spectrum`.
pub async fn of_pixel(
    State(data): State<Arc<Data>>,
    Named((scan, sample)): Named<(String, String)>,
    Asked(at): Asked<Pixel>,
) -> Answer<Json<Spectrum>> {
    data.reading(move |data| data.spectrum(&scan, &sample, at.line, at.pixel)).await.map(Json)
}

/// `GET /api/scans/{id}/spectrum`.
pub async fn at_place(State(data): State<Arc<Data>>, Named(scan): Named<String>, Asked(at): Asked<Place>) -> Answer<Json<Spectrum>> {
    let spectrum = data.reading(move |data| {
        for sample in place::stored_samples(&place::scan_folder(&data.root, &scan)?) {
            let Ok(Some((line, pixel))) = data.pixel_at(&scan, &sample, (at.x_mm, at.y_mm)) else { continue };
            return data.spectrum(&scan, &sample, line, pixel);
        }
        Err(unknown(format!(
            "no stored sample lies at x = {} mm, y = {} mm; a sample is stored when the cameras have passed it",
            at.x_mm, at.y_mm
        )))
    });
    spectrum.await.map(Json)
}

/// The place on an axis that is nearest to `mm`. `None` where that lies beyond the axis.
fn nearest(places: &[f64], mm: f64) -> Option<usize> {
    let half = places.first().zip(places.get(1)).map_or(0.5, |(a, b)| (b - a).abs() / 2.0);
    let at = (0..places.len()).min_by(|a, b| (places[*a] - mm).abs().total_cmp(&(places[*b] - mm).abs()))?;
    ((places[at] - mm).abs() <= half * 1.0001).then_some(at)
}

impl Data {
    /// The pixel of a sample at a place, where its mask is set.
    fn pixel_at(&self, scan: &str, sample: &str, (x_mm, y_mm): (f64, f64)) -> Answer<Option<(usize, usize)>> {
        let bounds = self.bounds(scan, sample)?;
        if !bounds.holds(x_mm, y_mm) {
            return Ok(None);
        }
        let stored = self.sample(scan, sample)?;
        let found = nearest(&stored.line_mm, y_mm).zip(nearest(&stored.pixel_mm, x_mm));
        Ok(found.filter(|at| stored.mask.get(*at) == Some(&1)))
    }

    fn spectrum(&self, scan: &str, sample: &str, line: usize, pixel: usize) -> Answer<Spectrum> {
        let stored = self.sample(scan, sample)?;
        let (lines, pixels) = stored.mask.dim();
        if line >= lines || pixel >= pixels {
            return Err(wrong(format!("the sample has {lines} lines of {pixels} pixels, both from 0, and no pixel {line},{pixel}")));
        }
        let failed = |error| of_sample(&error);
        let reflectance = stored.spectra(line, &[pixel]).map_err(failed)?;
        let view = SampleView::of(&stored);
        let u = view.uncertainty((line, pixel), &reflectance).map_err(failed)?.map(|uncertainty| uncertainty.u);
        let flags = stored.quality[[line, pixel]];
        let quality = Quality::NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
        let camera = |of: hyclus::inspect::CameraBands| Camera {
            name: of.name,
            first_band: of.first_band,
            bands: of.bands,
            white: of.white,
            dark: of.dark,
        };
        Ok(Spectrum {
            scan: scan.to_owned(),
            sample: sample.to_owned(),
            line,
            pixel,
            x_mm: stored.pixel_mm.get(pixel).copied(),
            y_mm: stored.line_mm.get(line).copied(),
            wavelengths_nm: stored.wavelengths_nm.clone(),
            reflectance,
            u,
            quality,
            on_sample: stored.mask[[line, pixel]] == 1,
            cameras: view.cameras().map_err(failed)?.into_iter().map(camera).collect(),
        })
    }
}

/// Corners of a region.
#[derive(Debug, Deserialize)]
pub struct Corners {
    points: String,
}

/// The mean spectrum of a region.
#[derive(Serialize)]
pub struct Region {
    /// Pixels of which mean and deviation are.
    n: usize,
    /// Valid pixels of the region.
    pixels: usize,
    wavelengths_nm: Vec<f64>,
    mean: Vec<f64>,
    sd: Vec<f64>,
}

/// `GET /api/samples/{scan}/{sample}/region`.
pub async fn of_region(
    State(data): State<Arc<Data>>,
    Named((scan, sample)): Named<(String, String)>,
    Asked(corners): Asked<Corners>,
) -> Answer<Json<Region>> {
    let polygon = corners.polygon()?;
    let region = data.reading(move |data| {
        let stored = data.sample(&scan, &sample)?;
        let (lines, pixels) = stored.mask.dim();
        let mut found: Vec<(usize, usize)> = Vec::new();
        for line in 0..lines {
            let crossings = crossings(&polygon, number(line));
            let within = |pixel: &usize| crossings.iter().filter(|at| **at <= number(*pixel)).count() % 2 == 1;
            found.extend((0..pixels).filter(within).filter(|pixel| is_valid(&stored, line, *pixel)).map(|pixel| (line, pixel)));
        }
        if found.is_empty() {
            return Err(unknown("the region holds no valid pixel of the sample; draw it around pixels of the sample"));
        }
        let drawn: Vec<(usize, usize)> = hyclus_study::cloud::evenly(found.len(), MOST_PIXELS).into_iter().map(|i| found[i]).collect();
        let mut sums = Sums::default();
        for of_line in drawn.chunk_by(|a, b| a.0 == b.0) {
            let here: Vec<usize> = of_line.iter().map(|(_, pixel)| *pixel).collect();
            let spectra = stored.spectra(of_line[0].0, &here).map_err(|error| of_sample(&error))?;
            spectra.chunks_exact(stored.wavelengths_nm.len().max(1)).for_each(|spectrum| sums.add(spectrum));
        }
        let spread = sums.spread();
        Ok(Region { n: spread.n, pixels: found.len(), wavelengths_nm: stored.wavelengths_nm.clone(), mean: spread.mean, sd: spread.sd })
    });
    region.await.map(Json)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of lines and pixels are far below 2^52")]
fn number(n: usize) -> f64 {
    n as f64
}

/// Where the sides of a polygon cross a line: pixels.
fn crossings(polygon: &[[f64; 2]], line: f64) -> Vec<f64> {
    let sides = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let crossed = sides.filter(|(a, b)| (a[0] > line) != (b[0] > line));
    crossed.map(|(a, b)| a[1] + (line - a[0]) / (b[0] - a[0]) * (b[1] - a[1])).collect()
}

impl Corners {
    fn polygon(&self) -> Answer<Vec<[f64; 2]>> {
        let corner = |text: &str| -> Option<[f64; 2]> {
            let (line, pixel) = text.split_once(',')?;
            let corner = [line.trim().parse().ok()?, pixel.trim().parse().ok()?];
            corner.iter().all(|at: &f64| at.is_finite()).then_some(corner)
        };
        let corners: Option<Vec<[f64; 2]>> = self.points.split(';').filter(|text| !text.trim().is_empty()).map(corner).collect();
        match corners {
            Some(corners) if (3..=MOST_CORNERS).contains(&corners.len()) => Ok(corners),
            _ => Err(wrong(format!("points are 3 to {MOST_CORNERS} corners as line,pixel with semicolons between, such as 0,0;0,9;9,9"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_beyond_the_axis_is_none() {
        let places = [1.0, 2.0, 3.0];
        assert_eq!([0.4, 0.6, 2.4, 3.5, 3.6].map(|mm| nearest(&places, mm)), [None, Some(0), Some(1), Some(2), None]);
    }

    #[test]
    fn a_square_is_crossed_twice() {
        let square = [[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0]];
        assert_eq!(crossings(&square, 1.0), [4.0, 0.0]);
        assert!(crossings(&square, 5.0).is_empty());
    }
}
