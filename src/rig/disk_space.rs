//! Checks the disk before a scan.

use super::Controller;
use crate::data_root::{Detector, check_disk, needed};
use crate::scan::Tray;

impl Controller {
    /// Checks that the disk has room for a scan and is fast enough. An error has the text for the client.
    pub(super) async fn check_disk(&self, tray: &Tray) -> Result<(), String> {
        let cameras: Vec<_> = self.cameras.iter().map(|camera| Detector::of(&camera.description)).collect();
        let needed = needed(&self.loaded.config, &cameras, tray, &self.models.dimensions());
        let (config, direct, data_dir) = (self.loaded.config.disk.clone(), self.loaded.config.store.direct, self.data_dir().to_owned());
        let checked = tokio::task::spawn_blocking(move || check_disk(&config, direct, &data_dir, needed)).await;
        match checked {
            Ok(Ok(rate)) => {
                if let Some(rate) = rate {
                    self.reporting.metrics().set_disk_rate(rate);
                    tracing::info!(bytes_per_s = rate, ?needed, "the disk was tried");
                }
                Ok(())
            }
            Ok(Err(refused)) => {
                tracing::warn!(%refused, "no scan");
                Err(refused)
            }
            Err(_) => Err("looking at the disk broke down; see the log".into()),
        }
    }
}
