//! A backend with made-up, deterministic events, for the tests and for looking at the pages.
//!
//! It knows the few statements that the pages ask for by their shape and ignores their filter.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use weft_console::api::*;
use weft_console::{Backend, TailEvent};

pub(crate) struct Fake {
    pub(crate) now_ms: i64,
    pub(crate) sender: broadcast::Sender<TailEvent>,
    pub(crate) asked: Mutex<Vec<String>>,
    events: Vec<Value>,
    pub(crate) acted: Mutex<Vec<IncidentAction>>,
    runs: Mutex<BTreeMap<String, RunState>>,
}

const PEOPLE: [&str; 6] = ["mara.lindt", "jonas.weber", "ayse.demir", "piotr.nowak", "svc-deploy", "lena.fox"];
const HOSTS: [&str; 4] = ["wks-0142", "wks-0177", "srv-files-01", "bastion-eu-1"];
/// Class uid and name, activity, product, message; `{u}` user, `{h}` host, `{i}` address.
const KINDS: [(i64, &str, &str, &str, &str); 8] = [
    (3002, "Authentication", "Logon", "Directory", "{u} signed in to the staff portal from {i}"),
    (3002, "Authentication", "Logon", "Remote Shell", "Failed password for {u} from {i} port 52144 ssh2"),
    (1007, "Process Activity", "Launch", "Hostwatch", "{u} launched powershell.exe -NoProfile -File inventory.ps1 on {h}"),
    (4001, "Network Activity", "Traffic", "Netwatch", "{i}:443 tcp, 18.4 kB out, 201 kB in"),
    (4003, "DNS Activity", "Query", "Netwatch", "A updates.example.net answered {i}"),
    (6003, "API Activity", "Create", "Cloud Audit", "key created by {u} from {i}"),
    (6003, "API Activity", "Read", "Cloud Audit", "bucket listed by {u} from {i}"),
    (2004, "Detection Finding", "Create", "Weft", "SSH brute force that succeeded on {h}"),
];

/// A small generator: the same numbers on every run.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn pick<T: Copy>(items: &[T], n: u64) -> T {
    items[usize::try_from(n % items.len() as u64).unwrap()]
}

pub(crate) fn event(n: u64, time: i64) -> Value {
    let r = mix(n + 1);
    let kind = if r.is_multiple_of(97) { KINDS[7] } else { pick(&KINDS[..7], r >> 8) };
    let (class_uid, class_name, activity, product, message) = kind;
    let (user, host) = (pick(&PEOPLE, r >> 16), pick(&HOSTS, r >> 24));
    let address = format!("203.0.113.{}", (r >> 32) % 40);
    let severity = if class_uid == 2004 { 4 } else { pick(&[1, 1, 1, 1, 1, 2, 2, 3], r >> 40) };
    let failed = message.starts_with("Failed");
    let message = message.replace("{u}", user).replace("{h}", host).replace("{i}", &address);
    let uid = format!("{:032x}", u128::from(mix(n)) << 64 | u128::from(r));
    json!({
        "metadata": {"uid": uid, "version": "1.8.0", "product": {"name": product, "vendor_name": product}, "log_name": "demo", "correlation_uid": "4bf92f3577b34da6a3ce929d0e0e4736"},
        "time": time, "class_uid": class_uid, "class_name": class_name, "category_uid": class_uid / 1000, "activity_id": 1, "activity_name": activity,
        "type_uid": class_uid * 100 + 1, "severity_id": severity, "severity": "Informational", "status": if failed { "Failure" } else { "Success" }, "status_id": 1 + i64::from(failed),
        "message": message, "actor": {"user": {"name": user, "uid": format!("u-{}", r % 900), "groups": [{"name": "engineering"}, {"name": "vpn"}]}},
        "src_endpoint": {"ip": address, "port": 52144, "location": {"country": "DE", "city": "Leipzig"}}, "device": {"hostname": host, "is_managed": true},
        "observables": [
            {"name": "src_endpoint.ip", "type": "IP Address", "type_id": 2, "value": address},
            {"name": "actor.user.name", "type": "User Name", "type_id": 4, "value": user},
            {"name": "device.hostname", "type": "Hostname", "type_id": 1, "value": host},
        ],
        "unmapped": {"debugContext": {"risk": "LOW", "<b>markup</b>": "stays text"}},
        "raw_data": format!("{{\"published\":{time},\"eventType\":\"user.session.start\",\"actor\":{{\"alternateId\":\"{user}\"}},\"client\":{{\"ipAddress\":\"{address}\",\"zone\":null}},\"outcome\":{{\"result\":\"{}\",\"ok\":{}}},\"note\":\"<script>alert(1)</script>\"}}", if failed { "FAILURE" } else { "SUCCESS" }, !failed),
    })
}

impl Fake {
    pub(crate) fn new(now_ms: i64, count: u64) -> Self {
        let mut time = now_ms;
        let events = (0..count).map(|n| {
            time -= i64::try_from(mix(n) % 1_900).unwrap() + if n % 400 < 60 { 20 } else { 400 };
            event(n, time)
        });
        let runs = [("run-3", RunState::AwaitingApproval), ("run-2", RunState::Verified), ("run-1", RunState::Undone)];
        Self {
            now_ms,
            sender: broadcast::channel(256).0,
            asked: Mutex::default(),
            acted: Mutex::default(),
            events: events.collect(),
            runs: Mutex::new(runs.map(|(id, state)| (id.to_owned(), state)).into()),
        }
    }

    fn answer(&self, sql: &str, limit: usize) -> (Vec<&'static str>, Vec<Vec<Value>>) {
        let bound = |mark: &str| sql.split_once(mark).and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<i64>().ok());
        let (from, to) = (bound("time >= ").unwrap_or(0), bound("time < ").unwrap_or(i64::MAX));
        let events = || self.events.iter().filter(move |event| (from..to).contains(&event["time"].as_i64().unwrap()));
        let wide = ["uid", "time", "class_uid", "class_name", "activity_name", "severity_id", "status", "message", "product", "observables"];
        if sql.starts_with("SELECT bucket") {
            let width = sql.split_once(") / ").and_then(|(_, rest)| rest.split(' ').next()?.parse::<i64>().ok()).unwrap();
            let mut counts: BTreeMap<(i64, i64), u64> = BTreeMap::new();
            events()
                .for_each(|event| *counts.entry(((event["time"].as_i64().unwrap() - from) / width, event["severity_id"].as_i64().unwrap())).or_default() += 1);
            return (vec!["bucket", "severity_id", "n"], counts.into_iter().map(|((at, severity), n)| vec![json!(at), json!(severity), json!(n)]).collect());
        }
        if sql.starts_with("SELECT value") || sql.starts_with("SELECT o[") {
            return values(sql, events());
        }
        let rows = events().take(limit).map(|event| {
            wide.iter()
                .map(|name| match *name {
                    "uid" => event["metadata"]["uid"].clone(),
                    "product" => event["metadata"]["product"]["name"].clone(),
                    name => event[name].clone(),
                })
                .collect()
        });
        (wide.into(), rows.collect())
    }
}

fn values<'a>(sql: &str, events: impl Iterator<Item = &'a Value>) -> (Vec<&'static str>, Vec<Vec<Value>>) {
    let entities = sql.starts_with("SELECT o[");
    let path: String = sql
        .split("SELECT \"")
        .nth(1)
        .and_then(|rest| rest.split(" AS ").next())
        .unwrap_or_default()
        .replace("']['", "/")
        .replace("\"['", "/")
        .replace("']", "")
        .replace('"', "");
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for event in events {
        if entities {
            event["observables"]
                .as_array()
                .unwrap()
                .iter()
                .for_each(|o| *counts.entry((o["value"].as_str().unwrap().to_owned(), o["type"].as_str().unwrap().to_owned())).or_default() += 1);
        } else if let Some(value) = event.pointer(&format!("/{path}")) {
            *counts.entry((value.as_str().map_or_else(|| value.to_string(), str::to_owned), String::new())).or_default() += 1;
        }
    }
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    rows.truncate(10);
    if entities {
        (vec!["value", "kind", "n"], rows.into_iter().map(|((value, kind), n)| vec![json!(value), json!(kind), json!(n)]).collect())
    } else {
        (vec!["value", "n"], rows.into_iter().map(|((value, _), n)| vec![json!(value), json!(n)]).collect())
    }
}

#[async_trait]
impl Backend for Fake {
    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer, ApiError> {
        self.asked.lock().unwrap().push(request.sql.clone());
        if request.sql.contains("FORM") {
            return Err(ApiError::bad_request("sql parser error: Expected: end of statement, found: FORM at Line: 1, Column: 10"));
        }
        let (names, rows) = self.answer(&request.sql, request.limit_rows);
        let columns = names.into_iter().map(|name| QueryColumn {
            name: name.to_owned(),
            data_type: if matches!(name, "time" | "n" | "class_uid" | "severity_id") { "Int64" } else { "Utf8" }.to_owned(),
        });
        Ok(QueryAnswer {
            columns: columns.collect(),
            truncated: rows.len() >= request.limit_rows,
            rows,
            elapsed_ms: 12,
            rows_scanned: Some(self.events.len() as u64),
            ..QueryAnswer::default()
        })
    }

    async fn cancel(&self, id: &str) -> bool {
        id == "running"
    }

    async fn tables(&self) -> Result<Vec<TableInfo>, ApiError> {
        let common = [
            ("time", ColumnKind::Integer),
            ("class_uid", ColumnKind::Integer),
            ("class_name", ColumnKind::Text),
            ("activity_name", ColumnKind::Text),
            ("severity_id", ColumnKind::Integer),
            ("severity", ColumnKind::Text),
            ("status", ColumnKind::Text),
            ("message", ColumnKind::Text),
            ("raw_data", ColumnKind::Text),
            ("observables", ColumnKind::Other),
            ("metadata", ColumnKind::Other),
            ("metadata.uid", ColumnKind::Text),
            ("metadata.log_name", ColumnKind::Text),
            ("metadata.correlation_uid", ColumnKind::Text),
            ("metadata.product.name", ColumnKind::Text),
        ];
        let table = |name: &str, class_uid, own: &[(&str, ColumnKind)]| TableInfo {
            name: name.to_owned(),
            class_uid,
            rows: Some(self.events.len() as u64),
            columns: common
                .iter()
                .chain(own)
                .map(|(path, kind)| ColumnInfo { path: (*path).to_owned(), kind: *kind, data_type: format!("{kind:?}") })
                .collect(),
        };
        let actor = ("actor.user.name", ColumnKind::Text);
        Ok(vec![
            table("events", None, &[]),
            table("authentication", Some(3002), &[actor, ("src_endpoint.ip", ColumnKind::Text)]),
            table("api_activity", Some(6003), &[actor, ("api.operation", ColumnKind::Text)]),
            table("network_activity", Some(4001), &[("src_endpoint.ip", ColumnKind::Text), ("dst_endpoint.port", ColumnKind::Integer)]),
        ])
    }

    async fn event(&self, uid: &str) -> Result<Option<EventDetail>, ApiError> {
        let found = self.events.iter().find(|event| event["metadata"]["uid"] == uid).cloned();
        Ok(found.map(|mut ocsf| {
            let raw = ocsf.as_object_mut().and_then(|event| event.shift_remove("raw_data")).and_then(|raw| raw.as_str().map(str::to_owned));
            EventDetail { ocsf, raw }
        }))
    }

    fn tail(&self) -> broadcast::Receiver<TailEvent> {
        self.sender.subscribe()
    }

    async fn sources(&self) -> Result<Vec<SourceState>, ApiError> {
        let all = [
            ("http/directory", "directory/sign_in", SourceHealth::Running, None, 14.2, 0),
            ("file:/var/log/auth.log", "linux/sshd", SourceHealth::Running, None, 3.1, 4),
            ("http/cloud", "cloud/audit", SourceHealth::Idle, None, 0.0, 0),
            ("syslog/udp:5514", "auto", SourceHealth::Waiting, Some("the lake is 3.1 s behind"), 118.7, 37),
            ("file:/data/network", "network/flow", SourceHealth::Running, None, 96.4, 0),
            (
                "file:/data/host",
                "host/event",
                SourceHealth::Failed,
                Some("cannot open `/data/host`: permission denied; give the folder read permission"),
                0.0,
                2,
            ),
        ];
        Ok(all
            .into_iter()
            .enumerate()
            .map(|(n, (source, stream, health, reason, rate, rejected))| {
                let recent = (0..60).map(|at| rate * (0.6 + (mix(at + 100 * n as u64) % 80) as f64 / 100.0)).collect();
                let read = (rate * 3_600.0) as u64 + rejected;
                SourceState {
                    source: source.to_owned(),
                    stream: stream.to_owned(),
                    health,
                    reason: reason.map(str::to_owned),
                    records_per_second: rate,
                    bytes_per_second: rate * 1_400.0,
                    read,
                    mapped: read - rejected,
                    rejected,
                    last_ms: (read > 0).then_some(self.now_ms - 1_000 * n as i64),
                    recent,
                    poll: (health == SourceHealth::Failed).then_some(PollState {
                        success_ms: Some(self.now_ms - 95_000),
                        lag_ms: Some(42_000),
                        faults: 3,
                        next_ms: Some(self.now_ms + 6_000),
                    }),
                }
            })
            .collect())
    }

    async fn rejects(&self) -> Result<Vec<RejectGroup>, ApiError> {
        let group = |stream: &str, cause: &str, count, example: &str| RejectGroup {
            group: format!("{:08x}", mix(count)).chars().take(8).collect(),
            stream: stream.to_owned(),
            cause: cause.to_owned(),
            count,
            first_ms: self.now_ms - 3_600_000,
            last_ms: self.now_ms - 65_000,
            example: example.to_owned(),
        };
        Ok(vec![
            group("auto", "no record type recognises this record", 37, "<13>Nov 23 18:47:37 printer-3 lpd[112]: \u{fffd}\u{fffd} toner low <b>now</b>"),
            group(
                "linux/sshd",
                "the time `Nov 31 25:61:00` does not exist",
                4,
                "Nov 31 25:61:00 bastion-eu-1 sshd[811]: Failed password for root from 203.0.113.9 port 52144 ssh2",
            ),
            group("host/event", "JSON nests deeper than 64 levels", 2, "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"),
        ])
    }

    async fn ledger(&self, _deep: bool) -> Result<LedgerAnswer, ApiError> {
        let account = |source: &str, stream: &str, stored: u64, refused: u64, dropped: u64, duplicates: u64| LedgerAccount {
            source: source.to_owned(),
            stream: stream.to_owned(),
            received: stored + refused + dropped + duplicates,
            stored,
            refused,
            dropped,
            duplicates,
            waiting: 0,
            mended: 0,
            missing: 0,
        };
        let accounts = vec![account("http/directory", "directory/audit", 41_208, 3, 0, 12), account("syslog/tcp", "auto", 918_334, 37, 20_000, 0)];
        Ok(LedgerAnswer { balances: true, faults: Vec::new(), total: account("", "", 959_542, 40, 20_000, 12), accounts, tables: Vec::new() })
    }

    async fn metrics(&self) -> String {
        "weft_records_missing 0\n".to_owned()
    }

    async fn loop_state(&self) -> Result<LoopState, ApiError> {
        Ok(super_loop::state(self.now_ms, &self.runs.lock().unwrap()))
    }

    async fn decide(&self, run: &str, decision: RunDecision) -> Result<(), ApiError> {
        let mut runs = self.runs.lock().unwrap();
        match runs.get_mut(run) {
            None => Err(ApiError::not_found(format!("no run `{run}`"))),
            Some(state) if *state != RunState::AwaitingApproval => Err(ApiError::new(ErrorCode::Conflict, format!("run `{run}` does not wait for approval"))),
            Some(state) => {
                *state = if decision.approve { RunState::Verified } else { RunState::Refused };
                Ok(())
            }
        }
    }

    async fn incidents(&self) -> Result<Vec<IncidentRow>, ApiError> {
        Ok(vec![super_incident::row(self.now_ms)])
    }

    async fn incident(&self, uid: &str) -> Result<Option<IncidentDetail>, ApiError> {
        Ok((uid == super_incident::UID).then(|| super_incident::detail(self.now_ms)))
    }

    async fn act_on_incident(&self, action: IncidentAction) -> Result<(), ApiError> {
        self.acted.lock().unwrap().push(action);
        Ok(())
    }

    async fn decide_incident(&self, _decision: Value) -> Result<(), ApiError> {
        Ok(())
    }

    async fn risks(&self, entity: Option<String>) -> Result<Vec<EntityRisk>, ApiError> {
        let all = super_incident::risks(self.now_ms);
        Ok(all.into_iter().filter(|risk| entity.as_ref().is_none_or(|entity| *entity == format!("{}:{}", risk.kind, risk.entity))).collect())
    }

    async fn detection(&self) -> Result<DetectionState, ApiError> {
        Ok(super_incident::detection(self.now_ms))
    }

    async fn intelligence(&self) -> Result<IntelligenceState, ApiError> {
        Ok(super_incident::intelligence(self.now_ms))
    }

    async fn undo(&self, run: &str) -> Result<(), ApiError> {
        let mut runs = self.runs.lock().unwrap();
        let state = runs
            .get_mut(run)
            .filter(|state| **state == RunState::Verified)
            .ok_or_else(|| ApiError::new(ErrorCode::Conflict, "this run has nothing to undo"))?;
        *state = RunState::Undone;
        Ok(())
    }
}

mod super_loop {
    use super::*;

    pub(super) fn state(now: i64, runs: &BTreeMap<String, RunState>) -> LoopState {
        let items = runs.iter().rev().enumerate().map(|(n, (id, state))| item(now - 240_000 * (n as i64 + 1), n, id, *state));
        let mut items: Vec<_> = items.collect();
        items.push(LoopItem {
            decision: Some(DecisionView {
                permit: false,
                determining_policies: vec!["never-block-own-networks".to_owned()],
                reason: Some("`10.20.0.5` is inside `10.0.0.0/8`, which is ours".to_owned()),
                ..items[0].decision.clone().unwrap()
            }),
            plan: None,
            run: None,
            ..items[0].clone()
        });
        let check = |id: &str, title: &str, pass, observed: &str| PostureCheck {
            id: id.to_owned(),
            title: title.to_owned(),
            pass,
            observed: observed.to_owned(),
            time: now - 30_000,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        };
        let metric = |name: &str, value, unit: &str, target: Option<&str>, detail: &str| Metric {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            target: target.map(str::to_owned),
            detail: detail.to_owned(),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        };
        LoopState {
            items,
            posture: vec![check("ssh-password-authentication", "SSH servers refuse passwords", Some(false), "`PasswordAuthentication yes` on bastion-eu-1")],
            metrics: vec![metric(
                "Event to console, p99",
                Some(212.0),
                "ms",
                Some("1,000 ms"),
                "from arrival at the mesh to the write to a console, 4,812 events",
            )],
        }
    }

    fn item(time: i64, n: usize, id: &str, state: RunState) -> LoopItem {
        let address = format!("203.0.113.{}", 7 + n);
        let note = |state, time, note: &str| RunStep { state, time, note: note.to_owned() };
        let mut steps = vec![
            note(RunState::Planned, time + 140, "plan made against the state `9f2c…`"),
            note(RunState::AwaitingApproval, time + 150, "policy `contain-needs-a-person` asks for a person"),
        ];
        if matches!(state, RunState::Verified | RunState::Undone) {
            steps.push(note(RunState::Applied, time + 9_000, "approved by local console; nft accepted one line"));
            steps.push(note(RunState::Verified, time + 9_400, "probe: 3 of 3 packets from the address were dropped"));
        }
        if state == RunState::Undone {
            steps.push(note(RunState::Undone, time + 60_000, "undone by local console; probe: 3 of 3 packets arrive"));
        }
        if state == RunState::Refused {
            steps.push(note(RunState::Refused, time + 9_000, "refused by local console"));
        }
        LoopItem {
            trace_id: format!("{:032x}", mix(n as u64)),
            finding: FindingView {
                uid: format!("f-{n}"),
                title: "SSH brute force that succeeded".to_owned(),
                analytic_uid: "8b6b1d0c-5f0e-4e0c-9a38-0f2f6c1f7d11".to_owned(),
                severity_id: 4,
                time,
                techniques: vec!["T1110.001".to_owned()],
                entities: vec![
                    Observable {
                        name: Some("src_endpoint.ip".to_owned()),
                        kind: Some("IP Address".to_owned()),
                        type_id: Some(2),
                        value: Some(address.clone()),
                    },
                    Observable {
                        name: Some("device.hostname".to_owned()),
                        kind: Some("Hostname".to_owned()),
                        type_id: Some(1),
                        value: Some("bastion-eu-1".to_owned()),
                    },
                ],
                matched: vec!["14 failures then 1 success within 2 min".to_owned(), "src_endpoint.ip is the same".to_owned()],
                evidence: vec!["e-1".to_owned(), "e-2".to_owned()],
            },
            decision: Some(DecisionView {
                permit: true,
                principal: "Weft::Playbook::\"contain-address\"".to_owned(),
                action: "block_address".to_owned(),
                resource: format!("Address::\"{address}\""),
                determining_policies: vec!["contain-outside-addresses".to_owned(), "contain-needs-a-person".to_owned()],
                reason: None,
                time: time + 120,
            }),
            plan: Some(PlanView {
                point: "nftables/gateway".to_owned(),
                changes: vec![Change { add: true, line: format!("add element inet weft blocked {{ {address} }}") }],
                gaps: Vec::new(),
            }),
            run: Some(RunView { id: id.to_owned(), state, can_undo: state == RunState::Verified, steps }),
        }
    }
}

#[path = "fake_incident.rs"]
mod super_incident;
