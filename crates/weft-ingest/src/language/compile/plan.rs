//! Drafts to plans: expressions become code, paths become slots, leaves become numbers.

use std::collections::HashSet;
use std::sync::Arc;

use weft_model::ocsf::{Attribute, Class, Schema, Type, schema};

use super::super::draft::{Draft, Value, Within, kind, required_ids};
use super::super::expr::Expr;
use super::super::link::{Linker, Names, Patterns};
use super::super::origin::{Origin, Sources};
use super::super::rules::{Bits, rules};
use super::super::{Fault, Faults, Trie};
use super::{EventDraft, Unit, absent, names};
use crate::map::code::Code;
use crate::map::columns::{Kind, Layout};
use crate::map::dispatch;
use crate::map::program::{Assign, Capture, ClassNames, Classes, Completion, Convert, EachPlan, ListPlan, ObjectPlan, Plan, PlanTrace, Program};

/// Completes the program of one stream.
pub(super) fn plan(mut program: Program, units: &[Unit<'_>], classes: &Classes, patterns: &mut Patterns, faults: &mut Vec<Fault>) -> Program {
    let mut fallbacks = Vec::new();
    let mut candidates = Vec::new();
    for unit in units {
        let mut found = Faults::new(&unit.file, &unit.text);
        let names = names(unit, &mut found);
        let absent = absent(unit);
        let mut compiler =
            Compiler { schema: schema(), classes, names: &names, trie: &mut program.trie, patterns, faults: &mut found, sources: unit.sources.as_ref() };
        for event in &unit.events {
            if let Some(plan) = compiler.event(event, Arc::clone(&absent)) {
                candidates.push((plan, fallbacks.len()));
            }
        }
        fallbacks.extend(unit.fallback.as_ref().and_then(|event| compiler.event(event, Arc::clone(&absent))));
        faults.extend(found.into_list());
    }
    let first_fallback = candidates.len();
    program.plans = candidates.into_iter().map(|(plan, unit)| Plan { fallback: Some(first_fallback + unit), ..plan }).chain(fallbacks).collect();
    program.dispatch = dispatch::of(&program.plans, first_fallback);
    program
}

struct Compiler<'c, 'f, 't> {
    schema: &'static Schema,
    classes: &'c Classes,
    names: &'c Names,
    trie: &'c mut Trie,
    patterns: &'c mut Patterns,
    faults: &'f mut Faults<'t>,
    sources: Option<&'c Sources>,
}

impl Compiler<'_, '_, '_> {
    fn event(&mut self, event: &EventDraft<'_>, absent: Arc<[String]>) -> Option<Plan> {
        let place = self.classes.place(event.class.uid)?;
        let columns = self.classes.list.get(place)?;
        let capture = event.capture.as_ref().and_then(|(on, regex)| self.capture(on, regex.get_ref(), regex.span().start));
        let captures: Vec<String> = capture.as_ref().map(|(_, names)| names.clone()).unwrap_or_default();
        let when = event.when.as_ref().and_then(|when| self.link(when, &captures, false));
        let mut bits = Bits::default();
        let mut impossible = Vec::new();
        let rules = rules(&event.draft, &mut bits, &mut |message| impossible.push(message));
        if event.class.uid != 0 {
            impossible.into_iter().for_each(|message| self.faults.add(event.at, message));
        }
        let profiles = profiles(&event.draft, &mut bits);
        let object = ObjectPlan { rules, ..self.object(&event.draft, &columns.layout, &mut bits, &captures, "", false) };
        let profiles = profiles.into_iter().map(|(path, profile)| (bits.flags(&path), profile)).collect();
        Some(Plan {
            class: place,
            names: Arc::new(class_names(self.schema, event.class)),
            when,
            capture: capture.map(|(capture, _)| capture),
            absent,
            object,
            profiles,
            fallback: None,
            trace: self.sources.map(|sources| Box::new(trace(event, sources))),
        })
    }

    fn capture(&mut self, on: &Value, text: &str, at: usize) -> Option<(Capture, Vec<String>)> {
        let on = self.link(on, &[], false)?;
        let pattern = match self.patterns.get(text) {
            Ok(pattern) => pattern,
            Err(message) => {
                self.faults.add(at, message);
                return None;
            }
        };
        let named: Vec<(usize, String)> = pattern.names().map(|(place, name)| (place, name.to_owned())).collect();
        let groups = named.iter().map(|(place, _)| *place).collect();
        Some((Capture { on, pattern, groups }, named.into_iter().map(|(_, name)| name).collect()))
    }

    fn link(&mut self, value: &Value, captures: &[String], item: bool) -> Option<Code> {
        let mut linker = Linker { names: self.names, trie: self.trie, captures, item, patterns: self.patterns };
        match linker.link(&value.expr) {
            Ok(code) => Some(code),
            Err(message) => {
                self.faults.add(value.at, message);
                None
            }
        }
    }

    /// Rules are made by the caller for the event, here for elements.
    fn object(&mut self, draft: &Draft<'_>, layout: &Layout, bits: &mut Bits, captures: &[String], within: &str, item: bool) -> ObjectPlan {
        let mut plan = ObjectPlan::default();
        if !within.is_empty() {
            let mut impossible = Vec::new();
            plan.rules = rules(draft, bits, &mut |message| impossible.push(message));
            let at = draft.leaves.values().next().map_or(0, |target| target.value.at);
            impossible.into_iter().for_each(|message| self.faults.add(at, message));
        }
        self.completions(draft, layout, bits, &mut plan);
        for (path, target) in &draft.leaves {
            let Some((leaf, spec)) = layout.leaf(path) else { continue };
            let Some(code) = self.link(&target.value, captures, item) else { continue };
            let sibling = draft.sibling(path, target.attribute);
            plan.origins.extend(self.sources.map(|sources| origin(sources, path, &target.value)));
            plan.assigns.push(Assign {
                leaf,
                convert: if spec.kind == kind(target.attribute) { convert(self.schema, target.attribute, draft, path) } else { by_kind(spec.kind) },
                flags: bits.flags(path),
                sibling: sibling.and_then(|(sibling, _)| layout.leaf(&sibling).map(|(leaf, _)| (leaf, bits.flags(&sibling)))),
                observable: target
                    .attribute
                    .observable
                    .map(|id| (format!("{within}{path}{}", if target.attribute.is_array { "[]" } else { "" }).into(), i64::from(id))),
                carries: code.carries(),
                informs: !matches!(code, Code::Text(_) | Code::Int(_) | Code::Float(_) | Code::Bool(_)),
                code,
            });
        }
        for (path, list) in &draft.lists {
            let (Some((leaf, _)), Some(rows)) = (layout.leaf(path), layout.rows(path)) else { continue };
            let within = format!("{within}{path}[].");
            let fixed = list.fixed.values().map(|element| self.object(element, rows, &mut Bits::default(), captures, &within, item)).collect();
            let each = list.each.iter().filter_map(|each| {
                let from = self.link(&each.from, captures, item)?;
                let when = each.when.as_ref().map(|when| self.link(when, captures, true));
                let element = self.object(&each.element, rows, &mut Bits::default(), captures, &within, true);
                Some(EachPlan { from, when: when.unwrap_or(None), element })
            });
            let each = each.collect();
            plan.list_paths.extend(self.sources.map(|_| path.clone()));
            plan.lists.push(ListPlan { leaf, flags: bits.flags(path), fixed, each });
        }
        plan
    }

    fn completions(&self, draft: &Draft<'_>, layout: &Layout, bits: &mut Bits, plan: &mut ObjectPlan) {
        let own = match draft.within {
            Within::Object(object) => Some((String::new(), object)),
            Within::Class(_) => None,
        };
        for (prefix, object) in draft.objects.iter().map(|(path, object)| (format!("{path}."), *object)).chain(own) {
            for (name, attribute) in required_ids(object) {
                let path = format!("{prefix}{name}");
                let (Some((leaf, _)), Some(values)) = (layout.leaf(&path), self.schema.enum_of(attribute)) else { continue };
                let value = if values.caption(0).is_some() { 0 } else { 99 };
                let Some(caption) = values.caption(value) else { continue };
                let sibling =
                    draft.sibling(&path, attribute).filter(|(sibling, _)| !draft.leaves.contains_key(sibling)).and_then(|(sibling, _)| layout.leaf(&sibling));
                let unless = bits.bit(&path);
                let when = if prefix.is_empty() { 0 } else { bits.bit(prefix.trim_end_matches('.')) };
                plan.completions.push(Completion {
                    when,
                    unless,
                    leaf,
                    value,
                    caption: sibling.map(|(leaf, _)| (leaf, caption.to_owned())),
                    flags: bits.flags(&path),
                });
            }
        }
    }
}

fn origin(sources: &Sources, path: &str, value: &Value) -> Origin {
    Origin { path: path.to_owned(), place: sources.place(value.at), rule: value.expr.to_string() }
}

fn trace(event: &EventDraft<'_>, sources: &Sources) -> PlanTrace {
    let parts = match event.when.as_ref().map(|when| &when.expr) {
        Some(Expr::All(parts)) => parts.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let condition = |(part, at): (&Expr, &usize)| Origin { path: String::new(), place: sources.place(*at), rule: part.to_string() };
    PlanTrace {
        class: event.class.name.to_string(),
        place: sources.place(event.at),
        conditions: parts.iter().zip(&event.when_at).map(condition).collect(),
        capture: event.capture.as_ref().map(|(on, regex)| Origin {
            path: String::new(),
            place: sources.place(regex.span().start),
            rule: format!("{} ~ '{}'", on.expr, regex.get_ref()),
        }),
    }
}

fn profiles(draft: &Draft<'_>, bits: &mut Bits) -> Vec<(String, String)> {
    let Within::Class(class) = draft.within else { return Vec::new() };
    let mut seen = HashSet::new();
    let mut profiles = Vec::new();
    for path in draft.leaves.keys().chain(draft.lists.keys()) {
        let top = path.split('.').next().unwrap_or(path);
        let Some(profile) = class.attribute(top).and_then(|attribute| attribute.profiles.first()) else { continue };
        if seen.insert(top) {
            bits.bit(top);
            profiles.push((top.to_owned(), profile.to_string()));
        }
    }
    profiles
}

fn class_names(schema: &'static Schema, class: &Class) -> ClassNames {
    let activities = class.attribute("activity_id").and_then(|attribute| schema.enum_of(attribute)).map(weft_model::ocsf::Enum::values).unwrap_or_default();
    ClassNames {
        class_uid: i64::from(class.uid),
        class_name: class.caption.to_string(),
        category_uid: i64::from(class.category_uid),
        category_name: class.category_name.to_string(),
        activities: activities.iter().map(|(id, caption)| (*id, caption.to_string(), format!("{}: {caption}", class.caption))).collect(),
    }
}

fn convert(schema: &'static Schema, attribute: &Attribute, draft: &Draft<'_>, path: &str) -> Convert {
    let own = schema_enum(schema, attribute);
    if let Some(values) = own.filter(|values| !values.values().is_empty() && !attribute.is_array) {
        return Convert::Id(values);
    }
    if let Some(values) = own.filter(|values| !values.names().is_empty() && !attribute.is_array) {
        return Convert::Name(values);
    }
    // A caption that is set beside its id is kept as it is given.
    if let Some((_, id)) = draft.sibling(path, attribute).filter(|(sibling, _)| !draft.leaves.contains_key(sibling))
        && let Some(values) = schema_enum(schema, id).filter(|values| !values.values().is_empty() && !attribute.is_array)
    {
        return Convert::Caption(values);
    }
    let single = match attribute.type_ {
        Type::Ip => Convert::Ip,
        Type::Mac => Convert::Mac,
        Type::Email => Convert::Email,
        Type::Subnet => Convert::Subnet,
        Type::Datetime => Convert::Datetime,
        Type::Json | Type::Object => Convert::Json,
        Type::Integer | Type::Long => Convert::Int,
        Type::Port => Convert::Port,
        Type::Timestamp => Convert::Time,
        Type::Float => Convert::Float,
        Type::Boolean => Convert::Bool,
        _ => Convert::Text,
    };
    match kind(attribute) {
        Kind::Texts => Convert::Texts(Box::new(single)),
        Kind::Ints => Convert::Ints,
        Kind::Json => Convert::Json,
        _ => single,
    }
}

fn schema_enum(schema: &'static Schema, attribute: &Attribute) -> Option<&'static weft_model::ocsf::Enum> {
    attribute.enum_.and_then(|id| schema.enum_at(id))
}

/// For a column that two classes of attribute share under one path; the schema has none today.
fn by_kind(kind: Kind) -> Convert {
    match kind {
        Kind::Text | Kind::Rows => Convert::Text,
        Kind::Json => Convert::Json,
        Kind::Int => Convert::Int,
        Kind::Float => Convert::Float,
        Kind::Bool => Convert::Bool,
        Kind::Texts => Convert::Texts(Box::new(Convert::Text)),
        Kind::Ints => Convert::Ints,
    }
}
