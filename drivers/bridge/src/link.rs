//! The link to a helper. Lines go out, messages come in, and a thread reads them.

use crate::config::Config;
use crate::wire::{FrameHead, Message, Text, WireError, fill, read_message};
use contract::{CameraError, Frame, FrameCounter, FrameInfo, FramePool, FrameStatus, Layout, StreamStatistics};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time that a helper has to end.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Counters of a stream.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    received: AtomicU64,
    lost_pool: AtomicU64,
    lost_link: AtomicU64,
}

impl Counters {
    pub fn read(&self) -> StreamStatistics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StreamStatistics { received: of(&self.received), lost_pool: of(&self.lost_pool), lost_link: of(&self.lost_link) }
    }
}

/// The destination of a stream's frames.
pub(crate) struct Sink {
    pub stream: u32,
    pub pool: FramePool,
    pub frames: Sender<Result<Frame, CameraError>>,
    pub counter: FrameCounter,
    pub next: u64,
    pub counters: Arc<Counters>,
}

/// State shared by the reading thread and the others.
pub(crate) struct Shared {
    camera: String,
    place: String,
    sink: Mutex<Option<Sink>>,
    /// The reason of the link's end.
    broken: Mutex<Option<String>>,
    begun: Instant,
    /// Start of the message that is being read, ms since `begun`, from 1. It is 0 between messages.
    reading_since_ms: AtomicU64,
}

impl Shared {
    fn sink(&self) -> MutexGuard<'_, Option<Sink>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_sink(&self, sink: Option<Sink>) {
        *self.sink() = sink;
    }

    pub fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn link_error(&self, reason: &str) -> CameraError {
        CameraError::Link { camera: self.camera.clone(), reason: format!("{}: {reason}", self.place) }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Whether a message began this long ago and has not ended.
    pub fn hangs(&self, after: Duration) -> bool {
        let since = self.reading_since_ms.load(Ordering::Acquire);
        since != 0 && u128::from(self.now_ms().saturating_sub(since)) > after.as_millis()
    }

    /// Ends the link. A stream that waits gets the reason.
    fn end(&self, reason: String) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason.clone());
        if let Some(sink) = self.sink().take() {
            let _ = sink.frames.try_send(Err(self.link_error(&reason)));
        }
    }
}

/// A running helper.
pub(crate) struct Link {
    config: Config,
    child: Option<Child>,
    lines: Option<Box<dyn Write + Send>>,
    socket: Option<UnixStream>,
    replies: Receiver<Message>,
    pub shared: Arc<Shared>,
    next_id: u64,
    reader: Option<JoinHandle<()>>,
}

impl Link {
    /// Starts or reaches the helper, and waits for its greeting.
    pub fn open(camera: &str, config: &Config) -> Result<(Self, Text), CameraError> {
        let shared = Arc::new(Shared {
            camera: camera.to_owned(),
            place: config.place(),
            sink: Mutex::new(None),
            broken: Mutex::new(None),
            begun: Instant::now(),
            reading_since_ms: AtomicU64::new(0),
        });
        let (mut child, mut socket) = (None, None);
        let (from, lines): (Box<dyn Read + Send>, Box<dyn Write + Send>) = if let Some(path) = &config.socket {
            let stream =
                UnixStream::connect(path).map_err(|e| shared.link_error(&format!("nobody listens there: {e}; start the helper")))?;
            let cannot = |e: std::io::Error| shared.link_error(&e.to_string());
            socket = Some(stream.try_clone().map_err(cannot)?);
            stream.set_write_timeout(Some(config.timeout())).map_err(cannot)?;
            (Box::new(stream.try_clone().map_err(cannot)?), Box::new(stream))
        } else {
            let (program, arguments) = config.command.split_first().ok_or_else(|| shared.link_error("the command is empty"))?;
            let mut started = Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|e| shared.link_error(&format!("the helper cannot be started: {e}")))?;
            let ends = started.stdout.take().zip(started.stdin.take());
            child = Some(started);
            let (from, lines) = ends.ok_or_else(|| shared.link_error("the helper has no pipes"))?;
            (Box::new(from), Box::new(lines))
        };
        let (replies_in, replies) = bounded(64);
        let layout = Layout { pixels: config.pixels, bands: config.bands, format: contract::PixelFormat::U16 };
        let seen = Arc::clone(&shared);
        let reader = std::thread::Builder::new()
            .name(format!("bridge-{camera}"))
            .spawn(move || read(from, layout, &replies_in, &seen))
            .map_err(|e| shared.link_error(&format!("no thread for it: {e}")))?;
        let mut link =
            Self { config: config.clone(), child, lines: Some(lines), socket, replies, shared, next_id: 1, reader: Some(reader) };
        match link.reply(Duration::from_millis(config.open_ms), "its greeting (HELO)")? {
            Message::Hello(text) => Ok((link, text)),
            other => Err(link.shared.link_error(&format!("HELO comes before all else, and this is {other:?}"))),
        }
    }

    /// The next message that is no frame.
    fn reply(&mut self, within: Duration, what: &str) -> Result<Message, CameraError> {
        match self.replies.recv_timeout(within) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => {
                let reason = format!("{what} did not come within {} ms", within.as_millis());
                // A helper that hangs is started anew before the next request.
                self.shared.end(reason.clone());
                Err(self.shared.link_error(&reason))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let how =
                    self.child.as_mut().and_then(|child| child.wait_timeout(EXIT_TIMEOUT)).map_or(String::new(), |how| format!(" ({how})"));
                let reason = self.shared.broken().unwrap_or_else(|| "it is gone".into());
                Err(self.shared.link_error(&format!("{reason}{how}")))
            }
        }
    }

    /// Sends a line and waits for its answer.
    pub fn tell(&mut self, line: &str, setting: &'static str, wanted: &str) -> Result<Text, CameraError> {
        let id = self.next_id;
        self.next_id += 1;
        // A late answer belongs to an earlier line.
        while self.replies.try_recv().is_ok() {}
        let sent = self.lines.as_mut().map(|lines| writeln!(lines, "{id} {line}").and_then(|()| lines.flush()));
        if let Some(Err(error)) = sent
            && self.shared.broken().is_none()
        {
            return Err(self.shared.link_error(&format!("it cannot be told `{line}`: {error}")));
        }
        loop {
            let (text, failed) = match self.reply(self.config.timeout(), &format!("the answer to `{line}`"))? {
                Message::Done(text) => (text, false),
                Message::Fail(text) => (text, true),
                other => return Err(self.shared.link_error(&format!("`{line}` is answered with DONE or FAIL, and this is {other:?}"))),
            };
            let answered: u64 = text.need("id", "the number of the line").map_err(|e| self.shared.link_error(&e.to_string()))?;
            if answered != id {
                continue;
            }
            if failed {
                let reason = text.get("reason").unwrap_or("it gives no reason").to_owned();
                return Err(CameraError::Refused { camera: self.shared.camera.clone(), setting, wanted: wanted.to_owned(), reason });
            }
            return Ok(text);
        }
    }
}

/// Waits for a child for a while.
trait WaitTimeout {
    fn wait_timeout(&mut self, within: Duration) -> Option<std::process::ExitStatus>;
}

impl WaitTimeout for Child {
    fn wait_timeout(&mut self, within: Duration) -> Option<std::process::ExitStatus> {
        let end = Instant::now() + within;
        loop {
            match self.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                _ => return None,
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The helper ends at the end of its input.
        drop(self.lines.take());
        if let Some(socket) = &self.socket {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        if let Some(child) = &mut self.child
            && child.wait_timeout(EXIT_TIMEOUT).is_none()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        // A helper's own child may hold the pipe open. The thread then ends with that child.
        if let Some(reader) = self.reader.take()
            && (self.child.is_none() || self.shared.broken().is_some())
        {
            let _ = reader.join();
        }
    }
}

/// The reading thread. Frames go into slots of the pool, all else to the caller.
fn read(mut from: Box<dyn Read + Send>, layout: Layout, replies: &Sender<Message>, shared: &Shared) {
    let mut rubbish = vec![0_u8; layout.bytes().min(1 << 16)];
    let why = loop {
        shared.reading_since_ms.store(0, Ordering::Release);
        let begun = || shared.reading_since_ms.store(shared.now_ms(), Ordering::Release);
        let result = match read_message(&mut from, layout.bytes(), begun) {
            Ok(Message::Frame(head)) => frame(&mut from, head, layout, shared, &mut rubbish),
            Ok(message) => {
                // Unwanted answers are not kept without end.
                let _ = replies.try_send(message);
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            break error;
        }
    };
    shared.reading_since_ms.store(0, Ordering::Release);
    shared.end(why.to_string());
}

/// Reads the counts of a frame into a slot, or past the pool's door.
fn frame(from: &mut impl Read, head: FrameHead, layout: Layout, shared: &Shared, rubbish: &mut [u8]) -> Result<(), WireError> {
    let arrived_ns = contract::now_ns();
    let mut admitted = None;
    if let Some(sink) = shared.sink().as_mut().filter(|sink| sink.stream == head.stream)
        // A counter that stands or goes back is no next frame.
        && let Ok(number) = sink.counter.number(head.counter)
    {
        sink.counters.lost_link.fetch_add(number.saturating_sub(sink.next), Ordering::Relaxed);
        sink.next = number + 1;
        match sink.pool.try_take() {
            Some(slot) => admitted = Some((slot, number)),
            None => {
                sink.counters.lost_pool.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let Some((mut slot, number)) = admitted else {
        let mut left = layout.bytes();
        while left > 0 {
            let piece = left.min(rubbish.len());
            fill(from, &mut rubbish[..piece], "FRAM")?;
            left -= piece;
        }
        return Ok(());
    };
    fill(from, slot.bytes_mut(), "FRAM")?;
    if cfg!(target_endian = "big")
        && let Some(counts) = slot.as_u16_mut()
    {
        counts.iter_mut().for_each(|count| *count = u16::from_le(*count));
    }
    let info = FrameInfo {
        number,
        device_time_ns: head.device_time_ns,
        time_ns: head.time_ns.unwrap_or(arrived_ns),
        status: if head.complete { FrameStatus::Ok } else { FrameStatus::Incomplete },
        ..FrameInfo::default()
    };
    // The stream may have been stopped meanwhile.
    if let Some(sink) = shared.sink().as_ref().filter(|sink| sink.stream == head.stream) {
        // The count comes first. The receiver may ask at once. There is room, because every frame under way holds a slot.
        sink.counters.received.fetch_add(1, Ordering::Relaxed);
        if sink.frames.try_send(Ok(Frame { info, slot })).is_err() {
            sink.counters.received.fetch_sub(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
