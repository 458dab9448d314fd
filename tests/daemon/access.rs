//! Who may connect, and what he may do then.

use super::python;
use super::rig::{Daemon, Options, configuration};
use hyclus::scan::DeviceStatus;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

/// What somebody was answered: the status, and the problem's words. `None` where he could not connect.
type Answer = Option<(u16, String)>;

/// A call by `nobody`, with some supplementary groups beside his own; by the user of this test, where that is not root, and cannot
/// become somebody else.
fn as_nobody(daemon: &Daemon, groups: &[u32], method: &str, path: &str, body: &str) -> Answer {
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let groups = if groups.is_empty() { "--clear-groups".to_owned() } else { format!("--groups={}", groups.join(",")) };
    let root = nix::unistd::geteuid().is_root();
    let mut command = Command::new(if root { "setpriv" } else { "curl" });
    if root {
        command.args(["--reuid=65534", "--regid=65534", &groups, "--", "curl"]);
    }
    command.args(["-sS", "--max-time", "60", "-X", method, "-H", "content-type: application/json", "-d", body]);
    let output = command.args(["-w", "\n%{http_code}", "--unix-socket"]).arg(&daemon.socket).arg(format!("http://rig{path}")).output();
    let output = output.expect("setpriv and curl are there");
    let (said, failed) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if !output.status.success() {
        assert!(failed.contains("connect to"), "{failed}");
        return None;
    }
    let (body, status) = said.rsplit_once('\n').unwrap();
    let detail = serde_json::from_str::<serde_json::Value>(body).unwrap()["detail"].as_str().unwrap_or_default().to_owned();
    Some((status.parse().unwrap(), detail))
}

/// A rig whose socket belongs to a group that every system has, in a folder that everybody may enter.
fn daemon(roles: &str) -> (Daemon, u32, bool) {
    let root = nix::unistd::geteuid().is_root();
    let own = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap().unwrap();
    let group = if root { nix::unistd::Group::from_name("daemon").unwrap().unwrap() } else { own };
    let keys = format!("group = {:?}\n{roles}\nlisten = ", group.name);
    let daemon = Daemon::with(&configuration(&Options::default()).replace("listen = ", &keys));
    std::fs::set_permissions(daemon.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let about = std::fs::metadata(&daemon.socket).unwrap();
    assert_eq!((about.permissions().mode() & 0o7777, about.gid()), (0o660, group.gid.as_raw()));
    (daemon, group.gid.as_raw(), root)
}

const RUN: &str = r#"{"action": "run", "speed_mm_per_s": 20.0}"#;

#[test]
fn a_user_outside_the_group_cannot_connect() {
    let (daemon, group, root) = daemon("");
    if !root {
        eprintln!("checked by mode and group alone: only root may become somebody else");
        return;
    }
    assert_eq!(as_nobody(&daemon, &[], "GET", "/v1/status", ""), None);
    assert_eq!(as_nobody(&daemon, &[group + 1], "POST", "/v1/stop", ""), None);
    assert_eq!(as_nobody(&daemon, &[group + 1, group], "GET", "/v1/status", "").unwrap().0, 200);
}

#[tokio::test]
async fn one_with_observe_cannot_move_the_belt_and_is_told_why() {
    let (daemon, group, root) = daemon("roles = { observe = [\"*\"], operate = [\"@sys\"] }");
    let sys = nix::unistd::Group::from_name("sys").unwrap().unwrap().gid.as_raw();
    assert_eq!(as_nobody(&daemon, &[group], "GET", "/v1/status", "").unwrap().0, 200);
    let (status, detail) = as_nobody(&daemon, &[group], "PUT", "/v1/conveyor", RUN).unwrap();
    assert_eq!(status, 403);
    assert!(detail.contains("may only observe") && detail.contains("control.roles.operate"), "{detail}");
    let dark = r#"{"accept_change": true}"#;
    let others = [("PUT", "/v1/lighting", r#"{"level": 1.0}"#), ("POST", "/v1/references/dark", dark), ("POST", "/v1/scans", "{}")];
    for (method, path, body) in others {
        assert_eq!(as_nobody(&daemon, &[group], method, path, body).unwrap().0, 403, "{path}");
    }
    let moves = |device: &DeviceStatus| matches!(device, DeviceStatus::Conveyor { state: Some(state), .. } if state.moving);
    assert!(!daemon.client().await.status().await.unwrap().devices.iter().any(moves));
    if !root {
        eprintln!("checked as far as one user can: only root may become somebody else");
        return;
    }
    // By a supplementary group that the group database knows nothing of, as a service has with SupplementaryGroups=.
    assert_eq!(as_nobody(&daemon, &[group, sys], "PUT", "/v1/conveyor", RUN).unwrap().0, 200);
    assert!(daemon.client().await.status().await.unwrap().devices.iter().any(moves));
    assert_eq!(as_nobody(&daemon, &[group], "POST", "/v1/stop", "").unwrap().0, 200, "everybody who sees danger may stop the rig");
    let (_, log, _) = daemon.end("-TERM");
    let lines: Vec<serde_json::Value> = log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let asked = |status: u16| {
        let change = |line: &&serde_json::Value| line["fields"]["path"] == "/v1/conveyor" && line["fields"]["status"] == status;
        lines.iter().find(change).unwrap_or_else(|| panic!("{status} is not logged"))["fields"].clone()
    };
    for status in [403, 200] {
        let fields = asked(status);
        assert_eq!((fields["uid"].as_u64(), fields["gid"].as_u64(), fields["method"].as_str()), (Some(65534), Some(65534), Some("PUT")));
        assert!(fields["pid"].as_u64().is_some_and(|pid| pid > 1));
    }
}

/// An independent client that is made from the OpenAPI document finds no answer that the document does not describe.
#[test]
fn the_service_is_as_its_document_says() {
    let daemon = Daemon::start(&Options::default());
    python::run("schemathesis_socket.py", &[&daemon.socket, daemon.folder.path()]);
}
