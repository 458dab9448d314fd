//! A worklist as text for people.

use super::{SampleState, WorklistStatus};
use crate::print::table;

/// How far a worklist is: a line per sample, and the sums.
pub fn shown(status: &WorklistStatus) -> String {
    let mut rows = Vec::new();
    for tray in &status.trays {
        for sample in &tray.samples {
            let state = match sample.state {
                SampleState::Missing => "missing",
                SampleState::Scanned => "scanned",
                SampleState::Rescanned => "rescanned",
            };
            let scan = sample.scans.last().cloned().unwrap_or_default();
            let code = sample.barcode.clone().unwrap_or_default();
            rows.push(vec![tray.tray.clone(), sample.container.clone(), sample.sample.clone(), code, state.to_owned(), scan]);
        }
    }
    let sums = format!("{} missing, {} scanned, {} rescanned", status.missing, status.scanned, status.rescanned);
    let next = match &status.next {
        Some(tray) => format!("next: {tray} (`hyclus scan --next`)"),
        None => "every sample was scanned (`hyclus export worklist` writes the results)".to_owned(),
    };
    format!("{}{sums}; {next}", table(&["tray", "at", "sample", "barcode", "state", "last scan"], &rows))
}
