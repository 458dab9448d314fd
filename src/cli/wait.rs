//! `hyclus scan --wait`: follows a scan to its end.

use super::output::{Failure, Output};
use crate::client::{Client, Notice};
use crate::print;
use crate::scan::{Event, EventKind, Progress, ScanRecord};
use crate::terminal::document;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

/// Follows scan `id` and writes its record. Fails where the scan is incomplete.
///
/// On a terminal, progress goes to standard error. Elsewhere, and as JSON, events go to standard output.
pub(super) async fn for_end(client: &Client, id: &str, out: &Output) -> Result<(), Failure> {
    // Events since the start are still held, so none is missed.
    let mut events = client.events(None).await?;
    let mut view = if !out.json && io::stderr().is_terminal() { View::Bars(Bars::default()) } else { View::Lines { tenth: 0 } };
    let mut begun = false;
    let record = loop {
        let notice = tokio::select! {
            notice = events.next() => notice?,
            _ = tokio::signal::ctrl_c() => {
                view.clear();
                return Err(Failure::StoppedWaiting(id.to_owned()));
            }
        };
        let closed = match notice {
            Notice::Event(event) => {
                let scan = event.kind.scan();
                begun |= scan == Some(id);
                // An event without a scan is shown where it falls into this one.
                let ours = scan.map_or(begun, |scan| scan == id);
                if ours {
                    view.show(&event, out)?;
                }
                ours && matches!(event.kind, EventKind::ScanClosed { .. })
            }
            // The event of the end may be among the missing ones.
            Notice::Lagged(_) => true,
        };
        if closed {
            let record = client.scan(id).await?;
            if record.ended.is_some() {
                break record;
            }
        }
    };
    view.clear();
    out.show(&record, print::scan)?;
    incomplete(&record).map_or(Ok(()), |reason| Err(Failure::Incomplete(reason)))
}

/// The reason of an incomplete scan.
fn incomplete(record: &ScanRecord) -> Option<String> {
    (record.complete != Some(true)).then(|| record.reason.clone().unwrap_or_else(|| "no reason is known".to_owned()))
}

/// The display of progress.
enum View {
    Bars(Bars),
    /// Tenths of the way that were reported.
    Lines {
        tenth: u64,
    },
}

impl View {
    fn show(&mut self, event: &Event, out: &Output) -> io::Result<()> {
        match self {
            Self::Bars(bars) => bars.show(document(event).as_ref().unwrap_or(event)),
            Self::Lines { tenth } => {
                if let (EventKind::Progress(progress), false) = (&event.kind, out.json) {
                    let now = permille(0.0, progress) / 100;
                    if now <= *tenth {
                        return Ok(());
                    }
                    *tenth = now;
                }
                out.show(event, print::event)
            }
        }
    }

    fn clear(&mut self) {
        if let Self::Bars(bars) = self {
            // A closed terminal has nothing to clear.
            let _ = bars.all.clear();
        }
    }
}

/// A bar per camera.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    cameras: BTreeMap<String, ProgressBar>,
    /// First known position of the belt, mm.
    start_mm: Option<f64>,
}

impl Bars {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::Progress(progress) => {
                let start = *self.start_mm.get_or_insert(progress.position_mm);
                for (name, sums) in &progress.cameras {
                    let bar = self.bar(name);
                    bar.set_position(permille(start, progress));
                    bar.set_message(format!("{} lines, {} lost", sums.received, sums.lost));
                }
            }
            EventKind::CameraDone { camera, sums, .. } => {
                let bar = self.bar(camera);
                bar.set_position(1000);
                bar.set_message(format!("{} lines, {} lost, done", sums.received, sums.lost));
            }
            EventKind::PartClosed { .. } => {}
            kind => self.all.println(print::happened(kind))?,
        }
        Ok(())
    }

    fn bar(&mut self, camera: &str) -> &ProgressBar {
        let all = &self.all;
        self.cameras.entry(camera.to_owned()).or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{prefix:>8} [{bar:40}] {percent:>3}% {msg}").expect("the template is constant and valid");
            all.add(ProgressBar::new(1000)).with_style(style.progress_chars("=> ")).with_prefix(camera.to_owned())
        })
    }
}

/// Progress of the belt from `start_mm` to the end, in thousandths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
fn permille(start_mm: f64, progress: &Progress) -> u64 {
    let way = (progress.position_mm - start_mm) / (progress.end_mm - start_mm);
    if way.is_nan() { 0 } else { (way.clamp(0.0, 1.0) * 1000.0) as u64 }
}
