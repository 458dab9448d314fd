//! A camera whose frames come when a test says so, behind the bridge: what it sends is known line by line.

use nix::sys::socket::{setsockopt, sockopt};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

pub const PIXELS: usize = 64;
pub const BANDS: usize = 64;
pub const SATURATION: u16 = 4095;
/// Counts of the references.
pub const DARK: u16 = 100;
pub const WHITE: u16 = 3100;

/// What the camera sees at a line: no two lines within 2500 are alike.
pub fn count(number: u64, pixel: usize, band: usize) -> u16 {
    400 + ((number * 7 + pixel as u64 * 13 + band as u64 * 29) % 2500) as u16
}

/// The counts of a line as bytes, `[band][pixel]`.
pub fn counts(number: u64) -> Vec<u8> {
    let all = (0..BANDS).flat_map(|band| (0..PIXELS).map(move |pixel| count(number, pixel, band)));
    all.flat_map(u16::to_le_bytes).collect()
}

/// The camera: until it is told to wait for frames, it gives references as fast as they are taken.
pub struct Camera {
    orders: Sender<u64>,
    sent: Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Camera {
    /// Listens at `socket`.
    pub fn listen(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let (orders, waiting) = channel();
        let (tell, sent) = channel();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let head = Head { shutter_open: true, by_order: false, stream: None, number: 0 };
            // The daemon closes its end when it ends, in the middle of a frame, too.
            let _ = serve(stream, head, &waiting, &tell);
        });
        Self { orders, sent, thread: Some(thread) }
    }

    /// From the next stream on, no frame comes but by [`Self::send`].
    pub fn by_order(&self) {
        self.send(0);
    }

    /// Sends so many frames, and returns when each has found a slot of the pool or none; gives how many there were in all.
    pub fn send(&self, frames: u64) -> u64 {
        self.orders.send(frames).unwrap();
        self.sent.recv_timeout(crate::rig::PATIENCE).unwrap()
    }

    /// Waits for its end, which is that of the daemon.
    pub fn ended(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Head {
    shutter_open: bool,
    by_order: bool,
    stream: Option<u32>,
    number: u64,
}

impl Head {
    /// The answer to a line.
    fn obey(&mut self, line: &str) -> Vec<u8> {
        let mut words = line.split(' ');
        let (id, word) = (words.next().unwrap(), words.next().unwrap());
        let value = |key: &str| line.split(' ').find_map(|pair| pair.strip_prefix(key)).unwrap();
        let mut answer = format!("id = {id}\n");
        match word {
            "apply" => answer += &line.split(' ').skip(2).map(|pair| format!("{}\n", pair.replace('=', " = "))).collect::<String>(),
            "shutter" => self.shutter_open = value("open=") == "1",
            "start" => (self.stream, self.number) = (Some(value("stream=").parse().unwrap()), 0),
            "stop" => self.stream = None,
            _ => {}
        }
        message(b"DONE", answer.as_bytes())
    }

    /// The next frame.
    fn frame(&mut self, stream: u32) -> Vec<u8> {
        let number = self.number;
        let level = if self.shutter_open { WHITE } else { DARK };
        let body = if self.by_order { counts(number) } else { level.to_le_bytes().repeat(PIXELS * BANDS) };
        self.number += 1;
        frame(number, stream, &body)
    }
}

fn message(tag: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [tag, (body.len() as u32).to_le_bytes().as_slice(), body].concat()
}

fn frame(number: u64, stream: u32, counts: &[u8]) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.extend([0; 16]);
    body.extend(stream.to_le_bytes());
    body.extend([0; 4]);
    body.extend(counts);
    message(b"FRAM", &body)
}

fn serve(mut stream: UnixStream, mut head: Head, orders: &Receiver<u64>, sent: &Sender<u64>) -> std::io::Result<()> {
    // Less than a frame fits between the two ends.
    setsockopt(&stream, sockopt::SndBuf, &1)?;
    stream.set_read_timeout(Some(Duration::from_millis(1)))?;
    let step = 2100.0 / (BANDS - 1) as f64;
    let wavelengths: Vec<String> = (0..BANDS).map(|band| format!("{:.2}", 400.0 + step * band as f64)).collect();
    let greeting = format!(
        "version = 1\nmodel = by order\npixels = {PIXELS}\nbands = {BANDS}\nwavelengths_nm = {}\nsaturation = {SATURATION}\n\
         shutter = 1\nmax_frame_rate_hz = 1000\nexposure_range_us = 10,100000\n",
        wavelengths.join(",")
    );
    stream.write_all(&message(b"HELO", greeting.as_bytes()))?;
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => heard.extend(&piece[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        while let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = heard.drain(..=end).collect();
            let answer = head.obey(String::from_utf8(line).unwrap().trim_end());
            stream.write_all(&answer)?;
        }
        match (head.stream, orders.try_recv()) {
            (Some(number), Ok(frames)) => {
                for _ in 0..frames {
                    stream.write_all(&head.frame(number))?;
                }
                // A frame of no stream is read and passed over; where it fits, those before it were looked at.
                stream.write_all(&frame(0, 0, &counts(0)))?;
                let _ = sent.send(head.number);
            }
            (None, Ok(_)) => {
                head.by_order = true;
                let _ = sent.send(0);
            }
            (Some(number), Err(_)) if !head.by_order => stream.write_all(&head.frame(number))?,
            (_, Err(_)) => {}
        }
    }
}
