//! The way of the data: which thread runs which stage, where a line can be lost, and how a scan ends.
//!
//! ```text
//!            frames             lines             rows              samples                 files
//!
//!  camera ─▶ pool ─▶ acquire-vnir ─▶ rectify-vnir ─┐
//!  (driver)  slots   │ acquire       │ calibrate   │
//!                    │ raw recording │ rectify     ├─▶ join ───────┬─▶ store ───────────────▶ HDF5 per sample
//!  camera ─▶ pool ─▶ acquire-swir ─▶ rectify-swir ─┘   │ join      └─▶ encode ─▶ publish ────▶ Parquet
//!                                                      │ segment
//!                                                      │ quicklook
//!
//!            15.6 + 11.1 MB/s        31 + 22 MB/s   30 + 38 MB/s   68 MB/s, 33 000 spectra/s at most
//! ```
//!
//! A word on an arrow is a named thread; below it stand the stages that it runs. The rates are those of `config/simulated.toml`: VNIR
//! 512 px x 224 bands x 68 lines/s, SWIR 384 px x 288 bands x 50 lines/s, 16 bits; then float32 on the 0.6 mm grid at 40 mm/s.
//! Threads of other rooms help: `hash-<n>`, those that write chunks and compress them (`store`), and those that run batches (`encode`).
//!
//! **Where a line can be lost.** At two places, both in front of `acquire`: on the wire (`lost_link`), and at the door of the camera's
//! frame pool when no slot is free (`lost_pool`). Each loss is counted, and is a gap. Every channel behind the pool blocks. The raw
//! recording may refuse a line when the disk does (`unrecorded`); the line is processed all the same.
//!
//! **What may wait.** Only embeddings. Where waiting for the encoder would cost a line, or where the encoder or the data set fails, they
//! are deferred: the samples are stored, and `data_root` makes the embeddings later.
//!
//! **How a scan ends.** In the order of flow, by closing channels:
//!
//! 1. `acquire-<camera>` ends: the tray has passed, a recording is over, somebody called [`Running::stop`], or an error was noted. It
//!    completes the recording and counts its lines.
//! 2. `rectify-<camera>` takes what is still in its channel, gives the last rows, and ends.
//! 3. `join` gives the last rows of all cameras, closes the samples, lets go of the sinks' channels, and draws the picture.
//! 4. `store` completes the files; `encode` gives its last batch; `publish` closes the last part.
//! 5. [`Running::finish`] waits for all threads and gives the [`Outcome`]. An encoder that hangs is left behind after `encoder.linger_s`.
//!
//! An error ends a scan by the same way: the first is kept, all cameras stop, and what was recorded goes through. A thread that failed
//! drops its receiver, so that nobody waits for it.
//!
//! [`build`] makes the parts from a configuration and opened cameras; `run` makes the channels and starts the threads; `camera`, `join`
//! and `sinks` are the threads; [`Meters`] count what each did.

pub mod build;
mod camera;
mod join;
mod meters;
mod parts;
mod run;
mod shared;
mod sinks;

pub use meters::{LinkMeter, Meter, Meters, Thermometer};
pub use parts::{CameraParts, Emit, Outcome, PipelineError, PipelineParts};
pub use run::Running;
