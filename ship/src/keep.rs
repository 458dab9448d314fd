//! Removes local files of scans that are old and proved to be archived. The daemon removes them: it alone writes in the data root.

use crate::daemon::NotNoted;
use crate::failure::{Failure, Trouble};
use crate::scan::Local;
use crate::watch::{Summary, Watch, free_bytes, read, seconds_since};
use hyclus::config::ShipConfig;
use hyclus::scan::FilesHere;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Wait before the daemon is asked again after it refused, or a scan is read back again that could not be proved.
const RETRY: Duration = Duration::from_secs(600);
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const DAY_S: f64 = 86_400.0;

/// What is remembered between two rounds.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// The scans whose objects were read back, with the hash of their record and what they were read for.
    proved: BTreeMap<String, (String, FilesHere)>,
    /// When a scan could not be proved.
    unproved: BTreeMap<String, Instant>,
    /// When the daemon refused, and why.
    refused: Option<(Instant, String)>,
}

/// The files that a policy lets stay. `None` where it changes nothing. `short` says that the disk has too little room.
fn wanted(config: &ShipConfig, summary: &Summary, short: bool) -> Option<FilesHere> {
    let age_days = seconds_since(summary.ended_ns?) / DAY_S;
    let old = |days: Option<f64>| days.is_some_and(|days| age_days >= days);
    let wanted = if old(config.keep_days) || short {
        FilesHere::Record
    } else if old(config.keep_raw_days) && summary.has_raw {
        FilesHere::WithoutRaw
    } else {
        FilesHere::All
    };
    let less = matches!(
        (summary.files, wanted),
        (FilesHere::All, FilesHere::WithoutRaw | FilesHere::Record) | (FilesHere::WithoutRaw, FilesHere::Record)
    );
    less.then_some(wanted)
}

/// Removes what the policy lets go, the oldest first. What cannot be proved stays, and is said.
///
/// # Errors
/// The archive fails.
pub(crate) async fn remove_old(watch: &mut Watch) -> Result<(), Failure> {
    let ship = &watch.ship;
    if ship.keep_days.is_none() && ship.keep_raw_days.is_none() && ship.keep_free_gib.is_none() {
        return Ok(());
    }
    if watch.keeping.refused.as_ref().is_some_and(|(at, _)| at.elapsed() < RETRY) {
        return Ok(());
    }
    let data_dir = watch.loaded.config.rig.data_dir.clone();
    let ids: Vec<String> = watch.scans.keys().cloned().collect();
    for id in ids {
        let summary = watch.scans[&id].clone();
        let known = watch.state.scans.get(&id).filter(|known| known.record == summary.hash && known.noted);
        let Some(revision) = known.and_then(|known| known.revision) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "disks have fewer than 2^53 bytes")]
        let short = watch.ship.keep_free_gib.is_some_and(|gib| (free_bytes(&data_dir) as f64) < gib * GIB);
        let Some(files) = wanted(&watch.ship, &summary, short) else { continue };
        if watch.keeping.unproved.get(&id).is_some_and(|at| at.elapsed() < RETRY) {
            continue;
        }
        // One that was removed or changed meanwhile is looked at anew in the next round.
        let Ok((record, text)) = read(&data_dir, &id) else { continue };
        let proof = (summary.hash.clone(), files);
        if watch.keeping.proved.get(&id) != Some(&proof) {
            let local = Local { data_dir: &data_dir, rig: &watch.loaded.config.rig.name, record: &record, text, raw: watch.ship.raw };
            match local.prove(&watch.place, &watch.pace, revision, |path| !files.keep(path)).await {
                Ok(()) => {
                    watch.keeping.proved.insert(id.clone(), proof);
                    watch.keeping.unproved.remove(&id);
                    watch.state.failed.remove(&id);
                }
                Err(failure) if failure.trouble == Trouble::Archive => return Err(failure),
                Err(failure) => {
                    if watch.state.failed.get(&id).is_none_or(|before| before.reason != failure.message) {
                        tracing::error!(scan = id, "{failure}");
                    }
                    watch.keeping.unproved.insert(id.clone(), Instant::now());
                    let trouble = crate::state::Trouble::of(&failure, watch.state.failed.get(&id));
                    watch.state.failed.insert(id.clone(), trouble);
                    continue;
                }
            }
        }
        match watch.daemon.note(&id, watch.place.name(), revision, files).await {
            Ok(()) => {
                watch.metrics.removed_scans.inc();
                watch.keeping.proved.remove(&id);
                tracing::info!(scan = id, ?files, place = watch.place.name(), "local files were removed; the archive was read back before");
            }
            Err(NotNoted::Later(_)) => return Ok(()),
            Err(NotNoted::Refused(reason)) => {
                if watch.keeping.refused.as_ref().is_none_or(|(_, before)| *before != reason) {
                    tracing::error!("no local files are removed: {reason}");
                }
                watch.keeping.refused = Some((Instant::now(), reason));
                return Ok(());
            }
        }
    }
    Ok(())
}
