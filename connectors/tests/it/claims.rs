//! Records of all scenarios against all streams: `auto` finds the right one, and no damage to a
//! record does more than make it a reject.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use weft_ingest::{Mapper, Registry};
use weft_model::{Context, Mapping as _, StreamId};
use weft_testkit::scenario::{self, Raw};
use weft_testkit::{batch, registry, say};

/// Share of the records that `auto` must give to the stream that their scenario names: what is left
/// are records of which a stranger could not tell the tool either.
const FOUND_MIN: f64 = 0.99;
/// Damaged copies of each record.
const DAMAGES: u64 = 12;

fn all() -> (Arc<Registry>, Vec<Raw>) {
    let (registry, faults) = registry();
    assert!(faults.is_empty(), "{faults:?}");
    let folder = weft_testkit::root().join("connectors");
    let folders = weft_connectors::files().into_iter().map(|connector| folder.join(connector.name).join("scenarios"));
    let raws = folders.flat_map(|folder| scenario::raw_records(&registry, &folder).unwrap()).collect();
    (registry, raws)
}

/// What an event says it is of, and its class.
fn kinds(mapper: &Mapper, stream: &str, context: &Context, record: &Bytes) -> Vec<String> {
    let mapped = mapper.map(&batch(stream, context.clone(), vec![record.clone()]));
    let events = mapped.batches.iter().flat_map(weft_model::EventBatch::to_json);
    events.map(|event| format!("{} {} {}", event["class_uid"], event["metadata"]["product"]["vendor_name"], event["metadata"]["product"]["name"])).collect()
}

#[test]
fn auto_finds_the_stream_of_every_scenario() {
    let (registry, raws) = all();
    let generic: BTreeSet<&StreamId> = registry.programs.iter().filter(|program| program.generic).map(|program| &program.stream).collect();
    let mapper = Mapper::new(Arc::clone(&registry));
    let (mut asked, mut missed) = (0_u32, Vec::new());
    for raw in raws.iter().filter(|raw| raw.stream != StreamId::AUTO && !generic.contains(&StreamId::from(raw.stream.as_str()))) {
        for (context, record) in &raw.records {
            let by_stream = kinds(&mapper, &raw.stream, context, record);
            if by_stream.is_empty() {
                continue;
            }
            asked += 1;
            let by_itself = kinds(&mapper, StreamId::AUTO, context, record);
            if by_itself != by_stream {
                missed.push(format!("{} {}: {by_stream:?}, auto says {by_itself:?}", raw.place, raw.stream));
            }
        }
    }
    let found = 1.0 - f64::from(u32::try_from(missed.len()).unwrap()) / f64::from(asked);
    say(&format!("auto finds the stream of {found:.3} of {asked} records"));
    assert!(found >= FOUND_MIN, "{found:.3}\n{}", missed.join("\n"));
}

#[test]
fn a_damaged_record_is_an_event_or_a_reject() {
    let (registry, raws) = all();
    let mapper = Mapper::new(Arc::clone(&registry));
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut records, mut events, mut rejects) = (0, 0, 0);
    for raw in &raws {
        for stream in [raw.stream.as_str(), StreamId::AUTO] {
            for (context, record) in &raw.records {
                let damaged: Vec<Bytes> = (0..DAMAGES).map(|_| damage(record, &mut dice)).collect();
                let mapped = mapper.map(&batch(stream, context.clone(), damaged.clone()));
                assert_eq!(mapped.events() + mapped.rejects.len(), damaged.len(), "{} by {stream}", raw.place);
                records += damaged.len();
                events += mapped.events();
                rejects += mapped.rejects.len();
            }
        }
    }
    say(&format!("{records} damaged records: {events} events, {rejects} rejects"));
    assert!(events > 0 && rejects > 0);
}

/// A small random number generator: the same damage in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// What breaks parsers: cut ends, flipped bits, other bytes, lost and doubled parts, deep nesting.
fn damage(record: &Bytes, dice: &mut Dice) -> Bytes {
    const ODD: [&[u8]; 14] = [b"\0", b"\"", b"\\", b"{", b"[[[[[[[[", b"}", b"<a>", b"&#x0;", b"\xff\xfe", b"\xed\xa0\x80", b"1e999", b"-", b"=", b"\\ud800"];
    let mut bytes = record.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        match dice.below(6) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            2 => drop(bytes.splice(at..at, ODD[dice.below(ODD.len())].iter().copied())),
            3 => drop(bytes.drain(at..(at + dice.below(40)).min(bytes.len()))),
            4 => {
                let part = bytes[at..(at + dice.below(60)).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, part));
            }
            _ => bytes.reverse(),
        }
    }
    Bytes::from(bytes)
}
