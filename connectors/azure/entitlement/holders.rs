//! What the directory gives: roles, ownership, permissions of applications.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use weft_model::access::Effect;
use weft_model::entitlement::{Document, Match};

use super::EntityKind;
use super::build::{Builder, ROLE_GROUPS, statement, unknown};
use super::known::{self, Reach};

impl Builder {
    /// Names of those who hold a role of the directory that matters: fewer have power over them.
    fn protected(&self) -> Vec<String> {
        let matters = |role: &str| known::directory_role(role).is_none_or(|(_, reach)| reach != Reach::Low);
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        let role_groups = self.read.entities.iter().filter(|(_, entity)| entity.role_assignable).map(|(id, _)| id.as_str());
        let holders: BTreeSet<&str> =
            self.read.directory_held.iter().filter(|held| matters(&held.role)).map(|held| held.principal.as_str()).chain(role_groups).collect();
        for holder in &holders {
            ids.insert(holder);
            ids.extend(self.read.owners.get(*holder).into_iter().flatten().map(String::as_str));
        }
        let among = |groups: &BTreeSet<String>| groups.iter().any(|group| holders.contains(group.as_str()));
        ids.extend(self.within.iter().filter(|(_, groups)| among(groups)).map(|(id, _)| id.as_str()));
        let is_user = |id: &&str| self.read.entities.get(*id).is_some_and(|entity| entity.kind == EntityKind::User);
        ids.into_iter().filter(is_user).filter_map(|id| self.name(id).cloned()).collect()
    }

    pub(super) fn directory(&mut self) {
        let mut guarded = self.protected();
        guarded.push(format!("{ROLE_GROUPS}*"));
        let unprivileged = Match { negated: true, patterns: guarded };
        for held in std::mem::take(&mut self.read.directory_held) {
            let known = known::directory_role(&held.role);
            let reach = known.as_ref().map_or(Reach::Unprivileged, |(_, reach)| *reach);
            let role = self.read.directory_roles.get(&held.role).filter(|_| reach != Reach::All).cloned().or(known.map(|(role, _)| role));
            let Some(role) = role else {
                self.read.fault(&held.place, format!("the directory role `{}` is not in the snapshot and not known: it permits nothing; add `roleManagement/directory/roleDefinitions` of Graph", held.role));
                continue;
            };
            let resources = match (held.scope.as_str(), reach) {
                ("/", Reach::All) => Match::of(vec!["*".to_owned()]),
                ("/", _) => unprivileged.clone(),
                (scope, _) => match self.at(scope, &unprivileged.patterns) {
                    Some(names) => Match::of(names),
                    None => {
                        self.read.fault(&held.place, format!("what `{scope}` holds is not in the snapshot; {} there permits nothing", role.name));
                        continue;
                    }
                },
            };
            let conditions = if held.eligible { vec![unknown("eligible:activated", "eligible, once activated")] } else { Vec::new() };
            let mut statements = Vec::new();
            for (number, permission) in role.permissions.iter().enumerate() {
                let mut one = statement(
                    format!("#{}", number + 1),
                    Effect::Permit,
                    permission.actions.clone(),
                    permission.except.clone(),
                    Vec::new(),
                    conditions.clone(),
                );
                one.resources = resources.clone();
                statements.push(one);
            }
            // Whoever may do everything in the directory has its applications' permissions as well.
            if role.permissions.iter().any(|permission| permission.actions.iter().any(|action| action == "directory:*")) {
                statements.push(statement("#graph".to_owned(), Effect::Permit, vec!["graph:*".to_owned()], Vec::new(), vec!["*".to_owned()], conditions));
            }
            let activated = if held.eligible { " (eligible, once activated)" } else { "" };
            let document = Arc::new(Document { name: format!("directory role {} at {}{activated}", role.name, held.scope), statements });
            self.hold(&held.principal, document);
        }
    }

    /// Names of what a role is about that is held at a part of the directory: a unit's members, those who hold a
    /// role apart, or one object.
    fn at(&self, scope: &str, guarded: &[String]) -> Option<Vec<String>> {
        let id = scope.trim_start_matches('/');
        if let Some(unit) = id.strip_prefix("administrativeunits/") {
            let names = self.read.units.get(unit)?.iter().filter_map(|member| self.name(member));
            return Some(names.filter(|name| !guarded.contains(name) && !name.starts_with(ROLE_GROUPS)).cloned().collect());
        }
        let id = self.read.applications.get(id).and_then(|application| self.read.by_application.get(application)).map_or(id, String::as_str);
        self.name(id).map(|name| vec![name.clone()])
    }

    /// Owners may add credentials to an application and members to a group.
    pub(super) fn owners(&mut self) {
        for (object, owners) in std::mem::take(&mut self.read.owners) {
            let id = self.read.applications.get(&object).and_then(|application| self.read.by_application.get(application)).unwrap_or(&object);
            let (Some(name), Some(entity)) = (self.name(id).cloned(), self.read.entities.get(id)) else { continue };
            let actions = match entity.kind {
                EntityKind::Application => {
                    &["directory:microsoft.directory/applications/credentials/update", "directory:microsoft.directory/servicePrincipals/credentials/update"][..]
                }
                EntityKind::Group => &["directory:microsoft.directory/groups/members/update"][..],
                _ => continue,
            };
            let actions = actions.iter().map(|action| (*action).to_owned()).collect();
            let owns = statement("#1".to_owned(), Effect::Permit, actions, Vec::new(), vec![name.clone()], Vec::new());
            let document = Arc::new(Document { name: format!("owner of {name}"), statements: vec![owns] });
            owners.iter().for_each(|owner| self.hold(owner, Arc::clone(&document)));
        }
    }

    /// Permissions of applications in the directory.
    pub(super) fn permissions(&mut self) {
        let mut guarded = self.protected();
        guarded.push(format!("{ROLE_GROUPS}*"));
        let mut documents: HashMap<String, Arc<Document>> = HashMap::new();
        for (principal, id) in std::mem::take(&mut self.read.grants) {
            let name = self.read.permissions.get(&id).cloned().filter(|name| !name.is_empty()).or_else(|| known::permission(&id).map(str::to_owned));
            let name = name.unwrap_or(id);
            // These have no power over whoever holds a role.
            let narrow =
                ["Group.ReadWrite.All", "GroupMember.ReadWrite.All", "Directory.ReadWrite.All", "User-PasswordProfile.ReadWrite.All"].contains(&name.as_str());
            let document = documents.entry(name.clone()).or_insert_with(|| {
                let mut one = statement("#1".to_owned(), Effect::Permit, vec![format!("graph:{name}")], Vec::new(), vec!["*".to_owned()], Vec::new());
                if narrow {
                    one.resources = Match { negated: true, patterns: guarded.clone() };
                }
                Arc::new(Document { name: format!("application permission {name}"), statements: vec![one] })
            });
            let document = Arc::clone(document);
            self.hold(&principal, document);
        }
    }
}
