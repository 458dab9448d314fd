//! Float32 values in files.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Reads little-endian float32 values from byte `at` of a file. `bytes` is a buffer that calls share.
pub(crate) fn read_floats(file: &File, at: u64, values: &mut [f32], bytes: &mut Vec<u8>) -> std::io::Result<()> {
    bytes.resize(size_of_val(values), 0);
    file.read_exact_at(bytes, at)?;
    values.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(value, four)| *value = f32::from_le_bytes(*four));
    Ok(())
}
