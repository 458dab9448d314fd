//! Keys and signatures in the format of minisign: Ed25519 over BLAKE2b-512 (<https://jedisct1.github.io/minisign/>).

use super::error::{SealError, failed};
use crate::disk::{create_new, open_plain};
use minisign::{KeyPair, PublicKeyBox, SecretKeyBox, SignatureBox};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Longest file of a key, bytes.
const MOST_BYTES: u64 = 64 << 10;
/// The first bytes of a public key of Ed25519.
const ALGORITHM: &[u8] = b"Ed";

/// A secret key that signs seals.
pub struct SealKey {
    secret: minisign::SecretKey,
    public: minisign::PublicKey,
}

/// A public key that verifies seals.
#[derive(Debug)]
pub struct PublicKey(minisign::PublicKey);

/// Makes a new key: the secret one in `path`, mode 0600, and the public one beside it, with `.pub` at the end. Gives the path of the
/// public one, and the ID of both.
///
/// # Errors
/// One of the files is there already, or the disk refuses.
pub fn new_key(path: &Path) -> Result<(PathBuf, String), SealError> {
    let mut public_path = path.as_os_str().to_owned();
    public_path.push(".pub");
    let public_path = PathBuf::from(public_path);
    let sign = |error: minisign::PError| SealError::Sign(error.to_string());
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().map_err(sign)?;
    let id = id(pk.keynum());
    let secret = sk.to_box(Some(&format!("hyclus secret key {id}"))).map_err(sign)?;
    let written = |path: &Path, mode: u32, text: &str| {
        let write = |file: &mut File| {
            // Before the first byte, so that nobody else reads it in between.
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        match create_new(path) {
            Ok(mut file) => write(&mut file).map_err(failed(path, "written")),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(SealError::KeyExists { path: path.into() }),
            Err(error) => Err(failed(path, "created")(error)),
        }
    };
    if public_path.symlink_metadata().is_ok() {
        return Err(SealError::KeyExists { path: public_path });
    }
    written(path, 0o600, &String::from(secret))?;
    written(&public_path, 0o644, &public_text(&pk).map_err(SealError::Sign)?)?;
    Ok((public_path, id))
}

impl SealKey {
    /// Reads a secret key that no one else may read.
    ///
    /// # Errors
    /// Others may read it, it has a password, or it is no key.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let mut file = open_plain(path, OpenOptions::new().read(true), 0).map_err(failed(path, "opened"))?;
        let mode = file.metadata().map_err(failed(path, "read"))?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SealError::KeyMode { path: path.into(), mode });
        }
        let text = text(&mut file).map_err(failed(path, "read"))?;
        let refused = |problem: String| SealError::Key { path: path.into(), what: "secret key", problem };
        if text.contains("public key") {
            return Err(refused("it is a public one; name the file beside it, without .pub".into()));
        }
        let told = |error: minisign::PError| refused(format!("{error}; `hyclus seal --new-key FILE` makes one, without a password"));
        let secret = SecretKeyBox::from_string(&text).and_then(minisign::SecretKey::from_unencrypted_box).map_err(told)?;
        let public = minisign::PublicKey::from_secret_key(&secret).map_err(told)?;
        Ok(Self { secret, public })
    }

    /// ID of the key, as minisign shows it.
    pub fn id(&self) -> String {
        id(self.public.keynum())
    }

    /// The public key, as minisign reads it.
    pub(super) fn public(&self) -> Result<String, SealError> {
        public_text(&self.public).map_err(SealError::Sign)
    }

    /// Signs a text with a comment, which is signed as well.
    pub(super) fn sign(&self, text: &[u8], comment: &str) -> Result<String, SealError> {
        let told = |error: minisign::PError| SealError::Sign(error.to_string());
        let untrusted = format!("signature by hyclus, key {}", self.id());
        let signature =
            minisign::sign(Some(&self.public), &self.secret, Cursor::new(text), Some(comment), Some(&untrusted)).map_err(told)?;
        Ok(signature.into_string())
    }
}

impl PublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// It is none, or cannot be read.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let mut file = open_plain(path, OpenOptions::new().read(true), 0).map_err(failed(path, "opened"))?;
        let text = text(&mut file).map_err(failed(path, "read"))?;
        Self::parse(&text).map_err(|problem| SealError::Key { path: path.into(), what: "public key", problem })
    }

    /// A public key from the text of its file, or why it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let key = PublicKeyBox::from_string(text).and_then(PublicKeyBox::into_public_key).map_err(|error| error.to_string())?;
        // The library does not compare the name of the algorithm.
        if !key.to_bytes().starts_with(ALGORITHM) {
            return Err("it is not one of Ed25519".into());
        }
        Ok(Self(key))
    }

    /// ID of the key, as minisign shows it.
    pub fn id(&self) -> String {
        id(self.0.keynum())
    }

    /// Verifies a signature of a text. Gives its signed comment, or what is wrong.
    pub(super) fn verify(&self, text: &[u8], signature: &str) -> Result<String, String> {
        let signature = SignatureBox::from_string(signature).map_err(|error| format!("its signature is damaged: {error}"))?;
        let by = id(signature.keynum());
        if by != self.id() {
            return Err(format!("it is signed by the key {by}, and not by {}", self.id()));
        }
        minisign::verify(&self.0, &signature, Cursor::new(text), true, false, false)
            .map_err(|error| format!("it is not what the key {by} signed: {error}"))?;
        signature.trusted_comment().map_err(|error| format!("its signature is damaged: {error}"))
    }
}

/// The public key, as minisign reads it.
fn public_text(key: &minisign::PublicKey) -> Result<String, String> {
    // The library's own text has the comment of minisign.
    key.to_box().map(String::from).map_err(|error| error.to_string())
}

/// The ID of a key: its 8 bytes as a number, the lowest first.
fn id(keynum: &[u8]) -> String {
    keynum.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn text(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
