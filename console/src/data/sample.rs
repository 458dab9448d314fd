//! A sample: its facts, and images of its cube.

use super::answer::{Answer, Asked, Named, little_endian, numbers, octets, of_sample, unknown, wrong};
use super::{Data, place};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use hyclus::identify::NOT_JUDGED;
use hyclus::inspect::SampleView;
use hyclus::scan::{Quality, SampleMinerals};
use hyclus::store::{StoredMinerals, StoredSample, mineral_names, read_minerals};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most numbers of an image.
const MOST_VALUES: usize = 16 << 20;
/// Most bands of an image.
const MOST_BANDS: usize = 16;
/// Lines of a sample from which its spread is taken, and pixels of each.
const SPREAD: (usize, usize) = (48, 96);

/// The facts of a sample.
#[derive(Serialize)]
pub struct About {
    scan: String,
    sample: String,
    name: String,
    container: String,
    tray: String,
    keys: BTreeMap<String, String>,
    vars: BTreeMap<String, f64>,
    lines: usize,
    pixels: usize,
    bands: usize,
    wavelengths_nm: Vec<f64>,
    fwhm_nm: Vec<f64>,
    valid_nm: Vec<f64>,
    x0_mm: Option<f64>,
    y0_mm: Option<f64>,
    pixel_mm: Option<f64>,
    doubts: Vec<String>,
    /// Number of valid pixels on the sample.
    valid: usize,
    mean: Vec<f64>,
    sd: Vec<f64>,
    /// Pixels of which `sd` is, drawn evenly. So is `mean`, where the file holds none.
    spread_of: usize,
    u_mean: Vec<f64>,
    snr: Option<Vec<f64>>,
    embedding_dimensions: Option<usize>,
    /// Its minerals. Absent where none were looked for.
    minerals: Option<Minerals>,
    provenance: BTreeMap<String, String>,
}

/// The minerals of a sample.
#[derive(Serialize)]
struct Minerals {
    library: String,
    /// Names of the codes from 1.
    names: Vec<String>,
    #[serde(flatten)]
    found: SampleMinerals,
}

/// `GET /api/samples/{scan}/{sample}`.
pub async fn about(State(data): State<Arc<Data>>, Named((scan, sample)): Named<(String, String)>) -> Answer<Json<About>> {
    let about = data.reading(move |data| {
        let stored = data.sample(&scan, &sample)?;
        let view = SampleView::of(&stored);
        let failed = |error| of_sample(&error);
        let facts = view.facts().map_err(failed)?;
        let found = view.mean().map_err(failed)?;
        let spread = spread(&stored)?;
        let parts = hyclus::publish::published(&hyclus::publish::DataSet::main(&data.root), &scan).unwrap_or_default();
        let (mean, u_mean, snr, valid_nm) = match found {
            Some(found) => (found.reflectance, found.u, found.snr, found.valid_nm),
            None => (spread.mean, Vec::new(), Vec::new(), Vec::new()),
        };
        let (lines, pixels) = stored.mask.dim();
        let minerals = data.minerals(&scan, &sample)?;
        let valid = stored.mask.iter().zip(&stored.quality).filter(|(on, flags)| **on == 1 && Quality::valid(**flags)).count();
        Ok(About {
            scan,
            sample,
            name: facts.name,
            container: facts.container,
            tray: facts.tray,
            keys: facts.keys,
            vars: facts.vars,
            lines,
            pixels,
            bands: stored.wavelengths_nm.len(),
            wavelengths_nm: stored.wavelengths_nm.clone(),
            fwhm_nm: stored.fwhm_nm.clone(),
            valid_nm,
            x0_mm: stored.pixel_mm.first().copied(),
            y0_mm: stored.line_mm.first().copied(),
            pixel_mm: step(&stored.pixel_mm).or_else(|| step(&stored.line_mm)),
            doubts: facts.doubts,
            valid,
            mean,
            sd: spread.sd,
            spread_of: spread.n,
            u_mean,
            snr: Some(snr).filter(|snr| !snr.is_empty()),
            minerals,
            embedding_dimensions: parts.first().and_then(hyclus::publish::PublishedPart::dimensions),
            provenance: facts.provenance,
        })
    });
    about.await.map(Json)
}

/// Distance of the places on an axis.
#[expect(clippy::cast_precision_loss, reason = "numbers of places are far below 2^52")]
fn step(places: &[f64]) -> Option<f64> {
    let (first, last) = (places.first()?, places.last()?);
    (places.len() > 1).then(|| (last - first) / (places.len() - 1) as f64)
}

/// Mean and standard deviation of some spectra.
#[derive(Debug, Default, Serialize)]
pub struct Spread {
    pub n: usize,
    pub mean: Vec<f64>,
    pub sd: Vec<f64>,
}

/// Sums of spectra, about the first of them.
#[derive(Default)]
pub struct Sums {
    n: usize,
    about: Vec<f64>,
    count: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    /// Adds a spectrum. Bands without a value are passed over.
    pub fn add(&mut self, spectrum: &[f32]) {
        if self.n == 0 {
            self.about = spectrum.iter().map(|value| if value.is_finite() { f64::from(*value) } else { 0.0 }).collect();
            (self.count, self.sum, self.squares) = (vec![0.0; spectrum.len()], vec![0.0; spectrum.len()], vec![0.0; spectrum.len()]);
        }
        self.n += 1;
        for (band, value) in spectrum.iter().enumerate().take(self.about.len()).filter(|(_, value)| value.is_finite()) {
            let off = f64::from(*value) - self.about[band];
            self.count[band] += 1.0;
            self.sum[band] += off;
            self.squares[band] += off * off;
        }
    }

    /// Mean and standard deviation (over n - 1) of each band.
    pub fn spread(&self) -> Spread {
        let bands = 0..self.about.len();
        let mean = bands.clone().map(|band| self.about[band] + self.sum[band] / self.count[band]).collect();
        let variance = |band: usize| (self.squares[band] - self.sum[band] * self.sum[band] / self.count[band]) / (self.count[band] - 1.0);
        Spread { n: self.n, mean, sd: bands.map(|band| variance(band).max(0.0).sqrt()).collect() }
    }
}

/// Whether a pixel lies on the sample and has a valid spectrum.
pub fn is_valid(stored: &StoredSample, line: usize, pixel: usize) -> bool {
    stored.mask.get((line, pixel)) == Some(&1) && stored.quality.get((line, pixel)).is_some_and(|flags| Quality::valid(*flags))
}

/// The spread of valid pixels that are drawn evenly. A whole cube would take too long.
fn spread(stored: &StoredSample) -> Answer<Spread> {
    let (lines, pixels) = stored.mask.dim();
    let valid: Vec<usize> = (0..lines).filter(|line| (0..pixels).any(|pixel| is_valid(stored, *line, pixel))).collect();
    let mut sums = Sums::default();
    for i in hyclus_study::cloud::evenly(valid.len(), SPREAD.0) {
        let line = valid[i];
        let here: Vec<usize> = (0..pixels).filter(|pixel| is_valid(stored, line, *pixel)).collect();
        let drawn: Vec<usize> = hyclus_study::cloud::evenly(here.len(), SPREAD.1).into_iter().map(|i| here[i]).collect();
        let spectra = stored.spectra(line, &drawn).map_err(|error| of_sample(&error))?;
        spectra.chunks_exact(stored.wavelengths_nm.len().max(1)).for_each(|spectrum| sums.add(spectrum));
    }
    Ok(sums.spread())
}

/// What an image shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Image {
    of: String,
    bands: String,
    n: usize,
    stride: Option<usize>,
}

/// `GET /api/samples/{scan}/{sample}/image`.
pub async fn image(
    State(data): State<Arc<Data>>,
    Named((scan, sample)): Named<(String, String)>,
    Asked(image): Asked<Image>,
) -> Answer<Response> {
    let of_embedding = image.of == "embedding";
    let made = move |data: &Data| data.image(&scan, &sample, &image);
    // All embeddings of the scan are read for one image of them.
    let (values, shape, stride) = if of_embedding { data.computing(made).await? } else { data.reading(made).await? };
    let shape = shape.map(|n| n.to_string()).join(",");
    Ok(octets(little_endian(&values), &[("x-shape", shape), ("x-stride", stride.to_string())]))
}

/// The code of a mineral as a number. Pixels that were not judged have none.
pub fn code(code: u16) -> f32 {
    if code == NOT_JUDGED { f32::NAN } else { f32::from(code) }
}

impl Data {
    /// The minerals of each pixel of a sample. `None` where none were looked for.
    pub(in crate::data) fn mineral_map(&self, scan: &str, sample: &str) -> Answer<Option<StoredMinerals>> {
        read_minerals(&place::sample_file(&self.root, scan, sample)?).map_err(|error| of_sample(&error))
    }

    fn minerals(&self, scan: &str, sample: &str) -> Answer<Option<Minerals>> {
        let (record, _) = place::record_and_text(&self.root, scan)?;
        let ending = format!("/{sample}.h5");
        let found = record.samples.into_iter().find(|of| of.file.ends_with(&ending)).and_then(|of| of.minerals);
        let (Some(found), Some(library)) = (found, record.minerals.map(|minerals| minerals.library)) else { return Ok(None) };
        let names = mineral_names(&place::sample_file(&self.root, scan, sample)?).map_err(|error| of_sample(&error))?.unwrap_or_default();
        Ok(Some(Minerals { library, names, found }))
    }

    fn image(&self, scan: &str, sample: &str, image: &Image) -> Answer<(Vec<f32>, [usize; 3], usize)> {
        let stored = self.sample(scan, sample)?;
        let (lines, pixels) = stored.mask.dim();
        let bands: Vec<usize> = if image.of == "bands" { numbers(&image.bands, MOST_BANDS, "bands")? } else { vec![0] };
        if let Some(band) = bands.iter().find(|band| **band >= stored.wavelengths_nm.len()) {
            return Err(wrong(format!("the sample has {} bands, from 0, and no band {band}", stored.wavelengths_nm.len())));
        }
        // A stride that keeps the answer within bounds.
        let size = |stride: usize| bands.len() * lines.div_ceil(stride) * pixels.div_ceil(stride);
        let mut stride = image.stride.unwrap_or(1).clamp(1, 1 << 16);
        while size(stride) > MOST_VALUES {
            stride += 1;
        }
        let shape = [bands.len(), lines.div_ceil(stride), pixels.div_ceil(stride)];
        let on = |line: usize, pixel: usize| stored.mask[[line * stride, pixel * stride]] == 1;
        let each = |value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
            (0..shape[1]).flat_map(|line| (0..shape[2]).map(move |pixel| (line, pixel))).map(|(line, pixel)| value(line, pixel)).collect()
        };
        let values = match image.of.as_str() {
            "bands" => {
                let mut cube = stored.bands(&bands, stride).map_err(|error| of_sample(&error))?;
                cube.indexed_iter_mut().filter(|((_, line, pixel), _)| !on(*line, *pixel)).for_each(|(_, value)| *value = f32::NAN);
                cube.into_raw_vec_and_offset().0
            }
            "mask" => each(&|line, pixel| f32::from(u8::from(on(line, pixel)))),
            "quality" => {
                each(&|line, pixel| if on(line, pixel) { f32::from(stored.quality[[line * stride, pixel * stride]]) } else { f32::NAN })
            }
            "mineral" => {
                let found = self.mineral_map(scan, sample)?.ok_or_else(|| unknown("no minerals were looked for in this sample"))?;
                let group = found.winner.get(image.n.wrapping_sub(1)).filter(|codes| codes.len() == lines * pixels);
                let group = group.ok_or_else(|| wrong("n is the group of minerals, 1 (VNIR) or 2 (SWIR)"))?;
                each(&|line, pixel| code(group[line * stride * pixels + pixel * stride]))
            }
            "embedding" => self.embedding_image((scan, sample), image.n, stride, (shape[1], shape[2]))?,
            _ => return Err(wrong("of is bands, embedding, mineral, quality or mask")),
        };
        Ok((values, shape, stride))
    }
}
