//! `[console]`: the rig in a browser, served by `hyclus-console`. The daemon does not use this section.

use crate::scan::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[console]`: the web server of the rig. There is none without this section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// Address and port of the page. Addresses other than loopback need `console.tls`.
    pub listen: String,
    /// Further names or addresses of the page, without port. A request for another host is refused.
    pub hosts: Vec<String>,
    /// Folder of accounts, links, sessions, presets, certificate and results of jobs.
    pub state_dir: PathBuf,
    /// Encryption. Without it, the page is served over plain HTTP on loopback.
    pub tls: Option<ConsoleTls>,
    /// Longest life of a session, h.
    pub session_hours: u32,
    /// Longest pause of a session, min. An open page is no pause.
    pub idle_minutes: u32,
    /// Wrong passwords per minute for one account from one address. The waits then grow.
    pub login_tries: u32,
    /// Most pages with a live view at a time.
    pub viewers: u32,
    /// Most connections at a time. The emergency stop has further ones.
    pub connections: u32,
    /// Most connections of one address at a time.
    pub connections_per_address: u32,
}

/// `[console.tls]`: the certificate of the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleTls {
    /// Certificate and its chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// Whether a self-signed certificate is made in `console.state_dir` at the first start.
    pub self_signed: bool,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            hosts: Vec::new(),
            state_dir: "/var/lib/hyclus-console".into(),
            tls: None,
            session_hours: 12,
            idle_minutes: 120,
            login_tries: 5,
            viewers: 64,
            connections: 512,
            connections_per_address: 64,
        }
    }
}

impl ConsoleConfig {
    /// Every fault that the form cannot express.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut must = |good: bool, key: &str, problem: String| {
            if !good {
                faults.push(Fault::new(format!("console.{key}"), problem));
            }
        };
        let address = self.listen.parse::<SocketAddr>();
        must(address.is_ok(), "listen", format!("`{}` is no address; write 127.0.0.1:8080", self.listen.escape_debug()));
        let loopback = address.as_ref().is_ok_and(|address| address.ip().to_canonical().is_loopback());
        let text = "leaves this machine, so it needs encryption: add [console.tls] with self_signed = true, or certificate and key";
        must(loopback || self.tls.is_some() || address.is_err(), "listen", text.into());
        for (i, host) in self.hosts.iter().enumerate() {
            let problem = format!("`{}` is no host; write a name or an address, without port", host.escape_debug());
            must(is_host(host), &format!("hosts[{i}]"), problem);
        }
        if let Some(tls) = &self.tls {
            let files = tls.certificate.is_some() && tls.key.is_some();
            let none = tls.certificate.is_none() && tls.key.is_none();
            must((files && !tls.self_signed) || (none && tls.self_signed), "tls", "give certificate and key, or self_signed = true".into());
        }
        for (key, value, range) in [
            ("session_hours", self.session_hours, 1..=720),
            ("idle_minutes", self.idle_minutes, 1..=43_200),
            ("login_tries", self.login_tries, 1..=60),
            ("viewers", self.viewers, 1..=1000),
            ("connections", self.connections, 8..=10_000),
            ("connections_per_address", self.connections_per_address, 8..=10_000),
        ] {
            must(range.contains(&value), key, format!("must be from {} to {}", range.start(), range.end()));
        }
        faults
    }
}

/// Whether an entry of `hosts` is the name or the address of a host, without port.
pub(crate) fn is_host(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    bare.parse::<std::net::IpAddr>().is_ok() || (!name.is_empty() && name.len() <= 253 && name.chars().all(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        toml::from_str::<ConsoleConfig>(text).unwrap().faults().iter().map(|fault| fault.path.clone()).collect()
    }

    #[test]
    fn only_an_encrypted_page_leaves_the_machine() {
        for good in ["", "listen = \"127.8.0.1:1\"", "listen = \"[::1]:8080\"", "listen = \"0.0.0.0:443\"\n[tls]\nself_signed = true"] {
            assert_eq!(faults(good), [""; 0], "{good}");
        }
        for open in ["listen = \"0.0.0.0:8080\"", "listen = \"[::]:1\"", "listen = \"192.0.2.1:80\"", "listen = \"localhost:80\""] {
            assert_eq!(faults(open), ["console.listen"], "{open}");
        }
    }

    #[test]
    fn a_certificate_comes_with_its_key_or_is_made() {
        assert_eq!(faults("[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\""), [""; 0]);
        for wrong in
            ["[tls]", "[tls]\ncertificate = \"c\"", "[tls]\nkey = \"k\"", "[tls]\nself_signed = true\nkey = \"k\"\ncertificate = \"c\""]
        {
            assert_eq!(faults(wrong), ["console.tls"], "{wrong}");
        }
    }

    #[test]
    fn limits_have_limits() {
        let all = "session_hours = 0\nidle_minutes = 0\nlogin_tries = 61\nviewers = 0\nconnections = 1\nconnections_per_address = 10001";
        assert_eq!(faults(all).len(), 6);
        assert_eq!(faults("session_hours = 720\nidle_minutes = 1\nlogin_tries = 60\nviewers = 1000"), [""; 0]);
        assert_eq!(faults("hosts = [\"rig1.lab\", \"http://x\", \"\"]"), ["console.hosts[1]", "console.hosts[2]"]);
    }
}
