//! The history of a camera's wavelength axis: one line for each check, in a CSV file beside the recorded references.

use crate::disk::create_over;
use crate::scan::{WavelengthCheck, day, iso, now_ns};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The origin of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A white reference.
    White,
    /// `hyclus calibrate wavelength --write`.
    Calibration,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct HistoryLine {
    /// Time of the reference or of the recording (ISO 8601, UTC).
    pub time: String,
    /// The camera's name.
    pub camera: String,
    /// The origin.
    pub origin: Origin,
    /// Shift that remained after the configured one, nm.
    pub shift_nm: f64,
    /// Standard uncertainty of the shift, nm.
    pub shift_uncertainty_nm: f64,
    /// Smile that remained after the configured one, nm.
    pub smile_nm: Option<f64>,
    /// Standard uncertainty of the smile, nm.
    pub smile_uncertainty_nm: Option<f64>,
    /// Configured shift at that time, nm.
    pub configured_shift_nm: f64,
    /// Configured smile at that time, nm.
    pub configured_smile_nm: f64,
}

const HEAD: &str =
    "time,camera,origin,shift_nm,shift_uncertainty_nm,smile_nm,smile_uncertainty_nm,configured_shift_nm,configured_smile_nm\n";
/// Most bytes of a file before old lines are thinned out.
const MOST_BYTES: u64 = 1 << 20;
/// Most bytes of a file that is read. A file of one line a day for a thousand years has less.
const MOST_READ: u64 = 64 << 20;
/// Age from which one line a day is kept, days.
const WHOLE_DAYS: i32 = 365;

impl HistoryLine {
    /// The line of a check at `time_ns` (ns since 1970-01-01T00:00:00Z), under the configured shift and smile, nm.
    pub fn new(camera: &str, origin: Origin, time_ns: i64, check: &WavelengthCheck, (shift_nm, smile_nm): (f64, f64)) -> Self {
        Self {
            time: iso(time_ns),
            camera: camera.to_owned(),
            origin,
            shift_nm: check.shift_nm,
            shift_uncertainty_nm: check.shift_uncertainty_nm,
            smile_nm: check.smile_nm,
            smile_uncertainty_nm: check.smile_uncertainty_nm,
            configured_shift_nm: shift_nm,
            configured_smile_nm: smile_nm,
        }
    }

    fn text(&self) -> String {
        let origin = if self.origin == Origin::White { "white" } else { "calibration" };
        let maybe = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
        format!(
            "{},{},{origin},{:.4},{:.4},{},{},{},{}\n",
            self.time,
            self.camera,
            self.shift_nm,
            self.shift_uncertainty_nm,
            maybe(self.smile_nm),
            maybe(self.smile_uncertainty_nm),
            self.configured_shift_nm,
            self.configured_smile_nm
        )
    }

    /// A line of the file; `None` for the head and for what is no line.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let [time, camera, origin, shift, shift_u, smile, smile_u, configured_shift, configured_smile] = fields[..] else { return None };
        let number = |field: &str| field.parse::<f64>().ok().filter(|number| number.is_finite());
        let origin = match origin {
            "white" => Origin::White,
            "calibration" => Origin::Calibration,
            _ => return None,
        };
        Some(Self {
            time: time.to_owned(),
            camera: camera.to_owned(),
            origin,
            shift_nm: number(shift)?,
            shift_uncertainty_nm: number(shift_u)?,
            smile_nm: number(smile),
            smile_uncertainty_nm: number(smile_u),
            configured_shift_nm: number(configured_shift)?,
            configured_smile_nm: number(configured_smile)?,
        })
    }

    /// The day of the line, UTC.
    fn day(&self) -> Option<jiff::civil::Date> {
        self.time.get(..10)?.parse().ok()
    }
}

/// The history of a camera below a data root.
pub fn history_path(data_dir: &Path, camera: &str) -> PathBuf {
    data_dir.join("references").join(camera).join(NAME)
}

const NAME: &str = "wavelength.csv";

/// Adds a line to the history in `folder`, the camera's folder of recorded references. A line that a crash left torn is cut off first.
///
/// # Errors
/// The file cannot be written.
pub fn append_history(folder: &Path, line: &HistoryLine) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(NAME);
    let mut file = File::options().read(true).append(true).create(true).open(&path)?;
    let whole = whole_bytes(&mut file)?;
    if whole < file.metadata()?.len() {
        file.set_len(whole)?;
    }
    let text = if whole == 0 { format!("{HEAD}{}", line.text()) } else { line.text() };
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    if whole > MOST_BYTES {
        thin_out(&path, day(now_ns()))?;
    }
    Ok(())
}

/// Number of bytes up to the end of the last whole line.
fn whole_bytes(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    // A line is far shorter.
    let from = length.saturating_sub(4096);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(4096).read_to_end(&mut tail)?;
    let end = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(from + end as u64)
}

/// The lines of the history at `path`, oldest first. Lines that cannot be understood are passed over. No file is no line.
///
/// # Errors
/// The file cannot be read.
pub fn read_history(path: &Path) -> io::Result<Vec<HistoryLine>> {
    match contract::read_regular_text(path, MOST_READ) {
        Ok(text) => Ok(text.lines().filter_map(HistoryLine::parse).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Keeps the last line of each day that is older than a year. Calibrations stay.
fn thin_out(path: &Path, today: jiff::civil::Date) -> io::Result<()> {
    let lines = read_history(path)?;
    let old = |line: &HistoryLine| line.day().is_some_and(|day| (today - day).get_days() > WHOLE_DAYS);
    let mut text = HEAD.to_owned();
    for (i, line) in lines.iter().enumerate() {
        let last = lines.get(i + 1).is_none_or(|next| next.day() != line.day());
        if last || !old(line) || line.origin == Origin::Calibration {
            text.push_str(&line.text());
        }
    }
    let part = path.with_extension("csv.part");
    let mut file = create_over(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time_ns: i64, shift_nm: f64) -> HistoryLine {
        let check = WavelengthCheck { shift_nm, shift_uncertainty_nm: 0.05, smile_nm: Some(0.25), ..WavelengthCheck::default() };
        HistoryLine::new("swir", Origin::White, time_ns, &check, (0.5, 0.0))
    }

    const DAY_NS: i64 = 86_400_000_000_000;

    #[test]
    fn lines_are_added_and_a_torn_one_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        assert_eq!(read_history(&path).unwrap(), []);
        append_history(folder.path(), &line(0, 0.5)).unwrap();
        append_history(folder.path(), &line(DAY_NS, -0.25)).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!(whole.lines().nth(2).unwrap(), "1970-01-02T00:00:00.000Z,swir,white,-0.2500,0.0500,0.2500,,0.5,0");
        std::fs::write(&path, format!("{whole}1970-01-03T00:0")).unwrap();
        append_history(folder.path(), &line(3 * DAY_NS, 0.125)).unwrap();
        let read = read_history(&path).unwrap();
        assert_eq!(read, [line(0, 0.5), line(DAY_NS, -0.25), line(3 * DAY_NS, 0.125)]);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn old_days_keep_their_last_line_and_calibrations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for at in 0..6 {
            let mut line = line(at * DAY_NS / 3, 0.5);
            line.origin = if at == 0 { Origin::Calibration } else { Origin::White };
            append_history(folder.path(), &line).unwrap();
        }
        let times = || read_history(&path).unwrap().into_iter().map(|line| line.time).collect::<Vec<_>>();
        thin_out(&path, day(300 * DAY_NS)).unwrap();
        assert_eq!(times().len(), 6);
        thin_out(&path, day(366 * DAY_NS)).unwrap();
        assert_eq!(times()[..3], ["1970-01-01T00:00:00.000Z", "1970-01-01T16:00:00.000Z", "1970-01-02T00:00:00.000Z"]);
        assert_eq!(times().len(), 5);
    }
}
