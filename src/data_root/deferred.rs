//! Counts the embeddings of a scan that are deferred.

use crate::publish;
use crate::scan::ScanRecord;
use std::collections::BTreeMap;
use std::path::Path;

impl ScanRecord {
    /// Counts the missing embeddings by sample: valid spectra less published rows.
    ///
    /// Rows of a data set that cannot be read count as missing. Without missing rows, the scan is no longer pending. Rows that were not
    /// counted are: a part may be there although the disk failed behind it.
    pub(super) fn count_pending(&mut self, data_dir: &Path) {
        let Some(pending) = &mut self.pending else { return };
        let mut missing: BTreeMap<String, u64> = BTreeMap::new();
        for sample in &self.samples {
            *missing.entry(sample.sample.clone()).or_default() += sample.valid;
        }
        let mut published = missing.clone();
        published.values_mut().for_each(|rows| *rows = 0);
        let read = publish::published(data_dir, &self.id).and_then(|parts| {
            let mut count = |row: publish::PublishedRow<'_>| {
                if let Some(rows) = published.get_mut(row.sample) {
                    *rows += 1;
                }
            };
            parts.iter().try_for_each(|part| part.each(&mut count))?;
            Ok(parts.iter().map(|part| part.rows).sum())
        });
        match read {
            Ok(rows) => self.embeddings = self.embeddings.max(rows),
            Err(error) => tracing::warn!(scan = %self.id, %error, "what is published of the scan cannot be read"),
        }
        missing.iter_mut().for_each(|(sample, rows)| *rows = rows.saturating_sub(published[sample]));
        missing.retain(|_, rows| *rows > 0);
        pending.spectra = missing.values().sum();
        pending.samples = missing;
        if pending.spectra == 0 {
            self.pending = None;
        }
    }
}
