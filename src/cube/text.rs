//! What people read of coverage and minerals.

use super::Found;
use crate::identify::{Coverage, Identifier, Summary};
use std::io::{self, Write};

/// Writes which minerals and features the bands of a rig cover.
///
/// # Errors
/// The output refuses.
pub fn write_coverage(identifier: &Identifier, out: &mut dyn Write) -> io::Result<()> {
    let covered = identifier.coverage().iter().filter(|entry| entry.covered()).count();
    writeln!(out, "{covered} of {} minerals can be identified", identifier.coverage().len())?;
    for entry in identifier.coverage() {
        let Coverage { mineral, group, not_identified, windows } = entry;
        let names: Vec<&str> = windows.iter().map(|window| window.window.as_str()).collect();
        match (not_identified, entry.covered()) {
            (Some(reason), _) => writeln!(out, "  {mineral:<22} group {group}  never: {reason}")?,
            (None, true) => writeln!(out, "  {mineral:<22} group {group}  {}", names.join(", "))?,
            (None, false) => writeln!(out, "  {mineral:<22} group {group}  not covered")?,
        }
        for window in windows {
            let Some(reason) = &window.missing else { continue };
            let optional = if window.optional { " (optional)" } else { "" };
            writeln!(out, "    {}{optional}: {reason}", window.window)?;
        }
    }
    let features = identifier.features().iter().zip(identifier.covered_features());
    let missing: Vec<&str> = features.filter(|(_, covered)| !covered).map(|(feature, _)| feature.name.as_str()).collect();
    if missing.is_empty() {
        return writeln!(out, "all {} features are covered", identifier.features().len());
    }
    writeln!(out, "{} of {} features are not covered: {}", missing.len(), identifier.features().len(), missing.join(", "))
}

/// Writes the shares and features of a cube.
///
/// # Errors
/// The output refuses.
pub fn write_found(found: &Found, out: &mut dyn Write) -> io::Result<()> {
    let Summary { pixels, groups, features, .. } = &found.summary;
    writeln!(out, "{}: {pixels} valid pixels, library {}", found.name, found.identifier.library())?;
    for (group, kind) in groups.iter().zip(["group 1, electronic", "group 2, vibrational"]) {
        writeln!(out, "  {kind}")?;
        for share in group {
            let [low, high] = share.interval.map(|share| 100.0 * share);
            writeln!(out, "    {:<22} {:6.2} %  ({low:.2} to {high:.2})", share.mineral, 100.0 * share.share)?;
        }
    }
    writeln!(out, "  features: median, its interval, and spread")?;
    for feature in features {
        let ([low, high], unit) = (feature.interval, if feature.unit == "1" { "" } else { " nm" });
        let digits = if feature.unit == "1" { 4 } else { 2 };
        writeln!(
            out,
            "    {:<22} {:.digits$}{unit}  ({low:.digits$} to {high:.digits$}), ± {:.digits$}, {} pixels",
            feature.name, feature.median, feature.spread, feature.pixels
        )?;
    }
    if let Some(path) = &found.written {
        writeln!(out, "  written to {}", path.display())?;
    }
    Ok(())
}
