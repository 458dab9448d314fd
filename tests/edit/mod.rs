//! A sample's file, opened to change it as a test wants it.

use std::path::Path;

/// Opens the file without HDF5's lock. A child that another test starts inherits the lock and holds it until its program runs,
/// which may be after the handle here is closed.
pub fn open_rw(path: &Path) -> hdf5::File {
    hdf5::File::with_options().with_fapl(|list| list.file_locking(false)).open_as(path, hdf5::OpenMode::ReadWrite).unwrap()
}
