//! Panels and their layout.

use maud::{Markup, PreEscaped, html};

/// A drawing with its size.
pub struct Panel {
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// SVG elements.
    pub body: Markup,
}

/// A panel with the name of its file and a caption.
pub struct Figure {
    /// Name of letters, digits and `-`.
    pub name: String,
    /// Text below the figure, with units.
    pub caption: String,
    /// The drawing.
    pub panel: Panel,
}

impl Panel {
    /// The panel as an `svg` element.
    pub fn svg(&self) -> Markup {
        let (w, h) = (self.width.ceil(), self.height.ceil());
        html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (w) " " (h) } width=(w) height=(h) role="img"
                font-family="system-ui, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif" font-size="11" fill="#1f2328" {
                (self.body)
            }
        }
    }
}

/// Distance between panels in pixels.
const GAP: f64 = 16.0;

/// Lays panels out in rows of at most `columns`.
pub fn grid(panels: Vec<Panel>, columns: usize) -> Panel {
    spaced(panels, columns, GAP)
}

fn spaced(panels: Vec<Panel>, columns: usize, gap: f64) -> Panel {
    let (mut body, mut y, mut width) = (String::new(), 0.0, 0.0_f64);
    for row in panels.chunks(columns.max(1)) {
        let mut x = 0.0;
        for panel in row {
            body.push_str(&moved(x, y, &panel.body).into_string());
            x += panel.width + gap;
        }
        width = width.max(x - gap);
        y += row.iter().fold(0.0, |h: f64, p| h.max(p.height)) + gap;
    }
    Panel { width, height: (y - gap).max(0.0), body: PreEscaped(body) }
}

/// Stacks panels with small gaps.
pub fn stacked(panels: Vec<Panel>) -> Panel {
    spaced(panels, 1, 3.0)
}

/// A row of coloured marks with the names of classes. The name of their factor comes first, where there is one.
pub fn legend(factor: Option<&str>, classes: &[String], colours: &[String], width: f64) -> Panel {
    const LINE: f64 = 18.0;
    let (mut x, mut y) = (0.0, 0.0);
    let mut body = String::new();
    if let Some(name) = factor {
        body = html! { text x="0" y="12" font-weight="600" { (name) } }.into_string();
        x = text_width(name) + 12.0;
    }
    for (class, colour) in classes.iter().zip(colours) {
        let wide = 22.0 + text_width(class);
        if x > 0.0 && x + wide > width {
            (x, y) = (0.0, y + LINE);
        }
        let mark = html! {
            circle cx=(px(x + 6.0)) cy=(px(y + 8.0)) r="4.5" fill=(colour) {}
            text x=(px(x + 14.0)) y=(px(y + 12.0)) { (class) }
        };
        body.push_str(&mark.into_string());
        x += wide;
    }
    Panel { width, height: y + LINE, body: PreEscaped(body) }
}

/// A panel with a line of text above.
pub fn titled(title: &str, panel: Panel) -> Panel {
    let body = html! {
        text x="0" y="12" font-weight="600" { (title) }
        (moved(0.0, 20.0, &panel.body))
    };
    Panel { width: panel.width.max(text_width(title) * 1.08), height: panel.height + 20.0, body }
}

fn moved(x: f64, y: f64, body: &Markup) -> Markup {
    html! { g transform={ "translate(" (px(x)) " " (px(y)) ")" } { (body) } }
}

/// Rounds to a tenth of a pixel. This halves the size of a page.
pub(super) fn px(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Approximate width of a text of the usual size, in pixels. No font is available for measuring.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 7.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out() {
        let panel = legend(None, &["<script>".into()], &["#000".into()], 100.0);
        assert!(!panel.svg().into_string().contains("<script>"));
    }
}
