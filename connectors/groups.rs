//! Members of groups within groups.

use std::collections::{BTreeSet, HashMap};

/// Who is in which groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Groups that each is itself a member of.
    pub direct: HashMap<String, Vec<String>>,
    /// All groups that each is in, directly or by another group.
    pub all: HashMap<String, BTreeSet<String>>,
    /// Groups that are in themselves.
    pub cycles: BTreeSet<String>,
}

impl Groups {
    /// Follows groups in groups, from pairs of a group and a member; a cycle is followed once, and its groups are not
    /// told to be in themselves.
    pub fn of<'m>(memberships: impl Iterator<Item = (&'m str, &'m str)>) -> Self {
        let mut direct: HashMap<&str, Vec<&str>> = HashMap::new();
        for (group, member) in memberships {
            direct.entry(member).or_default().push(group);
        }
        let mut groups = Self::default();
        for member in direct.keys() {
            let (mut found, mut open) = (BTreeSet::new(), vec![*member]);
            while let Some(one) = open.pop() {
                for group in direct.get(one).into_iter().flatten() {
                    if group == member {
                        groups.cycles.insert((*member).to_owned());
                    } else if found.insert((*group).to_owned()) {
                        open.push(group);
                    }
                }
            }
            groups.all.insert((*member).to_owned(), found);
        }
        let owned = |(member, groups): (&str, Vec<&str>)| (member.to_owned(), groups.into_iter().map(str::to_owned).collect());
        groups.direct = direct.into_iter().map(owned).collect();
        groups
    }

    /// What to tell of groups that are in themselves, each by the name that people know.
    pub fn fault(&self, name: impl Fn(&str) -> String) -> Option<String> {
        let names: Vec<String> = self.cycles.iter().map(|group| name(group)).collect();
        (!names.is_empty()).then(|| format!("members of each other in a cycle: {}; each counts as a member of all", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_within_groups_are_followed_and_cycles_told() {
        let groups = Groups::of([("ops", "ada"), ("all", "ops"), ("night", "ops"), ("ops", "night"), ("all", "bob")].into_iter());
        let of = |member: &str| groups.all[member].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!((of("ada"), of("bob"), of("ops")), (vec!["all", "night", "ops"], vec!["all"], vec!["all", "night"]));
        assert_eq!(groups.direct["ada"], ["ops"]);
        assert_eq!(groups.fault(str::to_uppercase).unwrap(), "members of each other in a cycle: NIGHT, OPS; each counts as a member of all");
        assert_eq!(Groups::of([("ops", "ada")].into_iter()).fault(str::to_owned), None);
    }
}
