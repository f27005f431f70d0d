//! The story as Markdown: prose, tables of the company, and blocks of raw records with stage directions.
//!
//! A table under a heading gives its cells by the first word of that heading, in lower case:
//! `{{people.email}}`. A block is
//!
//! ````markdown
//! ```raw stream=linux/auth way=syslog-udp source=bast-01 every=40s
//! <86>{{t:syslog}} bast-01 sshd[{{num:900-31000}}]: Accepted publickey for deploy from 10.20.1.5 port {{num:1024-65535}} ssh2
//! ```
//! ````
//!
//! `every=` (with `when=office|morning|night`) makes it a habit of ordinary days, `at=` (with `times=` and
//! `gap=`) a part of the attack. A block whose text begins with `{` is one record, else each line is one.

use std::collections::HashMap;
use std::fmt;

use super::template::Template;

/// By which way in a record enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Posted as a line of NDJSON.
    Http,
    /// Posted as an event of the Splunk HTTP Event Collector.
    Hec,
    /// A syslog datagram.
    SyslogUdp,
    /// A syslog frame over TCP.
    SyslogTcp,
    /// Appended to the watched file that the source names.
    File,
}

impl Way {
    /// All ways.
    pub const ALL: [Self; 5] = [Self::Http, Self::Hec, Self::SyslogUdp, Self::SyslogTcp, Self::File];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "http" => Self::Http,
            "hec" => Self::Hec,
            "syslog-udp" => Self::SyslogUdp,
            "syslog-tcp" => Self::SyslogTcp,
            "file" => Self::File,
            _ => return None,
        })
    }
}

/// What is wrong in a file of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryFault {
    /// File name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// For a person.
    pub message: String,
}

impl fmt::Display for StoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A table of the company.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    #[cfg(test)]
    pub(super) fn of(columns: &[&str], rows: &[&[&str]]) -> Self {
        let owned = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        Self { columns: owned(columns), rows: rows.iter().map(|row| owned(row)).collect() }
    }

    pub(super) fn has(&self, column: &str) -> bool {
        !self.rows.is_empty() && self.columns.iter().any(|name| name == column)
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn cell(&self, row: usize, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|name| name == column)?;
        self.rows.get(row)?.get(place).map(String::as_str)
    }
}

/// When in the day a habit is strongest. No hour is silent: who looks at night sees a company, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hours {
    Always,
    Office,
    Morning,
    Night,
}

impl Hours {
    /// How many times rarer it is at this hour.
    pub(super) const fn slower(self, hour: i64) -> u64 {
        match self {
            Self::Always => 1,
            Self::Office => {
                if hour >= 7 && hour < 18 {
                    1
                } else {
                    3
                }
            }
            Self::Morning => {
                if hour >= 7 && hour < 10 {
                    1
                } else {
                    4
                }
            }
            Self::Night => {
                if hour < 5 {
                    1
                } else {
                    4
                }
            }
        }
    }
}

/// A block of records.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) stream: String,
    pub(super) way: Way,
    pub(super) source: String,
    pub(super) records: Vec<Template>,
    pub(super) cue: Cue,
}

/// When a block is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cue {
    /// On ordinary days, so far apart on average.
    Every { mean_ms: u64, hours: Hours },
    /// In the attack, so long after its start.
    At { offset_ms: u64, times: u64, gap_ms: u64 },
}

/// The whole story.
#[derive(Debug, Clone, Default)]
pub struct Story {
    pub(super) tables: HashMap<String, Table>,
    pub(super) blocks: Vec<Block>,
}

impl Story {
    /// Reads the files; tables of one are known in all.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Vec<StoryFault>> {
        let mut story = Self::default();
        for (_, text) in files {
            read_tables(text, &mut story.tables);
        }
        let mut faults = Vec::new();
        for (file, text) in files {
            for fence in fences(text) {
                match block(&fence, &story.tables) {
                    Ok(block) => story.blocks.push(block),
                    Err(message) => faults.push(StoryFault { file: (*file).to_owned(), line: fence.line, message }),
                }
            }
        }
        if faults.is_empty() { Ok(story) } else { Err(faults) }
    }
}

fn read_tables(text: &str, tables: &mut HashMap<String, Table>) {
    let (mut name, mut fenced) = (String::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if let Some(heading) = line.strip_prefix('#') {
            name = heading.trim_start_matches('#').split_whitespace().next().unwrap_or_default().to_lowercase();
        } else if let Some(row) = line.trim().strip_prefix('|').filter(|_| !fenced) {
            let cells: Vec<String> = row.trim_end_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
            let table = tables.entry(name.clone()).or_default();
            if table.columns.is_empty() {
                table.columns = cells;
            } else if !cells.iter().all(|cell| cell.starts_with('-')) {
                table.rows.push(cells);
            }
        }
    }
}

struct Fence<'t> {
    line: usize,
    directions: &'t str,
    lines: Vec<&'t str>,
}

fn fences(text: &str) -> Vec<Fence<'_>> {
    let mut found = Vec::new();
    let mut open: Option<Fence<'_>> = None;
    for (place, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(fence), None) => fence.lines.push(line),
            (None, Some(directions)) => open = Some(Fence { line: place + 1, directions, lines: Vec::new() }),
            (None, None) => {}
        }
    }
    found.retain(|fence| fence.directions.starts_with("raw "));
    found
}

fn block(fence: &Fence<'_>, tables: &HashMap<String, Table>) -> Result<Block, String> {
    let directions: HashMap<&str, &str> = fence.directions.split_whitespace().filter_map(|word| word.split_once('=')).collect();
    let text = |key: &str| directions.get(key).copied().ok_or_else(|| format!("`{key}=` is missing"));
    let span = |key: &str| match directions.get(key) {
        None => Ok(None),
        Some(value) => duration_ms(value).map(Some).ok_or_else(|| format!("`{key}={value}` is not a duration such as `90s`")),
    };
    let cue = match (span("every")?, span("at")?) {
        (Some(mean_ms), None) => Cue::Every { mean_ms: mean_ms.max(1), hours: hours(directions.get("when").copied())? },
        (None, Some(offset_ms)) => {
            let times = directions.get("times").map_or(Ok(1), |times| times.parse().map_err(|_| format!("`times={times}` is not a number")))?;
            Cue::At { offset_ms, times, gap_ms: span("gap")?.unwrap_or(1000) }
        }
        _ => return Err("one of `every=` and `at=` is needed".to_owned()),
    };
    let way = text("way")?;
    let way = Way::named(way).ok_or_else(|| format!("`way={way}` is none of http, hec, syslog-udp, syslog-tcp, file"))?;
    let records = records(&fence.lines).iter().map(|record| Template::parse(record, tables)).collect::<Result<Vec<_>, _>>()?;
    if records.is_empty() {
        return Err("the block has no record".to_owned());
    }
    Ok(Block { stream: text("stream")?.to_owned(), way, source: text("source")?.to_owned(), records, cue })
}

/// JSON is written over several lines for the reader, and sent in one.
fn records(lines: &[&str]) -> Vec<String> {
    let pretty = lines.first().is_some_and(|line| line.trim_end() == "{");
    if pretty {
        vec![lines.iter().map(|line| line.trim()).collect()]
    } else {
        lines.iter().filter(|line| !line.trim().is_empty()).map(|line| (*line).to_owned()).collect()
    }
}

fn hours(name: Option<&str>) -> Result<Hours, String> {
    match name {
        None => Ok(Hours::Always),
        Some("office") => Ok(Hours::Office),
        Some("morning") => Ok(Hours::Morning),
        Some("night") => Ok(Hours::Night),
        Some(other) => Err(format!("`when={other}` is none of office, morning, night")),
    }
}

/// `250ms`, `90s`, `10m`, `2h`.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit = match text.strip_prefix(digits)? {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tables_and_blocks() {
        let text = "# Tale\n\n## People of the firm\n| name | ip |\n|---|---|\n| Ada | `10.0.0.1` |\n\n```raw stream=a/b way=http source=s every=2s when=office\n{\n  \"who\": \"{{people.name}}\",\n  \"at\": 1\n}\n```\n";
        let story = Story::parse(&[("tale.md", text)]).unwrap();
        assert_eq!(story.tables["people"].cell(0, "ip"), Some("10.0.0.1"));
        assert_eq!(story.blocks.len(), 1);
        assert_eq!(story.blocks[0].records.len(), 1);
    }

    #[test]
    fn faults_name_file_and_line() {
        let text = "x\n```raw stream=a/b way=pigeon source=s every=2s\nline\n```\n```raw stream=a/b way=http source=s\nline\n```\n";
        let faults: Vec<String> = Story::parse(&[("tale.md", text)]).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["tale.md:2: `way=pigeon` is none of http, hec, syslog-udp, syslog-tcp, file", "tale.md:5: one of `every=` and `at=` is needed"]);
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration_ms("250ms"), Some(250));
        assert_eq!(duration_ms("2h"), Some(7_200_000));
        assert_eq!(duration_ms("5"), None);
        assert_eq!(duration_ms("s"), None);
    }
}
