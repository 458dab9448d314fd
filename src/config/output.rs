//! Sections for the results: `[store]`, `[disk]`, `[encoder]`, `[publish]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compression of the cubes in the sample files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// No compression: fastest to write and read.
    #[default]
    None,
    /// Byte shuffle and deflate. Every HDF5 reader supports it.
    Deflate,
}

/// `[store]`: one HDF5 per sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Compression of the cubes.
    pub compression: Compression,
    /// Level of `deflate`, 1 (fast) to 9 (small).
    pub deflate_level: u8,
    /// Threads that compress, hash and write.
    pub threads: usize,
    /// Whether cubes go past the page cache where the file system supports that.
    pub direct: bool,
    /// Whether a file is synced to the disk before it gets its name.
    pub sync: bool,
    /// Longest time between two syncs of a growing raw recording, s. With `sync`, a power cut takes no line that is older.
    pub sync_s: f64,
    /// Whether each sample also holds every camera's own grid, as `/entry/<camera>_native`.
    pub native: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { compression: Compression::default(), deflate_level: 1, threads: 4, direct: true, sync: true, sync_s: 1.0, native: false }
    }
}

/// `[disk]`: requirements on the disk before a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskConfig {
    /// Space that must be free beyond the scan's own need, MiB.
    pub reserve_mib: u64,
    /// Whether the disk's write rate is measured: up to 16 MiB, for some tens of milliseconds.
    pub check_rate: bool,
    /// Least ratio of the disk's write rate to the scan's data rate.
    pub rate_ratio: f64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self { reserve_mib: 1024, check_rate: true, rate_ratio: 1.2 }
    }
}

/// The hardware that ONNX Runtime computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA graphics card. It needs a `libonnxruntime.so` built for it, and its libraries.
    Cuda,
}

/// `[encoder]`, or one of `[[encoder]]`: an ONNX model for every valid spectrum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Its name. Embeddings of `main` go to the data set `embeddings`, those of another NAME to `embeddings-NAME`.
    #[serde(default = "main_name")]
    pub name: String,
    /// Whether it may fail or fall behind without effect. What it lacks is not made later, except by `hyclus recover --encoder`.
    #[serde(default)]
    pub shadow: bool,
    /// The model, relative to the configuration file.
    pub model: PathBuf,
    /// The hardware that the model runs on.
    #[serde(default)]
    pub provider: Provider,
    /// Threads of ONNX Runtime.
    #[serde(default = "one")]
    pub threads: usize,
    /// Number of batches in parallel. Each uses `threads` threads.
    #[serde(default = "one")]
    pub workers: usize,
    /// Number of spectra in a batch.
    #[serde(default = "batch")]
    pub batch: usize,
    /// Path of `libonnxruntime.so`. When absent, `ORT_DYLIB_PATH`, the executable's folder and `/usr/lib/hyclus` are searched.
    #[serde(default)]
    pub library: Option<PathBuf>,
    /// Longest wait for embeddings after a scan's last line, s. Later embeddings are deferred.
    #[serde(default = "linger")]
    pub linger_s: f64,
    /// Interval of retries for deferred embeddings that failed again, s.
    #[serde(default = "retry")]
    pub retry_s: f64,
    /// Longest time for loading the model, and for one batch, s. A model that takes longer is refused, or fails.
    #[serde(default = "limit")]
    pub limit_s: f64,
    /// Most memory for loading the model, MiB. A model that takes more is refused.
    #[serde(default = "max_memory")]
    pub max_memory_mib: u64,
    /// Whether pixels of the mask with the flag `edge` are encoded.
    #[serde(default)]
    pub edge: bool,
    /// Largest share of a container's spectra that may be unlike anything the model was trained on, 0 to 1. A larger one is warned of. Only
    /// models that carry their training's limits tell it.
    #[serde(default = "max_novel")]
    pub max_novel: f64,
}

impl EncoderConfig {
    /// A model with default settings.
    pub fn of(model: &Path) -> Self {
        Self {
            name: main_name(),
            shadow: false,
            model: model.to_owned(),
            provider: Provider::default(),
            threads: one(),
            workers: one(),
            batch: batch(),
            library: None,
            linger_s: linger(),
            retry_s: retry(),
            limit_s: limit(),
            max_memory_mib: max_memory(),
            edge: false,
            max_novel: max_novel(),
        }
    }

    /// Longest time for loading the model, and for one batch.
    pub fn limit(&self) -> Duration {
        Duration::try_from_secs_f64(self.limit_s).unwrap_or(Duration::MAX)
    }
}

fn max_novel() -> f64 {
    0.05
}

fn main_name() -> String {
    crate::scan::MAIN.to_owned()
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

fn limit() -> f64 {
    30.0
}

fn max_memory() -> u64 {
    4096
}

/// `[publish]`: the Parquet data set of embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishConfig {
    /// Whether the data set holds the spectra beside their embeddings.
    pub spectra: bool,
    /// Age of the oldest row at which a part is closed, s.
    pub max_age_s: f64,
    /// Number of rows at which a part is closed.
    pub max_rows: usize,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self { spectra: false, max_age_s: 2.0, max_rows: 262_144 }
    }
}
