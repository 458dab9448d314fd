//! Measures how the time of each stage grows with the output of the cameras.

use super::{About, described, run};
use crate::config::{Encoders, Loaded};
use crate::data_root::ProcessError;
use crate::measure::{BenchError, Measured};
use crate::pipeline::build::BuildError;
use std::io::ErrorKind;
use std::path::Path;

/// The measurements before and after a change of the rig.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaled {
    /// The changed quantity: `bands`, `pixels`, `cameras` or `lines`.
    pub what: &'static str,
    /// The measurement of the smaller rig.
    pub from: Measured,
    /// The measurement of the larger rig.
    pub to: Measured,
}

/// Measures the rig as it is, and with each of these changes:
///
/// - twice the bands of every camera
/// - twice the pixels of every camera, of the same size, over twice the width
/// - twice the lines
/// - the first camera alone, compared with all cameras
///
/// Each is measured `runs` times, in turn, and the shortest times count. Gives the rig as it is, and every change. Files below `folder`
/// are removed after each measurement. Where the model refuses the spectra of a change, the change is measured without the encoder.
///
/// # Errors
/// As for [`measure`](super::measure).
pub fn scale(loaded: &Loaded, lines: u32, runs: u32, folder: &Path) -> Result<(Measured, Vec<Scaled>), BenchError> {
    let mut loaded = loaded.clone();
    let about = described(&mut loaded.config)?;
    let mut wide = loaded.clone();
    wide.config.camera.iter_mut().for_each(|camera| camera.field_of_view_mm *= 2.0);
    let grown = |twice: fn(About) -> About| about.iter().cloned().map(twice).collect();
    let mut cases: Vec<Case> = vec![
        ("", loaded.clone(), about.clone(), lines),
        ("bands", loaded.clone(), grown(twice_the_bands), lines),
        ("pixels", wide, grown(twice_the_pixels), lines),
        ("lines", loaded.clone(), about.clone(), lines.saturating_mul(2)),
    ];
    if about.len() > 1 {
        let mut alone = loaded;
        alone.config.camera.truncate(1);
        cases.insert(3, ("cameras", alone, about[..1].to_vec(), lines));
    }
    let mut best = measure_all(&cases, folder)?;
    for _ in 1..runs {
        for (best, again) in best.iter_mut().zip(measure_all(&cases, folder)?) {
            best.or_faster(&again);
        }
    }
    let base = best.remove(0);
    let scaled = cases.iter().skip(1).zip(best).map(|((what, ..), other)| {
        let (from, to) = if *what == "cameras" { (other, base.clone()) } else { (base.clone(), other) };
        Scaled { what, from, to }
    });
    let scaled = scaled.collect();
    Ok((base, scaled))
}

/// The changed quantity, the configuration, the cameras, and the number of lines.
type Case = (&'static str, Loaded, Vec<About>, u32);

fn measure_all(cases: &[Case], folder: &Path) -> Result<Vec<Measured>, BenchError> {
    cases.iter().map(|(_, loaded, about, lines)| once(loaded, about, *lines, folder)).collect()
}

/// Measures one case, and removes its files.
fn once(loaded: &Loaded, about: &[About], lines: u32, folder: &Path) -> Result<Measured, BenchError> {
    let folder = folder.join("case");
    let clear = || match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(BenchError::Write { path: folder.clone(), error }),
        _ => Ok(()),
    };
    let mut measured = run(loaded, about, lines, &folder);
    if let Err(BenchError::Process(ProcessError::Build(BuildError::Encoder(_)))) = measured {
        clear()?;
        let mut without = loaded.clone();
        without.config.encoder = Encoders::default();
        measured = run(&without, about, lines, &folder);
    }
    clear()?;
    measured
}

impl Measured {
    /// Takes over every shorter time of `other`, a measurement of the same work.
    fn or_faster(&mut self, other: &Self) {
        for (stage, other) in self.stages.iter_mut().zip(&other.stages) {
            stage.seconds = stage.seconds.min(other.seconds);
        }
        self.whole.0 = self.whole.0.min(other.whole.0);
    }
}

fn twice_the_pixels((mut description, exposure): About) -> About {
    description.layout.pixels *= 2;
    (description, exposure)
}

/// Splits each band into two adjacent halves.
fn twice_the_bands((mut description, exposure): About) -> About {
    let nm = &description.wavelengths_nm;
    let step = |band: usize| match (nm.get(band + 1), band.checked_sub(1).map(|before| nm[before])) {
        (Some(next), _) => next - nm[band],
        (None, Some(before)) => nm[band] - before,
        (None, None) => 1.0,
    };
    let halves = |band: usize| [nm[band] - step(band) / 4.0, nm[band] + step(band) / 4.0];
    description.wavelengths_nm = (0..nm.len()).flat_map(halves).collect();
    description.fwhm_nm = description.fwhm_nm.map(|fwhm| fwhm.iter().flat_map(|nm| [nm / 2.0; 2]).collect());
    description.layout.bands *= 2;
    (description, exposure)
}
