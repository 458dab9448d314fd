//! Any bytes on the wire give a message or an error, never a panic. A written message is read again.
#![allow(clippy::unwrap_used)]

use bridge::wire::{FrameHead, Message, WireError, read_message};
use proptest::prelude::*;

fn read(bytes: &[u8], frame_bytes: usize) -> Result<Message, WireError> {
    read_message(&mut &bytes[..], frame_bytes, || {})
}

/// Gives a byte at a time, as a slow pipe may.
struct Drops<'a>(&'a [u8]);

impl std::io::Read for Drops<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = into.len().min(1).min(self.0.len());
        into[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

proptest! {
    #[test]
    fn anything(bytes in proptest::collection::vec(any::<u8>(), 0..200), frame_bytes in 0..100_usize) {
        let _ = read(&bytes, frame_bytes);
    }

    #[test]
    fn anything_behind_a_tag(tag in 0..4_usize, length in any::<u32>(), body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let tag = [b"HELO", b"DONE", b"FAIL", b"FRAM"][tag];
        for length in [length, body.len() as u32] {
            let bytes = [tag.as_slice(), &length.to_le_bytes(), &body].concat();
            if let Ok(Message::Hello(text) | Message::Done(text) | Message::Fail(text)) = read(&bytes, 64) {
                let _ = (text.need::<u32>("version", "1"), text.numbers("wavelengths_nm"), text.maybe::<f64>("saturation", "a number"));
            }
        }
    }

    #[test]
    fn a_message_that_was_changed(at in 0..60_usize, to in any::<u8>(), cut in 0..60_usize) {
        let body = b"version = 1\nmodel = m\npixels = 4\nbands = 2\n";
        let mut bytes = [b"HELO".as_slice(), &(body.len() as u32).to_le_bytes(), body].concat();
        let length = bytes.len();
        bytes[at % length] = to;
        let _ = read(&bytes, 16);
        let _ = read(&bytes[..cut % length], 16);
    }

    #[test]
    fn frames_are_read_as_they_were_written(
        counter in any::<u64>(), device in 1..u64::MAX, host in 1..i64::MAX, stream in any::<u32>(), complete in any::<bool>()
    ) {
        let mut bytes = [b"FRAM".as_slice(), &48_u32.to_le_bytes()].concat();
        bytes.extend(counter.to_le_bytes());
        bytes.extend(device.to_le_bytes());
        bytes.extend(host.to_le_bytes());
        bytes.extend(stream.to_le_bytes());
        bytes.extend(u32::from(!complete).to_le_bytes());
        bytes.extend([7; 16]);
        let head = FrameHead { counter, device_time_ns: Some(device), time_ns: Some(host), stream, complete };
        prop_assert_eq!(read(&bytes, 16), Ok(Message::Frame(head)));
        prop_assert_eq!(read_message(&mut Drops(&bytes), 16, || {}), Ok(Message::Frame(head)));
        prop_assert_eq!(read(&bytes[..20], 16), Err(WireError::Short { within: "FRAM" }));
        let other_shape = matches!(read(&bytes, 18), Err(WireError::Length { found: 48, .. }));
        prop_assert!(other_shape);
    }
}
