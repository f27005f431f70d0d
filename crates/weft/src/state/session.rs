//! Sessions of the console, kept in the state store so that a restart signs nobody out.

use std::sync::Arc;

use async_trait::async_trait;
use weft_console::SessionStore;
use weft_model::Timestamp;

use super::{StateError, StateStore};

/// Over the store; a store that fails opens no session and closes none.
pub struct KeptSessions(pub Arc<dyn StateStore>);

#[async_trait]
impl SessionStore for KeptSessions {
    async fn keep(&self, digest: &str, until_ms: i64) -> bool {
        self.0.keep_session(digest, Timestamp(until_ms)).await.map_err(told).is_ok()
    }

    async fn is_open(&self, digest: &str, now_ms: i64) -> bool {
        self.0.session(digest, Timestamp(now_ms)).await.map_err(told).unwrap_or(false)
    }

    async fn end(&self, digest: &str) {
        let _told = self.0.end_session(digest).await.map_err(told);
    }
}

fn told(error: StateError) {
    tracing::error!(%error, "a session of the console could not be looked up or kept");
}
