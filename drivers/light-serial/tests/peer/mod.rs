//! Controllers as scripts behind a pseudo-terminal, or behind TCP.
#![allow(dead_code, clippy::unwrap_used)]

use light_serial::{Config, Protocol};
use serialport::SerialPort;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The fault of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Sound,
    Silent,
    Garbage,
    Half,
    /// The lamp takes no current.
    Dead,
    /// Every request is refused.
    Refuses,
    /// The answer is yes, and the action is another.
    Lies,
}

pub struct Peer {
    pub place: String,
    pub mode: Arc<Mutex<Mode>>,
    /// Every question, as text.
    pub heard: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _end: Option<serialport::TTYPort>,
    protocol: Protocol,
}

impl Peer {
    pub fn serial(protocol: Protocol) -> Self {
        let (mut master, end) = serialport::TTYPort::pair().unwrap();
        master.set_timeout(Duration::from_millis(5)).unwrap();
        let place = end.name().unwrap();
        let mut peer = Self::new(protocol, place);
        peer._end = Some(end);
        let (mode, heard, stop) = (Arc::clone(&peer.mode), Arc::clone(&peer.heard), Arc::clone(&peer.stop));
        peer.thread = Some(std::thread::spawn(move || serve(&mut master, &mut Controller::new(protocol), &mode, &heard, &stop)));
        peer
    }

    pub fn tcp(protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = Self::new(protocol, listener.local_addr().unwrap().to_string());
        let (mode, heard, stop) = (Arc::clone(&peer.mode), Arc::clone(&peer.heard), Arc::clone(&peer.stop));
        peer.thread = Some(std::thread::spawn(move || {
            let mut controller = Controller::new(protocol);
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if stop.load(Ordering::Acquire) {
                    return;
                }
                stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
                serve(&mut stream, &mut controller, &mode, &heard, &stop);
            }
        }));
        peer
    }

    fn new(protocol: Protocol, place: String) -> Self {
        let mode = Arc::new(Mutex::new(Mode::Sound));
        Self { place, mode, heard: Arc::default(), stop: Arc::default(), thread: None, _end: None, protocol }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    pub fn config(&self) -> Config {
        let serial = self.place.starts_with('/');
        let supply = self.protocol == Protocol::Scpi;
        Config {
            protocol: self.protocol,
            port: serial.then(|| self.place.clone().into()),
            baud: None,
            address: (!serial).then(|| self.place.clone()),
            channel: 1,
            timeout_ms: 150,
            heartbeat_ms: 60_000,
            safe_level: 0.0,
            volts: supply.then_some(12.0),
            min_amperes: supply.then_some(3.0),
            answers: true,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if !self.place.starts_with('/') {
            let _ = std::net::TcpStream::connect(&self.place);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve<S: Read + Write>(stream: &mut S, controller: &mut Controller, mode: &Mutex<Mode>, heard: &Mutex<Vec<String>>, stop: &AtomicBool) {
    let (mut waiting, mut piece) = (Vec::new(), [0_u8; 64]);
    while !stop.load(Ordering::Acquire) {
        match stream.read(&mut piece) {
            Ok(0) => return,
            Ok(n) => waiting.extend_from_slice(&piece[..n]),
            Err(e) if matches!(e.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock) => {}
            Err(_) => return,
        }
        while let Some(length) = controller.question(&waiting) {
            let question: Vec<u8> = waiting.drain(..length).collect();
            let mode = *mode.lock().unwrap();
            heard.lock().unwrap().push(question.escape_ascii().to_string());
            let answer = controller.answer(&question, mode);
            let answer = match mode {
                Mode::Silent => Vec::new(),
                Mode::Garbage if !answer.is_empty() => [b"\xF0\x9Fzz!%".as_slice(), controller.end()].concat(),
                Mode::Half => answer[..answer.len() / 3].to_vec(),
                _ => answer,
            };
            let _ = stream.write_all(&answer);
        }
    }
}

/// Two channels, as each maker's controller has them.
struct Controller {
    protocol: Protocol,
    level: [f64; 3],
    on: [bool; 3],
}

impl Controller {
    fn new(protocol: Protocol) -> Self {
        Self { protocol, level: [0.0; 3], on: [false; 3] }
    }

    fn end(&self) -> &'static [u8] {
        match self.protocol {
            Protocol::Gardasoft => b">",
            Protocol::Ccs => b"\r\n",
            Protocol::Scpi | Protocol::Relay => b"\n",
        }
    }

    /// Length of the first question, once it is whole.
    fn question(&self, waiting: &[u8]) -> Option<usize> {
        let end = match self.protocol {
            Protocol::Gardasoft => b'\r',
            Protocol::Ccs | Protocol::Scpi => b'\n',
            Protocol::Relay => return waiting.first().and_then(|b| if *b == 0xFF { Some(1) } else { (waiting.len() >= 4).then_some(4) }),
        };
        waiting.iter().position(|b| *b == end).map(|at| at + 1)
    }

    fn answer(&mut self, question: &[u8], mode: Mode) -> Vec<u8> {
        let text = String::from_utf8_lossy(question).trim().to_owned();
        let factor = if mode == Mode::Lies { 0.5 } else { 1.0 };
        match self.protocol {
            Protocol::Gardasoft => {
                let said = if mode == Mode::Refuses {
                    "Err 5".to_owned()
                } else if text == "VR" {
                    "RT220-20 (HW03) V019".to_owned()
                } else if let Some(rest) = text.strip_prefix("RS") {
                    let (channel, percent) = rest.split_once(',').unwrap();
                    self.level[channel.parse::<usize>().unwrap()] = percent.parse::<f64>().unwrap() * factor;
                    String::new()
                } else {
                    let channel: usize = text.strip_prefix("ST").unwrap().parse().unwrap();
                    format!("CH {channel}, MD0, S{:.1}, DL0US, PU1MS, RT0US, IP0, FL0, CS0.500A, RA1.000A", self.level[channel])
                };
                format!("{text}{said}\r\n>").into_bytes()
            }
            Protocol::Ccs => {
                let (body, sum) = text.split_at(text.len() - 2);
                assert_eq!(u8::from_str_radix(sum, 16).unwrap(), sum_of(body), "{text}");
                let channel: usize = body[1..3].parse().unwrap();
                let said = match (&body[3..4], &body[body.len() - 1..]) {
                    _ if mode == Mode::Refuses => "N02".to_owned(),
                    ("F", "W") => {
                        self.level[channel] = (body[4..7].parse::<f64>().unwrap() * factor).round();
                        "O".into()
                    }
                    ("L", "W") => {
                        self.on[channel] = &body[4..5] == "1";
                        "O".into()
                    }
                    _ => format!("OF{:03}S01L{}", self.level[channel], u8::from(self.on[channel])),
                };
                let body = format!("@{channel:02}{said}");
                format!("{body}{:02X}\r\n", sum_of(&body)).into_bytes()
            }
            Protocol::Scpi => {
                let said = match text.as_str() {
                    "*IDN?" => "KORAD,KWR102,0001,V1.3".to_owned(),
                    "*CLS" => return Vec::new(),
                    "OUTP ON" | "OUTP OFF" => {
                        self.on[1] = text.ends_with("ON");
                        return Vec::new();
                    }
                    "OUTP?" => u8::from(self.on[1]).to_string(),
                    "VOLT?" => format!("{:.3}", self.level[1]),
                    "MEAS:CURR?" if mode == Mode::Dead => "0.012".into(),
                    "MEAS:CURR?" => format!("{:.3}", 4.1 * (self.level[1] / 12.0).sqrt()),
                    "SYST:ERR?" if mode == Mode::Refuses => "-222,\"Data out of range\"".into(),
                    "SYST:ERR?" => "0,\"No error\"".into(),
                    other => {
                        self.level[1] = other.strip_prefix("VOLT ").unwrap().parse::<f64>().unwrap() * factor;
                        return Vec::new();
                    }
                };
                format!("{said}\n").into_bytes()
            }
            Protocol::Relay => {
                if question == [0xFF] {
                    let state = |on: bool| if on { "ON" } else { "OFF" };
                    return format!("CH1: {}\r\nCH2: {}\r\n", state(self.on[1]), state(self.on[2])).into_bytes();
                }
                assert_eq!(question[3], question[0].wrapping_add(question[1]).wrapping_add(question[2]));
                self.on[usize::from(question[1])] = question[2] == 1 && mode != Mode::Lies && mode != Mode::Refuses;
                Vec::new()
            }
        }
    }
}

fn sum_of(text: &str) -> u8 {
    text.bytes().fold(0, u8::wrapping_add)
}
