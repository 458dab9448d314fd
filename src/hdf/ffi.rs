//! What is called in the C library beside the declarations of `hdf5-sys`, and handles that close themselves.
//!
//! Functions that give an enumeration are declared here with whole numbers. A damaged file may make the library give a number that the
//! enumeration of Rust does not have, which would be undefined.

use super::Result;
use super::error::Error;
use hdf5::sync::sync;
use hdf5_sys::h5::{haddr_t, herr_t, hsize_t};
use hdf5_sys::h5i::{H5Idec_ref, hid_t};
use std::ffi::{c_int, c_uint, c_ulong};

/// `H5T_class_t`.
pub(super) mod class {
    use std::ffi::c_int;
    pub(in crate::hdf) const INTEGER: c_int = 0;
    pub(in crate::hdf) const FLOAT: c_int = 1;
    pub(in crate::hdf) const TIME: c_int = 2;
    pub(in crate::hdf) const STRING: c_int = 3;
    pub(in crate::hdf) const BITFIELD: c_int = 4;
    pub(in crate::hdf) const OPAQUE: c_int = 5;
    pub(in crate::hdf) const COMPOUND: c_int = 6;
    pub(in crate::hdf) const REFERENCE: c_int = 7;
    pub(in crate::hdf) const ENUM: c_int = 8;
    pub(in crate::hdf) const VLEN: c_int = 9;
    pub(in crate::hdf) const ARRAY: c_int = 10;
}

/// `H5I_type_t` of what a file holds.
pub(super) mod handle {
    use std::ffi::c_int;
    pub(in crate::hdf) const GROUP: c_int = 2;
    pub(in crate::hdf) const TYPE: c_int = 3;
}

/// `H5L_type_t`.
pub(super) mod link {
    use std::ffi::c_int;
    pub(in crate::hdf) const HARD: c_int = 0;
    pub(in crate::hdf) const SOFT: c_int = 1;
    pub(in crate::hdf) const EXTERNAL: c_int = 64;
}

/// `H5D_layout_t`.
pub(super) mod layout {
    use std::ffi::c_int;
    pub(in crate::hdf) const CHUNKED: c_int = 2;
    pub(in crate::hdf) const VIRTUAL: c_int = 3;
}

/// `H5S_class_t`.
pub(super) const SPACE_NULL: c_int = 2;
/// `H5S_class_t`.
pub(super) const SPACE_SCALAR: c_int = 0;
/// The fields of [`ObjectInfo`] that are asked for.
pub(super) const INFO_BASIC: c_uint = 1;

/// The beginning of `H5L_info_t`, and room for the rest of it in every version.
#[repr(C)]
#[derive(Default)]
pub(super) struct LinkInfo {
    pub(super) kind: c_int,
    pub(super) order_known: c_uint,
    pub(super) order: i64,
    pub(super) characters: c_int,
    /// Length of the value of a link that is not hard, or the place of the object.
    pub(super) length: usize,
    rest: [u64; 8],
}

/// The beginning of `H5O_info1_t`, and room for the rest of it.
#[repr(C)]
#[derive(Default)]
pub(super) struct ObjectInfo {
    pub(super) file: c_ulong,
    pub(super) address: haddr_t,
    pub(super) kind: c_int,
    pub(super) links: c_uint,
    rest: [u64; 32],
}

// SAFETY: these are the declarations of H5Ipublic.h, H5Tpublic.h, H5Ppublic.h, H5Spublic.h, H5Opublic.h and H5Dpublic.h, with `int` for
// enumerations, which is what they are in C.
unsafe extern "C" {
    pub(super) fn H5Iget_type(id: hid_t) -> c_int;
    pub(super) fn H5Tget_class(id: hid_t) -> c_int;
    pub(super) fn H5Tget_strpad(id: hid_t) -> c_int;
    pub(super) fn H5Tget_cset(id: hid_t) -> c_int;
    pub(super) fn H5Tget_sign(id: hid_t) -> c_int;
    pub(super) fn H5Pget_layout(id: hid_t) -> c_int;
    pub(super) fn H5Sget_simple_extent_type(id: hid_t) -> c_int;
    pub(super) fn H5Aget_num_attrs(id: hid_t) -> c_int;
    pub(super) fn H5Oget_info2(id: hid_t, info: *mut ObjectInfo, fields: c_uint) -> herr_t;
    pub(super) fn H5Dread_chunk(
        id: hid_t,
        transfer: hid_t,
        offset: *const hsize_t,
        filters: *mut u32,
        bytes: *mut std::ffi::c_void,
    ) -> herr_t;
    pub(super) fn H5Dget_chunk_storage_size(id: hid_t, offset: *const hsize_t, bytes: *mut hsize_t) -> herr_t;
}

/// A handle of the library. It is closed when it is dropped.
#[derive(Debug)]
pub(super) struct Id(pub(super) hid_t);

impl Id {
    /// Takes over what a call gave. `call` runs under the lock of the library.
    pub(super) fn made(call: impl FnOnce() -> hid_t) -> Result<Self> {
        sync(|| {
            let id = call();
            if id < 0 { Err(Error::of_library()) } else { Ok(Self(id)) }
        })
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and open.
        sync(|| unsafe { H5Idec_ref(self.0) });
    }
}

/// A call that gives a negative number where it fails.
pub(super) fn called<T: Copy + PartialOrd + Default>(call: impl FnOnce() -> T) -> Result<T> {
    sync(|| {
        let given = call();
        if given < T::default() { Err(Error::of_library()) } else { Ok(given) }
    })
}
