//! Belt drives on Modbus, RTU and TCP.
//!
//! What differs from drive to drive (registers, scaling, command words, status bits, fault text) is a [`Profile`], a file of
//! `config/drives`. A bus has one owner, a thread: it alone talks to the drive, one request after the other, and a stop goes before
//! whatever else waits. Between requests it reads the drive's status, from which the belt position is integrated unless there is an
//! encoder, and which keeps the drive's own communication-loss stop from acting. The encoder may be another unit of the bus: where it
//! does not answer, the belt is stopped all the same, and a stop waits for one answer at most.

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
