//! One scan into the archive: what is new of it, then its record.

use crate::failure::Failure;
use crate::layout::{Held, Layout, RECORD};
use crate::object::{Put, compare, put, put_bytes};
use crate::pace::Pace;
use crate::place::Place;
use hyclus::scan::{Digest, FileRecord, ScanRecord};
use object_store::path::Path as ObjectPath;
use std::collections::BTreeMap;
use std::path::Path;

/// Times that a scan is tried anew because another shipper was faster.
const MOST_ROUNDS: usize = 5;

/// What became of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The archive has this revision, which is the scan as it is here.
    Shipped {
        /// The revision.
        revision: u32,
        /// Bytes that were put.
        bytes: u64,
    },
    /// The archive has withdrawn the scan, and takes no more of it.
    Withdrawn,
}

/// Objects of scans that are not whole yet, which this process put or compared, with the hash of each.
pub(crate) type Proved = BTreeMap<ObjectPath, Digest>;

/// A scan as it lies here.
pub(crate) struct Local<'a> {
    /// The data root.
    pub(crate) data_dir: &'a Path,
    /// Name of the rig.
    pub(crate) rig: &'a str,
    /// The record.
    pub(crate) record: &'a ScanRecord,
    /// The bytes of `scan.json`.
    pub(crate) text: Vec<u8>,
    /// Whether raw recordings are shipped.
    pub(crate) raw: bool,
}

/// The record without what is said of archives: that alone makes no new revision.
pub(crate) fn compared(record: &ScanRecord) -> ScanRecord {
    ScanRecord { archived: None, ..record.clone() }
}

impl Local<'_> {
    /// The files that the archive should hold.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FileRecord> {
        let raw = format!("scans/{}/raw/", self.record.id);
        self.record.files.iter().filter(move |file| self.raw || !file.path.starts_with(&raw))
    }

    /// Ships what the archive lacks. `proved` has what tries before this one put, and is emptied of this scan at its end.
    ///
    /// # Errors
    /// A file was altered or cannot be read, the archive holds another scan of this name, or fails.
    pub(crate) async fn ship(&self, place: &Place, pace: &Pace, proved: &mut Proved) -> Result<Outcome, Failure> {
        let outcome = self.try_ship(place, pace, proved).await?;
        let layout = Layout::new(self.rig, &self.record.id);
        proved.retain(|object, _| !object.prefix_matches(layout.root()));
        Ok(outcome)
    }

    async fn try_ship(&self, place: &Place, pace: &Pace, proved: &mut Proved) -> Result<Outcome, Failure> {
        let layout = Layout::new(self.rig, &self.record.id);
        let mut bytes = 0;
        for _ in 0..MOST_ROUNDS {
            let held = place.list(&layout).await?;
            if held.withdrawn() {
                return Ok(Outcome::Withdrawn);
            }
            let base = match held.whole() {
                Some(revision) => Some((revision, read_record(place, &layout, revision).await?.0)),
                None => None,
            };
            if let Some((revision, there)) = &base {
                if compared(there) == compared(self.record) {
                    return Ok(Outcome::Shipped { revision: *revision, bytes });
                }
                if there.started != self.record.started {
                    let (id, name) = (&self.record.id, place.name());
                    let problem = format!("{name} has another scan {id} of a rig {}; give each rig a name of its own (rig.name)", self.rig);
                    return Err(Failure::scan(problem));
                }
            }
            if let Some(revision) = self.ship_revision(place, pace, &layout, &held, base.as_ref(), proved, &mut bytes).await? {
                return Ok(Outcome::Shipped { revision, bytes });
            }
        }
        Err(Failure::scan(format!("{}: another shipper is always faster; is one running for the same rig elsewhere?", self.record.id)))
    }

    /// Ships the files that `base` lacks, then the record. `None` where another shipper was faster.
    #[expect(clippy::too_many_arguments, reason = "a loop that has a name")]
    async fn ship_revision(
        &self,
        place: &Place,
        pace: &Pace,
        layout: &Layout,
        held: &Held,
        base: Option<&(u32, ScanRecord)>,
        proved: &mut Proved,
        bytes: &mut u64,
    ) -> Result<Option<u32>, Failure> {
        let whole = base.map_or(0, |(revision, _)| *revision);
        // What a try before this one left behind belongs to no revision yet.
        let mut revision = held.highest().max(whole + 1);
        'revision: loop {
            for file in self.files() {
                let name =
                    layout.name(&file.path).ok_or_else(|| Failure::scan(format!("{} is no file of {}", file.path, self.record.id)))?;
                let known = |(_, there): &&(u32, ScanRecord)| there.files.iter().any(|old| old.path == file.path && old.hash == file.hash);
                // Readers take the highest revision that has it, so a try before this one must not have left another there.
                let held_by = held.holder(revision, &name);
                if base.as_ref().is_some_and(known) && held_by.is_some_and(|(at, found)| at <= whole && found == file.bytes) {
                    continue;
                }
                let object = layout.object(revision, &name);
                if held_by == Some((revision, file.bytes)) && proved.get(&object) == Some(&file.hash) {
                    continue;
                }
                match put(place, pace, &object, &self.data_dir.join(&file.path), file.bytes, &file.hash).await? {
                    done @ (Put::New | Put::Same) => {
                        *bytes += if done == Put::New { file.bytes } else { 0 };
                        proved.insert(object, file.hash.clone());
                    }
                    // No record names that object, so it stays out of the way.
                    Put::Other => {
                        revision += 1;
                        continue 'revision;
                    }
                }
            }
            let text = self.text.clone();
            return match put_bytes(place, pace, &layout.object(revision, RECORD), text).await? {
                Put::New | Put::Same => Ok(Some(revision)),
                Put::Other => Ok(None),
            };
        }
    }

    /// Reads back every object of a revision that has a file which `wanted` picks.
    ///
    /// # Errors
    /// An object is missing or has other bytes, or the archive fails.
    pub(crate) async fn prove(&self, place: &Place, pace: &Pace, revision: u32, wanted: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let layout = Layout::new(self.rig, &self.record.id);
        let held = place.list(&layout).await?;
        let (there, _) = read_record(place, &layout, revision).await?;
        if compared(&there) != compared(self.record) {
            return Err(Failure::scan(format!("{} was changed since it was shipped", self.record.id)));
        }
        for file in self.record.files.iter().filter(|file| wanted(&file.path)) {
            let object = layout.name(&file.path).and_then(|name| Some(layout.object(held.holder(revision, &name)?.0, &name)));
            let lacks = || Failure::scan(format!("{} lacks {}; its local copy stays", place.name(), file.path));
            match compare(place, pace, &object.ok_or_else(lacks)?, file.bytes, &file.hash).await? {
                Put::Same => {}
                _ => return Err(Failure::scan(format!("{} has other bytes of {}; its local copy stays", place.name(), file.path))),
            }
        }
        Ok(())
    }
}

/// The record of a whole revision, and its text.
///
/// # Errors
/// The archive fails or has withdrawn it meanwhile, or it is no record.
pub(crate) async fn read_record(place: &Place, layout: &Layout, revision: u32) -> Result<(ScanRecord, String), Failure> {
    let object = layout.object(revision, RECORD);
    let at = |problem: &dyn std::fmt::Display| Failure::scan(format!("{}: {object}: {problem}", place.name()));
    let bytes = place.read(&object).await?.ok_or_else(|| at(&"is gone"))?;
    let text = String::from_utf8(bytes).map_err(|error| at(&error))?;
    let record = ScanRecord::parse(&text, Path::new(object.as_ref())).map_err(|error| at(&error))?;
    Ok((record, text))
}
