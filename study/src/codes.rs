//! Codes of all spectra, in memory or in a file. Steps read some rows at a time, so that codes need not fit into memory.

use crate::floats::read_floats;
use ndarray::{Array2, Axis, s};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The longest header that is read, in bytes. Our headers have less than 200 bytes.
const MOST_HEADER: u64 = 1 << 16;
/// Rows of one batch.
const BATCH: usize = 1 << 14;
/// The tensor that holds the codes.
const TENSOR: &str = "codes";

/// A table of codes `(spectra, features)`, in memory or in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Codes {
    /// A table in memory.
    Memory(Array2<f32>),
    /// A table in a file.
    File(CodesFile),
}

/// A safetensors file with the tensor `codes`, float32 of `(spectra, features)`. The format is that of
/// <https://github.com/huggingface/safetensors#format>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodesFile {
    path: PathBuf,
    /// Offset of the first value, bytes.
    start: u64,
    shape: (usize, usize),
}

/// Codes that are missing, or that belong to other spectra.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} does not hold the codes of these spectra ({reason}); run `hyclus-study encode`", path.display())]
pub struct CodesError {
    /// The file's path.
    pub path: PathBuf,
    /// The fault, in words.
    pub reason: String,
}

/// The entry of a tensor in the header of a safetensors file.
#[derive(Debug, Serialize, Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Codes {
    /// The shape of the table, `(spectra, features)`.
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Self::Memory(values) => values.dim(),
            Self::File(file) => file.shape,
        }
    }

    /// Codes `(rows, features)` of some rows, in the order of `rows`. Each row is below the number of spectra.
    ///
    /// # Errors
    ///
    /// [`CodesError`] for a file that cannot be read.
    pub fn select(&self, rows: &[usize]) -> Result<Array2<f32>, CodesError> {
        match self {
            Self::Memory(values) => Ok(values.select(Axis(0), rows)),
            Self::File(file) => file.select(rows),
        }
    }

    /// All rows in order, batch by batch. Each batch comes with the number of its first row.
    pub fn batches(&self) -> impl Iterator<Item = Result<(usize, Array2<f32>), CodesError>> + '_ {
        let count = self.dim().0;
        (0..count).step_by(BATCH).map(move |first| {
            let rows = first..count.min(first + BATCH);
            let batch = match self {
                Self::Memory(values) => values.slice(s![rows, ..]).to_owned(),
                Self::File(file) => file.block(rows)?,
            };
            Ok((first, batch))
        })
    }
}

impl From<Array2<f32>> for Codes {
    fn from(values: Array2<f32>) -> Self {
        Self::Memory(values)
    }
}

impl CodesFile {
    /// Reads the header of a file.
    ///
    /// # Errors
    ///
    /// [`CodesError`] for a file that is missing, not whole, or no file of codes.
    pub fn open(path: &Path) -> Result<Self, CodesError> {
        let wrong = |reason: String| CodesError { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(|e| wrong(e.to_string()))?;
        let size = file.metadata().map_err(|e| wrong(e.to_string()))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|e| wrong(e.to_string()))?;
        let length = u64::from_le_bytes(length);
        if length > MOST_HEADER.min(size) {
            return Err(wrong("it is no safetensors file".into()));
        }
        let mut header = Vec::new();
        file.take(length).read_to_end(&mut header).map_err(|e| wrong(e.to_string()))?;
        let header: serde_json::Value = serde_json::from_slice(&header).map_err(|e| wrong(e.to_string()))?;
        let tensor = header.get(TENSOR).ok_or_else(|| wrong(format!("it has no `{TENSOR}`")))?;
        let tensor: Tensor = serde_json::from_value(tensor.clone()).map_err(|e| wrong(e.to_string()))?;
        let (&[spectra, features], "F32") = (&tensor.shape[..], &tensor.dtype[..]) else {
            return Err(wrong(format!(
                "its values are {} of {:?}, and float32 of (spectra, features) are expected",
                tensor.dtype, tensor.shape
            )));
        };
        let start = (8 + length).checked_add(tensor.data_offsets.0);
        let bytes = spectra.checked_mul(features).and_then(|count| count.checked_mul(4)).map(|bytes| bytes as u64);
        if bytes.is_none()
            || bytes != tensor.data_offsets.1.checked_sub(tensor.data_offsets.0)
            || bytes > start.and_then(|start| size.checked_sub(start))
        {
            return Err(wrong(format!("it has {size} bytes, too few or many for {spectra} spectra of {features} codes")));
        }
        Ok(Self { path: path.to_owned(), start: start.unwrap_or(size), shape: (spectra, features) })
    }

    /// Number of spectra that have codes.
    pub fn spectra(&self) -> usize {
        self.shape.0
    }

    fn select(&self, rows: &[usize]) -> Result<Array2<f32>, CodesError> {
        self.read(rows.len(), rows.iter().map(|row| *row..*row + 1))
    }

    fn block(&self, rows: Range<usize>) -> Result<Array2<f32>, CodesError> {
        self.read(rows.len(), [rows])
    }

    /// Reads `count` rows, given as runs of consecutive rows.
    fn read(&self, count: usize, runs: impl IntoIterator<Item = Range<usize>>) -> Result<Array2<f32>, CodesError> {
        let features = self.shape.1;
        let (mut values, mut bytes) = (Array2::zeros((count, features)), Vec::new());
        let mut rest = values.as_slice_mut().unwrap_or_default();
        let read = || {
            let file = File::open(&self.path)?;
            for run in runs {
                let (now, later) = std::mem::take(&mut rest).split_at_mut(run.len() * features);
                read_floats(&file, self.start + (run.start * features * 4) as u64, now, &mut bytes)?;
                rest = later;
            }
            Ok(())
        };
        read().map_err(|e: std::io::Error| CodesError { path: self.path.clone(), reason: e.to_string() })?;
        Ok(values)
    }
}

/// A file of codes in the making. It has another name until it is complete.
#[derive(Debug)]
pub struct CodesWriter {
    file: BufWriter<File>,
    path: PathBuf,
}

impl CodesWriter {
    /// Begins the file `path` for codes of shape `(spectra, features)`.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn create(path: &Path, (spectra, features): (usize, usize)) -> std::io::Result<Self> {
        let data_offsets = (0, (spectra * features * 4) as u64);
        let tensor = Tensor { dtype: "F32".into(), shape: vec![spectra, features], data_offsets };
        let mut header = serde_json::json!({ TENSOR: tensor }).to_string();
        // The values begin at a multiple of eight.
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
        let mut file = BufWriter::new(File::create(path.with_extension("new"))?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Adds the codes of the next spectra, `(rows, features)`.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn push(&mut self, codes: &Array2<f32>) -> std::io::Result<()> {
        codes.iter().try_for_each(|code| self.file.write_all(&code.to_le_bytes()))
    }

    /// Gives the file its final name after its bytes are on the disk.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn finish(self) -> std::io::Result<()> {
        self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(self.path.with_extension("new"), &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &Path, values: &Array2<f32>) {
        let mut writer = CodesWriter::create(path, values.dim()).unwrap();
        values.axis_chunks_iter(Axis(0), 1000).for_each(|batch| writer.push(&batch.to_owned()).unwrap());
        writer.finish().unwrap();
    }

    #[test]
    fn a_file_gives_what_memory_gives_and_others_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.safetensors");
        let values = Array2::from_shape_fn((2 * BATCH + 5, 3), |(row, code)| row as f32 + code as f32 / 8.0);
        written(&path, &values);
        let (file, memory) = (Codes::File(CodesFile::open(&path).unwrap()), Codes::from(values.clone()));
        assert_eq!(file.dim(), memory.dim());
        let rows = [2 * BATCH + 4, 0, 7, 7, BATCH];
        assert_eq!(file.select(&rows).unwrap(), memory.select(&rows).unwrap());
        let batches: Vec<_> = file.batches().collect::<Result<_, _>>().unwrap();
        assert_eq!(
            batches.iter().map(|(first, batch)| (*first, batch.nrows())).collect::<Vec<_>>(),
            [(0, BATCH), (BATCH, BATCH), (2 * BATCH, 5)]
        );
        assert_eq!(batches, memory.batches().collect::<Result<Vec<_>, _>>().unwrap());
        let read = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
        assert_eq!(read["codes"].flatten_all().unwrap().to_vec1::<f32>().unwrap(), values.into_raw_vec_and_offset().0);
        assert!(!path.with_extension("new").exists());
    }

    #[test]
    fn what_is_no_file_of_codes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.safetensors");
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            CodesFile::open(&path).unwrap_err().to_string()
        };
        assert!(CodesFile::open(&path).unwrap_err().reason.contains("No such file"));
        written(&path, &Array2::zeros((20, 4)));
        let whole = std::fs::read(&path).unwrap();
        let torn = said(&whole[..whole.len() - 1]);
        assert!(torn.contains("codes.safetensors does not hold the codes of these spectra (it has"), "{torn}");
        assert!(torn.contains("for 20 spectra of 4 codes); run `hyclus-study encode`"), "{torn}");
        let header = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &[0; 64]].concat();
        for (bytes, reason) in [
            (whole[..7].to_vec(), "fill whole buffer"),
            (u64::MAX.to_le_bytes().to_vec(), "it is no safetensors file"),
            (header("{}"), "it has no `codes`"),
            (header(r#"{"codes":{"dtype":"F64","shape":[4,2],"data_offsets":[0,64]}}"#), "its values are F64 of [4, 2]"),
            (header(r#"{"codes":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}"#), "its values are F32 of [16]"),
            (header(r#"{"codes":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#), "too few or many"),
            (header(r#"{"codes":{"dtype":"F32","shape":[4,4],"data_offsets":[8,4]}}"#), "too few or many"),
            (
                header(r#"{"codes":{"dtype":"F32","shape":[4,4],"data_offsets":[18446744073709551551,18446744073709551615]}}"#),
                "too few or many",
            ),
        ] {
            let said = said(&bytes);
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn a_file_that_is_not_finished_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.safetensors");
        written(&path, &Array2::ones((3, 2)));
        CodesWriter::create(&path, (3, 2)).unwrap().push(&Array2::zeros((2, 2))).unwrap();
        assert_eq!(Codes::File(CodesFile::open(&path).unwrap()).select(&[0, 1, 2]).unwrap(), Array2::<f32>::ones((3, 2)));
    }
}
