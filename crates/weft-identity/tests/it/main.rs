//! Decisions: the policies of the project, faults with their place, the index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod access;
mod exact;
mod graph;
mod person;
mod rules;

use std::net::IpAddr;

use serde_json::json;
use weft_identity::{CedarPoint, Networks, PolicyFile, facts};
use weft_model::{AccessRequest, Command, Decision, DecisionPoint as _, Effect, EntityUid, Facts, Proposal as _, Timestamp, TraceId, authorize};

const SCHEMA: &str = include_str!("../../../../content/policies/weft.cedarschema");
const RESPONSE: &str = include_str!("../../../../content/policies/response.cedar");

fn file(name: &str, text: &str) -> PolicyFile {
    PolicyFile { name: name.into(), text: text.into() }
}

fn point() -> CedarPoint {
    CedarPoint::compile(&file("weft.cedarschema", SCHEMA), &[file("response.cedar", RESPONSE)]).unwrap()
}

fn networks() -> Networks {
    Networks { internal: vec!["10.0.0.0/8".into()], protected: vec!["203.0.113.53".into(), "10.0.0.0/24".into()] }
}

fn block(address: &str, severity: Option<i64>, action: &str) -> Command {
    let address: IpAddr = address.parse().unwrap();
    let mut arguments = serde_json::Map::new();
    arguments.insert("severity_id".into(), json!(severity));
    Command { target: "nftables/gateway".into(), action: action.into(), object: facts::address_uid(address), arguments }
}

fn ask(principal: &EntityUid, roles: &[&str], command: &Command) -> Decision {
    let address = command.object.id.parse().unwrap();
    let facts = facts::of_addresses(&networks(), &[address], Some((principal, roles)), Timestamp(0));
    point().decide(&command.request(principal), &facts)
}

fn automation(address: &str, severity: i64) -> (Effect, Vec<String>) {
    let decision = point().decide(
        &block(address, Some(severity), "block_address").request(&facts::automation()),
        &facts::of_addresses(&networks(), &[address.parse().unwrap()], None, Timestamp(0)),
    );
    assert_eq!(decision.errors, Vec::<String>::new());
    (decision.effect, decision.determining)
}

#[test]
fn the_mesh_blocks_only_severe_and_foreign_addresses() {
    assert_eq!(automation("198.51.100.7", 4), (Effect::Permit, vec!["automation-blocks-severe".into()]));
    assert_eq!(automation("2001:db8::7", 5), (Effect::Permit, vec!["automation-blocks-severe".into()]));
    assert_eq!(automation("198.51.100.7", 3), (Effect::Forbid, vec![]));
    assert_eq!(automation("10.1.2.3", 5), (Effect::Forbid, vec![]));
    assert_eq!(automation("203.0.113.53", 5), (Effect::Forbid, vec!["never-block-protected".into()]));
    assert_eq!(automation("127.0.0.1", 5), (Effect::Forbid, vec!["never-block-special-ranges".into()]));
    assert_eq!(automation("::ffff:127.0.0.1", 5), (Effect::Forbid, vec!["never-block-special-ranges".into()]));
}

#[test]
fn persons_by_role() {
    let ada = EntityUid::new("User", "ada");
    assert_eq!(ask(&ada, &["responder"], &block("10.1.2.3", None, "block_address")).determining, ["responder-blocks"]);
    assert_eq!(ask(&ada, &["viewer"], &block("198.51.100.7", Some(5), "block_address")).effect, Effect::Forbid);
    assert_eq!(ask(&ada, &["responder"], &block("10.0.0.1", None, "block_address")).determining, ["never-block-protected"], "forbid beats");
    assert_eq!(ask(&ada, &["responder"], &block("10.0.0.1", None, "unblock_address")).determining, ["undo-is-always-open"]);
    assert_eq!(ask(&ada, &[], &block("10.0.0.1", None, "unblock_address")).effect, Effect::Forbid);
    let mut facts = facts::of_addresses(&networks(), &[], Some((&ada, &["responder"])), Timestamp(0));
    facts.entities.push(facts::run("r1", "block-address"));
    let approve =
        AccessRequest { principal: ada.clone(), action: "approve_run".into(), resource: EntityUid::new("Run", "r1"), context: serde_json::Map::new() };
    assert_eq!(point().decide(&approve, &facts).effect, Effect::Permit);
    let by_itself = AccessRequest { principal: facts::automation(), ..approve };
    assert_eq!(point().decide(&by_itself, &facts).effect, Effect::Forbid);
}

#[test]
fn what_is_not_known_is_forbidden() {
    let command = block("198.51.100.7", Some(5), "block_address");
    let nothing = point().decide(&command.request(&facts::automation()), &Facts::default());
    assert_eq!((nothing.effect, nothing.determining.is_empty()), (Effect::Forbid, true));
    let unknown = point().decide(&block("198.51.100.7", Some(5), "format_disk").request(&facts::automation()), &Facts::default());
    assert_eq!(unknown.effect, Effect::Forbid);
    assert!(!unknown.errors.is_empty());
    // An address without facts: the forbids cannot be evaluated, which must not open anything.
    let ada = EntityUid::new("User", "ada");
    let facts = facts::of_addresses(&networks(), &[], Some((&ada, &["responder"])), Timestamp(0));
    let blind = point().decide(&command.request(&ada), &facts);
    assert_eq!((blind.effect, blind.determining.len()), (Effect::Forbid, 2), "{blind:?}");
}

#[test]
fn a_permit_mints_an_approval_and_a_forbid_says_why() {
    let facts = facts::of_addresses(&networks(), &["198.51.100.7".parse().unwrap(), "203.0.113.53".parse().unwrap()], None, Timestamp(0));
    let trace = TraceId::of("t");
    let approved = authorize(&point(), &facts, &facts::automation(), &trace, block("198.51.100.7", Some(4), "block_address")).unwrap();
    assert_eq!(approved.decision().determining, ["automation-blocks-severe"]);
    let refused = authorize(&point(), &facts, &facts::automation(), &trace, block("203.0.113.53", Some(4), "block_address")).unwrap_err();
    assert_eq!(refused.to_string(), "`block_address` on `203.0.113.53` is not permitted to `weft`: forbidden by never-block-protected");
    assert!(point().why("never-block-protected").unwrap().contains("more harm"));
}

#[test]
fn a_misspelt_range_protects_everything() {
    let networks = Networks { internal: vec![], protected: vec!["10.0.0/8".into()] };
    assert_eq!(networks.faults().len(), 1);
    assert_eq!(networks.address("198.51.100.7".parse().unwrap()).attrs["protected"], json!(true));
}

#[test]
fn faults_have_a_place() {
    let faults =
        |text: &str| CedarPoint::compile(&file("s", SCHEMA), &[file("p.cedar", text)]).err().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    let syntax = faults("@id(\"a\") @why(\"b\")\npermit (principal, action, resource)\nwhen { 1 + };\n");
    assert!(syntax[0].starts_with("p.cedar:3:"), "{syntax:?}");
    let unknown = faults("@id(\"a\") @why(\"b\")\npermit (principal, action == Action::\"block_address\", resource)\nwhen { resource.nope };\n");
    assert!(unknown[0].starts_with("p.cedar:") && unknown[0].contains("nope"), "{unknown:?}");
    assert!(faults("permit (principal, action, resource);")[0].contains("needs @id and @why"));
    let twice = "@id(\"a\") @why(\"b\")\nforbid (principal, action, resource);\n";
    assert!(!faults(&twice.repeat(2)).is_empty());
    let schema = CedarPoint::compile(&file("s.cedarschema", "entity User in [Role;"), &[]).err().unwrap();
    assert!(schema[0].line == 1, "{schema:?}");
}
