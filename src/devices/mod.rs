//! The rig's devices: opening, connection test, references and steady light.

mod connect;
mod known;
pub mod lamps;
mod open;
pub mod references;
mod simulated;

pub use connect::{Connected, connect};
pub use known::{Bands, Known};
pub use open::{CameraUnit, DeviceError, Devices, Held, LightUnit};
use open::{open_camera, open_conveyor, open_light};
pub use simulated::encoder_faults;
