//! The graph: what is reached when, what snapshots change, tables and back.

use std::collections::BTreeSet;

use proptest::prelude::*;
use weft_identity::graph::{Budget, Builder, Direction, EdgeKind, Graph, Interval, LinkFact, Micros, NodeFact, NodeKind, Short, Snapshot, TABLES};
use weft_identity::person::{IdKind, Usage};

fn node(key: &str, kind: NodeKind) -> NodeFact {
    let ids = vec![(IdKind::Login, key.to_owned())];
    NodeFact { key: key.into(), kind, name: key.to_uppercase(), aliases: vec![], ids, active: true, usage: Usage::Unsaid, since: None, scope: "dir/all".into() }
}

fn link(from: &str, kind: EdgeKind, to: &str) -> LinkFact {
    LinkFact { from: from.into(), to: to.into(), kind, label: "word".into(), since: None, until: None, scope: "dir/all".into(), place: "file".into() }
}

fn company() -> Snapshot {
    use EdgeKind::{CanAssume, EntitledTo, MemberOf};
    let nodes = [("ada", NodeKind::Account), ("grace", NodeKind::Account), ("dev", NodeKind::Group), ("ops", NodeKind::Group), ("admin", NodeKind::Role)];
    let nodes = nodes.into_iter().chain([("vault", NodeKind::Resource)]).map(|(key, kind)| node(key, kind)).collect();
    let links = vec![
        link("ada", MemberOf, "dev"),
        link("grace", MemberOf, "ops"),
        // A cycle of groups ends nowhere.
        link("dev", MemberOf, "ops"),
        link("ops", MemberOf, "dev"),
        link("ops", CanAssume, "admin"),
        link("admin", EntitledTo, "vault"),
        link("ada", EdgeKind::ReportsTo, "grace"),
    ];
    Snapshot { nodes, links, ..Snapshot::default() }
}

fn without(from: &str, to: &str) -> Snapshot {
    let mut snapshot = company();
    snapshot.links.retain(|link| (link.from.as_str(), link.to.as_str()) != (from, to));
    snapshot
}

fn built(snapshots: &[(Snapshot, Micros)]) -> Graph {
    let mut builder = Builder::default();
    for (snapshot, at) in snapshots {
        assert_eq!(builder.absorb(snapshot, *at).unwrap().faults, vec![]);
    }
    builder.finish().unwrap()
}

fn reached(graph: &Graph, start: &str, direction: Direction, at: Micros) -> BTreeSet<String> {
    let reach = graph.reach(&[graph.find(start).unwrap()], direction, at, &Budget::default());
    assert_eq!(reach.short, None);
    reach.found.iter().skip(reach.starts).map(|found| graph.key(found.node).to_owned()).collect()
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn a_cycle_of_groups_ends_and_a_manager_confers_nothing() {
    let graph = built(&[(company(), 10)]);
    assert_eq!(reached(&graph, "ada", Direction::Forward, 10), set(&["dev", "ops", "admin", "vault"]));
    assert_eq!(reached(&graph, "vault", Direction::Reverse, 10), set(&["admin", "ops", "dev", "ada", "grace"]));
    assert_eq!(reached(&graph, "vault", Direction::Forward, 10), set(&[]));
}

#[test]
fn a_path_tells_each_edge_in_the_direction_of_having() {
    let graph = built(&[(company(), 10)]);
    for (start, end, direction) in [("ada", "vault", Direction::Forward), ("vault", "ada", Direction::Reverse)] {
        let reach = graph.reach(&[graph.find(start).unwrap()], direction, 10, &Budget::default());
        let at = reach.found.iter().position(|found| graph.key(found.node) == end).unwrap();
        let path: Vec<(&str, &str)> = reach.path(at, direction).iter().map(|step| (graph.key(step.from), graph.key(step.to))).collect();
        assert_eq!(path, [("ada", "dev"), ("dev", "ops"), ("ops", "admin"), ("admin", "vault")]);
    }
}

#[test]
fn who_could_on_a_date_is_answered_from_what_held_then() {
    let graph = built(&[(company(), 10), (without("ops", "admin"), 20), (company(), 30)]);
    let who = |at| reached(&graph, "vault", Direction::Reverse, at);
    assert_eq!(who(9), set(&[]));
    assert_eq!(who(10), who(19));
    assert!(who(19).contains("ada"));
    assert_eq!(who(20), set(&["admin"]));
    assert!(who(30).contains("grace"));
}

#[test]
fn what_is_told_again_goes_on_and_a_torn_part_ends_nothing() {
    let mut builder = Builder::default();
    let first = builder.absorb(&company(), 10).unwrap();
    let again = builder.absorb(&company(), 20).unwrap();
    assert_eq!((first.begun, again.begun, again.ended), (7, 0, 0));
    let torn = Snapshot { torn: vec!["dir/all".into()], ..without("ops", "admin") };
    assert_eq!(builder.absorb(&torn, 30).unwrap().ended, 0);
    assert_eq!(builder.absorb(&without("ops", "admin"), 40).unwrap().ended, 1);
    let graph = builder.finish().unwrap();
    assert!(reached(&graph, "ada", Direction::Forward, 39).contains("vault"));
    assert!(!reached(&graph, "ada", Direction::Forward, 40).contains("vault"));
}

#[test]
fn an_older_snapshot_is_refused_with_what_to_do() {
    let mut builder = Builder::default();
    builder.absorb(&company(), 20).unwrap();
    let late = builder.absorb(&without("ops", "admin"), 10).unwrap();
    assert_eq!((late.ended, late.faults.len()), (0, 1));
    assert!(late.faults[0].to_string().starts_with("dir/all: a later snapshot of it is held already"), "{}", late.faults[0]);
}

#[test]
fn a_dangling_end_is_told_and_found_again_under_its_other_name() {
    let mut snapshot = company();
    snapshot.links.push(link("ada", EdgeKind::MemberOf, "cn=late,dc=x"));
    let mut builder = Builder::default();
    let absorbed = builder.absorb(&snapshot, 10).unwrap();
    assert_eq!(absorbed.faults.len(), 1);
    assert!(absorbed.faults[0].reason.contains("`cn=late,dc=x`"), "{}", absorbed.faults[0]);
    let late = NodeFact { aliases: vec!["cn=late,dc=x".into()], scope: "dir/late".into(), ..node("late", NodeKind::Group) };
    builder.absorb(&Snapshot { nodes: vec![late], ..Snapshot::default() }, 20).unwrap();
    let graph = builder.finish().unwrap();
    assert_eq!(graph.nodes(), 7);
    assert!(reached(&graph, "ada", Direction::Forward, 20).contains("late"));
    assert_eq!(graph.find("cn=late,dc=x"), graph.find("late"));
}

#[test]
fn each_bound_is_told_when_it_is_met() {
    let graph = built(&[(company(), 10)]);
    let short = |budget: Budget| graph.reach(&[graph.find("ada").unwrap()], Direction::Forward, 10, &budget).short;
    assert_eq!(short(Budget { depth: 3, ..Budget::default() }), Some(Short::Depth));
    assert_eq!(short(Budget { depth: 4, ..Budget::default() }), None);
    assert_eq!(short(Budget { nodes: 3, ..Budget::default() }), Some(Short::Nodes));
    assert_eq!(short(Budget { edges: 2, ..Budget::default() }), Some(Short::Edges));
}

fn copied(graph: &Graph) -> Graph {
    let mut builder = Builder::default();
    for table in TABLES {
        graph.table(table).for_each(|rows| builder.fill(table, &rows.unwrap()).unwrap());
    }
    builder.finish().unwrap()
}

#[test]
fn tables_hold_all_of_it() {
    let graph = built(&[(company(), 10), (without("ops", "admin"), 20)]);
    let again = copied(&graph);
    assert_eq!((again.nodes(), again.edges(), again.identifiers().len()), (graph.nodes(), graph.edges(), 6));
    for at in [9, 10, 19, 20] {
        assert_eq!(reached(&again, "ada", Direction::Forward, at), reached(&graph, "ada", Direction::Forward, at));
    }
    assert_eq!((again.name(0), again.kind(again.find("admin").unwrap()), &again.scopes()[0]), ("ADA", NodeKind::Role, &graph.scopes()[0]));
}

#[test]
fn an_empty_graph_has_empty_tables() {
    assert_eq!((copied(&Graph::default()).nodes(), copied(&Graph::default()).edges()), (0, 0));
}

#[test]
fn a_table_of_something_else_is_refused() {
    let graph = built(&[(company(), 10)]);
    let mut builder = Builder::default();
    for rows in graph.table(TABLES[4]) {
        let error = builder.fill(TABLES[1], rows.as_ref().unwrap()).unwrap_err();
        assert!(error.to_string().contains("column `key`"), "{error}");
        let error = builder.fill(TABLES[4], rows.as_ref().unwrap()).unwrap_err();
        assert!(error.to_string().contains("column `source`"), "{error}");
    }
}

proptest! {
    /// Rows of neighbours against a plain list of edges.
    #[test]
    fn both_directions_have_each_edge_once(edges in prop::collection::vec((0_u32..40, 0_u32..40, 0_usize..3, 0_i64..6, 0_i64..6), 0..400), at in 0_i64..6) {
        let kinds = [EdgeKind::MemberOf, EdgeKind::HasRole, EdgeKind::ReportsTo];
        let mut builder = Builder::default();
        for n in 0..40 {
            builder.node(&format!("n{n}")).unwrap();
        }
        let scope = builder.scope("s", 0).unwrap();
        let mut holds: BTreeSet<(u32, u32)> = BTreeSet::new();
        for &(from, to, kind, since, until) in &edges {
            let held = Interval { from: since, until };
            let terms = builder.terms(kinds[kind], "", scope, held).unwrap();
            builder.edge(from, to, terms);
            if kinds[kind].confers() && since <= at && at < until {
                holds.insert((from, to));
            }
        }
        let graph = builder.finish().unwrap();
        let forward: BTreeSet<_> = (0..40).flat_map(|n| graph.neighbours(n, Direction::Forward).map(move |to| (n, to.node, to.terms)).collect::<Vec<_>>()).collect();
        let reverse: BTreeSet<_> = (0..40).flat_map(|n| graph.neighbours(n, Direction::Reverse).map(move |from| (from.node, n, from.terms)).collect::<Vec<_>>()).collect();
        prop_assert_eq!(&forward, &reverse);
        prop_assert_eq!(forward.len(), graph.edges());
        for start in 0..40 {
            let (mut wanted, mut next) = (BTreeSet::from([start]), vec![start]);
            while let Some(here) = next.pop() {
                next.extend(holds.iter().filter(|(from, _)| *from == here).map(|(_, to)| *to).filter(|to| wanted.insert(*to)));
            }
            let reach = graph.reach(&[start], Direction::Forward, at, &Budget::default());
            let found: BTreeSet<u32> = reach.found.iter().map(|found| found.node).collect();
            prop_assert_eq!(&found, &wanted);
            let back = graph.reach(&[start], Direction::Reverse, at, &Budget::default());
            prop_assert!(back.found.iter().all(|found| graph.reach(&[found.node], Direction::Forward, at, &Budget::default()).found.iter().any(|found| found.node == start)));
        }
    }
}
