//! The systems whose snapshots say who may do what, each by how its files are told and read.

use serde_json::Value;
use weft_model::entitlement::{PrincipalKind, Snapshot, SnapshotFault};

use crate::{aws, azure, gcp, github, kubernetes};

/// Collects what several files of one system say.
pub trait Collect {
    /// Reads one file; `place` is its name, for messages.
    fn add(&mut self, place: &str, value: &Value);
    /// Everything that was read.
    fn finish(self: Box<Self>) -> Snapshot;
}

/// A system that says who may do what.
#[derive(Clone, Copy)]
pub struct System {
    /// Folder of its connector.
    pub name: &'static str,
    /// Whether a value is of it.
    pub is_one: fn(&Value) -> bool,
    /// A fresh collector.
    pub collector: fn() -> Box<dyn Collect>,
    /// What reasoning has to know of it.
    pub rules: &'static str,
    /// Every action that is known.
    pub actions: fn() -> Vec<String>,
    /// An action that somebody typed, as it is compared.
    pub action: fn(&str) -> String,
    /// A resource that somebody typed, as it is compared.
    pub resource: fn(&str) -> String,
    /// What a snapshot of it is, for whoever gave something else.
    pub wanted: &'static str,
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! collect {
    ($($collector:ty),* $(,)?) => {
        $(impl Collect for $collector {
            fn add(&mut self, place: &str, value: &Value) {
                <$collector>::add(self, place, value);
            }

            fn finish(self: Box<Self>) -> Snapshot {
                <$collector>::finish(*self)
            }
        })*
    };
}

collect!(
    aws::entitlement::snapshot::Collector,
    azure::entitlement::Collector,
    gcp::entitlement::Collector,
    github::entitlement::Collector,
    kubernetes::entitlement::Collector,
);

fn as_typed(name: &str) -> String {
    name.to_owned()
}

/// All of them, in the order in which a file is looked at; what is of none is of the last.
pub const SYSTEMS: [System; 5] = [
    System {
        name: "kubernetes",
        is_one: kubernetes::entitlement::is_one,
        collector: || Box::new(kubernetes::entitlement::Collector::default()),
        rules: kubernetes::entitlement::RULES,
        actions: Vec::new,
        action: as_typed,
        resource: as_typed,
        wanted: "roles and bindings of a cluster",
    },
    System {
        name: "github",
        is_one: github::entitlement::is_one,
        collector: || Box::new(github::entitlement::Collector::default()),
        rules: github::entitlement::RULES,
        actions: github::entitlement::actions,
        action: as_typed,
        resource: as_typed,
        wanted: github::entitlement::WANTED,
    },
    System {
        name: "gcp",
        is_one: gcp::entitlement::is_one,
        collector: || Box::new(gcp::entitlement::Collector::default()),
        rules: gcp::entitlement::RULES,
        actions: gcp::entitlement::actions,
        action: as_typed,
        resource: gcp::entitlement::resource,
        wanted: gcp::entitlement::WANTED,
    },
    System {
        name: "azure",
        is_one: azure::entitlement::is_one,
        collector: || Box::new(azure::entitlement::Collector::default()),
        rules: azure::entitlement::RULES,
        actions: azure::entitlement::actions,
        action: azure::entitlement::action,
        resource: azure::entitlement::resource,
        wanted: azure::entitlement::WANTED,
    },
    System {
        name: "aws",
        is_one: |_| true,
        collector: || Box::new(aws::entitlement::snapshot::Collector::default()),
        rules: aws::entitlement::RULES,
        actions: || aws::entitlement::actions().collect(),
        action: as_typed,
        resource: as_typed,
        wanted: aws::entitlement::WANTED,
    },
];

/// Snapshots of several systems, told apart file by file.
#[derive(Default)]
pub struct Collectors {
    of: Vec<(usize, Box<dyn Collect>)>,
    faults: Vec<SnapshotFault>,
}

impl Collectors {
    /// Reads one file; `place` is its name, for messages.
    pub fn add(&mut self, place: &str, value: &Value) {
        let Some((number, system)) = SYSTEMS.iter().enumerate().find(|(_, system)| (system.is_one)(value)) else { return };
        let at = self.of.iter().position(|(known, _)| *known == number).unwrap_or_else(|| {
            self.of.push((number, (system.collector)()));
            self.of.len() - 1
        });
        if let Some((_, collector)) = self.of.get_mut(at) {
            collector.add(place, value);
        }
    }

    /// A file that could not be read at all.
    pub fn fault(&mut self, place: &str, reason: String) {
        self.faults.push(SnapshotFault { place: place.to_owned(), reason });
    }

    /// What was read, by system, and what could not be read.
    pub fn finish(self) -> (Vec<(System, Snapshot)>, Vec<SnapshotFault>) {
        let mut faults = self.faults;
        let mut read = Vec::new();
        for (number, collector) in self.of {
            let mut snapshot = collector.finish();
            faults.append(&mut snapshot.faults);
            read.extend(
                SYSTEMS.get(number).filter(|_| snapshot.principals.iter().any(|one| one.kind != PrincipalKind::Scope)).map(|system| (*system, snapshot)),
            );
        }
        (read, faults)
    }
}
