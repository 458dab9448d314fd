//! Numbers of figures and tables, and the layout of large numbers.

use crate::figure::Figure;
use maud::{Markup, html};

/// Width of the column that figures fill, in pixels.
pub(super) const WIDTH: f64 = 980.0;

/// Counters of figures and tables, in the order of the page.
#[derive(Default)]
pub(super) struct Numbers {
    figures: usize,
    tables: usize,
}

impl Numbers {
    pub fn figure(&mut self, figure: &Figure) -> Markup {
        self.figures += 1;
        html! {
            figure id={ "figure-" (self.figures) } {
                div.scroll { (figure.panel.svg()) }
                figcaption { b { "Figure " (self.figures) ". " } (figure.caption) }
            }
        }
    }

    pub fn table(&mut self, caption: &str, head: Markup, body: Markup) -> Markup {
        self.tables += 1;
        html! {
            div.scroll { table id={ "table-" (self.tables) } {
                caption { b { "Table " (self.tables) ". " } (caption) }
                thead { (head) }
                tbody { (body) }
            } }
        }
    }
}

/// A number with thin spaces between thousands.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// A number with four significant digits. It has no exponent between a thousandth and a million.
pub(super) fn significant(value: f64) -> String {
    rounded(value, 4)
}

/// A number with some significant digits. It has no exponent between a thousandth and a million.
pub(super) fn rounded(value: f64, digits: usize) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    match magnitude {
        -3..=5 => format!("{value:.*}", (digits as i32 - 1 - magnitude).max(0) as usize),
        _ => format!("{value:.*e}", digits - 1),
    }
}
