//! The control half.

use crate::config::Config;
use crate::stream::Stream;
use crate::vendor::{self, Device};
use contract::{
    CameraDescription, CameraError, Exposure, FramePool, FrameStream, Layout, LineCamera, PixelFormat, Subject, Values, evenly_spaced,
};

/// A camera of the maker, open.
pub struct Camera {
    name: String,
    description: CameraDescription,
    device: Device,
}

impl Camera {
    /// Connects to the camera and leaves it stopped. `name` is its name in the configuration.
    ///
    /// # Errors
    /// [`CameraError::Link`] where no such camera answers, [`CameraError::Refused`] where it has another shape.
    pub fn open(name: &str, config: &Config) -> Result<Self, CameraError> {
        let device = Device::connect(&config.serial)
            .map_err(|fault| CameraError::Link { camera: name.to_owned(), reason: format!("serial number {}: {fault}", config.serial) })?;
        let (pixels, bands) = device.shape();
        if (pixels, bands) != (config.pixels, config.bands) {
            return Err(CameraError::Refused {
                camera: name.to_owned(),
                setting: "shape",
                wanted: format!("{} pixels and {} bands", config.pixels, config.bands),
                reason: format!("it has {pixels} pixels and {bands} bands; correct the configuration"),
            });
        }
        let description = CameraDescription {
            model: vendor::MODEL.to_owned(),
            serial: config.serial.clone(),
            layout: Layout { pixels, bands, format: PixelFormat::U16 },
            wavelengths_nm: evenly_spaced(config.first_nm, config.last_nm, bands),
            fwhm_nm: None,
            values: Values::Counts,
            saturation: Some(f64::from(vendor::FULL_SCALE)),
            shutter: false,
            recorded: false,
            waits: false,
            max_frame_rate_hz: vendor::MAX_FRAME_RATE_HZ,
            exposure_range_us: vendor::EXPOSURE_RANGE_US,
            frames: None,
        };
        Ok(Self { name: name.to_owned(), description, device })
    }

    fn refused(&self, setting: &'static str, wanted: String, reason: &str) -> CameraError {
        CameraError::Refused { camera: self.name.clone(), setting, wanted, reason: reason.to_owned() }
    }
}

impl LineCamera for Camera {
    fn describe(&self) -> &CameraDescription {
        &self.description
    }

    fn apply(&mut self, wanted: &Exposure) -> Result<Exposure, CameraError> {
        if wanted.binning != (1, 1) {
            return Err(self.refused("binning", format!("{:?}", wanted.binning), "it does not bin"));
        }
        let set = self.device.set_exposure(wanted.exposure_us).and_then(|()| self.device.set_frame_rate(wanted.frame_rate_hz));
        set.map_err(|fault| self.refused("exposure", format!("{wanted:?}"), &fault.to_string()))?;
        // Read back: the camera rounds, and a long exposure slows it down.
        Ok(Exposure { exposure_us: self.device.exposure_us(), frame_rate_hz: self.device.frame_rate_hz(), binning: (1, 1) })
    }

    fn set_shutter(&mut self, _open: bool) -> Result<(), CameraError> {
        Err(CameraError::Unable { camera: self.name.clone(), ability: "shutter" })
    }

    fn start(&mut self, pool: FramePool, _subject: Subject) -> Result<Box<dyn FrameStream>, CameraError> {
        let refused = |reason: String| CameraError::Start { camera: self.name.clone(), reason };
        if pool.layout() != self.description.layout {
            return Err(refused(format!("the pool's frames are {:?}, the camera's {:?}", pool.layout(), self.description.layout)));
        }
        // The camera's clock began with the camera; frames are stamped with that of the computer.
        let clock_offset_ns = contract::now_ns() - self.device.clock_ns();
        let (mut inlet, stream) = Stream::new(&self.name, pool, clock_offset_ns);
        self.device.grab(move |brought| inlet.take(brought)).map_err(|fault| refused(fault.to_string()))?;
        Ok(Box::new(stream))
    }

    fn ensure_stopped(&mut self) -> Result<(), CameraError> {
        // The library drops the callback, so its channel ends, and so does the stream.
        self.device.stop();
        Ok(())
    }
}
