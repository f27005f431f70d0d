//! What is known of entities, arranged for decisions and for search.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{Entity, EntityTypeName, EntityUid, RestrictedExpression, Schema};
use serde_json::{Map, Value, json};

use super::point::Party;
use super::value::{Kinds, entities_in, for_schema};
use crate::decide::clause::Literal;

/// Most entities that one decision may look at.
const REACH_ENTITIES_MAX: usize = 20_000;

/// Entities with attributes and parents.
///
/// Every entity has a number, in the order in which they came; it stays when the entity changes,
/// so that a search can go on where it stopped.
#[derive(Debug, Default)]
pub struct EntityStore {
    kinds: Arc<Kinds>,
    schema: Option<Schema>,
    slab: Vec<Option<Stored>>,
    numbers: HashMap<EntityUid, u32>,
    of_kind: HashMap<EntityTypeName, Vec<u32>>,
    below: HashMap<EntityUid, Vec<u32>>,
    looked_up: BTreeSet<String>,
    columns: HashMap<(EntityTypeName, String), Column>,
}

#[derive(Debug)]
struct Stored {
    entity: Entity,
    parents: Box<[EntityUid]>,
    refs: Box<[EntityUid]>,
}

/// Entities by what an attribute is, or holds when it is a set.
type Column = HashMap<Key, Vec<u32>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Value(Literal),
    Element(Literal),
}

/// An entity as a request makes it, with what it leads to.
pub(super) struct Overlay {
    pub(super) entity: Entity,
    next: Vec<EntityUid>,
}

impl EntityStore {
    /// Nothing is known yet. Facts are checked against the schema where there is one.
    pub fn new(schema: Option<Schema>) -> Self {
        Self { schema, ..Self::default() }
    }

    /// How many entities are known.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(super) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    pub(super) fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Takes an entity in Cedar's JSON form (`uid`, `attrs`, `parents`); one that is known is
    /// replaced. The name is given back.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn upsert(&mut self, json: &Value) -> Result<(String, String), String> {
        let entity = self.read(json)?;
        Ok(self.put(entity))
    }

    /// Forgets an entity; false when it was not known.
    pub fn remove(&mut self, kind: &str, id: &str) -> bool {
        let Ok(uid) = self.kinds.uid(kind, id) else { return false };
        let Some(number) = self.numbers.remove(&uid) else { return false };
        self.unfile(number, &uid);
        take(self.of_kind.entry(uid.type_name().clone()).or_default(), number);
        true
    }

    /// Takes an entity that was read before; its type and id are given back.
    pub fn put(&mut self, entity: Entity) -> (String, String) {
        let uid = entity.uid();
        let named = (uid.type_name().to_string(), uid.id().unescaped().to_owned());
        let number = match self.numbers.get(&uid) {
            Some(number) => {
                let number = *number;
                self.unfile(number, &uid);
                number
            }
            None => {
                let Ok(number) = u32::try_from(self.slab.len()) else { return named };
                self.slab.push(None);
                self.numbers.insert(uid.clone(), number);
                self.of_kind.entry(uid.type_name().clone()).or_default().push(number);
                number
            }
        };
        let (_, _, parents) = entity.clone().into_inner();
        let mut refs = Vec::new();
        entity.attrs().chain(entity.tags()).filter_map(|(_, value)| value.ok()).for_each(|value| entities_in(&value, &mut refs));
        for parent in &parents {
            insert(self.below.entry(parent.clone()).or_default(), number);
        }
        for (name, key) in keys(&entity, &self.looked_up) {
            insert(self.columns.entry((uid.type_name().clone(), name)).or_default().entry(key).or_default(), number);
        }
        if let Some(place) = self.slab.get_mut(number as usize) {
            *place = Some(Stored { entity, parents: parents.into_iter().collect(), refs: refs.into() });
        }
        named
    }

    fn unfile(&mut self, number: u32, uid: &EntityUid) {
        let Some(stored) = self.slab.get_mut(number as usize).and_then(Option::take) else { return };
        for parent in &stored.parents {
            self.below.entry(parent.clone()).and_modify(|list| take(list, number));
        }
        for (name, key) in keys(&stored.entity, &self.looked_up) {
            if let Some(list) = self.columns.get_mut(&(uid.type_name().clone(), name)).and_then(|column| column.get_mut(&key)) {
                take(list, number);
            }
        }
    }

    /// Which attributes entities are looked up by; those that are known are filed anew.
    pub(super) fn look_up_by(&mut self, names: BTreeSet<String>) {
        self.looked_up = names;
        self.columns.clear();
        for (number, stored) in (0_u32..).zip(&self.slab) {
            let Some(stored) = stored else { continue };
            for (name, key) in keys(&stored.entity, &self.looked_up) {
                self.columns.entry((stored.entity.uid().type_name().clone(), name)).or_default().entry(key).or_default().push(number);
            }
        }
    }

    /// Reads an entity without taking it.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn read(&self, json: &Value) -> Result<Entity, String> {
        let Some(fields) = json.as_object() else { return Err("an entity is an object with `uid`, `attrs` and `parents`".to_owned()) };
        let uid = self.kinds.read_uid(fields.get("uid").unwrap_or(&Value::Null))?;
        let told = |reason: String| format!("{uid}: {reason}");
        if let Some(schema) = &self.schema {
            let mut whole = json!({"uid": {"type": uid.type_name().to_string(), "id": uid.id().unescaped()}, "attrs": {}, "parents": []});
            for name in ["attrs", "parents", "tags"] {
                if let (Some(value), Some(whole)) = (fields.get(name).and_then(for_schema), whole.as_object_mut()) {
                    whole.insert(name.to_owned(), value);
                }
            }
            return Entity::from_json_value(whole, Some(schema)).map_err(|error| told(chain(&error)));
        }
        let empty = Map::new();
        let section = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(&empty),
            Some(Value::Object(fields)) => Ok(fields),
            Some(_) => Err(told(format!("`{name}` is an object"))),
        };
        let parents = match fields.get("parents") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(all)) => all.iter().map(|one| self.kinds.read_uid(one)).collect::<Result<_, _>>().map_err(told)?,
            Some(_) => return Err(told("`parents` is a list".to_owned())),
        };
        let values = |name: &str| -> Result<Vec<(String, RestrictedExpression)>, String> { self.kinds.values(section(name)?).map_err(told) };
        Entity::new_with_tags(uid.clone(), values("attrs")?, parents, values("tags")?).map_err(|error| told(chain(&error)))
    }

    /// What is known of an entity, with the properties of a request over it; none when neither says
    /// anything.
    pub(super) fn overlay(&self, uid: &EntityUid, party: &Party) -> Result<Option<Overlay>, String> {
        if party.properties.is_empty() && party.joins.is_empty() && party.leaves.is_empty() {
            return Ok(None);
        }
        let known = self.stored(uid).map(|stored| stored.entity.to_json_value().map_err(|error| error.to_string())).transpose()?;
        let mut whole = known.unwrap_or_else(|| json!({"attrs": {}, "parents": []}));
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("uid".to_owned(), json!({"type": party.kind, "id": party.id}));
            if let Some(Value::Array(all)) = fields.get_mut("parents") {
                let is = |named: &Value, group: &weft_model::EntityUid| {
                    named.get("type").and_then(Value::as_str) == Some(&group.kind) && named.get("id").and_then(Value::as_str) == Some(&group.id)
                };
                all.retain(|named| !party.leaves.iter().any(|group| is(named, group)));
                all.extend(party.joins.iter().map(|group| json!({"type": group.kind, "id": group.id})));
            }
            if let Some(Value::Object(attrs)) = fields.get_mut("attrs") {
                attrs.extend(party.properties.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        self.read(&whole).map(|entity| Some(Overlay::of(entity)))
    }

    fn stored(&self, uid: &EntityUid) -> Option<&Stored> {
        self.slab.get(*self.numbers.get(uid)? as usize)?.as_ref()
    }

    pub(super) fn number(&self, uid: &EntityUid) -> Option<u32> {
        self.numbers.get(uid).copied()
    }

    pub(super) fn uid_of(&self, number: u32) -> Option<EntityUid> {
        self.slab.get(number as usize)?.as_ref().map(|stored| stored.entity.uid())
    }

    pub(super) fn parents(&self, uid: &EntityUid) -> &[EntityUid] {
        self.stored(uid).map_or(&[], |stored| &stored.parents)
    }

    /// The attributes of an entity as JSON; none when it is not known.
    pub fn facts(&self, kind: &str, id: &str) -> Option<Map<String, Value>> {
        match self.stored(&self.kinds.uid(kind, id).ok()?)?.entity.to_json_value().ok()?.get_mut("attrs").map(Value::take) {
            Some(Value::Object(attrs)) => Some(attrs),
            _ => Some(Map::new()),
        }
    }

    /// An attribute as JSON.
    pub(super) fn attribute(&self, uid: &EntityUid, name: &str) -> Option<Value> {
        self.stored(uid)?.entity.to_json_value().ok()?.get("attrs")?.get(name).cloned()
    }

    /// Numbers of all entities of a type, ascending.
    pub(super) fn of_kind(&self, kind: &EntityTypeName) -> &[u32] {
        self.of_kind.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Entities of a type whose attribute is, or holds, a value.
    pub(super) fn holding(&self, kind: &EntityTypeName, attribute: &str, key: &Key) -> &[u32] {
        let column = self.columns.get(&(kind.clone(), attribute.to_owned()));
        column.and_then(|column| column.get(key)).map_or(&[], Vec::as_slice)
    }

    /// Entities of a type that are this one or below it, ascending.
    pub(super) fn within(&self, kind: &EntityTypeName, top: &EntityUid) -> Vec<u32> {
        let (mut seen, mut open, mut found) = (HashSet::from([top.clone()]), vec![top.clone()], Vec::new());
        found.extend(self.number(top).filter(|_| top.type_name() == kind));
        while let Some(uid) = open.pop() {
            for number in self.below.get(&uid).into_iter().flatten() {
                let Some(stored) = self.slab.get(*number as usize).and_then(Option::as_ref) else { continue };
                let uid = stored.entity.uid();
                if uid.type_name() == kind {
                    found.push(*number);
                }
                // Only what has something below it is looked into again.
                if self.below.contains_key(&uid) && seen.insert(uid.clone()) {
                    open.push(uid);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Everything that can be looked at from these: themselves, what is above, what attributes name.
    pub(super) fn reach(&self, roots: impl IntoIterator<Item = EntityUid>, overlays: &[Overlay]) -> Result<Reach, String> {
        let mut reach = Reach { entities: Vec::new(), touched: HashSet::new() };
        let mut open: Vec<EntityUid> = roots.into_iter().collect();
        while let Some(uid) = open.pop() {
            if !reach.touched.insert(uid.clone()) {
                continue;
            }
            if let Some(over) = overlays.iter().find(|over| over.entity.as_ref().uid() == uid.as_ref()) {
                open.extend(over.next.iter().cloned());
                reach.entities.push(over.entity.clone());
            } else if let Some(stored) = self.stored(&uid) {
                open.extend(stored.parents.iter().chain(&stored.refs).cloned());
                reach.entities.push(stored.entity.clone());
            }
            if reach.entities.len() > REACH_ENTITIES_MAX {
                return Err(format!("more than {REACH_ENTITIES_MAX} entities would have to be looked at; use fewer groups or references"));
            }
        }
        Ok(reach)
    }
}

/// What a decision can look at.
pub(super) struct Reach {
    pub(super) entities: Vec<Entity>,
    /// Also those of which nothing is known.
    pub(super) touched: HashSet<EntityUid>,
}

impl Overlay {
    pub(super) fn of(entity: Entity) -> Self {
        let (_, _, parents) = entity.clone().into_inner();
        let mut next: Vec<EntityUid> = parents.into_iter().collect();
        entity.attrs().filter_map(|(_, value)| value.ok()).for_each(|value| entities_in(&value, &mut next));
        Self { entity, next }
    }
}

/// What an entity is looked up by.
fn keys(entity: &Entity, names: &BTreeSet<String>) -> Vec<(String, Key)> {
    let mut found = Vec::new();
    for name in names {
        match entity.attr(name).and_then(Result::ok) {
            Some(cedar_policy::EvalResult::Set(set)) => {
                found.extend(set.iter().filter_map(|one| Some((name.clone(), Key::Element(Literal::of(one.clone())?)))));
            }
            Some(value) => found.extend(Literal::of(value).map(|value| (name.clone(), Key::Value(value)))),
            None => {}
        }
    }
    found
}

/// An error with what it says of its cause, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn insert(list: &mut Vec<u32>, number: u32) {
    match list.last() {
        Some(last) if *last >= number => {
            if let Err(at) = list.binary_search(&number) {
                list.insert(at, number);
            }
        }
        _ => list.push(number),
    }
}

fn take(list: &mut Vec<u32>, number: u32) {
    if let Ok(at) = list.binary_search(&number) {
        list.remove(at);
    }
}
