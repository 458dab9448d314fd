//! hyclus: hyperspectral acquisition beside a conveyor rig.
//!
//! The modules stand in the order in which data flows: [`acquire`] takes frames from cameras, [`calibrate`] turns counts into
//! reflectance, [`rectify`] lays lines on the millimetre grid, [`join`] makes one spectrum of several cameras, [`segment`] finds
//! the containers, [`store`] writes one HDF5 per sample, [`encode`] runs the encoder and [`publish`] appends its embeddings to a
//! Parquet data set. [`pipeline`] runs them on threads, [`scan`] decides what the rig does, [`control`] talks to people.

pub mod acquire;
pub mod calibrate;
pub mod cli;
pub mod config;
pub mod context;
pub mod control;
pub mod daemon;
pub mod data_root;
pub mod devices;
mod disk;
pub mod encode;
pub mod export;
pub mod inspect;
pub mod join;
pub mod measure;
pub mod pipeline;
pub mod publish;
pub mod quicklook;
pub mod rectify;
mod recycler;
pub mod rig;
pub mod scan;
pub mod segment;
pub mod simd;
pub mod store;
mod sync;
pub mod telemetry;

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
