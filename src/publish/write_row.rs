//! Rows of the data set as text.

use super::error::PublishError;
use super::schema::{CONTAINER, EMBEDDING, LINE, PIXEL, QUALITY, SAMPLE, SCAN, TIME, X, Y};
use super::tail::TailRow;
use std::fmt::Display;
use std::io::Write;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns of fixed width, for people.
    Table,
    /// One JSON object per line, with the columns' names.
    Jsonl,
    /// Comma-separated, with a header; the embedding's numbers are `e0`, `e1`, ...
    Csv,
}

/// Writes rows as text.
#[derive(Debug)]
pub struct RowWriter<W> {
    format: Format,
    out: W,
    header: Vec<String>,
}

impl<W: Write> RowWriter<W> {
    /// A writer to `out`.
    pub fn new(format: Format, out: W) -> Self {
        Self { format, out, header: Vec::new() }
    }

    /// Writes a row, after a header where one is due.
    ///
    /// # Errors
    /// The output refuses, or a row has other columns than those before in CSV.
    pub fn write(&mut self, row: &TailRow) -> Result<(), PublishError> {
        match self.format {
            Format::Jsonl => Ok(writeln!(self.out, "{}", json(row))?),
            Format::Csv => self.csv(row),
            Format::Table => Ok(self.table(row)?),
        }
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// The output refuses.
    pub fn flush(&mut self) -> Result<(), PublishError> {
        Ok(self.out.flush()?)
    }

    fn csv(&mut self, row: &TailRow) -> Result<(), PublishError> {
        let header = header(row);
        if self.header.is_empty() {
            writeln!(self.out, "{}", comma_separated(&header))?;
            self.header = header;
        } else if self.header != header {
            return Err(PublishError::Columns { scan: row.scan.clone() });
        }
        Ok(writeln!(self.out, "{}", comma_separated(&fields(row)))?)
    }

    fn table(&mut self, row: &TailRow) -> std::io::Result<()> {
        let header = header(row);
        let values = fields(row);
        // The first row gives the widths. A longer value pushes the rest of its line to the right.
        if self.header != header {
            let widths: Vec<String> = header.iter().zip(&values).map(|(name, value)| pad(name, width(name, value))).collect();
            writeln!(self.out, "{}", widths.join("  ").trim_end())?;
            self.header = header;
        }
        let cells: Vec<String> = self.header.iter().zip(&values).map(|(name, value)| pad(value, width(name, value))).collect();
        writeln!(self.out, "{}", cells.join("  ").trim_end())
    }
}

fn header(row: &TailRow) -> Vec<String> {
    let mut names: Vec<String> = [SCAN, SAMPLE, CONTAINER].map(str::to_owned).to_vec();
    names.extend(row.keys.iter().map(|(name, _)| name.clone()));
    names.extend([LINE, PIXEL, X, Y, TIME, QUALITY].map(str::to_owned));
    names.extend(row.figures.iter().map(|(name, _)| name.clone()));
    names.extend((0..row.embedding.len()).map(|i| format!("e{i}")));
    names
}

fn fields(row: &TailRow) -> Vec<String> {
    let mut values = vec![row.scan.clone(), row.sample.clone(), row.container.clone()];
    values.extend(row.keys.iter().map(|(_, value)| value.clone()));
    let numbers: [&dyn Display; 4] = [&row.line, &row.pixel, &row.x_mm, &row.y_mm];
    values.extend(numbers.map(ToString::to_string));
    values.push(time(row.time_ns));
    values.push(row.quality.to_string());
    values.extend(row.figures.iter().map(|(_, value)| value.to_string()));
    values.extend(row.embedding.iter().map(ToString::to_string));
    values
}

/// Width of a column. Numbers get room; other values keep the width of the first row.
fn width(name: &str, value: &str) -> usize {
    let least = match name {
        LINE | PIXEL => 6,
        X | Y => 9,
        _ if name.strip_prefix('e').is_some_and(|rest| rest.parse::<usize>().is_ok()) => 13,
        _ => 0,
    };
    least.max(name.len()).max(value.len())
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// ISO 8601 in UTC with nanoseconds.
fn time(time_ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time_ns)) {
        Ok(time) => format!("{time:.9}"),
        Err(_) => time_ns.to_string(),
    }
}

fn comma_separated(values: &[String]) -> String {
    let quote = |value: &String| match value.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.clone(),
    };
    values.iter().map(quote).collect::<Vec<_>>().join(",")
}

fn json(row: &TailRow) -> String {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    // JSON has no NaN and no infinity, so that these are null, as elsewhere in our JSON.
    let number = |value: f32| if value.is_finite() { value.to_string() } else { "null".to_owned() };
    let mut pairs = vec![(SCAN, text(&row.scan)), (SAMPLE, text(&row.sample)), (CONTAINER, text(&row.container))];
    pairs.extend(row.keys.iter().map(|(name, value)| (name.as_str(), text(value))));
    pairs.extend([(LINE, row.line.to_string()), (PIXEL, row.pixel.to_string())]);
    pairs.extend([(X, number(row.x_mm)), (Y, number(row.y_mm))]);
    pairs.extend([(TIME, text(&time(row.time_ns))), (QUALITY, row.quality.to_string())]);
    pairs.extend(row.figures.iter().map(|(name, value)| (name.as_str(), number(*value))));
    if !row.embedding.is_empty() {
        let embedding: Vec<String> = row.embedding.iter().copied().map(number).collect();
        pairs.push((EMBEDDING, format!("[{}]", embedding.join(","))));
    }
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{}:{value}", text(name))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> TailRow {
        TailRow {
            scan: "20180703T141502Z-T1".into(),
            sample: "s1".into(),
            container: "A1".into(),
            keys: vec![("size".into(), "a,\"b\"".into())],
            line: 3,
            pixel: 4,
            x_mm: 1.5,
            y_mm: -2.25,
            time_ns: 1_530_627_302_000_000_001,
            quality: 64,
            figures: Vec::new(),
            embedding: vec![0.5, f32::NAN],
        }
    }

    fn written(format: Format, rows: &[TailRow]) -> String {
        let mut out = Vec::new();
        let mut writer = RowWriter::new(format, &mut out);
        rows.iter().for_each(|row| writer.write(row).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_lines_are_json() {
        let text = written(Format::Jsonl, &[row(), row()]);
        let value: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(value["size"], "a,\"b\"");
        assert_eq!(value["time"], "2018-07-03T14:15:02.000000001Z");
        assert_eq!(value["embedding"], serde_json::json!([0.5, null]));
        assert_eq!((value["y_mm"].as_f64(), value["quality"].as_u64()), (Some(-2.25), Some(64)));
    }

    #[test]
    fn csv_has_one_header_and_quotes() {
        let text = written(Format::Csv, &[row(), row()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "scan,sample,container,size,line,pixel,x_mm,y_mm,time,quality,e0,e1");
        assert!(lines[1].contains(",\"a,\"\"b\"\"\",3,4,1.5,-2.25,2018"), "{}", lines[1]);
        let mut other = row();
        other.keys.clear();
        let mut writer = RowWriter::new(Format::Csv, Vec::new());
        writer.write(&row()).unwrap();
        assert!(writer.write(&other).unwrap_err().to_string().contains("jsonl"));
    }

    #[test]
    fn a_table_repeats_its_header_when_columns_change() {
        let mut other = row();
        other.embedding.push(1.0);
        let text = written(Format::Table, &[row(), row(), other]);
        let headers: Vec<usize> = text.lines().enumerate().filter(|(_, l)| l.starts_with("scan ")).map(|(i, _)| i).collect();
        assert_eq!(headers, [0, 3]);
        let (first, second) = (text.lines().next().unwrap(), text.lines().nth(1).unwrap());
        assert_eq!(first.find("x_mm"), second.find("1.5"));
    }
}
