use super::*;
use std::path::{Path, PathBuf};

/// The library of the project.
fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/minerals/usgs.toml")
}

/// Bands of two cameras: centres and widths, nm.
pub(super) fn bands() -> (Vec<f32>, Vec<f32>) {
    let vnir = (0..224).map(|band| (400.0 + 600.0 * band as f32 / 223.0, 5.5));
    let swir = (1..288).map(|band| (1000.0 + 1500.0 * band as f32 / 287.0, 8.0));
    vnir.chain(swir).unzip()
}

pub(super) fn usgs() -> (Library, Identifier) {
    let library = Library::read(&path()).unwrap();
    let (nm, fwhm) = bands();
    let identifier = Identifier::new(&library, &nm, &fwhm).unwrap();
    (library, identifier)
}

#[test]
fn the_library_of_the_project_is_good() {
    let (library, identifier) = usgs();
    assert_eq!((library.name(), library.sha256().len(), identifier.minerals().len()), ("usgs", 64, 40));
    for coverage in identifier.coverage() {
        assert!(coverage.covered() || coverage.not_identified.is_some(), "{coverage:?}");
    }
}
