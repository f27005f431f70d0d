//! Objects of a bucket or folder: listed, or told of by a queue.
//!
//! Objects are read one after another, each record once: how far an object is durable is kept in the
//! position, and in the state for objects that were left for another one. A message of the queue is
//! removed when all of its objects are durable.

mod split;

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use weft_ingest::frame::Framing;
use weft_ingest::pull::{Notice, notice};
use weft_lake::bucket::{Bucket, BucketError, Message, Object, Queue};
use weft_model::{Context, PortError, Position, RawBatch, RejectCause, Source, SourceId, StreamId, Timestamp};

use super::{Pulled, secret};
use crate::config::Secret;
use crate::door::now;
use crate::state::{Progress, StateStore};
use split::{Part, batcher};

/// Objects of one listing that wait at the same time; the oldest come first.
const OBJECTS_MAX: usize = 1000;
/// Batches of an object that are ready ahead.
const AHEAD_MAX: usize = 2;
/// How late an object may appear in a listing, milliseconds.
const LOOK_BACK_MS: i64 = 3_600_000;
/// Between two listings, milliseconds.
const EVERY_MS: i64 = 60_000;
/// A message that is in work for so long …
const WORK: Duration = Duration::from_secs(10);
/// … is hidden from others for so many seconds more.
const HIDDEN_SECONDS: u32 = 120;
/// How long the queue may wait for a message, seconds.
const WAIT_SECONDS: u32 = 10;
/// How long it is remembered that an object was read, when a queue tells of objects: longer than a queue
/// keeps messages (14 days).
const REMEMBER_MS: i64 = 15 * 86_400_000;

/// What a bucket source is made of.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) source: SourceId,
    pub(crate) stream: StreamId,
    pub(crate) framing: Framing,
    pub(crate) url: String,
    pub(crate) queue: Option<String>,
    pub(crate) by_key: bool,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) every_ms: Option<i64>,
    pub(crate) since_ms: Option<i64>,
    pub(crate) look_back_ms: Option<i64>,
    pub(crate) record_max: usize,
    /// Where an object is put while it is read.
    pub(crate) spool: PathBuf,
}

/// How far the bucket was read, in words that survive a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// The object that was read last, and how many of its records; none of it all.
    #[serde(default)]
    object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upto: Option<u64>,
    /// Objects up to this instant were read, epoch milliseconds.
    #[serde(default)]
    since: i64,
    /// Greatest key that was read, where keys grow.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    after: String,
}

/// An object to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    modified: i64,
    key: String,
    id: String,
    size: u64,
    /// Receipt of the message that told of it.
    receipt: Option<String>,
}

/// See the module.
pub(crate) struct Objects {
    settings: Settings,
    state: Arc<dyn StateStore>,
    bucket: Option<(Bucket, Option<Queue>)>,
    place: Place,
    /// What was handed on and waits to be durable.
    handed: Option<(Place, bool)>,
    waiting: VecDeque<Work>,
    reading: Option<(Work, mpsc::Receiver<Result<Part, String>>)>,
    /// Messages with the number of their objects that are not durable.
    messages: BTreeMap<String, usize>,
    /// Messages that are no notices, with the reason: they become rejects.
    strange: VecDeque<(String, String, String)>,
    strange_handed: Option<String>,
    hidden: Instant,
    started: bool,
    more: bool,
}

impl Objects {
    /// Opens nothing yet.
    pub(crate) fn new(settings: Settings, state: Arc<dyn StateStore>) -> Self {
        Self {
            settings,
            state,
            bucket: None,
            place: Place::default(),
            handed: None,
            waiting: VecDeque::new(),
            reading: None,
            messages: BTreeMap::new(),
            strange: VecDeque::new(),
            strange_handed: None,
            hidden: Instant::now(),
            started: false,
            more: false,
        }
    }

    fn tool(&self) -> String {
        self.settings.source.to_string()
    }

    fn unavailable(&self, message: impl ToString) -> PortError {
        PortError::Unavailable { tool: self.tool(), message: message.to_string() }
    }

    fn port_error(&mut self, error: BucketError) -> PortError {
        match error {
            BucketError::Unavailable(message) => self.unavailable(message),
            // Secrets may be changed while we run.
            BucketError::Refused(message) => {
                self.bucket = None;
                PortError::Refused { tool: self.tool(), message }
            }
            BucketError::NotFound(message) => PortError::Refused { tool: self.tool(), message: format!("`{message}` is not there") },
        }
    }

    /// The bucket, opened with the secrets as they are now.
    fn open(&mut self) -> Result<(Bucket, Option<Queue>), PortError> {
        if let Some(open) = &self.bucket {
            return Ok(open.clone());
        }
        let refused = |message: String| PortError::Refused { tool: self.tool(), message };
        let mut options = self.settings.options.clone();
        options.extend(secret::read(&self.settings.secrets).map_err(refused)?);
        let bucket = Bucket::open(&self.settings.url, &options).map_err(refused)?;
        let queue = self.settings.queue.as_deref().map(|url| bucket.queue(url)).transpose().map_err(refused)?;
        self.bucket = Some((bucket.clone(), queue.clone()));
        Ok((bucket, queue))
    }

    /// What was handed on was not stored, or this is a new process: begins again at the position.
    async fn settle(&mut self, position: &Position) -> Result<(), PortError> {
        if self.started && self.handed.is_none() {
            return Ok(());
        }
        self.place = serde_json::from_str(&position.0).unwrap_or_default();
        (self.handed, self.reading, self.strange_handed) = (None, None, None);
        self.waiting.clear();
        self.messages.clear();
        if !self.place.object.is_empty() {
            let progress = self.place.upto.map_or(Progress::Done, Progress::Upto);
            self.state.keep_object(&self.settings.source, &self.place.object, progress, now()).await.map_err(|error| self.unavailable(error))?;
        }
        self.started = true;
        Ok(())
    }

    /// Finds objects to read.
    async fn find(&mut self) -> Result<(), PortError> {
        let (bucket, queue) = self.open()?;
        match queue {
            Some(queue) => {
                let messages = match queue.receive(WAIT_SECONDS).await {
                    Ok(messages) => messages,
                    Err(error) => return Err(self.port_error(error)),
                };
                self.hidden = Instant::now();
                self.more = !messages.is_empty();
                for message in messages {
                    self.told(&bucket, &queue, message).await?;
                }
                self.state.forget_objects(&self.settings.source, Timestamp(now().0 - REMEMBER_MS)).await.map_err(|error| self.unavailable(error))
            }
            None => self.list(&bucket).await,
        }
    }

    /// What a message tells of; one that tells of nothing is removed.
    async fn told(&mut self, bucket: &Bucket, queue: &Queue, message: Message) -> Result<(), PortError> {
        let named = match notice(&message.body) {
            Ok(Notice::Objects(named)) => named,
            Ok(Notice::Nothing(what)) => {
                tracing::debug!(source = %self.settings.source, what, "a message tells of no new object");
                Vec::new()
            }
            Err(reason) => {
                self.strange.push_back((message.receipt, message.body, reason));
                return Ok(());
            }
        };
        let mut count = 0;
        for named in named {
            if named.bucket != bucket.name() {
                let reason = format!("the message tells of the bucket `{}`, this source reads `{}`", named.bucket, bucket.name());
                self.strange.push_back((message.receipt.clone(), message.body.clone(), reason));
                return Ok(());
            }
            if !bucket.holds(&named.key) {
                continue;
            }
            let object = match bucket.head(&named.key).await {
                Ok(object) => object,
                Err(BucketError::NotFound(_)) => {
                    let reason = format!("`{}` was removed before it was read", named.key);
                    self.strange.push_back((message.receipt.clone(), message.body.clone(), reason));
                    return Ok(());
                }
                Err(error) => return Err(self.port_error(error)),
            };
            let work = work(object, Some(message.receipt.clone()));
            if !self.is_done(&work).await? {
                count += 1;
                self.waiting.push_back(work);
            }
        }
        if count == 0 {
            return queue.delete(&message.receipt).await.map_err(|error| self.port_error(error));
        }
        self.messages.insert(message.receipt, count);
        Ok(())
    }

    async fn is_done(&self, work: &Work) -> Result<bool, PortError> {
        let progress = self.state.object(&self.settings.source, &work.id).await.map_err(|error| self.unavailable(error))?;
        Ok(progress == Some(Progress::Done))
    }

    /// Objects that were not read, the oldest first; of many the oldest ones.
    async fn list(&mut self, bucket: &Bucket) -> Result<(), PortError> {
        let look_back = self.settings.look_back_ms.unwrap_or(LOOK_BACK_MS);
        let begin = self.settings.since_ms.map_or(i64::MIN, |since| now().0.saturating_sub(since));
        let from = if self.place.since == 0 { begin } else { self.place.since.saturating_sub(look_back) };
        let after = Some(self.place.after.as_str()).filter(|after| self.settings.by_key && !after.is_empty()).map(str::to_owned);
        let mut found = bucket.list(after.as_deref());
        let mut oldest: BinaryHeap<(i64, String, Work)> = BinaryHeap::new();
        while let Some(object) = found.next().await {
            let object = object.map_err(|error| self.port_error(error))?;
            let known = if self.settings.by_key { object.modified.0 < begin } else { object.modified.0 < from };
            if known || object.size == 0 {
                continue;
            }
            let work = work(object, None);
            if self.is_done(&work).await? {
                continue;
            }
            let rank = if self.settings.by_key { 0 } else { work.modified };
            oldest.push((rank, work.key.clone(), work));
            if oldest.len() > OBJECTS_MAX {
                oldest.pop();
            }
        }
        self.more = oldest.len() >= OBJECTS_MAX;
        self.waiting = oldest.into_sorted_vec().into_iter().map(|(_, _, work)| work).collect();
        if self.place.since > 0 {
            let before = Timestamp(now().0.min(self.place.since).saturating_sub(2 * look_back).saturating_sub(REMEMBER_MS));
            self.state.forget_objects(&self.settings.source, before).await.map_err(|error| self.unavailable(error))?;
        }
        Ok(())
    }

    /// Begins to read an object behind what of it is durable.
    async fn begin(&mut self, work: Work) -> Result<(), PortError> {
        let (bucket, _) = self.open()?;
        let skip = match self.state.object(&self.settings.source, &work.id).await.map_err(|error| self.unavailable(error))? {
            Some(Progress::Upto(upto)) => upto,
            _ => 0,
        };
        let (parts, reading) = mpsc::channel(AHEAD_MAX);
        tokio::spawn(split::read(bucket, self.settings.clone(), (work.key.clone(), work.size), skip, parts));
        self.reading = Some((work, reading));
        Ok(())
    }

    /// The next batch of the object that is read.
    async fn part(&mut self) -> Result<Option<RawBatch>, PortError> {
        let Some((work, parts)) = &mut self.reading else { return Ok(None) };
        let part = match parts.recv().await {
            Some(Ok(part)) => part,
            Some(Err(message)) => {
                let message = format!("`{}`: {message}", work.key);
                let (work, _) = self.reading.take().unzip();
                self.waiting.extend(work);
                return Err(self.unavailable(message));
            }
            None => {
                self.reading = None;
                return Err(self.unavailable("an object was not read to its end; it is read again"));
            }
        };
        let mut place = Place { object: work.id.clone(), upto: Some(part.upto).filter(|_| !part.last), ..self.place.clone() };
        if part.last {
            // What could not be read yet holds the place back: a new process must find it again.
            let oldest = self.waiting.iter().map(|waiting| waiting.modified).min().unwrap_or(i64::MAX);
            place.since = place.since.max(work.modified.min(oldest));
            if self.settings.by_key && self.waiting.iter().all(|waiting| waiting.key > work.key) {
                place.after = work.key.clone();
            }
        }
        let next = Position(serde_json::to_string(&place).map_err(|error| self.unavailable(error))?);
        self.handed = Some((place, part.last));
        Ok(Some(RawBatch { next, ..part.batch }))
    }

    /// A message that is no notice: kept with the reason.
    fn strange(&mut self, position: &Position) -> Option<RawBatch> {
        let (receipt, body, reason) = self.strange.pop_front()?;
        let mut batcher = batcher(&self.settings, Context::default(), "message", self.settings.record_max);
        batcher.refuse(RejectCause::Malformed, reason, Bytes::from(body));
        self.strange_handed = Some(receipt);
        batcher.take(position).pop()
    }

    /// An object is durable; a message is removed when all of its objects are.
    async fn finish(&mut self, work: Work) -> Result<(), PortError> {
        let Some(receipt) = work.receipt else { return Ok(()) };
        let left = self.messages.get(&receipt).map_or(0, |left| left.saturating_sub(1));
        if left > 0 {
            self.messages.insert(receipt, left);
            return Ok(());
        }
        self.messages.remove(&receipt);
        let (_, Some(queue)) = self.open()? else { return Ok(()) };
        queue.delete(&receipt).await.map_err(|error| self.port_error(error))
    }

    /// Keeps what is in work hidden from others.
    async fn hide(&mut self) -> Result<(), PortError> {
        if self.messages.is_empty() || self.hidden.elapsed() < WORK {
            return Ok(());
        }
        let (_, Some(queue)) = self.open()? else { return Ok(()) };
        for receipt in self.messages.keys() {
            if let Err(error) = queue.hide(receipt, HIDDEN_SECONDS).await {
                tracing::debug!(%error, "a message may be received again");
            }
        }
        self.hidden = Instant::now();
        Ok(())
    }
}

fn work(object: Object, receipt: Option<String>) -> Work {
    let id = format!("{} {}", object.key, object.version.trim_matches('"'));
    Work { modified: object.modified.0, key: object.key, id, size: object.size, receipt }
}

#[async_trait]
impl Source for Objects {
    async fn poll(&mut self, position: &Position) -> Result<RawBatch, PortError> {
        self.settle(position).await?;
        self.strange_handed = None;
        self.hide().await?;
        if let Some(batch) = self.strange(position) {
            return Ok(batch);
        }
        if self.reading.is_none() {
            if self.waiting.is_empty() {
                self.more = false;
                self.find().await?;
            }
            while let Some(work) = self.waiting.pop_front() {
                // Two messages may tell of one object.
                if self.is_done(&work).await? {
                    self.finish(work).await?;
                    continue;
                }
                self.begin(work).await?;
                break;
            }
        }
        if let Some(batch) = self.part().await? {
            return Ok(batch);
        }
        let (source, stream) = (self.settings.source.clone(), self.settings.stream.clone());
        Ok(RawBatch { source, stream, context: Context::default(), next: position.clone(), received: now(), records: Vec::new() })
    }
}

#[async_trait]
impl Pulled for Objects {
    fn rest_ms(&self) -> u64 {
        let busy = self.reading.is_some() || !self.waiting.is_empty() || !self.strange.is_empty() || self.more || self.settings.queue.is_some();
        if busy { 0 } else { u64::try_from(self.settings.every_ms.unwrap_or(EVERY_MS)).unwrap_or_default() }
    }

    fn held_ms(&self) -> u64 {
        0
    }

    fn newest(&self) -> Option<Timestamp> {
        Some(Timestamp(self.place.since)).filter(|newest| newest.0 > 0)
    }

    async fn stored(&mut self) -> Result<(), PortError> {
        if let Some(receipt) = self.strange_handed.take() {
            let (_, Some(queue)) = self.open()? else { return Ok(()) };
            return queue.delete(&receipt).await.map_err(|error| self.port_error(error));
        }
        let Some((place, last)) = self.handed.take() else { return Ok(()) };
        let progress = place.upto.map_or(Progress::Done, Progress::Upto);
        self.state.keep_object(&self.settings.source, &place.object, progress, now()).await.map_err(|error| self.unavailable(error))?;
        self.place = place;
        if !last {
            return Ok(());
        }
        match self.reading.take() {
            Some((work, _)) => self.finish(work).await,
            None => Ok(()),
        }
    }
}
