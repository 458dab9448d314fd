//! Dimension scales: datasets that give the places along an axis of others.
//!
//! `H5DSset_scale` and `H5DSattach_scale` of the high-level library write the same (HDF5 Dimension Scale Specification 1.0). They are
//! written here, so that the program does not link the high-level library.

use super::error::StoreError;
use super::node::{Annotate, Node};
use crate::schema::attribute;
use hdf5::types::{FixedAscii, VarLenArray};
use hdf5::{Datatype, Location, ObjectReference1};
use hdf5_sys::h5t::{H5T_C_S1, H5Tcopy, H5Tset_size};

/// An entry of `REFERENCE_LIST`: a dataset, and its axis that the scale is attached to.
#[derive(Debug, Clone, Copy, hdf5::H5Type)]
#[repr(C)]
struct Attached {
    dataset: ObjectReference1,
    dimension: u32,
}

/// Makes datasets of a group dimension scales and attaches them. Each field comes with the scales of its axes, in order.
pub(super) fn attach(group: &Node, scales: &[&str], fields: &[(&str, &[&str])]) -> Result<(), StoreError> {
    attach_all(&group.group, scales, fields).map_err(|e| group.place().error(e))
}

fn attach_all(group: &hdf5::Group, scales: &[&str], fields: &[(&str, &[&str])]) -> hdf5::Result<()> {
    let refer = |name: &str| group.reference::<ObjectReference1>(name);
    for scale in scales {
        let dataset = group.dataset(scale)?;
        terminated::<16>(&dataset, attribute::SCALE_CLASS, "DIMENSION_SCALE")?;
        terminated::<64>(&dataset, attribute::SCALE_NAME, scale)?;
        let mut attached = Vec::new();
        for (field, axes) in fields {
            for (dimension, _) in (0_u32..).zip(axes.iter()).filter(|(_, axis)| *axis == scale) {
                attached.push(Attached { dataset: refer(field)?, dimension });
            }
        }
        if !attached.is_empty() {
            dataset.new_attr_builder().with_data(&attached).create(attribute::REFERENCE_LIST)?;
        }
    }
    for (field, axes) in fields {
        let list = axes.iter().map(|axis| Ok(VarLenArray::from_slice(&[refer(axis)?]))).collect::<hdf5::Result<Vec<_>>>()?;
        group.dataset(field)?.new_attr_builder().with_data(&list).create(attribute::DIMENSION_LIST)?;
    }
    Ok(())
}

/// Writes an attribute as a NUL-terminated string of just its length. `H5DSis_scale` insists on that, and the safe API pads strings.
/// `N` is at least the bytes of the value and its NUL.
fn terminated<const N: usize>(location: &Location, name: &str, value: &str) -> hdf5::Result<()> {
    let padded = FixedAscii::<N>::from_ascii(value).map_err(|e| e.to_string())?;
    // SAFETY: H5T_C_S1 is initialised before any file is open; the copy is ours until it is handed over.
    let datatype: Datatype = hdf5::sync::sync(|| unsafe {
        let id = H5Tcopy(*H5T_C_S1);
        if id < 0 || H5Tset_size(id, value.len() + 1) < 0 {
            return Err(hdf5::Error::from("a string type cannot be made"));
        }
        hdf5::from_id(id)
    })?;
    location.new_attr_builder().empty_as(datatype).create(name)?.write_scalar(&padded)
}
