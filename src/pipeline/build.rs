//! Builds the data path of a scan from opened cameras. Live, simulated, replayed and offline scans use the same path.

use super::{CameraParts, Emit, EncoderParts, LoadedEncoders, Meters, MineralsError, PipelineParts};
use crate::acquire::{Acquire, BeltLimits, ConstantSpeed, Recording, RecordingError, Watch};
use crate::calibrate::{Calibrate, Keystone};
use crate::config::{CameraConfig, Config, EncoderConfig, Loaded, SegmentMethod, beside};
use crate::context::{CameraContext, EncoderContext, ScanContext};
use crate::detector::DetectorWatch;
use crate::devices::references::{CalibrationError, calibration};
use crate::devices::{CameraUnit, lamps};
use crate::disk::Hashes;
use crate::encode::{Encode, Encoder, EncoderError};
use crate::join::{Axes, Bands, Join};
use crate::live::Tap;
use crate::native_lines::NativeLines;
use crate::publish::{DataSet, Publish, PublishError};
use crate::quicklook::Quicklook;
use crate::rectify::{FieldOfView, PixelWeights, Rectify, Yaw};
use crate::reference::{Calibration, LowSignal, Smile};
use crate::registration::SlipGate;
use crate::scan::{Cause, Ledger, MAIN, Subsystem, Tray};
use crate::segment::Segment;
use crate::store::{Store, StoreError};
use crate::uncertainty::{CameraOnGrid, Uncertainty};
use contract::{CameraError, PositionTrack, Subject};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A scan cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A camera does not start.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A camera has no calibration.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The raw recording cannot be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The sample files cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The encoder does not fit.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The library of minerals, or their data set, cannot be opened.
    #[error(transparent)]
    Minerals(#[from] MineralsError),
    /// The Parquet data set cannot be opened for writing.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The tray map and the configuration do not fit each other.
    #[error("{0}")]
    Tray(#[from] TrayMismatch),
}

impl From<&BuildError> for Cause {
    fn from(error: &BuildError) -> Self {
        let subsystem = match error {
            BuildError::Camera(_) => Subsystem::Camera,
            BuildError::Recording(_) | BuildError::Store(_) | BuildError::Publish(_) => Subsystem::Disk,
            BuildError::Calibration(_) | BuildError::Encoder(_) | BuildError::Minerals(_) | BuildError::Tray(_) => Subsystem::Data,
        };
        Self::new(subsystem, error.to_string())
    }
}

/// A tray map that the configured segmentation cannot use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrayMismatch {
    /// The segmentation needs footprints, and the map lacks some.
    #[error("segment.method = \"footprint\" needs x_mm, y_mm, width_mm, length_mm (or diameter_mm) for every container of the tray map")]
    NoFootprints,
    /// Neither configuration nor tray map gives the tray's length.
    #[error("how long is the tray? give segment.tray.length_mm, or first_row_mm and row_pitch_mm, or footprints in the tray map")]
    NoLength,
}

/// Number of grid pixels of `pixel_mm` in `across_mm` (both mm), at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a belt is not wider than 2^32 pixels")]
pub fn grid_width(across_mm: f64, pixel_mm: f64) -> usize {
    ((across_mm / pixel_mm + 1e-6).floor() as usize).max(1)
}

/// The grid and the bands that all cameras share.
///
/// The grid spans the fields of view of all cameras across the belt (mm), without the white strip beside the tray.
pub fn axes(config: &Config, cameras: &[CameraUnit]) -> (Axes, Bands) {
    let spectra: Vec<Spectrum<'_>> = cameras
        .iter()
        .map(|unit| {
            let d = &unit.about;
            (&unit.config, d.wavelengths_nm.as_slice(), d.fwhm_nm.as_deref())
        })
        .collect();
    axes_of(config, &spectra)
}

/// A camera's section of the configuration, its band centres, and their widths where known, nm.
pub type Spectrum<'a> = (&'a CameraConfig, &'a [f64], Option<&'a [f64]>);

/// The same, without opened cameras.
pub fn axes_of(config: &Config, cameras: &[Spectrum<'_>]) -> (Axes, Bands) {
    let spectra: Vec<(&[f64], Option<&[f64]>)> = cameras.iter().map(|(_, nm, fwhm)| (*nm, *fwhm)).collect();
    let bands = Bands::new(&spectra, config.join.overlap);
    let pixel_mm = config.grid.pixel_mm;
    // The grid lies at the height of the containers. The strip is where it hides them.
    let height_mm = config.scan.tray_height_mm;
    let views = cameras.iter().map(|(camera, ..)| camera.view_at_mm(height_mm));
    let all = views.fold((f64::INFINITY, f64::NEG_INFINITY), |(left, right), (shift, width)| (left.min(shift), right.max(shift + width)));
    let strip = |camera: &CameraConfig| {
        config.lamps.strip_mm.map(|(from, to)| (camera.place_at_mm(from, height_mm), camera.place_at_mm(to, height_mm)))
    };
    let (left_mm, right_mm) = cameras.iter().filter_map(|(camera, ..)| strip(camera)).fold(all, beside);
    let width = grid_width(right_mm - left_mm, pixel_mm);
    let axes = Axes {
        pixel_mm,
        x0_mm: left_mm + pixel_mm / 2.0,
        width,
        wavelengths_nm: bands.wavelengths_nm.clone(),
        fwhm_nm: bands.fwhm_nm.clone(),
    };
    (axes, bands)
}

/// Length of a tray along the belt, mm.
///
/// `segment.tray.length_mm` comes first, then the footprints of the tray map, then rows and their pitch.
///
/// # Errors
/// [`TrayMismatch::NoLength`] where none of the three is given.
pub fn tray_length_mm(config: &Config, tray: &Tray) -> Result<f64, TrayMismatch> {
    let by_footprints = tray.containers.iter().filter_map(|c| c.footprint).map(|f| f.y_mm + f.length_mm).fold(f64::NEG_INFINITY, f64::max);
    let geometry = &config.segment.tray;
    #[expect(clippy::cast_precision_loss, reason = "a tray has few rows")]
    let by_rows = match (tray.grid, geometry.first_row_mm, geometry.row_pitch_mm) {
        (Some(grid), Some(first), Some(pitch)) => Some(first + grid.rows as f64 * pitch),
        _ => None,
    };
    geometry.length_mm.or_else(|| by_footprints.is_finite().then_some(by_footprints)).or(by_rows).ok_or(TrayMismatch::NoLength)
}

/// Checks that the configured segmentation can use a tray map.
///
/// # Errors
/// [`TrayMismatch::NoFootprints`] where the method needs a footprint of every container and one lacks it.
pub fn check_tray(config: &Config, tray: &Tray) -> Result<(), TrayMismatch> {
    let complete = tray.containers.iter().all(|c| c.footprint.is_some());
    if config.segment.method == SegmentMethod::Footprint && !complete { Err(TrayMismatch::NoFootprints) } else { Ok(()) }
}

/// Settings of one scan, before its data path is built.
pub struct ScanSetup<'a> {
    /// The configuration.
    pub loaded: &'a Loaded,
    /// The scan's id.
    pub scan_id: String,
    /// Start of the scan, ns since 1970-01-01T00:00:00Z.
    pub start_ns: i64,
    /// The tray map.
    pub tray: Tray,
    /// The data root of scans and embeddings.
    pub data_dir: PathBuf,
    /// Part of the tray that is recorded, mm along it. `None` records everything.
    pub window_mm: Option<(f64, f64)>,
    /// Position of the belt over time, where frames do not carry it.
    pub track: Option<Arc<dyn PositionTrack>>,
    /// The live tap that shows the scan. `None` where nobody can look.
    pub live: Option<Tap>,
    /// Whether the raw recording is written.
    pub record: bool,
    /// Whether the scan goes on where encoder or data set cannot be opened. Its embeddings are then deferred.
    pub may_defer: bool,
}

impl ScanSetup<'_> {
    /// The scan's folder.
    pub fn folder(&self) -> PathBuf {
        self.data_dir.join("scans").join(&self.scan_id)
    }

    /// Starts every camera and builds the stages.
    ///
    /// `encoders` come from [`load_encoders`](super::load_encoders). The caller stops the cameras, also after an error.
    ///
    /// # Errors
    /// A camera does not start or has no calibration, or a file of the scan cannot be made. Encoder or data set cannot be opened,
    /// `may_defer` is false, and the encoder is no shadow.
    pub fn build(
        &self,
        cameras: &mut [CameraUnit],
        encoders: LoadedEncoders,
        meters: Meters,
        emit: Emit,
    ) -> Result<PipelineParts, BuildError> {
        let config = &self.loaded.config;
        let (axes, bands) = axes(config, cameras);
        let calibrations = self.calibrations(cameras)?;
        let uncertainty = self.uncertainty(cameras, &calibrations, &axes, &bands);
        let of_main = encoders.iter().find(|(wanted, _)| wanted.name == MAIN).and_then(|(_, loaded)| loaded.as_ref().ok());
        let of_main = of_main.map(|encoder| encoder.context().clone());
        let context = Arc::new(ScanContext { uncertainty, ..self.context(cameras, &calibrations, &axes, of_main) });
        let encoders = encoders.into_iter().map(|(wanted, loaded)| self.encoder(&wanted, loaded, &context)).collect::<Result<_, _>>()?;
        let folder = self.folder();
        let wait = cameras.iter().all(|unit| unit.camera.describe().waits);
        let start = if wait { Hashes::start } else { Hashes::beside_cameras };
        let hashes = Arc::new(start(config.store.threads).map_err(|source| StoreError::Threads { source })?);
        let store = Store::new(Arc::clone(&context), &config.store, &folder)?.hashed_by(Arc::clone(&hashes));
        let mut minerals = self.minerals(&context, wait)?;
        let store = match &minerals.parts {
            Some(parts) => store.with_minerals(Arc::clone(&parts.desk)),
            None => store,
        };
        let mut parts = Vec::new();
        for (unit, calibration) in cameras.iter_mut().zip(calibrations) {
            parts.push(self.camera(unit, calibration, &axes, &folder, &hashes)?);
        }
        let names = minerals.parts.as_ref().map_or(&[][..], |parts| &parts.names);
        let live = self.live.as_ref().map(|tap| tap.scan(self.about(cameras, &axes, names)));
        if let Some(live) = &live {
            minerals.parts.iter_mut().for_each(|parts| parts.live = live.minerals());
            parts.iter_mut().for_each(|(camera, ..)| camera.live = live.camera(&camera.name).zip(live.ledger(&camera.name)));
        }
        let furthest = parts.iter().map(|(_, offset, delay)| offset + delay).fold(f64::NEG_INFINITY, f64::max);
        let parts: Vec<_> = parts
            .into_iter()
            .map(|(mut camera, offset, _)| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rows of a few metres")]
                let lead = ((furthest - offset) / axes.pixel_mm).ceil() as usize;
                camera.lead_rows = lead + SLACK_ROWS;
                camera
            })
            .collect();
        let coarsest_mm = config.coarsest_mm(cameras.iter().map(|unit| (unit.about.layout.pixels, unit.exposure.frame_rate_hz)));
        let segment = Segment::new(&config.segment, self.tray.clone(), axes.clone(), &bands.cameras(), coarsest_mm);
        let natives: Vec<_> = parts.iter().filter_map(|camera| camera.native.clone()).collect();
        let held = natives.iter().map(|native| native.rows_to_hold(axes.pixel_mm)).max().unwrap_or(0);
        Ok(PipelineParts {
            segment: segment.comparing(bands.seams().clone(), config.join.level).holding(held),
            slip: SlipGate {
                offsets_mm: cameras.iter().map(|unit| unit.config.offset_mm).collect(),
                pixel_mm: axes.pixel_mm,
                max_slip: config.scan.max_slip,
            },
            join: Join::new(bands, &axes),
            quicklook: Some(Quicklook::new(&axes, folder.join("quicklook.png"))),
            store: store.with_native(natives),
            hashes,
            encoders,
            minerals,
            context,
            cameras: parts,
            live: live.map(|live| {
                let embeddings = live.embeddings();
                (live, embeddings)
            }),
            meters,
            emit,
        })
    }

    /// The calibration of each camera. The cameras are calibrated at the same time, because belt and operator wait for all of them.
    fn calibrations(&self, cameras: &mut [CameraUnit]) -> Result<Vec<Arc<Calibration>>, CalibrationError> {
        let light = self.loaded.config.light_on_panel();
        let lit = |unit: &CameraUnit| -> Result<Calibration, CalibrationError> {
            Ok(match calibration(unit)? {
                Calibration::Referenced(referenced) => {
                    let referenced = referenced.with_height(light);
                    Calibration::Referenced(Box::new(match self.evenness(unit) {
                        Some(evenness) => referenced.with_evenness(evenness),
                        None => referenced,
                    }))
                }
                scaled @ Calibration::Scaled { .. } => scaled,
            })
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = cameras.iter_mut().map(|unit| scope.spawn(move || lit(unit).map(Arc::new))).collect();
            all.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }

    /// Reflectance of the panel at each pixel of a camera, as a share of that in its middle; `None` for an even one.
    #[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f32")]
    fn evenness(&self, unit: &CameraUnit) -> Option<Vec<f32>> {
        let config = &self.loaded.config;
        let panel = config.references.as_ref().map(|references| &references.panel).filter(|panel| !panel.evenness.is_empty())?;
        let pixels = unit.about.layout.pixels;
        Some((0..pixels).map(|pixel| panel.evenness_at(config.across(unit.config.pixel_mm(pixel, pixels))) as f32).collect())
    }

    /// An encoder and its publisher. Where one fails and the scan may go on without it, the parts hold the reason.
    fn encoder(
        &self,
        wanted: &EncoderConfig,
        loaded: Result<Encoder, EncoderError>,
        context: &Arc<ScanContext>,
    ) -> Result<EncoderParts, BuildError> {
        let publish = &self.loaded.config.publish;
        let sha256 = loaded.as_ref().ok().map(|encoder| encoder.context().sha256.clone());
        let open = |encoder: Encoder| {
            let set = DataSet::of(&self.data_dir, &wanted.name);
            let publish_to = Publish::new(context, encoder.context(), publish, &set)?;
            Ok((Encode::new(encoder, Arc::clone(context), publish.spectra), publish_to))
        };
        let (stages, deferred) = match loaded.map_err(BuildError::from).and_then(open) {
            Ok(stages) => (Some(stages), None),
            Err(error) if self.may_defer || wanted.shadow => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let linger = Duration::from_secs_f64(wanted.linger_s);
        let (name, shadow, max_novel) = (wanted.name.clone(), wanted.shadow, wanted.max_novel);
        Ok(EncoderParts { name, shadow, linger, sha256, max_novel, stages, deferred })
    }

    fn context(
        &self,
        cameras: &[CameraUnit],
        calibrations: &[Arc<Calibration>],
        axes: &Axes,
        encoder: Option<EncoderContext>,
    ) -> ScanContext {
        let cameras: Vec<CameraContext> = cameras
            .iter()
            .zip(calibrations)
            .map(|(unit, calibration)| CameraContext {
                name: unit.config.name.clone(),
                description: unit.about.clone(),
                exposure: unit.exposure,
                calibration: Arc::clone(calibration),
                correction: unit.config.correction.clone(),
            })
            .collect();
        ScanContext {
            scan_id: self.scan_id.clone(),
            start_ns: self.start_ns,
            tray: self.tray.clone(),
            axes: axes.clone(),
            ledger: Arc::new(Ledger::new(cameras.len())),
            cameras,
            uncertainty: None,
            encoder,
            configuration: self.loaded.text.clone(),
            configuration_sha256: self.loaded.sha256.clone(),
        }
    }

    /// The uncertainty of the values on the grid; `None` where no camera has references.
    fn uncertainty(
        &self,
        cameras: &[CameraUnit],
        calibrations: &[Arc<Calibration>],
        axes: &Axes,
        bands: &Bands,
    ) -> Option<Arc<Uncertainty>> {
        if calibrations.iter().all(|calibration| matches!(**calibration, Calibration::Scaled { .. })) {
            return None;
        }
        let on_grid = |(unit, calibration): (&CameraUnit, &Arc<Calibration>)| {
            let area = self.view(unit).pixel_mm() * self.line_mm(unit) / (axes.pixel_mm * axes.pixel_mm);
            CameraOnGrid::new(Arc::clone(calibration), self.weights(unit, axes), area, unit.about.saturation)
        };
        Some(Arc::new(Uncertainty::new(cameras.iter().zip(calibrations).map(on_grid).collect(), bands)))
    }

    /// Distance of two lines of a camera at the speed of the belt, mm.
    fn line_mm(&self, unit: &CameraUnit) -> f64 {
        self.loaded.config.conveyor.speed_mm_per_s / unit.exposure.frame_rate_hz
    }

    fn camera(
        &self,
        unit: &mut CameraUnit,
        calibration: Arc<Calibration>,
        axes: &Axes,
        folder: &Path,
        hashes: &Hashes,
    ) -> Result<(CameraParts, f64, f64), BuildError> {
        let config = &self.loaded.config;
        let description = unit.about.clone();
        let layout = description.layout;
        let rate = unit.exposure.frame_rate_hz;
        let line_mm = self.line_mm(unit);
        let recording = if self.record {
            // The recording keeps all bands.
            let settings = unit.recording_settings();
            let raw = folder.join("raw").join(&unit.config.name);
            let recording = Recording::create(&raw, &self.scan_id, settings, &config.store, hashes)?;
            crate::devices::references::beside(unit, &raw.join("capture"), &self.scan_id)?;
            Some(recording)
        } else {
            None
        };
        let native = if config.store.native {
            let name = &unit.config.name;
            Some(Arc::new(NativeLines::create(folder, name, &description, self.view(unit), line_mm).map_err(StoreError::from)?))
        } else {
            None
        };
        let constant = ConstantSpeed { speed_mm_per_s: config.conveyor.speed_mm_per_s, frame_rate_hz: rate };
        let limits = BeltLimits::of(&config.conveyor);
        // A source that waits may deliver frames of any age, from before the start of the belt.
        #[expect(clippy::cast_precision_loss, reason = "a pool has few slots")]
        let delay_s = if description.waits { f64::INFINITY } else { unit.pool.slots() as f64 / rate };
        let mut watch = Watch::new(&unit.config.name, limits, constant, delay_s);
        if description.recorded && description.waits {
            // The belt of a recording ran. A stall in it is a warning.
            watch.belt_runs();
        }
        // The lines of a recording have their times already.
        #[expect(clippy::cast_possible_truncation, reason = "at most a second")]
        let latency_ns = if description.recorded { 0 } else { (unit.config.latency_us * 1e3) as i64 };
        let low = LowSignal { snr: config.calibrate.min_snr, bands: config.calibrate.max_weak_bands };
        unit.pool.count_anew();
        let keystone = keystone(unit);
        let smile = Smile::new(unit.config.correction.smile_nm, layout, &description.wavelengths_nm);
        let detector = DetectorWatch::new(&unit.config.name, layout, rate, Arc::clone(&calibration), config.calibrate.limits.clone());
        let calibrate = Calibrate::new(layout, calibration, description.saturation, low);
        let mut calibrate = calibrate.of_bands(&unit.used).with_smile(smile).with_keystone(keystone);
        if let Some(pixels) = lamps::strip(&config.lamps, unit) {
            calibrate = calibrate.with_strip(pixels, config.lamps.max_correction);
        }
        let camera = CameraParts {
            name: unit.config.name.clone(),
            stream: unit.camera.start(unit.pool.clone(), Subject::Tray)?,
            pool: unit.pool.clone(),
            waits: description.waits,
            silence: unit.silence(),
            acquire: Acquire::new(unit.config.offset_mm, self.window_mm, self.track.clone(), constant, recording)
                .late_by(latency_ns)
                .holding(unit.pool.slots())
                .watching(watch),
            detector,
            light: lamps::watch(&config.lamps, unit, &calibrate),
            calibrate,
            rectify: Rectify::new(self.weights(unit, axes), layout.bands, axes.pixel_mm, line_mm).with_yaw(self.yaw(unit, axes)),
            pixel_mm: self.view(unit).pixel_mm(),
            native,
            lead_rows: 0,
            live: None,
        };
        Ok((camera, unit.config.offset_mm, unit.config.yaw_reach_mm()))
    }

    /// The strip across the tray that a camera sees at the height of the containers.
    pub(super) fn view(&self, unit: &CameraUnit) -> FieldOfView {
        view(&unit.config, unit.about.layout.pixels, self.loaded.config.scan.tray_height_mm)
    }

    /// The turn of a camera's line on the grid. `None` where it has none.
    fn yaw(&self, unit: &CameraUnit, axes: &Axes) -> Option<Yaw> {
        Yaw::new(unit.config.correction.yaw_deg, self.view(unit), axes.x0_mm, axes.pixel_mm, &self.weights(unit, axes))
    }

    /// The weights of a camera's pixels in those of the grid.
    fn weights(&self, unit: &CameraUnit, axes: &Axes) -> PixelWeights {
        PixelWeights::new(self.view(unit), axes.x0_mm, axes.pixel_mm, axes.width)
    }
}

/// The correction of a camera's keystone. `None` where it has none.
pub(crate) fn keystone(unit: &CameraUnit) -> Option<Keystone> {
    let bands = unit.camera.describe().layout.bands;
    Keystone::new(unit.config.correction.keystone_px, unit.about.layout, &unit.used, bands)
}

/// The strip across the tray that a camera of `pixels` pixels sees at a height, mm.
pub(crate) fn view(camera: &CameraConfig, pixels: usize, height_mm: f64) -> FieldOfView {
    let (shift_mm, field_of_view_mm) = camera.view_at_mm(height_mm);
    FieldOfView { pixels, field_of_view_mm, shift_mm }
}

/// Rows by which a camera may be ahead of its place on the belt.
const SLACK_ROWS: usize = 16;
