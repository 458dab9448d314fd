//! Processes recorded captures through the pipeline of live scans, as fast as the machine allows.

use super::disk_space;
use super::heads::judge_samples;
use super::minerals::{self, catch_up_minerals};
use super::record::{self, RecordError};
use crate::acquire::{BeltLimits, ConstantSpeed, LONGEST_STEP_MM, Places};
use crate::config::{CalibrateConfig, CameraConfig, CameraDevice, Config, DiskConfig, Loaded, ReferencesConfig, WAITING_SLOTS};
use crate::devices::references::{TakeError, Taking, certificate_name};
use crate::devices::{CameraUnit, Held, references};
use crate::disk::Hashes;
use crate::encode::Encoder;
use crate::panel::{Panel, PanelError};
use crate::pipeline::build::{BuildError, ScanSetup, TrayMismatch, check_tray, tray_length_mm};
use crate::pipeline::{Emit, LoadedEncoders, Meters, Outcome, PipelineError, Running, build, load_encoders};
use crate::registration::Limits;
use crate::scan::{ScanRecord, Tray, compact, now_ns};
use crate::wavelength::FeaturesError;
use contract::{CameraError, Layout, Subject, Values};
use replay::capture::LineRecord;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A capture and the camera of the configuration that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Name of the camera.
    pub camera: String,
    /// Folder or file of the capture.
    pub path: PathBuf,
}

/// Captures cannot be processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A capture is for a camera that the configuration does not have.
    #[error("the configuration has no camera `{name}`; it has {known}")]
    UnknownCamera {
        /// The name given.
        name: String,
        /// The configured cameras.
        known: String,
    },
    /// A camera has two captures, or there is no capture at all.
    #[error("give one --capture NAME=PATH for each camera, and at least one; `{name}` has {found}")]
    Captures {
        /// The camera's configured name.
        name: String,
        /// Number of captures given for it.
        found: usize,
    },
    /// The scan exists already.
    #[error("{} exists already; choose another --out, or remove it if it is to be made again", path.display())]
    Exists {
        /// The scan's folder.
        path: PathBuf,
    },
    /// No capture has a line of the tray.
    #[error("{} holds no line of the tray for {camera}, and no other capture does; record the tray again", path.display())]
    NoLine {
        /// The camera's name.
        camera: String,
        /// The capture.
        path: PathBuf,
    },
    /// A capture cannot be played.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// The panel's spectrum cannot be used.
    #[error(transparent)]
    Panel(#[from] PanelError),
    /// The file with the panel's absorptions cannot be used.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// A reference cannot be used.
    #[error(transparent)]
    Reference(#[from] TakeError),
    /// The tray map does not fit the configuration.
    #[error(transparent)]
    Tray(#[from] TrayMismatch),
    /// The scan cannot be set up.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The recordings of two cameras show no common part of the tray.
    #[error(
        "{camera} begins at {from_mm:.1} mm along the tray, and no other camera has a line within {reach_mm:.0} mm before that; check position_mm in lines.csv of the recordings, and camera.offset_mm"
    )]
    Apart {
        /// The camera's configured name.
        camera: String,
        /// Its first line, mm along the tray.
        from_mm: f64,
        /// The longest way without a line, mm.
        reach_mm: f64,
    },
    /// The disk has no room for the results.
    #[error("{0}")]
    Disk(String),
    /// The data path failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// `scan.json` cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Recorded captures while the pipeline processes them.
pub struct Process {
    running: Running,
    units: Vec<CameraUnit>,
    record: ScanRecord,
    hashes: Arc<Hashes>,
    data_dir: PathBuf,
    limits: Limits,
    config: Config,
    /// Reason why the scan is incomplete, where it is known beforehand.
    reason: Option<String>,
    /// Number of lines in each recording, by camera.
    pub lines: Vec<(String, u64)>,
    /// The meters of the stages.
    pub meters: Meters,
}

impl Process {
    /// Opens the captures, takes their references, and starts the pipeline. Scans and embeddings go below `data_dir`.
    ///
    /// # Errors
    /// Captures, references, tray map and configuration do not fit each other, or the scan exists already.
    pub fn start(loaded: &Loaded, tray: Tray, captures: &[Capture], data_dir: PathBuf, emit: Emit) -> Result<Self, ProcessError> {
        let config = &loaded.config;
        check_tray(config, &tray)?;
        let Opened { mut units, first_line_ns, tables } = units(loaded, captures)?;
        expect_lines(&units, captures)?;
        let places = judge(config, &units, &tables, reach_mm(config, Some(&tray)));
        let encoders = prepare(loaded, captures, &data_dir, &mut units)?;
        // The time of the recording counts, so that the same recording gives the same files.
        let start_ns = first_line_ns.unwrap_or(replay::UNDATED_NS);
        let scan_id = format!("{}-{}", compact(start_ns), tray.tray);
        let folder = data_dir.join("scans").join(&scan_id);
        if folder.exists() {
            return Err(ProcessError::Exists { path: folder });
        }
        let record = ScanRecord::begin(&scan_id, tray, loaded, now_ns());
        Self::run(loaded, record, start_ns, (units, encoders, places), data_dir, emit, false).inspect_err(|_| {
            // Only empty folders exist yet. They would block the next try.
            let _ = std::fs::remove_dir_all(&folder);
        })
    }

    /// Processes the recording of an unfinished scan into the scan's own folder, and closes the scan as incomplete for `reason`.
    pub(super) fn resume(
        loaded: &Loaded,
        record: ScanRecord,
        captures: &[Capture],
        data_dir: PathBuf,
        reason: String,
    ) -> Result<Self, ProcessError> {
        let mut this = Self::again(loaded, record, captures, data_dir)?;
        this.reason = Some(reason);
        Ok(this)
    }

    /// Processes the recording of an unfinished scan into the scan's own folder.
    pub(super) fn again(loaded: &Loaded, record: ScanRecord, captures: &[Capture], data_dir: PathBuf) -> Result<Self, ProcessError> {
        let Opened { mut units, first_line_ns, tables } = units(loaded, captures)?;
        let places = judge(&loaded.config, &units, &tables, reach_mm(&loaded.config, Some(&record.tray)));
        let encoders = prepare(loaded, captures, &data_dir, &mut units)?;
        Self::run(loaded, record, first_line_ns.unwrap_or(0), (units, encoders, places), data_dir, Arc::new(|_| {}), true)
    }

    fn run(
        loaded: &Loaded,
        mut record: ScanRecord,
        start_ns: i64,
        (mut units, encoders, places): (Vec<CameraUnit>, LoadedEncoders, Vec<Places>),
        data_dir: PathBuf,
        emit: Emit,
        may_defer: bool,
    ) -> Result<Self, ProcessError> {
        let reach_mm = reach_mm(&loaded.config, Some(&record.tray));
        let length_mm = covered(&units, &places, reach_mm)?;
        let recorded: Vec<(Layout, u64)> =
            units.iter().map(|unit| unit.camera.describe()).map(|about| (about.layout, about.frames.unwrap_or(0))).collect();
        let of_encoder = |(_, loaded): &(_, Result<Encoder, _>)| loaded.as_ref().ok().map(Encoder::dimensions);
        let dimensions: Vec<usize> = encoders.iter().filter_map(of_encoder).collect();
        let needed = disk_space::needed_again(&loaded.config, &recorded, &record.tray, length_mm, &dimensions);
        // The rate does not matter: a recording waits for the disk.
        let disk = DiskConfig { check_rate: false, ..loaded.config.disk.clone() };
        disk_space::check(&disk, loaded.config.store.direct, &data_dir, Some(needed)).map_err(ProcessError::Disk)?;
        record.warnings.extend(units.iter().zip(&places).filter_map(|(unit, places)| places.warning(&unit.config.name)));
        let setup = ScanSetup {
            loaded,
            scan_id: record.id.clone(),
            start_ns,
            tray: record.tray.clone(),
            data_dir: data_dir.clone(),
            window_mm: None,
            track: None,
            live: None,
            record: false,
            may_defer,
        };
        let lines = units.iter().map(|unit| (unit.config.name.clone(), unit.camera.describe().frames.unwrap_or(0))).collect();
        let meters = Meters::default();
        let mut parts = setup.build(&mut units, encoders, meters.clone(), emit)?;
        parts.cameras.iter_mut().zip(places).for_each(|(camera, places)| camera.acquire.judged(places, reach_mm));
        record.prepared(&parts, &units);
        record.minerals = parts.minerals_record();
        let hashes = Arc::clone(&parts.hashes);
        let running = Running::start(parts)?;
        let limits = Limits::of(&loaded.config);
        Ok(Self { running, units, record, hashes, data_dir, limits, config: loaded.config.clone(), reason: None, lines, meters })
    }

    /// Lines received so far, by camera.
    pub fn received(&self) -> Vec<(String, u64)> {
        self.running.sums().into_iter().map(|(name, sums)| (name, sums.received)).collect()
    }

    /// Waits up to `wait` for the end. Gives whether the pipeline has ended.
    pub fn wait(&self, wait: Duration) -> bool {
        let until = std::time::Instant::now() + wait;
        while !self.running.finished() {
            if std::time::Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Ends early. Lines that were read pass through.
    pub fn stop(&self, reason: &str) {
        self.running.stop(reason);
    }

    /// Waits for the end, and gives the record and the hashes of the files so far. `scan.json` is not written.
    ///
    /// # Errors
    /// The pipeline failed.
    pub(super) fn conclude(mut self) -> Result<(ScanRecord, Arc<Hashes>), ProcessError> {
        let (names, mut outcome) = self.outcome()?;
        if let Some(error) = outcome.error.take() {
            return Err(error.into());
        }
        self.record.conclude(&names, outcome, &self.limits);
        Ok((self.record, self.hashes))
    }

    /// Waits for the end of the pipeline, and stops the cameras. Gives their names and the outcome.
    fn outcome(&mut self) -> Result<(Vec<String>, Outcome), ProcessError> {
        let names = self.units.iter().map(|unit| unit.config.name.clone()).collect();
        let outcome = self.running.finish();
        for unit in &mut self.units {
            unit.camera.ensure_stopped()?;
        }
        Ok((names, outcome))
    }

    /// Waits for the end, writes `scan.json`, and gives the record.
    ///
    /// # Errors
    /// The pipeline failed, or the disk refused a file. After a failed recovery, no record is written.
    pub fn finish(mut self) -> Result<ScanRecord, ProcessError> {
        let (names, mut outcome) = self.outcome()?;
        let mut error = outcome.error.take();
        if self.reason.is_some()
            && let Some(error) = error.take()
        {
            // The recording may be processable later, so the caller sets the scan aside.
            return Err(error.into());
        }
        self.record.conclude(&names, outcome, &self.limits);
        if let Some(reason) = self.reason {
            let more = self.record.reason.take().map(|more| format!("; {more}")).unwrap_or_default();
            self.record.close(Some(format!("{reason}{more}")));
        }
        self.record.count_pending(&self.data_dir);
        self.record.count_pending_minerals(&self.data_dir);
        judge_samples(&mut self.record, &self.config, &self.data_dir);
        minerals::draw(&self.record, &self.data_dir);
        self.record.hash_files(&self.data_dir, &self.hashes, &|| {})?;
        record::end(&self.record, &self.data_dir)?;
        // What the memory had no room for follows from the files.
        if let Err(error) = catch_up_minerals(&mut self.record, &self.config, &self.data_dir, &|| false) {
            tracing::warn!(scan = %self.record.id, %error, "minerals are not identified yet");
        }
        match error {
            Some(error) => Err(error.into()),
            None => Ok(self.record),
        }
    }
}

/// Checks that a recording shows something of the tray. Where others do, one without a line is processed with them, and the outcome tells.
fn expect_lines(units: &[CameraUnit], captures: &[Capture]) -> Result<(), ProcessError> {
    let empty = |unit: &CameraUnit| unit.camera.describe().frames == Some(0);
    let Some(unit) = units.first().filter(|_| units.iter().all(empty)) else { return Ok(()) };
    let camera = unit.config.name.clone();
    let path = captures.iter().find(|capture| capture.camera == camera).map(|capture| capture.path.clone()).unwrap_or_default();
    Err(ProcessError::NoLine { camera, path })
}

/// Longest way between two lines of a tray, mm.
pub fn reach_mm(config: &Config, tray: Option<&Tray>) -> f64 {
    let length_mm = tray.and_then(|tray| tray_length_mm(config, tray).ok());
    length_mm.map_or(LONGEST_STEP_MM, |length_mm| (length_mm + 2.0 * config.margin_mm()).min(LONGEST_STEP_MM))
}

/// Judges the places of every camera's lines. `tables` are those of [`units`].
pub fn judge(config: &Config, units: &[CameraUnit], tables: &[Option<Vec<LineRecord>>], reach_mm: f64) -> Vec<Places> {
    let of = |(unit, table): (&CameraUnit, &Option<Vec<LineRecord>>)| {
        let lines = unit.camera.describe().frames.unwrap_or(0);
        let nominal = ConstantSpeed { speed_mm_per_s: config.conveyor.speed_mm_per_s, frame_rate_hz: unit.exposure.frame_rate_hz };
        Places::judge(table.as_deref(), lines, &BeltLimits::of(&config.conveyor), nominal, reach_mm)
    };
    units.iter().zip(tables).map(of).collect()
}

/// Length of the tray that the recordings cover, mm.
///
/// # Errors
/// [`ProcessError::Apart`] where a camera begins more than `reach_mm` behind the end of all others.
fn covered(units: &[CameraUnit], places: &[Places], reach_mm: f64) -> Result<f64, ProcessError> {
    let mut spans: Vec<(f64, f64, &str)> = units
        .iter()
        .zip(places)
        .filter_map(|(unit, places)| {
            let ((from, to), offset_mm) = (places.span_mm()?, unit.config.offset_mm);
            Some((from - offset_mm, to - offset_mm, unit.config.name.as_str()))
        })
        .collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some((first_mm, mut last_mm, _)) = spans.first().copied() else { return Ok(0.0) };
    for (from_mm, to_mm, camera) in spans {
        if from_mm - last_mm > reach_mm {
            return Err(ProcessError::Apart { camera: camera.to_owned(), from_mm, reach_mm });
        }
        last_mm = last_mm.max(to_mm);
    }
    Ok(last_mm - first_mm)
}

/// Takes the references while another thread loads the encoders.
fn prepare(loaded: &Loaded, captures: &[Capture], data_dir: &Path, units: &mut [CameraUnit]) -> Result<LoadedEncoders, ProcessError> {
    let (axes, _) = build::axes(&loaded.config, units);
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| load_encoders(&loaded.config, data_dir, &axes));
        let taken = take_references(loaded, captures, units);
        let encoders = loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        taken.map(|()| encoders)
    })
}

/// Takes the white panel and the references of every camera that gives counts, from its capture.
///
/// # Errors
/// A reference is missing or refused, or the panel's spectrum cannot be used.
pub fn take_references(loaded: &Loaded, captures: &[Capture], units: &mut [CameraUnit]) -> Result<(), ProcessError> {
    let config = loaded.config.references.as_ref();
    let counting = units.iter_mut().filter(|unit| unit.camera.describe().values == Values::Counts);
    // Every camera has its own files and its own counts, so no camera waits for another.
    std::thread::scope(|scope| {
        // Every unit was made for a capture, so it finds that capture again.
        let with_capture =
            counting.filter_map(|unit| captures.iter().find(|capture| capture.camera == unit.config.name).map(|c| (unit, c)));
        let all: Vec<_> =
            with_capture.map(|(unit, capture)| scope.spawn(|| take_all(unit, capture, config, &loaded.config.calibrate))).collect();
        all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// The white panel of a capture. A scan with a certificate keeps it beside the recording. That one counts where the configuration names a
/// file: the recording then gives the same reflectance, whatever has become of the file.
fn panel_of(player: &replay::Camera, config: Option<&ReferencesConfig>) -> Result<Option<Arc<Panel>>, PanelError> {
    let kept = player.header_path().with_file_name(certificate_name(player.capture_name()));
    let configured = references::panel(config).map(|panel| panel.map(Arc::new));
    if config.is_none_or(|config| config.panel.file.is_none()) || !kept.exists() {
        return configured;
    }
    let kept = Panel::read(&kept)?;
    if let Ok(Some(configured)) = configured
        && configured.certificate != kept.certificate
    {
        tracing::warn!(
            recording = %player.header_path().display(),
            "it was made with another certificate of the panel than references.panel.file, and keeps that one; to use the other, remove PANEL_*.txt beside the recording"
        );
    }
    Ok(Some(Arc::new(kept)))
}

/// Takes the references of one camera from its capture. A second player of the capture reads the white one beside the dark one.
fn take_all(
    unit: &mut CameraUnit,
    capture: &Capture,
    config: Option<&ReferencesConfig>,
    calibrate: &CalibrateConfig,
) -> Result<(), ProcessError> {
    let taking = |subject| Taking::recorded(subject, config);
    let player = player(&unit.config, capture)?;
    unit.panel = panel_of(&player, config)?;
    unit.features = references::panel_features(config)?;
    let lines_ns = player.lines_ns();
    let mut beside = CameraUnit::new(unit.config.clone(), Box::new(player), calibrate, unit.pool.slots())?;
    std::thread::scope(|scope| {
        let white = scope.spawn(|| references::gather(&mut beside, taking(Subject::White), &()));
        unit.dark = Some(references::take(unit, taking(Subject::Dark), &())?);
        let own_dark = references::take_recorded(unit, taking(Subject::WhiteDark))?;
        let white = white.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        unit.white = Some(references::judge(unit, taking(Subject::White), white, own_dark.as_ref().or(unit.dark.as_ref()))?);
        Ok::<_, TakeError>(())
    })?;
    let dark_after = references::take_recorded(unit, taking(Subject::DarkAfter))?;
    let white_after = references::take_recorded_over(unit, taking(Subject::WhiteAfter), dark_after.as_ref())?;
    let (Some(config), Some(dark), Some(white)) = (config, &unit.dark, &unit.white) else { return Ok(()) };
    let dark_moved = |after: &Held| references::dark_drift(unit, dark, after, config).is_some_and(|(_, warning)| warning.is_some());
    let light_moved = |after: &Held| references::light_drift(unit, white, after, config).is_some_and(|(_, warning)| warning.is_some());
    let (dark_after, white_after) = (dark_after.filter(dark_moved), white_after.filter(light_moved));
    unit.dark_after = dark_after.map(|after| (after, lines_ns));
    unit.white_after = white_after.map(|after| (after, lines_ns));
    Ok(())
}

/// Captures, opened as cameras in the order of the configuration.
pub struct Opened {
    /// The cameras.
    pub units: Vec<CameraUnit>,
    /// Time of the first line where one is recorded, ns since 1970-01-01T00:00:00Z.
    pub first_line_ns: Option<i64>,
    /// The table of lines of each camera, where its capture has one.
    pub tables: Vec<Option<Vec<LineRecord>>>,
}

/// Opens the captures as cameras.
///
/// # Errors
/// A capture is for no camera of the configuration, a camera has two captures, or a capture cannot be played.
pub fn units(loaded: &Loaded, captures: &[Capture]) -> Result<Opened, ProcessError> {
    let cameras = &loaded.config.camera;
    for capture in captures {
        if !cameras.iter().any(|camera| camera.name == capture.camera) {
            let known: Vec<&str> = cameras.iter().map(|camera| camera.name.as_str()).collect();
            return Err(ProcessError::UnknownCamera { name: capture.camera.clone(), known: known.join(", ") });
        }
        let found = captures.iter().filter(|other| other.camera == capture.camera).count();
        if found != 1 {
            return Err(ProcessError::Captures { name: capture.camera.clone(), found });
        }
    }
    if captures.is_empty() {
        return Err(ProcessError::Captures { name: cameras.first().map(|c| c.name.clone()).unwrap_or_default(), found: 0 });
    }
    let (mut units, mut first_line_ns, mut tables) = (Vec::new(), None, Vec::new());
    for camera in cameras {
        let Some(capture) = captures.iter().find(|capture| capture.camera == camera.name) else { continue };
        let device = player(camera, capture)?;
        for warning in device.warnings() {
            tracing::warn!(camera = %camera.name, %warning, "doubtful recording");
        }
        tables.push(device.records().map(<[_]>::to_vec));
        let first = device.dated_ns();
        first_line_ns = [first_line_ns, first].into_iter().flatten().min();
        let slots = camera.pool_slots.map_or(WAITING_SLOTS, |slots| slots.min(WAITING_SLOTS));
        units.push(CameraUnit::new(camera.clone(), Box::new(device), &loaded.config.calibrate, slots)?);
    }
    Ok(Opened { units, first_line_ns, tables })
}

/// The player of a capture. It follows the configuration of a replayed camera, and plays as fast as it is read.
fn player(camera: &CameraConfig, capture: &Capture) -> Result<replay::Camera, CameraError> {
    let mut replay = match &camera.device {
        CameraDevice::Replay(replay) => replay.clone(),
        CameraDevice::Simulated(sim) => replay::CameraConfig { bits: Some(sim.bits), ..replay::CameraConfig::new(&capture.path) },
        CameraDevice::Bridge(_) | CameraDevice::Gige(_) => replay::CameraConfig::new(&capture.path),
    };
    replay.path.clone_from(&capture.path);
    replay.pace = replay::Pace::AsRead;
    replay.repeat = None;
    if camera.frame_rate_hz > 0.0 {
        replay.frame_rate_hz.get_or_insert(camera.frame_rate_hz);
    }
    replay::Camera::open(&camera.name, &replay)
}
