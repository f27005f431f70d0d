//! Incidents on the screen.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_analytics::incident::{Closed, Incident, Member, Standing, Supported, Verdict, Version};
use weft_model::{Timestamp, attack};

use crate::cli::{Fault, Format, Outcome, Output, Rows};

/// Columns of a list.
const COLUMNS: [&str; 11] =
    ["incident", "severity", "status", "title", "first_evidence", "last_evidence", "detected", "findings", "tactics", "sources", "versions"];

/// Those that a table shows.
const SHOWN: [&str; 7] = ["incident", "severity", "status", "title", "last_evidence", "findings", "tactics"];
/// Characters of an id that a table shows: as good as the whole one, since any begin is understood.
const ID_CHARS: usize = 12;

/// The uid that an id is the begin of, if it is of one incident alone.
pub(super) fn full_uid(events: &[Value], id: &str) -> Option<String> {
    let mut uids: Vec<&str> = events.iter().filter_map(uid).filter(|uid| uid.starts_with(id)).collect();
    uids.sort_unstable();
    uids.dedup();
    match uids.as_slice() {
        [one] => Some((*one).to_owned()),
        many => many.contains(&id).then(|| id.to_owned()),
    }
}

fn uid(event: &Value) -> Option<&str> {
    event.pointer("/finding_info_list/0/uid").and_then(Value::as_str)
}

fn number(event: &Value, path: &str) -> i64 {
    event.pointer(path).and_then(Value::as_i64).unwrap_or(0)
}

/// A later version says more, and one that is part of another is the last.
fn order(event: &Value) -> (bool, i64, i64) {
    (
        event.get("status_detail").and_then(Value::as_str).is_some_and(|detail| detail.starts_with("merged")),
        number(event, "/time"),
        number(event, "/unmapped/findings"),
    )
}

/// Versions of each incident, oldest first.
fn versions(events: &[Value]) -> BTreeMap<&str, Vec<&Value>> {
    let mut all: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    events.iter().filter_map(|event| Some((uid(event)?, event))).for_each(|(uid, event)| all.entry(uid).or_default().push(event));
    all.values_mut().for_each(|versions| versions.sort_by_key(|event| order(event)));
    all
}

fn time(ms: i64) -> Value {
    Timestamp(ms).rfc3339().into()
}

fn texts<'e>(event: &'e Value, path: &str, part: &'static str) -> Vec<&'e str> {
    let items = event.pointer(path).and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<&str> = items.filter_map(|item| if part.is_empty() { item.as_str() } else { item.pointer(part)?.as_str() }).collect();
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|text| seen.insert(*text));
    found
}

/// Lists the incidents of the lake, newest first; exit code 1 when there are some.
pub(super) fn list(events: &[Value], all: bool, out: &mut Output) -> Result<Outcome, Fault> {
    let mut last: Vec<(&str, &Value, usize)> =
        versions(events).into_iter().filter_map(|(uid, versions)| Some((uid, *versions.last()?, versions.len()))).collect();
    last.retain(|(_, event, _)| all || number(event, "/status_id") < 4);
    last.sort_by_key(|(uid, event, _)| (std::cmp::Reverse(number(event, "/end_time")), *uid));
    let mut rows = Rows::new(COLUMNS);
    let is_table = out.format() == Format::Table;
    for (uid, event, count) in &last {
        let owner = event.pointer("/assignee/name").and_then(Value::as_str);
        let open = owner.map_or_else(|| "open".to_owned(), |owner| format!("open, with {owner}"));
        let status = event.get("status_detail").and_then(Value::as_str).map_or(open, str::to_owned);
        rows.push([
            uid.get(..ID_CHARS).filter(|_| is_table).unwrap_or(uid).into(),
            number(event, "/severity_id").into(),
            status.into(),
            event.get("message").cloned().unwrap_or_default(),
            time(number(event, "/start_time")),
            time(number(event, "/end_time")),
            time(number(event, "/unmapped/detected")),
            number(event, "/unmapped/findings").into(),
            texts(event, "/attacks", "/tactic/name").join(", ").into(),
            texts(event, "/finding_info_list/0/data_sources", "").join(", ").into(),
            (*count).into(),
        ]);
    }
    out.list(rows, &SHOWN)?;
    Ok(if last.is_empty() { Outcome::Done } else { Outcome::Found })
}

/// An incident as its last version names its findings: for a decision about it.
pub(super) fn incident(events: &[Value], uid: &str) -> Option<Incident> {
    let event = *versions(events).get(uid)?.last()?;
    let related = event.pointer("/finding_info_list/0/related_events")?.as_array()?;
    let member = |item: &Value| {
        let time = Timestamp(number(item, "/time"));
        let text = |path: &str| item.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        (number(item, "/type_uid") / 100 == 2004).then(|| Member {
            time,
            uid: text("/uid"),
            analytic: text("/title"),
            title: text("/title"),
            severity_id: number(item, "/severity_id"),
            techniques: Vec::new(),
            tactics: Vec::new(),
            begin: time,
            evidence: Vec::new(),
            entities: Vec::new(),
        })
    };
    let members: Vec<Member> = related.iter().filter_map(member).collect();
    Some(Incident {
        uid: uid.to_owned(),
        members,
        forgotten: 0,
        lasting: true,
        joins: Vec::new(),
        hubs: Vec::new(),
        decided: Vec::new(),
        standing: standing(event),
    })
}

/// Whether it is closed: all that a decision asks.
fn standing(event: &Value) -> Standing {
    let closed = Closed { verdict: Verdict::InsufficientData, reason: String::new(), by: String::new(), at: Timestamp(number(event, "/time")) };
    Standing { owner: None, closed: (number(event, "/status_id") == 5).then_some(closed) }
}

/// One incident of the lake: its story, every version of it, the path of its evidence, its sources.
pub(super) fn one(events: &[Value], uid: &str, supported: &Supported, out: &mut Output) -> Result<Outcome, Fault> {
    let all = versions(events);
    let Some(versions) = all.get(uid) else { return Ok(Outcome::Found) };
    let Some(last) = versions.last().copied() else { return Ok(Outcome::Found) };
    if out.format() != Format::Table {
        return whole(vec![last.clone()], std::slice::from_ref(supported), out);
    }
    out.line(last.get("message").and_then(Value::as_str).unwrap_or_default())?;
    last.get("desc").and_then(Value::as_str).unwrap_or_default().lines().try_for_each(|line| out.line(line))?;
    let mut history = Rows::new(["version", "told", "findings", "severity", "what"]);
    for (number_of, event) in versions.iter().enumerate() {
        let what = event.get("status_detail").and_then(Value::as_str).unwrap_or(if number_of == 0 { "created" } else { "updated" });
        history.push([
            (number_of + 1).into(),
            time(number(event, "/time")),
            number(event, "/unmapped/findings").into(),
            number(event, "/severity_id").into(),
            what.into(),
        ]);
    }
    out.rows(&history)?;
    let joins = last.pointer("/unmapped/joins").and_then(Value::as_array).cloned().unwrap_or_default();
    out.rows(&path(&joins))?;
    out.rows(&sources(supported))?;
    Ok(Outcome::Done)
}

/// Incidents that were put together now.
pub(super) fn batch(incidents: &[Incident], supported: &[Supported], one: Option<&str>, out: &mut Output) -> Result<Outcome, Fault> {
    let pairs = || incidents.iter().zip(supported).filter(|(incident, _)| one.is_none_or(|id| incident.uid.starts_with(id)));
    if matches!(out.format(), Format::Json | Format::Ndjson) {
        let event = |(incident, supported): (&Incident, &Supported)| {
            incident.to_ocsf(&Version::Created, incident.detected(), incident.last_evidence(), Some(supported))
        };
        return whole(pairs().map(event).collect(), &[], out);
    }
    if one.is_some() && out.format() == Format::Table {
        for (incident, supported) in pairs() {
            out.line(&incident.title())?;
            incident.narrative().lines().try_for_each(|line| out.line(line))?;
            out.rows(&path(&incident.joins.iter().map(weft_analytics::incident::Join::to_json).collect::<Vec<_>>()))?;
            out.rows(&sources(supported))?;
        }
        return Ok(Outcome::Found);
    }
    let mut rows = Rows::new(COLUMNS);
    for (incident, supported) in pairs() {
        let tactics: Vec<&str> = incident.tactics().into_iter().map(|id| attack::by_id(id).map_or(id, |tactic| tactic.name)).collect();
        rows.push([
            incident.uid.clone().into(),
            incident.severity_id().into(),
            "open".into(),
            incident.title().into(),
            time(incident.first_evidence().0),
            time(incident.last_evidence().0),
            time(incident.detected().0),
            incident.findings().into(),
            tactics.join(", ").into(),
            supported.sources.iter().map(|(source, (rests, supports))| format!("{source} {rests}+{supports}")).collect::<Vec<_>>().join(", ").into(),
            1.into(),
        ]);
    }
    out.rows(&rows)?;
    Ok(if rows.rows.is_empty() { Outcome::Done } else { Outcome::Found })
}

/// Events as they are, with the sources that a look at the lake found.
fn whole(mut events: Vec<Value>, supported: &[Supported], out: &mut Output) -> Result<Outcome, Fault> {
    for (event, supported) in events.iter_mut().zip(supported) {
        if let Some(unmapped) = event.get_mut("unmapped").and_then(Value::as_object_mut) {
            unmapped.insert("sources".to_owned(), serde_json::json!(supported.sources));
        }
    }
    let found = !events.is_empty();
    if out.format() == Format::Json {
        out.line(&Value::Array(events).to_string())?;
    } else {
        events.iter().try_for_each(|event| out.line(&event.to_string()))?;
    }
    out.flush()?;
    Ok(if found { Outcome::Found } else { Outcome::Done })
}

fn path(joins: &[Value]) -> Rows {
    let mut rows = Rows::new(["earlier", "later", "by", "earlier_has", "later_has", "gap_seconds"]);
    for join in joins {
        let text = |path: &str| Value::from(join.pointer(path).and_then(Value::as_str).unwrap_or_default());
        let by = join.pointer("/by/entity").or_else(|| join.pointer("/by/person")).cloned().unwrap_or_default();
        rows.push([text("/earlier"), text("/later"), by, text("/by/earlier_has"), text("/by/later_has"), (number(join, "/gap_ms") / 1000).into()]);
    }
    rows
}

fn sources(supported: &Supported) -> Rows {
    let mut rows = Rows::new(["source", "evidence", "support"]);
    supported.sources.iter().for_each(|(source, (rests, supports))| rows.push([source.clone().into(), (*rests).into(), (*supports).into()]));
    rows
}
