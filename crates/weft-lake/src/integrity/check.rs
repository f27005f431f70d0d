//! The object store as queries see it: what is read is checked first, once in the life of a process.
//!
//! Blocks that were checked are read without further work. A damaged block is computed back from
//! the file's redundancy and the query goes on; where that fails the file is named and left out.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, stream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::seal::{self, Seal};
use super::{DamagedFile, Damages, Outcome};
use crate::table::DataFile;

/// A damaged file, as the error of a read.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` is damaged and cannot be mended")]
pub(crate) struct Damaged {
    pub(crate) path: String,
}

/// The store with its checks.
pub(crate) struct Checked {
    inner: Arc<dyn ObjectStore>,
    guards: Mutex<HashMap<Path, Arc<Guard>>>,
    damages: Damages,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// What is known of one file's bytes.
struct Guard {
    table: String,
    file: Arc<DataFile>,
    seal: Option<Seal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    digests: Option<Arc<[u8]>>,
    /// Blocks that were found whole; all of them when there is no seal.
    whole: Vec<bool>,
    mended: Option<Bytes>,
    broken: bool,
}

impl Guard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_checked(&self, range: &Range<u64>) -> bool {
        let state = self.state();
        match &self.seal {
            Some(seal) => state.digests.is_some() && seal.touched(range).all(|block| state.whole.get(block) == Some(&true)),
            None => state.whole.first() == Some(&true),
        }
    }

    fn set_whole(&self, blocks: Range<usize>) {
        let count = self.seal.as_ref().map_or(1, Seal::blocks);
        let mut state = self.state();
        state.whole.resize(count, false);
        blocks.for_each(|block| {
            if let Some(whole) = state.whole.get_mut(block) {
                *whole = true;
            }
        });
    }
}

impl Checked {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, damages: Damages) -> Self {
        Self { inner, guards: Mutex::default(), damages }
    }

    pub(crate) fn damages(&self) -> &Damages {
        &self.damages
    }

    fn guards(&self) -> MutexGuard<'_, HashMap<Path, Arc<Guard>>> {
        self.guards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what a file must be before it is read. False when it is known to be broken.
    pub(crate) fn expect(&self, table: &str, path: &str, file: &Arc<DataFile>) -> bool {
        if file.digest.is_empty() {
            return true;
        }
        let mut guards = self.guards();
        let guard = guards
            .entry(Path::from(path))
            .or_insert_with(|| Arc::new(Guard { table: table.to_owned(), file: Arc::clone(file), seal: file.seal(), state: Mutex::default() }));
        !guard.state().broken
    }

    /// The file was written anew or is gone: what was known of it is void.
    pub(crate) fn unlearn(&self, path: &str) {
        self.guards().remove(&Path::from(path));
    }

    async fn fetch(&self, location: &Path, range: Range<u64>) -> Result<Bytes> {
        self.inner.get_range(location, range).await
    }

    /// Bytes that are what was written.
    async fn read(&self, location: &Path, guard: &Arc<Guard>, range: Range<u64>) -> Result<Bytes> {
        if let Some(bytes) = self.read_checked(location, guard, &range).await? {
            return Ok(bytes);
        }
        let mended = self.mend(location, guard).await?;
        Ok(slice(&mended, 0, &range))
    }

    /// Bytes after their check; none when something is wrong.
    async fn read_checked(&self, location: &Path, guard: &Arc<Guard>, range: &Range<u64>) -> Result<Option<Bytes>> {
        let size = guard.file.size;
        let Some(seal) = &guard.seal else {
            let all = match self.fetch(location, 0..size).await {
                Ok(all) => all,
                Err(error) => return gone(error),
            };
            if seal::hex(&all) != guard.file.digest {
                return Ok(None);
            }
            guard.set_whole(0..1);
            return Ok(Some(slice(&all, 0, range)));
        };
        let Some(index) = seal.index(size).map(|index| index.start as u64..index.end as u64) else { return Ok(None) };
        let blocks = seal.touched(range);
        let mut wanted = aligned(seal, &blocks, range);
        let known = guard.state().digests.clone();
        let digests = match known {
            Some(digests) => digests,
            None => {
                // Footers are read from the end of the file: what is asked for is fetched with them.
                let end = if wanted.end > index.start { wanted.start.min(index.start)..size } else { index.clone() };
                let bytes = match self.fetch(location, end.clone()).await {
                    Ok(bytes) => bytes,
                    Err(error) => return gone(error),
                };
                let Some(digests) = seal.digests(&slice(&bytes, end.start, &index)).map(Arc::<[u8]>::from) else { return Ok(None) };
                guard.state().digests = Some(Arc::clone(&digests));
                if end.start <= wanted.start {
                    return Ok(take(guard, seal, &digests, blocks, &bytes, end.start, range));
                }
                digests
            }
        };
        wanted.end = wanted.end.min(size);
        let bytes = match self.fetch(location, wanted.clone()).await {
            Ok(bytes) => bytes,
            Err(error) => return gone(error),
        };
        Ok(take(guard, seal, &digests, blocks, &bytes, wanted.start, range))
    }

    /// The whole file from its redundancy, kept in memory until it is written anew.
    async fn mend(&self, location: &Path, guard: &Arc<Guard>) -> Result<Bytes> {
        let file = match self.inner.get(location).await {
            Ok(found) => Some(found.bytes().await?),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let (seal, known) = (guard.seal.clone(), Arc::clone(&guard.file));
        let mended = match (file, seal) {
            (Some(file), Some(seal)) => tokio::task::spawn_blocking(move || seal.mend(&file, known.size, &known.digest)).await.ok().flatten(),
            _ => None,
        };
        let damage = |what: &str, outcome| DamagedFile {
            table: guard.table.clone(),
            path: guard.file.path.clone(),
            what: what.to_owned(),
            outcome,
            rows: guard.file.rows,
            rows_lost: 0,
            kept: None,
        };
        match mended {
            Some(bytes) => {
                tracing::warn!(table = guard.table, path = guard.file.path, "a damaged file was mended while it was read; the next scrub writes it anew");
                self.damages.note(damage("bytes are not those that were written", Outcome::Mended));
                let bytes = Bytes::from(bytes);
                guard.state().mended = Some(bytes.clone());
                Ok(bytes)
            }
            None => {
                tracing::error!(table = guard.table, path = guard.file.path, "a damaged file is left out of queries");
                self.damages.note(damage("bytes are not those that were written, and more is damaged than the file can be mended from", Outcome::Found));
                guard.state().broken = true;
                Err(object_store::Error::Generic { store: "lake", source: Box::new(Damaged { path: format!("{}/{}", guard.table, guard.file.path) }) })
            }
        }
    }
}

/// The bytes of whole blocks that hold a range.
fn aligned(seal: &Seal, blocks: &Range<usize>, range: &Range<u64>) -> Range<u64> {
    if blocks.is_empty() {
        return range.clone();
    }
    seal.block(blocks.start).start.min(range.start)..seal.block(blocks.end - 1).end.max(range.end)
}

/// The range out of `bytes`, when its blocks are whole.
fn take(guard: &Guard, seal: &Seal, digests: &[u8], blocks: Range<usize>, bytes: &Bytes, start: u64, range: &Range<u64>) -> Option<Bytes> {
    let good = blocks.clone().all(|block| seal.is_whole(digests, block, &slice(bytes, start, &seal.block(block))));
    good.then(|| {
        guard.set_whole(blocks);
        slice(bytes, start, range)
    })
}

/// A file that is not there is damage like any other.
fn gone(error: object_store::Error) -> Result<Option<Bytes>> {
    match error {
        object_store::Error::NotFound { .. } => Ok(None),
        // A file that was cut short: the range is outside of it.
        object_store::Error::Generic { .. } => Ok(None),
        other => Err(other),
    }
}

/// A part of `bytes`, which begin at `start` of the file; shorter when there is less.
fn slice(bytes: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let place = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    let (from, to) = (place(range.start), place(range.end));
    bytes.slice(from..to.max(from))
}

#[async_trait]
impl ObjectStore for Checked {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let guard = self.guards().get(location).cloned();
        let Some(guard) = guard.filter(|_| !options.head) else {
            return self.inner.get_opts(location, options).await;
        };
        let size = guard.file.size;
        let range = match &options.range {
            Some(range) => range.as_range(size).map_err(|error| object_store::Error::Generic { store: "lake", source: Box::new(error) })?,
            None => 0..size,
        };
        let mended = guard.state().mended.clone();
        if mended.is_none() && guard.is_checked(&range) {
            return self.inner.get_opts(location, options).await;
        }
        let bytes = match mended {
            Some(bytes) => slice(&bytes, 0, &range),
            None => self.read(location, &guard, range.clone()).await?,
        };
        let meta = ObjectMeta { location: location.clone(), last_modified: std::time::SystemTime::UNIX_EPOCH.into(), size, e_tag: None, version: None };
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }.boxed()).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::new() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
