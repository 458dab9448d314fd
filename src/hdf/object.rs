//! Groups, datasets and named types of a file.

use super::Result;
use super::data::Values;
use super::error::Error;
use super::ffi::{self, Id, ObjectInfo, called};
use super::file::{Follow, Shared};
use super::link::Link;
use hdf5_sys::h5::{H5_index_t, H5_iter_order_t, herr_t};
use hdf5_sys::h5a::{H5A_info_t, H5Aexists, H5Aiterate2, H5Aopen};
use hdf5_sys::h5d::H5Dget_create_plist;
use hdf5_sys::h5g::{H5G_info_t, H5Gget_info};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5l::{H5L_info1_t, H5Lexists, H5Literate1};
use hdf5_sys::h5o::H5Oopen;
use hdf5_sys::h5p::{H5P_DEFAULT, H5Pget_external_count, H5Pget_filter2, H5Pget_nfilters};
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::Arc;

/// Most names of a group or of an object's attributes that are listed.
const MOST_NAMES: usize = 100_000;
/// Longest path that a link may name, bytes.
pub(super) const MOST_NAME: usize = 1 << 16;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A group.
    Group,
    /// A dataset.
    Dataset,
    /// A type with a name.
    Type,
}

/// An open object.
#[derive(Debug)]
pub(crate) struct Object {
    id: Id,
    class: Class,
    shared: Arc<Shared>,
}

impl Object {
    /// The root group of a file.
    pub(super) fn root(file: &Id, shared: Arc<Shared>) -> Result<Self> {
        // SAFETY: the file and the property list are open, and the name is a C string.
        let id = Id::made(|| unsafe { H5Oopen(file.0, c"/".as_ptr(), shared.links.0) })?;
        Self::new(id, shared)
    }

    fn new(id: Id, shared: Arc<Shared>) -> Result<Self> {
        // SAFETY: the handle is open.
        let class = match called(|| unsafe { ffi::H5Iget_type(id.0) })? {
            ffi::handle::GROUP => Class::Group,
            ffi::handle::TYPE => Class::Type,
            _ => Class::Dataset,
        };
        let object = Self { id, class, shared };
        if class == Class::Dataset && object.shared.follow == Follow::Inside {
            // Before its shape is asked for, which opens what a virtual dataset is made of.
            object.stays_inside()?;
        }
        Ok(object)
    }

    fn stays_inside(&self) -> Result<()> {
        let created = self.created()?;
        // SAFETY: the property list is open.
        if called(|| unsafe { ffi::H5Pget_layout(created.0) })? == ffi::layout::VIRTUAL {
            return Err(Error::new("it is a virtual dataset, made of datasets that may lie in other files; it is not read"));
        }
        // SAFETY: as above.
        if called(|| unsafe { H5Pget_external_count(created.0) })? > 0 {
            return Err(Error::new("its values lie in other files; they are not read"));
        }
        Ok(())
    }

    /// How a dataset was created.
    pub(super) fn created(&self) -> Result<Id> {
        // SAFETY: the dataset is open.
        Id::made(|| unsafe { H5Dget_create_plist(self.id.0) })
    }

    /// What it is.
    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// The object of a path below this group.
    ///
    /// # Errors
    /// It is not there, or lies in another file.
    pub(crate) fn below(&self, path: &CStr) -> Result<Self> {
        // SAFETY: handle and property list are open, and the path is a C string.
        let id = Id::made(|| unsafe { H5Oopen(self.id.0, path.as_ptr(), self.shared.links.0) })?;
        Self::new(id, Arc::clone(&self.shared))
    }

    /// Where it lies: the number of its file, and its place there. No two objects lie at one place.
    ///
    /// # Errors
    /// The library cannot say.
    pub(crate) fn place(&self) -> Result<(u64, u64)> {
        let mut info = ObjectInfo::default();
        // SAFETY: the handle is open, and `info` has room for what every version writes.
        called(|| unsafe { ffi::H5Oget_info2(self.id.0, &raw mut info, ffi::INFO_BASIC) })?;
        Ok((info.file, info.address))
    }

    /// Whether a group has a member of this name, whatever it leads to.
    ///
    /// # Errors
    /// The library cannot say.
    pub(crate) fn has(&self, name: &str) -> Result<bool> {
        let name = CString::new(name).map_err(|_| Error::new("the name has a NUL"))?;
        // SAFETY: handle and property list are open, and the name is a C string.
        Ok(called(|| unsafe { H5Lexists(self.id.0, name.as_ptr(), self.shared.links.0) })? > 0)
    }

    /// Names of a group's members, in the order in which they were written where the file keeps it, and how many there are.
    ///
    /// # Errors
    /// The library cannot list them.
    pub(crate) fn members(&self) -> Result<(Vec<CString>, u64)> {
        // SAFETY: plain numbers, which the library fills in.
        let mut info: H5G_info_t = unsafe { std::mem::zeroed() };
        // SAFETY: the group is open, and `info` is one.
        called(|| unsafe { H5Gget_info(self.id.0, &raw mut info) })?;
        let names = |index| {
            let (order, mut names) = (H5_iter_order_t::H5_ITER_INC, Names::default());
            #[allow(deprecated, reason = "the newer call is not in every version")]
            // SAFETY: the group is open. The library calls `link` until it returns, with the pointer to `names`, which nobody else has.
            called(|| unsafe { H5Literate1(self.id.0, index, order, std::ptr::null_mut(), Some(link), (&raw mut names).cast()) })?;
            Ok(names.0)
        };
        let names = names(H5_index_t::H5_INDEX_CRT_ORDER).or_else(|_: Error| names(H5_index_t::H5_INDEX_NAME))?;
        Ok((names, info.nlinks))
    }

    /// What a member of a group is.
    ///
    /// # Errors
    /// The library cannot say.
    pub(crate) fn link(&self, name: &CStr) -> Result<Link> {
        Link::read(&self.id, name, &self.shared.links)
    }

    /// Names of its attributes, and how many there are.
    ///
    /// # Errors
    /// The library cannot list them.
    pub(crate) fn attributes(&self) -> Result<(Vec<CString>, u64)> {
        // SAFETY: the handle is open.
        let count = u64::try_from(called(|| unsafe { ffi::H5Aget_num_attrs(self.id.0) })?).unwrap_or(0);
        let (index, order, mut names) = (H5_index_t::H5_INDEX_NAME, H5_iter_order_t::H5_ITER_INC, Names::default());
        // SAFETY: the handle is open. The library calls `attribute` until it returns, with the pointer to `names`, which nobody else has.
        called(|| unsafe { H5Aiterate2(self.id.0, index, order, std::ptr::null_mut(), Some(attribute), (&raw mut names).cast()) })?;
        Ok((names.0, count))
    }

    /// An attribute of a name. `None` where it has none.
    ///
    /// # Errors
    /// The library cannot say.
    pub(crate) fn named(&self, name: &str) -> Result<Option<Values>> {
        let name = CString::new(name).map_err(|_| Error::new("the name has a NUL"))?;
        // SAFETY: the handle is open, and the name is a C string.
        let there = called(|| unsafe { H5Aexists(self.id.0, name.as_ptr()) })? > 0;
        there.then(|| self.attribute(&name)).transpose()
    }

    /// An attribute.
    ///
    /// # Errors
    /// It is not there, or the library cannot open it.
    pub(crate) fn attribute(&self, name: &CStr) -> Result<Values> {
        // SAFETY: the handle is open, and the name is a C string.
        let id = Id::made(|| unsafe { H5Aopen(self.id.0, name.as_ptr(), H5P_DEFAULT) })?;
        Values::of_attribute(id, &self.shared)
    }

    /// The values of a dataset.
    ///
    /// # Errors
    /// It is no dataset, or the library cannot say what it holds.
    pub(crate) fn values(self) -> Result<Values> {
        if self.class != Class::Dataset {
            return Err(Error::new("it is no dataset"));
        }
        let created = self.created()?;
        Values::of_dataset(self.id, created, &self.shared)
    }

    /// The places of what the entries of a list of references lead to first, as a dataset keeps the scales of its axes. `None` for an
    /// entry that leads nowhere.
    ///
    /// # Errors
    /// It is something else, or cannot be read.
    pub(crate) fn scales(&self, name: &str) -> Result<Vec<Option<u64>>> {
        self.named(name)?.map_or_else(|| Ok(Vec::new()), |list| list.references())
    }

    /// The filters of a dataset, in words.
    ///
    /// # Errors
    /// The library cannot say.
    pub(crate) fn filters(&self) -> Result<Vec<String>> {
        Ok(filters(&self.created()?)?.iter().map(Filter::shown).collect())
    }
}

/// Names that the library lists.
#[derive(Default)]
struct Names(Vec<CString>);

impl Names {
    /// Adds a name. Gives 1, which ends the list, where there are too many.
    ///
    /// # Safety
    /// `names` are these names, and nobody else has them. `name` is a C string.
    unsafe fn add(names: *mut c_void, name: *const c_char) -> herr_t {
        // SAFETY: as the caller promises.
        let (names, name) = unsafe { (&mut *names.cast::<Self>(), CStr::from_ptr(name)) };
        names.0.push(name.to_owned());
        i32::from(names.0.len() >= MOST_NAMES)
    }
}

unsafe extern "C" fn link(_: hid_t, name: *const c_char, _: *const H5L_info1_t, names: *mut c_void) -> herr_t {
    // SAFETY: as `Object::members` promises.
    unsafe { Names::add(names, name) }
}

unsafe extern "C" fn attribute(_: hid_t, name: *const c_char, _: *const H5A_info_t, names: *mut c_void) -> herr_t {
    // SAFETY: as `Object::attributes` promises.
    unsafe { Names::add(names, name) }
}

/// A filter of a dataset's chunks.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) number: i32,
    name: Vec<u8>,
    values: Vec<u32>,
}

impl Filter {
    pub(super) const DEFLATE: i32 = 1;
    pub(super) const SHUFFLE: i32 = 2;

    /// Its name, with the level of a deflate.
    pub(super) fn shown(&self) -> String {
        match (self.number, self.values.first()) {
            (Self::DEFLATE, Some(level)) => format!("Deflate({level})"),
            (Self::DEFLATE, None) => "Deflate".to_owned(),
            (Self::SHUFFLE, _) => "Shuffle".to_owned(),
            (3, _) => "Fletcher32".to_owned(),
            (4, _) => "SZip".to_owned(),
            (5, _) => "NBit".to_owned(),
            (6, _) => "ScaleOffset".to_owned(),
            (number, _) if self.name.is_empty() => format!("filter {number}"),
            (number, _) => format!("filter {number} `{}`", super::kind::name(&self.name)),
        }
    }
}

/// The filters of a dataset, in the order in which they were applied.
pub(super) fn filters(created: &Id) -> Result<Vec<Filter>> {
    // SAFETY: the property list is open.
    let count = called(|| unsafe { H5Pget_nfilters(created.0) })?;
    let filter = |at: i32| {
        let (mut flags, mut length, mut values, mut name, mut config) = (0, 8, [0_u32; 8], [0_u8; 256], 0);
        // SAFETY: the property list is open; `length` and the size of the name are those of the arrays.
        let number = called(|| unsafe {
            let (values, name) = (values.as_mut_ptr(), name.as_mut_ptr().cast());
            H5Pget_filter2(created.0, at.cast_unsigned(), &raw mut flags, &raw mut length, values, 255, name, &raw mut config)
        })?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        Ok(Filter { number, name, values: values[..length.min(values.len())].to_vec() })
    };
    (0..count).map(filter).collect()
}
