//! What to do about an error of the system.

use nix::errno::Errno;
use std::io;

/// What to do about an error, where the error itself says. Else `otherwise`.
pub(crate) fn advice(error: &io::Error, otherwise: &'static str) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE) => {
            "the daemon has as many files open as it may: raise its limit of open files (`LimitNOFILE=` of the unit, or `ulimit -n`)"
        }
        Some(Errno::ENFILE) => "the system has as many files open as it may: close other programs, or raise fs.file-max (`sysctl`)",
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_files_are_no_matter_of_the_disk() {
        let of = |errno: Errno| advice(&errno.into(), "check the disk");
        assert!(of(Errno::EMFILE).contains("LimitNOFILE") && of(Errno::ENFILE).contains("fs.file-max"));
        assert_eq!(of(Errno::EIO), "check the disk");
    }
}
