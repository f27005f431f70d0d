//! Policies and facts of a mesh's home.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use weft_identity::access::{AccessPoint, EntityStore};
use weft_identity::decide::{Naming, Policies, PolicyFile};

use crate::content::{self, Files};
use crate::home::Home;

/// Largest file of entities.
const ENTITIES_BYTES_MAX: u64 = 4 << 30;
/// Faults of one file that are told.
const FAULTS_MAX: usize = 20;

/// What a folder looked like: path, size and time of change of each file.
pub type Look = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// The folder of policies and facts.
pub fn folder(home: &Home) -> PathBuf {
    home.config.access.folder.clone().unwrap_or_else(|| home.dir.join("access"))
}

/// What the folder looks like now; whoever sees the same twice need not read it again.
pub fn look(folder: &Path) -> Look {
    let of = |path: PathBuf| {
        let meta = std::fs::metadata(&path).ok();
        (path, meta.as_ref().map_or(0, std::fs::Metadata::len), meta.and_then(|meta| meta.modified().ok()))
    };
    files(folder).into_iter().map(of).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    found.sort();
    found
}

/// Reads everything. Policies of the folder are checked against its schema, if it has one; where it
/// has no policies, those of the mesh apply, with the mesh's schema.
///
/// # Errors
/// Every fault, one line each.
pub fn point(home: &Home, files_of_content: &Files) -> Result<AccessPoint, Vec<String>> {
    let folder = folder(home);
    if home.config.access.folder.is_some() && !folder.is_dir() {
        return Err(vec![format!("`access.folder` `{}` is not a folder; make it, or leave the setting out", folder.display())]);
    }
    let paths = files(&folder);
    let policies = policies(&paths, files_of_content)?;
    let mut store = EntityStore::new(policies.schema().cloned());
    let mut faults = Vec::new();
    for path in paths.iter().filter(|path| is_entities(path)) {
        entities(path, &mut store, &mut faults);
    }
    if faults.is_empty() { Ok(AccessPoint::new(policies, store)) } else { Err(faults) }
}

fn ends(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension == ending)
}

fn is_entities(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.starts_with("entities") && (ends(path, "json") || ends(path, "ndjson"))
}

fn policies(paths: &[PathBuf], content: &Files) -> Result<Policies, Vec<String>> {
    let lines = |faults: Vec<weft_identity::PolicyFault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    let read = |path: &PathBuf| content::read(path).map(|text| PolicyFile { name: name(path), text });
    let own: Vec<&PathBuf> = paths.iter().filter(|path| ends(path, "cedar")).collect();
    let schemas: Vec<&PathBuf> = paths.iter().filter(|path| ends(path, "cedarschema")).collect();
    if own.is_empty() && schemas.is_empty() {
        let (schema, files) = content::policy_files(content)?;
        return Policies::compile(Some(&schema), &files, Naming::Explained).map_err(lines);
    }
    if let [_, second, ..] = schemas.as_slice() {
        return Err(vec![format!("`{}` is a second schema; keep one", second.display())]);
    }
    let schema = schemas.first().map(|path| read(path)).transpose().map_err(|fault| vec![fault])?;
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for path in own {
        match read(path) {
            Ok(file) => files.push(file),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Policies::compile(schema.as_ref(), &files, Naming::Free).map_err(lines)
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Entities of a file: a JSON array, or one object a line. They are taken one by one, so that a
/// million of them needs no second copy.
fn entities(path: &Path, store: &mut EntityStore, faults: &mut Vec<String>) {
    let place = name(path);
    let told = |reason: String| format!("{place}: {reason}");
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = match opened {
        Ok(opened) => opened,
        Err(error) => return faults.push(told(format!("cannot be read: {error}"))),
    };
    if length > ENTITIES_BYTES_MAX {
        return faults.push(told(format!("is {length} bytes long, at most {ENTITIES_BYTES_MAX} are read; split it")));
    }
    let mut each = Each { store, number: 0, faults: Vec::new() };
    let reader = BufReader::with_capacity(1 << 20, file);
    let outcome = if ends(path, "ndjson") { lines(reader, &mut each) } else { array(reader, &mut each) };
    let Each { faults: found, .. } = each;
    let more = found.len().saturating_sub(FAULTS_MAX);
    faults.extend(found.into_iter().take(FAULTS_MAX).map(told));
    if more > 0 {
        faults.push(told(format!("and {more} more")));
    }
    if let Err(reason) = outcome {
        faults.push(told(reason));
    }
}

struct Each<'s> {
    store: &'s mut EntityStore,
    number: usize,
    faults: Vec<String>,
}

impl Each<'_> {
    fn take(&mut self, value: &Value) {
        self.number += 1;
        if let Err(reason) = self.store.upsert(value) {
            self.faults.push(format!("entity {}: {reason}", self.number));
        }
    }
}

fn array(reader: impl Read, each: &mut Each<'_>) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_reader(reader);
    each.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| format!("is not a JSON array of entities: {error}"))
}

fn lines(reader: impl Read, each: &mut Each<'_>) -> Result<(), String> {
    for value in serde_json::Deserializer::from_reader(reader).into_iter::<Value>() {
        each.take(&value.map_err(|error| format!("is not one JSON object a line: {error}"))?);
    }
    Ok(())
}

impl<'de> DeserializeSeed<'de> for &mut Each<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of entities")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        while let Some(value) = all.next_element::<Value>()? {
            self.take(&value);
        }
        Ok(())
    }
}
