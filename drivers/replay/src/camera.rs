//! A capture as a camera.

use crate::capture::{Capture, LineRecord, Reference, Warning};
use crate::date::date_ns;
use crate::envi::{Header, Image, Reading, Reflectance};
use crate::playback::{Playback, UNDATED_NS, nanoseconds};
use contract::{
    CameraDescription, CameraError, Exposure, FramePool, FrameStream, Layout, LineCamera, OnDemand, Paced, PixelFormat, Subject, Values,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Most bytes of a line. Those of the largest cameras have some ten millions.
const MOST_LINE_BYTES: usize = 64 << 20;

/// The pace of a recording's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// The pace of the recording. A frame without a free slot is lost, as with a live camera.
    RealTime,
    /// The pace of the reader. Nothing is lost.
    #[default]
    AsRead,
}

/// The meaning of a recording's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValuesAs {
    /// Detector counts.
    Counts,
    /// Reflectance, divided by the header's `reflectance scale factor` (1 where it has none).
    Reflectance,
}

/// A recorded capture as a camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// The folder that holds `capture/`, the `capture` folder, a `.hdr`, or a data file.
    pub path: PathBuf,
    /// Pace of the frames.
    #[serde(default)]
    pub pace: Pace,
    /// Frames per second, instead of `fps` of the header. Needed where neither that nor NAME.lines.csv states it.
    #[serde(default)]
    pub frame_rate_hz: Option<f64>,
    /// Number of rounds through the recording of the tray. Frame numbers, times and positions go on. Once where absent.
    #[serde(default)]
    pub repeat: Option<NonZeroU32>,
    /// The meaning of the numbers. Where absent: reflectance if the header has a `reflectance scale factor`, else counts.
    #[serde(default)]
    pub values: Option<ValuesAs>,
    /// Counts at and above this level are saturated.
    #[serde(default)]
    pub saturation: Option<f64>,
    /// Bits of the detector, 1 to 16, instead of `saturation`. Counts of 2^bits - 1 are saturated.
    #[serde(default)]
    pub bits: Option<u32>,
}

impl CameraConfig {
    /// The capture at `path`, with all settings of the recording.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), pace: Pace::AsRead, frame_rate_hz: None, repeat: None, values: None, saturation: None, bits: None }
    }
}

/// A camera that plays a capture.
#[derive(Debug)]
pub struct Camera {
    name: String,
    description: CameraDescription,
    exposure: Exposure,
    /// Whether the header states the exposure.
    exposure_stated: bool,
    pace: Pace,
    repeat: u32,
    capture: Capture,
    records: Option<Arc<[LineRecord]>>,
    first_frame: u64,
    /// The stop flag of the stream that runs, as long as that exists.
    running: Weak<AtomicBool>,
}

impl Camera {
    /// Opens a capture as the camera `name` (for messages).
    ///
    /// # Errors
    /// [`CameraError::Recording`] where the capture cannot be used, or lacks wavelengths or a frame rate.
    /// [`CameraError::Refused`] for a setting that makes no sense.
    pub fn open(name: &str, config: &CameraConfig) -> Result<Self, CameraError> {
        let mut capture = Capture::open(&config.path).map_err(|error| CameraError::Recording {
            camera: name.to_owned(),
            path: config.path.clone(),
            reason: error.to_string(),
        })?;
        let header = capture.image.header().clone();
        let unusable = |reason: &str| CameraError::Recording {
            camera: name.to_owned(),
            path: capture.image.header_path().to_owned(),
            reason: reason.to_owned(),
        };
        let wavelengths_nm =
            header.wavelengths_nm.clone().ok_or_else(|| unusable("the header lacks `wavelength`; add the band centres to it"))?;
        if header.good_bands.as_ref().is_some_and(|good| !good.contains(&true)) {
            return Err(unusable("`bbl` in the header says that no band is good; correct it or take it out"));
        }
        let frame_rate_hz = match config.frame_rate_hz {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                return Err(refused(name, "frame_rate_hz", rate.to_string(), "frames per second are a positive number"));
            }
            Some(rate) => rate,
            None => header
                .fps
                .or_else(|| rate_of(capture.records.as_deref()?))
                .ok_or_else(|| unusable("nothing tells the frame rate: the header lacks `fps`; set frame_rate_hz for this camera"))?,
        };
        let is_reflectance = match config.values {
            Some(values) => values == ValuesAs::Reflectance,
            None => header.reflectance_scale.is_some() || header.reflectance_gain.is_some(),
        };
        let (reading, values) = if is_reflectance {
            let Reflectance { reading, scale, ignore, doubt } = Reading::reflectance(&header);
            let header = || capture.image.header_path().to_owned();
            capture.warnings.extend(doubt.map(|warning| Warning::Header { path: header(), warning }));
            (reading, Values::Reflectance { scale, ignore })
        } else {
            (Reading::counts(&header), Values::Counts)
        };
        capture.image = capture.image.read_as(reading);
        let layout = capture.image.layout();
        let bytes = layout.pixels.checked_mul(layout.bands).and_then(|elements| elements.checked_mul(layout.format.bytes()));
        if bytes.is_none_or(|bytes| bytes > MOST_LINE_BYTES) {
            let (pixels, bands) = (layout.pixels, layout.bands);
            return Err(CameraError::Recording {
                camera: name.to_owned(),
                path: capture.image.header_path().to_owned(),
                reason: format!(
                    "a line of {pixels} samples x {bands} bands takes more than {} MiB; correct `samples` and `bands`",
                    MOST_LINE_BYTES >> 20
                ),
            });
        }
        for reference in [&mut capture.dark, &mut capture.white, &mut capture.white_dark, &mut capture.dark_after, &mut capture.white_after]
        {
            if let Reference::Found(image) = reference {
                let reading = Reading::reference(image.header(), &header, layout.format);
                *image = image.clone().read_as(reading);
            }
        }
        let saturation = saturation(name, config, values, &capture.image)?;
        let exposure_ms = header.exposure_ms();
        let exposure_us = exposure_ms.map_or(f64::NAN, |ms| ms * 1e3);
        // Lumo writes spectral before spatial binning.
        let binning = header.binning.map_or((1, 1), |(spectral, spatial)| (spatial, spectral));
        let repeat = config.repeat.map_or(1, NonZeroU32::get);
        let description = CameraDescription {
            model: header.sensor_type.clone().unwrap_or_else(|| "recording".to_owned()),
            serial: header.get("sensorid").unwrap_or_default().to_owned(),
            layout,
            wavelengths_nm,
            fwhm_nm: header.fwhm_nm.clone(),
            values,
            saturation,
            shutter: false,
            recorded: true,
            waits: config.pace == Pace::AsRead,
            max_frame_rate_hz: frame_rate_hz,
            // Where the header states none, the exposure lies within the frame period.
            exposure_range_us: exposure_ms.map_or((0.0, 1e6 / frame_rate_hz), |_| (exposure_us, exposure_us)),
            frames: Some(capture.lines() as u64 * u64::from(repeat)),
        };
        let records: Option<Arc<[LineRecord]>> = capture.records.take().map(Arc::from);
        let first_frame = records.as_deref().and_then(<[_]>::first).map_or(0, |first| first.frame);
        Ok(Self {
            name: name.to_owned(),
            description,
            exposure: Exposure { exposure_us, frame_rate_hz, binning },
            exposure_stated: exposure_ms.is_some(),
            pace: config.pace,
            repeat,
            capture,
            records,
            first_frame,
            running: Weak::new(),
        })
    }

    /// The recording's number of the frame that is played as number 0. It is `frame` in the first row of NAME.lines.csv, else 0.
    pub fn first_frame(&self) -> u64 {
        self.first_frame
    }

    /// The table of lines, one row for each line of the tray, where there is one.
    pub fn records(&self) -> Option<&[LineRecord]> {
        self.records.as_deref().map(|rows| &rows[..rows.len().min(self.capture.tray_lines)])
    }

    /// The settings of the recording. [`LineCamera::apply`] returns them. An exposure that nothing tells is NaN.
    pub fn exposure(&self) -> Exposure {
        self.exposure
    }

    /// The date of the recording, ns since 1970-01-01T00:00:00Z: that of its first line, or else of its header, or of a reference.
    pub fn dated_ns(&self) -> Option<i64> {
        let of_reference = |reference: &Reference| match reference {
            Reference::Found(image) => date_ns(image.header(), &mut |_| {}),
            Reference::Within(_) | Reference::Missing(_) => None,
        };
        let of_references = || [&self.capture.dark, &self.capture.white].into_iter().find_map(of_reference);
        let first = self.records.as_deref().and_then(<[_]>::first).map(|first| first.time_ns);
        first.or(self.capture.dated_ns).or_else(of_references)
    }

    /// Times of the first and the last line of the tray, ns since 1970-01-01T00:00:00Z.
    pub fn lines_ns(&self) -> (i64, i64) {
        let rows = self.records().unwrap_or_default();
        if let Some((first, last)) = rows.first().zip(rows.last()) {
            return (first.time_ns, last.time_ns);
        }
        let first = self.capture.dated_ns.unwrap_or(UNDATED_NS);
        (first, first.saturating_add(nanoseconds(self.capture.lines().saturating_sub(1), 1e9 / self.exposure.frame_rate_hz)))
    }

    /// The file that the recording was opened by.
    pub fn header_path(&self) -> &Path {
        self.capture.image.header_path()
    }

    /// The name of the capture.
    pub fn capture_name(&self) -> &str {
        &self.capture.name
    }

    /// The doubts about the capture at its opening.
    pub fn warnings(&self) -> &[Warning] {
        &self.capture.warnings
    }

    fn refuse_start(&self, reason: String) -> CameraError {
        CameraError::Start { camera: self.name.clone(), reason }
    }

    /// Checks that a reference and the tray have the same settings, as far as the headers state them. A white reference may have another
    /// exposure, which its own dark reference then shares.
    fn same_settings(&self, subject: Subject, reference: &Image) -> Result<(), CameraError> {
        let (tray, found) = (self.capture.image.header(), reference.header());
        let exposure = |header: &Header| header.exposure_ms().map(|ms| ms.to_string());
        let gain = |header: &Header| header.get("gain").map(str::to_owned);
        let of_white = match &self.capture.white {
            Reference::Found(white) if subject == Subject::WhiteDark => exposure(white.header()),
            _ => None,
        };
        let (wanted, whose) = match of_white {
            Some(of_white) => (Some(of_white), "white reference"),
            None => (exposure(tray), "tray's recording"),
        };
        let differs = [
            ("tint (ms)", wanted.filter(|_| subject != Subject::White), exposure(found), whose),
            ("binning", tray.binning.map(|b| format!("{b:?}")), found.binning.map(|b| format!("{b:?}")), "tray's recording"),
            ("gain", gain(tray), gain(found), "tray's recording"),
        ]
        .into_iter()
        .find_map(|(key, wanted, found, whose)| Some((key, wanted?, found?, whose)).filter(|(_, wanted, found, _)| wanted != found));
        let Some((key, wanted, found, whose)) = differs else { return Ok(()) };
        let remedy = match subject {
            Subject::WhiteDark => "take it with the settings of the white reference",
            Subject::White => "references need the settings of the scan",
            _ => "take it again with the settings of the scan; only a white reference may have another exposure (WHITEDARKREF_)",
        };
        Err(CameraError::Recording {
            camera: self.name.clone(),
            path: reference.header_path().to_owned(),
            reason: format!("its {key} is {found}, that of the {whose} {wanted}; {remedy}"),
        })
    }

    /// The reference of a subject; `None` for the tray.
    fn reference(&self, subject: Subject) -> Option<&Reference> {
        let Capture { dark, white, white_dark, dark_after, white_after, .. } = &self.capture;
        match subject {
            Subject::Tray => None,
            Subject::Dark => Some(dark),
            Subject::White => Some(white),
            Subject::WhiteDark => Some(white_dark),
            Subject::DarkAfter => Some(dark_after),
            Subject::WhiteAfter => Some(white_after),
        }
    }

    fn playback(&self, subject: Subject) -> Result<Playback, CameraError> {
        let rate = self.exposure.frame_rate_hz;
        let tray = &self.capture.image;
        let Some(reference) = self.reference(subject) else {
            let (image, lines) = (tray.clone(), self.capture.lines().min(self.record_lines()));
            let dark_behind = |rows: &Arc<[LineRecord]>| rows.len() > lines;
            let records = match &self.records {
                Some(rows) if dark_behind(rows) => Some(rows[..lines].into()),
                records => records.clone(),
            };
            return Ok(Playback::new(&self.name, image, records, self.capture.dated_ns, 0..lines, self.repeat, rate));
        };
        match reference {
            Reference::Found(image) => {
                self.same_settings(subject, image)?;
                // An undated reference has the time of the line beside which it was taken.
                let (first_ns, last_ns) = self.lines_ns();
                let after = matches!(subject, Subject::DarkAfter | Subject::WhiteAfter);
                let beside_ns = if after { last_ns } else { first_ns };
                let dated_ns = date_ns(image.header(), &mut |_| {}).unwrap_or(beside_ns);
                Ok(Playback::new(&self.name, image.clone(), None, Some(dated_ns), 0..image.header().lines, 1, rate))
            }
            Reference::Within(lines) => {
                let records: Option<Arc<[LineRecord]>> = self.records.as_deref().map(|rows| rows.get(lines.clone()).unwrap_or(&[]).into());
                let lines = records.as_ref().map_or(lines.clone(), |rows| lines.start..lines.start + rows.len());
                Ok(Playback::new(&self.name, tray.clone(), records, self.capture.dated_ns, lines, 1, rate))
            }
            Reference::Missing(path) => Err(CameraError::NoRecording { camera: self.name.clone(), subject, path: Path::to_owned(path) }),
        }
    }

    /// Rows of the table of lines, or as many as there can be without one.
    fn record_lines(&self) -> usize {
        self.records.as_ref().map_or(usize::MAX, |rows| rows.len())
    }
}

impl LineCamera for Camera {
    fn describe(&self) -> &CameraDescription {
        &self.description
    }

    fn used_bands(&self) -> Option<&[bool]> {
        self.capture.image.header().good_bands.as_deref()
    }

    fn layout_of(&self, subject: Subject) -> Layout {
        match self.reference(subject) {
            Some(Reference::Found(image)) => image.layout(),
            _ => self.description.layout,
        }
    }

    fn exposure_of(&self, subject: Subject) -> Option<Exposure> {
        match self.reference(subject) {
            Some(Reference::Found(image)) => {
                let header = image.header();
                let binning = header.binning.map_or(self.exposure.binning, |(spectral, spatial)| (spatial, spectral));
                let frame_rate_hz = header.fps.unwrap_or(self.exposure.frame_rate_hz);
                header.exposure_ms().map(|ms| Exposure { exposure_us: ms * 1e3, frame_rate_hz, binning })
            }
            None | Some(Reference::Within(_)) => self.exposure_stated.then_some(self.exposure),
            Some(Reference::Missing(_)) => None,
        }
    }

    /// Returns the settings of the recording, for any request. The hardware accepted them when it was made. Only an exposure that the
    /// header does not state is taken from the request.
    fn apply(&mut self, wanted: &Exposure) -> Result<Exposure, CameraError> {
        if !self.exposure_stated && wanted.exposure_us.is_finite() && wanted.exposure_us > 0.0 {
            self.exposure.exposure_us = wanted.exposure_us;
        }
        Ok(self.exposure)
    }

    fn set_shutter(&mut self, _open: bool) -> Result<(), CameraError> {
        Err(CameraError::Unable { camera: self.name.clone(), ability: "shutter; it plays a recording" })
    }

    fn start(&mut self, pool: FramePool, subject: Subject) -> Result<Box<dyn FrameStream>, CameraError> {
        if self.running.upgrade().is_some_and(|stopped| !stopped.load(Ordering::Acquire)) {
            return Err(self.refuse_start("a stream is running; stop it first".to_owned()));
        }
        let (layout, found) = (self.layout_of(subject), pool.layout());
        if found != layout {
            return Err(self.refuse_start(format!("its frames are {}, those of the pool {}", shape(layout), shape(found))));
        }
        let playback = self.playback(subject)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stream: Box<dyn FrameStream> = match self.pace {
            Pace::AsRead => Box::new(OnDemand::new(playback, pool, Arc::clone(&stopped))),
            Pace::RealTime => {
                let paced = Paced::spawn(&format!("replay-{}", self.name), playback, pool, Arc::clone(&stopped));
                Box::new(paced.map_err(|error| self.refuse_start(format!("no thread for it: {error}")))?)
            }
        };
        self.running = Arc::downgrade(&stopped);
        Ok(stream)
    }

    fn ensure_stopped(&mut self) -> Result<(), CameraError> {
        if let Some(stopped) = self.running.upgrade() {
            stopped.store(true, Ordering::Release);
        }
        self.running = Weak::new();
        Ok(())
    }
}

fn shape(layout: Layout) -> String {
    format!("{} pixels x {} bands ({:?})", layout.pixels, layout.bands, layout.format)
}

fn refused(camera: &str, setting: &'static str, wanted: String, reason: &str) -> CameraError {
    CameraError::Refused { camera: camera.to_owned(), setting, wanted, reason: reason.to_owned() }
}

/// The mean frame rate of a table of lines, holes counted.
#[expect(clippy::cast_precision_loss, reason = "recordings have fewer than 2^53 frames and last less than 2^53 ns (104 days)")]
fn rate_of(rows: &[LineRecord]) -> Option<f64> {
    let (first, last) = rows.first().zip(rows.last())?;
    let rate = (last.frame - first.frame) as f64 * 1e9 / last.time_ns.saturating_sub(first.time_ns) as f64;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

/// The lowest saturated count, where it is known.
fn saturation(camera: &str, config: &CameraConfig, values: Values, image: &Image) -> Result<Option<f64>, CameraError> {
    let level = match (config.saturation, config.bits) {
        (Some(_), Some(bits)) => return Err(refused(camera, "bits", bits.to_string(), "saturation is set too; set one of them")),
        (Some(level), None) if level.is_finite() && level > 0.0 => Some(level),
        (Some(level), None) => return Err(refused(camera, "saturation", level.to_string(), "a level is a positive number")),
        (None, Some(bits)) if (1..=16).contains(&bits) => Some(f64::from((1_u32 << bits) - 1)),
        (None, Some(bits)) => return Err(refused(camera, "bits", bits.to_string(), "a detector has 1 to 16 bits")),
        // An 8-bit file cannot hold more.
        (None, None) => (image.layout().format == PixelFormat::U16 && image.header().data_type.bytes() == 1).then_some(255.0),
    };
    Ok(level.filter(|_| values == Values::Counts))
}
