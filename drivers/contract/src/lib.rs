//! The promise of a driver to the rest of hyclus, and nothing else.
//!
//! A driver crate depends on this crate alone. It implements [`LineCamera`], [`Conveyor`] or [`Light`]. Its tests run the suite
//! in [`conformance`].

mod camera;
mod clock;
mod config;
pub mod conformance;
mod conveyor;
mod counter;
mod file;
mod frame;
mod light;
mod link;
mod stream;

pub use camera::{CameraDescription, CameraError, Exposure, FrameStream, LineCamera, Received, StreamStatistics, Subject, Values};
pub use clock::{clock_step_ns, now_ns, take_clock};
pub use config::{ConfigFault, config_faults, evenly_spaced, is_address};
pub use conveyor::{Conveyor, ConveyorDescription, ConveyorError, ConveyorState, PositionTrack};
pub use counter::{CounterError, FrameCounter};
pub use file::{open_regular, open_regular_with, read_regular, read_regular_text};
pub use frame::{Frame, FrameInfo, FramePool, FrameStatus, Layout, PixelFormat, Slot};
pub use light::{Light, LightDescription, LightError, LightState};
pub use link::{LinkCounters, LinkStatistics};
pub use stream::{Filled, FrameSource, OnDemand, Paced, receive};
