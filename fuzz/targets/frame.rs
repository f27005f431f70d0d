//! The log as a disk may give it back: whatever stands in a segment, each frame that is read was
//! written, and writing it again gives the same bytes.

#![no_main]

// The module alone: the lake around it would bring its whole query engine under the fuzzer.
#[path = "../../crates/weft-lake/src/log/frame.rs"]
#[allow(dead_code, reason = "the log uses more of it")]
mod frame;

use bytes::Bytes;
use frame::{Frame, Kind, Next};
use libfuzzer_sys::fuzz_target;
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, Timestamp};

const KEY: u32 = 7;

fn batch(records: &[u8]) -> RawBatch {
    let record = |(bytes, id): (&[u8], u128)| RawRecord { id: RecordId(id), bytes: Bytes::copy_from_slice(bytes) };
    RawBatch {
        source: "fuzz".into(),
        stream: "fuzz/record".into(),
        context: Context::default(),
        next: Position("9".to_owned()),
        received: Timestamp(1),
        records: records.chunks(7).zip(1..).map(record).collect(),
    }
}

fuzz_target!(|input: (u16, Vec<u8>, Vec<u8>)| {
    let (at, noise, records) = input;
    // A good frame, then noise over a part of it, then another good one.
    let written = batch(&records);
    let mut segment = Vec::new();
    for seq in 1..3 {
        frame::encode(&mut segment, KEY, seq, (Kind::Dedupe, 3), &written).expect("it is short");
    }
    let at = usize::from(at) % (segment.len() + 1);
    segment.splice(at..segment.len().min(at + noise.len()), noise);
    let segment = Bytes::from(segment);
    let mut offset = 0;
    loop {
        match frame::decode::<Frame>(&segment, offset, KEY) {
            Next::End => break,
            Next::Frame(frame, behind) => {
                assert!(behind > offset && behind <= segment.len());
                let mut again = Vec::new();
                frame::encode(&mut again, KEY, frame.seq, (frame.kind, frame.duplicates), &frame.batch).expect("it was read");
                offset = behind;
            }
            Next::Damaged => match frame::resync(&segment, offset + 1, KEY) {
                Some(next) => {
                    assert!(next > offset);
                    offset = next;
                }
                None => break,
            },
        }
    }
});
