//! Rule documents: what surrounds a detection or a correlation.

use weft_model::Technique;

use super::Fault;
use super::behaviour::{self, Behaviour};
use super::correlation::{self, Correlation};
use super::detection::{self, Detection};
use super::pipeline::Pipelines;
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
    /// Forms that still work, and should be written in another way.
    pub notes: Vec<Fault>,
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
        /// Only what is not usual.
        behaviour: Option<Behaviour>,
    },
    /// Looks at several events over time.
    Correlation(Correlation),
    /// Narrows other rules: they speak only where it holds too.
    Filter {
        /// Rules of these logsources; nothing for all.
        logsource: LogSource,
        /// Ids or names of rules; none for `any`.
        rules: Vec<String>,
        /// What must hold.
        detection: Detection,
    },
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

impl LogSource {
    /// Whether every attribute that `asked` names is the same here, whatever its case.
    pub fn has(&self, asked: &Self) -> bool {
        let meets =
            |asked: &Option<String>, has: &Option<String>| asked.as_ref().is_none_or(|asked| has.as_ref().is_some_and(|has| has.eq_ignore_ascii_case(asked)));
        meets(&asked.category, &self.category) && meets(&asked.product, &self.product) && meets(&asked.service, &self.service)
    }
}

/// The rules of a file; broken documents become faults beside the good ones.
pub fn parse(text: &str) -> (Vec<Rule>, Vec<Fault>) {
    parse_with(text, &Pipelines::default())
}

/// The same with rules rewritten by pipelines.
pub fn parse_with(text: &str, pipelines: &Pipelines) -> (Vec<Rule>, Vec<Fault>) {
    let documents = match super::yaml::read(text) {
        Ok(documents) => documents,
        Err(fault) => return (Vec::new(), vec![fault]),
    };
    let (mut rules, mut faults) = (Vec::new(), Vec::new());
    for document in collection(documents, &mut faults) {
        match rule(&document, pipelines) {
            Ok(rule) => rules.push(rule),
            Err(fault) => faults.push(fault),
        }
    }
    (rules, faults)
}

/// Resolves `action` of rule collections: `global` is part of every later document until `reset`,
/// `repeat` is the document before with changes.
fn collection(documents: Vec<Node>, faults: &mut Vec<Fault>) -> Vec<Node> {
    let (mut global, mut before, mut rules): (Option<Node>, Option<Node>, Vec<Node>) = (None, None, Vec::new());
    for document in documents.into_iter().filter(|document| document.value != Yaml::Null) {
        let action = document.get("action").and_then(Node::scalar);
        let own = document.without("action");
        let rule = match action.as_deref() {
            None => own.over(global.as_ref()),
            Some("global") => {
                global = Some(own.over(global.as_ref()));
                continue;
            }
            Some("reset") => {
                global = None;
                continue;
            }
            Some("repeat") => own.over(before.as_ref()),
            Some(other) => {
                faults.push(Fault::at(document.line, format!("the action `{other}` is not known; known are global, reset, repeat")));
                continue;
            }
        };
        before = Some(rule.clone());
        rules.push(rule);
    }
    rules
}

fn rule(node: &Node, pipelines: &Pipelines) -> Result<Rule, Fault> {
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
        notes: notes(node),
        line: node.line,
        body: body(node, pipelines)?,
        name,
        title,
    })
}

/// Deprecated forms.
fn notes(node: &Node) -> Vec<Fault> {
    let mut notes = Vec::new();
    if let Some(status) = node.get("status")
        && matches!(status.scalar().as_deref(), Some("deprecated" | "unsupported"))
    {
        notes.push(Fault::at(status.line, "the rule says of itself that it should not be used any more (`status`)"));
    }
    if let Some(timeframe) = node.get("detection").and_then(|detection| detection.get("timeframe")) {
        notes.push(Fault::at(timeframe.line, "`timeframe` belongs to the old aggregations and does nothing; write a correlation document"));
    }
    let tags = node.get("tags").map(Node::items).unwrap_or_default();
    let old = tags.iter().find(|tag| tag.scalar().is_some_and(|tag| tag.starts_with("attack.") && tag.contains('_')));
    notes.extend(old.map(|tag| Fault::at(tag.line, format!("the tag `{}` has underscores; Sigma 2 writes hyphens", tag.scalar().unwrap_or_default()))));
    notes
}

fn body(node: &Node, pipelines: &Pipelines) -> Result<Body, Fault> {
    if let Some(section) = node.get("correlation") {
        return correlation::parse(section, node).map(Body::Correlation);
    }
    if let Some(section) = node.get("filter") {
        return filter(node, section, pipelines);
    }
    let Some(section) = node.get("detection") else { return Err(Fault::at(node.line, "`detection` (or `correlation`, or `filter`) is missing")) };
    let Some(source) = node.get("logsource") else { return Err(Fault::at(node.line, "`logsource` is missing")) };
    let active = pipelines.active(node, logsource(source)?);
    if active.logsource == LogSource::default() {
        return Err(Fault::at(source.line, "`logsource` must name a category, a product or a service"));
    }
    if let Some(reason) = active.refused {
        return Err(Fault::at(node.line, reason));
    }
    let detection = detection::parse(section, &active)?;
    Ok(Body::Detection { logsource: active.logsource, detection, behaviour: behaviour::parse(node)? })
}

/// <https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-filters-specification.md>
fn filter(node: &Node, section: &Node, pipelines: &Pipelines) -> Result<Body, Fault> {
    let Some(named) = section.get("rules") else { return Err(Fault::at(section.line, "`filter.rules` is missing: ids or names of rules, or `any`")) };
    let mut rules = section.texts("rules")?;
    if rules.is_empty() {
        return Err(Fault::at(named.line, "`filter.rules` is empty: ids or names of rules, or `any`"));
    }
    if rules.iter().any(|name| name == "any") {
        rules.clear();
    }
    let logsource = node.get("logsource").map(logsource).transpose()?.unwrap_or_default();
    let active = pipelines.active(node, logsource);
    let mut detection = detection::parse(&section.without("rules"), &active)?;
    detection.selections.iter_mut().for_each(|selection| selection.name.insert_str(0, "filter "));
    Ok(Body::Filter { logsource: active.logsource, rules, detection })
}

fn logsource(node: &Node) -> Result<LogSource, Fault> {
    Ok(LogSource { category: node.text("category")?, product: node.text("product")?, service: node.text("service")? })
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
