//! Text from files and from the network, made safe for a terminal.
//!
//! A terminal obeys control characters. Characters that turn the direction of writing make a text look like another. Both are shown as
//! escapes, such as `\u{1b}`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Whether a terminal would do something else with a character than show it: a control character of ASCII or C1, a separator of lines, or
/// one that turns the direction of writing.
fn obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| obeyed(c) && !keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if obeyed(c) && !keep(c) {
            // Text takes everything.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A name or another text of one line.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// A text of several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n')
}

/// A message whose list of faults stands on lines of its own, each indented by two blanks. Any other end of a line came with a name.
pub(crate) fn message(text: &str) -> String {
    let mut parts = text.split("\n  ");
    let first = plain(parts.next().unwrap_or_default()).into_owned();
    parts.fold(first, |all, part| all + "\n  " + &plain(part))
}

/// A document with all its texts and names as [`plain`] gives them. `None` where that changes nothing.
pub(crate) fn document<T: serde::Serialize + serde::de::DeserializeOwned>(document: &T) -> Option<T> {
    let mut value = serde_json::to_value(document).ok()?;
    if change(&mut value) { serde_json::from_value(value).ok() } else { None }
}

/// Whether a text was changed.
fn change(value: &mut serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::String(text) => match plain(text) {
            Cow::Borrowed(_) => false,
            Cow::Owned(shown) => {
                *text = shown;
                true
            }
        },
        Value::Array(list) => list.iter_mut().map(change).filter(|changed| *changed).count() > 0,
        Value::Object(map) => {
            let mut changed = map.values_mut().map(change).filter(|changed| *changed).count() > 0;
            let odd: Vec<String> = map.keys().filter(|key| matches!(plain(key), Cow::Owned(_))).cloned().collect();
            for key in odd {
                if let Some(value) = map.remove(&key) {
                    map.insert(plain(&key).into_owned(), value);
                    changed = true;
                }
            }
            changed
        }
        _ => false,
    }
}

/// A writer of text that keeps the ends of lines, and escapes all else that a terminal would obey. What is no UTF-8 becomes U+FFFD.
pub(crate) struct Plain<W: Write> {
    out: W,
    /// The beginning of a character whose other bytes come with the next piece.
    begun: Vec<u8>,
}

impl<W: Write> Plain<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, begun: Vec::new() }
    }
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.begun.len(),
        };
        // What is not valid before a character that has only begun is replaced with all else.
        let rest = self.begun.split_off(whole);
        let text = String::from_utf8_lossy(&self.begun);
        let written = self.out.write_all(lines(&text).as_bytes());
        self.begun = rest;
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.begun.is_empty() {
            self.begun.clear();
            self.out.write_all("\u{fffd}".as_bytes())?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        let odd = "a\u{1b}[31mb\u{9b}c\nd\re\u{202e}f\u{2066}g\u{7f}\t\0ü漢";
        assert_eq!(plain(odd), "a\\u{1b}[31mb\\u{9b}c\\nd\\re\\u{202e}f\\u{2066}g\\u{7f}\\t\\u{0}ü漢");
        assert_eq!(lines("a\nb\u{1b}"), "a\nb\\u{1b}");
        assert_eq!(message("2 faults\n  a\n  b\nc"), "2 faults\n  a\n  b\\nc");
        assert!(matches!(plain("nothing odd: Süd"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_document_keeps_all_but_its_texts() {
        let odd: serde_json::Value = serde_json::json!({"a\u{1b}": ["b\u{202e}", 1.5, null], "c": {"d": "\n"}});
        let shown = serde_json::json!({"a\\u{1b}": ["b\\u{202e}", 1.5, null], "c": {"d": "\\n"}});
        assert_eq!((document(&odd), document(&shown)), (Some(shown.clone()), None));
    }

    #[test]
    fn text_in_pieces_is_the_same_text() {
        let text = "x\u{1b}ü漢\u{9b}\ny".as_bytes();
        for size in 1..=text.len() {
            let mut out = Plain::new(Vec::new());
            text.chunks(size).for_each(|piece| out.write_all(piece).unwrap());
            out.flush().unwrap();
            assert_eq!(String::from_utf8(out.out).unwrap(), "x\\u{1b}ü漢\\u{9b}\ny", "in pieces of {size}");
        }
        let mut out = Plain::new(Vec::new());
        out.write_all(b"a\xffb\xc3").unwrap();
        out.flush().unwrap();
        assert_eq!(String::from_utf8(out.out).unwrap(), "a\u{fffd}b\u{fffd}");
    }
}
