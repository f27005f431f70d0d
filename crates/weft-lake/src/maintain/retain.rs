//! What is kept for how long: by class and by tenant, the events and their raw records.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use serde::Serialize;
use weft_model::{Timestamp, event};

use super::replace::Replaced;
use super::texts;
use crate::LakeError;
use crate::lake::Lake;
use crate::table::DataFile;

/// Mark of a file whose raw records were dropped.
const RAW: &str = "raw-dropped";
/// Mark of a file without the rows of some tenants, before their digest.
const WITHOUT: &str = "without-";
/// Column of the raw record, and those that quote it.
const RAW_COLUMNS: [&str; 1] = ["raw_data"];
/// Where an event names its tenant.
const TENANT: [&str; 2] = ["metadata", "tenant_uid"];

/// One rule; the one that says most about an event counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// OCSF class or `rejects`; none means every one.
    pub class: Option<String>,
    /// `metadata.tenant_uid`; none means every one.
    pub tenant: Option<String>,
    /// Days that events are kept after their day; none keeps them.
    pub days: Option<u32>,
    /// Days that `raw_data` is kept; none keeps it as long as the event.
    pub raw_days: Option<u32>,
}

/// What one run removed from one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Table.
    pub table: String,
    /// Events removed.
    pub rows: u64,
    /// Events that lost their raw record.
    pub raw_rows: u64,
    /// Files taken out or written anew.
    pub files: u64,
    /// BLAKE3 of these files, as far as it is known.
    pub digests: Vec<String>,
}

/// What the rules say about one day of one table.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// Events of tenants without a rule of their own.
    others_go: bool,
    /// Tenants whose rule differs from the others'.
    exceptions: BTreeSet<String>,
    raw_goes: bool,
}

fn verdict(rules: &[Retention], table: &str, day: i32, today: i32) -> Verdict {
    let of_class = |rule: &&Retention| rule.class.as_deref().is_none_or(|class| class == table);
    let best = |tenant: Option<&str>| {
        let fits = rules.iter().filter(of_class).filter(|rule| rule.tenant.is_none() || rule.tenant.as_deref() == tenant);
        fits.max_by_key(|rule| (rule.tenant.is_some(), rule.class.is_some()))
    };
    let past = |days: Option<u32>| days.is_some_and(|days| i64::from(day) + i64::from(days) < i64::from(today));
    let goes = |tenant: Option<&str>| best(tenant).is_some_and(|rule| past(rule.days));
    let others_go = goes(None);
    let tenants: BTreeSet<&str> = rules.iter().filter(of_class).filter_map(|rule| rule.tenant.as_deref()).collect();
    let exceptions = tenants.into_iter().filter(|tenant| goes(Some(tenant)) != others_go).map(str::to_owned).collect();
    Verdict { others_go, exceptions, raw_goes: best(None).is_some_and(|rule| past(rule.raw_days)) }
}

impl Verdict {
    /// What the file is marked with when this is done to it.
    fn mark(&self, file: &DataFile) -> String {
        let mut marks: BTreeSet<&str> = file.mark.split(',').filter(|mark| *mark == RAW).collect();
        if self.raw_goes {
            marks.insert(RAW);
        }
        let names: Vec<&str> = self.exceptions.iter().map(String::as_str).collect();
        let digest = blake3::hash(format!("{}\n{}", self.others_go, names.join("\n")).as_bytes()).to_hex();
        let without = format!("{WITHOUT}{}", digest.as_str().get(..12).unwrap_or_default());
        if !self.exceptions.is_empty() {
            marks.insert(&without);
        }
        marks.into_iter().collect::<Vec<_>>().join(",")
    }
}

/// Rows that stay.
fn kept(batch: &RecordBatch, verdict: &Verdict) -> BooleanArray {
    let tenants = texts::column(batch, &TENANT);
    let stays = |row: usize| {
        let excepted = tenants.as_ref().and_then(|tenants| event::text(tenants, row)).is_some_and(|tenant| verdict.exceptions.contains(tenant));
        verdict.others_go == excepted
    };
    (0..batch.num_rows()).map(|row| Some(stays(row))).collect()
}

fn without_raw(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
        if RAW_COLUMNS.contains(&field.name().as_str()) { new_null_array(field.data_type(), batch.num_rows()) } else { Arc::clone(column) }
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
}

impl Lake {
    /// Removes what the rules no longer keep. A day goes as a whole, the day after its last day.
    ///
    /// # Errors
    /// [`LakeError`]; what was removed before stays removed.
    pub async fn retain(&self, rules: &[Retention], now: Timestamp) -> Result<Vec<Expired>, LakeError> {
        let _alone = self.0.maintenance.lock().await;
        let mut all = Vec::new();
        for (table, files) in self.data_files() {
            let mut expired = Expired { table: table.clone(), ..Expired::default() };
            let (mut gone, mut changed) = (Vec::new(), Vec::new());
            for file in files {
                let verdict = verdict(rules, &table, file.day, now.day());
                if verdict.others_go && verdict.exceptions.is_empty() {
                    gone.push(file);
                } else if (verdict.raw_goes || !verdict.exceptions.is_empty()) && verdict.mark(&file) != file.mark {
                    changed.push((file, verdict));
                }
            }
            expired.rows += gone.iter().map(|file| file.rows).sum::<u64>();
            expired.note(&gone);
            if !gone.is_empty() {
                self.drop_files(&table, gone, "retention").await?;
            }
            for (file, verdict) in changed {
                self.thin(&table, file, verdict, &mut expired).await?;
            }
            if expired.files > 0 {
                all.push(expired);
            }
        }
        Ok(all)
    }

    async fn thin(&self, table: &str, file: DataFile, verdict: Verdict, expired: &mut Expired) -> Result<(), LakeError> {
        let (mark, raw_goes) = (verdict.mark(&file), verdict.raw_goes && !file.mark.split(',').any(|mark| mark == RAW));
        let (sender, counted) = std::sync::mpsc::channel();
        let name = table.to_owned();
        let replaced = self.replace_file(table, &file, "retention", move |batches| {
            let fault = |error: arrow::error::ArrowError| LakeError::Encode { table: name.clone(), message: error.to_string() };
            let mut keep = Vec::new();
            for batch in batches {
                let batch = filter_record_batch(&batch, &kept(&batch, &verdict)).map_err(fault)?;
                keep.push(if raw_goes { without_raw(&batch).map_err(fault)? } else { batch });
            }
            // The receiver waits for it below.
            let _sent = sender.send(keep.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
            Ok(Some(Replaced { keep, more: Vec::new(), mark }))
        });
        if replaced.await? {
            let stayed = counted.try_recv().unwrap_or(file.rows);
            expired.rows += file.rows.saturating_sub(stayed);
            expired.raw_rows += if raw_goes { stayed } else { 0 };
            expired.note(std::slice::from_ref(&file));
        }
        Ok(())
    }
}

impl Expired {
    fn note(&mut self, files: &[DataFile]) {
        self.files += files.len() as u64;
        self.digests.extend(files.iter().filter(|file| !file.digest.is_empty()).map(|file| file.digest.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(class: Option<&str>, tenant: Option<&str>, days: u32) -> Retention {
        Retention { class: class.map(str::to_owned), tenant: tenant.map(str::to_owned), days: Some(days), raw_days: None }
    }

    #[test]
    fn the_rule_that_says_most_counts() {
        let rules = [rule(None, None, 30), rule(Some("dns_activity"), None, 7), rule(None, Some("acme"), 90), rule(Some("dns_activity"), Some("acme"), 1)];
        let exceptions = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let of = |table: &str, age: i32| verdict(&rules, table, 1000 - age, 1000);
        assert_eq!(of("authentication", 30), Verdict { others_go: false, exceptions: exceptions(&[]), raw_goes: false });
        assert_eq!(of("authentication", 31), Verdict { others_go: true, exceptions: exceptions(&["acme"]), raw_goes: false });
        assert_eq!(of("authentication", 91), Verdict { others_go: true, exceptions: exceptions(&[]), raw_goes: false });
        assert_eq!(of("dns_activity", 2), Verdict { others_go: false, exceptions: exceptions(&["acme"]), raw_goes: false });
        assert_eq!(of("dns_activity", 8), Verdict { others_go: true, exceptions: exceptions(&[]), raw_goes: false });
        assert!(!verdict(&[], "x", 0, 100_000).others_go, "without a rule everything is kept");
    }
}
