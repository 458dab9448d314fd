//! The worklist that the rig holds, and the trays that are asked for by it.

use super::{Controller, Peer, Refusal, ScanRequest, WorklistRequest};
use crate::scan::{Fault, Tray, iso, now_ns};
use crate::worklist::{self, Worklist, WorklistStatus};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

impl Controller {
    /// How far the worklist is.
    pub(super) fn worklist_status(&self) -> Result<WorklistStatus, Refusal> {
        Ok(self.held()?.status(&self.records()))
    }

    /// Holds a worklist. The one before it stays where this one is refused.
    pub(super) fn hold_worklist(&self, request: &WorklistRequest, peer: &Peer) -> Result<WorklistStatus, Refusal> {
        let invalid = |faults| Refusal::Invalid { faults };
        let maps = request.maps().map_err(invalid)?;
        let worklist = Worklist::new(maps.clone(), &peer.who(), &iso(now_ns())).map_err(invalid)?;
        let of =
            |map: &Value, fault: Fault| Fault::new(format!("{}: {}", map["tray"].as_str().unwrap_or_default(), fault.path), fault.problem);
        let unfit: Vec<Fault> =
            maps.iter().flat_map(|map| self.tray(map).err().into_iter().flatten().map(move |fault| of(map, fault))).collect();
        if !unfit.is_empty() {
            return Err(invalid(unfit));
        }
        worklist::write(self.data_dir(), &worklist).map_err(|error| self.refused_by_disk(&error))?;
        tracing::info!(trays = maps.len(), by = %peer.who(), "a worklist is held");
        Ok(worklist.status(&self.records()))
    }

    /// Holds no worklist any longer, even where it cannot be read. Gives how far it was.
    pub(super) fn drop_worklist(&self, peer: &Peer) -> Result<WorklistStatus, Refusal> {
        let status = self.worklist_status();
        if !worklist::remove(self.data_dir()).map_err(|error| self.refused_by_disk(&error))? {
            return Err(no_worklist());
        }
        tracing::info!(by = %peer.who(), "no worklist is held any longer");
        Ok(status.unwrap_or_default())
    }

    /// The tray map that a request asks for, and the list that it comes from.
    pub(super) fn asked(&self, request: &ScanRequest) -> Result<Value, Refusal> {
        let invalid = |path: &str, problem: &str| Refusal::Invalid { faults: vec![Fault::new(path, problem)] };
        match (&request.tray, request.next, &request.listed) {
            (Some(map), false, None) => Ok(map.clone()),
            (None, true, None) => {
                let held = self.held()?;
                let next = held.status(&self.records()).next;
                let done = "every sample of the worklist was scanned; `listed` and `again` scan a tray once more";
                next.and_then(|name| held.tray(&name).cloned()).ok_or_else(|| invalid("next", done))
            }
            (None, false, Some(name)) => {
                let unknown = || Refusal::Unknown { what: "tray of the worklist", id: name.clone() };
                self.held()?.tray(name).cloned().ok_or_else(unknown)
            }
            _ => Err(invalid("", "give one of `tray` (a tray map), `next` (the next tray of the worklist) and `listed` (the name of one)")),
        }
    }

    /// A map whose barcodes are replaced by what the worklist says of them.
    pub(super) fn resolved<'a>(&self, map: &'a Value) -> Result<Cow<'a, Value>, Vec<Fault>> {
        if !worklist::needs_worklist(map) {
            return Ok(Cow::Borrowed(map));
        }
        let held = worklist::read(self.data_dir()).map_err(|error| vec![Fault::new("", error.to_string())])?;
        let Some(held) = held else { return Err(worklist::without_worklist(map)) };
        let mut map = map.clone();
        held.resolve(&mut map)?;
        Ok(Cow::Owned(map))
    }

    /// Refuses a tray with samples of the worklist that were scanned already.
    pub(super) async fn expect_unscanned(self: &Arc<Self>, tray: &Tray) -> Result<(), Refusal> {
        let (rig, tray) = (Arc::clone(self), tray.clone());
        let found = tokio::task::spawn_blocking(move || {
            // A list that cannot be read forbids nothing: `status` of it says so.
            let held = worklist::read(rig.data_dir()).ok().flatten()?;
            held.scanned_already(&tray, &rig.records())
        });
        match found.await.ok().flatten() {
            Some(problem) => Err(Refusal::Invalid { faults: vec![Fault::new("again", problem)] }),
            None => Ok(()),
        }
    }

    fn held(&self) -> Result<Worklist, Refusal> {
        let held = worklist::read(self.data_dir()).map_err(|error| Refusal::Disk { reason: error.to_string() })?;
        held.ok_or_else(no_worklist)
    }

    fn refused_by_disk(&self, error: &std::io::Error) -> Refusal {
        let path = self.data_dir().join(worklist::FILE);
        Refusal::Disk { reason: format!("{}: {error}; the worklist before it stays", path.display()) }
    }
}

fn no_worklist() -> Refusal {
    Refusal::Unknown { what: "worklist here; put one with `hyclus worklist put LIST`, which is kept as", id: worklist::FILE.into() }
}
