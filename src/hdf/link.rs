//! What the members of groups are.

use super::Result;
use super::error::Error;
use super::ffi::{self, Id, LinkInfo, called};
use super::object::MOST_NAME;
use hdf5_sys::h5l::{H5Lget_info1, H5Lget_val, H5Lunpack_elink_val};
use std::ffi::{CStr, c_char};
use std::ptr;

/// A member of a group. Names are as the file has them, checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// The object itself, at this place.
    Hard(u64),
    /// A path within the file.
    Soft(String),
    /// A path within another file.
    External {
        /// The file.
        file: String,
        /// The path in it.
        path: String,
    },
    /// A kind that somebody defined for himself.
    Other(i32),
}

impl Link {
    pub(super) fn read(group: &Id, name: &CStr, links: &Id) -> Result<Self> {
        let mut info = LinkInfo::default();
        #[allow(deprecated, reason = "the newer call is not in every version")]
        // SAFETY: handles are open, the name is a C string, and `info` has room for what every version writes.
        called(|| unsafe { H5Lget_info1(group.0, name.as_ptr(), (&raw mut info).cast(), links.0) })?;
        let value = || -> Result<Vec<u8>> {
            if info.length > 2 * MOST_NAME {
                return Err(Error::new(format!("a link has {} bytes", info.length)));
            }
            let mut value = vec![0_u8; info.length + 1];
            // SAFETY: as above; the library writes at most `length` bytes, and the last one stays 0.
            called(|| unsafe { H5Lget_val(group.0, name.as_ptr(), value.as_mut_ptr().cast(), info.length, links.0) })?;
            Ok(value)
        };
        match info.kind {
            ffi::link::HARD => Ok(Self::Hard(info.length as u64)),
            ffi::link::SOFT => Ok(Self::Soft(super::kind::name(&value()?))),
            ffi::link::EXTERNAL => {
                let value = value()?;
                let (mut flags, mut file, mut path) = (0, ptr::null::<c_char>(), ptr::null::<c_char>());
                // SAFETY: the value is as long as is said. The library checks that it holds two C strings, and gives pointers into it.
                called(|| unsafe {
                    H5Lunpack_elink_val(value.as_ptr().cast(), info.length, &raw mut flags, &raw mut file, &raw mut path)
                })?;
                // SAFETY: as above, and `value` is still there.
                let name = |at: *const c_char| super::kind::name(unsafe { CStr::from_ptr(at) }.to_bytes());
                if file.is_null() || path.is_null() {
                    return Err(Error::new("a link to another file names none"));
                }
                Ok(Self::External { file: name(file), path: name(path) })
            }
            other => Ok(Self::Other(other)),
        }
    }
}
