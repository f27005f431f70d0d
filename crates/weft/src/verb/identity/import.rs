//! `weft identity import`: files to the graph of the home.

use std::fs::{File, FileType};
use std::io::Read;
use std::path::{Path, PathBuf};

use weft_identity::graph::Builder;
use weft_identity::inventory::{Forms, Reading, json, ldif};

use super::instant_of;
use crate::cli::identity::Import;
use crate::cli::{self, Fault, Outcome, Output, Progress, Rows};
use crate::content::Files;
use crate::home::Home;
use crate::identity::{self, Shelf};

/// Largest file, unpacked.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// Bytes of all files of one archive, unpacked.
const ARCHIVE_BYTES_MAX: u64 = 8 << 30;
/// Files of one archive.
const MEMBERS_MAX: usize = 100_000;
/// Parts that are named in a message.
const PARTS_TOLD_MAX: usize = 10;
/// Files and folders of one folder.
const ENTRIES_MAX: usize = 1_000_000;
/// Folders below a folder.
const DEPTH_MAX: usize = 16;
/// Faults that are told one by one.
const FAULTS_TOLD_MAX: usize = 100;
/// Names of files that are looked at in folders.
const ENDINGS: [&str; 9] = [".json", ".jsonl", ".ndjson", ".ldif", ".ldf", ".json.gz", ".ndjson.gz", ".ldif.gz", ".zip"];

pub(super) fn run(home: &Home, files: &Files, asked: &Import, out: &mut Output) -> Result<Outcome, Fault> {
    let (forms, at) = (identity::forms(files)?, instant_of(asked.at.as_ref())?);
    let mut reading = Reading::new(&forms, &asked.source);
    let progress = Progress::begin("reading");
    for path in &asked.paths {
        if !path.exists() {
            return Err(Fault::misuse(format!("`{}` is not there", path.display())));
        }
        each(path, DEPTH_MAX, &mut |file, hindrance| {
            progress.on(file.display());
            if let Err(reason) = hindrance.map_or_else(|| one(file, &mut reading), Err) {
                reading.unread(file.display().to_string(), reason);
            }
        });
    }
    drop(progress);
    asked.empty.iter().for_each(|part| reading.nothing_left(part));
    let (snapshot, counts) = reading.finish();
    if counts.is_empty() && asked.empty.is_empty() {
        tell(&snapshot.faults.iter().map(ToString::to_string).collect::<Vec<_>>());
        return Err(Fault::misuse("nothing could be read; `weft identity forms` lists what can, and how files are called"));
    }
    home.create()?;
    let shelf = Shelf::of(&home.dir);
    let turn = shelf.turn()?;
    let mut builder = shelf.load()?;
    known(&builder, &forms, &asked.empty)?;
    let absorbed = builder.absorb(&snapshot, at).map_err(Fault::failed)?;
    let graph = builder.finish().map_err(Fault::failed)?;
    shelf.keep(&graph, &turn)?;
    tell(&absorbed.faults.iter().map(ToString::to_string).collect::<Vec<_>>());
    let mut rows = Rows::new(["form", "records"]);
    counts.into_iter().for_each(|(form, records)| rows.push([form.into(), records.into()]));
    out.rows(&rows)?;
    let (nodes, edges) = (graph.nodes(), graph.edges());
    cli::say(&format!(
        "{} nodes and {} edges told, {} edges begun, {} ended; the graph has {nodes} nodes and {edges} edges",
        absorbed.nodes, absorbed.edges, absorbed.begun, absorbed.ended
    ));
    Ok(Outcome::Done)
}

/// Parts of which nothing is left must be some of which something was told.
fn known(builder: &Builder, forms: &Forms, parts: &[String]) -> Result<(), Fault> {
    let unknown = parts.iter().filter(|part| !builder.knows(part)).map(|part| {
        let form = part.split('@').next().unwrap_or(part);
        let like: Vec<&str> = builder.scopes().filter(|scope| scope.split('@').next() == Some(form)).take(PARTS_TOLD_MAX).collect();
        match like.as_slice() {
            [] if forms.has(form) => format!("nothing was ever told of `{part}`, nor of another `{form}`"),
            [] => format!("`{part}` is no part of a source; `weft identity forms` lists them, `@INSTANCE` follows where there are several"),
            like => format!("nothing was ever told of `{part}`; there are `{}`", like.join("`, `")),
        }
    });
    let faults: Vec<String> = unknown.collect();
    if faults.is_empty() { Ok(()) } else { Err(Fault::Misuse(faults)) }
}

fn tell(faults: &[String]) {
    faults.iter().take(FAULTS_TOLD_MAX).for_each(|fault| cli::say(fault));
    if faults.len() > FAULTS_TOLD_MAX {
        cli::say(&format!("and {} more", faults.len() - FAULTS_TOLD_MAX));
    }
}

/// A file, or the files below a folder that can be meant; and what hinders from looking at one of them.
fn each(path: &Path, depth: usize, visit: &mut dyn FnMut(&Path, Option<String>)) {
    if !path.is_dir() {
        return visit(path, None);
    }
    let entries = match listed(path) {
        Ok(entries) if depth > 0 || entries.is_empty() => entries,
        Ok(_) => return visit(path, Some(format!("lies {DEPTH_MAX} folders deep; give it by itself"))),
        Err(reason) => return visit(path, Some(reason)),
    };
    for (entry, kind) in entries {
        let name = entry.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let is_meant = ENDINGS.iter().any(|ending| name.ends_with(ending));
        match kind {
            kind if kind.is_dir() => each(&entry, depth - 1, visit),
            kind if kind.is_symlink() && (is_meant || entry.is_dir()) => {
                visit(&entry, Some("is a link, which is not followed; give what it leads to".to_owned()))
            }
            _ if is_meant => visit(&entry, None),
            _ => {}
        }
    }
}

/// What is in a folder, in order of name.
fn listed(folder: &Path) -> Result<Vec<(PathBuf, FileType)>, String> {
    let told = |error: std::io::Error| format!("cannot be looked into: {error}");
    let entries = std::fs::read_dir(folder).map_err(told)?.take(ENTRIES_MAX + 1);
    let mut found = entries.map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))).collect::<Result<Vec<_>, _>>().map_err(told)?;
    if found.len() > ENTRIES_MAX {
        return Err(format!("has more than {ENTRIES_MAX} entries; give it in parts"));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

fn one(path: &Path, reading: &mut Reading<'_>) -> Result<(), String> {
    let told = |error: std::io::Error| format!("cannot be read: {error}");
    let name = path.to_string_lossy().into_owned();
    let file = File::open(path).map_err(told)?;
    match name.to_lowercase() {
        lower if lower.ends_with(".zip") => archive(&name, file, reading),
        lower if lower.ends_with(".gz") => {
            let text = text(flate2::read::MultiGzDecoder::new(file), FILE_BYTES_MAX)?;
            let name = name.get(..name.len() - ".gz".len()).unwrap_or(&name).to_owned();
            document(&name, &text, reading)
        }
        _ => document(&name, &text(file, FILE_BYTES_MAX)?, reading),
    }
}

fn archive(name: &str, file: File, reading: &mut Reading<'_>) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(file).map_err(|error| format!("is no archive that can be read: {error}"))?;
    let mut left = ARCHIVE_BYTES_MAX;
    for number in 0..archive.len().min(MEMBERS_MAX) {
        let member = archive.by_index(number).map_err(|error| format!("member {number} cannot be read: {error}"))?;
        let within = member.name().map_err(|error| format!("member {number} has no name that can be read: {error}"))?;
        let place = format!("{name}/{within}");
        let lower = place.to_lowercase();
        if member.is_dir() || !ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
            continue;
        }
        if member.size() > left {
            return Err(format!("unpacks to more than {ARCHIVE_BYTES_MAX} bytes; unpack it and give the folder"));
        }
        let read = text(member, FILE_BYTES_MAX.min(left)).and_then(|text| {
            left = left.saturating_sub(text.len() as u64);
            document(&place, &text, reading)
        });
        if let Err(reason) = read {
            reading.unread(place, reason);
        }
    }
    if archive.len() > MEMBERS_MAX {
        return Err(format!("has {} files, the first {MEMBERS_MAX} were read; unpack it and give the folder", archive.len()));
    }
    Ok(())
}

fn text(from: impl Read, most: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("is larger than {most} bytes; give it in pages"));
    }
    // Tools of Windows write a mark first, some of them UTF-16.
    if let Some(wide) = bytes.strip_prefix(b"\xff\xfe") {
        let units: Vec<u16> = wide.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect();
        return String::from_utf16(&units).map_err(|_| "is neither UTF-8 nor UTF-16".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn document(name: &str, text: &str, reading: &mut Reading<'_>) -> Result<(), String> {
    let (value, faults, torn) = if ldif::is_one(text) {
        let (value, faults) = ldif::read(text);
        let torn = !faults.is_empty();
        (value, faults, torn)
    } else {
        let parsed = json::read(text)?;
        (parsed.value, parsed.faults, parsed.torn)
    };
    faults.into_iter().for_each(|(line, reason)| reading.fault(format!("{name}:{line}"), reason));
    reading.document(name, &value, torn);
    Ok(())
}
