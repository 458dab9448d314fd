//! The Lumo folder layout: `capture/NAME.hdr` with `DARKREF_NAME.hdr` and `WHITEREF_NAME.hdr` beside it. hyclus writes its table
//! of lines `NAME.lines.csv` beside its own recordings.

use crate::date;
use crate::envi::{self, DATA_ENDINGS, Header, Image, ImageError, Name, Neighbours, without_ending, without_hdr};
use contract::Layout;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// First words of the names of references. A reference is no image of its own. hyclus alone writes those after the scan.
const REFERENCES: [&str; 7] =
    ["DARKREF_", "WHITEREF_", "WHITEDARKREF_", "DARKREFAFTER_", "WHITEREFAFTER_", "darkReference", "whiteReference"];

/// Names of Headwall's references. A folder has one of each for all of its images.
const OF_FOLDER: [(&str, &str); 2] = [("DARKREF_", "darkReference"), ("WHITEREF_", "whiteReference")];

/// First line of a table of lines.
pub const LINES_HEADER: &str = "line,frame,time_ns,position_mm,status";

/// Rows by which a table may be ahead of its image after a crash. More are not read.
const ROWS_AHEAD: usize = 1 << 16;

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
    #[error("{} holds several captures: {}; name one of them", folder.display(), list(names))]
    SeveralImages {
        /// The folder.
        folder: PathBuf,
        /// Their headers, sorted.
        names: Vec<String>,
    },
    /// A reference does not fit the image.
    #[error(
        "{}: a reference of {} samples x {} bands, its image has {} x {}; record both with the same binning and region of the detector",
        path.display(), found.pixels, found.bands, expected.pixels, expected.bands
    )]
    Reference {
        /// Header of the reference.
        path: PathBuf,
        /// Shape of the image's lines.
        expected: Layout,
        /// Shape of the reference's lines.
        found: Layout,
    },
    /// Several files could be a reference.
    #[error("{} could all be the {first} of the capture; move all but one away", list(names))]
    SeveralReferences {
        /// First word of their names.
        first: &'static str,
        /// Their headers, sorted.
        names: Vec<String>,
    },
    /// The table of lines has more or fewer rows than the image has lines.
    #[error("{}: {rows} rows for {lines} lines of the image; the table or the image was cut off", path.display())]
    Rows {
        /// The table.
        path: PathBuf,
        /// Its rows, as far as they were read.
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

fn list(names: &[String]) -> String {
    const MOST: usize = 20;
    let first = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST { format!("{first} and {} more", names.len() - MOST) } else { first }
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
    /// Dark lines at the end of the image of the tray (`autodarkstartline`), from 0.
    Within(Range<usize>),
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
    /// The dark recording that belongs to the white one (`WHITEDARKREF_`, Lumo's name).
    pub white_dark: Reference,
    /// The dark recording after the scan.
    pub dark_after: Reference,
    /// The recording of the white panel after the scan.
    pub white_after: Reference,
    /// Lines of the image that show the tray. Dark lines behind them are not among them.
    pub tray_lines: usize,
    /// The date by the header of the image, ns since 1970-01-01T00:00:00Z, where it has one.
    pub dated_ns: Option<i64>,
    /// The table of lines, one row for each line of the image, where there is one.
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
        let header = image.header_path();
        let neighbours = Neighbours::of(header);
        let names = names_of(&image);
        let mut reference = |first: &'static str| -> Result<Reference, CaptureError> {
            let mut found = neighbours.named(&named(first, &names));
            if let (true, Some((_, name))) = (found.is_empty(), OF_FOLDER.iter().find(|(prefix, _)| *prefix == first)) {
                found = neighbours.named(&named(name, &[Vec::new()]));
            }
            let Some(path) = found.pop() else {
                return Ok(Reference::Missing(header.with_file_name(OsStr::from_bytes(&[first.as_bytes(), &names[0], b".hdr"].concat()))));
            };
            if !found.is_empty() {
                let names = found.iter().chain([&path]).map(|path| path.display().to_string()).collect();
                return Err(CaptureError::SeveralReferences { first: first.trim_end_matches('_'), names });
            }
            let reference = open(&path, &mut warnings)?;
            let (expected, found) = (image.layout(), reference.layout());
            let fits = (expected.pixels, expected.bands) == (found.pixels, found.bands);
            if fits { Ok(Reference::Found(reference)) } else { Err(CaptureError::Reference { path, expected, found }) }
        };
        let mut dark = reference("DARKREF_")?;
        let white = reference("WHITEREF_")?;
        let white_dark = reference("WHITEDARKREF_")?;
        let mut dark_after = reference("DARKREFAFTER_")?;
        let white_after = reference("WHITEREFAFTER_")?;
        let mut doubt = |warning: envi::Warning| warnings.push(Warning::Header { path: header.to_owned(), warning });
        let lines = image.header().lines;
        let tray_lines = first_dark_line(image.header(), &mut doubt).unwrap_or(lines);
        if tray_lines < lines {
            // Frames from the end of the scan are its dark reference, unless there is one from before. Then they show the drift.
            let place = [&mut dark, &mut dark_after].into_iter().find(|place| matches!(place, Reference::Missing(_)));
            place.into_iter().for_each(|place| *place = Reference::Within(tray_lines..lines));
        }
        let dated_ns = date::date_ns(image.header(), &mut doubt);

        let table = names.iter().map(|name| header.with_file_name(OsStr::from_bytes(&[name.as_slice(), b".lines.csv"].concat())));
        let (mut records, mut torn_rows) = (None, 0);
        if let Some(table) = table.into_iter().find(|table| table.symlink_metadata().is_ok()) {
            let (mut rows, torn) = read_some_records(&table, lines.saturating_add(ROWS_AHEAD))?;
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
        let name = String::from_utf8_lossy(&names[0]).into_owned();
        Ok(Self { name, image, dark, white, white_dark, dark_after, white_after, tray_lines, dated_ns, records, torn_rows, warnings })
    }

    /// Lines that can be played. They are those of the tray, or those of a shorter torn table.
    pub fn lines(&self) -> usize {
        self.records.as_ref().map_or(self.tray_lines, |rows| rows.len().min(self.tray_lines))
    }
}

/// The names of an image: that of its header, and before it the same without the ending of its data.
fn names_of(image: &Image) -> Vec<Vec<u8>> {
    let bytes = |path: &Path| path.file_name().unwrap_or_default().as_bytes().to_owned();
    let header = bytes(image.header_path());
    let stem = without_hdr(&header).unwrap_or(&header).to_owned();
    let mut names = vec![stem.clone()];
    if stem.eq_ignore_ascii_case(&bytes(image.data_path())) {
        names.insert(0, without_ending(&stem).to_owned());
        names.dedup();
    }
    names
}

/// Every name that the header of a reference may have.
fn named(first: &str, names: &[Vec<u8>]) -> Vec<Name> {
    let endings = || DATA_ENDINGS.iter().map(|ending| format!(".{ending}.hdr")).chain([".hdr".to_owned()]);
    names.iter().flat_map(|name| endings().map(move |ending| ([first.as_bytes(), name].concat(), ending))).collect()
}

/// The first line with a closed shutter, from 0, where the recorder took dark frames at the end (`autodarkstartline` of Lumo).
fn first_dark_line(header: &Header, doubt: &mut impl FnMut(envi::Warning)) -> Option<usize> {
    let value = header.get("autodarkstartline").filter(|value| !value.is_empty())?;
    let lines = header.lines;
    match value.parse::<usize>() {
        Ok(line) if (1..=lines).contains(&line) => Some(line),
        // A recorder without dark frames may write this.
        Ok(0) if lines == 0 => None,
        _ => {
            doubt(envi::Warning::NoDarkLine { value: value.chars().take(40).collect(), lines });
            None
        }
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

/// Reads the whole rows of a table of lines, and whether it is torn behind them. A crash leaves a row without an end of line. A power cut
/// leaves zeros where rows were.
///
/// # Errors
/// [`CaptureError`] for an unreadable file, or for a malformed row, with its line.
pub fn read_records(path: &Path) -> Result<(Vec<LineRecord>, bool), CaptureError> {
    read_some_records(path, usize::MAX)
}

/// Reads as [`read_records`] does, and at most `most` rows.
fn read_some_records(path: &Path, most: usize) -> Result<(Vec<LineRecord>, bool), CaptureError> {
    let io = |source| CaptureError::Io { path: path.to_owned(), source };
    let file = contract::open_regular(path).map_err(io)?;
    records(BufReader::with_capacity(1 << 16, file), most).map_err(|fault| match fault {
        RowFault::Row(row, reason) => CaptureError::Row { path: path.to_owned(), row, reason },
        RowFault::Io(source) => io(source),
    })
}

/// Reads a table as [`read_records`] does, from the contents of the file.
///
/// # Errors
/// The line of the file, from 1, and its fault.
pub fn parse_records(bytes: &[u8]) -> Result<(Vec<LineRecord>, bool), (usize, String)> {
    records(bytes, usize::MAX).map_err(|fault| match fault {
        RowFault::Row(row, reason) => (row, reason),
        RowFault::Io(error) => (0, error.to_string()),
    })
}

/// A fault in reading a table.
enum RowFault {
    /// The line of the file, from 1, and its fault.
    Row(usize, String),
    Io(io::Error),
}

/// Longest row of a table, bytes. The longest number of millimetres has some three hundred digits.
const MOST_ROW_BYTES: u64 = 4096;

/// Reads at most `most` rows.
fn records(mut from: impl BufRead, most: usize) -> Result<(Vec<LineRecord>, bool), RowFault> {
    let mut records: Vec<LineRecord> = Vec::new();
    let mut row = Vec::new();
    for number in 1.. {
        row.clear();
        (&mut from).take(MOST_ROW_BYTES).read_until(b'\n', &mut row).map_err(RowFault::Io)?;
        let wrong = |reason: String| Err(RowFault::Row(number, reason));
        // Zeros stand where text did not reach the disk. Text behind them tells nothing.
        let written = row.iter().position(|byte| *byte == 0).unwrap_or(row.len());
        let zeros = written < row.len();
        let whole = !zeros && row.last() == Some(&b'\n');
        if !whole && !zeros && row.len() as u64 == MOST_ROW_BYTES {
            return wrong(format!("the row is longer than {MOST_ROW_BYTES} bytes; is this a table of lines?"));
        }
        let text = String::from_utf8_lossy(&row[..written]);
        if number == 1 {
            match &*text {
                // The cut lies within the first line. Nothing was recorded yet.
                "" => return Ok((records, true)),
                first if !whole && LINES_HEADER.starts_with(first) => return Ok((records, first != LINES_HEADER)),
                first if first.trim_end() == LINES_HEADER => {}
                first => return wrong(format!("the first line is `{LINES_HEADER}`, here it is `{}`", shorten(first.trim_end()))),
            }
        } else if text.is_empty() {
            return Ok((records, zeros));
        } else {
            let before = records.last().map(|record| record.frame);
            match parse_record(text.trim_end_matches(['\n', '\r']), records.len(), before) {
                Ok(record) if whole || record.fault.is_none() => records.push(record),
                // Without its end of line, only `ok` is known to be the whole status.
                Ok(_) => return Ok((records, true)),
                Err(_) if !whole => return Ok((records, true)),
                Err(reason) => return wrong(reason),
            }
        }
        if !whole || records.len() >= most {
            return Ok((records, zeros));
        }
    }
    Ok((records, false))
}

/// The first 80 characters, for messages.
fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

fn parse_record(row: &str, line: usize, frame_before: Option<u64>) -> Result<LineRecord, String> {
    let mut fields = row.splitn(5, ',').map(str::trim);
    let (Some(line_field), Some(frame), Some(time), Some(position), Some(status)) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(format!("five fields are needed ({LINES_HEADER}), here is `{}`", shorten(row)));
    };
    if line_field.parse() != Ok(line) {
        return Err(format!("line is {line} here, not `{}`; rows were lost or added", shorten(line_field)));
    }
    let frame: u64 = frame.parse().map_err(|_| format!("frame `{}` is not a whole number", shorten(frame)))?;
    if let Some(before) = frame_before.filter(|before| frame <= *before) {
        return Err(format!("frame {frame} comes after frame {before}; frame numbers increase"));
    }
    let time_ns: i64 = time.parse().map_err(|_| format!("time_ns `{}` is not a whole number", shorten(time)))?;
    let position_mm = match position {
        "" => None,
        text => {
            Some(text.parse().ok().filter(|mm: &f64| mm.is_finite()).ok_or(format!("position_mm `{}` is not a number", shorten(text)))?)
        }
    };
    match status {
        "" => Err("status is empty; write `ok`, or why not".to_owned()),
        "ok" => Ok(LineRecord { frame, time_ns, position_mm, fault: None }),
        // A torn row could leave only the `ok` of such a name. The line would then look good.
        why if why.starts_with("ok") => {
            Err(format!("status `{}` is neither `ok` nor the name of a fault, which begins otherwise", shorten(why)))
        }
        why => Ok(LineRecord { frame, time_ns, position_mm, fault: Some(why.to_owned()) }),
    }
}
