//! The API's own description.

use utoipa::OpenApi;

use crate::routes::{analytics, events, incidents, loops, query, session, sources};

#[derive(OpenApi)]
#[openapi(
    info(title = "Weft console", description = "Incidents, events, queries, detections, sources and the loop from a finding to its verified effect."),
    paths(
        session::open,
        session::show,
        session::close,
        session::report,
        session::reports,
        events::list,
        events::histogram,
        events::fields,
        events::detail,
        events::tail,
        events::filter,
        query::run,
        query::cancel,
        query::tables,
        sources::sources,
        sources::rejects,
        sources::ledger,
        sources::metrics,
        loops::state,
        loops::decide,
        loops::undo,
        loops::latency,
        incidents::list,
        incidents::detail,
        incidents::act,
        incidents::decide,
        incidents::risks,
        analytics::detections,
        analytics::intelligence,
    )
)]
struct Document;

/// The document that `/api/v1/openapi.json` answers with.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The same with the paths of other routers that are served beside the console.
pub(crate) fn document_with(paths: &serde_json::Value) -> serde_json::Value {
    let mut all = serde_json::to_value(document()).unwrap_or_default();
    if let (Some(own), Some(more)) = (all.get_mut("paths").and_then(serde_json::Value::as_object_mut), paths.as_object()) {
        own.extend(more.iter().map(|(path, item)| (path.clone(), item.clone())));
    }
    all
}
