//! How the socket is made, and handed over.

use crate::rig::{CHILDREN, output, serve};
use hyclus::control::client::{Client, ClientError};
use hyclus::control::{BindError, activated, bind};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

#[tokio::test]
async fn it_has_its_mode_and_group_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let group = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap().unwrap();
    let _listener = bind(&path, Some(&group.name), 0o660).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o7777, metadata.gid()), (0o660, group.gid.as_raw()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(UnixStream::connect(&path).is_ok());
}

#[tokio::test]
async fn a_group_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = bind(&folder.path().join("s"), Some("no-such-group"), 0o660).unwrap_err();
    assert!(error.to_string().contains("groupadd --system no-such-group"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_socket_that_is_answered_is_not_replaced() {
    let served = serve();
    let error = bind(&served.path, None, 0o660).unwrap_err();
    assert!(matches!(error, BindError::Live { .. }), "{error}");
    assert_eq!(served.client().await.status().await.unwrap().rig, "bench");
}

#[tokio::test]
async fn a_daemon_that_hangs_with_a_full_queue_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let _hangs = UnixListener::bind(&path).unwrap();
    let mut queue = Vec::new();
    // Not waiting, or the connection behind the last would wait for ever.
    loop {
        let flags = nix::sys::socket::SockFlag::SOCK_NONBLOCK;
        let socket =
            nix::sys::socket::socket(nix::sys::socket::AddressFamily::Unix, nix::sys::socket::SockType::Stream, flags, None).unwrap();
        let address = nix::sys::socket::UnixAddr::new(&path).unwrap();
        let full = nix::sys::socket::connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &address).is_err();
        queue.push(socket);
        if full {
            break;
        }
    }
    let error = bind(&path, None, 0o660).unwrap_err();
    assert!(matches!(error, BindError::Live { .. }), "{error}");
}

#[tokio::test]
async fn a_socket_that_nobody_answers_is_replaced() {
    let _no_child = CHILDREN.read().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    // And what a process left that was killed while it made the socket.
    fs::create_dir(folder.path().join(".bind")).unwrap();
    drop(UnixListener::bind(folder.path().join(".bind/s")).unwrap());
    let before = fs::metadata(&path).unwrap().ino();
    let _listener = bind(&path, None, 0o600).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_ne!(metadata.ino(), before);
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&path, None, 0o660).unwrap_err(), BindError::NotSocket { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let error = bind(&folder.path().join("missing/control.sock"), None, 0o660).unwrap_err();
    assert!(matches!(error, BindError::Make { .. }), "{error}");
    let error = bind(&folder.path().join("x".repeat(120)), None, 0o660).unwrap_err();
    assert!(matches!(error, BindError::Make { .. }), "{error}");
}

#[tokio::test]
async fn a_client_without_a_daemon_is_told_what_to_look_at() {
    let _no_child = CHILDREN.read().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    for _ in 0..2 {
        let error = Client::connect(&path).await.unwrap_err();
        assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
        assert!(error.to_string().contains("is hyclusd running") && error.to_string().contains("control.sock"), "{error}");
        drop(UnixListener::bind(&path));
    }
}

/// The child of the test below: systemd's part is played by a shell that puts the socket on descriptor 3.
#[tokio::test]
#[ignore = "runs as a child with a socket on descriptor 3"]
async fn child_takes_the_socket_once() {
    let mut listeners = activated().unwrap();
    assert_eq!(listeners.len(), 1);
    let (stream, _) = listeners.remove(0).accept().await.unwrap();
    assert!(stream.peer_cred().is_ok());
    assert!(activated().unwrap().is_empty());
}

#[test]
fn a_socket_is_taken_from_systemd() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    let script =
        "exec 3<&0 && LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=control exec \"$0\" --ignored --exact socket::child_takes_the_socket_once";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(std::env::current_exe().unwrap()).stdin(Stdio::from(OwnedFd::from(listener)));
    let output = output(&mut shell);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
