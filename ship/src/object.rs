//! One file into one object, and back: never without its hash.

use crate::failure::Failure;
use crate::hash::{Hasher, hex};
use crate::pace::Pace;
use crate::place::Place;
use crate::upload::{PART, Taken, Upload, part_bytes};
use bytes::Bytes;
use hyclus::scan::Digest;
use md5::{Digest as _, Md5};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStoreExt, PutMode, PutOptions, PutResult};
use std::fs::File;
use std::io::Read;
use std::path::Path as FilePath;
use tokio::task::{JoinSet, spawn_blocking};

/// Most parts on the way at a time.
const IN_FLIGHT: usize = 3;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It was put.
    New,
    /// The same object was there.
    Same,
    /// Another object is there.
    Other,
}

/// A local file that is read in parts and hashed.
struct Source {
    file: File,
    hasher: Hasher,
    read: u64,
    /// Bytes of a part.
    part: u64,
}

impl Source {
    /// The next part, short at the end.
    fn part(mut self) -> std::io::Result<(Self, Bytes)> {
        let mut part = Vec::with_capacity(usize::try_from(self.part).map_err(std::io::Error::other)?);
        Read::by_ref(&mut self.file).take(self.part).read_to_end(&mut part)?;
        self.hasher.add(&part);
        self.read += part.len() as u64;
        Ok((self, part.into()))
    }
}

/// Puts a local file into an object that is not there yet. The file must have the size and the hash of its record.
///
/// # Errors
/// The file differs from its record, or cannot be read. The archive fails, or holds something else afterwards.
pub(crate) async fn put(place: &Place, pace: &Pace, object: &Path, path: &FilePath, bytes: u64, wanted: &Digest) -> Result<Put, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::scan(format!("{}: {error}", path.display()));
    let altered = |found: &str| {
        let text = "scan.json says otherwise, so the file was altered after the scan; restore it, or look at it with `hyclus verify`";
        Failure::scan(format!("{}: {found}, and {text}", path.display()))
    };
    let (opening, like) = (path.to_owned(), wanted.clone());
    let source = spawn_blocking(move || {
        let file = contract::open_regular(&opening)?;
        let length = file.metadata()?.len();
        Ok::<_, std::io::Error>((Source { file, hasher: Hasher::like(&like), read: 0, part: part_bytes(bytes) }, length))
    });
    let (source, length) = source.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    if length != bytes {
        return Err(altered(&format!("it has {length} bytes instead of {bytes}")));
    }
    let next = |source: Source| async {
        let read = spawn_blocking(move || source.part()).await;
        read.map_err(std::io::Error::other).and_then(|read| read).map_err(|error| unreadable(&error))
    };
    let (source, first) = next(source).await?;
    let check = |source: Source| {
        let (read, found) = (source.read, source.hasher.end());
        if read == bytes && found == *wanted { Ok(()) } else { Err(altered(&format!("its hash is {found}"))) }
    };
    if first.len() as u64 == bytes {
        check(source)?;
        return put_whole(place, pace, object, first, wanted).await;
    }
    // The same bytes may be there already: a try before this one, or another shipper.
    if place.has(object).await? {
        return compare(place, pace, object, bytes, wanted).await;
    }
    let mut upload = Upload::begin(place, object, wanted, source.part).await?;
    let done = async {
        let source = put_parts(place, pace, &mut upload, source, first, bytes, &next).await?;
        check(source)?;
        // An upload replaces what is there, so another shipper may have been faster until now.
        if place.has(object).await? {
            return Ok(None);
        }
        upload.complete().await.map(Some).map_err(|error| upload.failed(place, &error))
    };
    match done.await {
        Ok(Some(result)) => verify(place, pace, object, bytes, wanted, &result, upload.tag().as_deref()).await.map(|()| Put::New),
        Ok(None) => {
            upload.abort().await;
            compare(place, pace, object, bytes, wanted).await
        }
        Err(failure) => {
            if upload.leave(&failure).await {
                return Box::pin(put(place, pace, object, path, bytes, wanted)).await;
            }
            Err(failure)
        }
    }
}

/// Puts all parts of a file, which `next` reads. Gives the source with its hash.
async fn put_parts<F>(
    place: &Place,
    pace: &Pace,
    upload: &mut Upload,
    mut source: Source,
    first: Bytes,
    bytes: u64,
    next: &impl Fn(Source) -> F,
) -> Result<Source, Failure>
where
    F: Future<Output = Result<(Source, Bytes), Failure>>,
{
    let (mut part, mut flying) = (first, JoinSet::new());
    for number in 0.. {
        if !upload.has(number) {
            pace.take(part.len() as u64).await;
        }
        if flying.len() >= IN_FLIGHT {
            landed(place, &mut flying, upload).await?;
        }
        // Each part is on its way by itself while the next one is read and hashed.
        flying.spawn(upload.put(number, part));
        if source.read >= bytes {
            break;
        }
        (source, part) = next(source).await?;
        if part.is_empty() {
            break;
        }
    }
    while !flying.is_empty() {
        landed(place, &mut flying, upload).await?;
    }
    Ok(source)
}

/// Waits for one part that is on its way.
async fn landed(place: &Place, flying: &mut JoinSet<Result<Option<Taken>, Error>>, upload: &mut Upload) -> Result<(), Failure> {
    let Some(done) = flying.join_next().await else { return Ok(()) };
    let put = done.map_err(|error| Error::JoinError { source: error }).and_then(|put| put);
    let part = put.map_err(|error| upload.failed(place, &error))?;
    upload.took(part);
    Ok(())
}

/// Puts a small file in one request, where no object is.
async fn put_whole(place: &Place, pace: &Pace, object: &Path, bytes: Bytes, wanted: &Digest) -> Result<Put, Failure> {
    let (length, md5) = (bytes.len() as u64, hex(&Md5::digest(&bytes)));
    pace.take(length).await;
    match place.store().put_opts(object, bytes.into(), PutOptions::from(PutMode::Create)).await {
        Ok(result) => verify(place, pace, object, length, wanted, &result, Some(&md5)).await.map(|()| Put::New),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => compare(place, pace, object, length, wanted).await,
        Err(error) => Err(place.failed(&error)),
    }
}

/// Puts bytes that have no record, such as a record itself, where no object is.
///
/// # Errors
/// The archive fails.
pub(crate) async fn put_bytes(place: &Place, pace: &Pace, object: &Path, bytes: Vec<u8>) -> Result<Put, Failure> {
    let digest = Digest::Blake3(blake3::hash(&bytes).to_hex().to_string());
    put_whole(place, pace, object, bytes.into(), &digest).await
}

/// Checks size and hash of an object that was just put. `md5` is the tag of the same bytes,
/// where the archive gives one.
///
/// A server that hashes what it receives has said so in its answer. Any other object is read back.
async fn verify(
    place: &Place,
    pace: &Pace,
    object: &Path,
    bytes: u64,
    wanted: &Digest,
    result: &PutResult,
    md5: Option<&str>,
) -> Result<(), Failure> {
    if let (Some(md5), Some(tag)) = (md5, result.e_tag.as_deref())
        && tag.trim_matches('"').eq_ignore_ascii_case(md5)
    {
        let found = place.store().head(object).await.map_err(|error| place.failed(&error))?;
        if found.size == bytes {
            return Ok(());
        }
    }
    match compare(place, pace, object, bytes, wanted).await? {
        Put::Other => {
            Err(Failure::archive(format!("{}: {object} has other bytes than were put; look at the archive's disks", place.name())))
        }
        _ => Ok(()),
    }
}

/// Reads an object back and compares it with a record.
///
/// # Errors
/// The archive fails.
pub(crate) async fn compare(place: &Place, pace: &Pace, object: &Path, bytes: u64, wanted: &Digest) -> Result<Put, Failure> {
    loop {
        let Some(mut reading) = Reading::open(place, object, bytes).await? else { return Ok(Put::Other) };
        match hash(&mut reading, pace, Hasher::like(wanted)).await {
            Ok(hasher) => return Ok(if hasher.end() == *wanted { Put::Same } else { Put::Other }),
            // Another shipper put it once more, where the last one counts.
            Err(_) if reading.replaced => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// The hash of what is left of an object.
async fn hash(reading: &mut Reading<'_>, pace: &Pace, mut hasher: Hasher) -> Result<Hasher, Failure> {
    let mut piece = reading.next(Some(pace)).await?;
    while let Some(read) = piece {
        // It is hashed while the next one is read.
        let hashed = spawn_blocking(move || {
            hasher.add(&read);
            hasher
        });
        piece = reading.next(Some(pace)).await?;
        hasher = hashed.await.map_err(|error| Failure::archive(error.to_string()))?;
    }
    Ok(hasher)
}

/// An object that is read in pieces. Each is a request of its own, so that the time of a request bounds a piece and not the whole object,
/// however slow the line is, and however long the pace lets it wait.
pub(crate) struct Reading<'a> {
    place: &'a Place,
    object: &'a Path,
    bytes: u64,
    at: u64,
    /// All pieces are of the object that this is the tag of.
    tag: Option<String>,
    /// Whether another object has taken its place since.
    replaced: bool,
}

impl<'a> Reading<'a> {
    /// Begins. `None` where the object has not `bytes` bytes.
    ///
    /// # Errors
    /// The archive fails, or has no such object.
    pub(crate) async fn open(place: &'a Place, object: &'a Path, bytes: u64) -> Result<Option<Self>, Failure> {
        let about = place.store().head(object).await.map_err(|error| place.failed(&error))?;
        Ok((about.size == bytes).then_some(Self { place, object, bytes, at: 0, tag: about.e_tag, replaced: false }))
    }

    /// The next piece. `None` at the end.
    ///
    /// # Errors
    /// The archive fails, or the object was replaced.
    pub(crate) async fn next(&mut self, pace: Option<&Pace>) -> Result<Option<Bytes>, Failure> {
        let end = self.bytes.min(self.at + PART);
        if self.at == end {
            return Ok(None);
        }
        if let Some(pace) = pace {
            pace.take(end - self.at).await;
        }
        let options = GetOptions { range: Some((self.at..end).into()), if_match: self.tag.clone(), ..GetOptions::default() };
        let found = self.place.store().get_opts(self.object, options).await;
        self.replaced = matches!(found, Err(Error::Precondition { .. }));
        let failed = |error| self.place.failed(&error);
        let piece = found.map_err(failed)?.bytes().await.map_err(failed)?;
        if piece.len() as u64 != end - self.at {
            let (name, object) = (self.place.name(), self.object);
            return Err(Failure::archive(format!("{name}: a part of {object} has {} bytes instead of {}", piece.len(), end - self.at)));
        }
        self.at = end;
        Ok(Some(piece))
    }
}
