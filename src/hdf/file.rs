//! A file that is open for reading, and how links in it are followed.

use super::Result;
use super::error::Error;
use super::ffi::{Id, called};
use super::object::Object;
use hdf5_sys::h5::herr_t;
use hdf5_sys::h5f::{H5F_ACC_RDONLY, H5Fopen};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{H5P_CLS_FILE_ACCESS, H5P_CLS_LINK_ACCESS, H5Pcreate, H5Pset_elink_cb, H5Pset_sieve_buf_size};
use std::ffi::{CString, c_char, c_uint, c_void};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

/// What every HDF5 file begins with, behind a block of the user's of 0, 512, 1024, ... bytes.
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// The largest block of the user's that is looked behind.
const MOST_USER_BYTES: u64 = 1 << 20;
/// Bytes that the library reads ahead of small pieces. It clears them for every dataset.
const SIEVE: usize = 4096;

/// Whether what lies in other files is read as if it lay in this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Follow {
    /// Links to other files, external storage and virtual datasets are shown, and not read.
    #[default]
    Inside,
    /// They are read, wherever they lead.
    Anywhere,
}

/// What the objects of a file share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// The file once more, for what the library does not check.
    pub(super) raw: std::fs::File,
    pub(super) follow: Follow,
    /// How links are followed.
    pub(super) links: Id,
}

/// A file that is open for reading.
pub(crate) struct File {
    root: Object,
}

impl File {
    /// Opens a file.
    ///
    /// # Errors
    /// It is no regular file, is no HDF5, or the library cannot read its beginning.
    pub(crate) fn open(path: &Path, follow: Follow) -> Result<Self> {
        let (bytes, raw) = checked(path)?;
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::new("its name has a NUL"))?;
        // SAFETY: the classes of property lists are initialised with the library, and the lists live until the call has returned.
        let access = Id::made(|| unsafe { H5Pcreate(*H5P_CLS_FILE_ACCESS) })?;
        // SAFETY: as above.
        called(|| unsafe { H5Pset_sieve_buf_size(access.0, SIEVE) })?;
        // SAFETY: as above.
        let links = Id::made(|| unsafe { H5Pcreate(*H5P_CLS_LINK_ACCESS) })?;
        if follow == Follow::Inside {
            // SAFETY: as above.
            called(|| unsafe { H5Pset_elink_cb(links.0, Some(refuse), std::ptr::null_mut()) })?;
        }
        // SAFETY: as above.
        let file = Id::made(|| unsafe { H5Fopen(name.as_ptr(), H5F_ACC_RDONLY, access.0) })?;
        let root = Object::root(&file, Arc::new(Shared { bytes, raw, follow, links }))?;
        // The library closes the file with the last object of it.
        Ok(Self { root })
    }

    /// The root group.
    pub(crate) fn root(&self) -> &Object {
        &self.root
    }

    /// The object of a path below the root.
    ///
    /// # Errors
    /// It is not there, or lies in another file.
    pub(crate) fn object(&self, path: &str) -> Result<Object> {
        self.root.below(&CString::new(path).map_err(|_| Error::new("the path has a NUL"))?)
    }
}

/// Ends a way that leads into another file. It is called before that is opened.
extern "C" fn refuse(
    _: *const c_char,
    _: *const c_char,
    _: *const c_char,
    _: *const c_char,
    _: *mut c_uint,
    _: hid_t,
    _: *mut c_void,
) -> herr_t {
    -1
}

/// Bytes of a file that has a signature, and the file. What is no file is never opened: a pipe would wait for ever.
fn checked(path: &Path) -> Result<(u64, std::fs::File)> {
    let about = std::fs::metadata(path).map_err(|e| Error::new(e.to_string()))?;
    let kind = about.file_type();
    if !kind.is_file() {
        let what = match () {
            () if kind.is_dir() => "a folder",
            () if kind.is_fifo() => "a pipe",
            () if kind.is_socket() => "a socket",
            () => "a device",
        };
        return Err(Error::new(format!("it is {what}, and no file")));
    }
    let mut file = std::fs::File::open(path).map_err(|e| Error::new(e.to_string()))?;
    let mut at = 0;
    while at + SIGNATURE.len() as u64 <= about.len() && at <= MOST_USER_BYTES {
        let mut bytes = [0; SIGNATURE.len()];
        let read = std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|e| Error::new(e.to_string()))?;
        if bytes == SIGNATURE {
            return Ok((about.len(), file));
        }
        at = if at == 0 { 512 } else { 2 * at };
    }
    Err(Error::new(if about.len() == 0 { "it is empty" } else { "it is no HDF5 file: it lacks the signature of one" }))
}
