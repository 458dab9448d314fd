//! Recognises an emergency stop before anything else of a connection is done.
//!
//! Nobody knows what a connection will ask before it is read. So connections beyond the places of all are read in a few places of their
//! own, and only an emergency stop is answered. A peer that says nothing there gives way to the next.

use nix::sys::socket::{MsgFlags, recv};
use std::io::{self, Cursor};
use std::os::fd::{AsFd, AsRawFd};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Largest head of a request that is looked at, bytes.
const HEAD_LIMIT: usize = 8 << 10;
/// Path of the emergency stop.
const PATH: &str = "/v1/stop";

/// Reads what has come on a new connection, without waiting. Gives whether that is a whole head, or the end.
///
/// Under a flood of connections, a request is here before its connection is accepted. Then it needs no place to wait in.
pub(super) fn begins(stream: &impl AsFd, said: &mut Vec<u8>) -> bool {
    let mut bytes = [0; HEAD_LIMIT];
    match recv(stream.as_fd().as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(n) => {
            said.extend_from_slice(&bytes[..n]);
            n == 0 || is_whole(said)
        }
        Err(_) => false,
    }
}

/// Reads on until the head is whole, or the peer has ended.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin), said: &mut Vec<u8>) -> io::Result<()> {
    while !is_whole(said) && stream.read_buf(said).await? > 0 {}
    Ok(())
}

/// Whether a head has come to its end, or is too long.
fn is_whole(said: &[u8]) -> bool {
    said.len() >= HEAD_LIMIT || said.windows(4).any(|part| part == b"\r\n\r\n")
}

/// Whether a whole head asks for the emergency stop.
pub(super) fn is_stop(said: &[u8]) -> bool {
    let Some(end) = said.windows(2).position(|part| part == b"\r\n") else { return false };
    let Ok(line) = std::str::from_utf8(&said[..end]) else { return false };
    let mut words = line.split(' ');
    let (Some("POST"), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return false;
    };
    let path = target.strip_prefix("http://").map_or(target, |rest| rest.find('/').map_or("", |slash| &rest[slash..]));
    path.split('?').next() == Some(PATH) && is_whole(said)
}

/// A stream that gives again what was read from it.
pub(super) fn resumed<S: AsyncRead + AsyncWrite + Send + 'static>(
    said: Vec<u8>,
    stream: S,
) -> impl AsyncRead + AsyncWrite + Send + 'static {
    let (reader, writer) = tokio::io::split(stream);
    tokio::io::join(Cursor::new(said).chain(reader), writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_stop_is_one() {
        for (text, wanted) in [
            ("POST /v1/stop HTTP/1.1\r\nhost: x\r\n\r\n", true),
            ("POST http://rig/v1/stop HTTP/1.1\r\n\r\n", true),
            ("POST /v1/stop?a=b HTTP/1.0\r\n\r\n{}", true),
            ("POST /v1/stop HTTP/1.1\r\nhost: x\r\n", false),
            ("GET /v1/stop HTTP/1.1\r\n\r\n", false),
            ("POST /v1/stops HTTP/1.1\r\n\r\n", false),
            ("POST /v1/scans/x/stop HTTP/1.1\r\n\r\n", false),
            ("POST /v1/stop HTTP/2.0\r\n\r\n", false),
            ("POST  /v1/stop HTTP/1.1\r\n\r\n", false),
            ("\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(is_stop(text.as_bytes()), wanted, "{text:?}");
        }
    }
}
