//! Which tool answers, and what of this machine is looked at: connectors by name, here alone.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use weft_connectors::linux::sshd_config;
use weft_connectors::nftables::{Nftables, Settings, Topology};
use weft_model::{Approved, Command, PortError, Probe, Receipt, Responder};
use weft_policy::Subject;

/// A tool that acts, by the name that commands give it.
pub(crate) struct Point {
    pub(crate) responder: Arc<dyn Responder>,
    pub(crate) target: String,
}

/// Acts nowhere, and says why: a refusal is an answer too.
struct Refusing {
    target: String,
    reason: String,
}

impl Refusing {
    fn fault(&self) -> PortError {
        PortError::Refused { tool: self.target.clone(), message: self.reason.clone() }
    }
}

#[async_trait]
impl Responder for Refusing {
    async fn execute(&self, _: &Approved<Command>) -> Result<Receipt, PortError> {
        Err(self.fault())
    }

    async fn probe(&self, _: &Command) -> Result<Probe, PortError> {
        Err(self.fault())
    }
}

/// The gateway in this namespace; without one, a gateway of our own with real packets to look with.
pub(crate) async fn of(namespace: Option<&str>) -> Point {
    match gateway(namespace).await {
        Ok(gateway) => Point { target: gateway.point().to_owned(), responder: Arc::new(gateway) },
        Err(reason) => {
            let target = format!("nftables/{}", Settings::default().name);
            tracing::warn!(target = target, reason, "responses are refused here");
            Point { responder: Arc::new(Refusing { target: target.clone(), reason }), target }
        }
    }
}

async fn gateway(namespace: Option<&str>) -> Result<Nftables, String> {
    if let Some(namespace) = namespace {
        let settings = Settings { namespace: namespace.to_owned(), ..Settings::default() };
        return Nftables::new(settings, None).map_err(|faults| faults.join("; "));
    }
    let made = tokio::task::spawn_blocking(Topology::new).await.map_err(|error| error.to_string())?;
    let topology = Arc::new(made.map_err(|error| error.to_string())?);
    Ok(Nftables::of(&topology))
}

/// The SSH daemon of this host, where its configuration can be read.
pub(crate) fn subjects() -> Vec<Subject> {
    let host = fs::read_to_string("/etc/hostname").map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned());
    let uid = fs::read_to_string("/etc/machine-id").map_or_else(|_| host.clone(), |id| id.trim().to_owned());
    let facts: Option<BTreeMap<String, String>> = fs::read_to_string("/etc/ssh/sshd_config").ok().map(|text| sshd_config::file(&text));
    facts.map(|facts| Subject { kind: "sshd_config".to_owned(), uid, name: host, facts }).into_iter().collect()
}
