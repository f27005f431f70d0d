//! What nftables can be told, in normal form: one line for the filter, one for each address.

use std::net::IpAddr;

use weft_model::{Artifact, Compiled, Dialect, Gap, Plan, Policy, PolicySet};

/// The line that stands for our chains: without them a set of addresses does nothing.
pub const FILTER: &str = "filter input, forward, output by set";

/// The dialect of one gateway.
#[derive(Debug, Clone)]
pub struct NftablesDialect {
    /// Name in plans, e.g. `nftables/gateway`.
    pub point: String,
}

/// The line that blocks an address.
pub fn line(address: IpAddr) -> String {
    format!("block {}", address.to_canonical())
}

/// The address that a line blocks.
pub fn address(line: &str) -> Option<IpAddr> {
    line.strip_prefix("block ")?.parse().ok()
}

impl Dialect for NftablesDialect {
    fn compile(&self, policies: &PolicySet) -> Compiled {
        let mut compiled = Compiled::default();
        for policy in &policies.policies {
            let Policy::BlockAddress { address, .. } = policy;
            let address = address.to_canonical();
            if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
                let reason = format!("`{address}` is not the address of a peer, so no packet of one can be dropped by it");
                compiled.gaps.push(Gap { policy: policy.clone(), reason });
            } else {
                compiled.artifact.lines.insert(line(address));
            }
        }
        if !compiled.artifact.lines.is_empty() {
            compiled.artifact.lines.insert(FILTER.to_owned());
        }
        compiled
    }

    fn plan(&self, intended: &Artifact, actual: &Artifact) -> Plan {
        intended.difference(actual, &self.point)
    }
}
