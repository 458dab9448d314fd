//! Spectra and codes as images, with one row for each spectrum, in groups.

use super::palette;
use super::panel::{Panel, px, text_width};
use super::scale::{Scale, range};
use base64::Engine;
use maud::html;
use ndarray::ArrayView2;

/// A group of rows of one class.
pub struct HeatGroup {
    /// Name of the class.
    pub name: String,
    /// Number of rows.
    pub rows: usize,
}

/// One image of a figure.
pub struct HeatPart<'a> {
    /// Title above the image.
    pub title: String,
    /// Values `(rows, columns)`, in the order of the groups.
    pub values: ArrayView2<'a, f32>,
    /// Wavelengths of the columns, nm. Codes have none.
    pub wavelengths_nm: Option<&'a [f64]>,
    /// Width in pixels.
    pub width: f64,
}

const TOP: f64 = 22.0;
const BOTTOM: f64 = 40.0;
const GAP: f64 = 18.0;

/// Images side by side over the same rows. Spectra share one scale of colour, with a bar beside it. Each column of codes has its own scale.
pub fn heat(groups: &[HeatGroup], parts: &[HeatPart], height: f64) -> Panel {
    let gutter = groups.iter().map(|g| text_width(&g.name)).fold(0.0, f64::max) + 10.0;
    let total: usize = groups.iter().map(|g| g.rows).sum();
    let y_of = |row: usize| TOP + row as f64 / total.max(1) as f64 * height;
    let mut starts = vec![0];
    groups.iter().for_each(|g| starts.push(starts[starts.len() - 1] + g.rows));
    let mut x = gutter;
    let mut places = Vec::new();
    for part in parts {
        places.push(x);
        x += part.width + GAP + if part.wavelengths_nm.is_some() { 64.0 } else { 0.0 };
    }
    let body = html! {
        @for (group, start) in groups.iter().zip(&starts) {
            text x=(px(gutter - 6.0)) y=(px((y_of(*start) + y_of(start + group.rows)) / 2.0 + 4.0)) text-anchor="end" { (group.name) }
        }
        @for (part, &x) in parts.iter().zip(&places) {
            @let (low, high) = shared_range(part.values);
            text x=(px(x)) y="14" font-weight="600" { (part.title) }
            image x=(px(x)) y=(TOP) width=(px(part.width)) height=(height) preserveAspectRatio="none" style="image-rendering:pixelated"
                href=(image(part, low, high)) {}
            @for start in &starts[1..starts.len() - 1] {
                line x1=(px(x)) x2=(px(x + part.width)) y1=(px(y_of(*start))) y2=(px(y_of(*start))) stroke="#ffffff" stroke-width="1.2" {}
            }
            @if let Some(wavelengths) = part.wavelengths_nm {
                @for (tick, text) in wavelength_ticks(wavelengths, part.width) {
                    line x1=(px(x + tick)) x2=(px(x + tick)) y1=(TOP + height) y2=(TOP + height + 4.0) stroke="#8c959f" {}
                    text x=(px(x + tick)) y=(TOP + height + 16.0) text-anchor="middle" fill="#57606a" { (text) }
                }
                text x=(px(x + part.width / 2.0)) y=(TOP + height + 33.0) text-anchor="middle" { "wavelength, nm" }
                (colour_bar(x + part.width + 10.0, height, low, high))
            } @else {
                text x=(px(x + part.width / 2.0)) y=(TOP + height + 16.0) text-anchor="middle" fill="#57606a" {
                    @if part.values.ncols() > 1 { "1-" (part.values.ncols()) } @else { "1" }
                }
                text x=(px(x + part.width / 2.0)) y=(TOP + height + 33.0) text-anchor="middle" { "code" }
            }
        }
    };
    Panel { width: x - GAP + 6.0, height: TOP + height + BOTTOM, body }
}

fn colour_bar(x: f64, height: f64, low: f64, high: f64) -> maud::Markup {
    const STEPS: usize = 40;
    let tall = height * 0.6;
    let scale = Scale { low, high, from: TOP + tall + 14.0, to: TOP + 14.0 };
    html! {
        text x=(px(x)) y=(TOP + 4.0) font-size="10" { "reflectance" }
        @for i in 0..STEPS {
            @let [r, g, b] = palette::viridis((i as f64 + 0.5) / STEPS as f64);
            rect x=(px(x)) y=(px(scale.from - (i + 1) as f64 / STEPS as f64 * tall)) width="10" height=(px(tall / STEPS as f64 + 0.5)) fill={ "rgb(" (r) "," (g) "," (b) ")" } {}
        }
        @for (v, text) in scale.ticks(5) {
            text x=(px(x + 14.0)) y=(px(scale.at(v) + 4.0)) fill="#57606a" { (text) }
        }
    }
}

/// Ticks of the wavelengths. Bands need not be evenly spaced, so that a tick stands at the nearest band.
fn wavelength_ticks(wavelengths: &[f64], width: f64) -> Vec<(f64, String)> {
    let (Some(&low), Some(&high)) = (wavelengths.first(), wavelengths.last()) else { return Vec::new() };
    if high <= low {
        return Vec::new();
    }
    let place = |v: f64| {
        let band = wavelengths.partition_point(|&w| w < v).min(wavelengths.len() - 1);
        (band as f64 + 0.5) / wavelengths.len() as f64 * width
    };
    Scale { low, high, from: 0.0, to: width }.ticks((width / 60.0) as usize).into_iter().map(|(v, t)| (place(v), t)).collect()
}

/// The range from the 1st to the 99th percentile. A few bright pixels then do not darken all others.
fn shared_range(values: ArrayView2<f32>) -> (f64, f64) {
    let mut sorted: Vec<f32> = values.iter().copied().collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| sorted.get((share * sorted.len().saturating_sub(1) as f64) as usize).map_or(0.0, |&v| f64::from(v));
    range([at(0.01), at(0.99)].into_iter())
}

/// The values as an image in viridis, as a `data:` address.
fn image(part: &HeatPart, low: f64, high: f64) -> String {
    let (rows, columns) = part.values.dim();
    let ranges: Vec<(f64, f64)> = match part.wavelengths_nm {
        Some(_) => vec![(low, high); columns],
        None => (0..columns).map(|c| shared_range(part.values.slice(ndarray::s![.., c..=c]))).collect(),
    };
    let shade = |((_, c), &v): ((usize, usize), &f32)| {
        let (low, high) = ranges[c];
        ((f64::from(v) - low) / (high - low) * 255.0).clamp(0.0, 255.0) as u8
    };
    let pixels: Vec<u8> = part.values.indexed_iter().map(shade).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette((0..=255).flat_map(|i| palette::viridis(f64::from(i) / 255.0)).collect::<Vec<u8>>());
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.expect("memory takes everything, and the sizes agree");
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(file))
}
