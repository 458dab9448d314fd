//! What became of every line of every camera.

use super::answer::{Answer, Named, unreadable};
use super::{Data, place};
use axum::Json;
use axum::extract::State;
use hyclus::acquire::{RecordedLine, recorded_lines};
use hyclus::scan::is_name;
use serde::Serialize;
use std::sync::Arc;

/// The status of lines that were lost on the link or in the pool.
const LOST: u8 = 5;
/// Most runs of a camera that are shown.
const MOST_RUNS: usize = 50_000;

/// Lines one behind the other with one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The first frame number.
    first: u64,
    count: u64,
    /// The number of [`hyclus::scan::LineStatus`], or 5 for lost.
    status: u8,
}

/// The lines of a camera.
#[derive(Serialize)]
pub struct Camera {
    name: String,
    expected: u64,
    received: u64,
    lost: u64,
    runs: Vec<Run>,
    /// Whether there are more runs than are shown.
    cut: bool,
}

/// The lines of all cameras.
#[derive(Serialize)]
pub struct Ledger {
    cameras: Vec<Camera>,
}

/// `GET /api/scans/{id}/ledger`.
pub async fn ledger(State(data): State<Arc<Data>>, Named(scan): Named<String>) -> Answer<Json<Ledger>> {
    let ledger = data.reading(move |data| {
        let record = place::record(&data.root, &scan)?;
        let folder = place::scan_folder(&data.root, &scan)?;
        let mut names: Vec<String> = record.cameras.keys().cloned().collect();
        if names.is_empty() {
            // A scan that runs has its counts at the end.
            let raw = std::fs::read_dir(folder.join("raw")).into_iter().flatten().flatten();
            names.extend(raw.filter_map(|entry| entry.file_name().into_string().ok()));
            names.sort_unstable();
        }
        let mut cameras = Vec::new();
        for name in names.into_iter().filter(|name| is_name(name)) {
            let table = place::inside(&folder, &format!("raw/{name}/capture/{scan}.lines.csv")).ok();
            let lines = table.map_or_else(|| Ok(Vec::new()), |table| recorded_lines(&table).map_err(|error| unreadable(&error)))?;
            let counts = record.cameras.get(&name).cloned().unwrap_or_default();
            let mut runs = runs(&lines, &counts.gaps);
            let sum = |lost: bool| runs.iter().filter(|run| (run.status == LOST) == lost).map(|run| run.count).sum::<u64>();
            let counted = record.cameras.contains_key(&name);
            let (received, lost) = if counted { (counts.received, counts.lost) } else { (sum(false), sum(true)) };
            let expected = if counted { counts.expected } else { received + lost };
            let cut = runs.len() > MOST_RUNS;
            runs.truncate(MOST_RUNS);
            cameras.push(Camera { name, expected, received, lost, runs, cut });
        }
        Ok(Ledger { cameras })
    });
    ledger.await.map(Json)
}

/// Recorded lines and gaps as runs, in the order of their frames. Frames between two lines that no gap names are lost as well.
fn runs(lines: &[RecordedLine], gaps: &[(u64, u64)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let push = |run: Run, runs: &mut Vec<Run>| match runs.last_mut() {
        Some(last) if last.status == run.status && last.first + last.count == run.first => last.count += run.count,
        _ if run.count > 0 => runs.push(run),
        _ => {}
    };
    let lost = |(first, count): &(u64, u64)| Run { first: *first, count: *count, status: LOST };
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
        gaps.iter().for_each(|gap| push(lost(gap), &mut runs));
        return runs;
    };
    gaps.iter().filter(|(at, _)| *at < first.frame).for_each(|gap| push(lost(gap), &mut runs));
    let mut next = first.frame;
    for line in lines {
        if line.frame > next {
            push(lost(&(next, line.frame - next)), &mut runs);
        }
        push(Run { first: line.frame, count: 1, status: line.status as u8 }, &mut runs);
        next = line.frame.saturating_add(1);
    }
    gaps.iter().filter(|(at, _)| *at > last.frame).for_each(|gap| push(lost(gap), &mut runs));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyclus::scan::LineStatus::{Ok as Good, Stalled};

    #[test]
    fn lines_and_gaps_become_runs() {
        let line = |(frame, status)| RecordedLine { frame, status };
        let lines: Vec<RecordedLine> = [(10, Good), (11, Good), (14, Good), (15, Stalled)].map(line).into();
        let run = |(first, count, status)| Run { first, count, status };
        let wanted: Vec<Run> = [(8, 2, 5), (10, 2, 0), (12, 2, 5), (14, 1, 0), (15, 1, 2), (16, 3, 5)].map(run).into();
        assert_eq!(runs(&lines, &[(8, 2), (12, 2), (16, 3)]), wanted);
        assert_eq!(runs(&[], &[(3, 2)]), [run((3, 2, 5))]);
    }
}
