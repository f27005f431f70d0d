//! Routes, and what stands in front of them.

pub(crate) mod analytics;
pub(crate) mod events;
pub(crate) mod incidents;
pub(crate) mod loops;
pub(crate) mod query;
pub(crate) mod session;
pub(crate) mod sources;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::sync::{Mutex, Semaphore};

use crate::api::{ApiError, ErrorCode, TableInfo};
use crate::backend::Backend;
use crate::headers;
use crate::latency::Latency;
use crate::pages;
use crate::session::{Credential, LoginKeys, SessionStore, Sessions, now_ms, same_origin};

/// Largest request body.
const BODY_BYTES_MAX: usize = 128 * 1024;
/// Longest time for any answer but the live tail; longer than the longest statement.
const ANSWER_SECONDS_MAX: u64 = 130;
/// Most live tails at a time.
const TAILS_MAX: usize = 64;
/// How long the list of tables is trusted.
const TABLES_MILLISECONDS_MAX: u64 = 2_000;

/// What the binary decides.
pub struct ConsoleConfig {
    /// The mesh's version, shown to people.
    pub version: String,
    /// The secrets of this start.
    pub keys: LoginKeys,
    /// Whether the console is reached by HTTPS, so that the cookie is kept to it.
    pub secure_cookie: bool,
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionStore>,
    /// OpenAPI paths of what is served beside the console; null for none.
    pub beside: serde_json::Value,
}

/// The console, ready to be served.
pub struct Console {
    shared: Shared,
}

#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) sessions: Sessions,
    pub(crate) latency: Arc<Latency>,
    pub(crate) version: String,
    pub(crate) beside: serde_json::Value,
    pub(crate) csp_reports: AtomicU64,
    pub(crate) tails: Arc<Semaphore>,
    tables: Mutex<Option<(Instant, Arc<Vec<TableInfo>>)>>,
}

impl Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// The backend's tables, asked for at most every [`TABLES_MILLISECONDS_MAX`].
    pub(crate) async fn tables(&self) -> Result<Arc<Vec<TableInfo>>, ApiError> {
        let mut kept = self.tables.lock().await;
        if let Some((since, tables)) = kept.as_ref()
            && since.elapsed() < Duration::from_millis(TABLES_MILLISECONDS_MAX)
        {
            return Ok(Arc::clone(tables));
        }
        let tables = Arc::new(self.backend.tables().await?);
        *kept = Some((Instant::now(), Arc::clone(&tables)));
        Ok(tables)
    }
}

impl Console {
    /// Over a backend.
    pub fn new(backend: Arc<dyn Backend>, config: ConsoleConfig) -> Self {
        let inner = Inner {
            backend,
            sessions: Sessions::new(config.keys, config.secure_cookie, config.sessions),
            latency: Arc::default(),
            version: config.version,
            beside: config.beside,
            csp_reports: AtomicU64::new(0),
            tails: Arc::new(Semaphore::new(TAILS_MAX)),
            tables: Mutex::new(None),
        };
        Self { shared: Shared(Arc::new(inner)) }
    }

    /// How long events take to reach a console; filled by the live tails.
    pub fn latency(&self) -> Arc<Latency> {
        Arc::clone(&self.shared.latency)
    }

    /// Every route, the pages included; other routers can be merged into it.
    pub fn router(&self) -> Router {
        let shared = self.shared.clone();
        let open = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/api/v1/session", get(session::show).post(session::open).delete(session::close))
            .route(headers::REPORT_PATH, post(session::report));
        open.merge(self.guarded()).fallback(get(pages::serve)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).layer(from_fn(headers::secure)).with_state(shared)
    }

    fn guarded(&self) -> Router<Shared> {
        let timed = Router::new()
            .route("/api/v1/events", get(events::list))
            .route("/api/v1/events/histogram", get(events::histogram))
            .route("/api/v1/events/fields", get(events::fields))
            .route("/api/v1/events/{uid}", get(events::detail))
            .route("/api/v1/filter", get(events::filter))
            .route("/api/v1/query", post(query::run))
            .route("/api/v1/query/{id}/cancel", post(query::cancel))
            .route("/api/v1/tables", get(query::tables))
            .route("/api/v1/sources", get(sources::sources))
            .route("/api/v1/rejects", get(sources::rejects))
            .route("/api/v1/ledger", get(sources::ledger))
            .route("/metrics", get(sources::metrics))
            .route("/api/v1/loop", get(loops::state))
            .route("/api/v1/latency", get(loops::latency))
            .route("/api/v1/runs/{id}/decision", post(loops::decide))
            .route("/api/v1/runs/{id}/undo", post(loops::undo))
            .route("/api/v1/risks", get(incidents::risks))
            .route("/api/v1/incidents", get(incidents::list))
            .route("/api/v1/incidents/actions", post(incidents::act))
            .route("/api/v1/incidents/decisions", post(incidents::decide))
            .route("/api/v1/incidents/{uid}", get(incidents::detail))
            .route("/api/v1/detections", get(analytics::detections))
            .route("/api/v1/intelligence", get(analytics::intelligence))
            .route("/api/v1/csp-reports", get(session::reports))
            .route("/api/v1/openapi.json", get(openapi))
            .layer(from_fn(time_limit));
        timed.route("/api/v1/events/tail", get(events::tail)).route_layer(from_fn_with_state(self.shared.clone(), guard))
    }
}

async fn openapi(State(shared): State<Shared>) -> Json<serde_json::Value> {
    Json(crate::openapi::document_with(&shared.beside))
}

/// Lets through whoever shows the token or a session, and changes only from our own page.
async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let credential = shared.sessions.credential(request.headers(), now_ms()).await;
    match credential {
        None => ApiError::new(ErrorCode::Unauthenticated, "sign in, or send the token as `Authorization: Bearer`").into_response(),
        Some(Credential::Cookie) if !same_origin(request.method(), request.headers()) => {
            ApiError::new(ErrorCode::Forbidden, "a change must come from the console's own page").into_response()
        }
        Some(_) => next.run(request).await,
    }
}

async fn time_limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS_MAX), next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(ErrorCode::Timeout, format!("no answer within {ANSWER_SECONDS_MAX} s; ask for less")).into_response(),
    }
}
