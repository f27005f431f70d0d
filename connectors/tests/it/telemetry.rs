//! Real telemetry that no one of us wrote: nothing is lost, and every event is valid.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use weft_ingest::frame::{self, Framing, Piece};
use weft_ingest::schema::{Level, Validator};
use weft_ingest::{Mapper, Registry};
use weft_model::{Context, Mapping as _, StreamId};
use weft_testkit::{batch, data, say};

/// Events of one file that the validator looks at; every one of smaller files.
const VALIDATED_MAX: usize = 2_000;
/// Records of one file: enough for every kind of record in it.
const RECORDS_MAX: usize = 20_000;

#[derive(Debug, Default)]
struct Tally {
    read: usize,
    mapped: usize,
    rejected: usize,
    base: usize,
    reasons: BTreeMap<String, usize>,
    invalid: Vec<String>,
}

fn run(registry: &Arc<Registry>, stream: &str, path: &Path) -> Tally {
    let framing = Framing::of(registry, &StreamId::from(stream)).unwrap();
    let (mapper, validator) = (Mapper::new(Arc::clone(registry)), Validator::new());
    let (mut tally, mut context, mut held, mut in_file) = (Tally::default(), Context::default(), Vec::<Bytes>::new(), 0);
    let mut validated = 0;
    let flush = |tally: &mut Tally, context: &Context, held: &mut Vec<Bytes>, validated: &mut usize| {
        let records = std::mem::take(held);
        let count = records.len();
        let mapped = mapper.map(&batch(stream, context.clone(), records));
        assert_eq!(count, mapped.events() + mapped.rejects.len(), "{path:?}: read = mapped + rejected");
        tally.read += count;
        tally.mapped += mapped.events();
        tally.rejected += mapped.rejects.len();
        for reject in &mapped.rejects {
            assert!(!reject.message.is_empty() && !reject.raw.is_empty());
            *tally.reasons.entry(reject.cause.name().to_owned()).or_default() += 1;
        }
        for events in &mapped.batches {
            tally.base += if events.class.0 == 0 { events.rows.num_rows() } else { 0 };
            for row in 0..events.rows.num_rows() {
                if *validated >= VALIDATED_MAX {
                    break;
                }
                *validated += 1;
                let event = weft_model::event::row_to_json(&events.rows, row);
                assert!(event.get("raw_data").is_some(), "{path:?}: the raw record is kept");
                let faults = validator.validate(&event).into_iter().filter(|violation| violation.level() == Level::Error);
                tally.invalid.extend(faults.map(|violation| format!("{} {violation}", events.class)));
            }
        }
    };
    frame::read(path, &framing, &mut |piece| match piece {
        Piece::Context(changed) => {
            flush(&mut tally, &context, &mut held, &mut validated);
            context = (*changed).clone();
            (in_file, validated) = (0, 0);
        }
        Piece::Record { bytes, .. } if in_file < RECORDS_MAX => {
            in_file += 1;
            held.push(bytes);
            if held.len() >= 2048 {
                flush(&mut tally, &context, &mut held, &mut validated);
            }
        }
        Piece::Record { .. } => {}
        Piece::Fault { message, .. } => panic!("{path:?}: {message}"),
    })
    .unwrap();
    flush(&mut tally, &context, &mut held, &mut validated);
    tally
}

/// Rejects at most one in a thousand, no event invalid; prints the line of the table.
fn sound(name: &str, tally: &Tally) {
    say(&format!(
        "{name}: read {} = mapped {} + rejected {}, base events {}, reasons {:?}",
        tally.read, tally.mapped, tally.rejected, tally.base, tally.reasons
    ));
    assert!(tally.read > 0, "{name}: nothing was read");
    assert!(tally.rejected * 1000 <= tally.read, "{name}: {:?}", tally.reasons);
    assert!(tally.invalid.is_empty(), "{name}: {:?}", tally.invalid.iter().take(10).collect::<Vec<_>>());
}

fn unpacked(archive: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("tar").arg("xJf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(status.success());
    folder
}

#[test]
fn host_telemetry_of_attack_simulations() {
    let Some(folder) = data("otrf/atomic/windows") else { return };
    let (registry, _) = weft_testkit::registry();
    // Output of the attackers' own tools lies beside the telemetry; only archives are telemetry.
    sound("otrf windows", &run(&registry, "windows/event", &folder));
}

#[test]
fn linux_and_cloud_telemetry_of_attack_simulations() {
    let (Some(linux), Some(cloud), Some(aws)) = (data("otrf/atomic/linux"), data("otrf/atomic/aws"), data("aws")) else { return };
    let (registry, _) = weft_testkit::registry();
    sound("otrf linux", &run(&registry, "auto", &linux));
    sound("otrf aws", &run(&registry, "auto", &cloud));
    sound("aws", &run(&registry, "aws/cloudtrail", &aws));
}

#[test]
fn network_telemetry() {
    let (Some(json), Some(tsv)) = (data("zeek-wrccdc"), data("ocsf-examples/zeek_raw.tar.xz")) else { return };
    let (registry, _) = weft_testkit::registry();
    sound("zeek json", &run(&registry, "zeek/log", &json));
    let folder = unpacked(&tsv);
    sound("zeek tsv", &run(&registry, "zeek/log", folder.path()));
}

#[test]
fn binary_event_logs() {
    let Some(archive) = data("evtx-to-mitre/shared.tar.xz") else { return };
    let (registry, _) = weft_testkit::registry();
    let folder = unpacked(&archive);
    let tally = run(&registry, "windows/event", folder.path());
    sound("evtx", &tally);
    let auto = run(&registry, "auto", folder.path());
    assert_eq!((tally.read, tally.mapped, tally.base), (auto.read, auto.mapped, auto.base), "auto recognises what the stream names");
}
