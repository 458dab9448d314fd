//! The record of a scan: the contents of `scan.json`.

use super::archived::Archived;
use super::encoder::EncoderRecord;
use super::format::NewerFormat;
use super::head::{HeadRecord, HeadValue};
use super::minerals::{MineralsRecord, PendingMinerals, SampleMinerals};
use super::novelty::NoveltyRecord;
use super::tray::{Container, Tray};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Line counts of one camera over a scan. A balanced scan has `received + lost = expected`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LineCounts {
    /// Lines received.
    pub received: u64,
    /// Lines lost: the gaps in the frame numbers.
    pub lost: u64,
    /// Lines that the scan should have given, from the first to the last frame number.
    pub expected: u64,
    /// Lost lines for which the frame pool had no free slot.
    pub lost_pool: u64,
    /// Lost lines that never reached the pool.
    pub lost_link: u64,
    /// Received lines that are not usable: the frame was incomplete, or the belt stood.
    pub unusable: u64,
    /// Received lines that the raw recording lacks because the disk refused them.
    #[serde(default)]
    pub unrecorded: u64,
    /// Least number of free slots in the frame pool. `None` where the camera waits for its reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_least_free: Option<u64>,
    /// Each gap: the first lost frame number and the number of lost frames.
    pub gaps: Vec<(u64, u64)>,
}

/// The record of a running or ended scan: the contents of `scan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScanRecord {
    /// Version of the format of `scan.json`. Records of the first version may lack it.
    #[serde(default = "first_format")]
    pub format_version: u32,
    /// The scan's id.
    pub id: String,
    /// The requested tray map.
    pub tray: Tray,
    /// Start time (ISO 8601, UTC).
    pub started: String,
    /// End time (ISO 8601, UTC); `None` while the scan runs.
    pub ended: Option<String>,
    /// Whether the scan reached its planned end; `None` while it runs.
    pub complete: Option<bool>,
    /// The reason for an incomplete scan.
    pub reason: Option<String>,
    /// Line counts per camera.
    pub cameras: BTreeMap<String, LineCounts>,
    /// The samples stored so far.
    pub samples: Vec<SampleRecord>,
    /// Containers of the tray map in which segmentation found nothing.
    pub missing: Vec<String>,
    /// Offset of each camera's view of the containers from the first camera's view, mm across and along the tray, as the median. Only cameras whose
    /// containers show edges have one.
    #[serde(default)]
    pub residuals_mm: BTreeMap<String, [f64; 2]>,
    /// What the median offsets hide, of each camera but the first.
    #[serde(default)]
    pub registration: BTreeMap<String, Registration>,
    /// How far apart across the ends of each camera's range see the containers. Only cameras whose containers show edges have it.
    #[serde(default)]
    pub keystone_mm: BTreeMap<String, Keystone>,
    /// Movement of each camera's dark level during the scan.
    #[serde(default)]
    pub dark_drift: BTreeMap<String, DarkLevelDrift>,
    /// Bad elements of each camera that gives counts.
    #[serde(default)]
    pub bad_elements: BTreeMap<String, BadElements>,
    /// Change of each camera's light from the white reference before the scan to the one after it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub light_change: BTreeMap<String, LightChange>,
    /// The light on the white strip, by camera.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub light: BTreeMap<String, LightRange>,
    /// The wavelength axis of each camera, by the features of the white panel. Only cameras that see one have it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wavelength: BTreeMap<String, WavelengthCheck>,
    /// Shares of implausible values of each camera, over a part of the pixels of each line.
    #[serde(default)]
    pub plausibility: BTreeMap<String, Plausibility>,
    /// Elements of each camera that turned restless since the references.
    #[serde(default)]
    pub restless_elements: BTreeMap<String, RestlessElements>,
    /// Stretches of bands that are left out, by camera: first and last centre, nm. They are in the raw recording alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out_nm: BTreeMap<String, Vec<[f64; 2]>>,
    /// Mean line distance over the pixel width, per camera with measured belt positions. Square pixels give 1.
    #[serde(default)]
    pub anisotropy: BTreeMap<String, f64>,
    /// The steps between cameras whose ranges overlap or adjoin.
    #[serde(default)]
    pub overlap_step: Vec<OverlapStep>,
    /// The scan's warnings.
    pub warnings: Vec<String>,
    /// Number of embedding rows.
    pub embeddings: u64,
    /// Deferred embeddings. Their samples are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// What `main` was not trained on, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty: Option<NoveltyRecord>,
    /// What the encoders besides `main` made, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub encoders: BTreeMap<String, EncoderRecord>,
    /// The heads that judged the samples, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub heads: BTreeMap<String, HeadRecord>,
    /// The library of minerals. Absent where none are identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minerals: Option<MineralsRecord>,
    /// Why the recording of a scan that was cut off cannot be processed. Only `hyclus recover` tries it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<String>,
    /// The copy of the scan in an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<Archived>,
    /// Every file of the ended scan, with its hash.
    pub files: Vec<FileRecord>,
    /// The program's version.
    pub version: String,
    /// SHA-256 of the configuration, lower-case hexadecimal.
    pub configuration_sha256: String,
    /// SHA-256 of the encoder model.
    pub encoder_sha256: Option<String>,
}

/// The version of a record that states none.
fn first_format() -> u32 {
    1
}

/// Why a text is no record of a scan.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// A later version of the program wrote it.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// It is no JSON, lacks a key or gives one twice, or has a list for an object.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl ScanRecord {
    /// Whether embeddings or minerals of the ended scan are still to be made.
    pub fn lacks(&self) -> bool {
        self.lacking().next().is_some() || self.pending_minerals().is_some()
    }

    /// Whether a file of the scan may lie in an archive alone. `path` is relative to the data root.
    pub fn away(&self, path: &str) -> bool {
        self.archived.as_ref().is_some_and(|archived| !archived.files.keep(path))
    }

    /// The container of a sample in the tray map. `None` where the map has no such container.
    pub fn container_of(&self, sample: &SampleRecord) -> Option<&Container> {
        self.tray.containers.iter().find(|container| container.at == sample.container && container.sample == sample.sample)
    }

    /// The samples that are not identified yet.
    pub fn pending_minerals(&self) -> Option<&PendingMinerals> {
        self.minerals.as_ref().and_then(|minerals| minerals.pending.as_ref())
    }

    /// Format version of the `scan.json` that this program writes. The policy stands in `src/schema.rs`.
    pub const FORMAT_VERSION: u32 = 1;

    /// Most bytes of a `scan.json` that is read.
    pub const MOST_BYTES: u64 = 256 << 20;

    /// The record in the text of a `scan.json`. `file` is named in errors.
    ///
    /// # Errors
    /// The text is of a newer format, or is no record.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ParseError> {
        let value = crate::json::parse(text.as_bytes())?;
        // The version comes first: a newer record may lack any other key.
        let stated = Option::<u64>::deserialize(value.get("format_version").unwrap_or(&serde_json::Value::Null))?;
        NewerFormat::check(file, stated.unwrap_or(1), Self::FORMAT_VERSION)?;
        if let Some(path) = crate::json::lists_for_objects::<Self>(&value).first() {
            return Err(serde_json::Error::custom(format!("`{path}` is a list, and must be an object")).into());
        }
        let record: Self = serde_json::from_value(value)?;
        // What this program writes again has this program's format.
        Ok(Self { format_version: Self::FORMAT_VERSION, ..record })
    }
}

/// A stored sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleRecord {
    /// The sample's name.
    pub sample: String,
    /// The name of its container.
    pub container: String,
    /// Its file, relative to the scan's folder.
    pub file: String,
    /// Lines, pixels and bands of its cube.
    pub shape: [u64; 3],
    /// Number of pixels on the sample.
    pub pixels: u64,
    /// Number of these pixels with a valid spectrum.
    pub valid: u64,
    /// Reasons for doubt about the sample.
    pub doubts: Vec<String>,
    /// Its minerals. Absent where none are identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minerals: Option<SampleMinerals>,
    /// What the heads say of it, by name. A head is absent where the sample has no value in a band that it reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub heads: BTreeMap<String, HeadValue>,
}

impl SampleRecord {
    /// The warning of a sample of which more than the share `most` is not identified.
    pub fn not_identified(&self, most: f64) -> Option<String> {
        let share = self.minerals.as_ref()?.not_identified?.share;
        (share > most).then(|| {
            format!(
                "{} in {}: {:.0} % of its pixels are not identified, more than minerals.max_not_identified ({most}); is it an ore that the library does not know, or is it wet or dusty?",
                self.sample,
                self.container,
                share * 100.0
            )
        })
    }
}

/// A file of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRecord {
    /// Path relative to the data root.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The file's hash.
    #[serde(flatten)]
    pub hash: Digest,
}

/// The hash that identifies a file's content, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// BLAKE3, 256 bits.
    Blake3(String),
    /// SHA-256, in scans of earlier versions.
    Sha256(String),
}

/// Movement of a camera's dark level between the references before and after a scan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DarkLevelDrift {
    /// Rise, counts: the median over the elements.
    pub counts: f64,
    /// The same rise as a share of the median white signal.
    pub of_signal: f64,
    /// Centre of the worst band, nm: the one in which the rise changes a reflectance most. Records of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_nm: Option<f64>,
    /// How much too high a reflectance of 5 % reads there at the end of the scan, as a share of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_share: Option<f64>,
}

/// The wavelength axis of a camera, by features of known wavelength: what remains after `camera.correction`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct WavelengthCheck {
    /// True wavelength minus that of the bands, nm: the mean over the line.
    pub shift_nm: f64,
    /// Standard uncertainty of the shift, nm.
    pub shift_uncertainty_nm: f64,
    /// Wavelength at the ends of the line minus that in its middle, nm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smile_nm: Option<f64>,
    /// Standard uncertainty of the smile, nm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smile_uncertainty_nm: Option<f64>,
    /// True wavelengths of the features, nm.
    pub features_nm: Vec<f64>,
}

/// Bad detector elements of a camera, as shares of the elements of its used bands.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct BadElements {
    /// Elements that are interpolated over the spectrum.
    pub mended: f64,
    /// Elements without a value, because no good ones are near enough.
    pub missing: f64,
}

/// Change of a camera's light between the white references before and after a scan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LightChange {
    /// Centre of the band in which it is largest, nm.
    pub worst_nm: f64,
    /// The change there, as a share.
    pub worst_share: f64,
}

/// The light of a camera on the white strip over a scan, as shares of that of the white reference. Each is a mean over half a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LightRange {
    /// The least light in any group of bands.
    pub least: f64,
    /// The largest.
    pub largest: f64,
    /// Lines whose light was further off than is corrected (`lamps.max_correction`). Their reflectance is off as the light is.
    pub uncorrected_lines: u64,
}

/// Implausible values of a camera, over a part of the pixels of each line.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plausibility {
    /// Share of values above a reflectance of 1.2.
    pub bright: f64,
    /// Share of values below a reflectance of -0.02.
    pub negative: f64,
    /// Share of pixels with at least one saturated band.
    pub saturated: f64,
}

/// Elements of a camera that were calm in the references and are not in the scan, such as those with telegraph noise.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RestlessElements {
    /// Their share of the elements of the used bands.
    pub share: f64,
    /// The worst of them.
    pub worst: Vec<RestlessElement>,
}

/// A restless element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestlessElement {
    /// Its band among the used ones, from 0.
    pub band: u32,
    /// Its pixel, from 0.
    pub pixel: u32,
    /// Centre of the band, nm.
    pub wavelength_nm: f64,
    /// How far it is over the limit, as a multiple of it.
    pub over_limit: f64,
}

/// How far a camera sees the containers from where the first camera does. Pairs are mm across and along the tray.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Registration {
    /// Number of containers compared.
    pub containers: u64,
    /// Offset of the container that is furthest off.
    pub largest_mm: [f64; 2],
    /// Centre of that container on the tray.
    pub largest_at_mm: [f64; 2],
    /// Change of the offset over the way across, mm per m. Absent where the containers lie in one column.
    pub slope_mm_per_m: Option<[f64; 2]>,
    /// The turn of the camera that the slope along the tray means, degrees.
    pub yaw_deg: Option<f64>,
    /// Distance across of the outermost containers, mm; 0 where they lie in one column.
    pub spread_mm: f64,
}

/// Place of containers across in a camera's longest wavelengths, minus that in its shortest ones, mm. Each end is a tenth of the bands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Keystone {
    /// Of the leftmost containers, as the median.
    pub left: f64,
    /// Of the rightmost containers, as the median.
    pub right: f64,
}

/// The reflectance step between two cameras whose ranges meet, over the masks of all samples without the flag `edge`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OverlapStep {
    /// The camera of shorter wavelengths, then the camera of longer wavelengths.
    pub cameras: [String; 2],
    /// The compared range, nm: the overlap, or the last band of one camera and the first of the other.
    pub range_nm: [f64; 2],
    /// Reflectance of the second camera over that of the first, before levelling: the ratio of the sums over the pixels.
    pub ratio: f64,
    /// Standard deviation of the pixels around the ratio, as a share of the reflectance.
    pub sd: f64,
    /// Number of compared pixels.
    pub pixels: u64,
    /// Whether `join.level` scaled the second camera to the first.
    pub levelled: bool,
}

/// Embeddings that a scan lacks. Its samples are stored. The daemon encodes them from their files while the rig is idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// The reason for the deferral.
    pub reason: String,
    /// Number of valid spectra without an embedding.
    pub spectra: u64,
    /// The number of these spectra per sample. Complete samples are absent.
    pub samples: BTreeMap<String, u64>,
}

impl Pending {
    /// Deferred embeddings with their reason, not counted yet.
    pub(crate) fn because(reason: String) -> Self {
        Self { reason, spectra: 0, samples: BTreeMap::new() }
    }
}

/// Longest scan id, bytes: a time, a tray name and a number.
const LONGEST_ID: usize = 128;

/// Whether a text is a valid scan id, and so a safe part of a path.
pub fn is_scan_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST_ID).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_no_record() {
        let map = json!({"tray": "T", "grid": {"rows": 1, "columns": 1}, "container": [{"at": "A1", "sample": "s"}]});
        let counts = LineCounts { received: 1, ..LineCounts::default() };
        let record = json!({"format_version": 1, "id": "x", "tray": Tray::check(&map).unwrap(), "started": "", "ended": null, "complete": null,
            "reason": null, "cameras": {"vnir": counts}, "samples": [], "missing": [], "residuals_mm": {}, "warnings": [], "embeddings": 0,
            "files": [], "version": "0", "configuration_sha256": "", "encoder_sha256": null});
        let parse = |record: &serde_json::Value| ScanRecord::parse(&record.to_string(), Path::new("scan.json"));
        assert_eq!(parse(&record).unwrap().cameras["vnir"].received, 1);
        for place in ["", "/tray", "/cameras/vnir", "/tray/containers/0"] {
            let mut other = record.clone();
            let inner = other.pointer_mut(place).unwrap();
            *inner = inner.as_object().unwrap().values().cloned().collect();
            let error = parse(&other).unwrap_err().to_string();
            assert!(error.contains("is a list, and must be an object"), "{place}: {error}");
        }
        let twice = record.to_string().replacen('{', "{\"id\": \"y\", ", 1);
        assert!(ScanRecord::parse(&twice, Path::new("scan.json")).unwrap_err().to_string().contains("`id` is given twice"));
    }
}
