//! A port that writes a question and reads its answer.

use crate::config::Config;
use contract::LinkCounters;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest answer, bytes.
const LONGEST: usize = 4096;
/// The longest time of one read. It keeps the deadline.
const SLICE: Duration = Duration::from_millis(10);

/// The test for a whole answer. `None` where no answer comes.
pub(crate) type Whole<'a> = Option<&'a dyn Fn(&[u8]) -> bool>;

/// A fault of a controller or its link.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Link(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Lamp(String),
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// The port of a controller, open or not.
pub(crate) struct Port {
    config: Config,
    counters: Arc<LinkCounters>,
    stream: Option<Box<dyn Stream>>,
    was_open: bool,
}

impl Port {
    pub fn new(config: Config, counters: Arc<LinkCounters>) -> Self {
        Self { config, counters, stream: None, was_open: false }
    }

    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub fn close(&mut self) {
        self.stream = None;
    }

    pub fn open(&mut self) -> Result<(), Fault> {
        let place = self.config.place();
        let refused = |error: &dyn std::fmt::Display| Fault::Link(format!("{place} cannot be opened: {error}"));
        if self.was_open {
            LinkCounters::count(&self.counters.reconnects);
        }
        self.stream = None;
        let stream: Box<dyn Stream> = if let Some(port) = &self.config.port {
            let builder = serialport::new(port.to_string_lossy(), self.config.baud()).timeout(SLICE);
            Box::new(serialport::TTYPort::open(&builder).map_err(|e| refused(&e))?)
        } else {
            let address = self.config.address.as_deref().unwrap_or_default();
            let mut found = address.to_socket_addrs().map_err(|e| refused(&e))?;
            let address = found.next().ok_or_else(|| refused(&"the name has no address"))?;
            let stream = TcpStream::connect_timeout(&address, self.config.timeout()).map_err(|e| refused(&e))?;
            stream.set_read_timeout(Some(SLICE)).map_err(|e| refused(&e))?;
            stream.set_nodelay(true).map_err(|e| refused(&e))?;
            Box::new(stream)
        };
        self.stream = Some(stream);
        self.was_open = true;
        Ok(())
    }

    /// Discards unread bytes. A late answer belongs to no question.
    fn drain(stream: &mut dyn Stream) -> io::Result<()> {
        let mut rubbish = [0_u8; 256];
        loop {
            match stream.read(&mut rubbish) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if is_pause(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the question, and reads until the answer is `whole`.
    pub fn ask(&mut self, question: &[u8], whole: Whole<'_>) -> Result<Vec<u8>, Fault> {
        let place = self.config.place();
        let shown = printable(question);
        let Some(stream) = self.stream.as_mut() else { return Err(Fault::Link(format!("{place} is not open"))) };
        LinkCounters::count(&self.counters.requests);
        let result = exchange(stream.as_mut(), question, whole, self.config.timeout());
        match result {
            Ok(Answer::Whole(answer)) => Ok(answer),
            Ok(Answer::Part(part)) if part.is_empty() => {
                LinkCounters::count(&self.counters.timeouts);
                Err(Fault::Link(format!("{place}: no answer to `{shown}` within {} ms", self.config.timeout_ms)))
            }
            Ok(Answer::Part(part)) => {
                LinkCounters::count(&self.counters.garbled);
                Err(Fault::Link(format!("{place}: the answer to `{shown}` does not end: `{}`", printable(&part))))
            }
            Err(error) => {
                self.stream = None;
                Err(Fault::Link(format!("{place}: {error}")))
            }
        }
    }

    /// The fault of an answer that makes no sense.
    pub fn garbled(&self, question: &str, answer: &[u8]) -> Fault {
        LinkCounters::count(&self.counters.garbled);
        Fault::Link(format!("{}: the answer to `{question}` makes no sense: `{}`", self.config.place(), printable(answer)))
    }

    /// The fault of a refusal.
    pub fn refused(&self, question: &str, answer: &[u8]) -> Fault {
        LinkCounters::count(&self.counters.exceptions);
        Fault::Refused(format!("{}: the answer to `{question}` is `{}`", self.config.place(), printable(answer)))
    }
}

enum Answer {
    Whole(Vec<u8>),
    Part(Vec<u8>),
}

fn exchange(stream: &mut dyn Stream, question: &[u8], whole: Whole<'_>, within: Duration) -> io::Result<Answer> {
    Port::drain(stream)?;
    stream.write_all(question)?;
    let mut answer = Vec::new();
    let Some(whole) = whole else { return Ok(Answer::Whole(answer)) };
    let end = Instant::now() + within;
    let mut piece = [0_u8; 256];
    while Instant::now() < end && answer.len() < LONGEST {
        match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
        if whole(&answer) {
            return Ok(Answer::Whole(answer));
        }
    }
    Ok(Answer::Part(answer))
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Bytes as text for a message.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(80)];
    shown.escape_ascii().to_string()
}
