//! Markdown scenarios: prose, raw records, and the events that they must become.
//!
//! Blocks are fenced; the first word after the fence is the kind: `raw stream=… [file=…]
//! [header=1]`, `ocsf`, `reject`. With `WEFT_BLESS=1` expectations are rewritten.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;
use weft_ingest::frame::{Framing, Piece, Splitter};
use weft_ingest::schema::{Level, Validator};
use weft_ingest::{Mapper, Registry};
use weft_model::{Context, Mapping as _, StreamId};

use crate::batch;

/// A fenced block of a scenario.
#[derive(Debug, Clone)]
struct Block {
    kind: String,
    attributes: Vec<(String, String)>,
    text: String,
    /// Lines of the text in the file, from 0: first, and one past the last.
    lines: (usize, usize),
}

impl Block {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Runs every scenario below `folder`.
///
/// # Errors
/// All differences, for the person who reads the test's output.
pub fn run(registry: &std::sync::Arc<Registry>, folder: &Path) -> Result<usize, String> {
    let bless = std::env::var_os("WEFT_BLESS").is_some();
    let mut files: Vec<_> = crate::entries(folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    files.sort();
    let mut wrong = String::new();
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let outcome = check(registry, &text);
        let blessed = (bless && outcome.text != text).then(|| std::fs::write(file, &outcome.text));
        if let Some(Err(error)) = blessed {
            return Err(format!("{}: {error}", file.display()));
        }
        let faults = if bless { outcome.invalid } else { [outcome.differences, outcome.invalid].concat() };
        for fault in faults {
            let _infallible = writeln!(wrong, "{}: {fault}", file.display());
        }
    }
    if wrong.is_empty() { Ok(files.len()) } else { Err(wrong) }
}

struct Outcome {
    text: String,
    differences: Vec<String>,
    invalid: Vec<String>,
}

fn check(registry: &std::sync::Arc<Registry>, text: &str) -> Outcome {
    let blocks = blocks(text);
    let validator = Validator::new();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut outcome = Outcome { text: String::new(), differences: Vec::new(), invalid: Vec::new() };
    let mut edits: Vec<((usize, usize), String)> = Vec::new();
    for (place, raw) in blocks.iter().enumerate().filter(|(_, block)| block.kind == "raw") {
        let (events, rejects) = map(registry, raw);
        for event in &events {
            let faults = validator.validate(event).into_iter().filter(|violation| violation.level() == Level::Error);
            outcome.invalid.extend(faults.map(|violation| format!("line {}: {violation}", raw.lines.0)));
        }
        let following = blocks.iter().skip(place + 1).take_while(|block| block.kind != "raw");
        for expected in following.filter(|block| matches!(block.kind.as_str(), "ocsf" | "reject")) {
            let actual = if expected.kind == "ocsf" { events.iter().map(shown).collect::<Vec<_>>().join("\n") } else { rejects.join("\n") };
            if actual.trim() != expected.text.trim() {
                outcome.differences.push(format!("line {}: expected\n{}\nbut it is\n{actual}", expected.lines.0, expected.text));
                edits.push((expected.lines, actual));
            }
        }
    }
    for ((start, end), actual) in edits.into_iter().rev() {
        lines.splice(start..end, actual.lines().map(str::to_owned));
    }
    outcome.text = lines.join("\n") + "\n";
    outcome
}

fn shown(event: &Value) -> String {
    let mut event = event.clone();
    if let Some(fields) = event.as_object_mut() {
        fields.remove("raw_data");
    }
    serde_json::to_string_pretty(&event).unwrap_or_default()
}

fn map(registry: &std::sync::Arc<Registry>, raw: &Block) -> (Vec<Value>, Vec<String>) {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let mapper = Mapper::new(std::sync::Arc::clone(registry));
    let raw = records(registry, raw);
    // One record a batch: events then come in the order of the records.
    for (context, record) in raw.records {
        let mapped = mapper.map(&batch(&raw.stream, context, vec![record]));
        events.extend(mapped.batches.iter().flat_map(weft_model::EventBatch::to_json));
        rejects.extend(mapped.rejects.iter().map(|reject| format!("{}: {}", reject.cause.name(), reject.message)));
    }
    (events, rejects)
}

/// The records of one raw block.
#[derive(Debug, Clone)]
pub struct Raw {
    /// File and line.
    pub place: String,
    /// Stream that it names.
    pub stream: String,
    /// Each with what surrounds it.
    pub records: Vec<(Context, Bytes)>,
}

/// All raw records of the scenarios in a folder.
///
/// # Errors
/// A file that cannot be read.
pub fn raw_records(registry: &std::sync::Arc<Registry>, folder: &Path) -> std::io::Result<Vec<Raw>> {
    let mut all = Vec::new();
    for file in crate::entries(folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        for block in blocks(&std::fs::read_to_string(&file)?).iter().filter(|block| block.kind == "raw") {
            let raw = records(registry, block);
            all.push(Raw { place: format!("{}:{}", file.display(), raw.place), ..raw });
        }
    }
    Ok(all)
}

/// One part of a scenario of a rule: what came in, and the findings that it must give.
#[derive(Debug, Clone)]
pub struct Story {
    /// Raw blocks, in order.
    pub raws: Vec<Raw>,
    /// The block `finding` that ends it: a title a line, or nothing.
    pub findings: Vec<String>,
}

/// The stories of a rule's scenario: blocks `raw`, each run of them ended by a block `finding`.
///
/// # Errors
/// A file that cannot be read.
pub fn stories(registry: &std::sync::Arc<Registry>, file: &Path) -> std::io::Result<Vec<Story>> {
    let (mut all, mut raws) = (Vec::new(), Vec::new());
    for block in blocks(&std::fs::read_to_string(file)?) {
        match block.kind.as_str() {
            "raw" => raws.push(records(registry, &block)),
            "finding" => {
                let findings = block.text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
                all.push(Story { raws: std::mem::take(&mut raws), findings });
            }
            _ => {}
        }
    }
    Ok(all)
}

fn records(registry: &std::sync::Arc<Registry>, raw: &Block) -> Raw {
    let stream = raw.attribute("stream").unwrap_or("auto");
    let framing = Framing::of(registry, &StreamId::from(stream)).unwrap_or_default();
    let file = raw.attribute("file").map(Into::into);
    let mut context = Context { file, ..Context::default() };
    let mut text = raw.text.as_str();
    if raw.attribute("header").is_some() {
        let (header, rest) = text.split_once('\n').unwrap_or((text, ""));
        context.header = Some(header.into());
        text = rest;
    }
    let mut records = Vec::new();
    let mut splitter = Splitter::new(framing, context.clone());
    let mut take = |piece: Piece| match piece {
        Piece::Context(changed) => context = (*changed).clone(),
        Piece::Record { bytes, .. } => records.push((context.clone(), bytes)),
        Piece::Fault { message, .. } => records.push((context.clone(), Bytes::from(message))),
    };
    splitter.push(text.as_bytes(), &mut take);
    splitter.finish(&mut take);
    Raw { place: (raw.lines.0 + 1).to_string(), stream: stream.to_owned(), records }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let mut words = info.split_whitespace();
                let kind = words.next().unwrap_or_default().to_owned();
                let attributes = words.filter_map(|word| word.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                open = Some(Block { kind, attributes, text: String::new(), lines: (number + 1, number + 1) });
            }
            (Some(block), Some(_)) => {
                block.lines.1 = number;
                blocks.extend(open.take());
            }
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}
