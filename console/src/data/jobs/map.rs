//! Maps of embeddings by t-SNE, kept by what they are of.

use super::work::{Outcome, Running};
use crate::data::Data;
use crate::data::explorer::Set;
use hyclus_study::cloud::{MOST_DRAWN, aside, evenly};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most maps that are kept. The oldest are removed.
const MOST_MAPS: usize = 50;

fn folder(state: &Path) -> PathBuf {
    state.join("maps")
}

impl Data {
    fn map_file(&self, set: &Set) -> PathBuf {
        let text = format!("1;{MOST_DRAWN};{}", set.key);
        let name: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        folder(&self.state).join(format!("{name}.f32"))
    }

    /// The map of a set's points, drawn evenly. `None` where there is none yet.
    pub fn map_of(&self, set: &Set) -> Option<Vec<[f32; 2]>> {
        let bytes = std::fs::read(self.map_file(set)).ok()?;
        let wanted = set.len().min(MOST_DRAWN);
        let number = |four: &[u8]| four.try_into().map(f32::from_le_bytes).unwrap_or(f32::NAN);
        let at: Vec<[f32; 2]> = bytes.chunks_exact(8).map(|eight| [number(&eight[..4]), number(&eight[4..])]).collect();
        (at.len() == wanted && at.iter().flatten().all(|value| value.is_finite())).then_some(at)
    }
}

impl Running<'_> {
    pub(super) fn map(&self) -> Outcome {
        let set = match self.data.set(&self.job.scans) {
            Ok(set) => set,
            Err(problem) => return Outcome::Failed(problem.into_detail()),
        };
        if self.data.map_of(&set).is_some() {
            return Outcome::Done("the map was made before".to_owned());
        }
        let cloud = match set.cloud() {
            Ok(cloud) => cloud,
            Err(problem) => return Outcome::Failed(problem.into_detail()),
        };
        let rows = evenly(set.len(), MOST_DRAWN);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
        self.show(Some(0.0), "looks for neighbours");
        let map = aside(threads, hyclus::lower_priority, || {
            cloud.map(&rows, |step, all| {
                if step.is_multiple_of(10) {
                    self.show(Some(step as f64 / all as f64), &format!("step {step} of {all}"));
                }
                !self.cancelled()
            })
        });
        if self.cancelled() {
            return Outcome::Cancelled;
        }
        match map {
            Ok(at) => match self.keep(&set, &at) {
                Ok(()) => Outcome::Done(format!("a map of {} points", at.len())),
                Err(error) => Outcome::Failed(format!("the map cannot be written: {error}; may the console write its state folder?")),
            },
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn keep(&self, set: &Set, at: &[[f32; 2]]) -> std::io::Result<()> {
        let file = self.data.map_file(set);
        let folder = folder(&self.data.state);
        std::fs::create_dir_all(&folder)?;
        let bytes: Vec<u8> = at.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        let unfinished = file.with_extension("part");
        std::fs::write(&unfinished, bytes)?;
        std::fs::rename(&unfinished, &file)?;
        let mut maps: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(&folder)?
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        maps.sort_unstable();
        maps.iter().rev().skip(MOST_MAPS).for_each(|(_, path)| _ = std::fs::remove_file(path));
        Ok(())
    }
}
