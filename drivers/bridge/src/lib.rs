//! Cameras behind a helper program, for frame grabbers and cameras that Linux reaches only through a maker's library.
//!
//! The driver starts the helper and talks over its standard input and output. Otherwise the helper listens on a unix socket. A
//! helper is written in the language of the camera's library. `examples/ramp.py` and `examples/ramp.c` are complete ones.
//!
//! # The framing, version 1
//!
//! **To the helper** go lines of text, ended by a line feed: a number, a word, and `key=value` after it, apart by spaces.
//!
//! ```text
//! 1 apply exposure_us=2000 frame_rate_hz=50 binning=1,1
//! 2 shutter open=0
//! 3 start stream=1
//! 4 stop
//! 5 status
//! ```
//!
//! Each is answered, in its order, with `DONE` or `FAIL` and its number. The answer to `stop` comes after the last frame of the
//! stream. The helper ends at the end of its input.
//!
//! **From the helper** come messages: four letters, the length of the body in bytes (unsigned, 32 bits), and the body. Numbers
//! are little endian. Bodies of text are lines of `key = value`.
//!
//! | letters | body |
//! | --- | --- |
//! | `HELO` | first of all, text: `version` (1), `model`, `pixels`, `bands`, `max_frame_rate_hz`, `exposure_range_us` (two numbers), `wavelengths_nm` (one for each band); where it applies `serial`, `fwhm_nm`, `saturation`, `shutter` (0 or 1), `counter_bits` (64), `counter_skips_zero` (0), `counter_start` (its value at the first frame of each stream) |
//! | `DONE` | text: `id`, the number of the line; after `apply` also `exposure_us`, `frame_rate_hz` and `binning`, as the camera holds them now |
//! | `FAIL` | text: `id`, `reason`; the camera refused |
//! | `FRAM` | 32 bytes of numbers: frame counter of the camera (unsigned, 64 bits), its own time (ns, unsigned, 64 bits, 0 where it has no clock), host time at exposure (ns since 1970, signed, 64 bits, 0: time of arrival), stream (unsigned, 32 bits, as in `start`), status (unsigned, 32 bits; 0: complete, 1: part of it did not arrive); then the counts, unsigned 16 bits, `[band][pixel]` |
//!
//! Unknown keys are ignored. A later version may add some. A helper must not wait for the driver to take frames. The driver reads
//! them as fast as the pipe gives them, straight into the frame pool. A frame without a free slot is lost there and counted.

mod camera;
mod config;
mod link;
pub mod wire;

pub use camera::{Camera, described};
pub use config::Config;
