//! Takes note of scans that lie in an archive, and removes what it holds.

use super::{ArchivedRequest, Controller, Peer, Refusal};
use crate::data_root;
use crate::scan::{Archived, EventKind, ScanRecord, iso, now_ns};
use std::sync::Arc;

impl Controller {
    /// Notes that a scan lies in an archive, and removes its files here that are not to stay.
    pub(super) async fn note_archived(self: &Arc<Self>, id: &str, request: ArchivedRequest, peer: Peer) -> Result<ScanRecord, Refusal> {
        self.idle("noting that a scan is archived")?;
        // No scan begins meanwhile, and no second note is written beside this one.
        let _starting = self.run.starting().await;
        self.idle("noting that a scan is archived")?;
        let (rig, name) = (Arc::clone(self), id.to_owned());
        let noted = tokio::task::spawn_blocking(move || rig.write_archived(&name, request)).await;
        let (record, freed) = noted.map_err(|_| Refusal::Disk { reason: "the thread that writes the record broke down".into() })??;
        if let Some(Archived { place, files, .. }) = &record.archived {
            tracing::info!(scan = id, place, ?files, freed, by = %peer.who(), "the scan lies in an archive");
            self.reporting.emit(EventKind::ScanArchived { scan: id.to_owned(), place: place.clone(), files: *files });
        }
        Ok(record)
    }

    /// Writes the note and removes the files. Gives the record and the bytes that this freed.
    fn write_archived(&self, id: &str, request: ArchivedRequest) -> Result<(ScanRecord, u64), Refusal> {
        let mut record = data_root::record(self.data_dir(), id).ok_or_else(|| Refusal::Unknown { what: "scan", id: id.to_owned() })?;
        let not_ready = |reason: String| Err(Refusal::NotReady { reason });
        if record.ended.is_none() {
            return not_ready(format!("{id} has not ended"));
        }
        if record.lacks() {
            return not_ready(format!("embeddings or minerals of {id} are still to be made, from files that must stay until then"));
        }
        let ArchivedRequest { place, revision, files } = request;
        let archived = Archived { place, revision, time: iso(now_ns()), files };
        let noted = data_root::note_archived(&mut record, self.data_dir(), archived);
        noted.map(|freed| (record, freed)).map_err(|error| Refusal::Disk { reason: error.to_string() })
    }
}
