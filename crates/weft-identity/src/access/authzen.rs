//! The AuthZEN Authorization API 1.0: JSON in, JSON out.
//!
//! A request that is not one is a [`Refusal`] (HTTP 400 with its message as body); one that is, but
//! cannot be decided, is a `false` with the reason. Fields that the specification does not name are
//! not looked at.

use serde_json::{Map, Value, json};
use weft_model::{Decision, Effect};

use super::point::{AccessPoint, Ask, Party};

/// Most evaluations of one request.
pub const EVALUATIONS_MAX: usize = 10_000;
/// Longest type, id or name.
const NAME_BYTES_MAX: usize = 4096;

/// Why a request is none, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// What was asked, and what the answer is: for the decision log.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The request.
    pub ask: Ask,
    /// The answer.
    pub decision: Decision,
}

/// An answer, with the decisions that it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// For the one who asked.
    pub body: Value,
    /// For the log.
    pub decided: Vec<Decided>,
}

/// Access Evaluation: one decision.
///
/// # Errors
/// A request that is none.
pub fn evaluation(point: &AccessPoint, request: &Value) -> Result<Answer, Refusal> {
    let ask = ask(fields(request, "the request")?)?;
    let decision = point.decide(&ask);
    Ok(Answer { body: told(point, &decision), decided: vec![Decided { ask, decision }] })
}

/// When a series of evaluations ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Semantics {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// Access Evaluations: a series of decisions; without a series, one.
///
/// # Errors
/// A request that is none. An evaluation that is none is a `false` with the reason.
pub fn evaluations(point: &AccessPoint, request: &Value) -> Result<Answer, Refusal> {
    let defaults = fields(request, "the request")?;
    let semantics = semantics(defaults)?;
    let series = match defaults.get("evaluations") {
        None => return evaluation(point, request),
        Some(Value::Array(all)) if all.is_empty() => return evaluation(point, request),
        Some(Value::Array(all)) if all.len() > EVALUATIONS_MAX => {
            return Err(Refusal(format!("`evaluations` has {} elements, at most {EVALUATIONS_MAX} are taken; send several requests", all.len())));
        }
        Some(Value::Array(all)) => all,
        Some(_) => return Err(Refusal("`evaluations` must be an array".to_owned())),
    };
    check_defaults(defaults)?;
    let (mut bodies, mut decided) = (Vec::with_capacity(series.len()), Vec::with_capacity(series.len()));
    for one in series {
        let (body, permit) = match item(defaults, one) {
            Ok(ask) => {
                let decision = point.decide(&ask);
                let body = told(point, &decision);
                let permit = decision.effect == Effect::Permit;
                decided.push(Decided { ask, decision });
                (body, permit)
            }
            Err(Refusal(reason)) => (json!({"decision": false, "context": {"reason": reason, "error": {"status": 400, "message": reason}}}), false),
        };
        bodies.push(body);
        match semantics {
            Semantics::DenyOnFirstDeny if !permit => break,
            Semantics::PermitOnFirstPermit if permit => break,
            _ => {}
        }
    }
    Ok(Answer { body: json!({"evaluations": bodies}), decided })
}

/// The requests of an evaluation or a series of them, for whoever decides them again and again.
///
/// # Errors
/// One of them is none.
pub fn asks(request: &Value) -> Result<Vec<Ask>, Refusal> {
    let defaults = fields(request, "the request")?;
    match defaults.get("evaluations") {
        None => Ok(vec![ask(defaults)?]),
        Some(Value::Array(all)) if all.is_empty() => Ok(vec![ask(defaults)?]),
        Some(Value::Array(all)) if all.len() > EVALUATIONS_MAX => Err(Refusal(format!("at most {EVALUATIONS_MAX} evaluations are taken"))),
        Some(Value::Array(all)) => all.iter().map(|one| item(defaults, one)).collect(),
        Some(_) => Err(Refusal("`evaluations` must be an array".to_owned())),
    }
}

fn semantics(request: &Map<String, Value>) -> Result<Semantics, Refusal> {
    let options = match request.get("options") {
        None => return Ok(Semantics::ExecuteAll),
        Some(options) => fields(options, "`options`")?,
    };
    match options.get("evaluations_semantic") {
        None => Ok(Semantics::ExecuteAll),
        Some(Value::String(name)) => match name.as_str() {
            "execute_all" => Ok(Semantics::ExecuteAll),
            "deny_on_first_deny" => Ok(Semantics::DenyOnFirstDeny),
            "permit_on_first_permit" => Ok(Semantics::PermitOnFirstPermit),
            _ => Err(Refusal("`options.evaluations_semantic` must be execute_all, deny_on_first_deny or permit_on_first_permit".to_owned())),
        },
        Some(_) => Err(Refusal("`options.evaluations_semantic` must be a string".to_owned())),
    }
}

/// Defaults need not be complete, but what is there must be what it should be.
fn check_defaults(defaults: &Map<String, Value>) -> Result<(), Refusal> {
    for name in ["subject", "resource"] {
        defaults.get(name).map_or(Ok(()), |value| party(value, name, true).map(drop))?;
    }
    defaults.get("action").map_or(Ok(()), |value| action(value).map(drop))?;
    context(defaults).map(drop)
}

/// One evaluation: what it does not say is that of the whole request.
fn item(defaults: &Map<String, Value>, one: &Value) -> Result<Ask, Refusal> {
    let own = fields(one, "an evaluation")?;
    let mut whole = Map::new();
    for name in ["subject", "action", "resource", "context"] {
        if let Some(value) = own.get(name).or_else(|| defaults.get(name)) {
            whole.insert(name.to_owned(), value.clone());
        }
    }
    ask(&whole)
}

fn fields<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| Refusal(format!("{what} must be a JSON object")))
}

fn needed<'v>(request: &'v Map<String, Value>, name: &str) -> Result<&'v Value, Refusal> {
    request.get(name).ok_or_else(|| Refusal(format!("`{name}` is missing")))
}

/// A whole request for one decision.
///
/// # Errors
/// What is missing or of the wrong type.
pub fn ask(request: &Map<String, Value>) -> Result<Ask, Refusal> {
    let principal = party(needed(request, "subject")?, "subject", true)?;
    let (action, action_properties) = action(needed(request, "action")?)?;
    let resource = party(needed(request, "resource")?, "resource", true)?;
    Ok(Ask { principal, action, action_properties, resource, context: context(request)? })
}

fn context(request: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    request.get("context").map_or_else(|| Ok(Map::new()), |context| fields(context, "`context`").cloned())
}

fn text(of: &Map<String, Value>, path: &str, name: &str) -> Result<String, Refusal> {
    match of.get(name) {
        Some(Value::String(text)) if text.is_empty() => Err(Refusal(format!("`{path}.{name}` is empty"))),
        Some(Value::String(text)) if text.len() > NAME_BYTES_MAX => Err(Refusal(format!("`{path}.{name}` is longer than {NAME_BYTES_MAX} bytes"))),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Refusal(format!("`{path}.{name}` must be a string"))),
        None => Err(Refusal(format!("`{path}.{name}` is missing"))),
    }
}

fn properties(of: &Map<String, Value>, path: &str) -> Result<Map<String, Value>, Refusal> {
    of.get("properties").map_or_else(|| Ok(Map::new()), |value| fields(value, &format!("`{path}.properties`")).cloned())
}

fn party(value: &Value, path: &str, with_id: bool) -> Result<Party, Refusal> {
    let of = fields(value, &format!("`{path}`"))?;
    let kind = text(of, path, "type")?;
    if !with_id {
        return Ok(Party { kind, ..Party::default() });
    }
    Ok(Party { kind, id: text(of, path, "id")?, properties: properties(of, path)?, ..Party::default() })
}

fn action(value: &Value) -> Result<(String, Map<String, Value>), Refusal> {
    let of = fields(value, "`action`")?;
    Ok((text(of, "action", "name")?, properties(of, "action")?))
}

/// A decision as AuthZEN tells it: with the determining policies and a reason for a person.
pub fn told(point: &AccessPoint, decision: &Decision) -> Value {
    let mut context = json!({"determining_policies": decision.determining, "reason": reason(point, decision)});
    if let (false, Some(fields)) = (decision.errors.is_empty(), context.as_object_mut()) {
        fields.insert("errors".to_owned(), json!(decision.errors));
    }
    json!({"decision": decision.effect == Effect::Permit, "context": context})
}

/// Why, for a person: the policies with what their authors say of them.
pub fn reason(point: &AccessPoint, decision: &Decision) -> String {
    let permit = decision.effect == Effect::Permit;
    if decision.determining.is_empty() {
        return match decision.errors.first() {
            Some(error) => format!("it could not be decided: {error}"),
            None => "no policy permits it".to_owned(),
        };
    }
    let named = decision.determining.iter().map(|id| point.policies().why(id).map_or_else(|| format!("`{id}`"), |why| format!("`{id}` ({why})")));
    format!("{} by {}", if permit { "permitted" } else { "forbidden" }, named.collect::<Vec<_>>().join(", "))
}

/// What a search asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// What is given; the party that is sought has a type and no id.
    pub ask: Ask,
    /// Most results of one page, when the request says so.
    pub limit: Option<usize>,
    /// From the last page.
    pub token: Option<String>,
}

/// What a search is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Subjects.
    Subject,
    /// Resources.
    Resource,
    /// Actions.
    Action,
}

/// Reads a search.
///
/// # Errors
/// A request that is none.
pub fn search_request(kind: Kind, request: &Value) -> Result<SearchRequest, Refusal> {
    let request = fields(request, "the request")?;
    let principal = party(needed(request, "subject")?, "subject", kind != Kind::Subject)?;
    let resource = party(needed(request, "resource")?, "resource", kind != Kind::Resource)?;
    let (action, action_properties) = match kind {
        Kind::Action => Default::default(),
        Kind::Subject | Kind::Resource => action(needed(request, "action")?)?,
    };
    let ask = Ask { principal, action, action_properties, resource, context: context(request)? };
    let empty = Map::new();
    let page = request.get("page").map_or(Ok(&empty), |page| fields(page, "`page`"))?;
    let limit = match page.get("limit") {
        None => None,
        Some(value) => match value.as_u64().and_then(|limit| usize::try_from(limit).ok()) {
            Some(limit) if limit > 0 => Some(limit),
            _ => return Err(Refusal("`page.limit` must be a number from 1".to_owned())),
        },
    };
    let token = match page.get("token") {
        None => None,
        Some(Value::String(token)) => Some(token.clone()).filter(|token| !token.is_empty()),
        Some(_) => return Err(Refusal("`page.token` must be a string".to_owned())),
    };
    Ok(SearchRequest { ask, limit, token })
}

impl SearchRequest {
    /// Where the page begins.
    ///
    /// # Errors
    /// A token that is none, or is that of another search.
    pub fn begin(&self, kind: Kind) -> Result<u32, Refusal> {
        let Some(token) = &self.token else { return Ok(0) };
        let (number, search) = token.split_once('.').ok_or_else(|| Refusal("`page.token` is none that was given here".to_owned()))?;
        let number = u32::from_str_radix(number, 16).map_err(|_| Refusal("`page.token` is none that was given here".to_owned()))?;
        if search != self.fingerprint(kind) {
            return Err(Refusal("`page.token` belongs to another search; send the same subject, action, resource and context".to_owned()));
        }
        Ok(number)
    }

    /// The token of the page that begins at a number; empty for none.
    pub fn token(&self, kind: Kind, next: Option<u32>) -> String {
        next.map(|number| format!("{number:x}.{}", self.fingerprint(kind))).unwrap_or_default()
    }

    fn fingerprint(&self, kind: Kind) -> String {
        let ask = &self.ask;
        let parties = [&ask.principal, &ask.resource].map(|party| json!([party.kind, party.id, party.properties]));
        let text = json!([format!("{kind:?}"), parties, ask.action, ask.action_properties, ask.context]).to_string();
        // FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv): it tells mistakes, it guards nothing.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        format!("{hash:016x}")
    }
}

/// A page of subjects or resources.
pub fn page(request: &SearchRequest, kind: Kind, ids: &[String], next: Option<u32>) -> Value {
    let of = if kind == Kind::Subject { &request.ask.principal.kind } else { &request.ask.resource.kind };
    let results: Vec<Value> = ids.iter().map(|id| json!({"type": of, "id": id})).collect();
    json!({"page": {"next_token": request.token(kind, next), "count": results.len()}, "results": results})
}

/// The actions that were found, from a place in their order on.
pub fn page_of_actions(request: &SearchRequest, names: &[String], begin: u32) -> Value {
    let begin = begin as usize;
    let count = request.limit.unwrap_or(names.len());
    let results: Vec<Value> = names.iter().skip(begin).take(count).map(|name| json!({"name": name})).collect();
    let next = begin.saturating_add(count);
    let next = u32::try_from(next).ok().filter(|_| next < names.len());
    json!({"page": {"next_token": request.token(Kind::Action, next), "count": results.len()}, "results": results})
}
