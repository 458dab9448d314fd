//! The format version that a file of ours states.

use std::path::{Path, PathBuf};

/// A file has a format that a later version of the program writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: its format version is {found}, and this program reads versions up to {known}; update hyclus", file.display())]
pub struct NewerFormat {
    /// The file.
    pub file: PathBuf,
    /// The version that the file states.
    pub found: u64,
    /// The highest version that this program reads.
    pub known: u32,
}

impl NewerFormat {
    /// Compares the version `found` in `file` with the highest version that this program reads.
    ///
    /// # Errors
    /// The version is above `known`.
    pub fn check(file: &Path, found: u64, known: u32) -> Result<(), Self> {
        if found > u64::from(known) { Err(Self { file: file.to_owned(), found, known }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_format_is_refused() {
        let check = |found| NewerFormat::check(Path::new("a.h5"), found, 2);
        assert_eq!([check(0), check(1), check(2)], [Ok(()), Ok(()), Ok(())]);
        let text = check(3).unwrap_err().to_string();
        assert_eq!(text, "a.h5: its format version is 3, and this program reads versions up to 2; update hyclus");
    }
}
