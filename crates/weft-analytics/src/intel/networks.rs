//! Networks by address: the longest that holds it.

use std::collections::BTreeMap;

use super::value::Network;

/// Networks of each length, in order.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// The longest prefix first.
    lengths: Vec<(u8, Vec<(u128, u32)>)>,
    count: usize,
}

impl Networks {
    pub(super) fn of(networks: Vec<(Network, u32)>) -> Self {
        let mut lengths: BTreeMap<u8, Vec<(u128, u32)>> = BTreeMap::new();
        for (network, facts) in networks {
            lengths.entry(network.prefix).or_default().push((network.base, facts));
        }
        for same in lengths.values_mut() {
            same.sort_unstable();
            same.dedup();
        }
        let count = lengths.values().map(Vec::len).sum();
        Self { lengths: lengths.into_iter().rev().collect(), count }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.count * size_of::<(u128, u32)>()
    }

    /// The longest network that holds an address, with the facts of all who name it.
    pub(super) fn longest(&self, address: u128) -> Option<(Network, impl Iterator<Item = u32>)> {
        self.lengths.iter().find_map(|(prefix, same)| {
            let network = Network::around(address, *prefix);
            let named = named(same, network.base);
            (!named.is_empty()).then(|| (network, named.iter().map(|(_, facts)| *facts)))
        })
    }

    /// The facts of all who name just this network.
    pub(super) fn exactly(&self, network: Network) -> impl Iterator<Item = u32> {
        let same = self.lengths.iter().find(|(prefix, _)| *prefix == network.prefix).map(|(_, same)| same.as_slice()).unwrap_or_default();
        named(same, network.base).iter().map(|(_, facts)| *facts)
    }
}

fn named(same: &[(u128, u32)], base: u128) -> &[(u128, u32)] {
    let from = same.partition_point(|(other, _)| *other < base);
    let tail = same.get(from..).unwrap_or_default();
    tail.get(..tail.partition_point(|(other, _)| *other == base)).unwrap_or_default()
}
