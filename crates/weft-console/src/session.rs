//! Who may talk to the console: one local token, and the sessions of browsers that showed it.
//!
//! Sessions are kept by a port, so that a restart signs nobody out; only digests of them are
//! kept. A later identity provider replaces the token, not the session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderValue, Method, header};

/// Name of the cookie.
pub(crate) const COOKIE: &str = "weft_session";
/// How long a browser stays signed in.
const SESSION_SECONDS: i64 = 12 * 60 * 60;
/// Most sessions that [`MemorySessions`] keeps; the oldest goes first.
const SESSIONS_MAX: usize = 256;

/// Where sessions are kept, by a digest of the cookie: who reads the store cannot sign in with it.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Keeps a session until a time, epoch milliseconds; false when it could not.
    async fn keep(&self, digest: &str, until_ms: i64) -> bool;
    /// Whether a session is open at a time.
    async fn is_open(&self, digest: &str, now_ms: i64) -> bool;
    /// Ends a session.
    async fn end(&self, digest: &str);
}

/// Sessions that live as long as the process.
#[derive(Default)]
pub struct MemorySessions(Mutex<HashMap<String, i64>>);

#[async_trait]
impl SessionStore for MemorySessions {
    async fn keep(&self, digest: &str, until_ms: i64) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= SESSIONS_MAX
            && let Some(oldest) = open.iter().min_by_key(|(_, until)| **until).map(|(digest, _)| digest.clone())
        {
            open.remove(&oldest);
        }
        open.insert(digest.to_owned(), until_ms);
        true
    }

    async fn is_open(&self, digest: &str, now_ms: i64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).is_some_and(|until| *until > now_ms)
    }

    async fn end(&self, digest: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}

/// The time for sessions, epoch milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn digest(id: &str) -> String {
    blake3::hash(id.as_bytes()).to_hex().to_string()
}

/// The secrets of one start of the mesh.
#[derive(Clone)]
pub struct LoginKeys {
    /// For the sign-in form and for `Authorization: Bearer`.
    pub token: String,
    /// For the link that opens the console once.
    pub link: String,
}

impl LoginKeys {
    /// New random keys, 32 bytes each.
    pub fn random() -> Self {
        Self { token: secret(), link: secret() }
    }

    /// A token that was made before, with a new link.
    pub fn with_token(token: impl Into<String>) -> Self {
        Self { token: token.into(), link: secret() }
    }

    /// What to put behind the console's address so that it opens signed in.
    pub fn login_path(&self) -> String {
        format!("/?token={}", self.link)
    }
}

/// Browsers that are signed in.
pub(crate) struct Sessions {
    token: String,
    secure: bool,
    /// None once it was used.
    link: Mutex<Option<String>>,
    store: Arc<dyn SessionStore>,
}

/// How a request showed that it may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A program with the token: no browser sends that by itself.
    Bearer,
    /// A browser with the cookie: the request's origin must be looked at.
    Cookie,
}

impl Sessions {
    /// No browser yet. `secure` keeps the cookie to HTTPS.
    pub(crate) fn new(keys: LoginKeys, secure: bool, store: Arc<dyn SessionStore>) -> Self {
        Self { token: keys.token, secure, link: Mutex::new(Some(keys.link)), store }
    }

    /// Opens a session for whoever shows the token; the value is the cookie to set.
    pub(crate) async fn open(&self, token: &str, now_ms: i64) -> Option<HeaderValue> {
        if same(token, &self.token) { self.issue(now_ms).await } else { None }
    }

    /// Opens a session for the first one who shows the link's token.
    pub(crate) async fn open_by_link(&self, token: &str, now_ms: i64) -> Option<HeaderValue> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).take_if(|link| same(token, link))?;
        self.issue(now_ms).await
    }

    async fn issue(&self, now_ms: i64) -> Option<HeaderValue> {
        let id = secret();
        if !self.store.keep(&digest(&id), now_ms + SESSION_SECONDS * 1000).await {
            return None;
        }
        let secure = if self.secure { "; Secure" } else { "" };
        HeaderValue::from_str(&format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_SECONDS}{secure}")).ok()
    }

    /// Ends the session of this request; the value is the cookie to set.
    pub(crate) async fn close(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(id) = cookie(headers) {
            self.store.end(&digest(id)).await;
        }
        HeaderValue::from_static("weft_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    /// What the request shows, if it is enough.
    pub(crate) async fn credential(&self, headers: &HeaderMap, now_ms: i64) -> Option<Credential> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        if let Some(token) = bearer {
            return same(token.trim(), &self.token).then_some(Credential::Bearer);
        }
        let id = cookie(headers)?;
        self.store.is_open(&digest(id), now_ms).await.then_some(Credential::Cookie)
    }
}

/// Whether a request that changes something comes from our own page.
///
/// `SameSite=Strict` alone lets another port of the same host through, so the origin is compared.
pub(crate) fn same_origin(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else { return false };
    origin.split_once("://").is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && rest.eq_ignore_ascii_case(host))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// 32 random bytes as hexadecimal digits.
pub(crate) fn secret() -> String {
    rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares without telling by its time how much was right.
fn same(given: &str, kept: &str) -> bool {
    given.len() == kept.len() && given.bytes().zip(kept.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
