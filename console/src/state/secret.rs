//! Random secrets, and their hashes. A file holds hashes alone.

use crate::state::StateError;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The hash of a secret.
pub type Hash = [u8; 32];

/// Bytes in small hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A hash from its hexadecimal.
pub fn from_hex(text: &str) -> Option<Hash> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut hash = Hash::default();
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// A new secret of 256 random bits, in hexadecimal.
///
/// # Errors
/// The system gives no random bytes.
pub fn fresh() -> Result<String, StateError> {
    let mut bytes = Hash::default();
    getrandom::fill(&mut bytes)
        .map_err(|e| StateError::Io { path: "/dev/urandom".into(), source: std::io::Error::other(e.to_string()) })?;
    Ok(hex(&bytes))
}

/// The hash of a secret for one purpose. Hashes of other purposes do not match.
pub fn hash(purpose: &str, secret: &str) -> Hash {
    let mut sha = Sha256::new();
    sha.update(purpose.as_bytes());
    sha.update([0]);
    sha.update(secret.as_bytes());
    sha.finalize().into()
}

/// Whether two texts are equal, in a time that does not tell where they differ.
pub fn same(one: &str, other: &str) -> bool {
    hash("compare", one) == hash("compare", other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_hashes_depend_on_the_purpose() {
        let (a, b) = (fresh().unwrap(), fresh().unwrap());
        assert!(a.len() == 64 && a != b);
        assert_eq!(hex(&from_hex(&a).unwrap()), a);
        assert!(from_hex(&a[1..]).is_none() && from_hex(&"é".repeat(32)).is_none() && from_hex(&"g".repeat(64)).is_none());
        assert!(hash("session", &a) != hash("link", &a) && hash("x", &a) != hash("x", &b));
        assert!(same(&a, &a) && !same(&a, &b));
    }
}
