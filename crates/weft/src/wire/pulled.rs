//! Sources that are pulled, as the configuration names them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use url::Url;
use weft_ingest::Registry;
use weft_ingest::frame::Framing;
use weft_ingest::pull::{Description, Settings};
use weft_lake::bucket::Bucket;
use weft_model::{Position, SourceId, StreamId};

use crate::config::{SourceConfig, SourceKind};
use crate::door::Ingress;
use crate::door::pull::{Http, ObjectSettings, Objects, Patience, Pulled, Puller, Rest};
use crate::pipeline::Pipeline;
use crate::state::StateStore;

/// Descriptions by name.
pub(crate) type Descriptions = BTreeMap<String, Arc<Description>>;

/// What is wrong with the configured sources, one line each; nothing is asked and no secret is read.
pub(crate) fn faults(sources: &[SourceConfig], descriptions: &Descriptions, registry: &Registry) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut told = match &source.kind {
            SourceKind::Pull { description, origin, .. } => {
                let mut told = match descriptions.get(description) {
                    Some(known) => settings(source).faults(known),
                    None => vec![unknown(description, descriptions)],
                };
                told.extend(origin.as_deref().and_then(|origin| self::origin(origin).err()));
                told
            }
            SourceKind::Bucket { url, stream, queue, options, .. } => bucket_faults(url, stream, queue.as_deref(), options, registry),
        };
        if sources.iter().take(index).any(|other| other.name == source.name) {
            told.push(format!("there is another source `{}`; its position would be theirs", source.name));
        }
        faults.extend(told.into_iter().map(|fault| format!("{}: source `{}`: {fault}", source.place, source.name)));
    }
    faults
}

fn bucket_faults(url: &str, stream: &str, queue: Option<&str>, options: &BTreeMap<String, String>, registry: &Registry) -> Vec<String> {
    let mut told = Vec::new();
    let streams = registry.streams().cloned().collect();
    if stream != StreamId::AUTO && !registry.streams().any(|known| *known.0 == *stream) {
        told.push(crate::door::unknown_stream(stream, &streams));
    }
    match Bucket::open(url, options) {
        Ok(bucket) => told.extend(queue.and_then(|queue| bucket.queue(queue).err())),
        Err(fault) => told.push(fault),
    }
    told
}

fn unknown(name: &str, descriptions: &Descriptions) -> String {
    let connector = name.split('/').next().unwrap_or(name);
    let near: Vec<String> = descriptions.keys().filter(|known| known.split('/').any(|part| part == connector)).map(|known| format!("`{known}`")).collect();
    if near.is_empty() {
        format!("nothing describes `{name}`; there are {}", descriptions.keys().cloned().collect::<Vec<_>>().join(", "))
    } else {
        format!("nothing describes `{name}`; near it: {}", near.join(", "))
    }
}

fn origin(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`origin` `{text}` is no address: {error}"))?;
    let plain = url.path() == "/" && url.query().is_none() && url.has_host() && matches!(url.scheme(), "https" | "http");
    if plain { Ok(url) } else { Err(format!("`origin` `{text}` must be a scheme, a host and perhaps a port, e.g. `https://proxy.example.com`")) }
}

/// What the configuration gives, without the values of secrets.
fn settings(source: &SourceConfig) -> Settings {
    let SourceKind::Pull { settings, origin, .. } = &source.kind else { return Settings::default() };
    Settings {
        source: format!("pull/{}", source.name),
        values: settings.clone(),
        secrets: source.secrets.keys().map(|name| (name.clone(), String::new())).collect(),
        origin: origin.as_deref().and_then(|origin| self::origin(origin).ok()),
        look_back_ms: source.look_back_ms,
        initial_ms: source.since_ms,
    }
}

/// What sources are given.
pub(super) struct Around<'a> {
    pub(super) ingress: &'a Ingress,
    pub(super) registry: &'a Arc<Registry>,
    pub(super) home: &'a Path,
    pub(super) pipeline: &'a Pipeline,
    pub(super) state: &'a Arc<dyn StateStore>,
    pub(super) positions: &'a BTreeMap<SourceId, Position>,
    pub(super) stop: &'a tokio_util::sync::CancellationToken,
}

/// A source with what drives it and the position at which it goes on.
pub(super) struct Ready {
    pub(super) puller: Puller,
    pub(super) source: Box<dyn Pulled>,
    pub(super) position: Position,
}

/// Each source with what drives it and the position at which it goes on.
pub(super) fn build(sources: &[SourceConfig], descriptions: &Descriptions, around: &Around<'_>) -> Result<Vec<Ready>, Vec<String>> {
    let found = faults(sources, descriptions, around.registry);
    if !found.is_empty() {
        return Err(found);
    }
    let http = Http::new(Patience::default()).map_err(|message| vec![format!("no connections can be made: {message}")])?;
    let mut built = Vec::new();
    for source in sources {
        let (name, stream, pulled) = match &source.kind {
            SourceKind::Pull { description, .. } => {
                let Some(description) = descriptions.get(description) else { continue };
                let given = Settings { secrets: BTreeMap::new(), ..settings(source) };
                let rest = Rest::new(given, source.secrets.clone(), source.every_ms, Arc::clone(description), Arc::clone(around.state), http.clone());
                (rest.source.clone(), rest.stream.clone(), Box::new(rest) as Box<dyn Pulled>)
            }
            SourceKind::Bucket { .. } => {
                let Some(settings) = objects(source, around) else { continue };
                (settings.source.clone(), settings.stream.clone(), Box::new(Objects::new(settings, Arc::clone(around.state))) as Box<dyn Pulled>)
            }
        };
        let position = around.positions.get(&name).cloned().unwrap_or_default();
        let puller = Puller { source: name, stream, ingress: around.ingress.clone(), pipeline: around.pipeline.clone(), stop: around.stop.clone() };
        built.push(Ready { puller, source: pulled, position });
    }
    Ok(built)
}

fn objects(source: &SourceConfig, around: &Around<'_>) -> Option<ObjectSettings> {
    let SourceKind::Bucket { url, stream, queue, by_key, options } = &source.kind else { return None };
    let stream = StreamId::from(stream.as_str());
    Some(ObjectSettings {
        source: format!("bucket/{}", source.name).as_str().into(),
        framing: Framing::of(around.registry, &stream)?,
        stream,
        url: url.clone(),
        queue: queue.clone(),
        by_key: *by_key,
        options: options.clone(),
        secrets: source.secrets.clone(),
        every_ms: source.every_ms,
        since_ms: source.since_ms,
        look_back_ms: source.look_back_ms,
        record_max: around.ingress.limits.record_bytes_max,
        spool: around.home.join("spool"),
    })
}
