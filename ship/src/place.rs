//! The archive: a bucket on S3, or a folder.

use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::layout::{Held, Layout};
use futures_util::TryStreamExt;
use hyclus::config::ShipConfig;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest time of one request. A part must go through a slow line within it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest time until a server answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time within which a request is made again by itself. Credentials must stay good as long.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
/// Most repetitions of a request.
const MAX_RETRIES: usize = 4;

/// The archive.
#[derive(Debug, Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    name: String,
    bucket: Option<Bucket>,
}

/// A bucket on S3. Its answer to a put has the MD5 of what was put.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// The whole bucket.
    pub(crate) store: AmazonS3,
    prefix: Path,
    /// The file in the state folder that notes an upload.
    pub(crate) note: PathBuf,
}

impl Bucket {
    /// The path of an object in the whole bucket.
    pub(crate) fn path(&self, object: &Path) -> Path {
        self.prefix.parts().chain(object.parts()).collect()
    }
}

impl Place {
    /// Opens the archive of a configuration. No request is made.
    ///
    /// # Errors
    /// The credentials or the folder cannot be used.
    pub fn open(config: &ShipConfig) -> Result<Self, Failure> {
        let name = config.archive.clone();
        let wrong = |error: &dyn std::fmt::Display| Failure::archive(format!("{name}: {error}"));
        let Some((bucket, prefix)) = config.bucket() else {
            let folder = std::path::Path::new(&config.archive);
            if !folder.is_dir() {
                return Err(wrong(&"there is no such folder; make it, or mount what holds it"));
            }
            let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| wrong(&error))?.with_fsync(true);
            return Ok(Self { store: Arc::new(store), name, bucket: None });
        };
        let credentials = Credentials::open(config.credentials.as_deref()).map_err(|error| wrong(&error))?;
        let http = config.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT).with_allow_http(http);
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(5), base: 2.0 };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&config.region)
            .with_credentials(Arc::new(credentials))
            .with_client_options(options)
            .with_retry(RetryConfig { backoff, max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT });
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|error| wrong(&error))?;
        let bucket = Bucket { store: store.clone(), prefix: Path::from(prefix), note: config.state_dir.join("upload") };
        let store = Arc::new(PrefixStore::new(store, bucket.prefix.clone()));
        Ok(Self { store, name, bucket: Some(bucket) })
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }

    /// The bucket. `None` for a folder.
    pub(crate) fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    /// A failure of the archive.
    pub(crate) fn failed(&self, error: &object_store::Error) -> Failure {
        Failure::of(&self.name, error)
    }

    /// The objects of a scan.
    ///
    /// # Errors
    /// The archive does not answer, or refuses.
    pub(crate) async fn list(&self, layout: &Layout) -> Result<Held, Failure> {
        let mut held = Held::default();
        let mut objects = self.store.list(Some(layout.root()));
        while let Some(object) = objects.try_next().await.map_err(|error| self.failed(&error))? {
            held.add(layout, &object.location, object.size);
        }
        Ok(held)
    }

    /// Asks for something, so that it is known whether the archive answers to this rig.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(crate) async fn ask(&self, rig: &str) -> Result<(), Failure> {
        self.list(&Layout::new(rig, "none")).await.map(drop)
    }

    /// Whether there is an object.
    ///
    /// # Errors
    /// The archive does not answer, or refuses.
    pub(crate) async fn has(&self, object: &Path) -> Result<bool, Failure> {
        match self.store.head(object).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The bytes of a small object. `None` where there is none.
    ///
    /// # Errors
    /// The archive does not answer, or refuses.
    pub(crate) async fn read(&self, object: &Path) -> Result<Option<Vec<u8>>, Failure> {
        let found = match self.store.get(object).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        found.bytes().await.map(|bytes| Some(bytes.to_vec())).map_err(|error| self.failed(&error))
    }
}
