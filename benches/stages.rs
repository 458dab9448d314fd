//! Seconds per line of the stages from counts to sample events.
//!
//! The cameras are the fastest pair: 1024 pixels x 448 bands and 384 pixels x 288 bands. The grid has the pixels of the second one.
//! `HYCLUS_PORTABLE=1` measures without the CPU's vector units.

#![allow(missing_docs, reason = "criterion's macros")]

use contract::{Exposure, Frame, FrameInfo, FramePool, Layout, PixelFormat};
use criterion::{Criterion, criterion_group, criterion_main};
use hyclus::acquire::Stamp;
use hyclus::calibrate::{Calibrate, Keystone, Line, Spectra, Spectrum};
use hyclus::config::{Overlap, SegmentConfig, SegmentMethod};
use hyclus::join::{Axes, Bands, Join, Row};
use hyclus::rectify::{CameraRow, FieldOfView, PixelWeights, Rectify, Yaw};
use hyclus::reference::{Calibration, LowSignal, MendBands, Reference, Referenced, UsedBands};
use hyclus::scan::Tray;
use hyclus::segment::Segment;
use std::hint::black_box;
use std::sync::Arc;

const VNIR: Layout = Layout { pixels: 1024, bands: 448, format: PixelFormat::U16 };
const SWIR: Layout = Layout { pixels: 384, bands: 288, format: PixelFormat::U16 };
const WIDTH: usize = 384;
const PIXEL_MM: f64 = 300.0 / 384.0;

/// One camera: its stages and its frames. The frames take turns and exceed every cache.
struct Camera {
    layout: Layout,
    calibrate: Calibrate,
    pool: FramePool,
    number: u64,
    /// Distance of lines, mm.
    line_mm: f64,
}

impl Camera {
    fn new(layout: Layout, line_mm: f64) -> Self {
        let reference = |level: f32| Reference {
            mean: vec![level; layout.elements()],
            sd: vec![2.0; layout.elements()],
            peak: vec![level; layout.elements()],
            frames: 100,
            level_sd: 0.1,
            taken_ns: 0,
            temperature_c: None,
            exposure: Exposure { exposure_us: 2000.0, frame_rate_hz: 330.0, binning: (1, 1) },
        };
        let panel = vec![0.95; layout.bands];
        let bands = MendBands::new(&nm(400.0, 1000.0, layout.bands), None);
        let referenced = Referenced::new(reference(100.0), reference(3000.0), panel, layout, Some(4095.0), bands).expect("of one shape");
        let calibration = Arc::new(Calibration::Referenced(Box::new(referenced)));
        let pool = FramePool::new(layout, 16);
        let mut slots: Vec<_> = std::iter::from_fn(|| pool.try_take()).collect();
        for (i, slot) in slots.iter_mut().enumerate() {
            let counts = slot.as_u16_mut().into_iter().flatten();
            counts.enumerate().for_each(|(k, count)| *count = 200 + ((k * 7 + i * 13) % 2500) as u16);
        }
        drop(slots);
        Self { layout, calibrate: Calibrate::new(layout, calibration, Some(4095.0), LowSignal::default()), pool, number: 0, line_mm }
    }

    fn rectify(&self) -> Rectify {
        let view = FieldOfView { pixels: self.layout.pixels, field_of_view_mm: 300.0, shift_mm: 0.0 };
        Rectify::new(PixelWeights::new(view, PIXEL_MM / 2.0, PIXEL_MM, WIDTH), self.layout.bands, PIXEL_MM, self.line_mm)
    }

    fn line(&mut self) -> Line<Frame> {
        let slot = self.pool.try_take().expect("no slot is kept");
        let stamp = Stamp { frame: self.number, time_ns: 0, position_mm: 0.0, y_mm: self.number as f64 * self.line_mm };
        self.number += 1;
        Line::new(stamp, Frame { info: FrameInfo { number: stamp.frame, ..FrameInfo::default() }, slot })
    }

    /// Calibrates one line and resamples it onto the grid.
    fn resample(&mut self, rectify: &mut Rectify, out: &mut dyn FnMut(CameraRow)) {
        let line = self.line();
        self.calibrate.spectra(line, &mut rectify.begin_line(self.stamp()));
        rectify.end_line(out);
    }

    fn stamp(&self) -> Stamp {
        let frame = self.number - 1;
        Stamp { frame, time_ns: 0, position_mm: 0.0, y_mm: frame as f64 * self.line_mm }
    }
}

/// Takes spectra and keeps nothing.
struct Discard(f32);

impl Spectra for Discard {
    #[inline(always)]
    fn take(&mut self, _pixel: usize, spectrum: Spectrum<'_>) {
        self.0 += spectrum.values()[0];
    }
}

fn calibrate(c: &mut Criterion) {
    for (name, layout, keystone_px) in
        [("calibrate/vnir", VNIR, 0.0), ("calibrate/vnir keystone", VNIR, 0.5), ("calibrate/swir", SWIR, 0.0)]
    {
        let mut camera = Camera::new(layout, PIXEL_MM);
        let keystone = Keystone::new(keystone_px, layout, &UsedBands::all(layout.bands), layout.bands);
        camera.calibrate = camera.calibrate.with_keystone(keystone);
        c.bench_function(name, |b| {
            b.iter(|| {
                let (line, mut discard) = (camera.line(), Discard(0.0));
                camera.calibrate.spectra(line, &mut discard);
                black_box(discard.0)
            });
        });
    }
}

/// Calibration and rectification as one pass, then the rectification of a whole line.
fn rectify(c: &mut Criterion) {
    for (name, layout, line_mm) in
        [("rectify/vnir", VNIR, PIXEL_MM), ("rectify/vnir fine lines", VNIR, PIXEL_MM / 3.0), ("rectify/swir", SWIR, PIXEL_MM)]
    {
        let mut camera = Camera::new(layout, line_mm);
        let mut rectify = camera.rectify();
        c.bench_function(name, |b| b.iter(|| camera.resample(&mut rectify, &mut |row| drop(black_box(row)))));
    }
    let mut turned = Camera::new(VNIR, PIXEL_MM);
    let view = FieldOfView { pixels: VNIR.pixels, field_of_view_mm: 300.0, shift_mm: 0.0 };
    let yaw = Yaw::new(0.3, view, PIXEL_MM / 2.0, PIXEL_MM, &PixelWeights::new(view, PIXEL_MM / 2.0, PIXEL_MM, WIDTH));
    let mut rectify = turned.rectify().with_yaw(yaw);
    c.bench_function("rectify/vnir turned", |b| b.iter(|| turned.resample(&mut rectify, &mut |row| drop(black_box(row)))));
    let mut camera = Camera::new(VNIR, PIXEL_MM);
    let mut rectify = camera.rectify();
    let line = camera.line();
    let line = camera.calibrate.process(line);
    c.bench_function("rectify/vnir", |b| b.iter(|| rectify.process(line, &mut |row| drop(black_box(row)))));
}

fn nm(from: f64, to: f64, bands: usize) -> Vec<f64> {
    (0..bands).map(|band| from + (to - from) * band as f64 / (bands - 1) as f64).collect()
}

fn axes() -> (Axes, Bands) {
    let (vnir, swir) = (nm(400.0, 1000.0, VNIR.bands), nm(1000.0, 2500.0, SWIR.bands));
    let bands = Bands::new(&[(&vnir, None), (&swir, None)], Overlap::Keep);
    let (wavelengths_nm, fwhm_nm) = (bands.wavelengths_nm.clone(), bands.fwhm_nm.clone());
    (Axes { pixel_mm: PIXEL_MM, x0_mm: PIXEL_MM / 2.0, width: WIDTH, wavelengths_nm, fwhm_nm }, bands)
}

/// Rows that lie on lines of both cameras, and rows between them.
fn join(c: &mut Criterion) {
    for (name, line_mm) in [("join/on lines", PIXEL_MM), ("join/between lines", PIXEL_MM * 0.97)] {
        let (axes, bands) = axes();
        let mut join = Join::new(bands, &axes);
        let mut rows: Vec<Vec<CameraRow>> = [VNIR, SWIR]
            .into_iter()
            .map(|layout| {
                let (mut camera, mut rows) = (Camera::new(layout, line_mm), Vec::new());
                let mut rectify = camera.rectify();
                while rows.len() < 8 {
                    camera.resample(&mut rectify, &mut |row| rows.push(row));
                }
                rows
            })
            .collect();
        let mut joined: Vec<Row> = (0..8).map(|_| Row::default()).collect();
        let mut values = vec![0.0; WIDTH * axes.bands()];
        let mut index = 0;
        c.bench_function(name, |b| {
            b.iter(|| {
                for (camera, rows) in rows.iter_mut().enumerate() {
                    let mut row = rows[2 + index as usize % 6].clone();
                    row.index = index;
                    join.process(camera, row, &mut |join, index| {
                        let row = &mut joined[index as usize % 8];
                        join.fill(index, row);
                        row.write(0..WIDTH, axes.bands(), &mut values);
                    });
                }
                index += 1;
            });
        });
    }
}

fn segment(c: &mut Criterion) {
    let (axes, bands) = axes();
    for (name, method) in [("segment/footprint", SegmentMethod::Footprint), ("segment/brightness", SegmentMethod::Brightness)] {
        let places = [0.0, 100.0, 200.0]
            .map(|x| serde_json::json!({"sample": format!("s{x}"), "x_mm": x, "y_mm": 0.0, "width_mm": 80.0, "length_mm": 1e6}));
        let tray = Tray::check(&serde_json::json!({"tray": "B", "container": places})).expect("a tray map");
        let config = SegmentConfig { method, ..SegmentConfig::default() };
        let mut segment = Segment::new(&config, tray, axes.clone(), &bands.cameras(), PIXEL_MM);
        let mut index = 0;
        c.bench_function(name, |b| {
            b.iter(|| {
                let mut row = segment.spare_row();
                if let Some(row) = Arc::get_mut(&mut row) {
                    row.index = index;
                    if row.values() == 0 {
                        // Bright where the containers lie.
                        let bright = |pixel: usize| if axes.x_mm(pixel) % 100.0 < 80.0 { 0.4 } else { 0.02 };
                        let spectra = (0..WIDTH).flat_map(|pixel| std::iter::repeat_n(bright(pixel), axes.bands()));
                        row.spectra = spectra.collect::<Vec<f32>>().into();
                        row.quality.resize(WIDTH, 0);
                    }
                    row.quality.fill(0);
                }
                index += 1;
                segment.process(row, &mut |event| drop(black_box(event)));
            });
        });
    }
}

criterion_group!(stages, calibrate, rectify, join, segment);
criterion_main!(stages);
