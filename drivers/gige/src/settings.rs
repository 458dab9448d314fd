//! The settings of a configuration in a camera, set and read back.

use crate::aravis::{Device, Fault};
use crate::config::{Config, Feature, Value};
use crate::network::{Interface, largest_socket_buffer, packet_size, socket_buffer};
use contract::{CameraError, Exposure};
use std::net::Ipv4Addr;

/// The camera's configured name, for its errors.
#[derive(Debug, Clone)]
pub struct Named(pub String);

impl Named {
    /// The error of a refusal.
    pub fn refused(&self, setting: &'static str, wanted: impl ToString, reason: impl ToString) -> CameraError {
        CameraError::Refused { camera: self.0.clone(), setting, wanted: wanted.to_string(), reason: reason.to_string() }
    }

    /// The error of a camera that cannot be reached.
    pub fn link(&self, reason: impl ToString) -> CameraError {
        CameraError::Link { camera: self.0.clone(), reason: reason.to_string() }
    }

    /// The error of a stream that cannot begin.
    pub fn start(&self, reason: impl Into<String>) -> CameraError {
        CameraError::Start { camera: self.0.clone(), reason: reason.into() }
    }

    /// Converts the result of a setting.
    fn set<T>(&self, setting: &'static str, wanted: impl ToString, result: Result<T, Fault>) -> Result<T, CameraError> {
        result.map_err(|fault| if fault.link { self.link(fault) } else { self.refused(setting, wanted, fault) })
    }

    /// Converts the result of a reading.
    pub fn read<T>(&self, what: &str, result: Result<T, Fault>) -> Result<T, CameraError> {
        result.map_err(|fault| self.link(format!("{what} cannot be read: {fault}")))
    }
}

/// The camera's state after its setup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Bytes of a buffer, the image and its additional data.
    pub payload: usize,
    /// Bits of the frame ids.
    pub id_bits: u32,
    /// Weak points of the setup.
    pub warnings: Vec<String>,
}

/// The region of a configuration: x, y, width, height.
pub fn region(named: &Named, config: &Config) -> Result<[i32; 4], CameraError> {
    let number = |value: usize| i32::try_from(value).map_err(|_| named.refused("region", value, "is too large"));
    let offset = |value: u32| number(usize::try_from(value).unwrap_or(usize::MAX));
    Ok([offset(config.offset_x)?, offset(config.offset_y)?, number(config.pixels)?, number(config.rows())?])
}

/// Sets the region and reads it back.
fn set_region(named: &Named, device: &Device, config: &Config) -> Result<(), CameraError> {
    let wanted = region(named, config)?;
    let [x, y, width, height] = wanted;
    let told = format!("{width} x {height} at {x}, {y}");
    // A smaller region fits at any place.
    named.set("region", &told, device.set_region([0, 0, width, height]))?;
    if (x, y) != (0, 0) {
        named.set("region", &told, device.set_region(wanted))?;
    }
    let [x, y, width, height] = named.read("the region", device.region())?;
    if [x, y, width, height] == wanted {
        return Ok(());
    }
    Err(named.refused("region", told, format!("it took {width} x {height} at {x}, {y}; give pixels, bands and offsets that it takes")))
}

/// Sets a feature by its name, and compares the value in the camera.
pub fn set_feature(named: &Named, device: &Device, feature: &Feature) -> Result<(), CameraError> {
    let name = feature.name.as_str();
    let took = |taken: String| named.refused("feature", feature, format!("it has {taken} after that"));
    match &feature.value {
        None => named.set("feature", feature, device.execute(name)),
        Some(Value::Switch(wanted)) => match named.set("feature", feature, device.set_boolean(name, *wanted))? {
            taken if taken == *wanted => Ok(()),
            taken => Err(took(taken.to_string())),
        },
        Some(Value::Integer(wanted)) => {
            match device.set_integer(name, *wanted) {
                Ok(taken) if taken == *wanted => Ok(()),
                Ok(taken) => Err(took(taken.to_string())),
                // A whole number may be meant for a float.
                #[expect(clippy::cast_precision_loss, reason = "what is written by hand is small")]
                Err(_) => set_float(named, device, feature, *wanted as f64),
            }
        }
        Some(Value::Float(wanted)) => set_float(named, device, feature, *wanted),
        Some(Value::Text(wanted)) => match named.set("feature", feature, device.set_text(name, wanted))? {
            taken if taken == *wanted => Ok(()),
            taken => Err(took(taken)),
        },
    }
}

/// A float is rounded to what the camera can hold.
fn set_float(named: &Named, device: &Device, feature: &Feature, wanted: f64) -> Result<(), CameraError> {
    let taken = named.set("feature", feature, device.set_float(&feature.name, wanted))?;
    if (taken - wanted).abs() <= 0.01 * wanted.abs() + 1e-6 {
        return Ok(());
    }
    Err(named.refused("feature", feature, format!("it has {taken} after that")))
}

/// Sets everything but the exposure.
pub fn set_up(named: &Named, device: &Device, config: &Config, address: Option<Ipv4Addr>) -> Result<Setup, CameraError> {
    let mut warnings = Vec::new();
    named.set("AcquisitionMode", "continuous", device.set_continuous())?;
    let format = config.pixel_format.name();
    named.set("pixel format", format, device.set_pixel_format(format))?;
    set_region(named, device, config)?;
    for auto in ["ExposureAuto", "GainAuto"] {
        if named.read(auto, device.has(auto))? {
            named.set("automatic", format!("{auto} = Off"), device.set_text(auto, "Off"))?;
        }
    }
    if let Some(gain) = config.gain {
        named.set("gain", gain, device.set_gain(gain))?;
    }
    if device.is_gige() {
        warnings.extend(set_packets(named, device, config, address)?);
    }
    for feature in &config.features {
        set_feature(named, device, feature)?;
    }
    match config.trigger.as_str() {
        "free" => named.set("trigger", "free", device.clear_triggers())?,
        "software" => named.set("trigger", "software", device.set_trigger("Software"))?,
        line => named.set("trigger", line, device.set_trigger(line))?,
    }
    let payload = named.read("the size of a frame", device.payload())?;
    let image = config.pixel_format.bytes(config.pixels * config.rows());
    if payload < image {
        let reason =
            format!("its frames are {payload} bytes then, and an image is {image}; a feature changed its region or its pixel format");
        return Err(named.refused("region", format!("{} x {}", config.pixels, config.rows()), reason));
    }
    Ok(Setup { payload, id_bits: id_bits(named, device, config)?, warnings })
}

/// Bits of the frame ids. USB3 Vision has 64. GigE Vision has 16, unless the camera is set to long ids.
fn id_bits(named: &Named, device: &Device, config: &Config) -> Result<u32, CameraError> {
    const EXTENDED: &str = "GevGVSPExtendedIDMode";
    if let Some(bits) = config.frame_id_bits {
        return Ok(bits);
    }
    let extended = || Ok(named.read(EXTENDED, device.has(EXTENDED))? && named.read(EXTENDED, device.text(EXTENDED))? == "On");
    Ok(if !device.is_gige() || extended()? { 64 } else { 16 })
}

/// Sets the size of packets and the memory for them. Returns a weak point.
fn set_packets(named: &Named, device: &Device, config: &Config, address: Option<Ipv4Addr>) -> Result<Option<String>, CameraError> {
    if let Some(allowed) = largest_socket_buffer() {
        let wanted = format!("{} KiB", config.socket_buffer_kib);
        socket_buffer(config.socket_buffer_kib, allowed).map_err(|reason| named.refused("socket_buffer_kib", wanted, reason))?;
    }
    let interface = config.interface.as_deref().and_then(Interface::named).or_else(|| address.and_then(Interface::towards));
    let name = interface.as_ref().map_or("?", |one| one.name.as_str());
    let mtu = interface.as_ref().and_then(Interface::mtu).unwrap_or(1500);
    let asked = config.packet_size.map_or_else(|| "as large as possible".into(), |bytes| bytes.to_string());
    let wanted = packet_size(config.packet_size, mtu, name).map_err(|reason| named.refused("packet_size", &asked, reason))?;
    let bytes = i32::try_from(wanted).unwrap_or(i32::MAX);
    let taken = named.set("packet_size", wanted, device.set_packet_size(bytes))?;
    if config.packet_size.is_some_and(|asked| asked != taken) {
        return Err(named.refused("packet_size", asked, format!("it took {taken}")));
    }
    if config.packet_delay_us > 0 {
        let ns = i64::from(config.packet_delay_us) * 1000;
        named.set("packet_delay_us", config.packet_delay_us, device.set_packet_delay(ns))?;
    }
    Ok((taken < 4000).then(|| {
        format!(
            "packets of {taken} bytes over {name}: larger ones lose less and cost less; as root, `ip link set dev {name} mtu 9000`, where switch and camera take that"
        )
    }))
}

/// Sets exposure, frame rate and binning. Returns the values in the camera.
pub fn expose(named: &Named, device: &Device, config: &Config, wanted: &Exposure) -> Result<Exposure, CameraError> {
    let (x, y) = wanted.binning;
    let told = format!("{x} x {y}");
    let binning = if named.read("binning", device.can_bin())? {
        let number = |by: u32| i32::try_from(by).map_err(|_| named.refused("binning", &told, "is too large"));
        let (across, along) = named.set("binning", &told, device.bin(number(x)?, number(y)?))?;
        // The region stays the same, in new pixels.
        set_region(named, device, config)?;
        (across.unsigned_abs(), along.unsigned_abs())
    } else if wanted.binning == (1, 1) {
        (1, 1)
    } else {
        return Err(named.refused("binning", told, "it does not bin; name its own features in features"));
    };
    let rate = wanted.frame_rate_hz;
    // A trigger sets the pace by itself.
    let paced = config.trigger == "free" && named.read("the frame rate", device.has_frame_rate())?;
    // Each limits the other. The one that gives room comes first.
    let slower = paced && rate < named.read("the frame rate", device.frame_rate())?;
    if slower {
        named.set("frame rate", rate, device.set_frame_rate(rate))?;
    }
    named.set("exposure", wanted.exposure_us, device.set_exposure(wanted.exposure_us))?;
    if paced && !slower {
        named.set("frame rate", rate, device.set_frame_rate(rate))?;
    }
    let frame_rate_hz = if paced { named.read("the frame rate", device.frame_rate())? } else { rate };
    Ok(Exposure { exposure_us: named.read("the exposure", device.exposure())?, frame_rate_hz, binning })
}
