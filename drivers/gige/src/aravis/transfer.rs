//! The data half: a stream of the library, and the memory that it fills.

use super::fault::{Fault, text};
use super::ffi::{self, ArvBuffer, ArvStream};
use contract::Slot;
use std::collections::HashMap;
use std::ffi::{c_int, c_uint};
use std::ptr;

/// What is set of a stream of GigE Vision.
#[derive(Debug, Clone, Copy)]
pub struct StreamOptions {
    /// Memory of the socket, bytes.
    pub socket_buffer: c_int,
    /// Whether packets that are missing are asked for again.
    pub resend: bool,
    /// A frame is given up after this long, µs.
    pub frame_retention_us: c_uint,
}

/// Memory that a frame is received into.
#[derive(Debug)]
pub enum Memory {
    /// A slot of the frame pool.
    Pool(Slot),
    /// The driver's own.
    Own(Vec<u8>),
}

impl Memory {
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Pool(slot) => slot.room_mut(),
            Self::Own(bytes) => bytes,
        }
    }
}

/// A frame as it came.
#[derive(Debug)]
pub struct Arrived {
    /// What it was received into.
    pub memory: Memory,
    /// Its id; `None` where the packet that tells it is missing.
    pub id: Option<u64>,
    /// Whether every packet came.
    pub complete: bool,
    /// The camera's time, ns.
    pub device_time_ns: Option<u64>,
    /// When its first packet came, ns since 1970, where that is known.
    pub arrived_ns: Option<i64>,
}

/// No id: GigE Vision never sends 0, USB3 Vision does not get so far.
const NO_ID: u64 = u64::MAX;

/// A stream, and all memory that the library may write to. Only one thread uses it.
pub struct Transfer {
    stream: *mut ArvStream,
    /// Bytes of a buffer.
    bytes: usize,
    /// The library's objects for memory that it does not have now, by the address of that memory. Memory comes from a pool and comes again:
    /// nothing is allocated for each frame.
    idle: HashMap<usize, *mut ArvBuffer>,
    /// Memory that the library has now, by its address.
    lent: HashMap<usize, Memory>,
}

// SAFETY: the stream's object is bound to no thread, nobody else holds it, and `Transfer` is not `Sync`.
unsafe impl Send for Transfer {}

impl Transfer {
    /// Takes a stream over.
    ///
    /// # Safety
    ///
    /// `stream` is null, or a stream that nobody else holds and that has no buffers yet.
    pub(super) unsafe fn adopt(stream: *mut ArvStream, bytes: usize, options: Option<StreamOptions>) -> Result<Self, Fault> {
        if stream.is_null() {
            return Err(Fault::link("it gives no stream"));
        }
        if let Some(StreamOptions { socket_buffer, resend, frame_retention_us }) = options {
            let fixed: c_int = 0;
            // SAFETY: the caller promises a stream; it is one of GigE Vision, which has these properties of these types.
            unsafe {
                ffi::g_object_set(
                    stream.cast(),
                    c"socket-buffer".as_ptr(),
                    fixed,
                    c"socket-buffer-size".as_ptr(),
                    socket_buffer,
                    c"packet-resend".as_ptr(),
                    c_int::from(resend),
                    c"frame-retention".as_ptr(),
                    frame_retention_us,
                    ptr::null::<u8>(),
                );
            }
        }
        Ok(Self { stream, bytes, idle: HashMap::new(), lent: HashMap::new() })
    }

    /// How many buffers the library has, filled or not.
    pub fn lent(&self) -> usize {
        self.lent.len()
    }

    /// Lends memory to the library; gives it back at once where it is too small.
    pub fn lend(&mut self, mut memory: Memory) -> Result<(), Memory> {
        let bytes = memory.bytes_mut();
        if bytes.len() < self.bytes {
            return Err(memory);
        }
        let (size, start) = (self.bytes, bytes.as_mut_ptr());
        let address = start.addr();
        // SAFETY: the memory holds `size` bytes. It is kept in `lent` until the library gave the buffer back, or its thread has ended, and is
        // not touched meanwhile; moving the handle does not move it. An idle buffer of that address is ours, and of the same memory: pool and
        // size do not change during a stream. What is pushed belongs to the stream.
        unsafe {
            let buffer = self.idle.remove(&address).unwrap_or_else(|| ffi::arv_buffer_new(size, start.cast()));
            ffi::arv_buffer_set_frame_id(buffer, NO_ID);
            ffi::arv_buffer_set_timestamp(buffer, 0);
            ffi::arv_buffer_set_system_timestamp(buffer, 0);
            self.lent.insert(address, memory);
            ffi::arv_stream_push_buffer(self.stream, buffer);
        }
        Ok(())
    }

    /// The next frame, waiting for it so long, µs.
    pub fn next(&mut self, within_us: u64) -> Option<Arrived> {
        // SAFETY: the stream is valid; a buffer that it gives is ours then, and all that is asked of it only reads.
        let (buffer, address, status, id, time, arrived) = unsafe {
            let buffer = ffi::arv_stream_timeout_pop_buffer(self.stream, within_us);
            if buffer.is_null() {
                return None;
            }
            let address = ffi::arv_buffer_get_data(buffer, ptr::null_mut()).addr();
            let (status, id) = (ffi::arv_buffer_get_status(buffer), ffi::arv_buffer_get_frame_id(buffer));
            (buffer, address, status, id, ffi::arv_buffer_get_timestamp(buffer), ffi::arv_buffer_get_system_timestamp(buffer))
        };
        self.idle.insert(address, buffer);
        let memory = self.lent.remove(&address)?;
        if status == ffi::ARV_BUFFER_STATUS_ABORTED || status == ffi::ARV_BUFFER_STATUS_CLEARED {
            // The stream ends.
            return None;
        }
        Some(Arrived {
            memory,
            id: (id != NO_ID).then_some(id),
            complete: status == ffi::ARV_BUFFER_STATUS_SUCCESS,
            device_time_ns: (time != 0).then_some(time),
            // The library stamps with the clock of the computer, however it is set meanwhile.
            arrived_ns: i64::try_from(arrived).ok().filter(|ns| *ns > 0).map(|ns| ns - contract::clock_step_ns()),
        })
    }

    /// Every counter of the library for this stream, by its name.
    pub fn counters(&self) -> Vec<(String, u64)> {
        // SAFETY: the stream is valid, the indices are below the count, names live as long as the stream, and only whole numbers are read.
        unsafe {
            (0..ffi::arv_stream_get_n_infos(self.stream))
                .filter(|i| ffi::arv_stream_get_info_type(self.stream, *i) == ffi::G_TYPE_UINT64)
                .map(|i| (text(ffi::arv_stream_get_info_name(self.stream, i)), ffi::arv_stream_get_info_uint64(self.stream, i)))
                .collect()
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        // SAFETY: nobody else holds the stream, so this ends the library's thread and frees the buffers that it has; they do not own the memory,
        // which is let go after this. Idle buffers are ours.
        unsafe {
            for buffer in self.idle.values() {
                ffi::g_object_unref(buffer.cast::<std::ffi::c_void>());
            }
            ffi::g_object_unref(self.stream.cast());
        }
    }
}
