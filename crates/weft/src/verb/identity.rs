//! `weft identity`: the identity graph of the home, and the persons in it.

mod import;
mod reach;

use serde_json::{Value, json};
use weft_identity::graph::{Direction, Graph, Interval, Micros, NodeKind};
use weft_identity::inventory::instant;
use weft_identity::person::{Decision, Link};
use weft_model::Timestamp;

use crate::cli::identity::{Identity, List};
use crate::cli::{self, Fault, Format, Outcome, Output, Rows};
use crate::content;
use crate::door::now;
use crate::home::Home;
use crate::identity::{self, People, Turn};

/// Persons that a name may mean and are told.
const MEANT_MAX: usize = 10;
/// Microseconds of a millisecond.
const MICROS: i64 = 1_000;

/// Runs one of its verbs.
///
/// # Errors
/// Nothing imported, a name of nobody or of several, files that cannot be read.
pub(super) async fn run(home: &Home, asked: &Identity, out: &mut Output) -> Result<Outcome, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    match asked {
        Identity::Import(asked) => return import::run(home, &files, asked, out),
        Identity::Forms => return forms(&files, out),
        Identity::Merge { one, other } => return merge(home, &files, one, other).await,
        Identity::Split { name } => return split(home, &files, name).await,
        _ => {}
    }
    let people = identity::people(home, &files).await?;
    match asked {
        Identity::List(asked) => list(&people, asked, out),
        Identity::Show { name } => show(&people, name, out),
        Identity::Reach(asked) => reach::run(&people, asked, out),
        Identity::Import(_) | Identity::Forms | Identity::Merge { .. } | Identity::Split { .. } => Ok(Outcome::Done),
    }
}

fn forms(files: &content::Files, out: &mut Output) -> Result<Outcome, Fault> {
    let forms = identity::forms(files)?;
    let mut rows = Rows::new(["form", "what"]);
    forms.names().for_each(|(name, title)| rows.push([name.into(), title.into()]));
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

fn list(people: &People, asked: &List, out: &mut Output) -> Result<Outcome, Fault> {
    let (graph, population) = (&people.graph, &people.population);
    if asked.notes {
        let of = |custom: &weft_identity::person::Custom| {
            format!("logins of {} are {}: {} of {} certain persons", custom.space, custom.custom, custom.hits, custom.of)
        };
        population.persons.customs.iter().for_each(|custom| cli::say(&of(custom)));
        population.persons.notes.iter().for_each(|note| cli::say(note));
    }
    if let Some(kind) = &asked.kind {
        return nodes(graph, kind_of(kind)?, out);
    }
    if asked.others {
        let mut rows = Rows::new(["account", "name", "usage", "source"]);
        for (node, usage) in population.persons.others.iter().filter_map(|(at, usage)| Some((*population.nodes.get(*at)?, usage))) {
            rows.push([graph.key(node).into(), graph.name(node).into(), usage.name().into(), scope(graph, node).into()]);
        }
        out.rows(&rows)?;
        return Ok(Outcome::Done);
    }
    let mut rows = Rows::new(["person", "name", "accounts", "sources", "weakest"]);
    for (number, person) in population.persons.persons.iter().enumerate() {
        let mut sources: Vec<&str> = population.accounts(number).into_iter().map(|node| scope(graph, node).split('/').next().unwrap_or_default()).collect();
        sources.sort_unstable();
        sources.dedup();
        let weakest = person.links.iter().filter(|link| link.joined).map(|link| link.by).max();
        let sources = if people_read(out) { sources.join(", ").into() } else { json!(sources) };
        rows.push([person.id.clone().into(), person.name.clone().into(), person.accounts.len().into(), sources, json!(weakest.map(|by| by.name()))]);
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

/// Whether the rows are for eyes: lists become text then.
fn people_read(out: &Output) -> bool {
    matches!(out.format(), Format::Table | Format::Csv)
}

fn nodes(graph: &Graph, kind: NodeKind, out: &mut Output) -> Result<Outcome, Fault> {
    let mut rows = Rows::new(["key", "name", "kind", "source", "active", "since", "until"]);
    for node in (0..graph.nodes()).filter(|&node| graph.kind(node) == kind) {
        let (active, held) = graph.about(node).map_or((true, Interval::ALWAYS), |about| (about.is_active(), about.held));
        let key = [graph.key(node).into(), graph.name(node).into(), kind.name().into(), scope(graph, node).into(), active.into()];
        let [key, name, kind, source, active] = key;
        rows.push([key, name, kind, source, active, time(held.from), time(held.until)]);
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

fn scope(graph: &Graph, node: u32) -> &str {
    graph.about(node).filter(|about| about.kind != NodeKind::Unknown).map_or("", |about| graph.scope(about.scope))
}

fn kind_of(name: &str) -> Result<NodeKind, Fault> {
    NodeKind::named(name).ok_or_else(|| {
        let known: Vec<&str> = NodeKind::ALL.iter().map(|kind| kind.name()).collect();
        Fault::misuse(format!("`{name}` is no kind of node; there are {}", known.join(", ")))
    })
}

/// An instant as it is written; nothing for an open bound.
fn time(at: Micros) -> Value {
    if at == Interval::OPEN || at == Micros::MIN { Value::Null } else { Timestamp(at.div_euclid(MICROS)).rfc3339().into() }
}

/// An instant that was asked for; of a date its last one.
fn instant_of(text: Option<&String>) -> Result<Micros, Fault> {
    let Some(text) = text else { return Ok(now().0.saturating_mul(MICROS)) };
    let at = instant(text).ok_or_else(|| Fault::misuse(format!("`{text}` is not a time such as `2026-01-31T12:00:00Z` or a date such as `2026-01-31`")))?;
    Ok(if text.trim().len() == "2026-01-31".len() && text.contains('-') { at + Timestamp::DAY_MS * MICROS - 1 } else { at })
}

/// What a name means.
enum Meant {
    Person(usize),
    Node(u32),
}

/// The person or the node that a name means at an instant.
fn meant(people: &People, name: &str, at: Micros) -> Result<Meant, Fault> {
    let (graph, population) = (&people.graph, &people.population);
    match population.named(graph, name, at).as_slice() {
        [person] => return Ok(Meant::Person(*person)),
        [] => {}
        several => {
            let ids: Vec<String> =
                several.iter().take(MEANT_MAX).filter_map(|&person| population.persons.persons.get(person)).map(|person| person.id.clone()).collect();
            return Err(Fault::misuse(format!("`{name}` is {} persons: {}; give one of these ids", several.len(), ids.join(", "))));
        }
    }
    if let Some(node) = graph.find_at(name, at) {
        return Ok(Meant::Node(node));
    }
    let called: Vec<u32> = (0..graph.nodes()).filter(|&node| graph.name(node).eq_ignore_ascii_case(name)).collect();
    match called.as_slice() {
        [node] => Ok(Meant::Node(*node)),
        [] => Err(Fault::misuse(format!("nobody and nothing is called `{name}`; `weft identity list` and `weft identity list --kind KIND` tell who is there"))),
        several => {
            let keys: Vec<&str> = several.iter().take(MEANT_MAX).map(|&node| graph.key(node)).collect();
            Err(Fault::misuse(format!("`{name}` is the name of {} nodes: {}; give one of these keys", several.len(), keys.join(", "))))
        }
    }
}

fn show(people: &People, name: &str, out: &mut Output) -> Result<Outcome, Fault> {
    let (graph, population) = (&people.graph, &people.population);
    let mut rows = Rows::new(["relation", "kind", "key", "name", "detail", "since", "until"]);
    let nodes = match meant(people, name, instant_of(None)?)? {
        Meant::Node(node) => {
            around(graph, node, Direction::Reverse, &mut rows);
            vec![node]
        }
        Meant::Person(number) => {
            let nodes = population.accounts(number);
            let links = population.persons.persons.get(number).map(|person| (person.id.as_str(), person.name.as_str(), person.links.as_slice()));
            let (id, name, links) = links.unwrap_or_default();
            rows.push(["person".into(), "person".into(), id.into(), name.into(), format!("{} accounts", nodes.len()).into(), Value::Null, Value::Null]);
            for &node in &nodes {
                let (active, held) = graph.about(node).map_or((true, Interval::ALWAYS), |about| (about.is_active(), about.held));
                let detail = evidence(graph.key(node), links, active, out);
                rows.push([
                    "account".into(),
                    graph.kind(node).name().into(),
                    graph.key(node).into(),
                    graph.name(node).into(),
                    detail,
                    time(held.from),
                    time(held.until),
                ]);
            }
            nodes
        }
    };
    nodes.iter().for_each(|&node| around(graph, node, Direction::Forward, &mut rows));
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

/// Why an account is the person's.
fn evidence(key: &str, links: &[Link], active: bool, out: &Output) -> Value {
    let of = links.iter().filter(|link| link.a == key || link.b == key);
    let other = |link: &Link| if link.a == key { link.b.clone() } else { link.a.clone() };
    if people_read(out) {
        let line = |link: &Link| format!("{} {} with {}", link.by, link.value, other(link)).replace("  ", " ");
        let mut lines: Vec<String> = of.map(line).collect();
        lines.extend((!active).then(|| "disabled".to_owned()));
        return lines.join("\n").into();
    }
    let all: Vec<Value> = of.map(|link| json!({"by": link.by.name(), "value": link.value, "with": other(link)})).collect();
    json!({"active": active, "evidence": all})
}

/// Direct edges of a node.
fn around(graph: &Graph, node: u32, direction: Direction, rows: &mut Rows) {
    for edge in graph.neighbours(node, direction) {
        let Some(terms) = graph.terms(edge.terms) else { continue };
        let relation = match direction {
            Direction::Forward => terms.kind.name().to_owned(),
            Direction::Reverse => format!("{} of", terms.kind),
        };
        let detail = graph.text(terms.label);
        rows.push([
            relation.into(),
            graph.kind(edge.node).name().into(),
            graph.key(edge.node).into(),
            graph.name(edge.node).into(),
            detail.into(),
            time(terms.held.from),
            time(terms.held.until),
        ]);
    }
}

fn who() -> String {
    std::env::var("USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "command line".to_owned())
}

fn person(people: &People, name: &str) -> Result<usize, Fault> {
    match meant(people, name, instant_of(None)?)? {
        Meant::Person(person) => Ok(person),
        Meant::Node(node) => {
            let kind = people.graph.kind(node);
            Err(Fault::misuse(format!("`{name}` is a {kind} and no person's account; `weft identity list` tells persons")))
        }
    }
}

/// Persons as they are while nobody else changes them.
async fn in_turn(home: &Home, files: &content::Files) -> Result<(People, Turn), Fault> {
    let turn = identity::imported(home)?.turn()?;
    Ok((identity::people(home, files).await?, turn))
}

async fn merge(home: &Home, files: &content::Files, one: &str, other: &str) -> Result<Outcome, Fault> {
    let (people, turn) = in_turn(home, files).await?;
    let (a, b) = (person(&people, one)?, person(&people, other)?);
    let decision = Decision::merge(&people.population.persons, a, b, &who(), now()).map_err(|error| Fault::misuse(error.to_string()))?;
    identity::decide(home, &decision, &turn).await?;
    cli::say(&format!("`{one}` and `{other}` are one person from now on; `weft identity split` takes it back"));
    Ok(Outcome::Done)
}

async fn split(home: &Home, files: &content::Files, name: &str) -> Result<Outcome, Fault> {
    let (people, turn) = in_turn(home, files).await?;
    let (persons, number) = (&people.population.persons, person(&people, name)?);
    let account = people.graph.find(name).filter(|&node| people.population.person(node).is_some());
    let decision = match account {
        Some(node) => Decision::split_account(persons, people.graph.key(node), number, &who(), now()),
        None => Decision::split_person(persons, number, &people.decisions, &who(), now()),
    };
    let decision = decision.map_err(|error| Fault::misuse(error.to_string()))?;
    identity::decide(home, &decision, &turn).await?;
    cli::say(&format!("{} and {} are two persons from now on; `weft identity merge` takes it back", decision.left.join(", "), decision.right.join(", ")));
    Ok(Outcome::Done)
}
