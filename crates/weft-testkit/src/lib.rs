//! What tests of all crates share: connectors from disk, raw batches from text, and the runner of
//! Markdown scenarios.
//!
//! Servers of others, started on loopback. Only tests depend on it. It knows no layer and no lake.

pub mod scenario;
pub mod server;
pub mod strangers;
pub mod yardstick;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use weft_ingest::{ConnectorSource, Fault, Registry};
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, SourceId, StreamId, Timestamp};

/// The time at which records of tests are received: 2024-08-13T16:00:00Z.
pub const RECEIVED: Timestamp = Timestamp(1_723_564_800_000);

/// The project's root.
pub fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    crates.ancestors().nth(2).unwrap_or(crates).to_path_buf()
}

/// A file or folder of the shared data; none, with one line saying so, where it is absent.
pub fn data(path: &str) -> Option<PathBuf> {
    let full = root().join("../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    say(&format!("not checked: `../shared/data/{path}` is not here"));
    None
}

/// One line for the person who runs the tests.
#[expect(clippy::print_stderr, reason = "the reader of a test run is the user here")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Every connector of the project, from disk.
pub fn connectors() -> Vec<ConnectorSource> {
    let folder = root().join("connectors");
    let mut sources: Vec<ConnectorSource> =
        entries(&folder).into_iter().filter(|path| path.join("connector.toml").exists()).map(|path| connector(&path)).collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}

fn connector(folder: &Path) -> ConnectorSource {
    let mut files = Vec::new();
    for path in entries(folder).into_iter().chain(entries(&folder.join("mapping"))) {
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.strip_prefix(folder).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
            files.extend(std::fs::read_to_string(&path).ok().map(|text| (name, text)));
        }
    }
    files.sort();
    ConnectorSource { name: folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(), files }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// All streams of the project, with the faults of their files.
pub fn registry() -> (Arc<Registry>, Vec<Fault>) {
    Registry::build(&connectors())
}

/// A batch of these records.
pub fn batch(stream: &str, context: Context, records: Vec<Bytes>) -> RawBatch {
    let stream = StreamId::from(stream);
    let records = records.into_iter().zip(0_u64..).map(|(bytes, place)| RawRecord { id: RecordId::of(&stream, &place.to_be_bytes(), &bytes), bytes }).collect();
    RawBatch { source: SourceId::from("test"), stream, context, next: Position::default(), received: RECEIVED, records }
}
