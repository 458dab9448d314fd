//! Counts the embeddings of a scan that are deferred.

use crate::publish;
use crate::scan::{MAIN, Pending, ScanRecord, count_novel};
use std::collections::BTreeMap;
use std::path::Path;

impl ScanRecord {
    /// Counts the missing embeddings by sample: valid spectra less published rows.
    ///
    /// Rows of a data set that cannot be read count as missing. Without missing rows, the scan is no longer pending. Rows that were not
    /// counted are: a part may be there although the disk failed behind it.
    pub(super) fn count_pending(&mut self, data_dir: &Path) {
        for encoder in self.encoder_names() {
            self.count_pending_of(&encoder, data_dir);
        }
    }

    /// Does the same for one encoder.
    pub(super) fn count_pending_of(&mut self, encoder: &str, data_dir: &Path) {
        let Some(reason) = self.pending_of(encoder).map(|pending| pending.reason.clone()) else { return };
        let mut missing: BTreeMap<String, u64> = BTreeMap::new();
        for sample in &self.samples {
            *missing.entry(sample.sample.clone()).or_default() += sample.valid;
        }
        let mut published = missing.clone();
        published.values_mut().for_each(|rows| *rows = 0);
        let mut novel = BTreeMap::new();
        let read = publish::published(&publish::DataSet::of(data_dir, encoder), &self.id).and_then(|parts| {
            let mut count = |row: publish::PublishedRow<'_>| {
                if let Some(rows) = published.get_mut(row.sample) {
                    *rows += 1;
                }
                if let Some(novelty) = row.novelty {
                    count_novel(&mut novel, row.container, row.sample, &[novelty]);
                }
            };
            parts.iter().try_for_each(|part| part.each(&mut count))?;
            Ok(parts.iter().map(|part| part.rows).sum())
        });
        match read {
            Ok(rows) => {
                let entry = self.encoder_entry(encoder);
                *entry.embeddings = (*entry.embeddings).max(rows);
                // Of the rows that were counted while the belt moved, some may not have been published.
                self.count_novelty(encoder, novel);
            }
            Err(error) => tracing::warn!(scan = %self.id, %error, "what is published of the scan cannot be read"),
        }
        missing.iter_mut().for_each(|(sample, rows)| *rows = rows.saturating_sub(published[sample]));
        missing.retain(|_, rows| *rows > 0);
        let pending = Pending { reason, spectra: missing.values().sum(), samples: missing };
        // Another encoder may read other pixels than `main`, after which the samples are counted. Only their files tell then.
        *self.encoder_entry(encoder).pending = (pending.spectra > 0 || encoder != MAIN).then_some(pending);
    }
}
