//! Facts that decisions look at.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use weft_model::access::FactEntity;
use weft_model::{EntityUid, Facts, Timestamp};

/// The organisation's own networks, as its configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Networks {
    /// Own address ranges, e.g. `10.0.0.0/8`.
    #[serde(default)]
    pub internal: Vec<String>,
    /// Addresses and ranges that must never be cut off.
    #[serde(default)]
    pub protected: Vec<String>,
}

impl Networks {
    /// Ranges that are not understood, for `weft check`.
    pub fn faults(&self) -> Vec<String> {
        let all = self.internal.iter().chain(&self.protected);
        all.filter(|range| parse(range).is_none()).map(|range| format!("`{range}` is not an address or a network such as 192.0.2.0/24")).collect()
    }

    /// What is known of an address.
    ///
    /// A range that is not understood protects everything: a spelling mistake must not open the
    /// way to block what it names.
    pub fn address(&self, address: IpAddr) -> FactEntity {
        let address = address.to_canonical();
        let within = |ranges: &[String]| ranges.iter().any(|range| parse(range).is_none_or(|network| holds(network, address)));
        let attrs = json!({
            "address": {"__extn": {"fn": "ip", "arg": address.to_string()}},
            "internal": within(&self.internal),
            "protected": within(&self.protected),
        });
        entity(address_uid(address), attrs, Vec::new())
    }
}

/// The name of an address as a resource.
pub fn address_uid(address: IpAddr) -> EntityUid {
    EntityUid::new("Address", address.to_canonical().to_string())
}

/// The mesh itself, as a principal.
pub fn automation() -> EntityUid {
    EntityUid::new("Automation", "weft")
}

/// The facts for decisions about addresses: the mesh, a person where one asks, the addresses.
pub fn of_addresses(networks: &Networks, addresses: &[IpAddr], person: Option<(&EntityUid, &[&str])>, now: Timestamp) -> Facts {
    let role = |name: &str| EntityUid::new("Role", name);
    let mut entities = vec![entity(automation(), json!({}), vec![role("automation")])];
    if let Some((person, roles)) = person {
        entities.push(entity(person.clone(), json!({}), roles.iter().map(|name| role(name)).collect()));
    }
    entities.extend(addresses.iter().map(|address| networks.address(*address)));
    Facts { entities, now }
}

/// A run of a playbook as a resource.
pub fn run(id: &str, playbook: &str) -> FactEntity {
    entity(EntityUid::new("Run", id), json!({"playbook": playbook}), Vec::new())
}

fn entity(uid: EntityUid, attrs: Value, parents: Vec<EntityUid>) -> FactEntity {
    let attrs = match attrs {
        Value::Object(attrs) => attrs,
        _ => Map::new(),
    };
    FactEntity { uid, attrs, parents }
}

fn parse(range: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = range.split_once('/').map_or((range, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(width), |length| length.parse().ok()).filter(|length| *length <= width)?;
    Some((address, length))
}

fn holds((network, length): (IpAddr, u32), address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits() ^ address.to_bits()).checked_shr(32 - length).unwrap_or(0) == 0,
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits()).checked_shr(128 - length).unwrap_or(0) == 0,
        _ => false,
    }
}
