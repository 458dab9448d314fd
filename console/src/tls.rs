//! Encryption: the certificate of the page.

use crate::state::secret::hex;
use crate::state::{StateDir, StateError};
use hyclus::config::{ConsoleConfig, ConsoleTls};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of the made certificate and its key in the state folder.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// The certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file cannot be read.
    #[error("{}: {reason}; see [console.tls]", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// Others may read the key.
    #[error("{}: its mode is {mode:03o}, and others than its owner and group may read it; run `chmod 640 {}`", path.display(), path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Certificate and key do not fit, or none can be made.
    #[error("the certificate cannot be used: {0}; see [console.tls]")]
    Certificate(String),
}

/// What encrypts, and the fingerprint (SHA-256) of the certificate.
pub struct Tls {
    /// The configuration.
    pub config: Arc<ServerConfig>,
    /// The fingerprint, as browsers show it.
    pub fingerprint: String,
}

/// Reads the certificate, or makes one at the first start.
///
/// # Errors
/// A file cannot be read or written, or certificate and key do not fit.
pub fn open(config: &ConsoleConfig, tls: &ConsoleTls, dir: &StateDir) -> Result<Tls, TlsError> {
    let (certificate, key) = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => (dir.path(CERTIFICATE), dir.path(KEY)),
    };
    if tls.self_signed && !(certificate.exists() && key.exists()) {
        make(config, dir)?;
    }
    let file = |path: &Path, reason: String| TlsError::File { path: path.to_owned(), reason };
    let mode = fs::metadata(&key).map_err(|e| file(&key, e.to_string()))?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(TlsError::Open { path: key, mode });
    }
    let chain = CertificateDer::pem_file_iter(&certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|e| file(&certificate, e.to_string()))?;
    let first = chain.first().ok_or_else(|| file(&certificate, "it holds no certificate".to_owned()))?;
    let pairs = Sha256::digest(first).iter().map(|byte| hex(&[*byte]).to_uppercase()).collect::<Vec<_>>();
    let secret = PrivateKeyDer::from_pem_file(&key).map_err(|e| file(&key, e.to_string()))?;
    let wrong = |e: rustls::Error| TlsError::Certificate(e.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(wrong)?;
    let mut server = versions.with_no_client_auth().with_single_cert(chain, secret).map_err(wrong)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls { config: Arc::new(server), fingerprint: pairs.join(":") })
}

/// Makes a certificate for the hosts of the page.
fn make(config: &ConsoleConfig, dir: &StateDir) -> Result<(), TlsError> {
    let mut names = config.hosts.clone();
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    let address = config.listen.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified());
    names.extend(address.map(|ip| ip.to_string()));
    names.extend(fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()));
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    let wrong = |e: rcgen::Error| TlsError::Certificate(e.to_string());
    let mut parameters = rcgen::CertificateParams::new(names).map_err(wrong)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "hyclus console");
    // Some systems trust no certificate of a server for longer than 825 days.
    let day = hyclus::scan::day(hyclus::scan::now_ns());
    let part = |day: jiff::civil::Date| {
        let small = |part: i8| u8::try_from(part).unwrap_or(1);
        rcgen::date_time_ymd(i32::from(day.year()), small(day.month()), small(day.day()))
    };
    let shifted = |days: i32| day.checked_add(jiff::Span::new().days(days)).unwrap_or(day);
    (parameters.not_before, parameters.not_after) = (part(shifted(-1)), part(shifted(800)));
    let key = rcgen::KeyPair::generate().map_err(wrong)?;
    let certificate = parameters.self_signed(&key).map_err(wrong)?;
    dir.write_bytes(KEY, key.serialize_pem().as_bytes())?;
    dir.write_bytes(CERTIFICATE, certificate.pem().as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_secret() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        let config = ConsoleConfig { hosts: vec!["rig1.lab".into()], ..ConsoleConfig::default() };
        let tls = ConsoleTls { self_signed: true, ..ConsoleTls::default() };
        let first = open(&config, &tls, &dir).unwrap();
        assert_eq!(first.fingerprint.len(), 95);
        assert_eq!(open(&config, &tls, &dir).unwrap().fingerprint, first.fingerprint);
        let key = dir.path(KEY);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(open(&config, &tls, &dir), Err(TlsError::Open { .. })));
        let files = ConsoleTls { certificate: Some(dir.path(CERTIFICATE)), key: Some(dir.path("none")), self_signed: false };
        assert!(open(&config, &files, &dir).err().unwrap().to_string().contains("none"));
    }
}
