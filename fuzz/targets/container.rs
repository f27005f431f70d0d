//! A stream of bytes cut into records: wherever it is torn, the same records come out, and what they
//! hold is no more than what came in.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weft_ingest::Registry;
use weft_ingest::frame::{Framing, Piece, Splitter};
use weft_model::{Context, StreamId};
use weft_testkit::registry;

static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(|| registry().0);

fuzz_target!(|bytes: &[u8]| {
    let Some((stream, bytes)) = bytes.split_first() else { return };
    let streams = ["auto", "aws/cloudtrail", "zeek/log", "windows/event", "aws/vpcflow", "syslog/event"];
    let stream = streams[usize::from(*stream) % streams.len()];
    let records = cut(stream, &[bytes]);
    assert!(records.iter().map(Bytes::len).sum::<usize>() <= bytes.len());
});

fn cut(stream: &str, chunks: &[&[u8]]) -> Vec<Bytes> {
    let framing = Framing::of(&REGISTRY, &StreamId::from(stream)).unwrap_or_default();
    let mut splitter = Splitter::new(framing, Context::default()).with_record_max(1 << 16);
    let mut records = Vec::new();
    let mut take = |piece: Piece| match piece {
        Piece::Record { bytes, .. } | Piece::Fault { raw: bytes, .. } => records.push(bytes),
        Piece::Context(_) => {}
    };
    chunks.iter().for_each(|chunk| splitter.push(chunk, &mut take));
    splitter.finish(&mut take);
    records
}
