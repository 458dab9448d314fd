//! Frames, and the fixed pool of their memory.

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Storage of one detector element in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelFormat {
    /// Unsigned 16-bit counts (8 to 16 bit detectors, unpacked).
    U16,
    /// 32-bit floating point, for recordings of counts, radiance or reflectance in other formats.
    F32,
}

impl PixelFormat {
    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }
}

/// The shape of a frame: one line of the scene, stored `[band][pixel]` (ENVI's BIL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layout {
    /// Pixels across the belt.
    pub pixels: usize,
    /// Spectral bands.
    pub bands: usize,
    /// Storage of one element.
    pub format: PixelFormat,
}

impl Layout {
    /// Elements of one frame.
    pub const fn elements(&self) -> usize {
        self.pixels * self.bands
    }

    /// Bytes of one frame.
    pub const fn bytes(&self) -> usize {
        self.elements() * self.format.bytes()
    }
}

/// The camera's verdict on a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameStatus {
    /// Complete.
    #[default]
    Ok,
    /// Part of the frame did not arrive. Its counts must not be used.
    Incomplete,
}

/// The stamps of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FrameInfo {
    /// The camera's frame number since the start of the stream, unwrapped by the driver (see
    /// [`FrameCounter`](crate::FrameCounter)). It increases strictly. A step of more than one means lost frames.
    pub number: u64,
    /// The camera's own clock at exposure, ns, where it has one.
    pub device_time_ns: Option<u64>,
    /// Host time at exposure, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Belt position at exposure, mm, where the frame itself brings it (a recording, an encoder value in the frame).
    pub position_mm: Option<f64>,
    /// Exposure of this frame, µs, where the camera gives it.
    pub exposure_us: Option<f32>,
    /// Detector temperature, degrees Celsius, where the camera gives it.
    pub temperature_c: Option<f32>,
    /// Whether the counts can be used.
    pub status: FrameStatus,
}

/// A slot of a [`FramePool`]: memory for one frame. A drop gives it back.
#[derive(Debug)]
pub struct Slot {
    layout: Layout,
    room: usize,
    memory: Option<Box<[u64]>>,
    home: Home,
}

impl Slot {
    /// The shape of the frame this slot holds.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The frame's bytes, in the machine's byte order.
    pub fn bytes(&self) -> &[u8] {
        let memory = self.memory.as_deref().unwrap_or(&[]);
        &bytemuck::cast_slice(&memory[first(memory)..])[..self.layout.bytes()]
    }

    /// The frame's bytes for filling.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let bytes = self.layout.bytes();
        let memory = self.memory.as_deref_mut().unwrap_or(&mut []);
        let first = first(memory);
        &mut bytemuck::cast_slice_mut(&mut memory[first..])[..bytes]
    }

    /// The frame's bytes and the room behind them (see [`FramePool::with_room`]). Some drivers receive more than the counts.
    pub fn room_mut(&mut self) -> &mut [u8] {
        let bytes = self.layout.bytes() + self.room;
        let memory = self.memory.as_deref_mut().unwrap_or(&mut []);
        let first = first(memory);
        &mut bytemuck::cast_slice_mut(&mut memory[first..])[..bytes]
    }

    /// The counts `[band][pixel]`. `None` unless the format is [`PixelFormat::U16`].
    pub fn as_u16(&self) -> Option<&[u16]> {
        (self.layout.format == PixelFormat::U16).then(|| bytemuck::cast_slice(self.bytes()))
    }

    /// The values `[band][pixel]`. `None` unless the format is [`PixelFormat::F32`].
    pub fn as_f32(&self) -> Option<&[f32]> {
        (self.layout.format == PixelFormat::F32).then(|| bytemuck::cast_slice(self.bytes()))
    }

    /// The counts `[band][pixel]` for filling. `None` unless the format is [`PixelFormat::U16`].
    pub fn as_u16_mut(&mut self) -> Option<&mut [u16]> {
        (self.layout.format == PixelFormat::U16).then(|| bytemuck::cast_slice_mut(self.bytes_mut()))
    }

    /// The values `[band][pixel]` for filling. `None` unless the format is [`PixelFormat::F32`].
    pub fn as_f32_mut(&mut self) -> Option<&mut [f32]> {
        (self.layout.format == PixelFormat::F32).then(|| bytemuck::cast_slice_mut(self.bytes_mut()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.home.take_back(memory);
        }
    }
}

/// One detector read-out: a filled slot and its stamps.
#[derive(Debug)]
pub struct Frame {
    /// The stamps.
    pub info: FrameInfo,
    /// The counts.
    pub slot: Slot,
}

/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

/// Index of the frame's first word in the memory of its slot. It begins a cache line. A few pixels of a band then share one.
fn first(memory: &[u64]) -> usize {
    memory.as_ptr().align_offset(CACHE_LINE).min(memory.len()).min(CACHE_LINE / 8 - 1)
}

/// Number of slots that are used before all others. Their memory is still in a cache.
const WARM: usize = 4;

/// The way back of slots.
#[derive(Debug, Clone)]
struct Home {
    warm: Sender<Box<[u64]>>,
    others: Sender<Box<[u64]>>,
}

impl Home {
    fn take_back(&self, memory: Box<[u64]>) {
        if let Err(full) = self.warm.try_send(memory) {
            // The pool may be gone already. Then the memory is simply freed.
            let _ = self.others.try_send(full.into_inner());
        }
    }
}

/// A fixed number of frame slots. A frame is lost here, and only here, when no slot is free. Everything behind the pool blocks.
#[derive(Debug, Clone)]
pub struct FramePool {
    layout: Layout,
    room: usize,
    slots: usize,
    warm: Receiver<Box<[u64]>>,
    others: Receiver<Box<[u64]>>,
    home: Home,
    /// Least number of free slots since the count began.
    least: Arc<AtomicUsize>,
}

impl FramePool {
    /// Allocates `slots` frames of `layout`, and nothing afterwards.
    pub fn new(layout: Layout, slots: usize) -> Self {
        Self::with_room(layout, slots, 0)
    }

    /// Does the same, with `room` bytes behind the counts of each frame.
    pub fn with_room(layout: Layout, slots: usize, room: usize) -> Self {
        let slots = slots.max(1);
        let (to_warm, warm) = bounded(WARM.min(slots));
        let (to_others, others) = bounded(slots);
        let home = Home { warm: to_warm, others: to_others };
        for _ in 0..slots {
            #[expect(
                clippy::slow_vector_initialization,
                reason = "written to, so that memory is found now, not when the first frame comes"
            )]
            let mut memory = Vec::new();
            memory.resize((layout.bytes() + room).div_ceil(8) + CACHE_LINE / 8 - 1, 0_u64);
            home.take_back(memory.into_boxed_slice());
        }
        Self { layout, room, slots, warm, others, home, least: Arc::new(AtomicUsize::new(slots)) }
    }

    /// The shape of every frame of this pool.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Number of slots in all.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Number of free slots.
    pub fn free(&self) -> usize {
        self.warm.len() + self.others.len()
    }

    /// Least number of free slots since [`Self::count_anew`].
    pub fn least_free(&self) -> usize {
        self.least.load(Ordering::Relaxed)
    }

    /// Begins to count the least number of free slots.
    pub fn count_anew(&self) {
        self.least.store(self.free(), Ordering::Relaxed);
    }

    /// A free slot. `None` when all are in use: the frame is lost at the pool's door.
    pub fn try_take(&self) -> Option<Slot> {
        self.warm.try_recv().or_else(|_| self.others.try_recv()).ok().map(|memory| self.slot(memory))
    }

    /// A free slot. The call waits for one until `deadline`, for sources that can wait (recordings).
    pub fn take(&self, deadline: Instant) -> Option<Slot> {
        self.try_take().or_else(|| {
            // Slots come back to the warm ones first. All of them are taken, so there is room.
            self.warm.recv_deadline(deadline).ok().map(|memory| self.slot(memory)).or_else(|| self.try_take())
        })
    }

    fn slot(&self, memory: Box<[u64]>) -> Slot {
        self.least.fetch_min(self.free(), Ordering::Relaxed);
        Slot { layout: self.layout, room: self.room, memory: Some(memory), home: self.home.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_gives_out_its_slots_and_takes_them_back() {
        let pool = FramePool::new(Layout { pixels: 3, bands: 5, format: PixelFormat::U16 }, 2);
        let mut a = pool.try_take().unwrap();
        let _b = pool.try_take().unwrap();
        assert!(pool.try_take().is_none());
        assert_eq!(a.bytes().len(), 30);
        assert_eq!(a.bytes().as_ptr() as usize % CACHE_LINE, 0);
        a.as_u16_mut().unwrap()[14] = 7;
        assert_eq!(a.as_u16().unwrap()[14], 7);
        assert!(a.as_f32().is_none());
        drop(a);
        assert_eq!(pool.free(), 1);
        assert!(pool.try_take().is_some());
    }

    #[test]
    fn room_lies_behind_the_counts() {
        let pool = FramePool::with_room(Layout { pixels: 3, bands: 5, format: PixelFormat::U16 }, 1, 7);
        let mut slot = pool.try_take().unwrap();
        slot.room_mut().copy_from_slice(&(1..=37).collect::<Vec<u8>>());
        assert_eq!((slot.bytes().len(), slot.bytes()[29]), (30, 30));
    }

    #[test]
    fn few_slots_are_used_again_and_again_and_all_of_them_when_needed() {
        let pool = FramePool::new(Layout { pixels: 1, bands: 1, format: PixelFormat::U16 }, 50);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let slot = pool.take(Instant::now()).unwrap();
            seen.insert(slot.bytes().as_ptr() as usize);
        }
        assert!(seen.len() <= WARM, "{}", seen.len());
        let all: Vec<Slot> = std::iter::from_fn(|| pool.try_take()).collect();
        assert_eq!((all.len(), pool.free()), (50, 0));
        assert!(pool.take(Instant::now()).is_none());
        drop(all);
        assert_eq!((pool.free(), pool.least_free()), (50, 0));
        pool.count_anew();
        let few: Vec<Slot> = (0..3).map_while(|_| pool.try_take()).collect();
        drop(few);
        assert_eq!((pool.free(), pool.least_free()), (50, 47));
    }
}
