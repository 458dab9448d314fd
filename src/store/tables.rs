//! What a calibration says of every element of a detector, as every sample's file holds it.

use crate::calibrate::{Calibration, Reference};
use crate::disk::{Buffer, Buffers};
use crate::scan::CameraContext;
use bytemuck::NoUninit;
use std::sync::Arc;

/// The tables of a camera, `[pixel][band]`: made once, written into every file.
#[derive(Debug)]
pub(super) struct Tables {
    /// Mean and standard deviation of the dark reference, f32.
    pub(super) dark: [Arc<Buffer>; 2],
    /// Of the white one.
    pub(super) white: [Arc<Buffer>; 2],
    /// Which elements are not used, u8.
    pub(super) bad: Arc<Buffer>,
    /// Mean of the dark after the scan, where there is one, f32.
    pub(super) dark_after: Option<Arc<Buffer>>,
}

impl Tables {
    /// The tables of a camera that is calibrated by references.
    pub(super) fn of(camera: &CameraContext, buffers: &Arc<Buffers>) -> Option<Self> {
        let Calibration::Referenced(referenced) = camera.calibration.as_ref() else { return None };
        let pixels = camera.description.layout.pixels;
        let turned = |values: &[f32]| turn(values, pixels, buffers);
        let both = |reference: &Reference| [turned(&reference.mean), turned(&reference.sd)];
        Some(Self {
            dark: both(&referenced.dark),
            white: both(&referenced.white),
            bad: turn(&referenced.bad, pixels, buffers),
            dark_after: referenced.drift.as_ref().map(|drift| turned(&drift.after.mean)),
        })
    }
}

/// `[band][pixel]` to `[pixel][band]`.
fn turn<T: NoUninit>(values: &[T], pixels: usize, buffers: &Arc<Buffers>) -> Arc<Buffer> {
    let bands = values.len() / pixels.max(1);
    let mut turned = buffers.take(size_of_val(values));
    let value = size_of::<T>();
    for (band, row) in values.chunks_exact(pixels.max(1)).enumerate() {
        for (pixel, from) in row.iter().enumerate() {
            let at = (pixel * bands + band) * value;
            turned[at..at + value].copy_from_slice(bytemuck::bytes_of(from));
        }
    }
    Arc::new(turned)
}
