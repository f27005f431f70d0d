//! The file format of pipelines.

use std::collections::BTreeMap;

use super::{Action, Conditions, FieldCondition, ItemCondition, Names, Pipelines, RuleCondition, Step};
use crate::sigma::Fault;
use crate::sigma::pattern;
use crate::sigma::rule::LogSource;
use crate::sigma::yaml::{self, Node, Yaml};

/// The pipelines of a file with their priorities.
pub(super) fn file(text: &str) -> Result<Vec<(i64, Pipelines)>, Fault> {
    yaml::read(text)?.iter().filter(|document| document.value != Yaml::Null).map(pipeline).collect()
}

fn pipeline(node: &Node) -> Result<(i64, Pipelines), Fault> {
    if node.entries().is_empty() {
        return Err(Fault::at(node.line, "a pipeline must be a mapping with `transformations`"));
    }
    let priority = node.text("priority")?.unwrap_or_default().parse().unwrap_or(0);
    let steps = node.get("transformations").map(Node::items).unwrap_or_default().iter().map(step).collect::<Result<_, _>>()?;
    Ok((priority, Pipelines { steps, lists: lists(node.get("vars"))? }))
}

fn lists(node: Option<&Node>) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let entries = node.map(Node::entries).unwrap_or_default();
    entries.iter().map(|(key, value)| Ok((key.clone(), texts(value)?))).collect()
}

fn texts(node: &Node) -> Result<Vec<String>, Fault> {
    node.items().iter().map(|item| item.scalar().ok_or_else(|| Fault::at(item.line, "a text or a list of texts is needed here"))).collect()
}

fn step(node: &Node) -> Result<Step, Fault> {
    Ok(Step {
        id: node.text("id")?,
        action: action(node)?,
        rule: conditions(node, "rule", rule_condition)?,
        item: conditions(node, "detection_item", item_condition)?,
        field: conditions(node, "field_name", field_condition)?,
    })
}

fn needed(node: &Node, key: &str) -> Result<String, Fault> {
    node.text(key)?.ok_or_else(|| Fault::at(node.line, format!("`{key}` is missing in a transformation or condition")))
}

fn action(node: &Node) -> Result<Action, Fault> {
    let mapping = || lists(node.get("mapping"));
    let kind = needed(node, "type")?;
    Ok(match kind.as_str() {
        "field_name_mapping" => Action::Rename(mapping()?),
        "field_name_prefix_mapping" => Action::RenamePrefix(mapping()?),
        "field_name_prefix" => Action::Prefix(needed(node, "prefix")?),
        "field_name_suffix" => Action::Suffix(needed(node, "suffix")?),
        "drop_detection_item" => Action::Drop,
        "change_logsource" => Action::LogSource(logsource(node)?),
        "add_condition" => add(node)?,
        "replace_string" => {
            let pattern = needed(node, "regex")?;
            Action::Replace {
                from: pattern::regex(&pattern, "").map_err(|reason| Fault::at(node.line, reason))?,
                to: needed(node, "replacement")?.replace("\\g<", "${").replace('>', "}"),
            }
        }
        "set_value" => Action::Set(node.get("value").map_or(Yaml::Null, |value| value.value.clone())),
        "map_string" => Action::MapText(mapping()?),
        "case" => match needed(node, "method")?.as_str() {
            "upper" => Action::Case(true),
            "lower" => Action::Case(false),
            other => return Err(Fault::at(node.line, format!("the case `{other}` is not known; known are lower and upper"))),
        },
        "value_placeholders" => Action::Fill(names(node)?),
        "wildcard_placeholders" => Action::Wildcard(names(node)?),
        "rule_failure" => Action::RefuseRule(needed(node, "message")?),
        "detection_item_failure" => Action::RefuseItem(needed(node, "message")?),
        "set_state" => Action::State(needed(node, "key")?, needed(node, "val")?),
        other => {
            return Err(Fault::at(
                node.line,
                format!(
                    "the transformation `{other}` is not known; known are field_name_mapping, field_name_prefix_mapping, field_name_prefix, field_name_suffix, drop_detection_item, change_logsource, add_condition, replace_string, set_value, map_string, case, value_placeholders, wildcard_placeholders, rule_failure, detection_item_failure, set_state"
                ),
            ));
        }
    })
}

fn names(node: &Node) -> Result<Names, Fault> {
    Ok(Names { include: node.texts("include")?, exclude: node.texts("exclude")? })
}

fn add(node: &Node) -> Result<Action, Fault> {
    let Some(conditions) = node.get("conditions") else { return Err(Fault::at(node.line, "`conditions` is missing in `add_condition`")) };
    Ok(Action::Add { selection: conditions.clone(), negated: node.text("negated")?.as_deref() == Some("true") })
}

fn logsource(node: &Node) -> Result<LogSource, Fault> {
    Ok(LogSource { category: node.text("category")?, product: node.text("product")?, service: node.text("service")? })
}

fn conditions<T>(node: &Node, of: &str, read: impl Fn(&Node) -> Result<T, Fault>) -> Result<Conditions<T>, Fault> {
    let all = node.get(&format!("{of}_conditions")).map(Node::items).unwrap_or_default().iter().map(read).collect::<Result<_, _>>()?;
    // pySigma shortens `detection_item_cond_op` and writes the other two as `rule_cond_op`, `field_name_cond_op`.
    let any = node.text(&format!("{of}_cond_op"))?.is_some_and(|op| op.eq_ignore_ascii_case("or"));
    let negated = node.text(&format!("{of}_cond_not"))?.as_deref() == Some("true");
    Ok(Conditions { all, any, negated })
}

fn rule_condition(node: &Node) -> Result<RuleCondition, Fault> {
    Ok(match needed(node, "type")?.as_str() {
        "logsource" => RuleCondition::LogSource(logsource(node)?),
        "contains_field" => RuleCondition::HasField(needed(node, "field")?),
        "contains_detection_item" => RuleCondition::HasItem(needed(node, "field")?, needed(node, "value")?),
        "is_sigma_rule" => RuleCondition::Correlation(false),
        "is_sigma_correlation_rule" => RuleCondition::Correlation(true),
        "processing_item_applied" => RuleCondition::Applied(needed(node, "processing_item_id")?),
        "processing_state" => RuleCondition::State(needed(node, "key")?, needed(node, "val")?),
        "tag" => RuleCondition::Tag(needed(node, "tag")?),
        "rule_attribute" => RuleCondition::Attribute(needed(node, "attribute")?, needed(node, "value")?),
        other => {
            return Err(unknown(
                node,
                other,
                "logsource, contains_field, contains_detection_item, is_sigma_rule, is_sigma_correlation_rule, processing_item_applied, processing_state, tag, rule_attribute",
            ));
        }
    })
}

fn item_condition(node: &Node) -> Result<ItemCondition, Fault> {
    Ok(match needed(node, "type")?.as_str() {
        "match_string" => ItemCondition::Text(pattern::regex(&needed(node, "pattern")?, "").map_err(|reason| Fault::at(node.line, reason))?),
        "is_null" => ItemCondition::Null,
        other => return Err(unknown(node, other, "match_string, is_null")),
    })
}

fn field_condition(node: &Node) -> Result<FieldCondition, Fault> {
    Ok(match needed(node, "type")?.as_str() {
        "include_fields" => FieldCondition::Include(node.texts("fields")?),
        "exclude_fields" => FieldCondition::Exclude(node.texts("fields")?),
        other => return Err(unknown(node, other, "include_fields, exclude_fields")),
    })
}

fn unknown(node: &Node, kind: &str, known: &str) -> Fault {
    Fault::at(node.line, format!("the condition `{kind}` is not known; known are {known}"))
}
