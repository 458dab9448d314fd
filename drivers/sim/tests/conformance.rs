//! Every simulated device passes the suite of the contract, in both paces.
#![allow(clippy::unwrap_used)]

use sim::{CameraConfig, ConveyorConfig, LightConfig, Pace, World, WorldConfig};

const PACES: [Pace; 2] = [Pace::RealTime, Pace::AsRead];

fn world(pace: Pace) -> std::sync::Arc<World> {
    World::new(&WorldConfig { pace, ..WorldConfig::default() }).unwrap()
}

fn small() -> CameraConfig {
    CameraConfig { pixels: 64, bands: 16, ..CameraConfig::default() }
}

#[test]
fn camera() {
    for pace in PACES {
        for shutter in [true, false] {
            for lost_per_thousand in [0.0, 200.0] {
                let config = CameraConfig { shutter, lost_per_thousand, ..small() };
                contract::conformance::camera(&mut world(pace).camera("vnir", &config).unwrap());
            }
        }
    }
}

#[test]
fn slow_reader() {
    for pace in PACES {
        contract::conformance::slow_reader(&mut world(pace).camera("vnir", &small()).unwrap());
    }
}

#[tokio::test]
async fn conveyor() {
    for pace in PACES {
        for reversible in [true, false] {
            let config = ConveyorConfig { reversible, ..ConveyorConfig::default() };
            contract::conformance::conveyor(&world(pace).conveyor(&config).unwrap()).await;
        }
    }
}

#[tokio::test]
async fn light() {
    for pace in PACES {
        for dimmable in [true, false] {
            let config = LightConfig { dimmable, ..LightConfig::default() };
            contract::conformance::light(&world(pace).light("halogen", &config).unwrap()).await;
        }
    }
}
