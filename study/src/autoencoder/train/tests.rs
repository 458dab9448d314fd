use super::*;
use crate::data::Spectra;

/// Mixtures of two smooth bumps in noise-free spectra of 40 bands.
fn spectra(count: usize) -> Spectra {
    let mut rng = Pcg64Mcg::seed_from_u64(9);
    let mut values = Vec::new();
    for _ in 0..count {
        let (a, b) = ((rng.next_u32() % 1000) as f32 / 1000.0, (rng.next_u32() % 1000) as f32 / 1000.0);
        values.extend((0..40).map(|i| a * (-((i as f32 - 10.0) / 6.0).powi(2)).exp() + b * (-((i as f32 - 28.0) / 8.0).powi(2)).exp()));
    }
    Spectra::new((0..40).map(|i| 400.0 + 10.0 * f64::from(i)).collect(), values)
}

fn codes(trained: &Trained, spectra: &Spectra) -> Vec<f32> {
    let rows: Vec<u32> = (0..spectra.len() as u32).collect();
    trained.encode(spectra, &rows).unwrap().into_raw_vec_and_offset().0
}

#[test]
fn an_interrupted_training_ends_as_one_in_one_go() {
    let spectra = spectra(900);
    let training = Training { epochs: 4, ..Training::default() };
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    for kind in [Kind::Dense, Kind::Conv] {
        let go = |to: &Path, stop: Option<(usize, usize)>| {
            let watch = |p: Progress<'_>| stop != Some((p.epoch, p.batches.0));
            train(&spectra, (kind, 3), &spectra.scaling(), &training, 5, to, watch).unwrap()
        };
        let (whole, parts) = (whole.join(format!("{kind:?}")), parts.join(format!("{kind:?}")));
        let expected = go(&whole, None).unwrap();
        // The training stops in the second epoch, and at the beginning of the fourth.
        assert!(go(&parts, Some((2, 2))).is_none());
        assert!(go(&parts, Some((4, 1))).is_none());
        let found = go(&parts, None).unwrap();
        assert_eq!((found.curve.len(), expected.curve.len()), (4, 4));
        for (a, b) in found.curve.iter().zip(&expected.curve) {
            // Text keeps all but the last digit.
            assert!((a.loss - b.loss).abs() < 1e-12 && (a.validation_loss - b.validation_loss).abs() < 1e-12, "{a:?} {b:?}");
        }
        assert_eq!(codes(&found, &spectra), codes(&expected, &spectra), "{kind:?}: bit by bit");
        assert!(expected.curve[3].validation_loss < expected.curve[0].validation_loss, "{:?}", expected.curve);
        assert_eq!(std::fs::read_to_string(parts.join("curve.csv")).unwrap().lines().count(), 5);
        let other = train(&spectra, (kind, 4), &spectra.scaling(), &training, 5, &parts, |_| true);
        assert!(matches!(other, Err(TrainingError::Other { .. })));
    }
}

#[test]
fn seeds_differ_and_too_few_spectra_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let training = Training { epochs: 1, ..Training::default() };
    let go = |spectra: &Spectra, seed: u64| {
        train(spectra, (Kind::Dense, 2), &spectra.scaling(), &training, seed, &folder.path().join(seed.to_string()), |_| true)
    };
    let many = spectra(600);
    let (a, b) = (go(&many, 1).unwrap().unwrap(), go(&many, 2).unwrap().unwrap());
    assert_ne!(codes(&a, &many), codes(&b, &many));
    let error = go(&spectra(100), 3).err().unwrap().to_string();
    assert!(error.contains("90 spectra are too few"), "{error}");
}

#[test]
fn candles_own_operations_train_alike() {
    let (spectra, training) = (spectra(900), Training { epochs: 3, ..Training::default() });
    for kind in [Kind::Dense, Kind::Conv] {
        let losses = |fused: bool| {
            let mut network = Network::new(Architecture { kind, bands: 40, latent: 3 }, 5, &Device::Cpu).unwrap();
            network.encoder.iter_mut().chain(&mut network.decoder).for_each(|layer| layer.fused = fused);
            let scaling = spectra.scaling();
            let mut trainer = Trainer::new(&spectra, &scaling, &training, 5, network).unwrap();
            let learned: Vec<f64> = (1..=3).map(|epoch| trainer.epoch(epoch, 1e-3, |_| true).unwrap().unwrap()).collect();
            (learned, trainer.validate().unwrap())
        };
        let ((ours, ours_judged), (candles, candles_judged)) = (losses(true), losses(false));
        assert!(ours[2] < ours[0] - 1e-3, "{ours:?}");
        for (a, b) in ours.iter().zip(&candles).chain([(&ours_judged, &candles_judged)]) {
            assert!((a - b).abs() < 1e-5, "{kind:?}: {ours:?} {ours_judged}, by candle {candles:?} {candles_judged}");
        }
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_that_is_not_there_is_named() {
    let (spectra, folder) = (spectra(900), tempfile::tempdir().unwrap());
    let training: Training = toml::from_str("device = \"cuda\"").unwrap();
    let refused = train(&spectra, (Kind::Dense, 2), &spectra.scaling(), &training, 1, folder.path(), |_| true);
    let said = refused.err().unwrap().to_string();
    assert!(said.contains("training.device is \"cuda\", and CUDA has no device here") && said.contains("--features cuda"), "{said}");
}

fn state(losses: &[f64]) -> State {
    let spectra = spectra(2);
    let architecture = Architecture { kind: Kind::Dense, bands: 40, latent: 2 };
    let mut state = State::begin(architecture, &Training { epochs: 30, ..Training::default() }, 1, &spectra, &spectra.scaling());
    for loss in losses {
        assert!(!state.finished);
        state.judge(Epoch { loss: *loss, validation_loss: *loss, rate: state.rate, seconds: 0.0 });
    }
    state
}

#[test]
fn the_rate_falls_after_three_epochs_and_training_stops_after_five() {
    assert_eq!(state(&[0.5, 0.4, 0.41, 0.41]).rate, 6e-4);
    assert_eq!(state(&[0.5, 0.4, 0.41, 0.41, 0.41]).rate, 6e-4 * 0.2);
    // Falls below the threshold count for early stopping only.
    assert_eq!(state(&[0.5, 0.4, 0.399_999, 0.399_998, 0.399_997]).rate, 6e-4 * 0.2);
    assert!(!state(&[0.5, 0.4, 0.41, 0.41, 0.41, 0.41]).finished);
    assert!(state(&[0.5, 0.4, 0.41, 0.41, 0.41, 0.41, 0.41]).finished);
    let falling: Vec<f64> = (0..30).map(|i| 1.0 - 0.01 * f64::from(i)).collect();
    assert!(state(&falling).finished, "thirty epochs are all");
}
