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
/// Events of an incident that are asked for, the newest findings first.
const NAMED_MAX: usize = 10_000;
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
    /// Events of evidence; none in those that were asked for and are not in the lake any more.
    pub(super) events: HashMap<String, Option<Event>>,
}

impl Told {
    /// The products that a finding comes from.
    pub(super) fn tools_of(&self, member: &Member) -> BTreeSet<String> {
        let own = self.findings.get(&member.uid).into_iter();
        let events = member.evidence.iter().filter_map(|(uid, ..)| self.events.get(uid)?.as_ref());
        own.chain(events).filter_map(|event| event.tool.clone()).filter(|tool| tool != OWN_PRODUCT).collect()
    }

    /// The products that an incident comes from.
    pub(super) fn tools(&self, incident: &Incident) -> Vec<String> {
        let all: BTreeSet<String> = incident.members.iter().flat_map(|member| self.tools_of(member)).collect();
        all.into_iter().collect()
    }
}

/// Whether the lake is asked for an event: the place of its finding among all of the incident, and among those of
/// its analytic, the newest first; and its own place in the finding.
pub(super) struct Place {
    /// Findings that are newer.
    pub(super) finding: usize,
    /// Findings in all.
    pub(super) findings: usize,
    /// Findings of the same analytic that are newer.
    pub(super) of_analytic: usize,
    /// Events of the finding before it.
    pub(super) event: usize,
}

/// As many as tell the tools.
pub(super) fn few(place: &Place) -> bool {
    place.of_analytic < FEW && place.event < FEW
}

/// Asks for findings of incidents and their events, as many as are wanted.
pub(super) async fn of(lake: &Lake, incidents: &[&Incident], wanted: &(dyn Fn(&Place) -> bool + Sync)) -> Result<Told, ApiError> {
    let (mut findings, mut events): (Vec<&str>, BTreeMap<u32, Vec<&str>>) = (Vec::new(), BTreeMap::new());
    for incident in incidents {
        let (mut places, mut named): (HashMap<&str, usize>, usize) = (HashMap::new(), 0);
        for (at, member) in incident.members.iter().rev().enumerate() {
            let of_analytic = places.entry(&member.analytic).or_default();
            let place = |event| Place { finding: at, findings: incident.members.len(), of_analytic: *of_analytic, event };
            if wanted(&place(0)) && named < NAMED_MAX {
                findings.push(&member.uid);
                for (_, (uid, class, _)) in member.evidence.iter().enumerate().filter(|(event, _)| wanted(&place(*event))).take(NAMED_MAX - named) {
                    named += 1;
                    events.entry(*class).or_default().push(uid);
                }
            }
            *of_analytic += 1;
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
            told.events.extend(some.iter().map(|uid| ((*uid).to_owned(), None)));
            let found = look(lake, ClassUid(*class), "metadata['uid']", &format!("time BETWEEN {begin} AND {end} AND {by}")).await?;
            told.events.extend(found.into_iter().map(|(uid, event)| (uid, Some(event))));
        }
    }
    Ok(told)
}

/// Events of a class by a key; of several with one key the newest. A table that was never made has none.
async fn look(lake: &Lake, class: ClassUid, key: &str, condition: &str) -> Result<Vec<(String, Event)>, ApiError> {
    let table = table_name(class);
    let sql = format!(
        "SELECT {key} AS key, metadata['uid'] AS uid, metadata['product']['name'] AS product, message FROM \"{table}\" WHERE {condition} ORDER BY time DESC LIMIT {}",
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
    // The newest comes last, and so counts.
    Ok(cells::rows(&found.batches).into_iter().rev().filter_map(event).collect())
}

/// The newest versions of an incident that were told, oldest first, and how many there were before them.
pub(super) async fn versions(lake: &Lake, uid: &str) -> Result<(Vec<IncidentVersion>, u64), ApiError> {
    let table = table_name(INCIDENT_FINDING);
    let of = format!("FROM \"{table}\" WHERE metadata['correlation_uid'] = '{}' AND class_uid = {INCIDENT_FINDING}", TraceId::of(uid).as_str());
    let ask = async |sql: String| match lake.session(QueryOptions::default()).collect(&sql).await {
        Ok(found) => Ok(Some(found)),
        Err(QueryError::Sql { message }) if hunting::missing(&message).is_some() => Ok(None),
        Err(error) => Err(api_error(error)),
    };
    // One more than is shown: what is new in the first is told by it.
    let columns = "class_uid, time, severity_id, status_detail, unmapped";
    let Some(found) = ask(format!("SELECT {columns} {of} ORDER BY time DESC LIMIT {}", VERSIONS_MAX + 1)).await? else { return Ok((Vec::new(), 0)) };
    let mut events: Vec<Value> = found.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| row_to_json(batch, row))).collect();
    events.reverse();
    let mut versions = super::view::versions(&events);
    if versions.len() <= VERSIONS_MAX {
        return Ok((versions, 0));
    }
    versions.remove(0);
    let all = ask(format!("SELECT count(*) {of}")).await?.and_then(|found| cells::rows(&found.batches).first()?.first()?.as_u64()).unwrap_or(0);
    Ok((versions, all.saturating_sub(VERSIONS_MAX as u64)))
}

fn quoted(values: &[&str]) -> String {
    values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}
