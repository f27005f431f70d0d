//! What the lake says about the evidence of an incident: from which sources it is, and what supports it.

use serde_json::Value;
use weft_analytics::incident::{Incident, Support, Supported};
use weft_model::{ClassUid, Evidence, Finding, Timestamp, ocsf};

use crate::cli::Fault;
use crate::content;
use crate::home::Home;
use crate::hunting;
use crate::identity;
use crate::verb::{found, offline};

/// Values of one list of a statement.
const LIST_MAX: usize = 500;
/// Events that one statement gives.
const ROWS_MAX: usize = 20_000;
/// Longest look at one table.
const SECONDS_MAX: u64 = 120;
/// Category of network events: what is between two addresses.
const NETWORK: u64 = 4;

/// Sources of the findings of an incident, and events that support it.
pub(super) async fn of(home: &Home, events: &[Value], uid: &str) -> Result<Supported, Fault> {
    let known = identity::entities(home, &content::files(&home.dir).map_err(Fault::Misuse)?).await?;
    let Some(named) = super::show::incident(events, uid) else { return Ok(Supported::default()) };
    let hubs = events
        .iter()
        .filter(|event| event.pointer("/finding_info_list/0/uid").and_then(Value::as_str) == Some(uid))
        .flat_map(|event| event.pointer("/unmapped/hubs").and_then(Value::as_array).into_iter().flatten().filter_map(|hub| hub.as_str().map(str::to_owned)));
    let hubs: Vec<String> = hubs.collect();
    let uids: Vec<&str> = named.members.iter().map(|member| member.uid.as_str()).collect();
    let mut findings = Vec::new();
    for some in uids.chunks(LIST_MAX) {
        let rows = found::events(home, "detection_finding", &format!(" WHERE finding_info['uid'] IN ({})", quoted(some))).await?;
        findings.extend(rows.iter().filter_map(Finding::from_ocsf));
    }
    let incident = Incident::with_members(uid, &findings, &known, hubs);
    let mut support = Support::new(std::slice::from_ref(&incident));
    let Some((begin, end)) = support.span() else { return Ok(Supported::default()) };
    let span = format!("time BETWEEN {begin} AND {end}");
    for (class, uids) in by_class(&incident) {
        for some in uids.chunks(LIST_MAX) {
            look(home, &mut support, class, &format!("{span} AND metadata['uid'] IN ({})", quoted(some)), "NULL AS source, NULL AS target").await?;
        }
    }
    let addresses: Vec<String> = support.addresses().iter().map(ToString::to_string).take(LIST_MAX).collect();
    let addresses = quoted(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    if !addresses.is_empty() {
        let between = format!("{span} AND src_endpoint['ip'] IN ({addresses}) AND dst_endpoint['ip'] IN ({addresses})");
        for class in ocsf::schema().classes().iter().filter(|class| u64::from(class.uid) / 1000 == NETWORK) {
            look(home, &mut support, ClassUid(class.uid), &between, "src_endpoint['ip'] AS source, dst_endpoint['ip'] AS target").await?;
        }
    }
    Ok(support.finish().pop().unwrap_or_default())
}

fn by_class(incident: &Incident) -> Vec<(ClassUid, Vec<&str>)> {
    let mut all: std::collections::BTreeMap<u32, Vec<&str>> = std::collections::BTreeMap::new();
    for (uid, class, _) in incident.members.iter().flat_map(|member| &member.evidence) {
        all.entry(*class).or_default().push(uid);
    }
    all.into_iter().map(|(class, uids)| (ClassUid(class), uids)).collect()
}

fn quoted(values: &[&str]) -> String {
    values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}

/// Events of a class; a table that was never made, or lacks a column, has none.
async fn look(home: &Home, support: &mut Support, class: ClassUid, condition: &str, between: &str) -> Result<(), Fault> {
    let table = weft_lake::table_name(class);
    let sql = format!("SELECT metadata['uid'], metadata['product']['name'], time, {between} FROM \"{table}\" WHERE {condition} ORDER BY time");
    let answer = match offline::ask(home, &sql, ROWS_MAX, SECONDS_MAX).await {
        Ok(answer) => answer,
        Err(Fault::Misuse(faults)) if faults.iter().any(|fault| hunting::missing(fault).is_some()) => return Ok(()),
        Err(other) => return Err(other),
    };
    for row in &answer.rows {
        let [uid, product, time, source, target] = row.as_slice() else { continue };
        let (Some(uid), Some(time)) = (uid.as_str(), time.as_i64()) else { continue };
        let address = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        support.event(Evidence { uid: uid.to_owned(), class, time: Timestamp(time) }, product.as_str(), address(source).zip(address(target)));
    }
    Ok(())
}
