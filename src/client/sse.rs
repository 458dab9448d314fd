//! Reads server-sent events (WHATWG HTML, section 9.2).

use std::collections::VecDeque;

/// A message of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Message {
    /// The event name. Empty where the message has none.
    pub(super) event: String,
    /// The data.
    pub(super) data: String,
    /// The last id of the stream, from this message or an earlier one.
    pub(super) id: Option<String>,
}

/// Parser of a stream. It takes bytes in any portions and gives messages.
#[derive(Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    /// Whether the last byte was a carriage return. A line feed behind it ends no second line.
    carriage: bool,
    event: String,
    data: Option<String>,
    id: Option<String>,
    ready: VecDeque<Message>,
}

impl Parser {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' if self.carriage => {}
                b'\n' | b'\r' => self.end_of_line(),
                _ => self.line.push(byte),
            }
            self.carriage = byte == b'\r';
        }
    }

    pub(super) fn next(&mut self) -> Option<Message> {
        self.ready.pop_front()
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            // An event without data is no message.
            if let Some(data) = self.data.take() {
                self.ready.push_back(Message { event, data, id: self.id.clone() });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => data.extend(["\n", value]),
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // It is a comment (no field name), `retry`, or an unknown field.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b": hello\n\nid: 7\nevent: state\ndata: {\"a\":1}\n\ndata:x\r\ndata:  y\r\n\r\nevent: none\n\nid\rdata\r\rdata: cut";

    fn messages(chunks: &[&[u8]]) -> Vec<Message> {
        let mut parser = Parser::default();
        chunks.iter().for_each(|chunk| parser.feed(chunk));
        std::iter::from_fn(|| parser.next()).collect()
    }

    #[test]
    fn messages_are_the_same_however_the_bytes_are_cut() {
        let whole = messages(&[STREAM]);
        let message = |event: &str, data: &str, id: &str| Message { event: event.into(), data: data.into(), id: Some(id.into()) };
        assert_eq!(whole, [message("state", "{\"a\":1}", "7"), message("", "x\n y", "7"), message("", "", "")]);
        for cut in 0..STREAM.len() {
            let (one, other) = STREAM.split_at(cut);
            assert_eq!(messages(&[one, other]), whole, "cut at {cut}");
        }
    }
}
