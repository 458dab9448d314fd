//! Belt drives on Modbus, RTU and TCP.
//!
//! A [`Profile`], a file of `config/drives`, describes a drive: registers, scaling, command words, status bits, fault text. A bus
//! has one owner, a thread. It alone talks to the drive, one request after the other. A stop goes before all other requests.
//!
//! Between requests the thread reads the drive's status. These readings keep the drive's own communication-loss stop from acting.
//! The belt position is integrated from them unless there is an encoder. The encoder may be another unit of the bus. A silent
//! encoder stops the belt all the same. A stop then waits for one answer at most.

mod bus;
mod config;
mod drive;
mod profile;
mod reading;
mod track;
mod wire;

pub use config::{Config, Parity};
pub use drive::Drive;
pub use profile::{Encoder, Profile, ProfileError, Table, WordOrder};
pub use track::Track;
