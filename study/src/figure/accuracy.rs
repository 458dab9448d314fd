//! Accuracies of many classifications on one axis.

use super::panel::{Panel, px, text_width};
use super::scale::Scale;
use crate::classify::mean_and_spread;
use maud::html;

/// The accuracies of a representation.
pub struct AccuracyRow {
    /// Name of the representation.
    pub name: String,
    /// Accuracies of all seeds, one list for each series.
    pub of: Vec<Vec<f64>>,
}

/// One row for each representation. A ring is the mean of a series, and a dot is a seed. `marks` are named lines across all rows.
pub fn accuracies(rows: &[AccuracyRow], series: &[(&str, &str)], marks: &[(String, f64)], width: f64) -> Panel {
    const STEP: f64 = 30.0;
    const TOP: f64 = 52.0;
    let left = rows.iter().map(|r| text_width(&r.name)).fold(0.0, f64::max) + 14.0;
    let bottom = TOP + rows.len() as f64 * STEP;
    let x = Scale { low: 0.0, high: 1.0, from: left, to: width - 14.0 };
    let body = html! {
        @for (i, (name, colour)) in series.iter().enumerate() {
            circle cx=(px(left + 6.0 + i as f64 * 120.0)) cy="9" r="5" fill=(colour) {}
            text x=(px(left + 16.0 + i as f64 * 120.0)) y="13" { (name) }
        }
        @for (v, text) in x.ticks(10) {
            line x1=(px(x.at(v))) x2=(px(x.at(v))) y1=(TOP) y2=(bottom) stroke="#e4e6ea" {}
            text x=(px(x.at(v))) y=(bottom + 15.0) text-anchor="middle" fill="#57606a" { (text) }
        }
        text x=(px((x.from + x.to) / 2.0)) y=(bottom + 32.0) text-anchor="middle" { "accuracy (share of test spectra)" }
        @for (i, (name, value)) in marks.iter().enumerate() {
            @let right = x.at(*value) + text_width(name) > width;
            line x1=(px(x.at(*value))) x2=(px(x.at(*value))) y1=(TOP - 18.0 + i as f64 * 12.0) y2=(bottom) stroke="#57606a" stroke-dasharray="3 3" {}
            text x=(px(x.at(*value) + if right { -4.0 } else { 4.0 })) y=(TOP - 12.0 + i as f64 * 12.0) text-anchor=(if right { "end" } else { "start" }) font-size="10" stroke="#ffffff" stroke-width="3" paint-order="stroke" { (name) }
        }
        @for (i, row) in rows.iter().enumerate() {
            @let y = TOP + (i as f64 + 0.5) * STEP;
            text x=(px(left - 8.0)) y=(px(y + 4.0)) text-anchor="end" { (row.name) }
            @for (s, values) in row.of.iter().enumerate() {
                @let y = y + (s as f64 - (row.of.len() as f64 - 1.0) / 2.0) * 9.0;
                @for v in values { circle cx=(px(x.at(*v))) cy=(px(y)) r="2" fill=(series[s].1) fill-opacity="0.5" {} }
                circle cx=(px(x.at(mean_and_spread(values).0))) cy=(px(y)) r="4.5" fill="none" stroke=(series[s].1) stroke-width="2" {}
            }
        }
    };
    Panel { width, height: bottom + 40.0, body }
}
