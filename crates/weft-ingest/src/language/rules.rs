//! What must be there together: OCSF's requirements and constraints as bits of one word.

use std::collections::{BTreeMap, BTreeSet};

use weft_model::ocsf::{Attribute, Constraints, Requirement};

use super::draft::{Draft, Within, required_ids};
use crate::map::program::Rule;

/// Attributes of an event that the engine fills in itself.
const FILLED: [&str; 10] =
    ["class_uid", "category_uid", "type_uid", "activity_id", "severity_id", "time", "metadata", "metadata.version", "metadata.product", "osint"];

/// A bit for each path whose presence matters.
#[derive(Debug, Default)]
pub struct Bits {
    by_path: BTreeMap<String, u32>,
}

impl Bits {
    /// The bit of a path, made when it is new; 0 when the word is full, which drops the rule.
    pub fn bit(&mut self, path: &str) -> u128 {
        let next = u32::try_from(self.by_path.len()).unwrap_or(u32::MAX);
        let place = *self.by_path.entry(path.to_owned()).or_insert(next);
        1_u128.checked_shl(place).unwrap_or(0)
    }

    /// The bits of a path and of all objects that it is in.
    pub fn flags(&self, path: &str) -> u128 {
        let mut flags = 0;
        let mut part = path;
        loop {
            flags |= self.by_path.get(part).map_or(0, |place| 1_u128.checked_shl(*place).unwrap_or(0));
            match part.rsplit_once('.') {
                Some((before, _)) => part = before,
                None => return flags,
            }
        }
    }
}

/// The rules of a draft, innermost objects first; what can never hold is told.
pub fn rules(draft: &Draft<'_>, bits: &mut Bits, impossible: &mut impl FnMut(String)) -> Vec<Rule> {
    let siblings: BTreeSet<String> =
        draft.leaves.iter().filter_map(|(path, target)| draft.sibling(path, target.attribute)).map(|(sibling, _)| sibling).collect();
    let mut objects: Vec<_> = draft.objects.iter().collect();
    objects.sort_by_key(|(path, _)| std::cmp::Reverse(path.matches('.').count()));
    let mut rules = Vec::new();
    for (path, object) in objects {
        let when = bits.bit(path);
        let required = object.attributes.iter().map(|attribute| &**attribute);
        let filled: Vec<&str> = required_ids(object).map(|(name, _)| name).collect();
        let maker = Maker { draft, siblings: &siblings, prefix: path, within: &object.name, filled: &filled };
        rules.extend(maker.rule(when, required, &object.constraints, bits, impossible));
    }
    let (name, constraints, filled) = match draft.within {
        Within::Class(class) => (&class.name, &class.constraints, FILLED.to_vec()),
        Within::Object(object) => (&object.name, &object.constraints, required_ids(object).map(|(name, _)| name).collect()),
    };
    let maker = Maker { draft, siblings: &siblings, prefix: "", within: name, filled: &filled };
    rules.extend(maker.rule(0, draft.within.attributes(), constraints, bits, impossible));
    rules
}

struct Maker<'m> {
    draft: &'m Draft<'m>,
    /// Captions of what is set.
    siblings: &'m BTreeSet<String>,
    prefix: &'m str,
    within: &'m str,
    filled: &'m [&'m str],
}

impl Maker<'_> {
    fn rule<'a>(
        &self,
        when: u128,
        attributes: impl Iterator<Item = &'a Attribute>,
        constraints: &Constraints,
        bits: &mut Bits,
        impossible: &mut impl FnMut(String),
    ) -> Option<Rule> {
        let mut all = 0;
        for attribute in attributes.filter(|attribute| attribute.requirement == Requirement::Required && !attribute.is_of_profile()) {
            let path = self.path(&attribute.name);
            if self.filled.contains(&&*attribute.name) || FILLED.contains(&path.as_str()) {
                continue;
            }
            // What nothing sets has a bit that is never set: the rule then never holds.
            all |= bits.bit(&path);
            if !self.is_set(&path) {
                impossible(format!("`{}` requires `{}`, which nothing sets", self.within, path));
            }
        }
        let any = self.members(&constraints.at_least_one, bits, impossible);
        let one = self.members(&constraints.just_one, bits, impossible);
        (all | any | one != 0).then_some(Rule { when, all, any, one })
    }

    fn members(&self, names: &[Box<str>], bits: &mut Bits, impossible: &mut impl FnMut(String)) -> u128 {
        let set: Vec<String> = names.iter().map(|name| self.path(name)).filter(|path| self.is_set(path)).collect();
        if set.is_empty() && !names.is_empty() {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            impossible(format!("`{}` requires one of `{}`, none of which is set", self.within, names.join("`, `")));
            return bits.bit(&self.path(names.first().copied().unwrap_or_default()));
        }
        set.iter().fold(0, |mask, path| mask | bits.bit(path))
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    /// Whether anything sets it, or something in it, or its caption.
    fn is_set(&self, path: &str) -> bool {
        let below = |other: &String| other == path || other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.draft.leaves.keys().any(below) || self.draft.lists.keys().any(below) || self.siblings.contains(path)
    }
}
