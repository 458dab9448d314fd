//! Who may do what over the control socket, by the credentials of the peer (SO_PEERCRED).

use crate::config::RolesConfig;
use crate::scan::Peer;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use std::ffi::CString;
use std::fmt;

/// What a peer may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look, and stop everything in an emergency.
    Observe,
    /// Scan, take references, move the belt, set the lamps.
    Operate,
    /// Accept what the daemon would refuse.
    Administer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Operate => "operate",
            Self::Administer => "administer",
        })
    }
}

/// A role is configured for somebody who does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// There is no such user or group.
    #[error("control.roles.{role}: there is no {what} `{name}`; create it, or name a user, \"@group\", or \"*\" for everyone")]
    Nobody {
        /// The role.
        role: Role,
        /// `user` or `group`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The system does not tell.
    #[error("control.roles.{role}: `{name}` cannot be looked up: {reason}")]
    Lookup {
        /// The role.
        role: Role,
        /// Who was looked for.
        name: String,
        /// What the system said.
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Everyone,
    User(u32),
    Group(u32),
}

/// The roles of users and groups.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// None: whoever may connect may do everything.
    roles: Option<Vec<(Who, Role)>>,
}

impl Access {
    /// The roles that are configured.
    ///
    /// # Errors
    /// A user or a group does not exist.
    pub fn new(config: Option<&RolesConfig>) -> Result<Self, AccessError> {
        let Some(config) = config else { return Ok(Self::default()) };
        let mut roles = Vec::new();
        for (names, role) in [(&config.observe, Role::Observe), (&config.operate, Role::Operate), (&config.administer, Role::Administer)] {
            for name in names {
                roles.push((who(name, role)?, role));
            }
        }
        Ok(Self { roles: Some(roles) })
    }

    /// The role of a peer; none where it may not even look. Root administers. The groups of a user are looked up each time, which may
    /// take a while.
    pub fn role(&self, peer: Peer) -> Option<Role> {
        let Some(roles) = &self.roles else { return Some(Role::Administer) };
        if peer.uid == Some(0) {
            return Some(Role::Administer);
        }
        let asks_for_groups = roles.iter().any(|(who, _)| matches!(who, Who::Group(_)));
        let groups = if asks_for_groups { groups(peer) } else { Vec::new() };
        let is = |who: Who| match who {
            Who::Everyone => true,
            Who::User(uid) => peer.uid == Some(uid),
            Who::Group(gid) => groups.contains(&gid),
        };
        roles.iter().filter(|(who, _)| is(*who)).map(|(_, role)| *role).max()
    }
}

fn who(name: &str, role: Role) -> Result<Who, AccessError> {
    let nobody = |what, name: &str| AccessError::Nobody { role, what, name: name.to_owned() };
    let lookup = |error: nix::Error| AccessError::Lookup { role, name: name.to_owned(), reason: error.to_string() };
    match name.strip_prefix('@') {
        _ if name == "*" => Ok(Who::Everyone),
        Some(group) => {
            let found = Group::from_name(group).map_err(lookup)?;
            found.map(|group| Who::Group(group.gid.as_raw())).ok_or_else(|| nobody("group", group))
        }
        None => {
            let found = User::from_name(name).map_err(lookup)?;
            found.map(|user| Who::User(user.uid.as_raw())).ok_or_else(|| nobody("user", name))
        }
    }
}

/// The group a peer runs as, and those its user is a member of.
fn groups(peer: Peer) -> Vec<u32> {
    let mut groups: Vec<u32> = peer.gid.into_iter().collect();
    let user = peer.uid.and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten());
    if let Some(user) = user
        && let Ok(name) = CString::new(user.name)
        && let Ok(member) = getgrouplist(&name, user.gid)
    {
        groups.extend(member.into_iter().map(Gid::as_raw));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32) -> Peer {
        Peer { uid: Some(uid), gid: Some(gid), pid: None }
    }

    fn access(observe: &[&str], operate: &[&str], administer: &[&str]) -> Result<Access, AccessError> {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Access::new(Some(&RolesConfig { observe: names(observe), operate: names(operate), administer: names(administer) }))
    }

    #[test]
    fn without_roles_who_may_connect_may_do_everything() {
        assert_eq!(Access::new(None).unwrap().role(peer(4321, 4321)), Some(Role::Administer));
    }

    #[test]
    fn a_peer_has_the_highest_of_its_roles() {
        // Users and groups that every system has.
        let roles = access(&["*"], &["daemon"], &["@sys"]).unwrap();
        let gid = |name: &str| Group::from_name(name).unwrap().unwrap().gid.as_raw();
        let daemon = User::from_name("daemon").unwrap().unwrap();
        assert_eq!(roles.role(peer(4321, 4321)), Some(Role::Observe));
        assert_eq!(roles.role(peer(daemon.uid.as_raw(), 4321)), Some(Role::Operate));
        assert_eq!(roles.role(peer(4321, gid("sys"))), Some(Role::Administer));
        assert_eq!(roles.role(peer(daemon.uid.as_raw(), gid("sys"))), Some(Role::Administer));
        assert_eq!(roles.role(peer(0, 0)), Some(Role::Administer));
        assert_eq!(roles.role(Peer::default()), Some(Role::Observe), "a peer that the kernel does not name is anyone");
        let few = access(&[], &["@daemon"], &[]).unwrap();
        assert_eq!(few.role(peer(4321, 4321)), None);
        // By the group database: that of its own is one of a user's groups.
        assert_eq!(few.role(peer(daemon.uid.as_raw(), 4321)), Some(Role::Operate));
    }

    #[test]
    fn nobody_has_no_role() {
        for (name, what) in [("no-such-user", "user"), ("@no-such-group", "group")] {
            let error = access(&[], &[name], &[]).unwrap_err();
            let told = error.to_string();
            assert!(told.contains("control.roles.operate") && told.contains(what) && told.contains("no-such"), "{told}");
        }
    }
}
