//! Detection beside its anchor, in one run on one thread: all rules of a folder over the same records, by
//! `rsigma-eval` row by row and by Weft over Arrow; then both lists of findings side by side.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin detect -- RULES STREAM FILE… [--differences]`

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rsigma_eval::JsonEvent;
use serde_json::Value;
use weft_analytics::{Engine, FieldMap, RuleFile};
use weft_ingest::Mapper;
use weft_ingest::frame::{self, Framing, Piece};
use weft_model::{ClassUid, Context, Detector as _, EventBatch, Mapping as _, StreamId};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Records of one batch, as the doors make them.
const BATCH_RECORDS: usize = 4096;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Rows that are hunted through at a time.
const HUNT_RECORDS: usize = 32_768;
/// Raw bytes of which files are made at once, as the lake commits them.
const COMMIT_BYTES: usize = 96 << 20;

/// CPU seconds of each step, over all files.
#[derive(Default)]
struct Spent {
    records: usize,
    bytes: usize,
    stored: usize,
    anchor_parse: f64,
    anchor_detect: f64,
    map: f64,
    detect: f64,
    write: f64,
    hunt: f64,
}

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let differences = words.iter().position(|word| word == "--differences").map(|at| words.remove(at)).is_some();
    let [rules, stream, paths @ ..] = words.as_slice() else { return Err("usage: detect RULES STREAM FILE… [--differences]".into()) };
    let files = rule_files(Path::new(rules));
    let (registry, _) = weft_testkit::registry();
    let fields = fields()?;
    let (mut engine, mut hunter, rules_of) = load(&files, &fields);
    let anchor = anchor(&files)?;
    let framing = Framing::of(&registry, &StreamId::from(stream.as_str())).ok_or("there is no such stream")?;
    let mapper = Mapper::new(Arc::clone(&registry));
    let (mut spent, mut told, mut waiting) = (Spent::default(), Told::default(), Waiting::default());
    for path in paths {
        let records = read(Path::new(path), &framing)?;
        for chunk in records.chunks(BATCH_RECORDS) {
            round(chunk, stream, &anchor, &mapper, &mut engine, &mut waiting, &mut spent, differences.then_some(&mut told), &rules_of);
            if waiting.bytes >= COMMIT_BYTES {
                std::mem::take(&mut waiting).commit(&mut hunter, &mut spent);
            }
        }
    }
    waiting.commit(&mut hunter, &mut spent);
    spent.print();
    if differences {
        told.print();
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "one step of `main`, cut out to be read alone")]
fn round(
    chunk: &[Bytes],
    stream: &str,
    anchor: &rsigma_eval::Engine,
    mapper: &Mapper,
    engine: &mut Engine,
    waiting: &mut Waiting,
    spent: &mut Spent,
    told: Option<&mut Told>,
    rules_of: &HashMap<String, Source>,
) {
    let (events, seconds) = timed(|| chunk.iter().map(|record| serde_json::from_slice::<Value>(record).expect("a record is JSON")).collect::<Vec<_>>());
    spent.anchor_parse += seconds;
    let (theirs, seconds) = timed(|| events.iter().map(|event| anchor.evaluate(&JsonEvent::borrow(event))).collect::<Vec<_>>());
    spent.anchor_detect += seconds;
    let raw = weft_testkit::batch(stream, Context::default(), chunk.to_vec());
    let (mapped, seconds) = timed(|| mapper.map(&raw).batches);
    spent.map += seconds;
    let (ours, seconds) = timed(|| mapped.iter().flat_map(|batch| engine.observe(batch)).collect::<Vec<_>>());
    spent.detect += seconds;
    waiting.found += ours.len();
    waiting.bytes += chunk.iter().map(Bytes::len).sum::<usize>();
    mapped.into_iter().for_each(|batch| waiting.batches.entry(batch.class).or_default().push(batch.rows));
    spent.records += chunk.len();
    spent.bytes += chunk.iter().map(Bytes::len).sum::<usize>();
    if let Some(told) = told {
        let places = raw.records.iter().enumerate().map(|(at, record)| (record.id.to_string(), at)).collect();
        told.compare(&events, &theirs, &places, &ours, rules_of);
    }
}

/// Events that are in no file yet.
#[derive(Default)]
struct Waiting {
    batches: BTreeMap<ClassUid, Vec<RecordBatch>>,
    bytes: usize,
    found: usize,
}

impl Waiting {
    /// Writes a file of each class, then hunts in them: first the columns that rules ask for, then the
    /// rows that hold.
    fn commit(self, hunter: &mut Engine, spent: &mut Spent) {
        let (stored, seconds) = timed(|| self.batches.iter().map(|(class, batches)| (*class, written(batches))).collect::<Vec<_>>());
        spent.write += seconds;
        spent.stored += stored.iter().map(|(_, file)| file.len()).sum::<usize>();
        let (hunted, seconds) = timed(|| stored.iter().map(|(class, file)| hunt(hunter, *class, file)).sum::<usize>());
        spent.hunt += seconds;
        assert_eq!(hunted, self.found, "the stored events must give the same findings");
    }
}

impl Spent {
    fn print(&self) {
        let records = self.records as f64;
        println!("{} records of {} bytes, one thread, CPU time", self.records, self.bytes / self.records.max(1));
        let base = [self.anchor_detect, self.anchor_parse + self.anchor_detect];
        let rows = [
            ("anchor, detection alone", self.anchor_detect, 0),
            ("Weft, detection alone", self.detect, 0),
            ("anchor, JSON and detection", self.anchor_parse + self.anchor_detect, 1),
            ("Weft, JSON to OCSF and detection", self.map + self.detect, 1),
            ("Weft, the same, Parquet written", self.map + self.detect + self.write, 1),
            ("Weft, from Parquet", self.hunt, 1),
        ];
        for (name, seconds, base_of) in rows {
            println!("{name:<36} {:>9.0} events/s {:>6.2} x", records / seconds, base[base_of] / seconds);
        }
        println!("mapping {:.2} s, Parquet written {:.2} s ({} bytes)", self.map, self.write, self.stored);
    }
}

/// Seconds of CPU of this thread.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9);
    let begun = now();
    let done = std::hint::black_box(work());
    (done, now() - begun)
}

/// As the lake writes it: columns of which nothing is set are not there, long texts have no dictionary.
fn written(batches: &[RecordBatch]) -> Vec<u8> {
    let schema = batches.first().expect("a class has events").schema();
    let is_set = |at: &usize| batches.iter().any(|rows| rows.column(*at).null_count() < rows.num_rows());
    let set: Vec<usize> = (0..schema.fields().len()).filter(is_set).collect();
    let level = ZstdLevel::try_new(1).expect("there is a level 1");
    let mut properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).set_statistics_enabled(EnabledStatistics::None);
    for long in ["raw_data", "unmapped", "extra", "metadata.uid"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(long.split('.').map(str::to_owned).collect::<Vec<_>>()), false);
    }
    let schema = Arc::new(schema.project(&set).expect("the columns are there"));
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties.build())).expect("events can be written");
    batches.iter().for_each(|rows| writer.write(&rows.project(&set).expect("the columns are there")).expect("events can be written"));
    writer.into_inner().expect("events can be written")
}

/// Findings in one file.
fn hunt(hunter: &mut Engine, class: ClassUid, file: &[u8]) -> usize {
    let columns = hunter.columns(class);
    if columns.is_empty() {
        return 0;
    }
    let file = Bytes::copy_from_slice(file);
    let builder = || ParquetRecordBatchReaderBuilder::try_new(file.clone()).expect("events can be read");
    // Texts that the file names by number are read so.
    let numbered = Arc::new(Schema::new(builder().schema().fields().iter().map(|field| by_number(field)).collect::<Vec<_>>()));
    let options = ArrowReaderOptions::new().with_schema(numbered);
    let narrow = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).expect("events can be read");
    let mask = ProjectionMask::columns(narrow.parquet_schema(), columns.iter().map(String::as_str));
    let (mut selection, mut before) = (Vec::new(), 0);
    for batch in narrow.with_projection(mask).with_batch_size(HUNT_RECORDS).build().expect("events can be read") {
        let rows = batch.expect("events can be read");
        let count = rows.num_rows();
        selection.extend(hunter.rows(&EventBatch { class, source: "lake".into(), rows }).into_iter().map(|row| before + row));
        before += count;
    }
    if selection.is_empty() {
        return 0;
    }
    let selection = RowSelection::from_consecutive_ranges(selection.into_iter().map(|row| row..row + 1), before);
    let whole = builder().with_row_selection(selection).with_batch_size(BATCH_RECORDS).build().expect("events can be read");
    whole.map(|rows| hunter.observe(&EventBatch { class, source: "lake".into(), rows: rows.expect("events can be read") }).len()).sum()
}

fn by_number(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 if ["raw_data", "unmapped", "extra"].contains(&field.name().as_str()) => DataType::Utf8View,
        DataType::Utf8 if field.metadata().is_empty() => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(by_number).collect()),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// The logsource of a rule.
struct Source {
    category: Option<String>,
    service: Option<String>,
    title: String,
}

fn load(files: &[RuleFile], fields: &FieldMap) -> (Engine, Engine, HashMap<String, Source>) {
    let before = memory();
    let ((engine, faults), seconds) = timed(|| weft_analytics::compile(files, fields));
    println!("{} rules of {} files loaded in {seconds:.2} CPU seconds, {} MB", engine.len(), files.len(), (memory() - before) >> 20);
    faults.iter().filter(|fault| fault.refused).for_each(|fault| eprintln!("{fault}"));
    let source = |rule: &weft_analytics::sigma::rule::Rule| match &rule.body {
        weft_analytics::sigma::rule::Body::Detection { logsource, .. } => {
            Some((rule.id.clone(), Source { category: logsource.category.clone(), service: logsource.service.clone(), title: rule.title.clone() }))
        }
        _ => None,
    };
    let sources = engine.rules().filter_map(source).collect();
    (engine, weft_analytics::compile(files, fields).0, sources)
}

fn anchor(files: &[RuleFile]) -> Result<rsigma_eval::Engine> {
    let (engine, seconds) = timed(|| {
        let mut engine = rsigma_eval::Engine::new();
        let rules: Vec<_> = files.iter().filter_map(|file| rsigma_parser::parse_sigma_yaml(&file.text).ok()).flat_map(|parsed| parsed.rules).collect();
        let refused = engine.add_rules(rules.iter());
        println!("anchor: {} rules, {} refused", engine.rule_count(), refused.len());
        engine
    });
    println!("anchor loaded in {seconds:.2} CPU seconds");
    Ok(engine)
}

/// Bytes that the process holds.
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn rule_files(folder: &Path) -> Vec<RuleFile> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for path in std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|path| RuleFile { name: path.display().to_string(), text: std::fs::read_to_string(path).expect("a rule is text") }).collect()
}

fn fields() -> Result<FieldMap> {
    let root = weft_testkit::root();
    let mut all = FieldMap::parse(&std::fs::read_to_string(root.join("content/detections/fields.toml"))?)?;
    for folder in std::fs::read_dir(root.join("connectors"))?.flatten() {
        let path = folder.path().join("detections/fields.toml");
        if path.exists() {
            all.extend(FieldMap::parse(&std::fs::read_to_string(path)?)?);
        }
    }
    Ok(all)
}

fn read(path: &Path, framing: &Framing) -> Result<Vec<Bytes>> {
    let mut records = Vec::new();
    frame::read(path, framing, &mut |piece| {
        if let Piece::Record { bytes, .. } = piece {
            records.push(bytes);
        }
    })?;
    Ok(records)
}

/// Findings that only one side has.
#[derive(Default)]
struct Told {
    both: usize,
    theirs: BTreeMap<String, (usize, String)>,
    ours: BTreeMap<String, (usize, String)>,
}

impl Told {
    fn compare(
        &mut self,
        events: &[Value],
        theirs: &[Vec<rsigma_eval::EvaluationResult>],
        places: &HashMap<String, usize>,
        ours: &[weft_model::Finding],
        rules_of: &HashMap<String, Source>,
    ) {
        let mut left: BTreeSet<(usize, String)> = BTreeSet::new();
        for (at, found) in theirs.iter().enumerate() {
            for result in found {
                let Some(id) = &result.header.rule_id else { continue };
                if rules_of.get(id).is_some_and(|source| source.means(&events[at])) {
                    left.insert((at, id.clone()));
                }
            }
        }
        let right: BTreeSet<(usize, String)> =
            ours.iter().filter_map(|finding| Some((*places.get(&finding.evidence.first()?.uid)?, finding.analytic_uid.clone()))).collect();
        self.both += left.intersection(&right).count();
        let note = |side: &mut BTreeMap<String, (usize, String)>, (at, id): &(usize, String)| {
            let title = rules_of.get(id).map(|source| source.title.clone()).unwrap_or_default();
            let entry = side.entry(format!("{id} {title}")).or_insert_with(|| (0, events[*at].to_string().chars().take(1500).collect()));
            entry.0 += 1;
        };
        left.difference(&right).for_each(|one| note(&mut self.theirs, one));
        right.difference(&left).for_each(|one| note(&mut self.ours, one));
    }

    fn print(&self) {
        println!("{} findings on both sides", self.both);
        for (side, found) in [("anchor", &self.theirs), ("Weft", &self.ours)] {
            println!("{} rules with findings of {side} alone, {} findings", found.len(), found.values().map(|(count, _)| count).sum::<usize>());
            for (rule, (count, event)) in found {
                println!("  {count:>6} {rule}\n         {event}");
            }
        }
    }
}

impl Source {
    /// Whether an event is of this logsource, by channel and number, as Sigma's taxonomy says.
    fn means(&self, event: &Value) -> bool {
        let text = |key: &str| event.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default();
        let (channel, id) = (text("Channel"), text("EventID"));
        let sysmon = channel == "Microsoft-Windows-Sysmon/Operational";
        let service = self.service.as_deref().is_none_or(|service| services(&channel).contains(&service));
        let category = self.category.as_deref().is_none_or(|category| categories(sysmon, &channel, &id, &text("EventType")).contains(&category));
        service && category
    }
}

fn services(channel: &str) -> &'static [&'static str] {
    match channel.to_ascii_lowercase().as_str() {
        "security" => &["security"],
        "system" => &["system"],
        "application" => &["application"],
        "microsoft-windows-sysmon/operational" => &["sysmon"],
        "windows powershell" => &["powershell-classic"],
        "microsoft-windows-powershell/operational" | "powershellcore/operational" => &["powershell"],
        "microsoft-windows-windows defender/operational" => &["windefend"],
        "microsoft-windows-bits-client/operational" => &["bits-client"],
        "microsoft-windows-dns-client/operational" => &["dns-client"],
        "microsoft-windows-taskscheduler/operational" => &["taskscheduler"],
        "microsoft-windows-wmi-activity/operational" => &["wmi"],
        "microsoft-windows-windows firewall with advanced security/firewall" => &["firewall-as"],
        "microsoft-windows-terminalservices-localsessionmanager/operational" => &["terminalservices-localsessionmanager"],
        "microsoft-windows-ntlm/operational" => &["ntlm"],
        "microsoft-windows-codeintegrity/operational" => &["codeintegrity-operational"],
        "microsoft-windows-shell-core/operational" => &["shell-core"],
        "microsoft-windows-smbclient/security" => &["smbclient-security"],
        "microsoft-windows-smbclient/connectivity" => &["smbclient-connectivity"],
        "microsoft-windows-lsa/operational" => &["lsa-server"],
        _ => &[],
    }
}

fn categories(sysmon: bool, channel: &str, id: &str, kind: &str) -> &'static [&'static str] {
    match (sysmon, id) {
        (true, "1") => &["process_creation"],
        (true, "2") => &["file_change"],
        (true, "3") => &["network_connection"],
        (true, "5") => &["process_termination"],
        (true, "6") => &["driver_load"],
        (true, "7") => &["image_load"],
        (true, "8") => &["create_remote_thread"],
        (true, "9") => &["raw_access_thread"],
        (true, "10") => &["process_access"],
        (true, "11") => &["file_event"],
        (true, "12") if kind.starts_with("Delete") => &["registry_delete", "registry_event"],
        (true, "12") => &["registry_add", "registry_event"],
        (true, "13") => &["registry_set", "registry_event"],
        (true, "14") => &["registry_rename", "registry_event"],
        (true, "15") => &["create_stream_hash"],
        (true, "17" | "18") => &["pipe_created"],
        (true, "19" | "20" | "21") => &["wmi_event"],
        (true, "22") => &["dns_query"],
        (true, "23" | "26") => &["file_delete"],
        (true, "25") => &["process_tampering"],
        (true, "29") => &["file_executable_detected"],
        (true, "4" | "16") => &["sysmon_status"],
        (true, "255") => &["sysmon_error"],
        (false, "4688") if channel.eq_ignore_ascii_case("security") => &["process_creation"],
        (false, "4689") if channel.eq_ignore_ascii_case("security") => &["process_termination"],
        (false, "5156") if channel.eq_ignore_ascii_case("security") => &["network_connection"],
        (false, "4103") if channel.contains("PowerShell") => &["ps_module"],
        (false, "4104") if channel.contains("PowerShell") => &["ps_script"],
        (false, "400") if channel == "Windows PowerShell" => &["ps_classic_start"],
        (false, "600") if channel == "Windows PowerShell" => &["ps_classic_provider_start"],
        (false, "800") if channel == "Windows PowerShell" => &["ps_classic_script"],
        _ => &[],
    }
}
