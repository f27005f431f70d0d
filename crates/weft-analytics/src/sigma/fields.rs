//! Which events a logsource means, and where its fields stand in OCSF: a readable file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use weft_model::ClassUid;

use super::detection::KEYWORDS;
use super::rule::LogSource;

/// Begins a path that is meant in `unmapped`.
pub const IN_UNMAPPED: &str = "unmapped.";

/// The kinds of event that logsources mean; many to many.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldMap {
    kinds: Vec<Arc<Kind>>,
}

/// One kind of event.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// Name, for messages.
    pub name: String,
    /// The connector in whose folder it stands; none for kinds that any tool can have.
    pub connector: Option<String>,
    /// Logsources that mean it.
    pub logsources: Vec<LogSource>,
    /// Classes in which it occurs; none means all.
    pub classes: Vec<ClassUid>,
    /// Paths and values (without case) that every such event has.
    pub when: Vec<(String, Vec<String>)>,
    under: Vec<String>,
    fields: BTreeMap<String, Vec<String>>,
    source: BTreeSet<String>,
}

/// Where the values of a field stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Paths {
    /// Paths in `unmapped`: what the source itself calls so. Where one has a value, it counts alone.
    pub own: Vec<String>,
    /// OCSF paths; the first that has a value counts.
    pub ocsf: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    under: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, BTreeMap<String, OneOrMore>>,
    #[serde(default)]
    source: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    kind: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    category: Option<OneOrMore>,
    product: Option<OneOrMore>,
    service: Option<OneOrMore>,
    #[serde(default)]
    class: Vec<u32>,
    #[serde(default)]
    when: BTreeMap<String, Vec<Scalar>>,
    #[serde(default)]
    r#use: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    source: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Number(i64),
    Text(String),
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

impl FieldMap {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let entries = std::mem::take(&mut file.kind);
        Ok(Self { kinds: entries.into_iter().map(|entry| Ok(Arc::new(file.kind_of(entry)?))).collect::<Result<_, String>>()? })
    }

    /// The same as part of a connector.
    #[must_use]
    pub fn of_connector(mut self, connector: &str) -> Self {
        self.kinds.iter_mut().for_each(|kind| Arc::make_mut(kind).connector = Some(connector.to_owned()));
        self
    }

    /// Adds the kinds of another file, e.g. those of a connector.
    pub fn extend(&mut self, other: Self) {
        self.kinds.extend(other.kinds);
    }

    /// All kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.iter()
    }

    /// The kinds that a rule's logsource means: those that have just the attributes which the rule
    /// names, or else all that have them among others.
    pub fn kinds_of<'a>(&'a self, asked: &'a LogSource) -> impl Iterator<Item = &'a Arc<Kind>> {
        let exact = |kind: &Kind| kind.logsources.iter().any(|has| has.has(asked) && asked.has(has));
        let any = self.kinds.iter().any(|kind| exact(kind));
        self.kinds.iter().filter(move |kind| if any { exact(kind) } else { kind.logsources.iter().any(|has| has.has(asked)) })
    }
}

impl Kind {
    /// Where the values of a field stand; a field that the file does not name is a path itself.
    pub fn paths(&self, field: &str) -> Paths {
        if field == KEYWORDS {
            return Paths { own: Vec::new(), ocsf: ["raw_data", "message", "unmapped"].map(str::to_owned).to_vec() };
        }
        let under = |root: &String| if root.is_empty() { field.to_owned() } else { format!("{root}.{field}") };
        let ocsf = match self.fields.get(field) {
            Some(paths) => paths.clone(),
            None if self.source.contains(field) => Vec::new(),
            None => vec![field.to_owned()],
        };
        // Who names `unmapped` knows where the source keeps it.
        let named = ocsf.iter().any(|path| path.starts_with(IN_UNMAPPED));
        Paths { own: if named { Vec::new() } else { self.under.iter().map(under).collect() }, ocsf }
    }

    /// Whether the file names the field, or OCSF does for a class of this kind, which may be any.
    pub fn knows(&self, field: &str) -> bool {
        let schema = weft_model::ocsf::schema();
        let has = |class: u32| schema.resolve(class, field).is_ok();
        let is_path = || match self.classes.is_empty() {
            true => schema.classes().iter().any(|class| has(class.uid)),
            false => self.classes.iter().any(|class| has(class.0)),
        };
        self.fields.contains_key(field) || self.source.contains(field) || field.starts_with("unmapped.") || is_path()
    }

    /// Whether only the tools of its own connector can have such events: it asks which product or channel
    /// wrote them.
    pub fn is_of_one_tool(&self) -> bool {
        self.when.iter().any(|(path, _)| path.starts_with("metadata."))
    }

    /// Every field that the file names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().chain(&self.source).map(String::as_str)
    }
}

impl File {
    fn kind_of(&self, entry: Entry) -> Result<Kind, String> {
        let text = |value: Scalar| match value {
            Scalar::Bool(value) => value.to_string(),
            Scalar::Number(value) => value.to_string(),
            Scalar::Text(value) => value.to_lowercase(),
        };
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut source: BTreeSet<String> = entry.source.into_iter().collect();
        for shared in &entry.r#use {
            let (named, kept) = (self.fields.get(shared), self.source.get(shared));
            if named.is_none() && kept.is_none() {
                return Err(format!("the kind `{}` uses `{shared}`, but there is neither `[fields.{shared}]` nor `source.{shared}`", entry.name));
            }
            fields.extend(named.into_iter().flatten().map(|(field, to)| (field.clone(), to.clone().all())));
            source.extend(kept.into_iter().flatten().cloned());
        }
        fields.extend(entry.fields.into_iter().map(|(field, to)| (field, to.all())));
        Ok(Kind {
            name: entry.name,
            connector: None,
            logsources: logsources(entry.category, entry.product, entry.service),
            classes: entry.class.into_iter().map(ClassUid).collect(),
            when: entry.when.into_iter().map(|(path, values)| (path, values.into_iter().map(text).collect())).collect(),
            under: if self.under.is_empty() { vec![String::new()] } else { self.under.clone() },
            fields,
            source,
        })
    }
}

/// Every combination of the attributes.
fn logsources(category: Option<OneOrMore>, product: Option<OneOrMore>, service: Option<OneOrMore>) -> Vec<LogSource> {
    let options = |named: Option<OneOrMore>| named.map_or_else(|| vec![None], |named| named.all().into_iter().map(Some).collect::<Vec<_>>());
    let (products, services) = (options(product), options(service));
    let mut all = Vec::new();
    for category in options(category) {
        for product in &products {
            all.extend(services.iter().map(|service| LogSource { category: category.clone(), product: product.clone(), service: service.clone() }));
        }
    }
    all
}
