//! Value recall against the public OCSF examples: what of an expected event do we say too?
//!
//! The examples were made for several OCSF versions. What has since got another name or number is
//! compared under its present one ([`RENAMED`], [`CHANGED`]); what an example plainly gets wrong
//! is left out with the reason ([`WRONG`]). Beside it stands the strict figure: the same value under
//! the same path, nothing left out, nothing renamed.

mod causes;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use weft_ingest::frame::{self, Framing, Piece};
use weft_ingest::map::time;
use weft_ingest::{Mapper, Registry};
use weft_model::{Context, Mapping as _, StreamId};
use weft_testkit::{batch, data, registry, say};

const EXAMPLES: [&str; 4] = ["AWS", "Okta", "Zeek", "Microsoft_Windows_Events"];
/// Recall that a connector may not fall below.
const RECALL_MIN: [(&str, f64); 4] = [("aws", 0.90), ("okta", 0.90), ("zeek", 0.90), ("windows", 0.90)];

/// The same without [`RENAMED`], [`CHANGED`] and [`WRONG`], over the examples of OCSF 1.1 and later:
/// those of release candidates name half of their attributes otherwise.
const STRICT_MIN: f64 = 0.60;
/// Strictly, of what is no disagreement about OCSF 1.8 or about what the record says: [`causes`].
const AGREED_MIN: f64 = 0.97;

/// Folder in the archives -> stream.
const STREAMS: [(&str, &str); 9] = [
    ("CloudTrail", "aws/cloudtrail"),
    ("VPC Flowlogs", "aws/vpcflow"),
    ("Route53", "aws/route53"),
    ("WAF", "aws/waf"),
    ("EKS", "aws/eks"),
    ("Security Hub", "aws/securityhub"),
    ("System Logs", "okta/system_log"),
    ("Zeek", "zeek/log"),
    ("Windows", "windows/event"),
];

/// Path of an older OCSF version -> path in 1.8, as infix of the full path.
const RENAMED: [(&str, &str); 25] = [
    ("resource.", "resources[]."),                                         // one resource -> a list, 1.3
    ("cloud.account_uid", "cloud.account.uid"),                            // rc.2
    ("user.account_uid", "user.account.uid"),                              // rc.2
    ("user.account_type_id", "user.account.type_id"),                      // rc.2
    ("user.account_type", "user.account.type"),                            // rc.2
    ("user.uuid", "user.uid"),                                             // rc.2: the ARN
    ("user.uid", "user.uid_alt"),                                          // rc.2: the principal id
    ("session.mfa", "session.is_mfa"),                                     // rc.2
    ("mfa", "is_mfa"),                                                     // rc.2
    ("user.session_uid", "session.uid"),                                   // rc.2
    ("http_status", "http_response.code"),                                 // deprecated 1.1
    ("location.coordinates[]", "location.[lat|long]"),                     // deprecated 1.4
    ("proxy.", "proxy_endpoint."),                                         // deprecated 1.3
    ("finding.", "finding_info."),                                         // Security Finding, deprecated 1.1
    ("vulnerabilities[].packages", "vulnerabilities[].affected_packages"), // deprecated 1.0
    ("compliance.status_detail", "compliance.status_details[]"),           // deprecated 1.4
    ("tls.extension_list", "tls.tls_extension_list"),                      // deprecated 1.1
    ("actor.invoked_by", "actor.app_name"),                                // deprecated 1.2
    ("not_valid_before", "created_time"),                                  // of a certificate
    ("not_valid_after", "expiration_time"),                                // of a certificate
    ("sans[]", "sans[].name"),                                             // a list of texts -> of objects
    ("connection_info.community_id", "connection_info.community_uid"),     // rc.2
    ("email.to[]", "email.to_mailboxes[]"),                                // the whole mailbox, 1.6
    ("x_forwarded_for", "x_forwarded_for[]"),                              // a list since 1.0
    ("message[]", "message"),                                              // one text
];

/// Attribute, its value in the example, its value in OCSF 1.8.
const CHANGED: [(&str, &str, &str); 8] = [
    ("category_name", "Audit Activity", "Identity & Access Management"), // rc.2
    ("category_name", "Audit Activity", "Application Activity"),         // rc.2, API Activity
    ("category_uid", "3", "6"),
    ("class_uid", "3005", "6003"),
    ("type_uid", "300502", "600302"),
    ("status", "FAILED", "Fail"),       // Compliance, an enum since 1.2
    ("class_uid", "1010", "201003"),    // a class of the Windows extension
    ("type_uid", "101001", "20100301"), // a class of the Windows extension
];

/// Part of the pair's name, path, and what is wrong with the example there; all pairs where the name is empty.
const WRONG: [(&str, &str, &str); 58] = [
    ("", "metadata.version", "the version that the example was made for"),
    ("", "metadata.profiles[]", "profiles follow from the attributes that are set"),
    ("", "metadata.extensions[].name", "an extension whose attributes are not set"),
    ("", "metadata.extensions[].uid", "an extension whose attributes are not set"),
    ("", "metadata.extensions[].version", "an extension whose attributes are not set"),
    ("AWS/v1.5.0/CloudTrail/Account Change", "time_dt", "the record's UTC time with another offset"),
    ("AWS/v1.5.0/CloudTrail/Account Change", "actor.session.created_time_dt", "the record's UTC time with another offset"),
    ("EKS Audit Logs", "src_endpoint.ip", "`12.000.22.33` is no address"),
    ("EKS Audit Logs", "actor.user.type_id", "a node is a system account"),
    ("EKS Audit Logs", "action", "the record says that it was allowed"),
    ("EKS Audit Logs", "action_id", "the record says that it was allowed"),
    ("AWS/v1.5.0/WAF", "action", "an allowed request is said to be denied"),
    ("AWS/v1.5.0/WAF", "action_id", "an allowed request is said to be denied"),
    ("AWS/v1.5.0/WAF", "disposition", "an allowed request is said to be blocked"),
    ("AWS/v1.5.0/WAF", "disposition_id", "an allowed request is said to be blocked"),
    ("VPC Flowlogs", "dst_endpoint.instance_uid", "anonymised differently in record and event"),
    ("VPC Flowlogs", "dst_endpoint.interface_uid", "anonymised differently in record and event"),
    ("VPC Flowlogs", "connection_info.boundary_id", "99 for a field that is not there"),
    ("System Logs/Account Change", "time", "a time that is not in the record"),
    ("System Logs/API Activity", "src_endpoint.type", "`Mobile` for a computer"),
    ("System Logs/API Activity", "unmapped.debugContext.debugData.requestUri", "a path that is not in the record"),
    ("System Logs/Authentication", "src_endpoint.type", "`Mobile` for a computer"),
    ("System Logs/Authentication", "metadata.event_code", "misspelt"),
    ("System Logs/Detection Finding", "evidences[].src_endpoint.type", "`Mobile` for a computer"),
    ("System Logs/Detection Finding", "class_name", "misspelt"),
    ("System Logs/Detection Finding", "evidences[].src_endpoint.os.name", "the record says `unknown`"),
    ("System Logs/Detection Finding", "evidences[].src_endpoint.os.type", "the record says `unknown`"),
    ("System Logs/Detection Finding", "evidences[].src_endpoint.os.type_id", "the record says `unknown`"),
    ("System Logs/Detection Finding", "impact", "99 is Other, not Unknown, and nothing tells an impact"),
    ("System Logs/Detection Finding", "impact_id", "99 is Other, not Unknown, and nothing tells an impact"),
    ("System Logs/Detection Finding", "severity", "a detected threat of level WARN is no unknown"),
    ("System Logs/Detection Finding", "severity_id", "a detected threat of level WARN is no unknown"),
    ("System Logs/Entity Management", "src_endpoint.type", "`Mobile` for a computer"),
    ("System Logs/Group Management", "src_endpoint.type", "`Mobile` for a computer"),
    ("System Logs/Group Management", "user.email_addr", "the address of the record is written `example[.]com`"),
    ("v1.0.0-rc.2/Route53", "activity_id", "Response; later versions say Traffic"),
    ("Zeek/", "time", "another time than the record's"),
    ("Zeek/", "start_time", "another time than the record's"),
    ("Zeek/", "metadata.logged_time", "another time than the record's"),
    ("Windows Events/", "time", "local time of the author"),
    ("Windows Events/", "metadata.uid", "random"),
    ("conn_log", "connection_info.direction_id", "unknown, though the record says outbound"),
    ("conn_log", "observables[].reputation.base_score", "a score that is not in the record"),
    ("conn_log", "observables[].reputation.score_id", "a score that is not in the record"),
    ("conn_log", "observables[].reputation.provider", "a score that is not in the record"),
    ("dns_log", "response_time", "a duration"),
    ("x509_log", "type_uid", "of another class"),
    ("x509_log", "service.name", "`N/A`"),
    ("x509_log", "user.name", "`N/A`"),
    ("ssl_log", "tls.certificate.fingerprints[].value", "`NULL`"),
    ("ssl_log", "tls.certificate.fingerprints[].algorithm_id", "of a fingerprint that is not there"),
    ("4624", "logon_process.pid", "-1"),
    ("4624", "src_endpoint.port", "0"),
    ("4625", "logon_process.pid", "-1"),
    ("4625", "src_endpoint.port", "0"),
    ("4625", "actor.process.file.type", "of a file that is not there"),
    ("4625", "actor.process.file.type_id", "of a file that is not there"),
    ("4625", "status", "a code, which is `status_code`"),
];

#[test]
fn examples_are_recalled() {
    let Some(examples) = data("ocsf-examples") else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in EXAMPLES {
        if !unpack(&examples.join(format!("{name}.tar.xz")), folder.path()) {
            say(&format!("not checked: unpacking {name}.tar.xz needs `tar` with xz"));
            return;
        }
    }
    let (registry, faults) = registry();
    assert!(faults.is_empty(), "{faults:?}");
    let mut table = Table::default();
    for pair in pairs(folder.path()) {
        let said = map(&registry, pair.stream, &pair.raw);
        let recognised = map(&registry, StreamId::AUTO, &pair.raw);
        table.pair(&pair, &said, &recognised);
    }
    say(&table.text());
    if std::env::var_os("WEFT_MISSED").is_some() {
        say(&table.missed);
    }
    let totals = table.totals();
    let least = |name: &str| RECALL_MIN.iter().find(|(connector, _)| *connector == name).map_or(0.0, |(_, least)| *least);
    let low: Vec<&String> = totals.iter().filter(|(name, found, all)| ratio(*found, *all) < least(name)).map(|(name, ..)| name).collect();
    assert!(low.is_empty(), "recall too low for {low:?}\n{}", table.missed);
    for (name, (found, all)) in table.strict_totals() {
        assert!(ratio(found, all) >= STRICT_MIN, "{name}: {found} of {all} values are under their own path");
        let ours = table.causes.ours(name);
        assert!(ratio(found, found + ours) >= AGREED_MIN, "{name}: {ours} values are missed without a reason\n{}", table.missed);
    }
}

fn unpack(archive: &Path, into: &Path) -> bool {
    Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(into).status().is_ok_and(|status| status.success())
}

/// The events of a file, one record at a time so that they stay in its order.
fn map(registry: &std::sync::Arc<Registry>, stream: &str, file: &Path) -> Vec<Value> {
    let mapper = Mapper::new(registry.clone());
    let framing = Framing::of(registry, &StreamId::from(stream)).unwrap();
    let mut context = Context::default();
    let mut events = Vec::new();
    let mut take = |piece: Piece| match piece {
        Piece::Context(new) => context = (*new).clone(),
        Piece::Record { bytes, .. } => {
            let mapped = mapper.map(&batch(stream, context.clone(), vec![bytes]));
            events.extend(mapped.batches.iter().flat_map(weft_model::EventBatch::to_json));
        }
        Piece::Fault { .. } => {}
    };
    frame::read(file, &framing, &mut take).unwrap();
    events
}

struct Pair {
    name: String,
    connector: String,
    stream: &'static str,
    raw: PathBuf,
    expected: Vec<Value>,
}

/// Every raw record that lies beside an expected event.
fn pairs(folder: &Path) -> Vec<Pair> {
    let mut found = Vec::new();
    for raw in files(folder) {
        let Some(expected) =
            [("raw", "ocsf"), ("event", "json")].iter().find(|(from, _)| raw.extension().is_some_and(|end| end == *from)).map(|(_, to)| raw.with_extension(to))
        else {
            continue;
        };
        let Ok(event) = fs::read_to_string(&expected) else { continue };
        let name = raw.strip_prefix(folder).unwrap().to_string_lossy().replace("mappings/markdown/", "");
        let Some(&(_, stream)) = STREAMS.iter().find(|(part, _)| name.contains(part)) else { continue };
        let connector = stream.split('/').next().unwrap().to_owned();
        found.push(Pair { name: short(&name), connector, stream, raw, expected: documents(&repaired(&event)) });
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

/// `AWS/v1.5.0/WAF/Samples/waf.raw` -> `AWS/v1.5.0/WAF`.
fn short(name: &str) -> String {
    let folder = name.rsplit_once('/').map_or(name, |(folder, _)| folder);
    folder.trim_end_matches("/samples").trim_end_matches("/Samples").to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// JSON values one after the other.
fn documents(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text).into_iter().map_while(Result::ok).collect()
}

/// Examples are written by hand: comments and commas before a closing bracket are taken away.
fn repaired(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let (mut quoted, mut escaped) = (false, false);
    while let Some(c) = chars.next() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == '/' && chars.peek() == Some(&'/') {
            while chars.next_if(|next| *next != '\n').is_some() {}
            continue;
        } else if c == '"' {
            quoted = true;
        } else if matches!(c, '}' | ']') {
            let kept = out.trim_end_matches(|last: char| last.is_whitespace() || last == ',').len();
            out.truncate(kept);
        }
        out.push(c);
    }
    out
}

/// What was found of a pair.
struct Line {
    connector: String,
    name: String,
    found: usize,
    all: usize,
    strict: (usize, usize),
    same: bool,
}

#[derive(Default)]
struct Table {
    rows: Vec<Line>,
    missed: String,
    causes: causes::Causes,
}

impl Table {
    fn pair(&mut self, pair: &Pair, ours: &[Value], recognised: &[Value]) {
        let same = ours.iter().map(|event| event.get("class_uid")).eq(recognised.iter().map(|event| event.get("class_uid")));
        let (mut found, mut all, mut strict) = (0, 0, (0, 0));
        for (place, expected) in pair.expected.iter().enumerate() {
            let mut said = BTreeMap::new();
            flatten("", ours.get(place).unwrap_or(&Value::Null), &mut said);
            let (hit, of) = self.compare(pair, expected, &said);
            found += hit;
            all += of;
            let (hit, of) = self.strictly(pair, expected, &said);
            strict = (strict.0 + hit, strict.1 + of);
        }
        self.rows.push(Line { connector: pair.connector.clone(), name: pair.name.clone(), found, all, strict, same });
    }

    /// Values under their own path.
    fn strictly(&mut self, pair: &Pair, expected: &Value, said: &BTreeMap<String, Vec<String>>) -> (usize, usize) {
        let mut wanted = BTreeMap::new();
        flatten("", expected, &mut wanted);
        let (mut found, mut all) = (0, 0);
        for (path, values) in &wanted {
            for value in values.iter().filter(|value| !matches!(value.as_str(), "" | "-" | "null" | "''")) {
                all += 1;
                let have = said.get(path).map_or(&[][..], Vec::as_slice);
                if have.iter().any(|have| value.eq_ignore_ascii_case(have) || numbers(value, have)) {
                    found += 1;
                } else {
                    let cause = causes::of(&pair.name, path, value, said);
                    if !pair.name.contains("-rc.") {
                        self.causes.note(&pair.connector, cause);
                    }
                    let _ = writeln!(self.missed, "strict ({cause}) {}: {path} = {value}; ours: {have:?}", pair.name);
                }
            }
        }
        (found, all)
    }

    fn compare(&mut self, pair: &Pair, expected: &Value, said: &BTreeMap<String, Vec<String>>) -> (usize, usize) {
        let mut wanted = BTreeMap::new();
        flatten("", expected, &mut wanted);
        let (mut found, mut all) = (0, 0);
        for (path, values) in &wanted {
            if WRONG.iter().any(|(name, wrong, _)| pair.name.contains(name) && path == wrong) {
                continue;
            }
            for value in values.iter().filter(|value| !matches!(value.as_str(), "" | "-" | "null" | "''")) {
                all += 1;
                if holds(said, path, value) {
                    found += 1;
                } else {
                    let _ = writeln!(self.missed, "{}: {path} = {value}; ours: {:?}", pair.name, said.get(path));
                }
            }
        }
        (found, all)
    }

    fn totals(&self) -> Vec<(String, usize, usize)> {
        let mut totals: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for line in &self.rows {
            let total = totals.entry(&line.connector).or_default();
            total.0 += line.found;
            total.1 += line.all;
        }
        totals.into_iter().map(|(name, (found, all))| (name.to_owned(), found, all)).collect()
    }

    /// Strictly, over the examples of released versions.
    fn strict_totals(&self) -> BTreeMap<&str, (usize, usize)> {
        let mut totals: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for line in self.rows.iter().filter(|line| !line.name.contains("-rc.")) {
            let total = totals.entry(&line.connector).or_default();
            *total = (total.0 + line.strict.0, total.1 + line.strict.1);
        }
        totals
    }

    fn text(&self) -> String {
        let mut text = format!("{:<64} {:>6} {:>6} {:>7} {:>7}  auto\n", "pair", "found", "of", "recall", "strict");
        for line in &self.rows {
            let (name, found, all) = (&line.name, line.found, line.all);
            let strict = ratio(line.strict.0, line.strict.1);
            let _ = writeln!(text, "{name:<64} {found:>6} {all:>6} {:>7.3} {strict:>7.3}  {}", ratio(found, all), if line.same { "same" } else { "other" });
        }
        let strict = self.strict_totals();
        for (name, found, all) in self.totals() {
            let (hit, of) = strict.get(name.as_str()).copied().unwrap_or_default();
            let agreed = ratio(hit, hit + self.causes.ours(&name));
            let _ = writeln!(text, "{name:<64} {found:>6} {all:>6} {:>7.3} {:>7.3}  agreed {agreed:.3}", ratio(found, all), ratio(hit, of));
        }
        text + &self.causes.text()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn ratio(found: usize, all: usize) -> f64 {
    if all == 0 { 1.0 } else { found as f64 / all as f64 }
}

/// Leaf paths, places in lists as `[]`, values as text.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&below, member, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| flatten(&format!("{path}[]"), item, into)),
        Value::String(text) => into.entry(path.to_owned()).or_default().push(text.clone()),
        other => into.entry(path.to_owned()).or_default().push(other.to_string()),
    }
}

fn holds(said: &BTreeMap<String, Vec<String>>, path: &str, value: &str) -> bool {
    // What is kept apart in an example may be mapped by us: it must be there, wherever.
    if path.starts_with("unmapped.") {
        return value
            .split(',')
            .all(|part| said.iter().any(|(at, values)| at != "raw_data" && values.iter().any(|have| have == part || have == value || have.contains(part))));
    }
    names(path).iter().any(|name| said.get(name).is_some_and(|values| values.iter().any(|have| equal(name, value, have))) || parsed(said, name, value))
}

/// The path, and what it is called now.
fn names(path: &str) -> Vec<String> {
    let mut names = vec![path.to_owned()];
    if let Some(base) = path.strip_suffix("_dt") {
        names.push(base.to_owned());
    }
    for (old, new) in RENAMED {
        if path == old || path.starts_with(old) || path.contains(&format!(".{old}")) || path.contains(&format!("].{old}")) {
            match new.split_once("[lat|long]") {
                Some((before, _)) => names.extend(["lat", "long"].map(|end| path.replace(old, &format!("{before}{end}")))),
                None => names.push(path.replace(old, new)),
            }
        }
    }
    names
}

/// An attribute of type JSON is text in the examples and an object with us.
fn parsed(said: &BTreeMap<String, Vec<String>>, path: &str, value: &str) -> bool {
    let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(value) else { return false };
    let mut wanted = BTreeMap::new();
    flatten(path, &json, &mut wanted);
    wanted.iter().all(|(path, values)| values.iter().all(|value| value == "null" || said.get(path).is_some_and(|have| have.contains(value))))
}

fn equal(path: &str, expected: &str, have: &str) -> bool {
    let attribute = path.rsplit(['.', ']']).next().unwrap_or(path).trim_start_matches('.');
    expected.eq_ignore_ascii_case(have)
        || CHANGED.iter().any(|(name, old, new)| *name == attribute && *old == expected && *new == have)
        || numbers(expected, have)
        || instants(attribute, expected, have)
}

fn numbers(expected: &str, have: &str) -> bool {
    match (expected.parse::<f64>(), have.parse::<f64>()) {
        (Ok(expected), Ok(have)) => (expected - have).abs() <= 1e-6 * expected.abs().max(1.0),
        _ => false,
    }
}

/// Seconds for milliseconds, and times as text.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of our century are exact in a double")]
fn instants(attribute: &str, expected: &str, have: &str) -> bool {
    if !(attribute.contains("time") || attribute == "duration") {
        return false;
    }
    let Ok(have) = have.parse::<i64>() else { return false };
    if let Ok(seconds) = expected.parse::<f64>() {
        return seconds.abs() < 1e11 && (seconds * 1000.0 - have as f64).abs() < 1000.0;
    }
    time::parse(expected, 0).is_some_and(|expected| expected / 1000 == have / 1000)
}
