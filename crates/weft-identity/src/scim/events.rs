//! What was pushed as OCSF events: Account Change (class 3001) and Group Management (class 3006).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use weft_model::{Timestamp, TraceId};

use super::Form;
use super::resource::text;

/// A resource before and after a change; none where there was or is none.
#[derive(Debug, Clone, Copy)]
pub struct Step<'s> {
    /// Who pushed it.
    pub source: &'s str,
    /// Which resource.
    pub form: Form,
    /// Its id.
    pub id: &'s str,
    /// Counts its changes.
    pub version: i64,
    /// Before.
    pub before: Option<&'s Map<String, Value>>,
    /// After.
    pub after: Option<&'s Map<String, Value>>,
    /// When.
    pub now: Timestamp,
}

impl Step<'_> {
    /// One event for each thing that happened.
    pub fn events(&self) -> Vec<Value> {
        match self.form {
            Form::User => self.of_account().into_iter().collect(),
            Form::Group => self.of_group(),
        }
    }

    fn of_account(&self) -> Option<Value> {
        let is_active = |account: &Map<String, Value>| account.get("active") != Some(&Value::Bool(false));
        let (activity, name) = match (self.before, self.after) {
            (None, Some(_)) => (1, "Create"),
            (Some(_), None) => (6, "Delete"),
            (Some(before), Some(after)) if is_active(before) && !is_active(after) => (5, "Disable"),
            (Some(before), Some(after)) if !is_active(before) && is_active(after) => (2, "Enable"),
            (Some(before), Some(after)) if before != after => (99, "Update"),
            _ => return None,
        };
        let account = self.after.or(self.before)?;
        let who = user(account, self.id);
        let mut event = self.event(3001, (activity, name), &format!("{}: {} the account {}", self.source, name.to_lowercase(), text(account, "userName")), 0);
        event.insert("user".to_owned(), who);
        Some(Value::Object(event))
    }

    fn of_group(&self) -> Vec<Value> {
        let Some(group) = self.after.or(self.before) else { return Vec::new() };
        let name = text(group, "displayName");
        let (before, after) = (members(self.before), members(self.after));
        let mut events = Vec::new();
        let mut tell = |activity: (i64, &str), member: Option<&str>| {
            let whom = member.map(|member| format!(" {member}")).unwrap_or_default();
            let message = format!("{}: {}{whom}, group {name}", self.source, activity.1.to_lowercase());
            let mut event = self.event(3006, activity, &message, events.len());
            event.insert("group".to_owned(), json!({"uid": self.id, "name": name}));
            event.extend(member.map(|member| ("user".to_owned(), json!({"uid": member}))));
            events.push(Value::Object(event));
        };
        match (self.before, self.after) {
            (None, Some(_)) => tell((6, "Create"), None),
            (Some(_), None) => tell((5, "Delete"), None),
            (Some(before), Some(after)) if without_members(before) != without_members(after) => tell((99, "Update"), None),
            _ => {}
        }
        if self.after.is_some() {
            after.difference(&before).for_each(|member| tell((3, "Add User"), Some(member)));
            before.difference(&after).for_each(|member| tell((4, "Remove User"), Some(member)));
        }
        events
    }

    fn event(&self, class: i64, (activity, name): (i64, &str), message: &str, number: usize) -> Map<String, Value> {
        let uid = TraceId::of(&format!("scim {} {} {} {} {number}", self.source, self.form.name(), self.id, self.version));
        let event = json!({
            "activity_id": activity, "activity_name": name, "category_uid": 3, "class_uid": class, "type_uid": class * 100 + activity,
            "severity_id": 1, "status_id": 1, "time": self.now.0, "message": message, "status_detail": self.changed(),
            "metadata": {"version": "1.8.0", "uid": uid.as_str(), "log_name": "scim", "product": {"name": "Weft", "vendor_name": "Weft"}},
            "actor": {"app_name": self.source},
        });
        let Value::Object(mut event) = event else { return Map::new() };
        event.retain(|_, value| !value.is_null());
        event
    }

    /// Names of the attributes that differ.
    fn changed(&self) -> Option<String> {
        let (before, after) = (self.before?, self.after?);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).collect();
        (!names.is_empty()).then(|| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

fn members(group: Option<&Map<String, Value>>) -> BTreeSet<&str> {
    let members = group.and_then(|group| group.get("members")).and_then(Value::as_array);
    members.into_iter().flatten().filter_map(|member| member.get("value")?.as_str()).collect()
}

fn without_members(group: &Map<String, Value>) -> Map<String, Value> {
    group.iter().filter(|(name, _)| *name != "members").map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The account as an OCSF user.
fn user(account: &Map<String, Value>, id: &str) -> Value {
    let emails = || account.get("emails").and_then(Value::as_array).into_iter().flatten();
    let email = emails().find(|email| email.get("primary") == Some(&Value::Bool(true))).or_else(|| emails().next()).and_then(|email| email.get("value"));
    let user = json!({
        "name": text(account, "userName"), "uid": id, "uid_alt": account.get("externalId"), "full_name": account.get("displayName"), "email_addr": email, "type_id": 1,
    });
    let Value::Object(mut user) = user else { return Value::Null };
    user.retain(|_, value| !value.is_null());
    Value::Object(user)
}
