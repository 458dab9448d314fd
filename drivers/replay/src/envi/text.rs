//! The text of a header as keys and values.

use super::error::{HeaderError, Warning};
use std::collections::HashMap;

/// One `key = value`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key in lower case, its words apart by one blank.
    pub key: String,
    /// The value without blanks around it. The braces of the file stay, and its lines are apart by `\n`.
    pub value: String,
    /// Line of the key, from 1.
    pub line: usize,
}

/// Most doubts that are told one by one. A file that is no header may have one in each of its lines.
const MOST_DOUBTS: usize = 20;

/// Splits a header, as Spectral Python does. A value that opens a brace ends with the first line that ends with one. Braces may
/// thus stand inside. A line that begins with a semicolon is a comment.
pub(super) fn entries(text: &str, warnings: &mut Vec<Warning>) -> Result<Vec<Entry>, HeaderError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate();
    let first = lines.next().map_or("", |(_, line)| line.trim());
    if !first.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("envi")) {
        return Err(HeaderError::NotEnvi { found: shorten(first) });
    }
    let mut more = 0;
    let mut doubt = |warning: Warning| if warnings.len() < MOST_DOUBTS { warnings.push(warning) } else { more += 1 };
    // An entry that comes again leaves its first place empty.
    let mut entries: Vec<Option<Entry>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    while let Some((index, line)) = lines.next() {
        let line_number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            doubt(Warning::NotAKey { line: line_number });
            continue;
        };
        let key = normal_key(key);
        if key.is_empty() {
            doubt(Warning::NotAKey { line: line_number });
            continue;
        }
        let mut value = value.trim().to_owned();
        if value.starts_with('{') {
            while !value.ends_with('}') {
                let Some((_, more)) = lines.next() else {
                    return Err(HeaderError::Unclosed { key: shorten(&key), line: line_number });
                };
                let more = more.trim();
                if !more.starts_with(';') {
                    value.push('\n');
                    value.push_str(more);
                }
            }
        }
        if let Some(place) = places.insert(key.clone(), entries.len()) {
            doubt(Warning::Repeated { key: shorten(&key), line: line_number });
            entries[place] = None;
        }
        entries.push(Some(Entry { key, value, line: line_number }));
    }
    if more > 0 {
        warnings.push(Warning::More { count: more });
    }
    Ok(entries.into_iter().flatten().collect())
}

/// A key in lower case, its words apart by one blank.
pub(super) fn normal_key(key: &str) -> String {
    key.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The text between the braces, or the value itself without braces.
pub(super) fn inner(value: &str) -> &str {
    value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(value).trim()
}

/// The parts of a list, apart by commas, blanks or lines.
pub(super) fn parts(value: &str) -> impl Iterator<Item = &str> {
    inner(value).split([',', ' ', '\t', '\n']).map(str::trim).filter(|part| !part.is_empty())
}

/// The first 40 characters, for messages.
pub(super) fn shorten(value: &str) -> String {
    match value.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}

/// Text in braces that [`entries`] reads as one value. Its lines stay, unless one of them would end it early or vanish.
pub(super) fn braced(text: &str) -> String {
    // `lines` would drop an empty line at the end.
    let lines: Vec<&str> = text.split('\n').map(str::trim).collect();
    let ends_early = lines.iter().rev().skip(1).any(|line| line.ends_with('}'));
    let vanishes = lines.iter().skip(1).any(|line| line.starts_with(';'));
    format!("{{{}}}", lines.join(if ends_early || vanishes { " " } else { "\n" }))
}

/// Text as a value on one line.
pub(super) fn bare(text: &str) -> String {
    let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    if line.trim_start().starts_with('{') { format!("{{{line}}}") } else { line }
}

/// A value as it stood in the file. An open brace is closed.
pub(super) fn kept(value: &str) -> String {
    match value.trim().strip_prefix('{') {
        Some(rest) => braced(rest.strip_suffix('}').unwrap_or(rest)),
        None => bare(value),
    }
}
