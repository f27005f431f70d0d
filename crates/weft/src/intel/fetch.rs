//! Documents from a server: one of them, a MISP feed, a TAXII collection.

use std::path::Path;

use base64::Engine as _;
use url::Url;
use weft_analytics::intel::read::{self, Format};
use weft_ingest::pull::{Answer, Method, Request};

use super::open::Documents;
use crate::door::pull::http::{Http, Patience};

/// Most events of a feed.
const EVENTS_MAX: usize = 100_000;
/// Most pages of a collection.
const PAGES_MAX: usize = 100_000;
/// Objects asked for at a time.
const PAGE_OBJECTS: usize = 1000;
/// What TAXII 2.1 answers in.
const TAXII: &str = "application/taxii+json;version=2.1";

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
        let secret = secret.map(read).transpose()?.map(|secret| secret.trim().to_owned());
        let authorization = secret.map(|secret| match user {
            Some(user) => format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"))),
            None => format!("Bearer {secret}"),
        });
        Ok(Self { http: Http::new(Patience::default())?, authorization })
    }

    /// Fetches what an address names; where a collection was read to, for the next time.
    ///
    /// # Errors
    /// For a person.
    pub async fn fetch(&self, url: &Url, position: &str, into: &mut Documents) -> Result<String, String> {
        if is_collection(url) {
            return self.collection(url, position, into).await;
        }
        let url = if url.path().ends_with('/') { url.join("manifest.json").map_err(|error| error.to_string())? } else { url.clone() };
        let answer = self.get(&url, "*/*").await?;
        if url.path().ends_with(".json") && matches!(read::recognise(&answer.body), Ok(Format::Manifest)) {
            self.feed(&url, &answer.body, into).await?;
        } else {
            into.take(url.as_str(), &answer.body)?;
        }
        Ok(String::new())
    }

    /// Each event that a manifest lists.
    async fn feed(&self, manifest: &Url, body: &[u8], into: &mut Documents) -> Result<(), String> {
        let ids = read::manifest(body)?;
        if ids.len() > EVENTS_MAX {
            return Err(format!("`{manifest}` lists {} events, at most {EVENTS_MAX} are fetched", ids.len()));
        }
        for id in ids {
            let url = manifest.join(&format!("{id}.json")).map_err(|error| error.to_string())?;
            let answer = self.get(&url, "application/json").await?;
            into.take(url.as_str(), &answer.body)?;
        }
        Ok(())
    }

    /// All pages of a collection's objects, from where it was read to
    /// (TAXII 2.1, <https://docs.oasis-open.org/cti/taxii/v2.1/os/taxii-v2.1-os.html>, 5.4).
    async fn collection(&self, collection: &Url, position: &str, into: &mut Documents) -> Result<String, String> {
        let objects = objects(collection)?;
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
            let answer = self.get(&url, TAXII).await?;
            let envelope: Envelope = serde_json::from_slice(&answer.body).map_err(|error| format!("`{objects}` does not answer as TAXII 2.1: {error}"))?;
            if let Some(last) = answer.header("x-taxii-date-added-last").filter(|last| !last.is_empty()) {
                last.clone_into(&mut newest);
            }
            if envelope.objects {
                into.take(url.as_str(), &answer.body)?;
            }
            match (envelope.more, envelope.next) {
                (false, _) => return Ok(newest),
                // Some servers give each page the same name.
                (true, Some(following)) if next.as_ref() != Some(&following) || last != answer.body => next = Some(following),
                (true, Some(_)) => return Err(format!("`{objects}` gives the same page again and again")),
                (true, None) => return Err(format!("`{objects}` says that there is more and not where")),
            }
            last = answer.body;
        }
        Err(format!("`{objects}` has more than {PAGES_MAX} pages"))
    }

    async fn get(&self, url: &Url, accept: &str) -> Result<Answer, String> {
        let mut headers = vec![("accept".to_owned(), accept.to_owned())];
        headers.extend(self.authorization.iter().map(|value| ("authorization".to_owned(), value.clone())));
        let shown = without_query(url);
        let request = Request { method: Method::Get, url: url.clone(), headers, body: None };
        let answer = self.http.ask(&request).await.map_err(|reason| format!("`{shown}`: {reason}"))?;
        match answer.status {
            200 | 206 => Ok(answer),
            401 | 403 => Err(format!("`{shown}` refuses ({}): give `--secret FILE`, with `--user NAME` for a password", answer.status)),
            status @ 300..=399 => Err(format!("`{shown}` answers {status} and names another address: give that one")),
            status => Err(format!("`{shown}` answers {status}")),
        }
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
fn without_query(url: &Url) -> String {
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
