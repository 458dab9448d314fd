//! The lease: one session at a time moves things.

use crate::live::frames::{self, kind};
use crate::problem::Refused;
use crate::state::lock;
use crate::state::secret::Hash;
use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Mutex;

struct Holder {
    session: Hash,
    name: String,
    since: String,
}

/// Who holds the lease.
#[derive(Default)]
pub struct Lease(Mutex<Option<Holder>>);

impl Lease {
    /// The lease as a session sees it.
    pub fn seen_by(&self, session: &Hash) -> Value {
        let held = lock(&self.0);
        let holder = held.as_ref();
        json!({
            "holder": holder.map(|holder| &holder.name),
            "since": holder.map(|holder| &holder.since),
            "mine": holder.is_some_and(|holder| holder.session == *session),
        })
    }

    /// The same as a message.
    pub fn message_for(&self, session: &Hash) -> Bytes {
        frames::json(kind::LEASE, &self.seen_by(session))
    }

    /// Gives the lease to a session. The name of the one who had it, where it was taken over.
    ///
    /// # Errors
    /// Another session holds it and `take_over` is false.
    pub fn take(&self, session: Hash, name: &str, take_over: bool) -> Result<Option<String>, Refused> {
        let mut held = lock(&self.0);
        let other = match &*held {
            Some(holder) if holder.session == session => return Ok(None),
            Some(holder) if !take_over => return Err(taken(&holder.name)),
            other => other.as_ref().map(|holder| holder.name.clone()),
        };
        *held = Some(Holder { session, name: name.to_owned(), since: crate::now() });
        Ok(other)
    }

    /// A session gives it back. False where it did not hold it.
    pub fn give_back(&self, session: &Hash) -> bool {
        lock(&self.0).take_if(|holder| holder.session == *session).is_some()
    }

    /// The session that holds it.
    pub fn holder(&self) -> Option<Hash> {
        lock(&self.0).as_ref().map(|holder| holder.session)
    }

    /// Refuses who does not hold it.
    ///
    /// # Errors
    /// The session does not hold it.
    pub fn needs(&self, session: &Hash) -> Result<(), Refused> {
        match &*lock(&self.0) {
            Some(holder) if holder.session == *session => Ok(()),
            Some(holder) => Err(taken(&holder.name)),
            None => Err(Refused::new(StatusCode::CONFLICT, "nobody holds the lease; take it first, so that others see who moves things")),
        }
    }
}

fn taken(name: &str) -> Refused {
    Refused::new(StatusCode::CONFLICT, format!("{name} holds the lease; wait until it is given back, or take it over"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_holds_the_lease() {
        let lease = Lease::default();
        let (one, other) = ([1; 32], [2; 32]);
        assert!(lease.needs(&one).is_err());
        assert_eq!(lease.take(one, "maria", false).unwrap(), None);
        assert!(lease.needs(&one).is_ok() && lease.needs(&other).is_err());
        assert_eq!(lease.seen_by(&one)["mine"], true);
        assert_eq!(lease.seen_by(&other), json!({"holder": "maria", "since": lease.seen_by(&one)["since"], "mine": false}));
        assert!(lease.take(other, "jan", false).unwrap_err().problem.detail.contains("maria"));
        assert_eq!(lease.take(other, "jan", true).unwrap(), Some("maria".into()));
        assert!(!lease.give_back(&one) && lease.give_back(&other));
        assert_eq!(lease.holder(), None);
    }
}
