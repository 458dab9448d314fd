//! One sample's file, from its first line to its final name.

use super::error::StoreError;
use super::grid::{About, Grid, GridLine, Values};
use super::minerals;
use super::native::Native;
use super::node::{Annotate, Node};
use super::output::Output;
use super::provenance;
use super::seen::{Complete, Seen};
use super::uncertainty;
use super::writing::Writing;
use crate::context::ScanContext;
use crate::disk::Reservation;
use crate::minerals::Taken;
use crate::native_lines::NativeLines;
use crate::scan::{SampleMinerals, SampleRecord};
use crate::schema::{self, attribute, class};
use crate::segment::{Sample, SampleRow};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folder of the samples within the scan's.
pub(super) const FOLDER: &str = "samples";

/// A sample that is being written, under a hidden name.
#[derive(Debug)]
pub(super) struct SampleFile {
    pub(super) sample: Arc<Sample>,
    pub(super) seen: Seen,
    part: PathBuf,
    path: PathBuf,
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    file: hdf5::File,
    root: Node,
    entry: Node,
    grid: Grid,
    natives: Vec<Native>,
    reservation: Reservation,
    output: Arc<Output>,
}

impl SampleFile {
    /// Creates the file that will be `folder/stem.h5`, with all that is known before the first line.
    pub(super) fn create(
        folder: &Path,
        stem: &str,
        sample: &Arc<Sample>,
        context: &ScanContext,
        writing: &Writing,
        native: &[Arc<NativeLines>],
    ) -> Result<Self, StoreError> {
        let axes = &context.axes;
        let (part, path) = (folder.join(format!(".{stem}.h5.part")), folder.join(format!("{stem}.h5")));
        let (file, root) = Node::create(&part)?;
        // From here on the unfinished file is removed if anything fails.
        let mut this = Self { sample: Arc::clone(sample), seen: Seen::default(), part, path, open: None };
        root.set_text(attribute::CLASS, class::ROOT)?;
        root.set_text(attribute::DEFAULT, schema::ENTRY)?;
        root.set_text(attribute::CONVENTIONS, "CF-1.11")?;
        root.set(attribute::FORMAT_VERSION, schema::FORMAT_VERSION.cast_signed())?;
        let entry = root.node(schema::ENTRY, class::ENTRY)?;
        entry.set_text(attribute::DEFAULT, schema::entry::REFLECTANCE)?;
        let pixels: Vec<f64> = (0..sample.width).map(|pixel| axes.x_mm(sample.first_pixel + pixel)).collect();
        let about = About {
            pixels_mm: &pixels,
            wavelengths_nm: &axes.wavelengths_nm,
            fwhm_nm: &axes.fwhm_nm,
            time: "when the first camera saw the line",
            filters: writing.filters,
            cameras: context.uncertainty.as_ref().map_or(0, |uncertainty| uncertainty.cameras().len()),
        };
        let output = Output::open(&this.part, writing);
        let output = Arc::new(output.map_err(|source| StoreError::Io { file: this.part.clone(), doing: "opened", source })?);
        let grid = Grid::create(&entry, schema::entry::REFLECTANCE, about, &output)?;
        let natives = native.iter().map(|lines| Native::new(Arc::clone(lines), sample, axes, writing.filters, &output)).collect();
        let reservation = Reservation::new(&this.part);
        this.open = Some(OpenFile { file, root, entry, grid, natives, reservation, output });
        Ok(this)
    }

    /// Adds the sample's next line.
    pub(super) fn push(&mut self, row: &SampleRow, context: &ScanContext) -> Result<(), StoreError> {
        let axes = &context.axes;
        let (width, bands) = (self.sample.width, axes.bands());
        let Some(open) = &mut self.open else { return Ok(()) };
        let whole = self.sample.first_pixel + width;
        if row.line != self.seen.lines || row.row.values() < whole * bands || row.row.quality.len() < whole {
            let problem = format!(
                "line {} of {width} pixels and {bands} bands came where line {} was due, in a row of {} values and {} flags",
                row.line,
                self.seen.lines,
                row.row.values(),
                row.row.quality.len()
            );
            return Err(StoreError::Order { sample: self.sample.container.sample.clone(), problem });
        }
        open.reservation.grow(4 * width * bands);
        open.grid.push(GridLine {
            values: Values::Row(row),
            mask: (0..width).map(|pixel| u8::from(row.on_sample(pixel))),
            quality: row.quality(),
            y_mm: axes.y_mm(self.sample.first_row + i64::from(row.line)),
            time_ns: row.row.time_ns,
        })?;
        for native in &mut open.natives {
            let bytes = native.push(&open.entry, row, axes)?;
            open.reservation.grow(bytes);
        }
        self.seen.add(row, bands, context.encoder.as_ref());
        Ok(())
    }

    /// The contents that complete the file when no more lines come.
    pub(super) fn complete(&self, context: &ScanContext, doubts: Vec<String>) -> Complete {
        let axes = &context.axes;
        let last_row = self.sample.first_row + i64::from(self.seen.lines) - 1;
        let (from, to) = (axes.y_mm(self.sample.first_row) - axes.pixel_mm, axes.y_mm(last_row) + axes.pixel_mm);
        Complete { doubts, lines: (0..context.cameras.len()).map(|camera| context.ledger.between(camera, from, to)).collect() }
    }

    /// Writes what remains and gives the file its name. `None` where the sample has no line, because there is nothing to keep.
    pub(super) fn finish(
        mut self,
        context: &ScanContext,
        writing: &Writing,
        complete: Complete,
    ) -> Result<Option<SampleRecord>, StoreError> {
        let Some(open) = self.open.take().filter(|_| self.seen.lines > 0) else { return Ok(None) };
        let OpenFile { file, root, entry, grid, natives, reservation, output } = open;
        let sums = grid.finish(uncertainty::variance(context, &self.sample))?;
        uncertainty::mean(&entry, context, &self.sample, &self.seen, &sums)?;
        natives.into_iter().try_for_each(|native| native.finish(&entry))?;
        provenance::write((&root, &entry), context, (writing.tables(context), &output), &self.sample, &self.seen, &complete)?;
        let taken = writing.desk.as_ref().and_then(|desk| desk.take(self.sample.number));
        let minerals = taken.map(|taken| of_minerals(&entry, taken, writing)).transpose()?;
        let place = entry.place().clone();
        let failed = |file: &Path, doing: &'static str| {
            let file = file.to_path_buf();
            move |source| StoreError::Io { file, doing, source }
        };
        output.written().map_err(failed(&self.part, "written"))?;
        // The file closes when its last handle does.
        drop((root, entry));
        file.close().map_err(|e| place.error(e))?;
        output.settle().and_then(|()| reservation.finish(writing.sync)).map_err(failed(&self.part, "made durable"))?;
        std::fs::rename(&self.part, &self.path).map_err(failed(&self.path, "renamed"))?;
        let folder = self.path.parent().unwrap_or(&self.path);
        if writing.sync {
            std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(failed(folder, "made durable"))?;
        }
        if let Some(hashes) = &writing.hashes {
            hashes.add(self.path.clone(), output.pieces.take_hashed());
        }

        let name = self.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Some(SampleRecord {
            heads: std::collections::BTreeMap::new(),
            sample: self.sample.container.sample.clone(),
            container: self.sample.container.at.clone(),
            file: format!("{}/{name}", FOLDER),
            shape: [u64::from(self.seen.lines), self.sample.width as u64, context.axes.bands() as u64],
            pixels: self.seen.pixels,
            valid: self.seen.valid,
            doubts: complete.doubts,
            minerals,
        }))
    }
}

/// Writes the minerals of a sample, where they are there, and gives their summary.
fn of_minerals(entry: &Node, Taken { part, found }: Taken, writing: &Writing) -> Result<SampleMinerals, StoreError> {
    match found {
        Ok(found) => {
            let summary = crate::minerals::summary(&found);
            minerals::write(entry, &found, &summary, writing.filters)?;
            Ok(summary)
        }
        Err(reason) => Ok(SampleMinerals::deferred(part, reason)),
    }
}

impl Drop for SampleFile {
    fn drop(&mut self) {
        drop(self.open.take());
        // After a rename there is nothing under this name. Before it, an unfinished file is of no use.
        let _ = std::fs::remove_file(&self.part);
    }
}
