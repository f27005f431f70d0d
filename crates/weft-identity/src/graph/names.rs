//! Which node a name means: keys, other names, and texts by which persons are recognised, as a snapshot tells them.

use std::collections::{BTreeSet, HashSet};

use weft_model::entitlement::SnapshotFault;

use super::absorb::{Fact, Round};
use super::build::{Builder, Full};
use super::{Identifier, Interval, Told};

impl Builder {
    /// Nodes of facts, described and under all their names. Those that a part is about come first, and all of
    /// them in order of key, so that it does not matter which file was read first.
    pub(super) fn name(&mut self, facts: &[Fact<'_>], round: &mut Round) -> Result<(), Full> {
        let (own, passing) = facts.split_at(facts.partition_point(|(fact, _)| !fact.passing));
        let mut nodes = Vec::with_capacity(facts.len());
        for (fact, scope) in own {
            let node = self.keyed(&fact.key)?;
            self.redirected.remove(&node);
            self.take(node, fact, *scope, round.at)?;
            nodes.push(node);
        }
        let mut held = HashSet::new();
        let mut begun = BTreeSet::new();
        for (&(fact, scope), &node) in own.iter().zip(&nodes) {
            self.call(node, (fact, scope), round, &mut held, &mut begun)?;
        }
        for (fact, _) in passing {
            nodes.push(self.node_at(&fact.key, round.at)?);
        }
        for (&(fact, scope), &node) in passing.iter().zip(nodes.get(own.len()..).unwrap_or_default()) {
            self.call(node, (fact, scope), round, &mut held, &mut begun)?;
        }
        for (at, (fact, scope)) in facts.iter().enumerate() {
            let Some(node) = nodes.get(at).map(|&node| self.current(node)) else { continue };
            if at >= own.len() {
                self.take(node, fact, *scope, round.at)?;
            }
            round.told.insert((node, *scope));
        }
        self.recognise(facts, &nodes, round)?;
        self.release(&held, round)?;
        self.doubtful(begun, round);
        Ok(())
    }

    /// The other names of a node. Who was named by one, and described by nobody who is about it, was this node.
    fn call<'a>(&mut self, node: u32, (fact, scope): Fact<'a>, round: &mut Round, held: &mut HashSet<u32>, begun: &mut BTreeSet<&'a str>) -> Result<(), Full> {
        for alias in &fact.aliases {
            let node = self.current(node);
            if let Some(other) = self.nodes.keys.find(alias).filter(|other| *other != node && !self.redirected.contains_key(other)) {
                if self.is_own(other) {
                    let reason = format!("`{}` is told to be called `{alias}` too, which is the key of another and means that one", fact.key);
                    round.absorbed.faults.push(SnapshotFault { place: fact.scope.to_string(), reason });
                    continue;
                }
                self.redirected.insert(other, node);
            }
            let goes_on = |builder: &Self, told: u32, of: u32| {
                let open = builder.told.get(told).is_some_and(|told| told.scope == scope && told.held.until == Interval::OPEN);
                open && builder.current(of) == node
            };
            let known = self.aliases.of(alias).find(|(_, holder)| goes_on(self, holder.told, holder.node)).map(|(at, _)| at);
            held.insert(match known {
                Some(at) => at,
                None => {
                    begun.insert(alias);
                    let told = self.told.number(Told { scope, held: Interval::since(round.at) }).ok_or(Full::Text)?;
                    self.aliases.push(alias, node, told).ok_or(Full::Text)?
                }
            });
        }
        Ok(())
    }

    /// Texts by which persons are recognised: what is told again goes on, what is told no more ends.
    fn recognise(&mut self, facts: &[Fact<'_>], nodes: &[u32], round: &Round) -> Result<(), Full> {
        let mut claims = HashSet::new();
        for ((fact, scope), &node) in facts.iter().zip(nodes) {
            let node = self.current(node);
            for (kind, value) in &fact.ids {
                claims.insert((node, *kind, self.text(value)?, *scope));
            }
        }
        let mut ids = std::mem::take(&mut self.ids);
        for id in &mut ids {
            let Some(&told) = self.told.get(id.told) else { continue };
            let node = self.current(id.node);
            if told.held.until == Interval::OPEN && !claims.remove(&(node, id.kind, id.value, told.scope)) && round.ends(node, told.scope) {
                id.told = self.ended(told, round.at)?;
            }
        }
        for (node, kind, value, scope) in claims {
            let told = self.told.number(Told { scope, held: Interval::since(round.at) }).ok_or(Full::Text)?;
            ids.push(Identifier { node, kind, value, told });
        }
        self.ids = ids;
        Ok(())
    }

    /// Names that are told no more are free from now on.
    fn release(&mut self, held: &HashSet<u32>, round: &Round) -> Result<(), Full> {
        let mut holders = std::mem::take(&mut self.aliases.holders);
        for (at, holder) in (0_u32..).zip(&mut holders) {
            let Some(&told) = self.told.get(holder.told) else { continue };
            if told.held.until == Interval::OPEN && !held.contains(&at) && round.ends(self.current(holder.node), told.scope) {
                holder.told = self.ended(told, round.at)?;
            }
        }
        self.aliases.holders = holders;
        Ok(())
    }

    fn ended(&mut self, told: Told, at: i64) -> Result<u32, Full> {
        let held = Interval { until: at.max(told.held.from), ..told.held };
        self.told.number(Told { held, ..told }).ok_or(Full::Text)
    }

    /// Tells names that began to mean one node while they still mean another.
    fn doubtful(&self, begun: BTreeSet<&str>, round: &mut Round) {
        for name in begun {
            let open = self.aliases.of(name).filter(|(_, holder)| self.told.get(holder.told).is_some_and(|told| told.held.until == Interval::OPEN));
            let keys: BTreeSet<&str> = open.map(|(_, holder)| self.nodes.keys.get(self.current(holder.node))).collect();
            let Some(meant) = self.find_at(name, round.at).filter(|_| keys.len() > 1) else { continue };
            let several = keys.into_iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ");
            let reason = format!("it is a name of {several}; edges that use it mean `{}`", self.nodes.keys.get(meant));
            round.absorbed.faults.push(SnapshotFault { place: name.to_owned(), reason });
        }
    }
}
