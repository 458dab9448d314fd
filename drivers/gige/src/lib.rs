//! GigE Vision and USB3 Vision cameras, through Aravis 0.8 (libaravis, LGPL-2.1, linked dynamically).
//!
//! Frames are received straight into the slots of the frame pool where the camera sends 16 bits for each pixel ([`PixelFormat::Mono10`],
//! `Mono12`, `Mono14`, `Mono16`); 8-bit and packed pixels are unpacked into them. A frame that finds no free slot is received into memory of
//! the driver's own, so that its number is seen, and lost there: losses at the pool's door are exact, one by one.
//!
//! Without the feature `aravis` the crate builds without the library: the configuration is read and checked, and refused.

mod config;
mod found;
mod pixels;

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
#[cfg(feature = "aravis")]
mod wavelengths;

#[cfg(not(feature = "aravis"))]
mod absent;

#[cfg(not(feature = "aravis"))]
pub use absent::{Camera, discover};
#[cfg(feature = "aravis")]
pub use camera::{Camera, discover};
pub use config::{ByteOrder, Config, Feature, Shutter, StatusLineConfig, Value};
pub use found::Found;
pub use pixels::PixelFormat;

/// Whether this build reaches cameras; without the feature `aravis` it does not.
pub const BUILT_IN: bool = cfg!(feature = "aravis");
