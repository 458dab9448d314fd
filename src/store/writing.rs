//! How the files of a scan are written, and what all of them share.

use super::tables::Tables;
use super::workers::Workers;
use crate::context::ScanContext;
use crate::disk::{Buffers, Hashes};
use crate::minerals::Desk;
use std::sync::{Arc, OnceLock};

/// Filters of a dataset.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filters {
    /// Level of byte shuffle and deflate, 1 to 9. `None` stores plain values.
    pub(super) deflate: Option<u8>,
}

/// Settings and threads that all files of a scan share.
#[derive(Debug)]
pub(super) struct Writing {
    /// Filters of the cubes and of their flags.
    pub(super) filters: Filters,
    /// Whether cubes go past the page cache.
    pub(super) direct: bool,
    /// Whether a file is durable before it gets its name.
    pub(super) sync: bool,
    /// Memory for chunks and tables.
    pub(super) buffers: Arc<Buffers>,
    /// Threads that write and compress.
    pub(super) workers: Arc<Workers>,
    /// Tables of each camera. The thread that completes files makes them when the first file is opened.
    pub(super) tables: OnceLock<Vec<Option<Tables>>>,
    /// Collects the hashes of complete files.
    pub(super) hashes: Option<Arc<Hashes>>,
    /// Where the minerals of samples come. `None` where none are identified.
    pub(super) desk: Option<Arc<Desk>>,
}

impl Writing {
    /// The tables of each camera, `None` for one that is calibrated by a scale.
    pub(super) fn tables(&self, context: &ScanContext) -> &[Option<Tables>] {
        self.tables.get_or_init(|| context.cameras.iter().map(|camera| Tables::of(camera, &self.buffers)).collect())
    }
}
