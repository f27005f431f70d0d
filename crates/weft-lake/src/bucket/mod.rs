//! Buckets of others, listed and read, never written: what tools deliver there.
//!
//! Beside the lake because the clients of object stores are here and nowhere else, see
//! `docs/decisions/0009-buckets.md`. What it deliberately does not know: what an object holds.

mod queue;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, ObjectStoreScheme};
use url::Url;
use weft_model::Timestamp;

pub use queue::{Message, Queue};

/// Beginnings of variables that object stores read themselves.
const VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// Why a bucket or queue did not do it, by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The object is not there (any more).
    #[error("`{0}` is not there")]
    NotFound(String),
    /// Not with these rights.
    #[error("{0}")]
    Refused(String),
    /// Try again later.
    #[error("{0}")]
    Unavailable(String),
}

/// An object, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Key, within the bucket.
    pub key: String,
    /// Size, bytes.
    pub size: u64,
    /// When it was written last.
    pub modified: Timestamp,
    /// Changes when the content does.
    pub version: String,
}

/// A part of a bucket, or of a folder.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Name of the bucket; empty for a folder.
    name: String,
    credentials: Option<AwsCredentialProvider>,
    options: BTreeMap<String, String>,
}

impl Bucket {
    /// `s3://name/prefix`, `az://container/prefix`, `gs://name/prefix`, `file:///folder`, with the
    /// store's own settings (`region`, `endpoint`, `access_key_id`, …); those of the environment count
    /// where none is given. Nothing is asked yet.
    ///
    /// # Errors
    /// For a person: what is wrong with address or settings.
    pub fn open(url: &str, options: &BTreeMap<String, String>) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| format!("the bucket `{url}` cannot be opened: {error}");
        let parsed = Url::parse(url).map_err(|error| told(&error))?;
        let (scheme, path) = ObjectStoreScheme::parse(&parsed).map_err(|error| told(&error))?;
        let mut all: BTreeMap<String, String> = std::env::vars().filter(|(name, _)| VARIABLES.iter().any(|start| name.starts_with(start))).collect();
        all = all.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        all.extend(options.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
        let name = parsed.host_str().unwrap_or_default().to_owned();
        if scheme == ObjectStoreScheme::AmazonS3 {
            let mut builder = AmazonS3Builder::new().with_url(url);
            for (name, value) in &all {
                if let Ok(key) = name.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            let store = builder.build().map_err(|error| told(&error))?;
            let credentials = Some(Arc::clone(store.credentials()));
            return Ok(Self { store: Arc::new(store), prefix: path, name, credentials, options: all });
        }
        let (store, prefix) = object_store::parse_url_opts(&parsed, &all).map_err(|error| told(&error))?;
        Ok(Self { store: Arc::from(store), prefix, name, credentials: None, options: all })
    }

    /// Name of the bucket; empty for a folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a key lies below the prefix.
    pub fn holds(&self, key: &str) -> bool {
        Path::parse(key).is_ok_and(|path| path.prefix_matches(&self.prefix))
    }

    /// Objects below the prefix, with `after` those of greater keys, in the order of the store.
    pub fn list(&self, after: Option<&str>) -> BoxStream<'static, Result<Object, BucketError>> {
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let found = match after.and_then(|after| Path::parse(after).ok()) {
            Some(after) => self.store.list_with_offset(prefix, &after),
            None => self.store.list(prefix),
        };
        let object = |meta: object_store::ObjectMeta| {
            let modified = Timestamp(meta.last_modified.timestamp_millis());
            let version = meta.e_tag.or(meta.version).unwrap_or_else(|| format!("{} {}", meta.size, modified.0));
            Object { key: meta.location.to_string(), size: meta.size, modified, version }
        };
        // Not every store keeps to the offset.
        let after = after.map(str::to_owned).unwrap_or_default();
        let behind = move |object: &Object| std::future::ready(object.key > after);
        found.map_ok(object).map_err(|error| error_of(&error)).try_filter(behind).boxed()
    }

    /// What is listed of one object.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn head(&self, key: &str) -> Result<Object, BucketError> {
        let path = Path::parse(key).map_err(|error| BucketError::Refused(format!("`{key}` is no key: {error}")))?;
        let meta = self.store.head(&path).await.map_err(|error| error_of(&error))?;
        let modified = Timestamp(meta.last_modified.timestamp_millis());
        let version = meta.e_tag.or(meta.version).unwrap_or_else(|| format!("{} {}", meta.size, modified.0));
        Ok(Object { key: key.to_owned(), size: meta.size, modified, version })
    }

    /// The bytes of an object, piece by piece.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn get(&self, key: &str) -> Result<BoxStream<'static, Result<Bytes, BucketError>>, BucketError> {
        let path = Path::parse(key).map_err(|error| BucketError::Refused(format!("`{key}` is no key: {error}")))?;
        let found = self.store.get(&path).await.map_err(|error| error_of(&error))?;
        Ok(found.into_stream().map_err(|error| error_of(&error)).boxed())
    }

    /// The queue that tells of new objects, with the credentials of the bucket.
    ///
    /// # Errors
    /// For a person: a bucket of this kind has none, or the address is none.
    pub fn queue(&self, url: &str) -> Result<Queue, String> {
        let credentials = self.credentials.clone().ok_or("only a bucket `s3://…` has a queue; others are listed")?;
        Queue::new(url, credentials, &self.options)
    }
}

fn error_of(error: &object_store::Error) -> BucketError {
    match error {
        object_store::Error::NotFound { path, .. } => BucketError::NotFound(path.clone()),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => BucketError::Refused(short(error)),
        _ => BucketError::Unavailable(short(error)),
    }
}

/// The first line: what follows are bodies of answers.
fn short(error: &dyn std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().chars().take(300).collect()
}
