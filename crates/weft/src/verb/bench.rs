//! `weft bench`: the mesh measured on this machine, with records of the demonstration or given ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use weft_ingest::{Mapper, Registry};
use weft_model::{ClassUid, Mapping as _, RawBatch, StreamId};

use super::ingest::count_findings;
use super::{input, offline};
use crate::cli::{self, BenchName, Fault, Outcome, Output, Rows};
use crate::content;
use crate::demo::{self, Plan, Player, Way};
use crate::door::records::{Batcher, Salt};
use crate::door::token::{Token, Tokens};
use crate::door::{Ingress, Limits, http, now};
use crate::home::Home;
use crate::wire::Stand;
use crate::wire::stand::rules_of;

mod decide;
mod entitlements;
mod graph;
mod intel;
mod long;

/// How long one measurement runs.
const SECONDS: u64 = 10;
/// How often the end of a load is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// Records of one HTTP body.
const BODY_RECORDS: usize = 250;
/// Clients that send at the same time.
const CLIENTS: usize = 8;
/// Events whose way to SQL is timed.
const SEARCHES: usize = 100;
/// Token of a mesh that lives as long as the benchmark.
const TOKEN: &str = "benchmark";

/// Runs one benchmark.
///
/// # Errors
/// Input that cannot be read, or no place to write.
pub(super) async fn run(home: &Home, bench: &cli::Bench, out: &mut Output) -> Result<Outcome, Fault> {
    let figures = match bench.name {
        BenchName::Cedar => tokio::task::spawn_blocking(decide::cedar).await.map_err(Fault::failed)??,
        BenchName::Access => decide::access(home).await?,
        BenchName::Entitlements => tokio::task::spawn_blocking(entitlements::figures).await.map_err(Fault::failed)??,
        BenchName::Graph => {
            let (home, edges) = (home.clone(), bench.edges);
            tokio::task::spawn_blocking(move || graph::figures(&home, edges)).await.map_err(Fault::failed)??
        }
        _ => of_records(home, bench).await?,
    };
    let mut rows = Rows::new(["figure", "value", "unit"]);
    figures.into_iter().for_each(|(figure, value, unit)| rows.push([figure.into(), ((value * 100.0).round() / 100.0).into(), unit.into()]));
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

async fn of_records(home: &Home, bench: &cli::Bench) -> Result<Figures, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let registry = content::registry(&files).map_err(Fault::Misuse)?;
    let batches = batches(&registry, &bench.input)?;
    Ok(match bench.name {
        BenchName::Map => tokio::task::spawn_blocking(move || map(registry, &batches)).await.map_err(Fault::failed)?,
        BenchName::Parquet => tokio::task::spawn_blocking(move || parquet(registry, &batches)).await.map_err(Fault::failed)??,
        BenchName::Http => {
            // The mesh that is measured has its own; two would count twice.
            drop(registry);
            let offer = Offer::of(batches);
            http_figures(&over_http(home, &files, &offer, Until::Seconds(SECONDS)).await?, &offer)
        }
        BenchName::Searchable => searchable(home, &files, &batches).await?,
        BenchName::Memory => {
            drop(registry);
            long::memory(home, &files, &Offer::of(batches)).await?
        }
        BenchName::Intel => {
            let (rules, _) = rules_of(content::compile(&files).map_err(Fault::Misuse)?);
            tokio::task::spawn_blocking(move || intel::figures(registry, rules, &batches)).await.map_err(Fault::failed)?
        }
        BenchName::Start => long::start(home, &files, &batches).await?,
        BenchName::Cedar | BenchName::Access | BenchName::Entitlements | BenchName::Graph => Figures::new(),
    })
}

type Figures = Vec<(&'static str, f64, &'static str)>;

/// Given records, or JSON records of the demonstration.
fn batches(registry: &Arc<Registry>, given: &[String]) -> Result<Vec<RawBatch>, Fault> {
    let mut batches = Vec::new();
    if let Some((stream, paths)) = given.split_first() {
        let (stream, framing) = input::stream(registry, stream)?;
        let paths: Vec<_> = paths.iter().map(std::path::PathBuf::from).collect();
        input::read(&paths, &stream, &framing, &mut |batch| batches.push(batch)).check()?;
    } else {
        let story = demo::story().map_err(|faults| Fault::Misuse(faults.iter().map(ToString::to_string).collect()))?;
        let player = Player::new(story, Plan { start_ms: now().0, ..Plan::default() });
        let mut records: Vec<_> = player.filter(|step| step.way == Way::Http).take(20_000).collect();
        records.sort_by(|a, b| a.stream.cmp(&b.stream));
        for chunk in records.chunk_by(|a, b| a.stream == b.stream).flat_map(|same| same.chunks(BODY_RECORDS)) {
            let Some(first) = chunk.first() else { continue };
            let mut batcher = Batcher::new("bench".into(), StreamId::from(first.stream.as_str()), Default::default(), Salt::place("bench", 0), now(), 16 << 20);
            chunk.iter().for_each(|step| batcher.record(step.record.clone().into()));
            batches.extend(batcher.take(&Default::default()));
        }
    }
    if batches.is_empty() { Err(Fault::misuse("there are no records to measure with")) } else { Ok(batches) }
}

fn size(batches: &[RawBatch]) -> (f64, f64) {
    let records = batches.iter().map(|batch| batch.records.len()).sum::<usize>() as f64;
    let bytes = batches.iter().flat_map(|batch| &batch.records).map(|record| record.bytes.len()).sum::<usize>() as f64;
    (records, bytes)
}

fn map(registry: Arc<Registry>, batches: &[RawBatch]) -> Figures {
    let mapper = Mapper::new(registry);
    let (records, bytes) = size(batches);
    let (begun, mut rounds, mut events) = (Instant::now(), 0.0, 0);
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        events = batches.iter().map(|batch| mapper.map(batch).events()).sum();
        rounds += 1.0;
    }
    let seconds = begun.elapsed().as_secs_f64();
    vec![
        ("records per second and core", records * rounds / seconds, "1/s"),
        ("megabytes per second and core", bytes * rounds / seconds / 1e6, "MB/s"),
        ("mean record", bytes / records, "bytes"),
        ("mapped", events as f64 / records * 100.0, "%"),
    ]
}

/// As a commit does it: the rows of each class together, one file for each of their days. The best
/// round counts, as it does for an anchor.
fn parquet(registry: Arc<Registry>, batches: &[RawBatch]) -> Result<Figures, Fault> {
    let mapper = Mapper::new(registry);
    let (records, bytes) = size(batches);
    let (begun, mut best, mut mapping, mut written) = (Instant::now(), f64::MAX, 0.0, 0);
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        let mut classes: BTreeMap<ClassUid, Vec<RecordBatch>> = BTreeMap::new();
        let started = Instant::now();
        for events in batches.iter().flat_map(|batch| mapper.map(batch).batches) {
            classes.entry(events.class).or_default().push(events.rows);
        }
        let mapped = started.elapsed().as_secs_f64();
        written = 0;
        for (class, rows) in &classes {
            let files = weft_lake::to_parquet(*class, rows).map_err(Fault::failed)?;
            written += files.iter().map(Vec::len).sum::<usize>();
        }
        let whole = started.elapsed().as_secs_f64();
        if whole < best {
            (best, mapping) = (whole, mapped);
        }
    }
    Ok(vec![
        ("records per second and core", records / best, "1/s"),
        ("megabytes per second and core", bytes / best / 1e6, "MB/s"),
        ("of the time, mapping", mapping / best * 100.0, "%"),
        ("mean record", bytes / records, "bytes"),
        ("mean record on disk", written as f64 / records, "bytes"),
    ])
}

/// A mesh of its own below the home, for as long as the benchmark runs.
async fn temporary(home: &Home, files: &content::Files) -> Result<(Stand, Home), Fault> {
    let dir = home.dir.join(format!("bench-{}", std::process::id()));
    let temporary = Home { dir, config: home.config.clone() };
    let (rules, content) = rules_of(content::compile(files).map_err(Fault::Misuse)?);
    let mut stand = Stand::open(&temporary, content.registry, vec![Box::new(rules)], content.entities).await?;
    // It ends with the mesh.
    let _counted = count_findings(&mut stand);
    Ok((stand, temporary))
}

/// When the load ends.
#[derive(Debug, Clone, Copy)]
enum Until {
    Seconds(u64),
    Bytes(u64),
}

/// What a load over HTTP came to.
struct Load {
    records: u64,
    /// Milliseconds until each answer, shortest first.
    waits: Vec<f64>,
    /// Seconds until the last answer.
    acknowledged: f64,
    /// Seconds until everything was mapped and written.
    written: f64,
}

async fn over_http(home: &Home, files: &content::Files, offer: &Offer, until: Until) -> Result<Load, Fault> {
    let (stand, temporary) = temporary(home, files).await?;
    let ingress = Ingress { queue: stand.queue.clone(), limits: Limits::default(), streams: Arc::new(stand.registry.streams().cloned().collect()) };
    let app = http::routes(http::Http::new(ingress, Tokens(vec![Token::new("bench", TOKEN, false, None)]), Arc::clone(&stand.registry)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let (begun, bytes_sent, stop) = (Instant::now(), Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let send = |client| tokio::spawn(send(client, address, Arc::clone(&offer.bodies), Arc::clone(&bytes_sent), stop.clone()));
    let clients: Vec<_> = (0..CLIENTS).map(send).collect();
    let ended = |until| match until {
        Until::Seconds(seconds) => begun.elapsed() >= Duration::from_secs(seconds),
        Until::Bytes(bytes) => bytes_sent.load(Ordering::Relaxed) >= bytes,
    };
    while !ended(until) && !clients.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(LOOK).await;
    }
    stop.cancel();
    let (mut records, mut waits) = (0, Vec::new());
    for client in clients {
        let (sent, waited) = client.await.map_err(Fault::failed)??;
        records += sent;
        waits.extend(waited);
    }
    let acknowledged = begun.elapsed().as_secs_f64();
    server.abort();
    stand.close().await?;
    let written = begun.elapsed().as_secs_f64();
    let _gone = std::fs::remove_dir_all(&temporary.dir);
    waits.sort_by(f64::total_cmp);
    Ok(Load { records, waits, acknowledged, written })
}

fn http_figures(load: &Load, offer: &Offer) -> Figures {
    vec![
        ("acknowledged durable", load.records as f64 / load.acknowledged, "records/s"),
        ("mapped and written", load.records as f64 / load.written, "records/s"),
        ("acknowledgement, median", quantile(&load.waits, 0.5), "ms"),
        ("acknowledgement, p99", quantile(&load.waits, 0.99), "ms"),
        ("mean record", offer.mean, "bytes"),
    ]
}

/// Stream, text and number of records.
type Post = (String, Bytes, u64);

/// What clients send; the records that it was made of are not kept, so that the mesh's memory can be seen.
struct Offer {
    bodies: Arc<Vec<Post>>,
    /// Bytes of a record, on average.
    mean: f64,
}

impl Offer {
    fn of(batches: Vec<RawBatch>) -> Self {
        let (records, bytes) = size(&batches);
        Self { bodies: Arc::new(bodies(&batches)), mean: bytes / records }
    }
}

fn bodies(batches: &[RawBatch]) -> Vec<Post> {
    let mut bodies = Vec::new();
    for batch in batches {
        for chunk in batch.records.chunks(BODY_RECORDS) {
            let body: Vec<u8> = chunk.iter().flat_map(|record| record.bytes.iter().copied().chain([b'\n'])).collect();
            bodies.push((batch.stream.to_string(), body.into(), chunk.len() as u64));
        }
    }
    bodies
}

async fn send(
    client: usize,
    address: std::net::SocketAddr,
    bodies: Arc<Vec<Post>>,
    bytes_sent: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Result<(u64, Vec<f64>), Fault> {
    let http = reqwest::Client::new();
    let (mut records, mut waits) = (0, Vec::new());
    for (number, (stream, body, count)) in bodies.iter().cycle().enumerate() {
        if stop.is_cancelled() {
            break;
        }
        let begun = Instant::now();
        // The same records again and again, each time on purpose.
        let request = http.post(format!("http://{address}/ingest/{stream}")).bearer_auth(TOKEN).header("idempotency-key", format!("{client}-{number}"));
        let response = request.body(body.clone()).send().await.map_err(Fault::failed)?;
        if response.status().is_success() {
            waits.push(begun.elapsed().as_secs_f64() * 1000.0);
            records += count;
            bytes_sent.fetch_add(body.len() as u64, Ordering::Relaxed);
        }
    }
    Ok((records, waits))
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize - 1;
    sorted.get(rank.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

async fn searchable(home: &Home, files: &content::Files, batches: &[RawBatch]) -> Result<Figures, Fault> {
    let (stand, temporary) = temporary(home, files).await?;
    let mut waits = Vec::new();
    let records = batches.iter().flat_map(|batch| batch.records.iter().map(move |record| (batch, record)));
    for (number, (batch, record)) in records.take(SEARCHES).enumerate() {
        let mut batcher = Batcher::new("bench".into(), batch.stream.clone(), batch.context.clone(), Salt::place("search", number as u64), now(), 16 << 20);
        batcher.record(record.bytes.clone());
        let begun = Instant::now();
        for one in batcher.take(&Default::default()) {
            drop(stand.queue.push(one).await.map_err(Fault::failed)?);
        }
        while offline::count(stand.pipeline().lake()).await? <= waits.len() as u64 && begun.elapsed() < Duration::from_secs(SECONDS) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        waits.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    stand.close().await?;
    let _gone = std::fs::remove_dir_all(&temporary.dir);
    waits.sort_by(f64::total_cmp);
    Ok(vec![("arrival to SQL, median", quantile(&waits, 0.5), "ms"), ("arrival to SQL, p99", quantile(&waits, 0.99), "ms"), ("events", waits.len() as f64, "")])
}
