//! The page over HTTPS.

use super::rig::Rig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// Notes the certificate, as a person does who compares the fingerprint.
#[derive(Debug, Default)]
struct Compares(Mutex<Vec<u8>>);

impl ServerCertVerifier for Compares {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn connect(rig: &Rig, protocol: &[u8]) -> (StreamOwned<ClientConnection, TcpStream>, Vec<u8>) {
    let compares = Arc::new(Compares::default());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config =
        builder.dangerous().with_custom_certificate_verifier(Arc::clone(&compares) as Arc<dyn ServerCertVerifier>).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(rig.address).unwrap());
    stream.flush().unwrap();
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    let seen = compares.0.lock().unwrap().clone();
    (stream, seen)
}

#[test]
fn the_page_is_encrypted_and_its_fingerprint_is_the_one_that_was_told() {
    let rig = Rig::start("[tls]\nself_signed = true");
    let (mut stream, certificate) = connect(&rig, b"http/1.1");
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&certificate);
    let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    assert_eq!(Some(fingerprint), rig.fingerprint);
    let host = format!("localhost:{}", rig.address.port());
    write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("content-security-policy"), "{text}");

    // Only the encrypted page is of its origin.
    for (origin, status) in [(format!("https://{host}"), "401"), (format!("http://{host}"), "403")] {
        let (mut stream, _) = connect(&rig, b"http/1.1");
        let head = format!("host: {host}\r\norigin: {origin}\r\nsec-fetch-site: same-origin\r\ncontent-type: application/json\r\n");
        write!(stream, "POST /api/stop HTTP/1.1\r\n{head}connection: close\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{origin}: {text}");
    }

    let mut plain = TcpStream::connect(rig.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "nothing is said unencrypted");
}

#[test]
fn many_requests_share_one_connection() {
    let rig = Rig::start("[tls]\nself_signed = true");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Compares::default())).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = tokio::net::TcpStream::connect(rig.address).await.unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let executor = hyper_util::rt::TokioExecutor::new();
        let (sender, connection) = hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let ask = |uri: String| {
            let mut sender = sender.clone();
            async move {
                let request = hyper::Request::get(uri).body(http_body_util::Empty::<hyper::body::Bytes>::new()).unwrap();
                sender.send_request(request).await.unwrap()
            }
        };
        let port = rig.address.port();
        let page = ask(format!("https://localhost:{port}/")).await;
        assert_eq!(page.status(), 200);
        assert!(page.headers().contains_key("content-security-policy"));
        assert_eq!(ask(format!("https://evil.example:{port}/")).await.status(), 421);
        let many = futures_util::future::join_all((0..100).map(|_| ask(format!("https://localhost:{port}/api/rig")))).await;
        assert!(many.iter().all(|answer| answer.status() == 401));
    });
}
