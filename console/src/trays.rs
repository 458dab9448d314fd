//! Tray maps: checking them, worklists, and presets.

use crate::console::Console;
use crate::problem::{Answer, Refused};
use crate::state::sessions::Session;
use crate::state::{StateDir, StateError};
use crate::who::body;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;

/// The folder of presets.
const FOLDER: &str = "trays";
/// Most presets, and most bytes of one.
const MOST: usize = 200;
const MOST_BYTES: usize = 512 << 10;

/// `POST /api/trays/check`: by the daemon, or by the map's own rules where it does not answer.
///
/// # Errors
/// The body is of another form.
pub async fn check(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, bytes: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Check {
        tray: Value,
    }
    let Check { tray } = body(&bytes)?;
    match console.call(&session.user, Method::POST, "/v1/trays/check", Some(bytes.to_vec())).await {
        Ok(response) if response.status() != StatusCode::NOT_FOUND => Ok(response),
        _ => {
            let faults = hyclus::scan::Tray::check(&tray).err().unwrap_or_default();
            Ok(Json(json!({"faults": faults})).into_response())
        }
    }
}

/// `POST /api/trays/worklist`
///
/// # Errors
/// As the daemon says.
pub async fn worklist(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, bytes: Bytes) -> Answer {
    console.call(&session.user, Method::POST, "/v1/trays/worklist", Some(bytes.to_vec())).await
}

/// A preset.
#[derive(Serialize)]
struct Preset {
    name: String,
    tray: Value,
}

/// `GET /api/trays`
///
/// # Errors
/// The state folder cannot be read.
pub async fn list(State(console): State<Arc<Console>>) -> Answer {
    let dir = console.dir.clone();
    let presets = blocking(move || Ok(presets(&dir))).await?;
    Ok(Json(presets).into_response())
}

/// Names of the presets, sorted.
pub fn names(dir: &StateDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path(FOLDER)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| hyclus::scan::is_name(name)).take(MOST).collect();
    names.sort_unstable();
    names
}

/// The map of a preset. `None` where there is no such preset.
///
/// # Errors
/// Its file cannot be read.
pub fn preset(dir: &StateDir, name: &str) -> Result<Option<Value>, StateError> {
    let there = hyclus::scan::is_name(name) && dir.path(&file(name)).exists();
    there.then(|| dir.read(&file(name))).transpose()
}

fn presets(dir: &StateDir) -> Vec<Preset> {
    let read = |name: String| match dir.read::<Value>(&file(&name)) {
        Ok(tray) => Some(Preset { name, tray }),
        Err(error) => {
            tracing::warn!(%error, "a preset is left out");
            None
        }
    };
    names(dir).into_iter().filter_map(read).collect()
}

fn file(name: &str) -> String {
    format!("{FOLDER}/{name}.json")
}

fn named(name: &str) -> Result<(), Refused> {
    if hyclus::scan::is_name(name) {
        return Ok(());
    }
    Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "a preset's name is 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with a dot"))
}

/// `PUT /api/trays/{name}`
///
/// # Errors
/// The name is none, the map is too large or no object, or there are enough.
pub async fn put(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Put {
        tray: serde_json::Map<String, Value>,
    }
    named(&name)?;
    let Put { tray } = body(&bytes)?;
    if bytes.len() > MOST_BYTES {
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a preset has at most {MOST_BYTES} bytes")));
    }
    let (dir, shown) = (console.dir.clone(), name.clone());
    let tray = Value::Object(tray);
    let kept = tray.clone();
    blocking(move || {
        let _held = dir.lock()?;
        let io = |source| StateError::Io { path: dir.path(FOLDER), source };
        fs::create_dir_all(dir.path(FOLDER)).map_err(io)?;
        let others = fs::read_dir(dir.path(FOLDER)).map_err(io)?.count();
        if others >= MOST && !dir.path(&file(&name)).exists() {
            return Err(Refused::new(StatusCode::INSUFFICIENT_STORAGE, format!("there are {MOST} presets; remove some")));
        }
        Ok(dir.write(&file(&name), &kept)?)
    })
    .await?;
    tracing::info!(user = session.user, preset = shown, "kept a preset");
    Ok(Json(Preset { name: shown, tray }).into_response())
}

/// `DELETE /api/trays/{name}`
///
/// # Errors
/// There is no such preset.
pub async fn delete(State(console): State<Arc<Console>>, Extension(session): Extension<Session>, Path(name): Path<String>) -> Answer {
    named(&name)?;
    let dir = console.dir.clone();
    let path = dir.path(&file(&name));
    blocking(move || fs::remove_file(path).map_err(|_| Refused::new(StatusCode::NOT_FOUND, "there is no such preset"))).await?;
    tracing::info!(user = session.user, preset = name, "removed a preset");
    Ok(Json(json!({})).into_response())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Refused> {
    let ended = |e: tokio::task::JoinError| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string());
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}
