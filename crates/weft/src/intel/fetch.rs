//! Documents from a server: one of them, a MISP feed, a TAXII collection.

use std::path::Path;

use base64::Engine as _;
use url::Url;
use weft_analytics::intel::read::{self, Format};
use weft_ingest::pull::{Answer, Method, Request, retry_after};

use super::open::Documents;
use crate::door::now;
use crate::door::pull::http::{Http, Patience};

pub use crate::door::pull::http::is_here;

/// Most events of a feed.
const EVENTS_MAX: usize = 100_000;
/// Most pages of a collection.
const PAGES_MAX: usize = 100_000;
/// Objects asked for at a time.
const PAGE_OBJECTS: usize = 1000;
/// What TAXII 2.1 answers in.
const TAXII: &str = "application/taxii+json;version=2.1";

/// By what a server knows whether an answer is still the same (RFC 9110, 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub modified: Option<String>,
}

/// What an address gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Nothing that was not there the last time.
    Same,
    /// Documents.
    New {
        /// How far a collection was read.
        position: String,
        /// For the next time.
        validators: Validators,
    },
}

/// Why an address gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// For a person.
    pub message: String,
    /// Milliseconds for which the server does not want to be asked again, where it says so.
    pub hold_ms: Option<i64>,
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self { message, hold_ms: None }
    }
}

impl From<Trouble> for String {
    fn from(trouble: Trouble) -> Self {
        trouble.message
    }
}

/// A server with what it wants to know.
pub struct Server {
    http: Http,
    authorization: Option<String>,
}

impl Server {
    /// Reads the secret from its file: it never stands on a command line.
    ///
    /// # Errors
    /// The secret cannot be read, or no TLS can be set up.
    pub fn new(user: Option<&str>, secret: Option<&Path>) -> Result<Self, String> {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()));
        let secret = secret.map(read).transpose()?;
        Self::with_secret(user, secret.as_deref())
    }

    /// With a secret that was read: a password with a user, a token without one.
    ///
    /// # Errors
    /// No TLS can be set up.
    pub fn with_secret(user: Option<&str>, secret: Option<&str>) -> Result<Self, String> {
        let secret = secret.map(str::trim);
        let authorization = secret.map(|secret| match user {
            Some(user) => format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"))),
            None => format!("Bearer {secret}"),
        });
        Ok(Self { http: Http::new(Patience::default())?, authorization })
    }

    /// Fetches what an address names, unless it is still what the validators say; where a collection was read
    /// to, for the next time.
    ///
    /// # Errors
    /// For a person.
    pub async fn fetch(&self, url: &Url, position: &str, known: &Validators, into: &mut Documents) -> Result<Fetched, Trouble> {
        if is_collection(url) {
            let read_to = self.collection(url, position, into).await?;
            // One without anything is no fault; neither is it news.
            let same = into.found.is_empty() && read_to == position;
            return Ok(if same { Fetched::Same } else { Fetched::New { position: read_to, validators: Validators::default() } });
        }
        let url = if url.path().ends_with('/') { url.join("manifest.json").map_err(|error| error.to_string())? } else { url.clone() };
        let Some(answer) = self.get(&url, "*/*", known).await? else { return Ok(Fetched::Same) };
        if url.path().ends_with(".json") && matches!(read::recognise(&answer.body), Ok(Format::Manifest)) {
            self.feed(&url, &answer.body, into).await?;
        } else {
            into.take(&without_query(&url), &answer.body)?;
        }
        let header = |name: &str| answer.header(name).map(str::to_owned);
        Ok(Fetched::New { position: String::new(), validators: Validators { etag: header("etag"), modified: header("last-modified") } })
    }

    /// Each event that a manifest lists.
    async fn feed(&self, manifest: &Url, body: &[u8], into: &mut Documents) -> Result<(), Trouble> {
        let ids = read::manifest(body)?;
        if ids.len() > EVENTS_MAX {
            let manifest = without_query(manifest);
            return Err(format!("`{manifest}` lists {} events, at most {EVENTS_MAX} are fetched", ids.len()).into());
        }
        for id in ids {
            let url = manifest.join(&format!("{id}.json")).map_err(|error| error.to_string())?;
            let answer = self.ask(&url, "application/json").await?;
            into.take(&without_query(&url), &answer.body)?;
        }
        Ok(())
    }

    /// All pages of a collection's objects, from where it was read to
    /// (TAXII 2.1, <https://docs.oasis-open.org/cti/taxii/v2.1/os/taxii-v2.1-os.html>, 5.4).
    async fn collection(&self, collection: &Url, position: &str, into: &mut Documents) -> Result<String, Trouble> {
        let objects = objects(collection)?;
        let shown = without_query(&objects);
        let (mut next, mut newest, mut last) = (None::<String>, position.to_owned(), bytes::Bytes::new());
        for _ in 0..PAGES_MAX {
            let mut url = objects.clone();
            let limit = PAGE_OBJECTS.to_string();
            url.query_pairs_mut().append_pair("limit", &limit);
            if !position.is_empty() {
                url.query_pairs_mut().append_pair("added_after", position);
            }
            if let Some(next) = &next {
                url.query_pairs_mut().append_pair("next", next);
            }
            let answer = self.ask(&url, TAXII).await?;
            let envelope: Envelope = serde_json::from_slice(&answer.body).map_err(|error| format!("`{shown}` does not answer as TAXII 2.1: {error}"))?;
            if let Some(last) = answer.header("x-taxii-date-added-last").filter(|last| !last.is_empty()) {
                last.clone_into(&mut newest);
            }
            if envelope.objects {
                into.take(&without_query(&url), &answer.body)?;
            }
            match (envelope.more, envelope.next) {
                (false, _) => return Ok(newest),
                // Some servers give each page the same name.
                (true, Some(following)) if next.as_ref() != Some(&following) || last != answer.body => next = Some(following),
                (true, Some(_)) => return Err(format!("`{shown}` gives the same page again and again").into()),
                (true, None) => return Err(format!("`{shown}` says that there is more and not where").into()),
            }
            last = answer.body;
        }
        Err(format!("`{shown}` has more than {PAGES_MAX} pages").into())
    }

    async fn ask(&self, url: &Url, accept: &str) -> Result<Answer, Trouble> {
        let nothing = || format!("`{}` says that nothing changed, though nobody asked", without_query(url)).into();
        self.get(url, accept, &Validators::default()).await?.ok_or_else(nothing)
    }

    /// None when it is what the validators say.
    async fn get(&self, url: &Url, accept: &str, known: &Validators) -> Result<Option<Answer>, Trouble> {
        let mut headers = vec![("accept".to_owned(), accept.to_owned())];
        headers.extend(self.authorization.iter().map(|value| ("authorization".to_owned(), value.clone())));
        headers.extend(known.etag.iter().map(|etag| ("if-none-match".to_owned(), etag.clone())));
        headers.extend(known.modified.iter().map(|time| ("if-modified-since".to_owned(), time.clone())));
        let shown = without_query(url);
        let request = Request { method: Method::Get, url: url.clone(), headers, body: None };
        let answer = self.http.ask(&request).await.map_err(|reason| format!("`{shown}`: {reason}; look whether it can be reached from here"))?;
        let message = match answer.status {
            200 | 206 => return Ok(Some(answer)),
            304 => return Ok(None),
            401 | 403 => format!("`{shown}` refuses ({}): give a secret, with the name of a user for a password", answer.status),
            404 | 410 => format!("`{shown}` answers {}: look whether the address is still right", answer.status),
            status @ 300..=399 => format!("`{shown}` answers {status} and names another address: give that one"),
            status @ (429 | 503) => format!("`{shown}` answers {status}: it wants to be asked less often"),
            status => format!("`{shown}` answers {status}"),
        };
        Err(Trouble { message, hold_ms: retry_after(now().0, &answer) })
    }
}

/// What matters of an envelope before its objects are read.
struct Envelope {
    more: bool,
    next: Option<String>,
    objects: bool,
}

impl<'de> serde::Deserialize<'de> for Envelope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Read {
            #[serde(default)]
            more: bool,
            next: Option<String>,
            objects: Option<serde::de::IgnoredAny>,
        }
        let Read { more, next, objects } = Read::deserialize(deserializer)?;
        Ok(Self { more, next, objects: objects.is_some() })
    }
}

/// An address may hold what is not for others to see.
pub fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    let _no_user = url.set_password(None).and_then(|()| url.set_username(""));
    url.into()
}

/// `…/collections/ID/`, with or without `objects/`.
pub fn is_collection(url: &Url) -> bool {
    url.path_segments().is_some_and(|mut segments| segments.any(|segment| segment == "collections"))
}

fn objects(collection: &Url) -> Result<Url, String> {
    let mut parts: Vec<&str> = collection.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let at = parts.iter().position(|part| *part == "collections").unwrap_or(0);
    if parts.len() < at + 2 {
        return Err(format!("`{}` names no collection: `…/collections/ID/`", without_query(collection)));
    }
    parts.truncate(at + 2);
    let mut url = collection.clone();
    url.set_path(&format!("/{}/objects/", parts.join("/")));
    url.set_query(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_known_by_its_address() {
        let objects = |url: &str| objects(&url.parse().unwrap()).map(|url| url.to_string());
        for url in ["https://t.example/api1/collections/c1", "https://t.example/api1/collections/c1/", "https://t.example/api1/collections/c1/objects/?limit=3"]
        {
            assert!(is_collection(&url.parse().unwrap()));
            assert_eq!(objects(url).as_deref(), Ok("https://t.example/api1/collections/c1/objects/"), "{url}");
        }
        assert!(objects("https://t.example/api1/collections/").is_err());
        assert!(!is_collection(&"https://t.example/feed/".parse().unwrap()));
    }
}
