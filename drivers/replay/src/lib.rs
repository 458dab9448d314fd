//! Recorded captures as cameras.
//!
//! [`envi`] reads and writes ENVI headers and reads their images by line.

pub mod envi;
