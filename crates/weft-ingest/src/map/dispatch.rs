//! Which plans can fit a record, found by one look instead of one condition after the other.

use hashbrown::HashMap;

use super::code::Code;
use super::program::{Dispatch, Plan};
use super::value::Val;
use crate::language::expr::Op;

/// Makes the table for the first `count` plans.
pub fn of(plans: &[Plan], count: usize) -> Dispatch {
    let plans: Vec<&Plan> = plans.iter().take(count).collect();
    let mut keys: HashMap<&[u32], usize> = HashMap::new();
    for plan in &plans {
        for (slots, _) in plan.when.iter().flat_map(equalities) {
            *keys.entry(slots).or_default() += 1;
        }
    }
    // Of equals the smallest slots, so that the table is the same on every start.
    let Some((key, _)) = keys.into_iter().max_by(|(a, n), (b, m)| n.cmp(m).then_with(|| b.cmp(a))) else {
        return Dispatch { rest: (0..plans.len()).collect(), ..Dispatch::default() };
    };
    let wanted: Vec<Option<Vec<String>>> =
        plans.iter().map(|plan| plan.when.iter().flat_map(equalities).find(|(slots, _)| *slots == key).map(|(_, values)| values)).collect();
    let mut by_value: HashMap<String, Box<[usize]>> = HashMap::new();
    for value in wanted.iter().flatten().flatten() {
        if !by_value.contains_key(value) {
            let fitting = wanted.iter().enumerate().filter(|(_, values)| values.as_ref().is_none_or(|values| values.contains(value))).map(|(place, _)| place);
            by_value.insert(value.clone(), fitting.collect());
        }
    }
    let rest = wanted.iter().enumerate().filter(|(_, values)| values.is_none()).map(|(place, _)| place).collect();
    Dispatch { key: Some(Code::Slots(key.into())), by_value, rest }
}

/// The values that a condition wants of paths, where it cannot hold with any other.
fn equalities(when: &Code) -> Vec<(&[u32], Vec<String>)> {
    match when {
        Code::All(parts) => parts.iter().flat_map(equalities).collect(),
        Code::Compare(Op::Equal, sides) => match &**sides {
            [Code::Slots(slots), constant] | [constant, Code::Slots(slots)] => {
                canonical_code(constant).map(|value| vec![(&**slots, vec![value])]).unwrap_or_default()
            }
            _ => Vec::new(),
        },
        Code::In(value, list) => match &**value {
            Code::Slots(slots) => list.iter().map(canonical_code).collect::<Option<Vec<_>>>().map(|values| vec![(&**slots, values)]).unwrap_or_default(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn canonical_code(code: &Code) -> Option<String> {
    match code {
        Code::Text(text) => canonical(Val::Text(text)),
        Code::Int(number) => canonical(Val::Int(*number)),
        _ => None,
    }
}

/// Numbers and numeric text are the same, as in `==`.
pub fn canonical(value: Val<'_>) -> Option<String> {
    match value {
        Val::Text(text) if text.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'_' | b'-')) => Some(text.to_owned()),
        Val::Text(_) | Val::Int(_) | Val::Float(_) => value.int().map(|number| number.to_string()).or_else(|| value.as_str().map(str::to_owned)),
        _ => None,
    }
}

impl Dispatch {
    /// Plans that can fit a record whose key has this value.
    pub fn plans(&self, value: Val<'_>) -> &[usize] {
        let found = match value {
            Val::Text(text) => self.by_value.get(text).or_else(|| self.by_value.get(canonical(value)?.as_str())),
            Val::Int(number) => {
                let mut digits = [0; 20];
                self.by_value.get(decimal(number, &mut digits))
            }
            other => canonical(other).and_then(|value| self.by_value.get(value.as_str())),
        };
        found.unwrap_or(&self.rest)
    }
}

/// Decimal digits without an allocation, for event ids.
fn decimal(number: i64, buffer: &mut [u8; 20]) -> &str {
    use std::io::Write as _;
    let length = buffer.len();
    let mut rest: &mut [u8] = buffer;
    let _fits_always = write!(rest, "{number}");
    let used = length - rest.len();
    buffer.get(..used).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or("")
}
