//! Accounts: a name, a role, and the hash of a password (argon2id).

use super::secret::{self, Hash};
use super::{StateDir, StateError, lock};
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use hyclus::control::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The file of accounts.
pub const FILE: &str = "accounts.json";
/// Most accounts.
const MOST: usize = 1000;
/// Least and most bytes of a password.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 10..=1024;
/// Least time between two looks at the file.
const LOOK: Duration = Duration::from_millis(300);

/// An account as the file holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// What its user may do.
    pub role: Role,
    /// The password's hash, as a PHC string.
    pub password: String,
    /// When it was made or changed (ISO 8601, UTC).
    pub changed: String,
}

/// All accounts by name.
pub type Table = BTreeMap<String, Account>;

/// The name, role and password of an account in one number. A session ends when it changes.
pub fn mark(name: &str, account: &Account) -> Hash {
    secret::hash("account", &format!("{name}\0{}\0{}", account.role, account.password))
}

/// An account cannot be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The name is none.
    #[error("`{}` is no name: 1 to 64 of A-Z a-z 0-9 . _ - and not beginning with a dot", .0.escape_debug())]
    Name(String),
    /// The name is taken.
    #[error("there is an account `{0}` already; change it by `user role` or `user password`")]
    Taken(String),
    /// There is no such account.
    #[error("there is no account `{0}`; `hyclus-console user list` shows all")]
    Unknown(String),
    /// There are enough.
    #[error("there are {MOST} accounts already; remove some")]
    Many,
    /// The password is too short or too long.
    #[error("a password has {} to {} bytes", PASSWORD_BYTES.start(), PASSWORD_BYTES.end())]
    Password,
    /// The password cannot be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// Hashes a password.
///
/// # Errors
/// It is too short or too long, or the system gives no random bytes.
pub fn hash_password(password: &str) -> Result<String, AccountError> {
    if !PASSWORD_BYTES.contains(&password.len()) {
        return Err(AccountError::Password);
    }
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).map_err(|e| AccountError::Hash(e.to_string()))?;
    let failed = |e: argon2::password_hash::Error| AccountError::Hash(e.to_string());
    let salt = SaltString::encode_b64(&salt).map_err(failed)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

/// Whether a password has a hash. It takes tens of milliseconds and 19 MiB.
pub fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Changes the file of accounts, while other processes wait.
///
/// # Errors
/// `change` refuses, or the file cannot be read or written.
pub fn change(dir: &StateDir, change: impl FnOnce(&mut Table) -> Result<(), AccountError>) -> Result<(), AccountError> {
    let _held = dir.lock()?;
    let mut table: Table = dir.read(FILE)?;
    change(&mut table)?;
    Ok(dir.write(FILE, &table)?)
}

/// Adds an account.
///
/// # Errors
/// The name or the password is none, or the name is taken.
pub fn add(dir: &StateDir, name: &str, role: Role, password: &str) -> Result<(), AccountError> {
    if !hyclus::scan::is_name(name) {
        return Err(AccountError::Name(name.to_owned()));
    }
    let account = Account { role, password: hash_password(password)?, changed: crate::now() };
    change(dir, |table| {
        if table.contains_key(name) {
            return Err(AccountError::Taken(name.to_owned()));
        }
        if table.len() >= MOST {
            return Err(AccountError::Many);
        }
        table.insert(name.to_owned(), account);
        Ok(())
    })
}

/// The accounts of a running server. It sees changes of the file within a second.
pub struct Accounts {
    dir: StateDir,
    held: Mutex<Held>,
    /// A hash that no password has, so that an unknown name takes as long as a wrong password.
    nobody: String,
}

struct Held {
    table: Arc<Table>,
    stamp: Option<(i64, i64, u64, u64)>,
    looked: Instant,
}

impl Accounts {
    /// Reads the accounts.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(dir: &StateDir) -> Result<Self, AccountError> {
        let stamp = stamp(dir);
        let table = Arc::new(dir.read(FILE)?);
        let nobody = hash_password(&secret::fresh()?)?;
        Ok(Self { dir: dir.clone(), held: Mutex::new(Held { table, stamp, looked: Instant::now() }), nobody })
    }

    /// All accounts, as the file has them now.
    pub fn table(&self) -> Arc<Table> {
        let mut held = lock(&self.held);
        if held.looked.elapsed() >= LOOK {
            held.looked = Instant::now();
            let stamp = stamp(&self.dir);
            if stamp != held.stamp {
                held.stamp = stamp;
                // Nobody has an account while the file cannot be read.
                held.table = Arc::new(self.dir.read(FILE).unwrap_or_else(|error| {
                    tracing::error!(%error, "no account is known");
                    Table::new()
                }));
            }
        }
        Arc::clone(&held.table)
    }

    /// The account of a name with this password. It takes as long where there is none.
    pub fn login(&self, name: &str, password: &str) -> Option<Account> {
        let table = self.table();
        let account = table.get(name);
        let good = verify(password, account.map_or(&self.nobody, |account| &account.password));
        account.filter(|_| good).cloned()
    }

    /// Whether a session of this account may go on.
    pub fn holds(&self, name: &str, of: &Hash) -> bool {
        self.table().get(name).is_some_and(|account| mark(name, account) == *of)
    }
}

/// What tells one version of the file from another.
fn stamp(dir: &StateDir) -> Option<(i64, i64, u64, u64)> {
    fs::symlink_metadata(dir.path(FILE)).ok().map(|m| (m.mtime(), m.mtime_nsec(), m.ino(), m.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_added_checked_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        for wrong in ["", ".x", "a/b", "a b", "<b>"] {
            assert!(matches!(add(&dir, wrong, Role::Observe, "long enough"), Err(AccountError::Name(_))), "{wrong}");
        }
        assert!(matches!(add(&dir, "maria", Role::Operate, "short"), Err(AccountError::Password)));
        add(&dir, "maria", Role::Operate, "long enough").unwrap();
        assert!(matches!(add(&dir, "maria", Role::Operate, "long enough"), Err(AccountError::Taken(_))));
        let text = fs::read_to_string(dir.path(FILE)).unwrap();
        assert!(text.contains("$argon2id$") && !text.contains("long enough"));

        let accounts = Accounts::open(&dir).unwrap();
        assert_eq!(accounts.login("maria", "long enough").unwrap().role, Role::Operate);
        assert!(accounts.login("maria", "long enougH").is_none() && accounts.login("nobody", "long enough").is_none());
        let of = mark("maria", &accounts.table()["maria"]);
        assert!(accounts.holds("maria", &of) && !accounts.holds("other", &of));
        change(&dir, |table| {
            table.get_mut("maria").unwrap().role = Role::Observe;
            Ok(())
        })
        .unwrap();
        lock(&accounts.held).looked = Instant::now().checked_sub(LOOK).unwrap();
        assert!(!accounts.holds("maria", &of), "a changed role ends sessions");
    }
}
