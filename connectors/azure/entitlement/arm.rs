//! Role definitions, role and deny assignments, scopes, and resources that act as an identity.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Collector, Deny, Entity, EntityKind, Held, Permission, Role, last, needed, properties, property, scope, text, texts};

/// Stands for everybody in a deny assignment.
pub(super) const EVERYBODY: &str = "00000000-0000-0000-0000-000000000000";
/// Children of one management group.
const CHILDREN_MAX: usize = 100_000;

impl Collector {
    pub(super) fn assignment(&mut self, place: &str, value: &Value, hint: &str) -> Result<(), String> {
        let principal = needed(value, "principalId")?.to_lowercase();
        let role = last(&needed(value, "roleDefinitionId")?);
        let scope = scope(&needed(value, "scope")?);
        let about = format!("{hint} {} {}", text(value, "id"), text(value, "type")).to_lowercase();
        let eligible = about.contains("eligib") || properties(value).get("roleEligibilityScheduleId").is_some();
        let condition = Some(property(value, "condition")).filter(|condition| !condition.trim().is_empty());
        let (label, kind) = (property(value, "principalName"), property(value, "principalType"));
        self.seen(&principal, &label, &kind);
        self.held.push(Held { place: place.to_owned(), principal, role, scope, condition, eligible });
        Ok(())
    }

    /// Somebody whom an assignment names: the directory, where it was read, says more.
    fn seen(&mut self, id: &str, label: &str, kind: &str) {
        let kind = match kind.to_lowercase().as_str() {
            "group" | "foreigngroup" => EntityKind::Group,
            "serviceprincipal" => EntityKind::Application,
            "msi" => EntityKind::ManagedIdentity,
            _ => EntityKind::User,
        };
        let entity = self.entities.entry(id.to_owned()).or_insert_with(|| Entity { kind, ..Entity::default() });
        if entity.label.is_empty() {
            entity.label = label.to_owned();
        }
    }

    pub(super) fn definition(&mut self, value: &Value) -> Result<(), String> {
        let id = [text(value, "name"), last(&text(value, "id"))].into_iter().find(|id| !id.is_empty()).ok_or("`name` is missing")?;
        let name = property(value, "roleName");
        let permissions = permissions(properties(value)).map_err(|reason| format!("the role `{name}`: {reason}"))?;
        self.roles.insert(last(&id), Role { name, permissions });
        Ok(())
    }

    pub(super) fn deny(&mut self, value: &Value) -> Result<(), String> {
        let name = property(value, "denyAssignmentName");
        let properties = properties(value);
        let ids = |key: &str| -> BTreeSet<String> {
            let list = properties.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|who| who.get("id").and_then(Value::as_str)).map(str::to_lowercase).collect()
        };
        let deny = Deny {
            condition: Some(property(value, "condition")).filter(|condition| !condition.trim().is_empty()),
            permissions: permissions(properties).map_err(|reason| format!("the deny assignment `{name}`: {reason}"))?,
            scope: scope(&needed(value, "scope").map_err(|reason| format!("the deny assignment `{name}`: {reason}"))?),
            scope_alone: properties.get("doNotApplyToChildScopes").and_then(Value::as_bool).unwrap_or_default(),
            principals: ids("principals"),
            excluded: ids("excludePrincipals"),
            name,
        };
        self.denies.push(deny);
        Ok(())
    }

    pub(super) fn subscription(&mut self, value: &Value) -> Result<(), String> {
        let id = [text(value, "subscriptionId"), last(&text(value, "id"))].into_iter().find(|id| !id.is_empty()).ok_or("`id` is missing")?;
        self.tenant.get_or_insert_with(|| text(value, "tenantId").to_lowercase());
        self.resources.entry(format!("/subscriptions/{}", id.to_lowercase())).or_default();
        Ok(())
    }

    /// A management group with what is below it, or one entity with the names above it.
    pub(super) fn management_group(&mut self, value: &Value, parent: Option<&str>, depth: usize) -> Result<(), String> {
        if depth == 0 {
            return Err("management groups are nested too deeply".to_owned());
        }
        let name = scope(&needed(value, "id")?);
        let properties = properties(value);
        let chain = properties.get("parentNameChain").and_then(Value::as_array).and_then(|names| names.last()).and_then(Value::as_str);
        let told = properties.pointer("/details/parent/id").or_else(|| value.pointer("/details/parent/id")).or_else(|| properties.pointer("/parent/id"));
        let above = chain.map(|name| scope(&format!("/providers/Microsoft.Management/managementGroups/{name}")));
        let above = parent.map(str::to_owned).or(above).or_else(|| told.and_then(Value::as_str).map(scope));
        self.resources.entry(name.clone()).or_default();
        if let Some(above) = above.filter(|above| *above != name) {
            self.above.insert(name.clone(), above);
        }
        let tenant = property(value, "tenantId").to_lowercase();
        if !tenant.is_empty() {
            self.tenant.get_or_insert(tenant);
        }
        for child in properties.get("children").and_then(Value::as_array).into_iter().flatten().take(CHILDREN_MAX) {
            self.management_group(child, Some(&name), depth - 1)?;
        }
        Ok(())
    }

    /// A resource, and the identities that code in it acts as.
    pub(super) fn resource(&mut self, value: &Value) -> Result<(), String> {
        let id = scope(&text(value, "id"));
        let mut identities = BTreeSet::new();
        let own = value.pointer("/identity/principalId").and_then(Value::as_str).map(str::to_lowercase);
        identities.extend(own);
        for (resource, assigned) in value.pointer("/identity/userAssignedIdentities").and_then(Value::as_object).into_iter().flatten() {
            match assigned.get("principalId").and_then(Value::as_str) {
                Some(principal) => {
                    identities.insert(principal.to_lowercase());
                    self.identity(principal, resource);
                }
                None => {
                    identities.insert(scope(resource));
                }
            }
        }
        // A user-assigned identity itself tells whose it is.
        if id.contains("/userassignedidentities/") {
            let principal = property(value, "principalId").to_lowercase();
            if !principal.is_empty() {
                self.identity(&principal, &id);
                identities.insert(principal);
            }
        }
        for identity in identities.iter().filter(|identity| !identity.starts_with('/')) {
            let entity = self.entities.entry(identity.clone()).or_default();
            entity.kind = EntityKind::ManagedIdentity;
            if entity.label.is_empty() {
                entity.label = last(&id);
            }
        }
        self.resources.entry(id).or_default().extend(identities);
        Ok(())
    }

    fn identity(&mut self, principal: &str, resource: &str) {
        let entity = self.entities.entry(principal.to_lowercase()).or_default();
        entity.kind = EntityKind::ManagedIdentity;
        if entity.label.is_empty() {
            entity.label = last(resource);
        }
        entity.runs.insert(scope(resource));
    }
}

/// Permissions of a role or a deny assignment: what each names less what it leaves out.
pub(super) fn permissions(value: &Value) -> Result<Vec<Permission>, String> {
    let list = value.get("permissions").and_then(Value::as_array).ok_or("`permissions` is not a list")?;
    let mut read = Vec::new();
    for one in list {
        let condition = Some(text(one, "condition")).filter(|condition| !condition.trim().is_empty());
        for (plane, named, left_out) in [("control", "actions", "notActions"), ("data", "dataActions", "notDataActions")] {
            let plane = |actions: Vec<String>| actions.into_iter().map(|action| format!("{plane}:{action}")).collect::<Vec<_>>();
            let actions = plane(texts(one, named)?);
            if !actions.is_empty() {
                read.push(Permission { actions, except: plane(texts(one, left_out)?), condition: condition.clone() });
            }
        }
    }
    Ok(read)
}
