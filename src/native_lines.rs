//! Calibrated lines of a camera that wait, on the disk, for the samples they belong to.
//!
//! A line is calibrated long before the segmentation knows whether it lies on a sample. A camera may be ahead of the others by metres
//! of belt, and the segmentation looks ahead too. The lines wait in a file without a name, and its places are used again. Neither
//! memory nor the length of the scan limits them. A stopped program leaves no file behind.

use crate::calibrate::{Line, Reflectance};
use crate::disk::create_over;
use crate::rectify::FieldOfView;
use crate::sync::lock;
use contract::CameraDescription;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// The file of the lines cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {doing}: {source}; {}", file.display(), crate::disk::advice(source, "check the free space and the permissions"))]
pub struct NativeLinesError {
    /// The file.
    pub(crate) file: PathBuf,
    /// The attempt: `created`, `written`, `read`.
    pub(crate) doing: &'static str,
    /// What the system said.
    pub(crate) source: io::Error,
}

/// The lines of one camera. The camera's rectify thread adds them, the segmentation says which have passed, the store reads them.
#[derive(Debug)]
pub struct NativeLines {
    name: String,
    view: FieldOfView,
    line_mm: f64,
    wavelengths_nm: Vec<f64>,
    fwhm_nm: Vec<f64>,
    /// The camera's band for each band here. None where the camera's bands rise.
    order: Option<Vec<usize>>,
    /// The folder of the file, for messages.
    folder: PathBuf,
    file: File,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Kept>,
    /// Lines that were forgotten, which is the number of the first that waits.
    forgotten: u64,
    /// Places in the file.
    places: u64,
    /// Places that are free.
    free: Vec<u64>,
    /// No sample will begin before this place along the tray, mm.
    passed_mm: f64,
    /// Samples that still need lines: the number, and the place along the tray from which on (mm).
    wanted: Vec<(u16, f64)>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    place: u64,
    time_ns: i64,
    y_mm: f64,
}

/// The pixels of a line that [`NativeLines::next`] reads.
#[derive(Debug, Default)]
pub(crate) struct NativeLine {
    pub(crate) time_ns: i64,
    /// Its centre along the tray, mm.
    pub(crate) y_mm: f64,
    /// Reflectance `[pixel][band]`.
    pub(crate) values: Vec<f32>,
    /// Flags of each pixel.
    pub(crate) quality: Vec<u8>,
    unordered: Vec<f32>,
}

impl NativeLines {
    /// The lines of the camera `name`, about one every `line_mm` (mm). The file lies in `folder`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(folder: &Path, name: &str, about: &CameraDescription, view: FieldOfView, line_mm: f64) -> Result<Self, NativeLinesError> {
        let path = folder.join(format!(".native-{name}.part"));
        let made = create_over(&path);
        let file = made.and_then(|file| std::fs::remove_file(&path).map(|()| file));
        let file = file.map_err(|source| NativeLinesError { file: path, doing: "created", source })?;
        let nm = &about.wavelengths_nm;
        let mut order: Vec<usize> = (0..nm.len()).collect();
        order.sort_by(|a, b| nm[*a].total_cmp(&nm[*b]));
        let fwhm = |band: &usize| about.fwhm_nm.as_ref().and_then(|fwhm| fwhm.get(*band).copied()).unwrap_or(f64::NAN);
        Ok(Self {
            name: name.to_owned(),
            view,
            line_mm,
            wavelengths_nm: order.iter().map(|band| nm[*band]).collect(),
            fwhm_nm: order.iter().map(fwhm).collect(),
            order: (!order.is_sorted()).then_some(order),
            folder: folder.to_owned(),
            file,
            waiting: Mutex::new(Waiting { passed_mm: f64::NEG_INFINITY, ..Waiting::default() }),
        })
    }

    /// Adds the camera's next line.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push(&self, line: &Line<Reflectance>) -> Result<(), NativeLinesError> {
        let place = {
            let waiting = &mut *self.lock();
            waiting.free.pop().unwrap_or_else(|| {
                waiting.places += 1;
                waiting.places - 1
            })
        };
        let (at, values) = (self.at(place), bytemuck::cast_slice::<f32, u8>(line.values()));
        let written = self.file.write_all_at(values, at).and_then(|()| self.file.write_all_at(line.quality(), at + values.len() as u64));
        written.map_err(|source| self.failed("written", source))?;
        self.lock().lines.push_back(Kept { place, time_ns: line.stamp.time_ns, y_mm: line.stamp.y_mm });
        Ok(())
    }

    /// Rows of `pixel_mm` (mm) that the segmentation must hold back. Every line that overlaps a sample has then come when the sample is
    /// closed, because a row exists only when a line beyond its centre does.
    #[expect(clippy::cast_possible_truncation, reason = "a line is a few rows wide")]
    pub fn rows_to_hold(&self, pixel_mm: f64) -> i64 {
        (0.5 + self.line_mm / 2.0 / pixel_mm).ceil() as i64
    }

    /// Notes that a sample begins at `from_mm` along the tray and will read its lines.
    pub fn want(&self, sample: u16, from_mm: f64) {
        self.lock().wanted.push((sample, from_mm));
    }

    /// Notes that no further sample begins before `y_mm` along the tray.
    pub fn passed(&self, y_mm: f64) {
        let mut waiting = self.lock();
        waiting.passed_mm = y_mm;
        waiting.forget(self.line_mm / 2.0);
    }

    /// Notes that a sample has all its lines.
    pub(crate) fn release(&self, sample: u16) {
        let mut waiting = self.lock();
        waiting.wanted.retain(|(number, _)| *number != sample);
        waiting.forget(self.line_mm / 2.0);
    }

    /// Reads `pixels` of the first line that reaches beyond `from_mm` and has its centre at or before `to_mm` (mm along the tray). The
    /// search starts at line `next`. Gives the number of the line behind it, or `None` where there is no such line yet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn next(
        &self,
        next: u64,
        (from_mm, to_mm): (f64, f64),
        pixels: &Range<usize>,
        into: &mut NativeLine,
    ) -> Result<Option<u64>, NativeLinesError> {
        let found = {
            let waiting = self.lock();
            let skip = usize::try_from(next.saturating_sub(waiting.forgotten)).unwrap_or(usize::MAX);
            let mut lines = waiting.lines.iter().enumerate().skip(skip);
            let line = lines.find(|(_, line)| line.y_mm + self.line_mm / 2.0 > from_mm).filter(|(_, line)| line.y_mm <= to_mm);
            line.map(|(i, line)| (waiting.forgotten + i as u64 + 1, *line))
        };
        let Some((behind, line)) = found else { return Ok(None) };
        (into.time_ns, into.y_mm) = (line.time_ns, line.y_mm);
        let bands = self.wavelengths_nm.len();
        let (at, value) = (self.at(line.place), size_of::<f32>() as u64);
        into.values.resize(pixels.len() * bands, 0.0);
        into.quality.resize(pixels.len(), 0);
        self.file
            .read_exact_at(bytemuck::cast_slice_mut(&mut into.values), at + (pixels.start * bands) as u64 * value)
            .and_then(|()| {
                let flags = at + (self.view.pixels * bands) as u64 * value;
                self.file.read_exact_at(&mut into.quality, flags + pixels.start as u64)
            })
            .map_err(|source| self.failed("read", source))?;
        if let Some(order) = &self.order {
            into.unordered.clone_from(&into.values);
            for (to, from) in into.values.chunks_exact_mut(bands).zip(into.unordered.chunks_exact(bands)) {
                to.iter_mut().zip(order).for_each(|(to, band)| *to = from[*band]);
            }
        }
        Ok(Some(behind))
    }

    /// Notes that a sample needs no line before `y_mm` any more.
    pub(crate) fn advance(&self, sample: u16, y_mm: f64) {
        if let Some((_, from_mm)) = self.lock().wanted.iter_mut().find(|(number, _)| *number == sample) {
            *from_mm = y_mm;
        }
    }

    /// The camera's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Distance of two lines, mm.
    pub(crate) fn line_mm(&self) -> f64 {
        self.line_mm
    }

    /// Centres and widths of the bands, nm.
    pub(crate) fn bands(&self) -> (&[f64], &[f64]) {
        (&self.wavelengths_nm, &self.fwhm_nm)
    }

    /// The camera's pixels that overlap the range between two places across the tray, mm.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "clamped to the detector")]
    pub(crate) fn pixels_between(&self, from_mm: f64, to_mm: f64) -> Range<usize> {
        let pixel = |mm: f64| ((mm - self.view.shift_mm) / self.view.pixel_mm()).clamp(0.0, self.view.pixels as f64);
        // Edges that meet to within rounding do not overlap.
        (pixel(from_mm) + 1e-6) as usize..(pixel(to_mm) - 1e-6).ceil().max(0.0) as usize
    }

    /// Centre of a pixel across the tray, mm.
    #[expect(clippy::cast_precision_loss, reason = "pixel numbers are far below 2^52")]
    pub(crate) fn x_mm(&self, pixel: usize) -> f64 {
        (pixel as f64 + 0.5) * self.view.pixel_mm() + self.view.shift_mm
    }

    fn at(&self, place: u64) -> u64 {
        place * (self.view.pixels * (self.wavelengths_nm.len() * size_of::<f32>() + 1)) as u64
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> NativeLinesError {
        NativeLinesError { file: self.folder.join(format!("(native lines of {})", self.name)), doing, source }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Waiting {
    /// Frees the places of lines that no sample needs.
    fn forget(&mut self, half_line_mm: f64) {
        let needed = self.wanted.iter().map(|(_, from_mm)| *from_mm).fold(self.passed_mm, f64::min);
        while let Some(line) = self.lines.front().filter(|line| line.y_mm + half_line_mm < needed) {
            self.free.push(line.place);
            self.lines.pop_front();
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::Stamp;
    use crate::calibrate::Calibrate;
    use crate::reference::{Calibration, LowSignal};
    use contract::{Frame, FrameInfo, FramePool, Layout, PixelFormat, Values};
    use std::sync::Arc;

    const LAYOUT: Layout = Layout { pixels: 4, bands: 2, format: PixelFormat::U16 };

    /// Bands in falling order, a line every millimetre, pixels of 0.5 mm from -1 mm on.
    fn lines(folder: &Path) -> NativeLines {
        let about = CameraDescription {
            model: String::new(),
            serial: String::new(),
            layout: LAYOUT,
            wavelengths_nm: vec![600.0, 500.0],
            fwhm_nm: Some(vec![6.0, 5.0]),
            values: Values::Counts,
            saturation: None,
            shutter: false,
            recorded: true,
            waits: true,
            max_frame_rate_hz: 1.0,
            exposure_range_us: (1.0, 1.0),
            frames: None,
        };
        NativeLines::create(folder, "vnir", &about, FieldOfView { pixels: 4, field_of_view_mm: 2.0, shift_mm: -1.0 }, 1.0).unwrap()
    }

    fn push(lines: &NativeLines, y: u16) {
        let pool = FramePool::new(LAYOUT, 1);
        let mut slot = pool.try_take().unwrap();
        slot.as_u16_mut().unwrap().iter_mut().zip(0..).for_each(|(c, i)| *c = 50 * y + i);
        let mut stage = Calibrate::new(LAYOUT, Arc::new(Calibration::Scaled { scale: 1.0, ignore: None }), None, LowSignal::default());
        let stamp = Stamp { frame: y.into(), time_ns: i64::from(y) * 10, position_mm: 0.0, y_mm: y.into() };
        lines.push(stage.process(Line::new(stamp, Frame { info: FrameInfo::default(), slot }))).unwrap();
    }

    #[test]
    fn a_sample_reads_what_reaches_into_it_in_order_and_with_rising_bands() {
        let folder = tempfile::tempdir().unwrap();
        let lines = lines(folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        (0..6).for_each(|y| push(&lines, y));
        let (mut line, mut next, mut seen) = (NativeLine::default(), 0, Vec::new());
        while let Some(behind) = lines.next(next, (0.6, 3.0), &(1..3), &mut line).unwrap() {
            next = behind;
            seen.push((line.y_mm, line.time_ns, line.values.clone(), line.quality.clone()));
        }
        assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [1.0, 2.0, 3.0], "the line at 0 ends at 0.5");
        assert_eq!((seen[1].1, seen[1].2.as_slice(), seen[1].3.as_slice()), (20, &[105.0, 101.0, 106.0, 102.0][..], &[0, 0][..]));
        assert_eq!(lines.bands(), (&[500.0, 600.0][..], &[5.0, 6.0][..]));
        assert_eq!(
            (lines.pixels_between(-0.5, 0.5), lines.pixels_between(-0.4, 9.0), lines.pixels_between(3.0, 4.0).len()),
            (1..3, 1..4, 0)
        );
        assert_eq!(lines.x_mm(1), -0.25);
    }

    #[test]
    fn places_of_passed_lines_are_used_again_and_wanted_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let lines = lines(folder.path());
        for y in 0..1000 {
            push(&lines, y);
            lines.passed(f64::from(y) - 7.0);
        }
        let held = lines.lock().places;
        assert!((8..=10).contains(&held), "{held} places for lines that wait 7 mm");
        lines.want(3, 995.0);
        (1000..1100).for_each(|y| push(&lines, y));
        lines.passed(1090.0);
        let (mut line, mut seen, mut next) = (NativeLine::default(), Vec::new(), 0);
        while let Some(behind) = lines.next(next, (995.0, 1050.0), &(0..4), &mut line).unwrap() {
            next = behind;
            seen.push(line.y_mm);
            assert_eq!(f64::from(line.values[1]), line.y_mm * 50.0, "another line took the place");
            lines.advance(3, line.y_mm);
        }
        assert_eq!((seen.len(), seen[0]), (56, 995.0));
        lines.release(3);
        assert_eq!(lines.lock().lines.len(), 10, "1089 reaches to 1089.5 and is gone");
    }
}
