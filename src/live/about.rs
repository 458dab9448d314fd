//! What the tap says of a scan before its first line.

use serde::Serialize;

/// Wavelengths of red, green and blue, nm.
const VISIBLE_NM: [f64; 3] = [640.0, 550.0, 460.0];
/// Wavelengths that stand for them where nothing is visible, nm: water, clay and carbonate differ there.
const INFRARED_NM: [f64; 3] = [2200.0, 1650.0, 1250.0];

/// Kind of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Counts of one camera, in its own pixels.
    Camera,
    /// Reflectance of all cameras on the grid.
    Grid,
}

/// A picture that the tap gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// The camera's configured name, or `grid`.
    pub name: String,
    /// Kind of the picture.
    pub kind: SourceKind,
    /// Pixels of the picture across.
    pub pixels: usize,
    /// Pixels of the detector, or of the grid.
    pub detector_pixels: usize,
    /// Neighbouring pixels of the detector in one of the picture.
    pub merged: usize,
    /// Lines for one row of the picture.
    pub stride: u32,
    /// Band centres, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Counts at which the detector is full; `null` where that is not known, and for reflectance.
    pub full_scale_counts: Option<f64>,
    /// Left edge of the picture on the tray, mm.
    pub left_mm: f64,
    /// Width of a pixel of the picture, mm.
    pub pixel_mm: f64,
    /// Bands of the natural picture: red, green and blue.
    pub rgb: Vec<u16>,
}

/// The grid of the joined rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AboutGrid {
    /// Edge of a pixel, mm.
    pub pixel_mm: f64,
    /// Centre of pixel 0 across the tray, mm.
    pub x0_mm: f64,
    /// Pixels across.
    pub width: usize,
    /// Band centres, nm.
    pub wavelengths_nm: Vec<f64>,
}

/// A container of the tray map that has a place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AboutContainer {
    /// Its name on the tray.
    pub at: String,
    /// The sample in it.
    pub sample: String,
    /// Left edge, mm.
    pub x_mm: f64,
    /// Leading edge, mm.
    pub y_mm: f64,
    /// Width across, mm.
    pub width_mm: f64,
    /// Length along, mm.
    pub length_mm: f64,
    /// Whether it is round.
    pub round: bool,
}

/// A scan, as the tap shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct About {
    /// The scan's id.
    pub scan: String,
    /// The tray's name.
    pub tray: String,
    /// Start of the scan.
    pub started: String,
    /// End of its last row; `null` while it runs.
    pub ended: Option<String>,
    /// Length of the tray, mm, where it is known.
    pub length_mm: Option<f64>,
    /// The grid.
    pub grid: AboutGrid,
    /// The pictures. A message names one by its place in this list. The cameras come first.
    pub sources: Vec<Source>,
    /// Containers with a place in the map.
    pub containers: Vec<AboutContainer>,
    /// Names of the minerals that are looked for. The code of the first is 1. Empty where none are identified while the belt moves.
    pub minerals: Vec<String>,
}

/// The bands of a natural picture: visible light where there is some, else three of the infrared, else the first, middle and last.
pub fn rgb(wavelengths_nm: &[f64]) -> Vec<u16> {
    let last = wavelengths_nm.len().saturating_sub(1);
    let within =
        |nm: f64| wavelengths_nm.first().is_some_and(|first| *first <= nm) && wavelengths_nm.last().is_some_and(|last| *last >= nm);
    let nearest = |nm: f64| {
        let apart = |band: &usize| (wavelengths_nm[*band] - nm).abs();
        (0..=last).min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap_or(0)
    };
    let chosen = match wavelengths_nm {
        [] => return Vec::new(),
        _ if VISIBLE_NM.into_iter().all(within) => VISIBLE_NM.map(nearest),
        _ if INFRARED_NM.into_iter().all(within) => INFRARED_NM.map(nearest),
        _ => [last, last / 2, 0],
    };
    let mut bands: Vec<u16> = chosen.iter().filter_map(|band| u16::try_from(*band).ok()).collect();
    bands.dedup();
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_natural_picture_is_of_visible_light_where_there_is_some() {
        let vnir: Vec<f64> = (0..61).map(|i| 400.0 + 10.0 * f64::from(i)).collect();
        let swir: Vec<f64> = (0..151).map(|i| 1000.0 + 10.0 * f64::from(i)).collect();
        assert_eq!(rgb(&vnir), [24, 15, 6]);
        assert_eq!(rgb(&swir), [120, 65, 25]);
        assert_eq!(rgb(&[1.0, 2.0, 3.0]), [2, 1, 0]);
        assert_eq!(rgb(&[1.0]), [0]);
        assert!(rgb(&[]).is_empty());
    }
}
