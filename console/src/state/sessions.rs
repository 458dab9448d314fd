//! Sessions: who is logged in. The browser holds a secret of 256 bits, and the server its hash.

use super::accounts::Accounts;
use super::secret::{self, Hash, from_hex, hex};
use super::{StateDir, StateError, lock};
use hyclus::control::Role;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Mutex;

/// The file of sessions. They outlive a new start of the server.
const FILE: &str = "sessions.json";
/// Most sessions, and most of one name. The one that was idle longest then ends.
const MOST: usize = 2000;
const MOST_OF_ONE: usize = 32;

/// A session, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The hash of its secret.
    #[serde(with = "as_hex")]
    pub key: Hash,
    /// Name of the person.
    pub user: String,
    /// What the person may do.
    pub role: Role,
    /// The account as it was at the login. `None` where a link let the person in.
    account: Option<String>,
    /// Its end, Unix s.
    pub until: i64,
    /// The last request, Unix s.
    seen: i64,
}

mod as_hex {
    use super::{Hash, from_hex, hex};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        from_hex(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("is no hash"))
    }
}

/// The token that a page sends with each change. It follows from the secret, which the page cannot read.
pub fn token(secret: &str) -> String {
    hex(&secret::hash("token", secret))
}

/// Lives of sessions, s.
#[derive(Debug, Clone, Copy)]
pub struct Lives {
    /// Longest life.
    pub whole: i64,
    /// Longest pause.
    pub idle: i64,
}

/// All sessions.
pub struct Sessions {
    dir: StateDir,
    lives: Lives,
    held: Mutex<HashMap<Hash, Session>>,
    /// Held while the file is written.
    saving: Mutex<()>,
}

impl Sessions {
    /// Reads the sessions that the last run left.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(dir: &StateDir, lives: Lives) -> Result<Self, StateError> {
        let list: Vec<Session> = dir.read(FILE)?;
        let held = list.into_iter().map(|session| (session.key, session)).collect();
        Ok(Self { dir: dir.clone(), lives, held: Mutex::new(held), saving: Mutex::new(()) })
    }

    /// Begins a session, and gives it with its secret.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn begin(
        &self,
        user: &str,
        role: Role,
        account: Option<Hash>,
        until: Option<i64>,
        now: i64,
    ) -> Result<(Session, String), StateError> {
        let secret = secret::fresh()?;
        let until = until.unwrap_or(i64::MAX).min(now + self.lives.whole);
        let account = account.map(|mark| hex(&mark));
        let session = Session { key: secret::hash("session", &secret), user: user.to_owned(), role, account, until, seen: now };
        let mut held = lock(&self.held);
        held.retain(|_, session| self.alive(session, now));
        for (most, of) in [(MOST_OF_ONE, Some(user)), (MOST, None)] {
            let mut group: Vec<(i64, Hash)> =
                held.values().filter(|s| of.is_none_or(|user| s.user == user)).map(|s| (s.seen, s.key)).collect();
            group.sort_unstable();
            for (_, key) in group.iter().take((group.len() + 1).saturating_sub(most)) {
                held.remove(key);
            }
        }
        held.insert(session.key, session.clone());
        drop(held);
        Ok((session, secret))
    }

    fn alive(&self, session: &Session, now: i64) -> bool {
        // A clock that was set back by more than a session's life is no reason to trust it.
        session.until > now && session.seen + self.lives.idle > now && session.until - now <= self.lives.whole + 86_400
    }

    /// The session of a secret, if it is alive. It counts as a request.
    pub fn of_secret(&self, secret: &str, accounts: &Accounts, now: i64) -> Option<Session> {
        if secret.len() != 64 {
            return None;
        }
        self.of_key(&secret::hash("session", secret), accounts, now)
    }

    /// The session of a key, if it is alive. It counts as a request.
    pub fn of_key(&self, key: &Hash, accounts: &Accounts, now: i64) -> Option<Session> {
        let holds = self.holds(key, accounts, now);
        let mut held = lock(&self.held);
        if !holds {
            held.remove(key);
            return None;
        }
        let session = held.get_mut(key)?;
        session.seen = session.seen.max(now);
        Some(session.clone())
    }

    /// Whether the session of a key is alive. It does not count as a request.
    pub fn holds(&self, key: &Hash, accounts: &Accounts, now: i64) -> bool {
        let Some(session) = lock(&self.held).get(key).cloned() else { return false };
        let account = session.account.as_deref().map(from_hex);
        self.alive(&session, now) && account.is_none_or(|mark| mark.is_some_and(|mark| accounts.holds(&session.user, &mark)))
    }

    /// Ends a session.
    pub fn end(&self, key: &Hash) {
        lock(&self.held).remove(key);
    }

    /// Writes all sessions down.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<(), StateError> {
        let _saving = lock(&self.saving);
        let mut list: Vec<Session> = lock(&self.held).values().cloned().collect();
        list.sort_by_key(|session| session.key);
        self.dir.write(FILE, &list)
    }
}

#[cfg(test)]
mod tests {
    use super::super::accounts;
    use super::*;

    #[test]
    fn sessions_end_by_age_by_pause_by_logout_and_with_their_account() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        accounts::add(&dir, "maria", Role::Operate, "long enough").unwrap();
        let accounts = Accounts::open(&dir).unwrap();
        let mark = accounts::mark("maria", &accounts.table()["maria"]);
        let lives = Lives { whole: 1000, idle: 100 };
        let sessions = Sessions::open(&dir, lives).unwrap();
        let begin = |until| sessions.begin("maria", Role::Operate, Some(mark), until, 0).unwrap();

        let (session, secret) = begin(None);
        assert_eq!(session.until, 1000);
        for now in [0, 99, 150] {
            assert!(sessions.of_secret(&secret, &accounts, now).is_some(), "{now}");
        }
        sessions.save().unwrap();
        let text = std::fs::read_to_string(dir.path(FILE)).unwrap();
        assert!(!text.contains(&secret) && !text.contains(&token(&secret)));
        let again = Sessions::open(&dir, lives).unwrap();
        assert!(again.of_secret(&secret, &accounts, 200).is_some(), "it outlives the server");
        assert!(sessions.of_secret(&secret, &accounts, 250).is_none(), "idle");
        assert!(sessions.of_secret(&secret, &accounts, 0).is_none(), "ended for good");

        let (_, secret) = begin(Some(50));
        assert!(sessions.of_secret(&secret, &accounts, 49).is_some() && sessions.of_secret(&secret, &accounts, 50).is_none());
        let (session, secret) = begin(None);
        sessions.end(&session.key);
        assert!(sessions.of_secret(&secret, &accounts, 1).is_none());
        let (_, secret) = sessions.begin("maria", Role::Operate, Some([0; 32]), None, 0).unwrap();
        assert!(sessions.of_secret(&secret, &accounts, 1).is_none(), "the account is another now");
        let secrets: Vec<String> =
            (0..=MOST_OF_ONE).map(|i| sessions.begin("many", Role::Observe, None, None, i as i64).unwrap().1).collect();
        let alive = secrets.iter().filter(|secret| sessions.of_secret(secret, &accounts, 40).is_some()).count();
        assert_eq!(alive, MOST_OF_ONE);
        assert!(sessions.of_secret(&secrets[0], &accounts, 40).is_none(), "the oldest has gone");
    }
}
