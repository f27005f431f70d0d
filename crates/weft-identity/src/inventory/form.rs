//! Descriptions of snapshots, checked and compiled.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::path::Path;
use super::template::{Maps, Template, When};
use crate::graph::{EdgeKind, NodeKind};
use crate::person::IdKind;

/// One file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormText {
    /// What is told, e.g. `users`: a snapshot tells all of a part.
    part: String,
    /// Where it comes from, for persons.
    title: String,
    /// Names of files that it is about, with `*` for a part of a name and `**/` for any folders.
    #[serde(default)]
    file: Option<String>,
    /// Names of files that it is not about.
    #[serde(default)]
    not_file: Vec<String>,
    /// Conditions on a document.
    #[serde(default)]
    document: Vec<String>,
    /// Where records are; the first path that finds some.
    #[serde(default)]
    records: Vec<String>,
    /// Conditions on a record.
    when: Vec<String>,
    /// Conditions on a document that is about this part also when nothing is in its lists. A document that `file`
    /// names, and whose list of records is there and empty, is so in any case.
    #[serde(default)]
    empty: Vec<String>,
    /// Other parts of the tool that a document tells as a whole, of this instance, as it has a record of this one.
    #[serde(default)]
    whole: Vec<String>,
    /// Which of several tenants, accounts, clusters it is.
    #[serde(default)]
    instance: Option<String>,
    #[serde(default)]
    map: Maps,
    #[serde(default)]
    node: Vec<NodeText>,
    #[serde(default)]
    link: Vec<LinkText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeText {
    kind: String,
    key: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    each: Vec<String>,
    #[serde(default)]
    when: Vec<String>,
    #[serde(default)]
    alias: Vec<String>,
    #[serde(default)]
    ids: BTreeMap<String, Vec<String>>,
    /// Whether another part is about it: what that one says counts more, and the key may be another name there.
    #[serde(default)]
    passing: bool,
    /// Conditions of which each makes it one that cannot be used.
    #[serde(default)]
    inactive: Vec<String>,
    /// Conditions of which each makes it a machine's.
    #[serde(default)]
    service: Vec<String>,
    /// Conditions of which each makes it several persons'.
    #[serde(default)]
    shared: Vec<String>,
    /// Conditions of which each makes it one person's.
    #[serde(default)]
    personal: Vec<String>,
    #[serde(default)]
    since: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkText {
    kind: String,
    from: String,
    to: String,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    each: Vec<String>,
    #[serde(default)]
    when: Vec<String>,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    until: Option<String>,
}

/// A compiled description.
#[derive(Debug)]
pub(super) struct Form {
    /// `tool/part`.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) file: Option<Vec<String>>,
    pub(super) not_file: Vec<Vec<String>>,
    pub(super) document: When,
    pub(super) records: Vec<Path>,
    pub(super) when: When,
    pub(super) empty: When,
    /// Names of forms.
    pub(super) whole: Vec<String>,
    pub(super) instance: Option<Template>,
    pub(super) maps: Maps,
    pub(super) nodes: Vec<NodeForm>,
    pub(super) links: Vec<LinkForm>,
}

#[derive(Debug)]
pub(super) struct NodeForm {
    pub(super) kind: Template,
    pub(super) key: Template,
    pub(super) name: Option<Template>,
    pub(super) each: Vec<Path>,
    pub(super) when: When,
    pub(super) alias: Vec<Template>,
    pub(super) ids: Vec<(IdKind, Template)>,
    pub(super) passing: bool,
    pub(super) inactive: When,
    pub(super) service: When,
    pub(super) shared: When,
    pub(super) personal: When,
    pub(super) since: Option<Template>,
}

#[derive(Debug)]
pub(super) struct LinkForm {
    pub(super) kind: Template,
    pub(super) from: Template,
    pub(super) to: Template,
    pub(super) label: Option<Template>,
    pub(super) each: Vec<Path>,
    pub(super) when: When,
    pub(super) since: Option<Template>,
    pub(super) until: Option<Template>,
}

/// A description that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct FormFault {
    /// File.
    pub file: String,
    /// What is wrong.
    pub reason: String,
}

/// All descriptions.
#[derive(Debug, Default)]
pub struct Forms {
    pub(super) forms: Vec<Form>,
}

impl Forms {
    /// Compiles descriptions: tool, file, text.
    ///
    /// # Errors
    /// Every fault.
    pub fn compile<'a>(files: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Result<Self, Vec<FormFault>> {
        let (mut forms, mut faults): (Vec<Form>, Vec<FormFault>) = (Vec::new(), Vec::new());
        let mut wholes = Vec::new();
        for (tool, file, text) in files {
            let read = toml::from_str::<FormText>(text).map_err(|error| error.message().to_owned());
            match read.and_then(|form| Form::compile(tool, form)) {
                Ok(form) => {
                    wholes.extend(form.whole.iter().map(|part| (file, part.clone())));
                    forms.push(form);
                }
                Err(reason) => faults.push(FormFault { file: file.to_owned(), reason }),
            }
        }
        let unknown = wholes.into_iter().filter(|(_, part)| faults.is_empty() && !forms.iter().any(|form| form.name == *part));
        let unknown: Vec<FormFault> =
            unknown.map(|(file, part)| FormFault { file: file.to_owned(), reason: format!("`whole`: there is no `{part}`") }).collect();
        faults.extend(unknown);
        if faults.is_empty() { Ok(Self { forms }) } else { Err(faults) }
    }

    /// Whether there is a description of this name.
    pub fn has(&self, name: &str) -> bool {
        self.forms.iter().any(|form| form.name == name)
    }

    /// Names and titles, for a person who looks for what can be read.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.forms.iter().map(|form| (form.name.as_str(), form.title.as_str()))
    }
}

fn optional(text: Option<&String>) -> Result<Option<Template>, String> {
    text.map(|text| Template::compile(text)).transpose()
}

fn parts(file: &str) -> Vec<String> {
    file.split('/').map(str::to_owned).collect()
}

fn paths(texts: &[String]) -> Result<Vec<Path>, String> {
    texts.iter().map(|text| Path::compile(text)).collect()
}

impl Form {
    fn compile(tool: &str, text: FormText) -> Result<Self, String> {
        if text.when.is_empty() && text.document.is_empty() && text.file.is_none() {
            return Err("`when` is empty: it would be about everything".to_owned());
        }
        for (table, words) in &text.map {
            if let Some(word) = words.values().find(|word| word.is_empty()) {
                return Err(format!("`map.{table}` has an empty word `{word}`"));
            }
        }
        let records = if text.records.is_empty() { vec!["/*".to_owned()] } else { text.records };
        Ok(Self {
            name: format!("{tool}/{}", text.part),
            title: text.title,
            file: text.file.as_deref().map(parts),
            not_file: text.not_file.iter().map(|file| parts(file)).collect(),
            document: When::compile(&text.document)?,
            records: paths(&records.into_iter().map(|path| if path == "/" { String::new() } else { path }).collect::<Vec<_>>())?,
            when: When::compile(&text.when)?,
            empty: When::compile(&text.empty)?,
            whole: text.whole.iter().map(|part| format!("{tool}/{part}")).collect(),
            instance: optional(text.instance.as_ref())?,
            maps: text.map,
            nodes: text.node.iter().map(NodeForm::compile).collect::<Result<_, _>>()?,
            links: text.link.iter().map(LinkForm::compile).collect::<Result<_, _>>()?,
        })
    }
}

/// A kind that is written out must be one.
fn kind(text: &str, known: bool) -> Result<Template, String> {
    if text.contains('{') || known { Template::compile(text) } else { Err(format!("`{text}` is no kind")) }
}

impl NodeForm {
    fn compile(text: &NodeText) -> Result<Self, String> {
        let mut ids = Vec::new();
        for (name, templates) in &text.ids {
            let kind = IdKind::named(name).ok_or_else(|| format!("`ids.{name}`: there is no such key of a person"))?;
            for template in templates {
                ids.push((kind, Template::compile(template)?));
            }
        }
        Ok(Self {
            kind: kind(&text.kind, NodeKind::named(&text.kind).is_some())?,
            key: Template::compile(&text.key)?,
            name: optional(text.name.as_ref())?,
            each: paths(&text.each)?,
            when: When::compile(&text.when)?,
            alias: text.alias.iter().map(|alias| Template::compile(alias)).collect::<Result<_, _>>()?,
            ids,
            passing: text.passing,
            inactive: When::compile(&text.inactive)?,
            service: When::compile(&text.service)?,
            shared: When::compile(&text.shared)?,
            personal: When::compile(&text.personal)?,
            since: optional(text.since.as_ref())?,
        })
    }
}

impl LinkForm {
    fn compile(text: &LinkText) -> Result<Self, String> {
        Ok(Self {
            kind: kind(&text.kind, EdgeKind::named(&text.kind).is_some())?,
            from: Template::compile(&text.from)?,
            to: Template::compile(&text.to)?,
            label: optional(text.label.as_ref())?,
            each: paths(&text.each)?,
            when: When::compile(&text.when)?,
            since: optional(text.since.as_ref())?,
            until: optional(text.until.as_ref())?,
        })
    }
}
