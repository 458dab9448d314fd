//! The hosts that a request may be for.
//!
//! A web page whose name is made to point at this machine would let a browser read the service (DNS rebinding). The browser names that
//! page's host in its requests, and so they are refused.

use crate::problem::Problem;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use std::net::IpAddr;
use std::sync::Arc;

/// The hosts that requests to a listener may name.
#[derive(Debug, Clone)]
pub enum Hosts {
    /// Any. No web page reaches a unix socket.
    Any,
    /// Loopback, the address that the peer connected to, and these names.
    Named(Arc<[String]>),
}

impl Hosts {
    /// The hosts of a listener on the address `listen`, with further `names`.
    pub fn new(listen: &str, names: &[String]) -> Self {
        // The address of all interfaces is no address that a peer reaches.
        let all = |host: &&str| host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        let listen = split(listen).map(|(host, _)| host).filter(|host| !all(host));
        Self::Named(names.iter().map(String::as_str).chain(listen).map(plain).collect())
    }

    /// Why a request is refused. `own` is the address that the peer connected to.
    pub fn refusal(&self, headers: &HeaderMap, target: &Uri, own: Option<IpAddr>) -> Option<Problem> {
        let bad = |detail: &str| Some(Problem::plain(StatusCode::BAD_REQUEST, detail));
        let mut given = headers.get_all(header::HOST).iter();
        let Some(host) = given.next() else {
            return bad("the request names no host; add a header `Host`, such as `Host: localhost`");
        };
        if given.next().is_some() {
            return bad("the request has two headers `Host`; send one");
        }
        let Self::Named(names) = self else { return None };
        let host = String::from_utf8_lossy(host.as_bytes());
        // A target with a host of its own is for that host, whatever the header says.
        let foreign = [Some(&*host), target.authority().map(axum::http::uri::Authority::as_str)]
            .into_iter()
            .flatten()
            .find(|host| !split(host).is_some_and(|(host, _)| own_host(&plain(host), names, own)))?;
        let foreign: String = foreign.chars().take(64).flat_map(char::escape_debug).collect();
        let detail = format!(
            "`{foreign}` is no host of this listener; use localhost or the listener's own address, or name the host in control.hosts"
        );
        Some(Problem::plain(StatusCode::MISDIRECTED_REQUEST, detail))
    }
}

fn own_host(host: &str, names: &[String], own: Option<IpAddr>) -> bool {
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    let reached = address.is_some_and(|address| address.is_loopback() || own.is_some_and(|own| own.to_canonical() == address));
    reached || host == "localhost" || names.iter().any(|name| name == host)
}

/// A host without brackets, zone and final dot, in small letters.
fn plain(host: &str) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bare = if bare.contains(':') { bare.split('%').next().unwrap_or(bare) } else { bare };
    bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase()
}

/// Host and port of `host`, `host:port` or `[address]:port`. `None` where it is none of them.
fn split(text: &str) -> Option<(&str, &str)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.split('%').next()?.parse::<std::net::Ipv6Addr>().ok()?;
            (address, if after.is_empty() { "" } else { after.strip_prefix(':')? })
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_port = port.is_empty() || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    (!host.is_empty() && is_port).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(hosts: &Hosts, given: &[&str], target: &str) -> u16 {
        let mut headers = HeaderMap::new();
        for host in given {
            headers.append(header::HOST, host.parse().unwrap());
        }
        let own = Some("192.0.2.7".parse().unwrap());
        hosts.refusal(&headers, &target.parse().unwrap(), own).map_or(200, |problem| problem.status)
    }

    #[test]
    fn only_own_hosts_are_answered() {
        let hosts = Hosts::new("rig.lan:9420", &["Monitor".to_owned(), "203.0.113.9".to_owned()]);
        let own = ["localhost", "LOCALHOST:9420", "localhost.", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:9420", "192.0.2.7:1"];
        for host in own.into_iter().chain(["rig.lan", "RIG.lan:80", "monitor:9420", "203.0.113.9", "[::ffff:127.0.0.1]"]) {
            assert_eq!(status(&hosts, &[host], "/metrics"), 200, "{host}");
        }
        let foreign =
            ["evil.example", "localhost.evil.example", "evil-localhost", "192.0.2.8", "10.0.0.1:9420", "0.0.0.0", "[2001:db8::1]"];
        for host in
            foreign.into_iter().chain(["", "localhost:", "localhost:x", "localhost:99999", "localhost:80:80", "[::1", "a b", "localhost@x"])
        {
            let wanted = if host == "localhost:" { 200 } else { 421 };
            assert_eq!(status(&hosts, &[host], "/metrics"), wanted, "{host}");
            assert_eq!(status(&Hosts::Any, &[host], "/v1/status"), 200, "{host}");
        }
        for hosts in [&hosts, &Hosts::Any] {
            assert_eq!((status(hosts, &[], "/"), status(hosts, &["localhost", "localhost"], "/")), (400, 400));
        }
        assert_eq!(status(&hosts, &["localhost"], "http://evil.example/metrics"), 421);
        assert_eq!(status(&hosts, &["localhost"], "http://127.0.0.1:9420/metrics"), 200);
    }
}
