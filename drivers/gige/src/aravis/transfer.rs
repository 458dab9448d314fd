//! The data half: a stream of the library, and the memory that it fills.

use super::fault::{Fault, text};
use super::ffi::{self, ArvBuffer, ArvStream};
use contract::Slot;
use std::collections::HashMap;
use std::ffi::{c_int, c_uint};
use std::ptr;

/// Settings of a GigE Vision stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamOptions {
    /// Memory of the socket, bytes.
    pub socket_buffer: c_int,
    /// Whether missing packets are requested again.
    pub resend: bool,
    /// Time after which an incomplete frame is given up, µs.
    pub frame_retention_us: c_uint,
}

/// Memory for the reception of a frame.
#[derive(Debug)]
pub enum Memory {
    /// A slot of the frame pool.
    Pool(Slot),
    /// Memory of the driver.
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

/// A frame as it arrived.
#[derive(Debug)]
pub struct Arrived {
    /// Memory with the frame.
    pub memory: Memory,
    /// The frame's id. `None` where its packet is missing.
    pub id: Option<u64>,
    /// Whether every packet came.
    pub complete: bool,
    /// The camera's time, ns.
    pub device_time_ns: Option<u64>,
    /// Arrival of the first packet, ns since 1970, where it is known.
    pub arrived_ns: Option<i64>,
}

/// The mark of a missing id. GigE Vision never sends 0. USB3 Vision does not get so far.
const NO_ID: u64 = u64::MAX;

/// A stream, and all memory that the library may write to. Only one thread uses it.
pub struct Transfer {
    stream: *mut ArvStream,
    /// Bytes of a buffer.
    bytes: usize,
    /// The library's objects for memory that it does not have now, by the address of that memory. Pool memory comes again.
    /// Nothing is allocated for each frame.
    idle: HashMap<usize, *mut ArvBuffer>,
    /// Memory in the library's hands, by its address.
    lent: HashMap<usize, Memory>,
}

// SAFETY: the stream's object is bound to no thread. Nobody else holds it, and `Transfer` is not `Sync`.
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
            // SAFETY: the caller promises a stream. It is one of GigE Vision, which has these properties of these types.
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

    /// Number of buffers in the library's hands, filled or not.
    pub fn lent(&self) -> usize {
        self.lent.len()
    }

    /// Lends memory to the library. Memory that is too small comes back as the error.
    pub fn lend(&mut self, mut memory: Memory) -> Result<(), Memory> {
        let bytes = memory.bytes_mut();
        if bytes.len() < self.bytes {
            return Err(memory);
        }
        let (size, start) = (self.bytes, bytes.as_mut_ptr());
        let address = start.addr();
        // SAFETY: the memory holds `size` bytes. It stays in `lent` until the library returned the buffer, or its thread has
        // ended. It is not touched meanwhile, and moving the handle does not move it. An idle buffer of that address is ours, and
        // of the same memory. Pool and size do not change during a stream. A pushed buffer belongs to the stream.
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

    /// The next frame, within this time, µs.
    pub fn next(&mut self, within_us: u64) -> Option<Arrived> {
        // SAFETY: the stream is valid. A buffer from it is ours. The requests to the buffer only read.
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
            // The library stamps with the computer's clock, which may be set meanwhile.
            arrived_ns: i64::try_from(arrived).ok().filter(|ns| *ns > 0).map(|ns| ns - contract::clock_step_ns()),
        })
    }

    /// Every counter of the library for this stream, by its name.
    pub fn counters(&self) -> Vec<(String, u64)> {
        // SAFETY: the stream is valid, and the indices are below the count. Names live as long as the stream. Only whole numbers
        // are read.
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
        // SAFETY: nobody else holds the stream. This ends the library's thread and frees its buffers. They do not own the memory,
        // which is freed after this. Idle buffers are ours.
        unsafe {
            for buffer in self.idle.values() {
                ffi::g_object_unref(buffer.cast::<std::ffi::c_void>());
            }
            ffi::g_object_unref(self.stream.cast());
        }
    }
}
