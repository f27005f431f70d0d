//! The identity graph: from its tables to memory, bytes of an edge, and how long reach takes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use weft_identity::graph::{About, Budget, Builder, Direction, EdgeKind, Full, Graph, Interval, NodeKind};
use weft_identity::person::{IdKind, Identity, Usage, Words, resolve};

use super::Figures;
use crate::cli::Fault;
use crate::home::Home;
use crate::identity::Shelf;

/// Edges for each node.
const EDGES_A_NODE: u32 = 10;
/// Questions in each direction.
const QUESTIONS: usize = 2_000;
/// Snapshots at which edges began or ended.
const SNAPSHOTS: i64 = 52;
/// Microseconds of a week.
const WEEK: i64 = 7 * 86_400 * 1_000_000;

/// Numbers that look random and are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((((z ^ (z >> 31)) >> 32) * u64::from(bound)) >> 32).unwrap_or(0)
    }
}

/// An organisation: of a hundred nodes sixty are accounts, ten groups, five roles, twenty-five resources.
/// Accounts are in groups, groups in groups above them, groups and accounts have roles, roles reach resources.
fn made(edges: u32) -> Result<Graph, Full> {
    let nodes = (edges / EDGES_A_NODE).max(100);
    let (accounts, groups, roles) = (nodes / 100 * 60, nodes / 100 * 10, nodes / 100 * 5);
    let (first_group, first_role, first_resource) = (accounts, accounts + groups, accounts + groups + roles);
    let mut builder = Builder::default();
    let scope = builder.scope("bench/all", 0)?;
    for n in 0..nodes {
        let (kind, word) = match n {
            n if n < first_group => (NodeKind::Account, "account"),
            n if n < first_role => (NodeKind::Group, "group"),
            n if n < first_resource => (NodeKind::Role, "role"),
            _ => (NodeKind::Resource, "resource"),
        };
        let node = builder.node(&format!("bench:{word}:{n:08}"))?;
        let about = About { kind, scope, held: Interval::ALWAYS, active: None, usage: Usage::Unsaid, passing: false };
        builder.describe(node, "", about)?;
    }
    let mut numbers = Numbers(1);
    for _ in 0..edges {
        let (from, to, kind) = match numbers.below(100) {
            0..62 => (numbers.below(accounts), first_group + numbers.below(groups), EdgeKind::MemberOf),
            62..64 => {
                // Groups above have lower numbers: deep, and without cycles.
                let group = numbers.below(groups.saturating_sub(1)) + 1;
                (first_group + group, first_group + numbers.below(group), EdgeKind::MemberOf)
            }
            64..66 => (first_group + numbers.below(groups), first_role + numbers.below(roles), EdgeKind::HasRole),
            66..68 => (numbers.below(accounts), first_role + numbers.below(roles), EdgeKind::CanAssume),
            68..84 => (first_role + numbers.below(roles), first_resource + numbers.below(nodes - first_resource), EdgeKind::EntitledTo),
            _ => (numbers.below(accounts), first_resource + numbers.below(nodes - first_resource), EdgeKind::EntitledTo),
        };
        let from_week = i64::from(numbers.below(52));
        let ended = numbers.below(10) == 0;
        let held = Interval { from: from_week * WEEK, until: if ended { (from_week + 1) * WEEK } else { Interval::OPEN } };
        let terms = builder.terms(kind, "", scope, held)?;
        builder.edge(from, to, terms);
    }
    builder.finish()
}

/// Measures; the tables are written below the home and taken away again.
pub(super) fn figures(home: &Home, edges: u32) -> Result<Figures, Fault> {
    let temporary = home.dir.join(format!("bench-{}", std::process::id()));
    let measured = measured(&Shelf::of(&temporary), edges);
    let _gone = std::fs::remove_dir_all(&temporary);
    measured
}

fn measured(shelf: &Shelf, edges: u32) -> Result<Figures, Fault> {
    let begun = Instant::now();
    let made = made(edges).map_err(Fault::failed)?;
    let built = begun.elapsed();
    let begun = Instant::now();
    shelf.keep(&made, &shelf.turn()?)?;
    let written = begun.elapsed();
    drop(made);
    let before = peak_reset();
    let begun = Instant::now();
    let graph = shelf.load()?.finish().map_err(Fault::failed)?;
    let loaded = begun.elapsed();
    let mut figures = vec![
        ("edges", graph.edges() as f64, ""),
        ("nodes", f64::from(graph.nodes()), ""),
        ("made and built", built.as_secs_f64(), "s"),
        ("written as Parquet", written.as_secs_f64(), "s"),
        ("loaded from Parquet", loaded.as_secs_f64(), "s"),
        ("graph", graph.bytes() as f64 / 1e6, "MB"),
        ("graph, an edge", graph.bytes() as f64 / graph.edges().max(1) as f64, "bytes"),
    ];
    if let Some(peak) = peak().filter(|_| before) {
        figures.push(("most memory of the process while loading", peak / 1e6, "MB"));
    }
    for (direction, median, high) in
        [(Direction::Forward, "reach forward, p50", "reach forward, p99"), (Direction::Reverse, "reach in reverse, p50", "reach in reverse, p99")]
    {
        let took = questions(&graph, direction);
        let at = |share: usize| took.get(took.len() * share / 100).map_or(0.0, |took| took.as_secs_f64() * 1e3);
        figures.extend([(median, at(50), "ms"), (high, at(99), "ms")]);
    }
    drop(graph);
    figures.extend(persons());
    Ok(figures)
}

/// Accounts of which the persons are looked for.
const ACCOUNTS: u32 = 1_000_000;
/// Accounts of one person, one in each source.
const SOURCES: u32 = 4;

/// The persons behind a million accounts: two sources with addresses and names, one with logins made of
/// names and half of the addresses, one with names alone.
fn persons() -> Figures {
    let text = |n: u32| -> Vec<(String, String, IdKind, String)> {
        let (person, source) = (n / SOURCES, n % SOURCES);
        let (given, family) = (format!("given{}", person % 3_001), format!("family{}", person / 3));
        let mail = (IdKind::Email, format!("{given}.{family}@x.example"));
        let name = (IdKind::Name, format!("{given} {family}"));
        let login = (IdKind::Login, format!("{given}.{family}"));
        let ids = match source {
            0 | 1 => vec![mail, name],
            2 if person % 2 == 0 => vec![login, mail],
            2 => vec![login],
            _ => vec![name],
        };
        ids.into_iter().map(|(kind, value)| (format!("s{source}:{n:07}"), format!("s{source}"), kind, value)).collect()
    };
    let texts: Vec<_> = (0..ACCOUNTS).map(text).collect();
    let identities: Vec<Identity<'_>> = texts
        .iter()
        .filter_map(|ids| ids.first().map(|(key, source, _, _)| (key, source, ids)))
        .map(|(key, source, ids)| Identity { key, source, usage: Usage::Unsaid, ids: ids.iter().map(|(_, _, kind, value)| (*kind, value.as_str())).collect() })
        .collect();
    let begun = Instant::now();
    let persons = resolve(&identities, &[], &[], &Words::default());
    vec![("persons of a million accounts", begun.elapsed().as_secs_f64(), "s"), ("persons found, of 250,000", persons.persons.len() as f64, "")]
}

/// How long each question took, shortest first: any node, any week of the year, the bounds that a person gets.
fn questions(graph: &Graph, direction: Direction) -> Vec<Duration> {
    let mut numbers = Numbers(2);
    let ask = |numbers: &mut Numbers| {
        let (node, at) = (numbers.below(graph.nodes()), i64::from(numbers.below(52)) % SNAPSHOTS * WEEK);
        let begun = Instant::now();
        black_box(graph.reach(&[node], direction, at, &Budget::default()));
        begun.elapsed()
    };
    let mut took: Vec<Duration> = (0..QUESTIONS).map(|_| ask(&mut numbers)).collect();
    took.sort_unstable();
    took
}

/// Lets the system count the most memory anew (proc(5), `clear_refs`); whether it does.
fn peak_reset() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The most memory since then, bytes.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}
