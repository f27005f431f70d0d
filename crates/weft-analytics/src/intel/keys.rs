//! What an index of observables is asked and filled with: 64 bits a value.
//!
//! An event is indexed under each of its values, the domains above its names and the networks around
//! its addresses, so that any indicator is one look-up. A longer network is looked up under the
//! nearest shorter one that is indexed: more files are read than hold it, never less.

use weft_model::EventBatch;

use super::matching::each_value;
use super::value::{Network, hash};
use super::{Kind, Value};

/// Name of this way to make keys; an index of another one is made anew.
pub const FORM: &str = "weft-intel-1";
/// Lengths of the networks that addresses are indexed under, counted in 128 bits.
const V4_PREFIXES: [u8; 3] = [96 + 24, 96 + 16, 96 + 8];
const V6_PREFIXES: [u8; 3] = [64, 32, 16];

/// The keys under which the events of a batch are found.
pub fn of_batch(batch: &EventBatch) -> Vec<u64> {
    let mut keys = Vec::new();
    each_value(batch, &mut |value| of_observed(value, &mut keys));
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn of_observed(value: &Value, keys: &mut Vec<u64>) {
    match value.kind {
        Kind::Domain => keys.extend(value.domains().map(|name| key(Kind::Domain, name))),
        Kind::Ip => {
            let Some(network) = value.network() else { return };
            keys.push(key(Kind::Ip, &value.text));
            keys.extend(prefixes(network).into_iter().map(|prefix| key_of(Network::around(network.base, prefix))));
        }
        kind => keys.push(key(kind, &value.text)),
    }
}

/// The key under which all events that this indicator meets are found.
pub fn of_indicator(kind: Kind, text: &str) -> u64 {
    let network = if kind == Kind::Ip { Network::parse(text).filter(|network| !network.is_address()) } else { None };
    match network {
        Some(network) => {
            let nearest = prefixes(network).into_iter().find(|prefix| *prefix <= network.prefix).unwrap_or(network.prefix);
            key_of(Network::around(network.base, nearest))
        }
        None => key(kind, text),
    }
}

fn prefixes(network: Network) -> [u8; 3] {
    if network.is_v4() { V4_PREFIXES } else { V6_PREFIXES }
}

fn key(kind: Kind, text: &str) -> u64 {
    (hash(kind, text) >> 64) as u64
}

fn key_of(network: Network) -> u64 {
    key(Kind::Ip, &network.to_string())
}
