//! Scans as a rig with a VNIR and a SWIR camera leaves them, through the store itself.

use contract::{CameraDescription, Exposure, Layout, PixelFormat, Values};
use hyclus::config::{Compression, CorrectionConfig, Overlap, StoreConfig};
use hyclus::context::{CameraContext, ScanContext};
use hyclus::join::{Axes, Bands, Row};
use hyclus::reference::Calibration;
use hyclus::scan::{Container, Ledger, LedgerLine, LineStatus, Quality, ScanRecord, Tray};
use hyclus::segment::{Mask, Sample, SampleEvent, SampleRow};
use hyclus::store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const START_NS: i64 = 1_530_627_302_000_000_000;
const WIDTH: usize = 30;
/// Pixels across of every sample.
const SAMPLE_WIDTH: usize = 20;
const PIXEL_MM: f64 = 0.6;

/// A scan to be.
pub struct Made<'a> {
    pub id: &'a str,
    pub tray: &'a str,
    pub complete: Option<bool>,
    pub compression: Compression,
    /// Ranges and steps of the cameras, nm.
    pub cameras: &'a [(&'a str, f64, f64, f64)],
    /// Place, sample and lines.
    pub samples: &'a [(&'a str, &'a str, u32)],
}

/// Both see 950 to 1000 nm, and their bands coincide there.
pub const TWO: [(&str, f64, f64, f64); 2] = [("vnir", 400.0, 1000.0, 2.5), ("swir", 950.0, 2500.0, 5.0)];

impl Default for Made<'_> {
    fn default() -> Self {
        Self {
            id: "20180703T141502Z-T1",
            tray: "T1",
            complete: Some(true),
            compression: Compression::None,
            cameras: &TWO,
            samples: &[("A1", "P1-M100", 6), ("A2", "P2-M100", 5)],
        }
    }
}

impl Made<'_> {
    /// Writes the scan below a data root and gives its folder.
    pub fn write(&self, data: &Path) -> PathBuf {
        let folder = data.join("scans").join(self.id);
        let containers: Vec<Container> = self.samples.iter().map(|(at, sample, _)| container(at, sample)).collect();
        let context = self.context(containers.clone());
        let mut store =
            Store::new(Arc::clone(&context), &StoreConfig { compression: self.compression, ..StoreConfig::default() }, &folder).unwrap();
        let mut records = Vec::new();
        for ((container, (.., lines)), number) in containers.iter().zip(self.samples).zip(0..) {
            let sample = Arc::new(Sample {
                number,
                container: container.clone(),
                first_row: 10,
                first_pixel: 4,
                width: SAMPLE_WIDTH,
                rim_mm: 0.0,
                levels: Vec::new(),
            });
            let mut give = |piece: SampleEvent| store.process(&piece, &mut |record| records.push(record)).unwrap();
            give(SampleEvent::Open(Arc::clone(&sample)));
            let labels = (0..WIDTH).map(|pixel| if (6..22).contains(&pixel) { number + 1 } else { 0 }).collect();
            let mask = Arc::new(Mask { labels });
            for line in 0..*lines {
                let row = Arc::new(row(i64::from(line) + 10, u32::from(number), context.axes.bands()));
                give(SampleEvent::Row(SampleRow { sample: Arc::clone(&sample), line, row, mask: Arc::clone(&mask) }));
            }
            let doubts = if number == 1 { vec!["looks wet".to_owned()] } else { Vec::new() };
            give(SampleEvent::Close { sample, lines: *lines, doubts });
        }
        store.end_of_scan(&mut |record| records.push(record), None).unwrap();
        let record = ScanRecord {
            format_version: ScanRecord::FORMAT_VERSION,
            id: self.id.into(),
            tray: context.tray.clone(),
            started: "2018-07-03T14:15:02.000Z".into(),
            ended: self.complete.map(|_| "2018-07-03T14:16:02.000Z".into()),
            complete: self.complete,
            reason: (self.complete == Some(false)).then(|| "the belt stood".into()),
            cameras: BTreeMap::new(),
            samples: records,
            missing: Vec::new(),
            residuals_mm: BTreeMap::new(),
            registration: BTreeMap::new(),
            keystone_mm: BTreeMap::new(),
            dark_drift: BTreeMap::new(),
            light_change: BTreeMap::new(),
            light: BTreeMap::new(),
            wavelength: BTreeMap::new(),
            plausibility: BTreeMap::new(),
            restless_elements: BTreeMap::new(),
            bad_elements: BTreeMap::new(),
            left_out_nm: BTreeMap::new(),
            anisotropy: BTreeMap::new(),
            overlap_step: Vec::new(),
            warnings: Vec::new(),
            embeddings: 0,
            pending: None,
            novelty: None,
            encoders: Default::default(),
            heads: Default::default(),
            minerals: None,
            set_aside: None,
            archived: None,
            files: Vec::new(),
            version: "0".into(),
            configuration_sha256: String::new(),
            encoder_sha256: None,
        };
        record.write(data).unwrap();
        folder
    }

    fn context(&self, containers: Vec<Container>) -> Arc<ScanContext> {
        let cameras: Vec<CameraContext> = self.cameras.iter().map(|(name, from, to, step)| camera(name, *from, *to, *step)).collect();
        let spectra: Vec<(&[f64], Option<&[f64]>)> =
            cameras.iter().map(|c| (c.description.wavelengths_nm.as_slice(), c.description.fwhm_nm.as_deref())).collect();
        let bands = Bands::new(&spectra, Overlap::Cut);
        let ledger = Ledger::new(cameras.len());
        for frame in 0_i32..40 {
            let position_mm = 100.0 + 0.5 * f64::from(frame);
            let y_mm = position_mm - 100.0;
            let time_ns = START_NS + i64::from(frame) * 20_000_000;
            // The second camera has no line: its speed is that of the configuration.
            ledger.push(
                0,
                LedgerLine {
                    frame: 1,
                    device_time_ns: None,
                    time_ns,
                    position_mm,
                    y_mm,
                    exposure_us: None,
                    temperature_c: None,
                    status: LineStatus::Ok,
                },
            );
        }
        Arc::new(ScanContext {
            uncertainty: None,
            scan_id: self.id.into(),
            start_ns: START_NS,
            tray: Tray { tray: self.tray.into(), keys: vec!["plant".into(), "month".into()], grid: None, containers },
            axes: Axes { pixel_mm: PIXEL_MM, x0_mm: -4.0, width: WIDTH, wavelengths_nm: bands.wavelengths_nm, fwhm_nm: bands.fwhm_nm },
            cameras,
            encoder: None,
            ledger: Arc::new(ledger),
            configuration: "# rig\n[conveyor]\nspeed_mm_per_s = 40\n".into(),
            configuration_sha256: "cd".repeat(32),
        })
    }
}

fn container(at: &str, sample: &str) -> Container {
    let keys = BTreeMap::from([("plant".to_owned(), "Süd {1}".to_owned()), ("month".to_owned(), "2018-07".to_owned())]);
    let vars = BTreeMap::from([("Cu/Fe".to_owned(), 0.61), ("Cu_Fe".to_owned(), 2.0)]);
    Container { at: at.into(), cell: None, footprint: None, height_mm: None, sample: sample.into(), keys, vars }
}

fn camera(name: &str, from: f64, to: f64, step: f64) -> CameraContext {
    let bands = ((to - from) / step) as u32 + 1;
    let vnir = name == "vnir";
    let exposure = Exposure {
        exposure_us: if vnir { 2500.0 } else { 4000.0 },
        frame_rate_hz: if vnir { 50.0 } else { 60.0 },
        binning: if vnir { (2, 4) } else { (1, 1) },
    };
    let description = CameraDescription {
        model: format!("Maker {name}"),
        serial: "0815".into(),
        layout: Layout { pixels: 4, bands: bands as usize, format: PixelFormat::U16 },
        wavelengths_nm: (0..bands).map(|band| from + step * f64::from(band)).collect(),
        fwhm_nm: Some(vec![step; bands as usize]),
        values: Values::Counts,
        saturation: None,
        shutter: true,
        recorded: false,
        waits: false,
        max_frame_rate_hz: 100.0,
        exposure_range_us: (10.0, 10_000.0),
        frames: None,
    };
    CameraContext {
        name: name.into(),
        description,
        exposure,
        calibration: Arc::new(Calibration::Scaled { scale: 1e4, ignore: None }),
        correction: CorrectionConfig::default(),
    }
}

/// A grid row of all kinds of numbers, and a gap in its pixel 7.
fn row(index: i64, seed: u32, bands: usize) -> Row {
    let mut state = (index as u32).wrapping_mul(0x9e37_79b9) ^ seed.wrapping_mul(0x85eb_ca6b) ^ 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / 16_777_216.0
    };
    let mut spectra: Vec<f32> = (0..WIDTH * bands).map(|_| next()).collect();
    let mut quality = vec![0; WIDTH];
    spectra[7 * bands..8 * bands].fill(f32::NAN);
    quality[7] = Quality::GAP;
    // Numbers that arithmetic would not leave as they are.
    for (place, bits) in (8 * bands..).zip([0x7fc0_1234, 0x8000_0000, 0x0000_0001, 0xff80_0000, 0x7f7f_ffff]) {
        spectra[place] = f32::from_bits(bits);
    }
    Row { index, time_ns: START_NS + index * 20_000_000, spectra: spectra.into(), quality }
}
