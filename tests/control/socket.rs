//! How the socket is made, and handed over.

use crate::rig::{CHILDREN, output, serve};
use hyclus::client::{Client, ClientError};
use hyclus::control::{BindError, activated, bind};
use std::fs;
use std::io::{BufRead, BufReader};
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

/// Tries to connect to what is named, and to what lies in a folder beside it, until its input ends; then tells how often it tried and
/// how often it could.
const INTRUDER: &str = r#"
import os, select, socket, sys
tries, hits = 0, 0
print("begun", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for path in sys.argv[1:]:
        tries += 1
        with socket.socket(socket.AF_UNIX) as peer:
            try:
                peer.connect(path)
                hits += 1
            except OSError:
                pass
print(tries, hits, flush=True)
"#;

#[tokio::test]
async fn at_no_time_can_anybody_connect_whom_the_mode_keeps_out() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root may become somebody else");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Anybody may enter the folder: the socket alone keeps them out.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("control.sock");
    let begin = |python: &str| {
        let mut intruder = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", python, "-c", INTRUDER])
            .args([&path, &folder.path().join(".bind/s")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(intruder.stdout.take().unwrap()).lines();
        match said.next() {
            Some(Ok(begun)) if begun == "begun" => Some((intruder, said)),
            _ => {
                intruder.wait().unwrap();
                None
            }
        }
    };
    let pythons = [std::env::var("HYCLUS_PYTHON").unwrap_or_default(), "/usr/bin/python3".to_owned()];
    let begun = {
        let _alone = CHILDREN.write().await;
        pythons.iter().filter(|python| !python.is_empty()).find_map(|python| begin(python))
    };
    let Some((mut intruder, mut said)) = begun else {
        eprintln!("skipped: none of {pythons:?} can be run by somebody else");
        return;
    };
    let _no_child = CHILDREN.read().await;
    for _ in 0..400 {
        // Each replaces the one before, which nobody answers any more.
        drop(bind(&path, Some("daemon"), 0o660).unwrap());
    }
    drop(intruder.stdin.take());
    let counts: Vec<u64> = said.next().unwrap().unwrap().split(' ').map(|count| count.parse().unwrap()).collect();
    println!("{} attempts, {} connections", counts[0], counts[1]);
    assert!(counts[0] > 100 && counts[1] == 0, "{counts:?}");
    assert!(intruder.wait().unwrap().success());
}
