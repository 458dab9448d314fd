//! The command line.

use crate::config::{Autoencoder, Config};
use crate::material::Material;
use crate::progress::Progress;
use crate::reduce::{Study, StudyError};
use crate::steps::{self, StepError, StepsConfig};
use crate::{autoencoder, campaign, regress};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The offline study of scanned spectra.
#[derive(Debug, Parser)]
#[command(name = "hyclus-study", version)]
struct Arguments {
    /// Configuration of the study.
    #[arg(long, global = true, default_value = "config/study.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

/// One step of the study. A step skips what an earlier run has finished.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Scan the samples on the simulated rig, with hyclusd.
    Campaign,
    /// Run train, encode and export, one after the other.
    Reduce,
    /// Find principal components, train the autoencoders, and learn encoders from pairs.
    Train,
    /// Compute the codes of all spectra.
    Encode,
    /// Write encoders and decoders as ONNX models.
    Export,
    /// Draw maps by t-SNE.
    Tsne,
    /// Cluster by k-means.
    Kmeans,
    /// Cluster hierarchically.
    Linkage,
    /// Classify by random forests.
    Classify,
    /// Learn labels of samples from a table, with intervals, and export heads.
    Regress,
    /// Run all steps that are not finished, and write the page. The regression runs where regress.table names a table.
    Report,
}

/// Runs the command line. The exit status is 0, 1 for a failure, or 2 for wrong usage.
pub fn main() -> ExitCode {
    say_threads();
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyclus-study: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sets the number of threads in the environment. Without it, candle reads /proc/cpuinfo at every multiplication. That takes a third of the
/// time of a training.
fn say_threads() {
    const VARIABLE: &str = "RAYON_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // SAFETY: nothing else of the process runs yet that could read the environment.
        unsafe { std::env::set_var(VARIABLE, threads.to_string()) };
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::read(&arguments.config)?;
    match arguments.command {
        Command::Campaign => scan(&config)?,
        Command::Reduce => reduce(&config, &open(&config)?)?,
        Command::Train => train(&config, &open(&config)?)?,
        Command::Encode => encode(&open(&config)?)?,
        Command::Export => export(&open(&config)?)?,
        Command::Tsne => step(&config, steps::tsne)?,
        Command::Kmeans => step(&config, steps::kmeans)?,
        Command::Linkage => step(&config, steps::linkage)?,
        Command::Classify => classify(&config)?,
        Command::Regress => regress(&config)?,
        Command::Report => report(&config)?,
    }
    Ok(())
}

/// A step after the reduction, which writes into the report's folder.
type Step = fn(&Material, &StepsConfig, &Path, Progress<'_>) -> Result<(), StepError>;

fn step(config: &Config, step: Step) -> Result<(), Box<dyn std::error::Error>> {
    let material = open(config)?.material()?;
    run_step(config, &material, step)
}

fn classify(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let study = open(config)?;
    let mut material = study.material()?;
    let bars = Bars::default();
    material.held_out = study.hold_out(&material, &|what, done, all| bars.show(what, done, all))?;
    run_step(config, &material, steps::classify)
}

fn run_step(config: &Config, material: &Material, step: Step) -> Result<(), Box<dyn std::error::Error>> {
    let folder = &config.report.folder;
    let bars = Bars::default();
    step(material, &config.steps(), folder, &|what, done, all| bars.show(what, done, all))?;
    println!("{}", folder.display());
    Ok(())
}

fn regress(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let bars = Bars::default();
    println!("{}", regress::run(config, &|what, done, all| bars.show(what, done, all))?);
    Ok(())
}

fn report(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    if config.data.sources.is_none() {
        scan(config)?;
    }
    let study = open(config)?;
    steps::check_data(&study.data.factors, &study.data.places, &config.steps())?;
    let labelled = config.regress.table.is_some();
    if labelled {
        regress::check(&study)?;
    }
    reduce(config, &study)?;
    let mut material = study.material()?;
    let page = config.report.folder.join("report.html");
    let bars = Bars::default();
    let progress: Progress = &|what, done, all| bars.show(what, done, all);
    let regressed = if labelled { regress::learn(&study, progress)?.0 } else { Vec::new() };
    material.held_out = study.hold_out(&material, progress)?;
    steps::report(&material, &regressed, &config.steps(), &page, progress)?;
    println!("{}", page.display());
    Ok(())
}

fn reduce(config: &Config, study: &Study) -> Result<(), StudyError> {
    train(config, study)?;
    encode(study)?;
    export(study)
}

/// The progress bar of the running step, with the name of the step.
#[derive(Default)]
struct Bars(Mutex<Option<(String, ProgressBar)>>);

impl Bars {
    fn show(&self, what: &str, done: usize, all: usize) {
        // A bar is whole whenever the lock is free.
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(name, _)| name != what) {
            *shown = Some((what.to_owned(), bar(all, what)));
        }
        if let Some((_, bar)) = &*shown {
            bar.set_position(done as u64);
            if done == all && !bar.is_finished() {
                finish(bar);
            }
        }
    }
}

/// Finishes a bar. A terminal keeps the full bar, and other outputs get a line.
fn finish(bar: &ProgressBar) {
    bar.finish();
    if bar.is_hidden() {
        println!("{} {} done in {:.1} s", bar.prefix(), bar.message(), bar.elapsed().as_secs_f64());
    }
}

fn bar(length: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:14} {bar:30} {pos}/{len} {msg} [{elapsed_precise}, {eta} left]");
    let bar = ProgressBar::new(length as u64).with_prefix(what.to_owned());
    // The template is a constant. A bar without it still shows the progress.
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn scan(config: &Config) -> Result<(), StudyError> {
    let bar = bar(0, "campaign");
    campaign::scan(&config.campaign, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    finish(&bar);
    println!("campaign: {}", config.campaign.folder.display());
    Ok(())
}

fn open(config: &Config) -> Result<Study, StudyError> {
    let study = Study::open(config)?;
    let (spectra, samples) = (&study.data.spectra, study.data.samples.len());
    println!("{} spectra of {} bands, {samples} samples", spectra.len(), spectra.bands());
    Ok(study)
}

fn train(config: &Config, study: &Study) -> Result<(), StudyError> {
    study.fit_pca()?;
    for network in &config.reduce.autoencoder {
        for seed in &config.reduce.seeds {
            train_one(config, study, network, *seed)?;
        }
    }
    let encoders = &config.reduce.encoder;
    if encoders.is_empty() {
        return Ok(());
    }
    let moments = study.moments(&vec![0; study.data.samples.len()], 1)?;
    for encoder in encoders {
        let bar = bar(1, &study.name_of(encoder).folder());
        study.learn(encoder, &moments, |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
            true
        })?;
        finish(&bar);
    }
    Ok(())
}

fn train_one(config: &Config, study: &Study, network: &Autoencoder, seed: u64) -> Result<(), StudyError> {
    let bar = bar(0, &format!("{} seed {seed}", network.name));
    study.train(network, seed, |progress: autoencoder::Progress<'_>| {
        let (done, all) = progress.batches;
        bar.set_length((all * config.training.epochs) as u64);
        bar.set_position((all * (progress.epoch - 1) + done) as u64);
        if let Some(last) = progress.curve.last().filter(|_| done == 1) {
            bar.set_message(format!("loss {:.5}, validation {:.5}", last.loss, last.validation_loss));
        }
        true
    })?;
    finish(&bar);
    Ok(())
}

fn encode(study: &Study) -> Result<(), StudyError> {
    let names = study.representations();
    let bar = bar(names.len(), "encode");
    for name in &names {
        if !study.encoded(name) {
            study.encode(name)?;
        }
        bar.inc(1);
    }
    finish(&bar);
    Ok(())
}

fn export(study: &Study) -> Result<(), StudyError> {
    for name in study.representations() {
        study.export(&name)?;
        println!("{}: {}", name.folder(), study.folder(&name).join("encoder.onnx").display());
    }
    Ok(())
}
