//! Where the files of a scan lie in the archive.
//!
//! `objects/rig=RIG/scan=ID/FILE` for the first revision of a scan, `objects/rig=RIG/scan=ID/revision=N/FILE` for what a later one has anew.
//! A revision is whole when its `scan.json` is there. A file of revision N lies in the highest revision up to N that has it.

use object_store::path::Path;
use std::collections::BTreeMap;

/// Name of the record.
pub(crate) const RECORD: &str = "scan.json";
/// Name of the object that says that a scan was withdrawn.
pub(crate) const WITHDRAWN: &str = "withdrawn.json";

/// The place of a scan in an archive.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The folder of the scan.
    root: Path,
    scan: String,
}

impl Layout {
    /// The place of a scan of a rig.
    pub fn new(rig: &str, scan: &str) -> Self {
        let root = ["objects".to_owned(), format!("rig={rig}"), format!("scan={scan}")].into_iter().collect();
        Self { root, scan: scan.to_owned() }
    }

    /// The folder of the scan.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name in the archive of a file, from its path relative to the data root. `None` for a path that is no file of the scan.
    pub fn name(&self, path: &str) -> Option<String> {
        let safe = |rest: &str| rest.split('/').all(|part| !part.is_empty() && !matches!(part, "." | "..")).then(|| rest.to_owned());
        if let Some(rest) = path.strip_prefix(&format!("scans/{}/", self.scan)) {
            return safe(rest);
        }
        let (set, rest) = path.split_once('/')?;
        let part = rest.strip_prefix(&format!("scan={}/", self.scan))?;
        let data_set = set == "embeddings" || set == "minerals" || set.starts_with("embeddings-");
        (data_set && !part.contains('/')).then(|| safe(&format!("{set}/{part}"))).flatten()
    }

    /// The object of a name in a revision.
    pub fn object(&self, revision: u32, name: &str) -> Path {
        let mut path = self.root.clone();
        if revision > 1 {
            path = path.join(format!("revision={revision}"));
        }
        name.split('/').fold(path, |path, part| path.join(part))
    }

    /// Revision and name of an object below the folder of the scan.
    fn read(&self, object: &Path) -> Option<(u32, String)> {
        let rest = object.as_ref().strip_prefix(self.root.as_ref())?.strip_prefix('/')?;
        match rest.strip_prefix("revision=").and_then(|rest| rest.split_once('/')) {
            Some((number, name)) => Some((number.parse().ok().filter(|number| *number > 1)?, name.to_owned())),
            None => Some((1, rest.to_owned())),
        }
    }
}

/// The objects of a scan in an archive.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Size of each object, by revision and name.
    pub(crate) objects: BTreeMap<(u32, String), u64>,
}

impl Held {
    /// Notes an object of `bytes`.
    pub(crate) fn add(&mut self, layout: &Layout, object: &Path, bytes: u64) {
        if let Some(key) = layout.read(object) {
            self.objects.insert(key, bytes);
        }
    }

    /// Whether the archive has withdrawn the scan.
    pub(crate) fn withdrawn(&self) -> bool {
        self.objects.contains_key(&(1, WITHDRAWN.to_owned()))
    }

    /// The newest whole revision.
    pub(crate) fn whole(&self) -> Option<u32> {
        self.objects.keys().filter(|(_, name)| name == RECORD).map(|(revision, _)| *revision).max()
    }

    /// The highest revision that has any object, whole or not. 0 where there is none.
    pub(crate) fn highest(&self) -> u32 {
        self.objects.keys().map(|(revision, _)| *revision).max().unwrap_or(0)
    }

    /// The revision that holds a file of revision `of`, and its size.
    pub(crate) fn holder(&self, of: u32, name: &str) -> Option<(u32, u64)> {
        let mut with = self.objects.iter().filter(|((revision, found), _)| *revision <= of && found == name);
        with.next_back().map(|((revision, _), bytes)| (*revision, *bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_their_places() {
        let layout = Layout::new("bench", "S");
        for (path, name) in [
            ("scans/S/samples/a.h5", Some("samples/a.h5")),
            ("scans/S/raw/vnir/capture/S.raw", Some("raw/vnir/capture/S.raw")),
            ("embeddings/scan=S/part-00000.parquet", Some("embeddings/part-00000.parquet")),
            ("embeddings-trial/scan=S/part-00000.parquet", Some("embeddings-trial/part-00000.parquet")),
            ("minerals/scan=S/part-00000.parquet", Some("minerals/part-00000.parquet")),
            ("scans/T/samples/a.h5", None),
            ("scans/S/../T/a.h5", None),
            ("embeddings/scan=S/../x", None),
            ("references/vnir/dark-1.raw", None),
            ("/etc/passwd", None),
        ] {
            assert_eq!(layout.name(path).as_deref(), name, "{path}");
        }
        assert_eq!(layout.object(1, "samples/a.h5").as_ref(), "objects/rig=bench/scan=S/samples/a.h5");
        assert_eq!(layout.object(3, "scan.json").as_ref(), "objects/rig=bench/scan=S/revision=3/scan.json");
    }

    #[test]
    fn revisions_are_read_from_a_listing() {
        let layout = Layout::new("bench", "S");
        let mut held = Held::default();
        let of = |name: &str| Path::parse(format!("objects/rig=bench/scan=S/{name}")).unwrap();
        assert_eq!((held.whole(), held.highest()), (None, 0));
        for (name, bytes) in [("samples/a.h5", 1), ("samples/b.h5", 2), ("scan.json", 3), ("revision=2/samples/a.h5", 4)] {
            held.add(&layout, &of(name), bytes);
        }
        assert_eq!((held.whole(), held.highest()), (Some(1), 2));
        held.add(&layout, &of("revision=2/scan.json"), 5);
        assert_eq!(held.whole(), Some(2));
        assert_eq!(held.holder(1, "samples/a.h5"), Some((1, 1)));
        assert_eq!(held.holder(2, "samples/a.h5"), Some((2, 4)));
        assert_eq!(held.holder(2, "samples/b.h5"), Some((1, 2)));
        assert_eq!(held.holder(2, "samples/c.h5"), None);
        assert!(!held.withdrawn());
        held.add(&layout, &of("withdrawn.json"), 1);
        assert!(held.withdrawn());
    }
}
