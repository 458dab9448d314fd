//! Encoders and decoders as ONNX models, after the daemon's encoder contract. The scaling is inside. The metadata has wavelengths and
//! reference spectra.

mod graph;
pub mod head;
mod proto;

use crate::autoencoder::{Form, Layer, Trained, TrainingError};
use crate::known::Known;
use crate::pairs::vicreg::Vicreg;
use crate::pairs::{HIGHEST, LOWEST, Pairs};
use crate::pca::Pca;
use graph::Graph;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The network cannot be read or run.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// Writes the encoder and the decoder of a network. `reference` are spectra `[row][band]` with which the model's loader tests it. The encoder
/// carries what it knows, and gives the residual of each spectrum.
///
/// # Errors
///
/// [`ExportError::Training`] for a network that cannot be run. [`ExportError::Write`] for a file that cannot be written.
pub fn export_network(
    trained: &Trained,
    name: &str,
    reference: &[f32],
    known: Option<&Known>,
    [encoder, decoder]: [&Path; 2],
) -> Result<(), ExportError> {
    let (bands, latent) = (trained.network.architecture.bands, trained.network.architecture.latent);
    let codes = trained.encode_spectra(reference.to_vec())?;
    let mut graph = Graph::new("spectrum", bands);
    graph.binary("Sub", "lowest", &trained.scaling.lowest);
    graph.binary("Mul", "factor", &trained.scaling.factor);
    for (i, layer) in trained.network.encoder.iter().enumerate() {
        add_layer(&mut graph, &format!("encoder.{i}"), layer)?;
    }
    embedding(&mut graph, latent, known);
    write(encoder, graph.finish(&metadata(name, &trained.wavelengths_nm, reference, &codes, known)))?;
    let mut graph = Graph::new("embedding", latent);
    for (i, layer) in trained.network.decoder.iter().enumerate() {
        add_layer(&mut graph, &format!("decoder.{i}"), layer)?;
    }
    graph.unary("Sigmoid");
    graph.binary("Mul", "range", &trained.scaling.ranges());
    graph.binary("Add", "lowest", &trained.scaling.lowest);
    graph.output("spectrum", bands);
    let decoded = trained.decode(&codes)?;
    write(decoder, graph.finish(&metadata(&format!("{name}-decoder"), &trained.wavelengths_nm, &codes, &decoded, None)))
}

/// Makes the last result the embedding, and adds the residual where the encoder knows its limit.
fn embedding(graph: &mut Graph, latent: usize, known: Option<&Known>) {
    graph.output("embedding", latent);
    if let Some((span, _)) = known.and_then(|known| known.span.as_ref()) {
        graph.residual("spectrum", &narrow(&span.mean), &narrow(&span.components.concat()));
    }
}

/// Writes principal components as an encoder, and their inverse as a decoder. `reference` and `known` are as for [`export_network`].
///
/// # Errors
///
/// [`ExportError::Write`] for a file that cannot be written.
pub fn export_pca(
    pca: &Pca,
    name: &str,
    reference: &[f32],
    known: Option<&Known>,
    [encoder, decoder]: [&Path; 2],
) -> Result<(), ExportError> {
    let (bands, latent) = (pca.mean.len(), pca.components.len());
    let mean = narrow(&pca.mean);
    let rows: Vec<f32> = pca.components.iter().flat_map(|component| narrow(component)).collect();
    let columns: Vec<f32> = (0..bands).flat_map(|band| pca.components.iter().map(move |component| component[band] as f32)).collect();
    let codes = pca.encode_spectra(reference);
    let mut graph = Graph::new("spectrum", bands);
    graph.binary("Sub", "mean", &mean);
    graph.multiply("components", &columns, (bands, latent));
    embedding(&mut graph, latent, known);
    write(encoder, graph.finish(&metadata(name, &pca.wavelengths_nm, reference, &codes, known)))?;
    let mut graph = Graph::new("embedding", latent);
    graph.multiply("components", &rows, (latent, bands));
    graph.binary("Add", "mean", &mean);
    graph.output("spectrum", bands);
    let decoded = pca.decode(&codes);
    write(decoder, graph.finish(&metadata(&format!("{name}-decoder"), &pca.wavelengths_nm, &codes, &decoded, None)))
}

/// Writes linear directions from pairs as an encoder, with ln K/S inside. `reference` and `known` are as for [`export_network`].
///
/// # Errors
///
/// [`ExportError::Write`] for a file that cannot be written.
pub fn export_pairs(pairs: &Pairs, name: &str, reference: &[f32], known: Option<&Known>, encoder: &Path) -> Result<(), ExportError> {
    let (bands, latent) = (pairs.mean.len(), pairs.directions.len());
    let mean = narrow(&pairs.mean);
    let columns: Vec<f32> = (0..bands).flat_map(|band| pairs.directions.iter().map(move |direction| direction[band] as f32)).collect();
    let codes = pairs.encode_spectra(reference.to_vec());
    let mut graph = Graph::new("spectrum", bands);
    graph.log_absorption((LOWEST, HIGHEST), &mean);
    graph.multiply("directions", &columns, (bands, latent));
    embedding(&mut graph, latent, known);
    write(encoder, graph.finish(&metadata(name, &pairs.wavelengths_nm, reference, &codes, known)))
}

/// Writes a network from pairs as an encoder, with ln K/S and the whitening inside. `reference` and `known` are as for [`export_network`].
///
/// # Errors
///
/// [`ExportError::Write`] for a file that cannot be written.
pub fn export_vicreg(model: &Vicreg, name: &str, reference: &[f32], known: Option<&Known>, encoder: &Path) -> Result<(), ExportError> {
    let bands = model.mean.len();
    let codes = model.encode_spectra(reference.to_vec());
    let mut graph = Graph::new("spectrum", bands);
    graph.log_absorption((LOWEST, HIGHEST), &model.mean);
    graph.multiply("whitening", &model.whitening, (bands, model.whitening.len() / bands));
    for (i, part) in model.shape.parts().into_iter().enumerate() {
        let values = |range: &Range<usize>| &model.values[range.clone()];
        graph.multiply(&format!("encoder.{i}.weight"), values(&part.weight), (part.inputs, part.outputs));
        graph.binary("Add", &format!("encoder.{i}.bias"), values(&part.bias));
        if let Some((gain, shift)) = &part.normal {
            graph.normalise(&format!("encoder.{i}"), values(gain), values(shift));
            graph.gelu(&format!("encoder.{i}"));
        }
    }
    embedding(&mut graph, model.latent, known);
    write(encoder, graph.finish(&metadata(name, &model.wavelengths_nm, reference, &codes, known)))
}

/// Metadata of a model. Reference input and output are lists of numbers, row after row.
fn metadata(name: &str, wavelengths_nm: &[f64], input: &[f32], output: &[f32], known: Option<&Known>) -> Vec<(String, String)> {
    let of = |key: &str, value: String| (format!("hyclus.{key}"), value);
    let mut entries = vec![
        of("name", name.to_owned()),
        of("wavelengths_nm", format!("{wavelengths_nm:?}")),
        of("reference_input", list(input)),
        of("reference_output", list(output)),
    ];
    if let Some(Known { mean, covariance, codes_limit, span }) = known {
        entries.extend([
            of("codes_mean", format!("{mean:?}")),
            of("codes_covariance", format!("{covariance:?}")),
            of("codes_limit", format!("{codes_limit:?}")),
        ]);
        entries.extend(span.iter().map(|(_, limit)| of("residual_limit", format!("{limit:?}"))));
    }
    entries
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

/// Numbers as a JSON list.
fn list(values: &[f32]) -> String {
    let mut text = String::from("[");
    values.iter().enumerate().for_each(|(i, value)| {
        let _ = write!(text, "{}{value}", if i > 0 { "," } else { "" });
    });
    text + "]"
}

fn add_layer(graph: &mut Graph, name: &str, layer: &Layer) -> Result<(), ExportError> {
    let failed = |e| ExportError::Training(TrainingError::Candle(e));
    let (rows, columns) = layer.weight.dims2().map_err(failed)?;
    let weight: Vec<f32> = layer.weight.flatten_all().and_then(|w| w.to_vec1()).map_err(failed)?;
    let bias: Vec<f32> = layer.bias.to_vec1().map_err(failed)?;
    match layer.form {
        Form::Dense => {
            graph.multiply(&format!("{name}.weight"), &weight, (rows, columns));
            graph.binary("Add", &format!("{name}.bias"), &bias);
        }
        // Signals are [length, channels] in our rows, and [channels, length] in ONNX.
        Form::Convolution(w) => {
            // Weights [kernel * in, out] become [out, in, kernel].
            let at = |out: usize, channel: usize, k: usize| weight[(k * w.channels + channel) * columns + out];
            let weight = transposed(columns, w.channels, w.kernel, at);
            graph.as_channels(w.length, w.channels);
            let shape = [columns, w.channels, w.kernel];
            graph.convolve("Conv", name, &weight, shape, &bias, (w.stride, w.before, w.behind));
            graph.as_rows(w.count() * columns);
        }
        Form::Transposed(w) => {
            // Weights [in, kernel * out] become [in, out, kernel].
            let at = |channel: usize, out: usize, k: usize| weight[channel * columns + k * w.channels + out];
            let weight = transposed(rows, w.channels, w.kernel, at);
            graph.as_channels(w.count(), rows);
            graph.convolve("ConvTranspose", name, &weight, [rows, w.channels, w.kernel], &bias, (w.stride, w.before, w.behind));
            graph.as_rows(w.length * w.channels);
        }
    }
    if layer.tanh {
        graph.unary("Tanh");
    }
    Ok(())
}

/// The values `at` as an array `[a][b][kernel]`.
fn transposed(a: usize, b: usize, kernel: usize, at: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let of = |i: usize| at(i / (b * kernel), i / kernel % b, i % kernel);
    (0..a * b * kernel).map(of).collect()
}

fn write(path: &Path, bytes: Vec<u8>) -> Result<(), ExportError> {
    let failed = |source| ExportError::Write { path: path.to_owned(), source };
    let fresh = path.with_extension("onnx.new");
    std::fs::write(&fresh, bytes).map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)
}
