//! The credentials of the archive, from a file or the environment. They never reach a log.

use async_trait::async_trait;
use nix::sys::stat::{SFlag, fstat};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
const EVENTS_USER: &str = "NATS_USER";
const EVENTS_PASSWORD: &str = "NATS_PASSWORD";
/// Most bytes of the file.
const MOST_BYTES: u64 = 64 << 10;

/// Where the credentials come from. They are read for every request, so that new ones count at once.
pub(crate) enum Credentials {
    /// A file.
    File(PathBuf),
    /// The environment, as it was at the start.
    Fixed(Arc<AwsCredential>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Fixed(_) => f.write_str("Fixed"),
        }
    }
}

impl Credentials {
    /// The credentials of a file, or else of the environment.
    ///
    /// # Errors
    /// The file cannot be used, or the environment has none.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, String> {
        let Some(path) = file else {
            let entries = [KEY, SECRET, TOKEN].into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
            let advice = "set both in the environment, or name a file that has them as ship.credentials";
            return credential(&entries.collect()).map(|found| Self::Fixed(Arc::new(found))).map_err(|text| format!("{text}; {advice}"));
        };
        read(path)?;
        Ok(Self::File(path.to_owned()))
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        match self {
            Self::Fixed(credential) => Ok(Arc::clone(credential)),
            Self::File(path) => read(path).map(Arc::new).map_err(|text| object_store::Error::Generic { store: "S3", source: text.into() }),
        }
    }
}

/// User and password of the server of events, from the file of the credentials, or else from the environment. `None` where it asks for none.
///
/// # Errors
/// The file cannot be read, or others may read it.
pub(crate) fn of_events(file: Option<&Path>) -> Result<Option<(String, String)>, String> {
    let entries = file.map(entries).transpose()?.unwrap_or_default();
    let entry = |name: &str| entries.get(name).cloned().or_else(|| std::env::var(name).ok()).filter(|value| !value.is_empty());
    Ok(entry(EVENTS_USER).zip(entry(EVENTS_PASSWORD)))
}

/// The credentials of a file.
///
/// # Errors
/// It cannot be read, lacks an entry, or others may read it.
fn read(path: &Path) -> Result<AwsCredential, String> {
    credential(&entries(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

/// The lines NAME=VALUE of a file.
fn entries(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let at = |problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
    let file = contract::open_regular(path).map_err(|error| at(&error))?;
    let mode = fstat(&file).map_err(|error| at(&error))?.st_mode & !SFlag::S_IFMT.bits();
    if mode & 0o077 != 0 {
        return Err(at(&format!("others may read or write it (mode {mode:04o}); chmod 0600 it, and give it to the user of hyclus-ship")));
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| at(&error))?;
    let mut entries = BTreeMap::new();
    for (number, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        // The line itself may hold a secret.
        let (name, value) = line.split_once('=').ok_or_else(|| at(&format!("line {} is not NAME=VALUE", number + 1)))?;
        let value = value.trim().trim_matches(['"', '\'']);
        entries.insert(name.trim().trim_start_matches("export ").to_owned(), value.to_owned());
    }
    Ok(entries)
}

/// The credential of named entries.
fn credential(entries: &BTreeMap<String, String>) -> Result<AwsCredential, String> {
    let entry = |name: &str| entries.get(name).filter(|value| !value.is_empty()).cloned();
    let needed = |name: &str| entry(name).ok_or_else(|| format!("{name} is missing"));
    Ok(AwsCredential { key_id: needed(KEY)?, secret_key: needed(SECRET)?, token: entry(TOKEN) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_of_credentials_is_for_one_user() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read(&path)
        };
        let text = "# archive\nAWS_ACCESS_KEY_ID=rig1\nexport AWS_SECRET_ACCESS_KEY=\"s3cr=t\"\n";
        let found = write(text, 0o600).unwrap();
        assert_eq!((&*found.key_id, &*found.secret_key, found.token), ("rig1", "s3cr=t", None));
        assert_eq!(of_events(Some(&path)).unwrap(), None);
        write(&format!("{text}NATS_USER=rig1\nNATS_PASSWORD=s=t\n"), 0o600).unwrap();
        assert_eq!(of_events(Some(&path)).unwrap(), Some(("rig1".into(), "s=t".into())));
        assert!(write(text, 0o640).is_err_and(|error| error.contains("chmod 0600")));
        for wrong in ["AWS_ACCESS_KEY_ID=rig1\n", "AWS_ACCESS_KEY_ID\n", ""] {
            let error = write(wrong, 0o600).unwrap_err();
            assert!(error.contains("missing") || error.contains("line 1"), "{error}");
        }
        let told = format!("{:?}", Credentials::Fixed(Arc::new(found_again())));
        assert!(!told.contains("secret"), "{told}");
    }

    fn found_again() -> AwsCredential {
        AwsCredential { key_id: "a".into(), secret_key: "secret".into(), token: None }
    }
}
