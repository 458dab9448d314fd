//! Makes the results of a scan again from its recording, before the scan closes.
//!
//! The references of both ends are known only after the last line. Where they differ by more than a limit, the samples that were made
//! while the belt ran are off. The recording holds both, and the same code that processes any recording interpolates between them.

use super::process::{Capture, Process};
use super::recovery::{RecoveryError, clear};
use crate::config::Loaded;
use crate::disk::Hashes;
use crate::publish;
use crate::scan::ScanRecord;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Makes samples, picture and embeddings of a scan again. `begun` is its record as it was before its last line, `live` the one with the
/// outcome of its data path. The result has the line counts and the outcome of `live`, and what was made again. The call blocks.
///
/// The record on the disk stays open. A scan that is cut off here is recovered from the same recording.
///
/// # Errors
/// The recording cannot be processed. Samples and embeddings of the scan are then gone, and the recording is whole.
pub fn make_again(
    loaded: &Loaded,
    begun: ScanRecord,
    live: &ScanRecord,
    data_dir: &Path,
) -> Result<(ScanRecord, Arc<Hashes>), RecoveryError> {
    let folder = data_dir.join("scans").join(&begun.id);
    let of = |name: &str| Capture { camera: name.to_owned(), path: folder.join("raw").join(name) };
    let captures: Vec<Capture> = loaded.config.camera.iter().map(|camera| of(&camera.name)).collect();
    clear(&folder)?;
    publish::withdraw_all(data_dir, &begun.id)?;
    let process = Process::again(loaded, begun, &captures, data_dir.to_owned())?;
    while !process.wait(Duration::from_millis(200)) {}
    let (mut again, hashes) = process.conclude()?;
    // A recording does not tell where its lines were lost, nor when the rig was stopped.
    again.cameras.clone_from(&live.cameras);
    (again.complete, again.reason, again.ended) = (live.complete, live.reason.clone(), live.ended.clone());
    let mut warnings = live.warnings.clone();
    warnings.extend(again.warnings.drain(..).filter(|warning| !live.warnings.contains(warning)));
    again.warnings = warnings;
    // Shares may have changed by a little.
    again.warn_of_all_novel();
    Ok((again, hashes))
}
