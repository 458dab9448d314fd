//! What the library says of a failure, as checked text.

use crate::terminal::plain;
use hdf5_sys::h5::herr_t;
use hdf5_sys::h5e::{H5E_DEFAULT, H5E_direction_t, H5E_error2_t, H5Eclear2, H5Ewalk2};
use std::ffi::{CStr, c_uint, c_void};
use std::fmt;

/// Most messages of the library that are kept.
const KEPT: usize = 64;

/// Why something in a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Error {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// The reasons that the library holds, the outermost and the innermost. It holds those of the last call of this thread.
    pub(super) fn of_library() -> Self {
        let mut found: Vec<String> = Vec::new();
        // SAFETY: the library calls `keep` with records that live until it returns, and with the pointer to `found`, which nobody else
        // has meanwhile.
        unsafe {
            H5Ewalk2(H5E_DEFAULT, H5E_direction_t::H5E_WALK_DOWNWARD, Some(keep), (&raw mut found).cast());
            H5Eclear2(H5E_DEFAULT);
        }
        // Downward, the first is the call that was made, and the last is where it failed.
        let text = match found.as_slice() {
            [] => "the HDF5 library gives no reason".to_owned(),
            [only] => only.clone(),
            [first, .., last] if first == last => first.clone(),
            [first, .., last] => format!("{first}: {last}"),
        };
        Self(text)
    }
}

unsafe extern "C" fn keep(_: c_uint, record: *const H5E_error2_t, found: *mut c_void) -> herr_t {
    // SAFETY: as `of_library` promises; a description is a C string or nothing.
    let (found, record) = unsafe { (&mut *found.cast::<Vec<String>>(), &*record) };
    if found.len() < KEPT && !record.desc.is_null() {
        // SAFETY: as above.
        let text = unsafe { CStr::from_ptr(record.desc) }.to_string_lossy();
        // Some quote names out of the file.
        found.push(plain(&text).into_owned());
    }
    0
}
