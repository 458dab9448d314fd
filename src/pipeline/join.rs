//! The thread `join`: makes one spectrum of several cameras and finds the containers.

use super::Meter;
use super::shared::Shared;
use super::sinks::Sinks;
use crate::context::ScanContext;
use crate::join::{Join, Row};
use crate::live::ScanTap;
use crate::native_lines::NativeLines;
use crate::quicklook::Quicklook;
use crate::rectify::CameraRow;
use crate::registration::SlipGate;
use crate::scan::EventKind;
use crate::segment::{Sample, SampleEvent, Segment};
use crate::sync::lock;
use crossbeam_channel::{Receiver, Select, TryRecvError};
use std::sync::Arc;
use std::time::Instant;

/// The end of one camera's channel, at the join.
pub(super) struct CameraEnd {
    pub(super) rows: Arc<Receiver<CameraRow>>,
    /// Rows by which this camera may be ahead of the others.
    pub(super) lead_rows: usize,
}

/// Requests for the lines that cameras keep on their own grids, as samples need them.
pub(super) struct Natives {
    pub(super) lines: Vec<Arc<NativeLines>>,
    pub(super) context: Arc<ScanContext>,
}

impl Natives {
    /// Asks every camera for the lines of a sample.
    fn want(&self, sample: &Sample) {
        self.lines.iter().for_each(|lines| lines.want(sample.number, self.edge_mm(sample.first_row)));
    }

    /// Notes that no later sample begins before row `row` of the grid.
    fn passed(&self, row: Option<i64>) {
        let Some(row) = row else { return };
        self.lines.iter().for_each(|lines| lines.passed(self.edge_mm(row)));
    }

    /// Leading edge of a row, mm on the tray.
    fn edge_mm(&self, row: i64) -> f64 {
        self.context.axes.y_mm(row) - self.context.axes.pixel_mm / 2.0
    }
}

/// What people see of the tray: the picture that is written at the end, and the live tap.
pub(super) struct Pictures {
    pub(super) quicklook: Option<Quicklook>,
    pub(super) live: Option<ScanTap>,
}

impl Pictures {
    fn row(&mut self, row: &Row, y_mm: f64) {
        if let Some(quicklook) = &mut self.quicklook {
            quicklook.row(row);
        }
        if let Some(live) = &mut self.live {
            live.row(row, y_mm);
        }
    }

    fn sample_event(&mut self, event: &SampleEvent) {
        if let Some(quicklook) = &mut self.quicklook {
            quicklook.sample_event(event);
        }
        if let Some(live) = &self.live {
            live.sample_event(event);
        }
    }
}

/// Joins, segments and draws, and sends the events of samples to the sinks.
pub(super) struct JoinThread {
    pub(super) join: Join,
    pub(super) segment: Segment,
    pub(super) slip: SlipGate,
    pub(super) pictures: Pictures,
    pub(super) sinks: Sinks,
    pub(super) natives: Natives,
    pub(super) shared: Arc<Shared>,
    pub(super) meter: Arc<Meter>,
}

impl JoinThread {
    pub(super) fn run(mut self, ends: &[CameraEnd], emit: &dyn Fn(EventKind), scan: &str) {
        let mut ended = vec![false; ends.len()];
        // The selection is kept from row to row, so that no row costs an allocation.
        let mut select = Select::new();
        let mut places: Vec<Option<usize>> = vec![None; ends.len()];
        while let Some(behind) = (0..ends.len()).filter(|i| !ended[*i]).min_by_key(|i| self.join.waiting(*i)) {
            // A camera that is far enough ahead waits. Where all are ahead, the one furthest behind goes on.
            let ready = |i: usize| !ended[i] && self.join.waiting(i) < ends[i].lead_rows;
            let all_ahead = !(0..ends.len()).any(ready);
            for (camera, place) in places.iter_mut().enumerate() {
                match (ready(camera) || all_ahead && camera == behind, *place) {
                    (true, None) => *place = Some(select.recv(&ends[camera].rows)),
                    (false, Some(given)) => {
                        select.remove(given);
                        *place = None;
                    }
                    _ => {}
                }
            }
            let place = select.ready();
            let Some(camera) = places.iter().position(|given| *given == Some(place)) else { continue };
            match ends[camera].rows.try_recv() {
                Ok(row) => {
                    let begin = Instant::now();
                    self.take(Some((camera, row)), camera, emit, scan);
                    self.meter.note(begin, 1);
                }
                Err(TryRecvError::Disconnected) => {
                    ended[camera] = true;
                    self.take(None, camera, emit, scan);
                }
                // The selection may report a channel that is still empty.
                Err(TryRecvError::Empty) => {}
            }
        }
        let Self { mut segment, slip, sinks, natives, mut pictures, shared, meter, .. } = self;
        let findings = segment.end_of_scan(&mut |event| give(&sinks, &natives, &mut pictures, &meter, &event, emit, scan));
        let Pictures { mut quicklook, live } = pictures;
        drop(live);
        // No event follows. Closing the channels lets the files be completed while the picture is drawn.
        drop(sinks);
        if let Some(slip) = slip.judge(&findings.passages) {
            shared.irregular(slip, emit);
        }
        if let Some(quicklook) = quicklook.as_mut() {
            quicklook.outline(&findings.outlines);
        }
        *lock(&shared.findings) = findings;
        if let Some(quicklook) = quicklook
            && let Err(error) = quicklook.finish()
        {
            tracing::warn!(%error, "no picture of the tray");
            lock(&shared.findings).warnings.push(error.to_string());
        }
    }

    fn take(&mut self, row: Option<(usize, CameraRow)>, camera: usize, emit: &dyn Fn(EventKind), scan: &str) {
        let Self { join, segment, pictures, sinks, natives, meter, .. } = self;
        let mut out = |join: &Join, index| {
            let mut row = segment.spare_row();
            if let Some(row) = Arc::get_mut(&mut row) {
                join.fill(index, row);
                pictures.row(row, natives.context.axes.y_mm(index));
            }
            segment.process(row, &mut |event| give(sinks, natives, pictures, meter, &event, emit, scan));
            natives.passed(segment.oldest_row());
        };
        match row {
            Some((camera, row)) => join.process(camera, row, &mut out),
            None => join.camera_ended(camera, &mut out),
        }
    }
}

/// Reports a sample event to all that need it: cameras, events, picture and sinks.
fn give(
    sinks: &Sinks,
    natives: &Natives,
    pictures: &mut Pictures,
    meter: &Meter,
    event: &SampleEvent,
    emit: &dyn Fn(EventKind),
    scan: &str,
) {
    if let SampleEvent::Open(sample) = event {
        natives.want(sample);
        let (sample, container) = (sample.container.sample.clone(), sample.container.at.clone());
        emit(EventKind::SampleOpened { scan: scan.to_owned(), sample, container });
    }
    pictures.sample_event(event);
    sinks.give(event, meter, emit);
}
