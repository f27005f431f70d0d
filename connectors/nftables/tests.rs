//! Real packets, blocked and let through again; where the process may not, the refusal is right.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Map;
use weft_model::{
    AccessRequest, Approved, Artifact, Change, Command, Decision, DecisionPoint, Dialect as _, Effect, EnforcementPoint as _, EntityUid, Facts, Policy,
    PolicySet, PortError, Proposal, Responder as _, TraceId, authorize,
};

use super::dialect::FILTER;
use super::{Nftables, NftablesDialect, Settings, Topology};

struct Open;
impl DecisionPoint for Open {
    fn decide(&self, _: &AccessRequest, _: &Facts) -> Decision {
        Decision { effect: Effect::Permit, determining: vec!["test".into()], errors: vec![] }
    }
}

fn approved<T: Proposal>(value: T) -> Approved<T> {
    authorize(&Open, &Facts::default(), &EntityUid::new("User", "test"), &TraceId::of("t"), value).unwrap()
}

fn command(action: &str, address: &str) -> Command {
    Command { target: "nftables/gateway".into(), action: action.into(), object: EntityUid::new("Address", address), arguments: Map::new() }
}

fn block(addresses: &[&str]) -> PolicySet {
    PolicySet { policies: addresses.iter().map(|address| Policy::BlockAddress { address: address.parse().unwrap(), reason: "test".into() }).collect() }
}

/// None, after one line, where the process may not make namespaces.
#[allow(clippy::print_stdout)]
fn topology() -> Option<Arc<Topology>> {
    match Topology::new() {
        Ok(topology) => Some(Arc::new(topology)),
        Err(error) => {
            assert!(matches!(error, PortError::Refused { .. }), "{error}");
            println!("skipped: {error}");
            None
        }
    }
}

#[tokio::test]
async fn packets_are_blocked_and_let_through_again() {
    let Some(topology) = topology() else { return };
    let gateway = Nftables::of(&topology);
    for address in ["203.0.113.66", "2001:db8:bad::66"] {
        let command = command("block_address", address);
        assert!(!gateway.probe(&command).await.unwrap().effective, "open before");
        let receipt = gateway.execute(&approved(command.clone())).await.unwrap();
        let probe = gateway.probe(&command).await.unwrap();
        assert!(probe.effective && probe.observed.contains("was not answered"), "{probe:?}");
        let again = gateway.execute(&approved(command.clone())).await.unwrap();
        assert!(again.summary.contains("nothing to do"), "{}", again.summary);
        assert_eq!(again.undo, receipt.undo);
        let other: IpAddr = if address.contains(':') { "2001:db8:77::2" } else { "192.0.2.2" }.parse().unwrap();
        assert!(topology.attempt(other).unwrap().reached, "its neighbours are not touched");
        let undo = receipt.undo.unwrap();
        gateway.execute(&approved(undo.clone())).await.unwrap();
        assert!(gateway.probe(&undo).await.unwrap().effective);
        assert!(!gateway.probe(&command).await.unwrap().effective, "open again");
    }
    assert_eq!(gateway.observe().await.unwrap(), Artifact::default(), "nothing is left behind");
}

#[tokio::test]
async fn a_plan_is_applied_once_and_drift_is_seen() {
    let Some(topology) = topology() else { return };
    let gateway = Nftables::of(&topology);
    let dialect = gateway.dialect();
    let intended = dialect.compile(&block(&["203.0.113.66", "203.0.113.67", "2001:db8:bad::66"])).artifact;
    let plan = dialect.plan(&intended, &gateway.observe().await.unwrap());
    assert_eq!(plan.changes.len(), 4);
    gateway.apply(&approved(plan.clone())).await.unwrap();
    assert_eq!(gateway.observe().await.unwrap(), intended);
    assert!(matches!(gateway.apply(&approved(plan)).await, Err(PortError::Stale { .. })));

    // Somebody removes rules by hand: the sets are there, the filter is not.
    for chain in ["input", "output"] {
        assert!(gateway_script(topology.gateway(), &format!("flush chain inet weft {chain}")).status.success());
    }
    let drifted = gateway.observe().await.unwrap();
    let mend = dialect.plan(&intended, &drifted);
    assert_eq!(mend.changes, [Change::Add(FILTER.into())]);
    assert!(topology.attempt("203.0.113.67".parse().unwrap()).unwrap().reached, "the damage is real");
    gateway.apply(&approved(mend)).await.unwrap();
    assert!(!topology.attempt("203.0.113.67".parse().unwrap()).unwrap().reached);

    let fewer = dialect.compile(&block(&["203.0.113.66"])).artifact;
    gateway.apply(&approved(dialect.plan(&fewer, &intended))).await.unwrap();
    assert!(topology.attempt("203.0.113.67".parse().unwrap()).unwrap().reached);
    assert!(!topology.attempt("203.0.113.66".parse().unwrap()).unwrap().reached);
    gateway.apply(&approved(dialect.plan(&Artifact::default(), &fewer))).await.unwrap();
    assert_eq!(gateway.observe().await.unwrap(), Artifact::default());
}

fn gateway_script(namespace: &str, statement: &str) -> std::process::Output {
    std::process::Command::new("ip").args(["netns", "exec", namespace, "nft", statement]).output().unwrap()
}

#[tokio::test]
async fn namespaces_are_removed() {
    let Some(topology) = topology() else { return };
    let name = topology.gateway().to_owned();
    assert!(super::netns::path(&name).exists());
    drop(topology);
    assert!(!super::netns::path(&name).exists());
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let absent = Nftables::new(Settings { program: "nft-that-is-not-there".into(), namespace: "host".into(), ..Settings::default() }, None).unwrap();
    let error = absent.observe().await.unwrap_err();
    assert_eq!(error.to_string(), "`nftables/gateway` refused: `nft-that-is-not-there` is not installed; install the packages nftables and iproute2");
    let nowhere = Nftables::new(Settings { namespace: "weft-nowhere".into(), ..Settings::default() }, None).unwrap();
    let error = nowhere.observe().await.unwrap_err();
    assert_eq!(error.to_string(), "`nftables/gateway` refused: there is no network namespace `weft-nowhere`; make it with `ip netns add weft-nowhere`");
    assert!(matches!(nowhere.probe(&command("block_address", "203.0.113.66")).await, Err(PortError::Refused { .. })));
    assert!(matches!(nowhere.execute(&approved(command("block_address", "203.0.113.66; flush ruleset"))).await, Err(PortError::Refused { .. })));
    assert!(matches!(nowhere.execute(&approved(command("format_disk", "203.0.113.66"))).await, Err(PortError::Refused { .. })));
    assert!(Nftables::new(Settings { namespace: "../x".into(), ..Settings::default() }, None).is_err());
}

#[test]
fn what_cannot_be_blocked_is_a_gap() {
    let compiled = NftablesDialect { point: "nftables/gateway".into() }.compile(&block(&["127.0.0.1", "203.0.113.66", "::ffff:203.0.113.66"]));
    assert_eq!(compiled.gaps.len(), 1);
    assert_eq!(compiled.artifact.lines.into_iter().collect::<Vec<_>>(), ["block 203.0.113.66", FILTER]);
}
