//! The control half: a search for cameras, an open one, and its features.

use super::fault::{Fault, c_text, checked, text};
use super::ffi::{self, ArvCamera, ArvDevice, GError};
use super::transfer::{StreamOptions, Transfer};
use crate::found::Found;
use std::ffi::{c_char, c_double, c_int, c_uint, c_void};
use std::net::Ipv4Addr;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A camera in the library's list, with its id for opening.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The camera's identity.
    pub found: Found,
    /// The library's name of the camera.
    pub id: String,
}

/// The library has one list for the whole process, read by index.
static LIST: Mutex<()> = Mutex::new(());

/// Searches for cameras on every interface. It takes about a second.
pub fn list() -> Vec<Listed> {
    let _guard = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: no argument. The list is ours while the guard is held.
    let count = unsafe {
        ffi::arv_update_device_list();
        ffi::arv_get_n_devices()
    };
    let read = |function: unsafe extern "C" fn(c_uint) -> *const c_char, index| {
        // SAFETY: the index is below the count. The text belongs to the list, which does not change while the guard is held.
        unsafe { text(function(index)) }
    };
    (0..count)
        .map(|i| {
            let vendor = read(ffi::arv_get_device_vendor, i);
            let model = read(ffi::arv_get_device_model, i);
            let protocol = read(ffi::arv_get_device_protocol, i);
            let mut address = read(ffi::arv_get_device_address, i);
            if address.parse::<Ipv4Addr>().is_err() {
                address.clear();
            }
            let serial = read(ffi::arv_get_device_serial_nbr, i);
            let found = Found { model: format!("{vendor} {model}"), serial, address, protocol };
            Listed { found, id: read(ffi::arv_get_device_id, i) }
        })
        .collect()
}

/// An open camera, used by one thread at a time. Its methods fail with the library's [`Fault`].
pub struct Device {
    camera: *mut ArvCamera,
    lost: Arc<AtomicBool>,
}

// SAFETY: the object is bound to no thread. Nobody else holds it, and `Device` is not `Sync`.
unsafe impl Send for Device {}

/// Notes that the control of the camera was lost.
///
/// # Safety
///
/// `flag` is an `AtomicBool` that lives.
unsafe extern "C" fn control_lost(_device: *mut ArvDevice, flag: *mut c_void) {
    // SAFETY: the signal was connected with a pointer of an `Arc`. That `Arc` is kept until the signal is disconnected.
    unsafe { &*flag.cast::<AtomicBool>() }.store(true, Ordering::Release);
}

/// Frees the flag of a disconnected signal.
///
/// # Safety
///
/// `flag` came from `Arc::into_raw`. This is called once for it.
unsafe extern "C" fn disconnected(flag: *mut c_void, _closure: *mut c_void) {
    // SAFETY: as above.
    drop(unsafe { Arc::from_raw(flag.cast::<AtomicBool>().cast_const()) });
}

impl Device {
    /// Opens a camera by the library's name of it, or by its address.
    pub fn open(id: &str) -> Result<Self, Fault> {
        let id = c_text(id)?;
        // SAFETY: the text lives through the call, and the error pointer is valid.
        let camera = checked(|error| unsafe { ffi::arv_camera_new(id.as_ptr(), error) })?;
        Self::adopt(camera)
    }

    /// Opens a camera at an address, from an interface of this machine.
    pub fn open_from(interface: Ipv4Addr, address: Ipv4Addr) -> Result<Self, Fault> {
        let (interface, address) = (c_text(&interface.to_string())?, c_text(&address.to_string())?);
        // SAFETY: texts live through the calls. The two addresses are ours and are given back. The device is ours until the
        // camera holds it.
        unsafe {
            let interface = ffi::g_inet_address_new_from_string(interface.as_ptr());
            let address = ffi::g_inet_address_new_from_string(address.as_ptr());
            let device = checked(|error| ffi::arv_gv_device_new(interface, address, error));
            ffi::g_object_unref(interface.cast());
            ffi::g_object_unref(address.cast());
            let device = device?;
            if device.is_null() {
                return Err(Fault::link("no camera answers there"));
            }
            let camera = checked(|error| ffi::arv_camera_new_with_device(device, error));
            ffi::g_object_unref(device.cast());
            Self::adopt(camera?)
        }
    }

    fn adopt(camera: *mut ArvCamera) -> Result<Self, Fault> {
        if camera.is_null() {
            return Err(Fault::link("no such camera answers"));
        }
        let lost = Arc::new(AtomicBool::new(false));
        let flag = Arc::into_raw(Arc::clone(&lost)).cast_mut().cast();
        // SAFETY: the camera is valid and holds its device. Handler and flag fit the signal. The flag is freed when the signal is
        // disconnected.
        unsafe {
            // Not every camera refuses a value beyond its own limits.
            ffi::arv_camera_set_range_check_policy(camera, ffi::ARV_RANGE_CHECK_POLICY_ENABLE);
            let device = ffi::arv_camera_get_device(camera);
            ffi::g_signal_connect_data(device.cast(), c"control-lost".as_ptr(), control_lost, flag, disconnected, 0);
        }
        Ok(Self { camera, lost })
    }

    /// A flag for a lost camera. It is set once the library says that the camera is no longer ours.
    pub fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }

    /// Whether it is on GigE Vision.
    pub fn is_gige(&self) -> bool {
        // SAFETY: the camera is valid.
        unsafe { ffi::arv_camera_is_gv_device(self.camera) != 0 }
    }

    /// Asks a camera on GigE Vision for control again. It grants control only if it is there and free.
    pub fn take_control(&self) -> Result<(), Fault> {
        // SAFETY: the camera is valid. Its device is one of GigE Vision, as the function wants.
        let taken = checked(|error| unsafe { ffi::arv_gv_device_take_control(ffi::arv_camera_get_device(self.camera), error) })?;
        if taken == 0 { Err(Fault::link("another program controls it")) } else { Ok(()) }
    }

    /// Reads a value.
    fn get<T>(&self, function: unsafe extern "C" fn(*mut ArvCamera, *mut *mut GError) -> T) -> Result<T, Fault> {
        // SAFETY: the camera is valid, and so is the error pointer.
        checked(|error| unsafe { function(self.camera, error) })
    }

    /// Sets a value.
    fn set<A>(&self, function: unsafe extern "C" fn(*mut ArvCamera, A, *mut *mut GError), value: A) -> Result<(), Fault> {
        // SAFETY: the camera is valid, and so is the error pointer. The caller keeps texts.
        checked(|error| unsafe { function(self.camera, value, error) })
    }

    /// Reads two numbers.
    fn bounds(
        &self,
        function: unsafe extern "C" fn(*mut ArvCamera, *mut c_double, *mut c_double, *mut *mut GError),
    ) -> Result<(f64, f64), Fault> {
        let (mut least, mut most) = (0.0, 0.0);
        // SAFETY: the camera and all pointers are valid through the call.
        checked(|error| unsafe { function(self.camera, &mut least, &mut most, error) })?;
        Ok((least, most))
    }

    fn read_text(&self, function: unsafe extern "C" fn(*mut ArvCamera, *mut *mut GError) -> *const c_char) -> Result<String, Fault> {
        let found = self.get(function)?;
        // SAFETY: the text belongs to the camera and stays until the next request.
        Ok(unsafe { text(found) })
    }

    /// Maker and model.
    pub fn model(&self) -> Result<String, Fault> {
        Ok(format!("{} {}", self.read_text(ffi::arv_camera_get_vendor_name)?, self.read_text(ffi::arv_camera_get_model_name)?))
    }

    /// Serial number.
    pub fn serial(&self) -> Result<String, Fault> {
        self.read_text(ffi::arv_camera_get_device_serial_number)
    }

    /// Sets the region: x, y, width, height.
    pub fn set_region(&self, [x, y, width, height]: [c_int; 4]) -> Result<(), Fault> {
        // SAFETY: the camera and the error pointer are valid.
        checked(|error| unsafe { ffi::arv_camera_set_region(self.camera, x, y, width, height, error) })
    }

    /// The region: x, y, width, height.
    pub fn region(&self) -> Result<[c_int; 4], Fault> {
        let [mut x, mut y, mut width, mut height] = [0; 4];
        // SAFETY: the camera and all pointers are valid through the call.
        checked(|error| unsafe { ffi::arv_camera_get_region(self.camera, &mut x, &mut y, &mut width, &mut height, error) })?;
        Ok([x, y, width, height])
    }

    /// Whether elements can be binned.
    pub fn can_bin(&self) -> Result<bool, Fault> {
        Ok(self.get(ffi::arv_camera_is_binning_available)? != 0)
    }

    /// Bins elements. Returns the binning in the camera.
    pub fn bin(&self, x: c_int, y: c_int) -> Result<(c_int, c_int), Fault> {
        let (mut across, mut along) = (0, 0);
        // SAFETY: the camera and all pointers are valid through the calls.
        unsafe {
            checked(|error| ffi::arv_camera_set_binning(self.camera, x, y, error))?;
            checked(|error| ffi::arv_camera_get_binning(self.camera, &mut across, &mut along, error))?;
        }
        Ok((across, along))
    }

    /// Sets the pixel format by name.
    pub fn set_pixel_format(&self, name: &str) -> Result<(), Fault> {
        let name = c_text(name)?;
        self.set(ffi::arv_camera_set_pixel_format_from_string, name.as_ptr())
    }

    /// The name of the pixel format.
    pub fn pixel_format(&self) -> Result<String, Fault> {
        self.read_text(ffi::arv_camera_get_pixel_format_as_string)
    }

    /// Bytes of an image with its additional data.
    pub fn payload(&self) -> Result<usize, Fault> {
        Ok(self.get(ffi::arv_camera_get_payload)? as usize)
    }

    /// Makes the camera take frames without end once it is started.
    pub fn set_continuous(&self) -> Result<(), Fault> {
        self.set(ffi::arv_camera_set_acquisition_mode, 0)
    }

    /// Sets the exposure, µs.
    pub fn set_exposure(&self, us: f64) -> Result<(), Fault> {
        self.set(ffi::arv_camera_set_exposure_time, us)
    }

    /// The exposure, µs.
    pub fn exposure(&self) -> Result<f64, Fault> {
        self.get(ffi::arv_camera_get_exposure_time)
    }

    /// Shortest and longest exposure, µs.
    pub fn exposure_bounds(&self) -> Result<(f64, f64), Fault> {
        self.bounds(ffi::arv_camera_get_exposure_time_bounds)
    }

    /// Whether the camera sets its own frame rate.
    pub fn has_frame_rate(&self) -> Result<bool, Fault> {
        Ok(self.get(ffi::arv_camera_is_frame_rate_available)? != 0)
    }

    /// Sets the frame rate, 1/s.
    pub fn set_frame_rate(&self, hz: f64) -> Result<(), Fault> {
        self.set(ffi::arv_camera_set_frame_rate, hz)
    }

    /// The frame rate, 1/s.
    pub fn frame_rate(&self) -> Result<f64, Fault> {
        self.get(ffi::arv_camera_get_frame_rate)
    }

    /// Lowest and highest frame rate, 1/s.
    pub fn frame_rate_bounds(&self) -> Result<(f64, f64), Fault> {
        self.bounds(ffi::arv_camera_get_frame_rate_bounds)
    }

    /// Sets the gain.
    pub fn set_gain(&self, gain: f64) -> Result<(), Fault> {
        self.set(ffi::arv_camera_set_gain, gain)
    }

    /// Starts exposures by a signal, a line of the camera or `Software`.
    pub fn set_trigger(&self, source: &str) -> Result<(), Fault> {
        let source = c_text(source)?;
        self.set(ffi::arv_camera_set_trigger, source.as_ptr())
    }

    /// Lets the camera start exposures by itself.
    pub fn clear_triggers(&self) -> Result<(), Fault> {
        self.get(ffi::arv_camera_clear_triggers)
    }

    /// Starts one exposure.
    pub fn fire(&self) -> Result<(), Fault> {
        self.get(ffi::arv_camera_software_trigger)
    }

    /// Starts to take frames.
    pub fn start(&self) -> Result<(), Fault> {
        self.get(ffi::arv_camera_start_acquisition)
    }

    /// Stops to take frames.
    pub fn stop(&self) -> Result<(), Fault> {
        self.get(ffi::arv_camera_stop_acquisition)
    }

    /// Whether it has a feature that can be used now.
    pub fn has(&self, feature: &str) -> Result<bool, Fault> {
        let feature = c_text(feature)?;
        // SAFETY: the camera, the text and the error pointer are valid through the call.
        Ok(checked(|error| unsafe { ffi::arv_camera_is_feature_available(self.camera, feature.as_ptr(), error) })? != 0)
    }

    /// Executes a command.
    pub fn execute(&self, feature: &str) -> Result<(), Fault> {
        let feature = c_text(feature)?;
        self.set(ffi::arv_camera_execute_command, feature.as_ptr())
    }

    /// Sets a feature by a function for its kind, and reads it back by another.
    fn feature<A, T>(
        &self,
        feature: &str,
        set: unsafe extern "C" fn(*mut ArvCamera, *const c_char, A, *mut *mut GError),
        value: A,
        get: unsafe extern "C" fn(*mut ArvCamera, *const c_char, *mut *mut GError) -> T,
    ) -> Result<T, Fault> {
        let feature = c_text(feature)?;
        // SAFETY: the camera, the texts and the error pointers are valid through the calls.
        unsafe {
            checked(|error| set(self.camera, feature.as_ptr(), value, error))?;
            checked(|error| get(self.camera, feature.as_ptr(), error))
        }
    }

    /// Sets a boolean and reads it back.
    pub fn set_boolean(&self, feature: &str, value: bool) -> Result<bool, Fault> {
        Ok(self.feature(feature, ffi::arv_camera_set_boolean, c_int::from(value), ffi::arv_camera_get_boolean)? != 0)
    }

    /// Sets an integer and reads it back.
    pub fn set_integer(&self, feature: &str, value: i64) -> Result<i64, Fault> {
        self.feature(feature, ffi::arv_camera_set_integer, value, ffi::arv_camera_get_integer)
    }

    /// Sets a float and reads it back.
    pub fn set_float(&self, feature: &str, value: f64) -> Result<f64, Fault> {
        self.feature(feature, ffi::arv_camera_set_float, value, ffi::arv_camera_get_float)
    }

    /// Sets a text or the entry of an enumeration, and reads it back.
    pub fn set_text(&self, feature: &str, value: &str) -> Result<String, Fault> {
        let value = c_text(value)?;
        let found = self.feature(feature, ffi::arv_camera_set_string, value.as_ptr(), ffi::arv_camera_get_string)?;
        // SAFETY: the text belongs to the camera and stays until the next request.
        Ok(unsafe { text(found) })
    }

    /// Reads a float.
    pub fn float(&self, feature: &str) -> Result<f64, Fault> {
        let feature = c_text(feature)?;
        // SAFETY: the camera, the text and the error pointer are valid through the call.
        checked(|error| unsafe { ffi::arv_camera_get_float(self.camera, feature.as_ptr(), error) })
    }

    /// Reads a text or the entry of an enumeration.
    pub fn text(&self, feature: &str) -> Result<String, Fault> {
        let feature = c_text(feature)?;
        // SAFETY: the camera and the argument are valid through the call. The text stays until the next request to the camera.
        checked(|error| unsafe { text(ffi::arv_camera_get_string(self.camera, feature.as_ptr(), error)) })
    }

    /// Sets the size of packets, bytes. Returns the size in the camera. The library does not change it any more.
    pub fn set_packet_size(&self, bytes: c_int) -> Result<c_uint, Fault> {
        // SAFETY: the camera is valid.
        unsafe {
            ffi::arv_camera_gv_set_packet_size_adjustment(self.camera, ffi::ARV_GV_PACKET_SIZE_ADJUSTMENT_NEVER);
            ffi::arv_camera_gv_set_stream_options(self.camera, ffi::ARV_GV_STREAM_OPTION_PACKET_SOCKET_DISABLED);
        }
        self.set(ffi::arv_camera_gv_set_packet_size, bytes)?;
        self.get(ffi::arv_camera_gv_get_packet_size)
    }

    /// Sets the pause between packets, ns.
    pub fn set_packet_delay(&self, ns: i64) -> Result<(), Fault> {
        self.set(ffi::arv_camera_gv_set_packet_delay, ns)
    }

    /// Makes a stream with buffers of `bytes`.
    pub fn stream(&self, bytes: usize, options: Option<StreamOptions>) -> Result<Transfer, Fault> {
        // SAFETY: the camera is valid. There is no callback.
        let stream = checked(|error| unsafe { ffi::arv_camera_create_stream(self.camera, ptr::null(), ptr::null_mut(), error) })?;
        // SAFETY: a stream that was just made is ours alone.
        unsafe { Transfer::adopt(stream, bytes, options) }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the camera is ours and is given back once.
        unsafe { ffi::g_object_unref(self.camera.cast()) };
    }
}
