//! What was imported, and what of it a value meets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use weft_analytics::intel::pack::Row;
use weft_analytics::intel::value::Network;
use weft_analytics::intel::{Kind, Pack, Value, score};
use weft_model::Timestamp;

use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::door::now;
use crate::intel::Shelf;

const COLUMNS: [&str; 13] =
    ["value", "state", "indicator", "kind", "source", "confidence", "score", "valid_from", "valid_until", "suppressed_by", "id", "name", "indicates"];

/// What was imported.
fn packs(shelf: &Shelf) -> Vec<Pack> {
    let (packs, faults) = shelf.packs();
    faults.iter().for_each(|fault| cli::say(fault));
    packs
}

/// Counts by source and kind; warning lists by name.
pub(super) fn list(shelf: &Shelf, out: &mut Output) -> Result<Outcome, Fault> {
    let at = now();
    let mut rows = Rows::new(["source", "kind", "indicators", "matched", "suppressed", "expired", "imported", "origin"]);
    for pack in packs(shelf) {
        let mut kinds: BTreeMap<Kind, [u64; 4]> = BTreeMap::new();
        for row in pack.rows() {
            let row = row.map_err(Fault::Failed)?;
            let counts = kinds.entry(row.kind).or_default();
            let which = match (row.suppressed, score::score(row.kind, row.facts, at)) {
                (Some(_), _) => 2,
                (None, 0) => 3,
                (None, _) => 1,
            };
            let [all, matched, suppressed, expired] = counts;
            *all += 1;
            *[all, matched, suppressed, expired].into_iter().nth(which).ok_or_else(|| Fault::failed("a count is missing"))? += 1;
        }
        let imported = Timestamp(pack.imported()).rfc3339();
        if kinds.is_empty() {
            rows.push([pack.source().into(), Json::Null, 0.into(), 0.into(), 0.into(), 0.into(), imported.clone().into(), pack.origin().into()]);
        }
        for (kind, [all, matched, suppressed, expired]) in kinds {
            let kind = kind.name().into();
            rows.push([
                pack.source().into(),
                kind,
                all.into(),
                matched.into(),
                suppressed.into(),
                expired.into(),
                imported.clone().into(),
                pack.origin().into(),
            ]);
        }
    }
    for name in shelf.list_names() {
        rows.push([name.into(), "warning list".into(), 0.into(), 0.into(), 0.into(), 0.into(), Json::Null, Json::Null]);
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

/// What was not taken.
pub(super) fn gaps(shelf: &Shelf, out: &mut Output) -> Result<Outcome, Fault> {
    let mut rows = Rows::new(["source", "place", "reason"]);
    for pack in packs(shelf) {
        let (gaps, all) = pack.gaps();
        gaps.iter().for_each(|gap| rows.push([pack.source().into(), gap.place.clone().into(), gap.reason.clone().into()]));
        if all > gaps.len() as u64 {
            cli::say(&format!("{}: {} more are counted and not kept", pack.source(), all - gaps.len() as u64));
        }
    }
    let (lists, _) = shelf.lists();
    lists.gaps().iter().for_each(|gap| rows.push([gap.place.clone().into(), Json::Null, gap.reason.clone().into()]));
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

/// One indicator, as everybody states it.
pub(super) fn value(shelf: &Shelf, text: &str, out: &mut Output) -> Result<Outcome, Fault> {
    let value = Value::guess(text).map_err(Fault::misuse)?;
    let at = now();
    let mut rows = Rows::new(COLUMNS);
    for pack in packs(shelf) {
        for row in pack.rows() {
            let row = row.map_err(Fault::Failed)?;
            if row.text == value.text && (row.kind == value.kind || is_digest(row.kind) && is_digest(value.kind)) {
                rows.push(told(text, &pack, &row, at, state(&row, at)));
            }
        }
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

/// A digest does not show what it is one of.
fn is_digest(kind: Kind) -> bool {
    matches!(kind, Kind::Hash | Kind::Certificate | Kind::Ja3 | Kind::Ja3s)
}

/// Whether values are known; exit code 1 when one of them matches.
pub(super) fn matches(shelf: &Shelf, texts: &[String], kind: Option<Kind>, out: &mut Output) -> Result<Outcome, Fault> {
    let at = now();
    let mut asked = Vec::new();
    let mut wrong = Vec::new();
    for text in texts {
        match observed(text, kind) {
            Some(values) => asked.push(Asked { text, values, met: Vec::new() }),
            None => wrong.push(format!("`{text}` is {}", kind.map_or("of no kind that is known".to_owned(), |kind| format!("no {}", kind.name())))),
        }
    }
    if !wrong.is_empty() {
        return Err(Fault::Misuse(wrong));
    }
    for pack in packs(shelf) {
        for row in pack.rows() {
            let row = row.map_err(Fault::Failed)?;
            for asked in asked.iter_mut().filter(|asked| asked.meets(&row)) {
                let network = Network::parse(row.text).filter(|_| row.kind == Kind::Ip);
                let live = row.suppressed.is_none();
                asked.met.push((network.filter(|_| live), told(asked.text, &pack, &row, at, state(&row, at))));
            }
        }
    }
    let (mut rows, mut found) = (Rows::new(COLUMNS), false);
    for asked in asked {
        found |= asked.tell(&mut rows);
    }
    out.rows(&rows)?;
    Ok(if found { Outcome::Found } else { Outcome::Done })
}

/// A value with all values under which an indicator would meet it.
struct Asked<'a> {
    text: &'a str,
    values: BTreeSet<(Kind, String)>,
    met: Vec<(Option<Network>, [Json; 13])>,
}

impl Asked<'_> {
    fn meets(&self, row: &Row<'_>) -> bool {
        if row.kind == Kind::Ip && row.text.contains('/') {
            let holds = |network: &Network| {
                self.values.iter().filter(|(kind, _)| *kind == Kind::Ip).filter_map(|(_, text)| Network::parse(text)).any(|one| network.holds(&one))
            };
            return Network::parse(row.text).is_some_and(|network| holds(&network));
        }
        self.values.iter().any(|(kind, text)| *kind == row.kind && text == row.text)
    }

    /// True when it matches.
    fn tell(self, rows: &mut Rows) -> bool {
        if self.met.is_empty() {
            let mut row: [Json; 13] = Default::default();
            let [value, state, ..] = &mut row;
            (*value, *state) = (self.text.into(), "not known".into());
            rows.push(row);
            return false;
        }
        let longest = self.met.iter().filter_map(|(network, _)| network.filter(|network| !network.is_address()).map(|network| network.prefix)).max();
        let mut found = false;
        for (network, mut row) in self.met {
            let shorter = network.is_some_and(|network| longest.is_some_and(|longest| network.prefix < longest));
            let [_, state, ..] = &mut row;
            if shorter && *state == "matches" {
                *state = "a longer network counts".into();
            }
            found |= *state == "matches";
            rows.push(row);
        }
        found
    }
}

fn observed(text: &str, kind: Option<Kind>) -> Option<BTreeSet<(Kind, String)>> {
    let first = match kind {
        Some(kind) => vec![Value::observed(kind, text)?],
        None => match Value::guess(text) {
            // What a digest is one of cannot be seen.
            Ok(value) if is_digest(value.kind) => {
                Kind::ALL.into_iter().filter(|kind| is_digest(*kind)).filter_map(|kind| Value::observed(kind, text)).collect()
            }
            Ok(value) => vec![value],
            // What is no indicator may still be asked for.
            Err(_) => vec![[Kind::Ip, Kind::Domain, Kind::Url, Kind::Email].into_iter().find_map(|kind| Value::observed(kind, text))?],
        },
    };
    let mut values = BTreeSet::new();
    for value in first.iter().flat_map(|value| std::iter::once(value.clone()).chain(value.within())) {
        values.extend(value.domains().map(|name| (Kind::Domain, name.to_owned())).filter(|_| value.kind == Kind::Domain));
        values.insert((value.kind, value.text));
    }
    Some(values)
}

/// What becomes of an indicator now.
fn state(row: &Row<'_>, at: Timestamp) -> &'static str {
    if row.suppressed.is_some() {
        "suppressed"
    } else if score::score(row.kind, row.facts, at) == 0 {
        "expired"
    } else if row.facts.from > at.0 {
        "not valid yet"
    } else if row.facts.all_of > 1 {
        "matches with others"
    } else {
        "matches"
    }
}

fn told(text: &str, pack: &Pack, row: &Row<'_>, at: Timestamp, state: &str) -> [Json; 13] {
    let facts = row.facts;
    let text_or_none = |text: &str| if text.is_empty() { Json::Null } else { text.into() };
    [
        text.into(),
        state.into(),
        row.text.into(),
        row.kind.name().into(),
        pack.source().into(),
        facts.confidence.into(),
        score::score(row.kind, facts, at).into(),
        Timestamp(facts.from).rfc3339().into(),
        score::end(row.kind, facts).map_or(Json::Null, |end| end.rfc3339().into()),
        json!(row.suppressed),
        text_or_none(&facts.id),
        text_or_none(&facts.name),
        text_or_none(&facts.indicates.iter().chain(&facts.techniques).cloned().collect::<Vec<_>>().join(", ")),
    ]
}
