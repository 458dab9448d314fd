//! The identification of a scan's minerals: its parts, its queue, and the threads `identify` and `minerals`.

use super::build::ScanSetup;
use super::shared::{Shared, send};
use super::sinks::{LEAST_FREE_MINERALS, offer};
use super::{Meter, PipelineParts};
use crate::config::MineralsConfig;
use crate::context::ScanContext;
use crate::disk::give_way;
use crate::identify::{Identifier, IdentifyError, Library, LibraryFaults, METHOD_VERSION};
use crate::join::Axes;
use crate::live::MineralTap;
use crate::minerals::{About, Desk, Found, Identified, Identify};
use crate::publish::{PublishError, PublishMinerals};
use crate::scan::{EventKind, MineralsRecord, PendingMinerals};
use crate::segment::SampleEvent;
use contract::FramePool;
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time from the end of a sample until its file is completed without minerals, where cameras do not wait.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Minerals cannot be identified.
#[derive(Debug, thiserror::Error)]
pub enum MineralsError {
    /// The library has faults.
    #[error(transparent)]
    Library(#[from] LibraryFaults),
    /// The library does not fit the bands of the rig.
    #[error("the library of minerals does not fit the bands of the cameras: {0}")]
    Bands(#[from] IdentifyError),
    /// The data set cannot be written.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Reads the library, and fits it to bands.
///
/// # Errors
/// The library has faults, or does not fit the bands.
pub fn identifier(config: &MineralsConfig, axes: &Axes) -> Result<(Arc<Identifier>, Arc<About>), MineralsError> {
    let library = Library::read(&config.library)?;
    let identifier = Identifier::of_grid(&library, axes)?;
    let about = About::new(&library, &identifier);
    Ok((Arc::new(identifier), Arc::new(about)))
}

/// What a scan does about minerals.
#[derive(Default)]
pub struct ScanMinerals {
    /// The record of it. `None` where none are identified.
    pub record: Option<MineralsRecord>,
    /// Largest share of a sample that is not identified.
    pub max_not_identified: f64,
    /// The stages. `None` where none are identified, or where all samples are deferred.
    pub parts: Option<MineralsParts>,
}

/// The stages that identify minerals and publish them.
pub struct MineralsParts {
    /// Rows to minerals.
    pub identify: Identify,
    /// Minerals to parts of the data set.
    pub publish: PublishMinerals,
    /// Where the files' writers get them.
    pub desk: Arc<Desk>,
    /// Names of the minerals. The code of the first is 1.
    pub names: Vec<String>,
    /// The rows on the live tap, where there is one.
    pub live: Option<MineralTap>,
}

impl ScanSetup<'_> {
    /// The stages for minerals. `waits` says that the cameras wait for them.
    ///
    /// # Errors
    /// The library or the data set cannot be opened, and `may_defer` is false.
    pub(super) fn minerals(&self, context: &Arc<ScanContext>, waits: bool) -> Result<ScanMinerals, MineralsError> {
        let Some(config) = &self.loaded.config.minerals else { return Ok(ScanMinerals::default()) };
        let max_not_identified = config.max_not_identified;
        let build = || {
            let (identifier, about) = identifier(config, &context.axes)?;
            let publish = PublishMinerals::new(&self.data_dir, &context.scan_id, &context.tray.keys, &about)?;
            let wait = (!waits).then_some(LONGEST_WAIT);
            let desk = Arc::new(Desk::new(config.max_memory_mib.saturating_mul(1 << 20), wait));
            let identify = Identify::new(identifier, Arc::clone(&about), Arc::clone(context), Arc::clone(&desk));
            Ok::<_, MineralsError>((about.record(), MineralsParts { identify, publish, desk, names: about.minerals.clone(), live: None }))
        };
        match build() {
            Ok((record, parts)) => Ok(ScanMinerals { record: Some(record), max_not_identified, parts: Some(parts) }),
            Err(error) if self.may_defer => {
                let pending = Some(PendingMinerals { reason: error.to_string(), samples: Vec::new() });
                let record = MineralsRecord { library: String::new(), library_sha256: String::new(), method: METHOD_VERSION, pending };
                Ok(ScanMinerals { record: Some(record), max_not_identified, parts: None })
            }
            Err(error) => Err(error),
        }
    }
}

impl PipelineParts {
    /// The record of the scan's minerals, as it is before the first line.
    pub fn minerals_record(&self) -> Option<MineralsRecord> {
        self.minerals.record.clone()
    }
}

/// The channel to the identification, which never makes a camera lose a line.
pub(super) struct ToIdentify {
    pub(super) events: Sender<SampleEvent>,
    /// Pools of the cameras that do not wait.
    pub(super) pools: Vec<FramePool>,
    pub(super) desk: Arc<Desk>,
    pub(super) shared: Arc<Shared>,
}

impl ToIdentify {
    /// Notes at the desk that a sample begins or ends. The writer of its file hears of it later.
    pub(super) fn note(&self, event: &SampleEvent) {
        match event {
            SampleEvent::Open(sample) => self.desk.open(sample.number),
            SampleEvent::Row(_) => {}
            SampleEvent::Close { sample, lines, .. } => self.desk.close(sample.number, *lines),
        }
    }

    /// Hands over an event. A sample of which an event is not taken in time is deferred.
    ///
    /// The identification is waited for as long as most slots of the pools are free. A sample that is deferred costs no further time, so
    /// that the others keep up again.
    pub(super) fn give(&self, event: &SampleEvent, meter: &Meter, emit: &dyn Fn(EventKind)) {
        let number = match event {
            SampleEvent::Open(sample) | SampleEvent::Close { sample, .. } => sample.number,
            SampleEvent::Row(row) => row.sample.number,
        };
        if !self.desk.is_deferred(number) && !offer(&self.events, event.clone(), &self.pools, Some(LEAST_FREE_MINERALS), meter) {
            self.desk.defer(number, "the identification of minerals did not keep up");
        }
        self.shared.tell_minerals(&self.desk, emit);
    }
}

/// Identifies until the channel closes. Rows go to the live tap as they were found.
pub(super) fn run_identify(
    mut identify: Identify,
    live: Option<&MineralTap>,
    events: &Receiver<SampleEvent>,
    desk: &Desk,
    to_publish: &Sender<Arc<Found>>,
    meter: &Meter,
) {
    /// Tells the desk that nothing follows, also after a panic.
    struct End<'a>(&'a Desk);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.end("the scan ended before the sample did");
        }
    }
    let _end = End(desk);
    give_way();
    for event in events {
        let begin = Instant::now();
        let mut out = 0;
        let mut show = |row: &Identified<'_>| {
            if let Some(live) = live {
                live.row(row);
            }
        };
        identify.process(&event, &mut show, &mut |found| {
            out += 1;
            send(to_publish, found, meter);
        });
        meter.note(begin, out);
    }
}

/// Publishes the minerals of samples until the channel closes.
pub(super) fn run_minerals(
    publish: &PublishMinerals,
    found: &Receiver<Arc<Found>>,
    desk: &Desk,
    shared: &Shared,
    meter: &Meter,
    emit: &dyn Fn(EventKind),
) {
    give_way();
    for found in found {
        let begin = Instant::now();
        match publish.write(&found) {
            Ok(Some(part)) => {
                let container = &found.sample.container;
                emit(EventKind::SampleIdentified {
                    scan: shared.scan.clone(),
                    sample: container.sample.clone(),
                    container: container.at.clone(),
                    path: part.path,
                    rows: part.rows,
                });
            }
            Ok(None) => {}
            Err(error) => shared.defer_minerals(error.to_string(), emit),
        }
        meter.note(begin, 1);
    }
    shared.tell_minerals(desk, emit);
}
