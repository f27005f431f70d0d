//! `weft lake forget`: a person's data out of the home, with proof.

use serde_json::Value;
use weft_lake::{Forgotten, IDENTIFIER_BYTES_MIN, prove};

use super::Open;
use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::door::now;
use crate::home::Home;
use crate::life;
use crate::state::Sqlite;

/// Removes, keeps a receipt, proves; exit code 1 when the identifier still stands somewhere.
///
/// # Errors
/// Wrong use, a home in use, storage that fails.
pub(super) async fn run(home: &Home, entity: &str, dry_run: bool, out: &mut Output) -> Result<Outcome, Fault> {
    let (attribute, value) = split(entity)?;
    let open = Open::of(home).await?;
    let gone = open.lake().forget(value, dry_run).await.map_err(Fault::failed)?;
    if dry_run {
        open.close().await?;
        print(&gone, None, out)?;
        return Ok(Outcome::Done);
    }
    // The receipt is the first frame of a new segment: its commit frees the old ones.
    open.lake().renew_log();
    let salt = weft_console::LoginKeys::random().token;
    open.keep(Some(life::forgotten(attribute, value, &salt, &gone, now()))).await?;
    while open.lake().log().outstanding() > 0 {
        tokio::time::sleep(super::LOOK).await;
    }
    open.lake().commit().await.map_err(Fault::failed)?;
    open.lake().purge().await.map_err(Fault::failed)?;
    open.close().await?;
    Sqlite::forget(&home.state_file(), value).await.map_err(Fault::failed)?;
    let _left = std::fs::remove_dir_all(home.dir.join("spill"));
    let (folder, wanted) = (home.dir.clone(), value.to_owned());
    let proof = tokio::task::spawn_blocking(move || prove(&folder, &wanted)).await.map_err(Fault::failed)?.map_err(Fault::failed)?;
    print(&gone, Some(proof.files), out)?;
    if proof.found.is_empty() {
        return Ok(Outcome::Done);
    }
    for path in &proof.found {
        cli::say(&format!("`{path}` still names it: a file that is not the lake's; remove it there by hand"));
    }
    Ok(Outcome::Found)
}

/// `PATH=VALUE`, with a value that is long enough to mean somebody.
fn split(entity: &str) -> Result<(&str, &str), Fault> {
    let (attribute, value) = entity.split_once('=').unwrap_or_default();
    if attribute.is_empty() || value.is_empty() {
        return Err(Fault::misuse(format!("`{entity}` is not an attribute and its value, such as `user.email_addr=ada@example.com`")));
    }
    if value.len() < IDENTIFIER_BYTES_MIN {
        return Err(Fault::misuse(format!("`{value}` is too short to mean one person: every event that holds these letters would go")));
    }
    Ok((attribute, value))
}

fn print(gone: &[Forgotten], files: Option<u64>, out: &mut Output) -> Result<(), Fault> {
    let mut rows = Rows::new(["table", "events", "files", "digests"]);
    for table in gone {
        let digests: Vec<Value> = table.digests.iter().map(|digest| digest.clone().into()).collect();
        rows.push([table.table.clone().into(), table.rows.into(), table.files.into(), digests.into()]);
    }
    out.rows(&rows)?;
    let events: u64 = gone.iter().map(|table| table.rows).sum();
    match files {
        Some(files) => cli::say(&format!("{events} events removed; {files} files of the home were read to see that none names it any more")),
        None => cli::say(&format!("{events} events would be removed")),
    }
    Ok(())
}
