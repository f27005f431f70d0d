//! JSON of requests and facts as Cedar values.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use cedar_policy::{EntityId, EntityTypeName, EntityUid, EvalResult, RestrictedExpression};
use serde_json::{Map, Value, json};

/// Deepest value.
const DEPTH_MAX: usize = 32;
/// Longest name of an entity type.
const KIND_CHARS_MAX: usize = 256;
/// Names of types that are kept ready.
const KINDS_MAX: usize = 10_000;

/// Names of entity types that were parsed before: Cedar's own parser takes longer than a decision.
#[derive(Debug, Default)]
pub(crate) struct Kinds(RwLock<HashMap<String, EntityTypeName>>);

impl Kinds {
    pub(crate) fn kind(&self, name: &str) -> Result<EntityTypeName, String> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(known.clone());
        }
        let shown: String = name.chars().take(KIND_CHARS_MAX).collect();
        if shown.len() < name.len() {
            return Err(format!("`{shown}…` is longer than a name of a type may be"));
        }
        let kind =
            EntityTypeName::from_str(name).map_err(|_| format!("`{shown}` is not a name of a type; wanted is a word such as `User` or `Shop::Order`"))?;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < KINDS_MAX {
            known.insert(name.to_owned(), kind.clone());
        }
        Ok(kind)
    }

    pub(crate) fn uid(&self, kind: &str, id: &str) -> Result<EntityUid, String> {
        Ok(EntityUid::from_type_name_and_id(self.kind(kind)?, EntityId::new(id)))
    }

    /// `{"type": …, "id": …}`, bare or within `__entity`.
    pub(crate) fn read_uid(&self, value: &Value) -> Result<EntityUid, String> {
        let named = value.get("__entity").unwrap_or(value);
        match (named.get("type").and_then(Value::as_str), named.get("id").and_then(Value::as_str)) {
            (Some(kind), Some(id)) => self.uid(kind, id),
            _ => Err("an entity is named by `type` and `id`, both text".to_owned()),
        }
    }

    /// Named values; what is null is absent.
    pub(crate) fn values(&self, fields: &Map<String, Value>) -> Result<Vec<(String, RestrictedExpression)>, String> {
        let of = |(name, value): (&String, &Value)| match self.value(value, DEPTH_MAX) {
            Ok(value) => value.map(|value| Ok((name.clone(), value))),
            Err(reason) => Some(Err(format!("`{name}`: {reason}"))),
        };
        fields.iter().filter_map(of).collect()
    }

    fn value(&self, value: &Value, depth: usize) -> Result<Option<RestrictedExpression>, String> {
        let depth = depth.checked_sub(1).ok_or_else(|| format!("is nested deeper than {DEPTH_MAX} levels"))?;
        Ok(Some(match value {
            Value::Null => return Ok(None),
            Value::Bool(it) => RestrictedExpression::new_bool(*it),
            Value::String(it) => RestrictedExpression::new_string(it.clone()),
            Value::Number(it) => match (it.as_i64(), decimal(it)) {
                (Some(long), _) => RestrictedExpression::new_long(long),
                (None, Some(decimal)) => RestrictedExpression::new_decimal(decimal),
                (None, None) => RestrictedExpression::new_string(it.to_string()),
            },
            Value::Array(all) => {
                let all: Vec<_> = all.iter().filter_map(|one| self.value(one, depth).transpose()).collect::<Result<_, _>>()?;
                RestrictedExpression::new_set(all)
            }
            Value::Object(fields) if fields.contains_key("__entity") => RestrictedExpression::new_entity_uid(self.read_uid(value)?),
            Value::Object(fields) if fields.contains_key("__extn") => extension(value)?,
            Value::Object(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .filter_map(|(name, one)| self.value(one, depth).map(|one| one.map(|one| (name.clone(), one))).transpose())
                    .collect::<Result<_, _>>()?;
                RestrictedExpression::new_record(fields).map_err(|error| error.to_string())?
            }
        }))
    }
}

fn extension(value: &Value) -> Result<RestrictedExpression, String> {
    let part = |name: &str| value.pointer(&format!("/__extn/{name}")).and_then(Value::as_str);
    match (part("fn"), part("arg")) {
        (Some("ip"), Some(text)) => Ok(RestrictedExpression::new_ip(text)),
        (Some("decimal"), Some(text)) => Ok(RestrictedExpression::new_decimal(text)),
        (Some("datetime"), Some(text)) => Ok(RestrictedExpression::new_datetime(text)),
        (Some("duration"), Some(text)) => Ok(RestrictedExpression::new_duration(text)),
        _ => Err("`__extn` needs `fn` (ip, decimal, datetime or duration) and `arg`".to_owned()),
    }
}

/// A fraction as Cedar's decimal, which has four places; none when it has more.
fn decimal(number: &serde_json::Number) -> Option<String> {
    let value = number.as_f64().filter(|value| value.abs() < 9.0e14)?;
    let text = format!("{value:.4}");
    (text.parse::<f64>() == Ok(value)).then_some(text)
}

/// JSON for Cedar's own reader, which types it by a schema: no null, and fractions as decimals.
pub(crate) fn for_schema(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Null => return None,
        Value::Number(it) if it.as_i64().is_none() => match decimal(it) {
            Some(decimal) => json!({"__extn": {"fn": "decimal", "arg": decimal}}),
            None => Value::String(it.to_string()),
        },
        Value::Array(all) => all.iter().filter_map(for_schema).collect(),
        Value::Object(fields) => Value::Object(fields.iter().filter_map(|(name, value)| Some((name.clone(), for_schema(value)?))).collect()),
        other => other.clone(),
    })
}

/// Every entity that a value names.
pub(crate) fn entities_in(value: &EvalResult, found: &mut Vec<EntityUid>) {
    match value {
        EvalResult::EntityUid(uid) => found.push(uid.clone()),
        EvalResult::Set(set) => set.iter().for_each(|one| entities_in(one, found)),
        EvalResult::Record(record) => record.iter().for_each(|(_, one)| entities_in(one, found)),
        EvalResult::Bool(_) | EvalResult::Long(_) | EvalResult::String(_) | EvalResult::ExtensionValue(_) => {}
    }
}

/// Every entity that JSON names by `__entity`.
pub(crate) fn entities_in_json(kinds: &Kinds, value: &Value, found: &mut Vec<EntityUid>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| entities_in_json(kinds, one, found)),
        Value::Object(fields) if fields.contains_key("__entity") => found.extend(kinds.read_uid(value)),
        Value::Object(fields) => fields.values().for_each(|one| entities_in_json(kinds, one, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
