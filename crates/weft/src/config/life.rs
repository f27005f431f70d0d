//! `[lake]` and `[[retention]]`: what is done to the lake day by day.

use std::path::PathBuf;

use weft_lake::Retention;
use weft_model::ocsf;

use super::read::{Reader, Table};

/// What is done, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeLife {
    /// Seconds between two rounds of compaction, retention and tiering; 0 means never.
    pub every_seconds: u64,
    /// Days that files are kept which no table names any more.
    pub vacuum_days: u64,
    /// Hours between two scrubs; 0 means never.
    pub scrub_hours: u64,
    /// Folder of cheaper storage.
    pub cold: Option<PathBuf>,
    /// Age of a day, in days, at which it is moved there.
    pub cold_days: u32,
    /// Folders with copies of the lake, to mend damaged files from.
    pub copies: Vec<PathBuf>,
    /// How long what is kept.
    pub retention: Vec<Retention>,
}

impl Default for LakeLife {
    fn default() -> Self {
        Self { every_seconds: 600, vacuum_days: 7, scrub_hours: 24, cold: None, cold_days: 30, copies: Vec::new(), retention: Vec::new() }
    }
}

impl Reader<'_> {
    pub(super) fn lake(&mut self, table: &Table<'_>, life: &mut LakeLife) {
        self.known(table, "lake", &["url", "every_seconds", "vacuum_days", "scrub_hours", "cold", "cold_days", "copies"]);
        self.number(table, "every_seconds", 0..=86_400, |n| life.every_seconds = n);
        self.number(table, "vacuum_days", 1..=3650, |n| life.vacuum_days = n);
        self.number(table, "scrub_hours", 0..=8760, |n| life.scrub_hours = n);
        self.string(table, "cold", |folder| life.cold = Some(folder.into()));
        self.number(table, "cold_days", 1..=36_500, |n| life.cold_days = u32::try_from(n).unwrap_or(u32::MAX));
        self.strings(table, "copies", |folders| life.copies = folders.into_iter().map(PathBuf::from).collect());
    }

    pub(super) fn retention(&mut self, at: usize, table: &Table<'_>) -> Option<Retention> {
        self.known(table, "retention", &["class", "tenant", "days", "raw_days"]);
        let mut rule = Retention::default();
        self.string(table, "class", |class| rule.class = Some(class));
        self.string(table, "tenant", |tenant| rule.tenant = Some(tenant));
        self.number(table, "days", 1..=36_500, |n| rule.days = u32::try_from(n).ok());
        self.number(table, "raw_days", 1..=36_500, |n| rule.raw_days = u32::try_from(n).ok());
        if rule.days.is_none() && rule.raw_days.is_none() {
            self.fault(at, "`retention` needs `days`, `raw_days` or both".to_owned());
            return None;
        }
        if let Some(class) = rule.class.as_ref().filter(|class| *class != weft_lake::REJECTS && ocsf::schema().class_by_name(class).is_none()) {
            self.fault(at, format!("`{class}` is not an OCSF class such as `network_activity`, nor `rejects`"));
            return None;
        }
        Some(rule)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    #[test]
    fn rules_are_read_and_what_is_none_is_told() {
        let text = "[lake]\nevery_seconds = 60\ncold = \"/mnt/cold\"\n[[retention]]\ndays = 365\nraw_days = 30\n[[retention]]\nclass = \"dns_activity\"\ntenant = \"acme\"\ndays = 7\n";
        let life = parse("weft.toml", text).unwrap().life;
        assert_eq!((life.every_seconds, life.retention.len(), life.retention[1].tenant.as_deref()), (60, 2, Some("acme")));
        let faults = parse("weft.toml", "[[retention]]\nclass = \"dns\"\ndays = 7\n[[retention]]\ntenant = \"a\"\n").unwrap_err();
        assert_eq!((faults.len(), faults[0].line), (2, 1), "{faults:?}");
    }
}
