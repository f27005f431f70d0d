//! The API's own description.

use utoipa::OpenApi;

use crate::routes::{events, loops, query, session, sources};

#[derive(OpenApi)]
#[openapi(
    info(title = "Weft console", description = "Events, queries, sources and the loop from a finding to its verified effect."),
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
    )
)]
struct Document;

/// The document that `/api/v1/openapi.json` answers with.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
