//! Rule documents: what surrounds a detection or a correlation.

use weft_model::Technique;

use super::Fault;
use super::correlation::{self, Correlation};
use super::detection::{self, Detection};
use super::yaml::{Node, Yaml};

/// One rule of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `id`, or else `name`, or else the title.
    pub id: String,
    /// `name`, by which correlations may refer to it.
    pub name: Option<String>,
    /// `title`.
    pub title: String,
    /// `description`: why it matters.
    pub description: String,
    /// OCSF severity id of `level`.
    pub severity_id: i64,
    /// ATT&CK techniques of `tags`.
    pub techniques: Vec<Technique>,
    /// Line on which the document begins.
    pub line: u64,
    /// What it looks for.
    pub body: Body,
}

/// The two kinds of rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Looks at single events.
    Detection {
        /// Where to look.
        logsource: LogSource,
        /// What for.
        detection: Detection,
        /// Only values that were not seen before.
        first_seen: Option<FirstSeen>,
    },
    /// Looks at several events over time.
    Correlation(Correlation),
}

/// Which events a rule is for, in Sigma's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSource {
    /// Kind of event, e.g. `process_creation`.
    pub category: Option<String>,
    /// Product.
    pub product: Option<String>,
    /// Service of the product.
    pub service: Option<String>,
}

/// The extension `weft: first_seen:`: the rule speaks only when `value` is new for `by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstSeen {
    /// Field whose value must be new.
    pub value: String,
    /// Fields that name the entity for which it must be new; none means for everybody.
    pub by: Vec<String>,
    /// How much history must be there before it speaks, and how long a value is remembered.
    pub learn_ms: i64,
}

/// The rules of a file; broken documents become faults beside the good ones.
pub fn parse(text: &str) -> (Vec<Rule>, Vec<Fault>) {
    let documents = match super::yaml::read(text) {
        Ok(documents) => documents,
        Err(fault) => return (Vec::new(), vec![fault]),
    };
    let (mut rules, mut faults) = (Vec::new(), Vec::new());
    for document in documents.iter().filter(|document| document.value != Yaml::Null) {
        match rule(document) {
            Ok(rule) => rules.push(rule),
            Err(fault) => faults.push(fault),
        }
    }
    (rules, faults)
}

fn rule(node: &Node) -> Result<Rule, Fault> {
    if !matches!(node.value, Yaml::Map(_)) {
        return Err(Fault::at(node.line, "a rule must be a mapping"));
    }
    let Some(title) = node.text("title")? else { return Err(Fault::at(node.line, "`title` is missing")) };
    let name = node.text("name")?;
    Ok(Rule {
        id: node.text("id")?.or_else(|| name.clone()).unwrap_or_else(|| title.clone()),
        description: node.text("description")?.unwrap_or_default(),
        severity_id: severity(node)?,
        techniques: techniques(&node.texts("tags")?),
        line: node.line,
        body: body(node)?,
        name,
        title,
    })
}

fn body(node: &Node) -> Result<Body, Fault> {
    if let Some(section) = node.get("correlation") {
        return correlation::parse(section).map(Body::Correlation);
    }
    let Some(section) = node.get("detection") else { return Err(Fault::at(node.line, "`detection` (or `correlation`) is missing")) };
    let Some(source) = node.get("logsource") else { return Err(Fault::at(node.line, "`logsource` is missing")) };
    let logsource = LogSource { category: source.text("category")?, product: source.text("product")?, service: source.text("service")? };
    if logsource == LogSource::default() {
        return Err(Fault::at(source.line, "`logsource` must name a category, a product or a service"));
    }
    Ok(Body::Detection { logsource, detection: detection::parse(section)?, first_seen: first_seen(node)? })
}

fn first_seen(node: &Node) -> Result<Option<FirstSeen>, Fault> {
    let Some(extension) = node.get("weft") else { return Ok(None) };
    if let Some((key, value)) = extension.entries().iter().find(|(key, _)| key != "first_seen") {
        return Err(Fault::at(value.line, format!("`weft.{key}` is not known; known is first_seen")));
    }
    let Some(section) = extension.get("first_seen") else { return Ok(None) };
    let Some(value) = section.text("value")? else { return Err(Fault::at(section.line, "`weft.first_seen.value` is missing")) };
    let learn = section.text("learn")?.unwrap_or_else(|| "14d".to_owned());
    let learn_ms = correlation::timespan(&learn).ok_or_else(|| Fault::at(section.line, format!("`{learn}` is not a time span such as 14d")))?;
    Ok(Some(FirstSeen { value, by: section.texts("by")?, learn_ms }))
}

fn severity(node: &Node) -> Result<i64, Fault> {
    let level = node.text("level")?.unwrap_or_else(|| "medium".to_owned());
    Ok(match level.as_str() {
        "informational" => 1,
        "low" => 2,
        "medium" => 3,
        "high" => 4,
        "critical" => 5,
        _ => {
            return Err(Fault::at(
                node.get("level").map_or(node.line, |level| level.line),
                format!("the level `{level}` is not known; known are informational, low, medium, high, critical"),
            ));
        }
    })
}

/// `attack.t1110.001` is a technique; the first tag that is not one names the tactic.
fn techniques(tags: &[String]) -> Vec<Technique> {
    let attack: Vec<&str> = tags.iter().filter_map(|tag| tag.strip_prefix("attack.")).collect();
    let is_technique = |tag: &&str| tag.strip_prefix(['t', 'T']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let tactic = attack.iter().find(|tag| !is_technique(tag) && !tag.starts_with(['g', 's']) || tag.contains('-')).map(|tag| (*tag).to_owned());
    attack.iter().filter(|tag| is_technique(tag)).map(|tag| Technique { uid: tag.to_uppercase(), tactic: tactic.clone() }).collect()
}
