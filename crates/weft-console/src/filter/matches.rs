//! The same filter over one event in memory, for the live tail.

use serde_json::Value;

use super::fields::{Target, resolve};
use super::{Expr, Order, Term, Test};

/// Whether the event is one that the filter asks for; agrees with the SQL form.
pub fn matches(expr: &Expr, event: &Value) -> bool {
    match expr {
        Expr::All => true,
        Expr::Term(term) => term_matches(term, event),
        Expr::Group(inner, _) => matches(inner, event),
        Expr::Not(inner, _) => !matches(inner, event),
        Expr::And(parts) => parts.iter().all(|part| matches(part, event)),
        Expr::Or(parts) => parts.iter().any(|part| matches(part, event)),
    }
}

fn term_matches(term: &Term, event: &Value) -> bool {
    let Some(field) = &term.field else { return contains(&term.test, event) };
    match resolve(field) {
        Target::Observable(types) => observable_matches(&term.test, types, event),
        Target::Column(path) => at(event, &path).is_some_and(|value| value_matches(&term.test, value)),
    }
}

fn contains(test: &Test, event: &Value) -> bool {
    let Test::Contains(text) = test else { return false };
    let wanted = text.to_lowercase();
    ["raw_data", "message"].into_iter().filter_map(|key| event.get(key)?.as_str()).any(|text| text.to_lowercase().contains(&wanted))
}

fn observable_matches(test: &Test, types: &[i64], event: &Value) -> bool {
    let Test::Equals(wanted) = test else { return false };
    let observables = event.get("observables").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    observables.iter().any(|one| {
        let of_type = types.is_empty() || one.get("type_id").and_then(Value::as_i64).is_some_and(|id| types.contains(&id));
        of_type && one.get("value").and_then(Value::as_str) == Some(wanted)
    })
}

fn at<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(event, |value, key| value.get(key)).filter(|value| !value.is_null())
}

fn value_matches(test: &Test, value: &Value) -> bool {
    match test {
        Test::Exists => true,
        Test::Contains(_) => false,
        Test::Equals(wanted) => equals(value, wanted),
        Test::Like(parts) => value.as_str().is_some_and(|text| like(text, parts)),
        Test::Compare(order, wanted) => match (value.as_f64(), wanted.parse::<f64>()) {
            (Some(value), Ok(wanted)) => in_order(*order, value, wanted),
            _ => false,
        },
    }
}

fn equals(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Bool(truth) => wanted == if *truth { "true" } else { "false" },
        Value::Number(number) => number.as_f64().is_some_and(|number| {
            wanted.parse::<f64>().is_ok_and(|wanted| in_order(Order::LessOrEqual, number, wanted) && in_order(Order::GreaterOrEqual, number, wanted))
        }),
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(wanted)),
        Value::Null | Value::Object(_) => false,
    }
}

fn in_order(order: Order, value: f64, wanted: f64) -> bool {
    match order {
        Order::Less => value < wanted,
        Order::LessOrEqual => value <= wanted,
        Order::Greater => value > wanted,
        Order::GreaterOrEqual => value >= wanted,
    }
}

/// Whether the parts stand in the text in order, the first at its start and the last at its end.
fn like(text: &str, parts: &[String]) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
        rest = after;
    }
    rest.ends_with(last.as_str())
}
