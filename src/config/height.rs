//! Heights of the containers and the panel above the plane for which a camera's view is configured.
//!
//! A camera at the distance D sees a surface at the height h at 1 - h / D of its distance from the middle of the line. Lamps at the
//! distance L light it by (L / (L - h))². References are taken at the height of the panel, and scans at that of the containers.

use super::{CameraConfig, Config};
use crate::scan::{Fault, Tray};

/// Error of a container's place beyond which its own height is a warning, mm.
const MOST_OFF_MM: f64 = 0.1;
/// Error of a container's reflectance beyond which its own height is a warning, as a share.
const MOST_OFF: f64 = 0.003;
/// Least and largest distance of a camera or the lamps, mm.
const DISTANCES_MM: (f64, f64) = (50.0, 100_000.0);
/// Largest height, as a share of a distance.
const MOST_OF_DISTANCE: f64 = 0.5;

impl CameraConfig {
    /// Middle of the line across, mm.
    pub fn middle_mm(&self) -> f64 {
        self.shift_mm + self.field_of_view_mm / 2.0
    }

    /// Place across of the middle of pixel `pixel` of `pixels`, mm.
    #[expect(clippy::cast_precision_loss, reason = "pixel numbers are small")]
    pub fn pixel_mm(&self, pixel: usize, pixels: usize) -> f64 {
        self.shift_mm + (pixel as f64 + 0.5) * self.field_of_view_mm / pixels as f64
    }

    /// The place across at the height `height_mm` of what the camera sees at `x_mm` in its plane, both mm.
    pub fn place_at_mm(&self, x_mm: f64, height_mm: f64) -> f64 {
        match self.distance_mm.filter(|_| height_mm != 0.0) {
            Some(distance_mm) => self.middle_mm() + (x_mm - self.middle_mm()) * (1.0 - height_mm / distance_mm),
            None => x_mm,
        }
    }

    /// Shift and width of the view at the height `height_mm`, mm.
    pub fn view_at_mm(&self, height_mm: f64) -> (f64, f64) {
        if height_mm == 0.0 || self.distance_mm.is_none() {
            return (self.shift_mm, self.field_of_view_mm);
        }
        let (left, right) =
            (self.place_at_mm(self.shift_mm, height_mm), self.place_at_mm(self.shift_mm + self.field_of_view_mm, height_mm));
        (left, right - left)
    }
}

impl Config {
    /// Where a place across, mm, lies in the view of the first camera: -1 at its left end, 1 at its right end.
    pub fn across(&self, x_mm: f64) -> f64 {
        self.camera.first().map_or(0.0, |camera| 2.0 * (x_mm - camera.middle_mm()) / camera.field_of_view_mm)
    }

    /// The light on the panel as a share of that on the containers, by their heights. 1 where no distance of the lamps is given.
    pub fn light_on_panel(&self) -> f64 {
        let panel_mm = self.references.as_ref().map_or(0.0, |references| references.panel.height_mm);
        self.light_ratio(panel_mm, self.scan.tray_height_mm)
    }

    /// The light at the height `height_mm` as a share of that at `other_mm`.
    fn light_ratio(&self, height_mm: f64, other_mm: f64) -> f64 {
        match self.lamps.distance_mm.filter(|_| height_mm != other_mm) {
            Some(distance_mm) => ((distance_mm - other_mm) / (distance_mm - height_mm)).powi(2),
            None => 1.0,
        }
    }

    /// Faults of heights and distances.
    pub(super) fn height_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, key: String, problem: String| {
            if !holds {
                faults.push(Fault::new(key, problem));
            }
        };
        let (least, most) = DISTANCES_MM;
        let known = |distance: Option<f64>| distance.is_none_or(|mm| (least..=most).contains(&mm));
        for (i, camera) in self.camera.iter().enumerate() {
            must(known(camera.distance_mm), format!("camera[{i}].distance_mm"), format!("must be from {least} to {most} mm"));
        }
        must(known(self.lamps.distance_mm), "lamps.distance_mm".into(), format!("must be from {least} to {most} mm"));
        let (tray_mm, panel_mm) = (self.scan.tray_height_mm, self.references.as_ref().map_or(0.0, |references| references.panel.height_mm));
        let lamps_mm = self.lamps.distance_mm.unwrap_or(f64::INFINITY);
        let nearest_mm = self.camera.iter().filter_map(|camera| camera.distance_mm).fold(lamps_mm, f64::min);
        let far = |height_mm: f64, distance_mm: f64| height_mm.abs() <= MOST_OF_DISTANCE * distance_mm.min(most);
        let half = "must be at most half of the distance of lamps and cameras, up or down";
        must(far(tray_mm, nearest_mm), "scan.tray_height_mm".into(), half.into());
        must(far(panel_mm, lamps_mm), "references.panel.height_mm".into(), half.into());
        // A height says nothing without the distances.
        if tray_mm != 0.0 {
            for (i, camera) in self.camera.iter().enumerate() {
                let key = format!("camera[{i}].distance_mm");
                must(camera.distance_mm.is_some(), key, "is missing: scan.tray_height_mm needs the distance from the lens, mm".into());
            }
        }
        if tray_mm != panel_mm && self.references.is_some() {
            let problem = "is missing: scan.tray_height_mm and references.panel.height_mm need the distance of the lamps, mm";
            must(self.lamps.distance_mm.is_some(), "lamps.distance_mm".into(), problem.into());
        }
        faults
    }

    /// Warnings of a tray's containers whose own heights differ from `scan.tray_height_mm` so much that their places or their reflectance
    /// are off.
    pub fn height_warnings(&self, tray: &Tray) -> Vec<String> {
        let common_mm = self.scan.tray_height_mm;
        let mut warnings = Vec::new();
        for container in &tray.containers {
            let Some(height_mm) = container.height_mm.filter(|mm| *mm != common_mm) else { continue };
            let name = &container.at;
            let off = |camera: &CameraConfig| {
                let (left, width) = camera.view_at_mm(common_mm);
                let edges = container.footprint.map_or([left, left + width], |f| [f.x_mm, f.x_mm + f.width_mm]);
                let from_middle = edges.iter().map(|x| (x - camera.middle_mm()).abs()).fold(0.0, f64::max);
                camera.distance_mm.map(|distance_mm| from_middle * (height_mm - common_mm).abs() / (distance_mm - common_mm))
            };
            let places: Option<Vec<f64>> = self.camera.iter().map(off).collect();
            let lit = self.lamps.distance_mm.is_some() || self.references.is_none();
            let Some(places) = places.filter(|_| lit) else {
                warnings.push(format!(
                    "{name} lies {height_mm} mm high, the tray {common_mm} mm: how far its values are off is not known without camera.distance_mm and lamps.distance_mm"
                ));
                continue;
            };
            let (across_mm, light) = (places.into_iter().fold(0.0, f64::max), self.light_ratio(height_mm, common_mm) - 1.0);
            if across_mm > MOST_OFF_MM || light.abs() > MOST_OFF {
                warnings.push(format!(
                    "{name} lies {height_mm} mm high, the tray {common_mm} mm (scan.tray_height_mm): its reflectance is {:+.1} % off, and its edges are up to {across_mm:.1} mm off; scan containers of one height at a time",
                    100.0 * light
                ));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use serde_json::json;

    fn config(more: &str) -> Config {
        let text = format!(
            "[rig]\nname = \"test\"\ndata_dir = \"data\"\n[conveyor]\nspeed_mm_per_s = 20.0\ndevice = {{ kind = \"recorded\" }}\n\
             [references]\npanel = {{ reflectance = 0.95, height_mm = 2.0 }}\n[grid]\npixel_mm = 1.0\n{more}"
        );
        load::parse(&text).unwrap()
    }

    const CAMERA: &str = "[[camera]]\nname = \"vnir\"\nfield_of_view_mm = 300.0\nexposure_us = 2000.0\nframe_rate_hz = 20.0\n\
                          device = { kind = \"replay\", path = \"x\" }\n";

    fn rig(tray_mm: f64, camera_mm: f64, lamps_mm: f64) -> Config {
        config(&format!("[scan]\ntray_height_mm = {tray_mm:?}\n[lamps]\ndistance_mm = {lamps_mm:?}\n{CAMERA}distance_mm = {camera_mm:?}\n"))
    }

    #[test]
    fn a_higher_tray_is_seen_larger_and_brighter() {
        let high = rig(10.0, 500.0, 500.0);
        let (shift_mm, width_mm) = high.camera[0].view_at_mm(10.0);
        assert!((shift_mm - 3.0).abs() < 1e-9 && (width_mm - 294.0).abs() < 1e-9);
        assert!((high.light_on_panel() - (490.0_f64 / 498.0).powi(2)).abs() < 1e-12);
        let plain = config(CAMERA);
        assert_eq!((plain.camera[0].view_at_mm(0.0), plain.light_on_panel()), ((0.0, 300.0), 1.0));
    }

    #[test]
    fn heights_need_distances_and_stay_below_half_of_them() {
        assert_eq!(rig(10.0, 500.0, 500.0).height_faults(), []);
        assert_eq!(rig(25.0, 50.0, 500.0).height_faults(), []);
        let key = |config: &Config| config.height_faults().into_iter().map(|fault| fault.path).collect::<Vec<_>>();
        assert_eq!(key(&rig(26.0, 50.0, 500.0)), ["scan.tray_height_mm"]);
        assert_eq!(key(&rig(0.0, 49.0, 100_001.0)), ["camera[0].distance_mm", "lamps.distance_mm"]);
        let without = config(&format!("[scan]\ntray_height_mm = 2.0\n{CAMERA}"));
        assert_eq!(key(&without), ["camera[0].distance_mm"], "panel and tray have the same light");
        assert_eq!(key(&config(CAMERA)), ["lamps.distance_mm"], "the panel is higher than the tray");
    }

    #[test]
    fn a_container_of_another_height_is_warned_of_with_its_size() {
        let tray = |height: f64| {
            let map = json!({"tray": "T", "container": [
                {"sample": "a", "x_mm": 10.0, "y_mm": 0.0, "width_mm": 50.0, "length_mm": 50.0, "height_mm": height},
                {"sample": "b", "x_mm": 100.0, "y_mm": 0.0, "width_mm": 50.0, "length_mm": 50.0}]});
            Tray::check(&map).unwrap()
        };
        let warned = |height: f64| rig(10.0, 500.0, 500.0).height_warnings(&tray(height));
        assert!(warned(10.0).is_empty() && warned(10.3).is_empty() && warned(9.7).is_empty());
        // 0.3 % of reflectance are 0.73 mm of 490, 0.1 mm at 140 mm from the middle 0.35 mm.
        assert_eq!((warned(10.34).len(), warned(10.36).len()), (0, 1));
        assert!(
            matches!(&warned(20.0)[..], [one] if one.starts_with("1 lies 20 mm high") && one.contains("+4.2 %") && one.contains("2.9 mm")),
            "{:?}",
            warned(20.0)
        );
        let unknown = config(CAMERA).height_warnings(&tray(5.0));
        assert!(matches!(&unknown[..], [one] if one.contains("not known")));
    }
}
