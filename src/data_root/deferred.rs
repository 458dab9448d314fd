//! What of a scan's embeddings was left for later.

use crate::publish;
use crate::scan::ScanRecord;
use std::collections::BTreeMap;
use std::path::Path;

impl ScanRecord {
    /// Counts what is pending by what the data set holds of the scan; where it cannot be read, that is nothing.
    pub(super) fn count_pending(&mut self, data_dir: &Path) {
        let Some(pending) = &mut self.pending else { return };
        let mut samples: BTreeMap<String, u64> = BTreeMap::new();
        for sample in &self.samples {
            *samples.entry(sample.sample.clone()).or_default() += sample.valid;
        }
        let mut there = samples.clone();
        there.values_mut().for_each(|rows| *rows = 0);
        let read = publish::published(data_dir, &self.id).and_then(|parts| {
            let mut count = |row: publish::PublishedRow<'_>| {
                if let Some(rows) = there.get_mut(row.sample) {
                    *rows += 1;
                }
            };
            parts.iter().try_for_each(|part| part.each(&mut count))
        });
        if let Err(error) = read {
            tracing::warn!(scan = %self.id, %error, "what is published of the scan cannot be read");
        }
        samples.iter_mut().for_each(|(sample, missing)| *missing = missing.saturating_sub(there[sample]));
        samples.retain(|_, missing| *missing > 0);
        pending.spectra = samples.values().sum();
        pending.samples = samples;
        if pending.spectra == 0 {
            self.pending = None;
        }
    }
}
