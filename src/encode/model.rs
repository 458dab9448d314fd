//! A model file: its interface, and how a batch is run.

use super::guard::Guard;
use super::metadata::{CODES_MEAN, HeadAbout, Metadata, REFERENCE_INPUT, REFERENCE_OUTPUT, RESIDUAL_LIMIT};
use super::novelty::{Codes, Novelty};
use super::{Embedded, EncoderError, runtime, trial};
use crate::config::{EncoderConfig, Provider};
use crate::context::{EncoderContext, Reads};
use crate::planar::planar;
use ort::environment::Environment;
use ort::ep;
use ort::logging::LogLevel;
use ort::memory::Allocator;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{IoBinding, Session};
use ort::value::{Tensor, TensorElementType, ValueType};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest deviation of an embedding from the reference, relative to the larger of the reference and 1.
///
/// Processors add the terms of a float32 sum in different orders.
const TOLERANCE: f32 = 1e-4;
/// The same for heads, whose references are computed in float64.
const TOLERANCE_OF_HEADS: f32 = 2e-3;
/// Name of the output that says how well the model reconstructs a spectrum.
const RESIDUAL: &str = "residual";
/// Largest deviation between the embeddings of a model's two forms, relative in the same way.
const SAME: f32 = 1e-5;

/// A model whose declaration keeps the contract.
pub(super) struct Model {
    source: Source,
    session: Session,
    batch: usize,
    /// Whether the input is `[N, 1, bands]`.
    channel: bool,
    /// Number of bands of the input, where the model fixes it.
    pub bands: Option<usize>,
    /// Number of dimensions of an embedding, where the model declares it.
    pub dimensions: Option<usize>,
    /// Band centres of the training data, nm.
    pub wavelengths_nm: Option<Vec<f64>>,
    /// Full width at half maximum of each band, nm.
    pub fwhm_nm: Option<Vec<f64>>,
    /// What the model says of itself where it is a head.
    pub head: Option<HeadAbout>,
    reference: Option<(Vec<f32>, Vec<f32>)>,
    novelty: Option<Novelty>,
    pub name: String,
    pub sha256: String,
    /// Whether pixels with the flag `edge` are encoded.
    edge: bool,
}

/// The model's bytes and the settings of its sessions.
struct Source {
    bytes: Vec<u8>,
    path: PathBuf,
    environment: Environment,
    provider: Provider,
    threads: usize,
    workers: usize,
    /// Longest time of one run.
    limit: Duration,
}

/// A model bound to a batch of fixed size.
pub(super) struct Runner {
    session: Session,
    binding: IoBinding,
    guard: Guard,
    limit: Duration,
    input: Tensor<f32>,
    output: Tensor<f32>,
    /// Residuals `[batch]`, where the model gives them.
    residual: Option<Tensor<f32>>,
    novelty: Option<Novelty>,
    /// Whether the model runs in its planar form.
    pub planar: bool,
    pub path: PathBuf,
    pub batch: usize,
    pub bands: usize,
    pub context: EncoderContext,
}

impl Model {
    /// Tries a model's bytes in a process of its own, and loads them. `bands` is the number of bands where the model leaves it open. `path`
    /// names the model in messages, and by its stem where its metadata has no name.
    ///
    /// # Errors
    /// The trial takes too long or too much memory, or crashes. ONNX Runtime cannot load the model. Its interface
    /// or metadata break the contract.
    pub fn open(config: &EncoderConfig, path: &Path, bytes: Vec<u8>, bands: Option<usize>) -> Result<Self, EncoderError> {
        // Without the library there is nothing to try with.
        runtime::environment(config.library.as_deref())?;
        trial::attempt(config, path, &bytes, &hexadecimal(&Sha256::digest(&bytes)), bands)?;
        Self::of(config, path, bytes)
    }

    /// Loads the model of a file's bytes, and checks its declaration.
    ///
    /// # Errors
    /// ONNX Runtime cannot load the model, or its interface or metadata break the contract.
    pub fn of(config: &EncoderConfig, path: &Path, bytes: Vec<u8>) -> Result<Self, EncoderError> {
        let source = Source {
            bytes,
            path: path.to_owned(),
            environment: runtime::environment(config.library.as_deref())?,
            provider: config.provider,
            threads: config.threads.max(1),
            workers: config.workers,
            limit: config.limit(),
        };
        let session = source.open()?;

        let batch = config.batch.max(1);
        let (channel, bands) = check_input(&session, path, batch)?;
        let (dimensions, residual) = check_output(&session, path, batch)?;
        let metadata = session.metadata().map_err(|e| source.not_onnx(&e.to_string()))?;
        let wrong = |(key, problem)| EncoderError::Metadata { path: path.to_owned(), key, problem };
        let read = Metadata::read(|key| metadata.custom(key), bands).map_err(wrong)?;
        let Metadata { name, wavelengths_nm, fwhm_nm, head, reference, codes, residual_limit } = read;
        match (residual, residual_limit) {
            (true, None) => return Err(wrong((RESIDUAL_LIMIT, format!("is missing beside the output `{RESIDUAL}`")))),
            (false, Some(_)) => return Err(wrong((RESIDUAL_LIMIT, format!("has no meaning without a second output `{RESIDUAL}`")))),
            _ => {}
        }
        if let (Some(codes), Some(d)) = (&codes, dimensions) {
            check_codes(codes, d, path)?;
        }
        let novelty = Novelty::of(codes, residual_limit);
        let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.unwrap_or_else(stem);
        drop(metadata);
        let bands = bands.or_else(|| wavelengths_nm.as_ref().map(Vec::len));
        let sha256 = hexadecimal(&Sha256::digest(&source.bytes));
        let edge = config.edge;
        Ok(Self {
            source,
            session,
            batch,
            channel,
            bands,
            dimensions,
            wavelengths_nm,
            fwhm_nm,
            head,
            reference,
            novelty,
            name,
            sha256,
            edge,
        })
    }

    /// Whether the model tells how far a spectrum is from its training.
    pub fn tells_novelty(&self) -> bool {
        self.novelty.is_some()
    }

    /// Binds the model to batches of spectra of `bands` bands. It is run on zeros, and on the reference where there is one.
    ///
    /// One worker or none needs one runner. Several workers need one each, one that waits for its turn, and one that is filled.
    ///
    /// # Errors
    /// The model fails to run, its output has another shape, or it does not reproduce its reference.
    pub fn prepare(self, bands: usize) -> Result<Vec<Runner>, EncoderError> {
        let Self { mut source, session, batch, channel, head, reference, novelty, name, sha256, edge, .. } = self;
        let tolerance = if head.is_some() { TOLERANCE_OF_HEADS } else { TOLERANCE };
        let context = EncoderContext { name, sha256, dimensions: 0, reads: Reads::All, edge, novelty: novelty.is_some() };
        let limit = source.limit;
        let bind = |session, path: &Path| Runner::bind(session, path, (batch, channel, bands), (context.clone(), novelty.clone()), limit);
        let mut first = bind(session, &source.path)?;
        if let Some(planar) = source.planar()
            && let Ok(mut other) = planar.open().and_then(|session| bind(session, &planar.path))
            && first.agrees(&mut other)?
        {
            tracing::debug!(model = %planar.path.display(), "convolutions along the bands are run over images of one row");
            (first, source) = (other, planar);
            first.planar = true;
        }
        if let Some((spectra, embeddings)) = &reference {
            first.check_reference(spectra, embeddings, tolerance)?;
        }
        let more = if source.workers > 1 { source.workers + 1 } else { 0 };
        let mut runners = vec![first];
        for _ in 0..more {
            runners.push(bind(source.open()?, &source.path)?);
        }
        Ok(runners)
    }
}

impl Source {
    fn open(&self) -> Result<Session, EncoderError> {
        let mut builder = session(&self.environment, self.threads).map_err(|e| self.not_onnx(&e.to_string()))?;
        if self.provider == Provider::Cuda {
            let provider = [ep::CUDA::default().build().error_on_failure()];
            let refused = |e: ort::Error<_>| EncoderError::Provider { provider: "CUDA", reason: e.to_string() };
            builder = builder.with_execution_providers(provider).map_err(refused)?;
        }
        // The session runs the bytes that were hashed. A model with weights in other files is refused.
        builder.commit_from_memory(&self.bytes).map_err(|e| self.not_onnx(&e.to_string()))
    }

    /// The model in the planar form, where it has one. A processor runs that form faster.
    fn planar(&self) -> Option<Self> {
        let bytes = (self.provider == Provider::Cpu).then(|| planar(&self.bytes)).flatten()?;
        Some(Self { bytes, path: self.path.clone(), environment: self.environment.clone(), ..*self })
    }

    fn not_onnx(&self, reason: &str) -> EncoderError {
        EncoderError::NotOnnx { path: self.path.clone(), reason: reason.to_owned() }
    }
}

impl Runner {
    /// Binds a session to batches of a shape, and runs it on zeros. The shape is spectra, whether there is a channel, and bands.
    fn bind(
        mut session: Session,
        path: &Path,
        (batch, channel, bands): (usize, bool, usize),
        (context, novelty): (EncoderContext, Option<Novelty>),
        limit: Duration,
    ) -> Result<Self, EncoderError> {
        let failed = |e: ort::Error| EncoderError::Run { path: path.to_owned(), reason: e.to_string() };
        let guard = Guard::new(limit).map_err(|reason| EncoderError::Run { path: path.to_owned(), reason })?;
        let shape: Vec<usize> = if channel { vec![batch, 1, bands] } else { vec![batch, bands] };
        let mut input = Tensor::from_array((shape, vec![0.0_f32; batch * bands])).map_err(failed)?;
        let (given, residuals): (Vec<i64>, Option<Vec<i64>>) = {
            let outputs = guard.run(|options| session.run_with_options(ort::inputs![input.view()], options));
            let outputs = outputs.ok_or_else(|| endless(path, limit))?.map_err(failed)?;
            let shape_of = |output: usize| outputs[output].try_extract_tensor::<f32>().map(|(shape, _)| shape.to_vec()).map_err(failed);
            (shape_of(0)?, if outputs.len() > 1 { Some(shape_of(1)?) } else { None })
        };
        let dimensions = match given[..] {
            [n, d] if usize::try_from(n) == Ok(batch) && d > 0 => usize::try_from(d).unwrap_or(0),
            _ => {
                let (expected, found) = (format!("an output [{batch}, d] for {batch} spectra"), format!("{given:?}"));
                return Err(EncoderError::Interface { path: path.to_owned(), expected, found });
            }
        };
        if let Some(codes) = novelty.as_ref().and_then(Novelty::codes) {
            check_codes(codes, dimensions, path)?;
        }
        let residual = residuals.map(|given| residual_of(&given, batch, path)).transpose()?;
        let mut output = Tensor::<f32>::new(&Allocator::default(), [batch, dimensions]).map_err(failed)?;
        let (input_name, output_name) = (session.inputs()[0].name().to_owned(), session.outputs()[0].name().to_owned());
        let mut binding = session.create_binding().map_err(failed)?;
        binding.bind_input(input_name, &input).map_err(failed)?;
        binding.bind_output(output_name, &mut output).map_err(failed)?;
        let mut residual = residual.map(|shape| Tensor::<f32>::new(&Allocator::default(), shape)).transpose().map_err(failed)?;
        if let Some(residual) = &mut residual {
            binding.bind_output(RESIDUAL, residual).map_err(failed)?;
        }
        input.extract_tensor_mut().1.fill(0.0);
        let context = EncoderContext { dimensions, ..context };
        Ok(Self {
            session,
            binding,
            guard,
            limit,
            input,
            output,
            residual,
            novelty,
            planar: false,
            path: path.to_owned(),
            batch,
            bands,
            context,
        })
    }

    /// Runs the batch and adds the embeddings to `batch`, with their novelty where the model tells it. The first places of the input hold
    /// the spectra of `batch`'s rows.
    ///
    /// The model always sees a whole batch, because the shape decides how ONNX Runtime computes. So the same spectra in the same
    /// places give the same embeddings, bit by bit.
    ///
    /// # Errors
    /// The model fails to run, or an embedding or a residual is not finite.
    pub fn embed(&mut self, batch: &mut Embedded) -> Result<(), EncoderError> {
        let filled = batch.rows.len();
        let (used, numbers) = (filled * self.bands, filled * self.context.dimensions);
        self.input()[used..].fill(0.0);
        self.run()?;
        let found = &self.output.extract_tensor().1[..numbers];
        let residuals = self.residual.as_ref().map_or(&[][..], |residual| &residual.extract_tensor().1[..filled]);
        if let Some(&found) = found.iter().chain(residuals).find(|number| !number.is_finite()) {
            return Err(EncoderError::NotFinite { path: self.path.clone(), found });
        }
        batch.embeddings.extend_from_slice(found);
        if let Some(novelty) = &mut self.novelty {
            novelty.judge(found, self.context.dimensions, residuals, &mut batch.novelty);
        }
        Ok(())
    }

    /// The batch's spectra `[batch][bands]`. The caller fills them before [`Runner::run`].
    pub fn input(&mut self) -> &mut [f32] {
        self.input.extract_tensor_mut().1
    }

    /// Runs the batch and gives the embeddings `[batch][dimensions]`.
    ///
    /// # Errors
    /// The model fails to run.
    pub fn run(&mut self) -> Result<&[f32], EncoderError> {
        let (session, binding) = (&mut self.session, &self.binding);
        let run = |options: &_| session.run_binding_with_options(binding, options).map(|_| ()).map_err(|e| e.to_string());
        match self.guard.run(run) {
            Some(Ok(())) => {}
            Some(Err(reason)) => return Err(EncoderError::Run { path: self.path.clone(), reason }),
            None => return Err(endless(&self.path, self.limit)),
        }
        Ok(self.output.extract_tensor().1)
    }

    /// Whether another runner gives the same embeddings for a batch of values between 0 and 1.
    fn agrees(&mut self, other: &mut Self) -> Result<bool, EncoderError> {
        if other.context != self.context {
            return Ok(false);
        }
        // The fractional parts of multiples of the golden ratio are spread evenly.
        let (mut value, step) = (0.0_f32, 0.618_034);
        for (one, same) in self.input().iter_mut().zip(other.input()) {
            value = (value + step).fract();
            (*one, *same) = (value, value);
        }
        let alike = |(a, b): (&f32, &f32)| (a - b).abs() <= SAME * a.abs().max(1.0) || a.is_nan() && b.is_nan();
        let mut agree = self.run()?.iter().zip(other.run()?).all(alike);
        if let (Some(one), Some(same)) = (&self.residual, &other.residual) {
            agree &= one.extract_tensor().1.iter().zip(same.extract_tensor().1).all(alike);
        }
        self.input().fill(0.0);
        other.input().fill(0.0);
        Ok(agree)
    }

    /// Checks that the model reproduces reference spectra `[n][bands]` and embeddings `[n][dimensions]`, up to a relative deviation.
    fn check_reference(&mut self, spectra: &[f32], embeddings: &[f32], tolerance: f32) -> Result<(), EncoderError> {
        let (bands, d) = (self.bands, self.context.dimensions);
        let wrong = |key, problem| EncoderError::Metadata { path: self.path.clone(), key, problem };
        let n = spectra.len() / bands;
        if n == 0 || spectra.len() != n * bands {
            return Err(wrong(REFERENCE_INPUT, format!("expected a multiple of {bands} numbers, one per band, found {}", spectra.len())));
        }
        if embeddings.len() != n * d {
            return Err(wrong(REFERENCE_OUTPUT, format!("expected {n} x {d} numbers, found {}", embeddings.len())));
        }
        let mut index = 0;
        for some in spectra.chunks(self.batch * bands) {
            self.input()[..some.len()].copy_from_slice(some);
            let rows = some.len() / bands;
            let found: Vec<f32> = self.run()?[..rows * d].to_vec();
            for found in found {
                let expected = embeddings[index];
                let off = (found - expected).abs();
                if off.is_nan() || off > tolerance * expected.abs().max(1.0) {
                    return Err(EncoderError::Reference { path: self.path.clone(), index, expected, found });
                }
                index += 1;
            }
        }
        self.input().fill(0.0);
        Ok(())
    }
}

/// The error of a run that was ended at the limit.
fn endless(path: &Path, limit: Duration) -> EncoderError {
    EncoderError::Endless { path: path.to_owned(), what: "running a batch", limit_s: limit.as_secs_f64() }
}

/// A session with explicit threads that runs one operator after the other. Its results do not depend on scheduling.
fn session(environment: &Environment, threads: usize) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(environment)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_deterministic_compute(true)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_log_level(LogLevel::Warning)?)
}

fn check_input(session: &Session, path: &Path, batch: usize) -> Result<(bool, Option<usize>), EncoderError> {
    let expected = format!("one input float32 [N, bands] or [N, 1, bands] with N dynamic or {batch} (`encoder.batch`)");
    let found = session.inputs().iter().map(|i| describe(i.dtype())).collect::<Vec<_>>().join(" and ");
    let wrong = || EncoderError::Interface { path: path.to_owned(), expected: expected.clone(), found: format!("input {found}") };
    let [input] = session.inputs() else { return Err(wrong()) };
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = input.dtype() else { return Err(wrong()) };
    let (n, channel, bands) = match shape[..] {
        [n, bands] => (n, false, bands),
        [n, 1, bands] => (n, true, bands),
        _ => return Err(wrong()),
    };
    if bands == 0 || !(n < 0 || usize::try_from(n) == Ok(batch)) {
        return Err(wrong());
    }
    Ok((channel, usize::try_from(bands).ok()))
}

/// The number of dimensions, where the model declares it, and whether it gives residuals.
fn check_output(session: &Session, path: &Path, batch: usize) -> Result<(Option<usize>, bool), EncoderError> {
    let expected =
        format!("one output float32 [N, d] with the N of the input, and perhaps a second one named `{RESIDUAL}`, float32 [N] or [N, 1]");
    let found = session.outputs().iter().map(|o| describe(o.dtype())).collect::<Vec<_>>().join(" and ");
    let wrong = || EncoderError::Interface { path: path.to_owned(), expected: expected.clone(), found: format!("output {found}") };
    let (output, residual) = match session.outputs() {
        [output] => (output, None),
        [output, residual] if residual.name() == RESIDUAL => (output, Some(residual)),
        _ => return Err(wrong()),
    };
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = output.dtype() else { return Err(wrong()) };
    let whole = |n: i64| n < 0 || usize::try_from(n) == Ok(batch);
    // A model may leave the shape of an output open. The first run shows it.
    let dimensions = match shape[..] {
        [] => None,
        [n, d] if d != 0 && whole(n) => usize::try_from(d).ok(),
        _ => return Err(wrong()),
    };
    match residual.map(|residual| residual.dtype()) {
        None => Ok((dimensions, false)),
        Some(ValueType::Tensor { ty: TensorElementType::Float32, shape, .. }) => match shape[..] {
            [] => Ok((dimensions, true)),
            [n] | [n, 1 | -1] if whole(n) => Ok((dimensions, true)),
            _ => Err(wrong()),
        },
        Some(_) => Err(wrong()),
    }
}

/// Checks that the statistics of the training embeddings are of as many dimensions as an embedding.
fn check_codes(codes: &Codes, dimensions: usize, path: &Path) -> Result<(), EncoderError> {
    let found = codes.dimensions();
    if found == dimensions {
        return Ok(());
    }
    let problem = format!("expected {dimensions} numbers, one per dimension of an embedding, found {found}");
    Err(EncoderError::Metadata { path: path.to_owned(), key: CODES_MEAN, problem })
}

/// The shape of the residuals of a batch, as the model gave it.
fn residual_of(given: &[i64], batch: usize, path: &Path) -> Result<Vec<usize>, EncoderError> {
    match given {
        [n] if usize::try_from(*n) == Ok(batch) => Ok(vec![batch]),
        [n, 1] if usize::try_from(*n) == Ok(batch) => Ok(vec![batch, 1]),
        _ => {
            let expected = format!("an output `{RESIDUAL}` [{batch}] or [{batch}, 1] for {batch} spectra");
            Err(EncoderError::Interface { path: path.to_owned(), expected, found: format!("{given:?}") })
        }
    }
}

/// Type and shape in words, such as `float32 [dynamic, 736]`.
fn describe(kind: &ValueType) -> String {
    match kind {
        ValueType::Tensor { ty, shape, .. } => {
            let dimensions: Vec<String> = shape.iter().map(|&d| if d < 0 { "dynamic".to_owned() } else { d.to_string() }).collect();
            format!("{} [{}]", format!("{ty:?}").to_lowercase(), dimensions.join(", "))
        }
        other => other.to_string(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
