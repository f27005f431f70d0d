//! Framed records to raw batches: ids, sizes, and what a door itself must refuse.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, Reject, RejectCause, SourceId, StreamId, Timestamp};

use super::frame::Framed;

/// Bytes of one batch: large enough to map well, small enough to be fair.
pub const BATCH_BYTES_MAX: usize = 2 << 20;
/// Records of one batch.
pub const BATCH_RECORDS_MAX: usize = 8192;
/// Marks the stream of records that a door refused, see [`refused`].
const REFUSED: &str = "!";

/// How equal records are told apart, or not.
#[derive(Debug)]
pub enum Salt {
    /// Content and ordinal among equals: the same request sent twice has the same ids. The
    /// prefix is the client's idempotency key, empty when it gave none.
    Content {
        /// Idempotency key.
        key: Bytes,
        /// How often each content was seen in this request.
        seen: HashMap<RecordId, u32>,
    },
    /// Place in the source: a connection and a sequence, a file and an offset.
    Place {
        /// Connection or file identity.
        origin: Bytes,
        /// Sequence or offset of the next record.
        next: u64,
    },
}

impl Salt {
    /// Ids by content.
    pub fn content(key: Bytes) -> Self {
        Self::Content { key, seen: HashMap::new() }
    }

    /// Ids by place.
    pub fn place(origin: impl Into<Bytes>, next: u64) -> Self {
        Self::Place { origin: origin.into(), next }
    }

    fn id(&mut self, stream: &StreamId, bytes: &[u8]) -> RecordId {
        match self {
            Self::Content { key, seen } => {
                let id = RecordId::of(stream, key, bytes);
                let ordinal = seen.entry(id).and_modify(|n| *n += 1).or_insert(0);
                if *ordinal == 0 { id } else { RecordId::of(stream, &[key, ordinal.to_be_bytes().as_slice()].concat(), bytes) }
            }
            Self::Place { origin, next } => {
                let id = RecordId::of(stream, &[origin, next.to_be_bytes().as_slice()].concat(), bytes);
                *next += 1;
                id
            }
        }
    }
}

/// Gathers records of one origin into batches.
pub struct Batcher {
    source: SourceId,
    stream: StreamId,
    context: Context,
    received: Timestamp,
    salt: Salt,
    records: Vec<RawRecord>,
    bytes: usize,
    record_max: usize,
    refused: Vec<(RejectCause, String, RawRecord)>,
}

impl Batcher {
    /// For the records of one source.
    pub fn new(source: SourceId, stream: StreamId, context: Context, salt: Salt, received: Timestamp, record_max: usize) -> Self {
        Self { source, stream, context, received, salt, records: Vec::new(), bytes: 0, record_max, refused: Vec::new() }
    }

    /// Adds what a framer cut out.
    pub fn add(&mut self, framed: Framed) {
        match framed {
            Framed::Record(bytes) => self.record(bytes),
            Framed::TooLarge { kept, length } => {
                let message = format!("the record is {length} bytes long, at most {} are taken; its first {} are kept", self.record_max, kept.len());
                self.refuse(RejectCause::TooLarge, message, kept);
            }
        }
    }

    /// Adds a record.
    pub fn record(&mut self, bytes: Bytes) {
        let _known_later = self.identified(bytes);
    }

    /// Adds a record; gives its id.
    pub fn identified(&mut self, bytes: Bytes) -> RecordId {
        let id = self.salt.id(&self.stream, &bytes);
        self.bytes += bytes.len();
        self.records.push(RawRecord { id, bytes });
        id
    }

    /// Adds a record that its sender told apart from equal ones by a name: the same under the same
    /// name is one.
    pub fn record_as(&mut self, name: &[u8], bytes: Bytes) -> RecordId {
        let id = RecordId::of(&self.stream, &[b"name", name].concat(), &bytes);
        self.bytes += bytes.len();
        self.records.push(RawRecord { id, bytes });
        id
    }

    /// The mapping of its records.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Adds a record that cannot be mapped, with the reason: it goes through the log like any other.
    pub fn refuse(&mut self, cause: RejectCause, message: String, kept: Bytes) {
        let id = self.salt.id(&self.stream, &kept);
        self.bytes += kept.len();
        self.refused.push((cause, message, RawRecord { id, bytes: kept }));
    }

    /// What surrounds the records from now on; take what was gathered before.
    pub fn surround(&mut self, context: Context) {
        self.context = context;
    }

    /// Whether the records are surrounded by this.
    pub fn is_around(&self, context: &Context) -> bool {
        self.context == *context
    }

    /// The arrival of what comes from now on; batches carry one time each.
    pub fn received(&mut self, at: Timestamp) {
        self.received = at;
    }

    /// The place of the next record, where ids are by place.
    pub fn at(&mut self, place: u64) {
        if let Salt::Place { next, .. } = &mut self.salt {
            *next = place;
        }
    }

    /// Whether it is time to hand on what is there.
    pub fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES_MAX || self.records.len() + self.refused.len() >= BATCH_RECORDS_MAX
    }

    /// What was gathered: the records, then the refused ones, those of one reason together; `next` goes
    /// with the last.
    pub fn take(&mut self, next: &Position) -> Vec<RawBatch> {
        self.bytes = 0;
        let records = std::mem::take(&mut self.records);
        let refused = std::mem::take(&mut self.refused);
        let mut batches = Vec::new();
        if !records.is_empty() {
            batches.push(self.batch(self.stream.clone(), self.context.clone(), records));
        }
        for same in refused.chunk_by(|a, b| (a.0, &a.1) == (b.0, &b.1)) {
            let Some((cause, message, _)) = same.first() else { continue };
            let stream = StreamId(format!("{REFUSED}{}{REFUSED}{}", cause.name(), self.stream).into());
            let context = Context { header: Some(Arc::from(message.as_str())), ..self.context.clone() };
            batches.push(self.batch(stream, context, same.iter().map(|(_, _, record)| record.clone()).collect()));
        }
        if let Some(last) = batches.last_mut() {
            last.next = next.clone();
        }
        batches
    }

    fn batch(&self, stream: StreamId, context: Context, records: Vec<RawRecord>) -> RawBatch {
        RawBatch { source: self.source.clone(), stream, context, next: Position::default(), received: self.received, records }
    }
}

/// The rejects of a batch that a door refused; none when it is an ordinary one.
pub fn refused(batch: &RawBatch) -> Option<Vec<Reject>> {
    let (cause, stream) = batch.stream.0.strip_prefix(REFUSED)?.split_once(REFUSED)?;
    let cause = CAUSES.into_iter().find(|known| known.name() == cause)?;
    let message = batch.context.header.as_deref().unwrap_or("refused at the door");
    let context = Context { header: None, ..batch.context.clone() };
    let reject = |record: &RawRecord| Reject {
        id: record.id,
        source: batch.source.clone(),
        stream: stream.into(),
        context: context.clone(),
        cause,
        message: message.to_owned(),
        raw: record.bytes.clone(),
    };
    Some(batch.records.iter().map(reject).collect())
}

const CAUSES: [RejectCause; 9] = [
    RejectCause::TooLarge,
    RejectCause::TooDeep,
    RejectCause::Malformed,
    RejectCause::Encoding,
    RejectCause::Unrecognised,
    RejectCause::NoTime,
    RejectCause::Invalid,
    RejectCause::Container,
    RejectCause::Unauthenticated,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn batcher(salt: Salt) -> Batcher {
        Batcher::new("http/t".into(), "a/b".into(), Context::default(), salt, Timestamp(1), 4)
    }

    fn ids(batches: &[RawBatch]) -> Vec<RecordId> {
        batches.iter().flat_map(|b| b.records.iter().map(|r| r.id)).collect()
    }

    #[test]
    fn a_request_sent_twice_has_the_same_ids_and_equals_in_it_differ() {
        let once = || {
            let mut b = batcher(Salt::content(Bytes::new()));
            ["x", "y", "x"].into_iter().for_each(|r| b.record(Bytes::from_static(r.as_bytes())));
            ids(&b.take(&Position::default()))
        };
        let first = once();
        assert_eq!(first, once());
        assert_eq!(first.iter().collect::<std::collections::HashSet<_>>().len(), 3);
    }

    #[test]
    fn equal_datagrams_are_two_events() {
        let mut b = batcher(Salt::place("c1", 0));
        ["x", "x"].into_iter().for_each(|r| b.record(Bytes::from_static(r.as_bytes())));
        let ids = ids(&b.take(&Position::default()));
        assert_ne!(ids.first(), ids.last());
    }

    #[test]
    fn a_record_that_is_too_large_travels_with_its_reason() {
        let mut b = batcher(Salt::content(Bytes::new()));
        b.add(Framed::Record(Bytes::from_static(b"ok")));
        b.add(Framed::TooLarge { kept: Bytes::from_static(b"xxxxx"), length: 9 });
        let batches = b.take(&Position("7".into()));
        let [good, bad] = batches.as_slice() else { panic!("{batches:?}") };
        assert!(refused(good).is_none());
        let rejects = refused(bad).unwrap();
        let [reject] = rejects.as_slice() else { panic!("{rejects:?}") };
        assert_eq!((reject.cause, &*reject.stream.0, &*reject.raw), (RejectCause::TooLarge, "a/b", b"xxxxx".as_slice()));
        assert_eq!(reject.message, "the record is 9 bytes long, at most 4 are taken; its first 5 are kept");
        assert_eq!(bad.next, Position("7".into()));
    }
}
