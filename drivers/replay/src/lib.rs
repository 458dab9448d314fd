//! Recorded captures as cameras.
//!
//! [`envi`] reads and writes ENVI headers and reads their images by line. [`capture`] finds the files of a Lumo capture folder:
//! image, dark and white recordings, table of lines. [`Camera`] plays them as a [`contract::LineCamera`]. [`Conveyor`] replaces
//! the belt of the recording.

mod camera;
pub mod capture;
mod conveyor;
mod date;
pub mod envi;
mod playback;

pub use camera::{Camera, CameraConfig, Pace, ValuesAs};
pub use conveyor::{Conveyor, ConveyorConfig};
pub use playback::UNDATED_NS;
