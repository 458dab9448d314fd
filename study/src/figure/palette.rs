//! Colours for readers with and without a colour vision deficiency.

/// Colours of Okabe and Ito 2008, without black. Dark colours are not neighbours.
const OKABE_ITO: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a900"];

/// Stops of matplotlib's viridis (van der Walt and Smith 2015), evenly spaced.
const VIRIDIS: [[u8; 3]; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

/// Viridis at a place from 0 to 1, as red, green and blue.
pub fn viridis(at: f64) -> [u8; 3] {
    let place = at.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let low = (place as usize).min(VIRIDIS.len() - 2);
    let part = place - low as f64;
    std::array::from_fn(|c| (f64::from(VIRIDIS[low][c]) * (1.0 - part) + f64::from(VIRIDIS[low + 1][c]) * part).round() as u8)
}

/// One colour for each class, as `#rrggbb`. Up to seven classes have distinct colours. More classes, such as months, follow viridis.
pub fn classes(count: usize) -> Vec<String> {
    if count <= OKABE_ITO.len() {
        return OKABE_ITO[..count].iter().map(|&c| c.to_owned()).collect();
    }
    // The palest yellow is invisible on white.
    (0..count).map(|i| hex(viridis(i as f64 / (count - 1) as f64 * 0.95))).collect()
}

/// A blue that darkens from 0 to 1, and whether text on it must be white.
pub fn shade(at: f64) -> (String, bool) {
    let at = at.clamp(0.0, 1.0);
    let mix = |light: f64, dark: f64| (light + (dark - light) * at).round() as u8;
    (hex([mix(247.0, 8.0), mix(251.0, 64.0), mix(255.0, 129.0)]), at > 0.5)
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}
