//! The demonstration, sent through the ordinary ways in: the mesh does not know that it plays.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::doors::Doors;
use crate::cli::Fault;
use crate::config::FileConfig;
use crate::demo::{self, Plan, Player, Step, Way};
use crate::door::now;
use crate::home::{Home, RunFile};

/// A past to look back on when the console opens.
const PAST_MS: u64 = 30 * 60 * 1000;
/// The first attack, so long after the start.
const ATTACK_MS: u64 = 60_000;
/// Records that are gathered before they are sent: a live tail should look alive.
const GATHER: Duration = Duration::from_millis(250);
/// Most records of one gathering.
const GATHER_MAX: usize = 2000;
/// Steps that are looked at to learn which streams come by files: every habit is among them.
const REHEARSAL_STEPS: usize = 20_000;
/// Longest datagram.
const DATAGRAM_BYTES_MAX: usize = 60_000;

/// Starts the play; it ends when told to stop.
///
/// # Errors
/// The story has faults, or a way in cannot be opened.
pub(super) async fn start(home: &Home, run: &RunFile, doors: &mut Doors, stop: CancellationToken) -> Result<JoinHandle<()>, Fault> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let udp = doors.udp(loopback, "auto".into()).await?;
    let tcp = doors.tcp(loopback, "auto".into()).await?;
    let folder = home.dir.join("demo");
    let start_ms = now().0.saturating_sub_unsigned(PAST_MS);
    let plan = Plan { seed: start_ms.unsigned_abs(), start_ms, attack_first_ms: PAST_MS + ATTACK_MS, ..Plan::default() };
    let files = watch(Player::new(story()?, plan), &folder, doors)?;
    let socket = UdpSocket::bind(loopback).await?;
    let sender = Sender { run: run.clone(), client: reqwest::Client::new(), udp: (socket, udp), tcp: (None, tcp), folder, files };
    Ok(tokio::spawn(play(Player::new(story()?, plan), sender, stop)))
}

fn story() -> Result<demo::Story, Fault> {
    demo::story().map_err(|faults| Fault::Misuse(faults.iter().map(ToString::to_string).collect()))
}

/// One folder for each stream that comes by files, each followed.
fn watch(player: Player, folder: &Path, doors: &mut Doors) -> Result<BTreeSet<String>, Fault> {
    let streams: BTreeSet<String> = player.take(REHEARSAL_STEPS).filter(|step| step.way == Way::File).map(|step| step.stream).collect();
    for stream in &streams {
        let path = folder.join(stream.replace('/', "_"));
        std::fs::create_dir_all(&path)?;
        doors.files(&[FileConfig { path, stream: stream.clone() }])?;
    }
    Ok(streams)
}

async fn play(mut player: Player, mut sender: Sender, stop: CancellationToken) {
    let begun = Instant::now();
    let mut due: Vec<Step> = Vec::new();
    let mut next = player.next();
    while let Some(step) = next.take() {
        let played = PAST_MS + u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if step.at_ms <= played && due.len() < GATHER_MAX {
            due.push(step);
            next = player.next();
            continue;
        }
        next = Some(step);
        if let Err(error) = sender.send(std::mem::take(&mut due)).await {
            tracing::warn!(error, "a part of the demonstration was not taken");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(GATHER) => {}
        }
    }
}

struct Sender {
    run: RunFile,
    client: reqwest::Client,
    udp: (UdpSocket, SocketAddr),
    tcp: (Option<TcpStream>, SocketAddr),
    folder: PathBuf,
    files: BTreeSet<String>,
}

impl Sender {
    async fn send(&mut self, steps: Vec<Step>) -> Result<(), String> {
        let mut posts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut lines: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
        let mut events = Vec::new();
        let mut faults = Vec::new();
        for step in steps {
            match step.way {
                Way::Http => append(posts.entry(step.stream).or_default(), &step.record),
                Way::Hec => append(&mut events, envelope(&step).to_string().as_bytes()),
                Way::File => append(lines.entry(self.path(&step)).or_default(), &step.record),
                Way::SyslogUdp => faults.extend(self.datagram(&step.record).await.err()),
                Way::SyslogTcp => faults.extend(self.frame(&step.record).await.err()),
            }
        }
        for (stream, body) in posts {
            faults.extend(self.post(&format!("/ingest/{stream}"), body).await.err());
        }
        if !events.is_empty() {
            faults.extend(self.post("/services/collector/event", events).await.err());
        }
        for (path, text) in lines {
            faults.extend(write(&path, &text).await.err());
        }
        faults.into_iter().next().map_or(Ok(()), Err)
    }

    /// Below the followed folder, whatever the story says.
    fn path(&self, step: &Step) -> PathBuf {
        let below: PathBuf = Path::new(&step.source).components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let stream = if self.files.contains(&step.stream) { step.stream.replace('/', "_") } else { "other".to_owned() };
        self.folder.join(stream).join(below)
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> Result<(), String> {
        let sent = self.client.post(format!("{}{path}", self.run.address)).bearer_auth(&self.run.token).body(body).send().await;
        match sent {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("{path}: {}", response.status())),
            Err(error) => Err(format!("{path}: {error}")),
        }
    }

    async fn datagram(&self, record: &[u8]) -> Result<(), String> {
        let (socket, to) = &self.udp;
        let record = record.get(..DATAGRAM_BYTES_MAX).unwrap_or(record);
        socket.send_to(record, to).await.map(drop).map_err(|error| error.to_string())
    }

    async fn frame(&mut self, record: &[u8]) -> Result<(), String> {
        let (stream, to) = &mut self.tcp;
        if stream.is_none() {
            *stream = Some(TcpStream::connect(*to).await.map_err(|error| error.to_string())?);
        }
        let Some(open) = stream.as_mut() else { return Ok(()) };
        let mut frame = format!("{} ", record.len()).into_bytes();
        frame.extend_from_slice(record);
        let written = open.write_all(&frame).await;
        if written.is_err() {
            *stream = None;
        }
        written.map_err(|error| error.to_string())
    }
}

fn append(text: &mut Vec<u8>, record: &[u8]) {
    text.extend_from_slice(record);
    text.push(b'\n');
}

fn envelope(step: &Step) -> Value {
    let event = serde_json::from_slice(&step.record).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&step.record)));
    json!({"event": event, "sourcetype": step.stream, "source": step.source})
}

async fn write(path: &Path, text: &[u8]) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(|error| error.to_string())?;
    }
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(path).await.map_err(|error| error.to_string())?;
    file.write_all(text).await.map_err(|error| error.to_string())?;
    file.flush().await.map_err(|error| error.to_string())
}
