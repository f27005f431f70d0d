//! Descriptions of APIs against answers in their shape: `pull/NAME.md` beside each `pull/NAME.toml`.
//!
//! `RECORD` in an answer stands for the first raw record of the stream, in the connector's scenarios
//! or in a block `record`, that has the key and the time. `WEFT_BLESS=1` writes what is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use weft_ingest::Mapper;
use weft_ingest::pull::{Answer, Body, Description, Request, Session, Settings, ToSign, access_of, describe, sign, token_request};
use weft_model::{Context, Mapping as _, StreamId, Timestamp};

/// 2026-03-02T09:00:00Z, an hour after the records of the scenarios.
const NOW: i64 = 1_772_442_000_000;

#[test]
fn every_description_asks_and_reads_as_its_api_does() {
    let (registry, _) = weft_testkit::registry();
    let mapper = Mapper::new(Arc::clone(&registry));
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (name, path) in descriptions() {
        count += 1;
        let description = match describe(&path.display().to_string(), &name, &fs::read_to_string(&path).unwrap()) {
            Ok(description) => Arc::new(description),
            Err(faults) => {
                wrong.extend(faults.iter().map(ToString::to_string));
                continue;
            }
        };
        if registry.program(&StreamId::from(description.stream.as_str())).is_none() {
            wrong.push(format!("{name}: there is no stream `{}`", description.stream));
            continue;
        }
        wrong.extend(scenario(&mapper, &description, &path.with_extension("md")).err());
    }
    println!("{count} descriptions");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 30, "only {count} descriptions were found");
}

fn descriptions() -> Vec<(String, PathBuf)> {
    let files = weft_connectors::files().into_iter().flat_map(|connector| {
        let name = connector.name;
        connector.files.into_iter().filter(|(path, _)| path.starts_with("pull/")).map(move |(path, _)| (name.clone(), path))
    });
    let named = files.map(|(connector, path)| {
        let name = path.strip_prefix("pull/").unwrap().strip_suffix(".toml").unwrap();
        (format!("{connector}/{name}"), weft_testkit::root().join("connectors").join(&connector).join(&path))
    });
    named.collect()
}

fn scenario(mapper: &Mapper, description: &Arc<Description>, path: &Path) -> Result<(), String> {
    let told = |message: String| format!("{}: {message}", path.display());
    let text = fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
    let record = record(description, path, &text)
        .ok_or_else(|| told("no raw record of the stream has the key and the time; give one in a block `record`".to_owned()))?;
    let mapped = mapper.map(&weft_testkit::batch(&description.stream, Context::default(), vec![Bytes::from(record.clone())]));
    if let Some(reject) = mapped.rejects.first() {
        return Err(told(format!("the record does not map: {}", reject.message)));
    }
    let answers = blocks(&text, "answer").into_iter().map(|answer| parse(&answer.replace("RECORD", &record))).collect();
    let asked = play(description, answers).map_err(told)?;
    let (head, rest) = text.split_once("```asked\n").ok_or_else(|| told("there is no block `asked`".to_owned()))?;
    let (wanted, after) = rest.split_once("```").ok_or_else(|| told("the block `asked` has no end".to_owned()))?;
    if wanted == asked {
        return Ok(());
    }
    if std::env::var_os("WEFT_BLESS").is_some() {
        return fs::write(path, format!("{head}```asked\n{asked}```{after}")).map_err(|error| told(error.to_string()));
    }
    Err(told(format!("what is asked differs:\n{asked}")))
}

fn blocks(text: &str, kind: &str) -> Vec<String> {
    let fence = format!("```{kind}");
    let mut found = Vec::new();
    for block in text.split(&fence).skip(1) {
        let Some((_, body)) = block.split_once('\n') else { continue };
        found.extend(body.split_once("\n```").map(|(body, _)| body.to_owned()));
    }
    found
}

fn record(description: &Description, path: &Path, text: &str) -> Option<String> {
    let folder = path.parent()?.parent()?.join("scenarios");
    let mut texts = blocks(text, "record");
    let mut scenarios: Vec<PathBuf> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    scenarios.sort();
    for scenario in scenarios {
        texts.extend(blocks(&fs::read_to_string(scenario).ok()?, &format!("raw stream={}", description.stream)));
    }
    let fits = |record: &str| {
        serde_json::from_str::<Value>(record).is_ok_and(|record| {
            record.is_object()
                && description
                    .key()
                    .iter()
                    .map(String::as_str)
                    .chain(description.time())
                    .all(|pointer| record.pointer(pointer).is_some_and(|value| !value.is_null()))
        })
    };
    texts.iter().flat_map(|text| text.lines()).find(|line| fits(line)).map(str::to_owned)
}

/// Headers, an empty line, the body.
fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or_else(|| ("", text.trim_start()));
    let headers = head.lines().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Answer { status: 200, headers, body: Bytes::from(body.to_owned()) }
}

fn settings(description: &Description) -> Settings {
    // The example of the help, where there is one that is an address.
    let example = |help: &str| help.split('`').skip(1).step_by(2).find(|word| word.contains('.')).map(str::to_owned);
    let of = |(name, help): (&String, &String)| (name.clone(), example(help).unwrap_or_else(|| format!("x-{name}")));
    let values = description.settings.iter().filter(|(name, _)| !description.defaults.contains_key(*name)).map(of).collect();
    let secrets: BTreeMap<String, String> = description.secrets.keys().map(|name| (name.clone(), format!("SECRET-{name}"))).collect();
    Settings { source: "pull/test".to_owned(), values, secrets, ..Settings::default() }
}

/// What is asked, and what comes of the answers.
fn play(description: &Arc<Description>, answers: Vec<Answer>) -> Result<String, String> {
    let mut session = Session::new(Arc::clone(description), settings(description));
    let mut told = String::new();
    let signed = sign(&session, NOW).map(|signed| match signed {
        ToSign::Jwt { algorithm, claims, .. } => format!("JWT({algorithm} {})", Value::Object(claims)),
        ToSign::Hmac { .. } => unreachable!("tokens are not asked for so"),
    });
    let mut access = None;
    if let Some(request) = token_request(&session, signed.as_deref()).map_err(|fault| fault.to_string())? {
        told += &show(&request, None);
        let answer = if told.contains("access_tokens") {
            r#"{"token":"ACCESS","expires_at":"2026-03-02T10:00:00Z"}"#
        } else {
            r#"{"access_token":"ACCESS","expires_in":3600}"#
        };
        access = Some(access_of(&mut session, NOW, &Answer { status: 200, headers: Vec::new(), body: answer.into() }).map_err(|fault| fault.to_string())?);
    }
    let mut answers = answers.into_iter();
    loop {
        let mut request = session.ask(NOW).map_err(|fault| fault.to_string())?;
        let signed = session.authorize(&mut request, access.as_ref(), NOW);
        told += &show(&request, signed.as_ref());
        let is_preparation = request.url.path().ends_with("/start");
        let answer = if is_preparation {
            Answer { status: 200, ..Answer::default() }
        } else {
            let Some(answer) = answers.next() else { return Ok(told) };
            answer
        };
        let taken = session.take(NOW, &answer).map_err(|fault| fault.to_string())?;
        let records: usize = taken.chunks.iter().map(|chunk| chunk.records.len()).sum();
        taken.chunks.iter().for_each(|chunk| session.stored(chunk));
        let newest =
            taken.chunks.last().map(|chunk| chunk.keys.newest).filter(|_| records > 0).map(|newest| format!(", newest {}", Timestamp(newest).rfc3339()));
        let _infallible = writeln!(told, "-> {records} new{}{}", newest.unwrap_or_default(), if taken.more { ", asks on" } else { "" });
    }
}

fn show(request: &Request, signed: Option<&ToSign>) -> String {
    let mut told = format!("{} {}\n", request.method.name(), request.url);
    let mut line = |text: String| told += &format!("   {text}\n");
    request.headers.iter().for_each(|(name, value)| line(format!("{name}: {value}")));
    match &request.body {
        Some(Body::Json(body)) => line(format!("json {body}")),
        Some(Body::Form(body)) => line(format!("form {body}")),
        None => {}
    }
    if let Some(ToSign::Hmac { user, text, .. }) = signed {
        line(format!("signed by {user}: {}", text.replace('\n', " | ")));
    }
    told
}
