//! Frames from the library to the frame pool, with one thread for each stream.

use crate::aravis::{Arrived, Memory, Transfer};
use crate::clock::Clock;
use crate::config::{ByteOrder, Config, StatusLineConfig};
use crate::control::Celsius;
use crate::pixels::PixelFormat;
use crate::settings::Named;
use crate::status_line::{self, StatusLine};
use contract::{CameraError, CounterError, Frame, FrameCounter, FrameInfo, FramePool, FrameStatus, Slot};
use crossbeam_channel::{Sender, TrySendError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest wait for a frame between two looks at the stop flag, µs.
const POLL_INTERVAL_US: u64 = 20_000;
/// Interval of the readings of the library's counters.
const COUNT: Duration = Duration::from_millis(500);
/// Least number of buffers in the library. It then sees every frame.
const LEAST_LENT: usize = 4;
/// Largest number of buffers in the driver's own memory.
const MOST_OWN: usize = 32;

/// Counters of a stream.
#[derive(Debug, Default)]
pub struct Counters {
    pub received: AtomicU64,
    pub lost_pool: AtomicU64,
    pub lost_link: AtomicU64,
    /// Frames that were received into the driver's own memory and copied.
    pub copied: AtomicU64,
    /// Frames with an id out of order. They came twice, or late.
    pub out_of_order: AtomicU64,
    /// Counters of the library.
    pub library: Mutex<Vec<(String, u64)>>,
}

/// The parts of a stream.
pub struct Flow {
    pub named: Named,
    pub config: Config,
    pub transfer: Transfer,
    /// Bytes of a buffer.
    pub payload: usize,
    pub pool: FramePool,
    pub frames: Sender<Result<Frame, CameraError>>,
    pub counters: Arc<Counters>,
    pub numbers: Numbers,
    pub stopped: Arc<AtomicBool>,
    pub lost: Arc<AtomicBool>,
    pub celsius: Arc<Celsius>,
    /// Time from the middle of the exposure to the arrival of the frame, ns.
    pub latency_ns: i64,
    pub exposure_us: f64,
    /// Wanted number of buffers in the library.
    pub wanted: usize,
    /// Whether frames are received into slots.
    pub direct: bool,
    /// The driver's own memory that is free.
    pub spare: Vec<Vec<u8>>,
}

/// Numbers of lines from frame ids, or from counters of the status line.
pub struct Numbers {
    pub ids: FrameCounter,
    /// Bits of the ids.
    pub bits: u32,
    /// The frame counter of the status line.
    pub counter: FrameCounter,
    /// The last value of the counter of missed triggers, and their number so far.
    missed: Option<(u32, u64)>,
    pub status_line: Option<StatusLineConfig>,
}

impl Numbers {
    /// Numbers from ids of `bits` bits.
    pub fn new(bits: u32, status_line: Option<StatusLineConfig>) -> Self {
        // Ids of GigE Vision 1.x skip 0. Cameras do not agree on where a stream begins.
        Self { ids: FrameCounter::new(bits, bits == 16), bits, counter: FrameCounter::new(32, false), missed: None, status_line }
    }

    /// The number of a frame. `None` without a source for it.
    fn of(&mut self, id: Option<u64>, line: Option<&StatusLine>) -> Result<Option<u64>, CounterError> {
        let Some(config) = &self.status_line else { return id.map(|id| self.ids.number(id)).transpose() };
        // A frame without its status line has no number. The next one shows that it is missing.
        let number = match (config.frame_counter, line, id) {
            (Some(which), Some(line), _) => self.counter.number(u64::from(line.counters[which]))?,
            (None, _, Some(id)) => self.ids.number(id)?,
            _ => return Ok(None),
        };
        if let (Some(which), Some(line)) = (config.missed_counter, line) {
            let raw = line.counters[which];
            let (last, so_far) = self.missed.unwrap_or((raw, 0));
            self.missed = Some((raw, so_far + u64::from(raw.wrapping_sub(last))));
        }
        Ok(Some(number + self.missed.map_or(0, |(_, so_far)| so_far)))
    }
}

impl Flow {
    /// Runs until a stop, the end of the reader, or the loss of the camera.
    pub fn run(mut self) {
        let mut clock = Clock::default();
        let mut next = 0_u64;
        let mut counted = Instant::now();
        while !self.stopped.load(Ordering::Acquire) {
            self.lend();
            let frame = self.transfer.next(POLL_INTERVAL_US);
            if counted.elapsed() > COUNT {
                counted = Instant::now();
                self.count();
            }
            let ended = match frame {
                Some(arrived) => self.take(arrived, &mut next, &mut clock),
                None if self.lost.load(Ordering::Acquire) => {
                    Err(self.named.link("its control was lost: it was switched off, unplugged, started anew, or another program took it"))
                }
                None => Ok(true),
            };
            match ended {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    // There is a place for it.
                    let _ = self.frames.try_send(Err(error));
                    break;
                }
            }
        }
        self.count();
    }

    fn count(&self) {
        *self.counters.library.lock().unwrap_or_else(PoisonError::into_inner) = self.transfer.counters();
    }

    /// Lends the library its buffers: slots, and the driver's own memory where there are none. The library then receives every
    /// frame. A frame without a slot is seen too.
    fn lend(&mut self) {
        while self.direct && self.transfer.lent() < self.wanted {
            let Some(slot) = self.pool.try_take() else { break };
            // A pool may have no room behind the counts.
            self.direct = self.transfer.lend(Memory::Pool(slot)).is_ok();
        }
        let least = if self.direct { LEAST_LENT } else { self.wanted.clamp(LEAST_LENT, MOST_OWN) };
        while self.transfer.lent() < least {
            let memory = self.spare.pop().unwrap_or_else(|| vec![0; self.payload]);
            if self.transfer.lend(Memory::Own(memory)).is_err() {
                break;
            }
        }
    }

    /// Takes a frame. Returns whether the reader still exists.
    fn take(&mut self, arrived: Arrived, next: &mut u64, clock: &mut Clock) -> Result<bool, CameraError> {
        let Arrived { mut memory, id, complete, device_time_ns, arrived_ns } = arrived;
        let line = if complete { self.status_line(&mut memory) } else { None };
        let number = match self.numbers.of(id, line.as_ref()) {
            Ok(Some(number)) => number,
            // The number of the next whole frame shows that this one is missing.
            Ok(None) => return Ok(true),
            Err(CounterError::Impossible { raw, .. }) if self.numbers.bits == 16 => {
                return Err(self.named.link(format!("its frame ids have more than 16 bits ({raw}); set frame_id_bits = 64")));
            }
            Err(_) => {
                self.counters.out_of_order.fetch_add(1, Ordering::Relaxed);
                return Ok(true);
            }
        };
        if number > *next {
            self.missing(number - *next);
        }
        *next = number + 1;
        let Some(slot) = self.slot(memory) else {
            self.counters.lost_pool.fetch_add(1, Ordering::Relaxed);
            return Ok(true);
        };
        let arrived_ns = arrived_ns.unwrap_or_else(contract::now_ns);
        let host_ns = device_time_ns.map_or(arrived_ns, |device| clock.host_ns(device, arrived_ns));
        let integration = |line: StatusLine| {
            let unit = self.config.status_line.as_ref().map_or(1.0, |config| config.exposure_unit_us);
            f64::from(line.integration) * unit
        };
        let info = FrameInfo {
            number,
            device_time_ns,
            time_ns: host_ns - self.latency_ns,
            exposure_us: Some(line.map_or(self.exposure_us, integration) as f32),
            temperature_c: self.celsius.get(),
            status: if complete { FrameStatus::Ok } else { FrameStatus::Incomplete },
            ..FrameInfo::default()
        };
        // The count comes first. The receiver may ask at once. There is room, because every frame under way holds a slot.
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        match self.frames.try_send(Ok(Frame { info, slot })) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.counters.received.fetch_sub(1, Ordering::Relaxed);
                Ok(false)
            }
        }
    }

    /// Counts lost frames before this one. Without memory in the library the pool lost them. Its thread then came too late.
    fn missing(&mut self, count: u64) {
        let before = self.underruns();
        self.count();
        let lost = if self.underruns() > before { &self.counters.lost_pool } else { &self.counters.lost_link };
        lost.fetch_add(count, Ordering::Relaxed);
    }

    fn underruns(&self) -> u64 {
        let library = self.counters.library.lock().unwrap_or_else(PoisonError::into_inner);
        library.iter().find(|(name, _)| name == "n_underruns").map_or(0, |(_, count)| *count)
    }

    /// The frame in a slot. `None` without a free one.
    fn slot(&mut self, memory: Memory) -> Option<Slot> {
        let big = self.config.byte_order == ByteOrder::Big;
        match memory {
            Memory::Pool(mut slot) => {
                if big && let Some(counts) = slot.as_u16_mut() {
                    counts.iter_mut().for_each(|count| *count = count.swap_bytes());
                }
                Some(slot)
            }
            Memory::Own(bytes) => {
                let mut slot = self.pool.try_take();
                if let Some(counts) = slot.as_mut().and_then(Slot::as_u16_mut) {
                    self.config.pixel_format.unpack(&bytes, big, counts);
                    self.counters.copied.fetch_add(1, Ordering::Relaxed);
                }
                self.spare.push(bytes);
                slot
            }
        }
    }

    /// The status line, where the camera sends one.
    fn status_line(&self, memory: &mut Memory) -> Option<StatusLine> {
        self.numbers.status_line.as_ref()?;
        let bytes = match memory {
            Memory::Pool(slot) => slot.room_mut(),
            Memory::Own(bytes) => bytes.as_mut_slice(),
        };
        let first = self.config.pixels * self.config.bands;
        StatusLine::read(&pixels_from(self.config.pixel_format, bytes, first, self.config.byte_order == ByteOrder::Big))
    }
}

/// The pixels of a status line that begins at pixel `first` of an image.
fn pixels_from(format: PixelFormat, image: &[u8], first: usize, big: bool) -> [u16; status_line::PIXELS] {
    // A group of packed pixels may begin before it.
    let before = first % 4;
    let mut all = [0_u16; status_line::PIXELS + 4];
    format.unpack(image.get(format.bytes(first - before)..).unwrap_or(&[]), big, &mut all);
    let mut pixels = [0; status_line::PIXELS];
    pixels.copy_from_slice(&all[before..before + status_line::PIXELS]);
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: StatusLineConfig = StatusLineConfig { frame_counter: Some(0), missed_counter: Some(2), exposure_unit_us: 1.0 };

    fn line(frame: u32, missed: u32) -> StatusLine {
        StatusLine { counters: [frame, 0, missed, 0], integration: 0 }
    }

    #[test]
    fn missed_triggers_are_missing_lines() {
        let mut numbers = Numbers::new(16, Some(COUNTED));
        let mut number = |frame, missed| numbers.of(Some(1), Some(&line(frame, missed))).unwrap();
        assert_eq!([number(u32::MAX, 5), number(0, 5), number(1, 7), number(3, 7)], [Some(0), Some(1), Some(4), Some(6)]);
        // A frame without its line has no number. The number of missed triggers stays.
        assert_eq!(numbers.of(Some(2), None), Ok(None));
        assert_eq!(numbers.of(Some(3), Some(&line(5, 8))), Ok(Some(9)));
    }

    #[test]
    fn ids_number_lines_where_no_counter_is_named() {
        let mut numbers = Numbers::new(16, None);
        assert_eq!(
            [numbers.of(Some(65_535), None), numbers.of(None, None), numbers.of(Some(2), None)],
            [Ok(Some(0)), Ok(None), Ok(Some(2))]
        );
    }

    #[test]
    fn a_status_line_is_found_behind_rows_of_any_format() {
        for format in [PixelFormat::Mono8, PixelFormat::Mono10p, PixelFormat::Mono12Packed, PixelFormat::Mono16] {
            // Two rows of 101 pixels lie before it.
            let image: Vec<u8> = (0..format.bytes(303)).map(|i| (i * 37 % 251) as u8).collect();
            let mut all = vec![0; 303];
            format.unpack(&image, false, &mut all);
            assert_eq!(pixels_from(format, &image, 202, false)[..], all[202..302], "{}", format.name());
        }
    }
}
