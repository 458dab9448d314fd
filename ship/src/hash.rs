//! The hash of a file, as its record has it.

use hyclus::scan::Digest;
use sha2::Digest as _;

/// A hash that grows with what is read.
pub(crate) enum Hasher {
    /// That of the present version.
    Blake3(Box<blake3::Hasher>),
    /// That of earlier versions.
    Sha256(sha2::Sha256),
}

impl Hasher {
    /// A hash of the same kind as `wanted`.
    pub(crate) fn like(wanted: &Digest) -> Self {
        match wanted {
            Digest::Blake3(_) => Self::Blake3(Box::default()),
            Digest::Sha256(_) => Self::Sha256(sha2::Sha256::new()),
        }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => _ = hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn end(self) -> Digest {
        match self {
            Self::Blake3(hasher) => Digest::Blake3(hasher.finalize().to_hex().to_string()),
            Self::Sha256(hasher) => Digest::Sha256(hex(&hasher.finalize())),
        }
    }
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
