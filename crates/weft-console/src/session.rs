//! Who may talk to the console: one local token, and the sessions of browsers that showed it.
//!
//! Sessions live as long as the process. A later identity provider replaces the token, not the
//! session.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, Method, header};

/// Name of the cookie.
pub(crate) const COOKIE: &str = "weft_session";
/// How long a browser stays signed in.
const SESSION_SECONDS: u64 = 12 * 60 * 60;
/// Most sessions at a time; the oldest goes first.
const SESSIONS_MAX: usize = 256;

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
    state: Mutex<State>,
}

struct State {
    /// None once it was used.
    link: Option<String>,
    open: HashMap<String, Instant>,
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
    pub(crate) fn new(keys: LoginKeys, secure: bool) -> Self {
        Self { token: keys.token, secure, state: Mutex::new(State { link: Some(keys.link), open: HashMap::new() }) }
    }

    /// Opens a session for whoever shows the token; the value is the cookie to set.
    pub(crate) fn open(&self, token: &str, now: Instant) -> Option<HeaderValue> {
        same(token, &self.token).then(|| self.issue(now)).flatten()
    }

    /// Opens a session for the first one who shows the link's token.
    pub(crate) fn open_by_link(&self, token: &str, now: Instant) -> Option<HeaderValue> {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.link.take_if(|link| same(token, link))?;
        }
        self.issue(now)
    }

    fn issue(&self, now: Instant) -> Option<HeaderValue> {
        let id = secret();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open.retain(|_, until| *until > now);
        if state.open.len() >= SESSIONS_MAX
            && let Some(oldest) = state.open.iter().min_by_key(|(_, until)| **until).map(|(id, _)| id.clone())
        {
            state.open.remove(&oldest);
        }
        state.open.insert(id.clone(), now + Duration::from_secs(SESSION_SECONDS));
        let secure = if self.secure { "; Secure" } else { "" };
        HeaderValue::from_str(&format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_SECONDS}{secure}")).ok()
    }

    /// Ends the session of this request; the value is the cookie to set.
    pub(crate) fn close(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(id) = cookie(headers) {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).open.remove(id);
        }
        HeaderValue::from_static("weft_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    /// What the request shows, if it is enough.
    pub(crate) fn credential(&self, headers: &HeaderMap, now: Instant) -> Option<Credential> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        if let Some(token) = bearer {
            return same(token.trim(), &self.token).then_some(Credential::Bearer);
        }
        let id = cookie(headers)?;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open.get(id).is_some_and(|until| *until > now).then_some(Credential::Cookie)
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
