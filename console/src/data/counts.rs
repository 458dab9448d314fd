//! Counts of a line of a raw recording, also while it grows: what the cameras see where no sample is stored yet.

use super::Data;
use super::answer::{Answer, Asked, Named, unknown, unreadable, wrong};
use super::held::Recent;
use super::place;
use axum::Json;
use axum::extract::State;
use hyclus::acquire::recorded_lines;
use hyclus::scan::is_name;
use replay::envi::{ByteOrder, DataType, Header, Interleave};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Most cameras of one request.
const MOST_CAMERAS: usize = 8;
/// Most bytes of a line: more than any camera sends.
const MOST_LINE_BYTES: usize = 64 << 20;
/// Most bytes of a header.
const MOST_HEADER_BYTES: u64 = 1 << 20;
/// Most frames of a reference that go into its mean.
const MOST_FRAMES: u64 = 1000;
/// References whose means are kept: dark and white of four cameras.
const MOST_MEANS: usize = 8;

/// The mean frames of references, `[band][pixel]`.
pub type Means = Recent<[f32]>;

/// What is asked for.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// `CAMERA:FRAME:PIXEL`, and more of these behind `;`.
    at: String,
}

/// The counts of a pixel of a camera.
#[derive(Debug, Serialize)]
pub struct Camera {
    name: String,
    /// Number of the frame that is nearest to the one asked for.
    frame: u64,
    pixel: usize,
    /// Why the line cannot be used, where it cannot.
    fault: Option<&'static str>,
    wavelengths_nm: Option<Vec<f64>>,
    /// By band.
    counts: Vec<f32>,
    /// Mean of the dark reference of the scan at this pixel, by band.
    dark: Option<Vec<f32>>,
    /// Mean of the white reference of the scan at this pixel, by band.
    white: Option<Vec<f32>>,
}

/// The counts of all cameras that were asked for.
#[derive(Debug, Serialize)]
pub struct Counts {
    scan: String,
    cameras: Vec<Camera>,
}

/// `GET /api/scans/{id}/counts?at=CAMERA:FRAME:PIXEL;...`.
pub async fn counts(State(data): State<Arc<Data>>, Named(scan): Named<String>, Asked(wanted): Asked<Wanted>) -> Answer<Json<Counts>> {
    let counts = data.reading(move |data| {
        let folder = place::scan_folder(&data.root, &scan)?;
        let parts: Vec<&str> = wanted.at.split(';').collect();
        if parts.len() > MOST_CAMERAS {
            return Err(wrong(format!("at most {MOST_CAMERAS} cameras can be asked for at once")));
        }
        let cameras: Answer<Vec<Camera>> = parts.into_iter().map(|part| data.counts_of(&folder, &scan, part)).collect();
        Ok(Counts { cameras: cameras?, scan })
    });
    counts.await.map(Json)
}

impl Data {
    fn counts_of(&self, folder: &Path, scan: &str, wanted: &str) -> Answer<Camera> {
        let mut parts = wanted.split(':');
        let (Some(name), Some(Ok(frame)), Some(Ok(pixel)), None) =
            (parts.next(), parts.next().map(str::parse::<u64>), parts.next().map(str::parse::<usize>), parts.next())
        else {
            return Err(wrong(format!("`{wanted}` is not CAMERA:FRAME:PIXEL, such as vnir:120:64")));
        };
        if !is_name(name) {
            return Err(unknown("the scan has no camera of this name"));
        }
        let file = |what: &str| place::inside(folder, &format!("raw/{name}/capture/{what}"));
        let Ok(image) = file(&format!("{scan}.raw")) else {
            return Err(unknown(format!("the scan holds no raw recording of {name}: a scan keeps one with `record = true` in [scan]")));
        };
        let header = header_of(&file(&format!("{scan}.hdr"))?)?;
        let line_bytes = line_bytes(&header)?;
        if pixel >= header.samples {
            return Err(wrong(format!("{name} has {} pixels, from 0, and no pixel {pixel}", header.samples)));
        }
        let lines = recorded_lines(&file(&format!("{scan}.lines.csv"))?).map_err(|error| unreadable(&error))?;
        let behind = lines.partition_point(|line| line.frame < frame);
        let candidates = [behind.checked_sub(1), Some(behind)].into_iter().flatten();
        let nearest = candidates.filter_map(|at| lines.get(at).map(|line| (at, line))).min_by_key(|(_, line)| line.frame.abs_diff(frame));
        let Some((at, line)) = nearest else {
            return Err(unknown(format!("the recording of {name} holds no line yet")));
        };
        let mut bytes = vec![0; line_bytes];
        let from = u64::try_from(at).unwrap_or(u64::MAX).saturating_mul(u64::try_from(line_bytes).unwrap_or(u64::MAX));
        place::open(&image)?
            .read_exact_at(&mut bytes, from)
            .map_err(|error| unreadable(format!("line {at} of {} cannot be read: {error}", image.display())))?;
        let mut counts = Vec::with_capacity(header.bands);
        for_each(&header, &bytes, |element, value| {
            if element % header.samples == pixel {
                counts.push(value);
            }
        });
        let reference = |which: &str| -> Answer<Option<Vec<f32>>> {
            let Ok(image) = file(&format!("{which}_{scan}.raw")) else { return Ok(None) };
            let about = header_of(&file(&format!("{which}_{scan}.hdr"))?)?;
            if (about.samples, about.bands) != (header.samples, header.bands) {
                return Ok(None);
            }
            let mean = self.means.get(&image, MOST_MEANS, || mean(&image, &about))?;
            Ok(Some(mean.iter().skip(pixel).step_by(header.samples).copied().collect()))
        };
        Ok(Camera {
            name: name.to_owned(),
            frame: line.frame,
            pixel,
            fault: (line.status != hyclus::scan::LineStatus::Ok).then(|| line.status.word()),
            counts,
            dark: reference("DARKREF")?,
            white: reference("WHITEREF")?,
            wavelengths_nm: header.wavelengths_nm,
        })
    }
}

/// The mean of the frames of a reference, `[band][pixel]`.
fn mean(image: &Path, header: &Header) -> Answer<Arc<[f32]>> {
    let line_bytes = line_bytes(header)?;
    let file = place::open(image)?;
    let failed = |error| unreadable(format!("{} cannot be read: {error}", image.display()));
    let size = u64::try_from(line_bytes).unwrap_or(u64::MAX);
    let frames = (file.metadata().map_err(failed)?.len() / size).min(MOST_FRAMES);
    let mut bytes = vec![0; line_bytes];
    let mut sums = vec![0.0_f64; header.bands * header.samples];
    for frame in 0..frames {
        file.read_exact_at(&mut bytes, frame * size).map_err(failed)?;
        for_each(header, &bytes, |element, value| {
            if let Some(sum) = sums.get_mut(element) {
                *sum += f64::from(value);
            }
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "at most a thousand frames")]
    let number = frames as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a mean of counts has the digits of a count")]
    Ok(sums.iter().map(|sum| (sum / number) as f32).collect())
}

fn header_of(path: &Path) -> Answer<Header> {
    use std::io::Read;
    let mut text = String::new();
    let read = place::open(path)?.take(MOST_HEADER_BYTES).read_to_string(&mut text);
    read.map_err(|error| unreadable(format!("{} cannot be read: {error}", path.display())))?;
    let (header, _) = Header::parse(&text).map_err(|error| unreadable(format!("{}: {error}", path.display())))?;
    Ok(header)
}

/// Bytes of a line. Recordings of the daemon have little-endian lines of `[band][pixel]`, without anything before them.
fn line_bytes(header: &Header) -> Answer<usize> {
    let fits = header.interleave == Interleave::Bil
        && header.byte_order == ByteOrder::Little
        && header.header_offset == 0
        && matches!(header.data_type, DataType::U16 | DataType::F32);
    let bytes = header.bands.checked_mul(header.samples).and_then(|elements| elements.checked_mul(header.data_type.bytes()));
    bytes
        .filter(|bytes| fits && (1..=MOST_LINE_BYTES).contains(bytes))
        .ok_or_else(|| wrong("the recording is none of this daemon's: its lines are not little-endian BIL of 16-bit or 32-bit counts"))
}

/// Passes each element of a line and its number.
fn for_each(header: &Header, line: &[u8], mut pass: impl FnMut(usize, f32)) {
    if header.data_type == DataType::F32 {
        line.as_chunks().0.iter().enumerate().for_each(|(element, bytes)| pass(element, f32::from_le_bytes(*bytes)));
    } else {
        line.as_chunks().0.iter().enumerate().for_each(|(element, bytes)| pass(element, f32::from(u16::from_le_bytes(*bytes))));
    }
}
