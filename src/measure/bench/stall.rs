//! How long the disk stalls, and the frame pool that bridges it.

use super::{BenchError, described};
use crate::acquire::FLUSH_LINES;
use crate::config::Loaded;
use crate::disk::{Stream, stalls};
use std::path::Path;
use std::time::Duration;

/// Ratio of a pool's time to the longest stall that was seen. The next one may be longer.
const MARGIN: f64 = 1.5;

/// What a measurement of the disk showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stalled {
    /// Time of writing, s.
    pub seconds: f64,
    /// Bytes/s of all recordings together, and what the disk took.
    pub rates: (f64, f64),
    /// Longest stall, s.
    pub longest_s: f64,
    /// Time that the frame pools should bridge, s. `None` where the disk does not take the rate at all.
    pub pool_s: Option<f64>,
    /// Name of each camera, and the time that its pool bridges, s. `None` where it does not lose lines.
    pub cameras: Vec<(String, Option<f64>)>,
}

/// Writes the recordings of a rig into `folder` for `seconds`, and measures how long the disk stalls.
///
/// # Errors
/// The devices cannot be opened, or the disk refuses.
pub fn stall(loaded: &Loaded, seconds: f64, folder: &Path) -> Result<Stalled, BenchError> {
    let mut config = loaded.config.clone();
    let about = described(&mut config)?;
    let streams: Vec<Stream> = about
        .iter()
        .map(|(description, exposure)| Stream {
            piece_bytes: description.layout.bytes() * FLUSH_LINES,
            pieces_per_s: exposure.frame_rate_hz / f64::from(u32::try_from(FLUSH_LINES).unwrap_or(1)),
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a piece of some MB")]
    let rate: f64 = streams.iter().map(|stream| stream.piece_bytes as f64 * stream.pieces_per_s).sum();
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
    let found =
        stalls(folder, config.store.direct, &streams, time).map_err(|error| BenchError::Write { path: folder.to_owned(), error })?;
    let longest_s = found.longest.as_secs_f64();
    // A short measurement ends within a piece.
    let keeps_up = found.bytes_per_s > 0.9 * rate || longest_s < 0.5 * seconds;
    let pool_s = keeps_up.then(|| ((MARGIN * longest_s + 0.1) * 10.0).ceil() / 10.0);
    let cameras = config.camera.iter().zip(config.pools()).map(|(camera, pool)| (camera.name.clone(), pool.seconds)).collect();
    Ok(Stalled { seconds, rates: (rate, found.bytes_per_s), longest_s, pool_s, cameras })
}
