//! Threads and channels of a scan, written out from end to end.
//!
//! ```text
//! acquire-<camera> ─▶ lane-<camera> ─▶ join ─┬▶ store
//!   frames, raw         calibrate,     join,  └▶ encode ─▶ publish
//!   recording           rectify        segment
//! ```
//!
//! Frames are lost only at the pool's door, in front of `acquire`; every channel behind it blocks. Closing a channel is the end of
//! the scan for the thread behind it.

use super::{Meter, Meters};
use crate::acquire::{Acquire, Acquired, Gap, RecordingError};
use crate::calibrate::{Calibrate, Line};
use crate::encode::{Embedded, Encode, EncoderError};
use crate::formats::quicklook::Quicklook;
use crate::join::Join;
use crate::publish::{Publish, PublishError};
use crate::rectify::{LaneRow, Rectify, RowView};
use crate::scan::{CameraSums, EventKind, LedgerLine, SampleRecord, ScanContext};
use crate::segment::{Findings, Piece, Segment};
use crate::store::{Store, StoreError};
use contract::{CameraError, Frame, FramePool, FrameStream, Received};
use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender, bounded};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines, rows and pieces that a channel holds.
const QUEUE: usize = 16;
/// How often a waiting thread looks up.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What went wrong in the data path. Any of these ends the scan; what was recorded is kept.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A camera failed.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A camera fell silent.
    #[error("{camera} gave no frame for {seconds:.1} s; check its link, its trigger and its power")]
    Silent {
        /// Which.
        camera: String,
        /// For how long.
        seconds: f64,
    },
    /// The raw recording cannot be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A sample file cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncoderError),
    /// The Parquet data set cannot be written.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A thread cannot be started.
    #[error("the thread {name} cannot be started: {error}")]
    Thread {
        /// Its name.
        name: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A thread ended by a defect of this program.
    #[error("the thread {name} broke down; this is a defect of hyclus, please report it with the log")]
    Broken {
        /// Its name.
        name: String,
    },
}

/// One camera's way to the join.
pub struct Lane {
    /// The camera's name.
    pub name: String,
    /// Its running stream.
    pub stream: Box<dyn FrameStream>,
    /// The pool that the stream fills.
    pub pool: FramePool,
    /// Longest time without a frame before the camera is called silent.
    pub silence: Duration,
    /// The stages.
    pub acquire: Acquire,
    /// Counts to reflectance.
    pub calibrate: Calibrate,
    /// Lines to rows.
    pub rectify: Rectify,
    /// Bands of the camera.
    pub bands: usize,
    /// How many rows this camera may be ahead of the others.
    pub lead_rows: usize,
}

/// Tells what happens, from any thread.
pub type Tell = Arc<dyn Fn(EventKind) + Send + Sync>;

/// Everything a scan's data path is made of.
pub struct Plan {
    /// What is fixed for the scan.
    pub context: Arc<ScanContext>,
    /// The cameras.
    pub lanes: Vec<Lane>,
    /// The join.
    pub join: Join,
    /// The segmentation.
    pub segment: Segment,
    /// The picture of the tray.
    pub quicklook: Option<Quicklook>,
    /// The sample files.
    pub store: Store,
    /// Encoder and publisher, where an encoder is configured.
    pub encode: Option<(Encode, Publish)>,
    /// Meters of the process.
    pub meters: Meters,
    /// Where events go.
    pub tell: Tell,
}

/// What a camera has done so far.
#[derive(Debug, Default)]
struct LaneProgress {
    received: AtomicU64,
    lost: AtomicU64,
    done: AtomicBool,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    reason: Mutex<Option<String>>,
    error: Mutex<Option<PipelineError>>,
    lanes: Vec<LaneProgress>,
    sums: Mutex<Vec<CameraSums>>,
    samples: Mutex<Vec<SampleRecord>>,
    findings: Mutex<Findings>,
    embeddings: AtomicU64,
}

impl Shared {
    fn fail(&self, error: impl Into<PipelineError>) {
        let error = error.into();
        tracing::error!(%error, "the scan ends");
        let mut first = lock(&self.error);
        if first.is_none() {
            lock(&self.reason).get_or_insert_with(|| error.to_string());
            *first = Some(error);
        }
        self.stop.store(true, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a scan's data path ended.
#[derive(Debug)]
pub struct Outcome {
    /// Sums of each camera, in the order of the configuration.
    pub sums: Vec<CameraSums>,
    /// The samples stored, in the order in which they were closed.
    pub samples: Vec<SampleRecord>,
    /// What the segmentation has to tell.
    pub findings: Findings,
    /// Rows of embeddings published.
    pub embeddings: u64,
    /// Why the scan was ended early.
    pub reason: Option<String>,
    /// The error that ended it, where there was one.
    pub error: Option<PipelineError>,
}

/// A scan's data path while it runs.
pub struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    names: Vec<String>,
    meters: Meters,
}

impl Running {
    /// Starts the threads.
    pub fn start(plan: Plan) -> Result<Self, PipelineError> {
        let shared = Arc::new(Shared {
            lanes: plan.lanes.iter().map(|_| LaneProgress::default()).collect(),
            sums: Mutex::new(vec![CameraSums::default(); plan.lanes.len()]),
            ..Shared::default()
        });
        let names = plan.lanes.iter().map(|lane| lane.name.clone()).collect();
        let mut running = Self { shared: Arc::clone(&shared), threads: Vec::new(), names, meters: plan.meters.clone() };
        let result = running.wire(plan);
        if let Err(error) = result {
            shared.stop.store(true, Ordering::Release);
            running.join_threads();
            return Err(error);
        }
        Ok(running)
    }

    fn wire(&mut self, plan: Plan) -> Result<(), PipelineError> {
        let Plan { context, lanes, join, segment, quicklook, store, encode, meters, tell } = plan;
        let shared = Arc::clone(&self.shared);
        let scan = context.scan_id.clone();

        let (to_store, pieces) = bounded::<Piece>(QUEUE * 4);
        watch(&meters, "store", &pieces);
        let mut consumers = vec![to_store];
        let meter = meters.stage("store");
        let (s, t, id) = (Arc::clone(&shared), Arc::clone(&tell), scan.clone());
        self.spawn("store", move || run_store(store, &pieces, &s, &meter, &|kind| t(kind), &id))?;

        if let Some((encode, publish)) = encode {
            let (to_encode, pieces) = bounded::<Piece>(QUEUE * 4);
            let (to_publish, embedded) = bounded::<Embedded>(QUEUE);
            watch(&meters, "encode", &pieces);
            watch(&meters, "publish", &embedded);
            consumers.push(to_encode);
            let (s, meter) = (Arc::clone(&shared), meters.stage("encode"));
            self.spawn("encode", move || run_encode(encode, &pieces, &to_publish, &s, &meter))?;
            let (s, t, meter, id) = (Arc::clone(&shared), Arc::clone(&tell), meters.stage("publish"), scan.clone());
            self.spawn("publish", move || run_publish(publish, &embedded, &s, &meter, &|kind| t(kind), &id))?;
        }

        let mut ends = Vec::new();
        for (number, lane) in lanes.into_iter().enumerate() {
            let (to_lane, lines) = bounded::<Acquired>(QUEUE);
            let (to_join, rows) = bounded::<LaneRow>(QUEUE);
            let (give_back, returned) = bounded::<LaneRow>(QUEUE * 2);
            watch(&meters, &format!("lane-{}", lane.name), &lines);
            watch(&meters, &format!("join-{}", lane.name), &rows);
            ends.push(LaneEnd { rows, give_back, lead_rows: lane.lead_rows });
            let Lane { name, stream, pool, silence, acquire, calibrate, rectify, bands, .. } = lane;
            let (s, meter) = (Arc::clone(&shared), meters.stage(&format!("lane-{name}")));
            self.spawn(&format!("lane-{name}"), move || run_lane(calibrate, rectify, bands, &lines, &to_join, &returned, &s, &meter))?;
            let reader = Reader {
                name: name.clone(),
                number,
                scan: scan.clone(),
                stream,
                pool,
                silence,
                acquire,
                context: Arc::clone(&context),
                shared: Arc::clone(&shared),
                meter: meters.stage(&format!("acquire-{name}")),
                tell: Arc::clone(&tell),
            };
            self.spawn(&format!("acquire-{name}"), move || reader.run(&to_lane))?;
        }
        let (s, t, meter) = (Arc::clone(&shared), Arc::clone(&tell), meters.stage("join"));
        self.spawn("join", move || JoinThread { join, segment, quicklook, consumers, shared: s, meter }.run(&ends, &|kind| t(kind), &scan))
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), PipelineError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        self.threads.push(thread.map_err(|error| PipelineError::Thread { name: name.to_owned(), error })?);
        Ok(())
    }

    /// Ends the scan early; what was recorded goes through. The first reason given is kept.
    pub fn stop(&self, reason: &str) {
        lock(&self.shared.reason).get_or_insert_with(|| reason.to_owned());
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Whether every camera has given its last line: the belt may stop.
    pub fn acquired(&self) -> bool {
        self.shared.lanes.iter().all(|lane| lane.done.load(Ordering::Acquire))
    }

    /// Whether every thread has ended.
    pub fn finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Whether an error has ended the scan.
    pub fn failed(&self) -> Option<String> {
        lock(&self.shared.error).as_ref().map(ToString::to_string)
    }

    /// Sums of each camera so far, by name.
    pub fn sums(&self) -> Vec<(String, CameraSums)> {
        let ended = lock(&self.shared.sums);
        self.names
            .iter()
            .zip(&self.shared.lanes)
            .zip(ended.iter())
            .map(|((name, lane), ended)| {
                let sums = if lane.done.load(Ordering::Acquire) {
                    ended.clone()
                } else {
                    let (received, lost) = (lane.received.load(Ordering::Relaxed), lane.lost.load(Ordering::Relaxed));
                    CameraSums { received, lost, expected: received + lost, ..CameraSums::default() }
                };
                (name.clone(), sums)
            })
            .collect()
    }

    /// Samples stored so far.
    pub fn samples(&self) -> Vec<SampleRecord> {
        lock(&self.shared.samples).clone()
    }

    /// Rows of embeddings in closed parts so far.
    pub fn embeddings(&self) -> u64 {
        self.shared.embeddings.load(Ordering::Relaxed)
    }

    /// Waits for every thread and gives the outcome.
    pub fn finish(mut self) -> Outcome {
        self.join_threads();
        self.meters.forget_queues();
        let shared = &self.shared;
        Outcome {
            sums: lock(&shared.sums).clone(),
            samples: lock(&shared.samples).clone(),
            findings: lock(&shared.findings).clone(),
            embeddings: shared.embeddings.load(Ordering::Relaxed),
            reason: lock(&shared.reason).clone(),
            error: lock(&shared.error).take(),
        }
    }

    fn join_threads(&mut self) {
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                self.shared.fail(PipelineError::Broken { name });
            }
        }
    }
}

fn watch<T: Send + 'static>(meters: &Meters, name: &str, queue: &Receiver<T>) {
    let queue = queue.clone();
    meters.queue(name, move || [queue.len(), queue.capacity().unwrap_or(0)]);
}

/// Sends, and takes the time spent waiting off the stage's busy time. A closed channel means that the thread behind it failed and
/// the scan is ending: the item is dropped.
fn send<T>(to: &Sender<T>, item: T, meter: &Meter) {
    if let Err(crossbeam_channel::TrySendError::Full(item)) = to.try_send(item) {
        let begin = Instant::now();
        let _ = to.send(item);
        meter.waited(begin);
    }
}

struct Reader {
    name: String,
    number: usize,
    scan: String,
    stream: Box<dyn FrameStream>,
    pool: FramePool,
    silence: Duration,
    acquire: Acquire,
    context: Arc<ScanContext>,
    shared: Arc<Shared>,
    meter: Arc<Meter>,
    tell: Tell,
}

impl Reader {
    fn run(mut self, to_lane: &Sender<Acquired>) {
        if let Err(error) = self.read(to_lane) {
            self.shared.fail(error);
        }
        let statistics = self.stream.statistics();
        let sums = self.acquire.end_of_scan(statistics.lost_pool, statistics.lost_link).unwrap_or_else(|error| {
            self.shared.fail(error);
            self.acquire.sums()
        });
        lock(&self.shared.sums)[self.number] = sums.clone();
        self.shared.lanes[self.number].done.store(true, Ordering::Release);
        (self.tell)(EventKind::CameraDone { scan: self.scan.clone(), camera: self.name.clone(), sums });
    }

    fn read(&mut self, to_lane: &Sender<Acquired>) -> Result<(), PipelineError> {
        let mut heard = Instant::now();
        while !self.shared.stop.load(Ordering::Acquire) && !self.acquire.ended() {
            match self.stream.next(Instant::now() + LOOK_UP)? {
                Received::Frame(frame) => {
                    heard = Instant::now();
                    self.take(frame, to_lane)?;
                }
                Received::End => return Ok(()),
                // Without a free slot no camera can deliver: the way behind is blocked, not the camera.
                Received::Nothing if self.pool.free() == 0 => heard = Instant::now(),
                Received::Nothing if heard.elapsed() > self.silence => {
                    return Err(PipelineError::Silent { camera: self.name.clone(), seconds: heard.elapsed().as_secs_f64() });
                }
                Received::Nothing => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame, to_lane: &Sender<Acquired>) -> Result<(), PipelineError> {
        let begin = Instant::now();
        let (number, context, meter, tell) = (self.number, &self.context, &self.meter, &self.tell);
        let (scan, camera) = (&self.scan, &self.name);
        let mut out = 0;
        self.acquire.process(frame, &mut |line: LedgerLine| context.ledger.push(number, line), &mut |item| {
            out += 1;
            if let Acquired::Gap(Gap { first, count }) = item {
                tracing::error!(%scan, %camera, first, count, "lines lost");
                tell(EventKind::LinesLost { scan: scan.clone(), camera: camera.clone(), first, count });
            }
            send(to_lane, item, meter);
        })?;
        let sums = self.acquire.sums();
        let progress = &self.shared.lanes[number];
        progress.received.store(sums.received, Ordering::Relaxed);
        progress.lost.store(sums.lost, Ordering::Relaxed);
        self.meter.note(begin, out);
        Ok(())
    }
}

#[expect(clippy::too_many_arguments, reason = "a thread is given what it owns")]
fn run_lane(
    mut calibrate: Calibrate,
    mut rectify: Rectify,
    bands: usize,
    lines: &Receiver<Acquired>,
    to_join: &Sender<LaneRow>,
    returned: &Receiver<LaneRow>,
    _shared: &Shared,
    meter: &Meter,
) {
    let mut rows = 0;
    let mut give = |view: RowView<'_>| {
        let mut row = returned.try_recv().unwrap_or_default();
        view.write(bands, &mut row);
        rows += 1;
        send(to_join, row, meter);
    };
    for item in lines {
        let begin = Instant::now();
        match item {
            Acquired::Line(stamp, frame) => rectify.process(calibrate.process(Line::new(stamp, frame)), &mut give),
            Acquired::Gap(gap) => rectify.gap(gap),
        }
        meter.note(begin, 1);
    }
    rectify.end_of_scan(&mut give);
}

struct LaneEnd {
    rows: Receiver<LaneRow>,
    give_back: Sender<LaneRow>,
    lead_rows: usize,
}

struct JoinThread {
    join: Join,
    segment: Segment,
    quicklook: Option<Quicklook>,
    consumers: Vec<Sender<Piece>>,
    shared: Arc<Shared>,
    meter: Arc<Meter>,
}

impl JoinThread {
    fn run(mut self, ends: &[LaneEnd], tell: &dyn Fn(EventKind), scan: &str) {
        let mut ended = vec![false; ends.len()];
        while ended.iter().any(|ended| !ended) {
            // A camera that is far enough ahead waits; the one furthest behind never does.
            let mut open: Vec<usize> = (0..ends.len()).filter(|i| !ended[*i] && self.join.waiting(*i) < ends[*i].lead_rows).collect();
            if open.is_empty() {
                open = (0..ends.len()).filter(|i| !ended[*i]).min_by_key(|i| self.join.waiting(*i)).into_iter().collect();
            }
            let mut select = Select::new();
            for lane in &open {
                select.recv(&ends[*lane].rows);
            }
            let operation = select.select();
            let lane = open[operation.index()];
            match operation.recv(&ends[lane].rows) {
                Ok(row) => {
                    let begin = Instant::now();
                    self.take(Some((lane, row)), lane, tell, scan);
                    self.meter.note(begin, 1);
                }
                Err(_) => {
                    ended[lane] = true;
                    self.take(None, lane, tell, scan);
                }
            }
            while let Some(row) = self.join.reclaim(lane) {
                let _ = ends[lane].give_back.try_send(row);
            }
        }
        let (consumers, quicklook, meter) = (&self.consumers, &mut self.quicklook, &self.meter);
        let findings = self.segment.end_of_scan(&mut |piece| give(consumers, quicklook, meter, piece, tell, scan));
        *lock(&self.shared.findings) = findings;
        if let Some(quicklook) = self.quicklook.take()
            && let Err(error) = quicklook.finish()
        {
            tracing::warn!(%error, "no picture of the tray");
            lock(&self.shared.findings).warnings.push(error.to_string());
        }
    }

    fn take(&mut self, row: Option<(usize, LaneRow)>, lane: usize, tell: &dyn Fn(EventKind), scan: &str) {
        let Self { join, segment, quicklook, consumers, meter, .. } = self;
        let mut out = |join: &Join, parts| {
            let mut row = segment.spare_row();
            if let Some(row) = Arc::get_mut(&mut row) {
                join.write(parts, row);
                if let Some(quicklook) = quicklook.as_mut() {
                    quicklook.row(row);
                }
            }
            segment.process(row, &mut |piece| give(consumers, quicklook, meter, piece, tell, scan));
        };
        match row {
            Some((lane, row)) => join.process(lane, row, &mut out),
            None => join.lane_ended(lane, &mut out),
        }
    }
}

fn give(consumers: &[Sender<Piece>], quicklook: &mut Option<Quicklook>, meter: &Meter, piece: Piece, tell: &dyn Fn(EventKind), scan: &str) {
    if let Piece::Open(sample) = &piece {
        let (sample, container) = (sample.container.sample.clone(), sample.container.at.clone());
        tell(EventKind::SampleOpened { scan: scan.to_owned(), sample, container });
    }
    if let Some(quicklook) = quicklook.as_mut() {
        quicklook.piece(&piece);
    }
    for consumer in consumers {
        send(consumer, piece.clone(), meter);
    }
}

fn run_store(mut store: Store, pieces: &Receiver<Piece>, shared: &Shared, meter: &Meter, tell: &dyn Fn(EventKind), scan: &str) {
    let mut out = |record: SampleRecord| {
        lock(&shared.samples).push(record.clone());
        tell(EventKind::SampleStored { scan: scan.to_owned(), record });
    };
    for piece in pieces {
        let begin = Instant::now();
        if let Err(error) = store.process(&piece, &mut out) {
            return shared.fail(error);
        }
        meter.note(begin, 1);
    }
    let reason = lock(&shared.reason).clone();
    if let Err(error) = store.end_of_scan(&mut out, reason.as_deref()) {
        shared.fail(error);
    }
}

fn run_encode(mut encode: Encode, pieces: &Receiver<Piece>, to_publish: &Sender<Embedded>, shared: &Shared, meter: &Meter) {
    let mut out = 0;
    for piece in pieces {
        let begin = Instant::now();
        let result = encode.process(&piece, &mut |embedded| {
            out += 1;
            send(to_publish, embedded, meter);
        });
        if let Err(error) = result {
            return shared.fail(error);
        }
        meter.note(begin, std::mem::take(&mut out));
    }
    if let Err(error) = encode.end_of_scan(&mut |embedded| send(to_publish, embedded, meter)) {
        shared.fail(error);
    }
}

fn run_publish(mut publish: Publish, embedded: &Receiver<Embedded>, shared: &Shared, meter: &Meter, tell: &dyn Fn(EventKind), scan: &str) {
    let mut out = |part: crate::publish::Part| {
        let rows = part.rows as u64;
        shared.embeddings.fetch_add(rows, Ordering::Relaxed);
        let file = part.path.file_name().unwrap_or_default().to_string_lossy();
        tell(EventKind::PartClosed { scan: scan.to_owned(), path: format!("embeddings/scan={scan}/{file}"), rows });
    };
    loop {
        let begin;
        let result = match embedded.recv_timeout(LOOK_UP) {
            Ok(rows) => {
                begin = Instant::now();
                publish.process(&rows, &mut out)
            }
            Err(RecvTimeoutError::Timeout) => {
                begin = Instant::now();
                Ok(())
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Err(error) = result.and_then(|()| publish.tick(Instant::now(), &mut out)) {
            return shared.fail(error);
        }
        meter.note(begin, 1);
    }
    if let Err(error) = publish.end_of_scan(&mut out) {
        shared.fail(error);
    }
}
