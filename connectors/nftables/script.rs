//! The language of `nft`: scripts from plans, normal form from its JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::Value;
use weft_model::{Artifact, Change, Plan};

use super::dialect::{FILTER, address, line};

/// Most addresses; beyond, a set with ranges is the better tool.
const ADDRESSES_MAX: usize = 100_000;
/// A table of ours whose chains are not as we make them, and whose sets are empty.
const DAMAGED: &str = "filter that somebody changed";
/// Chains, with the fields whose addresses are looked up.
const CHAINS: [(&str, &[&str]); 3] = [("input", &["saddr"]), ("forward", &["saddr", "daddr"]), ("output", &["daddr"])];

/// The script that carries out `plan` where `actual` is; `nft -f` runs it as one transaction, so
/// that nothing is open in between.
pub(super) fn script(plan: &Plan, actual: &Artifact) -> Result<String, String> {
    let mut target = actual.clone();
    for change in &plan.changes {
        let (Change::Add(text) | Change::Remove(text)) = change;
        if text != FILTER && text != DAMAGED && address(text).is_none() {
            return Err(format!("`{text}` is not a statement of this dialect"));
        }
        match change {
            Change::Add(text) => target.lines.insert(text.clone()),
            Change::Remove(text) => target.lines.remove(text),
        };
    }
    if target.lines.len() > ADDRESSES_MAX {
        return Err(format!("more than {ADDRESSES_MAX} addresses"));
    }
    if target.lines.is_empty() {
        return Ok("add table inet weft\ndelete table inet weft\n".to_owned());
    }
    if !target.lines.contains(FILTER) || !actual.lines.contains(FILTER) {
        return Ok(whole(&target));
    }
    Ok(elements(plan))
}

/// Makes the table anew: also what mends chains that somebody else changed.
fn whole(target: &Artifact) -> String {
    let addresses: BTreeSet<IpAddr> = target.lines.iter().filter_map(|text| address(text)).collect();
    let set = |out: &mut String, name: &str, kind: &str, four: bool| {
        let members: Vec<String> = addresses.iter().filter(|address| address.is_ipv4() == four).map(ToString::to_string).collect();
        let elements = if members.is_empty() { String::new() } else { format!("elements = {{ {} }};", members.join(", ")) };
        // Writing to a text cannot fail.
        let _infallible = writeln!(out, " set {name} {{ type {kind}; {elements} }}");
    };
    let mut out = String::from("add table inet weft\ndelete table inet weft\ntable inet weft {\n");
    set(&mut out, "blocked4", "ipv4_addr", true);
    set(&mut out, "blocked6", "ipv6_addr", false);
    for (chain, fields) in CHAINS {
        // Before the usual filters (0), so that nothing that others accept comes first.
        let _infallible = writeln!(out, " chain {chain} {{\n  type filter hook {chain} priority -150; policy accept;");
        for field in fields {
            let _infallible = writeln!(out, "  ip {field} @blocked4 drop\n  ip6 {field} @blocked6 drop");
        }
        out.push_str(" }\n");
    }
    out.push_str("}\n");
    out
}

fn elements(plan: &Plan) -> String {
    let mut out = String::new();
    for change in &plan.changes {
        let (verb, text) = match change {
            Change::Add(text) => ("add", text),
            Change::Remove(text) => ("delete", text),
        };
        if let Some(address) = address(text) {
            let set = if address.is_ipv4() { "blocked4" } else { "blocked6" };
            let _infallible = writeln!(out, "{verb} element inet weft {set} {{ {address} }}");
        }
    }
    out
}

/// The normal form of what `nft -j list table inet weft` prints.
pub(super) fn artifact(listing: &Value) -> Result<Artifact, String> {
    let items = listing.get("nftables").and_then(Value::as_array).ok_or("the listing has no `nftables`")?;
    let mut found = Artifact::default();
    let mut drops = BTreeSet::new();
    for item in items {
        if let Some(set) = item.get("set") {
            for element in set.get("elem").and_then(Value::as_array).into_iter().flatten() {
                let text =
                    element.as_str().or_else(|| element.pointer("/elem/val").and_then(Value::as_str)).ok_or("a set has an element that is no address")?;
                let address: IpAddr = text.parse().map_err(|_| format!("`{text}` in a set is no address"))?;
                found.lines.insert(line(address));
            }
        }
        drops.extend(item.get("rule").and_then(drop_rule));
    }
    let wanted: BTreeSet<(String, String, String)> = CHAINS
        .iter()
        .flat_map(|(chain, fields)| {
            fields.iter().flat_map(move |field| {
                [("ip", "@blocked4"), ("ip6", "@blocked6")].map(|(protocol, set)| ((*chain).to_owned(), format!("{protocol} {field}"), set.to_owned()))
            })
        })
        .collect();
    if drops == wanted {
        found.lines.insert(FILTER.to_owned());
    } else if found.lines.is_empty() && !items.is_empty() {
        // A table of ours without our chains is drift, though it blocks nothing.
        found.lines.insert(DAMAGED.to_owned());
    }
    Ok(found)
}

/// Chain, field and set of a rule that drops by a set of ours.
fn drop_rule(rule: &Value) -> Option<(String, String, String)> {
    let [lookup, verdict] = rule.get("expr")?.as_array()?.as_slice() else { return None };
    verdict.get("drop")?;
    let lookup = lookup.get("match").filter(|lookup| lookup.get("op").and_then(Value::as_str) == Some("=="))?;
    let field = lookup.pointer("/left/payload")?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let field = format!("{} {}", text(field.get("protocol"))?, text(field.get("field"))?);
    Some((text(rule.get("chain"))?, field, text(lookup.get("right"))?))
}
