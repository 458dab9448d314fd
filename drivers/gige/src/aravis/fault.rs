//! Faults and texts of the library.

use super::ffi;
use std::ffi::{CStr, CString, c_char};
use std::ptr;

/// The library's fault of a failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The library's message.
    pub message: String,
    /// Whether the camera is silent or no longer ours. Otherwise it refused.
    pub link: bool,
}

impl Fault {
    pub fn refusal(message: impl Into<String>) -> Self {
        Self { message: message.into(), link: false }
    }

    pub fn link(message: impl Into<String>) -> Self {
        Self { message: message.into(), link: true }
    }
}

/// Calls a function that reports by `GError`.
pub fn checked<T>(call: impl FnOnce(*mut *mut ffi::GError) -> T) -> Result<T, Fault> {
    let mut error: *mut ffi::GError = ptr::null_mut();
    let value = call(&mut error);
    if error.is_null() {
        return Ok(value);
    }
    // SAFETY: a GError that was set is valid, and its message is text that ends with a zero. It is ours to free, once.
    unsafe {
        let link = (*error).domain == ffi::arv_device_error_quark() && ffi::LINK_ERRORS.contains(&(*error).code);
        let message = text((*error).message);
        ffi::g_error_free(error);
        Err(Fault { message, link })
    }
}

/// A copy of a text of the library, empty where it has none.
///
/// # Safety
///
/// `from` is null, or points to text that ends with a zero.
pub unsafe fn text(from: *const c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(from) }.to_string_lossy().into_owned()
}

pub fn c_text(text: &str) -> Result<CString, Fault> {
    CString::new(text).map_err(|_| Fault::refusal(format!("{text:?} has a zero in it")))
}
