//! Looks for ended scans and has each shipped, for as long as it runs.

use crate::daemon::{Daemon, NotNoted};
use crate::events::{Event, Events};
use crate::failure::{Failure, Trouble as Concern};
use crate::keep;
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::place::Place;
use crate::scan::{Local, Outcome, Proved};
use crate::state::{Known, State, Trouble, hash_of};
use hyclus::config::{Loaded, ShipConfig};
use hyclus::data_root;
use hyclus::scan::{FilesHere, ScanRecord, is_scan_id, iso, now_ns};
use hyclus::seal::CarriedSeal;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Interval at which the daemon is asked whether the rig works.
const ASK_INTERVAL: Duration = Duration::from_millis(500);
/// Wait before a scan that failed is tried again, unless its record changes.
const RETRY_SCAN: Duration = Duration::from_secs(600);
/// First and longest wait before the archive is tried again.
const RETRY_ARCHIVE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Least bytes of a transfer that tells a rate.
const LEAST_FOR_RATE: u64 = 1 << 20;
/// Time over which the disk's filling is measured.
const DAY_S: f64 = 86_400.0;

/// What is remembered of a scan's record, until the file changes.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    stamp: (SystemTime, u64),
    /// When the scan ended, ns since 1970-01-01T00:00:00Z. `None` while it runs.
    pub(crate) ended_ns: Option<i64>,
    /// Whether embeddings or minerals are still to be made.
    pub(crate) lacks: bool,
    /// Size of its files, bytes.
    pub(crate) bytes: u64,
    /// Hash of the record.
    pub(crate) hash: String,
    /// Changes with the seal. Empty where there is none.
    pub(crate) seal: String,
    /// The files that are here, where the record says that it is archived.
    pub(crate) files: FilesHere,
    /// Whether there is a raw recording among its files.
    pub(crate) has_raw: bool,
}

impl Summary {
    /// What the archive should hold of it: its record, and its seal.
    fn what(&self) -> String {
        format!("{} {}", self.hash, self.seal)
    }
}

/// The scans of a data root, by id.
pub(crate) type Scans = BTreeMap<String, Summary>;

/// The shipper of a rig.
pub(crate) struct Watch {
    pub(crate) loaded: Loaded,
    pub(crate) ship: ShipConfig,
    pub(crate) place: Place,
    pub(crate) pace: Arc<Pace>,
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) metrics: Metrics,
    pub(crate) state: State,
    pub(crate) scans: Scans,
    /// The last try of each scan that failed, and what was tried.
    tried: BTreeMap<String, (Instant, String)>,
    /// What was put of scans that are not whole yet.
    proved: Proved,
    pub(crate) keeping: keep::Keeping,
    events: Option<Events>,
    /// The last reason why the daemon takes no notes.
    silent: Option<String>,
    /// The trouble of the archive that was logged last.
    told: Option<String>,
}

/// What a round left undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Left {
    /// The archive failed.
    pub(crate) archive: bool,
    /// Scans that failed.
    pub(crate) failed: usize,
    /// Scans that wait: for embeddings, minerals, or the archive.
    pub(crate) waiting: usize,
}

impl Watch {
    pub(crate) fn new(loaded: Loaded, ship: ShipConfig, place: Place, metrics: Metrics, state: State) -> Self {
        let (pace, daemon) = (Arc::new(Pace::new(&ship)), Arc::new(Daemon::on(&loaded.config.control.socket)));
        let (tried, proved, keeping) = (BTreeMap::new(), Proved::new(), keep::Keeping::default());
        let events = ship.events.clone().map(|address| Events::to(address, ship.credentials.clone()));
        Self {
            loaded,
            ship,
            place,
            pace,
            daemon,
            metrics,
            state,
            scans: Scans::new(),
            tried,
            proved,
            keeping,
            events,
            silent: None,
            told: None,
        }
    }

    /// Follows in the background whether the rig works. The first answer is awaited.
    pub(crate) async fn follow_rig(&self) {
        self.pace.rig_works(self.daemon.works().await);
        let (pace, daemon) = (Arc::clone(&self.pace), Arc::clone(&self.daemon));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(ASK_INTERVAL).await;
                pace.rig_works(daemon.works().await);
            }
        });
    }

    /// Ships for ever.
    pub(crate) async fn run(&mut self) {
        let mut wait = RETRY_ARCHIVE.0;
        loop {
            let shipped = self.metrics.scans.get();
            let left = self.round().await;
            if self.metrics.scans.get() > shipped {
                // A link that breaks again and again does take scans.
                wait = RETRY_ARCHIVE.0;
            }
            if left.archive {
                tokio::time::sleep(wait).await;
                wait = (2 * wait).min(RETRY_ARCHIVE.1);
            } else {
                wait = RETRY_ARCHIVE.0;
                tokio::time::sleep(Duration::from_secs_f64(self.ship.poll_s)).await;
            }
        }
    }

    /// Ships what is new, and removes what is proved to be archived and old.
    pub(crate) async fn round(&mut self) -> Left {
        self.scans = look(&self.loaded.config.rig.data_dir, std::mem::take(&mut self.scans));
        self.measure();
        let mut left = Left::default();
        let ids: Vec<String> = self.scans.keys().cloned().collect();
        for id in ids {
            let summary = self.scans[&id].clone();
            if summary.ended_ns.is_none() || self.state.done(&id, &summary) {
                continue;
            }
            if left.archive || (summary.lacks && !self.waited(&summary)) {
                left.waiting += 1;
                continue;
            }
            if self.tried.get(&id).is_some_and(|(at, tried)| *tried == summary.what() && at.elapsed() < RETRY_SCAN) {
                left.failed += 1;
                continue;
            }
            match self.ship(&id, &summary).await {
                Ok(()) => _ = self.tried.remove(&id),
                Err(failure) => {
                    self.failed(&id, &summary, &failure);
                    match failure.trouble {
                        Concern::Archive => (left.archive, left.waiting) = (true, left.waiting + 1),
                        Concern::Scan => left.failed += 1,
                    }
                }
            }
            self.keep_state();
            self.measure();
        }
        self.state.failed.retain(|id, _| self.scans.contains_key(id));
        if !left.archive {
            self.note_all().await;
            let kept = keep::remove_old(self).await;
            let answered = match kept {
                // Where nothing is to be shipped, nobody else notices that it answers again.
                Ok(()) if self.state.trouble.is_some() || self.metrics.reachable.get() == 0 => self.ask().await,
                kept => kept,
            };
            if let Err(failure) = answered {
                left.archive = true;
                self.trouble(&failure);
            }
        }
        self.keep_state();
        self.measure();
        left
    }

    /// Whether a scan has waited long enough for what it lacks.
    fn waited(&self, summary: &Summary) -> bool {
        summary.ended_ns.is_some_and(|ended| seconds_since(ended) >= 3600.0 * self.ship.pending_h)
    }

    async fn ship(&mut self, id: &str, summary: &Summary) -> Result<(), Failure> {
        let data_dir = self.loaded.config.rig.data_dir.clone();
        let (record, text) = read(&data_dir, id)?;
        let local = Local { data_dir: &data_dir, rig: &self.loaded.config.rig.name, record: &record, text, raw: self.ship.raw };
        let begin = Instant::now();
        let outcome = local.ship(&self.place, &self.pace, &mut self.proved).await?;
        let seconds = begin.elapsed().as_secs_f64();
        self.answers();
        let hash = hash_of(&record);
        let before = self.state.scans.get(id).filter(|known| known.record == hash).cloned();
        let revision = match outcome {
            Outcome::Withdrawn => {
                tracing::warn!(scan = id, place = self.place.name(), "the archive has withdrawn the scan; no more of it is shipped");
                None
            }
            // Its seal alone is new.
            Outcome::Shipped { revision, .. } if before.as_ref().is_some_and(|known| known.revision == Some(revision)) => Some(revision),
            Outcome::Shipped { revision, bytes } => {
                if bytes >= LEAST_FOR_RATE {
                    #[expect(clippy::cast_precision_loss, reason = "a scan has fewer than 2^53 bytes")]
                    let rate = bytes as f64 / seconds.max(1e-3);
                    let before = self.state.bytes_per_s;
                    self.state.bytes_per_s = if before > 0.0 { 0.5 * (before + rate) } else { rate };
                }
                self.metrics.scans.inc();
                tracing::info!(scan = id, revision, bytes, seconds, place = self.place.name(), "shipped");
                self.say(id, Some(revision), None);
                Some(revision)
            }
        };
        // The scan is archived, whatever becomes of its seal.
        let sealed = before.as_ref().map(|known| known.seal.clone()).filter(|_| !summary.seal.is_empty()).unwrap_or_default();
        let noted = revision.is_none() || before.is_some_and(|known| known.noted && known.revision == revision);
        let known = Known { revision, record: hash, seal: sealed, time: iso(now_ns()), noted };
        self.state.scans.insert(id.to_owned(), known);
        if revision.is_some() && !summary.seal.is_empty() && self.ship_seal(id, &summary.seal).await? {
            self.state.scans.entry(id.to_owned()).and_modify(|known| known.seal.clone_from(&summary.seal));
        }
        self.state.failed.remove(id);
        Ok(())
    }

    /// Ships the seal of a scan with this stamp. Gives whether the archive has it.
    async fn ship_seal(&mut self, id: &str, stamp: &str) -> Result<bool, Failure> {
        let rig = &self.loaded.config.rig;
        let seal = match CarriedSeal::read(id, &rig.data_dir) {
            Ok(Some(seal)) => seal,
            Err(error) if hyclus::seal::stamp(id, &rig.data_dir) == stamp => return Err(Failure::scan(error.to_string())),
            // It was removed, or is just written anew.
            Ok(None) | Err(_) => return Ok(false),
        };
        if let Some((number, bytes)) = crate::seal::ship(&self.place, &self.pace, &Layout::new(&rig.name, id), &seal).await? {
            tracing::info!(scan = id, number, bytes, place = self.place.name(), "shipped the seal");
            self.say(id, None, Some(number));
        }
        Ok(true)
    }

    /// Tells those that wait for events, if there is a server of them.
    fn say(&self, scan: &str, revision: Option<u32>, seal: Option<u32>) {
        if let Some(events) = &self.events {
            let (rig, archive) = (self.loaded.config.rig.name.clone(), self.place.name().to_owned());
            events.say(Event { rig, scan: scan.to_owned(), revision, seal, archive });
        }
    }

    /// Says what waits to be said, and no more after it.
    pub(crate) async fn end_events(&mut self) {
        if let Some(events) = self.events.take() {
            events.end().await;
        }
    }

    /// Asks the archive whether it answers.
    async fn ask(&mut self) -> Result<(), Failure> {
        self.place.ask(&self.loaded.config.rig.name).await?;
        self.answers();
        Ok(())
    }

    /// Notes that the archive answers.
    fn answers(&mut self) {
        (self.state.trouble, self.told) = (None, None);
        self.metrics.reachable.set(1);
    }

    fn failed(&mut self, id: &str, summary: &Summary, failure: &Failure) {
        match failure.trouble {
            Concern::Archive => self.trouble(failure),
            Concern::Scan => {
                let told = self.tried.contains_key(id) && self.state.failed.get(id).is_some_and(|before| before.reason == failure.message);
                if !told {
                    tracing::error!(scan = id, "not shipped: {failure}");
                }
                let trouble = Trouble::of(failure, self.state.failed.get(id));
                self.state.failed.insert(id.to_owned(), trouble);
                self.tried.insert(id.to_owned(), (Instant::now(), summary.what()));
            }
        }
    }

    fn trouble(&mut self, failure: &Failure) {
        if self.told.as_ref() != Some(&failure.message) {
            tracing::error!("nothing is shipped: {failure}");
            self.told = Some(failure.message.clone());
        }
        self.metrics.reachable.set(0);
        self.state.trouble = Some(Trouble::of(failure, self.state.trouble.as_ref()));
    }

    /// Has the daemon note which scans are archived.
    async fn note_all(&mut self) {
        let unnoted = self.state.scans.iter().filter(|(_, known)| !known.noted);
        let unnoted: Vec<(String, u32)> = unnoted.filter_map(|(id, known)| Some((id.clone(), known.revision?))).collect();
        for (id, revision) in unnoted {
            let Some(summary) = self.scans.get(&id) else {
                // The scan was removed here.
                self.state.scans.entry(id).and_modify(|known| known.noted = true);
                continue;
            };
            match self.daemon.note(&id, self.place.name(), revision, summary.files).await {
                Ok(()) => {
                    self.state.scans.entry(id).and_modify(|known| known.noted = true);
                    self.silent = None;
                }
                Err(NotNoted::Later(_)) => return,
                Err(NotNoted::Refused(reason)) => {
                    if self.silent.as_ref() != Some(&reason) {
                        tracing::warn!("`hyclus scans` does not show yet what is archived: {reason}");
                        self.silent = Some(reason);
                    }
                    return;
                }
            }
        }
    }

    pub(crate) fn keep_state(&self) {
        if let Err(error) = self.state.write(&self.ship.state_dir) {
            tracing::error!("{error}");
        }
    }

    /// Sets the metrics of the backlog, and says when it outgrows the disk.
    fn measure(&mut self) {
        let backlog = Backlog::of(&self.scans, &self.state, &self.loaded.config.rig.data_dir);
        let metrics = &self.metrics;
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        metrics.backlog_scans.set(whole(backlog.scans));
        metrics.backlog_bytes.set(whole(backlog.bytes));
        metrics.failed_scans.set(whole(self.state.failed.len() as u64));
        metrics.waiting.set(i64::from(self.pace.waits()));
        metrics.bytes_per_s.set(self.state.bytes_per_s);
        metrics.backlog_seconds.set(backlog.seconds);
        metrics.disk_seconds.set(backlog.disk_seconds);
        metrics.bytes.inc_by(self.pace.sent().saturating_sub(metrics.bytes.get()));
        if backlog.behind && metrics.behind.get() == 0 {
            tracing::error!("{}", backlog.words());
        }
        metrics.behind.set(i64::from(backlog.behind));
    }
}

/// How much is still to be shipped, and how long the disk lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backlog {
    /// Ended scans that the archive lacks.
    pub(crate) scans: u64,
    /// Their size, bytes.
    pub(crate) bytes: u64,
    /// Time that they need, s. 0 where no rate is known.
    pub(crate) seconds: f64,
    /// Time until the disk is full at the rate of the last day, s. Infinite where nothing was scanned in it.
    pub(crate) disk_seconds: f64,
    /// Whether the disk fills up sooner than the backlog is shipped.
    pub(crate) behind: bool,
}

impl Backlog {
    #[expect(clippy::cast_precision_loss, reason = "disks have fewer than 2^53 bytes")]
    pub(crate) fn of(scans: &Scans, state: &State, data_dir: &Path) -> Self {
        let open = |(id, summary): &(&String, &Summary)| summary.ended_ns.is_some() && !state.done(id, summary);
        let (count, bytes) = scans.iter().filter(open).fold((0, 0), |(count, sum), (id, summary)| {
            // A seal alone is next to nothing.
            (count + 1, if state.has(id, &summary.hash) { sum } else { sum + summary.bytes })
        });
        let today = |summary: &&Summary| summary.ended_ns.is_some_and(|ended| (0.0..DAY_S).contains(&seconds_since(ended)));
        let filling = scans.values().filter(today).map(|summary| summary.bytes).sum::<u64>() as f64 / DAY_S;
        let free = free_bytes(data_dir) as f64;
        let disk_seconds = if filling > 0.0 { free / filling } else { f64::INFINITY };
        let seconds = if state.bytes_per_s > 0.0 { bytes as f64 / state.bytes_per_s } else { 0.0 };
        // An archive that does not answer ships nothing: then a day's notice is given.
        let behind = count > 0 && (seconds > disk_seconds || (state.trouble.is_some() && disk_seconds < DAY_S));
        Self { scans: count, bytes, seconds, disk_seconds, behind }
    }

    /// The alarm in words.
    pub(crate) fn words(&self) -> String {
        format!(
            "the disk is full in {:.1} h, and {} scan(s) still have to be shipped, which takes {:.1} h: make room, or ship faster",
            self.disk_seconds / 3600.0,
            self.scans,
            self.seconds / 3600.0
        )
    }
}

/// Time since a time in ns since 1970-01-01T00:00:00Z, s.
#[expect(clippy::cast_precision_loss, reason = "ages are far below 2^53 ns times a million")]
pub(crate) fn seconds_since(ns: i64) -> f64 {
    now_ns().saturating_sub(ns) as f64 / 1e9
}

/// Free space of a disk, bytes. 0 where it is unknown.
pub(crate) fn free_bytes(folder: &Path) -> u64 {
    nix::sys::statvfs::statvfs(folder).map_or(0, |disk| disk.blocks_available() * disk.fragment_size())
}

/// A scan's record and the bytes of its file.
///
/// # Errors
/// It cannot be read, or is of a newer version.
pub(crate) fn read(data_dir: &Path, id: &str) -> Result<(ScanRecord, Vec<u8>), Failure> {
    let path = data_dir.join("scans").join(id).join("scan.json");
    let at = |problem: &dyn std::fmt::Display| Failure::scan(format!("{}: {problem}", path.display()));
    let text = contract::read_regular_text(&path, ScanRecord::MOST_BYTES).map_err(|error| at(&error))?;
    let record = ScanRecord::parse(&text, &path).map_err(|error| at(&error))?;
    if record.id != id {
        return Err(at(&format!("it is the record of {}", record.id)));
    }
    Ok((record, text.into_bytes()))
}

/// The scans of a data root. Records that did not change since `before` are not read again.
pub(crate) fn look(data_dir: &Path, mut before: Scans) -> Scans {
    let Ok(folders) = std::fs::read_dir(data_dir.join("scans")) else { return Scans::new() };
    let ids = folders.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|id| is_scan_id(id));
    ids.filter_map(|id| {
        let about = std::fs::symlink_metadata(data_dir.join("scans").join(&id).join("scan.json")).ok()?;
        let stamp = (about.modified().ok()?, about.len());
        let mut summary = match before.remove(&id) {
            Some(known) if known.stamp == stamp => known,
            _ => summary(&data_root::record(data_dir, &id)?, stamp),
        };
        summary.seal = hyclus::seal::stamp(&id, data_dir);
        Some((id, summary))
    })
    .collect()
}

fn summary(record: &ScanRecord, stamp: (SystemTime, u64)) -> Summary {
    let raw = format!("scans/{}/raw/", record.id);
    let ended = record.ended.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Summary {
        stamp,
        // A time that cannot be read is that of a scan that ended just now.
        ended_ns: record.ended.is_some().then(|| ended.map_or_else(now_ns, |time| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX))),
        lacks: record.lacks(),
        bytes: record.files.iter().map(|file| file.bytes).sum(),
        hash: hash_of(record),
        seal: String::new(),
        files: record.archived.as_ref().map_or(FilesHere::All, |archived| archived.files),
        has_raw: record.files.iter().any(|file| file.path.starts_with(&raw)),
    }
}
