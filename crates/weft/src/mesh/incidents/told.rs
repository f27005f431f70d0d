//! What the lake says of the findings and events of incidents.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use weft_analytics::incident::{INCIDENT_FINDING, Incident, Member};
use weft_console::api::{ApiError, IncidentVersion};
use weft_lake::{Lake, QueryError, QueryOptions, table_name};
use weft_model::event::row_to_json;
use weft_model::{ClassUid, DETECTION_FINDING, TraceId};

use crate::hunting;
use crate::mesh::backend::api_error;
use crate::mesh::cells;

/// Values of one list of a statement.
const LIST_MAX: usize = 500;
/// Events and findings of an incident that are asked for.
pub(super) const NAMED_MAX: usize = 2_000;
/// Findings of each analytic, and events of each, by which the tools of a list are known.
const FEW: usize = 5;
/// Versions that are shown.
const VERSIONS_MAX: usize = 500;
/// What the mesh calls itself in its own events.
const OWN_PRODUCT: &str = "Weft";

/// An event as the lake has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Event {
    pub(super) uid: String,
    pub(super) tool: Option<String>,
    pub(super) message: Option<String>,
}

/// What is known of findings and events.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Events that tell findings, by the finding.
    pub(super) findings: HashMap<String, Event>,
    /// Events of evidence.
    pub(super) events: HashMap<String, Event>,
}

impl Told {
    /// The products that a finding comes from.
    pub(super) fn tools_of(&self, member: &Member) -> BTreeSet<String> {
        let own = self.findings.get(&member.uid).into_iter();
        let events = member.evidence.iter().filter_map(|(uid, ..)| self.events.get(uid));
        own.chain(events).filter_map(|event| event.tool.clone()).filter(|tool| tool != OWN_PRODUCT).collect()
    }

    /// The products that an incident comes from.
    pub(super) fn tools(&self, incident: &Incident) -> Vec<String> {
        let all: BTreeSet<String> = incident.members.iter().flat_map(|member| self.tools_of(member)).collect();
        all.into_iter().collect()
    }
}

/// Whether the lake is asked for a finding: its place among those of its analytic, and that of the event in it.
pub(super) fn few(finding: usize, event: usize) -> bool {
    finding < FEW && event < FEW
}

/// Asks for findings of incidents and their events, as many as are wanted.
pub(super) async fn of(lake: &Lake, incidents: &[&Incident], wanted: &(dyn Fn(usize, usize) -> bool + Sync)) -> Result<Told, ApiError> {
    let (mut findings, mut events): (Vec<&str>, BTreeMap<u32, Vec<&str>>) = (Vec::new(), BTreeMap::new());
    for incident in incidents {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut named = 0;
        for member in &incident.members {
            let place = places.entry(&member.analytic).or_default();
            if wanted(*place, 0) && named < NAMED_MAX {
                findings.push(&member.uid);
                let some = member.evidence.iter().enumerate().filter(|(at, _)| wanted(*place, *at)).take(NAMED_MAX - named);
                for (_, (uid, class, _)) in some {
                    named += 1;
                    events.entry(*class).or_default().push(uid);
                }
            }
            *place += 1;
        }
    }
    let begin = incidents.iter().map(|incident| incident.first_evidence().0).min().unwrap_or(0);
    let end = incidents.iter().map(|incident| incident.last_evidence().0).max().unwrap_or(0);
    let mut told = Told::default();
    for some in findings.chunks(LIST_MAX) {
        let by = format!("finding_info['uid'] IN ({})", quoted(some));
        told.findings.extend(look(lake, DETECTION_FINDING, "finding_info['uid']", &format!("time BETWEEN {begin} AND {end} AND {by}")).await?);
    }
    for (class, uids) in &events {
        for some in uids.chunks(LIST_MAX) {
            let by = format!("metadata['uid'] IN ({})", quoted(some));
            told.events.extend(look(lake, ClassUid(*class), "metadata['uid']", &format!("time BETWEEN {begin} AND {end} AND {by}")).await?);
        }
    }
    Ok(told)
}

/// Events of a class by a key; of several with one key the newest. A table that was never made has none.
async fn look(lake: &Lake, class: ClassUid, key: &str, condition: &str) -> Result<Vec<(String, Event)>, ApiError> {
    let table = table_name(class);
    let sql = format!(
        "SELECT {key} AS key, metadata['uid'] AS uid, metadata['product']['name'] AS product, message FROM \"{table}\" WHERE {condition} ORDER BY time LIMIT {}",
        LIST_MAX * 4
    );
    let found = match lake.session(QueryOptions::default()).collect(&sql).await {
        Ok(found) => found,
        Err(QueryError::Sql { message }) if hunting::missing(&message).is_some() => return Ok(Vec::new()),
        Err(error) => return Err(api_error(error)),
    };
    let event = |row: Vec<Value>| {
        let mut texts = row.into_iter().map(|value| value.as_str().map(str::to_owned));
        let (key, uid) = (texts.next()??, texts.next()??);
        Some((key, Event { uid, tool: texts.next()?, message: texts.next()? }))
    };
    Ok(cells::rows(&found.batches).into_iter().filter_map(event).collect())
}

/// Every version of an incident that was told, oldest first.
pub(super) async fn versions(lake: &Lake, uid: &str) -> Result<Vec<IncidentVersion>, ApiError> {
    let table = table_name(INCIDENT_FINDING);
    let trace = TraceId::of(uid);
    let sql = format!("SELECT * FROM \"{table}\" WHERE metadata['correlation_uid'] = '{}' ORDER BY time LIMIT {VERSIONS_MAX}", trace.as_str());
    let found = match lake.session(QueryOptions::default()).collect(&sql).await {
        Ok(found) => found,
        Err(QueryError::Sql { message }) if hunting::missing(&message).is_some() => return Ok(Vec::new()),
        Err(error) => return Err(api_error(error)),
    };
    let events: Vec<Value> = found.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| row_to_json(batch, row))).collect();
    Ok(super::view::versions(&events))
}

fn quoted(values: &[&str]) -> String {
    values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}
