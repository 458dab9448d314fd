//! The campaign. `hyclusd` scans its samples tray by tray on a simulated rig.

mod drive;
mod error;
mod plan;

pub use error::CampaignError;
pub use plan::{Laid, plan};

use crate::config::Campaign;
use drive::Daemon;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const RECORD: &str = "campaign.json";

/// Contents of `campaign.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scanned {
    /// Settings of the campaign.
    pub campaign: Campaign,
    /// The rig's configuration at the first scan, as TOML.
    pub rig: String,
    /// Scanned trays in their order, with the ids of their scans.
    pub scans: Vec<(String, String)>,
    /// Number of trays of the campaign.
    pub trays: usize,
}

/// Scans the trays that are not scanned yet. `done` gets the numbers of scanned trays and of all trays.
///
/// # Errors
///
/// [`CampaignError`] for a rig that cannot be used, other settings in the folder, and a failed scan. The same for files that cannot be read
/// or written.
pub fn scan(campaign: &Campaign, mut done: impl FnMut(usize, usize)) -> Result<Scanned, CampaignError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| CampaignError::File { path, source }
    };
    let rig_text = std::fs::read_to_string(&campaign.rig).map_err(file(&campaign.rig))?;
    let rig_error = |reason: String| CampaignError::Rig { path: campaign.rig.clone(), reason };
    let rig: toml::Table = rig_text.parse().map_err(|e: toml::de::Error| rig_error(e.to_string()))?;
    let trays = plan(campaign, &rig).map_err(rig_error)?;
    let folder = &campaign.folder;
    std::fs::create_dir_all(folder).map_err(file(folder))?;
    let begun = Scanned { campaign: campaign.clone(), rig: rig_text, scans: Vec::new(), trays: trays.len() };
    let mut scanned = match read(folder)? {
        Some(found) if found.rig != begun.rig || found.campaign != begun.campaign => {
            return Err(CampaignError::Other { folder: folder.clone() });
        }
        Some(found) => found,
        None => begun,
    };
    done(scanned.scans.len(), trays.len());
    let settings = folder.join("trays");
    std::fs::create_dir_all(&settings).map_err(file(&settings))?;
    let rig = with_absolute_model(rig, campaign.rig.parent().unwrap_or(Path::new(".")));
    for tray in trays.iter().skip(scanned.scans.len()) {
        let (copy, map) = (settings.join(format!("{}.rig.toml", tray.name)), settings.join(format!("{}.toml", tray.name)));
        std::fs::write(&copy, tray.rig(&rig).to_string()).map_err(file(&copy))?;
        std::fs::write(&map, tray.map().to_string()).map_err(file(&map))?;
        let mut daemon = Daemon::start(&tray.name, &copy, folder, &settings)?;
        let id = daemon.scan(&map)?;
        daemon.stop()?;
        scanned.scans.push((tray.name.clone(), id));
        let (fresh, path) = (folder.join("campaign.json.new"), folder.join(RECORD));
        let text = serde_json::to_vec_pretty(&scanned).map_err(|e| CampaignError::File { path: path.clone(), source: e.into() })?;
        std::fs::write(&fresh, text).map_err(file(&fresh))?;
        std::fs::rename(&fresh, &path).map_err(file(&path))?;
        done(scanned.scans.len(), trays.len());
    }
    Ok(scanned)
}

/// The rig with an absolute path of its model, because the rig's copies lie in another folder.
fn with_absolute_model(mut rig: toml::Table, base: &Path) -> toml::Table {
    if let Some(toml::Value::String(model)) = rig.get_mut("encoder").and_then(|encoder| encoder.get_mut("model")) {
        let path = base.join(&*model);
        *model = std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned();
    }
    rig
}

fn read(folder: &Path) -> Result<Option<Scanned>, CampaignError> {
    let path = folder.join(RECORD);
    let failed = |source| CampaignError::File { path: path.clone(), source };
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| failed(e.into())),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(source)),
    }
}

/// Folders of the embeddings of a finished campaign, one for each scan.
///
/// # Errors
///
/// [`CampaignError::Unfinished`] for a campaign with missing trays. [`CampaignError::File`] for a record that cannot be read.
pub fn embeddings(folder: &Path) -> Result<Vec<PathBuf>, CampaignError> {
    let scanned = read(folder)?;
    let (done, all) = scanned.as_ref().map_or((0, 0), |scanned| (scanned.scans.len(), scanned.trays));
    match scanned {
        Some(scanned) if done == all => {
            Ok(scanned.scans.iter().map(|(_, id)| folder.join("embeddings").join(format!("scan={id}"))).collect())
        }
        _ => Err(CampaignError::Unfinished { folder: folder.to_owned(), done, all }),
    }
}
