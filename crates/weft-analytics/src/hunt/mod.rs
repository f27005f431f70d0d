//! Hunts: a hypothesis, the data that it needs, and the question that would confirm it.
//!
//! A hunt is a TOML file. Its question is SQL over the tables of the lake, with `{since}`, `{until}` and
//! `{before}` (the begin of the history that it compares with) as milliseconds; or a Sigma rule. Each row
//! is a hit, and becomes a detection finding whose analytic is the hunt: column `time` is its time,
//! `evidence` the uids of its events (a list), a column named by the OCSF path of an entity
//! (`user.name`, `src_endpoint.ip`) an entity, and every other column is told as it is.
//!
//! What this module deliberately does not know: the lake, SQL, the clock.

mod check;

use serde::Deserialize;
use serde_json::Value;
use weft_model::{ClassUid, Entity, Evidence, Finding, Technique, Timestamp, ocsf};

/// Hits of one run that become findings; more are counted.
pub const HITS_MAX: usize = 1_000;
/// Events of evidence of one hit.
const EVIDENCE_MAX: usize = 100;
/// Largest file.
const FILE_BYTES_MAX: usize = 64 << 10;

/// A hunt as it is read from its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Hunt {
    /// Name of the file, without its ending.
    pub name: String,
    /// Title of its findings.
    pub title: String,
    /// What would be true if it hits.
    pub hypothesis: String,
    /// OCSF severity id of its findings.
    pub severity_id: i64,
    /// Milliseconds between two scheduled runs; none when it runs by hand alone.
    pub every_ms: Option<i64>,
    /// Milliseconds that one run looks back.
    pub look_back_ms: i64,
    /// Milliseconds of history before that, to compare with.
    pub history_ms: i64,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// Tables that it needs, with the fields.
    pub needs: Vec<(String, Vec<String>)>,
    /// Where the knowledge comes from.
    pub references: Vec<String>,
    /// What else looks like it.
    pub false_positives: Vec<String>,
    /// The question.
    pub question: Question,
}

/// How a hunt asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// In SQL.
    Sql(String),
    /// By a Sigma rule.
    Rule(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    hypothesis: String,
    severity: String,
    #[serde(default)]
    schedule: Option<String>,
    look_back: String,
    #[serde(default)]
    history: Option<String>,
    #[serde(default)]
    attack: Vec<String>,
    needs: toml::Table,
    references: Vec<String>,
    false_positives: Vec<String>,
    #[serde(default)]
    sql: Option<String>,
    #[serde(default)]
    rule: Option<String>,
}

impl Hunt {
    /// Reads a file and checks it against the schema.
    ///
    /// # Errors
    /// Every fault, one line each, with the name of the file.
    pub fn parse(path: &str, text: &str) -> Result<Self, Vec<String>> {
        let told = |fault: String| format!("{path}: {fault}");
        if text.len() > FILE_BYTES_MAX {
            return Err(vec![told(format!("a hunt has at most {FILE_BYTES_MAX} bytes"))]);
        }
        let file: File = toml::from_str(text).map_err(|error| vec![told(error.message().replace('\n', " "))])?;
        let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".toml").to_owned();
        let (hunt, mut faults) = check::whole(name, file);
        faults.iter_mut().for_each(|fault| *fault = told(std::mem::take(fault)));
        hunt.filter(|_| faults.is_empty()).ok_or(faults)
    }

    /// The SQL for a time, from `since` on and before `until`; none when a rule asks.
    pub fn sql(&self, since: Timestamp, until: Timestamp) -> Option<String> {
        let Question::Sql(sql) = &self.question else { return None };
        let before = since.0.saturating_sub(self.history_ms);
        Some(sql.replace("{since}", &since.0.to_string()).replace("{until}", &until.0.to_string()).replace("{before}", &before.to_string()))
    }

    /// The hits as findings, and what of them cannot be one.
    pub fn findings(&self, columns: &[String], rows: &[Vec<Value>], until: Timestamp) -> (Vec<Finding>, Vec<String>) {
        let mut faults = Vec::new();
        if rows.len() > HITS_MAX {
            faults.push(format!("hunt `{}` has {} hits, the first {HITS_MAX} become findings", self.name, rows.len()));
        }
        let found = rows.iter().take(HITS_MAX).map(|row| self.finding(columns, row, until)).collect();
        (found, faults)
    }

    fn finding(&self, columns: &[String], row: &[Value], until: Timestamp) -> Finding {
        let time = columns.iter().zip(row).find(|(column, _)| *column == "time").and_then(|(_, value)| value.as_i64()).map_or(until, Timestamp);
        let class = self.needs.first().and_then(|(table, _)| ocsf::schema().class_by_name(table)).map_or(0, |class| class.uid);
        let (mut uids, mut entities, mut matched): (Vec<String>, Vec<Entity>, Vec<String>) = (Vec::new(), Vec::new(), Vec::new());
        for (column, value) in columns.iter().zip(row) {
            match (column.as_str(), entity_type(column)) {
                ("time", _) => {}
                ("evidence", _) => uids.extend(texts(value)),
                (_, Some(type_id)) => entities.extend(texts(value).into_iter().map(|value| Entity { name: column.clone(), type_id, value })),
                _ => matched.extend(texts(value).first().map(|value| format!("{column}: {value}"))),
            }
        }
        uids.sort();
        uids.dedup();
        uids.truncate(EVIDENCE_MAX);
        let evidence = uids.into_iter().map(|uid| Evidence { uid, class: ClassUid(class), time }).collect();
        // The same hit in the next run is the same finding: about the same, on the same day.
        let about: Vec<&str> = entities.iter().map(|entity| entity.value.as_str()).collect();
        let techniques = self.techniques.iter().map(|uid| Technique { uid: uid.clone(), tactic: None }).collect();
        Finding {
            uid: Finding::uid_of(&format!("{}\0{}\0{}", self.analytic(), time.date(), about.join("\0")), &[]),
            analytic_uid: self.analytic(),
            title: self.title.clone(),
            severity_id: self.severity_id,
            time,
            matched,
            entities,
            evidence,
            techniques,
            update: false,
        }
    }

    /// Id of the hunt as an analytic.
    pub fn analytic(&self) -> String {
        format!("hunt:{}", self.name)
    }

    /// A finding of the hunt's own Sigma rule, as one of the hunt.
    pub fn adopt(&self, finding: Finding) -> Finding {
        let uid = Finding::uid_of(&self.analytic(), &finding.evidence);
        let techniques = self.techniques.iter().map(|uid| Technique { uid: uid.clone(), tactic: None }).collect();
        Finding { uid, analytic_uid: self.analytic(), title: self.title.clone(), severity_id: self.severity_id, techniques, ..finding }
    }
}

/// The observable type of a column that is named by the path of an entity.
fn entity_type(column: &str) -> Option<i64> {
    let (parent, last) = column.rsplit_once('.')?;
    Some(match last {
        "ip" => 2,
        "hostname" => 1,
        "email_addr" | "from" | "to" => 5,
        "name" if parent.ends_with("user") => 4,
        "uid" if parent.ends_with("user") => 31,
        "uid" => 10,
        "name" if parent.ends_with("process") => 9,
        "name" if parent.ends_with("file") => 7,
        _ => return None,
    })
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}
