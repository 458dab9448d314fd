//! What is known of a rig's devices without reaching any of them.

use super::DeviceError as Error;
use super::open::{simulated, sound, used_bands, wanted};
use crate::config::{CameraConfig, CameraDevice, Config, ConveyorDevice, LightDevice};
use crate::scan::Fault;
use contract::{CameraDescription, LineCamera};
use std::sync::Arc;

/// Centres of bands, and their widths where known, nm.
pub type Bands = (Vec<f64>, Option<Vec<f64>>);

/// What the configuration, recordings and files say of the devices.
#[derive(Debug, Default)]
pub struct Known {
    /// The bands of each camera. `None` where only the camera tells them, or where it is faulty.
    pub bands: Vec<Option<Bands>>,
    /// Faults of simulated devices, recordings and files.
    pub faults: Vec<Fault>,
    /// Devices that were not asked.
    pub unasked: Vec<String>,
}

impl Known {
    /// Opens simulated devices and recordings, and reads the files of all others.
    pub fn of(config: &Config) -> Self {
        let mut known = Self::default();
        let world = match config.simulation.as_ref().map(sim::World::new).transpose() {
            Ok(world) => world,
            Err(error) => {
                known.put("simulation", &error.into());
                return known;
            }
        };
        let world = world.as_ref();
        match &config.conveyor.device {
            ConveyorDevice::Simulated(sim) => {
                known.take("conveyor.device", simulated(world).and_then(|world| world.conveyor(sim)).map_err(Error::from));
            }
            ConveyorDevice::Recorded(_) => {}
            ConveyorDevice::Modbus(drive) => {
                if let Err(error) = conveyor_modbus::Profile::read(&drive.profile) {
                    known.faults.push(Fault::new("conveyor.device.profile", error.to_string()));
                }
                known.unasked.push(format!("the drive at {}", drive.place()));
            }
        }
        for (i, of) in config.camera.iter().enumerate() {
            let device = format!("camera[{i}].device");
            let bands = match &of.device {
                CameraDevice::Simulated(_) | CameraDevice::Replay(_) => {
                    let description = described(of, world);
                    known.take(&device, description).map(|description| (description.wavelengths_nm, description.fwhm_nm))
                }
                CameraDevice::Gige(gige) => {
                    known.unasked.push(format!("camera {} at {}", of.name, gige.place()));
                    let bands = gige.spectral_bands();
                    let bands = bands.map_err(|(key, problem)| known.faults.push(Fault::new(format!("{device}.{key}"), problem))).ok();
                    bands.and_then(|(stated_nm, fwhm)| {
                        let nm = of.correction.shifted_nm(&stated_nm);
                        let used = known.take(&device, used_bands(of, &nm, None).map_err(Error::from))?;
                        Some((used.select(&nm), fwhm.map(|fwhm| used.select(&fwhm))))
                    })
                }
                CameraDevice::Bridge(bridge) => {
                    known.unasked.push(format!("camera {} at {}", of.name, bridge.place()));
                    None
                }
            };
            known.bands.push(bands);
        }
        for (i, of) in config.light.iter().enumerate() {
            match &of.device {
                LightDevice::Simulated(sim) => {
                    let light = simulated(world).and_then(|world| world.light(&of.name, sim));
                    known.take(&format!("light[{i}].device"), light.map_err(Error::from));
                }
                LightDevice::Serial(serial) => known.unasked.push(format!("lamp {} at {}", of.name, serial.place())),
            }
        }
        known
    }

    /// The value of a device. Its error becomes a fault.
    fn take<T>(&mut self, device: &str, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.put(device, &error)).ok()
    }

    fn put(&mut self, device: &str, error: &Error) {
        match error {
            Error::World(world) => {
                self.faults.extend(world.faults.iter().map(|(key, problem)| Fault::new(format!("{device}.{key}"), problem)));
            }
            other => self.faults.push(Fault::new(device, other.to_string())),
        }
    }
}

/// The description of a simulated or recorded camera that accepts its settings, with the bands that are used.
fn described(of: &CameraConfig, world: Option<&Arc<sim::World>>) -> Result<CameraDescription, Error> {
    let mut camera: Box<dyn LineCamera> = match &of.device {
        CameraDevice::Replay(replay) => Box::new(replay::Camera::open(&of.name, replay)?),
        CameraDevice::Simulated(sim) => Box::new(simulated(world)?.camera(&of.name, sim)?),
        CameraDevice::Bridge(_) | CameraDevice::Gige(_) => super::open_camera(of, world)?,
    };
    camera.ensure_stopped()?;
    let accepted = camera.apply(&wanted(of))?;
    sound(&of.name, camera.describe(), &accepted)?;
    let description = super::open::described(of, camera.describe());
    Ok(used_bands(of, &description.wavelengths_nm, camera.used_bands())?.describe(&description))
}
