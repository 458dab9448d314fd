//! A folder as a tape archive (POSIX ustar), made as it is sent.

use crate::data::answer::{Answer, unreadable};
use crate::data::place;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Error, Read};
use std::path::{Path, PathBuf};

/// Bytes of a block of an archive.
const BLOCK: u64 = 512;
/// Bytes that are sent at a time.
const PIECE: usize = 256 << 10;
/// Most files of an archive.
const MOST: usize = 100_000;

/// A part of an archive.
enum Part {
    Bytes(Vec<u8>),
    File(PathBuf, u64),
    Open(File, u64),
}

/// An answer with everything below a folder.
///
/// # Errors
/// A name is too long, or there are too many files.
pub fn response(folder: &Path, name: &str) -> Answer<Response> {
    let mut parts = VecDeque::new();
    let mut bytes = 0;
    let mut push = |part: Part, length: u64, parts: &mut VecDeque<Part>| {
        bytes += length;
        parts.push_back(part);
    };
    let mut files = Vec::new();
    walk(folder, "", &mut files);
    if files.len() > MOST {
        return Err(unreadable(format!("the result has {} files, more than an archive here takes", files.len())));
    }
    files.sort_unstable();
    for (inner, size, seconds) in files {
        let head = head(&format!("{name}/{inner}"), size, seconds)
            .ok_or_else(|| unreadable(format!("the name {inner} is too long for an archive")))?;
        push(Part::Bytes(head), BLOCK, &mut parts);
        push(Part::File(folder.join(&inner), size), size, &mut parts);
        let filled = size.next_multiple_of(BLOCK) - size;
        push(Part::Bytes(vec![0; usize::try_from(filled).unwrap_or(0)]), filled, &mut parts);
    }
    // Two empty blocks end an archive.
    push(Part::Bytes(vec![0; 1024]), 1024, &mut parts);
    let pieces = futures_util::stream::unfold(parts, |parts| async move {
        tokio::task::spawn_blocking(move || next(parts))
            .await
            .unwrap_or_else(|_| Some((Err(Error::other("the reader ended")), VecDeque::new())))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.tar\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// The next piece. `None` behind the last.
fn next(mut parts: VecDeque<Part>) -> Option<(Result<Bytes, Error>, VecDeque<Part>)> {
    loop {
        let fail = |error: Error| Some((Err(error), VecDeque::new()));
        match parts.pop_front()? {
            Part::Bytes(bytes) if bytes.is_empty() => {}
            Part::Bytes(bytes) => return Some((Ok(bytes.into()), parts)),
            Part::File(path, size) => match place::open(&path) {
                Ok(file) => parts.push_front(Part::Open(file, size)),
                Err(problem) => return fail(Error::other(problem.into_detail())),
            },
            Part::Open(_, 0) => {}
            Part::Open(mut file, left) => {
                let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
                match file.read(&mut piece) {
                    Ok(0) => return fail(Error::other("a file became shorter")),
                    Ok(length) => {
                        piece.truncate(length);
                        parts.push_front(Part::Open(file, left - length as u64));
                        return Some((Ok(piece.into()), parts));
                    }
                    Err(error) => return fail(error),
                }
            }
        }
    }
}

/// Files below a folder: path, size and time. Links and hidden files are passed over.
fn walk(folder: &Path, begin: &str, files: &mut Vec<(String, u64, u64)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(name), Ok(about)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
        if name.starts_with('.') || files.len() > MOST {
            continue;
        }
        let path = format!("{begin}{name}");
        if about.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files);
        } else if about.is_file() {
            let time = about.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            files.push((path, about.len(), time.map_or(0, |time| time.as_secs())));
        }
    }
}

/// The head of a file. `None` where the path does not fit.
fn head(path: &str, size: u64, seconds: u64) -> Option<Vec<u8>> {
    let (prefix, name) = if path.len() <= 100 {
        ("", path)
    } else {
        let cut = path.char_indices().filter(|(at, c)| *c == '/' && *at <= 155 && path.len() - at - 1 <= 100).map(|(at, _)| at).next()?;
        (&path[..cut], &path[cut + 1..])
    };
    let mut head = vec![0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size < 1 << 33 {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        // A number too large for text stands there as it is, marked by its first bit.
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    put(136, format!("{:011o}\0", seconds.min((1 << 33) - 1)).as_bytes());
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_read_the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let deep = format!("{}/{}", "d".repeat(90), "e".repeat(60));
        std::fs::create_dir_all(folder.path().join(&deep)).unwrap();
        std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
        std::fs::write(folder.path().join(&deep).join("b.bin"), vec![7; 1000]).unwrap();
        std::fs::write(folder.path().join(".hidden"), "x").unwrap();
        let body = response(folder.path(), "result").unwrap().into_body();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(axum::body::to_bytes(body, 1 << 20)).unwrap();
        let out = tempfile::tempdir().unwrap();
        let archive = out.path().join("a.tar");
        std::fs::write(&archive, &bytes).unwrap();
        let status = std::process::Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(out.path()).status().unwrap();
        assert!(status.success());
        assert_eq!(std::fs::read(out.path().join("result/a.txt")).unwrap(), b"hello");
        assert_eq!(std::fs::read(out.path().join("result").join(&deep).join("b.bin")).unwrap(), vec![7; 1000]);
        assert_eq!(std::fs::read_dir(out.path().join("result")).unwrap().count(), 2);
    }
}
