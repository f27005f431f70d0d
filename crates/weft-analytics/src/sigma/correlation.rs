//! Correlation documents: several events over time, on event time.

use super::Fault;
use super::condition::{self, Condition};
use super::yaml::{Node, Yaml};

/// A correlation as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    /// What is measured of the events of a window.
    pub measure: Measure,
    /// What the measure must be; all hold.
    pub bounds: Vec<Bound>,
    /// Which rules must have met, by their place in `rules`; only of temporal correlations.
    pub condition: Option<Condition>,
    /// Rules (by id or name) whose events take part; correlations may be chained.
    pub rules: Vec<String>,
    /// Fields whose values must be equal.
    pub group_by: Vec<String>,
    /// Longest time between the first and the last event.
    pub timespan_ms: i64,
    /// Where windows begin and end.
    pub window: WindowKind,
    /// Other names of group-by fields: alias, rule, field.
    pub aliases: Vec<(String, String, String)>,
    /// Whether the rules that take part speak for themselves too.
    pub generate: bool,
}

/// What a correlation measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// Number of events.
    EventCount,
    /// Number of distinct values of fields.
    ValueCount(Vec<String>),
    /// Sum of a field.
    Sum(String),
    /// Mean of a field.
    Average(String),
    /// A percentile of a field, by nearest rank; the median is the 50th.
    Percentile(String, u8),
    /// Number of different rules that met, in any order.
    Temporal,
    /// The rules, in the order written.
    TemporalOrdered,
}

/// Where windows begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// Any stretch of the time span.
    Sliding,
    /// Stretches of the time span that begin at its multiples since 1970.
    Tumbling,
    /// Events with no longer pause than this between them, at most the time span.
    Session {
        /// Longest pause.
        gap_ms: i64,
    },
}

/// One comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// How.
    pub comparison: Comparison,
    /// With what, in thousandths.
    pub thousandths: i64,
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Sigma's own names")]
pub enum Comparison {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

/// Most events that one correlation can ask for; bounds the memory of a group.
pub const THRESHOLD_MAX: i64 = 10_000;
/// Most rules of one temporal correlation.
pub const TEMPORAL_RULES_MAX: usize = 64;
/// Most rules of any correlation.
pub const RULES_MAX: usize = 10_000;

impl Bound {
    /// Whether a number of thousandths meets it.
    pub fn holds(&self, thousandths: i128) -> bool {
        let bound = i128::from(self.thousandths);
        match self.comparison {
            Comparison::Gt => thousandths > bound,
            Comparison::Gte => thousandths >= bound,
            Comparison::Lt => thousandths < bound,
            Comparison::Lte => thousandths <= bound,
            Comparison::Eq => thousandths == bound,
            Comparison::Neq => thousandths != bound,
        }
    }

    fn is_lower(&self) -> bool {
        matches!(self.comparison, Comparison::Gt | Comparison::Gte)
    }
}

impl Correlation {
    /// Whether more events can only make it hold, never end it: it can then speak at once,
    /// without waiting for the end of a window.
    pub fn is_monotone(&self) -> bool {
        let counts = !matches!(self.measure, Measure::Average(_) | Measure::Percentile(..));
        let session = matches!(self.window, WindowKind::Session { .. });
        counts && !session && self.bounds.iter().all(Bound::is_lower) && !self.condition.as_ref().is_some_and(negates)
    }

    /// The fields whose values are measured.
    pub fn measured(&self) -> &[String] {
        match &self.measure {
            Measure::ValueCount(fields) => fields,
            Measure::Sum(field) | Measure::Average(field) | Measure::Percentile(field, _) => std::slice::from_ref(field),
            Measure::EventCount | Measure::Temporal | Measure::TemporalOrdered => &[],
        }
    }
}

/// Whether there is a `not` in it.
pub fn negates(condition: &Condition) -> bool {
    match condition {
        Condition::Selection(_) => false,
        Condition::And(parts) | Condition::Or(parts) | Condition::AtLeast(_, parts) => parts.iter().any(negates),
        Condition::Not(_) => true,
    }
}

/// Reads the `correlation` section of a document.
///
/// # Errors
/// The first fault with its line.
pub(super) fn parse(node: &Node, document: &Node) -> Result<Correlation, Fault> {
    let Some(kind) = node.text("type")? else { return Err(Fault::at(node.line, "`correlation.type` is missing")) };
    let rules = node.texts("rules")?;
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(Fault::at(node.line, format!("`correlation.rules` must name 1 to {RULES_MAX} rules")));
    }
    let measure = measure(node, &kind)?;
    let mut of = Correlation {
        bounds: bounds(node, &measure)?,
        condition: None,
        group_by: node.texts("group-by")?,
        timespan_ms: timespan_of(node)?,
        window: window(node)?,
        aliases: aliases(node)?,
        generate: generate(node)? || generate(document)?,
        measure,
        rules,
    };
    if matches!(of.measure, Measure::Temporal | Measure::TemporalOrdered) {
        of.condition = temporal_condition(node, &of)?;
    }
    Ok(of)
}

fn measure(node: &Node, kind: &str) -> Result<Measure, Fault> {
    let one = || -> Result<String, Fault> {
        let fields = counted_fields(node)?;
        match fields.as_slice() {
            [field] => Ok(field.clone()),
            _ => Err(Fault::at(node.line, format!("`{kind}` measures exactly one field"))),
        }
    };
    Ok(match kind {
        "event_count" => Measure::EventCount,
        "value_count" => Measure::ValueCount(counted_fields(node)?),
        "value_sum" => Measure::Sum(one()?),
        "value_avg" => Measure::Average(one()?),
        "value_median" => Measure::Percentile(one()?, 50),
        "value_percentile" => Measure::Percentile(one()?, percentile(node)?),
        "temporal" => Measure::Temporal,
        "temporal_ordered" => Measure::TemporalOrdered,
        other => {
            return Err(Fault::at(
                node.get("type").map_or(node.line, |kind| kind.line),
                format!(
                    "the correlation type `{other}` is not known; known are event_count, value_count, value_sum, value_avg, value_median, value_percentile, temporal, temporal_ordered"
                ),
            ));
        }
    })
}

fn counted_fields(node: &Node) -> Result<Vec<String>, Fault> {
    let fields = node.get("condition").map_or(Ok(Vec::new()), |condition| condition.texts("field"))?;
    if fields.is_empty() { Err(Fault::at(node.line, "`correlation.condition.field` is missing")) } else { Ok(fields) }
}

fn percentile(node: &Node) -> Result<u8, Fault> {
    let text = node.get("condition").map_or(Ok(None), |condition| condition.text("percentile"))?;
    let number = text.as_deref().map_or(Some(50), |text| text.parse().ok()).filter(|number| (1..=100).contains(number));
    number.ok_or_else(|| Fault::at(node.line, "`correlation.condition.percentile` must be a whole number from 1 to 100"))
}

fn timespan_of(node: &Node) -> Result<i64, Fault> {
    let key = if node.get("timespan").is_some() { "timespan" } else { "timeframe" };
    let Some(span) = node.text(key)? else { return Err(Fault::at(node.line, "`correlation.timespan` is missing")) };
    timespan(&span).ok_or_else(|| Fault::at(node.get(key).map_or(node.line, |node| node.line), format!("`{span}` is not a time span such as 10m")))
}

fn window(node: &Node) -> Result<WindowKind, Fault> {
    let gap = node.text("gap")?;
    let line = node.get("window").map_or(node.line, |node| node.line);
    match (node.text("window")?.as_deref(), gap) {
        (None | Some("sliding"), None) => Ok(WindowKind::Sliding),
        (Some("tumbling"), None) => Ok(WindowKind::Tumbling),
        (Some("session"), Some(gap)) => {
            timespan(&gap).map(|gap_ms| WindowKind::Session { gap_ms }).ok_or_else(|| Fault::at(line, format!("`{gap}` is not a time span such as 5m")))
        }
        (Some("session"), None) => Err(Fault::at(line, "`window: session` needs `gap`, the longest pause within it, such as 5m")),
        (None | Some("sliding" | "tumbling"), Some(_)) => Err(Fault::at(line, "`gap` belongs to `window: session`")),
        (Some(other), _) => Err(Fault::at(line, format!("the window `{other}` is not known; known are sliding, tumbling, session"))),
    }
}

fn generate(node: &Node) -> Result<bool, Fault> {
    match node.text("generate")?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Fault::at(node.line, format!("`generate` must be true or false, not `{other}`"))),
    }
}

fn bounds(node: &Node, measure: &Measure) -> Result<Vec<Bound>, Fault> {
    let temporal = matches!(measure, Measure::Temporal | Measure::TemporalOrdered);
    let Some(condition) = node.get("condition") else {
        return if temporal { Ok(Vec::new()) } else { Err(Fault::at(node.line, "`correlation.condition` is missing")) };
    };
    if temporal && matches!(condition.value, Yaml::Text(_)) {
        return Ok(Vec::new());
    }
    let counts = matches!(measure, Measure::EventCount | Measure::ValueCount(_) | Measure::Temporal | Measure::TemporalOrdered);
    let mut bounds = Vec::new();
    for (key, value) in condition.entries().iter().filter(|(key, _)| !matches!(key.as_str(), "field" | "percentile")) {
        let Some(comparison) = comparison(key) else {
            return Err(Fault::at(
                value.line,
                format!("`{key}` in a correlation condition is not known; known are gt, gte, lt, lte, eq, neq, field, percentile"),
            ));
        };
        let text = value.scalar().unwrap_or_default();
        let thousandths = thousandths(&text).ok_or_else(|| Fault::at(value.line, format!("`{text}` must be a number")))?;
        if counts && !(0..=THRESHOLD_MAX * 1_000).contains(&thousandths) {
            return Err(Fault::at(value.line, format!("`{text}` must be a number from 0 to {THRESHOLD_MAX}")));
        }
        bounds.push(Bound { comparison, thousandths });
    }
    if bounds.is_empty() { Err(Fault::at(condition.line, "a correlation condition needs one of gt, gte, lt, lte, eq, neq")) } else { Ok(bounds) }
}

fn comparison(key: &str) -> Option<Comparison> {
    Some(match key {
        "gt" => Comparison::Gt,
        "gte" => Comparison::Gte,
        "lt" => Comparison::Lt,
        "lte" => Comparison::Lte,
        "eq" => Comparison::Eq,
        "neq" => Comparison::Neq,
        _ => return None,
    })
}

/// Which rules must have met: all, unless the condition says otherwise.
fn temporal_condition(node: &Node, of: &Correlation) -> Result<Option<Condition>, Fault> {
    let line = node.get("condition").map_or(node.line, |condition| condition.line);
    if of.rules.len() > TEMPORAL_RULES_MAX {
        return Err(Fault::at(line, format!("a temporal correlation takes at most {TEMPORAL_RULES_MAX} rules")));
    }
    let ordered = of.measure == Measure::TemporalOrdered;
    if !of.bounds.is_empty() {
        return if ordered { Err(Fault::at(line, "the condition of `temporal_ordered` joins rules by `and` and `not`; it takes no number")) } else { Ok(None) };
    }
    let text = node.get("condition").and_then(Node::scalar);
    let condition = match text {
        Some(text) => condition::parse(&text, &of.rules, line)?,
        None => Condition::And((0..of.rules.len()).map(Condition::Selection).collect()),
    };
    if !affirms(&condition) {
        return Err(Fault::at(line, "a correlation needs at least one rule that must be met; `not` alone never begins"));
    }
    if ordered && !is_conjunction(&condition) {
        return Err(Fault::at(line, "the condition of `temporal_ordered` joins rules by `and` and `not` only"));
    }
    Ok(Some(condition))
}

fn affirms(condition: &Condition) -> bool {
    match condition {
        Condition::Selection(_) => true,
        Condition::And(parts) | Condition::Or(parts) | Condition::AtLeast(_, parts) => parts.iter().any(affirms),
        Condition::Not(_) => false,
    }
}

fn is_conjunction(condition: &Condition) -> bool {
    let simple = |part: &Condition| match part {
        Condition::Selection(_) => true,
        Condition::Not(inner) => matches!(**inner, Condition::Selection(_)),
        Condition::And(_) | Condition::Or(_) | Condition::AtLeast(..) => false,
    };
    simple(condition) || matches!(condition, Condition::And(parts) if parts.iter().all(|part| simple(part) || is_conjunction(part)))
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

/// A decimal number in thousandths, so that sums are exact in any order; further digits are cut.
pub(crate) fn thousandths(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
        // Exponents are rare, and exact enough as they come.
        let float: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
        return Some((float * 1_000.0) as i64);
    }
    let part = part.bytes().chain([b'0'; 3]).take(3).fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let number = whole.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1_000).saturating_add(part);
    Some(if negative { -number } else { number })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Correlation, String> {
        let document = super::super::yaml::read(text).unwrap().remove(0);
        parse(document.get("correlation").unwrap(), &document).map_err(|fault| fault.reason)
    }

    fn of(kind: &str, condition: &str, more: &str) -> Result<Correlation, String> {
        read(&format!("correlation:\n  type: {kind}\n  rules: [a, b]\n  timespan: 5m\n  condition: {condition}\n{more}"))
    }

    #[test]
    fn what_can_speak_at_once() {
        for (kind, condition, monotone) in [
            ("event_count", "{gte: 3}", true),
            ("event_count", "{gt: 3, lte: 9}", false),
            ("event_count", "{eq: 3}", false),
            ("value_sum", "{field: x, gte: 3.5}", true),
            ("value_avg", "{field: x, gte: 3}", false),
            ("value_median", "{field: x, lt: 3}", false),
            ("temporal", "a and b", true),
            ("temporal", "{gte: 2}", true),
            ("temporal_ordered", "a and not b", false),
        ] {
            assert_eq!(of(kind, condition, "").unwrap().is_monotone(), monotone, "{kind} {condition}");
        }
        assert!(!of("event_count", "{gte: 3}", "  window: session\n  gap: 1m\n").unwrap().is_monotone());
    }

    #[test]
    fn faults_say_what_to_do() {
        let fault = |kind: &str, condition: &str, more: &str| of(kind, condition, more).unwrap_err();
        assert!(fault("event_count", "{gte: x}", "").contains("must be a number"));
        assert!(fault("event_count", "{field: x}", "").contains("needs one of"));
        assert!(fault("value_count", "{gte: 3}", "").contains("`correlation.condition.field` is missing"));
        assert!(fault("temporal", "not a", "").contains("never begins"));
        assert!(fault("temporal_ordered", "a or b", "").contains("`and` and `not` only"));
        assert!(fault("temporal", "a and c", "").contains("`c` in the condition names no selection"));
        assert!(fault("event_count", "{gte: 3}", "  window: session\n").contains("needs `gap`"));
        assert!(fault("event_count", "{gte: 3}", "  gap: 1m\n").contains("belongs to"));
    }

    #[test]
    fn numbers_are_exact() {
        for (text, expected) in
            [("1", Some(1_000)), ("0.0019", Some(1)), ("-2.5", Some(-2_500)), ("1e3", Some(1_000_000)), ("x", None), ("", None), ("NaN", None)]
        {
            assert_eq!(thousandths(text), expected, "{text}");
        }
    }
}
