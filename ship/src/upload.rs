//! An object that is put in parts. What S3 has of an upload that was cut off stays there, and the next try sends the rest.

use crate::failure::{Failure, Trouble, dropped};
use crate::hash::hex;
use crate::place::{Bucket, Place};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyclus::scan::Digest;
use md5::{Digest as _, Md5};
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStoreExt, PutResult};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path as FilePath, PathBuf};
use tokio::task::spawn_blocking;

/// Least bytes of a part, unless it is the last.
pub(crate) const PART: u64 = 16 << 20;
/// Most parts that S3 takes.
const MOST_PARTS: u64 = 10_000;
/// Most bytes of the note of an upload.
const MOST_BYTES: u64 = 16 << 20;

/// The upload that was begun last: the first line of the note in the state folder. Each line after it is a `Tagged`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Begun {
    archive: String,
    object: String,
    hash: String,
    part_bytes: u64,
    id: String,
}

/// A part that the archive has.
#[derive(Debug, Serialize, Deserialize)]
struct Tagged {
    part: usize,
    tag: String,
}

impl Tagged {
    fn of(part: usize, id: &PartId) -> Self {
        Self { part, tag: id.content_id.clone() }
    }
}

/// The MD5 of a part.
type Hash = [u8; 16];

/// A part that the archive took.
pub(crate) struct Taken {
    number: usize,
    hash: Hash,
    id: PartId,
}

/// An upload.
pub(crate) enum Upload {
    /// To S3.
    Kept(Kept),
    /// To a folder. The next try cannot go on with it.
    Once(Box<dyn MultipartUpload>),
}

/// An upload to S3.
pub(crate) struct Kept {
    store: AmazonS3,
    path: Path,
    id: String,
    /// Whether a try before this one began it.
    resumed: bool,
    /// Whether the archive knows it, or a part of it, no more.
    gone: bool,
    note: PathBuf,
    notes: Option<File>,
    parts: BTreeMap<usize, PartId>,
    hashes: BTreeMap<usize, Hash>,
}

/// Bytes of the parts of a file.
pub(crate) fn part_bytes(bytes: u64) -> u64 {
    const MIB: u64 = 1 << 20;
    PART.max(bytes.div_ceil(MOST_PARTS).next_multiple_of(MIB))
}

impl Upload {
    /// Begins an upload, or goes on with the one that a try before this one began for the same bytes.
    ///
    /// # Errors
    /// The archive fails.
    pub(crate) async fn begin(place: &Place, object: &Path, hash: &Digest, part_bytes: u64) -> Result<Self, Failure> {
        let Some(bucket) = place.bucket() else {
            let begun = place.store().put_multipart(object).await;
            return begun.map(Self::Once).map_err(|error| place.failed(&error));
        };
        let Bucket { store, note, .. } = bucket;
        let (store, note, path) = (store.clone(), note.clone(), bucket.path(object));
        let wanted = |id| {
            let (archive, object) = (place.name().to_owned(), path.to_string());
            Begun { archive, object, hash: hash.to_string(), part_bytes, id }
        };
        let (id, resumed, parts) = match read(&note) {
            Some((begun, parts)) if begun == wanted(begun.id.clone()) => {
                tracing::info!(%object, parts = parts.len(), "goes on with an upload that was cut off");
                (begun.id, true, parts)
            }
            other => {
                if let Some((begun, _)) = other.filter(|(begun, _)| begun.archive == place.name())
                    && let Ok(path) = Path::parse(&begun.object)
                {
                    end(&store, &path, &begun.id).await;
                }
                let id = store.create_multipart(&path).await.map_err(|error| place.failed(&error))?;
                (id, false, BTreeMap::new())
            }
        };
        let notes = write(&note, &wanted(id.clone()), &parts).inspect_err(|error| unnoted(&note, error)).ok();
        Ok(Self::Kept(Kept { store, path, id, resumed, gone: false, note, notes, parts, hashes: BTreeMap::new() }))
    }

    /// Whether the archive says that it has a part.
    pub(crate) fn has(&self, number: usize) -> bool {
        matches!(self, Self::Kept(kept) if kept.parts.contains_key(&number))
    }

    /// Puts a part; a folder takes them in order. One that the archive has is not sent again. `None` from a folder.
    pub(crate) fn put(&mut self, number: usize, bytes: Bytes) -> BoxFuture<'static, Result<Option<Taken>, Error>> {
        match self {
            Self::Kept(kept) => Box::pin(kept.put(number, bytes)),
            Self::Once(upload) => {
                let put = upload.put_part(bytes.into());
                Box::pin(async move { put.await.map(|()| None) })
            }
        }
    }

    /// Notes a part that the archive took.
    pub(crate) fn took(&mut self, part: Option<Taken>) {
        if let (Self::Kept(kept), Some(part)) = (self, part) {
            kept.took(part);
        }
    }

    /// The tag that a server which hashes gives the whole object.
    pub(crate) fn tag(&self) -> Option<String> {
        let Self::Kept(kept) = self else { return None };
        let mut whole = Md5::new();
        kept.hashes.values().for_each(|hash| whole.update(hash));
        Some(format!("{}-{}", hex(&whole.finalize()), kept.hashes.len()))
    }

    /// Makes the object of all parts.
    ///
    /// # Errors
    /// The archive fails.
    pub(crate) async fn complete(&mut self) -> Result<PutResult, Error> {
        match self {
            Self::Kept(kept) => {
                let parts = kept.parts.values().cloned().collect();
                let result = kept.store.complete_multipart(&kept.path, &kept.id, parts).await?;
                kept.forget();
                Ok(result)
            }
            Self::Once(upload) => upload.complete().await,
        }
    }

    /// A failure of the archive.
    pub(crate) fn failed(&mut self, place: &Place, error: &Error) -> Failure {
        if let Self::Kept(kept) = self {
            kept.gone |= kept.resumed && dropped(error);
        }
        place.failed(error)
    }

    /// Ends it after a failure. Where only the archive failed, what S3 has stays for the next try.
    ///
    /// Returns whether that may be made at once: the archive has dropped what was begun before.
    pub(crate) async fn leave(&mut self, failure: &Failure) -> bool {
        match self {
            Self::Kept(kept) if kept.gone => {
                kept.forget();
                return true;
            }
            Self::Kept(_) if failure.trouble == Trouble::Archive => {}
            _ => self.abort().await,
        }
        false
    }

    /// Ends it without an object. Parts that stay behind cost room only, and servers remove them in time.
    pub(crate) async fn abort(&mut self) {
        match self {
            Self::Kept(kept) => {
                end(&kept.store, &kept.path, &kept.id).await;
                kept.forget();
            }
            Self::Once(upload) => upload.abort().await.unwrap_or_else(|error| unended(&error)),
        }
    }
}

impl Kept {
    fn put(&self, number: usize, bytes: Bytes) -> impl Future<Output = Result<Option<Taken>, Error>> + Send + use<> {
        let (store, path, id, known) = (self.store.clone(), self.path.clone(), self.id.clone(), self.parts.get(&number).cloned());
        async move {
            let hashed = bytes.clone();
            let hash = spawn_blocking(move || Md5::digest(&hashed).into());
            let joined = |error| Error::JoinError { source: error };
            let Some(known) = known else {
                let id = store.put_part(&path, &id, number, bytes.into()).await?;
                return Ok(Some(Taken { number, hash: hash.await.map_err(joined)?, id }));
            };
            let hash: Hash = hash.await.map_err(joined)?;
            // The file may have been another one at the try before this one.
            let same = known.content_id.trim_matches('"').eq_ignore_ascii_case(&hex(&hash));
            let id = if same { known } else { store.put_part(&path, &id, number, bytes.into()).await? };
            Ok(Some(Taken { number, hash, id }))
        }
    }

    fn took(&mut self, Taken { number, hash, id }: Taken) {
        if let Some(notes) = self.notes.as_mut()
            && let Err(error) = line(notes, &Tagged::of(number, &id))
        {
            unnoted(&self.note, &error);
            self.notes = None;
        }
        self.hashes.insert(number, hash);
        self.parts.insert(number, id);
    }

    fn forget(&mut self) {
        self.notes = None;
        if let Err(error) = std::fs::remove_file(&self.note) {
            tracing::debug!(path = %self.note.display(), %error, "the note of an upload could not be removed");
        }
    }
}

/// Ends an upload to S3 without an object.
async fn end(store: &AmazonS3, path: &Path, id: &String) {
    store.abort_multipart(path, id).await.unwrap_or_else(|error| unended(&error));
}

fn unended(error: &Error) {
    tracing::debug!(%error, "an upload that failed could not be removed");
}

fn unnoted(path: &FilePath, error: &std::io::Error) {
    tracing::warn!(path = %path.display(), %error, "an upload could not be noted; if it is cut off, it begins anew");
}

/// Reads the note of an upload, up to a line that was not written whole.
fn read(note: &FilePath) -> Option<(Begun, BTreeMap<usize, PartId>)> {
    let text = contract::read_regular(note, MOST_BYTES).ok()?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let begun = serde_json::from_slice(lines.next()?).ok()?;
    let parts = lines.map_while(|line| serde_json::from_slice(line).ok());
    Some((begun, parts.map(|Tagged { part, tag }| (part, PartId { content_id: tag })).collect()))
}

/// Begins the note of an upload. A power cut may cost it, which costs time only, so it is not synced.
fn write(note: &FilePath, begun: &Begun, parts: &BTreeMap<usize, PartId>) -> std::io::Result<File> {
    let mut file = File::create(note)?;
    line(&mut file, begun)?;
    for (part, id) in parts {
        line(&mut file, &Tagged::of(*part, id))?;
    }
    Ok(file)
}

fn line(file: &mut File, value: &impl Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_object_has_not_too_many_parts() {
        for bytes in [0, 1, PART, 10_000 * PART, 10_000 * PART + 1, 5 << 40] {
            let part = part_bytes(bytes);
            assert!(part >= PART && bytes.div_ceil(part) <= MOST_PARTS, "{bytes}");
        }
        assert_eq!(part_bytes(1 << 30), PART);
    }

    #[test]
    fn a_note_counts_up_to_what_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("upload");
        assert!(read(&note).is_none());
        let begun = || Begun { archive: "s3://a".into(), object: "o".into(), hash: "blake3 0".into(), part_bytes: PART, id: "7".into() };
        let parts: BTreeMap<_, _> = [(0, PartId { content_id: "\"x\"".into() }), (2, PartId { content_id: "y".into() })].into();
        drop(write(&note, &begun(), &parts).unwrap());
        let whole = std::fs::read(&note).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&note, &whole[..length]).unwrap();
            let Some((found, some)) = read(&note) else { continue };
            assert_eq!(found, begun());
            assert!(some.iter().all(|(part, id)| parts[part].content_id == id.content_id), "{some:?}");
            assert!(some.len() == parts.len() || length < whole.len());
        }
        std::fs::write(&note, whole).unwrap();
        assert_eq!(read(&note).unwrap().1.len(), 2);
    }
}
