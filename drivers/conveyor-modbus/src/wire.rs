//! The wire, one request at a time: a serial line or a TCP connection. Its last bytes are kept for messages.

use crate::config::{Config, Parity};
use contract::LinkCounters;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_modbus::client::{Client, Context, rtu, tcp};
use tokio_modbus::prelude::SlaveContext;
use tokio_modbus::{Error, ExceptionCode, Request, Response, Slave};
use tokio_serial::SerialPort;

/// The exception of a busy drive. The request may be repeated.
const BUSY: ExceptionCode = ExceptionCode::ServerDeviceBusy;

/// The failure of a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum BusError {
    #[error("{place} cannot be opened: {reason}")]
    Open { place: String, reason: String },
    #[error("{place}, unit {unit}: no answer from {register} within {ms} ms")]
    Timeout { place: String, unit: u8, register: String, ms: u128 },
    #[error("{place}, unit {unit}: what came from {register} is no answer: {found}")]
    Garbled { place: String, unit: u8, register: String, found: String },
    #[error("{place}, unit {unit}: exception {} at {register}: {exception}", u8::from(*exception))]
    Exception { place: String, unit: u8, register: String, exception: ExceptionCode },
    #[error("{place}: {reason}")]
    Broken { place: String, reason: String },
    #[error("the belt was told to stop meanwhile")]
    Overtaken,
}

impl BusError {
    /// Whether a repetition of the request may bring an answer.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Garbled { .. } | Self::Broken { .. } | Self::Exception { exception: BUSY, .. })
    }
}

/// Registers and their name in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Register {
    pub address: u16,
    pub name: &'static str,
}

impl std::fmt::Display for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "register {} ({})", self.address, self.name)
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Heard {
    wire: Box<dyn Wire>,
    /// The bytes since the last request.
    bytes: Vec<u8>,
}

/// The wire, shared between the Modbus client and this driver. Both live in one thread. Nobody ever waits for the lock.
#[derive(Clone)]
struct Tap(Arc<Mutex<Heard>>);

impl Tap {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut heard = self.lock();
        let before = buffer.filled().len();
        let result = Pin::new(&mut heard.wire).poll_read(task, buffer);
        heard.bytes.extend_from_slice(&buffer.filled()[before..]);
        result
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.lock().wire).poll_write(task, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().wire).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().wire).poll_shutdown(task)
    }
}

/// The link to the units of a bus.
pub(crate) struct Link {
    config: Config,
    counters: Arc<LinkCounters>,
    open: Option<(Context, Tap)>,
    was_open: bool,
    /// Silence that ends a frame on a serial line: 3.5 characters.
    gap: Duration,
    ready: Instant,
    /// Time of the last abandoned request on a serial line. Its answer may still come.
    given_up: Option<Instant>,
}

impl Link {
    pub fn new(config: Config, counters: Arc<LinkCounters>) -> Self {
        let gap = if config.port.is_some() { frame_gap(config.baud) } else { Duration::ZERO };
        Self { config, counters, open: None, was_open: false, gap, ready: Instant::now(), given_up: None }
    }

    async fn connect(&mut self) -> Result<(), BusError> {
        if self.open.is_some() {
            return Ok(());
        }
        let refused = |reason: String| BusError::Open { place: self.config.place(), reason };
        if self.was_open {
            LinkCounters::count(&self.counters.reconnects);
        }
        let slave = Slave(self.config.unit);
        let (context, tap);
        if let Some(port) = &self.config.port {
            let path = port.to_string_lossy();
            let parity = match self.config.parity {
                Parity::None => tokio_serial::Parity::None,
                Parity::Even => tokio_serial::Parity::Even,
                Parity::Odd => tokio_serial::Parity::Odd,
            };
            let stop_bits = if self.config.stop_bits == 2 { tokio_serial::StopBits::Two } else { tokio_serial::StopBits::One };
            let builder = tokio_serial::new(path, self.config.baud).parity(parity).stop_bits(stop_bits);
            let mut tries = 5;
            let stream = loop {
                match tokio_serial::SerialStream::open(&builder) {
                    Ok(stream) => break stream,
                    // The last user of the port may be about to give it back.
                    Err(_) if tries > 0 && port.exists() => {
                        tries -= 1;
                        sleep(Duration::from_millis(40)).await;
                    }
                    Err(error) => return Err(refused(error.to_string())),
                }
            };
            stream.clear(tokio_serial::ClearBuffer::All).map_err(|e| refused(e.to_string()))?;
            tap = Tap(Arc::new(Mutex::new(Heard { wire: Box::new(stream), bytes: Vec::with_capacity(256) })));
            context = rtu::attach_slave(tap.clone(), slave);
        } else {
            let address = self.config.address.as_deref().unwrap_or_default();
            let within = self.config.timeout().max(Duration::from_secs(1));
            let stream = timeout(within, tokio::net::TcpStream::connect(address))
                .await
                .map_err(|_| refused(format!("no connection within {within:?}")))?
                .map_err(|e| refused(e.to_string()))?;
            stream.set_nodelay(true).map_err(|e| refused(e.to_string()))?;
            tap = Tap(Arc::new(Mutex::new(Heard { wire: Box::new(stream), bytes: Vec::with_capacity(256) })));
            context = tcp::attach_slave(tap.clone(), slave);
        }
        self.open = Some((context, tap));
        self.was_open = true;
        Ok(())
    }

    /// Sends one request to a unit and reads its answer. A request `at_once` does not wait for answers that may still come.
    async fn call(&mut self, unit: u8, request: Request<'static>, register: Register, at_once: bool) -> Result<Response, BusError> {
        self.wait_for_silence(at_once).await;
        self.connect().await?;
        sleep_until(self.ready).await;
        let place = self.config.place();
        let Some((context, tap)) = &mut self.open else { return Err(BusError::Broken { place, reason: "the link is closed".into() }) };
        context.set_slave(Slave(unit));
        tap.lock().bytes.clear();
        LinkCounters::count(&self.counters.requests);
        let within = self.config.timeout();
        let answer = timeout(within, context.call(request)).await;
        let found = hex(&tap.lock().bytes);
        let register = register.to_string();
        let result = match answer {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(exception))) => {
                LinkCounters::count(&self.counters.exceptions);
                Err(BusError::Exception { place, unit, register, exception })
            }
            Ok(Err(Error::Protocol(error))) => Err(BusError::Garbled { place, unit, register, found: format!("{found} ({error})") }),
            Ok(Err(Error::Transport(error))) if error.kind() == io::ErrorKind::InvalidData => {
                Err(BusError::Garbled { place, unit, register, found: format!("{found} ({error})") })
            }
            Ok(Err(Error::Transport(error))) => {
                self.open = None;
                Err(BusError::Broken { place, reason: error.to_string() })
            }
            Err(_) if found.is_empty() => Err(BusError::Timeout { place, unit, register, ms: within.as_millis() }),
            Err(_) => Err(BusError::Garbled { place, unit, register, found: format!("{found} (wrong checksum, or cut short)") }),
        };
        match &result {
            Err(BusError::Timeout { .. }) => LinkCounters::count(&self.counters.timeouts),
            Err(BusError::Garbled { .. }) => LinkCounters::count(&self.counters.garbled),
            _ => {}
        }
        if matches!(result, Err(BusError::Timeout { .. } | BusError::Garbled { .. })) {
            match self.config.port {
                Some(_) => self.given_up = Some(Instant::now()),
                // Closing the connection drops a late answer.
                None => self.open = None,
            }
        }
        self.ready = Instant::now() + self.gap;
        result
    }

    /// Keeps a late answer from passing for that of the next request. It waits until the line was silent for the longest time of
    /// an answer. A request `at_once` only discards the bytes so far. The answer to another request does not fit it.
    async fn wait_for_silence(&mut self, at_once: bool) {
        let Some(since) = self.given_up else { return };
        let Some((_, tap)) = &mut self.open else { return };
        let within = if at_once { Duration::ZERO } else { self.config.timeout() };
        let mut silence = within.saturating_sub(since.elapsed());
        let until = Instant::now() + self.config.timeout() * 4;
        let mut drain = [0_u8; 256];
        while Instant::now() < until {
            match timeout(silence, tap.read(&mut drain)).await {
                Err(_) => break,
                Ok(Ok(n)) if n > 0 => silence = within,
                Ok(_) => {
                    self.open = None;
                    break;
                }
            }
        }
        if !at_once {
            self.given_up = None;
        }
    }

    /// Reads registers of a unit.
    pub async fn read(&mut self, unit: u8, register: Register, count: u16, input: bool) -> Result<Vec<u16>, BusError> {
        let request = if input {
            Request::ReadInputRegisters(register.address, count)
        } else {
            Request::ReadHoldingRegisters(register.address, count)
        };
        match self.call(unit, request, register, false).await? {
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) if words.len() == usize::from(count) => Ok(words),
            other => Err(self.garbled(unit, register, format!("{other:?} where {count} registers were asked for"))),
        }
    }

    /// Writes a register of a unit, once.
    pub async fn write(&mut self, unit: u8, register: Register, value: u16, at_once: bool) -> Result<(), BusError> {
        match self.call(unit, Request::WriteSingleRegister(register.address, value), register, at_once).await? {
            Response::WriteSingleRegister(address, echoed) if (address, echoed) == (register.address, value) => Ok(()),
            other => Err(self.garbled(unit, register, format!("{other:?} where {value:#06x} was written"))),
        }
    }

    fn garbled(&self, unit: u8, register: Register, found: String) -> BusError {
        LinkCounters::count(&self.counters.garbled);
        BusError::Garbled { place: self.config.place(), unit, register: register.to_string(), found }
    }
}

/// Silence of 3.5 characters of 11 bits. Above 19200 bit/s it is a fixed 1.75 ms (Modbus over Serial Line V1.02, 2.5.1.1).
fn frame_gap(baud: u32) -> Duration {
    if baud > 19_200 { Duration::from_micros(1750) } else { Duration::from_secs_f64(3.5 * 11.0 / f64::from(baud.max(1))) }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (i, byte) in bytes.iter().take(32).enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{byte:02X}", if i == 0 { "" } else { " " });
    }
    text
}
