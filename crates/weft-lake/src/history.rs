//! The tables as they were at a moment of the past.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use weft_model::Timestamp;

use crate::LakeError;
use crate::table::delta::Table;
use crate::table::store::Root;
use crate::tail::{TableView, View};

/// Every table as its last commit up to `at` left it; a table that is younger is absent.
pub(crate) async fn view_at(root: &Root, at: Timestamp) -> Result<View, LakeError> {
    let mut view = View::new();
    for name in root.tables().await? {
        let Some(version) = version_at(root, &name, at).await? else { continue };
        let mut table = Table::new(root, &name)?;
        table.load_at(Some(version)).await?;
        let Some(schema) = table.schema() else { continue };
        let files = table.files();
        let there: BTreeSet<String> = root.walk(&name).await?.into_iter().map(|object| object.location.to_string()).collect();
        let gone = files.iter().filter(|file| !there.contains(&format!("{name}/{}", file.path))).count();
        if gone > 0 {
            let message = format!(
                "{gone} of the {} files that it had at {} have been removed since: they were compacted, expired or forgotten",
                files.len(),
                at.rfc3339()
            );
            return Err(LakeError::Table { table: name, message });
        }
        view.insert(name, TableView { schema, files: Arc::new(files.into_iter().map(Arc::new).collect()), tail: Vec::new() });
    }
    Ok(view)
}

/// The last version that was committed up to `at`.
async fn version_at(root: &Root, table: &str, at: Timestamp) -> Result<Option<u64>, LakeError> {
    let listed = root.list(&format!("{table}/_delta_log")).await?;
    let mut versions: Vec<u64> = listed.iter().filter_map(|(name, _)| name.strip_suffix(".json")?.parse().ok()).collect();
    versions.sort_unstable();
    let (mut low, mut high) = (0, versions.len());
    while low < high {
        let middle = low.midpoint(high);
        let Some(version) = versions.get(middle) else { break };
        if committed(root, table, *version).await?.is_some_and(|time| time <= at.0) { low = middle + 1 } else { high = middle }
    }
    match (low.checked_sub(1).and_then(|place| versions.get(place)), versions.first()) {
        (Some(version), _) => Ok(Some(*version)),
        (None, Some(0) | None) => Ok(None),
        (None, Some(_)) => {
            let message = format!("its history at {} is not kept any more", at.rfc3339());
            Err(LakeError::Table { table: table.to_owned(), message })
        }
    }
}

/// When a version was committed, milliseconds.
async fn committed(root: &Root, table: &str, version: u64) -> Result<Option<i64>, LakeError> {
    let bytes = root.get(&format!("{table}/_delta_log/{version:020}.json")).await?.unwrap_or_default();
    let mut lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    Ok(lines.find_map(|action| action.pointer("/commitInfo/timestamp")?.as_i64()))
}
