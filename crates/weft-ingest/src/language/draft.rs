//! Targets resolved against the schema: which leaves, which lists, which expressions.
//!
//! A draft is what one event (or one element of a list) sets, before there is a layout.

use std::collections::BTreeMap;

use weft_model::ocsf::{Attribute, Class, Object, Schema, Type};

use super::expr::Expr;
use crate::map::columns::{Kind, Want, Wanted};

/// Lists within lists within lists: more is refused.
const NESTING_MAX: usize = 4;

/// Where attributes are looked up.
#[derive(Debug, Clone, Copy)]
pub enum Within<'s> {
    /// At the root of an event.
    Class(&'s Class),
    /// In an object.
    Object(&'s Object),
}

impl<'s> Within<'s> {
    /// The attribute with this name.
    pub fn attribute(self, name: &str) -> Option<&'s Attribute> {
        match self {
            Self::Class(class) => class.attribute(name),
            Self::Object(object) => object.attribute(name),
        }
    }

    /// All attributes.
    pub fn attributes(self) -> impl Iterator<Item = &'s Attribute> {
        match self {
            Self::Class(class) => class.attributes.iter(),
            Self::Object(object) => object.attributes.iter(),
        }
        .map(|attribute| &**attribute)
    }

    fn name(self) -> &'s str {
        match self {
            Self::Class(class) => &class.name,
            Self::Object(object) => &object.name,
        }
    }
}

/// An expression with the file-offset of its text.
#[derive(Debug, Clone)]
pub struct Value {
    /// The expression.
    pub expr: Expr,
    /// Byte offset in the file.
    pub at: usize,
}

/// One leaf to be set.
#[derive(Debug, Clone)]
pub struct Target<'s> {
    /// Its attribute.
    pub attribute: &'s Attribute,
    /// What it is set to.
    pub value: Value,
}

/// What one event or element sets.
#[derive(Debug, Clone)]
pub struct Draft<'s> {
    /// Root of the paths.
    pub within: Within<'s>,
    /// By dotted path.
    pub leaves: BTreeMap<String, Target<'s>>,
    /// Lists of objects, by dotted path.
    pub lists: BTreeMap<String, ListDraft<'s>>,
    /// Objects that are touched, by dotted path.
    pub objects: BTreeMap<String, &'s Object>,
}

/// A list of objects.
#[derive(Debug, Clone)]
pub struct ListDraft<'s> {
    /// What its elements are.
    pub object: &'s Object,
    /// Elements by number.
    pub fixed: BTreeMap<i64, Draft<'s>>,
    /// Elements for each item of a source.
    pub each: Vec<EachDraft<'s>>,
}

/// Elements for each item.
#[derive(Debug, Clone)]
pub struct EachDraft<'s> {
    /// The source array.
    pub from: Value,
    /// Condition on the item.
    pub when: Option<Value>,
    /// The element.
    pub element: Draft<'s>,
}

impl<'s> Draft<'s> {
    /// Nothing set yet.
    pub fn new(within: Within<'s>) -> Self {
        Self { within, leaves: BTreeMap::new(), lists: BTreeMap::new(), objects: BTreeMap::new() }
    }

    /// Sets a target; a later one wins.
    ///
    /// # Errors
    /// Why the path is none of this class.
    pub fn set(&mut self, schema: &'s Schema, path: &str, value: Value) -> Result<(), String> {
        self.set_below(schema, path, value, NESTING_MAX)
    }

    fn set_below(&mut self, schema: &'s Schema, path: &str, value: Value, depth: usize) -> Result<(), String> {
        match self.follow(schema, path)? {
            End::Leaf { path, attribute } => {
                if attribute.type_ == Type::Object && schema.object_of(attribute).is_some_and(|object| !object.is_free()) {
                    return Err(format!("`{path}` is an object; set its attributes"));
                }
                self.leaves.insert(path, Target { attribute, value });
                Ok(())
            }
            End::List { path, object, place, rest } => {
                if depth == 0 {
                    return Err(format!("`{path}` nests lists deeper than {NESTING_MAX}"));
                }
                if rest.is_empty() {
                    return Err(format!("`{path}` is a list of objects; set `{path}[0].…` or use `each`"));
                }
                let list = self.list(path, object);
                list.fixed.entry(place).or_insert_with(|| Draft::new(Within::Object(object))).set_below(schema, &rest, value, depth - 1)
            }
        }
    }

    /// Adds elements for each item of a source.
    ///
    /// # Errors
    /// When `into` is not a list of objects.
    pub fn each(&mut self, schema: &'s Schema, into: &str, make: impl FnOnce(Draft<'s>) -> EachDraft<'s>) -> Result<(), String> {
        match self.follow(schema, into)? {
            End::List { path, object, rest, .. } if rest.is_empty() => {
                let element = Draft::new(Within::Object(object));
                self.list(path, object).each.push(make(element));
                Ok(())
            }
            End::List { path, object, place, rest } => {
                let list = self.list(path, object);
                list.fixed.entry(place).or_insert_with(|| Draft::new(Within::Object(object))).each(schema, &rest, make)
            }
            _ => Err(format!("`{into}` is not a list of objects")),
        }
    }

    fn list(&mut self, path: String, object: &'s Object) -> &mut ListDraft<'s> {
        self.lists.entry(path).or_insert_with(|| ListDraft { object, fixed: BTreeMap::new(), each: Vec::new() })
    }

    /// Follows a path to its leaf, or to the first list of objects on it.
    fn follow(&mut self, schema: &'s Schema, path: &str) -> Result<End<'s>, String> {
        let mut touched = Vec::new();
        let end = self.walk(schema, path, &mut touched)?;
        self.objects.extend(touched);
        Ok(end)
    }

    fn walk(&self, schema: &'s Schema, path: &str, touched: &mut Vec<(String, &'s Object)>) -> Result<End<'s>, String> {
        let mut within = self.within;
        let mut walked = String::new();
        let mut rest = path;
        loop {
            let (segment, below) = rest.split_once('.').map_or((rest, ""), |(segment, below)| (segment, below));
            let (name, place) = numbered(segment).ok_or_else(|| format!("`{segment}` is not an attribute name"))?;
            let attribute = within.attribute(name).ok_or_else(|| unknown(schema, within, name, path))?;
            if !walked.is_empty() {
                walked.push('.');
            }
            walked.push_str(name);
            let object = schema.object_of(attribute).filter(|object| !object.is_free());
            match object {
                Some(object) if attribute.is_array => {
                    return Ok(End::List { path: walked, object, place: place.unwrap_or(0), rest: below.to_owned() });
                }
                _ if below.is_empty() => return Ok(End::Leaf { path: walked, attribute }),
                Some(object) => {
                    touched.push((walked.clone(), object));
                    within = Within::Object(object);
                    rest = below;
                }
                None => return Err(format!("`{walked}` has no attributes")),
            }
        }
    }

    /// Adds what follows from what is set: names and folders of files from their path, names of
    /// processes from their file.
    pub fn derive(&mut self) {
        use super::expr::Expr;
        for (path, object) in self.objects.clone() {
            let (sources, targets): (&[&str], &[(&str, &str)]) = match &*object.name {
                "file" => (&["path"], &[("name", "basename"), ("parent_folder", "dirname")]),
                "process" => (&["file.path", "file.name", "path"], &[("name", "basename")]),
                _ => continue,
            };
            let Some(source) = sources.iter().find_map(|source| self.leaves.get(&format!("{path}.{source}"))).map(|target| target.value.clone()) else {
                continue;
            };
            for (name, function) in targets {
                let target = format!("{path}.{name}");
                let Some(attribute) = object.attribute(name).filter(|_| !self.leaves.contains_key(&target)) else { continue };
                let expr = Expr::Call((*function).to_owned(), vec![source.expr.clone()]);
                self.leaves.insert(target, Target { attribute, value: Value { expr, at: source.at } });
            }
        }
        let elements = self.lists.values_mut().flat_map(|list| list.fixed.values_mut().chain(list.each.iter_mut().map(|each| &mut each.element)));
        elements.for_each(Self::derive);
    }

    /// Adds the columns that this draft needs.
    pub fn want(&self, wanted: &mut Wanted) {
        for (path, target) in &self.leaves {
            wanted.entry(path.clone()).or_insert_with(|| Want { kind: kind(target.attribute), rows: Wanted::new() });
            if let Some((sibling, attribute)) = self.sibling(path, target.attribute) {
                wanted.entry(sibling).or_insert_with(|| Want { kind: kind(attribute), rows: Wanted::new() });
            }
        }
        for (path, object) in &self.objects {
            for (name, attribute) in required_ids(object) {
                wanted.entry(format!("{path}.{name}")).or_insert_with(|| Want { kind: Kind::Int, rows: Wanted::new() });
                if let Some((sibling, attribute)) = self.sibling(&format!("{path}.{name}"), attribute) {
                    wanted.entry(sibling).or_insert_with(|| Want { kind: kind(attribute), rows: Wanted::new() });
                }
            }
        }
        if let Within::Object(object) = self.within {
            for (name, attribute) in required_ids(object) {
                wanted.entry(name.to_owned()).or_insert_with(|| Want { kind: Kind::Int, rows: Wanted::new() });
                if let Some((sibling, attribute)) = self.sibling(name, attribute) {
                    wanted.entry(sibling).or_insert_with(|| Want { kind: kind(attribute), rows: Wanted::new() });
                }
            }
        }
        for (path, list) in &self.lists {
            let want = wanted.entry(path.clone()).or_insert_with(|| Want { kind: Kind::Rows, rows: Wanted::new() });
            for element in list.fixed.values().chain(list.each.iter().map(|each| &each.element)) {
                element.want(&mut want.rows);
            }
        }
    }

    /// The caption of an id, or the id of a caption: its path and attribute.
    pub fn sibling(&self, path: &str, attribute: &Attribute) -> Option<(String, &'s Attribute)> {
        let (prefix, within) = match path.rsplit_once('.') {
            Some((prefix, _)) => (Some(prefix), Within::Object(self.objects.get(prefix)?)),
            None => (None, self.within),
        };
        let found = match &attribute.sibling {
            Some(name) => within.attribute(name),
            None => within.attributes().find(|other| other.enum_.is_some() && other.sibling.as_deref() == Some(&*attribute.name)),
        }?;
        Some((prefix.map_or_else(|| found.name.to_string(), |prefix| format!("{prefix}.{}", found.name)), found))
    }
}

enum End<'s> {
    Leaf { path: String, attribute: &'s Attribute },
    List { path: String, object: &'s Object, place: i64, rest: String },
}

/// Required enum ids of an object: filled with 0 where nothing sets them.
pub fn required_ids(object: &Object) -> impl Iterator<Item = (&str, &Attribute)> {
    use weft_model::ocsf::Requirement;
    object
        .attributes
        .iter()
        .filter(|a| a.requirement == Requirement::Required && a.enum_.is_some() && a.type_ == Type::Integer && !a.is_array && !a.is_of_profile())
        .map(|a| (&*a.name, &**a))
}

/// The column kind of an attribute.
pub fn kind(attribute: &Attribute) -> Kind {
    match (attribute.type_, attribute.is_array) {
        (Type::Json | Type::Object, _) => Kind::Json,
        (Type::Integer | Type::Long | Type::Port | Type::Timestamp, false) => Kind::Int,
        (Type::Integer | Type::Long | Type::Port | Type::Timestamp, true) => Kind::Ints,
        (Type::Float, false) => Kind::Float,
        (Type::Boolean, false) => Kind::Bool,
        (Type::Float | Type::Boolean, true) => Kind::Json,
        (_, false) => Kind::Text,
        (_, true) => Kind::Texts,
    }
}

/// `name`, `name[]`, `name[2]`
fn numbered(segment: &str) -> Option<(&str, Option<i64>)> {
    match segment.split_once('[') {
        None => (!segment.is_empty()).then_some((segment, None)),
        Some((name, place)) => match place.strip_suffix(']')? {
            "" => Some((name, None)),
            number => Some((name, Some(number.parse().ok().filter(|number| (0..64).contains(number))?))),
        },
    }
}

fn unknown(schema: &Schema, within: Within<'_>, name: &str, path: &str) -> String {
    let near = match within {
        Within::Class(class) => match schema.resolve(class.uid, name) {
            Err(error) => return if path == name { error.to_string() } else { format!("{error} (in `{path}`)") },
            Ok(_) => Vec::new(),
        },
        Within::Object(object) => near_names(name, object),
    };
    let hint = if near.is_empty() { String::new() } else { format!("; did you mean `{}`?", near.join("`, `")) };
    format!("`{path}`: `{name}` is not an attribute of `{}`{hint}", within.name())
}

/// Names that begin alike or contain one another.
fn near_names(name: &str, object: &Object) -> Vec<String> {
    let head: String = name.chars().take(4).collect();
    let near = object.attributes.iter().map(|attribute| attribute.name.to_string());
    near.filter(|other| other.starts_with(&head) || other.contains(name) || name.contains(other.as_str())).take(4).collect()
}
