//! `weft export`: events as files for others.

use weft_lake::{ExportOptions, Layout, Reader};

use super::lake::range;
use crate::cli::{self, ExportLayout, Fault, Outcome, Output, Rows};
use crate::home::Home;

/// Writes what is in the tables; beside a running mesh too.
///
/// # Errors
/// Wrong use, a lake that cannot be read, a folder that cannot be written.
pub(super) async fn run(home: &Home, export: &cli::Export, out: &mut Output) -> Result<Outcome, Fault> {
    if !home.exists() {
        return Err(Fault::misuse(format!("`{}` holds no lake; `weft ingest` or `weft up` makes one", home.dir.display())));
    }
    let (since, until) = range(export.since.as_ref(), export.until.as_ref())?;
    let layout = match export.layout {
        ExportLayout::Parquet => Layout::Parquet,
        ExportLayout::SecurityLake => Layout::SecurityLake { source: export.source.clone(), region: export.region.clone(), account: export.account.clone() },
    };
    let reader = Reader::open(&home.lake_options()?).await.map_err(Fault::failed)?;
    let known: Vec<String> = reader.tables().into_iter().map(|table| table.name).collect();
    if let Some(unknown) = export.class.iter().find(|class| !known.contains(class)) {
        return Err(Fault::misuse(format!("there are no events of class `{unknown}`; there are: {}", known.join(", "))));
    }
    let options = ExportOptions { layout, classes: export.class.clone(), since, until };
    let done = reader.export(&options, &export.out).await.map_err(Fault::failed)?;
    let mut rows = Rows::new(["class", "events", "skipped", "files", "bytes"]);
    for class in &done {
        rows.push([class.class.clone().into(), class.rows.into(), class.skipped.into(), class.files.into(), class.bytes.into()]);
    }
    out.rows(&rows)?;
    let skipped: u64 = done.iter().map(|class| class.skipped).sum();
    if skipped > 0 {
        cli::say(&format!("{skipped} events are of classes that OCSF 1.1 does not have; `--layout parquet` writes them"));
    }
    Ok(Outcome::Done)
}
