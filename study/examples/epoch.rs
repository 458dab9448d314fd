//! Time of an epoch of the dense autoencoder, for comparison with `epoch.py`, which trains the same with PyTorch.
//! The variable spares candle from counting the cores at every multiplication; `hyclus-study` sets it by itself.
//!
//! usage: RAYON_NUM_THREADS=2 cargo run --release -p hyclus-study --example epoch [SPECTRA [BANDS [EPOCHS [dense|conv]]]]

use hyclus_study::autoencoder::{Kind, Training, train};
use hyclus_study::data::Spectra;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1);
    let mut next = |usual: usize| numbers.next().map_or(Ok(usual), |text| text.parse());
    let (count, bands, epochs) = (next(100_000)?, next(255)?, next(3)?);
    let (kind, latent) = if std::env::args().nth(4).as_deref() == Some("conv") { (Kind::Conv, 16) } else { (Kind::Dense, 4) };
    let values = (0..count * bands).map(|i| (i as f32 * 0.618).fract()).collect();
    let spectra = Spectra::new((0..bands).map(|band| 400.0 + band as f64).collect(), values);
    let folder = tempfile::tempdir()?;
    let training = Training { epochs, ..Training::default() };
    let trained = train(&spectra, (kind, latent), &spectra.scaling(), &training, 1, folder.path(), |_| true)?;
    for epoch in trained.iter().flat_map(|trained| &trained.curve) {
        println!("{count} spectra of {bands} bands: {:.2} s, loss {:.5}", epoch.seconds, epoch.loss);
    }
    Ok(())
}
