//! The tree of an HDF5 file.

use crate::hdf::{Class, Link, Object, Values};
use crate::schema::attribute;
use crate::store::{Reading, SampleError};
use crate::terminal::plain;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io::Write;

/// Attributes of dimension scales. The names of the axes are shown instead.
const SCALE_ATTRIBUTES: [&str; 4] = [attribute::SCALE_CLASS, attribute::SCALE_NAME, attribute::DIMENSION_LIST, attribute::REFERENCE_LIST];
/// Most values of a list that are shown.
const SHOWN: usize = 4;
/// Most characters of a string that are shown.
const TEXT: usize = 60;
/// Most characters of a name that are shown.
const NAME: usize = 200;
/// Most bytes of an attribute whose values are shown.
const VALUE_BYTES: u64 = 1 << 20;
/// Most attributes of an object that are shown.
const ATTRIBUTES: usize = 64;
/// Most objects that are shown.
const OBJECTS: usize = 10_000;
/// Depth to which groups are shown.
const DEPTH: usize = 64;

/// A file's tree, as far as it is shown.
pub(super) struct Tree<'a> {
    reading: &'a Reading,
    /// The groups that were shown, by their places, with their paths.
    seen: HashMap<(u64, u64), String>,
    /// Names of objects, by their places.
    names: HashMap<u64, String>,
    /// Objects that may still be shown.
    left: usize,
}

impl<'a> Tree<'a> {
    pub(super) fn new(reading: &'a Reading) -> Self {
        Self { reading, seen: HashMap::new(), names: HashMap::new(), left: OBJECTS }
    }

    /// Shows all of it.
    pub(super) fn show(mut self, out: &mut dyn Write) -> Result<(), SampleError> {
        let root = self.reading.file.root();
        writeln!(out, "/{}", attributes(root))?;
        if let Ok(place) = root.place() {
            self.seen.insert(place, "/".to_owned());
        }
        self.members(root, "", "", 0, out)
    }

    fn members(&mut self, group: &Object, path: &str, indent: &str, depth: usize, out: &mut dyn Write) -> Result<(), SampleError> {
        let (names, all) = match group.members() {
            Ok(found) => found,
            Err(why) => return Ok(writeln!(out, "{indent}└─ (its members cannot be listed: {})", plain(&why.to_string()))?),
        };
        for name in &names {
            // Scales are named by their places, and lie beside what they belong to, or above.
            if let Ok(Link::Hard(place)) = group.link(name) {
                self.names.entry(place).or_insert_with(|| shown_name(name));
            }
        }
        for (i, name) in names.iter().enumerate() {
            let last = i as u64 + 1 == all;
            let (branch, deeper) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let Some(left) = self.left.checked_sub(1) else {
                return Ok(writeln!(out, "{indent}└─ ... ({OBJECTS} objects are shown, and no more)")?);
            };
            self.left = left;
            let shown = shown_name(name);
            let path = format!("{path}/{shown}");
            let (line, below) = self.member(group, name, &path);
            writeln!(out, "{indent}{branch}{shown}{line}")?;
            let Some(below) = below else { continue };
            let indent = format!("{indent}{deeper}");
            if depth + 1 == DEPTH {
                writeln!(out, "{indent}└─ ... (deeper groups are not shown)")?;
            } else {
                self.members(&below, &path, &indent, depth + 1, out)?;
            }
        }
        if (names.len() as u64) < all {
            writeln!(out, "{indent}└─ ... ({all} members)")?;
        }
        Ok(())
    }

    /// What stands behind a name, and the group to go down into.
    fn member(&mut self, group: &Object, name: &CStr, path: &str) -> (String, Option<Object>) {
        let link = match group.link(name) {
            Ok(link) => link,
            Err(why) => return (format!("  ({})", plain(&why.to_string())), None),
        };
        let arrow = match &link {
            Link::Hard(_) => String::new(),
            Link::Soft(path) => format!(" -> {}", cut(path)),
            Link::External { file, path } => format!(" -> {} in {}", cut(path), cut(file)),
            Link::Other(kind) => return (format!("  (a link of kind {kind}, which is not followed)"), None),
        };
        let object = match group.below(name) {
            Ok(object) => object,
            Err(_) if matches!(link, Link::External { .. }) => return (format!("{arrow}  (in another file, and not read)"), None),
            Err(_) if matches!(link, Link::Soft(_)) => return (format!("{arrow}  (leads nowhere)"), None),
            Err(why) => return (format!("  ({})", plain(&why.to_string())), None),
        };
        match object.class() {
            Class::Group if matches!(link, Link::Soft(_)) => (format!("{arrow}/"), None),
            Class::Group => {
                let place = object.place();
                if let Some(first) = place.as_ref().ok().and_then(|place| self.seen.get(place)) {
                    return (format!("/{arrow}  (the same group as {first})"), None);
                }
                self.seen.extend(place.ok().map(|place| (place, path.to_owned())));
                (format!("/{arrow}{}", attributes(&object)), Some(object))
            }
            Class::Dataset => (format!("{arrow}  {}", self.described(object)), None),
            Class::Type => (format!("{arrow}  (a type with a name)"), None),
        }
    }

    /// Shape, axes, type, filters and attributes of a dataset, and its value where it has just one.
    fn described(&self, dataset: Object) -> String {
        let attributes = attributes(&dataset);
        let axes = dataset.scales(attribute::DIMENSION_LIST).unwrap_or_default();
        let axis = |i: usize| axes.get(i).map(|place| place.and_then(|place| self.names.get(&place)).map_or("?", String::as_str));
        let filters = dataset.filters().unwrap_or_default();
        let values = match dataset.values() {
            Ok(values) => values,
            Err(why) => return format!("({})", plain(&why.to_string())),
        };
        let extents = values.shape().unwrap_or_default().iter().enumerate();
        let extents = extents.map(|(i, n)| axis(i).map_or_else(|| n.to_string(), |axis| format!("{axis}={n}")));
        let extents = extents.collect::<Vec<_>>().join(", ");
        let kind = values.kind().map_or_else(|_| "?".to_owned(), |kind| plain(&kind).into_owned());
        let filters = if filters.is_empty() { String::new() } else { format!(" [{}]", plain(&filters.join(", "))) };
        let value = if values.shape() == Some(&[]) { format!(" = {}", shown(&values)) } else { String::new() };
        format!("({extents}) {kind}{filters}{value}{attributes}")
    }
}

fn attributes(object: &Object) -> String {
    let Ok((names, all)) = object.attributes() else { return "  (its attributes cannot be listed)".to_owned() };
    let ours = |name: &&CString| !SCALE_ATTRIBUTES.iter().any(|scale| scale.as_bytes() == name.to_bytes());
    let one = |name: &CString| {
        let value = object.attribute(name).map_or_else(|_| "?".to_owned(), |values| shown(&values));
        format!("  @{}={value}", shown_name(name))
    };
    let shown: String = names.iter().filter(ours).take(ATTRIBUTES).map(one).collect();
    if all > ATTRIBUTES as u64 { format!("{shown}  @... ({all} attributes)") } else { shown }
}

/// The first values of an attribute or of a small dataset.
fn shown(values: &Values) -> String {
    let Ok(kind) = values.kind() else { return "?".to_owned() };
    let kind = plain(&kind).into_owned();
    match values.bytes() {
        Ok(bytes) if bytes <= VALUE_BYTES => {}
        _ => return format!("{kind} ({:?})", values.shape().unwrap_or_default()),
    }
    let list = |texts: Vec<String>| texts;
    let texts: Vec<String> = match values.whole() {
        Some((true, true)) => values.numbers::<i64>().map(|v| list(v.iter().map(ToString::to_string).collect())),
        Some((true, false)) => values.numbers::<u64>().map(|v| list(v.iter().map(ToString::to_string).collect())),
        Some((false, _)) => values.numbers::<f64>().map(|v| list(v.iter().map(ToString::to_string).collect())),
        None if values.is_text() => values.texts().map(|v| list(v.iter().map(|s| quoted(s)).collect())),
        None => return kind,
    }
    .unwrap_or_else(|_| vec!["?".to_owned()]);
    let more = if texts.len() > SHOWN { ", ..." } else { "" };
    let shown = texts[..texts.len().min(SHOWN)].join(", ");
    if values.shape() == Some(&[]) { shown } else { format!("[{shown}{more}]") }
}

fn quoted(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(TEXT).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    format!("\"{}{more}\"", plain(&short))
}

/// A name on one line, the end of a long one cut off.
fn cut(name: &str) -> String {
    let short: String = name.chars().take(NAME).collect();
    let more = if short.len() < name.len() { "..." } else { "" };
    format!("{}{more}", plain(&short))
}

fn shown_name(name: &CStr) -> String {
    cut(&name.to_string_lossy())
}
