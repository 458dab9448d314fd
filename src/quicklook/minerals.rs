//! `minerals.png`: the tray with the minerals of its samples in colours.
//!
//! The left map shows group 2 (vibrational, SWIR), the right one group 1 (electronic, VNIR). Both have the scale of the tray. Below them
//! stand a scale bar and the minerals with their shares of the area, largest first. Shares are those of the record. The maps show winners,
//! and a mixed pixel has one winner.

use super::canvas::{Canvas, Colour, offset, text_size};
use super::{GROUND, LEGIBLE_WIDTH, MOST_ZOOM, QuicklookError, TEXT, font, round_length, write};
use crate::identify::NOT_JUDGED;
use std::collections::BTreeMap;
use std::path::Path;

/// Colours of the minerals with the largest shares. The first seven are those of Okabe and Ito, which colour-blind people tell apart.
const COLOURS: [Colour; 14] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
    [153, 153, 51],
    [136, 34, 85],
    [68, 170, 153],
    [221, 204, 119],
    [170, 68, 153],
    [190, 230, 150],
    [150, 110, 60],
];
/// Colour of all other minerals.
const OTHER: Colour = [245, 245, 245];
/// Colour of pixels without a mineral.
const NOT_IDENTIFIED: Colour = [112, 112, 116];
/// Colour of the frame of a sample.
const FRAME: Colour = [70, 70, 78];
/// Most rows of the picture, in grid pixels.
const MOST_ROWS: usize = 4096;
/// Least share of a container that its label names.
const LEAST_SHARE: f64 = 0.05;

/// The minerals of one sample. A code is the number of a mineral from 1, 0 for "not identified", [`NOT_JUDGED`] for a pixel not judged.
#[derive(Debug, Clone, Default)]
pub struct MineralMap {
    /// The sample's place on the tray.
    pub label: String,
    /// Centre of the first pixel across the tray, mm.
    pub x_mm: f64,
    /// Centre of the first line along the tray, mm.
    pub y_mm: f64,
    /// Pixels of a line.
    pub width: usize,
    /// Codes of group 1 and of group 2, `[line][pixel]`.
    pub codes: [Vec<u16>; 2],
    /// Shares of the area of the minerals of group 1 and of group 2, by code.
    pub shares: [BTreeMap<u16, f64>; 2],
    /// Share of the area in which neither group has a mineral.
    pub not_identified: f64,
    /// Number of judged pixels.
    pub judged: u64,
}

/// A sample's place in the picture, in grid pixels.
struct Placed<'a> {
    map: &'a MineralMap,
    column: usize,
    row: usize,
}

/// Draws the minerals of samples on a grid of `pixel_mm`, and writes the picture to `path`. `names` are those of the codes from 1.
///
/// # Errors
/// [`QuicklookError::NoRows`] where there is no pixel. [`QuicklookError::Io`] where the file cannot be created, written or renamed.
/// [`QuicklookError::Encoding`] where the PNG encoder refuses.
pub fn minerals(maps: &[MineralMap], names: &[String], pixel_mm: f64, path: &Path) -> Result<(), QuicklookError> {
    let whole: Vec<&MineralMap> = maps.iter().filter(|map| map.width > 0 && !map.codes[0].is_empty()).collect();
    if whole.is_empty() {
        return Err(QuicklookError::NoRows { path: path.into() });
    }
    let (canvas, image_pixel_mm) = draw(&whole, names, pixel_mm);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.part"));
    let written = write(&canvas, image_pixel_mm, &part)
        .and_then(|()| std::fs::rename(&part, path).map_err(|source| QuicklookError::Io { path: path.into(), doing: "renamed", source }));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// The picture, and the edge of its pixels, mm.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a tray")]
fn draw(maps: &[&MineralMap], names: &[String], pixel_mm: f64) -> (Canvas, f64) {
    let least = |of: &dyn Fn(&MineralMap) -> f64| maps.iter().map(|map| of(map)).fold(f64::INFINITY, f64::min);
    let (left_mm, top_mm) = (least(&|map| map.x_mm), least(&|map| map.y_mm));
    let pixels = |mm: f64| (mm / pixel_mm).round().max(0.0) as usize;
    let placed: Vec<Placed<'_>> =
        maps.iter().map(|map| Placed { map, column: pixels(map.x_mm - left_mm), row: pixels(map.y_mm - top_mm) }).collect();
    let width = placed.iter().map(|at| at.column + at.map.width).max().unwrap_or(1);
    let rows = placed.iter().map(|at| at.row + at.map.codes[0].len() / at.map.width).max().unwrap_or(1);
    let step = rows.div_ceil(MOST_ROWS).max(1);
    let (width, rows) = (width.div_ceil(step), rows.div_ceil(step));
    let zoom = (LEGIBLE_WIDTH / width).min(MOST_ROWS / rows).clamp(1, MOST_ZOOM);
    let (panel, height) = (width * zoom, rows * zoom);
    let scale = (panel / 250).clamp(1, 4);
    let (gap, head) = (12 * scale, (font::HEIGHT + 6) * scale);
    let legend = Legend::new(maps, names);
    let total = 2 * panel + gap;
    let lines = legend.lines(scale, total);
    let line = (font::HEIGHT + 4) * scale;
    let mut canvas = Canvas::new(total, head + height + (lines.len() + 2) * line);
    canvas.fill((0, 0), (total, canvas.height), GROUND);
    for (group, x, title) in [(1, 0, "vibrational - SWIR"), (0, panel + gap, "electronic - VNIR")] {
        canvas.text((offset(x + 2 * scale), offset(3 * scale)), title, scale, TEXT, GROUND);
        for at in &placed {
            sample(&mut canvas, at, (group, step, zoom), (x, head), &legend);
        }
        for at in &placed {
            label(&mut canvas, at, (group, step, zoom, scale), (x, head), &legend, names);
        }
    }
    let image_pixel_mm = pixel_mm * step as f64 / zoom as f64;
    let length_mm = round_length(panel as f64 * image_pixel_mm / 3.0);
    let bar = ((length_mm / image_pixel_mm).round() as usize).max(1);
    let mut y = offset(head + height + 3 * scale);
    canvas.fill((offset(2 * scale), y + offset(2 * scale)), (bar, 3 * scale), TEXT);
    canvas.text((offset(bar + 6 * scale), y), &format!("{length_mm} mm"), scale, TEXT, GROUND);
    for entries in lines {
        y += offset(line);
        let mut x = offset(2 * scale);
        for (colour, text) in entries {
            let swatch = font::HEIGHT * scale;
            canvas.fill((x, y), (swatch, swatch), colour);
            x += offset(swatch + 3 * scale);
            canvas.text((x, y), &text, scale, TEXT, GROUND);
            x += offset(text_size(text.chars().count(), scale).0 + 8 * scale);
        }
    }
    (canvas, image_pixel_mm)
}

/// Draws the map of a sample.
fn sample(canvas: &mut Canvas, at: &Placed<'_>, (group, step, zoom): (usize, usize, usize), (x, y): (usize, usize), legend: &Legend) {
    let codes = &at.map.codes[group];
    for (line, codes) in codes.chunks_exact(at.map.width).enumerate().filter(|(line, _)| (at.row + line).is_multiple_of(step)) {
        for (pixel, code) in
            codes.iter().enumerate().filter(|(pixel, code)| (at.column + pixel).is_multiple_of(step) && **code != NOT_JUDGED)
        {
            let place = (offset(x + (at.column + pixel) / step * zoom), offset(y + (at.row + line) / step * zoom));
            canvas.fill(place, (zoom, zoom), legend.colour(*code));
        }
    }
    let (left, top) = (offset(x + at.column / step * zoom), offset(y + at.row / step * zoom));
    let (wide, tall) = (at.map.width / step * zoom, codes.len() / at.map.width / step * zoom);
    for (place, size) in [
        ((left, top), (wide, 1)),
        ((left, top + offset(tall.saturating_sub(1))), (wide, 1)),
        ((left, top), (1, tall)),
        ((left + offset(wide.saturating_sub(1)), top), (1, tall)),
    ] {
        canvas.fill(place, size, FRAME);
    }
}

/// Writes the place of a sample and its most frequent mineral into the corner of its map.
fn label(
    canvas: &mut Canvas,
    at: &Placed<'_>,
    (group, step, zoom, scale): (usize, usize, usize, usize),
    (x, y): (usize, usize),
    legend: &Legend,
    names: &[String],
) {
    let most = at.map.shares[group].iter().rev().max_by(|a, b| a.1.total_cmp(b.1));
    let named = most.filter(|(_, share)| **share >= LEAST_SHARE);
    let text = named.map(|(code, share)| format!("{:.0} {}", share * 100.0, legend.name(*code, names)));
    let (left, top) = (x + at.column / step * zoom + 2 * scale, y + at.row / step * zoom + 2 * scale);
    canvas.text((offset(left), offset(top)), &at.map.label, scale, TEXT, GROUND);
    let room = (at.map.width / step * zoom).saturating_sub(4 * scale);
    if let Some(text) = text.filter(|text| text_size(text.chars().count(), scale).0 <= room) {
        canvas.text((offset(left), offset(top + (font::HEIGHT + 2) * scale)), &text, scale, TEXT, GROUND);
    }
}

/// The colours of the minerals, and their shares.
struct Legend {
    colours: BTreeMap<u16, Colour>,
    entries: Vec<(Colour, String)>,
}

impl Legend {
    #[expect(clippy::cast_precision_loss, reason = "pixels of a tray")]
    fn new(maps: &[&MineralMap], names: &[String]) -> Self {
        let judged: u64 = maps.iter().map(|map| map.judged).sum();
        // The share of a sample in percent of the area of all.
        let percent = |map: &MineralMap, share: f64| 100.0 * share * map.judged as f64 / judged.max(1) as f64;
        let mut shares: BTreeMap<u16, f64> = BTreeMap::new();
        for map in maps {
            map.shares.iter().flatten().for_each(|(code, share)| *shares.entry(*code).or_default() += percent(map, *share));
        }
        let mut order: Vec<(u16, f64)> = shares.into_iter().filter(|(code, _)| *code != 0).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let colours: BTreeMap<u16, Colour> = order.iter().zip(COLOURS).map(|((code, _), colour)| (*code, colour)).collect();
        let mut legend = Self { colours, entries: Vec::new() };
        let shown = order.iter().take(COLOURS.len());
        let mut entries: Vec<(Colour, String)> =
            shown.map(|(code, share)| (legend.colour(*code), format!("{} {share:.1}", legend.name(*code, names)))).collect();
        let rest: f64 = order.iter().skip(COLOURS.len()).map(|(_, share)| *share).sum();
        if order.len() > COLOURS.len() {
            entries.push((OTHER, format!("others {rest:.1}")));
        }
        let neither: f64 = maps.iter().map(|map| percent(map, map.not_identified)).sum();
        entries.push((NOT_IDENTIFIED, format!("not identified {neither:.1} - shares of the area in percent")));
        legend.entries = entries;
        legend
    }

    fn colour(&self, code: u16) -> Colour {
        if code == 0 { NOT_IDENTIFIED } else { self.colours.get(&code).copied().unwrap_or(OTHER) }
    }

    fn name<'a>(&self, code: u16, names: &'a [String]) -> &'a str {
        usize::from(code).checked_sub(1).and_then(|at| names.get(at)).map_or("?", String::as_str)
    }

    /// The entries, as many in a line as its width holds.
    fn lines(&self, scale: usize, width: usize) -> Vec<Vec<(Colour, String)>> {
        let mut lines: Vec<Vec<(Colour, String)>> = Vec::new();
        let mut used = usize::MAX;
        for entry in &self.entries {
            let wide = (font::HEIGHT + 11) * scale + text_size(entry.1.chars().count(), scale).0;
            if used.saturating_add(wide) > width || lines.is_empty() {
                lines.push(Vec::new());
                used = 2 * scale;
            }
            used += wide;
            if let Some(line) = lines.last_mut() {
                line.push(entry.clone());
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_has_a_colour_for_each_mineral_and_grey_where_none_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("minerals.png");
        let codes: Vec<u16> = (0..40 * 30).map(|i| if i % 40 < 20 { 1 } else { 0 }).collect();
        let none = vec![NOT_JUDGED; codes.len()];
        // Half of the pixels have the winner, and less of the area has the mineral.
        let shares = [BTreeMap::new(), BTreeMap::from([(1, 0.4)])];
        let (label, not_identified) = ("A1".to_owned(), 0.6);
        let map = MineralMap { label, x_mm: 3.0, y_mm: 5.0, width: 40, codes: [none, codes], shares, not_identified, judged: 1200 };
        let names = ["kaolinite".to_owned()];
        let shares = [BTreeMap::new(), BTreeMap::from([(1, 0.1)])];
        let other = MineralMap { shares, not_identified: 0.9, judged: 400, ..map.clone() };
        let legend = |maps: &[&MineralMap]| Legend::new(maps, &names).entries.into_iter().map(|(_, text)| text).collect::<Vec<String>>();
        assert_eq!(legend(&[&map]), ["kaolinite 40.0", "not identified 60.0 - shares of the area in percent"]);
        assert_eq!(legend(&[&map, &other])[0], "kaolinite 32.5");
        minerals(&[map], &names, 0.6, &path).unwrap();
        let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let seen = |colour: Colour| pixels.chunks_exact(3).filter(|pixel| **pixel == colour).count();
        assert!(seen(COLOURS[0]) > 2000 && seen(NOT_IDENTIFIED) > 2000, "{} and {}", seen(COLOURS[0]), seen(NOT_IDENTIFIED));
        assert!(minerals(&[], &[], 0.6, &path).is_err());
    }
}
