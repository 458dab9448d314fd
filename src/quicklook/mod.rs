//! `quicklook.png`: a picture of the tray with its containers outlined and named.
//!
//! The picture's rows run along the belt. Its pixels run across the belt, with pixel 0 of the grid at the left. Pixels are square.
//! One grid pixel is one image pixel. On a small grid it is a block of image pixels. On a long scan the picture shows every second,
//! fourth, ... grid pixel. A strip below the picture holds a scale bar and a legend of the colours.

mod canvas;
mod font;
mod minerals;
mod plain;
#[cfg(test)]
mod tests;
mod thumbnail;

use crate::join::{Axes, Row};
use crate::segment::{Outline, Sample, SampleEvent, SampleRow};
use canvas::{Canvas, Colour, offset, text_size};
pub use minerals::{MineralMap, minerals};
pub(super) use plain::Plain;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thumbnail::{MOST_ROWS, Thumbnail};

/// Colour of a pixel without a value. No stretched picture of goods on a tray has it.
const GAP: Colour = [96, 0, 72];
/// Colour of a sample's outline and text.
const SAMPLE: Colour = [0, 230, 255];
/// Colour of a doubtful sample's outline and text.
const DOUBTFUL: Colour = [255, 72, 40];
/// Colour behind text.
const GROUND: Colour = [16, 16, 20];
const TEXT: Colour = [235, 235, 235];

/// Wavelengths of red, green and blue, nm.
const VISIBLE_NM: [f64; 3] = [640.0, 550.0, 460.0];
/// Largest distance of a band from the wavelength that it stands for, nm.
const NEAR_NM: f64 = 30.0;
/// Share of all values that are not brighter than white.
const STRETCH: f64 = 0.98;
const GAMMA: f64 = 2.2;
/// A small grid is enlarged up to this width, in image pixels.
const LEGIBLE_WIDTH: usize = 800;
/// Largest number of image pixels along the edge of a grid pixel.
const MOST_ZOOM: usize = 4;
/// Least number of letters of a shortened name. A shorter rest says nothing.
const LEAST_LETTERS: usize = 5;

/// The reason why a picture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum QuicklookError {
    /// No row of the tray was seen.
    #[error("{}: no row of the tray was seen, so there is no picture; scan.json says what was lost", path.display())]
    NoRows {
        /// Path of the picture.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{} cannot be {doing}: {source}; {}, then process the recording again", path.display(), crate::disk::advice(source, "check the free space and the permissions"))]
    Io {
        /// Path of the picture, or of the file that is renamed to it at the end.
        path: PathBuf,
        /// The operation that failed: `created`, `written` or `renamed`.
        doing: &'static str,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The PNG encoder refused.
    #[error("{}: {source}; this is a fault of the program, please report it with the recording", path.display())]
    Encoding {
        /// Path of the file that was being written.
        path: PathBuf,
        /// The error of the PNG encoder.
        source: png::EncodingError,
    },
}

/// A sample, and the part of it that was seen so far.
#[derive(Debug)]
struct Seen {
    sample: Arc<Sample>,
    /// Whether each pixel of the cube's newest line lies on the sample.
    newest: Vec<bool>,
    /// The grid row of the newest line.
    newest_row: i64,
    /// The grid rows and pixels that lie on the sample.
    extent: Option<Extent>,
    doubtful: bool,
    open: bool,
}

/// A rectangle of the grid.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// First and last grid row.
    rows: (i64, i64),
    /// First and last grid pixel.
    pixels: (usize, usize),
}

/// The picture of the tray. It is gathered while the scan runs and written at the end.
///
/// It holds at most 4096 rows of three bands, however long the scan is.
#[derive(Debug)]
pub struct Quicklook {
    path: PathBuf,
    pixel_mm: f64,
    bands: usize,
    /// The bands shown as red, green and blue.
    shown: Option<[usize; 3]>,
    thumbnail: Thumbnail,
    samples: Vec<Seen>,
    /// Outlines beside those of samples.
    outlines: Vec<Outline>,
    /// Whether each pixel of the line at hand lies on its sample.
    line: Vec<bool>,
    /// Memory of samples that are complete.
    spare: Vec<Vec<bool>>,
}

impl Quicklook {
    /// A picture of the grid `axes`. [`Quicklook::finish`] writes it to `path`, whose folder must exist by then.
    pub fn new(axes: &Axes, path: PathBuf) -> Self {
        Self {
            path,
            pixel_mm: axes.pixel_mm,
            bands: axes.bands(),
            shown: shown(&axes.wavelengths_nm),
            thumbnail: Thumbnail::new(axes.width),
            samples: Vec::new(),
            outlines: Vec::new(),
            line: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Adds a row of the grid. Rows come in order, and before the sample events that refer to them.
    pub fn row(&mut self, row: &Row) {
        let (bands, shown) = (self.bands, self.shown);
        let shown = shown.map(|shown| shown.map(|band| row.band(band, bands)));
        self.thumbnail.push(row.index, |pixel| shown.map_or([f32::NAN; 3], |shown| shown.map(|band| band.at(pixel))));
    }

    /// Adds the outline of a sample, event by event.
    pub fn sample_event(&mut self, event: &SampleEvent) {
        match event {
            SampleEvent::Open(sample) => {
                let mut newest = self.spare.pop().unwrap_or_default();
                newest.clear();
                newest.resize(sample.width, false);
                let (sample, newest_row) = (Arc::clone(sample), sample.first_row);
                // A sample that is never closed stays doubtful.
                self.samples.push(Seen { sample, newest, newest_row, extent: None, doubtful: true, open: true });
            }
            SampleEvent::Row(row) => self.line(row),
            SampleEvent::Close { sample, doubts, .. } => {
                if let Some(seen) = self.samples.iter_mut().rfind(|seen| seen.open && seen.sample.number == sample.number) {
                    seen.doubtful = !doubts.is_empty();
                    seen.close(&mut self.thumbnail);
                    self.spare.push(std::mem::take(&mut seen.newest));
                }
            }
        }
    }

    /// Marks the part of a sample's outline that a line of its cube shows.
    fn line(&mut self, row: &SampleRow) {
        let Some(seen) = self.samples.iter_mut().rfind(|seen| seen.open && seen.sample.number == row.sample.number) else { return };
        let (number, first) = (seen.sample.number, seen.sample.first_pixel);
        self.line.clear();
        self.line.extend((0..seen.sample.width).map(|pixel| row.on_sample(pixel)));
        let line = &self.line;
        for (pixel, (on, above)) in line.iter().copied().zip(seen.newest.iter().copied()).enumerate() {
            if on {
                let inside = above && pixel > 0 && line[pixel - 1] && line.get(pixel + 1) == Some(&true);
                if !inside {
                    self.thumbnail.mark(row.row.index, first + pixel, number);
                }
                Extent::take_in(&mut seen.extent, row.row.index, first + pixel);
            } else if above {
                self.thumbnail.mark(seen.newest_row, first + pixel, number);
            }
        }
        std::mem::swap(&mut self.line, &mut seen.newest);
        seen.newest_row = row.row.index;
    }

    /// Adds the outlines of regions that are no sample, once the scan is over.
    pub fn outline(&mut self, outlines: &[Outline]) {
        self.outlines.extend_from_slice(outlines);
    }

    /// Draws the picture and writes it. The file has a hidden name until it is complete, so that no reader finds half a picture.
    ///
    /// # Errors
    /// [`QuicklookError::NoRows`] where no row came. [`QuicklookError::Io`] where the file cannot be created, written or renamed.
    /// [`QuicklookError::Encoding`] where the PNG encoder refuses.
    pub fn finish(mut self) -> Result<(), QuicklookError> {
        if self.thumbnail.rows == 0 || self.thumbnail.width == 0 {
            return Err(QuicklookError::NoRows { path: self.path });
        }
        for seen in self.samples.iter_mut().filter(|seen| seen.open) {
            seen.close(&mut self.thumbnail);
        }
        let zoom = (LEGIBLE_WIDTH / self.thumbnail.width).min(MOST_ROWS / self.thumbnail.rows).clamp(1, MOST_ZOOM);
        let canvas = self.draw(zoom);
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let part = self.path.with_file_name(format!(".{name}.part"));
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let image_pixel_mm = self.pixel_mm * self.thumbnail.step as f64 / zoom as f64;
        let written = write(&canvas, image_pixel_mm, &part).and_then(|()| {
            std::fs::rename(&part, &self.path).map_err(|source| QuicklookError::Io { path: self.path.clone(), doing: "renamed", source })
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        written
    }

    /// The picture with `zoom` image pixels along the edge of a thumbnail pixel.
    fn draw(&self, zoom: usize) -> Canvas {
        let thumbnail = &self.thumbnail;
        let (width, height) = (thumbnail.width * zoom, thumbnail.rows * zoom);
        let scale = (width / 300).clamp(1, 4);
        let mut canvas = Canvas::new(width, height + strip(scale));
        let white = thumbnail.percentile(STRETCH);
        let tones: Vec<u8> = (0..=white).map(|value| tone(f64::from(value) / f64::from(white))).collect();
        for row in 0..thumbnail.rows {
            for pixel in 0..thumbnail.width {
                let outlined =
                    thumbnail.outline(row, pixel).and_then(|number| self.samples.iter().find(|seen| seen.sample.number == number));
                let colour = match (outlined.filter(|seen| !seen.doubtful || dashed(row + pixel)), thumbnail.value(row, pixel)) {
                    (Some(seen), _) => seen.colour(),
                    (None, Some(value)) => value.map(|v| tones[usize::from(v.min(white))]),
                    (None, None) => GAP,
                };
                canvas.fill((offset(pixel * zoom), offset(row * zoom)), (zoom, zoom), colour);
            }
        }
        for outline in &self.outlines {
            self.frame(outline, zoom, scale, &mut canvas);
        }
        for seen in &self.samples {
            self.name(seen, zoom, scale, &mut canvas);
        }
        self.legend(zoom, scale, height, &mut canvas);
        canvas
    }

    /// Writes the place and the name of a sample over its centre. Below a sample that is too small, it writes only the place.
    fn name(&self, seen: &Seen, zoom: usize, scale: usize, canvas: &mut Canvas) {
        let Some(Extent { rows, pixels }) = seen.extent else { return };
        let (Some(from), Some(to)) = (self.thumbnail.place(rows.0, pixels.0), self.thumbnail.place(rows.1, pixels.1)) else { return };
        // The room between the outlines, less the ground around the text.
        let room = (((to.1 - from.1).saturating_sub(1) * zoom).saturating_sub(2), (to.0 - from.0).saturating_sub(1) * zoom);
        let centre = (offset((from.1 + to.1 + 1) * zoom / 2), offset((from.0 + to.0 + 1) * zoom / 2));
        let container = &seen.sample.container;
        let at = if seen.doubtful { format!("{}?", container.at) } else { container.at.clone() };
        let place = fit(&at, room.0, scale).unwrap_or((at, 1));
        let lines: Vec<(String, usize)> = std::iter::once(place).chain(fit(&container.sample, room.0, scale)).collect();
        // The space between two lines of text is the same as around them.
        let tall = |lines: &[(String, usize)]| lines.iter().map(|(_, scale)| (font::HEIGHT + 2) * scale).sum::<usize>();
        let lines = if tall(&lines) > room.1 { &lines[..1] } else { &lines[..] };
        let inside = tall(lines) <= room.1 && text_size(lines[0].0.chars().count(), lines[0].1).0 <= room.0;
        let mut y = if inside { centre.1 - offset(tall(lines) / 2) } else { offset((to.0 + 1) * zoom) };
        for (text, scale) in lines {
            let x = centre.0 - offset(text_size(text.chars().count(), *scale).0 / 2);
            canvas.text((x, y + offset(*scale)), text, *scale, seen.colour(), GROUND);
            y += offset((font::HEIGHT + 2) * scale);
        }
    }

    /// Draws a dashed rectangle around a region that is no sample, with its label in the corner.
    fn frame(&self, outline: &Outline, zoom: usize, scale: usize, canvas: &mut Canvas) {
        let thumbnail = &self.thumbnail;
        // The part before the first row or behind the last row is cut off.
        let Some((rows, pixels)) = thumbnail.window(outline.rows, outline.pixels) else { return };
        let mut dot = |row: usize, pixel: usize| {
            if dashed(row + pixel) {
                canvas.fill((offset(pixel * zoom), offset(row * zoom)), (zoom, zoom), DOUBTFUL);
            }
        };
        for pixel in pixels.0..=pixels.1 {
            dot(rows.0, pixel);
            dot(rows.1, pixel);
        }
        for row in rows.0..=rows.1 {
            dot(row, pixels.0);
            dot(row, pixels.1);
        }
        let corner = (offset((pixels.0 + 2) * zoom + scale), offset((rows.0 + 2) * zoom + scale));
        canvas.text(corner, &outline.label, scale, DOUBTFUL, GROUND);
    }

    /// Draws the scale bar and the legend in the strip below the picture.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "lengths within an image are small and not negative"
    )]
    fn legend(&self, zoom: usize, scale: usize, top: usize, canvas: &mut Canvas) {
        let dots = |n: usize| offset(n * scale);
        canvas.fill((0, offset(top)), (canvas.width, strip(scale)), GROUND);
        let image_pixel_mm = self.pixel_mm * self.thumbnail.step as f64 / zoom as f64;
        let length_mm = round_length(canvas.width as f64 * image_pixel_mm / 4.0);
        let bar = ((length_mm / image_pixel_mm).round() as usize).max(1);
        let (mut x, y) = (dots(2), offset(top) + dots(2));
        canvas.fill((x, y + dots(2)), (bar, 3 * scale), TEXT);
        let say = |canvas: &mut Canvas, x: i64, label: &str| {
            canvas.text((x, y), label, scale, TEXT, GROUND);
            x + offset(text_size(label.chars().count(), scale).0) + dots(8)
        };
        x = say(canvas, x + offset(bar) + dots(3), &format!("{length_mm} mm"));
        let swatch = font::HEIGHT * scale;
        for (colour, label) in [(SAMPLE, "sample"), (DOUBTFUL, "doubtful"), (GAP, "no value")] {
            canvas.fill((x, y), (swatch, swatch), colour);
            x = say(canvas, x + offset(swatch) + dots(3), label);
        }
    }
}

impl Extent {
    /// Extends the rectangle to a pixel. Rows come in order.
    fn take_in(extent: &mut Option<Self>, row: i64, pixel: usize) {
        let extent = extent.get_or_insert(Self { rows: (row, row), pixels: (pixel, pixel) });
        extent.rows.1 = row;
        extent.pixels = (extent.pixels.0.min(pixel), extent.pixels.1.max(pixel));
    }
}

impl Seen {
    fn colour(&self) -> Colour {
        if self.doubtful { DOUBTFUL } else { SAMPLE }
    }

    /// Ends the sample. The newest line was the last one, so all its pixels are outline.
    fn close(&mut self, thumbnail: &mut Thumbnail) {
        self.open = false;
        for pixel in self.newest.iter().enumerate().filter(|(_, on)| **on).map(|(pixel, _)| pixel) {
            thumbnail.mark(self.newest_row, self.sample.first_pixel + pixel, self.sample.number);
        }
    }
}

/// Whether a dashed line is drawn at a place along it.
fn dashed(at: usize) -> bool {
    at % 8 < 5
}

/// The bands nearest to red, green and blue. Where these are not measured, three bands spread over the range, the longest as red.
pub(crate) fn shown(wavelengths_nm: &[f64]) -> Option<[usize; 3]> {
    let (first, last) = (*wavelengths_nm.first()?, *wavelengths_nm.last()?);
    let away = |band: usize, nm: f64| (wavelengths_nm[band] - nm).abs();
    let nearest = |nm: f64| (0..wavelengths_nm.len()).min_by(|a, b| away(*a, nm).total_cmp(&away(*b, nm))).unwrap_or(0);
    let visible = VISIBLE_NM.map(nearest);
    if visible.iter().zip(VISIBLE_NM).all(|(band, nm)| away(*band, nm) <= NEAR_NM) {
        return Some(visible);
    }
    Some([0.75, 0.5, 0.25].map(|part| nearest(first + part * (last - first))))
}

/// The value of a screen pixel for a share of white, after gamma correction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
fn tone(share: f64) -> u8 {
    (share.powf(1.0 / GAMMA) * 255.0).round() as u8
}

/// The text and its scale as they fit into `room` pixels, at a scale of at most `most`.
///
/// The scale is as large as possible. A longer text loses its middle. `None` means that too little of it would be left.
fn fit(text: &str, room: usize, most: usize) -> Option<(String, usize)> {
    let letters: Vec<char> = text.chars().collect();
    if let Some(scale) = (1..=most).rev().find(|scale| text_size(letters.len(), *scale).0 <= room) {
        return Some((text.to_owned(), scale));
    }
    let most_letters = (room + 1) / font::ADVANCE;
    // Names of a series differ at their end, so the end gets the larger half.
    let head = most_letters.checked_sub(2).filter(|_| most_letters >= LEAST_LETTERS)? / 2;
    let tail = most_letters - 2 - head;
    Some((letters[..head].iter().chain(&['.', '.']).chain(&letters[letters.len() - tail..]).collect(), 1))
}

/// Height of the strip below the picture, image pixels.
fn strip(scale: usize) -> usize {
    (font::HEIGHT + 4) * scale
}

/// The largest of ..., 0.2, 0.5, 1, 2, 5, 10, 20, ... that is not above `most`.
fn round_length(most: f64) -> f64 {
    let decade = 10_f64.powf(most.log10().floor());
    [5.0, 2.0].into_iter().map(|n| n * decade).find(|length| *length <= most).unwrap_or(decade)
}

/// Writes an image as PNG. `image_pixel_mm` is the edge of an image pixel, mm.
fn write(canvas: &Canvas, image_pixel_mm: f64, path: &Path) -> Result<(), QuicklookError> {
    let failed = |doing| move |source| QuicklookError::Io { path: path.into(), doing, source };
    let refused = |source| match source {
        png::EncodingError::IoError(source) => failed("written")(source),
        source => QuicklookError::Encoding { path: path.into(), source },
    };
    let file = crate::disk::create_over(path).map_err(failed("created"))?;
    // An image is at most some tens of thousands of pixels across.
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    let mut buffered = BufWriter::new(&file);
    let mut encoder = png::Encoder::new(&mut buffered, side(canvas.width), side(canvas.height));
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // The last rows of a scan wait until the picture is written, so speed matters more than size.
    encoder.set_compression(png::Compression::Fast);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast that saturates is right here")]
    let per_metre = (1000.0 / image_pixel_mm).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit: png::Unit::Meter }));
    let mut writer = encoder.write_header().map_err(refused)?;
    writer.write_image_data(&canvas.pixels).map_err(refused)?;
    writer.finish().map_err(refused)?;
    std::io::Write::flush(&mut buffered).map_err(failed("written"))?;
    drop(buffered);
    file.sync_all().map_err(failed("written"))
}
