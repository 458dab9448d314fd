//! Checks of a configuration. They find every fault at once, with its key.

use crate::config::{CameraConfig, ConveyorConfig, LightConfig, TrayConfig, WorldConfig};
use contract::FrameCounter;

/// A configuration of the simulation that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulation's configuration cannot be used; change {}", listed(faults))]
pub struct WorldError {
    /// Key and problem of every fault.
    pub faults: Vec<(String, String)>,
}

fn listed(faults: &[(String, String)]) -> String {
    faults.iter().map(|(key, fault)| format!("{key}: {fault}")).collect::<Vec<_>>().join("; ")
}

/// Collects the faults of a configuration, to report all of them at once.
#[derive(Default)]
struct Check(Vec<(String, String)>);

impl Check {
    fn need(&mut self, holds: bool, key: &str, needs: &str, found: impl std::fmt::Display) {
        if !holds {
            self.0.push((key.to_owned(), format!("must be {needs}, is {found}")));
        }
    }

    fn positive(&mut self, key: &str, value: f64) {
        self.need(value.is_finite() && value > 0.0, key, "above 0", value);
    }

    fn not_negative(&mut self, key: &str, value: f64) {
        self.need(value.is_finite() && value >= 0.0, key, "0 or more", value);
    }

    fn share(&mut self, key: &str, value: f64) {
        self.need((0.0..=1.0).contains(&value), key, "from 0 to 1", value);
    }

    fn finite(&mut self, key: &str, value: f64) {
        self.need(value.is_finite(), key, "a number", value);
    }

    /// An effect begins at a time or at a belt position, not at both.
    fn onset(&mut self, key: &str, from_s: Option<f64>, from_mm: Option<f64>) {
        if let Some(from_s) = from_s {
            self.not_negative(&format!("{key}.from_s"), from_s);
            self.need(from_mm.is_none(), &format!("{key}.from_mm"), "absent beside from_s", from_mm.unwrap_or_default());
        }
        if let Some(from_mm) = from_mm {
            self.finite(&format!("{key}.from_mm"), from_mm);
        }
    }

    fn mineral(&mut self, key: &str, name: &str) {
        if crate::minerals::index_of(name).is_none() {
            self.0.push((key.to_owned(), format!("must be one of {}, is {name}", crate::minerals::names().join(", "))));
        }
    }

    /// The ores of named minerals in a tray whose containers have this width, mm.
    fn ores(&mut self, tray: &TrayConfig, width_mm: f64) {
        let mut taken: Vec<&str> = tray.tiles.iter().map(String::as_str).collect();
        for (i, ore) in tray.ores.iter().enumerate() {
            let key = |name: &str| format!("tray.ores[{i}].{name}");
            self.need(!ore.at.is_empty(), &key("at"), "one place or more", "empty");
            for (j, at) in ore.at.iter().enumerate() {
                let key = key(&format!("at[{j}]"));
                let known = crate::tray::place(at).is_some_and(|(row, column)| row < tray.rows && column < tray.columns);
                self.need(known, &key, "a place of the tray such as \"B2\"", at);
                self.need(!taken.contains(&at.as_str()), &key, "named once, by one ore or by tray.tiles", at);
                taken.push(at);
            }
            for (j, of) in ore.minerals.iter().enumerate() {
                self.mineral(&key(&format!("minerals[{j}].mineral")), &of.mineral);
                let again = ore.minerals[..j].iter().any(|before| before.mineral == of.mineral);
                self.need(!again, &key(&format!("minerals[{j}].mineral")), "named once", &of.mineral);
                self.need(of.share > 0.0 && of.share <= 1.0, &key(&format!("minerals[{j}].share")), "above 0 and at most 1", of.share);
                self.need((0.05..=20.0).contains(&of.path), &key(&format!("minerals[{j}].path")), "from 0.05 to 20", of.path);
            }
            let sum: f64 = ore.minerals.iter().map(|of| of.share).sum();
            self.need((sum - 1.0).abs() <= 0.001, &key("minerals"), "shares that add up to 1", format!("{sum:.4}"));
            self.need((0.5..=100.0).contains(&ore.grain_mm), &key("grain_mm"), "from 0.5 to 100", ore.grain_mm);
            self.need((0.05..=20.0).contains(&ore.path), &key("path"), "from 0.05 to 20", ore.path);
            self.need((0.0..=1.0).contains(&ore.path_spread), &key("path_spread"), "from 0 to 1", ore.path_spread);
            self.need((0.0..=0.5).contains(&ore.shade_spread), &key("shade_spread"), "from 0 to 0.5", ore.shade_spread);
            self.share(&key("gaps"), ore.gaps);
            self.need((0.0..=100.0).contains(&ore.water), &key("water"), "from 0 to 100", ore.water);
            for (j, vein) in ore.veins.iter().enumerate() {
                let key = |name: &str| key(&format!("veins[{j}].{name}"));
                self.mineral(&key("mineral"), &vein.mineral);
                self.need((0.1..=1000.0).contains(&vein.width_mm), &key("width_mm"), "from 0.1 to 1000", vein.width_mm);
                self.need(vein.angle_deg.abs() <= 180.0, &key("angle_deg"), "from -180 to 180", vein.angle_deg);
                self.share(&key("through[0]"), vein.through.0);
                self.share(&key("through[1]"), vein.through.1);
            }
        }
        let places: usize = tray.ores.iter().map(|ore| ore.at.len()).sum();
        let area_mm2 = width_mm * tray.container_length_mm * places as f64;
        self.need(places == 0 || area_mm2 <= 1e6, "tray.ores", "on at most 1000000 mm² of containers", area_mm2);
    }

    fn done(self) -> Result<(), WorldError> {
        if self.0.is_empty() { Ok(()) } else { Err(WorldError { faults: self.0 }) }
    }
}

impl WorldConfig {
    /// Checks this configuration.
    ///
    /// # Errors
    /// [`WorldError`] with every fault, by key.
    pub fn check(&self) -> Result<(), WorldError> {
        let mut check = Check::default();
        check.positive("time_scale", self.time_scale);
        check.positive("field_mm", self.field_mm);
        check.share("segregation", self.segregation);
        check.need((0.0..=0.2).contains(&self.texture), "texture", "from 0 to 0.2", self.texture);
        if let Some(grains) = &self.grains {
            check.need(grains.cell_mm >= 0.1 && grains.cell_mm.is_finite(), "grains.cell_mm", "0.1 or more", grains.cell_mm);
            check.need((1..=2000).contains(&grains.kinds), "grains.kinds", "from 1 to 2000", grains.kinds);
            let materials = (usize::from(grains.kinds) + 1) * self.tray.rows * self.tray.columns;
            check.need(materials < 60_000, "grains.kinds", "at most 60000 in all containers", materials);
            check.need((1.0..=20.0).contains(&grains.path_ratio), "grains.path_ratio", "from 1 to 20", grains.path_ratio);
            for (key, spread) in [
                ("grains.plant_spread", grains.plant_spread),
                ("grains.month_spread", grains.month_spread),
                ("grains.kind_spread", grains.kind_spread),
                ("grains.path_spread", grains.path_spread),
                ("grains.water_spread", grains.water_spread),
                ("grains.shade_spread", grains.shade_spread),
            ] {
                check.need((0.0..=2.0).contains(&spread), key, "from 0 to 2", spread);
            }
            check.not_negative("grains.water", grains.water);
            check.share("grains.outliers", grains.outliers);
        }
        check.not_negative("warm_up_s", self.warm_up_s);
        check.share("lamp_drift", self.lamp_drift);
        check.positive("lamp_drift_period_s", self.lamp_drift_period_s);
        for (i, change) in self.lamp_changes.iter().enumerate() {
            let key = format!("lamp_changes[{i}]");
            check.need((-1.0..=1.0).contains(&change.share), &format!("{key}.share"), "from -1 to 1", change.share);
            check.not_negative(&format!("{key}.over_s"), change.over_s);
            check.onset(&key, change.from_s, change.from_mm);
        }
        check.need((0.0..=0.5).contains(&self.mains_ripple), "mains_ripple", "from 0 to 0.5", self.mains_ripple);
        check.need((1.0..=1000.0).contains(&self.mains_ripple_hz), "mains_ripple_hz", "from 1 to 1000", self.mains_ripple_hz);
        check.need((10.0..=1e5).contains(&self.lamp_distance_mm), "lamp_distance_mm", "from 10 to 100000", self.lamp_distance_mm);
        check.need((0.0..=0.5).contains(&self.belt_ripple), "belt_ripple", "from 0 to 0.5", self.belt_ripple);
        check.need((1.0..=1e4).contains(&self.belt_ripple_mm), "belt_ripple_mm", "from 1 to 10000", self.belt_ripple_mm);
        for (key, height_mm) in [("panel.height_mm", self.panel.height_mm), ("tray.height_mm", self.tray.height_mm)] {
            let half = self.lamp_distance_mm / 2.0;
            check.need(height_mm.abs() <= half, key, "at most half of lamp_distance_mm, up or down", height_mm);
        }
        check.need((0.0..=0.5).contains(&self.panel.unevenness), "panel.unevenness", "from 0 to 0.5", self.panel.unevenness);
        check.share("panel.reflectance", self.panel.reflectance);
        check.finite("panel.start_mm", self.panel.start_mm);
        check.need(self.panel.end_mm > self.panel.start_mm, "panel.end_mm", "beyond panel.start_mm", self.panel.end_mm);
        if let Some((from, to)) = self.panel.after_mm {
            check.need(
                from < to && from >= self.panel.end_mm,
                "panel.after_mm",
                "[from, to] behind panel.end_mm",
                format!("{from} to {to}"),
            );
        }
        if let Some(dirt) = &self.panel.dirt {
            check.share("panel.dirt.share", dirt.share);
        }
        for (i, feature) in self.panel.features.iter().enumerate() {
            check.positive(&format!("panel.features[{i}].nm"), feature.nm);
            check.share(&format!("panel.features[{i}].depth"), feature.depth);
            check.positive(&format!("panel.features[{i}].width_nm"), feature.width_nm);
        }
        if let Some(shade) = &self.panel.shade {
            check.share("panel.shade.share", shade.share);
        }
        if let Some((from, to)) = self.strip_mm {
            check.need(from < to, "strip_mm", "from below to", format!("{from} to {to}"));
        }
        let tray = &self.tray;
        check.need((1..=26).contains(&tray.rows), "tray.rows", "from 1 to 26", tray.rows);
        check.need((1..=1000).contains(&tray.columns), "tray.columns", "from 1 to 1000", tray.columns);
        check.positive("tray.pitch_along_mm", tray.pitch_along_mm);
        check.positive("tray.container_length_mm", tray.container_length_mm);
        let fits = tray.container_length_mm <= tray.pitch_along_mm;
        check.need(fits, "tray.container_length_mm", "at most tray.pitch_along_mm", tray.container_length_mm);
        let pitch = tray.pitch_across_mm.unwrap_or(self.field_mm / tray.columns.max(1) as f64);
        check.positive("tray.pitch_across_mm", pitch);
        let width = tray.container_width_mm.unwrap_or(0.78 * pitch);
        check.need(width > 0.0 && width <= pitch, "tray.container_width_mm", "above 0 and at most the pitch across", width);
        check.not_negative("tray.first_along_mm", tray.first_along_mm);
        check.finite("tray.shift_across_mm", tray.shift_across_mm);
        check.finite("tray.shift_along_mm", tray.shift_along_mm);
        check.need(tray.tilt_deg.abs() <= 45.0, "tray.tilt_deg", "from -45 to 45", tray.tilt_deg);
        let places = |key| move |(i, at)| (key, i, at);
        for (key, i, at) in tray.missing.iter().enumerate().map(places("missing")).chain(tray.tiles.iter().enumerate().map(places("tiles")))
        {
            let known = crate::tray::place(at).is_some_and(|(row, column)| row < tray.rows && column < tray.columns);
            check.need(known, &format!("tray.{key}[{i}]"), "a place of the tray such as \"B2\"", at);
        }
        check.ores(tray, width);
        if let Some(slip) = &self.faults.belt_slips {
            check.share("faults.belt_slips.share", slip.share);
        }
        if let Some(slow) = &self.faults.encoder_slow {
            check.not_negative("faults.encoder_slow.batch_s", slow.batch_s);
        }
        if let Some(late) = &self.faults.camera_late {
            check.not_negative("faults.camera_late.delay_s", late.delay_s);
        }
        if let Some(silent) = &self.faults.drive_silent {
            check.not_negative("faults.drive_silent.stops_after_s", silent.stops_after_s);
        }
        if let Some(flicker) = &self.faults.lamp_flickers {
            check.share("faults.lamp_flickers.share", flicker.share);
            check.not_negative("faults.lamp_flickers.hz", flicker.hz);
        }
        check.done()
    }
}

impl CameraConfig {
    /// Checks this configuration.
    ///
    /// # Errors
    /// [`WorldError`] with every fault, by key.
    pub fn check(&self) -> Result<(), WorldError> {
        let mut check = Check::default();
        check.need((1..=16_384).contains(&self.pixels), "pixels", "from 1 to 16384", self.pixels);
        check.need((1..=4_096).contains(&self.bands), "bands", "from 1 to 4096", self.bands);
        check.positive("first_nm", self.first_nm);
        check.need(self.last_nm > self.first_nm, "last_nm", "above first_nm", self.last_nm);
        check.positive("field_of_view_mm", self.field_of_view_mm);
        check.finite("offset_mm", self.offset_mm);
        check.finite("shift_mm", self.shift_mm);
        check.need((50.0..=1e5).contains(&self.distance_mm), "distance_mm", "from 50 to 100000", self.distance_mm);
        let view = self.field_of_view_mm;
        check.need((0.0..=view / 10.0).contains(&self.psf_mm), "psf_mm", "from 0 to a tenth of field_of_view_mm", self.psf_mm);
        if let Some(fwhm_nm) = self.fwhm_nm {
            let range = self.last_nm - self.first_nm;
            check.need(fwhm_nm >= 0.1 && fwhm_nm <= range, "fwhm_nm", "from 0.1 to the range from first_nm to last_nm", fwhm_nm);
        }
        check.need(self.smile_nm.abs() <= 50.0, "smile_nm", "from -50 to 50", self.smile_nm);
        let few = self.pixels as f64 / 8.0;
        let keystone = self.keystone_px.abs() <= few.min(20.0);
        check.need(keystone, "keystone_px", "from -20 to 20, and at most an eighth of pixels", self.keystone_px);
        check.need(self.yaw_deg.abs() <= 10.0, "yaw_deg", "from -10 to 10", self.yaw_deg);
        check.need(self.wavelength_shift_nm.abs() <= 50.0, "wavelength_shift_nm", "from -50 to 50", self.wavelength_shift_nm);
        check.need(self.dispersion_error.abs() <= 0.05, "dispersion_error", "from -0.05 to 0.05", self.dispersion_error);
        check.need(self.nonlinearity.abs() <= 0.1, "nonlinearity", "from -0.1 to 0.1", self.nonlinearity);
        for (key, share) in [
            ("stray_light", self.stray_light),
            ("stray_light_bands", self.stray_light_bands),
            ("stray_light_pixels", self.stray_light_pixels),
        ] {
            check.need((0.0..=0.5).contains(&share), key, "from 0 to 0.5", share);
        }
        if let Some(telegraph) = &self.telegraph {
            check.share("telegraph.share", telegraph.share);
            let full = f64::from((1_u32 << self.bits.clamp(8, 16)) - 1);
            check.need(telegraph.counts.abs() <= full, "telegraph.counts", "at most full scale, up or down", telegraph.counts);
            check.need((0.001..=1000.0).contains(&telegraph.hz), "telegraph.hz", "from 0.001 to 1000", telegraph.hz);
            check.onset("telegraph", telegraph.from_s, telegraph.from_mm);
        }
        check.need((0.0..=1e6).contains(&self.latency_us), "latency_us", "from 0 to 1000000", self.latency_us);
        check.need((8..=16).contains(&self.bits), "bits", "from 8 to 16", self.bits);
        let half = f64::from((1_u32 << self.bits.clamp(8, 16)) - 1) / 2.0;
        check.need((0.0..half).contains(&self.dark_level), "dark_level", "from 0 to half of full scale", self.dark_level);
        check.not_negative("read_noise", self.read_noise);
        check.not_negative("shot_noise_per_count", self.shot_noise_per_count);
        let bad = self.dead_elements.saturating_add(self.hot_elements).saturating_add(self.noisy_elements);
        let problem = "at most half of the detector, with hot_elements and noisy_elements";
        check.need(bad <= self.pixels * self.bands / 2, "dead_elements", problem, bad);
        check.finite("dark_drift_per_h", self.dark_drift_per_h);
        check.need((0.0..1000.0).contains(&self.lost_per_thousand), "lost_per_thousand", "from 0 to below 1000", self.lost_per_thousand);
        check.need((8..=64).contains(&self.counter_bits), "counter_bits", "from 8 to 64", self.counter_bits);
        if let Some(start) = self.counter_start {
            let fits = FrameCounter::new(self.counter_bits, self.counter_skips_zero).beginning_at(start).is_ok();
            check.need(fits, "counter_start", "a value of the counter", start);
        }
        let (cold, warm) = self.sensor_c;
        check.need((-100.0..=100.0).contains(&cold) && (-100.0..=100.0).contains(&warm), "sensor_c", "from -100 to 100", warm);
        check.positive("max_frame_rate_hz", self.max_frame_rate_hz);
        check.positive("min_exposure_us", self.min_exposure_us);
        check.need(self.max_exposure_us >= self.min_exposure_us, "max_exposure_us", "at least min_exposure_us", self.max_exposure_us);
        check.positive("reference_exposure_us", self.reference_exposure_us);
        check.done()
    }
}

impl ConveyorConfig {
    /// Checks this configuration.
    ///
    /// # Errors
    /// [`WorldError`] with every fault, by key.
    pub fn check(&self) -> Result<(), WorldError> {
        let mut check = Check::default();
        check.positive("min_speed_mm_per_s", self.min_speed_mm_per_s);
        let (least, most) = (self.min_speed_mm_per_s, self.max_speed_mm_per_s);
        check.need(most.is_finite() && most >= least, "max_speed_mm_per_s", "at least min_speed_mm_per_s", most);
        check.need((-0.5..=0.5).contains(&self.speed_error), "speed_error", "from -0.5 to 0.5", self.speed_error);
        check.finite("start_position_mm", self.start_position_mm);
        let poll = self.poll_ms == 0.0 || (1.0..=10_000.0).contains(&self.poll_ms);
        check.need(poll, "poll_ms", "0, or from 1 to 10000", self.poll_ms);
        check.need((0.0..=1000.0).contains(&self.delay_ms), "delay_ms", "from 0 to 1000", self.delay_ms);
        let jitter = (0.0..=self.poll_ms / 2.0).contains(&self.jitter_ms);
        check.need(jitter, "jitter_ms", "from 0 to half of poll_ms", self.jitter_ms);
        check.done()
    }
}

impl LightConfig {
    /// Checks this configuration.
    ///
    /// # Errors
    /// [`WorldError`] with every fault, by key.
    pub fn check(&self) -> Result<(), WorldError> {
        let mut check = Check::default();
        check.share("share", self.share);
        check.done()
    }
}
