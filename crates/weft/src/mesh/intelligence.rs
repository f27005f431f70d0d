//! Intelligence for the console: feeds, sources, and what is matched now.

use std::sync::PoisonError;

use weft_analytics::intel::Pack;
use weft_console::api::{ApiError, IntelSource, IntelligenceState};

use super::Mesh;
use crate::intel::Shelf;

/// What was found on the shelf, as of a stamp.
#[derive(Default, Clone)]
pub(crate) struct Stock {
    stamp: Option<String>,
    sources: Vec<IntelSource>,
    faults: Vec<String>,
}

/// Everything, now.
pub(super) async fn state(mesh: &Mesh) -> Result<IntelligenceState, ApiError> {
    let shelf = mesh.shelf.clone();
    let stamp = shelf.stamp();
    let known = mesh.stock.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // Counting reads every source; nothing is different until the stamp is.
    let stock = if stamp == known.stamp {
        known
    } else {
        let stock = tokio::task::spawn_blocking(move || count(&shelf, stamp)).await.map_err(|error| ApiError::internal(error.to_string()))?;
        *mesh.stock.lock().unwrap_or_else(PoisonError::into_inner) = stock.clone();
        stock
    };
    let size = mesh.pipeline.intel().load().size();
    Ok(IntelligenceState {
        feeds: mesh.feeds.all(),
        sources: stock.sources,
        exact: size.exact as u64,
        networks: size.networks as u64,
        warning_lists: mesh.shelf.list_names().len() as u64,
        faults: stock.faults,
    })
}

fn count(shelf: &Shelf, stamp: Option<String>) -> Stock {
    let (mut sources, mut faults) = (Vec::new(), Vec::new());
    for name in shelf.sources() {
        match shelf.pack(&name) {
            Ok(pack) => sources.extend(pack.map(|pack| source(&pack))),
            Err(fault) => faults.push(fault),
        }
    }
    Stock { stamp, sources, faults }
}

fn source(pack: &Pack) -> IntelSource {
    let suppressed = pack.rows().filter(|row| row.as_ref().is_ok_and(|row| row.suppressed.is_some())).count() as u64;
    IntelSource {
        name: pack.source().to_owned(),
        origin: pack.origin().to_owned(),
        imported_ms: pack.imported(),
        indicators: (pack.len() as u64).saturating_sub(suppressed),
        suppressed,
        gaps: pack.gaps().1,
    }
}
