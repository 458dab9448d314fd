//! Points in the plane, coloured by class.

use super::panel::{Panel, px};
use super::scale::{Scale, range};
use maud::html;
use ndarray::ArrayView2;
use std::fmt::Write;

/// Layers of points. Each has points of every class, so that no class covers all others.
const LAYERS: usize = 16;
const MARGIN: f64 = 6.0;

/// Draws points `(rows, 2)` on a square of `side` pixels, with one scale for both axes.
pub fn map(points: ArrayView2<f32>, class: &[u16], colours: &[String], side: f64) -> Panel {
    let of = |axis: usize| range(points.column(axis).iter().map(|&v| f64::from(v)));
    let (x, y) = (of(0), of(1));
    let half = (x.1 - x.0).max(y.1 - y.0) / 2.0;
    let scale = |(low, high): (f64, f64), from, to| Scale { low: (low + high) / 2.0 - half, high: (low + high) / 2.0 + half, from, to };
    let (x, y) = (scale(x, MARGIN, side - MARGIN), scale(y, side - MARGIN, MARGIN));
    let mut paths = vec![String::new(); LAYERS * colours.len()];
    for (i, (point, &class)) in points.rows().into_iter().zip(class).enumerate() {
        let path = &mut paths[i % LAYERS * colours.len() + usize::from(class)];
        write!(path, "M{} {}h0", px(x.at(f64::from(point[0]))), px(y.at(f64::from(point[1])))).expect("text takes everything");
    }
    let width = if class.len() > 2000 { 2.2 } else { 3.2 };
    let body = html! {
        rect x="0.5" y="0.5" width=(side - 1.0) height=(side - 1.0) fill="none" stroke="#d0d7de" {}
        g fill="none" stroke-linecap="round" stroke-width=(width) stroke-opacity="0.75" {
            @for (at, path) in paths.iter().enumerate().filter(|(_, p)| !p.is_empty()) {
                path d=(path) stroke=(colours[at % colours.len()]) {}
            }
        }
    };
    Panel { width: side, height: side, body }
}
