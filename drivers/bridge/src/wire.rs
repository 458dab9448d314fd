//! Reading the framing. The crate's documentation describes it.

use std::collections::BTreeMap;
use std::io::{self, Read};

/// The version that this driver speaks.
pub const VERSION: u32 = 1;
/// Bytes of numbers before the counts of a frame.
pub const FRAME_HEAD: usize = 32;
/// The longest text, bytes.
const LONGEST_TEXT: usize = 1 << 20;

/// A fault of the framing, or of its transport.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The other side closed the connection.
    #[error("the helper has closed its output")]
    Ended,
    /// The other side closed it in the middle of a message.
    #[error("the helper closed its output in the middle of {within}")]
    Short {
        /// The message.
        within: &'static str,
    },
    /// Reading failed.
    #[error("reading from the helper failed: {reason}")]
    Broken {
        /// The system's reason.
        reason: String,
    },
    /// No message begins with these letters.
    #[error("a message begins with HELO, DONE, FAIL or FRAM, and this one with `{found}`; does the helper print to its standard output?")]
    Tag {
        /// The letters found.
        found: String,
    },
    /// The length of a message is impossible.
    #[error("a {tag} message has {expected} bytes, and this one {found}")]
    Length {
        /// The message.
        tag: &'static str,
        /// The expected length.
        expected: String,
        /// The length found.
        found: usize,
    },
    /// A text is malformed.
    #[error("a {tag} message holds lines of `key = value`, and this one `{found}`")]
    Text {
        /// The message.
        tag: &'static str,
        /// The fault found.
        found: String,
    },
    /// A key is missing, or its value makes no sense.
    #[error("a {tag} message needs {key} = {expected}, and this one has {found}")]
    Key {
        /// The message.
        tag: &'static str,
        /// The key.
        key: &'static str,
        /// The expected value.
        expected: &'static str,
        /// The value found.
        found: String,
    },
}

/// The text of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    tag: &'static str,
    keys: BTreeMap<String, String>,
}

impl Text {
    fn parse(tag: &'static str, body: &[u8]) -> Result<Self, WireError> {
        let wrong = |found: &str| WireError::Text { tag, found: found.chars().take(80).collect() };
        let text = std::str::from_utf8(body).map_err(|_| wrong(&body[..body.len().min(80)].escape_ascii().to_string()))?;
        let mut keys = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (key, value) = line.split_once('=').ok_or_else(|| wrong(line))?;
            keys.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        Ok(Self { tag, keys })
    }

    /// The value of a key, where it is there.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }

    /// The value of a key that must be there and be a `T`.
    ///
    /// # Errors
    /// [`WireError::Key`] for a missing key, or a value that is no `T`.
    pub fn need<T: std::str::FromStr>(&self, key: &'static str, expected: &'static str) -> Result<T, WireError> {
        let found = self.get(key);
        let missing = || WireError::Key { tag: self.tag, key, expected, found: found.map_or("none".into(), |found| format!("`{found}`")) };
        found.and_then(|text| text.parse().ok()).ok_or_else(missing)
    }

    /// The value of a key, a `T` where it is there.
    ///
    /// # Errors
    /// [`WireError::Key`] for a value that is no `T`.
    pub fn maybe<T: std::str::FromStr>(&self, key: &'static str, expected: &'static str) -> Result<Option<T>, WireError> {
        if self.keys.contains_key(key) { self.need(key, expected).map(Some) } else { Ok(None) }
    }

    /// Numbers with commas between. `None` without the key.
    ///
    /// # Errors
    /// [`WireError::Key`] for a value that is no list of numbers.
    pub fn numbers(&self, key: &'static str) -> Result<Option<Vec<f64>>, WireError> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let numbers = text.split(',').map(|n| n.trim().parse::<f64>().ok().filter(|n| n.is_finite())).collect::<Option<Vec<_>>>();
        let found = format!("`{}`", text.chars().take(80).collect::<String>());
        numbers.map(Some).ok_or(WireError::Key { tag: self.tag, key, expected: "numbers with commas between", found })
    }
}

/// The numbers before the counts of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Frame counter of the camera.
    pub counter: u64,
    /// The camera's own time, ns.
    pub device_time_ns: Option<u64>,
    /// Host time at exposure, ns since 1970. `None` stands for the time of arrival.
    pub time_ns: Option<i64>,
    /// The frame's stream.
    pub stream: u32,
    /// Whether the whole frame reached the helper.
    pub complete: bool,
}

/// The beginning of a message. The counts of a frame are still to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The helper's greeting.
    Hello(Text),
    /// A command was carried out.
    Done(Text),
    /// A command was refused.
    Fail(Text),
    /// A frame. Its counts follow.
    Frame(FrameHead),
}

/// Reads the next message. It calls `begun` once the first bytes are there. `frame_bytes` are the bytes of a frame's counts.
///
/// # Errors
/// [`WireError`] for a closed connection, a failed reading, or a message against the framing.
pub fn read_message(from: &mut impl Read, frame_bytes: usize, begun: impl FnOnce()) -> Result<Message, WireError> {
    let mut head = [0_u8; 8];
    match from.read(&mut head) {
        Ok(0) => return Err(WireError::Ended),
        Ok(n) => {
            begun();
            fill(from, &mut head[n..], "the head of a message")?;
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return read_message(from, frame_bytes, begun),
        Err(error) => return Err(WireError::Broken { reason: error.to_string() }),
    }
    let [tag @ .., a, b, c, d] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let text = |tag, from: &mut _| {
        if length > LONGEST_TEXT {
            return Err(WireError::Length { tag, expected: format!("at most {LONGEST_TEXT}"), found: length });
        }
        let mut body = vec![0; length];
        fill(from, &mut body, tag)?;
        Text::parse(tag, &body)
    };
    match &tag {
        b"HELO" => Ok(Message::Hello(text("HELO", from)?)),
        b"DONE" => Ok(Message::Done(text("DONE", from)?)),
        b"FAIL" => Ok(Message::Fail(text("FAIL", from)?)),
        b"FRAM" => {
            let expected = FRAME_HEAD + frame_bytes;
            if length != expected {
                return Err(WireError::Length {
                    tag: "FRAM",
                    expected: format!("{FRAME_HEAD} + {frame_bytes} = {expected}"),
                    found: length,
                });
            }
            let mut numbers = [0_u8; FRAME_HEAD];
            fill(from, &mut numbers, "FRAM")?;
            let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| numbers[at + i]));
            let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| numbers[at + i]));
            Ok(Message::Frame(FrameHead {
                counter: long(0),
                device_time_ns: Some(long(8)).filter(|time| *time != 0),
                time_ns: Some(long(16).cast_signed()).filter(|time| *time != 0),
                stream: short(24),
                complete: short(28) == 0,
            }))
        }
        other => Err(WireError::Tag { found: other.escape_ascii().to_string() }),
    }
}

/// Fills `into`.
///
/// # Errors
/// [`WireError::Short`] at the end of the input. [`WireError::Broken`] for a failed reading.
pub fn fill(from: &mut impl Read, into: &mut [u8], within: &'static str) -> Result<(), WireError> {
    from.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => WireError::Short { within },
        _ => WireError::Broken { reason: error.to_string() },
    })
}
