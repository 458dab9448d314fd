//! Trees of merges, with the root at the left and the leaves at the right.

use super::panel::{Panel, px, text_width};
use super::scale::Scale;
use crate::linkage::Tree;
use maud::html;
use std::collections::HashMap;
use std::fmt::Write;

/// A column of bars right of the leaves. Each bar has the shares of the classes of a leaf.
pub struct Chips<'a> {
    /// Name above the column.
    pub name: String,
    /// Class of every row of the tree.
    pub class: Vec<u16>,
    /// A colour for every class.
    pub colours: &'a [String],
}

const STEP: f64 = 13.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 38.0;
const GAP: f64 = 8.0;

/// Draws the last merges of `tree`, down to `shown` leaves. `name` gives the names of leaves, and each of `chips` is a column.
pub fn dendrogram(tree: &Tree, shown: usize, name: impl Fn(usize) -> String, chips: &[Chips], height_label: &str, width: f64) -> Panel {
    let leaves = tree.leaves(shown);
    let names: Vec<String> = leaves.iter().map(|&c| name(c)).collect();
    let chip: f64 = if leaves.len() == tree.rows() { 14.0 } else { 54.0 };
    // A leaf of one row has one class, so that its chips are narrow.
    let columns: Vec<f64> = chips.iter().map(|c| chip.max(text_width(&c.name))).collect();
    let labels = names.iter().map(|n| text_width(n)).fold(0.0, f64::max) + 10.0;
    let right = width - labels - columns.iter().sum::<f64>() - GAP * columns.len() as f64;
    let most = tree.merges.iter().map(|m| m.height).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let bottom = TOP + leaves.len() as f64 * STEP;
    let x = Scale { low: 0.0, high: most * 1.02, from: right - 4.0, to: 8.0 };
    let n = tree.rows();
    let mut place: HashMap<usize, (f64, f64)> =
        leaves.iter().enumerate().map(|(i, &c)| (c, (right - 4.0, TOP + (i as f64 + 0.5) * STEP))).collect();
    let mut path = String::new();
    for (m, merge) in tree.merges.iter().enumerate() {
        // Children of merges inside a leaf have no place.
        let (Some(&a), Some(&b)) = (place.get(&merge.of[0]), place.get(&merge.of[1])) else { continue };
        let at = x.at(merge.height);
        write!(path, "M{} {}H{}V{}H{}", px(a.0), px(a.1), px(at), px(b.1), px(b.0)).expect("text takes everything");
        place.insert(n + m, (at, (a.1 + b.1) / 2.0));
    }
    let mut starts = Vec::new();
    let mut at = right + 2.0;
    for wide in &columns {
        starts.push(at);
        at += wide + GAP;
    }
    let members: Vec<Vec<usize>> = leaves.iter().map(|&c| tree.members(c)).collect();
    let body = html! {
        @for (v, text) in x.ticks(6) {
            line x1=(px(x.at(v))) x2=(px(x.at(v))) y1=(TOP) y2=(bottom) stroke="#eceef1" {}
            text x=(px(x.at(v))) y=(bottom + 15.0) text-anchor="middle" fill="#57606a" { (text) }
        }
        text x=(px(right / 2.0)) y=(bottom + 32.0) text-anchor="middle" { (height_label) }
        path d=(path) fill="none" stroke="#424a53" stroke-width="1.1" {}
        @for ((column, &start), wide) in chips.iter().zip(&starts).zip(&columns) {
            text x=(px(start + wide / 2.0)) y="13" text-anchor="middle" { (column.name) }
            @for (leaf, rows) in members.iter().enumerate() {
                @for (from, share, class) in shares(rows, &column.class) {
                    @let x = start + (wide - chip) / 2.0 + from * chip;
                    rect x=(px(x)) y=(px(TOP + leaf as f64 * STEP + 1.5)) width=(px(share * chip)) height="10" fill=(column.colours[usize::from(class)]) {}
                }
            }
        }
        @for (leaf, name) in names.iter().enumerate() {
            text x=(px(at)) y=(px(TOP + (leaf as f64 + 0.5) * STEP + 4.0)) font-size="10" { (name) }
        }
    };
    Panel { width, height: bottom + BOTTOM, body }
}

/// Start and length of the bar of each class among `rows`, and the class.
fn shares(rows: &[usize], class: &[u16]) -> Vec<(f64, f64, u16)> {
    let mut counts = std::collections::BTreeMap::new();
    rows.iter().for_each(|&r| *counts.entry(class[r]).or_insert(0_usize) += 1);
    let mut from = 0.0;
    let part = |(class, count): (u16, usize)| {
        let share = count as f64 / rows.len() as f64;
        from += share;
        (from - share, share, class)
    };
    counts.into_iter().map(part).collect()
}
