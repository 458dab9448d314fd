//! Following the data set.

use super::error::PublishError;
use super::minerals::minerals_set;
use super::paths::{DataSet, names, part_name, part_number, scan_of};
use super::read::{self, Batches};
use super::rows::{Batch, Rows};
use super::schema::SPECTRUM;
use arrow_array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// One row of the data set.
#[derive(Debug, Clone, PartialEq)]
pub struct TailRow {
    /// The scan.
    pub scan: String,
    /// The sample.
    pub sample: String,
    /// The container it lay in.
    pub container: String,
    /// The sample keys, in the tray's order.
    pub keys: Vec<(String, String)>,
    /// Line of the sample's cube.
    pub line: i32,
    /// Pixel of the sample's cube.
    pub pixel: i32,
    /// Across the tray, mm.
    pub x_mm: f32,
    /// Along the tray, mm.
    pub y_mm: f32,
    /// Time of the line, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Flags, see [`crate::scan::Quality`].
    pub quality: u8,
    /// Further figures by their names, such as novelty, or scores and features of minerals.
    pub figures: Vec<(String, f32)>,
    /// The embedding. Empty for rows of minerals.
    pub embedding: Vec<f32>,
}

/// Reads the rows of a data set in order, and then those that are added.
pub struct Tail {
    data_set: PathBuf,
    scan: Option<String>,
    /// Whether the rows are minerals.
    minerals: bool,
    /// Numbers of the parts that were taken, by scan.
    taken: BTreeMap<String, BTreeSet<u32>>,
    waiting: VecDeque<(String, PathBuf)>,
    open: Option<OpenFile>,
}

struct OpenFile {
    scan: String,
    path: PathBuf,
    minerals: bool,
    batches: Batches,
    rows: Option<(Rows, usize)>,
}

impl Tail {
    /// A reader of a data set, of one scan or of all.
    pub fn new(set: &DataSet, scan: Option<&str>) -> Self {
        Self::of(set.folder(), scan, false)
    }

    /// A reader of the data set of minerals under `data_dir`, of one scan or of all.
    pub fn of_minerals(data_dir: &Path, scan: Option<&str>) -> Self {
        Self::of(minerals_set(data_dir), scan, true)
    }

    fn of(data_set: PathBuf, scan: Option<&str>, minerals: bool) -> Self {
        let (taken, waiting) = (BTreeMap::new(), VecDeque::new());
        Self { data_set, scan: scan.map(str::to_owned), minerals, taken, waiting, open: None }
    }

    /// The next row, or `None` where there is none at present. A later call gives the rows that come meanwhile.
    ///
    /// # Errors
    /// A part cannot be read, is of a newer format, or has other columns. The next call goes on with the part after it.
    pub fn poll(&mut self) -> Result<Option<TailRow>, PublishError> {
        loop {
            if let Some(file) = &mut self.open {
                match file.next() {
                    Ok(Some(row)) => return Ok(Some(row)),
                    Ok(None) => self.open = None,
                    Err(e) => {
                        self.open = None;
                        return Err(e);
                    }
                }
            }
            if self.waiting.is_empty() {
                self.look()?;
            }
            match self.waiting.pop_front() {
                Some((scan, path)) => self.open = Some(OpenFile::open(scan, path, self.minerals)?),
                None => return Ok(None),
            }
        }
    }

    /// Looks for parts that were not taken yet, scan by scan, each in order.
    fn look(&mut self) -> Result<(), PublishError> {
        if !self.data_set.is_dir() {
            return Ok(());
        }
        for name in names(&self.data_set)? {
            let folder = self.data_set.join(&name);
            let Some(scan) = scan_of(&name).filter(|_| folder.is_dir()) else { continue };
            if self.scan.as_deref().is_some_and(|wanted| wanted != scan) {
                continue;
            }
            let taken = self.taken.entry(scan.to_owned()).or_default();
            // Minerals of a sample that was deferred come behind those of later samples.
            let parts: BTreeSet<u32> = names(&folder)?.iter().filter_map(|name| part_number(name)).collect();
            for number in parts {
                if !taken.insert(number) {
                    continue;
                }
                self.waiting.push_back((scan.to_owned(), folder.join(part_name(number))));
            }
        }
        Ok(())
    }
}

impl OpenFile {
    fn open(scan: String, path: PathBuf, minerals: bool) -> Result<Self, PublishError> {
        let source = read::open(&path)?;
        // Columns that are missing are said even where there is no row.
        rows_of(&RecordBatch::new_empty(source.schema().clone()), &path, minerals)?;
        let batches = source.batches(&|name| name != SPECTRUM, None)?;
        Ok(Self { scan, path, minerals, batches, rows: None })
    }

    fn next(&mut self) -> Result<Option<TailRow>, PublishError> {
        loop {
            if let Some((rows, i)) = &mut self.rows
                && *i < rows.line.len()
            {
                *i += 1;
                return Ok(Some(row(&self.scan, rows, *i - 1)));
            }
            match self.batches.next() {
                Some(batch) => self.rows = Some((rows_of(&batch?, &self.path, self.minerals)?, 0)),
                None => return Ok(None),
            }
        }
    }
}

fn rows_of(batch: &RecordBatch, path: &Path, minerals: bool) -> Result<Rows, PublishError> {
    let batch = Batch { batch, path };
    if minerals { batch.minerals() } else { batch.rows() }
}

fn row(scan: &str, rows: &Rows, i: usize) -> TailRow {
    TailRow {
        scan: scan.to_owned(),
        sample: rows.sample.value(i).to_owned(),
        container: rows.container.value(i).to_owned(),
        keys: rows.keys.iter().map(|(name, texts)| (name.clone(), texts.value(i).to_owned())).collect(),
        line: rows.line.value(i),
        pixel: rows.pixel.value(i),
        x_mm: rows.x_mm.value(i),
        y_mm: rows.y_mm.value(i),
        time_ns: rows.time_ns.value(i),
        quality: rows.quality[i],
        figures: rows.figures.iter().map(|(name, values)| (name.clone(), values.value(i))).collect(),
        embedding: rows.embedding.value(i).to_vec(),
    }
}
