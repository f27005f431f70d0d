//! Playbooks in CACAO 2.0, the subset that is run today; everything else is refused by name.
//!
//! <https://docs.oasis-open.org/cacao/security-playbooks/v2.0/security-playbooks-v2.0.html>

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};
use weft_model::{Command, EntityUid, Finding};

use crate::run::Run;

/// Longest file.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Most steps of a workflow.
const STEPS_MAX: usize = 200;
/// Name of the extension that says when a finding proposes a run.
const TRIGGER: &str = "weft trigger";

/// A playbook that was found sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Playbook {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Why and when.
    pub description: String,
    /// Commands in the order of the workflow.
    pub commands: Vec<Template>,
    trigger: Option<Trigger>,
}

/// A command with a variable as its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Step that it belongs to.
    pub step: String,
    /// Name of the step.
    pub name: String,
    /// Action, e.g. `block_address`.
    pub action: String,
    /// Variable that names the object, e.g. `__address__`.
    pub variable: String,
}

/// What is wrong with a playbook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {at}: {reason}")]
pub struct PlaybookFault {
    /// File.
    pub file: String,
    /// Path in the document, or line and column.
    pub at: String,
    /// For a person.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trigger {
    #[serde(default)]
    severity_id_min: i64,
    #[serde(default)]
    analytics: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, Binding>,
}

/// Where a variable comes from: an entity of the finding.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    observable_type_id: i64,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    spec_version: String,
    id: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    playbook_variables: BTreeMap<String, Value>,
    workflow_start: String,
    workflow: BTreeMap<String, Step>,
    #[serde(default)]
    agent_definitions: BTreeMap<String, Value>,
    #[serde(default)]
    target_definitions: BTreeMap<String, Value>,
    #[serde(default)]
    extension_definitions: BTreeMap<String, Extension>,
    #[serde(default)]
    playbook_extensions: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Extension {
    name: String,
}

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    commands: Vec<StepCommand>,
    agent: Option<String>,
    #[serde(default)]
    targets: Vec<String>,
    on_completion: Option<String>,
    on_success: Option<String>,
    on_failure: Option<String>,
}

#[derive(Deserialize)]
struct StepCommand {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    command: String,
}

struct Lint<'a> {
    file: &'a str,
    document: &'a Document,
    faults: Vec<PlaybookFault>,
}

impl Playbook {
    /// Reads and lints a playbook.
    ///
    /// # Errors
    /// Every fault, with its path in the document.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<PlaybookFault>> {
        let whole = |at: String, reason: String| vec![PlaybookFault { file: file.to_owned(), at, reason }];
        if text.len() > FILE_BYTES_MAX {
            return Err(whole("file".to_owned(), format!("longer than {FILE_BYTES_MAX} bytes")));
        }
        let document: Document = serde_json::from_str(text).map_err(|error| whole(format!("{}:{}", error.line(), error.column()), error.to_string()))?;
        let mut lint = Lint { file, document: &document, faults: Vec::new() };
        lint.head();
        let commands = lint.workflow();
        let trigger = lint.trigger();
        lint.bound(&commands, trigger.as_ref());
        if !lint.faults.is_empty() {
            return Err(lint.faults);
        }
        Ok(Self { id: document.id, name: document.name, description: document.description, commands, trigger })
    }

    /// The runs that a finding proposes: one for each command and each entity that it is about.
    pub fn proposals(&self, finding: &Finding, target: &str) -> Vec<Run> {
        let Some(trigger) = self.trigger.as_ref().filter(|trigger| trigger.meets(finding)) else { return Vec::new() };
        let mut runs: Vec<Run> = Vec::new();
        for template in &self.commands {
            let Some(binding) = trigger.variables.get(&template.variable) else { continue };
            for entity in finding.entities.iter().filter(|entity| binding.meets(entity)) {
                let run = Run::propose(finding, self, template.command(&entity.value, target, finding));
                if !runs.iter().any(|other| other.id == run.id) {
                    runs.push(run);
                }
            }
        }
        runs
    }
}

impl Template {
    /// The command on one object, with what a decision needs to know as arguments.
    fn command(&self, object: &str, target: &str, finding: &Finding) -> Command {
        let arguments: Map<String, Value> =
            [("severity_id", Value::from(finding.severity_id)), ("finding", Value::from(finding.uid.clone())), ("reason", Value::from(finding.title.clone()))]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
        let kind = if self.action.ends_with("_address") { "Address" } else { "Object" };
        Command { target: target.to_owned(), action: self.action.clone(), object: EntityUid::new(kind, object), arguments }
    }
}

impl Trigger {
    fn meets(&self, finding: &Finding) -> bool {
        finding.severity_id >= self.severity_id_min && (self.analytics.is_empty() || self.analytics.contains(&finding.analytic_uid))
    }
}

impl Binding {
    fn meets(&self, entity: &weft_model::Entity) -> bool {
        entity.type_id == self.observable_type_id && (self.names.is_empty() || self.names.contains(&entity.name))
    }
}

impl Lint<'_> {
    fn fault(&mut self, at: impl Into<String>, reason: impl Into<String>) {
        self.faults.push(PlaybookFault { file: self.file.to_owned(), at: at.into(), reason: reason.into() });
    }

    fn head(&mut self) {
        let document = self.document;
        if document.kind != "playbook" {
            self.fault("type", format!("`{}` must be `playbook`", document.kind));
        }
        if document.spec_version != "cacao-2.0" {
            self.fault("spec_version", format!("`{}` is not known; known is `cacao-2.0`", document.spec_version));
        }
        if document.revoked {
            self.fault("revoked", "the playbook is revoked");
        }
        if document.workflow.len() > STEPS_MAX {
            self.fault("workflow", format!("more than {STEPS_MAX} steps"));
        }
    }

    /// Walks from start to end; what is not on the way is told.
    fn workflow(&mut self) -> Vec<Template> {
        let document = self.document;
        let (mut commands, mut seen) = (Vec::new(), BTreeSet::new());
        let mut next = Some(document.workflow_start.as_str());
        while let Some(id) = next.take() {
            let at = format!("workflow.{id}");
            if !seen.insert(id) {
                self.fault(at, "the workflow comes back here; circles are not run");
                break;
            }
            let Some(step) = document.workflow.get(id) else {
                self.fault(at, "there is no such step");
                break;
            };
            next = match step.kind.as_str() {
                "start" | "action" => step.on_completion.as_deref().or(step.on_success.as_deref()),
                "end" => None,
                other => {
                    self.fault(at.clone(), format!("steps of type `{other}` are not run yet; known are start, action, end"));
                    None
                }
            };
            if next.is_none() && matches!(step.kind.as_str(), "start" | "action") {
                self.fault(at.clone(), "`on_completion` is missing");
            }
            commands.extend(self.step(id, &at, step));
        }
        for id in document.workflow.keys().filter(|id| !seen.contains(id.as_str())) {
            self.fault(format!("workflow.{id}"), "no step leads here");
        }
        commands
    }

    fn step(&mut self, id: &str, at: &str, step: &Step) -> Vec<Template> {
        if step.on_failure.is_some() {
            self.fault(format!("{at}.on_failure"), "not run yet: a step that fails ends the run and says so");
        }
        if step.kind != "action" {
            return Vec::new();
        }
        match &step.agent {
            None => self.fault(at, "`agent` is missing"),
            Some(agent) if !self.document.agent_definitions.contains_key(agent) => {
                self.fault(format!("{at}.agent"), format!("`{agent}` is not in agent_definitions"))
            }
            Some(_) => {}
        }
        for target in step.targets.iter().filter(|target| !self.document.target_definitions.contains_key(*target)) {
            self.fault(format!("{at}.targets"), format!("`{target}` is not in target_definitions"));
        }
        if step.commands.is_empty() {
            self.fault(format!("{at}.commands"), "an action needs a command");
        }
        step.commands.iter().filter_map(|command| self.command(id, at, &step.name, command)).collect()
    }

    /// `block_address __address__:value`
    fn command(&mut self, id: &str, at: &str, name: &str, command: &StepCommand) -> Option<Template> {
        let at = format!("{at}.commands");
        if command.kind != "weft-command" {
            self.fault(at, format!("commands of type `{}` are not run yet; known is `weft-command`", command.kind));
            return None;
        }
        let parts: Vec<&str> = command.command.split_whitespace().collect();
        let [action, object] = parts.as_slice() else {
            self.fault(at, format!("`{}` must be an action and a variable, such as `block_address __address__:value`", command.command));
            return None;
        };
        let Some(variable) = object.strip_suffix(":value").filter(|variable| self.document.playbook_variables.contains_key(*variable)) else {
            self.fault(at, format!("`{object}` is not a variable of playbook_variables followed by `:value`"));
            return None;
        };
        Some(Template { step: id.to_owned(), name: name.to_owned(), action: (*action).to_owned(), variable: variable.to_owned() })
    }

    fn trigger(&mut self) -> Option<Trigger> {
        let document = self.document;
        let (id, _) = document.extension_definitions.iter().find(|(_, extension)| extension.name == TRIGGER)?;
        let value = document.playbook_extensions.get(id)?;
        match serde_json::from_value(value.clone()) {
            Ok(trigger) => Some(trigger),
            Err(error) => {
                self.fault(format!("playbook_extensions.{id}"), error.to_string());
                None
            }
        }
    }

    /// A variable that nothing fills would make a playbook that never proposes anything.
    fn bound(&mut self, commands: &[Template], trigger: Option<&Trigger>) {
        let Some(trigger) = trigger else { return };
        for template in commands.iter().filter(|template| !trigger.variables.contains_key(&template.variable)) {
            self.fault("playbook_extensions", format!("the trigger does not say where `{}` comes from", template.variable));
        }
    }
}
