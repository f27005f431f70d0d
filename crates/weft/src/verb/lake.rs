//! `weft lake`: the lake in daily life, one subverb after another.

mod forget;
mod remap;
mod usage;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;
use weft_lake::{CompactOptions, Lake, Outcome as Became, ScrubOptions};
use weft_model::Timestamp;

use super::ingest::count_findings;
use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::content;
use crate::door::now;
use crate::home::Home;
use crate::life;
use crate::pipeline::own_batch;
use crate::wire::Stand;
use crate::wire::stand::rules_of;

/// How often it is looked whether everything in the log is mapped.
const LOOK: Duration = Duration::from_millis(20);

/// Runs one subverb.
///
/// # Errors
/// A home in use, wrong use, or storage that fails.
pub(super) async fn run(home: &Home, lake: cli::Lake, out: &mut Output) -> Result<Outcome, Fault> {
    match lake {
        cli::Lake::Usage(usage) => usage::run(home, &usage, out).await,
        cli::Lake::Compact { all } => compact(home, all, out).await,
        cli::Lake::Retain => retain(home, out).await,
        cli::Lake::Tier { to, older_than } => tier(home, to, older_than, out).await,
        cli::Lake::Vacuum { older_than } => vacuum(home, &older_than, out).await,
        cli::Lake::Scrub { repair, copies } => scrub(home, repair, copies, out).await,
        cli::Lake::Remap(remap) => remap::run(home, &remap, out).await,
        cli::Lake::Forget { entity, dry_run } => forget::run(home, &entity, dry_run, out).await,
    }
}

/// The home with its pipeline, for verbs that change it: what the log holds is mapped and looked at
/// by the rules first, as ever.
pub(super) struct Open {
    stand: Stand,
    findings: tokio::task::JoinHandle<()>,
}

impl Open {
    pub(super) async fn of(home: &Home) -> Result<Self, Fault> {
        if !home.exists() {
            return Err(Fault::misuse(format!("`{}` holds no lake; `weft ingest` or `weft up` makes one", home.dir.display())));
        }
        free(home)?;
        let files = content::files(&home.dir).map_err(Fault::Misuse)?;
        let (rules, content) = rules_of(content::compile(&files).map_err(Fault::Misuse)?);
        let mut stand = Stand::open(home, Arc::clone(&content.registry), vec![Box::new(rules)], content.entities).await?;
        let findings = count_findings(&mut stand);
        while stand.pipeline().lake().log().outstanding() > 0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(Self { stand, findings })
    }

    pub(super) fn lake(&self) -> &Lake {
        self.stand.pipeline().lake()
    }

    pub(super) fn stand(&self) -> &Stand {
        &self.stand
    }

    /// Puts an event of our own on its ordinary way.
    pub(super) async fn keep(&self, receipt: Option<Value>) -> Result<(), Fault> {
        let Some(receipt) = receipt else { return Ok(()) };
        let stored = self.stand.queue.push(own_batch(&[receipt])).await.map_err(Fault::failed)?;
        stored.await.map_err(|_gone| Fault::failed("the log did not take the receipt"))?;
        Ok(())
    }

    pub(super) async fn close(self) -> Result<(), Fault> {
        self.stand.close().await?;
        self.findings.abort();
        Ok(())
    }
}

/// Only one process changes a lake.
fn free(home: &Home) -> Result<(), Fault> {
    match home.running() {
        Some(run) => Err(Fault::misuse(format!(
            "the mesh runs on `{}` (process {}); it merges, expires and scrubs by itself, see `[lake]` of weft.toml: stop it to do it by hand",
            home.dir.display(),
            run.pid
        ))),
        None => Ok(()),
    }
}

/// One row a field of what was done.
fn told(done: &impl Serialize) -> Result<Rows, Fault> {
    let mut rows = Rows::new(["what", "count"]);
    let fields = serde_json::to_value(done).map_err(Fault::failed)?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        rows.push([name.replace('_', " ").into(), value.clone()]);
    }
    Ok(rows)
}

async fn compact(home: &Home, all: bool, out: &mut Output) -> Result<Outcome, Fault> {
    let open = Open::of(home).await?;
    let options = if all { CompactOptions { files_min: 2, ..CompactOptions::default() } } else { CompactOptions::default() };
    let done = open.lake().compact(&options).await.map_err(Fault::failed)?;
    open.close().await?;
    out.rows(&told(&done)?)?;
    Ok(Outcome::Done)
}

async fn retain(home: &Home, out: &mut Output) -> Result<Outcome, Fault> {
    if home.config.life.retention.is_empty() {
        return Err(Fault::misuse("weft.toml has no `[[retention]]`, so everything is kept; e.g. `[[retention]]` with `days = 365` and `raw_days = 90`"));
    }
    let open = Open::of(home).await?;
    let at = now();
    let expired = open.lake().retain(&home.config.life.retention, at).await.map_err(Fault::failed)?;
    open.keep(life::retention(&expired, at)).await?;
    open.close().await?;
    let mut rows = Rows::new(["table", "events", "raw_records", "files"]);
    for table in expired {
        rows.push([table.table.into(), table.rows.into(), table.raw_rows.into(), table.files.into()]);
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

async fn tier(home: &Home, to: Option<PathBuf>, older_than: Option<u32>, out: &mut Output) -> Result<Outcome, Fault> {
    let life = &home.config.life;
    let Some(cold) = to.or_else(|| life.cold.clone()) else {
        return Err(Fault::misuse("say where old days go: `--to DIR`, or `cold = \"DIR\"` in `[lake]` of weft.toml"));
    };
    let open = Open::of(home).await?;
    let before = Timestamp(now().0 - i64::from(older_than.unwrap_or(life.cold_days)) * Timestamp::DAY_MS);
    let done = open.lake().tier(&cold, before).await.map_err(Fault::failed)?;
    open.close().await?;
    out.rows(&told(&done)?)?;
    Ok(Outcome::Done)
}

async fn vacuum(home: &Home, older_than: &str, out: &mut Output) -> Result<Outcome, Fault> {
    let age = age(older_than)?;
    let open = Open::of(home).await?;
    let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let done = open.lake().vacuum(before).await.map_err(Fault::failed)?;
    open.close().await?;
    out.rows(&told(&done)?)?;
    Ok(Outcome::Done)
}

async fn scrub(home: &Home, repair: bool, copies: Vec<PathBuf>, out: &mut Output) -> Result<Outcome, Fault> {
    let open = Open::of(home).await?;
    let copies = if copies.is_empty() { home.config.life.copies.clone() } else { copies };
    let seen = open.lake().scrub(&ScrubOptions { repair, copies, pause: Duration::ZERO }).await.map_err(Fault::failed)?;
    if repair {
        open.keep(life::damage(&seen, now())).await?;
    }
    open.close().await?;
    let mut rows = Rows::new(["table", "file", "what", "outcome", "rows", "rows_lost", "kept"]);
    for damage in &seen.damaged {
        let outcome = serde_json::to_value(damage.outcome).map_err(Fault::failed)?;
        let (rows_of, lost) = (damage.rows.into(), damage.rows_lost.into());
        rows.push([damage.table.clone().into(), damage.path.clone().into(), damage.what.clone().into(), outcome, rows_of, lost, damage.kept.clone().into()]);
    }
    out.rows(&rows)?;
    cli::say(&format!("read {} data files, {} bytes; {} have no digest; {} are damaged", seen.files, seen.bytes, seen.without_digest, seen.damaged.len()));
    let open = seen.damaged.iter().filter(|damage| damage.outcome == Became::Found).count();
    if open > 0 && !repair {
        cli::say("`weft lake scrub --repair` mends what can be mended");
    }
    Ok(if seen.damaged.is_empty() { Outcome::Done } else { Outcome::Found })
}

/// `7d`, `12h`, `30m`, `5s`.
fn age(text: &str) -> Result<Duration, Fault> {
    let wrong = || Fault::misuse(format!("`{text}` is not an age such as `7d`, `12h` or `30m`"));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3600,
        'm' => 60,
        's' => 1,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// The range that `--since` and `--until` name; everything without them.
pub(super) fn range(since: Option<&String>, until: Option<&String>) -> Result<(Timestamp, Timestamp), Fault> {
    let at = |time: Option<&String>, default: i64| time.map_or(Ok(default), |time| super::detect::millis(time)).map(Timestamp);
    Ok((at(since, i64::MIN)?, at(until, i64::MAX)?))
}
