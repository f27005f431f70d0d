//! Hunts over the lake: by hand, and on their schedule.

use std::time::Duration;

use serde_json::Value;
use weft_analytics::hunt::{Hunt, Question};
use weft_analytics::{Engine, FieldMap, Pipelines, RuleFile, compile_with};
use weft_lake::past::Sieve;
use weft_lake::{Lake, QueryError, QueryOptions, TableInfo, missing_table};
use weft_model::{ClassUid, Detector as _, EventBatch, Finding, Timestamp, ocsf};

use crate::cli::Progress;
use crate::mesh::cells;

/// Longest time that one hunt asks.
pub const SECONDS_MAX: u64 = 600;
/// Rows that one hunt is given; one more than become findings, so that the rest is told.
pub const ROWS_MAX: usize = weft_analytics::hunt::HITS_MAX + 1;

/// All hunts, with what their rules are compiled by.
#[derive(Default)]
pub struct Hunts {
    /// In order of name.
    pub all: Vec<Hunt>,
    /// What fields of rules mean.
    pub fields: FieldMap,
    /// What rewrites rules.
    pub pipelines: Pipelines,
}

/// What a hunt came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Hunted {
    /// Hits, and what of them could not be told.
    Hits(Vec<Finding>, Vec<String>),
    /// What it needs was never received: which.
    NoData(String),
}

impl Hunts {
    /// Runs one hunt for a time.
    ///
    /// # Errors
    /// For a person: why the lake did not answer.
    pub async fn run(&self, lake: &Lake, hunt: &Hunt, since: Timestamp, until: Timestamp) -> Result<Hunted, String> {
        let Some(sql) = hunt.sql(since, until) else { return self.by_rule(lake, hunt, since, until).await };
        let options = QueryOptions { rows_max: ROWS_MAX, time_max: Duration::from_secs(SECONDS_MAX) };
        match lake.session(options).collect(&sql).await {
            Ok(result) => {
                let columns: Vec<String> = result.schema.fields().iter().map(|field| field.name().clone()).collect();
                Ok(hits(hunt, &columns, &cells::rows(&result.batches), until))
            }
            Err(QueryError::Sql { message }) => missing(&message).map(Hunted::NoData).ok_or(message),
            Err(other) => Err(other.to_string()),
        }
    }

    async fn by_rule(&self, lake: &Lake, hunt: &Hunt, since: Timestamp, until: Timestamp) -> Result<Hunted, String> {
        let Some(mut engine) = self.engine(hunt) else { return Err(format!("the rule of hunt `{}` cannot be compiled", hunt.name)) };
        let mut sieve = RuleSieve::new(&mut engine, None);
        let sifted = tokio::time::timeout(Duration::from_secs(SECONDS_MAX), lake.sift(since, until, &mut sieve)).await;
        sifted.map_err(|_| format!("it took more than {SECONDS_MAX} s"))?.map_err(|error| error.to_string())?;
        let mut found = sieve.found;
        let reads = |table: &TableInfo| ocsf::schema().class_by_name(&table.name).is_some_and(|class| engine.reads().contains(&ClassUid(class.uid)));
        let any = lake.tables().iter().any(reads);
        found.extend(engine.conclude(until));
        let named: Vec<&str> = hunt.needs.iter().map(|(table, _)| table.as_str()).collect();
        Ok(if any { Hunted::Hits(found.into_iter().map(|finding| hunt.adopt(finding)).collect(), Vec::new()) } else { Hunted::NoData(named.join(", ")) })
    }

    fn engine(&self, hunt: &Hunt) -> Option<Engine> {
        let Question::Rule(text) = &hunt.question else { return None };
        let (engine, _) = compile_with(&[RuleFile { name: format!("hunt {}", hunt.name), text: text.clone() }], &self.fields, &self.pipelines);
        (!engine.is_empty()).then_some(engine)
    }
}

/// Rules over the past, to hunt or to learn: what they ask of events tells which rows they are shown.
pub(crate) struct RuleSieve<'e> {
    engine: &'e mut Engine,
    progress: Option<&'e Progress>,
    /// Findings so far.
    pub(crate) found: Vec<Finding>,
    /// Time of the newest event, in milliseconds.
    pub(crate) newest: i64,
}

impl<'e> RuleSieve<'e> {
    pub(crate) fn new(engine: &'e mut Engine, progress: Option<&'e Progress>) -> Self {
        Self { engine, progress, found: Vec::new(), newest: 0 }
    }
}

impl Sieve for RuleSieve<'_> {
    fn columns(&self, class: ClassUid) -> Vec<String> {
        let reads = self.engine.reads();
        if reads.is_empty() || reads.contains(&class) { self.engine.columns(class).into_iter().collect() } else { Vec::new() }
    }

    fn rows(&mut self, batch: &EventBatch) -> Vec<usize> {
        self.progress.into_iter().for_each(|progress| progress.add(batch.rows.num_rows() as u64));
        self.newest = self.newest.max(batch.newest().map_or(0, |time| time.0));
        self.engine.rows(batch)
    }

    fn take(&mut self, batch: EventBatch) {
        self.found.extend(self.engine.observe(&batch));
    }
}

/// Rows as hits.
pub fn hits(hunt: &Hunt, columns: &[String], rows: &[Vec<Value>], until: Timestamp) -> Hunted {
    let (found, faults) = hunt.findings(columns, rows, until);
    Hunted::Hits(found, faults)
}

/// The table or field that was never received, where that is why a statement was refused.
pub fn missing(message: &str) -> Option<String> {
    let no_field =
        || message.contains("No field named") || message.contains("not found in struct") || message.contains("Field") && message.contains("not found");
    missing_table(message)
        .map(|name| format!("table `{name}`"))
        .or_else(|| no_field().then(|| message.split(". There are").next().unwrap_or(message).to_owned()))
}
