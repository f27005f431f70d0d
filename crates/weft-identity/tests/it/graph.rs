//! The graph: what is reached when, what snapshots change, tables and back.

use std::collections::BTreeSet;

use proptest::prelude::*;
use weft_identity::graph::{Budget, Builder, Direction, EdgeKind, Graph, Interval, LinkFact, Micros, NodeFact, NodeKind, Short, Snapshot, TABLES};
use weft_identity::person::{IdKind, Usage};

fn node(key: &str, kind: NodeKind) -> NodeFact {
    let ids = vec![(IdKind::Login, key.to_owned())];
    NodeFact {
        key: key.into(),
        kind,
        name: key.to_uppercase(),
        aliases: vec![],
        ids,
        active: Some(true),
        usage: Usage::Unsaid,
        since: None,
        passing: false,
        scope: "dir/all".into(),
    }
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
fn a_part_of_which_nothing_is_left_ends_what_it_told() {
    let mut builder = Builder::default();
    builder.absorb(&company(), 10).unwrap();
    let nothing = Snapshot { scopes: vec!["dir/all".into()], ..Snapshot::default() };
    let torn = Snapshot { torn: vec!["dir/all".into()], ..nothing.clone() };
    assert_eq!(builder.absorb(&torn, 20).unwrap().ended, 0);
    assert_eq!(builder.absorb(&nothing, 30).unwrap().ended, 7);
    assert_eq!(builder.absorb(&company(), 25).unwrap().faults.len(), 1, "what is empty has its time too");
    let graph = builder.finish().unwrap();
    let vault = graph.about(graph.find("vault").unwrap()).unwrap();
    assert_eq!((vault.held.until, reached(&graph, "ada", Direction::Forward, 29).len(), reached(&graph, "ada", Direction::Forward, 30)), (30, 4, set(&[])));
}

/// The company with an edge from `ada` to `vault` at planned times.
fn planned(since: Option<Micros>, until: Option<Micros>) -> Snapshot {
    let mut snapshot = company();
    snapshot.links = vec![LinkFact { since, until, ..link("ada", EdgeKind::EntitledTo, "vault") }];
    snapshot
}

#[test]
fn what_is_revoked_before_its_planned_end_or_beginning_ends() {
    let nothing = || Snapshot { links: vec![], ..company() };
    let had = |snapshots: &[(Snapshot, Micros)]| {
        let graph = built(snapshots);
        let ada = graph.find("ada").unwrap();
        graph.neighbours(ada, Direction::Forward).map(|to| graph.terms(to.terms).unwrap().held).map(|held| (held.from, held.until)).collect::<Vec<_>>()
    };
    assert_eq!(had(&[(planned(None, Some(100)), 10), (nothing(), 20)]), [(10, 20)]);
    assert_eq!(had(&[(planned(None, Some(100)), 10), (planned(None, Some(100)), 20)]), [(10, 100)], "told again it goes on");
    assert_eq!(had(&[(planned(None, Some(100)), 10), (planned(None, Some(50)), 20)]), [(10, 50)]);
    assert_eq!(had(&[(planned(None, Some(15)), 10), (nothing(), 20)]), [(10, 15)], "it had ended by itself");
    assert_eq!(had(&[(planned(Some(50), Some(100)), 10), (nothing(), 20)]), [], "it never began");
    assert_eq!(had(&[(planned(None, None), 10), (nothing(), 10)]), [], "a snapshot that was corrected");
    assert_eq!(had(&[(planned(None, None), 10), (nothing(), 20), (planned(None, None), 30)]), [(10, 20), (30, Interval::OPEN)]);
}

/// An account of a part, with other names.
fn called(scope: &str, key: &str, names: &[&str]) -> NodeFact {
    NodeFact { aliases: names.iter().map(|name| (*name).to_owned()).collect(), scope: scope.into(), ..node(key, NodeKind::Account) }
}

fn nodes(nodes: Vec<NodeFact>) -> Snapshot {
    Snapshot { nodes, ..Snapshot::default() }
}

fn meant(graph: &Graph, name: &str, at: Micros) -> String {
    graph.find_at(name, at).map(|node| graph.key(node).to_owned()).unwrap_or_default()
}

#[test]
fn a_name_leads_to_who_has_it_and_before_to_who_had_it() {
    let snapshots = [
        (nodes(vec![called("s/users", "a", &["mail:ada"]), called("s/users", "b", &[])]), 10),
        (nodes(vec![called("s/users", "a", &[]), called("s/users", "b", &[])]), 20),
        (nodes(vec![called("s/users", "a", &[]), called("s/users", "b", &["mail:ada"])]), 30),
    ];
    for graph in [built(&snapshots), copied(&built(&snapshots))] {
        let who = [5, 10, 19, 25, 30, 99].map(|at| meant(&graph, "mail:ada", at));
        assert_eq!(who, ["a", "a", "a", "a", "b", "b"]);
        assert_eq!(graph.find("mail:ada"), graph.find("b"));
    }
    // An edge that is told later is of who has the name then.
    let (mut builder, told) = (
        Builder::default(),
        Snapshot { links: vec![LinkFact { scope: "s/links".into(), ..link("mail:ada", EdgeKind::MemberOf, "b") }], ..Snapshot::default() },
    );
    builder.absorb(&snapshots[0].0, 10).unwrap();
    builder.absorb(&told, 15).unwrap();
    builder.absorb(&snapshots[2].0, 30).unwrap();
    builder.absorb(&told, 40).unwrap();
    let graph = builder.finish().unwrap();
    assert_eq!([15, 39, 40].map(|at| reached(&graph, "a", Direction::Forward, at).len()), [1, 1, 0]);
}

#[test]
fn a_name_of_two_is_told_and_means_the_newer() {
    let mut builder = Builder::default();
    builder.absorb(&nodes(vec![called("s/users", "b", &["mail:ada"])]), 10).unwrap();
    let second = nodes(vec![called("t/users", "a", &["mail:ada"])]);
    let told = builder.absorb(&second, 20).unwrap().faults;
    assert_eq!(told.iter().map(ToString::to_string).collect::<Vec<_>>(), ["mail:ada: it is a name of `a` and `b`; edges that use it mean `a`"]);
    assert_eq!(builder.absorb(&second, 30).unwrap().faults, vec![], "once is enough");
    let graph = builder.finish().unwrap();
    assert_eq!((meant(&graph, "mail:ada", 15), meant(&graph, "mail:ada", 20)), ("b".to_owned(), "a".to_owned()));
}

#[test]
fn a_key_goes_before_another_s_name_whichever_is_read_first() {
    let (a, b) = (called("s/users", "a", &["b"]), called("s/users", "b", &["c"]));
    let edge = Snapshot {
        links: vec![link("c", EdgeKind::MemberOf, "g"), link("b", EdgeKind::MemberOf, "g")],
        nodes: vec![node("g", NodeKind::Group)],
        ..Snapshot::default()
    };
    for order in [vec![a.clone(), b.clone()], vec![b.clone(), a.clone()]] {
        let mut builder = Builder::default();
        let faults = builder.absorb(&Snapshot { nodes: [order, edge.nodes.clone()].concat(), ..edge.clone() }, 10).unwrap().faults;
        assert_eq!(
            faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["s/users: `a` is told to be called `b` too, which is the key of another and means that one"]
        );
        let graph = builder.finish().unwrap();
        assert_eq!((meant(&graph, "b", 10), meant(&graph, "c", 10), graph.nodes()), ("b".to_owned(), "b".to_owned(), 3));
        assert_eq!(reached(&graph, "b", Direction::Forward, 10), set(&["g"]));
    }
}

#[test]
fn chains_of_names_lead_to_their_end_and_circles_end() {
    let passing = |key: &str, names: &[&str]| NodeFact { passing: true, ..called("s/passing", key, names) };
    let dangling = Snapshot { links: vec![link("x", EdgeKind::MemberOf, "g")], nodes: vec![node("g", NodeKind::Group)], ..Snapshot::default() };
    let chain = nodes(vec![passing("y", &["x"]), passing("z", &["y"]), called("s/users", "end", &["z"])]);
    let mut reversed = chain.clone();
    reversed.nodes.reverse();
    for chain in [chain, reversed] {
        let mut builder = Builder::default();
        builder.absorb(&dangling, 10).unwrap();
        builder.absorb(&chain, 20).unwrap();
        let graph = builder.finish().unwrap();
        for name in ["x", "y", "z", "end"] {
            assert_eq!(meant(&graph, name, 20), "end", "{name}");
        }
        assert_eq!((graph.nodes(), reached(&graph, "end", Direction::Forward, 20)), (2, set(&["g"])));
    }
    let circle = built(&[(nodes(vec![passing("y", &["x"]), passing("x", &["y"])]), 10)]);
    assert_eq!((circle.nodes(), circle.find("x"), circle.find("y")), (1, Some(0), Some(0)));
}

#[test]
fn who_is_disabled_stays_so_whichever_part_is_read_last() {
    let users = nodes(vec![NodeFact { active: Some(false), ..called("s/users", "a", &[]) }]);
    let older = nodes(vec![called("t/users", "a", &[])]);
    let team = nodes(vec![NodeFact { active: None, passing: true, ..called("s/team", "a", &[]) }]);
    let about = |snapshots: &[(Snapshot, Micros)]| {
        let graph = copied(&copied(&built(snapshots)));
        *graph.about(graph.find("a").unwrap()).unwrap()
    };
    assert!(!about(&[(users.clone(), 20), (older.clone(), 10)]).is_active(), "what is older says less");
    assert!(!about(&[(users.clone(), 20), (team.clone(), 30)]).is_active(), "what is told in passing says nothing of it");
    assert!(about(&[(users.clone(), 20), (older.clone(), 30)]).is_active());
    // It is there as long as one part tells it, and which was read last does not matter.
    let none = |scope: &str| Snapshot { scopes: vec![scope.into()], ..Snapshot::default() };
    let both = [(users, 10), (team, 10)];
    let after = |gone: &[(&str, Micros)]| {
        let snapshots: Vec<_> = both.iter().cloned().chain(gone.iter().map(|(scope, at)| (none(scope), *at))).collect();
        about(&snapshots).held.until
    };
    assert_eq!((after(&[("s/users", 20)]), after(&[("s/team", 20)])), (Interval::OPEN, Interval::OPEN));
    assert_eq!((after(&[("s/users", 20), ("s/team", 30)]), after(&[("s/team", 20), ("s/users", 30)])), (30, 30));
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
    for rows in graph.table(TABLES[5]) {
        let error = builder.fill(TABLES[1], rows.as_ref().unwrap()).unwrap_err();
        assert!(error.to_string().contains("column `key`"), "{error}");
        let error = builder.fill(TABLES[5], rows.as_ref().unwrap()).unwrap_err();
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
