//! Confusion matrices.

use super::palette;
use super::panel::{Panel, px, text_width};
use crate::classify::Report;
use maud::html;

/// The confusion matrix with its counts, shaded by the share of each true class.
pub fn confusion(report: &Report) -> Panel {
    let k = report.classes.len();
    let digits = report.confusion.iter().copied().max().unwrap_or(0).to_string().len() as f64;
    let side = (digits * 6.6 + 8.0).max(if k <= 4 { 44.0 } else { 24.0 });
    let gutter = report.classes.iter().map(|c| text_width(c)).fold(0.0, f64::max) + 26.0;
    // Names above narrow columns are vertical.
    let upright = report.classes.iter().any(|c| text_width(c) > side - 4.0);
    let top = if upright { gutter - 8.0 } else { 36.0 };
    let (wide, tall) = (k as f64 * side, k as f64 * side.min(30.0));
    let height = side.min(30.0);
    let body = html! {
        text x=(px(gutter + wide / 2.0)) y="11" text-anchor="middle" fill="#57606a" { "class given" }
        text x="11" y=(px(top + tall / 2.0)) text-anchor="middle" fill="#57606a" transform={ "rotate(-90 11 " (px(top + tall / 2.0)) ")" } { "true class" }
        @for (i, class) in report.classes.iter().enumerate() {
            text x=(px(gutter - 5.0)) y=(px(top + (i as f64 + 0.5) * height + 4.0)) text-anchor="end" { (class) }
            @let x = gutter + (i as f64 + 0.5) * side;
            @if upright {
                text x=(px(x + 4.0)) y=(px(top - 4.0)) transform={ "rotate(-90 " (px(x + 4.0)) " " (px(top - 4.0)) ")" } { (class) }
            } @else {
                text x=(px(x)) y=(px(top - 6.0)) text-anchor="middle" { (class) }
            }
        }
        @for ((t, g), count) in report.confusion.indexed_iter() {
            @let (colour, white) = palette::shade(*count as f64 / report.of[t].support.max(1) as f64);
            rect x=(px(gutter + g as f64 * side)) y=(px(top + t as f64 * height)) width=(px(side)) height=(height) fill=(colour) stroke="#ffffff" stroke-width="0.6" {}
            text x=(px(gutter + (g as f64 + 0.5) * side)) y=(px(top + (t as f64 + 0.5) * height + 4.0)) text-anchor="middle" font-size="10"
                fill=(if white { "#ffffff" } else { "#1f2328" }) { (count) }
        }
    };
    Panel { width: gutter + wide + 4.0, height: top + tall + 4.0, body }
}
