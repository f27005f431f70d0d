//! Machine identities: what each is, whose, how old, and what it reaches, as facts that checks are about.
//!
//! A fact that nothing tells is left out: a check about it comes out unknown, never passed. Where a machine
//! reaches comes from the entitlements of the principal that it acts as.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use weft_model::Timestamp;
use weft_model::machine::{Machine, MachineKind, OwnerSign, Proof};

use crate::entitlement::Estate;
use crate::entitlement::escalation::{ADMINISTRATOR, Escalation, Explorer};
use crate::entitlement::federation::strangers;
use crate::entitlement::usage::Usage;

/// Words in names by which environments are told apart, each with the environment.
const ENVIRONMENTS: [(&str, &str); 14] = [
    ("prod", "production"),
    ("production", "production"),
    ("live", "production"),
    ("prd", "production"),
    ("dev", "development"),
    ("development", "development"),
    ("test", "test"),
    ("testing", "test"),
    ("qa", "test"),
    ("stage", "staging"),
    ("staging", "staging"),
    ("stg", "staging"),
    ("uat", "staging"),
    ("sandbox", "development"),
];

/// A machine with all that is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    /// The machine.
    pub machine: Machine,
    /// Whose it is, most surely.
    pub owner: Option<OwnerSign>,
    /// Goals that it reaches: `administrator`, parts of the system, resources.
    pub reaches: Vec<String>,
    /// What runs as it.
    pub workloads: Vec<String>,
    /// Facts by name.
    pub facts: BTreeMap<String, String>,
}

/// What is known of a principal.
struct Power {
    found: Vec<Escalation>,
    workloads: Vec<String>,
    open: bool,
}

/// Puts together what is known of machines. `usages` say what principals did, where calls were given.
pub fn review(machines: Vec<Machine>, estates: &[Estate], usages: &HashMap<String, Usage>, now: Timestamp) -> Vec<Review> {
    let powers = powers(&machines, estates);
    let mut secrets: BTreeMap<String, usize> = BTreeMap::new();
    for machine in machines.iter().filter(|machine| machine.active && is_secret(machine)) {
        *secrets.entry(machine.acts_as.clone().unwrap_or_default()).or_default() += 1;
    }
    let mut reviews: Vec<Review> = machines.into_iter().map(|machine| of(machine, &powers, usages, now)).collect();
    for review in reviews.iter_mut().filter(|review| is_secret(&review.machine)) {
        let count = review.machine.acts_as.as_ref().and_then(|name| secrets.get(name)).copied().unwrap_or_default();
        review.facts.insert("secrets_active".to_owned(), count.to_string());
    }
    reviews
}

fn is_secret(machine: &Machine) -> bool {
    matches!(machine.proof, Proof::SharedSecret | Proof::KeyPair)
}

/// Power of the principals that machines act as, each asked once.
fn powers(machines: &[Machine], estates: &[Estate]) -> HashMap<String, Power> {
    let wanted: BTreeSet<&str> = machines.iter().filter_map(|machine| machine.acts_as.as_deref()).collect();
    let mut powers = HashMap::new();
    for estate in estates {
        let open: BTreeSet<String> = strangers(estate).into_iter().filter_map(|one| one.hops.first().map(|hop| hop.to.clone())).collect();
        let mut explorer = Explorer::new(estate);
        let listed: Vec<&str> = estate.principals().filter(|name| wanted.contains(name)).collect();
        for name in listed {
            let power = Power { found: explorer.from(name), workloads: estate.run_as(name).map(str::to_owned).collect(), open: open.contains(name) };
            powers.insert(name.to_owned(), power);
        }
    }
    powers
}

fn of(machine: Machine, powers: &HashMap<String, Power>, usages: &HashMap<String, Usage>, now: Timestamp) -> Review {
    let power = machine.acts_as.as_ref().and_then(|name| powers.get(name));
    let owner = machine.owners.iter().max_by_key(|sign| sign.confidence).cloned();
    let mut reaches: Vec<String> = power.iter().flat_map(|power| power.found.iter().map(|one| one.reaches.clone())).collect();
    reaches.sort();
    reaches.dedup();
    let mut facts = Facts::default();
    facts.of_time(&machine, now);
    facts.of_itself(&machine, owner.as_ref());
    if let Some(power) = power {
        facts.of_power(&machine, power);
    }
    if let Some(usage) = machine.acts_as.as_ref().and_then(|name| usages.get(name)) {
        facts.set("granted", usage.granted);
        facts.set("used", usage.used);
        facts.set("creep", usage.creep);
    }
    let workloads = power.map(|power| power.workloads.clone()).unwrap_or_default();
    Review { machine, owner, reaches, workloads, facts: facts.0 }
}

#[derive(Default)]
struct Facts(BTreeMap<String, String>);

impl Facts {
    fn set(&mut self, name: &str, value: impl ToString) {
        self.0.insert(name.to_owned(), value.to_string());
    }

    fn whether(&mut self, name: &str, holds: bool) {
        self.set(name, if holds { "yes" } else { "no" });
    }

    fn of_time(&mut self, machine: &Machine, now: Timestamp) {
        let days = |from: Timestamp, to: Timestamp| to.0.saturating_sub(from.0).max(0) / Timestamp::DAY_MS;
        if let Some(created) = machine.created {
            self.set("age_days", days(created, now));
        }
        // What cannot be used is not idle; what was never used is idle since it was made.
        if !machine.active {
            self.set("idle_days", 0);
        } else if let Some(since) = machine.used.or(machine.created).filter(|_| machine.use_told) {
            self.set("idle_days", days(since, now));
        }
        if !is_secret(machine) || !machine.active {
            self.set("rotation_days", 0);
            self.set("unlimited", "no");
            return;
        }
        if let Some(made) = machine.rotated.or(machine.created) {
            self.set("rotation_days", days(made, now));
        }
        self.whether("unlimited", machine.expires.is_none());
        if let (Some(from), Some(to)) = (machine.rotated.or(machine.created), machine.expires) {
            self.set("lifetime_days", days(from, to));
            self.set("days_left", days(now, to));
        }
    }

    fn of_itself(&mut self, machine: &Machine, owner: Option<&OwnerSign>) {
        self.set("kind", machine.kind.name());
        self.whether("active", machine.active);
        self.whether("owned", owner.is_some_and(|owner| owner.confidence >= 50));
        self.whether("leaked", machine.active && machine.leaked.is_some());
        self.whether("human_use", !machine.persons.is_empty());
        if machine.kind == MachineKind::AiAgent {
            self.whether("delegated", machine.delegator.is_some());
        }
        let authentication = match machine.proof {
            Proof::None => return,
            Proof::Federated => "federated",
            Proof::KeyPair => "key pair",
            Proof::SharedSecret => "shared secret",
        };
        self.set("authentication", authentication);
    }

    fn of_power(&mut self, machine: &Machine, power: &Power) {
        let is_one = power.found.iter().any(|one| one.reaches == ADMINISTRATOR && one.hops.is_empty());
        self.whether("administrator", machine.active && is_one);
        self.whether("escalates", machine.active && power.found.iter().any(|one| !one.hops.is_empty()));
        self.set("workloads", power.workloads.len());
        self.whether("open_to_strangers", power.open);
        if let Some(third) = machine.third_party {
            let strong = if !third || power.found.is_empty() {
                "none"
            } else if is_one {
                "administrator"
            } else {
                "some"
            };
            self.set("third_party_power", strong);
        }
        let own = environments([machine.name.as_str(), machine.account.as_str()].into_iter().chain(power.workloads.iter().map(String::as_str)));
        let others = environments(power.found.iter().flat_map(|one| std::iter::once(one.reaches.as_str()).chain(one.hops.iter().map(|hop| hop.to.as_str()))));
        if !own.is_empty() {
            self.whether("crosses_environments", own.len() > 1 || others.iter().any(|other| !own.contains(other)));
        }
    }
}

/// Environments that names tell.
fn environments<'n>(names: impl Iterator<Item = &'n str>) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for name in names {
        let lower = name.to_lowercase();
        for word in lower.split(|sign: char| !sign.is_ascii_alphabetic()) {
            found.extend(ENVIRONMENTS.iter().filter(|(known, _)| *known == word).map(|(_, environment)| *environment));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn ago(days: i64) -> Option<Timestamp> {
        Some(Timestamp(NOW.0 - days * Timestamp::DAY_MS))
    }

    fn facts(machine: Machine) -> BTreeMap<String, String> {
        review(vec![machine], &[], &HashMap::new(), NOW).remove(0).facts
    }

    #[test]
    fn time_is_told_in_days() {
        let key = Machine { active: true, proof: Proof::SharedSecret, created: ago(400), used: ago(7), use_told: true, ..Machine::default() };
        let told = facts(key.clone());
        assert_eq!(
            (told["age_days"].as_str(), told["idle_days"].as_str(), told["rotation_days"].as_str(), told["unlimited"].as_str()),
            ("400", "7", "400", "yes")
        );
        let never = facts(Machine { used: None, ..key.clone() });
        assert_eq!(never["idle_days"], "400", "never used: idle since it was made");
        let untold = facts(Machine { used: None, use_told: false, ..key.clone() });
        assert!(!untold.contains_key("idle_days"), "no use means nothing where use is not told");
        assert_eq!(facts(Machine { active: false, ..key })["idle_days"], "0", "what cannot be used is not idle");
    }

    #[test]
    fn the_surest_owner_counts() {
        let sign = |owner: &str, confidence| OwnerSign { owner: owner.to_owned(), confidence, evidence: "x".to_owned() };
        let one = review(vec![Machine { owners: vec![sign("a", 40), sign("b", 90)], ..Machine::default() }], &[], &HashMap::new(), NOW).remove(0);
        assert_eq!((one.owner.unwrap().owner.as_str(), one.facts["owned"].as_str()), ("b", "yes"));
        assert_eq!(facts(Machine { owners: vec![sign("a", 40)], ..Machine::default() })["owned"], "no");
    }

    #[test]
    fn environments_are_told_by_whole_words() {
        let of = |names: &[&str]| environments(names.iter().copied()).into_iter().collect::<Vec<_>>();
        assert_eq!(of(&["deploy-dev", "arn:x:role/Prod-admin"]), ["development", "production"]);
        assert_eq!(of(&["product-device", "contest"]), Vec::<&str>::new());
    }
}
