//! The data path on one page: the thread of each stage, the losses of lines, and the end of a scan.
//!
//! ```text
//!            frames             lines             rows              samples                 files
//!
//!  camera ─▶ pool ─▶ acquire-vnir ─▶ rectify-vnir ─┐
//!  (driver)  slots   │ acquire       │ calibrate   │
//!                    │ raw recording │ rectify     ├─▶ join ───────┬─▶ store ───────────────▶ HDF5 per sample
//!  camera ─▶ pool ─▶ acquire-swir ─▶ rectify-swir ─┘   │ join      ├─▶ encode ─▶ publish ────▶ Parquet
//!                                                      │ segment   └─▶ identify ─▶ minerals ─▶ Parquet, and into HDF5
//!                                                      │ quicklook
//!
//!            15.6 + 11.1 MB/s        31 + 22 MB/s   30 + 38 MB/s   68 MB/s, 33 000 spectra/s at most
//! ```
//!
//! A word on an arrow is a named thread. Below it stand the stages that it runs. The rates are those of `config/simulated.toml`, with
//! 16 bits per value:
//!
//! - VNIR 512 px x 224 bands x 68 lines/s
//! - SWIR 384 px x 288 bands x 50 lines/s
//!
//! From `rectify` on, values are float32 on the 0.6 mm grid, at 40 mm/s.
//! Encoders besides `main` have threads of their own, `encode-<name>` and `publish-<name>`.
//! Threads of other rooms help. `hash-<n>` hashes files, `store` compresses and writes chunks on its own threads, `encode` runs batches.
//!
//! **Where a line can be lost.** Two places lose lines, and both lie in front of `acquire`. The wire may lose one (`lost_link`). The
//! camera's frame pool refuses one when no slot is free (`lost_pool`). Each loss is counted, and becomes a gap. Every channel behind
//! the pool blocks. A failing disk may keep a line out of the raw recording (`unrecorded`). The line is processed nevertheless.
//!
//! **What may be deferred.** Only embeddings and minerals. They are deferred where waiting for the encoder or the identification would cost
//! a line. They are also deferred where one of these or a data set fails. The samples are stored, and `data_root` makes the rest later.
//! A sample's minerals are deferred as a whole.
//!
//! **How a scan ends.** The threads end in the order of flow, as channels close:
//!
//! 1. `acquire-<camera>` ends when the tray has passed, a recording is over, [`Running::stop`] was called, or an error was noted. It
//!    completes the recording and counts its lines.
//! 2. `rectify-<camera>` empties its channel, gives the last rows, and ends.
//! 3. `join` gives the last rows of all cameras, closes the samples, closes the sinks' channels, and draws the picture.
//! 4. `store` completes the files, with their minerals. `encode` gives its last batch. `publish` closes the last part.
//! 5. [`Running::finish`] waits for all threads and gives the [`Outcome`]. It abandons an encoder that hangs, after `encoder.linger_s`.
//!
//! An error ends a scan in the same way. The first error is kept, all cameras stop, and recorded lines pass through. A thread that
//! failed drops its receiver, so that no sender waits for it.
//!
//! [`build`] makes the parts from a configuration and opened cameras. `run` makes the channels and starts the threads. `camera`, `join`,
//! `sinks`, `encoders` and `minerals` are the threads. [`Meters`] count the work of each.

pub mod build;
mod camera;
mod encoders;
mod join;
mod live;
mod meters;
mod minerals;
mod models;
mod parts;
mod run;
mod shared;
mod sinks;
mod watchdog;

pub use encoders::{EncoderOutcome, EncoderParts};
pub use meters::{LinkMeter, Meter, Meters, Thermometer};
pub use minerals::{MineralsError, MineralsParts, ScanMinerals, identifier};
pub use models::{LoadedEncoders, check_encoders, load_encoder, load_encoders};
pub use parts::{CameraParts, Emit, Outcome, PipelineError, PipelineParts};
pub use run::Running;
pub use watchdog::{Watchdog, waiting};
