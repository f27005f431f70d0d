//! `weft up`: everything, in the order in which it starts, and the way down.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weft_console::{Console, ConsoleConfig, LoginKeys};

use super::doors::{self, Doors};
use super::feeds::{self, FeedBoard, Feeds};
use super::loops::{self, Loops};
use super::persons::{self, Persons};
use super::stand::{Site, Stand, rules_of};
use super::{access, demo, intel, life, responder, scim};
use crate::cli::{Fault, Output, Up};
use crate::content;
use crate::door::{Ingress, webhook};
use crate::home::{Home, RunFile};
use crate::intel::Shelf;
use crate::mesh::detection::Loaded;
use crate::mesh::journal::QueueJournal;
use crate::mesh::posture::PostureBoard;
use crate::mesh::{Knowledge, Mesh};
use crate::respond::Respond;
use crate::rulebook;
use crate::scim::Follower;
use crate::state::{KeptSessions, StateStore};

/// Setting that holds the token of console and doors.
const TOKEN: &str = "token";

/// Runs until told to stop.
///
/// # Errors
/// What keeps it from starting; after that, what keeps it from stopping cleanly.
pub async fn serve(home: Home, up: Up, out: &mut Output) -> Result<(), Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let descriptions = content::pulls(&files).map_err(Fault::Misuse)?;
    let deciding = access::read(&home, &files);
    let compiling = tokio::task::spawn_blocking(move || content::compile(&files));
    // A long log takes as long to look through as all content to compile.
    let site = Site::open(&home).await;
    let (mut rules, content) = rules_of(compiling.await.map_err(Fault::failed)?.map_err(Fault::Misuse)?);
    let listener = listen(up.listen.unwrap_or(home.config.listen)).await?;
    let site = site?.taught(&home, &mut rules, &content).await?;
    let known = rulebook::of(&rules, &content.hunts.fields, &content.registry);
    let loaded = Loaded::new(known, content.refused, &content.hunts);
    let mut stand = Stand::start(site, &home, Arc::clone(&content.registry), vec![Box::new(rules)], content.entities)?;
    let stop = CancellationToken::new();
    let keys = LoginKeys::with_token(token(&*stand.state).await?);
    let run = RunFile { address: format!("http://{}", reachable(listener.local_addr()?)), token: keys.token.clone(), pid: std::process::id() };

    let state: Arc<dyn StateStore> = Arc::<crate::state::Sqlite>::clone(&stand.state);
    let point = responder::of(home.config.response.namespace.as_deref()).await;
    let respond = Arc::new(Respond {
        state: Arc::clone(&state),
        pdp: Arc::new(content.pdp),
        playbooks: content.playbooks,
        responder: point.responder,
        target: point.target,
        networks: home.config.networks.clone(),
        journal: Arc::new(QueueJournal(stand.queue.clone())),
        turn: tokio::sync::Mutex::default(),
    });
    let (board, feeds, metrics) = (Arc::new(PostureBoard::default()), Arc::<FeedBoard>::default(), Arc::new(content.metrics));
    let flow = (stand.pipeline().clone(), stand.queue.clone());
    let shelf = Shelf::of(&home.dir);
    let knowledge = Knowledge { loaded, shelf: shelf.clone(), feeds: Arc::clone(&feeds), posture: Arc::clone(&board), metrics: Arc::clone(&metrics) };
    let mesh = Arc::new(Mesh::new(flow, Arc::clone(&respond), Arc::clone(&state), knowledge));
    let console = console(mesh, &keys, Arc::clone(&state));

    let (mut doors, pushed) = open_doors(&home, &stand, &content.registry, &run.token, &stop).await?;
    doors.pulled(&home, &descriptions, stand.pipeline(), &state)?;
    let access = deciding.start(&home, &run, &stand.queue, &stop).await?;
    let (pushing, follower) = scim::open(&home, &run, &stand);
    let app = pushed.merge(access.routes()).merge(pushing).merge(console.router());
    let http = tokio::spawn(doors::serve(listener, app, stop.clone()));
    let loops = Loops {
        respond,
        board,
        journal: QueueJournal(stand.queue.clone()),
        metrics,
        pipeline: stand.pipeline().clone(),
        checks: content.checks,
        hunts: content.hunts,
        every: home.config.response.posture_seconds,
        stop: stop.clone(),
    };
    let loops = tokio::spawn(loops::run(loops, stand.findings.take()));
    let beside = beside(&home, &stand, state, (shelf, feeds), follower, &stop);
    let settling = tokio::spawn(stand.pipeline().clone().settle_regularly());
    home.announce(&run)?;
    let player = if up.demo { Some(demo::start(&home, &run, &mut doors, stop.clone()).await?) } else { None };
    greet(&run, &keys, out)?;

    wait_for_signal().await?;
    crate::cli::say("stopping: finishing what was taken in");
    stop.cancel();
    home.retire();
    player.iter().for_each(JoinHandle::abort);
    doors.close().await;
    http.await.map_err(Fault::failed)?;
    access.close().await?;
    loops.await.map_err(Fault::failed)?;
    beside.await.map_err(Fault::failed)?;
    settling.abort();
    stand.close().await
}

/// What the lake and intelligence need day by day.
fn beside(
    home: &Home,
    stand: &Stand,
    state: Arc<dyn StateStore>,
    (shelf, board): (Shelf, Arc<FeedBoard>),
    follower: Follower,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let feeds = Feeds { feeds: home.config.feeds.clone(), shelf, state: Arc::clone(&state), board, stop: stop.clone() };
    let (pipeline, journal) = (stand.pipeline().clone(), QueueJournal(stand.queue.clone()));
    let life = life::Life { pipeline, life: home.config.life.clone(), journal, state, stop: stop.clone() };
    let matching = intel::run(stand.pipeline().clone(), stop.clone());
    let following = follower.run(stop.clone());
    let persons = Persons { home: home.clone(), state: Arc::clone(&stand.state), pipeline: stand.pipeline().clone(), stop: stop.clone() };
    tokio::spawn(async move {
        tokio::join!(life::run(life), matching, feeds::run(feeds), following, persons::run(persons));
    })
}

fn console(mesh: Arc<Mesh>, keys: &LoginKeys, state: Arc<dyn StateStore>) -> Console {
    let config = ConsoleConfig {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        keys: keys.clone(),
        secure_cookie: false,
        sessions: Arc::new(KeptSessions(state)),
        beside: access::described(),
    };
    Console::new(mesh, config)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Fault> {
    let told = |error| Fault::misuse(format!("`{address}` cannot be listened on: {error}; choose another one with `--listen`"));
    TcpListener::bind(address).await.map_err(told)
}

/// Opens every way in that the configuration names; the routes of the HTTP ones are given back.
async fn open_doors(
    home: &Home,
    stand: &Stand,
    registry: &Arc<weft_ingest::Registry>,
    token: &str,
    stop: &CancellationToken,
) -> Result<(Doors, axum::Router), Fault> {
    let streams: BTreeSet<_> = registry.streams().cloned().collect();
    let ingress = Ingress { queue: stand.queue.clone(), limits: home.config.budget.limits, streams: Arc::new(streams) };
    let mut doors = Doors::new(ingress, Arc::clone(registry), stand.pipeline().lake().positions(), stop.clone());
    doors.syslog(&home.config).await?;
    doors.files(&home.config.files)?;
    doors.queues(&home.config)?;
    doors.bulk_listener(&home.config, token).await?;
    let hooks = webhook::hooks(&home.config.doors.webhooks, registry).map_err(Fault::Misuse)?;
    let pushed = doors.http(&home.config, token, hooks);
    Ok((doors, pushed))
}

/// Says where the mesh is, and how it is used and stopped.
fn greet(run: &RunFile, keys: &LoginKeys, out: &mut Output) -> Result<(), Fault> {
    out.line(&format!("Weft is up. Sign in: {}{}", run.address, keys.login_path()))?;
    out.line(&format!("Send records to {}/ingest/ndjson?stream=STREAM with `Authorization: Bearer {}`", run.address, run.token))?;
    out.line("Stop with Ctrl-C.")?;
    out.flush()
}

/// The token of this home, made at the first start.
async fn token(state: &dyn StateStore) -> Result<String, Fault> {
    if let Some(token) = state.setting(TOKEN).await.map_err(Fault::failed)? {
        return Ok(token);
    }
    let token = LoginKeys::random().token;
    state.set_setting(TOKEN, &token).await.map_err(Fault::failed)?;
    Ok(token)
}

/// An address that a browser on this machine can open.
fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], bound.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], bound.port())),
        _ => bound,
    }
}

async fn wait_for_signal() -> Result<(), Fault> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
