//! `weft intel import`: warning lists first, then what they are to be asked for.

use std::path::Path;

use serde_json::Value;
use url::Url;
use weft_analytics::intel::pack::Writer;
use weft_analytics::intel::read::{self, Format, Options, Sink};
use weft_analytics::intel::{Kind, Lists, Pack, warning};
use weft_model::Timestamp;

use crate::cli::{self, Fault, ImportArgs, Outcome, Output, Rows};
use crate::door::now;
use crate::home::Home;
use crate::intel::fetch::{self, Server};
use crate::intel::open::{Document, Documents};
use crate::intel::shelf::{Shelf, Turn};

/// Gaps that are told one by one.
const GAPS_TOLD: usize = 10;

/// What one argument gave.
struct Given {
    source: String,
    origin: String,
    position: String,
    /// Whether what was kept stays.
    adds: bool,
    documents: Vec<Document>,
}

/// What became of documents.
#[derive(Default)]
struct Done {
    rows: Vec<[Value; 3]>,
    faults: Vec<String>,
    sources: usize,
    lists: usize,
}

/// Imports everything that can be; one line for each document that cannot.
///
/// # Errors
/// Nothing could be taken, or it could not be kept.
pub(super) async fn run(home: &Home, shelf: &Shelf, args: &ImportArgs, out: &mut Output) -> Result<Outcome, Fault> {
    let kind = super::kind_of(args.kind.as_deref())?;
    home.create()?;
    let mut done = Done::default();
    let mut given = Vec::new();
    for from in &args.from {
        match gather(shelf, args, from).await {
            Ok(one) => given.push(one),
            Err(fault) => done.faults.push(fault),
        }
    }
    let turn = shelf.turn().map_err(Fault::Failed)?;
    take_lists(shelf, &turn, &mut given, &mut done)?;
    let (lists, faults) = shelf.lists();
    done.faults.extend(faults);
    let options = Options { at: now().0, confidence: args.confidence, valid_for: args.valid_for.map(|days| i64::from(days) * Timestamp::DAY_MS), kind };
    for (source, given) in by_source(given) {
        take(shelf, &turn, (&source, given), &options, &lists, &mut done)?;
    }
    if done.sources + done.lists == 0 {
        return Err(Fault::Misuse(if done.faults.is_empty() { vec!["nothing was imported: there is no document".to_owned()] } else { done.faults }));
    }
    shelf.changed(&turn).map_err(Fault::Failed)?;
    done.faults.iter().for_each(|fault| cli::say(fault));
    let mut rows = Rows::new(["source", "what", "count"]);
    let all = !done.faults.is_empty();
    done.rows.into_iter().for_each(|row| rows.push(row));
    out.rows(&rows)?;
    Ok(if all { Outcome::Found } else { Outcome::Done })
}

/// Reads or fetches what one argument names.
async fn gather(shelf: &Shelf, args: &ImportArgs, from: &str) -> Result<Given, String> {
    let url = from.contains("://").then(|| from.parse::<Url>()).transpose().map_err(|error| format!("`{from}` is no address: {error}"))?;
    let source = match &args.source {
        Some(name) => Shelf::name(name)?,
        None => Shelf::name(&own_name(from, url.as_ref()))?,
    };
    let mut documents = Documents::default();
    let (mut position, mut adds) = (String::new(), args.add);
    match &url {
        None => {
            let path = Path::new(from).to_owned();
            let read = tokio::task::spawn_blocking(move || documents.read(&path).map(|()| documents)).await;
            documents = read.map_err(|error| error.to_string())??;
        }
        Some(url) => {
            // A collection is read on from where it was read to, and says what is new.
            let before = if fetch::is_collection(url) { shelf.pack(&source)? } else { None };
            let before = before.map(|pack| pack.position().to_owned()).unwrap_or_default();
            adds = adds || !before.is_empty();
            let server = Server::new(args.user.as_deref(), args.secret.as_deref())?;
            position = server.fetch(url, &before, &mut documents).await?;
        }
    }
    let origin = url.map_or_else(|| from.to_owned(), |url| url.origin().ascii_serialization() + url.path());
    Ok(Given { source, origin, position, adds, documents: documents.found })
}

/// `ipsum` of `/a/ipsum.txt.gz`, the host of an address.
fn own_name(from: &str, url: Option<&Url>) -> String {
    if let Some(url) = url {
        return url.host_str().unwrap_or_default().trim_matches(['[', ']']).replace(':', "-");
    }
    let file = Path::new(from).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = file.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    if stem == "-" { "stdin".to_owned() } else { stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect() }
}

/// Keeps the warning lists among the documents, and asks them for what is there already.
fn take_lists(shelf: &Shelf, turn: &Turn, given: &mut [Given], done: &mut Done) -> Result<(), Fault> {
    for given in given.iter_mut() {
        let (lists, rest) = std::mem::take(&mut given.documents).into_iter().partition(|document: &Document| is_list(&document.bytes));
        given.documents = rest;
        for Document { name, bytes } in lists {
            match warning::parse(&bytes) {
                Ok(list) => {
                    shelf.keep_list(&list_name(&name), &bytes, turn).map_err(Fault::Failed)?;
                    done.rows.push([list_name(&name).into(), "entries of a warning list".into(), list.list.len().into()]);
                    done.lists += 1;
                }
                Err(reason) => done.faults.push(format!("`{name}` {reason}")),
            }
        }
    }
    if done.lists > 0 { apply_lists(shelf, turn) } else { Ok(()) }
}

/// Asks the warning lists anew, and tells what of them cannot be used.
pub(super) fn apply_lists(shelf: &Shelf, turn: &Turn) -> Result<(), Fault> {
    let (lists, _) = shelf.lists();
    lists.gaps().iter().take(GAPS_TOLD).for_each(|gap| cli::say(&format!("warning list `{}`: {}", gap.place, gap.reason)));
    shelf.apply_lists(&lists, turn).map_err(Fault::Failed)
}

fn is_list(bytes: &[u8]) -> bool {
    matches!(read::recognise(bytes), Ok(Format::WarningList))
}

/// `alexa` of `lists/alexa/list.json`, as MISP publishes them; else the name of the file.
fn list_name(path: &str) -> String {
    let mut parts = path.trim_end_matches(".json").rsplit('/');
    let last = parts.next().unwrap_or_default();
    let name = if last == "list" { parts.next().unwrap_or(last) } else { last };
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).take(100).collect();
    name.trim_start_matches('.').to_owned()
}

/// Arguments that give one source are one import.
fn by_source(given: Vec<Given>) -> std::collections::BTreeMap<String, Vec<Given>> {
    let mut sources: std::collections::BTreeMap<String, Vec<Given>> = Default::default();
    for given in given.into_iter().filter(|given| !given.documents.is_empty() || !given.position.is_empty()) {
        sources.entry(given.source.clone()).or_default().push(given);
    }
    sources
}

/// Reads the documents of a source and keeps it, if there was one that could be read.
fn take(shelf: &Shelf, turn: &Turn, (source, given): (&str, Vec<Given>), options: &Options, lists: &Lists, done: &mut Done) -> Result<(), Fault> {
    let origin = given.iter().map(|given| given.origin.as_str()).collect::<Vec<_>>().join(" ");
    let mut writer = Writer::new(source, &origin, options.at);
    let known = shelf.known();
    let (adds, fetched) = (given.iter().any(|given| given.adds), given.iter().any(|given| !given.position.is_empty()));
    given.iter().for_each(|given| writer.position(&given.position));
    let (mut good, before) = (0, done.faults.len());
    let mut sink = Sink { writer: &mut writer, lists, known: &known, revoked: Vec::new() };
    for document in given.iter().flat_map(|given| &given.documents) {
        let format = read::recognise(&document.bytes);
        // What a feed says of itself holds no indicator.
        if matches!(format, Ok(Format::Manifest)) {
            continue;
        }
        match format.and_then(|format| read::read(format, &document.bytes, options, &mut sink)) {
            Ok(()) => good += 1,
            Err(reason) => done.faults.push(format!("`{}` {reason}", document.name)),
        }
    }
    if good == 0 && !(fetched && before == done.faults.len()) {
        return Ok(());
    }
    let revoked = std::mem::take(&mut sink.revoked);
    let old = if adds { shelf.pack(source).map_err(Fault::Failed)? } else { None };
    let pack = match old {
        Some(old) => merged(writer.done(), &old, revoked, lists).map_err(Fault::Failed)?,
        None => writer.done(),
    };
    shelf.keep(&pack, turn).map_err(Fault::Failed)?;
    done.sources += 1;
    tell(&pack, done)
}

/// What was kept, without what the new import says anew or takes back.
fn merged(new: Pack, old: &Pack, revoked: Vec<String>, lists: &Lists) -> Result<Pack, String> {
    let mut gone: std::collections::HashSet<String> = revoked.into_iter().collect();
    for row in new.rows() {
        gone.insert(row?.facts.id.clone());
    }
    let mut writer = Writer::of(new);
    writer.keep(old, &|id| gone.contains(id), lists)?;
    Ok(writer.done())
}

/// What of a source was taken, suppressed, not taken.
fn tell(pack: &Pack, done: &mut Done) -> Result<(), Fault> {
    let mut counts: std::collections::BTreeMap<(u8, String), u64> = Default::default();
    for kind in Kind::ALL {
        counts.insert((0, kind.name().to_owned()), 0);
    }
    for row in pack.rows() {
        let row = row.map_err(Fault::Failed)?;
        let key = match row.suppressed {
            Some(list) => (1, format!("suppressed by `{list}`")),
            None => (0, row.kind.name().to_owned()),
        };
        *counts.entry(key).or_default() += 1;
    }
    let mut push = |what: String, count: u64| done.rows.push([pack.source().into(), what.into(), count.into()]);
    push("indicators".to_owned(), pack.len() as u64);
    counts.into_iter().filter(|(_, count)| *count > 0).for_each(|((_, what), count)| push(what, count));
    pack.others().iter().filter(|(_, count)| **count > 0).for_each(|(what, count)| push(format!("no indicator: {what}"), *count));
    let (gaps, all) = pack.gaps();
    push("gaps".to_owned(), all);
    gaps.iter().take(GAPS_TOLD).for_each(|gap| cli::say(&format!("{}: {}: {}", pack.source(), gap.place, gap.reason)));
    if all > GAPS_TOLD as u64 {
        cli::say(&format!("{}: {} more were not taken; `weft intel list --gaps` tells them", pack.source(), all - GAPS_TOLD as u64));
    }
    if pack.is_empty() {
        cli::say(&format!("`{}` holds no indicator; what it knows is used to name what indicators of others point at", pack.source()));
    }
    Ok(())
}
