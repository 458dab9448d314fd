//! Types of values, in words.

use super::Result;
use super::error::Error;
use super::ffi::{self, Id, called, class};
use hdf5_sys::h5::H5free_memory;
use hdf5_sys::h5t::{
    H5Tget_array_dims2, H5Tget_array_ndims, H5Tget_member_name, H5Tget_member_type, H5Tget_nmembers, H5Tget_size, H5Tget_super,
    H5Tis_variable_str,
};
use std::ffi::{CStr, c_char, c_uint};

/// Depth to which types in types are described.
const DEPTH: usize = 8;
/// Most members of a compound type that are named.
const MEMBERS: c_uint = 64;
/// Most axes of an array, as in the library.
const AXES: usize = 32;

/// Bytes as text, up to the first NUL. What is no UTF-8 becomes U+FFFD.
pub(super) fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A type.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) id: Id,
    /// Its class, see [`class`].
    pub(super) class: i32,
    /// Bytes of a value in memory and, but for text of any length, in the file.
    pub(super) size: usize,
    /// Whether it is text of any length.
    pub(super) variable_text: bool,
}

impl Kind {
    pub(super) fn new(id: Id) -> Result<Self> {
        // SAFETY: the type is open.
        let class = called(|| unsafe { ffi::H5Tget_class(id.0) })?;
        let size = ffi_size(&id)?;
        // SAFETY: the type is open.
        let variable_text = class == class::STRING && called(|| unsafe { H5Tis_variable_str(id.0) })? > 0;
        Ok(Self { id, class, size, variable_text })
    }

    /// The type in words.
    pub(super) fn shown(&self) -> Result<String> {
        self.described(DEPTH)
    }

    fn described(&self, depth: usize) -> Result<String> {
        let Some(deeper) = depth.checked_sub(1) else { return Ok("...".to_owned()) };
        let bits = 8_usize.saturating_mul(self.size);
        let unsigned = self.class == class::INTEGER && !self.signed()?;
        Ok(match self.class {
            class::INTEGER if unsigned => format!("uint{bits}"),
            class::INTEGER => format!("int{bits}"),
            class::FLOAT => format!("float{bits}"),
            class::TIME => format!("time{bits}"),
            class::BITFIELD => format!("bits{bits}"),
            class::OPAQUE => format!("opaque ({} bytes)", self.size),
            class::REFERENCE => "reference".to_owned(),
            class::STRING => {
                // SAFETY: the type is open.
                let characters = if called(|| unsafe { ffi::H5Tget_cset(self.id.0) })? == 1 { "unicode" } else { "string" };
                if self.variable_text { format!("{characters} (var len)") } else { format!("{characters} (len {})", self.size) }
            }
            class::ENUM => format!("enum ({})", self.below()?.described(deeper)?),
            class::VLEN => format!("[{}] (var len)", self.below()?.described(deeper)?),
            class::ARRAY => {
                let mut extents = [0; AXES];
                // SAFETY: the type is open.
                let axes = usize::try_from(called(|| unsafe { H5Tget_array_ndims(self.id.0) })?).unwrap_or(0);
                if axes > AXES {
                    return Err(Error::new(format!("an array type has {axes} axes")));
                }
                // SAFETY: there is room for every axis.
                called(|| unsafe { H5Tget_array_dims2(self.id.0, extents.as_mut_ptr()) })?;
                let extents: Vec<String> = extents[..axes].iter().map(ToString::to_string).collect();
                format!("[{}; {}]", self.below()?.described(deeper)?, extents.join(" x "))
            }
            class::COMPOUND => {
                // SAFETY: the type is open.
                let count = called(|| unsafe { H5Tget_nmembers(self.id.0) })?.cast_unsigned();
                let members = (0..count.min(MEMBERS)).map(|number| self.member(number, deeper)).collect::<Result<Vec<_>>>()?;
                let more = if count > MEMBERS { ", ..." } else { "" };
                format!("{{{}{more}}} ({} bytes)", members.join(", "), self.size)
            }
            other => format!("type class {other}"),
        })
    }

    /// Whether whole numbers of it have a sign.
    pub(super) fn signed(&self) -> Result<bool> {
        // SAFETY: the type is open.
        Ok(called(|| unsafe { ffi::H5Tget_sign(self.id.0) })? != 0)
    }

    fn member(&self, number: c_uint, depth: usize) -> Result<String> {
        // SAFETY: the type is open and has this member. The library gives a C string that is ours, or nothing.
        let name = hdf5::sync::sync(|| unsafe {
            let given: *mut c_char = H5Tget_member_name(self.id.0, number);
            if given.is_null() {
                return Err(Error::of_library());
            }
            let name = name(CStr::from_ptr(given).to_bytes());
            H5free_memory(given.cast());
            Ok(name)
        })?;
        // SAFETY: the type is open.
        let kind = Self::new(Id::made(|| unsafe { H5Tget_member_type(self.id.0, number) })?)?;
        Ok(format!("{}: {}", crate::terminal::plain(&name), kind.described(depth)?))
    }

    /// The type that this one is made of.
    pub(super) fn below(&self) -> Result<Self> {
        // SAFETY: the type is open.
        Self::new(Id::made(|| unsafe { H5Tget_super(self.id.0) })?)
    }
}

fn ffi_size(id: &Id) -> Result<usize> {
    // SAFETY: the type is open.
    match hdf5::sync::sync(|| unsafe { H5Tget_size(id.0) }) {
        0 => Err(Error::of_library()),
        size => Ok(size),
    }
}
