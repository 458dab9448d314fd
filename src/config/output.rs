//! Sections for what comes out: `[store]`, `[disk]`, `[encoder]`, `[publish]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Compression of the cubes in the sample files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// None: fastest to write and read.
    #[default]
    None,
    /// Byte shuffle and deflate: every HDF5 reader takes it.
    Deflate,
}

/// `[store]`: one HDF5 per sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Compression of the cubes.
    pub compression: Compression,
    /// Level of `deflate`, 1 (fast) to 9 (small).
    pub deflate_level: u8,
    /// Threads that compress, hash and write.
    pub threads: usize,
    /// Whether cubes are written past the page cache, where the file system can do that.
    pub direct: bool,
    /// Whether a file is seen on the disk before it gets its name.
    pub sync: bool,
    /// Whether each sample is kept on every camera's own grid too, as `/entry/<camera>_native`.
    pub native: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { compression: Compression::default(), deflate_level: 1, threads: 4, direct: true, sync: true, native: false }
    }
}

/// `[disk]`: what is asked of the disk before a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskConfig {
    /// What must be free beside the room for the scan, MiB.
    pub reserve_mib: u64,
    /// Whether it is tried how fast the disk is: up to 16 MiB, for some tens of milliseconds.
    pub check_rate: bool,
    /// The disk must be so many times as fast as the scan writes.
    pub rate_ratio: f64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self { reserve_mib: 1024, check_rate: true, rate_ratio: 1.2 }
    }
}

/// What ONNX Runtime computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// The first graphics card of NVIDIA; needs a `libonnxruntime.so` that was built for it, and its libraries.
    Cuda,
}

/// `[encoder]`: the ONNX model that every valid spectrum runs through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// The model, relative to the configuration file.
    pub model: PathBuf,
    /// What it runs on.
    #[serde(default)]
    pub provider: Provider,
    /// Threads of ONNX Runtime.
    #[serde(default = "one")]
    pub threads: usize,
    /// Batches that are run at the same time, each on so many threads.
    #[serde(default = "one")]
    pub workers: usize,
    /// Spectra of a batch.
    #[serde(default = "batch")]
    pub batch: usize,
    /// `libonnxruntime.so`; found by itself where absent (`ORT_DYLIB_PATH`, beside the executable, `/usr/lib/hyclus`).
    #[serde(default)]
    pub library: Option<PathBuf>,
    /// How long embeddings are waited for after the last line of a scan, s. Those that are not there by then are left for later.
    #[serde(default = "linger")]
    pub linger_s: f64,
    /// What was left for later and could not be encoded then is tried again after this time, s.
    #[serde(default = "retry")]
    pub retry_s: f64,
}

impl EncoderConfig {
    /// A model, run as the defaults say.
    pub fn of(model: &Path) -> Self {
        Self {
            model: model.to_owned(),
            provider: Provider::default(),
            threads: one(),
            workers: one(),
            batch: batch(),
            library: None,
            linger_s: linger(),
            retry_s: retry(),
        }
    }
}

fn one() -> usize {
    1
}

fn batch() -> usize {
    256
}

fn linger() -> f64 {
    10.0
}

fn retry() -> f64 {
    30.0
}

/// `[publish]`: the Parquet data set of embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishConfig {
    /// Whether the spectra are written beside their embeddings.
    pub spectra: bool,
    /// A part is closed when its oldest row is this old, s.
    pub max_age_s: f64,
    /// A part is closed when it has this many rows.
    pub max_rows: usize,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self { spectra: false, max_age_s: 2.0, max_rows: 262_144 }
    }
}
