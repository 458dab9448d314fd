//! Lines over axes, and bars.

use super::panel::{Panel, px, text_width};
use super::scale::{Scale, range};
use maud::{Markup, html};
use std::fmt::Write;

/// One line of a chart.
pub struct Series {
    /// Name in the legend. A series without a name has no entry.
    pub name: String,
    /// Colour as `#rrggbb`.
    pub colour: String,
    /// Whether the line is dashed.
    pub dashed: bool,
    /// Whether every point has a dot.
    pub dots: bool,
    /// Points `(x, y)`, in the order of the line.
    pub points: Vec<(f64, f64)>,
}

/// Axes and size of a chart.
pub struct Chart {
    /// Name of the horizontal axis, with its unit.
    pub x: String,
    /// Name of the vertical axis, with its unit.
    pub y: String,
    /// Width of the chart, in pixels.
    pub width: f64,
    /// Height of the chart, in pixels.
    pub height: f64,
    /// Whether the vertical axis begins at 0.
    pub from_zero: bool,
}

const LEFT: f64 = 56.0;
const BOTTOM: f64 = 38.0;
const RIGHT: f64 = 14.0;
/// Width of the name of the vertical axis, with the gap between numbers and axis.
const NAME: f64 = 26.0;

/// Lines over two axes, with a legend of the named lines above.
pub fn line_chart(chart: &Chart, series: &[Series]) -> Panel {
    let named: Vec<&Series> = series.iter().filter(|s| !s.name.is_empty()).collect();
    let mut places = Vec::new();
    let (mut at, mut line) = (LEFT, 0.0);
    for s in &named {
        let wide = 36.0 + text_width(&s.name);
        if at > LEFT && at + wide > chart.width {
            (at, line) = (LEFT, line + 16.0);
        }
        places.push((at, line));
        at += wide;
    }
    let top = if named.is_empty() { 8.0 } else { line + 24.0 };
    let (x_low, x_high) = range(series.iter().flat_map(|s| s.points.iter().map(|p| p.0)));
    let (mut y_low, y_high) = range(series.iter().flat_map(|s| s.points.iter().map(|p| p.1)));
    if chart.from_zero {
        y_low = y_low.min(0.0);
    }
    let room = (y_high - y_low) * 0.04;
    let low = if chart.from_zero && y_low == 0.0 { 0.0 } else { y_low - room };
    let y = Scale { low, high: y_high + room, from: chart.height - BOTTOM, to: top };
    let widest = y_ticks(y).iter().map(|(_, text)| text_width(text)).fold(0.0, f64::max);
    let x = Scale { low: x_low, high: x_high, from: LEFT.max(NAME + widest), to: chart.width - RIGHT };
    let body = html! {
        (axes(x, y, &chart.x, &chart.y))
        @for (s, &(at, line)) in named.iter().zip(&places) {
            line x1=(px(at)) x2=(px(at + 20.0)) y1=(line + 8.0) y2=(line + 8.0) stroke=(s.colour) stroke-width="2" stroke-dasharray=[s.dashed.then_some("4 3")] {}
            text x=(px(at + 25.0)) y=(line + 12.0) { (s.name) }
        }
        @for s in series {
            path d=(path(&s.points, x, y)) fill="none" stroke=(s.colour) stroke-width="1.6" stroke-linejoin="round" stroke-dasharray=[s.dashed.then_some("4 3")] {}
            @if s.dots { @for p in &s.points { circle cx=(px(x.at(p.0))) cy=(px(y.at(p.1))) r="2.6" fill=(s.colour) {} } }
        }
    };
    Panel { width: chart.width, height: chart.height, body }
}

fn path(points: &[(f64, f64)], x: Scale, y: Scale) -> String {
    let mut path = String::new();
    for (i, &(px_x, px_y)) in points.iter().enumerate() {
        let letter = if i == 0 { 'M' } else { 'L' };
        write!(path, "{letter}{} {}", px(x.at(px_x)), px(y.at(px_y))).expect("text takes everything");
    }
    path
}

fn y_ticks(y: Scale) -> Vec<(f64, String)> {
    y.ticks(((y.from - y.to) / 36.0) as usize)
}

fn axes(x: Scale, y: Scale, x_label: &str, y_label: &str) -> Markup {
    let middle = (y.from + y.to) / 2.0;
    html! {
        @for (v, text) in y_ticks(y) {
            line x1=(x.from) x2=(x.to) y1=(px(y.at(v))) y2=(px(y.at(v))) stroke="#e4e6ea" {}
            text x=(x.from - 6.0) y=(px(y.at(v) + 4.0)) text-anchor="end" fill="#57606a" { (text) }
        }
        @for (v, text) in x.ticks(((x.to - x.from) / 55.0) as usize) {
            line x1=(px(x.at(v))) x2=(px(x.at(v))) y1=(y.from) y2=(y.from + 4.0) stroke="#8c959f" {}
            text x=(px(x.at(v))) y=(y.from + 16.0) text-anchor="middle" fill="#57606a" { (text) }
        }
        line x1=(x.from) x2=(x.to) y1=(y.from) y2=(y.from) stroke="#8c959f" {}
        text x=(px((x.from + x.to) / 2.0)) y=(y.from + 33.0) text-anchor="middle" { (x_label) }
        text x="12" y=(px(middle)) text-anchor="middle" transform={ "rotate(-90 12 " (px(middle)) ")" } { (y_label) }
    }
}

/// Horizontal bars, in columns of at most `rows`, each with its name and number.
pub fn bars(names: &[String], values: &[usize], colour: &[String], rows: usize, width: f64) -> Panel {
    const STEP: f64 = 15.0;
    let columns = names.len().div_ceil(rows.max(1)).max(1);
    let rows = names.len().div_ceil(columns);
    let wide = width / columns as f64;
    let label = names.iter().map(|n| text_width(n)).fold(0.0, f64::max) + 8.0;
    let most = values.iter().copied().max().unwrap_or(1).max(1) as f64;
    let longest = (wide - label - text_width(&most.to_string()) - 20.0).max(10.0);
    let body = html! {
        @for (i, (name, &value)) in names.iter().zip(values).enumerate() {
            @let (x, y) = ((i / rows) as f64 * wide, (i % rows) as f64 * STEP);
            @let long = value as f64 / most * longest;
            text x=(px(x + label - 6.0)) y=(y + 11.0) text-anchor="end" { (name) }
            rect x=(px(x + label)) y=(y + 2.0) width=(px(long)) height="11" fill=(colour[i]) {}
            text x=(px(x + label + long + 4.0)) y=(y + 11.0) fill="#57606a" { (value) }
        }
    };
    Panel { width, height: rows as f64 * STEP + 2.0, body }
}
