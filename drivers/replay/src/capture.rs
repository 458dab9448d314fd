//! The Lumo folder layout: `capture/NAME.hdr` with `DARKREF_NAME.hdr` and `WHITEREF_NAME.hdr` beside it. hyclus writes its table
//! of lines `NAME.lines.csv` beside its own recordings.

use crate::envi::{self, Image, ImageError};
use contract::Layout;
use std::io;
use std::path::{Path, PathBuf};

/// First words of the names of references. A reference is no image of its own. Lumo also writes a dark frame for the white one,
/// hyclus the dark after the scan.
const REFERENCES: [&str; 4] = ["DARKREF_", "WHITEREF_", "WHITEDARKREF_", "DARKREFAFTER_"];

/// First line of a table of lines.
pub const LINES_HEADER: &str = "line,frame,time_ns,position_mm,status";

/// A fault of a capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The image or a reference cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is no image in the folder.
    #[error("{} holds no capture: no .hdr that is not a DARKREF_ or WHITEREF_; name the capture folder or its header", folder.display())]
    NoImage {
        /// The folder.
        folder: PathBuf,
    },
    /// There are several images in the folder.
    #[error("{} holds several captures: {}; name one of them", folder.display(), names.join(", "))]
    SeveralImages {
        /// The folder.
        folder: PathBuf,
        /// Their headers, sorted.
        names: Vec<String>,
    },
    /// A reference does not fit the image.
    #[error(
        "{}: a reference of {} samples x {} bands ({:?}), its image has {} x {} ({:?}); record both with the same settings",
        path.display(), found.pixels, found.bands, found.format, expected.pixels, expected.bands, expected.format
    )]
    Reference {
        /// Header of the reference.
        path: PathBuf,
        /// Shape of the image's lines.
        expected: Layout,
        /// Shape of the reference's lines.
        found: Layout,
    },
    /// The table of lines has more or fewer rows than the image has lines.
    #[error("{}: {rows} rows for {lines} lines of the image; the table or the image was cut off", path.display())]
    Rows {
        /// The table.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// Lines of the image.
        lines: usize,
    },
    /// A row of the table of lines cannot be understood.
    #[error("{}:{row}: {reason}", path.display())]
    Row {
        /// The table.
        path: PathBuf,
        /// Line of the file, from 1.
        row: usize,
        /// The fault of the row.
        reason: String,
    },
}

/// A doubt about a capture that was read all the same.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Warning {
    /// A doubt in a header.
    #[error("{}: {warning}", path.display())]
    Header {
        /// The header.
        path: PathBuf,
        /// The doubt.
        warning: envi::Warning,
    },
    /// The last row of the table of lines was cut off while it was written.
    #[error("{}: the last row is cut off; {rows} whole rows for {lines} lines of the image, {used} used", path.display())]
    TornRow {
        /// The table.
        path: PathBuf,
        /// Whole rows.
        rows: usize,
        /// Lines of the image.
        lines: usize,
        /// Lines that have both.
        used: usize,
    },
}

/// One row of the table of lines.
#[derive(Debug, Clone, PartialEq)]
pub struct LineRecord {
    /// The camera's frame number in the recording. A step of more than one is a hole.
    pub frame: u64,
    /// Host time at exposure, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Belt position at exposure, mm, where it was known.
    pub position_mm: Option<f64>,
    /// The fault of a line that cannot be used. `None` for `ok`.
    pub fault: Option<String>,
}

/// A reference of a capture, or its expected place.
#[derive(Debug, Clone)]
pub enum Reference {
    /// The reference.
    Found(Image),
    /// The path without a file.
    Missing(PathBuf),
}

/// An open capture.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Name of the capture. It is the header's name without the ending.
    pub name: String,
    /// The recording of the tray.
    pub image: Image,
    /// The dark recording.
    pub dark: Reference,
    /// The recording of the white panel.
    pub white: Reference,
    /// The dark recording after the scan.
    pub dark_after: Reference,
    /// The table of lines, one row for each usable line, where there is one.
    pub records: Option<Vec<LineRecord>>,
    /// Number of torn rows in the table (0 or 1).
    pub torn_rows: usize,
    /// Doubts about the capture.
    pub warnings: Vec<Warning>,
}

impl Capture {
    /// Opens a capture by the folder that holds `capture/`, by the `capture` folder itself, by a header or by a data file.
    ///
    /// # Errors
    /// [`CaptureError`] for no image or several, an unreadable file, a reference of another shape, or a table that does not fit.
    /// A missing reference or table is no error.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let image_path = if path.is_dir() { image_in(path)? } else { path.to_owned() };
        let mut warnings = Vec::new();
        let image = open(&image_path, &mut warnings)?;
        let name = image.header_path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = image.header_path().parent().unwrap_or(Path::new("")).to_owned();
        let mut reference = |first: &str| -> Result<Reference, CaptureError> {
            let path = folder.join(format!("{first}{name}.hdr"));
            if !path.is_file() {
                return Ok(Reference::Missing(path));
            }
            let reference = open(&path, &mut warnings)?;
            let (expected, found) = (image.layout(), reference.layout());
            if expected == found { Ok(Reference::Found(reference)) } else { Err(CaptureError::Reference { path, expected, found }) }
        };
        let dark = reference("DARKREF_")?;
        let white = reference("WHITEREF_")?;
        let dark_after = reference("DARKREFAFTER_")?;

        let table = folder.join(format!("{name}.lines.csv"));
        let lines = image.header().lines;
        let (mut records, mut torn_rows) = (None, 0);
        if table.is_file() {
            let (mut rows, torn) = read_records(&table)?;
            if torn {
                let used = rows.len().min(lines);
                warnings.push(Warning::TornRow { path: table, rows: rows.len(), lines, used });
                rows.truncate(used);
                torn_rows = 1;
            } else if rows.len() != lines {
                return Err(CaptureError::Rows { path: table, rows: rows.len(), lines });
            }
            records = Some(rows);
        }
        Ok(Self { name, image, dark, white, dark_after, records, torn_rows, warnings })
    }

    /// Lines that can be played. They are those of the image, or those of a shorter torn table.
    pub fn lines(&self) -> usize {
        self.records.as_ref().map_or(self.image.header().lines, Vec::len)
    }
}

fn open(path: &Path, warnings: &mut Vec<Warning>) -> Result<Image, CaptureError> {
    let (image, doubts) = Image::open(path)?;
    let header = image.header_path();
    warnings.extend(doubts.into_iter().map(|warning| Warning::Header { path: header.to_owned(), warning }));
    Ok(image)
}

/// The header of the one image in a folder or in its `capture` folder.
fn image_in(folder: &Path) -> Result<PathBuf, CaptureError> {
    let inside = folder.join("capture");
    let folder = if inside.is_dir() { inside } else { folder.to_owned() };
    let io = |source| CaptureError::Io { path: folder.clone(), source };
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
        let is_header = name.to_ascii_lowercase().ends_with(".hdr") && !name.starts_with('.');
        let is_reference = REFERENCES.iter().any(|first| name.get(..first.len()).is_some_and(|start| start.eq_ignore_ascii_case(first)));
        if is_header && !is_reference {
            names.push(name);
        }
    }
    names.sort();
    match names.as_slice() {
        [] => Err(CaptureError::NoImage { folder }),
        [name] => Ok(folder.join(name)),
        _ => Err(CaptureError::SeveralImages { folder, names }),
    }
}

/// Reads the whole rows of a table of lines, and whether its last one is torn. A crash leaves a torn row without an end of line,
/// on some file systems with zeros behind it.
///
/// # Errors
/// [`CaptureError`] for an unreadable file, or for a malformed row, with its line.
pub fn read_records(path: &Path) -> Result<(Vec<LineRecord>, bool), CaptureError> {
    let bytes = std::fs::read(path).map_err(|source| CaptureError::Io { path: path.to_owned(), source })?;
    parse_records(&bytes).map_err(|(row, reason)| CaptureError::Row { path: path.to_owned(), row, reason })
}

/// Reads a table as [`read_records`] does, from the contents of the file.
///
/// # Errors
/// The line of the file, from 1, and its fault.
pub fn parse_records(bytes: &[u8]) -> Result<(Vec<LineRecord>, bool), (usize, String)> {
    let wrong = |row: usize, reason: String| (row, reason);
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let zeros = end < bytes.len();
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut rows = text.split_inclusive('\n').enumerate();
    match rows.next() {
        // The cut lies within the first line. Nothing was recorded yet.
        None => return Ok((Vec::new(), true)),
        Some((_, first)) if !first.ends_with('\n') && LINES_HEADER.starts_with(first) => return Ok((Vec::new(), first != LINES_HEADER)),
        Some((_, first)) if first.trim_end() == LINES_HEADER => {}
        Some((_, first)) => return Err(wrong(1, format!("the first line is `{LINES_HEADER}`, here it is `{}`", first.trim_end()))),
    }
    let mut records: Vec<LineRecord> = Vec::new();
    for (index, row) in rows {
        let before = records.last().map(|record| record.frame);
        match parse_record(row.trim_end_matches(['\n', '\r']), records.len(), before) {
            Ok(record) if row.ends_with('\n') || record.fault.is_none() => records.push(record),
            // Without its end of line, only `ok` is known to be the whole status.
            Ok(_) => return Ok((records, true)),
            Err(_) if !row.ends_with('\n') => return Ok((records, true)),
            Err(reason) => return Err(wrong(index + 1, reason)),
        }
    }
    Ok((records, zeros))
}

fn parse_record(row: &str, line: usize, frame_before: Option<u64>) -> Result<LineRecord, String> {
    let mut fields = row.splitn(5, ',').map(str::trim);
    let (Some(line_field), Some(frame), Some(time), Some(position), Some(status)) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(format!("five fields are needed ({LINES_HEADER}), here is `{row}`"));
    };
    if line_field.parse() != Ok(line) {
        return Err(format!("line is {line} here, not `{line_field}`; rows were lost or added"));
    }
    let frame: u64 = frame.parse().map_err(|_| format!("frame `{frame}` is not a whole number"))?;
    if let Some(before) = frame_before.filter(|before| frame <= *before) {
        return Err(format!("frame {frame} comes after frame {before}; frame numbers increase"));
    }
    let time_ns: i64 = time.parse().map_err(|_| format!("time_ns `{time}` is not a whole number"))?;
    let position_mm = match position {
        "" => None,
        text => Some(text.parse().ok().filter(|mm: &f64| mm.is_finite()).ok_or(format!("position_mm `{text}` is not a number"))?),
    };
    match status {
        "" => Err("status is empty; write `ok`, or why not".to_owned()),
        "ok" => Ok(LineRecord { frame, time_ns, position_mm, fault: None }),
        // A torn row could leave only the `ok` of such a name. The line would then look good.
        why if why.starts_with("ok") => Err(format!("status `{why}` is neither `ok` nor the name of a fault, which begins otherwise")),
        why => Ok(LineRecord { frame, time_ns, position_mm, fault: Some(why.to_owned()) }),
    }
}
