//! Documents into the shelf: warning lists first, then what they are to be asked for.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use weft_analytics::intel::pack::Writer;
use weft_analytics::intel::read::{self, Format, Options, Sink};
use weft_analytics::intel::{Kind, Lists, Pack, warning};

use super::open::Document;
use super::shelf::{Shelf, Turn};

/// Gaps that are told one by one.
const GAPS_TOLD: usize = 10;

/// What one place gave.
pub struct Given {
    /// Name of the source that it is of.
    pub source: String,
    /// The place, without what may be secret.
    pub origin: String,
    /// How far a collection was read.
    pub position: String,
    /// Whether what was kept of the source stays.
    pub adds: bool,
    /// What was read or fetched.
    pub documents: Vec<Document>,
}

/// What became of documents.
#[derive(Default)]
pub struct Done {
    /// Source, what, how many.
    pub rows: Vec<[Value; 3]>,
    /// Documents that could not be taken.
    pub faults: Vec<String>,
    /// What else a person should know.
    pub remarks: Vec<String>,
    /// Sources that were kept.
    pub sources: usize,
    /// Warning lists that were kept.
    pub lists: usize,
}

/// Keeps everything that can be, and tells a running mesh; nothing is changed where nothing could be. Blocking.
///
/// # Errors
/// It cannot be kept.
pub fn import(shelf: &Shelf, mut given: Vec<Given>, options: &Options, done: &mut Done) -> Result<(), String> {
    let turn = shelf.turn()?;
    take_lists(shelf, &turn, &mut given, done)?;
    let (lists, faults) = shelf.lists();
    done.faults.extend(faults);
    for (source, given) in by_source(given) {
        take(shelf, &turn, (&source, given), options, &lists, done)?;
    }
    if done.sources + done.lists > 0 { shelf.changed(&turn) } else { Ok(()) }
}

/// Keeps the warning lists among the documents, and asks them for what is there already.
fn take_lists(shelf: &Shelf, turn: &Turn, given: &mut [Given], done: &mut Done) -> Result<(), String> {
    for given in given.iter_mut() {
        let (lists, rest) = std::mem::take(&mut given.documents).into_iter().partition(|document: &Document| is_list(&document.bytes));
        given.documents = rest;
        for Document { name, bytes } in lists {
            match warning::parse(&bytes) {
                Ok(list) => {
                    shelf.keep_list(&list_name(&name), &bytes, turn)?;
                    done.rows.push([list_name(&name).into(), "entries of a warning list".into(), list.list.len().into()]);
                    done.lists += 1;
                }
                Err(reason) => done.faults.push(format!("`{name}` {reason}")),
            }
        }
    }
    if done.lists > 0 {
        done.remarks.extend(apply_lists(shelf, turn)?);
    }
    Ok(())
}

/// Asks the warning lists anew for every source; what of them cannot be used.
///
/// # Errors
/// A source cannot be read or kept.
pub fn apply_lists(shelf: &Shelf, turn: &Turn) -> Result<Vec<String>, String> {
    let (lists, _) = shelf.lists();
    shelf.apply_lists(&lists, turn)?;
    Ok(lists.gaps().iter().take(GAPS_TOLD).map(|gap| format!("warning list `{}`: {}", gap.place, gap.reason)).collect())
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
fn by_source(given: Vec<Given>) -> BTreeMap<String, Vec<Given>> {
    let mut sources: BTreeMap<String, Vec<Given>> = Default::default();
    for given in given.into_iter().filter(|given| !given.documents.is_empty() || !given.position.is_empty()) {
        sources.entry(given.source.clone()).or_default().push(given);
    }
    sources
}

/// Reads the documents of a source and keeps it, if there was one that could be read.
fn take(shelf: &Shelf, turn: &Turn, (source, given): (&str, Vec<Given>), options: &Options, lists: &Lists, done: &mut Done) -> Result<(), String> {
    let origin = given.iter().map(|given| given.origin.as_str()).collect::<Vec<_>>().join(" ");
    let mut writer = Writer::new(source, &origin, options.at);
    let known = shelf.known();
    let (adds, fetched) = (given.iter().any(|given| given.adds), given.iter().any(|given| !given.position.is_empty()));
    given.iter().for_each(|given| writer.position(&given.position));
    let (mut good, before) = (0, done.faults.len());
    let mut sink = Sink { writer: &mut writer, lists, known: &known, revoked: Vec::new() };
    for document in given.iter().flat_map(|given| &given.documents) {
        // Who lists nothing says so; a file of nothing was cut off.
        if document.bytes.trim_ascii().is_empty() {
            done.faults.push(format!("`{}` is empty; what was imported before stays", document.name));
            continue;
        }
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
    let old = if adds { shelf.pack(source)? } else { None };
    let pack = match old {
        Some(old) => merged(writer.done(), &old, revoked, lists)?,
        None => writer.done(),
    };
    shelf.keep(&pack, turn)?;
    done.sources += 1;
    tell(&pack, done)
}

/// What was kept, without what the new import says anew or takes back.
fn merged(new: Pack, old: &Pack, revoked: Vec<String>, lists: &Lists) -> Result<Pack, String> {
    let mut gone: HashSet<String> = revoked.into_iter().collect();
    for row in new.rows() {
        gone.insert(row?.facts.id.clone());
    }
    let mut writer = Writer::of(new);
    writer.keep(old, &|id| gone.contains(id), lists)?;
    Ok(writer.done())
}

/// What of a source was taken, suppressed, not taken.
fn tell(pack: &Pack, done: &mut Done) -> Result<(), String> {
    let mut counts: BTreeMap<(u8, String), u64> = Default::default();
    for kind in Kind::ALL {
        counts.insert((0, kind.name().to_owned()), 0);
    }
    for row in pack.rows() {
        let row = row?;
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
    gaps.iter().take(GAPS_TOLD).for_each(|gap| done.remarks.push(format!("{}: {}: {}", pack.source(), gap.place, gap.reason)));
    if all > GAPS_TOLD as u64 {
        done.remarks.push(format!("{}: {} more were not taken; `weft intel list --gaps` tells them", pack.source(), all - GAPS_TOLD as u64));
    }
    if pack.is_empty() {
        let use_of_it = if pack.others().is_empty() { "" } else { "; what it knows is used to name what indicators of others point at" };
        done.remarks.push(format!("`{}` holds no indicator{use_of_it}", pack.source()));
    }
    Ok(())
}
