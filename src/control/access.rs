//! Who may do what over the control socket, by the credentials of the peer (SO_PEERCRED).

use crate::config::RolesConfig;
use crate::rig::Peer;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Group, User};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use tokio::net::UnixStream;

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

/// Who is at the other end of a connection, as the kernel noted it when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// User, group and process (SO_PEERCRED).
    pub peer: Peer,
    /// The groups of its user beside that one, which opened the socket to it as much (SO_PEERGROUPS).
    pub groups: Arc<[u32]>,
}

impl Caller {
    /// The peer of a connection.
    pub(super) fn of(stream: &UnixStream) -> Self {
        let peer = stream.peer_cred().map_or_else(
            |_| Peer::default(),
            |credentials| Peer { uid: Some(credentials.uid()), gid: Some(credentials.gid()), pid: credentials.pid() },
        );
        Self { peer, groups: peer_groups(stream).into() }
    }
}

/// The supplementary groups of a peer; none where the kernel does not tell.
fn peer_groups(socket: &impl AsFd) -> Vec<u32> {
    let mut groups = vec![0_u32; 64];
    // A second round where there are more of them than room.
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

    /// The role of a caller; none where it may not even look. Root administers.
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
        Caller { peer: Peer { uid: Some(uid), gid: Some(gid), pid: None }, groups: groups.into() }
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
        // What the process has counts, not what the group database says of its user.
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
            let told = error.to_string();
            assert!(told.contains("control.roles.operate") && told.contains(what) && told.contains("no-such"), "{told}");
        }
    }
}
