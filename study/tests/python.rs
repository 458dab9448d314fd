//! PCA and exported models, held against scikit-learn, `onnx.checker` and ONNX Runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is how a test fails")]

mod onnxruntime;
#[path = "../../tests/python/mod.rs"]
mod scripts;

use hyclus_study::Place;
use hyclus_study::autoencoder::{Kind, Trained, Training, train};
use hyclus_study::data::Spectra;
use hyclus_study::known::Known;
use hyclus_study::onnx::{export_network, export_pairs, export_pca, export_vicreg};
use hyclus_study::pairs::vicreg::{self, VicregConfig};
use hyclus_study::pairs::{Moments, Pairs, Partner};
use hyclus_study::pca::Pca;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use scripts::run;
use std::path::{Path, PathBuf};

/// Components whose residual a model gives here.
const SPAN: usize = 12;

fn write(folder: &Path, name: &str, values: &[f32]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    path
}

/// Mixtures of five bumps, and noise in every band.
fn spectra(count: usize, bands: usize) -> Spectra {
    let mut rng = Pcg64Mcg::seed_from_u64(4);
    let mut unit = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
    let mut values = Vec::new();
    for _ in 0..count {
        let weights: Vec<f64> = (0..5).map(|i| unit() * 0.3 / f64::from(i + 1)).collect();
        for band in 0..bands {
            let at = band as f64 / bands as f64;
            let bumps = weights.iter().enumerate().map(|(i, w)| w * (-((at - 0.1 - 0.2 * i as f64) / 0.08).powi(2)).exp());
            values.push((0.2 + bumps.sum::<f64>() + 0.01 * unit()) as f32);
        }
    }
    Spectra::new((0..bands).map(|band| 400.0 + 2100.0 * band as f64 / bands as f64).collect(), values)
}

#[test]
fn principal_components_are_those_of_scikit_learn() {
    let folder = tempfile::tempdir().unwrap();
    let data = spectra(5000, 60);
    let pca = Pca::fit(&data, 7).unwrap();
    let rows: Vec<u32> = (0..5000).collect();
    let model = folder.path().join("model.json");
    std::fs::write(&model, serde_json::to_vec(&pca).unwrap()).unwrap();
    let values = write(folder.path(), "spectra", &data.rows(&rows).unwrap());
    let codes = write(folder.path(), "codes", &pca.encode(&data, &rows).unwrap().into_raw_vec_and_offset().0);
    run("pca.py", &[&model, &values, &codes]);
}

/// Runs an encoder in ONNX Runtime from Rust, and gives its codes.
fn with_ort(model: &Path, input: &[f32], width: usize) -> Vec<f32> {
    onnxruntime::outputs(model, input, width).swap_remove(0).1
}

/// Components of spectra, and the residuals that they leave over.
fn span(data: &Spectra, rows: &[u32]) -> (Pca, Vec<f32>) {
    let pca = Pca::fit(data, SPAN).unwrap();
    let residuals = pca.residuals(&data.rows(rows).unwrap());
    (pca, residuals)
}

fn compare(folder: &Path, data: &Spectra, codes: &[f32], decoded: &[f32]) {
    let values = data.rows(&(0..data.len() as u32).collect::<Vec<_>>()).unwrap();
    let found = with_ort(&folder.join("encoder.onnx"), &values, data.bands());
    let worst = found.iter().zip(codes).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(found.len() == codes.len() && worst < 1e-5, "off by {worst}");
    let files = [("spectra", &values[..]), ("codes", codes), ("decoded", decoded)].map(|(name, list)| write(folder, name, list));
    run("onnx_models.py", &[folder, &files[0], &files[1], &files[2]]);
}

#[test]
fn exported_networks_give_the_codes_of_the_framework() {
    // Bands that the strides of the convolutions do not divide.
    let data = spectra(700, 101);
    let rows: Vec<u32> = (0..700).collect();
    for (kind, latent) in [(Kind::Dense, 4), (Kind::Conv, 16), (Kind::Conv, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let training = Training { epochs: 3, ..Training::default() };
        let trained: Trained = train(&data, (kind, latent), &data.scaling(), &training, 1, folder.path(), |_| true).unwrap().unwrap();
        let (encoder, decoder) = (folder.path().join("encoder.onnx"), folder.path().join("decoder.onnx"));
        let codes = trained.encode(&data, &rows).unwrap().into_raw_vec_and_offset().0;
        let known = Known::of(&codes, latent, Some(span(&data, &rows)));
        export_network(&trained, "test", &data.rows(&[0, 9]).unwrap(), known.as_ref(), [&encoder, &decoder]).unwrap();
        let decoded = trained.decode(&codes).unwrap();
        compare(folder.path(), &data, &codes, &decoded);
    }
}

#[test]
fn exported_components_give_the_same_codes() {
    let folder = tempfile::tempdir().unwrap();
    let data = spectra(500, 50);
    let pca = Pca::fit(&data, 4).unwrap();
    let (encoder, decoder) = (folder.path().join("encoder.onnx"), folder.path().join("decoder.onnx"));
    let rows = (0..500).collect::<Vec<_>>();
    let codes = pca.encode(&data, &rows).unwrap().into_raw_vec_and_offset().0;
    let known = Known::of(&codes, 4, Some(span(&data, &rows)));
    export_pca(&pca, "test", &data.rows(&[3]).unwrap(), known.as_ref(), [&encoder, &decoder]).unwrap();
    let decoded = pca.decode(&codes);
    compare(folder.path(), &data, &codes, &decoded);
}

#[test]
fn exported_encoders_from_pairs_give_the_same_codes() {
    let folder = tempfile::tempdir().unwrap();
    let data = spectra(600, 60);
    let places: Vec<Place> = (0..600).map(|i| Place { sample: i / 100, line: i as i32 % 100, pixel: 0 }).collect();
    let rows: Vec<u32> = (0..600).collect();
    let moments = Moments::of(&data, &places, (&[0; 6], 1), Partner::Container, 0).unwrap();
    let encoder = folder.path().join("encoder.onnx");
    // Reflectance beyond the limits of the transform is clamped by both.
    let mut odd = data.rows(&[1, 2]).unwrap();
    (odd[3], odd[70]) = (-0.2, 1.4);
    let values = [data.rows(&rows).unwrap(), odd.clone()].concat();
    let close = |codes: &[f32]| {
        let found = with_ort(&encoder, &values, 60);
        assert_eq!(found.len(), codes.len());
        let worst = found.iter().zip(codes).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
        assert!(worst < 2e-5, "off by {worst}");
        let files = [("spectra", &values[..]), ("codes", codes)].map(|(name, list)| write(folder.path(), name, list));
        run("onnx_models.py", &[folder.path(), &files[0], &files[1]]);
    };
    let pairs = Pairs::fit(&moments, |_| true, 4, 1e-4).unwrap();
    let ordinary = data.rows(&rows).unwrap();
    let known = Known::of(&pairs.encode_spectra(ordinary.clone()), 4, Some(span(&data, &rows)));
    export_pairs(&pairs, "test", &odd, known.as_ref(), &encoder).unwrap();
    close(&pairs.encode_spectra(values.clone()));
    let config = VicregConfig { epochs: 2, batches: 20, batch: 64, inputs: 24, hidden: vec![32, 16], ..VicregConfig::default() };
    let source = vicreg::Source { spectra: &data, places: &places, rows: &rows, partner: Partner::Container };
    let trained = vicreg::train(source, (&moments, |_| true), 4, &config, 1, folder.path(), |_, _| true).unwrap().unwrap();
    let known = Known::of(&trained.encode_spectra(ordinary.clone()), 4, Some(span(&data, &rows)));
    export_vicreg(&trained, "test", &odd, known.as_ref(), &encoder).unwrap();
    close(&trained.encode_spectra(values.clone()));
}
