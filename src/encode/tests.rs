use super::fixture::{BANDS, axes, config, context, expected, models, python, sample_events};
use super::{Embedded, Encode, Encoder, EncoderError};
use crate::config::{EncoderConfig, Provider};
use crate::segment::SampleEvent;
use std::path::Path;

/// Embeddings that onnxruntime computes in Python.
fn independent(folder: &Path, model: &Path, spectra: &[f32]) -> Vec<f32> {
    let (input, grid, out) = (folder.join("in.f32"), folder.join("nm.json"), folder.join("out.f32"));
    std::fs::write(&input, bytemuck::cast_slice(spectra)).unwrap();
    std::fs::write(&grid, serde_json::to_string(&axes().wavelengths_nm).unwrap()).unwrap();
    python("tests/python/publish_encode.py", &[model, &input, &grid, &out]).unwrap();
    std::fs::read(out).unwrap().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Sample, line and pixel of an embedding.
type Place = (u16, u32, u32);

/// Runs the stage over sample events. The result is the places of the embeddings, the embeddings, and the sizes of the batches.
fn embed(model: &Path, batch: usize, events: &[SampleEvent]) -> (Vec<Place>, Vec<f32>, Vec<usize>) {
    embed_as(&config(batch), model, events)
}

fn embed_as(config: &EncoderConfig, model: &Path, events: &[SampleEvent]) -> (Vec<Place>, Vec<f32>, Vec<usize>) {
    let encoder = Encoder::load(config, model, &axes(), None).unwrap();
    let mut stage = Encode::new(encoder, context("s", 4), true);
    let (mut rows, mut embeddings, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    let mut out = |batch: Embedded| {
        assert_eq!(batch.embeddings.len(), batch.rows.len() * batch.dimensions);
        assert_eq!(batch.spectra.len(), batch.rows.len() * BANDS);
        rows.extend(batch.rows.iter().map(|r| (r.sample.number, r.line, r.pixel)));
        embeddings.extend_from_slice(&batch.embeddings);
        sizes.push(batch.rows.len());
    };
    for event in events {
        stage.process(event, &mut out).unwrap();
    }
    stage.end_of_scan(&mut out).unwrap();
    (rows, embeddings, sizes)
}

#[test]
fn batches_that_run_at_the_same_time_come_in_order_and_alike() {
    let Some(folder) = models() else { return };
    let model = folder.path().join("dense.onnx");
    let (rows, embeddings, sizes) = embed(&model, 5, &sample_events(40));
    let several = EncoderConfig { workers: 3, ..config(5) };
    assert_eq!(embed_as(&several, &model, &sample_events(40)), (rows, embeddings, sizes));
}

fn close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "number {i}: {a} and {b}");
    }
}

#[test]
fn embeddings_are_those_of_onnxruntime_in_python() {
    let Some(folder) = models() else { return };
    let wanted = expected(10);
    let spectra: Vec<f32> = wanted.iter().flat_map(|(.., s)| s.clone()).collect();
    for name in ["dense", "channel", "conv_pools", "conv_branches", "conv_same", "conv_computed", "grid", "commas", "fixed"] {
        let model = folder.path().join(format!("{name}.onnx"));
        let (rows, embeddings, sizes) = embed(&model, 7, &sample_events(10));
        assert_eq!(rows, wanted.iter().map(|(s, l, p, _)| (*s, *l, *p)).collect::<Vec<_>>());
        assert!(sizes.iter().filter(|&&n| n < 7).count() <= 2, "batches are cut only where a sample ends: {sizes:?}");
        // A model with a fixed batch takes whole batches only.
        if name == "fixed" {
            let mut padded = spectra.clone();
            padded.resize(7 * BANDS, 0.0);
            close(&embeddings[..7 * 4], &independent(folder.path(), &model, &padded[..7 * BANDS]));
        } else {
            close(&embeddings, &independent(folder.path(), &model, &spectra));
        }
    }
}

#[test]
fn rows_say_where_and_when() {
    let Some(folder) = models() else { return };
    let with_rim = EncoderConfig { edge: true, ..config(64) };
    let encoder = Encoder::load(&with_rim, &folder.path().join("dense.onnx"), &axes(), None).unwrap();
    let mut stage = Encode::new(encoder, context("s", 4), false);
    let mut rows = Vec::new();
    for event in sample_events(2) {
        let mut out = |batch: Embedded| {
            assert!(batch.spectra.is_empty());
            rows.extend(batch.rows.iter().cloned());
        };
        stage.process(&event, &mut out).unwrap();
    }
    let row = rows.iter().find(|r| r.sample.number == 1 && r.line == 3 && r.pixel == 1).unwrap();
    // Cube pixel 1 of the second sample is grid pixel 11. Line 3 is grid row 7.
    assert_eq!((row.x_mm, row.y_mm), (5.75, 3.5));
    assert_eq!(row.time_ns, 1_000_000_000 + 3 * 20_000_001);
    let rim = rows.iter().filter(|r| r.quality == crate::scan::Quality::EDGE).count();
    assert_eq!(rim, 2, "the rim is encoded where that is asked for, and its flag is kept");
    let (others, ..) = embed(&folder.path().join("dense.onnx"), 64, &sample_events(2));
    assert_eq!(others.len() + rim, rows.len(), "else it is not");
}

#[test]
fn the_same_events_give_the_same_bits() {
    let Some(folder) = models() else { return };
    for name in ["dense", "channel", "grid"] {
        let model = folder.path().join(format!("{name}.onnx"));
        let (a, b) = (embed(&model, 32, &sample_events(30)), embed(&model, 32, &sample_events(30)));
        assert!(a.1.iter().zip(&b.1).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert_eq!((a.0, a.2), (b.0, b.2));
    }
}

#[test]
fn a_probe_knows_the_model_without_a_rig() {
    let Some(folder) = models() else { return };
    let probe = |name: &str| Encoder::probe(&config(16), &folder.path().join(format!("{name}.onnx"))).unwrap();
    let dense = probe("dense");
    assert_eq!((dense.name.as_str(), dense.dimensions, dense.sha256.len()), ("dense test", 4, 64));
    assert_eq!(probe("unnamed").name, "unnamed");
    assert_eq!(probe("reference").name, "with reference");
    assert_eq!(probe("channel").dimensions, 4);
    assert_ne!(probe("unnamed").sha256, dense.sha256);
    assert_eq!(Encoder::load(&config(16), &folder.path().join("dense.onnx"), &axes(), None).unwrap().context(), &dense);
}

#[test]
fn models_that_break_the_contract_are_refused_with_what_was_expected_and_found() {
    let Some(folder) = models() else { return };
    let cases: [(&str, &[&str]); 22] = [
        ("rank4", &["[N, bands] or [N, 1, bands]", "float32 [dynamic, 1, 1, 12]"]),
        ("channels3", &["[N, 1, bands]", "float32 [dynamic, 3, 12]"]),
        ("output3", &["one output float32 [N, d]", "float32 [dynamic, 1, 12]"]),
        ("double", &["float32", "float64 [dynamic, 12]"]),
        ("two_inputs", &["one input", "float32 [dynamic, 12] and float32 [dynamic, 12]"]),
        ("two_outputs", &["one output", "float32 [dynamic, 12] and float32 [dynamic, 12]"]),
        ("half_rows", &["[16, d] for 16 spectra", "[8, 24]"]),
        ("fixed", &["N dynamic or 16", "float32 [7, 12]"]),
        ("wrong_reference", &["number 6", "reference_output"]),
        ("half_reference", &["hyclus.reference_output", "missing"]),
        ("miscounted", &["hyclus.wavelengths_nm", "expected 9", "found 2"]),
        ("unreadable", &["hyclus.wavelengths_nm", "\"x\""]),
        ("codes_alone", &["hyclus.codes_limit", "missing beside"]),
        ("codes_of_three", &["hyclus.codes_mean", "expected 4 numbers", "found 3"]),
        ("unlimited", &["hyclus.residual_limit", "missing beside the output `residual`"]),
        ("limit_alone", &["hyclus.residual_limit", "without a second output"]),
        ("residual3", &["one output float32 [N, d]", "named `residual`", "float32 [dynamic, 3]"]),
        ("text", &["no ONNX model"]),
        ("beyond", &["480 to 1020 nm", "420 to 1000 nm"]),
        ("finer", &["bands of 20.0 nm at 430.0 nm", "41.2 nm wide", "hyclus.fwhm_nm"]),
        ("widths", &["hyclus.fwhm_nm", "expected one width, or 15", "found 2"]),
        ("gone", &["cannot be read", "the key `model`"]),
    ];
    for (name, parts) in cases {
        let path = folder.path().join(format!("{name}.onnx"));
        let text = Encoder::load(&config(16), &path, &axes(), None).unwrap_err().to_string();
        for part in parts.iter().copied().chain([format!("{name}.onnx").as_str()]) {
            assert!(text.contains(part), "{name}: `{part}` is not in: {text}");
        }
        // Only the checks of the measured bands need the rig.
        assert_eq!(Encoder::probe(&config(16), &path).is_err(), !["beyond", "finer"].contains(&name), "{name}");
    }
}

#[test]
fn novelty_is_that_of_numpy() {
    let Some(folder) = models() else { return };
    let events = sample_events(30);
    for name in ["novel_codes", "novel_residual", "novel_both", "novel_channel"] {
        let model = folder.path().join(format!("{name}.onnx"));
        let several = EncoderConfig { workers: 2, ..config(7) };
        let encoder = Encoder::load(&several, &model, &axes(), None).unwrap();
        assert!(encoder.context().novelty);
        let mut stage = Encode::new(encoder, context("s", 4), true);
        let (mut spectra, mut novelty) = (Vec::new(), Vec::new());
        let mut out = |batch: Embedded| {
            spectra.extend_from_slice(&batch.spectra);
            novelty.extend_from_slice(&batch.novelty);
        };
        events.iter().for_each(|event| stage.process(event, &mut out).unwrap());
        let (input, grid, out) = (folder.path().join("in.f32"), folder.path().join("nm.json"), folder.path().join("out.f32"));
        std::fs::write(&input, bytemuck::cast_slice(&spectra)).unwrap();
        std::fs::write(&grid, serde_json::to_string(&axes().wavelengths_nm).unwrap()).unwrap();
        python("tests/python/publish_encode.py", &[&model, &input, &grid, &out, Path::new("novelty")]).unwrap();
        let expected: Vec<f32> = std::fs::read(out).unwrap().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        close(&novelty, &expected);
        let beyond = novelty.iter().filter(|novelty| **novelty > 1.0).count();
        assert!(beyond > 0 && beyond < novelty.len(), "{name}: {beyond} of {}", novelty.len());
    }
    let encoder = Encoder::load(&config(7), &folder.path().join("dense.onnx"), &axes(), None).unwrap();
    assert!(!encoder.context().novelty);
    let mut stage = Encode::new(encoder, context("s", 4), true);
    events.iter().for_each(|event| stage.process(event, &mut |batch: Embedded| assert!(batch.novelty.is_empty())).unwrap());
}

#[test]
fn a_model_that_gives_no_number_fails_when_it_does() {
    let Some(folder) = models() else { return };
    let encoder = Encoder::load(&config(16), &folder.path().join("no_number.onnx"), &axes(), None).unwrap();
    let mut stage = Encode::new(encoder, context("s", BANDS), false);
    let mut out = |batch: Embedded| panic!("{batch:?}");
    let error = sample_events(6).iter().find_map(|event| stage.process(event, &mut out).err()).unwrap();
    assert!(matches!(error, EncoderError::NotFinite { found, .. } if found.is_nan()), "{error}");
}

#[test]
fn a_model_that_loops_without_end_fails_at_the_limit() {
    let Some(folder) = models() else { return };
    let config = EncoderConfig { limit_s: 0.2, ..config(16) };
    let always = Encoder::load(&config, &folder.path().join("endless.onnx"), &axes(), None).unwrap_err();
    assert!(matches!(always, EncoderError::Endless { limit_s: 0.2, .. }), "{always}");
    assert!(always.to_string().contains("endless.onnx") && always.to_string().contains("encoder.limit_s"), "{always}");
    // The trial has dark spectra only. A batch of a scan then does not end.
    let encoder = Encoder::load(&config, &folder.path().join("endless_if_bright.onnx"), &axes(), None).unwrap();
    let mut stage = Encode::new(encoder, context("s", BANDS), false);
    let mut out = |batch: Embedded| panic!("{batch:?}");
    let events = sample_events(6);
    let error = events.iter().find_map(|event| stage.process(event, &mut out).err()).unwrap();
    assert!(matches!(error, EncoderError::Endless { what: "running a batch", .. }), "{error}");
}

#[test]
fn only_a_regular_file_is_read_as_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.onnx");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
        let text = Encoder::probe(&config(16), path).unwrap_err().to_string();
        assert!(text.contains("expected a") && text.contains(&path.display().to_string()), "{text}");
    }
}

#[test]
fn without_wavelengths_the_band_count_decides() {
    let Some(folder) = models() else { return };
    let mut other = axes();
    other.wavelengths_nm.pop();
    let error = Encoder::load(&config(16), &folder.path().join("dense.onnx"), &other, None).unwrap_err();
    assert!(matches!(error, EncoderError::Bands { expected: 11, found: 12, .. }), "{error}");
    assert!(Encoder::load(&config(16), &folder.path().join("grid.onnx"), &axes(), None).is_ok());
}

#[test]
fn fitted_components_are_those_of_scikit_learn_and_load() {
    let folder = tempfile::tempdir().unwrap();
    let Some(printed) = python("tests/python/publish_fit_pca.py", &[folder.path()]) else { return };
    assert_eq!(printed.matches("from scikit-learn").count(), 2, "{printed}");
    // Loading runs the reference that the script has put into the model.
    let encoder = Encoder::load(&config(16), &folder.path().join("pca.onnx"), &axes(), None).unwrap();
    assert_eq!((encoder.context().name.as_str(), encoder.dimensions(), encoder.bands()), ("pca test", 4, BANDS));
}

/// Measures the rate: `HYCLUS_BENCH_MODEL=sae4.onnx cargo test --release -- --ignored --nocapture spectra_per_second`
#[test]
#[ignore = "measures; needs HYCLUS_BENCH_MODEL"]
fn spectra_per_second() {
    use crate::join::{Axes, Row};
    use crate::segment::{Mask, Sample, SampleRow};
    use std::sync::Arc;
    let model = std::env::var("HYCLUS_BENCH_MODEL").unwrap();
    let (bands, width, lines) = (736, 384, 1500_u32);
    let axes =
        Axes { width, wavelengths_nm: (0..bands).map(|b| 400.0 + 2.8 * b as f64).collect(), fwhm_nm: vec![f64::NAN; bands], ..axes() };
    let mut scan = (*context("s", 4)).clone();
    scan.axes = axes.clone();
    let mut encoder_config = config(256);
    encoder_config.threads = std::env::var("HYCLUS_BENCH_THREADS").map_or(1, |n| n.parse().unwrap());
    let mut stage = Encode::new(Encoder::load(&encoder_config, model.as_ref(), &axes, None).unwrap(), Arc::new(scan), false);
    let sample = Arc::new(Sample {
        number: 0,
        container: super::fixture::container(0),
        first_row: 0,
        first_pixel: 0,
        width,
        rim_mm: 0.0,
        levels: Vec::new(),
    });
    let mask = Arc::new(Mask { labels: vec![1; width] });
    // Several rows take turns, so that spectra come from memory and not from the innermost cache.
    let rows: Vec<Arc<Row>> = (0..64)
        .map(|r| {
            let spectra: Vec<f32> = (0..width * bands).map(|i| super::fixture::value(r, i / bands, i % bands)).collect();
            Arc::new(Row { index: r as i64, time_ns: 0, spectra: spectra.into(), quality: vec![0; width] })
        })
        .collect();
    for round in 0..3 {
        let (start, mut n) = (std::time::Instant::now(), 0);
        for line in 0..lines {
            let row = Arc::clone(&rows[line as usize % rows.len()]);
            let event = SampleEvent::Row(SampleRow { sample: Arc::clone(&sample), line, row, mask: Arc::clone(&mask) });
            stage.process(&event, &mut |batch: Embedded| n += batch.rows.len()).unwrap();
        }
        println!("round {round}: {:.0} spectra/s", n as f64 / start.elapsed().as_secs_f64());
    }
}

#[test]
fn a_graphics_card_that_is_not_there_is_told() {
    let Some(folder) = models() else { return };
    let config = EncoderConfig { provider: Provider::Cuda, ..config(4) };
    match Encoder::load(&config, &folder.path().join("dense.onnx"), &axes(), None) {
        // A graphics card that is there is used.
        Ok(encoder) => assert_eq!(encoder.dimensions(), 4),
        Err(error @ EncoderError::Provider { .. }) => assert!(error.to_string().contains("encoder.provider"), "{error}"),
        Err(other) => panic!("{other}"),
    }
}
