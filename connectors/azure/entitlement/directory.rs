//! Users, groups, applications, their owners and credentials, directory roles and application permissions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Collector, Entity, EntityKind, Held, Permission, Role, last, needed, properties, property, scope, text, texts};

impl Collector {
    pub(super) fn user(&mut self, value: &Value) -> Result<(), String> {
        let id = needed(value, "id").or_else(|_| needed(value, "objectId"))?.to_lowercase();
        let label = [text(value, "userPrincipalName"), text(value, "displayName")].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let entity = self.entities.entry(id).or_default();
        (entity.label, entity.kind) = (label, EntityKind::User);
        Ok(())
    }

    pub(super) fn group(&mut self, value: &Value) -> Result<(), String> {
        let id = needed(value, "id").or_else(|_| needed(value, "objectId"))?.to_lowercase();
        let entity = self.entities.entry(id.clone()).or_default();
        (entity.label, entity.kind) = (text(value, "displayName"), EntityKind::Group);
        entity.role_assignable = value.get("isAssignableToRole").and_then(Value::as_bool).unwrap_or_default();
        if value.get("members").is_some() {
            let members = self.ids(value, "members");
            self.members.entry(id.clone()).or_default().extend(members);
        }
        let owners = self.ids(value, "owners");
        self.owners.entry(id).or_default().extend(owners);
        Ok(())
    }

    /// An administrative unit: roles that are held at it are about its members.
    pub(super) fn unit(&mut self, value: &Value) -> Result<(), String> {
        let id = needed(value, "id")?.to_lowercase();
        let members = self.ids(value, "members");
        self.units.entry(id).or_default().extend(members);
        Ok(())
    }

    /// Ids of expanded objects, which are read as well where they tell more than their id.
    fn ids(&mut self, value: &Value, key: &str) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for one in value.get(key).and_then(Value::as_array).into_iter().flatten() {
            let id = one.as_str().map(str::to_owned).unwrap_or_else(|| text(one, "id")).to_lowercase();
            if id.is_empty() {
                continue;
            }
            if one.get("userPrincipalName").is_some() && !self.entities.contains_key(&id) {
                // A fault of an object within another one is told with the other one.
                let _ = self.user(one);
            }
            ids.insert(id);
        }
        ids
    }

    /// A map from an object's id to the list of its members or owners.
    pub(super) fn by_object(&mut self, value: &Value, are_members: bool) {
        for (object, _) in value.as_object().into_iter().flatten() {
            let ids = self.ids(value, object);
            let into = if are_members { &mut self.members } else { &mut self.owners };
            into.entry(object.to_lowercase()).or_default().extend(ids);
        }
    }

    pub(super) fn service_principal(&mut self, value: &Value) -> Result<(), String> {
        let id = needed(value, "id").or_else(|_| needed(value, "objectId"))?.to_lowercase();
        let managed = text(value, "servicePrincipalType") == "ManagedIdentity";
        let application = text(value, "appId").to_lowercase();
        let owners = self.ids(value, "owners");
        let entity = self.entities.entry(id.clone()).or_default();
        let label = [text(value, "displayName"), text(value, "appDisplayName")].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        (entity.label, entity.kind) = (label, if managed { EntityKind::ManagedIdentity } else { EntityKind::Application });
        entity.application = Some(application.clone()).filter(|application| !application.is_empty());
        for name in texts(value, "alternativeNames")? {
            if name.starts_with('/') {
                entity.runs.insert(scope(&name));
            }
        }
        if !application.is_empty() {
            self.by_application.insert(application, id.clone());
        }
        self.owners.entry(id.clone()).or_default().extend(owners);
        for role in value.get("appRoles").and_then(Value::as_array).into_iter().flatten() {
            self.permissions.insert(text(role, "id").to_lowercase(), text(role, "value"));
        }
        for grant in value.get("appRoleAssignments").and_then(Value::as_array).into_iter().flatten() {
            self.grants.push((id.clone(), needed(grant, "appRoleId")?.to_lowercase()));
        }
        Ok(())
    }

    pub(super) fn application(&mut self, value: &Value) -> Result<(), String> {
        let id = needed(value, "id").or_else(|_| needed(value, "objectId"))?.to_lowercase();
        let application = needed(value, "appId")?.to_lowercase();
        let owners = self.ids(value, "owners");
        self.owners.entry(id.clone()).or_default().extend(owners);
        for credential in value.get("federatedIdentityCredentials").and_then(Value::as_array).into_iter().flatten() {
            self.federated(credential, &application)?;
        }
        self.applications.insert(id, application);
        Ok(())
    }

    /// Whose tokens are taken for an application (by its id) or an identity (by its resource or principal).
    pub(super) fn federated(&mut self, value: &Value, whose: &str) -> Result<(), String> {
        let issuer = needed(value, "issuer")?;
        let subject = needed(value, "subject")?;
        let id = scope(&text(value, "id"));
        let resource = id.split("/federatedidentitycredentials/").next().filter(|resource| *resource != id).unwrap_or_default();
        let whose = if whose.is_empty() { resource.to_owned() } else { whose.to_lowercase() };
        if whose.is_empty() {
            return Err("a federated credential that does not tell whose it is: give it within its application, or with the `id` of its identity".to_owned());
        }
        self.federated.push((whose, issuer.trim_start_matches("https://").trim_end_matches('/').to_owned(), subject));
        Ok(())
    }

    pub(super) fn directory_definition(&mut self, value: &Value) -> Result<(), String> {
        let name = text(value, "displayName");
        let id = needed(value, "id").or_else(|_| needed(value, "templateId"))?.to_lowercase();
        let mut permissions = Vec::new();
        for one in value.get("rolePermissions").and_then(Value::as_array).ok_or("`rolePermissions` is not a list")? {
            let plane = |key: &str| -> Result<Vec<String>, String> { Ok(texts(one, key)?.into_iter().map(|action| format!("directory:{action}")).collect()) };
            // A condition such as `$SubjectIsOwner` narrows to what the holder owns; owners have that anyway.
            if text(one, "condition").contains("Owner") {
                continue;
            }
            permissions.push(Permission { actions: plane("allowedResourceActions")?, except: plane("excludedResourceActions")?, condition: None });
        }
        let role = Role { name, permissions };
        let template = text(value, "templateId").to_lowercase();
        if !template.is_empty() && template != id {
            self.directory_roles.insert(template, role.clone());
        }
        self.directory_roles.insert(id, role);
        Ok(())
    }

    pub(super) fn directory_assignment(&mut self, place: &str, value: &Value, hint: &str) -> Result<(), String> {
        let principal = needed(value, "principalId")?.to_lowercase();
        let role = last(&needed(value, "roleDefinitionId")?);
        let about = format!("{hint} {}", text(value, "@odata.type")).to_lowercase();
        let eligible = about.contains("eligib") || properties(value).get("roleEligibilityScheduleId").is_some();
        let scope = property(value, "directoryScopeId");
        let scope = if scope.is_empty() { "/".to_owned() } else { scope.to_lowercase() };
        self.entities.entry(principal.clone()).or_default();
        self.directory_held.push(Held { place: place.to_owned(), principal, role, scope, condition: None, eligible });
        Ok(())
    }

    /// An active role with its members.
    pub(super) fn directory_role(&mut self, place: &str, value: &Value) -> Result<(), String> {
        let role = needed(value, "roleTemplateId")?.to_lowercase();
        for principal in self.ids(value, "members") {
            self.entities.entry(principal.clone()).or_default();
            let held = Held { place: place.to_owned(), principal, role: role.clone(), scope: "/".to_owned(), condition: None, eligible: false };
            self.directory_held.push(held);
        }
        Ok(())
    }

    pub(super) fn grant(&mut self, value: &Value) -> Result<(), String> {
        let principal = needed(value, "principalId")?.to_lowercase();
        let entity = self.entities.entry(principal.clone()).or_insert_with(|| Entity { kind: EntityKind::Application, ..Entity::default() });
        if entity.label.is_empty() {
            entity.label = text(value, "principalDisplayName");
        }
        self.grants.push((principal, needed(value, "appRoleId")?.to_lowercase()));
        Ok(())
    }
}
