//! A simulated camera.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A simulated line-scan camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CameraConfig {
    /// Pixels across the belt.
    pub pixels: usize,
    /// Spectral bands.
    pub bands: usize,
    /// Centre of the first band, nm.
    pub first_nm: f64,
    /// Centre of the last band, nm.
    pub last_nm: f64,
    /// Width of the line that the camera sees, mm.
    pub field_of_view_mm: f64,
    /// Belt position with the tray's leading edge (y = 0) under this camera, mm.
    pub offset_mm: f64,
    /// Shift of the line across the belt, mm. Pixel p sees x = (p + 0.5) * `field_of_view_mm` / `pixels` + `shift_mm`.
    pub shift_mm: f64,
    /// Distance of the camera to the belt, mm. A tray above the belt looks larger.
    pub distance_mm: f64,
    /// Point spread of the optics, full width at half maximum of a Gaussian on the belt, mm, across and along.
    pub psf_mm: f64,
    /// Width of the bands, full width at half maximum of a Gaussian, nm. Without it a band sees its centre alone, and the camera
    /// states the distance of bands as their width.
    pub fwhm_nm: Option<f64>,
    /// Smile: how much longer the wavelengths are at both edges than in the middle, nm. It grows as the square.
    pub smile_nm: f64,
    /// Keystone: how much wider the last band sees at each edge than the first band, pixels. It is linear in the band.
    pub keystone_px: f64,
    /// Yaw: rotation of the line on the belt about its middle, degrees, from x towards y.
    pub yaw_deg: f64,
    /// How much longer all true wavelengths are than the stated ones, nm.
    pub wavelength_shift_nm: f64,
    /// How much wider the true distance of bands is than the stated one, as a share. The middle of the range stays.
    pub dispersion_error: f64,
    /// Bend of the detector's response halfway to full scale, as a share of full scale. It vanishes at both ends.
    pub nonlinearity: f64,
    /// Stray light on every element: share of the mean signal of all pixels and bands.
    pub stray_light: f64,
    /// Stray light within a pixel: share of its mean signal over all bands.
    pub stray_light_bands: f64,
    /// Stray light within a band: share of its mean signal over all pixels.
    pub stray_light_pixels: f64,
    /// Elements with telegraph noise.
    pub telegraph: Option<Telegraph>,
    /// Bits of the detector, 8 to 16. Full scale is 2^bits - 1.
    pub bits: u32,
    /// Dark level, counts.
    pub dark_level: f64,
    /// Standard deviation of a read-out in the dark, counts.
    pub read_noise: f64,
    /// Variance of the shot noise per count of signal.
    pub shot_noise_per_count: f64,
    /// Detector elements that always give 0.
    pub dead_elements: usize,
    /// Detector elements that always give full scale.
    pub hot_elements: usize,
    /// Detector elements with twenty times the read noise of the others.
    pub noisy_elements: usize,
    /// Rise of the dark level per hour of simulated time, counts.
    pub dark_drift_per_h: f64,
    /// Frames that the link loses, of a thousand.
    pub lost_per_thousand: f64,
    /// Bits of the frame counter that the camera sends, 8 to 64. The driver unwraps it, as drivers of real cameras must.
    pub counter_bits: u32,
    /// Whether that counter skips 0, as that of GigE Vision 1.x does.
    pub counter_skips_zero: bool,
    /// Counter value of the first frame of a stream. The lowest one unless given.
    pub counter_start: Option<u64>,
    /// Temperature of the sensor, degrees Celsius, at first and after hours of work. It rises with a time constant of 600 s.
    pub sensor_c: (f32, f32),
    /// Highest frame rate, 1/s.
    pub max_frame_rate_hz: f64,
    /// Shortest exposure, µs.
    pub min_exposure_us: f64,
    /// Longest exposure, µs.
    pub max_exposure_us: f64,
    /// Delay of a frame's stamp behind the middle of its exposure, µs. The frame itself comes as late.
    pub latency_us: f64,
    /// Exposure for a white panel at 90 % of full scale, µs. It holds under full light, in the brightest element.
    pub reference_exposure_us: f64,
    /// Whether it has a shutter.
    pub shutter: bool,
}

impl Default for CameraConfig {
    fn default() -> Self {
        Self {
            pixels: 512,
            bands: 224,
            first_nm: 400.0,
            last_nm: 1000.0,
            field_of_view_mm: 300.0,
            offset_mm: 0.0,
            shift_mm: 0.0,
            distance_mm: 500.0,
            psf_mm: 0.0,
            fwhm_nm: None,
            smile_nm: 0.0,
            keystone_px: 0.0,
            yaw_deg: 0.0,
            wavelength_shift_nm: 0.0,
            dispersion_error: 0.0,
            nonlinearity: 0.0,
            stray_light: 0.0,
            stray_light_bands: 0.0,
            stray_light_pixels: 0.0,
            telegraph: None,
            bits: 12,
            dark_level: 120.0,
            read_noise: 3.4,
            shot_noise_per_count: 0.02,
            dead_elements: 20,
            hot_elements: 20,
            noisy_elements: 0,
            dark_drift_per_h: 0.0,
            lost_per_thousand: 0.0,
            counter_bits: 64,
            counter_skips_zero: false,
            counter_start: None,
            sensor_c: (22.0, 31.0),
            max_frame_rate_hz: 330.0,
            min_exposure_us: 50.0,
            max_exposure_us: 1_000_000.0,
            latency_us: 0.0,
            reference_exposure_us: 2_000.0,
            shutter: true,
        }
    }
}

/// Telegraph noise: elements that jump between their dark level and a higher one, at random times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telegraph {
    /// Share of the elements, 0 to 1.
    pub share: f64,
    /// Height of the jump, counts.
    pub counts: f64,
    /// Mean number of jumps of an element per second.
    pub hz: f64,
    /// Time at which it begins, s since the world began. From the beginning when neither this nor `from_mm` is given.
    #[serde(default)]
    pub from_s: Option<f64>,
    /// Belt position at which it begins, mm, when the belt first comes there.
    #[serde(default)]
    pub from_mm: Option<f64>,
}
