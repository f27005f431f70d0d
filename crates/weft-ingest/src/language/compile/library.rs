//! Mapping files by name: those of the connector itself, and those that it borrows.
//!
//! `words` is `mapping/words.toml` of the folder that asks; `generic/words` is that of the folder
//! `generic`. What is included is read once, however many streams include it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::Faults;
use super::super::file::{MappingFile, read};
use super::super::origin::Sources;
use super::ConnectorSource;

/// Files that include files that include …
const INCLUDE_DEPTH_MAX: usize = 4;

/// Included files that were read, by their place.
#[derive(Default)]
pub(super) struct Library {
    read: HashMap<String, Arc<MappingFile>>,
}

/// Where a file of that name is, for a person.
pub(super) fn path(source: &ConnectorSource, name: &str) -> String {
    match name.split_once('/').filter(|(folder, _)| *folder != source.name) {
        Some((folder, name)) => format!("{folder}/mapping/{name}.toml"),
        None => format!("mapping/{}.toml", name.rsplit('/').next().unwrap_or(name)),
    }
}

/// The connector that a file of that name is of.
pub(super) fn owner<'s>(sources: &'s [ConnectorSource], source: &'s ConnectorSource, name: &str) -> &'s ConnectorSource {
    let folder = name.split_once('/').map(|(folder, _)| folder);
    folder.and_then(|folder| sources.iter().find(|other| other.name == folder)).unwrap_or(source)
}

/// Its place, as faults tell it, and its text.
pub(super) fn text<'s>(sources: &'s [ConnectorSource], source: &'s ConnectorSource, name: &str) -> Option<(String, &'s str)> {
    let owner = owner(sources, source, name);
    let path = format!("mapping/{}.toml", name.split_once('/').map_or(name, |(_, name)| name));
    owner.files.iter().find(|(file, _)| *file == path).map(|(_, text)| (format!("{}/{path}", owner.name), text.as_str()))
}

impl Library {
    /// A file that is included, with what it includes itself.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn read(&mut self, sources: &[ConnectorSource], source: &ConnectorSource, name: &str) -> Result<Arc<MappingFile>, String> {
        self.read_at(sources, source, name, INCLUDE_DEPTH_MAX)
    }

    fn read_at(&mut self, sources: &[ConnectorSource], source: &ConnectorSource, name: &str, depth: usize) -> Result<Arc<MappingFile>, String> {
        let (place, text) = text(sources, source, name).ok_or_else(|| format!("`{}`, which is included, is missing", path(source, name)))?;
        if let Some(known) = self.read.get(&place) {
            return Ok(Arc::clone(known));
        }
        let depth = depth.checked_sub(1).ok_or_else(|| format!("`{}` includes deeper than {INCLUDE_DEPTH_MAX}", path(source, name)))?;
        let file: Option<MappingFile> = read(text, &mut Faults::new(&place, text));
        let mut file = file.ok_or_else(|| format!("`{}`, which is included, has a fault", path(source, name)))?;
        let owner = owner(sources, source, name);
        for name in file.include.clone() {
            let other = self.read_at(sources, owner, &name, depth)?;
            take_over(&mut file, &other);
        }
        let file = Arc::new(file);
        self.read.insert(place, Arc::clone(&file));
        Ok(file)
    }
}

/// Takes over what an included file defines and this one does not.
pub(super) fn take_over(mapping: &mut MappingFile, other: &MappingFile) {
    if mapping.absent.len() <= 1 {
        mapping.absent.clone_from(&other.absent);
    }
    fill(&mut mapping.alias, &other.alias);
    fill(&mut mapping.table, &other.table);
    fill(&mut mapping.set, &other.set);
    fill(&mut mapping.group, &other.group);
    mapping.each.splice(0..0, other.each.iter().cloned());
}

fn fill<V: Clone>(own: &mut BTreeMap<String, V>, other: &BTreeMap<String, V>) {
    for (name, value) in other {
        own.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// Reads the file and what it includes once more, so that each offset tells the file that it is in.
pub(super) fn traced(sources: &[ConnectorSource], source: &ConnectorSource, mapping: &mut MappingFile, place: &str, text: &str, origins: &mut Sources) {
    let Some(mut again) = read::<MappingFile>(text, &mut Faults::new(place, text)) else { return };
    for name in again.include.clone() {
        if let Some(other) = traced_at(sources, source, &name, origins, INCLUDE_DEPTH_MAX) {
            take_over(&mut again, &other);
        }
    }
    *mapping = again;
}

fn traced_at(sources: &[ConnectorSource], source: &ConnectorSource, name: &str, origins: &mut Sources, depth: usize) -> Option<MappingFile> {
    let depth = depth.checked_sub(1)?;
    let (place, text) = text(sources, source, name)?;
    let shifted = origins.padded(text);
    origins.add(&place, text);
    let mut file: MappingFile = read(&shifted, &mut Faults::new(&place, text))?;
    let owner = owner(sources, source, name);
    for name in file.include.clone() {
        if let Some(other) = traced_at(sources, owner, &name, origins, depth) {
            take_over(&mut file, &other);
        }
    }
    Some(file)
}
