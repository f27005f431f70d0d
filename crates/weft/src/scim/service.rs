//! What is done with resources, whoever asks over whatever protocol.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use weft_identity::scim::{Change, Filter, Form, LIST, Refusal, Selection, Step, accept};
use weft_model::Timestamp;

use super::BASE;
use crate::respond::Journal;
use crate::state::StateError;
use crate::state::scim::{Changed, KeptResource, Lookup, ScimStore};

/// Resources of a page when the request does not say.
const PAGE: u64 = 100;
/// Most resources of a page.
pub(super) const PAGE_MAX: u64 = 1_000;
/// Resources that are looked at between two waits.
const AT_ONCE: u64 = 500;
/// Events that are handed over at once.
const EVENTS_AT_ONCE: usize = 1_000;
/// Attempts of a change that somebody else's came before.
const ATTEMPTS_MAX: usize = 8;

/// The service of all sources.
pub struct Service {
    store: Arc<dyn ScimStore>,
    /// How others reach this mesh.
    pub(super) address: String,
    /// Keeps each change as an event.
    journal: Arc<dyn Journal>,
    /// Told of each change.
    pub(super) changed: Arc<Notify>,
}

/// What is asked of a list (RFC 7644, section 3.4.2).
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) filter: Option<Filter>,
    pub(super) start: Option<i64>,
    pub(super) count: Option<i64>,
    pub(super) selection: Selection,
}

/// Whose resources of which form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'s> {
    pub(super) source: &'s str,
    pub(super) form: Form,
}

impl From<StateError> for Unanswered {
    fn from(error: StateError) -> Self {
        tracing::error!(%error, "a request of SCIM could not be answered");
        Self(Refusal::status(500, "what is kept cannot be read or written; the log of the mesh says why"))
    }
}

/// A request that could not be answered as it was meant.
#[derive(Debug)]
pub(super) struct Unanswered(pub(super) Refusal);

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl Service {
    /// Over a store.
    pub fn new(store: Arc<dyn ScimStore>, address: String, journal: Arc<dyn Journal>) -> Self {
        Self { store, address, journal, changed: Arc::default() }
    }

    /// A change was made: it becomes an event, and the graph hears of it.
    async fn tell(&self, before: Option<&KeptResource>, after: Option<&KeptResource>, now: Timestamp) {
        self.changed.notify_one();
        let Some(one) = after.or(before) else { return };
        let (source, form, id) = (one.source.as_str(), one.form, one.id.as_str());
        // What is taken away has one version more than when it was there.
        let version = one.version + i64::from(after.is_none());
        let step = Step { source, form, id, version, before: before.map(|one| &one.body), after: after.map(|one| &one.body), now };
        let mut events = step.events();
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(EVENTS_AT_ONCE));
            if let Err(error) = self.journal.keep(events).await {
                tracing::error!(error, source, id, "a change that was pushed is kept, but not told as an event");
            }
            events = rest;
        }
    }

    pub(super) fn base(&self) -> String {
        format!("{}{BASE}", self.address)
    }

    /// A new resource.
    pub(super) async fn create(&self, place: Place<'_>, sent: Value, now: Timestamp) -> Result<KeptResource, Unanswered> {
        let body = accept(place.form, sent)?;
        let id = id();
        let new = KeptResource { source: place.source.to_owned(), form: place.form, id, version: 1, created: now, modified: now, body };
        match self.store.add_resource(&new).await? {
            Changed::Kept => {
                self.tell(None, Some(&new), now).await;
                Ok(new)
            }
            Changed::Taken | Changed::Gone => Err(taken(&new).into()),
        }
    }

    /// One resource.
    pub(super) async fn get(&self, place: Place<'_>, id: &str) -> Result<KeptResource, Unanswered> {
        let found = self.store.resource(place.source, place.form, id).await?;
        found.ok_or_else(|| Refusal::status(404, format!("there is no {} `{id}`", place.form.name())).into())
    }

    /// A resource after a change of its attributes; `wanted` says whether the version that is there may be changed.
    pub(super) async fn change(
        &self,
        place: Place<'_>,
        id: &str,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        make: &(dyn Fn(Map<String, Value>) -> Result<Map<String, Value>, Refusal> + Sync),
        now: Timestamp,
    ) -> Result<KeptResource, Unanswered> {
        for _ in 0..ATTEMPTS_MAX {
            let before = self.get(place, id).await?;
            if !wanted(before.version) {
                return Err(Refusal::status(412, format!("it was changed meanwhile; its version is W/\"{}\"", before.version)).into());
            }
            let body = make(before.body.clone())?;
            if body == before.body {
                return Ok(before);
            }
            let new = KeptResource { version: before.version + 1, modified: now, body, ..before.clone() };
            match self.store.replace_resource(&new, &before).await? {
                Changed::Kept => {
                    self.tell(Some(&before), Some(&new), now).await;
                    return Ok(new);
                }
                Changed::Taken => return Err(taken(&new).into()),
                // Somebody was faster: once more, from what is there now.
                Changed::Gone => {}
            }
        }
        Err(Refusal::status(503, "others change it all the time; try again").into())
    }

    /// Puts a resource in place of what was there.
    pub(super) async fn replace(
        &self,
        place: Place<'_>,
        id: &str,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        sent: Value,
        now: Timestamp,
    ) -> Result<KeptResource, Unanswered> {
        let body = accept(place.form, sent)?;
        self.change(place, id, wanted, &|_| Ok(body.clone()), now).await
    }

    /// Changes parts of a resource.
    pub(super) async fn patch(
        &self,
        place: Place<'_>,
        id: &str,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        sent: &Value,
        now: Timestamp,
    ) -> Result<KeptResource, Unanswered> {
        let changes = weft_identity::scim::changes(sent)?;
        self.change(place, id, wanted, &|body| Change::all(&changes, place.form, body), now).await
    }

    /// Takes a resource away.
    pub(super) async fn remove(&self, place: Place<'_>, id: &str, wanted: &(dyn Fn(i64) -> bool + Sync), now: Timestamp) -> Result<(), Unanswered> {
        let old = self.get(place, id).await?;
        if !wanted(old.version) {
            return Err(Refusal::status(412, format!("it was changed meanwhile; its version is W/\"{}\"", old.version)).into());
        }
        if !self.store.remove_resource(&old, now).await? {
            return Err(Refusal::status(404, format!("there is no {} `{id}`", place.form.name())).into());
        }
        self.tell(Some(&old), None, now).await;
        Ok(())
    }

    /// A page of those that are like the filter.
    pub(super) async fn list(&self, place: Place<'_>, listing: &Listing) -> Result<Value, Unanswered> {
        let start = u64::try_from(listing.start.unwrap_or(1)).unwrap_or(1).max(1);
        let count = listing.count.map_or(PAGE, |count| u64::try_from(count).unwrap_or(0)).min(PAGE_MAX);
        let (total, page) = match &listing.filter {
            None => {
                let total = self.store.count_resources(place.source, place.form, Lookup::All).await?;
                (total, self.store.resources(place.source, place.form, Lookup::All, start - 1, count).await?)
            }
            Some(filter) => self.filtered(place, filter, start, count).await?,
        };
        let mut given = Vec::with_capacity(page.len());
        for resource in page {
            given.push(Value::Object(self.given(resource, &listing.selection).await?));
        }
        Ok(json!({"schemas": [LIST], "totalResults": total, "startIndex": start, "itemsPerPage": given.len(), "Resources": given}))
    }

    async fn filtered(&self, place: Place<'_>, filter: &Filter, start: u64, count: u64) -> Result<(u64, Vec<KeptResource>), Unanswered> {
        let name = if place.form == Form::User { "userName" } else { "displayName" };
        let by = match (filter.equals("id"), filter.equals("externalId"), filter.equals(name)) {
            (Some(id), ..) => Lookup::Id(id),
            (None, Some(external), _) => Lookup::External(external),
            (None, None, Some(name)) => Lookup::Name(name),
            _ => Lookup::All,
        };
        let (mut total, mut page, mut looked) = (0, Vec::new(), 0);
        loop {
            let some = self.store.resources(place.source, place.form, by, looked, AT_ONCE).await?;
            let ended = (some.len() as u64) < AT_ONCE;
            looked += some.len() as u64;
            for resource in some {
                let whole = self.whole(&resource, filter.asks("groups")).await?;
                if filter.fits(place.form, &whole) {
                    total += 1;
                    if total >= start && (page.len() as u64) < count {
                        page.push(resource);
                    }
                }
            }
            if ended {
                return Ok((total, page));
            }
        }
    }

    /// All that a source has: its users, its groups.
    pub(super) async fn snapshot(&self, source: &str) -> Result<[Value; 2], StateError> {
        let mut lists = [json!([]), json!([])];
        for (form, list) in Form::ALL.into_iter().zip(&mut lists) {
            let mut all = Vec::new();
            loop {
                let some = self.store.resources(source, form, Lookup::All, all.len() as u64, AT_ONCE).await?;
                let ended = (some.len() as u64) < AT_ONCE;
                for resource in some {
                    all.push(Value::Object(self.whole(&resource, false).await?));
                }
                if ended {
                    break;
                }
            }
            *list = json!({"schemas": [LIST], "totalResults": all.len(), "Resources": all});
        }
        Ok(lists)
    }

    /// A resource as it is given.
    pub(super) async fn given(&self, resource: KeptResource, selection: &Selection) -> Result<Map<String, Value>, StateError> {
        Ok(selection.of(self.whole(&resource, selection.wants("groups")).await?))
    }

    /// With what only the server says.
    async fn whole(&self, resource: &KeptResource, with_groups: bool) -> Result<Map<String, Value>, StateError> {
        let base = self.base();
        let mut whole = resource.body.clone();
        whole.insert("id".to_owned(), resource.id.clone().into());
        let meta = json!({
            "resourceType": resource.form.name(), "created": resource.created.rfc3339(), "lastModified": resource.modified.rfc3339(),
            "location": format!("{base}/{}/{}", resource.form.endpoint(), resource.id), "version": version(resource.version),
        });
        whole.insert("meta".to_owned(), meta);
        if with_groups && resource.form == Form::User {
            let groups = self.store.groups_with(&resource.source, &resource.id).await?;
            let group = |(id, name): (String, String)| json!({"value": id, "$ref": format!("{base}/Groups/{id}"), "display": name, "type": "direct"});
            if !groups.is_empty() {
                whole.insert("groups".to_owned(), groups.into_iter().map(group).collect());
            }
        }
        Ok(whole)
    }
}

/// The version of a resource as its entity tag.
pub(super) fn version(version: i64) -> String {
    format!("W/\"{version}\"")
}

fn taken(new: &KeptResource) -> Refusal {
    Refusal::of("uniqueness", format!("there is another User with the `userName` `{}`", new.text("userName")))
}

/// A new id (RFC 9562, version 4).
fn id() -> String {
    let bits = (rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_of_version_4() {
        let id = super::id();
        assert_eq!((id.len(), id.as_bytes()[14], b"89ab".contains(&id.as_bytes()[19])), (36, b'4', true), "{id}");
    }
}
