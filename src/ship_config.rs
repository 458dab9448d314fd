//! `[ship]`: the archive that scans are shipped to, by `hyclus-ship`. The daemon does not use this section.

use crate::scan::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `[ship]`: shipping of ended scans to an archive. There is none without this section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipConfig {
    /// The archive: `s3://BUCKET/PREFIX`, or an absolute path of a folder.
    pub archive: String,
    /// Address of the S3 server, such as `https://s3.example.org`. Absent: that of AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Region of the bucket.
    #[serde(default = "region")]
    pub region: String,
    /// Whether an `http://` endpoint beyond this machine is allowed. Then everyone on the way can read the data.
    #[serde(default)]
    pub allow_http: bool,
    /// File of the credentials, with lines `AWS_ACCESS_KEY_ID=...` and `AWS_SECRET_ACCESS_KEY=...`. Absent: the environment has them.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    /// Server of events (NATS with JetStream), such as `tls://nats.example.org:4222`. It is told what was shipped. Absent: there is none.
    #[serde(default)]
    pub events: Option<String>,
    /// Folder of what was shipped so far.
    #[serde(default = "state_dir")]
    pub state_dir: PathBuf,
    /// Address and port of the metrics. Absent: there are none.
    #[serde(default)]
    pub listen: Option<String>,
    /// Whether raw recordings are shipped, too.
    #[serde(default = "yes")]
    pub raw: bool,
    /// Most data per second, MiB/s. Absent: as fast as the way allows.
    #[serde(default)]
    pub max_mib_per_s: Option<f64>,
    /// The same while the rig scans, or takes references, MiB/s. 0 waits until the rig is done.
    #[serde(default)]
    pub scanning_mib_per_s: f64,
    /// Time after its end from which a scan is shipped that still waits for embeddings or minerals, h.
    #[serde(default = "pending_h")]
    pub pending_h: f64,
    /// Interval at which new scans are looked for, s.
    #[serde(default = "poll_s")]
    pub poll_s: f64,
    /// Age from which a shipped raw recording is removed here, days. Absent: none is.
    #[serde(default)]
    pub keep_raw_days: Option<f64>,
    /// Age from which all files of a shipped scan but its record and pictures are removed here, days. Absent: none are.
    #[serde(default)]
    pub keep_days: Option<f64>,
    /// Free space below which the oldest shipped scans are removed here before their age, GiB. Absent: none are.
    #[serde(default)]
    pub keep_free_gib: Option<f64>,
}

fn region() -> String {
    "us-east-1".into()
}

fn state_dir() -> PathBuf {
    "/var/lib/hyclus-ship".into()
}

fn yes() -> bool {
    true
}

fn pending_h() -> f64 {
    24.0
}

fn poll_s() -> f64 {
    10.0
}

impl ShipConfig {
    /// Resolves relative paths against the folder of the configuration.
    pub(crate) fn resolve(&mut self, onto: impl Fn(&mut PathBuf)) {
        onto(&mut self.state_dir);
        self.credentials.iter_mut().for_each(onto);
    }

    /// Bucket and prefix of an archive on S3. `None` for a folder.
    pub fn bucket(&self) -> Option<(&str, &str)> {
        let place = self.archive.strip_prefix("s3://")?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        Some((bucket, prefix.trim_matches('/')))
    }

    /// Every fault that the form cannot express.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut must = |good: bool, key: &str, problem: &str| {
            if !good {
                faults.push(Fault::new(format!("ship.{key}"), problem));
            }
        };
        match self.bucket() {
            Some((bucket, prefix)) => {
                must(is_bucket(bucket), "archive", "names no bucket; write s3://BUCKET/PREFIX");
                let plain = |part: &str| !part.is_empty() && !matches!(part, "." | "..") && part.chars().all(|c| c.is_ascii_graphic());
                must(prefix.is_empty() || prefix.split('/').all(plain), "archive", "has a prefix with an empty or odd part");
            }
            None => must(Path::new(&self.archive).is_absolute(), "archive", "must be s3://BUCKET/PREFIX, or an absolute path of a folder"),
        }
        if let Some(endpoint) = &self.endpoint {
            must(self.bucket().is_some(), "endpoint", "has no meaning for a folder; leave it out");
            let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://")).unwrap_or_default();
            must(!host.is_empty() && !host.contains('/'), "endpoint", "is no address; write https://HOST:PORT, without a path");
            let text =
                "leaves this machine unencrypted; write https://, or set allow_http = true where everyone on the way may read the data";
            must(!endpoint.starts_with("http://") || self.allow_http || is_loopback(host), "endpoint", text);
        }
        if let Some(events) = &self.events {
            let host = events.strip_prefix("tls://").or_else(|| events.strip_prefix("nats://")).unwrap_or_default();
            must(
                !host.is_empty() && !host.contains('/'),
                "events",
                "is no address; write tls://HOST:PORT, or nats://HOST:PORT without TLS",
            );
            let text =
                "has a user or a password; NATS_USER and NATS_PASSWORD in the file of ship.credentials, or in the environment, say them";
            must(!host.contains('@'), "events", text);
        }
        if let Some(listen) = &self.listen {
            let address = listen.parse::<SocketAddr>();
            must(address.is_ok(), "listen", "is no address; write 127.0.0.1:9421");
            let loopback = address.is_err() || address.is_ok_and(|address| address.ip().to_canonical().is_loopback());
            must(loopback, "listen", "must be an address of this machine alone, such as 127.0.0.1:9421");
        }
        let above = |value: Option<f64>| value.is_none_or(|value| value.is_finite() && value > 0.0);
        must(above(self.max_mib_per_s), "max_mib_per_s", "must be above 0; leave it out for no limit");
        must(self.scanning_mib_per_s.is_finite() && self.scanning_mib_per_s >= 0.0, "scanning_mib_per_s", "must be 0 or above");
        must((0.0..=8760.0).contains(&self.pending_h), "pending_h", "must be from 0 to 8760");
        must((0.1..=3600.0).contains(&self.poll_s), "poll_s", "must be from 0.1 to 3600");
        let not_negative = |value: Option<f64>| value.is_none_or(|value| value.is_finite() && value >= 0.0);
        let removes = [("keep_raw_days", self.keep_raw_days), ("keep_days", self.keep_days), ("keep_free_gib", self.keep_free_gib)];
        for (key, value) in removes {
            must(not_negative(value), key, "must be 0 or above");
            let text = "would remove raw recordings that the archive lacks; set ship.raw = true, or leave it out";
            must(self.raw || value.is_none(), key, text);
        }
        faults
    }
}

/// Whether a name may be that of a bucket (the rules of S3 for general buckets).
fn is_bucket(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (3..=63).contains(&name.len()) && name.chars().all(letter) && end(name.chars().next()) && end(name.chars().last())
}

/// Whether a host with its port is this machine.
fn is_loopback(host: &str) -> bool {
    let bare = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(bare, _)| bare);
    bare == "localhost" || bare.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        toml::from_str::<ShipConfig>(text).unwrap().faults().iter().map(|fault| fault.path.clone()).collect()
    }

    #[test]
    fn an_archive_is_a_bucket_or_a_folder() {
        for good in ["s3://ores", "s3://ores/", "s3://a.b-c/x/y=1", "/srv/archive"] {
            assert_eq!(faults(&format!("archive = {good:?}")), [""; 0], "{good}");
        }
        for wrong in ["s3://", "s3://Ores", "s3://ab", "s3://-ab", "s3://ores/a//b", "s3://ores/../b", "archive", "https://ores"] {
            assert_eq!(faults(&format!("archive = {wrong:?}")), ["ship.archive"], "{wrong}");
        }
        let split = |text: &str| toml::from_str::<ShipConfig>(&format!("archive = {text:?}")).unwrap().archive;
        assert_eq!(split("s3://ores/x"), "s3://ores/x");
    }

    #[test]
    fn data_leave_this_machine_encrypted() {
        let with = |text: &str| faults(&format!("archive = \"s3://ores\"\n{text}"));
        for good in [
            "endpoint = \"https://s3.lab\"",
            "endpoint = \"http://127.0.0.1:8333\"",
            "endpoint = \"http://[::1]:1\"",
            "endpoint = \"http://s3.lab\"\nallow_http = true",
            "listen = \"127.0.0.1:9421\"",
        ] {
            assert_eq!(with(good), [""; 0], "{good}");
        }
        for wrong in ["endpoint = \"http://s3.lab\"", "endpoint = \"s3.lab\"", "endpoint = \"https://s3.lab/path\""] {
            assert_eq!(with(wrong), ["ship.endpoint"], "{wrong}");
        }
        assert_eq!(with("listen = \"0.0.0.0:9421\""), ["ship.listen"]);
        assert_eq!(with("events = \"tls://nats.lab:4222\""), [""; 0]);
        for wrong in ["nats.lab:4222", "http://nats.lab", "nats://", "nats://a:b@nats.lab"] {
            assert_eq!(with(&format!("events = {wrong:?}")), ["ship.events"], "{wrong}");
        }
        assert_eq!(faults("archive = \"/a\"\nendpoint = \"https://s3.lab\""), ["ship.endpoint"]);
    }

    #[test]
    fn nothing_is_removed_that_the_archive_lacks() {
        assert_eq!(faults("archive = \"/a\"\nraw = false\nkeep_days = 1\nkeep_free_gib = 1"), ["ship.keep_days", "ship.keep_free_gib"]);
        let wrong = "archive = \"/a\"\nmax_mib_per_s = 0\nscanning_mib_per_s = -1\npending_h = -1\npoll_s = 0\nkeep_raw_days = -1";
        assert_eq!(faults(wrong).len(), 5);
    }
}
