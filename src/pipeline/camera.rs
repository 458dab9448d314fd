//! The threads `acquire-<camera>` and `rectify-<camera>`, which turn the frames of one camera into rows.

use super::shared::{POLL_INTERVAL, Shared, send, warn};
use super::{Emit, LinkMeter, Meter, PipelineError, Thermometer};
use crate::acquire::{Acquire, Acquired, Gap, RecordingError};
use crate::calibrate::{Calibrate, LightWatch, Line};
use crate::context::ScanContext;
use crate::detector::DetectorWatch;
use crate::live::{CameraTap, LedgerTap};
use crate::native_lines::NativeLines;
use crate::rectify::{CameraRow, Rectify};
use crate::scan::{EventKind, LedgerLine, LineCounts};
use crate::store::StoreError;
use crate::sync::lock;
use contract::{Frame, FramePool, FrameStatus, FrameStream, Received};
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Interval at which the counters of a camera's link are read.
const LINK_INTERVAL: Duration = Duration::from_secs(1);

/// The thread `acquire-<camera>`: reads frames and hands on lines and gaps.
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) number: usize,
    pub(super) scan: String,
    pub(super) stream: Box<dyn FrameStream>,
    pub(super) pool: FramePool,
    pub(super) waits: bool,
    pub(super) silence: Duration,
    pub(super) acquire: Acquire,
    pub(super) pixel_mm: f64,
    pub(super) live: Option<LedgerTap>,
    pub(super) temperature: Arc<Thermometer>,
    pub(super) link: Arc<LinkMeter>,
    pub(super) context: Arc<ScanContext>,
    pub(super) shared: Arc<Shared>,
    pub(super) meter: Arc<Meter>,
    pub(super) emit: Emit,
}

impl Reader {
    pub(super) fn run(mut self, to_rectify: &Sender<Acquired>) {
        let read = self.read(to_rectify);
        // Held lines are received lines, also at an early end.
        let rest = self.release(Duration::MAX, to_rectify);
        if let Err(error) = read.and(rest) {
            self.shared.fail(error);
        }
        self.link.ended(self.stream.link_counters());
        let statistics = self.stream.statistics();
        // A source that waits empties the pool as it likes. Its record stays the same each time.
        let least_free = (!self.waits).then(|| self.pool.least_free() as u64);
        let sums = self.acquire.end_of_scan(statistics.lost_pool, statistics.lost_link).unwrap_or_else(|error| {
            self.shared.fail(error);
            self.acquire.sums()
        });
        let sums = LineCounts { pool_least_free: least_free, ..sums };
        if let Some(mut live) = self.live.take() {
            live.gaps(&sums.gaps);
        }
        if let Some(jump) = self.acquire.cut().cloned() {
            self.shared.end_early(format!("{}: {jump}; the lines from there on are left out", self.name));
            self.shared.irregular(jump, &*self.emit);
        }
        if let Some(watch) = self.acquire.watch() {
            for found in watch.end_of_scan() {
                self.shared.irregular(found, &*self.emit);
            }
            lock(&self.shared.anisotropy)[self.number] = watch.line_mm().map(|line_mm| line_mm / self.pixel_mm);
        }
        lock(&self.shared.sums)[self.number] = sums.clone();
        self.shared.cameras[self.number].done.store(true, Ordering::Release);
        (self.emit)(EventKind::CameraDone { scan: self.scan.clone(), camera: self.name.clone(), sums });
    }

    fn read(&mut self, to_rectify: &Sender<Acquired>) -> Result<(), PipelineError> {
        let mut heard = Instant::now();
        let (mut counted, mut whole_ns) = (heard, None);
        while !self.shared.stop.load(Ordering::Acquire) && !self.acquire.ended() {
            if counted.elapsed() > LINK_INTERVAL {
                counted = Instant::now();
                self.link.set(self.stream.link_counters());
            }
            match self.stream.next(Instant::now() + POLL_INTERVAL)? {
                Received::Frame(frame) => {
                    heard = Instant::now();
                    let time_ns = frame.info.time_ns;
                    // The frames' own times count, because a recording plays faster than it was made.
                    let since_ns = *whole_ns.get_or_insert(time_ns);
                    match frame.info.status {
                        FrameStatus::Ok => whole_ns = Some(time_ns),
                        FrameStatus::Incomplete => self.torn(time_ns.saturating_sub(since_ns))?,
                    }
                    self.take(frame, to_rectify)?;
                }
                Received::End => return Ok(()),
                // Without a free slot no camera can deliver. The stages behind it are at fault, not the camera.
                Received::Nothing if self.pool.free() == 0 => heard = Instant::now(),
                Received::Nothing if heard.elapsed() > self.silence => {
                    return Err(PipelineError::Silent { camera: self.name.clone(), seconds: heard.elapsed().as_secs_f64() });
                }
                Received::Nothing => self.release(heard.elapsed(), to_rectify)?,
            }
        }
        Ok(())
    }

    /// Fails when no frame was whole for too long while the belt runs. A recording cannot be repaired, so it never fails here.
    #[expect(clippy::cast_precision_loss, reason = "some seconds")]
    fn torn(&self, for_ns: i64) -> Result<(), PipelineError> {
        let seconds = for_ns as f64 * 1e-9;
        if self.shared.belt_runs.load(Ordering::Acquire) && seconds > self.silence.as_secs_f64() {
            return Err(PipelineError::Torn { camera: self.name.clone(), seconds });
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame, to_rectify: &Sender<Acquired>) -> Result<(), PipelineError> {
        if self.shared.belt_runs.load(Ordering::Acquire)
            && let Some(watch) = self.acquire.watch()
        {
            watch.belt_runs();
        }
        if let Some(celsius) = frame.info.temperature_c.filter(|celsius| celsius.is_finite()) {
            self.temperature.set(celsius);
        }
        self.emitting(to_rectify, |acquire, ledger, out| acquire.process(frame, ledger, out))
    }

    /// Hands on the held lines whose places are known, after `idle` without a frame.
    fn release(&mut self, idle: Duration, to_rectify: &Sender<Acquired>) -> Result<(), PipelineError> {
        self.emitting(to_rectify, |acquire, ledger, out| acquire.release(idle, ledger, out))
    }

    fn emitting(
        &mut self,
        to_rectify: &Sender<Acquired>,
        step: impl FnOnce(&mut Acquire, &mut dyn FnMut(LedgerLine), &mut dyn FnMut(Acquired)) -> Result<(), RecordingError>,
    ) -> Result<(), PipelineError> {
        let begin = Instant::now();
        let (number, context, meter, emit) = (self.number, &self.context, &self.meter, &self.emit);
        let (scan, camera) = (&self.scan, &self.name);
        let (mut out, live) = (0, &mut self.live);
        let mut note = |line: LedgerLine| {
            if let Some(live) = live {
                live.line(&line);
            }
            context.ledger.push(number, line);
        };
        step(&mut self.acquire, &mut note, &mut |item| {
            out += 1;
            if let Acquired::Gap(Gap { first, count }) = item {
                tracing::error!(%scan, %camera, first, count, "lines lost");
                emit(EventKind::LinesLost { scan: scan.clone(), camera: camera.clone(), first, count });
            }
            send(to_rectify, item, meter);
        })?;
        let (received, lost) = self.acquire.counts();
        let progress = &self.shared.cameras[number];
        progress.received.store(received, Ordering::Relaxed);
        progress.lost.store(lost, Ordering::Relaxed);
        self.meter.note(begin, out);
        // Only a belt that runs now can be stopped. The fault of a recorded belt ends no scan.
        match self.acquire.watch().and_then(|watch| watch.fault()) {
            Some(fault) if self.shared.belt_runs.load(Ordering::Acquire) => Err(fault.clone().into()),
            _ => Ok(()),
        }
    }
}

/// The thread `rectify-<camera>`: calibrates the lines of one camera and resamples them onto the grid.
pub(super) struct RectifyThread {
    pub(super) camera: String,
    pub(super) number: usize,
    pub(super) calibrate: Calibrate,
    pub(super) detector: DetectorWatch,
    pub(super) light: Option<LightWatch>,
    pub(super) rectify: Rectify,
    pub(super) native: Option<Arc<NativeLines>>,
    pub(super) live: Option<CameraTap>,
    pub(super) shared: Arc<Shared>,
    pub(super) meter: Arc<Meter>,
    pub(super) emit: Emit,
}

impl RectifyThread {
    pub(super) fn run(self, lines: &Receiver<Acquired>, to_join: &Sender<CameraRow>) {
        let Self { camera, number, mut calibrate, mut detector, mut light, mut rectify, mut native, mut live, shared, meter, emit } = self;
        let mut give = |row| send(to_join, row, &meter);
        for item in lines {
            let begin = Instant::now();
            match item {
                Acquired::Line(stamp, frame) => {
                    if let Some(live) = &mut live {
                        live.lines.line(stamp.frame, stamp.y_mm, &frame);
                    }
                    if let Some(lines) = &native {
                        let line = calibrate.process(Line::new(stamp, frame));
                        detector.line(line);
                        // The line is stored before its row is sent, because the receiver of the row may ask for it.
                        let stored = lines.push(line);
                        rectify.process(line, &mut give);
                        if let Err(error) = stored {
                            shared.fail(StoreError::from(error));
                            native = None;
                        }
                    } else {
                        calibrate.spectra(Line::new(stamp, frame), &mut detector.beside(&mut rectify.begin_line(stamp)));
                        rectify.end_line(&mut give);
                    }
                    if let Some(live) = &mut live {
                        live.light(stamp.frame, stamp.y_mm, calibrate.light());
                    }
                    if let Some(light) = &mut light {
                        light.line(stamp.y_mm, calibrate.light(), &mut |finding| shared.light(finding, &camera, &*emit));
                    }
                }
                Acquired::Gap(gap) => rectify.gap(gap),
            }
            meter.note(begin, 1);
        }
        rectify.end_of_scan(&mut give);
        let found = detector.end_of_scan();
        for message in found.iter().flat_map(|found| &found.warnings) {
            warn(message.clone(), &*emit);
        }
        lock(&shared.detectors)[number] = found;
        lock(&shared.light_ranges)[number] = light.and_then(|light| light.range());
    }
}
