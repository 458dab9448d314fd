//! The minerals of a cube.

use super::{Cube, CubeError, write};
use crate::identify::{Identifier, Judged, Library, Minerals, Mixture, Summary, summarize};
use std::path::{Path, PathBuf};

/// The minerals of a cube.
pub struct Found {
    /// The file that was read.
    pub path: PathBuf,
    /// The name of the sample or of the file.
    pub name: String,
    /// Doubts about the file.
    pub warnings: Vec<String>,
    /// The library on the bands of the cube.
    pub identifier: Identifier,
    /// Minerals and features `[line][pixel]`.
    pub minerals: Minerals,
    /// Whether a pixel belongs to the sample and has a valid spectrum, `[line][pixel]`.
    pub valid: Vec<bool>,
    /// The number of pixels of a line.
    pub pixels: usize,
    /// Shares and features.
    pub summary: Summary,
    /// The file of minerals that was written.
    pub written: Option<PathBuf>,
}

/// Identifies the minerals of a cube. With `out`, writes `NAME.minerals.h5` into that folder.
///
/// # Errors
/// The cube cannot be read, its bands cover no mineral, or the file cannot be written.
pub fn identify(path: &Path, library: &Library, out: Option<&Path>) -> Result<Found, CubeError> {
    let mut cube = Cube::open(path)?;
    let identifier = Identifier::new(library, &cube.wavelengths_nm, &cube.fwhm_nm)
        .map_err(|source| CubeError::Identify { path: path.to_owned(), source })?;
    let (mut scratch, mut line, mut minerals) = (identifier.scratch(), Minerals::default(), Minerals::default());
    let (mut spectra, mut flags, mut valid, mut mixture) = (Vec::new(), Vec::new(), Vec::new(), Mixture::default());
    let bands = cube.wavelengths_nm.len().max(1);
    for at in 0..cube.lines {
        cube.read_line(at, &mut spectra, &mut flags)?;
        identifier.identify(&spectra, &mut scratch, &mut line);
        minerals.append(&line);
        let pixels = spectra.chunks_exact(bands).enumerate().filter(|(pixel, _)| flags[*pixel]);
        let judged = pixels.map(|(pixel, spectrum)| (pixel, [0, 1].map(|group: usize| line.winner[group][pixel]), spectrum));
        mixture.line(u32::try_from(at).unwrap_or(u32::MAX), cube.pixels, judged);
        valid.extend_from_slice(&flags);
    }
    let judged = Judged::of_mask(&valid, cube.pixels);
    let summary = summarize(&minerals, &mixture.areas(), &judged, identifier.minerals(), identifier.features(), &cube.name);
    let mut found = Found {
        path: path.to_owned(),
        name: cube.name,
        warnings: cube.warnings,
        identifier,
        minerals,
        valid,
        pixels: cube.pixels,
        summary,
        written: None,
    };
    if let Some(folder) = out {
        found.written = Some(write::write(&found, folder)?);
    }
    Ok(found)
}
