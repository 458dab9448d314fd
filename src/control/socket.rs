//! Makes the control socket, or takes it over from systemd.

use crate::disk::folder_of;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{Gid, Group, chown, getegid, geteuid, getgroups};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::UnixListener;

/// Most bytes of a socket's path. The kernel has room for them and a zero.
const MOST_BYTES: usize = 107;

/// The control socket cannot be made or taken over.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Its group does not exist.
    #[error(
        "there is no group `{group}` for the control socket; create it (`groupadd --system {group}`, or systemd-sysusers) or name another"
    )]
    NoGroup {
        /// The configured group.
        group: String,
    },
    /// The socket may not be given to its group.
    #[error("{} cannot be given to group `{group}`: {source}; make the service's user a member of it (`SupplementaryGroups={group}` in the unit)", path.display())]
    Group {
        /// The socket.
        path: PathBuf,
        /// The configured group.
        group: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// Another daemon answers on the socket.
    #[error("another daemon answers on {}; stop it first (`systemctl stop hyclusd`), or choose another socket", path.display())]
    Live {
        /// The socket.
        path: PathBuf,
    },
    /// The path holds a file that is no socket.
    #[error("{} is not a socket and is left alone; remove it, or choose another path for the socket", path.display())]
    NotSocket {
        /// The path.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("the control socket {} cannot be made: {source}; its folder must exist and belong to the service (`RuntimeDirectory=hyclus` in the unit)", path.display())]
    Make {
        /// The socket.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// systemd handed over a descriptor that is no listening unix socket.
    #[error(
        "descriptor {descriptor}, handed over as `control`, is no unix socket ({source}); use ListenStream= with a path in hyclusd.socket"
    )]
    Activation {
        /// Number of the descriptor. 0 where the list of descriptors cannot be read.
        descriptor: i32,
        /// The descriptor's error.
        source: io::Error,
    },
}

/// Makes the control socket at `path`, with `mode` (0o660) and `group`, where one is named. Needs a tokio runtime around it.
///
/// The socket is made inside a folder that only this user may enter. It gets its group and mode there, and is then renamed to `path`.
/// At no time can a user connect whom the final mode excludes. A umask would do for the mode. But it belongs to the whole process and
/// affects the files of other threads. The group could still be set only after users could connect.
///
/// The rename replaces the socket of a dead daemon in one step. A socket that is answered is never replaced.
///
/// # Errors
/// The group is unknown or may not be given. Another daemon answers, the path is no socket, or the socket cannot be made.
pub fn bind(path: &Path, group: Option<&str>, mode: u32) -> Result<UnixListener, BindError> {
    let make = |source: io::Error| BindError::Make { path: path.to_owned(), source };
    let (folder, gid) = named(path, group)?;
    // Two daemons that start at the same time take turns. The second one finds the first one's socket answered.
    let lock = File::open(folder).map_err(make)?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| make(errno.into()))?;
    replaceable(path)?;
    let private = Private::make(folder.join(PRIVATE)).map_err(make)?;
    let unnamed = private.0.join(UNNAMED);
    let listener = StdListener::bind(&unnamed).map_err(make)?;
    if let (Some(gid), Some(group)) = (gid, group) {
        chown(&unnamed, None, Some(gid)).map_err(|errno| BindError::Group {
            path: path.to_owned(),
            group: group.to_owned(),
            source: errno.into(),
        })?;
    }
    fs::set_permissions(&unnamed, Permissions::from_mode(mode)).map_err(make)?;
    fs::rename(&unnamed, path).map_err(make)?;
    adopt(listener).map_err(make)
}

/// The private folder in which the socket is made, and its name there.
const PRIVATE: &str = ".bind";
const UNNAMED: &str = "s";

/// Checks what [`bind`] needs, and makes nothing. The folder may be missing.
///
/// # Errors
/// The group is unknown or may not be given. Another daemon or systemd listens, the path is no socket, or it is too long for one.
pub fn check(path: &Path, group: Option<&str>) -> Result<(), BindError> {
    let (_, gid) = named(path, group)?;
    if let (Some(gid), Some(group)) = (gid, group) {
        let own = geteuid().is_root() || gid == getegid() || getgroups().is_ok_and(|groups| groups.contains(&gid));
        if !own {
            return Err(BindError::Group { path: path.to_owned(), group: group.to_owned(), source: Errno::EPERM.into() });
        }
    }
    // A connection to a socket of systemd would start the daemon.
    if listening(path) {
        return Err(BindError::Live { path: path.to_owned() });
    }
    match replaceable(path) {
        // The folder is judged by who makes it.
        Err(BindError::Make { source, .. }) if source.kind() == io::ErrorKind::NotADirectory => Ok(()),
        other => other,
    }
}

/// The folder of a socket, and the group. Both of its paths must fit into an address.
fn named<'a>(path: &'a Path, group: Option<&str>) -> Result<(&'a Path, Option<Gid>), BindError> {
    let make = |source: io::Error| BindError::Make { path: path.to_owned(), source };
    let folder = folder_of(path);
    // A path may be too long for a socket although the name in the private folder fits. Then nobody could connect.
    for path in [path, &folder.join(PRIVATE).join(UNNAMED)] {
        let long = || format!("{} has {} bytes, and a socket's path has at most {MOST_BYTES}", path.display(), path.as_os_str().len());
        UnixAddr::new(path).map_err(|_| make(io::Error::new(io::ErrorKind::InvalidInput, long())))?;
    }
    let gid = group.map(|name| group_id(name).map_err(make)?.ok_or_else(|| BindError::NoGroup { group: name.to_owned() })).transpose()?;
    Ok((folder, gid))
}

/// Whether the kernel lists a listener that was bound to the path. Sockets of our own were bound elsewhere and are not found.
fn listening(path: &Path) -> bool {
    /// The flag of a socket that listens.
    const LISTENS: &str = "00010000";
    let text = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    text.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.nth(3) == Some(LISTENS) && words.nth(3).is_some_and(|bound| Path::new(bound) == path)
    })
}

fn group_id(name: &str) -> io::Result<Option<Gid>> {
    Ok(Group::from_name(name)?.map(|group| group.gid))
}

fn adopt(listener: StdListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// A private folder that is removed with its socket.
struct Private(PathBuf);

impl Private {
    fn make(path: PathBuf) -> io::Result<Self> {
        let private = Self(path);
        // A killed process may have left it behind. Under the lock, no other process works in it.
        private.clear();
        DirBuilder::new().mode(0o700).create(&private.0)?;
        Ok(private)
    }

    fn clear(&self) {
        // A remaining file makes the creation of the folder fail, which is reported.
        let _ = fs::remove_file(self.0.join(UNNAMED));
        let _ = fs::remove_dir(&self.0);
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Checks that `path` is free, or holds a socket that nobody answers.
fn replaceable(path: &Path) -> Result<(), BindError> {
    let make = |source: io::Error| BindError::Make { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(make(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(BindError::NotSocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    // The probe does not wait. A daemon that hangs with a full queue is alive too (EAGAIN).
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(|e| make(e.into()))?;
    let address = UnixAddr::new(path).map_err(|e| make(e.into()))?;
    match connect(probe.as_raw_fd(), &address) {
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS) => Err(BindError::Live { path: path.to_owned() }),
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(make(errno.into())),
    }
}

/// The listeners that systemd hands over under `FileDescriptorName=control` (`hyclusd.socket`). Needs a tokio runtime.
///
/// Their group and mode are the unit's. The list is empty when systemd did not start the daemon, and on every call but the first.
///
/// # Errors
/// The list of descriptors cannot be read, or a descriptor is no listening unix socket.
pub fn activated() -> Result<Vec<UnixListener>, BindError> {
    let adopted = inherited("control")?.into_iter().map(|(descriptor, owned)| {
        let wrong = |source| BindError::Activation { descriptor, source };
        let listener = StdListener::from(owned);
        listener.local_addr().map_err(wrong)?;
        adopt(listener).map_err(wrong)
    });
    adopted.collect()
}

/// The TCP listener that systemd hands over under `FileDescriptorName=<name>`. `None` as for [`activated`].
///
/// # Errors
/// The list of descriptors cannot be read, or the descriptor is no TCP socket.
pub fn activated_tcp(name: &str) -> Result<Option<std::net::TcpListener>, BindError> {
    let Some((descriptor, owned)) = inherited(name)?.into_iter().next() else { return Ok(None) };
    let listener = std::net::TcpListener::from(owned);
    listener.local_addr().map_err(|source| BindError::Activation { descriptor, source })?;
    Ok(Some(listener))
}

/// The descriptors that systemd hands over under a name.
fn inherited(wanted: &str) -> Result<Vec<(i32, OwnedFd)>, BindError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    // The variables stay. Removing them is not safe once other threads run, and LISTEN_PID makes children ignore them.
    let descriptors = sd_notify::listen_fds_with_names(false).map_err(|source| BindError::Activation { descriptor: 0, source })?;
    let mut owned = Vec::new();
    for (descriptor, name) in descriptors {
        if name != wanted {
            tracing::warn!(descriptor, name, "descriptor from systemd is not used; set FileDescriptorName={wanted} in the socket's unit");
            continue;
        }
        // SAFETY: LISTEN_PID said that systemd opened this descriptor for this process, and `TAKEN` that nobody took it before.
        owned.push((descriptor, unsafe { OwnedFd::from_raw_fd(descriptor) }));
    }
    Ok(owned)
}
