//! The files of a scan, to list and to take away.

use super::answer::{Answer, Named, unreadable};
use super::{Data, place};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyclus::scan::Digest;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Most files that are listed.
const MOST: usize = 20_000;
/// Deepest folder that is listed.
const DEEPEST: usize = 6;
/// Bytes of a piece of a download.
const PIECE: usize = 256 << 10;

/// A file of a scan.
#[derive(Serialize)]
pub struct Listed {
    /// Relative to the scan's folder.
    path: String,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
}

/// `GET /api/scans/{id}/files`.
pub async fn list(State(data): State<Arc<Data>>, Named(scan): Named<String>) -> Answer<Json<Vec<Listed>>> {
    let files = data.reading(move |data| {
        let folder = place::scan_folder(&data.root, &scan)?;
        let begin = format!("scans/{scan}/");
        let mut hashes: BTreeMap<String, String> = BTreeMap::new();
        for file in place::record(&data.root, &scan).map(|record| record.files).unwrap_or_default() {
            if let (Some(path), Digest::Blake3(hash)) = (file.path.strip_prefix(&begin), file.hash) {
                hashes.insert(path.to_owned(), hash);
            }
        }
        let mut files = Vec::new();
        walk(&folder, "", 0, &mut files);
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        files.iter_mut().for_each(|file| file.blake3 = hashes.remove(&file.path));
        Ok(files)
    });
    files.await.map(Json)
}

/// Files below a folder. Links and hidden files are passed over.
fn walk(folder: &Path, begin: &str, depth: usize, files: &mut Vec<Listed>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(name), Ok(about)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
        if name.starts_with('.') || files.len() >= MOST {
            continue;
        }
        let path = format!("{begin}{name}");
        if about.is_dir() && depth < DEEPEST {
            walk(&entry.path(), &format!("{path}/"), depth + 1, files);
        } else if about.is_file() {
            files.push(Listed { path, bytes: about.len(), blake3: None });
        }
    }
}

/// `GET /api/scans/{id}/files/{path}`.
pub async fn download(State(data): State<Arc<Data>>, Named((scan, path)): Named<(String, String)>) -> Answer<Response> {
    let (file, bytes, name) = data.reading(move |data| opened(&place::inside(&place::scan_folder(&data.root, &scan)?, &path)?)).await?;
    Ok(attachment(file, bytes, &name))
}

/// A file with its length and its name.
pub fn opened(path: &Path) -> Answer<(File, u64, String)> {
    let file = place::open(path)?;
    let bytes = file.metadata().map_err(|error| unreadable(format!("{}: {error}", path.display())))?.len();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((file, bytes, name))
}

/// A file that a browser keeps and never shows. It is read as it is sent, piece by piece.
pub fn attachment(file: File, bytes: u64, name: &str) -> Response {
    let pieces = futures_util::stream::unfold((file, bytes), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            let read = file.read(&mut piece);
            (file, piece, read)
        });
        let Ok((file, mut piece, read)) = read.await else {
            return Some((Err(std::io::Error::other("the reader ended")), (File::open("/dev/null").ok()?, 0)));
        };
        match read {
            // A file that became shorter is no whole file.
            Ok(0) => Some((Err(std::io::Error::other("the file became shorter")), (file, 0))),
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(Bytes::from(piece)), (file, left - length as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    // A name for a header is plain text without quotes.
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
