//! Starts the threads of a scan, and waits for its end. [`super`] has the picture.

use super::camera::{Reader, RectifyThread};
use super::encoders::{EncoderState, ToEncoder, run_encode, run_publish};
use super::join::{CameraEnd, JoinThread, Natives, Pictures};
use super::minerals::{MineralsParts, ToIdentify, run_identify, run_minerals};
use super::shared::{CameraProgress, Shared};
use super::sinks::{Sinks, run_store};
use super::{CameraParts, Emit, Meters, Outcome, PipelineError, PipelineParts};
use crate::acquire::Acquired;
use crate::encode::Embedded;
use crate::minerals::Found;
use crate::rectify::CameraRow;
use crate::scan::{Cause, LineCounts, SampleRecord};
use crate::segment::SampleEvent;
use crate::sync::lock;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines, rows or sample events that a channel holds.
const QUEUE_ITEMS: usize = 2;
/// Embeddings that wait for the publisher, which may be closing a part.
const QUEUED_EMBEDDINGS: usize = 8192;
/// Identified samples that wait for the publisher.
const QUEUED_SAMPLES: usize = 64;
/// Interval at which the threads are checked for their end.
const END_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A scan's data path while it runs.
pub struct Running {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    names: Vec<String>,
    meters: Meters,
    emit: Emit,
    /// Whether cameras run. The encoders of a recording are waited for without end.
    live: bool,
    /// Begin of the wait for the encoders after all other threads.
    waiting: Mutex<Option<Instant>>,
}

/// An encoder's thread. A scan may end without it.
const ENCODE: &str = "encode";
/// A publisher's thread, which depends on an encoder's.
const PUBLISH: &str = "publish";

impl Running {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`PipelineError::Thread`] where the system refuses a thread. Threads that were started have ended then.
    pub fn start(parts: PipelineParts) -> Result<Self, PipelineError> {
        let shared = Arc::new(Shared {
            cameras: parts.cameras.iter().map(|_| CameraProgress::default()).collect(),
            sums: Mutex::new(vec![LineCounts::default(); parts.cameras.len()]),
            anisotropy: Mutex::new(vec![None; parts.cameras.len()]),
            detectors: Mutex::new(vec![None; parts.cameras.len()]),
            light_ranges: Mutex::new(vec![None; parts.cameras.len()]),
            encoders: parts.encoders.iter().map(|encoder| Arc::new(EncoderState::new(encoder, &parts.context.scan_id))).collect(),
            scan: parts.context.scan_id.clone(),
            max_not_identified: parts.minerals.max_not_identified,
            ..Shared::default()
        });
        let names = parts.cameras.iter().map(|camera| camera.name.clone()).collect();
        let live = parts.cameras.iter().any(|camera| !camera.waits);
        let running = Self {
            shared: Arc::clone(&shared),
            threads: Mutex::default(),
            names,
            meters: parts.meters.clone(),
            emit: Arc::clone(&parts.emit),
            live,
            waiting: Mutex::default(),
        };
        for (state, encoder) in shared.encoders.iter().zip(&parts.encoders) {
            encoder.deferred.iter().for_each(|reason| state.defer(reason.clone(), &*parts.emit));
        }
        if let Some(pending) = parts.minerals.record.as_ref().and_then(|record| record.pending.as_ref()) {
            shared.defer_minerals(pending.reason.clone(), &*parts.emit);
        }
        let result = running.wire(parts);
        if let Err(error) = result {
            shared.stop.store(true, Ordering::Release);
            running.join_threads();
            return Err(error);
        }
        Ok(running)
    }

    /// Makes every channel, then starts the threads in the order of flow.
    fn wire(&self, parts: PipelineParts) -> Result<(), PipelineError> {
        let PipelineParts { context, cameras, join, segment, slip, quicklook, store, encoders, minerals, live, meters, emit, .. } = parts;
        let (live, mut live_embeddings) = live.unzip();
        let shared = &self.shared;
        let scan = context.scan_id.clone();
        let natives = cameras.iter().filter_map(|camera| camera.native.clone()).collect();
        let pools: Vec<_> = cameras.iter().filter(|camera| !camera.waits).map(|camera| camera.pool.clone()).collect();

        let (mut camera_channels, mut ends) = (Vec::new(), Vec::new());
        for camera in &cameras {
            let (to_rectify, lines) = channel::<Acquired>(&meters, &format!("rectify-{}", camera.name), QUEUE_ITEMS);
            let (to_join, rows) = channel::<CameraRow>(&meters, &format!("join-{}", camera.name), QUEUE_ITEMS);
            camera_channels.push((to_rectify, lines, to_join));
            ends.push(CameraEnd { rows, lead_rows: camera.lead_rows });
        }
        let (to_store, for_store) = channel::<SampleEvent>(&meters, "store", QUEUE_ITEMS * 4);
        let (mut to_identify, mut identifying) = (None, None);
        if let Some(MineralsParts { identify, publish, desk, live, .. }) = minerals.parts {
            let (events, for_identify) = channel::<SampleEvent>(&meters, "identify", QUEUE_ITEMS * 16);
            let (to_minerals, found) = channel::<Arc<Found>>(&meters, "minerals", QUEUED_SAMPLES);
            to_identify = Some(ToIdentify { events, pools: pools.clone(), desk: Arc::clone(&desk), shared: Arc::clone(shared) });
            identifying = Some((identify, live, for_identify, to_minerals, publish, found, desk));
        }
        let (mut to_encode, mut encoding) = (Vec::new(), Vec::new());
        for (state, encoder) in shared.encoders.iter().zip(encoders) {
            let Some((encode, publish)) = encoder.stages else { continue };
            let (events, for_encode) = channel::<SampleEvent>(&meters, &state.named(ENCODE), QUEUE_ITEMS * 4);
            let batches = (QUEUED_EMBEDDINGS / encode.encoder().batch()).max(QUEUE_ITEMS);
            let (to_publish, embedded) = channel::<Embedded>(&meters, &state.named(PUBLISH), batches);
            to_encode.push(ToEncoder { events, pools: pools.clone(), state: Arc::clone(state) });
            encoding.push((Arc::clone(state), encode, for_encode, to_publish, publish, embedded));
        }

        for (number, (camera, (to_rectify, lines, to_join))) in cameras.into_iter().zip(camera_channels).enumerate() {
            let CameraParts {
                name,
                stream,
                pool,
                waits,
                silence,
                acquire,
                calibrate,
                detector,
                light,
                rectify,
                pixel_mm,
                native,
                live,
                ..
            } = camera;
            let (live, live_ledger) = live.unzip();
            let reader = Reader {
                name: name.clone(),
                number,
                scan: scan.clone(),
                stream,
                pool,
                waits,
                silence,
                acquire,
                pixel_mm,
                live: live_ledger,
                link: meters.link(&name),
                temperature: meters.temperature(&name),
                context: Arc::clone(&context),
                shared: Arc::clone(shared),
                meter: meters.stage(&format!("acquire-{name}")),
                emit: Arc::clone(&emit),
            };
            self.spawn(&format!("acquire-{name}"), move || reader.run(&to_rectify))?;
            let (shared, emit, meter) = (Arc::clone(shared), Arc::clone(&emit), meters.stage(&format!("rectify-{name}")));
            let thread =
                RectifyThread { camera: name.clone(), number, calibrate, detector, light, rectify, native, live, shared, meter, emit };
            self.spawn(&format!("rectify-{name}"), move || thread.run(&lines, &to_join))?;
        }

        let sinks = Sinks { store: to_store, encode: to_encode, identify: to_identify };
        let natives = Natives { lines: natives, context: Arc::clone(&context) };
        let meter = meters.stage("join");
        let thread =
            JoinThread { join, segment, slip, pictures: Pictures { quicklook, live }, sinks, natives, shared: Arc::clone(shared), meter };
        let (emit_join, id) = (Arc::clone(&emit), scan.clone());
        self.spawn("join", move || thread.run(&ends, &*emit_join, &id))?;

        let (state, emit_store, meter) = (Arc::clone(shared), Arc::clone(&emit), meters.stage("store"));
        self.spawn("store", move || run_store(store, &for_store, &context, &state, &meter, &*emit_store))?;

        if let Some((identify, live, events, to_minerals, publish, found, desk)) = identifying {
            let (of_desk, meter) = (Arc::clone(&desk), meters.stage("identify"));
            self.spawn("identify", move || run_identify(identify, live.as_ref(), &events, &of_desk, &to_minerals, &meter))?;
            let (state, meter, emit) = (Arc::clone(shared), meters.stage("minerals"), Arc::clone(&emit));
            self.spawn("minerals", move || run_minerals(&publish, &found, &desk, &state, &meter, &*emit))?;
        }
        for (state, encode, for_encode, to_publish, publish, embedded) in encoding {
            let name = state.named(ENCODE);
            let (of_publish, emit_encode, meter) = (Arc::clone(&state), Arc::clone(&emit), meters.stage(&name));
            let live = live_embeddings.take_if(|_| state.is_main());
            self.spawn(&name, move || run_encode(encode, &for_encode, &to_publish, live.as_ref(), &state, &meter, &*emit_encode))?;
            let name = of_publish.named(PUBLISH);
            let (emit, meter) = (Arc::clone(&emit), meters.stage(&name));
            self.spawn(&name, move || run_publish(publish, &embedded, &of_publish, &meter, &*emit))?;
        }
        Ok(())
    }

    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), PipelineError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(|error| PipelineError::Thread { name: name.to_owned(), error })?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Notes that the belt runs. A belt that stands from now on fails the scan.
    pub fn belt_runs(&self) {
        self.shared.belt_runs.store(true, Ordering::Release);
    }

    /// Notes that the belt was stopped and may stand.
    pub fn belt_stands(&self) {
        self.shared.belt_runs.store(false, Ordering::Release);
    }

    /// Ends the scan early. Recorded lines pass through. The first reason given is kept.
    pub fn stop(&self, reason: &str) {
        lock(&self.shared.reason).get_or_insert_with(|| reason.to_owned());
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Whether every camera has given its last line, so that the belt may stop.
    pub fn acquired(&self) -> bool {
        self.shared.cameras.iter().all(|camera| camera.done.load(Ordering::Acquire))
    }

    /// Whether every thread has ended. An encoder that takes too long after all others is abandoned.
    pub fn finished(&self) -> bool {
        let threads = lock(&self.threads);
        let ended = |wanted: &dyn Fn(&str) -> bool| {
            threads.iter().filter(|thread| wanted(thread.thread().name().unwrap_or_default())).all(JoinHandle::is_finished)
        };
        if ended(&|_| true) {
            return true;
        }
        let encoders = &self.shared.encoders;
        if !ended(&|name| !encoders.iter().any(|encoder| [ENCODE, PUBLISH].iter().any(|what| encoder.named(what) == name))) {
            return false;
        }
        let since = *lock(&self.waiting).get_or_insert_with(Instant::now);
        for encoder in encoders.iter().filter(|encoder| self.live && !encoder.left_behind() && since.elapsed() >= encoder.linger) {
            if !ended(&|name| name == encoder.named(ENCODE) || name == encoder.named(PUBLISH)) {
                encoder.leave_behind(&*self.emit);
            }
        }
        ended(&|name| !self.is_left_behind(name))
    }

    /// Whether this is the thread of an encoder that was left behind.
    fn is_left_behind(&self, name: &str) -> bool {
        self.shared.encoders.iter().any(|encoder| encoder.left_behind() && encoder.named(ENCODE) == name)
    }

    /// Cause of the error that ended the scan, where there was one.
    pub fn failed(&self) -> Option<Cause> {
        lock(&self.shared.error).as_ref().map(Cause::from)
    }

    /// Line counts so far, by camera name.
    pub fn sums(&self) -> Vec<(String, LineCounts)> {
        let ended = lock(&self.shared.sums);
        self.names
            .iter()
            .zip(&self.shared.cameras)
            .zip(ended.iter())
            .map(|((name, camera), ended)| {
                let sums = if camera.done.load(Ordering::Acquire) {
                    ended.clone()
                } else {
                    let (received, lost) = (camera.received.load(Ordering::Relaxed), camera.lost.load(Ordering::Relaxed));
                    LineCounts { received, lost, expected: received + lost, ..LineCounts::default() }
                };
                (name.clone(), sums)
            })
            .collect()
    }

    /// Samples stored so far.
    pub fn samples(&self) -> Vec<SampleRecord> {
        lock(&self.shared.samples).clone()
    }

    /// Rows of `main`'s embeddings in closed parts so far.
    pub fn embeddings(&self) -> u64 {
        self.shared.encoders.iter().find(|encoder| encoder.is_main()).map_or(0, |encoder| encoder.embeddings())
    }

    /// The outcome of a data path after [`Running::finish`] broke down.
    pub fn broken(&self) -> Outcome {
        self.shared.fail(PipelineError::Broken { name: "finish".into() });
        self.outcome()
    }

    /// Waits for every thread and gives the outcome. Only the first call gives the error.
    pub fn finish(&self) -> Outcome {
        self.join_threads();
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        self.meters.forget_queues();
        let shared = &self.shared;
        let mut findings = lock(&shared.findings).clone();
        findings.warnings.extend(lock(&shared.light).iter().cloned());
        Outcome {
            sums: lock(&shared.sums).clone(),
            samples: lock(&shared.samples).clone(),
            findings,
            irregularities: lock(&shared.irregularities).clone(),
            anisotropy: lock(&shared.anisotropy).clone(),
            light: lock(&shared.light_ranges).clone(),
            detectors: lock(&shared.detectors).clone(),
            encoders: shared.encoders.iter().map(|encoder| encoder.outcome()).collect(),
            minerals: lock(&shared.minerals).clone(),
            max_not_identified: shared.max_not_identified,
            reason: lock(&shared.reason).clone(),
            error: lock(&shared.error).take(),
        }
    }

    fn join_threads(&self) {
        while !self.finished() {
            std::thread::sleep(END_POLL_INTERVAL);
        }
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if !thread.is_finished() && self.is_left_behind(&name) {
                tracing::warn!("the encoder's thread is left behind; it ends when ONNX Runtime gives the batch back");
                continue;
            }
            if thread.join().is_err() {
                self.shared.fail(PipelineError::Broken { name });
            }
        }
    }
}

/// Makes a channel of `capacity` items, and meters its fill.
///
/// The thread owns the only receiver. When the thread fails, the receiver goes with it, and no sender is held up.
fn channel<T: Send + 'static>(meters: &Meters, name: &str, capacity: usize) -> (Sender<T>, Arc<Receiver<T>>) {
    let (sender, receiver) = bounded(capacity);
    let receiver = Arc::new(receiver);
    let seen = Arc::downgrade(&receiver);
    meters.queue(name, move || [seen.upgrade().map_or(0, |queue| queue.len()), capacity]);
    (sender, receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_whose_reader_is_gone_holds_nobody_up() {
        let meters = Meters::default();
        let (to, from) = channel::<u8>(&meters, "queue", 1);
        to.send(1).unwrap();
        assert_eq!(meters.queues()["queue"], [1, 1]);
        drop(from);
        assert!(to.send(2).is_err());
        assert_eq!(meters.queues()["queue"], [0, 1]);
    }
}
