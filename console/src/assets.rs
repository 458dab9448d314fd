//! The page, embedded in the program.

use crate::state::secret::hex;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

static DIST: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/web/dist");

struct Asset {
    bytes: &'static [u8],
    kind: &'static str,
    tag: String,
    /// Whether its name changes with its content.
    hashed: bool,
}

/// The files of the page by path.
pub struct Assets(HashMap<String, Asset>);

impl Assets {
    /// Every embedded file.
    pub fn new() -> Self {
        let mut files = HashMap::new();
        collect(&DIST, &mut files);
        Self(files)
    }

    /// Answers a request for a file.
    pub fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if *method != Method::GET && *method != Method::HEAD {
            let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
            return (StatusCode::METHOD_NOT_ALLOWED, allow, "there is nothing to change here").into_response();
        }
        let name = if path == "/" { "/index.html" } else { path };
        let Some(asset) = name.strip_prefix('/').and_then(|name| self.0.get(name)) else {
            return (StatusCode::NOT_FOUND, "there is no such page; go to /").into_response();
        };
        let caching = if asset.hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        let held = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| tags.to_str().is_ok_and(|tags| tags.contains(&asset.tag)));
        let mut response = match held {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => Body::from(asset.bytes).into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        if let Ok(tag) = HeaderValue::from_str(&asset.tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

impl Default for Assets {
    fn default() -> Self {
        Self::new()
    }
}

fn collect(dir: &Dir<'static>, files: &mut HashMap<String, Asset>) {
    for file in dir.files() {
        let path = file.path().to_string_lossy().into_owned();
        let tag = format!("\"{}\"", &hex(&Sha256::digest(file.contents()))[..32]);
        let asset = Asset { bytes: file.contents(), kind: kind(&path), tag, hashed: path.starts_with("assets/") };
        files.insert(path, asset);
    }
    dir.dirs().for_each(|dir| collect(dir, files));
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_served_and_asked_for_again() {
        let assets = Assets::new();
        let first = assets.answer(&Method::GET, "/", &HeaderMap::new());
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(assets.answer(&Method::GET, "/index.html", &headers).status(), 304);
        for wrong in ["/../Cargo.toml", "//index.html", "/index.html/", "/%2e%2e/x", "", "/assets"] {
            assert_eq!(assets.answer(&Method::GET, wrong, &HeaderMap::new()).status(), 404, "{wrong}");
        }
        assert_eq!(assets.answer(&Method::POST, "/", &HeaderMap::new()).status(), 405);
    }
}
