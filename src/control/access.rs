//! Roles on the control socket, by the credentials of the peer (SO_PEERCRED).

use crate::config::RolesConfig;
use crate::rig::Peer;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Group, User};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use tokio::net::UnixStream;

/// The permissions of a peer. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May read, and stop everything in an emergency.
    Observe,
    /// May scan, take references, move the belt, and set the lamps.
    Operate,
    /// May accept a reference that the daemon would refuse.
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

/// A role of the configuration cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The user or group does not exist.
    #[error("control.roles.{role}: there is no {what} `{name}`; create it, or name a user, \"@group\", or \"*\" for everyone")]
    Nobody {
        /// The role.
        role: Role,
        /// `user` or `group`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The system's lookup fails.
    #[error("control.roles.{role}: `{name}` cannot be looked up: {reason}")]
    Lookup {
        /// The role.
        role: Role,
        /// Name of the user or group.
        name: String,
        /// The system's error.
        reason: String,
    },
}

/// The peer of a connection, as the kernel noted it when the connection was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// User, group and process (SO_PEERCRED).
    pub peer: Peer,
    /// The supplementary groups of the process (SO_PEERGROUPS). They give access to the socket as well.
    pub groups: Arc<[u32]>,
}

impl Caller {
    /// The peer of a connection.
    pub(super) fn of(stream: &UnixStream) -> Self {
        let peer = stream.peer_cred().map_or_else(
            |_| Peer::default(),
            |credentials| Peer { uid: Some(credentials.uid()), gid: Some(credentials.gid()), pid: credentials.pid(), person: None },
        );
        Self { peer, groups: peer_groups(stream).into() }
    }
}

/// The supplementary groups of a peer. Empty where the kernel does not give them.
fn peer_groups(socket: &impl AsFd) -> Vec<u32> {
    let mut groups = vec![0_u32; 64];
    // A second round follows where the peer has more groups than the buffer holds.
    for _ in 0..2 {
        let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or(0);
        // SAFETY: `groups` has room for `bytes` bytes of the kernel's gid_t, and both live through the call.
        let result = unsafe {
            let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERGROUPS);
            libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, groups.as_mut_ptr().cast(), &raw mut bytes)
        };
        let more = result != 0 && Errno::last() == Errno::ERANGE;
        groups.resize(bytes as usize / size_of::<u32>(), 0);
        if !more {
            return if result == 0 { groups } else { Vec::new() };
        }
    }
    Vec::new()
}

/// A user, a group, or everyone, as a role names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Everyone,
    User(u32),
    Group(u32),
}

/// The roles of users and groups.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// `None` lets every peer that may connect do everything.
    roles: Option<Vec<(Who, Role)>>,
}

impl Access {
    /// Resolves the configured roles.
    ///
    /// # Errors
    /// A user or a group does not exist, or cannot be looked up.
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

    /// The role of a caller. `None` where it may not even read. Root administers.
    pub fn role(&self, caller: &Caller) -> Option<Role> {
        let Some(roles) = &self.roles else { return Some(Role::Administer) };
        let Caller { peer, groups } = caller;
        if peer.uid == Some(0) {
            return Some(Role::Administer);
        }
        let is = |who: Who| match who {
            Who::Everyone => true,
            Who::User(uid) => peer.uid == Some(uid),
            Who::Group(gid) => peer.gid == Some(gid) || groups.contains(&gid),
        };
        roles.iter().filter(|(who, _)| is(*who)).map(|(_, role)| *role).max()
    }
}

/// Resolves a name of the configuration.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, gid: u32, groups: &[u32]) -> Caller {
        Caller { peer: Peer { uid: Some(uid), gid: Some(gid), ..Peer::default() }, groups: groups.into() }
    }

    fn access(observe: &[&str], operate: &[&str], administer: &[&str]) -> Result<Access, AccessError> {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Access::new(Some(&RolesConfig { observe: names(observe), operate: names(operate), administer: names(administer) }))
    }

    #[test]
    fn without_roles_who_may_connect_may_do_everything() {
        assert_eq!(Access::new(None).unwrap().role(&caller(4321, 4321, &[])), Some(Role::Administer));
    }

    #[test]
    fn a_peer_has_the_highest_of_its_roles() {
        // Users and groups that every system has.
        let roles = access(&["*"], &["daemon"], &["@sys"]).unwrap();
        let gid = |name: &str| Group::from_name(name).unwrap().unwrap().gid.as_raw();
        let daemon = User::from_name("daemon").unwrap().unwrap();
        assert_eq!(roles.role(&caller(4321, 4321, &[])), Some(Role::Observe));
        assert_eq!(roles.role(&caller(daemon.uid.as_raw(), 4321, &[])), Some(Role::Operate));
        assert_eq!(roles.role(&caller(4321, gid("sys"), &[])), Some(Role::Administer));
        assert_eq!(roles.role(&caller(daemon.uid.as_raw(), gid("sys"), &[])), Some(Role::Administer));
        assert_eq!(roles.role(&caller(0, 0, &[])), Some(Role::Administer));
        assert_eq!(roles.role(&Caller::default()), Some(Role::Observe), "a peer that the kernel does not name is anyone");
        let few = access(&[], &["@daemon"], &[]).unwrap();
        assert_eq!(few.role(&caller(4321, 4321, &[])), None);
        // The groups of the process count, not those of the group database.
        assert_eq!(few.role(&caller(daemon.uid.as_raw(), 4321, &[])), None);
        assert_eq!(few.role(&caller(4321, 4321, &[7, gid("daemon")])), Some(Role::Operate));
    }

    #[tokio::test]
    async fn the_kernel_names_the_groups_of_a_peer() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut own: Vec<u32> = nix::unistd::getgroups().unwrap().into_iter().map(nix::unistd::Gid::as_raw).collect();
        let mut found = Caller::of(&here).groups.to_vec();
        own.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, own);
        assert_eq!(Caller::of(&there).peer.uid, Some(nix::unistd::geteuid().as_raw()));
    }

    #[test]
    fn nobody_has_no_role() {
        for (name, what) in [("no-such-user", "user"), ("@no-such-group", "group")] {
            let error = access(&[], &[name], &[]).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("control.roles.operate") && message.contains(what) && message.contains("no-such"), "{message}");
        }
    }
}
