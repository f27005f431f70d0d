//! One gateway: enforcement point and responder.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use weft_model::{Approved, Artifact, Change, Command, EnforcementPoint, Plan, PortError, Probe, Receipt, Responder};

use super::dialect::{FILTER, NftablesDialect, line};
use super::exec::run;
use super::netns;
use super::script::{artifact, script};
use super::topology::Topology;

/// Settings of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Name of the gateway: the point is `nftables/NAME`.
    pub name: String,
    /// Network namespace to work in; `host` for the machine's own. `weft` is made when it is not
    /// there, others must exist.
    pub namespace: String,
    /// The program.
    pub program: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { name: "gateway".to_owned(), namespace: netns::OWN.to_owned(), program: "nft".to_owned() }
    }
}

/// A gateway whose packets are filtered by nftables.
pub struct Nftables {
    settings: Settings,
    point: String,
    /// Real packets to look with; none means that effects cannot be looked at independently.
    probe: Option<Arc<Topology>>,
    /// Look and change are one step: two changes at once would both be made from the same look.
    changing: tokio::sync::Mutex<()>,
}

impl Nftables {
    /// Checks the settings; touches nothing.
    ///
    /// # Errors
    /// Every fault, for a person.
    pub fn new(settings: Settings, probe: Option<Arc<Topology>>) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        if settings.name.is_empty() {
            faults.push("`name` is missing".to_owned());
        }
        if !netns::is_name(&settings.namespace) {
            faults.push(format!("`namespace` `{}` must be letters, digits, `-`, `_` and `.`", settings.namespace));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { point: format!("nftables/{}", settings.name), settings, probe, changing: tokio::sync::Mutex::new(()) })
    }

    /// The gateway of a demonstration topology, probed by its packets.
    pub fn of(topology: &Arc<Topology>) -> Self {
        let settings = Settings { namespace: topology.gateway().to_owned(), ..Settings::default() };
        Self { point: format!("nftables/{}", settings.name), settings, probe: Some(Arc::clone(topology)), changing: tokio::sync::Mutex::new(()) }
    }

    /// Name in plans and commands, e.g. `nftables/gateway`.
    pub fn point(&self) -> &str {
        &self.point
    }

    /// What can be told to it.
    pub fn dialect(&self) -> NftablesDialect {
        NftablesDialect { point: self.point.clone() }
    }

    async fn nft(&self, arguments: &[&str], input: &str) -> Result<Vec<u8>, PortError> {
        netns::ensure(&self.point, &self.settings.namespace).await?;
        let program = self.settings.program.as_str();
        if self.settings.namespace == netns::HOST {
            return run(&self.point, program, arguments, input).await;
        }
        let inside = ["netns", "exec", &self.settings.namespace, program].into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>();
        match run(&self.point, "ip", &inside, input).await {
            // `ip` starts, and says itself that it could not start the other program.
            Err(PortError::Protocol { message, .. }) if message.contains("exec of") => {
                Err(PortError::Refused { tool: self.point.clone(), message: format!("`{program}` is not installed; install the package nftables") })
            }
            other => other,
        }
    }

    async fn look(&self) -> Result<Artifact, PortError> {
        let protocol = |message: String| PortError::Protocol { tool: self.point.clone(), message };
        // Listing everything and choosing here: listing a table that is not there is an error
        // that cannot be told apart from others.
        let tables = self.nft(&["-j", "list", "tables"], "").await?;
        let tables: serde_json::Value = serde_json::from_slice(&tables).map_err(|error| protocol(error.to_string()))?;
        let ours = |item: &serde_json::Value| {
            item.pointer("/table/family").is_some_and(|family| family == "inet") && item.pointer("/table/name").is_some_and(|name| name == "weft")
        };
        if !tables.get("nftables").and_then(serde_json::Value::as_array).is_some_and(|items| items.iter().any(ours)) {
            return Ok(Artifact::default());
        }
        let listing = self.nft(&["-j", "list", "table", "inet", "weft"], "").await?;
        artifact(&serde_json::from_slice(&listing).map_err(|error| protocol(error.to_string()))?).map_err(protocol)
    }

    async fn carry_out(&self, plan: &Plan, actual: &Artifact) -> Result<(), PortError> {
        if plan.is_empty() {
            return Ok(());
        }
        let text = script(plan, actual).map_err(|message| PortError::Protocol { tool: self.point.clone(), message })?;
        self.nft(&["-f", "-"], &text).await.map(|_quiet| ())
    }

    fn command(&self, command: &Command) -> Result<(IpAddr, bool), PortError> {
        let refused = |message: String| PortError::Refused { tool: self.point.clone(), message };
        if command.target != self.point {
            return Err(refused(format!("the command is for `{}`", command.target)));
        }
        let address = command.object.id.parse().map_err(|_| refused(format!("`{}` is not an address", command.object.id)))?;
        match command.action.as_str() {
            "block_address" => Ok((address, true)),
            "unblock_address" => Ok((address, false)),
            other => Err(refused(format!("`{other}` is not known; known are block_address, unblock_address"))),
        }
    }
}

#[async_trait]
impl EnforcementPoint for Nftables {
    async fn observe(&self) -> Result<Artifact, PortError> {
        self.look().await
    }

    async fn apply(&self, plan: &Approved<Plan>) -> Result<(), PortError> {
        let plan = plan.value();
        let _one_at_a_time = self.changing.lock().await;
        let actual = self.look().await?;
        if plan.point != self.point {
            return Err(PortError::Refused { tool: self.point.clone(), message: format!("the plan is for `{}`", plan.point) });
        }
        if plan.from != actual.digest() {
            return Err(PortError::Stale { tool: self.point.clone(), message: "it changed since the plan was made; plan again".to_owned() });
        }
        self.carry_out(plan, &actual).await
    }
}

#[async_trait]
impl Responder for Nftables {
    /// The way back is known even when nothing had to be done: the table is ours alone, so what
    /// is in it was put there by a command, perhaps one whose receipt a crash has lost.
    async fn execute(&self, command: &Approved<Command>) -> Result<Receipt, PortError> {
        let command = command.value();
        let (address, block) = self.command(command)?;
        let _one_at_a_time = self.changing.lock().await;
        let actual = self.look().await?;
        let mut intended = actual.clone();
        if block {
            intended.lines.extend([line(address), FILTER.to_owned()]);
        } else {
            intended.lines.remove(&line(address));
            if intended.lines.iter().all(|line| line == FILTER) {
                intended.lines.clear();
            }
        }
        let plan = intended.difference(&actual, &self.point);
        self.carry_out(&plan, &actual).await?;
        let done: Vec<String> = plan.changes.iter().map(|(Change::Add(text) | Change::Remove(text))| text.clone()).collect();
        let word = if block { "added" } else { "removed" };
        let summary =
            if done.is_empty() { format!("{}: nothing to do for {address}", self.point) } else { format!("{}: {word} {}", self.point, done.join("; ")) };
        let back = if block { "unblock_address" } else { "block_address" };
        Ok(Receipt { summary, undo: Some(Command { action: back.to_owned(), ..command.clone() }) })
    }

    /// By packets, not by asking `nft`: a connection is tried from the address itself.
    async fn probe(&self, command: &Command) -> Result<Probe, PortError> {
        let (address, block) = self.command(command)?;
        let Some(topology) = self.probe.clone() else {
            return Err(PortError::Refused {
                tool: self.point.clone(),
                message: "no way to send packets through it is configured, so its effect cannot be looked at".to_owned(),
            });
        };
        let tried = tokio::task::spawn_blocking(move || topology.attempt(address)).await;
        let attempt = tried.map_err(|error| PortError::Unavailable { tool: self.point.clone(), message: error.to_string() })??;
        Ok(Probe { effective: attempt.reached != block, observed: attempt.observed })
    }
}
