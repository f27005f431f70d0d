//! One object: fetched whole, cut into batches.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use weft_ingest::frame::{self, Piece};
use weft_lake::bucket::{Bucket, BucketError};
use weft_model::{Context, Position, RawBatch, RejectCause};

use super::Settings;
use crate::door::now;
use crate::door::records::{Batcher, Salt};

/// Largest object, packed.
const OBJECT_BYTES_MAX: u64 = 4 << 30;

/// Where parts go; an error is one for a person, and the object is read again.
pub(super) type Parts = mpsc::Sender<Result<Part, String>>;

/// A batch of an object with the number of its records so far; the last of it says so.
pub(super) struct Part {
    pub(super) batch: RawBatch,
    pub(super) upto: u64,
    pub(super) last: bool,
}

pub(super) fn batcher(settings: &Settings, context: Context, name: &str, record_max: usize) -> Batcher {
    let origin = format!("{} {} {name}", settings.source, settings.url);
    Batcher::new(settings.source.clone(), settings.stream.clone(), context, Salt::place(origin, 0), now(), record_max)
}

/// The object in a file without a name: it is gone when it was read, whatever happens.
async fn fetch(bucket: &Bucket, key: &str, size: u64, spool: &Path) -> Result<File, Unread> {
    if size > OBJECT_BYTES_MAX {
        return Err(Unread::Never(format!("`{key}` has {size} bytes, at most {OBJECT_BYTES_MAX} are read; split it where it is written")));
    }
    let told = |error: std::io::Error| Unread::Later(format!("it cannot be put into `{}`: {error}", spool.display()));
    let unread = |error: BucketError| match error {
        BucketError::NotFound(_) => Unread::Never(format!("`{key}` was removed before it was read")),
        other => Unread::Later(other.to_string()),
    };
    std::fs::create_dir_all(spool).map_err(told)?;
    let mut file = tempfile::tempfile_in(spool).map_err(told)?;
    let mut pieces = bucket.get(key).await.map_err(unread)?;
    let mut length = 0_u64;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(unread)?;
        length += piece.len() as u64;
        if length > OBJECT_BYTES_MAX {
            return Err(Unread::Never(format!("`{key}` is longer than {OBJECT_BYTES_MAX} bytes")));
        }
        file.write_all(&piece).map_err(told)?;
    }
    file.seek(SeekFrom::Start(0)).map_err(told)?;
    Ok(file)
}

/// Why an object was not read.
enum Unread {
    Later(String),
    Never(String),
}

/// Reads an object behind its first `skip` records, in parts that are sent as they are wanted.
pub(super) async fn read(bucket: Bucket, settings: Settings, object: (String, u64), skip: u64, parts: Parts) {
    let (key, size) = object;
    match fetch(&bucket, &key, size, &settings.spool).await {
        Ok(file) => {
            let split = tokio::task::spawn_blocking(move || Split::new(&settings, &key, skip, parts).read(file, size));
            if let Err(error) = split.await {
                tracing::error!(%error, "an object could not be split");
            }
        }
        Err(Unread::Later(message)) => drop(parts.send(Err(message)).await),
        // What cannot be read is told where rejects are, and is done.
        Err(Unread::Never(message)) => {
            let context = Context { file: Some(key.as_str().into()), ..Context::default() };
            let mut batcher = batcher(&settings, context, &key, settings.record_max);
            batcher.refuse(RejectCause::Container, message, Bytes::new());
            if let Some(batch) = batcher.take(&Position::default()).pop() {
                drop(parts.send(Ok(Part { batch, upto: 1, last: true })).await);
            }
        }
    }
}

/// Cuts an object into batches; one is held back, so that the last can be told.
struct Split<'s> {
    settings: &'s Settings,
    name: String,
    batcher: Batcher,
    /// Records that are durable already.
    skip: u64,
    seen: u64,
    held: Option<(RawBatch, u64)>,
    parts: Parts,
    gone: bool,
}

impl<'s> Split<'s> {
    fn new(settings: &'s Settings, key: &str, skip: u64, parts: Parts) -> Self {
        let context = Context { file: Some(key.into()), ..Context::default() };
        let batcher = batcher(settings, context, key, settings.record_max);
        Self { settings, name: key.to_owned(), batcher, skip, seen: 0, held: None, parts, gone: false }
    }

    fn read(mut self, file: File, size: u64) {
        let (name, framing) = (self.name.clone(), self.settings.framing.clone());
        frame::read_container(&name, size, file, &framing, &mut |piece| self.take(piece));
        self.flush();
        let (batch, upto) = self.held.take().unwrap_or_else(|| {
            let (source, stream) = (self.settings.source.clone(), self.settings.stream.clone());
            (RawBatch { source, stream, context: Context::default(), next: Position::default(), received: now(), records: Vec::new() }, self.seen)
        });
        self.send(Part { batch, upto, last: true });
    }

    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Context(context) => {
                self.flush();
                let name = context.file.clone().unwrap_or_else(|| self.name.as_str().into());
                self.batcher = batcher(self.settings, (*context).clone(), &name, self.settings.record_max);
                return;
            }
            Piece::Record { at, bytes } => {
                self.seen += 1;
                if self.seen > self.skip {
                    self.batcher.at(at);
                    self.batcher.record(bytes);
                }
            }
            Piece::Fault { at, cause, message, raw } => {
                self.seen += 1;
                if self.seen > self.skip {
                    self.batcher.at(at);
                    self.batcher.refuse(cause, message, raw);
                }
            }
        }
        if self.batcher.is_full() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let batches = self.batcher.take(&Position::default());
        let mut upto = self.seen - batches.iter().map(|batch| batch.records.len() as u64).sum::<u64>();
        for batch in batches {
            upto += batch.records.len() as u64;
            if let Some((batch, upto)) = self.held.replace((batch, upto)) {
                self.send(Part { batch, upto, last: false });
            }
        }
    }

    fn send(&mut self, part: Part) {
        self.gone = self.gone || self.parts.blocking_send(Ok(part)).is_err();
    }
}
