//! Correlation documents: several events over time, on event time.

use super::Fault;
use super::yaml::Node;

/// A correlation as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    /// What is counted or ordered.
    pub kind: CorrelationKind,
    /// Rules (by id or name) whose events take part; correlations may be chained.
    pub rules: Vec<String>,
    /// Fields whose values must be equal.
    pub group_by: Vec<String>,
    /// Longest time between the first and the last event.
    pub timespan_ms: i64,
    /// Other names of group-by fields: alias, rule, field.
    pub aliases: Vec<(String, String, String)>,
    /// Whether the rules that take part speak for themselves too.
    pub generate: bool,
}

/// What a correlation asks of the events of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorrelationKind {
    /// So many events.
    EventCount(Threshold),
    /// So many distinct values of a field.
    ValueCount(Threshold, String),
    /// Every rule at least once.
    Temporal,
    /// Every rule at least once, in the order written.
    TemporalOrdered,
}

/// The least count that fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold(pub usize);

/// Most events that one correlation can ask for; bounds the memory of a group.
pub const THRESHOLD_MAX: usize = 10_000;

pub(super) fn parse(node: &Node) -> Result<Correlation, Fault> {
    let Some(kind) = node.text("type")? else { return Err(Fault::at(node.line, "`correlation.type` is missing")) };
    let rules = node.texts("rules")?;
    if rules.is_empty() {
        return Err(Fault::at(node.line, "`correlation.rules` is missing"));
    }
    let Some(span) = node.text("timespan")? else { return Err(Fault::at(node.line, "`correlation.timespan` is missing")) };
    let timespan_ms = timespan(&span)
        .ok_or_else(|| Fault::at(node.get("timespan").map_or(node.line, |node| node.line), format!("`{span}` is not a time span such as 10m")))?;
    let kind = match kind.as_str() {
        "event_count" => CorrelationKind::EventCount(threshold(node)?),
        "value_count" => CorrelationKind::ValueCount(threshold(node)?, counted_field(node)?),
        "temporal" => CorrelationKind::Temporal,
        "temporal_ordered" => CorrelationKind::TemporalOrdered,
        other => {
            return Err(Fault::at(
                node.line,
                format!("the correlation type `{other}` is not known; known are event_count, value_count, temporal, temporal_ordered"),
            ));
        }
    };
    Ok(Correlation { kind, rules, group_by: node.texts("group-by")?, timespan_ms, aliases: aliases(node)?, generate: generate(node)? })
}

fn generate(node: &Node) -> Result<bool, Fault> {
    match node.text("generate")?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Fault::at(node.line, format!("`correlation.generate` must be true or false, not `{other}`"))),
    }
}

/// Only lower bounds: an upper bound asks for what did not happen, which needs a closed window.
fn threshold(node: &Node) -> Result<Threshold, Fault> {
    let Some(condition) = node.get("condition") else { return Err(Fault::at(node.line, "`correlation.condition` is missing")) };
    let number = |key: &str| -> Result<Option<usize>, Fault> {
        let Some(text) = condition.text(key)? else { return Ok(None) };
        text.parse()
            .ok()
            .filter(|count| (1..=THRESHOLD_MAX).contains(count))
            .map(Some)
            .ok_or_else(|| Fault::at(condition.line, format!("`{text}` must be a number from 1 to {THRESHOLD_MAX}")))
    };
    if let Some((key, value)) = condition.entries().iter().find(|(key, _)| !matches!(key.as_str(), "gte" | "gt" | "eq" | "field")) {
        return Err(Fault::at(value.line, format!("`{key}` in a correlation condition is not supported; write gte or gt")));
    }
    match (number("gte")?, number("gt")?, number("eq")?) {
        (Some(count), None, None) | (None, None, Some(count)) => Ok(Threshold(count)),
        (None, Some(count), None) => Ok(Threshold(count.saturating_add(1))),
        _ => Err(Fault::at(condition.line, "a correlation condition needs exactly one of gte, gt, eq")),
    }
}

fn counted_field(node: &Node) -> Result<String, Fault> {
    node.get("condition").map_or(Ok(None), |condition| condition.text("field"))?.ok_or_else(|| Fault::at(node.line, "`correlation.condition.field` is missing"))
}

fn aliases(node: &Node) -> Result<Vec<(String, String, String)>, Fault> {
    let mut aliases = Vec::new();
    for (alias, rules) in node.get("aliases").map(Node::entries).unwrap_or_default() {
        for (rule, field) in rules.entries() {
            let field = field.scalar().ok_or_else(|| Fault::at(field.line, format!("the alias `{alias}` must name a field")))?;
            aliases.push((alias.clone(), rule.clone(), field));
        }
    }
    Ok(aliases)
}

/// `30s`, `10m`, `2h`, `14d`, `1w` in milliseconds; at most ten years.
pub(crate) fn timespan(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let count: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    count.checked_mul(seconds)?.checked_mul(1_000).filter(|ms| (1..=315_360_000_000).contains(ms))
}
