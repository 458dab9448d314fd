//! Functions of libaravis-0.8 (0.8.20 or newer, as in Ubuntu 22.04), GObject and GIO, as their headers declare them.

use std::ffi::{c_char, c_double, c_int, c_uint, c_ulong, c_void};

/// An opaque object of the library.
macro_rules! opaque {
    ($($name:ident)+) => {$(
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        }
    )+};
}

opaque!(ArvBuffer ArvCamera ArvDevice ArvStream GInetAddress);

/// `GError`: domain, code and message.
#[repr(C)]
pub struct GError {
    pub domain: u32,
    pub code: c_int,
    pub message: *mut c_char,
}

/// `GCallback` of the signal `control-lost`: the device, and the pointer given to connect.
pub type ControlLost = unsafe extern "C" fn(*mut ArvDevice, *mut c_void);
/// `GClosureNotify`.
pub type ClosureNotify = unsafe extern "C" fn(*mut c_void, *mut c_void);

pub const ARV_BUFFER_STATUS_SUCCESS: c_int = 0;
pub const ARV_BUFFER_STATUS_CLEARED: c_int = 1;
pub const ARV_BUFFER_STATUS_ABORTED: c_int = 7;
pub const ARV_RANGE_CHECK_POLICY_ENABLE: c_int = 1;
pub const ARV_GV_STREAM_OPTION_PACKET_SOCKET_DISABLED: c_int = 1;
pub const ARV_GV_PACKET_SIZE_ADJUSTMENT_NEVER: c_int = 0;

#[link(name = "glib-2.0")]
unsafe extern "C" {
    pub fn g_error_free(error: *mut GError);
}

#[link(name = "gobject-2.0")]
unsafe extern "C" {
    pub fn g_object_unref(object: *mut c_void);
    pub fn g_object_set(object: *mut c_void, first: *const c_char, ...);
    pub fn g_signal_connect_data(
        instance: *mut c_void,
        signal: *const c_char,
        handler: ControlLost,
        data: *mut c_void,
        destroy: ClosureNotify,
        flags: c_int,
    ) -> c_ulong;
}

#[link(name = "gio-2.0")]
unsafe extern "C" {
    pub fn g_inet_address_new_from_string(text: *const c_char) -> *mut GInetAddress;
}

#[link(name = "aravis-0.8")]
unsafe extern "C" {
    pub fn arv_device_error_quark() -> u32;
    pub fn arv_update_device_list();
    pub fn arv_get_n_devices() -> c_uint;
    pub fn arv_get_device_id(index: c_uint) -> *const c_char;
    pub fn arv_get_device_address(index: c_uint) -> *const c_char;
    pub fn arv_get_device_vendor(index: c_uint) -> *const c_char;
    pub fn arv_get_device_model(index: c_uint) -> *const c_char;
    pub fn arv_get_device_serial_nbr(index: c_uint) -> *const c_char;
    pub fn arv_get_device_protocol(index: c_uint) -> *const c_char;

    pub fn arv_gv_device_new(interface: *mut GInetAddress, device: *mut GInetAddress, error: *mut *mut GError) -> *mut ArvDevice;
    pub fn arv_gv_device_take_control(device: *mut ArvDevice, error: *mut *mut GError) -> c_int;

    pub fn arv_camera_new(name: *const c_char, error: *mut *mut GError) -> *mut ArvCamera;
    pub fn arv_camera_new_with_device(device: *mut ArvDevice, error: *mut *mut GError) -> *mut ArvCamera;
    pub fn arv_camera_get_device(camera: *mut ArvCamera) -> *mut ArvDevice;
    pub fn arv_camera_is_gv_device(camera: *mut ArvCamera) -> c_int;
    pub fn arv_camera_create_stream(
        camera: *mut ArvCamera,
        callback: *const c_void,
        data: *mut c_void,
        error: *mut *mut GError,
    ) -> *mut ArvStream;
    pub fn arv_camera_get_vendor_name(camera: *mut ArvCamera, error: *mut *mut GError) -> *const c_char;
    pub fn arv_camera_get_model_name(camera: *mut ArvCamera, error: *mut *mut GError) -> *const c_char;
    pub fn arv_camera_get_device_serial_number(camera: *mut ArvCamera, error: *mut *mut GError) -> *const c_char;
    pub fn arv_camera_set_region(camera: *mut ArvCamera, x: c_int, y: c_int, width: c_int, height: c_int, error: *mut *mut GError);
    pub fn arv_camera_get_region(
        camera: *mut ArvCamera,
        x: *mut c_int,
        y: *mut c_int,
        width: *mut c_int,
        height: *mut c_int,
        error: *mut *mut GError,
    );
    pub fn arv_camera_is_binning_available(camera: *mut ArvCamera, error: *mut *mut GError) -> c_int;
    pub fn arv_camera_set_binning(camera: *mut ArvCamera, x: c_int, y: c_int, error: *mut *mut GError);
    pub fn arv_camera_get_binning(camera: *mut ArvCamera, x: *mut c_int, y: *mut c_int, error: *mut *mut GError);
    pub fn arv_camera_set_pixel_format_from_string(camera: *mut ArvCamera, format: *const c_char, error: *mut *mut GError);
    pub fn arv_camera_get_pixel_format_as_string(camera: *mut ArvCamera, error: *mut *mut GError) -> *const c_char;
    pub fn arv_camera_start_acquisition(camera: *mut ArvCamera, error: *mut *mut GError);
    pub fn arv_camera_stop_acquisition(camera: *mut ArvCamera, error: *mut *mut GError);
    pub fn arv_camera_set_acquisition_mode(camera: *mut ArvCamera, mode: c_int, error: *mut *mut GError);
    pub fn arv_camera_is_frame_rate_available(camera: *mut ArvCamera, error: *mut *mut GError) -> c_int;
    pub fn arv_camera_set_frame_rate(camera: *mut ArvCamera, rate: c_double, error: *mut *mut GError);
    pub fn arv_camera_get_frame_rate(camera: *mut ArvCamera, error: *mut *mut GError) -> c_double;
    pub fn arv_camera_get_frame_rate_bounds(camera: *mut ArvCamera, min: *mut c_double, max: *mut c_double, error: *mut *mut GError);
    pub fn arv_camera_set_trigger(camera: *mut ArvCamera, source: *const c_char, error: *mut *mut GError);
    pub fn arv_camera_clear_triggers(camera: *mut ArvCamera, error: *mut *mut GError);
    pub fn arv_camera_software_trigger(camera: *mut ArvCamera, error: *mut *mut GError);
    pub fn arv_camera_set_exposure_time(camera: *mut ArvCamera, us: c_double, error: *mut *mut GError);
    pub fn arv_camera_get_exposure_time(camera: *mut ArvCamera, error: *mut *mut GError) -> c_double;
    pub fn arv_camera_get_exposure_time_bounds(camera: *mut ArvCamera, min: *mut c_double, max: *mut c_double, error: *mut *mut GError);
    pub fn arv_camera_set_gain(camera: *mut ArvCamera, gain: c_double, error: *mut *mut GError);
    pub fn arv_camera_get_payload(camera: *mut ArvCamera, error: *mut *mut GError) -> c_uint;
    pub fn arv_camera_is_feature_available(camera: *mut ArvCamera, feature: *const c_char, error: *mut *mut GError) -> c_int;
    pub fn arv_camera_execute_command(camera: *mut ArvCamera, feature: *const c_char, error: *mut *mut GError);
    pub fn arv_camera_set_boolean(camera: *mut ArvCamera, feature: *const c_char, value: c_int, error: *mut *mut GError);
    pub fn arv_camera_get_boolean(camera: *mut ArvCamera, feature: *const c_char, error: *mut *mut GError) -> c_int;
    pub fn arv_camera_set_string(camera: *mut ArvCamera, feature: *const c_char, value: *const c_char, error: *mut *mut GError);
    pub fn arv_camera_get_string(camera: *mut ArvCamera, feature: *const c_char, error: *mut *mut GError) -> *const c_char;
    pub fn arv_camera_set_integer(camera: *mut ArvCamera, feature: *const c_char, value: i64, error: *mut *mut GError);
    pub fn arv_camera_get_integer(camera: *mut ArvCamera, feature: *const c_char, error: *mut *mut GError) -> i64;
    pub fn arv_camera_set_float(camera: *mut ArvCamera, feature: *const c_char, value: c_double, error: *mut *mut GError);
    pub fn arv_camera_get_float(camera: *mut ArvCamera, feature: *const c_char, error: *mut *mut GError) -> c_double;
    pub fn arv_camera_set_range_check_policy(camera: *mut ArvCamera, policy: c_int);
    pub fn arv_camera_gv_set_packet_size(camera: *mut ArvCamera, bytes: c_int, error: *mut *mut GError);
    pub fn arv_camera_gv_get_packet_size(camera: *mut ArvCamera, error: *mut *mut GError) -> c_uint;
    pub fn arv_camera_gv_set_packet_delay(camera: *mut ArvCamera, ns: i64, error: *mut *mut GError);
    pub fn arv_camera_gv_set_packet_size_adjustment(camera: *mut ArvCamera, adjustment: c_int);
    pub fn arv_camera_gv_set_stream_options(camera: *mut ArvCamera, options: c_int);

    pub fn arv_buffer_new(size: usize, memory: *mut c_void) -> *mut ArvBuffer;
    pub fn arv_buffer_get_status(buffer: *mut ArvBuffer) -> c_int;
    pub fn arv_buffer_get_data(buffer: *mut ArvBuffer, size: *mut usize) -> *const c_void;
    pub fn arv_buffer_get_frame_id(buffer: *mut ArvBuffer) -> u64;
    pub fn arv_buffer_set_frame_id(buffer: *mut ArvBuffer, id: u64);
    pub fn arv_buffer_get_timestamp(buffer: *mut ArvBuffer) -> u64;
    pub fn arv_buffer_set_timestamp(buffer: *mut ArvBuffer, ns: u64);
    pub fn arv_buffer_get_system_timestamp(buffer: *mut ArvBuffer) -> u64;
    pub fn arv_buffer_set_system_timestamp(buffer: *mut ArvBuffer, ns: u64);

    pub fn arv_stream_push_buffer(stream: *mut ArvStream, buffer: *mut ArvBuffer);
    pub fn arv_stream_timeout_pop_buffer(stream: *mut ArvStream, us: u64) -> *mut ArvBuffer;
    pub fn arv_stream_get_n_infos(stream: *mut ArvStream) -> c_uint;
    pub fn arv_stream_get_info_name(stream: *mut ArvStream, id: c_uint) -> *const c_char;
    pub fn arv_stream_get_info_type(stream: *mut ArvStream, id: c_uint) -> usize;
    pub fn arv_stream_get_info_uint64(stream: *mut ArvStream, id: c_uint) -> u64;
}

/// `G_TYPE_UINT64`: fundamental type 11.
pub const G_TYPE_UINT64: usize = 11 << 2;

/// Codes of `ArvDeviceError` for a camera that cannot be reached. They are not connected, transfer error, timeout, not found, not
/// the controller, access denied.
pub const LINK_ERRORS: [c_int; 6] = [2, 4, 5, 6, 10, 17];
