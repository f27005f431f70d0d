//! Connector files to programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use weft_model::ocsf::{Class, Schema, schema};
use weft_model::{ClassUid, StreamId};

use super::draft::{Draft, EachDraft, Value, Within};
use super::expr::{self, Expr, Segment};
use super::file::{ConnectorFile, EachFile, EventFile, MappingFile, OneOrMany, Sets, StreamFile, read};
use super::link::{Names, Patterns};
use super::origin::Sources;
use super::{Fault, Faults};
use crate::map::classes;
use crate::map::program::{Classes, Delimiter, Program};
use crate::recognise::Recogniser;

mod library;
mod plan;

use library::Library;

/// Files of one connector, as `(path below the folder, text)`.
#[derive(Debug, Clone)]
pub struct ConnectorSource {
    /// Folder name.
    pub name: String,
    /// `connector.toml`, `mapping/*.toml`, …
    pub files: Vec<(String, String)>,
}

/// What came of the files; with faults, all that has none.
#[derive(Debug, Default)]
pub struct Compiled {
    /// Connectors.
    pub connectors: Vec<ConnectorFile>,
    /// Columns of all classes.
    pub classes: Classes,
    /// Streams.
    pub programs: Vec<Program>,
    /// Tells streams apart.
    pub recogniser: Recogniser,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

/// A mapping file, resolved against the schema.
pub(super) struct Unit<'s> {
    file: String,
    text: String,
    mapping: MappingFile,
    events: Vec<EventDraft<'s>>,
    fallback: Option<EventDraft<'s>>,
    /// Where rules stand, when somebody wants to know.
    sources: Option<Sources>,
}

/// One kind of event before there is a layout.
pub(super) struct EventDraft<'s> {
    class: &'s Class,
    when: Option<Value>,
    /// Where the parts of `when` stand.
    when_at: Vec<usize>,
    capture: Option<(Value, Spanned<String>)>,
    at: usize,
    draft: Draft<'s>,
}

/// Compiles all connectors together: they share the columns of a class. `traced` notes where each
/// rule stands.
pub fn compile(sources: &[ConnectorSource], traced: bool) -> Compiled {
    let schema = schema();
    let mut compiled = Compiled::default();
    let mut streams: Vec<(usize, StreamFile, Vec<Unit<'_>>)> = Vec::new();
    for (connector, units, faults) in side_by_side(sources, |source, library: &mut Library| read_source(&mut At { sources, source, library, traced }, schema)) {
        compiled.faults.extend(faults);
        let Some(connector) = connector else { continue };
        let place = compiled.connectors.len();
        streams.extend(connector.stream.iter().cloned().zip(units).map(|(stream, units)| (place, stream, units)));
        compiled.connectors.push(connector);
    }
    let drafts = streams.iter().flat_map(|(.., units)| units).flat_map(|unit| unit.events.iter().chain(&unit.fallback));
    compiled.classes = classes::layout(schema, drafts.map(|event| (event.class, &event.draft)));
    compiled.classes.complete(schema);
    let planned = side_by_side(&streams, |(place, stream, units), patterns: &mut Patterns| {
        let mut faults = Vec::new();
        let connector = compiled.connectors.get(*place)?;
        let program = plan::plan(empty_program(connector, stream), units, &compiled.classes, patterns, &mut faults);
        Some((program, faults))
    });
    for (program, faults) in planned.into_iter().flatten() {
        compiled.programs.push(program);
        compiled.faults.extend(faults);
    }
    compiled.recogniser =
        Recogniser::of(&compiled.programs, &mut |program, offset, message| recognise_fault(sources, program, offset, message, &mut compiled.faults));
    compiled.faults.sort();
    compiled.faults.dedup();
    compiled
}

/// Does the work for every item, on as many threads as the machine runs at a time: a start waits for
/// it. What one thread has read or checked it need not do again: each has a memory of its own.
fn side_by_side<T: Sync, M: Default, R: Send>(items: &[T], work: impl Fn(&T, &mut M) -> R + Sync) -> Vec<R> {
    let share = items.len().div_ceil(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).max(1);
    let all = |items: &[T]| {
        let mut memory = M::default();
        items.iter().map(|item| work(item, &mut memory)).collect::<Vec<R>>()
    };
    let all = &all;
    std::thread::scope(|scope| {
        let shares = items.chunks(share).map(|items| {
            let done = move || all(items);
            // Without a thread the work is done here.
            std::thread::Builder::new().spawn_scoped(scope, done).map_err(|_| items)
        });
        let shares: Vec<_> = shares.collect();
        let join = |share: Result<std::thread::ScopedJoinHandle<'_, Vec<R>>, &[T]>| match share {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(items) => all(items),
        };
        shares.into_iter().flat_map(join).collect()
    })
}

/// A connector among all others.
struct At<'c> {
    sources: &'c [ConnectorSource],
    source: &'c ConnectorSource,
    library: &'c mut Library,
    traced: bool,
}

/// A connector with the units of each of its streams, and what is wrong.
fn read_source<'s>(at: &mut At<'_>, schema: &'s Schema) -> (Option<ConnectorFile>, Vec<Vec<Unit<'s>>>, Vec<Fault>) {
    let mut faults = Vec::new();
    let connector = read_connector(at.source, &mut faults);
    let streams = connector.iter().flat_map(|connector| &connector.stream);
    let units = streams.map(|stream| stream_units(at, stream, schema, &mut faults)).collect();
    (connector, units, faults)
}

/// A fault in `recognise` is shown where the condition stands in the manifest.
fn recognise_fault(sources: &[ConnectorSource], program: &Program, offset: usize, message: String, faults: &mut Vec<Fault>) {
    let name = program.stream.0.split('/').next().unwrap_or_default();
    let Some((file, text)) = sources.iter().find(|source| source.name == name).and_then(manifest) else { return };
    let full = format!("{name}/{file}");
    let mut found = Faults::new(&full, text);
    let at = program.recognise_text.as_ref().and_then(|condition| text.find(condition.as_str())).unwrap_or(0);
    found.add(at + offset, message);
    faults.extend(found.into_list());
}

fn manifest(source: &ConnectorSource) -> Option<(&str, &str)> {
    source.files.iter().find(|(path, _)| path == "connector.toml").map(|(path, text)| (path.as_str(), text.as_str()))
}

fn read_connector(source: &ConnectorSource, faults: &mut Vec<Fault>) -> Option<ConnectorFile> {
    let Some((path, text)) = manifest(source) else {
        faults.push(Fault { file: source.name.clone(), line: 1, column: 1, message: "the folder has no `connector.toml`".to_owned() });
        return None;
    };
    let name = format!("{}/{path}", source.name);
    let mut found = Faults::new(&name, text);
    let connector: Option<ConnectorFile> = read(text, &mut found);
    if let Some(connector) = connector.as_ref().filter(|connector| connector.name != source.name) {
        found.add(0, format!("the connector is named `{}` but its folder is `{}`", connector.name, source.name));
    }
    if let Some(connector) = &connector {
        let at = text.find("[webhook").unwrap_or(0);
        let webhook = connector.webhook.iter();
        webhook.clone().flat_map(super::webhook::WebhookFile::faults).for_each(|fault| found.add(at, fault));
        let stream = webhook.filter_map(|webhook| webhook.stream.as_deref()).find(|name| connector.stream.iter().all(|stream| stream.name.get_ref() != name));
        stream.into_iter().for_each(|name| found.add(at, format!("`[webhook]` names the stream `{name}`, which this connector has not")));
    }
    faults.extend(found.into_list());
    connector
}

fn empty_program(connector: &ConnectorFile, stream: &StreamFile) -> Program {
    let name = format!("{}/{}", connector.name, stream.name.get_ref());
    let delimiter = match stream.delimiter.as_deref() {
        Some("auto") => Delimiter::Auto,
        Some("tab") => Delimiter::Char('\t'),
        other => Delimiter::Char(other.and_then(|text| text.chars().next()).unwrap_or(',')),
    };
    Program {
        stream: StreamId::from(name.as_str()),
        maker: (connector.vendor.clone(), connector.product.clone()),
        generic: connector.domain == super::file::Domain::Generic,
        formats: match &stream.format {
            OneOrMany::One(format) => vec![*format],
            OneOrMany::Many(formats) => formats.clone(),
        },
        columns: stream.columns.clone(),
        delimiter,
        records: stream.records.clone(),
        expand: stream.expand.iter().map(|expand| (expand.path.split('.').map(|key| Segment::Key(key.to_owned())).collect(), expand.form)).collect(),
        trie: super::Trie::default(),
        recognise_text: stream.recognise.as_ref().map(|text| text.get_ref().clone()),
        plans: Vec::new(),
        dispatch: crate::map::program::Dispatch::default(),
    }
}

fn stream_units<'s>(at: &mut At<'_>, stream: &StreamFile, schema: &'s Schema, faults: &mut Vec<Fault>) -> Vec<Unit<'s>> {
    let At { sources, source, library, traced } = at;
    let names = if stream.mappings.is_empty() { vec![stream.name.get_ref().clone()] } else { stream.mappings.clone() };
    let mut units = Vec::new();
    for name in names {
        let Some((file, text)) = library::text(sources, source, &name) else {
            // Events that are OCSF already need no mapping.
            if !matches!(&stream.format, OneOrMany::One(super::file::Format::Ocsf)) {
                let (file, text) = manifest(source).unwrap_or(("connector.toml", ""));
                let full = format!("{}/{file}", source.name);
                let mut found = Faults::new(&full, text);
                found.add(stream.name.span().start, format!("`{}` is missing", library::path(source, &name)));
                faults.extend(found.into_list());
            }
            continue;
        };
        let mut found = Faults::new(&file, text);
        if let Some(mut mapping) = read::<MappingFile>(text, &mut found) {
            let own: Vec<String> = mapping.set.keys().cloned().collect();
            let mut origins = traced.then(Sources::default);
            if let Some(origins) = &mut origins {
                origins.add(&file, text);
            }
            let owner = library::owner(sources, source, &name);
            include(sources, owner, &mut mapping, library, &mut found);
            if let Some(origins) = &mut origins {
                library::traced(sources, owner, &mut mapping, &file, text, origins);
            }
            let unit = unit(&file, text, mapping, &own, schema, &mut found);
            units.push(Unit { sources: origins, ..unit });
        }
        faults.extend(found.into_list());
    }
    units
}

/// Takes over what included files define and this one does not.
fn include(sources: &[ConnectorSource], source: &ConnectorSource, mapping: &mut MappingFile, library: &mut Library, faults: &mut Faults<'_>) {
    for name in mapping.include.clone() {
        match library.read(sources, source, &name) {
            Ok(other) => library::take_over(mapping, &other),
            Err(message) => faults.add(0, message),
        }
    }
}

fn unit<'s>(file: &str, text: &str, mapping: MappingFile, own_sets: &[String], schema: &'s Schema, faults: &mut Faults<'_>) -> Unit<'s> {
    let mut seen: BTreeMap<&str, (bool, String, usize)> = BTreeMap::new();
    let mut events = Vec::new();
    for event in &mapping.event {
        let name = event.class.get_ref();
        let Some(class) = schema.class_by_name(name) else {
            faults.add(event.class.span().start, unknown_class(schema, name));
            continue;
        };
        let mut draft = Draft::new(Within::Class(class));
        shared(&mut draft, &mapping, schema, &mut seen, faults);
        own(&mut draft, event, &mapping, schema, faults);
        draft.derive();
        let (when, when_at) = both(mapping.when.as_ref(), event.when.as_ref(), faults);
        events.push(EventDraft {
            class,
            when,
            when_at,
            capture: event.capture.as_ref().and_then(|capture| Some((parse(&capture.on, faults)?, capture.regex.clone()))),
            at: event.class.span().start,
            draft,
        });
    }
    let fallback = schema.class(ClassUid::BASE.0).map(|class| {
        let mut draft = Draft::new(Within::Class(class));
        shared(&mut draft, &mapping, schema, &mut seen, faults);
        draft.derive();
        EventDraft { class, when: None, when_at: Vec::new(), capture: None, at: 0, draft }
    });
    // What is included serves other files too, so it need not fit this one.
    for (path, (_, message, at)) in seen.iter().filter(|(path, (fits, ..))| !fits && own_sets.iter().any(|own| own == *path)) {
        faults.add(*at, format!("no class of this file has `{path}`: {message}"));
    }
    Unit { file: file.to_owned(), text: text.to_owned(), events, fallback, mapping, sources: None }
}

fn unknown_class(schema: &Schema, name: &str) -> String {
    let head: String = name.chars().take(5).collect();
    let near: Vec<&str> = schema.classes().iter().map(|class| &*class.name).filter(|class| class.starts_with(&head) || class.contains(name)).take(3).collect();
    if near.is_empty() { format!("there is no OCSF class `{name}`") } else { format!("there is no OCSF class `{name}`; did you mean `{}`?", near.join("`, `")) }
}

/// The file-wide sets, as far as the class has the attributes.
fn shared<'s, 'm>(
    draft: &mut Draft<'s>,
    mapping: &'m MappingFile,
    schema: &'s Schema,
    seen: &mut BTreeMap<&'m str, (bool, String, usize)>,
    faults: &mut Faults<'_>,
) {
    for (path, value) in &mapping.set {
        let at = value.span().start;
        let Some(value) = parse_value(value, faults) else { continue };
        let outcome = draft.set(schema, path, value);
        let entry = seen.entry(path).or_insert((false, String::new(), at));
        match outcome {
            Ok(()) => entry.0 = true,
            Err(message) => entry.1 = message,
        }
    }
    for each in &mapping.each {
        // Classes without the list leave it to `unmapped`.
        let _left_out = each_into(draft, each, schema, faults);
    }
}

/// Groups in their order, then the event's own; each wins over what was there.
fn own<'s>(draft: &mut Draft<'s>, event: &EventFile, mapping: &MappingFile, schema: &'s Schema, faults: &mut Faults<'_>) {
    for name in &event.groups {
        match mapping.group.get(name.get_ref()) {
            Some(group) => sets(draft, group, schema, faults),
            None => faults.add(name.span().start, format!("there is no `[group.{}]`", name.get_ref())),
        }
    }
    sets(draft, &event.set, schema, faults);
    for each in &event.each {
        if let Err(message) = each_into(draft, each, schema, faults) {
            faults.add(each.into.span().start, message);
        }
    }
}

fn sets<'s>(draft: &mut Draft<'s>, sets: &Sets, schema: &'s Schema, faults: &mut Faults<'_>) {
    for (path, spanned) in sets {
        let Some(value) = parse_value(spanned, faults) else { continue };
        if let Err(message) = draft.set(schema, path, value) {
            faults.add(spanned.span().start, message);
        }
    }
}

fn each_into<'s>(draft: &mut Draft<'s>, each: &EachFile, schema: &'s Schema, faults: &mut Faults<'_>) -> Result<(), String> {
    let Some(from) = parse(&each.from, faults) else { return Ok(()) };
    let when = each.when.as_ref().and_then(|when| parse(when, faults));
    draft.each(schema, each.into.get_ref(), |mut element| {
        sets(&mut element, &each.set, schema, faults);
        EachDraft { from, when, element }
    })
}

/// The parts of both conditions as one, with the place of each.
fn both(file: Option<&Spanned<String>>, event: Option<&Spanned<String>>, faults: &mut Faults<'_>) -> (Option<Value>, Vec<usize>) {
    let (mut parts, mut places) = (Vec::new(), Vec::new());
    for value in [event, file].into_iter().flatten().filter_map(|text| parse(text, faults)) {
        let before = parts.len();
        match value.expr {
            Expr::All(all) => parts.extend(all),
            other => parts.push(other),
        }
        places.resize(places.len() + parts.len() - before, value.at);
    }
    let at = places.first().copied();
    let expr = if parts.len() > 1 { Some(Expr::All(parts)) } else { parts.pop() };
    (expr.zip(at).map(|(expr, at)| Value { expr, at }), places)
}

fn parse(text: &Spanned<String>, faults: &mut Faults<'_>) -> Option<Value> {
    parse_text(text.get_ref(), text.span().start, faults)
}

fn parse_value(value: &Spanned<toml::Value>, faults: &mut Faults<'_>) -> Option<Value> {
    let at = value.span().start;
    let constant = match value.get_ref() {
        toml::Value::String(text) => return parse_text(text, at, faults),
        toml::Value::Integer(number) => expr::Const::Int(*number),
        toml::Value::Float(number) => expr::Const::Float(*number),
        toml::Value::Boolean(value) => expr::Const::Bool(*value),
        _ => {
            faults.add(at, "an expression in quotes is wanted here");
            return None;
        }
    };
    Some(Value { expr: Expr::Const(constant), at })
}

fn parse_text(text: &str, at: usize, faults: &mut Faults<'_>) -> Option<Value> {
    // The offset is right for basic and literal strings on one line: one quote before the text.
    match expr::parse(text) {
        Ok(expr) => Some(Value { expr, at: at + 1 }),
        Err(fault) => {
            faults.add(at + 1 + fault.at, fault.message);
            None
        }
    }
}

/// The names of a unit's file.
fn names(unit: &Unit<'_>, faults: &mut Faults<'_>) -> Names {
    Names::of(&unit.mapping, &mut |at, message| faults.add(at, message))
}

/// Texts that mean absent.
fn absent(unit: &Unit<'_>) -> Arc<[String]> {
    unit.mapping.absent.clone().into()
}
