//! The tables of a calibration, with a value for every element of a detector, as every sample's file holds them.

use crate::context::CameraContext;
use crate::disk::{Buffer, Buffers};
use crate::reference::{Calibration, Reference};
use crate::transpose::transpose;
use bytemuck::Pod;
use std::sync::Arc;

/// The tables of a camera, `[pixel][band]`. They are made once and written into every file.
#[derive(Debug)]
pub(super) struct Tables {
    /// Mean and standard deviation of the dark reference, f32.
    pub(super) dark: [Arc<Buffer>; 2],
    /// Mean and standard deviation of the white reference, f32.
    pub(super) white: [Arc<Buffer>; 2],
    /// Flags of the elements that are not used, u8.
    pub(super) bad: Arc<Buffer>,
    /// Mean of the dark of the white reference, where it is not `dark`, f32.
    pub(super) white_dark: Option<Arc<Buffer>>,
    /// Mean of the dark after the scan, where there is one, f32.
    pub(super) dark_after: Option<Arc<Buffer>>,
}

impl Tables {
    /// The tables of a camera that is calibrated by references. `None` for any other.
    pub(super) fn of(camera: &CameraContext, buffers: &Arc<Buffers>) -> Option<Self> {
        let Calibration::Referenced(referenced) = camera.calibration.as_ref() else { return None };
        let pixels = camera.description.layout.pixels;
        let table = |values: &[f32]| transposed(values, pixels, buffers);
        let both = |reference: &Reference| [table(&reference.mean), table(&reference.sd)];
        Some(Self {
            dark: both(&referenced.dark),
            white: both(&referenced.white),
            bad: transposed(&referenced.bad, pixels, buffers),
            white_dark: referenced.white_dark.as_ref().map(|dark| table(&dark.mean)),
            dark_after: referenced.drift.as_ref().map(|drift| table(&drift.after.mean)),
        })
    }
}

/// `[band][pixel]` to `[pixel][band]`.
fn transposed<T: Pod>(values: &[T], pixels: usize, buffers: &Arc<Buffers>) -> Arc<Buffer> {
    let mut transposed = buffers.take(size_of_val(values));
    transpose(values, pixels, bytemuck::cast_slice_mut(&mut transposed));
    Arc::new(transposed)
}
