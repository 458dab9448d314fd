//! hyclus: hyperspectral acquisition beside a conveyor rig.
//!
//! Begin with [`pipeline`]. Its page shows which thread runs which stage, where a line can be lost, and how a scan ends. The page
//! `docs/architecture.md` has the floors, a map of the code, and the order of locks.
//!
//! The crate has floors. A module uses modules below its own floor, and those beside it without a circle. `tests/architecture.rs`
//! checks this order. The stages of the data path are in bold.
//!
//! | floor | module | task |
//! | --- | --- | --- |
//! | 14 | [`cli`], [`daemon`] | the programs `hyclus` and `hyclusd` |
//! | 13 | `problem` | errors for programs and people (RFC 9457) |
//! | 13 | [`control`], [`client`] | control socket, read-only listener, and a client of the socket |
//! | 12 | [`seal`] | proof of a scan for others: hashes, signature, and one file for a repository |
//! | 12 | [`operations`] | what can be asked of a rig |
//! | 12 | [`rig`] | the controller: belt, lamps, safety, the running scan |
//! | 12 | [`measure`] | geometry and wavelengths of the cameras, and speed of a machine |
//! | 12 | [`response`] | linearity and stray light of the cameras' detectors |
//! | 11 | [`data_root`] | scans on the disk: records, recovery, deferred embeddings, verification |
//! | 10 | [`pipeline`] | builds the data path of a scan and runs it on threads |
//! | 9 | [`publish`] | **publish**: appends embeddings to a Parquet data set |
//! | 9 | [`live`] | the live tap: pictures and ledger for people who look at them |
//! | 9 | [`cube`] | cubes of reflectance in files, and their minerals |
//! | 9 | [`export`], [`inspect`] | other file formats, and descriptions of files |
//! | 8 | [`store`] | **store**: writes one HDF5 file per sample |
//! | 8 | [`encode`] | **encode**: runs the ONNX encoder over the spectra |
//! | 8 | [`identify`] | **identify**: the minerals and features of each spectrum |
//! | 8 | [`registration`] | whether the cameras' views agree, with each other and with the belt |
//! | 8 | [`quicklook`] | a picture of the scanned tray |
//! | 7 | [`segment`], [`context`] | **segment**: finds the containers; and the facts that stay fixed during a scan |
//! | 7 | [`native_lines`] | a camera's calibrated lines that wait for their samples |
//! | 6 | [`uncertainty`] | how well a value on the grid is known |
//! | 6 | [`join`] | **join**: makes one spectrum of several cameras |
//! | 5 | [`rectify`] | **rectify**: resamples lines onto the millimetre grid |
//! | 5 | [`srf`] | spectra brought onto bands of other centres and widths |
//! | 5 | [`wavelength`] | the wavelength axis, checked by features of known wavelength |
//! | 5 | [`detector`] | whether a detector's values are plausible and its elements calm |
//! | 5 | [`devices`] | opens the rig's devices, and takes references |
//! | 4 | [`mod@reference`] | dark and white references, their figures and noise, bad elements, the panel |
//! | 5 | [`calibrate`] | **calibrate**: turns counts into reflectance |
//! | 4 | [`telemetry`] | log, events and metrics |
//! | 3 | `worklist` | the samples that are to be scanned, as a laboratory lists them |
//! | 3 | [`acquire`] | **acquire**: takes frames from a camera and records them |
//! | 2 | [`config`], `toml_text`, `disk`, [`hdf`], `schema` | the configuration, text in TOML, files, hashes and free space, HDF5 that nobody vouches for, and the names in a sample's file |
//! | 2 | [`state`] | the state machine of the rig |
//! | 2 | `print` | answers of the daemon as text for people |
//! | 1 | [`scan`] | the nouns of a scan: tray, ledger, record, events, status |
//! | 1 | `console_config`, `ship_config` | the sections of the console and of the shipper |
//! | 1 | `parquet_guard` | sizes that a Parquet file claims, checked |
//! | 1 | `planar` | ONNX models whose convolutions run over images |
//! | 1 | `json` | JSON from outside, compared with its schema |
//! | 1 | `recycler`, `sync`, [`simd`], `terminal`, `transpose` | buffers to reuse, a lock, vector instructions, text for a terminal, rows to columns |

pub mod acquire;
pub mod calibrate;
pub mod cli;
pub mod client;
pub mod config;
mod console_config;
pub mod context;
pub mod control;
pub mod cube;
pub mod daemon;
pub mod data_root;
pub mod detector;
pub mod devices;
mod disk;
pub mod encode;
pub mod export;
pub mod hdf;
pub mod identify;
pub mod inspect;
pub mod join;
mod json;
mod least_squares;
pub mod live;
pub mod measure;
pub mod minerals;
pub mod native_lines;
pub mod operations;
pub mod panel;
mod parquet_guard;
pub mod pipeline;
mod planar;
mod print;
mod problem;
pub mod publish;
pub mod quicklook;
pub mod rectify;
mod recycler;
pub mod reference;
pub mod registration;
pub mod response;
pub mod rig;
pub mod scan;
mod schema;
pub mod seal;
pub mod segment;
mod ship_config;
pub mod simd;
pub mod srf;
pub mod start;
pub mod state;
pub mod store;
mod sums;
mod sync;
pub mod telemetry;
mod terminal;
mod toml_text;
mod transpose;
pub mod uncertainty;
pub mod wavelength;
pub mod worklist;

pub use disk::lower_priority_by;

/// Lowers this thread's priority below threads that acquire and compute. It is for threads of other programs of ours, too.
pub fn lower_priority() {
    disk::give_way();
}

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
