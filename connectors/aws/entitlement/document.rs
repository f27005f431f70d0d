//! A policy document (AWS IAM User Guide, "IAM JSON policy element reference").

use serde_json::{Map, Value, json};
use weft_model::access::Effect;
use weft_model::entitlement::{Condition, Document, Match, Order, PrincipalPattern, Quantifier, Statement, Test, TestKind};

/// Statements of one policy.
const STATEMENTS_MAX: usize = 100_000;
/// The version since which `${…}` is a variable.
const WITH_VARIABLES: &str = "2012-10-17";

/// Reads a document, given as JSON or as text of JSON (percent-encoded, as the command line prints it, or not).
///
/// Statements that cannot be read are told and left out; the others count.
pub fn read(name: &str, value: &Value, faults: &mut Vec<String>) -> Document {
    let parsed;
    let value = match value {
        Value::String(text) => {
            let text = if text.trim_start().starts_with('%') { decode(text) } else { text.clone() };
            parsed = serde_json::from_str(&text).unwrap_or_else(|error| {
                faults.push(format!("the policy `{name}` is not JSON: {error}"));
                Value::Null
            });
            &parsed
        }
        value => value,
    };
    let variables = value.get("Version").and_then(Value::as_str) == Some(WITH_VARIABLES);
    let statements = match value.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => {
            if !value.is_null() {
                faults.push(format!("the policy `{name}` has no `Statement`"));
            }
            &[]
        }
    };
    if statements.len() > STATEMENTS_MAX {
        faults.push(format!("the policy `{name}` has more than {STATEMENTS_MAX} statements; the rest is left out"));
    }
    let mut read = Vec::with_capacity(statements.len());
    for (number, statement) in statements.iter().take(STATEMENTS_MAX).enumerate() {
        match one(statement, number + 1, variables) {
            Ok(statement) => read.push(statement),
            Err(reason) => faults.push(format!("statement {} of the policy `{name}`: {reason}", number + 1)),
        }
    }
    Document { name: name.to_owned(), statements: read }
}

fn one(value: &Value, number: usize, variables: bool) -> Result<Statement, String> {
    let statement = value.as_object().ok_or("is not an object")?;
    let effect = match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Permit,
        Some("Deny") => Effect::Forbid,
        Some(other) => return Err(format!("`Effect` is `{other}`; it must be `Allow` or `Deny`")),
        None => return Err("`Effect` is missing".into()),
    };
    let id = statement.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty());
    let principals = either(statement, "Principal", "NotPrincipal");
    let actions = either(statement, "Action", "NotAction").ok_or("`Action` is missing")?;
    let resources = either(statement, "Resource", "NotResource");
    if resources.is_none() && principals.is_none() {
        return Err("`Resource` is missing".into());
    }
    Ok(Statement {
        id: id.map_or_else(|| format!("#{number}"), str::to_owned),
        effect,
        principals: principals.map(|(value, negated)| Ok::<_, String>(Match { negated, patterns: who(value)? })).transpose()?,
        actions: Match { negated: actions.1, patterns: texts(actions.0)? },
        except: Vec::new(),
        // A trust policy says nothing of resources: it is about the role that it stands at.
        resources: resources.map_or(Ok(Match::of(vec!["*".to_owned()])), |(value, negated)| Ok::<_, String>(Match { negated, patterns: texts(value)? }))?,
        conditions: statement.get("Condition").map(conditions).transpose()?.unwrap_or_default(),
        variables,
    })
}

fn either<'v>(statement: &'v Map<String, Value>, plain: &str, negated: &str) -> Option<(&'v Value, bool)> {
    statement.get(plain).map(|value| (value, false)).or_else(|| statement.get(negated).map(|value| (value, true)))
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        other => Err(format!("`{other}` is not a text")),
    };
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => Ok(vec![text(value)?]),
    }
}

fn who(value: &Value) -> Result<Vec<PrincipalPattern>, String> {
    let Value::Object(kinds) = value else { return Ok(texts(value)?.into_iter().map(account_or_name).collect()) };
    let mut found = Vec::new();
    for (kind, names) in kinds {
        for name in texts(names)? {
            found.push(match kind.as_str() {
                "AWS" => account_or_name(name),
                "Service" if name == "*" => PrincipalPattern::Anyone,
                "Service" => PrincipalPattern::Service(name),
                "Federated" => PrincipalPattern::Federated(name),
                "CanonicalUser" => PrincipalPattern::Named(name),
                other => return Err(format!("`{other}` is no kind of principal")),
            });
        }
    }
    Ok(found)
}

/// `*`, an account (its number, or its root), or a name.
fn account_or_name(name: String) -> PrincipalPattern {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if name == "*" {
        return PrincipalPattern::Anyone;
    }
    if is_account(&name) {
        return PrincipalPattern::Account(name);
    }
    match name.strip_suffix(":root").and_then(|name| name.rsplit(':').next()) {
        Some(account) => PrincipalPattern::Account(account.to_owned()),
        None => PrincipalPattern::Named(name),
    }
}

fn conditions(value: &Value) -> Result<Vec<Condition>, String> {
    let operators = value.as_object().ok_or("`Condition` is not an object")?;
    let mut found = Vec::new();
    for (operator, keys) in operators {
        let (test, each, if_exists) = test(operator).ok_or_else(|| format!("`{operator}` is no condition operator"))?;
        for (key, values) in keys.as_object().ok_or_else(|| format!("`{operator}` is not an object"))? {
            let values = texts(values)?;
            let text = format!("{operator} {key} {}", values.join(", "));
            found.push(Condition { test, each, if_exists, key: key.to_ascii_lowercase(), values, text });
        }
    }
    Ok(found)
}

/// An operator with its set quantifier and `IfExists`; operators count without case.
fn test(operator: &str) -> Option<(Test, Quantifier, bool)> {
    let lower = operator.to_ascii_lowercase();
    let (each, rest) = match lower.split_once(':') {
        Some(("foranyvalue", rest)) => (Quantifier::Any, rest),
        Some(("forallvalues", rest)) => (Quantifier::All, rest),
        Some(_) => return None,
        None => (Quantifier::One, lower.as_str()),
    };
    let (name, if_exists) = rest.strip_suffix("ifexists").map_or((rest, false), |name| (name, true));
    let (kind, negated) = match name {
        "stringequals" => (TestKind::Text, false),
        "stringnotequals" => (TestKind::Text, true),
        "stringequalsignorecase" => (TestKind::TextNoCase, false),
        "stringnotequalsignorecase" => (TestKind::TextNoCase, true),
        "stringlike" => (TestKind::TextLike, false),
        "stringnotlike" => (TestKind::TextLike, true),
        "numericequals" => (TestKind::Number(Order::Equal), false),
        "numericnotequals" => (TestKind::Number(Order::Equal), true),
        "numericlessthan" => (TestKind::Number(Order::Less), false),
        "numericlessthanequals" => (TestKind::Number(Order::LessEqual), false),
        "numericgreaterthan" => (TestKind::Number(Order::Greater), false),
        "numericgreaterthanequals" => (TestKind::Number(Order::GreaterEqual), false),
        "dateequals" => (TestKind::Date(Order::Equal), false),
        "datenotequals" => (TestKind::Date(Order::Equal), true),
        "datelessthan" => (TestKind::Date(Order::Less), false),
        "datelessthanequals" => (TestKind::Date(Order::LessEqual), false),
        "dategreaterthan" => (TestKind::Date(Order::Greater), false),
        "dategreaterthanequals" => (TestKind::Date(Order::GreaterEqual), false),
        "bool" => (TestKind::Bool, false),
        "binaryequals" => (TestKind::Binary, false),
        "ipaddress" => (TestKind::Address, false),
        "notipaddress" => (TestKind::Address, true),
        "arnequals" | "arnlike" => (TestKind::Name, false),
        "arnnotequals" | "arnnotlike" => (TestKind::Name, true),
        "null" => (TestKind::Absent, false),
        _ => return None,
    };
    Some((Test { kind, negated }, each, if_exists))
}

/// Writes a document as AWS takes it.
pub fn write(document: &Document) -> Value {
    let statements: Vec<Value> = document.statements.iter().map(statement).collect();
    json!({"Version": WITH_VARIABLES, "Statement": statements})
}

fn statement(statement: &Statement) -> Value {
    let mut fields = Map::new();
    if !statement.id.starts_with('#') {
        fields.insert("Sid".to_owned(), json!(statement.id));
    }
    fields.insert("Effect".to_owned(), json!(if statement.effect == Effect::Permit { "Allow" } else { "Deny" }));
    fields.insert(if statement.actions.negated { "NotAction" } else { "Action" }.to_owned(), json!(statement.actions.patterns));
    fields.insert(if statement.resources.negated { "NotResource" } else { "Resource" }.to_owned(), json!(statement.resources.patterns));
    let mut conditions = Map::new();
    for condition in &statement.conditions {
        // The text begins with operator and key, as they were written.
        let mut words = condition.text.split(' ');
        let (Some(operator), Some(key)) = (words.next(), words.next()) else { continue };
        let operator = conditions.entry(operator.to_owned()).or_insert_with(|| json!({}));
        if let Some(operator) = operator.as_object_mut() {
            operator.insert(key.to_owned(), json!(condition.values));
        }
    }
    if !conditions.is_empty() {
        fields.insert("Condition".to_owned(), Value::Object(conditions));
    }
    Value::Object(fields)
}

/// Percent-decoding (RFC 3986 section 2.1), as far as it is well-formed.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, hex) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
