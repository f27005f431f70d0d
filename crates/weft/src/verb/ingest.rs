//! `weft ingest` and `weft rejects replay`: through the ordinary pipeline into the lake.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use weft_ingest::frame::Framing;
use weft_model::StreamId;

use super::input::{self, ReadCount};
use crate::cli::{self, Fault, Outcome, Output, Progress, Rows};
use crate::content;
use crate::geo;
use crate::home::Home;
use crate::mesh::rejects;
use crate::queue::{Queue, Stored};
use crate::wire::Stand;
use crate::wire::stand::rules_of;

/// Batches on their way whose answer is not awaited yet.
const AHEAD_MAX: usize = 32;

/// Ingests everything.
///
/// # Errors
/// Unknown stream, paths that cannot be read, a home in use.
pub(super) async fn run(home: &Home, input: &cli::Input, out: &mut Output) -> Result<Outcome, Fault> {
    refuse_running(home)?;
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let (mut rules, content) = rules_of(content::compile(&files).map_err(Fault::Misuse)?);
    geo::equip(&mut rules, home)?;
    let (stream, framing) = input::stream(&content.registry, &input.stream)?;
    let mut stand = Stand::open(home, Arc::clone(&content.registry), vec![Box::new(rules)], content.entities).await?;
    let findings = count_findings(&mut stand);
    let begun = Instant::now();
    let before = rows_by_table(&stand);
    let (queue, paths) = (stand.queue.clone(), input.paths.clone());
    let progress = Progress::begin("ingesting");
    let runtime = tokio::runtime::Handle::current();
    let read = tokio::task::spawn_blocking(move || push_all(&paths, &stream, &framing, &queue, &runtime, &progress));
    let read = tokio::select! {
        read = read => read.map_err(Fault::failed)?,
        _ = tokio::signal::ctrl_c() => {
            // What was acknowledged is durable; the rest is read again, under the same ids.
            cli::say("interrupted: committing what was taken in");
            ReadCount { faults: vec!["interrupted before the end; run it again to go on".to_owned()], ..ReadCount::default() }
        }
    };
    let pipeline = stand.pipeline().clone();
    stand.close().await?;
    findings.abort();
    report(&pipeline, &read, &before, begun, out)?;
    read.check()?;
    Ok(Outcome::Done)
}

fn refuse_running(home: &Home) -> Result<(), Fault> {
    match home.running() {
        Some(run) => Err(Fault::misuse(format!(
            "the mesh runs on `{}` (process {}): let it follow the files (`[[file]]` in weft.toml), send to {}/ingest, or stop it first",
            home.dir.display(),
            run.pid,
            run.address
        ))),
        None => Ok(()),
    }
}

/// Findings are in the lake already; somebody has to read the channel.
pub(super) fn count_findings(stand: &mut Stand) -> tokio::task::JoinHandle<()> {
    let (findings, pipeline) = (stand.findings.take(), stand.pipeline().clone());
    tokio::spawn(async move {
        let Some(mut findings) = findings else { return };
        while let Some(finding) = findings.recv().await {
            pipeline.answered(&finding.uid);
        }
    })
}

fn push_all(paths: &[PathBuf], stream: &StreamId, framing: &Framing, queue: &Queue, runtime: &tokio::runtime::Handle, progress: &Progress) -> ReadCount {
    let mut ahead: std::collections::VecDeque<Stored> = std::collections::VecDeque::new();
    let mut lost = 0_usize;
    let mut read = input::read(paths, stream, framing, &mut |batch| {
        let records = batch.records.len();
        match runtime.block_on(queue.push(batch)) {
            Ok(stored) => ahead.push_back(stored),
            Err(_) => lost += records,
        }
        while ahead.len() > AHEAD_MAX {
            lost += usize::from(ahead.pop_front().is_some_and(|stored| runtime.block_on(stored).is_err()));
        }
        progress.add(records as u64);
    });
    lost += ahead.into_iter().filter_map(|stored| runtime.block_on(stored).err()).count();
    if lost > 0 {
        read.faults.push("the log did not take everything: run it again, what is there is not doubled".to_owned());
    }
    read
}

fn rows_by_table(stand: &Stand) -> BTreeMap<String, u64> {
    stand.pipeline().lake().tables().into_iter().map(|table| (table.name, table.rows + table.tail_rows)).collect()
}

fn report(pipeline: &crate::pipeline::Pipeline, read: &ReadCount, before: &BTreeMap<String, u64>, begun: Instant, out: &mut Output) -> Result<(), Fault> {
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    let mut rows = Rows::new(["what", "count"]);
    let mut push = |what: String, count: Value| rows.push([what.into(), count]);
    let stats = pipeline.stats().all();
    let sum = |of: &dyn Fn(&crate::pipeline::SourceStat) -> u64| stats.iter().filter(|(source, _)| &*source.0 != "weft").map(|(_, stat)| of(stat)).sum::<u64>();
    // Who was interrupted did not come to count; the log knows what it took.
    let records = read.records.max(sum(&|stat| stat.read));
    push("read".to_owned(), records.into());
    push("duplicates".to_owned(), sum(&|stat| stat.duplicates).into());
    push("mapped".to_owned(), sum(&|stat| stat.mapped).into());
    push("rejected".to_owned(), sum(&|stat| stat.rejected).into());
    for table in pipeline.lake().tables() {
        let new = (table.rows + table.tail_rows).saturating_sub(before.get(&table.name).copied().unwrap_or(0));
        if new > 0 {
            push(format!("in {}", table.name), new.into());
        }
    }
    push("findings".to_owned(), pipeline.findings_found().into());
    push("seconds".to_owned(), ((seconds * 1000.0).round() / 1000.0).into());
    push("records per second".to_owned(), (records as f64 / seconds).round().into());
    out.rows(&rows)
}

/// Maps open rejects again; what maps now becomes events and leaves the list.
///
/// # Errors
/// The lake cannot be read or written.
pub(super) async fn replay(home: &Home, group: Option<&str>, out: &mut Output) -> Result<Outcome, Fault> {
    refuse_running(home)?;
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let (rules, content) = rules_of(content::compile(&files).map_err(Fault::Misuse)?);
    let mut stand = Stand::open(home, Arc::clone(&content.registry), vec![Box::new(rules)], content.entities).await?;
    let findings = count_findings(&mut stand);
    let pipeline = stand.pipeline().clone();
    // A replay that a crash cut off is finished first, so that none is made twice.
    pipeline.settled().await;
    let open = rejects::kept(pipeline.lake(), group).await.map_err(Fault::failed)?;
    let total: usize = open.iter().map(|batch| batch.records.len()).sum();
    if let (Some(group), 0) = (group, total) {
        return Err(Fault::misuse(format!("there is no open group `{group}`; `weft rejects list` shows them")));
    }
    let mapping: Arc<dyn weft_model::Mapping> = Arc::new(home.mapper(Arc::clone(&content.registry))?);
    let mut mapped = 0;
    for batch in rejects::mended(open, &mapping) {
        mapped += batch.records.len();
        pipeline.replay(batch).await.map_err(Fault::failed)?;
    }
    stand.close().await?;
    findings.abort();
    let mut rows = Rows::new(["what", "count"]);
    rows.push(["rejects".into(), total.into()]);
    rows.push(["mapped now".into(), mapped.into()]);
    rows.push(["still rejected".into(), (total - mapped).into()]);
    out.rows(&rows)?;
    Ok(Outcome::Done)
}
