//! Models, samples and calls of Python that the tests of encoding and publishing share.

use crate::config::EncoderConfig;
use crate::context::{EncoderContext, ScanContext};
use crate::join::{Axes, Row, Spectra};
use crate::scan::{Container, Ledger, Quality, Tray};
use crate::segment::{Mask, Sample, SampleEvent, SampleRow};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Number of bands of the test spectra.
pub(crate) const BANDS: usize = 12;

/// The output of a script of `tests/python`. `HYCLUS_PYTHON` names the interpreter. The default is `python3`.
///
/// Missing Python modules fail the test. With `HYCLUS_SKIP_PYTHON` set, the result is `None` and a note is printed.
pub(crate) fn python(script: &str, arguments: &[&Path]) -> Option<String> {
    let interpreter = std::env::var_os("HYCLUS_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let ran = Command::new(&interpreter).arg(&script).args(arguments).output();
    let output = match ran {
        Err(e) if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() => {
            eprintln!("skipped: {} does not run: {e}", interpreter.display());
            return None;
        }
        ran => ran.unwrap(),
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("ModuleNotFoundError") && std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        eprintln!("skipped: {}", errors.lines().last().unwrap_or_default());
        return None;
    }
    assert!(output.status.success(), "{} fails:\n{errors}{}", script.display(), String::from_utf8_lossy(&output.stdout));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// A folder with the models of `make_models.py`.
pub(crate) fn models() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    python("tests/python/make_models.py", &[folder.path()])?;
    Some(folder)
}

pub(crate) fn config(batch: usize) -> EncoderConfig {
    EncoderConfig { batch, ..EncoderConfig::of(Path::new("")) }
}

/// Uneven bands from 420 to 1000 nm, a grid 20 pixels wide.
pub(crate) fn axes() -> Axes {
    let wavelengths_nm: Vec<f64> = (0..BANDS).map(|b| 420.0 + 40.0 * b as f64 + 140.0 * (b as f64 / 11.0).powi(2)).collect();
    Axes { pixel_mm: 0.5, x0_mm: 0.25, width: 20, fwhm_nm: vec![f64::NAN; BANDS], wavelengths_nm }
}

pub(crate) fn context(scan_id: &str, dimensions: usize) -> Arc<ScanContext> {
    let containers = (0..2).map(container).collect();
    let tray = Tray { tray: "T1".into(), keys: vec!["size".into(), "plant".into()], grid: None, containers };
    let reads = crate::context::Reads::All;
    let encoder = Some(EncoderContext { name: "test".into(), sha256: "ab".repeat(32), dimensions, reads, edge: false, novelty: false });
    Arc::new(ScanContext {
        uncertainty: None,
        scan_id: scan_id.into(),
        start_ns: 1_530_627_302_000_000_000,
        tray,
        axes: axes(),
        cameras: Vec::new(),
        encoder,
        ledger: Arc::new(Ledger::new(0)),
        configuration: String::new(),
        configuration_sha256: String::new(),
    })
}

pub(crate) fn container(number: u16) -> Container {
    let key = |k: &str, v: &str| (k.to_owned(), format!("{v}{}", number + 1));
    Container {
        at: format!("A{}", number + 1),
        cell: None,
        footprint: None,
        height_mm: None,
        sample: format!("sample-{}", number + 1),
        keys: BTreeMap::from([key("plant", "P"), key("size", "M")]),
        vars: BTreeMap::new(),
    }
}

/// A value between 0 and 1 that depends on its arguments alone.
pub(crate) fn value(row: usize, pixel: usize, band: usize) -> f32 {
    (((row * 7919 + pixel * 104_729 + band * 1_299_709) % 10_007) as f32) / 10_007.0
}

/// Events of two samples beside each other. Each is 9 pixels wide. They have `lines` and `lines + 3` lines.
///
/// Some pixels lie on no sample, some on its rim, and some are not valid.
pub(crate) fn sample_events(lines: usize) -> Vec<SampleEvent> {
    let axes = axes();
    let samples: Vec<Arc<Sample>> = (0..2_u16)
        .map(|number| {
            let first_pixel = 1 + 9 * usize::from(number);
            Arc::new(Sample { number, container: container(number), first_row: 4, first_pixel, width: 9, rim_mm: 0.0, levels: Vec::new() })
        })
        .collect();
    let mut events: Vec<SampleEvent> = samples.iter().cloned().map(SampleEvent::Open).collect();
    let labels = (0..axes.width).map(|p| if p % 5 == 0 { 0 } else { 1 + u16::from(p > 9) }).collect();
    let mask = Arc::new(Mask { labels });
    for line in 0..lines + 3 {
        let mut spectra: Vec<f32> = (0..axes.width).flat_map(|p| (0..BANDS).map(move |b| value(line, p, b))).collect();
        let mut row = Row {
            index: 4 + line as i64,
            time_ns: 1_000_000_000 + 20_000_001 * line as i64,
            spectra: Spectra::default(),
            quality: vec![0; axes.width],
        };
        row.quality[2] = Quality::SATURATED;
        row.quality[3] = Quality::EDGE;
        spectra[7 * BANDS + line % BANDS] = f32::NAN;
        row.spectra = spectra.into();
        let row = Arc::new(row);
        for sample in &samples {
            if sample.number == 1 || line < lines {
                let (sample, row, mask) = (Arc::clone(sample), Arc::clone(&row), Arc::clone(&mask));
                events.push(SampleEvent::Row(SampleRow { sample, line: line as u32, row, mask }));
            }
            if sample.number == 0 && line + 1 == lines {
                events.push(SampleEvent::Close { sample: Arc::clone(sample), lines: lines as u32, doubts: Vec::new() });
            }
        }
    }
    events.push(SampleEvent::Close { sample: Arc::clone(&samples[1]), lines: lines as u32 + 3, doubts: Vec::new() });
    events
}

/// The spectra of [`sample_events`] that the stage encodes, in order: (sample number, line, pixel of the cube, spectrum).
pub(crate) fn expected(lines: usize) -> Vec<(u16, u32, u32, Vec<f32>)> {
    let mut out = Vec::new();
    for line in 0..lines + 3 {
        for number in 0..2_usize {
            if number == 0 && line >= lines {
                continue;
            }
            for pixel in 1 + 9 * number..10 + 9 * number {
                if pixel % 5 != 0 && pixel != 2 && pixel != 3 && pixel != 7 {
                    let spectrum = (0..BANDS).map(|b| value(line, pixel, b)).collect();
                    out.push((number as u16, line as u32, (pixel - 1 - 9 * number) as u32, spectrum));
                }
            }
        }
    }
    out
}
