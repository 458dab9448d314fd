//! Groups and datasets that know their place, so that every error names it.

use super::error::StoreError;
use super::output::Output;
use crate::disk::{Buffer, PAGE};
use crate::schema::attribute;
use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::plist::file_create::LinkCreationOrder;
use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, Datatype, File, Group, H5Type, Location};
use hdf5_sys::h5d::H5Dwrite;
use hdf5_sys::h5p::{H5P_CLS_DATASET_XFER, H5Pclose, H5Pcreate, H5Pset_buffer};
use hdf5_sys::h5s::H5S_ALL;
use ndarray::{ArrayView, IxDyn};
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// From this size on, bytes, objects in a file begin at a page.
const LARGE: u64 = 64 << 10;

/// A place in a file.
#[derive(Debug, Clone)]
pub(super) struct Place {
    file: Arc<Path>,
    path: String,
}

impl Place {
    /// The library's error with this place.
    pub(super) fn error(&self, source: hdf5::Error) -> StoreError {
        StoreError::Hdf5 { file: self.file.to_path_buf(), path: self.path.clone(), source }
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    fn below(&self, name: &str) -> Self {
        let parent = self.path.trim_end_matches('/');
        Self { file: Arc::clone(&self.file), path: format!("{parent}/{name}") }
    }

    fn attribute(&self, name: &str, source: hdf5::Error) -> StoreError {
        StoreError::Hdf5 { file: self.file.to_path_buf(), path: format!("{}@{name}", self.path), source }
    }
}

/// A variable-length UTF-8 string without NUL, because HDF5 strings end at the first.
pub(super) fn text(value: &str) -> VarLenUnicode {
    let clean: String = value.chars().filter(|c| *c != '\0').collect();
    clean.parse().unwrap_or_default()
}

/// Writes a scalar string. [`Dataset::write_scalar`] does the same, but the library clears a megabyte for it.
fn write_text(dataset: &Dataset, value: &VarLenUnicode) -> hdf5::Result<()> {
    let kind = Datatype::from_type::<VarLenUnicode>()?;
    // SAFETY: dataset and type are open, the dataset is one string of this type, and the library reads it before it returns; it makes
    // its own buffers of `CONVERTED` bytes, which is more than a string's place needs.
    let status = hdf5::sync::sync(|| unsafe {
        let transfer = H5Pcreate(*H5P_CLS_DATASET_XFER);
        H5Pset_buffer(transfer, CONVERTED, ptr::null_mut(), ptr::null_mut());
        let status = H5Dwrite(dataset.id(), kind.id(), H5S_ALL, H5S_ALL, transfer, ptr::from_ref(value).cast());
        H5Pclose(transfer);
        status
    });
    if status < 0 { Err("a string was refused".into()) } else { Ok(()) }
}

/// Bytes of the buffer for the conversion of a string.
const CONVERTED: usize = 256;

/// An object that carries attributes.
pub(super) trait Annotate {
    /// The object in the library's terms.
    fn location(&self) -> &Location;
    /// The place of the object.
    fn place(&self) -> &Place;

    /// Adds a number, or anything else of a fixed type.
    fn set<T: H5Type>(&self, name: &str, value: T) -> Result<(), StoreError> {
        let written = self.location().new_attr::<T>().create(name).and_then(|a| a.write_scalar(&value));
        written.map_err(|e| self.place().attribute(name, e))
    }

    /// Adds a list.
    fn set_list<T: H5Type>(&self, name: &str, values: &[T]) -> Result<(), StoreError> {
        let written = self.location().new_attr_builder().with_data(values).create(name);
        written.map(drop).map_err(|e| self.place().attribute(name, e))
    }

    /// Adds a string.
    fn set_text(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.set(name, text(value))
    }

    /// Adds the attribute `long_name`.
    fn called(&self, long_name: &str) -> Result<(), StoreError> {
        self.set_text(attribute::LONG_NAME, long_name)
    }

    /// Adds a list of strings.
    fn set_texts(&self, name: &str, values: &[&str]) -> Result<(), StoreError> {
        self.set_list(name, &values.iter().map(|v| text(v)).collect::<Vec<_>>())
    }
}

/// A dataset.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) dataset: Dataset,
    place: Place,
}

impl Annotate for Field {
    fn location(&self) -> &Location {
        &self.dataset
    }
    fn place(&self) -> &Place {
        &self.place
    }
}

impl Field {
    /// Adds the attribute `units`, and gives the field back.
    pub(super) fn units(self, units: &str) -> Result<Self, StoreError> {
        self.set_text(attribute::UNITS, units)?;
        Ok(self)
    }
}

/// A group.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) group: Group,
    place: Place,
}

impl Annotate for Node {
    fn location(&self) -> &Location {
        &self.group
    }
    fn place(&self) -> &Place {
        &self.place
    }
}

impl Node {
    /// Creates a file. It holds no time of writing, so that the same samples give the same bytes.
    pub(super) fn create(path: &Path) -> Result<(File, Self), StoreError> {
        let place = Place { file: Arc::from(path), path: "/".into() };
        // The library opens files by their names. It creates one that nobody has put there, or none.
        crate::disk::remove_stale(path).map_err(|source| StoreError::Io { file: path.to_owned(), doing: "created", source })?;
        let file = File::with_options()
            // Object headers of HDF5 1.8, which every reader knows and which can do without times. No lock: nobody else knows the name
            // of an unfinished file, and a helper program started meanwhile would inherit the lock and keep it beyond our closing.
            // What is large begins at a page, for direct writes. A small sieve buffer: each dataset has one cleared when it is written to.
            .with_fapl(|p| p.libver_v18().file_locking(false).alignment(LARGE, PAGE as u64).sieve_buf_size(PAGE))
            .with_fcpl(|p| p.obj_track_times(false).link_creation_order(LinkCreationOrder::Indexed))
            .create_excl(path)
            .map_err(|e| place.error(e))?;
        let group = file.group("/").map_err(|e| place.error(e))?;
        Ok((file, Self { group, place }))
    }

    /// Opens a complete file for writing. Gives its entry.
    pub(super) fn reopen(path: &Path) -> Result<(File, Self), StoreError> {
        let place = Place { file: Arc::from(path), path: format!("/{}", crate::schema::ENTRY) };
        let file = File::with_options()
            .with_fapl(|p| p.libver_v18().file_locking(false).alignment(LARGE, PAGE as u64).sieve_buf_size(PAGE))
            .open_rw(path)
            .map_err(|e| place.error(e))?;
        let group = file.group(crate::schema::ENTRY).map_err(|e| place.error(e))?;
        Ok((file, Self { group, place }))
    }

    /// Creates a group of a NeXus class.
    pub(super) fn node(&self, name: &str, class: &str) -> Result<Self, StoreError> {
        let place = self.place.below(name);
        let group = self
            .group
            .create_group_builder()
            .obj_track_times(false)
            .with_gcpl(|p| p.link_creation_order(LinkCreationOrder::Indexed))
            .create(name)
            .map_err(|e| place.error(e))?;
        let node = Self { group, place };
        node.set_text(attribute::CLASS, class)?;
        Ok(node)
    }

    /// The field of a dataset that was made below this group.
    pub(super) fn field(&self, name: &str, dataset: hdf5::Result<Dataset>) -> Result<Field, StoreError> {
        let place = self.place.below(name);
        let dataset = dataset.map_err(|e| place.error(e))?;
        Ok(Field { dataset, place })
    }

    /// A scalar.
    pub(super) fn scalar<T: H5Type>(&self, name: &str, value: T) -> Result<Field, StoreError> {
        let dataset = self.group.new_dataset::<T>().obj_track_times(false).shape(()).create(name);
        self.field(name, dataset.and_then(|d| d.write_scalar(&value).map(|()| d)))
    }

    /// A string.
    pub(super) fn text(&self, name: &str, value: &str) -> Result<Field, StoreError> {
        let dataset = self.group.new_dataset::<VarLenUnicode>().obj_track_times(false).shape(()).create(name);
        self.field(name, dataset.and_then(|dataset| write_text(&dataset, &text(value)).map(|()| dataset)))
    }

    /// An array of a shape.
    pub(super) fn array<T: H5Type>(&self, name: &str, shape: &[usize], values: &[T]) -> Result<Field, StoreError> {
        let view = ArrayView::from_shape(IxDyn(shape), values).map_err(|e| hdf5::Error::from(e.to_string()));
        let dataset = view.and_then(|view| self.group.new_dataset_builder().with_data(view).obj_track_times(false).create(name));
        self.field(name, dataset)
    }

    /// An array of a shape with the values of a buffer. Threads write them.
    pub(super) fn block<T: H5Type>(
        &self,
        name: &str,
        shape: &[usize],
        values: &Arc<Buffer>,
        output: &Arc<Output>,
    ) -> Result<Field, StoreError> {
        let builder = self.group.new_dataset::<T>().obj_track_times(false).alloc_time(Some(AllocTime::Early)).fill_time(FillTime::Never);
        let field = self.field(name, builder.shape(shape).create(name))?;
        let expected = shape.iter().product::<usize>() * size_of::<T>();
        match field.dataset.offset() {
            Some(at) if expected == values.len() => {
                output.write_later(values, at);
                Ok(field)
            }
            _ => Err(field.place.error(format!("{} bytes came for {shape:?}", values.len()).into())),
        }
    }

    /// A list.
    pub(super) fn list<T: H5Type>(&self, name: &str, values: &[T]) -> Result<Field, StoreError> {
        self.array(name, &[values.len()], values)
    }
}
