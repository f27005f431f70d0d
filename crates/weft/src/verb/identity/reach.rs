//! `weft identity reach`: what somebody reaches, or who reaches something, on a date.

use serde_json::{Value, json};
use weft_identity::graph::{Budget, Direction, Graph, Short, Step};

use super::{Meant, instant_of, kind_of, meant, people_read, time};
use crate::cli::identity::Reach as Asked;
use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::identity::People;

/// Edges that are looked at for each node that is looked for.
const EDGES_A_NODE: usize = 20;

pub(super) fn run(people: &People, asked: &Asked, out: &mut Output) -> Result<Outcome, Fault> {
    let (graph, population) = (&people.graph, &people.population);
    let at = instant_of(asked.at.as_ref())?;
    let kinds = asked.kind.iter().map(|kind| kind_of(kind)).collect::<Result<Vec<_>, _>>()?;
    let starts = match meant(people, &asked.name, at)? {
        Meant::Person(person) => population.accounts(person),
        Meant::Node(node) => vec![node],
    };
    let direction = if asked.reverse { Direction::Reverse } else { Direction::Forward };
    let budget = Budget { depth: asked.depth, nodes: asked.limit, edges: asked.limit.saturating_mul(EDGES_A_NODE) };
    let reach = graph.reach(&starts, direction, at, &budget);
    let mut rows = Rows::new(["kind", "key", "name", "person", "depth", "path"]);
    for (position, found) in reach.found.iter().enumerate().skip(reach.starts) {
        let kind = graph.kind(found.node);
        if !kinds.is_empty() && !kinds.contains(&kind) {
            continue;
        }
        let path = reach.path(position, direction);
        let path = if people_read(out) { words(graph, &path).into() } else { steps(graph, &path) };
        let person = population.person(found.node).and_then(|person| population.persons.persons.get(person)).map(|person| person.id.clone());
        rows.push([kind.name().into(), graph.key(found.node).into(), graph.name(found.node).into(), json!(person), found.depth.into(), path]);
    }
    out.rows(&rows)?;
    if let Some(short) = reach.short {
        cli::say(match short {
            Short::Depth => "paths go on beyond this depth; `--depth` goes further",
            Short::Nodes | Short::Edges => "there is more; `--limit` looks for more nodes",
        });
    }
    Ok(Outcome::Done)
}

fn words(graph: &Graph, path: &[Step]) -> String {
    let mut words = path.first().map(|step| graph.name(step.from).to_owned()).unwrap_or_default();
    for step in path {
        let terms = graph.terms(step.terms);
        let kind = terms.map_or("", |terms| terms.kind.name());
        let label = terms.map(|terms| graph.text(terms.label)).filter(|label| !label.is_empty()).map(|label| format!(" ({label})")).unwrap_or_default();
        words.push_str(&format!(" {kind}{label} {}", graph.name(step.to)));
    }
    words
}

fn steps(graph: &Graph, path: &[Step]) -> Value {
    let step = |step: &Step| {
        let terms = graph.terms(step.terms)?;
        Some(json!({
            "from": graph.key(step.from),
            "edge": terms.kind.name(),
            "label": graph.text(terms.label),
            "to": graph.key(step.to),
            "since": time(terms.held.from),
            "until": time(terms.held.until),
            "source": graph.scope(terms.scope),
        }))
    };
    Value::Array(path.iter().filter_map(step).collect())
}
