//! The picture of a scan's tray, in the size that a page needs.

use super::Data;
use super::answer::{Answer, Asked, Named, unknown, unreadable};
use super::place::{self, Stamp};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use png::{BitDepth, ColorType, Decoder, Encoder, Transformations};
use serde::Deserialize;
use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of a picture's file.
const MOST_BYTES: u64 = 256 << 20;
/// Most bytes of a picture's pixels.
const MOST_PIXELS: usize = 1 << 30;
/// Bytes of smaller pictures that are kept.
const KEPT_BYTES: usize = 32 << 20;

struct Kept {
    scan: String,
    stamp: Stamp,
    width: u32,
    png: Arc<Vec<u8>>,
}

/// Smaller pictures that were made lately.
#[derive(Default)]
pub struct Pictures(Mutex<VecDeque<Kept>>);

/// The size of a picture.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Size {
    width: Option<u32>,
}

/// `GET /api/scans/{id}/picture.png`.
pub async fn picture(State(data): State<Arc<Data>>, Named(scan): Named<String>, Asked(size): Asked<Size>) -> Answer<Response> {
    let png = data.reading(move |data| {
        let path = place::inside(&place::scan_folder(&data.root, &scan)?, "quicklook.png");
        let path = path.map_err(|_| unknown("the scan has no picture yet; it comes when the scan has ended"))?;
        let stamp = place::stamp(&path).ok_or_else(|| unknown("the scan has no picture yet"))?;
        if stamp.bytes > MOST_BYTES {
            return Err(unreadable(format!("{} has {} bytes, too many to show; download it", path.display(), stamp.bytes)));
        }
        // Few sizes are made, whatever is asked for.
        match size.width.map(|width| width.clamp(32, 8192).next_multiple_of(32)) {
            Some(width) => data.smaller(&scan, &path, stamp, width),
            None => whole(&path).map(Arc::new),
        }
    });
    let mut response = Response::new(Body::from(png.await?.as_slice().to_vec()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn whole(path: &Path) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = place::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| unreadable(format!("{} cannot be read: {error}", path.display())))
}

impl Data {
    fn smaller(&self, scan: &str, path: &Path, stamp: Stamp, width: u32) -> Answer<Arc<Vec<u8>>> {
        let lock = || self.pictures.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = lock().iter().find(|kept| kept.scan == scan && kept.stamp == stamp && kept.width == width) {
            return Ok(Arc::clone(&kept.png));
        }
        let png = Arc::new(match shrunk(path, width)? {
            Some(png) => png,
            None => whole(path)?,
        });
        let mut kept = lock();
        kept.push_front(Kept { scan: scan.to_owned(), stamp, width, png: Arc::clone(&png) });
        let mut bytes = 0;
        kept.retain(|one| {
            bytes += one.png.len();
            bytes <= KEPT_BYTES
        });
        Ok(png)
    }
}

/// A picture of less width, each pixel the mean of those in its place. `None` where it is no wider.
fn shrunk(path: &Path, width: u32) -> Answer<Option<Vec<u8>>> {
    let damaged = |why: &dyn std::fmt::Display| unreadable(format!("{} is damaged: {why}", path.display()));
    let mut decoder = Decoder::new(BufReader::new(place::open(path)?));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| damaged(&error))?;
    let size = reader.output_buffer_size().filter(|size| *size <= MOST_PIXELS).ok_or_else(|| damaged(&"it is too large"))?;
    if reader.info().width <= width {
        return Ok(None);
    }
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(|error| damaged(&error))?;
    let (from_width, from_height, samples) = (frame.width as usize, frame.height as usize, frame.color_type.samples());
    let width = width as usize;
    let height = (from_height * width / from_width).max(1);
    let mut small = Vec::with_capacity(width * height * samples);
    for y in 0..height {
        let rows = y * from_height / height..((y + 1) * from_height / height).max(y * from_height / height + 1);
        for x in 0..width {
            let columns = x * from_width / width..((x + 1) * from_width / width).max(x * from_width / width + 1);
            let count = rows.len() * columns.len();
            for sample in 0..samples {
                let at = |row: usize, column: usize| usize::from(pixels[row * frame.line_size + column * samples + sample]);
                let sum: usize = rows.clone().map(|row| columns.clone().map(|column| at(row, column)).sum::<usize>()).sum();
                small.push(u8::try_from(sum / count).unwrap_or(u8::MAX));
            }
        }
    }
    encoded(&small, (width, height), frame.color_type).map(Some).map_err(|error| damaged(&error))
}

fn encoded(pixels: &[u8], (width, height): (usize, usize), color: ColorType) -> Result<Vec<u8>, png::EncodingError> {
    let mut png = Vec::new();
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut encoder = Encoder::new(&mut png, side(width), side(height));
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(png)
}
