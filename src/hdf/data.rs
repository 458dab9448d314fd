//! Values of datasets and attributes.

use super::chunks::Chunks;
use super::error::Error;
use super::ffi::{self, Id, called, class};
use super::file::Shared;
use super::kind::Kind;
use super::object::filters;
use super::{MOST_BYTES, Result};
use bytemuck::Pod;
use hdf5::sync::sync;
use hdf5_sys::h5a::{H5Aget_space, H5Aget_type, H5Aread};
use hdf5_sys::h5d::{H5Dget_offset, H5Dget_space, H5Dget_type, H5Dread, H5Dvlen_reclaim};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::{H5S_ALL, H5S_seloper_t, H5Screate_simple, H5Sget_simple_extent_dims, H5Sget_simple_extent_ndims, H5Sselect_hyperslab};
use hdf5_sys::h5t::{
    H5T_C_S1, H5T_NATIVE_DOUBLE, H5T_NATIVE_FLOAT, H5T_NATIVE_INT64, H5T_NATIVE_UINT8, H5T_NATIVE_UINT32, H5T_NATIVE_UINT64, H5T_VARIABLE,
    H5T_cset_t, H5Tconvert, H5Tcopy, H5Tequal, H5Tset_cset, H5Tset_size, hvl_t,
};
use std::ffi::{CStr, c_char};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Most axes, as in the library.
const AXES: usize = 32;
/// A byte of deflate gives no more bytes than this.
const DEFLATED: u64 = 1032;
/// Most bytes of text that are read at once.
const MOST_TEXT: u64 = 64 << 20;

/// A number as memory holds it.
pub(crate) trait Number: Pod {
    /// The library's type of it.
    fn kind() -> hid_t;
}

macro_rules! number {
    ($($of:ty => $kind:ident),*) => {
        $(impl Number for $of {
            fn kind() -> hid_t {
                *$kind
            }
        })*
    };
}

number!(f32 => H5T_NATIVE_FLOAT, f64 => H5T_NATIVE_DOUBLE, i64 => H5T_NATIVE_INT64, u64 => H5T_NATIVE_UINT64, u32 => H5T_NATIVE_UINT32,
    u8 => H5T_NATIVE_UINT8);

/// A dataset or an attribute, whose values are not read yet.
#[derive(Debug)]
pub(crate) struct Values {
    pub(super) id: Id,
    space: Id,
    pub(super) kind: Kind,
    /// Places along each axis. `None` where it has no value and no axes.
    shape: Option<Vec<u64>>,
    /// How a dataset was created. `None` for an attribute.
    created: Option<Id>,
    shared: Arc<Shared>,
}

impl Values {
    pub(super) fn of_dataset(id: Id, created: Id, shared: &Arc<Shared>) -> Result<Self> {
        // SAFETY: the dataset is open.
        let (space, kind) = unsafe { (Id::made(|| H5Dget_space(id.0))?, Id::made(|| H5Dget_type(id.0))?) };
        Self::new(id, space, kind, Some(created), shared)
    }

    pub(super) fn of_attribute(id: Id, shared: &Arc<Shared>) -> Result<Self> {
        // SAFETY: the attribute is open.
        let (space, kind) = unsafe { (Id::made(|| H5Aget_space(id.0))?, Id::made(|| H5Aget_type(id.0))?) };
        Self::new(id, space, kind, None, shared)
    }

    fn new(id: Id, space: Id, kind: Id, created: Option<Id>, shared: &Arc<Shared>) -> Result<Self> {
        // SAFETY: the space is open, and there is room for every axis.
        let shape = match called(|| unsafe { ffi::H5Sget_simple_extent_type(space.0) })? {
            ffi::SPACE_NULL => None,
            ffi::SPACE_SCALAR => Some(Vec::new()),
            _ => {
                let mut extents = [0; AXES];
                // SAFETY: as above.
                let axes = usize::try_from(called(|| unsafe { H5Sget_simple_extent_ndims(space.0) })?).unwrap_or(0);
                if axes > AXES {
                    return Err(Error::new(format!("it has {axes} axes")));
                }
                // SAFETY: as above.
                called(|| unsafe { H5Sget_simple_extent_dims(space.0, extents.as_mut_ptr(), std::ptr::null_mut()) })?;
                Some(extents[..axes].to_vec())
            }
        };
        Ok(Self { id, space, kind: Kind::new(kind)?, shape, created, shared: Arc::clone(shared) })
    }

    /// Places along each axis, none for a single value. `None` where there is no value at all.
    pub(crate) fn shape(&self) -> Option<&[u64]> {
        self.shape.as_deref()
    }

    /// Number of values.
    ///
    /// # Errors
    /// There are more than any file can hold.
    pub(crate) fn count(&self) -> Result<u64> {
        let Some(shape) = &self.shape else { return Ok(0) };
        shape.iter().try_fold(1_u64, |all, n| all.checked_mul(*n)).ok_or_else(|| Error::new(format!("its shape {shape:?} is absurd")))
    }

    /// The type of a value, in words.
    ///
    /// # Errors
    /// The library cannot say.
    pub(crate) fn kind(&self) -> Result<String> {
        self.kind.shown()
    }

    /// Whether it is text.
    pub(crate) fn is_text(&self) -> bool {
        self.kind.class == class::STRING
    }

    /// Whether its numbers are whole, and have a sign. `None` where they are no numbers.
    pub(crate) fn whole(&self) -> Option<(bool, bool)> {
        match self.kind.class {
            class::INTEGER => Some((true, self.kind.signed().ok()?)),
            class::FLOAT => Some((false, true)),
            _ => None,
        }
    }

    /// Bytes of all values as the file says, without what text of any length refers to.
    ///
    /// # Errors
    /// They are more than can be counted.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.count()?.checked_mul(self.kind.size as u64).ok_or_else(|| Error::new("its size is absurd"))
    }

    /// The only value.
    ///
    /// # Errors
    /// There is not just one, it is no number, or it cannot be read.
    pub(crate) fn number<T: Number>(&self) -> Result<T> {
        match (self.shape.as_deref(), self.numbers::<T>()?.as_slice()) {
            (Some([]), [only]) => Ok(*only),
            _ => Err(Error::new("it has no single value")),
        }
    }

    /// All values.
    ///
    /// # Errors
    /// They are no numbers, are too many, or cannot be read.
    pub(crate) fn numbers<T: Number>(&self) -> Result<Vec<T>> {
        match self.shape.as_deref() {
            None => Ok(Vec::new()),
            Some([]) => self.part(0..1, MOST_BYTES),
            Some([first, ..]) => self.part(0..*first, MOST_BYTES),
        }
    }

    /// The values of some places along the first axis.
    ///
    /// # Errors
    /// As [`Self::numbers`], or there are no such places.
    pub(crate) fn lines<T: Number>(&self, lines: Range<u64>) -> Result<Vec<T>> {
        self.part(lines, MOST_BYTES)
    }

    /// All values, as many as memory takes.
    ///
    /// # Errors
    /// As [`Self::numbers`].
    pub(crate) fn all<T: Number>(&self) -> Result<Vec<T>> {
        let lines = self.shape.as_deref().and_then(|shape| shape.first().copied()).unwrap_or(0);
        self.part(0..lines, u64::MAX)
    }

    fn part<T: Number>(&self, lines: Range<u64>, most: u64) -> Result<Vec<T>> {
        if self.whole().is_none() {
            return Err(Error::new(format!("it holds {}, and no numbers", self.kind()?)));
        }
        let count = self.places(&lines)?;
        let mut values = zeroed::<T>(self.room(count, size_of::<T>(), most)?)?;
        if values.is_empty() {
            return Ok(values);
        }
        if let Some(chunks) = self.chunks()? {
            let bytes = chunks.read(&self.id, lines, self.room(count, self.kind.size, most)? * self.kind.size)?;
            return self.converted(bytes, values);
        }
        self.read(lines, T::kind(), bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }

    /// Values from the type of the file to the one of memory.
    pub(super) fn converted<T: Number>(&self, mut bytes: Vec<u8>, mut values: Vec<T>) -> Result<Vec<T>> {
        // SAFETY: both types are open.
        let same = called(|| unsafe { H5Tequal(self.kind.id.0, T::kind()) })? > 0;
        if !same {
            let least = values.len() * size_of::<T>();
            if bytes.len() < least {
                bytes.try_reserve_exact(least - bytes.len()).map_err(|_| too_large(least as u64))?;
                bytes.resize(least, 0);
            }
            let (count, to) = (values.len(), bytes.as_mut_ptr().cast());
            // SAFETY: the buffer holds as many values of the one type, and has room for as many of the other. Numbers need no background.
            called(|| unsafe { H5Tconvert(self.kind.id.0, T::kind(), count, to, std::ptr::null_mut(), H5P_DEFAULT) })?;
        }
        let to: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
        let length = to.len();
        to.copy_from_slice(bytes.get(..length).ok_or_else(|| too_large(length as u64))?);
        Ok(values)
    }

    /// All texts. What is no UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// They are no texts, are too many or too long, or cannot be read.
    pub(crate) fn texts(&self) -> Result<Vec<String>> {
        if !self.is_text() {
            return Err(Error::new(format!("it holds {}, and no text", self.kind()?)));
        }
        let count = self.room(self.count()?, self.kind.size, MOST_TEXT)?;
        let lines = 0..self.shape.as_deref().map_or(0, |shape| shape.first().copied().unwrap_or(1));
        if count == 0 {
            return Ok(Vec::new());
        }
        if self.kind.variable_text {
            return self.variable_texts(count, lines);
        }
        let size = self.kind.size;
        let bytes = match self.chunks()? {
            Some(chunks) => chunks.read(&self.id, lines, count * size)?,
            None => {
                let mut bytes = zeroed::<u8>(count * size)?;
                self.read(lines, self.kind.id.0, &mut bytes)?;
                bytes
            }
        };
        // SAFETY: the type is open.
        let padded = called(|| unsafe { ffi::H5Tget_strpad(self.kind.id.0) })? == 2;
        let text = |bytes: &[u8]| if padded { super::kind::name(bytes).trim_end_matches(' ').to_owned() } else { super::kind::name(bytes) };
        Ok(bytes.chunks_exact(size).map(text).collect())
    }

    fn variable_texts(&self, count: usize, lines: Range<u64>) -> Result<Vec<String>> {
        if self.chunks()?.is_some() {
            return Err(Error::new("text of any length in chunks is not read"));
        }
        self.check_length(count)?;
        // SAFETY: the base type is initialised with the library, and the copy is ours.
        let kind = Id::made(|| unsafe { H5Tcopy(*H5T_C_S1) })?;
        // SAFETY: the types are open.
        let unicode = called(|| unsafe { ffi::H5Tget_cset(self.kind.id.0) })? == 1;
        let characters = if unicode { H5T_cset_t::H5T_CSET_UTF8 } else { H5T_cset_t::H5T_CSET_ASCII };
        // SAFETY: as above.
        called(|| unsafe { H5Tset_size(kind.0, H5T_VARIABLE) })?;
        // SAFETY: as above.
        called(|| unsafe { H5Tset_cset(kind.0, characters) })?;
        let mut places = zeroed::<usize>(count)?;
        // What was read before a failure is given back as well.
        let read = self.read(lines, kind.0, bytemuck::cast_slice_mut(&mut places));
        let mut left = MOST_TEXT;
        let mut texts = Vec::new();
        let text = |place: &usize| {
            let at = *place as *const c_char;
            // SAFETY: a place that is not null is a C string of the library, which is given back below.
            let bytes = if at.is_null() { &[] } else { unsafe { CStr::from_ptr(at) }.to_bytes() };
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| too_large(bytes.len() as u64))?;
            Ok(super::kind::name(bytes))
        };
        let all = if read.is_ok() { places.iter().map(text).collect::<Result<Vec<_>>>() } else { Ok(Vec::new()) };
        // SAFETY: the places are what the library wrote, or null.
        called(|| unsafe { H5Dvlen_reclaim(kind.0, self.space.0, H5P_DEFAULT, places.as_mut_ptr().cast()) })?;
        read?;
        texts.extend(all?);
        Ok(texts)
    }

    /// The first reference to an object in each list of an attribute that has a list for each axis. `None` where a list is empty.
    ///
    /// # Errors
    /// It is something else, or cannot be read.
    pub(crate) fn references(&self) -> Result<Vec<Option<u64>>> {
        let of_lists = self.kind.class == class::VLEN && self.kind.below()?.class == class::REFERENCE && self.kind.below()?.size == 8;
        if !of_lists || self.created.is_some() || self.count()? > AXES as u64 {
            return Err(Error::new("it has no list of references for each axis"));
        }
        let count = self.room(self.count()?, size_of::<hvl_t>(), MOST_TEXT)?;
        // A length and a place for each list, as in `hvl_t`.
        let mut lists = zeroed::<[usize; 2]>(count)?;
        // SAFETY: the attribute and its type are open, and there is room for all lists.
        let read = called(|| unsafe { H5Aread(self.id.0, self.kind.id.0, lists.as_mut_ptr().cast()) });
        let first = |list: &[usize; 2]| {
            // SAFETY: the library says that so many references of eight bytes lie there.
            (list[0] > 0 && list[1] != 0).then(|| unsafe { std::ptr::read_unaligned(list[1] as *const u64) })
        };
        let found = if read.is_ok() { lists.iter().map(first).collect() } else { Vec::new() };
        // SAFETY: the lists are what the library wrote, or empty.
        called(|| unsafe { H5Dvlen_reclaim(self.kind.id.0, self.space.0, H5P_DEFAULT, lists.as_mut_ptr().cast()) })?;
        read.map(|_| found)
    }

    /// Checks the length of a single text where it stands in the file. The library takes memory for whatever it says.
    fn check_length(&self, count: usize) -> Result<()> {
        // SAFETY: a dataset is open.
        let at = if self.created.is_some() && count == 1 { sync(|| unsafe { H5Dget_offset(self.id.0) }) } else { u64::MAX };
        let mut length = [0; 4];
        if at == u64::MAX || self.shared.raw.read_exact_at(&mut length, at).is_err() {
            return Ok(());
        }
        let length = u64::from(u32::from_le_bytes(length));
        if length > self.shared.bytes.min(MOST_TEXT) {
            return Err(Error::new(format!("it claims a text of {length} bytes, and the file has {} bytes", self.shared.bytes)));
        }
        Ok(())
    }

    /// Has the library read values of some places along the first axis as the type `kind` into `to`, which has room for them all.
    fn read(&self, lines: Range<u64>, kind: hid_t, to: &mut [u8]) -> Result<()> {
        let to = to.as_mut_ptr().cast();
        if self.created.is_none() {
            // SAFETY: the attribute and the type are open, and `to` has room for all values. Callers ask for all lines of an attribute.
            return called(|| unsafe { H5Aread(self.id.0, kind, to) }).map(drop);
        }
        let Some(shape) = self.shape.as_deref().filter(|shape| !shape.is_empty()) else {
            // SAFETY: as above, for a dataset of one value.
            return called(|| unsafe { H5Dread(self.id.0, kind, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) }).map(drop);
        };
        let mut start = vec![0; shape.len()];
        let mut count = shape.to_vec();
        (start[0], count[0]) = (lines.start, lines.end - lines.start);
        let axes = i32::try_from(shape.len()).unwrap_or(0);
        // SAFETY: the lists have a number for every axis, and live until the calls have returned.
        unsafe {
            let memory = Id::made(|| H5Screate_simple(axes, count.as_ptr(), std::ptr::null()))?;
            let (space, set, null) = (self.space.0, H5S_seloper_t::H5S_SELECT_SET, std::ptr::null());
            called(|| H5Sselect_hyperslab(space, set, start.as_ptr(), null, count.as_ptr(), null))?;
            called(|| H5Dread(self.id.0, kind, memory.0, space, H5P_DEFAULT, to)).map(drop)
        }
    }

    /// Number of values at places along the first axis.
    fn places(&self, lines: &Range<u64>) -> Result<u64> {
        let Some(shape) = &self.shape else { return Ok(0) };
        let Some((first, others)) = shape.split_first() else { return Ok(1) };
        if lines.start > lines.end || lines.end > *first {
            return Err(Error::new(format!("it has {first} lines, and lines {} to {} were asked for", lines.start, lines.end)));
        }
        let count = others.iter().try_fold(lines.end - lines.start, |all, n| all.checked_mul(*n));
        count.ok_or_else(|| Error::new(format!("its shape {shape:?} is absurd")))
    }

    /// Checks that so many values fit into the file as the type that it has, and into memory with so many bytes each.
    pub(super) fn room(&self, count: u64, size: usize, most: u64) -> Result<usize> {
        let in_file = count.checked_mul(self.kind.size as u64);
        let filtered = self.created.as_ref().map_or(Ok(false), |created| filters(created).map(|list| !list.is_empty()))?;
        let most_in_file = if filtered { self.shared.bytes.saturating_mul(DEFLATED) } else { self.shared.bytes };
        if in_file.is_none_or(|bytes| bytes > most_in_file) {
            let (each, file) = (self.kind.size, self.shared.bytes);
            return Err(Error::new(format!("it claims {count} values of {each} bytes, and the file has {file} bytes")));
        }
        match count.checked_mul(size.max(self.kind.size) as u64) {
            Some(bytes) if bytes <= most => usize::try_from(count).map_err(|_| too_large(bytes)),
            bytes => Err(too_large(bytes.unwrap_or(u64::MAX))),
        }
    }

    pub(super) fn chunks(&self) -> Result<Option<Chunks>> {
        let Some((created, shape)) = self.created.as_ref().zip(self.shape.as_deref()) else { return Ok(None) };
        Chunks::of(created, shape, self.kind.size, self.shared.bytes)
    }
}

pub(super) fn too_large(bytes: u64) -> Error {
    Error::new(format!("it takes {bytes} bytes of memory, which is more than is read at once"))
}

/// So many zeros, where memory has room for them.
pub(super) fn zeroed<T: Pod>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| too_large((count as u64).saturating_mul(size_of::<T>() as u64)))?;
    values.resize(count, T::zeroed());
    Ok(values)
}
