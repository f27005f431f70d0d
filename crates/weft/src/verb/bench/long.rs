//! Benchmarks of minutes: bounds that show only after a while.

use std::time::Instant;

use weft_lake::Lake;
use weft_model::RawBatch;

use super::{Figures, LOOK, Offer, Until, http_figures, over_http};
use crate::cli::Fault;
use crate::content;
use crate::door::now;
use crate::door::records::{Batcher, Salt};
use crate::home::Home;
use crate::wire::Stand;
use crate::wire::stand::{Site, rules_of};

/// Raw bytes that come in while memory is watched.
const MEMORY_BYTES: u64 = 10 << 30;
/// Raw bytes in the log when it is opened.
const LOG_BYTES: u64 = 1 << 30;

/// Most memory of the process, load generator included, while records come in over HTTP.
pub(super) async fn memory(home: &Home, files: &content::Files, offer: &Offer) -> Result<Figures, Fault> {
    let load = over_http(home, files, offer, Until::Bytes(MEMORY_BYTES)).await?;
    let came = load.records as f64 * offer.mean;
    let mut figures = vec![("raw bytes taken in", came / 1e9, "GB"), ("most memory", memory_peak()?, "MB")];
    figures.extend(http_figures(&load, offer));
    Ok(figures)
}

/// Most resident memory of this process so far, in megabytes.
fn memory_peak() -> Result<f64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    peak.map(|kilobytes| kilobytes * 1024.0 / 1e6).ok_or_else(|| Fault::failed("this system does not say how much memory a process had"))
}

/// As `up` does it: content is compiled while the home is opened; then the pipeline takes records in.
pub(super) async fn start(home: &Home, files: &content::Files, batches: &[RawBatch]) -> Result<Figures, Fault> {
    let temporary = Home { dir: home.dir.join(format!("bench-{}", std::process::id())), config: home.config.clone() };
    temporary.create()?;
    let written = fill(&temporary, batches).await?;
    let begun = Instant::now();
    let files = files.clone();
    let compiling = tokio::task::spawn_blocking(move || content::compile(&files));
    let site = Site::open(&temporary).await?;
    let opened = begun.elapsed().as_secs_f64();
    let (rules, content) = rules_of(compiling.await.map_err(Fault::failed)?.map_err(Fault::Misuse)?);
    let mut stand = Stand::start(site, &temporary, content.registry, vec![Box::new(rules)], content.entities)?;
    let ready = begun.elapsed().as_secs_f64();
    let findings = stand.findings.take();
    let reading = tokio::spawn(async move {
        let Some(mut findings) = findings else { return };
        while findings.recv().await.is_some() {}
    });
    while stand.pipeline().lake().log().outstanding() > 0 {
        tokio::time::sleep(LOOK).await;
    }
    let caught_up = begun.elapsed().as_secs_f64();
    stand.close().await?;
    reading.abort();
    let _gone = std::fs::remove_dir_all(&temporary.dir);
    Ok(vec![
        ("in the log, in no table", written as f64 / 1e9, "GB"),
        ("home opened", opened, "s"),
        ("records are taken in", ready, "s"),
        ("all of the log is searchable", caught_up, "s"),
    ])
}

/// A log with records that are in no table, as a crash leaves it.
async fn fill(home: &Home, batches: &[RawBatch]) -> Result<u64, Fault> {
    let (lake, _) = Lake::open(home.lake_options()?).await.map_err(Fault::failed)?;
    let mut written = 0;
    for (number, batch) in batches.iter().cycle().enumerate() {
        if written >= LOG_BYTES {
            break;
        }
        let mut batcher =
            Batcher::new("bench".into(), batch.stream.clone(), batch.context.clone(), Salt::place("start", (number as u64) << 32), now(), 16 << 20);
        batch.records.iter().for_each(|record| batcher.record(record.bytes.clone()));
        for one in batcher.take(&Default::default()) {
            written += one.records.iter().map(|record| record.bytes.len() as u64).sum::<u64>();
            // Dropped without being published: the next start maps it.
            drop(lake.append(one, true).await.map_err(Fault::failed)?);
        }
    }
    Ok(written)
}
