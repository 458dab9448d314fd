//! What is known of a scan: the contents of `scan.json`.

use super::tray::Tray;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sums of one camera over a scan. `received + lost = expected` for a scan whose books balance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LineCounts {
    /// Lines received.
    pub received: u64,
    /// Lines lost: the gaps in the frame numbers.
    pub lost: u64,
    /// Lines that the scan should have given: from the first to the last frame number.
    pub expected: u64,
    /// Of the lost, those that found no free slot in the frame pool.
    pub lost_pool: u64,
    /// Of the lost, those that never reached the pool.
    pub lost_link: u64,
    /// Received lines that could not be used (incomplete, or the belt stood).
    pub unusable: u64,
    /// Received lines that are not in the raw recording, because the disk refused them.
    #[serde(default)]
    pub unrecorded: u64,
    /// Each gap: first frame number lost, and how many.
    pub gaps: Vec<(u64, u64)>,
}

/// What is known of a scan, running or ended: the contents of `scan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScanRecord {
    /// The scan's id.
    pub id: String,
    /// What was asked: the tray map.
    pub tray: Tray,
    /// When it was started (ISO 8601, UTC).
    pub started: String,
    /// When it ended; `None` while it runs.
    pub ended: Option<String>,
    /// Whether it went to its planned end; `None` while it runs.
    pub complete: Option<bool>,
    /// Why it is incomplete.
    pub reason: Option<String>,
    /// Sums per camera.
    pub cameras: BTreeMap<String, LineCounts>,
    /// Samples stored so far.
    pub samples: Vec<SampleRecord>,
    /// Containers of the tray map in which nothing was found.
    pub missing: Vec<String>,
    /// How far each camera sees the containers from where the first one does, mm across and along the tray; only of cameras whose
    /// containers show edges.
    #[serde(default)]
    pub residuals_mm: BTreeMap<String, [f64; 2]>,
    /// How far each camera's dark level moved during the scan.
    #[serde(default)]
    pub dark_drift: BTreeMap<String, DarkLevelDrift>,
    /// Mean distance of lines over the width of a pixel, per camera whose belt position was measured: 1 where pixels are square.
    #[serde(default)]
    pub anisotropy: BTreeMap<String, f64>,
    /// The step between cameras whose ranges overlap or adjoin.
    #[serde(default)]
    pub overlap_step: Vec<OverlapStep>,
    /// Warnings of the scan.
    pub warnings: Vec<String>,
    /// Rows of embeddings.
    pub embeddings: u64,
    /// Embeddings that were left for later; the samples are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Every file of the scan with its hash, once it has ended.
    pub files: Vec<FileRecord>,
    /// Version of the program.
    pub version: String,
    /// SHA-256 of the configuration.
    pub configuration_sha256: String,
    /// SHA-256 of the encoder model.
    pub encoder_sha256: Option<String>,
}

/// A sample as it was stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleRecord {
    /// The sample's name.
    pub sample: String,
    /// The container it lay in.
    pub container: String,
    /// Its file, relative to the scan's folder.
    pub file: String,
    /// Lines, pixels and bands of its cube.
    pub shape: [u64; 3],
    /// Pixels on the sample.
    pub pixels: u64,
    /// Of these, those with a valid spectrum.
    pub valid: u64,
    /// What is doubtful about it.
    pub doubts: Vec<String>,
}

/// A file of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRecord {
    /// Path relative to the data root.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Its hash.
    #[serde(flatten)]
    pub hash: Digest,
}

/// What tells whether a file is what it was, lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// BLAKE3, of 256 bits.
    Blake3(String),
    /// SHA-256, in scans of earlier versions.
    Sha256(String),
}

/// How far a camera's dark level moved from the reference before a scan to the one after it: medians over the elements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DarkLevelDrift {
    /// Rise, counts.
    pub counts: f64,
    /// The same as a share of the white signal.
    pub of_signal: f64,
}

/// The step in reflectance between two cameras whose ranges meet, over the bright pixels of a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OverlapStep {
    /// The camera of shorter waves, and that of longer ones.
    pub cameras: [String; 2],
    /// Where they were compared, nm: the overlap, or the last band of one and the first of the other.
    pub range_nm: [f64; 2],
    /// Reflectance of the second over that of the first, before levelling: mean over the pixels.
    pub ratio: f64,
    /// Its standard deviation over the pixels.
    pub sd: f64,
    /// Pixels compared.
    pub pixels: u64,
    /// Whether the second was scaled to the first (`join.level`).
    pub levelled: bool,
}

/// Embeddings that a scan lacks. Its samples are stored, and are encoded from their files while the rig has nothing else to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// Why they were left.
    pub reason: String,
    /// Valid spectra without an embedding.
    pub spectra: u64,
    /// How many of them each sample has; samples that lack none are not named.
    pub samples: BTreeMap<String, u64>,
}

impl Pending {
    /// Embeddings that were left for a reason, not counted yet.
    pub(crate) fn because(reason: String) -> Self {
        Self { reason, spectra: 0, samples: BTreeMap::new() }
    }
}

/// Longest id of a scan, bytes: a time, the name of a tray, a number.
const LONGEST_ID: usize = 128;

/// Whether a text can be the id of a scan, and so part of a path.
pub fn is_scan_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST_ID).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(fits)
}
