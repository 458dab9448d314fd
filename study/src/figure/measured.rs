//! Values given over values measured.

use super::panel::{Panel, px, text_width};
use super::scale::{Scale, range};
use maud::html;

/// A sample on the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// The value measured.
    pub measured: f64,
    /// The value given.
    pub given: f64,
    /// Lower end of its interval.
    pub lower: f64,
    /// Upper end of its interval.
    pub upper: f64,
    /// Whether the sample is refused. Its dot is hollow.
    pub refused: bool,
}

const BOTTOM: f64 = 38.0;
const TOP: f64 = 24.0;
/// Width of the name of the vertical axis.
const NAME: f64 = 26.0;

/// Dots with their intervals on a square of equal axes. The dashed line is where both values agree.
pub fn measured(dots: &[Dot], x_label: &str, y_label: &str, side: f64) -> Panel {
    let (low, high) = range(dots.iter().flat_map(|dot| [dot.measured, dot.given, dot.lower, dot.upper]));
    let room = 0.03 * (high - low);
    let (low, high) = (low - room, high + room);
    let y = Scale { low, high, from: side + TOP, to: TOP };
    let ticks = y.ticks(8);
    let left = NAME + ticks.iter().map(|(_, text)| text_width(text)).fold(0.0, f64::max);
    let x = Scale { low, high, from: left, to: left + side };
    let middle = (y.from + y.to) / 2.0;
    let colour = "#0072b2";
    // The refused ones lie on top, as they are few.
    let (refused, ordinary): (Vec<&Dot>, Vec<&Dot>) = dots.iter().partition(|dot| dot.refused);
    let body = html! {
        circle cx=(px(left + 6.0)) cy="9" r="3.4" fill=(colour) {}
        text x=(px(left + 14.0)) y="13" { "sample with its interval" }
        circle cx=(px(left + 190.0)) cy="9" r="3.4" fill="#ffffff" stroke="#d55e00" stroke-width="1.6" {}
        text x=(px(left + 198.0)) y="13" { "refused" }
        @for (value, text) in &ticks {
            line x1=(px(x.from)) x2=(px(x.to)) y1=(px(y.at(*value))) y2=(px(y.at(*value))) stroke="#e4e6ea" {}
            text x=(px(left - 6.0)) y=(px(y.at(*value) + 4.0)) text-anchor="end" fill="#57606a" { (text) }
            line x1=(px(x.at(*value))) x2=(px(x.at(*value))) y1=(px(y.from)) y2=(px(y.to)) stroke="#e4e6ea" {}
            text x=(px(x.at(*value))) y=(px(y.from + 16.0)) text-anchor="middle" fill="#57606a" { (text) }
        }
        line x1=(px(x.from)) y1=(px(y.from)) x2=(px(x.to)) y2=(px(y.to)) stroke="#57606a" stroke-dasharray="4 3" {}
        text x=(px((x.from + x.to) / 2.0)) y=(px(y.from + 33.0)) text-anchor="middle" { (x_label) }
        text x="12" y=(px(middle)) text-anchor="middle" transform={ "rotate(-90 12 " (px(middle)) ")" } { (y_label) }
        @for dot in ordinary.iter().chain(&refused) {
            @let colour = if dot.refused { "#d55e00" } else { colour };
            line x1=(px(x.at(dot.measured))) x2=(px(x.at(dot.measured))) y1=(px(y.at(dot.lower))) y2=(px(y.at(dot.upper))) stroke=(colour) stroke-opacity="0.35" {}
            circle cx=(px(x.at(dot.measured))) cy=(px(y.at(dot.given))) r="3.4" fill=(if dot.refused { "#ffffff" } else { colour }) stroke=(colour) stroke-width="1.6" {}
        }
    };
    Panel { width: left + side + 14.0, height: TOP + side + BOTTOM, body }
}
