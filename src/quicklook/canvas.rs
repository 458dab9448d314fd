//! The image that the picture is drawn on.

use super::font;

/// A colour: red, green and blue, 0 to 255.
pub(super) type Colour = [u8; 3];

/// An image `[row][pixel]`. Drawing outside of the image is cut off.
#[derive(Debug)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    /// `[row][pixel][red, green, blue]`.
    pub(super) pixels: Vec<u8>,
}

impl Canvas {
    /// A black image.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![0; width * height * 3] }
    }

    /// Fills a rectangle.
    pub(super) fn fill(&mut self, (x, y): (i64, i64), (width, height): (usize, usize), colour: Colour) {
        let (columns, rows) = (cut(x, width, self.width), cut(y, height, self.height));
        for row in rows {
            let at = row * self.width;
            for pixel in self.pixels[(at + columns.start) * 3..(at + columns.end) * 3].chunks_exact_mut(3) {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    /// Writes text with its upper left dot at `(x, y)`, `scale` pixels per dot. The ground is one dot larger on every side.
    pub(super) fn text(&mut self, (x, y): (i64, i64), text: &str, scale: usize, colour: Colour, ground: Colour) {
        let dots = |n: usize| offset(n * scale);
        let (width, height) = text_size(text.chars().count(), scale);
        self.fill((x - dots(1), y - dots(1)), (width + 2 * scale, height + 2 * scale), ground);
        for (i, character) in text.chars().enumerate() {
            for (column, bits) in font::columns(character).into_iter().enumerate() {
                for row in (0..font::HEIGHT).filter(|row| bits >> row & 1 == 1) {
                    self.fill((x + dots(i * font::ADVANCE + column), y + dots(row)), (scale, scale), colour);
                }
            }
        }
    }
}

/// Width and height of a text of `characters` characters, image pixels.
pub(super) fn text_size(characters: usize, scale: usize) -> (usize, usize) {
    ((characters * font::ADVANCE).saturating_sub(1) * scale, font::HEIGHT * scale)
}

/// A number of pixels as an offset.
#[expect(clippy::cast_possible_wrap, reason = "pixels of an image are few")]
pub(super) fn offset(pixels: usize) -> i64 {
    pixels as i64
}

/// The part of `from..from + length` that lies in `0..end`.
fn cut(from: i64, length: usize, end: usize) -> std::ops::Range<usize> {
    let inside = |at: i64| usize::try_from(at).unwrap_or(0).min(end);
    inside(from)..inside(from + offset(length))
}
