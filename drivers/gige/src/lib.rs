//! GigE Vision and USB3 Vision cameras, through Aravis 0.8 (libaravis, LGPL-2.1, linked dynamically).
//!
//! Frames with 16 bits for each pixel go straight into slots of the frame pool ([`PixelFormat::Mono10`], `Mono12`, `Mono14`,
//! `Mono16`). 8-bit and packed pixels are unpacked into slots. A frame without a free slot goes into the driver's own memory. Its
//! number is seen, and it is lost there. Losses at the pool's door are exact, one by one.
//!
//! Without the feature `aravis` the crate builds without the library. The configuration is then read, checked, and refused.

mod config;
mod found;
mod pixels;
mod wavelengths;

#[cfg(feature = "aravis")]
mod aravis;
#[cfg(feature = "aravis")]
mod camera;
#[cfg(feature = "aravis")]
mod clock;
#[cfg(feature = "aravis")]
mod control;
#[cfg(feature = "aravis")]
mod flow;
#[cfg(feature = "aravis")]
mod network;
#[cfg(feature = "aravis")]
mod settings;
#[cfg(feature = "aravis")]
mod status_line;
#[cfg(feature = "aravis")]
mod stream;

#[cfg(not(feature = "aravis"))]
mod absent;

#[cfg(not(feature = "aravis"))]
pub use absent::{Camera, discover};
#[cfg(feature = "aravis")]
pub use camera::{Camera, discover};
pub use config::{ByteOrder, Config, Feature, Shutter, StatusLineConfig, Value};
pub use found::Found;
pub use pixels::PixelFormat;
pub use wavelengths::Bands;

/// Whether this build can reach cameras. Without the feature `aravis` it cannot.
pub const BUILT_IN: bool = cfg!(feature = "aravis");
