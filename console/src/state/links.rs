//! Links that let a person in once.

use super::secret::{self, hex};
use super::{StateDir, StateError};
use hyclus::control::Role;
use serde::{Deserialize, Serialize};

/// The file of links.
pub const FILE: &str = "links.json";
/// Most links that are kept.
const MOST: usize = 1000;
/// Time for which a dead link is kept, s. A person who comes late is told why it does not work.
const KEPT_S: i64 = 7 * 86_400;
/// Longest life of a link, s.
pub const LONGEST_S: i64 = 30 * 86_400;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    hash: String,
    role: Role,
    name: String,
    /// Its end, and that of its session, Unix s.
    until: i64,
    used: bool,
}

/// A link does not let in.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is none.
    #[error("this link is not known; ask for a new one")]
    Unknown,
    /// It was used.
    #[error("this link was used already, and works once; ask for a new one")]
    Used,
    /// It is too old.
    #[error("this link is too old; ask for a new one")]
    Old,
    /// There are enough.
    #[error("{MOST} links are held; wait until some end")]
    Many,
}

/// Who comes by a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// End of the session, Unix s.
    pub until: i64,
}

/// Makes a link that works once until `until` (Unix s), and gives its code.
///
/// # Errors
/// The file cannot be used, or holds too many.
pub fn make(dir: &StateDir, name: &str, role: Role, until: i64, now: i64) -> Result<String, LinkError> {
    let code = secret::fresh()?;
    let _held = dir.lock()?;
    let mut links: Vec<Link> = dir.read(FILE)?;
    links.retain(|link| link.until + KEPT_S > now);
    if links.len() >= MOST {
        return Err(LinkError::Many);
    }
    links.push(Link { hash: hex(&secret::hash("link", &code)), role, name: name.to_owned(), until, used: false });
    dir.write(FILE, &links)?;
    Ok(code)
}

/// Uses a link up.
///
/// # Errors
/// The link is unknown, used or too old, or the file cannot be used.
pub fn redeem(dir: &StateDir, code: &str, now: i64) -> Result<Guest, LinkError> {
    let hash = hex(&secret::hash("link", code));
    let _held = dir.lock()?;
    let mut links: Vec<Link> = dir.read(FILE)?;
    let link = links.iter_mut().find(|link| link.hash == hash).ok_or(LinkError::Unknown)?;
    if link.used {
        return Err(LinkError::Used);
    }
    if link.until <= now {
        return Err(LinkError::Old);
    }
    link.used = true;
    let guest = Guest { name: link.name.clone(), role: link.role, until: link.until };
    dir.write(FILE, &links)?;
    Ok(guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_once_and_in_its_life() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        let code = make(&dir, "guest", Role::Observe, 100, 0).unwrap();
        assert!(!std::fs::read_to_string(dir.path(FILE)).unwrap().contains(&code));
        assert!(matches!(redeem(&dir, "x", 1), Err(LinkError::Unknown)));
        assert!(matches!(redeem(&dir, &code, 100), Err(LinkError::Old)));
        assert_eq!(redeem(&dir, &code, 99).unwrap(), Guest { name: "guest".into(), role: Role::Observe, until: 100 });
        assert!(matches!(redeem(&dir, &code, 99), Err(LinkError::Used)));
        make(&dir, "guest", Role::Observe, KEPT_S * 3, KEPT_S * 2).unwrap();
        assert!(matches!(redeem(&dir, &code, 99), Err(LinkError::Unknown)), "old links are forgotten");
    }
}
