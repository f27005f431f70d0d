//! Resources that were pushed, in the embedded store.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::{Map, Value};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};
use weft_identity::scim::Form;
use weft_model::Timestamp;

use super::Sqlite;
use crate::state::StateError;
use crate::state::scim::{Changed, KeptResource, Lookup, ScimStore};

const COLUMNS: &str = "source, form, id, version, created_ms, modified_ms, body";

fn kept(row: &SqliteRow) -> Result<KeptResource, StateError> {
    let (form, body): (String, String) = (row.try_get("form")?, row.try_get("body")?);
    let id: String = row.try_get("id")?;
    Ok(KeptResource {
        source: row.try_get("source")?,
        form: if form == Form::User.name() { Form::User } else { Form::Group },
        version: row.try_get("version")?,
        created: Timestamp(row.try_get("created_ms")?),
        modified: Timestamp(row.try_get("modified_ms")?),
        body: serde_json::from_str(&body).map_err(|error| StateError(format!("the resource `{id}` cannot be read: {error}")))?,
        id,
    })
}

fn body(resource: &KeptResource) -> Result<String, StateError> {
    serde_json::to_string(&resource.body).map_err(|error| StateError(error.to_string()))
}

/// The condition of a lookup, and what it compares with.
fn condition(by: Lookup<'_>) -> (&'static str, Option<String>) {
    match by {
        Lookup::All => ("?3 IS NULL", None),
        Lookup::Id(id) => ("id = ?3", Some(id.to_owned())),
        Lookup::Name(name) => ("name = ?3", Some(name.to_lowercase())),
        Lookup::External(id) => ("external = ?3", Some(id.to_owned())),
    }
}

/// Brings the index of members up to date with a group.
async fn index(connection: &mut SqliteConnection, group: &KeptResource, before: HashSet<&str>) -> Result<(), StateError> {
    let after: HashSet<&str> = group.members().collect();
    for gone in before.difference(&after) {
        let sql = "DELETE FROM scim_member WHERE source = ? AND group_id = ? AND member = ?";
        sqlx::query(sql).bind(&group.source).bind(&group.id).bind(*gone).execute(&mut *connection).await?;
    }
    for new in after.difference(&before) {
        let sql = "INSERT OR IGNORE INTO scim_member VALUES (?, ?, ?)";
        sqlx::query(sql).bind(&group.source).bind(&group.id).bind(*new).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Whether a unique name was taken, or what else went wrong.
fn outcome(done: Result<u64, sqlx::Error>) -> Result<Changed, StateError> {
    match done {
        Ok(0) => Ok(Changed::Gone),
        Ok(_) => Ok(Changed::Kept),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(Changed::Taken),
        Err(error) => Err(error.into()),
    }
}

async fn replace(connection: &mut SqliteConnection, new: &KeptResource, version: i64) -> Result<Changed, StateError> {
    let sql =
        "UPDATE scim_resource SET name = ?, external = ?, version = ?, modified_ms = ?, body = ? WHERE source = ? AND form = ? AND id = ? AND version = ?";
    let query = sqlx::query(sql).bind(new.name()).bind(new.body.get("externalId").and_then(Value::as_str)).bind(new.version).bind(new.modified.0);
    let query = query.bind(body(new)?).bind(&new.source).bind(new.form.name()).bind(&new.id).bind(version);
    outcome(query.execute(connection).await.map(|done| done.rows_affected()))
}

#[async_trait]
impl ScimStore for Sqlite {
    async fn add_resource(&self, new: &KeptResource) -> Result<Changed, StateError> {
        let mut writing = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let sql = "INSERT INTO scim_resource (source, form, id, name, external, version, created_ms, modified_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let query = sqlx::query(sql).bind(&new.source).bind(new.form.name()).bind(&new.id).bind(new.name());
        let query = query.bind(new.body.get("externalId").and_then(Value::as_str)).bind(new.version).bind(new.created.0).bind(new.modified.0).bind(body(new)?);
        let changed = outcome(query.execute(&mut *writing).await.map(|done| done.rows_affected()))?;
        if changed == Changed::Kept {
            index(&mut writing, new, HashSet::new()).await?;
            writing.commit().await?;
        }
        Ok(changed)
    }

    async fn replace_resource(&self, new: &KeptResource, before: &KeptResource) -> Result<Changed, StateError> {
        let mut writing = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let changed = replace(&mut writing, new, before.version).await?;
        if changed == Changed::Kept {
            index(&mut writing, new, before.members().collect()).await?;
            writing.commit().await?;
        }
        Ok(changed)
    }

    async fn remove_resource(&self, old: &KeptResource, now: Timestamp) -> Result<bool, StateError> {
        let mut writing = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let sql = "DELETE FROM scim_resource WHERE source = ? AND form = ? AND id = ?";
        let removed = sqlx::query(sql).bind(&old.source).bind(old.form.name()).bind(&old.id).execute(&mut *writing).await?.rows_affected();
        sqlx::query("DELETE FROM scim_member WHERE source = ? AND group_id = ?").bind(&old.source).bind(&old.id).execute(&mut *writing).await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM scim_resource WHERE source = ?1 AND form = 'Group' AND id IN (SELECT group_id FROM scim_member WHERE source = ?1 AND member = ?2)"
        );
        let groups = sqlx::query(AssertSqlSafe(sql)).bind(&old.source).bind(&old.id).fetch_all(&mut *writing).await?;
        for group in groups.iter().map(kept) {
            let before = group?;
            let mut after = KeptResource { version: before.version + 1, modified: now, ..before.clone() };
            leave(&mut after.body, &old.id);
            replace(&mut writing, &after, before.version).await?;
        }
        sqlx::query("DELETE FROM scim_member WHERE source = ? AND member = ?").bind(&old.source).bind(&old.id).execute(&mut *writing).await?;
        writing.commit().await?;
        Ok(removed > 0)
    }

    async fn resource(&self, source: &str, form: Form, id: &str) -> Result<Option<KeptResource>, StateError> {
        Ok(self.resources(source, form, Lookup::Id(id), 0, 1).await?.pop())
    }

    async fn count_resources(&self, source: &str, form: Form, by: Lookup<'_>) -> Result<u64, StateError> {
        let (condition, value) = condition(by);
        let sql = format!("SELECT count(*) FROM scim_resource WHERE source = ?1 AND form = ?2 AND {condition}");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).bind(source).bind(form.name()).bind(value).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn resources(&self, source: &str, form: Form, by: Lookup<'_>, skip: u64, most: u64) -> Result<Vec<KeptResource>, StateError> {
        let (condition, value) = condition(by);
        let sql = format!("SELECT {COLUMNS} FROM scim_resource WHERE source = ?1 AND form = ?2 AND {condition} ORDER BY place LIMIT ?4 OFFSET ?5");
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(source).bind(form.name()).bind(value).bind(number(most)).bind(number(skip));
        query.fetch_all(&self.pool).await?.iter().map(kept).collect()
    }

    async fn groups_with(&self, source: &str, member: &str) -> Result<Vec<(String, String)>, StateError> {
        let sql = "SELECT r.id, json_extract(r.body, '$.displayName') AS name FROM scim_member m JOIN scim_resource r \
                   ON r.source = m.source AND r.form = 'Group' AND r.id = m.group_id WHERE m.source = ? AND m.member = ? ORDER BY r.place";
        let rows = sqlx::query(sql).bind(source).bind(member).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get::<Option<String>, _>("name")?.unwrap_or_default()))).collect()
    }

    async fn scim_sources(&self) -> Result<Vec<String>, StateError> {
        Ok(sqlx::query_scalar("SELECT DISTINCT source FROM scim_resource ORDER BY source").fetch_all(&self.pool).await?)
    }
}

/// Takes a member out of a group.
fn leave(group: &mut Map<String, Value>, member: &str) {
    let Some(Value::Array(members)) = group.get_mut("members") else { return };
    members.retain(|one| one.get("value").and_then(Value::as_str) != Some(member));
    if members.is_empty() {
        group.remove("members");
    }
}
